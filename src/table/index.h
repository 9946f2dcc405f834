/* table/index.h - which data block a key would be in: a table's index, checked and ready to search.
 *
 * Format:     docs/format/table.md, "Index block".
 * Algorithm:  the index block stays as it is on disk; every entry is a restart point, so its
 * restart array is the array of entry offsets. Beside it lies an array of 16 bytes for each data
 *             block: an 8-byte head, which is what follows the separators' common prefix, so that
 *             `user000...` keys still differ, and the block's handle. A search runs over the heads,
 *             finds the handle on the same line, and looks at whole keys only among equal heads.
 *             With an order of the user's there are no heads.
 *             The same structure is the top of a partitioned index: its entries stand for the
 *             partitions, each of which is an index of some data blocks (table/index_ref.h).
 * Invariants: checked at init: entries sound, handles ascending, apart, below `limit`.
 * Threads:    immutable after init. */
#ifndef FIRN_TABLE_INDEX_H
#define FIRN_TABLE_INDEX_H

#include "base/check.h"
#include "format/key.h"
#include "table/block_builder.h"
#include "table/block_file.h"

/* What a search touches of a data block. */
typedef struct table_index_place {
    uint64_t head;   /* 0 with a custom order */
    uint64_t handle; /* packed; 0: too large for that, it stands in `contents` only */
} table_index_place;

typedef struct table_index {
    key_order order;
    table_block *contents;
    table_index_place *places;
    bool has_heads;    /* the order is bytewise */
    uint32_t count;    /* data blocks; of a top: partitions */
    slice prefix;      /* of all separators' user keys; points into contents */
    uint64_t data_end; /* end of the last block it leads to */
    uint32_t *firsts;  /* top only: the position of each partition's first data block, and [count]:
                          how many there are in all */
} table_index;

/* Takes `contents` on success. `at` is the index block's place; what it leads to lies below
 * `limit`. */
FIRN_INTERNAL NODISCARD status table_index_init(table_index *index, table_block *contents,
                                                key_order order, block_place at, uint64_t limit);
/* The same for the top of a partitioned index. */
FIRN_INTERNAL NODISCARD status table_index_init_top(table_index *index, table_block *contents,
                                                    key_order order, block_place at);
FIRN_INTERNAL void table_index_deinit(table_index *index);
/* The first block whose separator is >= target; count if none. */
FIRN_INTERNAL uint32_t table_index_find(const table_index *index, internal_key target);
/* What the index says of a block, `position` < count. */
FIRN_INTERNAL internal_key table_index_separator(const table_index *index, uint32_t position);
FIRN_INTERNAL block_handle table_index_handle_slow(const table_index *index, uint32_t position);
/* Appends entry `position` to another index's block. */
FIRN_INTERNAL void table_index_copy_entry(const table_index *index, uint32_t position,
                                          block_builder *to);
#define TABLE_INDEX_BYTES_BITS 24
static inline block_handle table_index_handle(const table_index *index, uint32_t position) {
    DCHECK(position < index->count);
    uint64_t packed = index->places[position].handle;
    if (UNLIKELY(packed == 0))
        return table_index_handle_slow(index, position);
    return (block_handle){packed >> TABLE_INDEX_BYTES_BITS,
                          packed & ((1u << TABLE_INDEX_BYTES_BITS) - 1)};
}
FIRN_INTERNAL uint64_t table_index_memory_bytes(const table_index *index);
#endif
