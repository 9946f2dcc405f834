#include "wal/wal_recovery.h"

#include <inttypes.h>

#include "format/file_name.h"
#include "platform/error_detail.h"
#include "platform/memory.h"
#include "wal/wal_chain.h"
#include "wal/wal_reader.h"

#include "base/poison.h"

/* Reading goes from record to record and from segment to segment until something does not fit: a
 * record that is invalid, or that reaches over the cut its successor names. That place is E. Then
 * everything behind E is searched for the highest position D that is known to have been durable.
 * E < D is damage; otherwise what lies behind E is a torn tail.
 *
 * Two rules keep positions unambiguous. A segment that is not there counts as an empty one, so that
 * a chain whose first segment was lost before it was durable can go on in another file. And the
 * position handed to the next writer is never below the floor nor, after a cut at damage, below D:
 * so neither the manifest's floor nor old claims ever apply to new records. */

typedef struct wal_replay {
    const wal_recovery_args *args;
    wal_recovery *out;
    wal_chain chain;
    wal_reader reader;
    uint64_t floor_segment;

    /* Where reading is. */
    const wal_chain_segment *segment; /* NULL: the floor segment, which is missing */
    uint64_t offset;
    uint64_t position;
    seqno next_sequence;
    uint64_t reread_position; /* beside a writer: where reading was resumed last */
    bool knows_synced;        /* skip: `synced` is D, for everything behind the first damage */
    uint64_t synced;
    bool content_damaged; /* last_good: a valid record that does not decode; `out->damage` is set */
} wal_replay;

static char *wal_replay_path(const wal_replay *r, uint64_t number, char path[FILE_PATH_BYTES]) {
    return file_path(path, r->args->directory, FILE_LOG, number);
}

static status wal_replay_no_memory(void) {
    return error_status(FIRN_NO_MEMORY, "no memory to read the log back");
}

static status wal_replay_open(wal_replay *r, const wal_chain_segment *segment) {
    char path[FILE_PATH_BYTES];
    bool missing;
    wal_replay_path(r, segment->number, path);
    status st = wal_reader_open(&r->reader, r->args->vfs, path, &missing);
    if (!status_is(st, FIRN_NOT_FOUND) &&
        (!status_is_ok(st) || r->reader.header.epoch == segment->header.epoch))
        return st;
    return r->args->beside_writer
               ? error_status(FIRN_ABORTED, "'%s' changed while the log was read", path)
               : error_corruption_at(path, 0, "header page read differently a second time");
}

static status wal_replay_note_segment(wal_replay *r, const wal_chain_segment *segment) {
    wal_recovery *out = r->out;
    wal_segment_info *grown =
        memory_resize(out->segments, (out->segment_count + 1) * sizeof *grown);
    if (!grown)
        return wal_replay_no_memory();
    out->segments = grown;
    grown[out->segment_count++] = (wal_segment_info){
        .number = segment->number,
        .start_position = segment->header.position,
        .end_position = segment->header.position,
        .file_bytes = segment->file_bytes,
    };
    return STATUS_OK;
}

/* Hands out the record at r->offset. *accepted false: it does not count, reading ends in front of
 * it. */
static status wal_replay_record(wal_replay *r, uint64_t limit, bool *accepted) {
    status st = STATUS_OK;
    record_head head;
    slice checked;
    record_verdict verdict;
    wal_batch batch;
    bool intact = true;
    uint64_t bad_offset;
    *accepted = false;
    TRY(wal_reader_judge(&r->reader, r->offset, &head, &checked, &verdict));
    if (verdict != RECORD_VALID || head.type == RECORD_EDIT)
        goto out;
    uint64_t bytes = record_padded_bytes(head.bytes);
    if (bytes > limit - r->offset ||
        r->reader.header.sequence + head.sequence_delta < r->next_sequence)
        goto out;
    st = wal_reader_batch(&r->reader, r->offset, &head, checked, &batch);
    if (status_is(st, FIRN_CORRUPTION) && r->args->skip) {
        st = STATUS_OK; /* a hole; whoever skips it reports it */
        goto out;
    }
    if (status_is(st, FIRN_CORRUPTION) && r->args->last_good) {
        buf_printf(&r->out->damage, "%s", error_detail_get());
        r->content_damaged = true;
        st = buf_status(&r->out->damage);
        goto out;
    }
    if (!status_is_ok(st))
        goto out;
    if (head.type == RECORD_LARGE_BATCH)
        TRY(wal_reader_check_extents(&r->reader, r->offset, &head, batch.ops, &intact,
                                     &bad_offset));
    if (!intact)
        goto out;
    if (head.type == RECORD_LARGE_BATCH && r->args->held)
        TRY(wal_large_files_hold(r->args->held, r->segment->number));
    TRY(r->args->on_batch(r->args->context, batch.first_sequence, batch.count, batch.ops,
                          r->position));
    r->next_sequence = batch.first_sequence + batch.count;
    r->out->last_sequence = r->next_sequence - 1;
    r->out->records++;
    r->out->bytes += bytes;
    r->offset += bytes;
    r->position += bytes;
    *accepted = true;
out:
    return st;
}

