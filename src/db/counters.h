/* db/counters.h - statistics that many threads add to without sharing a cache line.
 *
 * Threads: counters_add from any thread: each adds to the stripe its number selects. */
#ifndef FIRN_DB_COUNTERS_H
#define FIRN_DB_COUNTERS_H

#include "base/atomic.h"
#include "platform/thread.h"

typedef enum counter {
    COUNT_PUTS,
    COUNT_GETS,
    COUNT_GETS_FOUND,
    COUNT_SEEKS,
    COUNT_ITER_SKIPPED,
    COUNT_ITER_RESEEKS,
    COUNT_FLUSHES,
    COUNT_FLUSH_BYTES,
    COUNT_COMPACTIONS,
    COUNT_COMPACTION_READ,
    COUNT_COMPACTION_WRITTEN,
    COUNT_MOVES,
    COUNT_FILTER_CHECKED,
    COUNT_FILTER_USEFUL,
    COUNT_DELETES,
    COUNTER_COUNT
} counter;

#define COUNTER_STRIPES 16

typedef struct counters {
    struct {
        _Alignas(CACHE_LINE_BYTES) atomic_u64 value[COUNTER_COUNT];
    } stripes[COUNTER_STRIPES];
} counters;

static inline void counters_add(counters *c, counter which, uint64_t amount) {
    /* relaxed: no partner; statistics publish nothing else. */
    atomic_u64_add(&c->stripes[thread_number() % COUNTER_STRIPES].value[which], amount,
                   memory_order_relaxed);
}
static inline uint64_t counters_sum(const counters *c, counter which) {
    uint64_t sum = 0;
    for (int i = 0; i < COUNTER_STRIPES; i++) /* relaxed: no partner, as above. */
        sum += atomic_u64_load(&c->stripes[i].value[which], memory_order_relaxed);
    return sum;
}
#endif
