#include "format/expiry_spread.h"

#include <stdlib.h>

#include "lib/test.h"
#include "util/rng.h"

static void expect_parts(const uint64_t *times, size_t count, const uint64_t expected[]) {
    expiry_spread s = {0};
    uint64_t parts[EXPIRY_PARTS];
    for (size_t i = 0; i < count; i++)
        expiry_spread_note(&s, times[i]);
    expiry_spread_parts(&s, parts);
    for (size_t i = 0; i < EXPIRY_PARTS; i++)
        assert_int_equal(parts[i], expected[i]);
}

TEST(expiry_spread, is_exact_while_few_times_are_close_together) {
    expect_parts(NULL, 0, (uint64_t[8]){0});
    expect_parts((uint64_t[]){1700000000000}, 1,
                 (uint64_t[]){1700000000000, 1700000000000, 1700000000000, 1700000000000,
                              1700000000000, 1700000000000, 1700000000000, 1700000000000});
    expect_parts((uint64_t[]){8, 7, 6, 5, 4, 3, 2, 1}, 8, (uint64_t[]){1, 2, 3, 4, 5, 6, 7, 8});
    expect_parts((uint64_t[]){5, 5, 5, 60}, 4, (uint64_t[]){5, 5, 5, 5, 5, 5, 60, 60});
}

TEST(expiry_spread, spans_all_of_time) {
    expect_parts((uint64_t[]){1, UINT64_MAX}, 2,
                 (uint64_t[]){UINT64_MAX / 64, UINT64_MAX / 64, UINT64_MAX / 64, UINT64_MAX / 64,
                              UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX});
}

static int spread_compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* In any order of arrival: never before an eighth is gone, and at most a bucket late. */
TEST(expiry_spread, errs_late_and_little) {
    enum { TIMES = 1000 };
    static uint64_t times[TIMES];
    rng r;
    rng_init(&r, test_seed());
    for (int round = 0; round < 200; round++) {
        expiry_spread s = {0};
        uint64_t parts[EXPIRY_PARTS], begin = rng_below(&r, 1ull << 41);
        uint64_t span = 1 + rng_below(&r, 1ull << rng_below(&r, 40));
        size_t count = 1 + rng_below(&r, TIMES);
        for (size_t i = 0; i < count; i++) {
            times[i] = begin + rng_below(&r, span);
            expiry_spread_note(&s, times[i]);
        }
        expiry_spread_parts(&s, parts);
        qsort(times, count, sizeof *times, spread_compare);
        /* Of half the width, more than 63 buckets were between first and last. */
        uint64_t bucket = (times[count - 1] - times[0]) / 63 * 2 + 2;
        for (size_t i = 0; i < EXPIRY_PARTS; i++) {
            uint64_t exact = times[((i + 1) * count + EXPIRY_PARTS - 1) / EXPIRY_PARTS - 1];
            assert_true(parts[i] >= exact);
            assert_true(parts[i] - exact <= bucket);
            assert_true(i == 0 || parts[i] >= parts[i - 1]);
        }
    }
}

TEST_MAIN(RUN(expiry_spread, is_exact_while_few_times_are_close_together),
          RUN(expiry_spread, spans_all_of_time), RUN(expiry_spread, errs_late_and_little))
