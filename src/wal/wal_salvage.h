/* wal/wal_salvage.h - what can still be read of a damaged log.
 *
 * Purpose:    hands out every batch that validates, in order, over holes that a recovery would stop
 *             at, and names the holes. Segments are followed as a recovery follows them, so what a
 *             predecessor's cut made dead stays dead; a torn tail, which nothing proves to have
 *             been durable, is left out as in any recovery.
 * Threads:    none. */
#ifndef FIRN_WAL_WAL_SALVAGE_H
#define FIRN_WAL_WAL_SALVAGE_H

#include "wal/wal_recovery.h"

/* A damaged part of a segment. segment 0 with bytes 0 does not occur. */
typedef struct wal_salvage_hole {
    uint64_t segment;
    uint64_t offset, bytes; /* bytes 0: the whole segment, which is missing or has no header */
    seqno last_before, first_after; /* sequences that are still there; first_after 0: none */
} wal_salvage_hole;

typedef struct wal_salvage_args {
    const firn_vfs *vfs;
    const char *directory;
    const uint8_t *database; /* segments of other databases are left alone; NULL: take the one that
                                the newest segment names */
    uint64_t floor_segment;  /* 0: from the oldest there is */
    uint64_t floor_position; /* nothing below is needed */
    uint64_t clean_end;
    NODISCARD status (*on_batch)(void *context, seqno first_sequence, uint32_t count, slice ops);
    NODISCARD status (*on_hole)(void *context, const wal_salvage_hole *hole);
    void *context;
} wal_salvage_args;

typedef struct wal_salvage {
    bool has_database;
    uint8_t database[16];
    uint64_t records, torn_bytes, holes;
    seqno last_sequence;
    uint64_t segments;         /* read */
    uint64_t highest_segment;  /* by name, of all in the directory */
    uint64_t highest_position; /* no record of the directory lies at or above it */
} wal_salvage;

FIRN_INTERNAL NODISCARD status wal_salvage_run(const wal_salvage_args *args, wal_salvage *out);
#endif
