#include "wal/wal_salvage.h"

#include "format/file_name.h"
#include "platform/error_detail.h"
#include "wal/wal_chain.h"
#include "wal/wal_reader.h"

#include "base/poison.h"

typedef struct wal_salvager {
    const wal_salvage_args *args;
    wal_salvage *out;
    wal_chain chain;
    wal_reader reader;
    seqno next_sequence;
    bool has_hole;
    wal_salvage_hole hole; /* waits for what comes behind it */
} wal_salvager;

static bool wal_salvage_is_damage(status st) {
    return status_is(st, FIRN_CORRUPTION) || status_is(st, FIRN_IO_ERROR);
}

static status wal_salvage_tell_hole(wal_salvager *s, seqno first_after) {
    if (!s->has_hole)
        return STATUS_OK;
    s->has_hole = false;
    s->out->holes++;
    s->hole.first_after = first_after;
    return s->args->on_hole(s->args->context, &s->hole);
}

static status wal_salvage_note_hole(wal_salvager *s, uint64_t segment, uint64_t offset,
                                    uint64_t bytes) {
    status st = wal_salvage_tell_hole(s, 0);
    s->has_hole = true;
    s->hole = (wal_salvage_hole){.segment = segment,
                                 .offset = offset,
                                 .bytes = bytes,
                                 .last_before = s->out->last_sequence};
    return st;
}

/* The batch at `offset`. *bytes 0: it does not count. */
static status wal_salvage_record(wal_salvager *s, uint64_t offset, uint64_t limit, uint64_t *bytes,
                                 wal_batch *batch) {
    status st = STATUS_OK;
    record_head head;
    slice checked;
    record_verdict verdict;
    bool intact = true;
    uint64_t bad_offset;
    *bytes = 0;
    TRY(wal_reader_judge(&s->reader, offset, &head, &checked, &verdict));
    if (verdict != RECORD_VALID || head.type == RECORD_EDIT ||
        record_padded_bytes(head.bytes) > limit - offset)
        goto out;
    TRY(wal_reader_batch(&s->reader, offset, &head, checked, batch));
    if (batch->first_sequence < s->next_sequence)
        goto out; /* stale: from before a cut */
    if (head.type == RECORD_LARGE_BATCH)
        TRY(wal_reader_check_extents(&s->reader, offset, &head, batch->ops, &intact, &bad_offset));
    if (intact)
        *bytes = record_padded_bytes(head.bytes);
out:
    return wal_salvage_is_damage(st) ? STATUS_OK : st;
}

/* The next offset from `offset` on at which a batch validates; `limit` if none does. */
static status wal_salvage_next(wal_salvager *s, uint64_t offset, uint64_t limit, uint64_t *out) {
    status st = STATUS_OK;
    wal_batch batch;
    uint64_t bytes = 0;
    for (; offset < limit; offset += RECORD_ALIGNMENT) {
        TRY(wal_salvage_record(s, offset, limit, &bytes, &batch));
        if (bytes)
            break;
    }
    *out = offset < limit ? offset : limit;
out:
    return st;
}

static status wal_salvage_hand_out(wal_salvager *s, const wal_batch *batch) {
    status st = wal_salvage_tell_hole(s, batch->first_sequence);
    if (status_is_ok(st))
        st = s->args->on_batch(s->args->context, batch->first_sequence, batch->count, batch->ops);
    s->next_sequence = batch->first_sequence + batch->count;
    s->out->last_sequence = s->next_sequence - 1;
    s->out->records++;
    return st;
}

/* How far the log is known to have been durable, by what stands at or behind `offset`. */
static status wal_salvage_durable(wal_salvager *s, uint64_t offset, uint64_t *position) {
    wal_scan scan = {.synced = s->args->clean_end, .budget = WAL_SCAN_BUDGET_BYTES};
    status st = wal_reader_scan(&s->reader, offset, &scan);
    *position = scan.synced;
    return st;
}

