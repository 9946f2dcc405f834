/* table/index.h - which data block a key would be in: a table's index, checked and ready to search.
 *
 * Format:     docs/format/table.md, "Index block".
 * Algorithm:  the index block stays as it is on disk; every entry is a restart point, so its
 * restart array is the array of entry offsets. Beside it lies an array of 8-byte heads: what
 *             follows the separators' common prefix, so that `user000...` keys still differ. A
 *             search runs over the heads and looks at whole keys only among equal heads: two cache
 *             misses past the heads. With an order of the user's there are no heads.
 * Invariants: checked at init: entries sound, handles ascending, apart, below the first meta block.
 * Threads:    immutable after init. */
#ifndef FIRN_TABLE_INDEX_H
#define FIRN_TABLE_INDEX_H

#include "format/key.h"
#include "table/block_file.h"

typedef struct table_index {
    key_order order;
    table_block *contents;
    uint64_t *heads;   /* NULL with a custom order */
    uint32_t count;    /* data blocks */
    slice prefix;      /* of all separators' user keys; points into contents */
    uint64_t data_end; /* end of the last data block */
} table_index;

/* Takes `contents` on success. `at` is the index block's place; data ends before it. */
FIRN_INTERNAL NODISCARD status table_index_init(table_index *index, table_block *contents,
                                                key_order order, block_place at);
FIRN_INTERNAL void table_index_deinit(table_index *index);
/* The first block whose separator is >= target; count if none. */
FIRN_INTERNAL uint32_t table_index_find(const table_index *index, internal_key target);
/* What the index says of a block, `position` < count. */
FIRN_INTERNAL internal_key table_index_separator(const table_index *index, uint32_t position);
FIRN_INTERNAL block_handle table_index_handle(const table_index *index, uint32_t position);
FIRN_INTERNAL uint64_t table_index_memory_bytes(const table_index *index);
#endif
