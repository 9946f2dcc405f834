/* util/histogram.h - counts of durations or sizes by logarithmic bucket, about 3 % wide.
 *
 * Threads: histogram_add may be called by many threads at once (relaxed counters); readers see some
 * recent state. */
#ifndef FIRN_UTIL_HISTOGRAM_H
#define FIRN_UTIL_HISTOGRAM_H

#include <stdint.h>

#include "base/atomic.h"
#include "base/attributes.h"

#define HISTOGRAM_BUCKETS 1920 /* 32 per power of two */

typedef struct histogram {
    atomic_u64 buckets[HISTOGRAM_BUCKETS];
    atomic_u64 count, sum, max;
} histogram;

FIRN_INTERNAL void histogram_init(histogram *h);
FIRN_INTERNAL void histogram_add(histogram *h, uint64_t value);
/* The upper edge of the bucket below which `fraction` (0..1) of the values lie, or the largest
 * value if that is smaller; 0 when empty. */
FIRN_INTERNAL uint64_t histogram_quantile(const histogram *h, double fraction);
FIRN_INTERNAL double histogram_mean(const histogram *h);
FIRN_INTERNAL uint64_t histogram_count(const histogram *h);
FIRN_INTERNAL uint64_t histogram_sum(const histogram *h);
FIRN_INTERNAL uint64_t histogram_max(const histogram *h);
#endif
