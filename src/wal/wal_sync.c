#include "wal/wal_writer_internal.h"

#include "platform/error_detail.h"

#include "base/poison.h"

FIRN_INTERNAL status wal_writer_check_poison(const wal_writer *w) {
    /* acquire: pairs with the exchange in wal_writer_poison(). */
    uint32_t code = atomic_u32_load(&w->poison, memory_order_acquire);
    if (LIKELY(code == FIRN_OK))
        return STATUS_OK;
    return error_status((firn_status)code,
                        "the log in '%s' failed before; the database must be reopened",
                        w->directory);
}

FIRN_INTERNAL status wal_writer_poison(wal_writer *w, status failure) {
    /* Whatever it was, it does not pass by itself as NO_SPACE and NO_MEMORY promise. */
    failure.code = FIRN_IO_ERROR;
    failure.what = "log failed";
    uint32_t none = FIRN_OK;
    /* release: pairs with the acquire in wal_writer_check_poison(). The first failure stays. */
    (void)atomic_u32_cas(&w->poison, &none, FIRN_IO_ERROR, memory_order_acq_rel);
    error_detail_append("; the database must be reopened");
    return failure;
}

/* The oldest segment above `after` that begins below `target` and has bytes to sync; NULL: none.
 * It stays usable while sync_mutex is held. */
static wal_segment *wal_sync_next(wal_writer *w, uint64_t after, uint64_t target, bool *sealed) {
    wal_segment *found = NULL;
    mutex_lock(&w->list_mutex);
    for (size_t i = 0; i < w->list.count && !found; i++) {
        wal_segment *segment = w->list.segments[i];
        if (segment->header.number <= after || segment->header.position >= target)
            continue;
        if (segment->state == WAL_SEGMENT_CURRENT || segment->state == WAL_SEGMENT_SEALED) {
            found = segment;
            *sealed = segment->state == WAL_SEGMENT_SEALED;
        }
    }
    mutex_unlock(&w->list_mutex);
    return found;
}

/* A sealed segment that was synced needs its file no more. */
static void wal_sync_finish_sealed(wal_writer *w, wal_segment *segment) {
    vfs_file *file = segment->file;
    mutex_lock(&w->list_mutex);
    wal_segment_set_state(segment, WAL_SEGMENT_DURABLE);
    vfs_mapping map = segment->map;
    bool keeps = w->spares_max > 0 && segment->usable_bytes == w->segment_bytes_max;
    if (!keeps) {
        segment->file = NULL;
        segment->map = (vfs_mapping){0};
    }
    mutex_unlock(&w->list_mutex);
    if (keeps)
        return; /* it is likely to be needed for another segment soon */
    vfs_unmap(&map);
    (void)vfs_close(file); /* nothing unsynced is left in it */
}

/* Oldest first, so that what is durable is a prefix at every moment; names last. */
static status wal_sync_files_locked(wal_writer *w, uint64_t target) {
    status st = STATUS_OK;
    bool sealed = false;
    mutex_assert_held(&w->sync_mutex);
    mutex_lock(&w->list_mutex);
    uint64_t created = w->list.created;
    mutex_unlock(&w->list_mutex);
    wal_segment *segment = wal_sync_next(w, 0, target, &sealed);
    while (segment) {
        uint64_t number = segment->header.number;
        TRY(vfs_sync(segment->file));
        /* What was stored since a page failed is not in the file that was synced. */
        if (segment->map.file)
            TRY(vfs_map_check(&segment->map));
        if (sealed)
            wal_sync_finish_sealed(w, segment);
        segment = wal_sync_next(w, number, target, &sealed);
    }
    if (created > w->names_durable) {
        TRY(vfs_sync_dir(w->vfs, w->directory));
        w->names_durable = created;
    }
out:
    return st;
}

FIRN_INTERNAL status wal_writer_sync(wal_writer *w) {
    status st = STATUS_OK;
    /* acquire: pairs with the release in wal_append_end(): the records below it are written and
     * their segments listed. */
    uint64_t target = atomic_u64_load(&w->end, memory_order_acquire);
    mutex_lock(&w->sync_mutex);
    TRY(wal_writer_check_poison(w));
    /* relaxed: only stored under sync_mutex. */
    if (atomic_u64_load(&w->synced, memory_order_relaxed) >= target)
        goto out;
    /* What was appended while this call waited for the mutex comes along for free. acquire: as
     * above. */
    target = atomic_u64_load(&w->end, memory_order_acquire);
    st = wal_sync_files_locked(w, target);
    if (!status_is_ok(st)) {
        st = wal_writer_poison(w, st);
        goto out;
    }
    /* relaxed: counts under sync_mutex. */
    atomic_u64_store(&w->syncs, atomic_u64_load(&w->syncs, memory_order_relaxed) + 1,
                     memory_order_relaxed);
    /* release: pairs with the acquire in wal_writer_synced(). */
    atomic_u64_store(&w->synced, target, memory_order_release);
out:
    mutex_unlock(&w->sync_mutex);
    return st;
}
