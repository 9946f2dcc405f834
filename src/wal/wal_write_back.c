#include "wal/wal_recovery.h"

#include "format/file_name.h"
#include "platform/error_detail.h"
#include "platform/memory.h"
#include "record/record.h"

#include "base/poison.h"

enum { WAL_WRITE_BACK_PART_BYTES = 1 << 20 };

static status wal_write_back_range(vfs_file *file, uint8_t *part, uint64_t from, uint64_t end) {
    status st = STATUS_OK;
    while (from < end) {
        uint64_t left = end - from;
        size_t bytes = left < WAL_WRITE_BACK_PART_BYTES ? (size_t)left : WAL_WRITE_BACK_PART_BYTES;
        TRY(vfs_read_exact(file, from, part, bytes));
        TRY(vfs_write(file, from, part, bytes));
        from += bytes;
    }
out:
    return st;
}

/* The header page, and the records that are still needed. */
static status wal_write_back_segment(const wal_recovery_args *args, const wal_segment_info *segment,
                                     uint8_t *part) {
    status st = STATUS_OK;
    char path[FILE_PATH_BYTES];
    vfs_file *file = NULL;
    uint64_t from = segment->start_position, end = segment->end_position;
    if (from < args->floor_position)
        from = args->floor_position < end ? args->floor_position : end;
    TRY(vfs_open(args->vfs, file_path(path, args->directory, FILE_LOG, segment->number),
                 FIRN_VFS_WRITE, &file));
    TRY(wal_write_back_range(file, part, 0, SEGMENT_HEADER_BYTES));
    TRY(wal_write_back_range(file, part, SEGMENT_HEADER_BYTES + (from - segment->start_position),
                             SEGMENT_HEADER_BYTES + (end - segment->start_position)));
    TRY(vfs_sync(file));
out:
    (void)vfs_close(file); /* synced, or given up */
    return st;
}

FIRN_INTERNAL status wal_recovery_write_back(const wal_recovery_args *args, const wal_recovery *r) {
    status st = STATUS_OK;
    uint8_t *part = NULL;
    if (r->segment_count == 0)
        return STATUS_OK;
    part = memory_new(WAL_WRITE_BACK_PART_BYTES);
    if (!part)
        return error_status(FIRN_NO_MEMORY, "no memory to write the log back");
    for (size_t i = 0; i < r->segment_count; i++)
        TRY(wal_write_back_segment(args, &r->segments[i], part));
    /* The process that created the files may have died before it made their names durable. */
    TRY(vfs_sync_dir(args->vfs, args->directory));
out:
    memory_free(part);
    return st;
}