/* With a `next` in the chain all of the segment up to its cut had been written. */
static status wal_salvage_segment(wal_salvager *s, const wal_chain_segment *segment,
                                  const wal_chain_segment *next) {
    status st = STATUS_OK;
    char path[FILE_PATH_BYTES];
    bool missing;
    wal_batch batch;
    uint64_t bytes, found, durable;
    file_path(path, s->args->directory, FILE_LOG, segment->number);
    TRY(wal_reader_open(&s->reader, s->args->vfs, path, &missing));
    uint64_t limit = s->reader.file_bytes, offset = SEGMENT_HEADER_BYTES;
    bool is_cut = next && next->header.predecessor_cut <= limit;
    if (is_cut)
        limit = next->header.predecessor_cut;
    if (s->args->floor_position > segment->header.position)
        offset += s->args->floor_position - segment->header.position;
    while (offset < limit) {
        TRY(wal_salvage_record(s, offset, limit, &bytes, &batch));
        if (bytes) {
            TRY(wal_salvage_hand_out(s, &batch));
            offset += bytes;
            continue;
        }
        TRY(wal_salvage_durable(s, offset, &durable));
        if (!is_cut && durable <= wal_reader_position(&s->reader, offset)) {
            s->out->torn_bytes += limit - offset;
            break;
        }
        TRY(wal_salvage_next(s, offset + RECORD_ALIGNMENT, limit, &found));
        TRY(wal_salvage_note_hole(s, segment->number, offset, found - offset));
        offset = found;
    }
    if (next && next->header.predecessor_cut > s->reader.file_bytes)
        TRY(wal_salvage_note_hole(s, segment->number, s->reader.file_bytes,
                                  next->header.predecessor_cut - s->reader.file_bytes));
    if (!next && offset >= limit && wal_reader_position(&s->reader, offset) < s->args->clean_end)
        TRY(wal_salvage_note_hole(s, segment->number, offset, 0));
    s->out->segments++;
out:
    wal_reader_close(&s->reader);
    return st;
}

/* --- which segments --- */

/* What a file without a valid header is: never used (all zeros), damaged, or of a newer Firn. */
static status wal_salvage_judge_header(wal_salvager *s, const char *path,
                                       wal_chain_segment *segment) {
    static const uint8_t zeros[SEGMENT_HEADER_BYTES];
    status st = STATUS_OK;
    uint8_t page[SEGMENT_HEADER_BYTES];
    segment_header header;
    size_t got = 0;
    vfs_file *file = NULL;
    TRY(vfs_open(s->args->vfs, path, FIRN_VFS_READ, &file));
    TRY(vfs_read(file, 0, page, sizeof page, &got));
    memset(page + got, 0, sizeof page - got);
    segment->is_damaged = memcmp(page, zeros, sizeof page) != 0;
    st = segment_header_decode(page, &header);
    if (!status_is(st, FIRN_NOT_SUPPORTED) || segment_header_has_bad_format(page))
        st = STATUS_OK;
    else
        st = error_status(FIRN_NOT_SUPPORTED, "'%s' was written by a newer version of Firn", path);
out:
    (void)vfs_close(file); /* only read */
    segment->is_damaged |= status_is(st, FIRN_IO_ERROR);
    return wal_salvage_is_damage(st) ? STATUS_OK : st;
}

static status wal_salvage_load_segment(wal_salvager *s, wal_chain_segment *segment) {
    char path[FILE_PATH_BYTES];
    bool missing;
    if (segment->number > s->out->highest_segment)
        s->out->highest_segment = segment->number;
    file_path(path, s->args->directory, FILE_LOG, segment->number);
    status st = wal_reader_open(&s->reader, s->args->vfs, path, &missing);
    if (!status_is_ok(st))
        return wal_salvage_judge_header(s, path, segment);
    segment->header = s->reader.header;
    segment->file_bytes = s->reader.file_bytes;
    if (segment->header.number != segment->number || segment->header.kind != SEGMENT_LOG ||
        segment->header.predecessor >= segment->number) {
        segment->is_damaged = segment->header.kind != SEGMENT_LOG;
        return STATUS_OK;
    }
    uint64_t end = segment->header.position + segment->file_bytes;
    if (end > s->out->highest_position && end <= INT64_MAX)
        s->out->highest_position = end;
    if (!s->out->has_database) {
        s->out->has_database = true;
        memcpy(s->out->database, segment->header.database, sizeof s->out->database);
    }
    segment->is_valid =
        memcmp(segment->header.database, s->out->database, sizeof s->out->database) == 0 &&
        segment->number >= s->args->floor_segment;
    return STATUS_OK;
}

