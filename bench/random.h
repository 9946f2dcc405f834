/* bench/random.h - small seeded randomness: the same on every machine and in every engine's run. */
#ifndef FIRN_BENCH_RANDOM_H
#define FIRN_BENCH_RANDOM_H

#include <stdint.h>

/* Spreads all bits of `x` over all bits of the result; a bijection (the finalizer of splitmix64).
 */
static inline uint64_t random_mix(uint64_t x) {
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* splitmix64: 64 fresh bits. The state may start with any value. */
static inline uint64_t random_next(uint64_t *state) {
    *state += 0x9e3779b97f4a7c15u;
    return random_mix(*state);
}

/* Evenly below `bound`, by multiplication; the bias is below bound / 2^64. */
static inline uint64_t random_scale(uint64_t bits, uint64_t bound) {
    return (uint64_t)(((unsigned __int128)bits * bound) >> 64);
}

static inline uint64_t random_below(uint64_t *state, uint64_t bound) {
    return random_scale(random_next(state), bound);
}

#endif
