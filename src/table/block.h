/* table/block.h - sorted entries with shared prefixes: reading the raw contents of one block.
 *
 * Format:     docs/format/table.md, "Block".
 * Invariants: nothing in a block is trusted: every length is bounded before use, and whatever the
 *             bytes are, a function ends with an answer or a status. That keys ascend is not
 *             checked here (table_verify does); a block in which they do not gives wrong answers,
 *             never a crash or a loop.
 * Threads:    pure functions over caller's memory.
 * Lifetime:   a view borrows its bytes, which must be followed by BLOCK_SLACK_BYTES more readable
 *             ones: short keys are copied with fixed-size moves. */
#ifndef FIRN_TABLE_BLOCK_H
#define FIRN_TABLE_BLOCK_H

#include "base/slice.h"
#include "base/status.h"
#include "format/key.h"
#include "iter/iter.h"
#include "util/coding.h"

#define BLOCK_RAW_BYTES_MAX (1u << 30)
#define BLOCK_KEY_BYTES_MAX (KEY_BYTES_MAX + KEY_TRAILER_BYTES)
/* All keys of a data block written out in full: the builder cuts a block before it comes near. */
#define BLOCK_ALL_KEYS_BYTES_MAX (16u << 20)
#define BLOCK_SLACK_BYTES        32

/* Where a block came from, for messages. */
typedef struct block_place {
    const char *path;
    uint64_t offset;
} block_place;

typedef struct block_view {
    const uint8_t *data;
    uint32_t entries_bytes; /* the restart array starts here */
    uint32_t restart_count;
} block_view;

/* False: these bytes cannot be a block. */
FIRN_INTERNAL NODISCARD bool block_view_init(block_view *view, slice raw);

typedef struct block_entry {
    uint32_t shared, unshared, value_bytes;
    const uint8_t *suffix; /* unshared bytes, then the value */
} block_entry;

FIRN_INTERNAL const uint8_t *block_entry_decode_slow(const uint8_t *p, const uint8_t *end,
                                                     block_entry *out);
/* The position after the entry at `p`, or NULL when the bytes before `end` hold none. */
static inline const uint8_t *block_entry_decode(const uint8_t *p, const uint8_t *end,
                                                block_entry *out) {
    if (UNLIKELY(end - p < 3 || (p[0] | p[1] | p[2]) >= 0x80))
        return block_entry_decode_slow(p, end, out);
    *out = (block_entry){p[0], p[1], p[2], p + 3};
    size_t bytes = (size_t)out->unshared + out->value_bytes;
    return LIKELY((size_t)(end - p) - 3 >= bytes) ? p + 3 + bytes : NULL;
}

/* Walks a block whose every entry is a restart point: index, properties, meta-index. */
typedef struct block_cursor {
    const uint8_t *next, *end;
} block_cursor;
FIRN_INTERNAL block_cursor block_cursor_first(const block_view *view);
/* OK with *key unset at the end. */
FIRN_INTERNAL NODISCARD status block_cursor_next(block_cursor *cursor, block_place at, slice *key,
                                                 slice *value);

/* The first entry >= the target of a search in a data block. */
typedef struct block_hit {
    bool same_user_key; /* false: there is no such entry, or it belongs to another user key */
    uint64_t trailer;   /* these two only with same_user_key */
    slice value;
} block_hit;
/* Decodes only the restart points it compares and one interval. NOT_SUPPORTED: the hit has a kind
 * this build lacks. */
FIRN_INTERNAL NODISCARD status block_search(const block_view *view, block_place at, key_order order,
                                            internal_key target, block_hit *out);

/* Entries of a data block, decoded. {0} is empty; the arrays only grow and are reused. */
typedef struct block_run {
    iter_entry *entries;
    uint8_t *keys; /* those that are not whole in the block */
    size_t keys_bytes, keys_capacity;
    uint32_t count, capacity;
    bool plain; /* all are OP_PUT, each of another user key */
} block_run;
/* Entries from byte `begin`, a restart point, to byte `end`, another one or the end of all entries.
 */
typedef struct block_piece {
    uint32_t begin, end;
} block_piece;
static inline block_piece block_piece_whole(const block_view *view) {
    return (block_piece){0, view->entries_bytes};
}
/* The interval between two restart points in which the first entry >= target lies, unless it is the
 * first entry behind it. False: malformed. */
FIRN_INTERNAL NODISCARD bool block_piece_around(const block_view *view, key_order order,
                                                internal_key target, block_piece *out);
/* Asks the processor for its first lines. The piece must lie in the block. */
FIRN_INTERNAL void block_fetch_piece(const block_view *view, block_piece piece);
/* Values, and keys that stand whole in the block, point into it. NOT_SUPPORTED as above. */
FIRN_INTERNAL NODISCARD status block_run_decode(block_run *run, const block_view *view,
                                                block_piece piece, block_place at);
typedef struct block_target {
    key_order order;
    internal_key key;
    block_place at;
} block_target;
/* Of a piece as block_piece_around gives it, decodes what lies from the target on: piece->begin
 * moves to the first entry of the run, which is the first >= target unless it could not be told
 * without the ones before: block_run_find knows. No entry when all are < target. */
FIRN_INTERNAL NODISCARD status block_run_seek(block_run *run, const block_view *view,
                                              block_piece *piece, const block_target *target);
/* Index of the first entry >= target; count if none. */
FIRN_INTERNAL uint32_t block_run_find(const block_run *run, key_order order, internal_key target);
FIRN_INTERNAL void block_run_deinit(block_run *run);

/* How many of the first `limit` bytes of both agree. */
static inline uint32_t block_common_prefix(const uint8_t *a, const uint8_t *b, uint32_t limit) {
    uint32_t i = 0;
    while (limit - i >= 8) {
        uint64_t difference = decode_fixed64(a + i) ^ decode_fixed64(b + i);
        if (difference)
            return i + (uint32_t)__builtin_ctzll(difference) / 8;
        i += 8;
    }
    while (i < limit && a[i] == b[i])
        i++;
    return i;
}

#endif
