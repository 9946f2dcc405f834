/* tests/unit/iter/array_iter.h - an iterator over part of a model that keeps to the contract to the
 * letter: runs of random length, each in memory of its own that is freed when the next is loaded,
 * so that the sanitizer sees whoever holds on to an old one. */
#ifndef FIRN_TESTS_ARRAY_ITER_H
#define FIRN_TESTS_ARRAY_ITER_H

#include "iter/iter.h"
#include "util/rng.h"

/* Shared by the iterators of a test. */
typedef struct array_iter_plan {
    rng random;       /* run lengths */
    uint32_t run_max; /* entries of a run at most */
    uint64_t
        fail_after; /* this many loads succeed, one fails, the rest succeed; UINT64_MAX: none */
    uint64_t loads; /* so far */
    int64_t live;   /* iterators not freed */
} array_iter_plan;

/* Keeps `plan` and the array, whose address is the origin it names. */
iter *array_iter_new(array_iter_plan *plan, const iter_entry *entries, size_t count,
                     key_order order);

#endif
