/* table/held_blocks.h - the first data blocks of a table, which wait for the dictionary that is
 * trained on them.
 *
 * Invariants: blocks and separators in the order they were added; a separator for each block but,
 *             while the key behind it is not known, the last one.
 * Threads:    none.
 * Lifetime:   held_blocks_deinit. {0} is empty. */
#ifndef FIRN_TABLE_HELD_BLOCKS_H
#define FIRN_TABLE_HELD_BLOCKS_H

#include "codec/codec_dictionary.h"

typedef struct held_block {
    size_t bytes, separator_bytes;
} held_block;

typedef struct held_blocks {
    buf contents, separators;
    held_block *list;
    uint32_t count, capacity;
} held_blocks;

FIRN_INTERNAL void held_blocks_deinit(held_blocks *h);
/* Copies the contents. NO_MEMORY without detail, as below. */
FIRN_INTERNAL NODISCARD status held_blocks_add(held_blocks *h, slice contents);
/* Of the block added last. */
FIRN_INTERNAL NODISCARD status held_blocks_set_separator(held_blocks *h, slice separator);
static inline size_t held_blocks_bytes(const held_blocks *h) {
    return h->contents.size;
}
FIRN_INTERNAL uint64_t held_blocks_memory_bytes(const held_blocks *h);
/* What training on them takes beside that. */
FIRN_INTERNAL uint64_t held_blocks_training_bytes(const held_blocks *h);
/* Trains a dictionary of at most `most` bytes and tries it at `level`. *out stays empty where it
 * would not save a twentieth. */
FIRN_INTERNAL NODISCARD status held_blocks_train(const held_blocks *h, size_t most, int level,
                                                 buf *out);
#endif