/* Reads the open segment from r->offset up to `limit`, or to the first record that does not count.
 */
static status wal_replay_records(wal_replay *r, uint64_t limit) {
    bool accepted = true;
    while (accepted && r->offset < limit) {
        status st = wal_replay_record(r, limit, &accepted);
        if (!status_is_ok(st))
            return st;
    }
    r->out->segments[r->out->segment_count - 1].end_position = r->position;
    return STATUS_OK;
}

/* E. Nothing below the floor is needed, so nothing is lost there. */
static uint64_t wal_replay_end(const wal_replay *r) {
    return r->position > r->args->floor_position ? r->position : r->args->floor_position;
}

/* What the scan behind E found. */
typedef struct wal_replay_tail {
    uint64_t synced;        /* D */
    uint64_t proof_segment; /* of the record that says so; 0: the manifest does */
    uint64_t proof_offset;
    uint64_t torn_bytes;
} wal_replay_tail;

static status wal_replay_scan_tail(wal_replay *r, wal_replay_tail *tail) {
    status st = STATUS_OK;
    uint64_t number = r->segment ? r->segment->number : r->floor_segment;
    wal_scan scan = {.budget = WAL_SCAN_BUDGET_BYTES};
    *tail = (wal_replay_tail){0};
    scan.synced = wal_replay_end(r);
    if (scan.synced < r->args->clean_end)
        scan.synced = r->args->clean_end;
    for (size_t i = 0; r->chain.segments && i < r->chain.count; i++) {
        const wal_chain_segment *segment = &r->chain.segments[i];
        uint64_t from = segment == r->segment ? r->offset : SEGMENT_HEADER_BYTES;
        if (segment->number < number || !segment->is_valid)
            continue;
        TRY(wal_replay_open(r, segment));
        scan.proof_offset = 0;
        TRY(wal_reader_scan(&r->reader, from, &scan));
        if (scan.proof_offset > 0) {
            tail->proof_segment = segment->number;
            tail->proof_offset = scan.proof_offset;
        }
        tail->torn_bytes += scan.content_end - from;
    }
    tail->synced = scan.synced;
out:
    return st;
}

/* Beside a writer a record may have been half-written when it was read and complete, even synced,
 * when the scan saw what follows. And without one, a bad read may have been the only thing wrong
 * with it. *moved: it is worth reading on from r->offset. */
static status wal_replay_tail_moved(wal_replay *r, bool *moved) {
    status st = STATUS_OK;
    record_head head;
    slice checked;
    record_verdict verdict;
    *moved = false;
    if (!r->segment) {
        st = error_status(FIRN_ABORTED, "log segment %" PRIu64 " is not there (any more)",
                          r->floor_segment);
        goto out;
    }
    TRY(wal_replay_open(r, r->segment));
    TRY(wal_reader_judge(&r->reader, r->offset, &head, &checked, &verdict));
    *moved = verdict == RECORD_VALID && r->reread_position != r->position;
    r->reread_position = r->position;
out:
    return st;
}

/* What is wrong may as well be the file that should follow. */
static void wal_replay_name_follower(const wal_replay *r) {
    char path[FILE_PATH_BYTES];
    if (!r->segment || wal_chain_successor(&r->chain, r->segment->number))
        return;
    for (size_t i = 0; i < r->chain.count; i++) {
        const wal_chain_segment *segment = &r->chain.segments[i];
        if (segment->number <= r->segment->number || segment->is_valid)
            continue;
        error_detail_append("; '%s', which may follow it, has no valid header page",
                            wal_replay_path(r, segment->number, path));
        return;
    }
    error_detail_append("; or '%s' is missing, which may have followed it",
                        wal_replay_path(r, r->segment->number + 1, path));
}

