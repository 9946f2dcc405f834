/* base/sole.h - changes of shared words by many writers, or by one that knows it is the only one.
 *
 * Purpose:    a locked instruction costs some twenty cycles and waits for every store before it,
 * cache misses included. A writer that nobody writes beside, `sole`, does without: it loads and
 * stores.
 *
 * Threads:    `sole` promises that no other thread changes the word until the writer has handed its
 * part on (by a lock, or a release that the next writer acquires). Readers see the same stores in
 * the same order either way. */
#ifndef FIRN_BASE_SOLE_H
#define FIRN_BASE_SOLE_H

#include "base/atomic.h"

/* As atomic_u64_cas(); `order` is that of success, acq_rel or weaker. */
static inline bool sole_cas_u64(bool sole, atomic_u64 *a, uint64_t *expected, uint64_t desired,
                                memory_order order) {
    if (!sole)
        return atomic_u64_cas(a, expected, desired, order);
    /* relaxed: this thread's own store, or one that it has acquired with its part. */
    uint64_t found = atomic_u64_load(a, memory_order_relaxed);
    if (found != *expected) {
        *expected = found;
        return false;
    }
    /* release, or less where the caller needs less: pairs with whatever the swap would pair with.
     */
    atomic_u64_store(a, desired,
                     order == memory_order_relaxed || order == memory_order_acquire
                         ? memory_order_relaxed
                         : memory_order_release);
    return true;
}

/* For counters, which order nothing. */
static inline uint64_t sole_add_u64(bool sole, atomic_u64 *a, uint64_t amount) {
    if (!sole)
        return atomic_u64_add(a, amount, memory_order_relaxed); /* relaxed: see above */
    uint64_t before = atomic_u64_load(a, memory_order_relaxed); /* relaxed: see above */
    atomic_u64_store(a, before + amount, memory_order_relaxed); /* relaxed: see above */
    return before;
}

#endif
