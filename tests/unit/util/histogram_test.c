#include "util/histogram.h"

#include <math.h>
#include <stdlib.h>

#include "lib/test.h"
#include "util/rng.h"

static int compare_values(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

TEST(histogram, empty_one_answers_zero) {
    histogram *h = malloc(sizeof *h);
    assert_non_null(h);
    histogram_init(h);
    assert_true(histogram_quantile(h, 0.5) == 0);
    assert_true(histogram_mean(h) == 0.0);
    free(h);
}

TEST(histogram, single_value_is_every_quantile) {
    static const uint64_t values[] = {0, 1, 31, 32, 33, 1000, UINT64_MAX};
    histogram *h = malloc(sizeof *h);
    assert_non_null(h);
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        histogram_init(h);
        histogram_add(h, values[i]);
        assert_true(histogram_quantile(h, 0.0) == values[i]);
        assert_true(histogram_quantile(h, 0.5) == values[i]);
        assert_true(histogram_quantile(h, 1.0) == values[i]);
    }
    free(h);
}

/* Never below the true quantile, and at most 1/32 above it. */
TEST(histogram, quantiles_are_at_most_a_bucket_too_high) {
    enum { COUNT = 5000 };
    static const double fractions[] = {0.001, 0.1, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0};
    static uint64_t values[COUNT];
    rng r;
    rng_init(&r, test_seed());
    histogram *h = malloc(sizeof *h);
    assert_non_null(h);
    for (int round = 0; round < 5; round++) {
        histogram_init(h);
        for (size_t i = 0; i < COUNT; i++) {
            values[i] = rng_next(&r) >> (round * 12 + rng_below(&r, 4));
            histogram_add(h, values[i]);
        }
        qsort(values, COUNT, sizeof values[0], compare_values);
        for (size_t f = 0; f < sizeof fractions / sizeof fractions[0]; f++) {
            size_t rank = (size_t)ceil(fractions[f] * COUNT);
            uint64_t truth = values[rank - 1], answer = histogram_quantile(h, fractions[f]);
            assert_true(answer >= truth);
            assert_true(answer - truth <= truth / 32);
        }
    }
    free(h);
}

/* Every power of two and its neighbours fall into buckets whose edges enclose them; the next value
 * after an edge is counted in the next bucket. */
TEST(histogram, bucket_edges_have_neither_gap_nor_overlap) {
    histogram *h = malloc(sizeof *h);
    assert_non_null(h);
    uint64_t edge = 0;
    for (int bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
        histogram_init(h);
        histogram_add(h, edge);
        histogram_add(h, UINT64_MAX);
        assert_int_equal(atomic_u64_load(&h->buckets[bucket], memory_order_relaxed),
                         bucket == HISTOGRAM_BUCKETS - 1 ? 2 : 1);
        edge = histogram_quantile(h, 0.5) + 1;
    }
    assert_true(edge == 0); /* the last edge is the largest number there is */
    free(h);
}

TEST(histogram, mean_is_exact) {
    histogram *h = malloc(sizeof *h);
    assert_non_null(h);
    histogram_init(h);
    for (uint64_t i = 1; i <= 1000; i++)
        histogram_add(h, i);
    assert_true(histogram_mean(h) == 500.5);
    free(h);
}

TEST_MAIN(RUN(histogram, empty_one_answers_zero), RUN(histogram, single_value_is_every_quantile),
          RUN(histogram, quantiles_are_at_most_a_bucket_too_high),
          RUN(histogram, bucket_edges_have_neither_gap_nor_overlap), RUN(histogram, mean_is_exact))
