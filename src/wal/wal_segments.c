#include "wal/wal_writer_internal.h"

#include "format/file_name.h"
#include "platform/clock.h"
#include "platform/error_detail.h"
#include "platform/memory.h"

#include "base/poison.h"

/* An unused rest smaller than this is not worth a truncation. */
enum { WAL_SEGMENTS_REST_MIN = 64 << 10 };
/* What a segment made ahead has of its pages in memory when it is taken into use. */
enum { WAL_SEGMENTS_TOUCHED_BYTES = 1 << 20, WAL_SEGMENTS_PAGE_BYTES = 4096 };

static uint64_t wal_segments_greater(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

static uint64_t wal_segments_lesser(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

FIRN_INTERNAL void wal_segment_set_state(wal_segment *segment, wal_segment_state to) {
    wal_segment_state from = segment->state;
    DCHECK((from == WAL_SEGMENT_CURRENT && to == WAL_SEGMENT_SEALED) ||
           (from == WAL_SEGMENT_SEALED && to == WAL_SEGMENT_DURABLE) ||
           ((from == WAL_SEGMENT_SEALED || from == WAL_SEGMENT_DURABLE) &&
            to == WAL_SEGMENT_RELEASED));
    segment->state = to;
}

static void wal_segments_close_file(wal_segment *segment) {
    vfs_unmap(&segment->map);
    (void)vfs_close(segment->file);
    segment->file = NULL;
}

static void wal_segments_free_one(wal_segment *segment) {
    if (!segment)
        return;
    wal_segments_close_file(segment);
    memory_free(segment);
}

static status wal_segments_no_memory(void) {
    return error_status(FIRN_NO_MEMORY, "no memory for a log segment");
}

/* Room for `extra` more entries in both arrays, so that committing cannot fail. */
static status wal_segments_reserve(wal_writer *w, size_t extra) {
    if (w->append.fresh_count + extra > w->append.fresh_capacity) {
        size_t capacity = (w->append.fresh_count + extra) * 2;
        wal_segment **grown = memory_resize(w->append.fresh, capacity * sizeof *grown);
        if (!grown)
            return wal_segments_no_memory();
        w->append.fresh = grown;
        w->append.fresh_capacity = capacity;
    }
    status st = STATUS_OK;
    mutex_lock(&w->list_mutex);
    size_t needed = w->list.count + w->append.fresh_count + extra;
    if (needed > w->list.capacity) {
        wal_segment **grown = memory_resize(w->list.segments, needed * 2 * sizeof *grown);
        if (grown) {
            w->list.segments = grown;
            w->list.capacity = needed * 2;
        } else {
            st = wal_segments_no_memory();
        }
    }
    mutex_unlock(&w->list_mutex);
    return st;
}

/* Removes without touching the error detail, which belongs to the failure that led here. */
static void wal_segments_remove_quietly(wal_writer *w, uint64_t number) {
    char path[FILE_PATH_BYTES];
    (void)w->vfs->remove(w->vfs, file_path(path, w->directory, FILE_LOG, number));
}

/* --- spares --- */

/* Whether a released segment's file may get a new name and be written over. Only what nobody else
 * can have open: large values are read from the file long after their segment was released. */
static bool wal_segments_may_recycle_locked(const wal_writer *w, const wal_segment *segment) {
    mutex_assert_held(&w->list_mutex);
    return segment->file && !segment->holds_extents && w->list.spare_count < w->spares_max &&
           segment->usable_bytes == w->segment_bytes_max;
}

/* From here on another file may be made ahead: the name is free. */
static void wal_segments_forget_ahead(wal_writer *w) {
    mutex_lock(&w->list_mutex);
    w->list.has_ahead = false;
    mutex_unlock(&w->list_mutex);
}

/* Its old header and records stay. They cannot be taken for anything: the number in the header is
 * not that of the file's next name, and the next segment's epoch, random and new, seeds the
 * checksums of its records. */
static void wal_segments_keep_spare_locked(wal_writer *w, wal_segment *segment) {
    w->list.spares[w->list.spare_count++] = (wal_spare){.file = segment->file,
                                                        .map = segment->map,
                                                        .number = segment->header.number,
                                                        .bytes = segment->usable_bytes};
    segment->file = NULL;
    segment->map = (vfs_mapping){0};
}

static void wal_segments_drop_spare(wal_writer *w, wal_spare *spare) {
    vfs_unmap(&spare->map);
    (void)vfs_close(spare->file);
    wal_segments_remove_quietly(w, spare->number);
    if (spare->number == WAL_NUMBER_AHEAD)
        wal_segments_forget_ahead(w);
    *spare = (wal_spare){0};
}

/* Gives *out: a spare of at least `need` bytes; false: there is none. */
static bool wal_segments_take_spare(wal_writer *w, uint64_t need, wal_spare *out) {
    bool found = false;
    mutex_lock(&w->list_mutex);
    if (w->list.spare_count > 0 && w->list.spares[w->list.spare_count - 1].bytes >= need) {
        *out = w->list.spares[--w->list.spare_count];
        found = true;
    }
    mutex_unlock(&w->list_mutex);
    return found;
}

FIRN_INTERNAL bool wal_writer_drop_spares(wal_writer *w) {
    bool any = false;
    wal_spare spare;
    mutex_lock(&w->list_mutex);
    w->list.ahead_bytes = 0;
    w->list.is_unwanted = w->list.is_preparing;
    mutex_unlock(&w->list_mutex);
    while (wal_segments_take_spare(w, 0, &spare)) {
        wal_segments_drop_spare(w, &spare);
        any = true;
    }
    return any;
}

/* Makes `segment` of a spare, if there is one of at least `need` bytes. The new name is durable
 * when the directory is synced, which the first sync of the segment does (list.created has grown):
 * until then a power cut may bring back the old name, or show the new one with the old header, or
 * with none; all of it counts as no segment. */
static bool wal_segments_reuse(wal_writer *w, wal_segment *segment, uint64_t need) {
    char path[FILE_PATH_BYTES];
    wal_spare spare;
    if (!wal_segments_take_spare(w, need, &spare))
        return false;
    file_path(path, w->directory, FILE_LOG, segment->header.number);
    if (!status_is_ok(vfs_rename_open(w->vfs, spare.file, path))) {
        wal_segments_drop_spare(w, &spare);
        return false;
    }
    segment->file = spare.file;
    segment->map = spare.map;
    segment->usable_bytes = segment->file_bytes = spare.bytes;
    mutex_lock(&w->list_mutex);
    if (spare.number != WAL_NUMBER_AHEAD) {
        w->list.recycled++;
    } else {
        w->list.prepared++;
        w->list.has_ahead = false;
    }
    mutex_unlock(&w->list_mutex);
    return true;
}

/* --- creating --- */

/* Maps a new segment's file. Where that fails its records are written instead. */
static void wal_segments_map(wal_writer *w, wal_spare *made) {
    if (w->io != WAL_IO_MAPPED || made->bytes > SIZE_MAX)
        return;
    status st = vfs_map(made->file, 0, (size_t)made->bytes, true, &made->map);
    if (status_is_ok(st) || !w->events)
        return;
    event e = event_begin(w->events, "log-not-mapped");
    event_u64(&e, "segment", made->number);
    event_string(&e, "error", error_detail_get());
    event_string(&e, "reason", "its records are written by system calls instead");
    event_end(&e);
}

/* Makes the file that `made` describes, and maps it. */
static status wal_segments_make_file(wal_writer *w, wal_spare *made) {
    status st = STATUS_OK;
    char path[FILE_PATH_BYTES];
    bool created = false;
    /* Truncating: a failed append may have left the file behind. Its number stays in use, because
     * the manifest's log floor may name it already. */
    TRY(vfs_open(w->vfs, file_path(path, w->directory, FILE_LOG, made->number),
                 FIRN_VFS_WRITE | FIRN_VFS_CREATE | FIRN_VFS_TRUNCATE, &made->file));
    created = true;
    TRY(vfs_reserve(made->file, 0, made->bytes));
    wal_segments_map(w, made);
out:
    if (!status_is_ok(st) && created) {
        /* Closed before another attempt, or what was reserved of it would stay. */
        (void)vfs_close(made->file);
        made->file = NULL;
        wal_segments_remove_quietly(w, made->number);
    }
    return st;
}

/* Makes the segment's file, smaller and smaller down to `need` bytes while there is no space: a
 * disk that is nearly full stops the log only when the very record does not fit any more. Shortage
 * is remembered as the usual size, from which segments grow again. */
static status wal_segments_make(wal_writer *w, wal_segment *segment, uint64_t need) {
    wal_spare made = {.number = segment->header.number, .bytes = segment->usable_bytes};
    status st = wal_segments_make_file(w, &made);
    while (UNLIKELY(status_is(st, FIRN_NO_SPACE))) {
        if (made.bytes == need && !wal_writer_drop_spares(w))
            break;
        made.bytes = wal_segments_greater(made.bytes / 2, need);
        w->append.next_bytes =
            wal_segments_lesser(w->append.next_bytes,
                                wal_segments_greater(made.bytes, WAL_SEGMENT_BYTES_MIN));
        st = wal_segments_make_file(w, &made);
    }
    segment->file = made.file;
    segment->map = made.map;
    segment->usable_bytes = segment->file_bytes = made.bytes;
    return st;
}

FIRN_INTERNAL status wal_segments_create(wal_writer *w, const segment_header *header,
                                         uint64_t record_bytes) {
    status st = STATUS_OK;
    uint64_t usual = w->append.next_bytes, need = SEGMENT_HEADER_BYTES + record_bytes;
    wal_segment *segment = NULL;
    TRY(wal_segments_reserve(w, 1));
    segment = memory_new_zeroed(sizeof *segment);
    if (!segment) {
        st = wal_segments_no_memory();
        goto out;
    }
    while (usual < need && usual < w->segment_bytes_max)
        usual = wal_segments_lesser(usual * 2, w->segment_bytes_max);
    segment->header = *header;
    segment->header.kind = SEGMENT_LOG;
    segment->header.number = w->append.next_number;
    memcpy(segment->header.database, w->database, sizeof w->database);
    memcpy(segment->header.boot_id, w->boot_id, sizeof w->boot_id);
    entropy_read(&segment->header.epoch, sizeof segment->header.epoch);
    uint64_t wanted = wal_segments_greater(need, usual);
    segment->usable_bytes = segment->file_bytes = wanted;
    segment->state = WAL_SEGMENT_CURRENT;
    if (!wal_segments_reuse(w, segment, need))
        TRY(wal_segments_make(w, segment, need));
    w->append.fresh[w->append.fresh_count++] = segment;
    w->append.next_number++;
    /* An oversize segment says nothing about how busy the log is, nor one that had to be small. */
    if (need <= usual && segment->usable_bytes >= wanted)
        w->append.next_bytes = wal_segments_lesser(usual * 2, w->segment_bytes_max);
    return STATUS_OK;
out:
    wal_segments_free_one(segment);
    return st;
}

/* --- ahead of need --- */

FIRN_INTERNAL void wal_segments_want_ahead(wal_writer *w) {
    w->append.ahead_offset = UINT64_MAX; /* once per segment */
    mutex_lock(&w->list_mutex);
    bool wants = w->list.spare_count == 0 && w->spares_max > 0;
    if (wants)
        w->list.ahead_bytes = w->append.next_bytes;
    mutex_unlock(&w->list_mutex);
    if (wants)
        w->want_ahead(w->context);
}

/* Looks at the first pages, which brings them into memory without making them something to be
 * written. What comes behind is made present by who stores there: see
 * docs/decisions/0001-mapped-log.md. */
static void wal_segments_touch(const wal_spare *made) {
    for (size_t at = 0; at < made->map.bytes && at < WAL_SEGMENTS_TOUCHED_BYTES;
         at += WAL_SEGMENTS_PAGE_BYTES)
        (void)*(const volatile uint8_t *)(made->map.data + at);
}

FIRN_INTERNAL bool wal_writer_prepare(wal_writer *w) {
    mutex_lock(&w->list_mutex);
    wal_spare made = {.number = WAL_NUMBER_AHEAD, .bytes = w->list.ahead_bytes};
    bool begins = made.bytes > 0 && !w->list.has_ahead && w->list.spare_count == 0;
    if (begins) {
        w->list.ahead_bytes = 0;
        w->list.has_ahead = w->list.is_preparing = true;
        w->list.is_unwanted = false;
    }
    mutex_unlock(&w->list_mutex);
    if (!begins)
        return false;
    bool is_made = status_is_ok(wal_segments_make_file(w, &made)), keeps = is_made;
    if (is_made) {
        wal_segments_touch(&made);
        keeps = !made.map.file || status_is_ok(vfs_map_check(&made.map));
    }
    mutex_lock(&w->list_mutex);
    keeps = keeps && !w->list.is_unwanted && w->list.spare_count < w->spares_max;
    w->list.is_preparing = false;
    if (keeps)
        w->list.spares[w->list.spare_count++] = made;
    mutex_unlock(&w->list_mutex);
    if (!is_made)
        wal_segments_forget_ahead(w);
    else if (!keeps)
        wal_segments_drop_spare(w, &made);
    return true;
}

/* --- from birth to release --- */

FIRN_INTERNAL void wal_segments_discard_fresh(wal_writer *w, bool remove) {
    while (w->append.fresh_count > 0) {
        wal_segment *segment = w->append.fresh[--w->append.fresh_count];
        uint64_t number = segment->header.number;
        wal_segments_free_one(segment);
        if (remove)
            wal_segments_remove_quietly(w, number);
        w->append.next_number = number;
    }
}

/* Gives what a segment has behind its last record back to the file system, if it is `rest_min`
 * bytes or more. Comes before the segment is sealed, because then others may close its file.
 * Straight to the vtable: failing is harmless and must leave no detail. */
static void wal_segments_cut_rest(wal_segment *segment, uint64_t end_offset, uint64_t rest_min) {
    firn_file *handle = segment->file->handle;
    if (segment->usable_bytes - end_offset >= rest_min &&
        handle->methods->truncate(handle, end_offset) == 0)
        segment->usable_bytes = end_offset;
}

static void wal_segments_seal_locked(wal_writer *w, wal_segment *segment, uint64_t end_offset) {
    mutex_assert_held(&w->list_mutex);
    segment->end_position = segment->header.position + (end_offset - SEGMENT_HEADER_BYTES);
    segment->file_bytes = segment->usable_bytes;
    wal_segment_set_state(segment, WAL_SEGMENT_SEALED);
}

FIRN_INTERNAL void wal_segments_abandon_current(wal_writer *w) {
    wal_segment *segment = w->append.current;
    /* To the last byte: what the failed append left must not come back after a clean close. */
    wal_segments_cut_rest(segment, w->append.offset, 0);
    w->append.predecessor = segment->header.number;
    w->append.predecessor_cut = w->append.offset;
    w->append.current = NULL;
    w->append.ahead_offset = UINT64_MAX;
    mutex_lock(&w->list_mutex);
    wal_segments_seal_locked(w, segment, w->append.offset);
    /* release: pairs with the acquire in wal_writer_segment(). */
    atomic_u64_store(&w->next_segment, w->append.next_number, memory_order_release);
    mutex_unlock(&w->list_mutex);
}

FIRN_INTERNAL void wal_segments_commit_fresh(wal_writer *w) {
    wal_segment **fresh = w->append.fresh, *before = w->append.current;
    size_t count = w->append.fresh_count;
    for (size_t i = 0; i < count; before = fresh[i++]) {
        if (before)
            wal_segments_cut_rest(before, fresh[i]->header.predecessor_cut, WAL_SEGMENTS_REST_MIN);
    }
    before = w->append.current;
    mutex_lock(&w->list_mutex);
    CHECK(w->list.count + count <= w->list.capacity);
    for (size_t i = 0; i < count; before = fresh[i++]) {
        if (before)
            wal_segments_seal_locked(w, before, fresh[i]->header.predecessor_cut);
        w->list.segments[w->list.count++] = fresh[i];
    }
    w->list.created += count;
    /* release: pairs with the acquire in wal_writer_segment(). */
    atomic_u64_store(&w->next_segment, before->header.number, memory_order_release);
    mutex_unlock(&w->list_mutex);
    w->append.current = before;
    w->append.fresh_count = 0;
    w->append.ahead_offset = w->want_ahead ? before->usable_bytes / 4 * 3 : UINT64_MAX;
}

FIRN_INTERNAL status wal_segments_adopt(wal_writer *w, const wal_segment_info *older,
                                        size_t count) {
    for (size_t i = 0; i < count; i++) {
        status st = wal_segments_reserve(w, 1);
        if (!status_is_ok(st))
            return st;
        wal_segment *segment = memory_new_zeroed(sizeof *segment);
        if (!segment)
            return wal_segments_no_memory();
        segment->header.kind = SEGMENT_LOG;
        segment->header.number = older[i].number;
        segment->header.position = older[i].start_position;
        segment->end_position = older[i].end_position;
        segment->file_bytes = older[i].file_bytes;
        segment->state = WAL_SEGMENT_DURABLE;
        w->list.segments[w->list.count++] = segment;
    }
    return STATUS_OK;
}

FIRN_INTERNAL void wal_segments_deinit(wal_writer *w) {
    wal_segments_discard_fresh(w, false);
    for (size_t i = 0; i < w->list.count; i++)
        wal_segments_free_one(w->list.segments[i]);
    /* A spare holds nothing; whoever opens the directory later need not find it. */
    wal_writer_drop_spares(w);
    memory_free(w->list.segments);
    memory_free(w->append.fresh);
}

FIRN_INTERNAL uint64_t wal_writer_floor_segment(wal_writer *w, uint64_t position) {
    mutex_lock(&w->list_mutex);
    /* acquire: pairs with the releases in this file; the mutex alone would do. */
    uint64_t number = atomic_u64_load(&w->next_segment, memory_order_acquire);
    for (size_t i = 0; i < w->list.count; i++) {
        const wal_segment *segment = w->list.segments[i];
        if (segment->state == WAL_SEGMENT_RELEASED)
            continue;
        if (segment->state == WAL_SEGMENT_CURRENT || segment->end_position > position) {
            number = segment->header.number;
            break;
        }
    }
    mutex_unlock(&w->list_mutex);
    return number;
}

/* Deletes the file of the first released segment above `after`, forgets the segment if that worked,
 * and gives its number; 0: there is none. */
static uint64_t wal_segments_remove_next(wal_writer *w, uint64_t after) {
    uint64_t number = 0;
    bool is_spare = false;
    mutex_lock(&w->list_mutex);
    for (size_t i = 0; i < w->list.count && number == 0; i++) {
        const wal_segment *segment = w->list.segments[i];
        if (segment->state == WAL_SEGMENT_RELEASED && segment->header.number > after) {
            number = segment->header.number;
            is_spare = segment->is_spare;
        }
    }
    mutex_unlock(&w->list_mutex);
    if (number == 0)
        return 0;
    char path[FILE_PATH_BYTES];
    if (!is_spare) {
        status st = vfs_remove(w->vfs, file_path(path, w->directory, FILE_LOG, number));
        if (!status_is_ok(st) && !status_is(st, FIRN_NOT_FOUND))
            return number;
    }
    mutex_lock(&w->list_mutex);
    for (size_t i = 0; i < w->list.count; i++) {
        if (w->list.segments[i]->header.number != number)
            continue;
        wal_segments_free_one(w->list.segments[i]);
        memmove(&w->list.segments[i], &w->list.segments[i + 1],
                (w->list.count - i - 1) * sizeof *w->list.segments);
        w->list.count--;
        break;
    }
    mutex_unlock(&w->list_mutex);
    return number;
}

FIRN_INTERNAL void wal_writer_release(wal_writer *w, uint64_t floor_segment) {
    /* A sync may be using the files. */
    mutex_lock(&w->sync_mutex);
    mutex_lock(&w->list_mutex);
    for (size_t i = 0; i < w->list.count; i++) {
        wal_segment *segment = w->list.segments[i];
        if (segment->header.number >= floor_segment ||
            (segment->state != WAL_SEGMENT_SEALED && segment->state != WAL_SEGMENT_DURABLE))
            continue;
        if (wal_segments_may_recycle_locked(w, segment)) {
            wal_segments_keep_spare_locked(w, segment);
            segment->is_spare = true;
        }
        wal_segments_close_file(segment);
        wal_segment_set_state(segment, WAL_SEGMENT_RELEASED);
    }
    mutex_unlock(&w->list_mutex);
    mutex_unlock(&w->sync_mutex);
    uint64_t number = 0;
    do {
        number = wal_segments_remove_next(w, number);
    } while (number != 0);
}

FIRN_INTERNAL void wal_writer_get_stats(wal_writer *w, wal_writer_stats *out) {
    *out = (wal_writer_stats){0};
    /* relaxed: counters that order nothing. */
    out->bytes_written = atomic_u64_load(&w->bytes_written, memory_order_relaxed);
    out->append_runs = atomic_u64_load(&w->append_runs, memory_order_relaxed);
    out->syncs = atomic_u64_load(&w->syncs, memory_order_relaxed);
    mutex_lock(&w->list_mutex);
    out->segments = w->list.count;
    for (size_t i = 0; i < w->list.count; i++) {
        out->live_bytes += w->list.segments[i]->file_bytes;
        out->mapped_bytes += w->list.segments[i]->map.bytes;
    }
    for (size_t i = 0; i < w->list.spare_count; i++) {
        out->live_bytes += w->list.spares[i].bytes;
        out->mapped_bytes += w->list.spares[i].map.bytes;
    }
    out->spares = w->list.spare_count;
    out->recycled_segments = w->list.recycled;
    out->prepared_segments = w->list.prepared;
    mutex_unlock(&w->list_mutex);
}