/* The database whose log this is: the one asked for, or that of the newest valid header. */
static status wal_salvage_load(wal_salvager *s) {
    status st = STATUS_OK;
    wal_recovery_args args = {.vfs = s->args->vfs, .directory = s->args->directory};
    args.floor_segment = UINT64_MAX; /* only the names: headers are read below, and forgiven */
    TRY(wal_chain_load(&args, &s->reader, &s->chain));
    s->out->has_database = s->args->database != NULL;
    if (s->args->database)
        memcpy(s->out->database, s->args->database, sizeof s->out->database);
    for (size_t i = s->chain.count; i > 0; i--)
        TRY(wal_salvage_load_segment(s, &s->chain.segments[i - 1]));
out:
    wal_reader_close(&s->reader);
    return st;
}

/* The segment in front of `segment`; NULL: it is gone. */
static wal_chain_segment *wal_salvage_before(wal_salvager *s, const wal_chain_segment *segment) {
    return segment->header.predecessor ? wal_chain_find(&s->chain, segment->header.predecessor)
                                       : NULL;
}

/* Marks the chain that ends in the newest segment nobody follows. */
static void wal_salvage_mark(wal_salvager *s) {
    wal_chain_segment *last = NULL;
    for (size_t i = 0; i < s->chain.count; i++) {
        if (s->chain.segments[i].is_valid)
            last = &s->chain.segments[i];
    }
    for (; last && !last->is_used; last = wal_salvage_before(s, last))
        last->is_used = true;
    /* Where the chain is broken, what stands in front of the gap still counts, as far as nothing
     * says that it was cut. */
    uint64_t lowest = UINT64_MAX;
    for (size_t i = s->chain.count; i > 0; i--) {
        wal_chain_segment *segment = &s->chain.segments[i - 1];
        if (segment->is_used)
            lowest = segment->header.predecessor;
        else if (segment->is_valid && segment->number < lowest) {
            segment->is_used = true;
            lowest = segment->header.predecessor;
        }
    }
}

/* A segment that should stand between the two and had records. */
static status wal_salvage_gap(wal_salvager *s, const wal_chain_segment *before,
                              const wal_chain_segment *segment) {
    const segment_header *h = &segment->header;
    bool is_gap = before ? h->predecessor != before->number
                         : s->args->floor_segment > 0 && segment->number != s->args->floor_segment;
    if (!is_gap || h->predecessor == 0 || h->predecessor_cut == SEGMENT_HEADER_BYTES ||
        h->position <= s->args->floor_position ||
        (s->has_hole && s->hole.segment == h->predecessor && s->hole.bytes == 0))
        return STATUS_OK;
    return wal_salvage_note_hole(s, h->predecessor, 0, 0);
}

FIRN_INTERNAL status wal_salvage_run(const wal_salvage_args *args, wal_salvage *out) {
    status st = STATUS_OK;
    *out = (wal_salvage){0};
    wal_salvager s = {.args = args, .out = out, .next_sequence = 1};
    const wal_chain_segment *before = NULL;
    TRY(wal_salvage_load(&s));
    wal_salvage_mark(&s);
    for (size_t i = 0; i < s.chain.count; i++) {
        const wal_chain_segment *segment = &s.chain.segments[i];
        if (!segment->is_used) {
            if (segment->is_damaged && segment->number >= args->floor_segment)
                TRY(wal_salvage_note_hole(&s, segment->number, 0, 0));
            continue;
        }
        const wal_chain_segment *next = NULL;
        for (size_t j = i + 1; j < s.chain.count && !next; j++) {
            if (s.chain.segments[j].is_used)
                next = &s.chain.segments[j];
        }
        TRY(wal_salvage_gap(&s, before, segment));
        TRY(wal_salvage_segment(&s, segment,
                                next && next->header.predecessor == segment->number ? next : NULL));
        before = segment;
    }
    if (!before && args->clean_end > args->floor_position)
        TRY(wal_salvage_note_hole(&s, args->floor_segment ? args->floor_segment : 1, 0, 0));
    TRY(wal_salvage_tell_hole(&s, 0));
out:
    wal_reader_deinit(&s.reader);
    wal_chain_deinit(&s.chain);
    return st;
}
