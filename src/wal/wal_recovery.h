/* wal/wal_recovery.h - reads the log back after a restart.
 *
 * Format:     docs/format/log.md, "Which segments belong together" and "Torn tail or corruption".
 * Invariants: batches are handed out whole, in commit order, each once. Nothing is handed out
 *             behind the first invalid record. Writes nothing itself.
 * Threads:    none. */
#ifndef FIRN_WAL_WAL_RECOVERY_H
#define FIRN_WAL_WAL_RECOVERY_H

#include "firn/inspect.h"
#include "firn/options.h"
#include "format/batch.h"
#include "platform/vfs.h"
#include "util/buf.h"
#include "wal/wal_large.h"
#include "wal/wal_writer.h"

typedef struct wal_recovery_args {
    const firn_vfs *vfs;
    const char *directory;
    uint8_t database[16];    /* segments of another database count as corruption */
    uint64_t floor_segment;  /* the manifest's */
    uint64_t floor_position; /* nothing below is needed */
    uint64_t clean_end;      /* position known durable by the manifest; 0: none */
    bool last_good;          /* recovery mode: cut at damage instead of refusing */
    bool skip;               /* with last_good: not cut, but go on behind it */
    /* Read-only beside a live writer: segments may grow, be recycled or deleted while they are
     * read. A tail that moves is not damage. ABORTED asks the caller to start over from CURRENT. */
    bool beside_writer;
    /* One batch. `record_position` is the position of its record. */
    NODISCARD status (*on_batch)(void *context, seqno first_sequence, uint32_t count, slice ops,
                                 uint64_t record_position);
    void *context;
    wal_large_files *held; /* receives the segments that hold large values; NULL: no need */
} wal_recovery_args;

typedef struct wal_recovery {
    seqno last_sequence;   /* of the last batch; 0: none */
    uint64_t end_position; /* of the next record to be written: where reading ended, or higher */
    uint64_t end_segment;  /* the predecessor of the next segment; 0: there was no segment */
    uint64_t end_offset;   /* the cut in end_segment's file */
    uint64_t next_segment; /* above every number seen in the directory */
    uint64_t records, bytes;
    uint64_t torn_bytes;        /* cut off behind end_position, as far as they can be told */
    wal_segment_info *segments; /* that were read, oldest first: owned */
    size_t segment_count;
    uint64_t *dead; /* segment numbers that are not needed and may be deleted: owned */
    size_t dead_count;
    buf damage; /* last_good: what was given up, one line of text; empty: nothing */
    /* skip: places left out, and the log bytes in them. What lies behind a hole was read, so it has
     * to go into tables before it can be relied on: the next recovery meets the hole again. */
    uint64_t holes, hole_bytes;
} wal_recovery;

/* CORRUPTION, with file and offset, when bytes that were durable are damaged or missing (strict).
 */
FIRN_INTERNAL NODISCARD status wal_recover(const wal_recovery_args *args, wal_recovery *out);
FIRN_INTERNAL void wal_recovery_deinit(wal_recovery *r);

/* Writes the bytes that were read back in place and syncs them: the page cache may show bytes that
 * the disk lacks since a failed sync. Before anything new is acknowledged, unless the last close
 * was clean. */
FIRN_INTERNAL NODISCARD status wal_recovery_write_back(const wal_recovery_args *args,
                                                       const wal_recovery *r);

/* Describes a log or manifest segment line by line for a person; CORRUPTION after printing what
 * could be read. `describe_edit` prints the payload of a version edit (may be NULL). */
FIRN_INTERNAL NODISCARD status
wal_describe(const firn_vfs *vfs, const char *path,
             status (*describe_edit)(slice payload, firn_line_callback print, void *context),
             int (*print)(void *context, const char *line), void *context);
#endif