static status wal_replay_report_damage(wal_replay *r, const wal_replay_tail *tail) {
    char path[FILE_PATH_BYTES];
    uint64_t number = r->segment ? r->segment->number : r->floor_segment;
    const char *problem =
        r->segment ? "log record is damaged or missing, and it had been durable"
                   : "log segment is missing or has no valid header, and it had been durable";
    wal_replay_path(r, number, path);
    if (!r->args->last_good) {
        status st = error_corruption_at(path, r->segment ? r->offset : 0, problem);
        if (tail->proof_segment)
            error_detail_append(" (log position %" PRIu64 ", durable up to %" PRIu64
                                " by the record at offset %" PRIu64 " of segment %" PRIu64 ")",
                                wal_replay_end(r), tail->synced, tail->proof_offset,
                                tail->proof_segment);
        else
            error_detail_append(" (log position %" PRIu64 ", durable up to %" PRIu64
                                " by the manifest)",
                                wal_replay_end(r), tail->synced);
        wal_replay_name_follower(r);
        return st;
    }
    buf_printf(&r->out->damage,
               "%s: %s at offset %" PRIu64 "; the log was cut there, giving up %" PRIu64
               " bytes known to have been durable",
               path, problem, r->segment ? r->offset : 0, tail->synced - wal_replay_end(r));
    return buf_status(&r->out->damage);
}

/* Reading stopped at r->offset: decides what that means. */
static status wal_replay_judge_end(wal_replay *r, bool *read_on) {
    status st = STATUS_OK;
    wal_replay_tail tail;
    uint64_t end = wal_replay_end(r);
    *read_on = false;
    if (!r->args->beside_writer && r->segment && !r->content_damaged) {
        TRY(wal_replay_tail_moved(r, read_on));
        if (*read_on)
            goto out;
    }
    TRY(wal_replay_scan_tail(r, &tail));
    if (tail.synced > end) {
        if (r->args->beside_writer) {
            TRY(wal_replay_tail_moved(r, read_on));
            if (*read_on)
                goto out;
        }
        if (!r->content_damaged)
            TRY(wal_replay_report_damage(r, &tail));
        /* So that these claims lie below everything that is written from now on. */
        end = (tail.synced + RECORD_ALIGNMENT - 1) / RECORD_ALIGNMENT * RECORD_ALIGNMENT;
    }
    r->out->torn_bytes = tail.torn_bytes;
    r->out->end_position = end;
    r->out->end_segment = r->segment ? r->segment->number : 0;
    r->out->end_offset = r->segment ? r->offset : 0;
out:
    return st;
}

/* --- going on behind damage --- */

enum { WAL_REPLAY_HOLES_TOLD = 8 };

/* Between two log positions, seen from `offset` of segment `number`. */
static status wal_replay_note_hole(wal_replay *r, uint64_t offset, uint64_t to_position) {
    char path[FILE_PATH_BYTES];
    wal_recovery *out = r->out;
    uint64_t number = r->segment ? r->segment->number : r->floor_segment;
    uint64_t bytes = to_position - wal_replay_end(r);
    out->hole_bytes += bytes;
    if (++out->holes <= WAL_REPLAY_HOLES_TOLD)
        buf_printf(&out->damage, "%s%s: %" PRIu64 " bytes from offset %" PRIu64 " on left out",
                   out->damage.size ? "; " : "", wal_replay_path(r, number, path), bytes, offset);
    else if (out->holes == WAL_REPLAY_HOLES_TOLD + 1)
        buf_printf(&out->damage, "; and more");
    return buf_status(&out->damage);
}

/* The first offset from `from` on, below `limit`, where a batch stands that may come next;
 * UINT64_MAX: none. */
