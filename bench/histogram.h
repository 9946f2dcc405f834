/* bench/histogram.h - how long operations took, to about 1.5 %, in constant space.
 *
 * Buckets are logarithmic: every power of two is cut into 64 equal parts, values below 64 have a
 * bucket each. Not thread-safe: each worker has its own, merged when it is done. A histogram is a
 * flat struct and may be copied and sent through a pipe. */
#ifndef FIRN_BENCH_HISTOGRAM_H
#define FIRN_BENCH_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

enum {
    HISTOGRAM_SUB_BITS = 6,
    HISTOGRAM_VALUE_BITS = 41, /* 2^41 ns: over half an hour; larger values count as that */
    HISTOGRAM_BUCKETS = (HISTOGRAM_VALUE_BITS - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS
};

typedef struct histogram {
    uint64_t count;
    uint64_t sum;
    uint64_t max;
    uint64_t buckets[HISTOGRAM_BUCKETS];
} histogram;

static inline size_t histogram_bucket_of(uint64_t value) {
    const uint64_t sub_count = (uint64_t)1 << HISTOGRAM_SUB_BITS;
    if (value < sub_count)
        return (size_t)value;
    if (value >> HISTOGRAM_VALUE_BITS)
        return HISTOGRAM_BUCKETS - 1;
    unsigned shift = 63 - (unsigned)__builtin_clzll(value) - HISTOGRAM_SUB_BITS;
    return (size_t)(((uint64_t)shift << HISTOGRAM_SUB_BITS) + (value >> shift));
}

/* Counts `weight` operations of `value` nanoseconds each. */
static inline void histogram_add(histogram *h, uint64_t value, uint64_t weight) {
    h->count += weight;
    h->sum += value * weight;
    if (value > h->max)
        h->max = value;
    h->buckets[histogram_bucket_of(value)] += weight;
}

/* The largest value that falls into `bucket`. */
uint64_t histogram_bucket_top(size_t bucket);

/* Adds all of `from`. */
void histogram_merge(histogram *into, const histogram *from);

/* The value that `fraction` (0..1) of the operations did not exceed; 0 when empty. */
uint64_t histogram_quantile(const histogram *h, double fraction);

double histogram_mean(const histogram *h);

#endif
