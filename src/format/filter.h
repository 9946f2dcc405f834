/* format/filter.h - a cache-line blocked Bloom filter over 64-bit key hashes.
 *
 * Source:  Putze, Sanders, Singler, "Cache-, Hash- and Space-Efficient Bloom Filters" (2007);
 *          Kirsch and Mitzenmacher, "Less Hashing, Same Performance" (2006); Dietzfelbinger and
 *          others, "A Reliable Randomized Algorithm for the Closest-Pair Problem" (1997), for the
 *          multiplicative hashing.
 * Format:  docs/format/table.md and below. All bits of a key lie in one line of 64 bytes.
 * Threads: pure functions over caller's memory.
 *
 * On disk, never to change. A key with hash H has these bits in a filter of L lines and k probes:
 *
 *   line  = ((H >> 32) * L) >> 32                        of 0 .. L-1
 *   x[1]  = (H mod 2^32) * 0x9e3779b9 mod 2^32
 *   x[i]  = x[i-1] * 0x9e3779b9 mod 2^32                 i = 2 .. k
 *   bit i = x[i] >> 23                                   of 0 .. 511
 *
 * and bit n of a line is bit n % 8 (1 << n % 8) of its byte n / 8. L is ceil(keys * bits per key /
 * 512), at least 1. k is the fewest probes that come within 1 % of the lowest false-positive rate a
 * blocked filter can have with so many bits per key; readers take it from the header.
 *
 * How often a filter says yes to an absent key, measured with 2 million keys and 8 million
 * questions, against the theory of blocked filters (Putze and others, section 3), and what two
 * other ways to derive the bits give: plain double hashing, x[i] = x[i-1] + d, and enhanced double
 * hashing, where d grows by i << 23 at each step (d = odd (H mod 2^32) * 0x9e3779b9):
 *
 *   bits per key   k   theory    this      plain     enhanced
 *              8   5   2.312 %   2.322 %   2.375 %   2.350 %
 *             10   6   0.958 %   0.959 %   1.025 %   0.982 %
 *             12   7   0.409 %   0.410 %   0.470 %   0.423 %
 *             16   9   0.0826 %  0.0847 %  0.1311 %  0.0855 % */
#ifndef FIRN_FORMAT_FILTER_H
#define FIRN_FORMAT_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/slice.h"

#define FILTER_HEADER_BYTES 8
#define FILTER_LINE_BYTES   64
#define FILTER_PROBES_MAX   16

/* Bytes of a filter for `keys` keys; at least one line. */
FIRN_INTERNAL size_t filter_bytes(uint64_t keys, uint32_t bits_per_key);
/* Fills `out` (filter_bytes of it) from the hashes of all keys (duplicates are fine). */
FIRN_INTERNAL void filter_build(const uint64_t *hashes, uint64_t keys, uint32_t bits_per_key,
                                uint8_t *out);

/* A filter in place, validated once. Any address will do; with `contents` 8 bytes below a multiple
 * of 64 a question touches one cache line instead of two. */
typedef struct filter_view {
    const uint8_t *lines; /* NULL: no filter, everything may be present */
    uint32_t line_count;
    uint32_t probes;
} filter_view;
/* False: these bytes are not a filter of this format; *view then is one that lets all pass. */
FIRN_INTERNAL NODISCARD bool filter_view_init(filter_view *view, slice contents);
FIRN_INTERNAL void filter_prefetch(const filter_view *view, uint64_t hash);
/* False: the key is certainly absent. */
FIRN_INTERNAL bool filter_may_contain(const filter_view *view, uint64_t hash);
/* The portable twin, for tests and machines without AVX2. */
FIRN_INTERNAL bool filter_may_contain_portable(const filter_view *view, uint64_t hash);
#endif
