/* Values below 32 have a bucket each. Above, the bucket is named by the position of the highest bit
 * and the five bits after it: 32 buckets per power of two, each 1/32 of its lower edge wide. */
#include "util/histogram.h"

#include "base/check.h"

#include "base/poison.h"

enum { HISTOGRAM_SUB_BITS = 5, HISTOGRAM_SUB_BUCKETS = 1 << HISTOGRAM_SUB_BITS };

static unsigned histogram_bucket_of(uint64_t value) {
    if (value < HISTOGRAM_SUB_BUCKETS)
        return (unsigned)value;
    unsigned shift = 63 - (unsigned)__builtin_clzll(value) - HISTOGRAM_SUB_BITS;
    return shift * HISTOGRAM_SUB_BUCKETS + (unsigned)(value >> shift);
}

/* The largest value that falls into the bucket. */
static uint64_t histogram_upper_edge(unsigned bucket) {
    if (bucket < HISTOGRAM_SUB_BUCKETS)
        return bucket;
    unsigned shift = bucket / HISTOGRAM_SUB_BUCKETS - 1;
    uint64_t head = HISTOGRAM_SUB_BUCKETS + bucket % HISTOGRAM_SUB_BUCKETS;
    return (head << shift) + (((uint64_t)1 << shift) - 1);
}

static uint64_t histogram_read(const atomic_u64 *counter) {
    /* relaxed: no partner; the counters are independent and publish nothing else. */
    return atomic_u64_load(counter, memory_order_relaxed);
}

static void histogram_raise(atomic_u64 *counter, uint64_t amount) {
    /* relaxed: see histogram_read. */
    (void)atomic_u64_add(counter, amount, memory_order_relaxed);
}

FIRN_INTERNAL void histogram_init(histogram *h) {
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        atomic_u64_init(&h->buckets[i], 0);
    atomic_u64_init(&h->count, 0);
    atomic_u64_init(&h->sum, 0);
    atomic_u64_init(&h->max, 0);
}

FIRN_INTERNAL void histogram_add(histogram *h, uint64_t value) {
    unsigned bucket = histogram_bucket_of(value);
    DCHECK(bucket < HISTOGRAM_BUCKETS);
    histogram_raise(&h->buckets[bucket], 1);
    histogram_raise(&h->count, 1);
    histogram_raise(&h->sum, value);
    uint64_t max = histogram_read(&h->max);
    /* acquire: only because a failing cas reads with it and success may not be weaker. */
    while (value > max && !atomic_u64_cas(&h->max, &max, value, memory_order_acquire)) {
    }
}

/* Counts the buckets themselves: `count` may be ahead of or behind them while others add. */
FIRN_INTERNAL uint64_t histogram_quantile(const histogram *h, double fraction) {
    uint64_t total = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        total += histogram_read(&h->buckets[i]);
    if (total == 0)
        return 0;
    double wanted = fraction * (double)total;
    uint64_t max = histogram_read(&h->max);
    uint64_t below = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        below += histogram_read(&h->buckets[i]);
        if (below > 0 && (double)below >= wanted) {
            uint64_t edge = histogram_upper_edge(i);
            return edge < max ? edge : max;
        }
    }
    return max;
}

FIRN_INTERNAL double histogram_mean(const histogram *h) {
    uint64_t count = histogram_read(&h->count);
    uint64_t sum = histogram_read(&h->sum);
    return count ? (double)sum / (double)count : 0.0;
}

FIRN_INTERNAL uint64_t histogram_count(const histogram *h) {
    return histogram_read(&h->count);
}

FIRN_INTERNAL uint64_t histogram_sum(const histogram *h) {
    return histogram_read(&h->sum);
}

FIRN_INTERNAL uint64_t histogram_max(const histogram *h) {
    return histogram_read(&h->max);
}
