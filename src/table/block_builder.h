/* table/block_builder.h - puts sorted entries together into the raw contents of one block.
 *
 * Format:     docs/format/table.md, "Block".
 * Invariants: the caller says how many bytes a key has in common with the one before; it found that
 *             out anyway when it checked the order. Running out of memory is remembered and
 *             answered by block_builder_finish.
 * Threads:    none. */
#ifndef FIRN_TABLE_BLOCK_BUILDER_H
#define FIRN_TABLE_BLOCK_BUILDER_H

#include "util/buf.h"

typedef struct block_builder {
    buf data;
    buf restarts; /* as they are written */
    uint32_t interval;
    uint32_t since_restart;
    uint32_t entries;
    uint64_t key_bytes; /* of all keys, written out in full */
} block_builder;

/* `interval`: entries per restart point, at least 1. */
FIRN_INTERNAL void block_builder_init(block_builder *b, uint32_t interval);
FIRN_INTERNAL void block_builder_deinit(block_builder *b);
/* `shared` is ignored at a restart point. Borrows key and value. */
FIRN_INTERNAL void block_builder_add(block_builder *b, slice key, uint32_t shared, slice value);
/* The same for a key behind which BLOCK_SLACK_BYTES more may be read. */
FIRN_INTERNAL void block_builder_add_slack(block_builder *b, slice key, uint32_t shared,
                                           slice value);
/* Raw bytes the block would have now. */
static inline size_t block_builder_bytes(const block_builder *b) {
    return b->data.size + b->restarts.size + 4;
}
/* The contents, borrowed until the next call. */
FIRN_INTERNAL NODISCARD status block_builder_finish(block_builder *b, slice *out);
/* Begins the next block; keeps the memory. */
FIRN_INTERNAL void block_builder_clear(block_builder *b);
#endif