static status wal_replay_find_batch(wal_replay *r, uint64_t from, uint64_t limit, uint64_t *found) {
    status st = STATUS_OK;
    *found = UINT64_MAX;
    for (uint64_t at = from; at < limit && at < r->reader.file_bytes; at += RECORD_ALIGNMENT) {
        record_head head;
        slice checked;
        record_verdict verdict;
        wal_batch batch;
        TRY(wal_reader_judge(&r->reader, at, &head, &checked, &verdict));
        if (verdict != RECORD_VALID || record_padded_bytes(head.bytes) > limit - at ||
            r->reader.header.sequence + head.sequence_delta < r->next_sequence)
            continue;
        st = wal_reader_batch(&r->reader, at, &head, checked, &batch);
        if (status_is_ok(st)) {
            *found = at;
            break;
        }
        if (!status_is(st, FIRN_CORRUPTION))
            break;
        st = STATUS_OK;
    }
out:
    return st;
}

static wal_chain_segment *wal_replay_next_usable(wal_replay *r) {
    uint64_t number = r->segment ? r->segment->number : r->floor_segment;
    for (size_t i = 0; i < r->chain.count; i++) {
        wal_chain_segment *segment = &r->chain.segments[i];
        if (segment->number > number && segment->is_valid && !segment->is_used &&
            segment->header.position >= wal_replay_end(r))
            return segment;
    }
    return NULL;
}

static status wal_replay_enter(wal_replay *r, wal_chain_segment *segment);

/* Whether what stopped the reading is damage, and not the torn tail that every crash leaves: E < D.
 * The scan from the first damage on has seen everything there is. */
static status wal_replay_is_damage(wal_replay *r, bool *is_damage) {
    wal_replay_tail tail;
    if (!r->knows_synced) {
        status st = wal_replay_scan_tail(r, &tail);
        if (!status_is_ok(st))
            return st;
        r->knows_synced = true;
        r->synced = tail.synced;
    }
    *is_damage = wal_replay_end(r) < r->synced;
    return STATUS_OK;
}

/* Recovery mode skip: *skipped if there is something to read behind the damage at r->offset, and
 * then it is there that reading goes on. */
static status wal_replay_skip(wal_replay *r, uint64_t limit, bool *skipped) {
    status st = STATUS_OK;
    bool is_damage = false;
    uint64_t found = UINT64_MAX;
    *skipped = false;
    if (!r->args->skip)
        return STATUS_OK;
    TRY(wal_replay_is_damage(r, &is_damage));
    if (!is_damage)
        goto out;
    if (r->segment) {
        /* At first from where it stopped: perhaps only the read was bad. */
        uint64_t from =
            r->reread_position == r->position ? r->offset + RECORD_ALIGNMENT : r->offset;
        r->reread_position = r->position;
        TRY(wal_replay_open(r, r->segment));
        TRY(wal_replay_find_batch(r, from, limit, &found));
    }
    if (found != UINT64_MAX) {
        if (found > r->offset)
            TRY(wal_replay_note_hole(r, r->offset, r->position + (found - r->offset)));
        r->position += found - r->offset;
        r->offset = found;
        *skipped = true;
        goto out;
    }
    wal_chain_segment *next = wal_replay_next_usable(r);
    if (!next)
        goto out;
    if (next->header.position > wal_replay_end(r))
        TRY(wal_replay_note_hole(r, r->segment ? r->offset : 0, next->header.position));
    TRY(wal_replay_enter(r, next));
    *skipped = true;
out:
    return st;
}

/* Goes on with `segment`, behind what is below the floor. */
static status wal_replay_enter(wal_replay *r, wal_chain_segment *segment) {
    r->position = segment->header.position;
    if (r->position < r->args->floor_position)
        r->position = r->args->floor_position;
    r->offset = SEGMENT_HEADER_BYTES + (r->position - segment->header.position);
    segment->is_used = true;
    r->segment = segment;
    return wal_replay_note_segment(r, segment);
}

/* The first segment to read: the floor, or what follows it when it is missing and so empty. */
static status wal_replay_begin(wal_replay *r) {
    wal_chain_segment *segment = wal_chain_find(&r->chain, r->floor_segment);
    r->position = r->args->floor_position;
    r->next_sequence = 1;
    r->reread_position = UINT64_MAX;
    if (!segment) {
        segment = wal_chain_successor(&r->chain, r->floor_segment);
        if (segment && segment->header.predecessor_cut != SEGMENT_HEADER_BYTES)
            segment = NULL;
    }
    return segment ? wal_replay_enter(r, segment) : STATUS_OK;
}

