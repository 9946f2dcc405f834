/* memtable/key_rank.h - eight bytes of a key behind a prefix, by which most keys of a memtable are
 * told apart.
 *
 * Invariants: a.rank < b.rank implies a < b, under the bytewise order.
 * Threads:    pure functions. */
#ifndef FIRN_MEMTABLE_KEY_RANK_H
#define FIRN_MEMTABLE_KEY_RANK_H

#include "format/key.h"

/* Whether the key begins with the prefix. In words: prefixes are short, and calling memcmp costs
 * more than comparing them. The last word may overlap the one before. */
static inline bool key_rank_has_prefix(slice key, slice prefix) {
    const uint8_t *a = key.data, *b = prefix.data;
    size_t left = prefix.size;
    if (key.size < left)
        return false;
    for (; left >= 8; a += 8, b += 8, left -= 8) {
        if (decode_fixed64(a) != decode_fixed64(b))
            return false;
    }
    if (left && prefix.size >= 8)
        return decode_fixed64(a + left - 8) == decode_fixed64(b + left - 8);
    for (; left; a++, b++, left--) {
        if (*a != *b)
            return false;
    }
    return true;
}

/* The head of what follows the first `skip` bytes. */
static inline uint64_t key_rank_at(slice key, size_t skip) {
    size_t left = key.size - skip;
    if (LIKELY(left >= 8 || key.size < 8 || left == 0))
        return key_head(slice_of(key.data + skip, left));
    /* The last 8 bytes, without those before. */
    return __builtin_bswap64(decode_fixed64(key.data + key.size - 8)) << 8 * (8 - left);
}

/* The head of what follows the prefix, for keys that have it; the least rank there is for keys
 * before all of those, the greatest for keys behind them. With as few instructions as can be: an
 * insertion takes it twice. */
static inline uint64_t key_rank(slice key, slice prefix) {
    if (LIKELY(key_rank_has_prefix(key, prefix)))
        return key_rank_at(key, prefix.size);
    return slice_compare(key, prefix) > 0 ? UINT64_MAX : 0;
}

#endif
