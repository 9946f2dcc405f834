/* table/table_salvage.h - what can still be read of a damaged table.
 *
 * Purpose:    hands out every entry whose block validates, in order, then the range deletes, and
 *             names the places and key ranges that are lost. While the index can be read it leads
 * to the blocks; without it the file is searched for blocks whose seeded checksums match.
 * Invariants: keys are handed out strictly ascending; an entry that does not validate, down to the
 *             last chunk of a large value, is never handed out.
 * Threads:    none. */
#ifndef FIRN_TABLE_TABLE_SALVAGE_H
#define FIRN_TABLE_TABLE_SALVAGE_H

#include "format/range_tombstone.h"
#include "table/table.h"

/* A part that is lost. Versions of user keys from `after` to `before`, both included, may be gone;
 * unset: from the first key, to the last one. The slices are valid during the call. */
typedef struct table_salvage_hole {
    uint64_t offset, bytes;
    slice after, before;
    const char *problem;
} table_salvage_hole;

typedef struct table_salvage_args {
    const firn_vfs *vfs;
    const char *path;
    key_order order;
    const uint8_t *identity; /* the table expected, NULL: whatever the footer says */
    /* `origin` gives large values (table_large_read_chunk); valid during the call. */
    NODISCARD status (*on_entry)(void *context, table *origin, internal_key key, slice value);
    /* Each range delete, in their order, behind the last entry. */
    NODISCARD status (*on_range)(void *context, const range_tombstone *range);
    NODISCARD status (*on_hole)(void *context, const table_salvage_hole *hole);
    void *context;
} table_salvage_args;

typedef struct table_salvage {
    bool has_properties;
    table_properties properties; /* as the file has them; file_bytes and identity always */
    uint64_t entries;            /* handed out */
    uint64_t range_tombstones;   /* the same; of fewer than there were no hole tells */
    uint64_t holes;
} table_salvage;

/* CORRUPTION: nothing can be read, or it is another table than the one expected (detail says).
 * NOT_SUPPORTED: a newer format or a codec this build lacks; IO_ERROR only when the file cannot be
 * opened. */
FIRN_INTERNAL NODISCARD status table_salvage_run(const table_salvage_args *args,
                                                 table_salvage *out);
#endif