/* Beside a writer, what was read only counts if the file still is that segment. */
static status wal_replay_check_unchanged(wal_replay *r) {
    bool unchanged = true;
    if (!r->args->beside_writer)
        return STATUS_OK;
    status st = wal_reader_is_unchanged(&r->reader, &unchanged);
    if (status_is_ok(st) && !unchanged)
        return error_status(FIRN_ABORTED, "log segment %" PRIu64 " was recycled while it was read",
                            r->segment->number);
    return st;
}

static status wal_replay_walk(wal_replay *r) {
    status st = STATUS_OK;
    bool read_on = true, skipped;
    TRY(wal_replay_begin(r));
    if (!r->segment)
        TRY(wal_replay_skip(r, 0, &skipped));
    while (r->segment) {
        wal_chain_segment *next = wal_chain_successor(&r->chain, r->segment->number);
        uint64_t limit = next ? next->header.predecessor_cut : UINT64_MAX;
        if (r->offset > limit) { /* all of this segment lies below the floor */
            r->offset = limit;
            r->position = r->segment->header.position + (limit - SEGMENT_HEADER_BYTES);
        }
        TRY(wal_replay_open(r, r->segment));
        TRY(wal_replay_records(r, limit));
        TRY(wal_replay_check_unchanged(r));
        if (next && r->offset == limit && next->header.position >= r->position) {
            TRY(wal_replay_enter(r, next));
            continue;
        }
        TRY(wal_replay_skip(r, limit, &skipped));
        if (skipped)
            continue;
        TRY(wal_replay_judge_end(r, &read_on));
        if (!read_on)
            break;
    }
    /* The writer has flushed and removed the segment since the manifest was read: with what that
     * manifest lists alone, acknowledged writes would be missing. Only a claim of a later record
     * could tell otherwise, and without syncs there is none. */
    if (!r->segment && r->args->beside_writer && wal_replay_next_usable(r)) {
        st = error_status(FIRN_ABORTED, "log segment %" PRIu64 " is not there any more",
                          r->floor_segment);
        goto out;
    }
    if (!r->segment)
        TRY(wal_replay_judge_end(r, &read_on));
out:
    return st;
}

/* Numbers for the next segment, and what the directory holds in vain. */
static status wal_replay_finish(wal_replay *r) {
    wal_recovery *out = r->out;
    uint64_t highest = r->chain.count ? r->chain.segments[r->chain.count - 1].number : 0;
    out->next_segment = highest >= r->floor_segment ? highest + 1 : r->floor_segment;
    if (!r->segment && out->next_segment != r->floor_segment) {
        /* Readers will start at the floor again and must find their way from there. */
        out->end_segment = r->floor_segment;
        out->end_offset = SEGMENT_HEADER_BYTES;
    }
    out->dead = memory_new((r->chain.count + 1) * sizeof *out->dead);
    if (!out->dead)
        return wal_replay_no_memory();
    for (size_t i = 0; i < r->chain.count; i++) {
        if (!r->chain.segments[i].is_used)
            out->dead[out->dead_count++] = r->chain.segments[i].number;
    }
    return STATUS_OK;
}

FIRN_INTERNAL status wal_recover(const wal_recovery_args *args, wal_recovery *out) {
    status st = STATUS_OK;
    wal_replay r = {.args = args, .out = out};
    memset(out, 0, sizeof *out);
    r.floor_segment = args->floor_segment ? args->floor_segment : 1;
    if (args->floor_position % RECORD_ALIGNMENT != 0 || args->floor_position > INT64_MAX) {
        st = error_status(FIRN_CORRUPTION, "the manifest's log floor %" PRIu64 " is impossible",
                          args->floor_position);
        goto out;
    }
    TRY(wal_chain_load(args, &r.reader, &r.chain));
    TRY(wal_replay_walk(&r));
    TRY(wal_replay_finish(&r));
out:
    wal_reader_deinit(&r.reader);
    wal_chain_deinit(&r.chain);
    if (!status_is_ok(st))
        wal_recovery_deinit(out);
    return st;
}

FIRN_INTERNAL void wal_recovery_deinit(wal_recovery *r) {
    memory_free(r->segments);
    memory_free(r->dead);
    buf_deinit(&r->damage);
    *r = (wal_recovery){0};
}
