/* util/rng.h - a small seeded generator (xoshiro256**, Blackman and Vigna 2018). Not for secrets.
 */
#ifndef FIRN_UTIL_RNG_H
#define FIRN_UTIL_RNG_H

#include <stdint.h>

#include "base/attributes.h"

typedef struct rng {
    uint64_t state[4];
} rng;

FIRN_INTERNAL void rng_init(rng *r, uint64_t seed); /* any seed; expanded by splitmix64 */
FIRN_INTERNAL uint64_t rng_next(rng *r);
/* Uniform in [0, bound), bound > 0, without modulo bias. */
FIRN_INTERNAL uint64_t rng_below(rng *r, uint64_t bound);
#endif
