/* table/range_block.h - the block of a table that holds its range tombstones.
 *
 * Format:  docs/format/table.md, "Range tombstones".
 * Threads: pure functions. */
#ifndef FIRN_TABLE_RANGE_BLOCK_H
#define FIRN_TABLE_RANGE_BLOCK_H

#include "format/range_tombstone.h"
#include "table/block.h"

/* Appends the block's tombstones to `out`; their keys lie in the block. CORRUPTION when an entry is
 * no range tombstone, when they do not ascend, or when one is empty. */
FIRN_INTERNAL NODISCARD status range_block_decode(const block_view *view, block_place at,
                                                  key_order order, range_list *out);
#endif
