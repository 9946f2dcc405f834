#include "histogram.h"

uint64_t histogram_bucket_top(size_t bucket) {
    const size_t sub_count = (size_t)1 << HISTOGRAM_SUB_BITS;
    if (bucket < 2 * sub_count)
        return bucket;
    unsigned shift = (unsigned)(bucket >> HISTOGRAM_SUB_BITS) - 1;
    uint64_t part = sub_count + (bucket & (sub_count - 1));
    return ((part + 1) << shift) - 1;
}

void histogram_merge(histogram *into, const histogram *from) {
    into->count += from->count;
    into->sum += from->sum;
    if (from->max > into->max)
        into->max = from->max;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        into->buckets[i] += from->buckets[i];
}

uint64_t histogram_quantile(const histogram *h, double fraction) {
    uint64_t wanted = (uint64_t)(fraction * (double)h->count + 0.5);
    if (wanted == 0)
        wanted = 1;
    uint64_t seen = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen >= wanted) {
            uint64_t top = histogram_bucket_top(i);
            return top < h->max ? top : h->max;
        }
    }
    return h->max;
}

double histogram_mean(const histogram *h) {
    return h->count ? (double)h->sum / (double)h->count : 0;
}
