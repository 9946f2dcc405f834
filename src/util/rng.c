#include "util/rng.h"

#include "base/check.h"

#include "base/poison.h"

__extension__ typedef unsigned __int128 rng_wide;

static uint64_t rng_rotate_left(uint64_t v, unsigned by) {
    return v << by | v >> (64 - by);
}

/* splitmix64 (Steele, Lea and Flood 2014) gives four words that are never all zero, the one state
 * xoshiro cannot leave. */
FIRN_INTERNAL void rng_init(rng *r, uint64_t seed) {
    for (int i = 0; i < 4; i++) {
        seed += 0x9e3779b97f4a7c15u;
        uint64_t z = seed;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        r->state[i] = z ^ z >> 31;
    }
}

FIRN_INTERNAL uint64_t rng_next(rng *r) {
    uint64_t *s = r->state;
    uint64_t result = rng_rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rng_rotate_left(s[3], 45);
    return result;
}

/* Multiply and keep the high word; the few low words that would favour some results are drawn again
 * (Lemire 2019). */
FIRN_INTERNAL uint64_t rng_below(rng *r, uint64_t bound) {
    DCHECK(bound > 0);
    rng_wide product = (rng_wide)rng_next(r) * bound;
    if ((uint64_t)product < bound) {
        uint64_t unfair = -bound % bound;
        while ((uint64_t)product < unfair)
            product = (rng_wide)rng_next(r) * bound;
    }
    return (uint64_t)(product >> 64);
}
