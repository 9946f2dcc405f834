#include "format/filter.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/test.h"
#include "platform/memory.h"
#include "util/crc32c.h"
#include "util/rng.h"

typedef struct built_filter {
    uint8_t *bytes;
    size_t size;
    filter_view view;
} built_filter;

static built_filter build(const uint64_t *hashes, uint64_t keys, uint32_t bits_per_key) {
    built_filter f = {.size = filter_bytes(keys, bits_per_key)};
    f.bytes = memory_new(f.size);
    assert_non_null(f.bytes);
    filter_build(hashes, keys, bits_per_key, f.bytes);
    assert_true(filter_view_init(&f.view, slice_of(f.bytes, f.size)));
    return f;
}

static uint64_t *random_hashes(uint64_t count, uint64_t seed) {
    rng r;
    rng_init(&r, seed);
    uint64_t *hashes = memory_new(count * sizeof *hashes);
    assert_non_null(hashes);
    for (uint64_t i = 0; i < count; i++)
        hashes[i] = rng_next(&r);
    return hashes;
}

TEST(filter, has_the_bytes_of_the_format) {
    static const uint64_t two[] = {0x0123456789abcdef, 0xfedcba9876543210};
    static const struct {
        uint8_t at, byte;
    } set[] = {{0, 0x01},  {1, 0x06},  {4, 0x01},  {14, 0x01}, {24, 0x16}, {36, 0x08},
               {37, 0x21}, {42, 0x02}, {50, 0x20}, {54, 0x20}, {62, 0x10}, {67, 0x80}};
    uint8_t golden[FILTER_HEADER_BYTES + FILTER_LINE_BYTES] = {0};
    for (size_t i = 0; i < sizeof set / sizeof *set; i++)
        golden[set[i].at] = set[i].byte;
    built_filter f = build(two, 2, 10);
    assert_int_equal(f.size, sizeof golden);
    assert_memory_equal(f.bytes, golden, sizeof golden);
    memory_free(f.bytes);

    uint64_t many[100];
    for (uint64_t i = 0; i < 100; i++)
        many[i] = i * 0x9e3779b97f4a7c15u;
    f = build(many, 100, 10);
    assert_int_equal(f.size, 136);
    assert_int_equal(crc32c_extend(0, f.bytes, f.size), 0x70d86e2f);
    memory_free(f.bytes);
    f = build(many, 100, 20);
    assert_int_equal(f.size, 264);
    assert_int_equal(crc32c_extend(0, f.bytes, f.size), 0xe0b79f26);
    memory_free(f.bytes);
}

TEST(filter, never_denies_a_key_it_was_built_from) {
    static const uint64_t counts[] = {1, 2, 15, 16, 17, 51, 52, 1000, 50000};
    uint64_t seed = test_seed();
    for (uint32_t bits = 1; bits <= 32; bits++)
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
            uint64_t keys = counts[i] < 50000 ? counts[i] : test_scaled(counts[i]);
            uint64_t *hashes = random_hashes(keys, seed + bits);
            built_filter f = build(hashes, keys, bits);
            for (uint64_t k = 0; k < keys; k++) {
                assert_true(filter_may_contain(&f.view, hashes[k]));
                assert_true(filter_may_contain_portable(&f.view, hashes[k]));
            }
            memory_free(f.bytes);
            memory_free(hashes);
        }
}

TEST(filter, both_variants_give_the_same_answers) {
    uint64_t seed = test_seed(), different = 0, passed = 0, keys = 5000;
    uint64_t *hashes = random_hashes(keys, seed);
    rng r;
    rng_init(&r, ~seed);
    for (uint32_t probes = 1; probes <= FILTER_PROBES_MAX; probes++) {
        /* Half full, so that later probes matter as well. */
        built_filter f = build(hashes, keys, 8);
        f.bytes[1] = (uint8_t)probes;
        for (size_t i = FILTER_HEADER_BYTES; i < f.size; i++)
            f.bytes[i] |= (uint8_t)(rng_next(&r) | rng_next(&r));
        assert_true(filter_view_init(&f.view, slice_of(f.bytes, f.size)));
        for (uint64_t i = test_scaled(50000); i > 0; i--) {
            uint64_t hash = rng_next(&r);
            filter_prefetch(&f.view, hash);
            bool answer = filter_may_contain(&f.view, hash);
            passed += answer;
            different += answer != filter_may_contain_portable(&f.view, hash);
        }
        memory_free(f.bytes);
    }
    assert_int_equal(different, 0);
    assert_true(passed > 0);
    memory_free(hashes);
}

/* The rate of a filter whose keys fall on lines at random (a Poisson number each) and set `probes`
 * independent bits of 512. */
static double blocked_theory(uint32_t bits_per_key, uint32_t probes) {
    double load = 512.0 / bits_per_key, rate = 0;
    for (int keys = 0; keys < 2000; keys++) {
        double weight = exp(keys * log(load) - load - lgamma(keys + 1.0));
        rate += weight * pow(1 - pow(1 - 1 / 512.0, (double)probes * keys), probes);
    }
    return rate;
}

TEST(filter, false_positives_are_within_a_fifth_of_theory_and_probes_near_the_best) {
    static const uint32_t bits[] = {8, 10, 12, 16};
    uint64_t seed = test_seed(), keys = test_scaled(300000);
    uint64_t *hashes = random_hashes(keys, seed);
    for (size_t i = 0; i < sizeof bits / sizeof *bits; i++) {
        built_filter f = build(hashes, keys, bits[i]);
        uint64_t asked = test_scaled(4000000), passed = 0;
        rng r;
        rng_init(&r, seed + 1 + i);
        for (uint64_t n = 0; n < asked; n++)
            passed += filter_may_contain(&f.view, rng_next(&r));
        double rate = (double)passed / (double)asked;
        double theory = blocked_theory(bits[i], f.view.probes), best = 1;
        for (uint32_t probes = 1; probes <= 20; probes++)
            best = fmin(best, blocked_theory(bits[i], probes));
        print_message("%u bits per key, %u probes: %.5f %%, theory %.5f %%\n", bits[i],
                      f.view.probes, 100 * rate, 100 * theory);
        /* Five standard deviations of the measurement for slow builds that ask less. */
        double noise = 5 * sqrt(theory / (double)asked);
        assert_true(rate < 1.2 * theory + noise && rate > 0.8 * theory - noise);
        assert_true(theory <= 1.0101 * best);
        memory_free(f.bytes);
    }
    memory_free(hashes);
}

TEST(filter, is_as_large_as_asked_for_and_never_without_a_line) {
    assert_int_equal(filter_bytes(0, 10), 8 + 64);
    assert_int_equal(filter_bytes(51, 10), 8 + 64);
    assert_int_equal(filter_bytes(52, 10), 8 + 2 * 64);
    assert_int_equal(filter_bytes(512, 1), 8 + 64);
    assert_int_equal(filter_bytes(UINT64_MAX, 32), 8 + 64 * (uint64_t)UINT32_MAX);
}

TEST(filter, without_keys_denies_everything_and_absent_lets_everything_pass) {
    built_filter f = build(NULL, 0, 10);
    filter_view none = {0};
    rng r;
    rng_init(&r, test_seed());
    for (int i = 0; i < 1000; i++) {
        uint64_t hash = rng_next(&r);
        filter_prefetch(&none, hash);
        assert_false(filter_may_contain(&f.view, hash));
        assert_false(filter_may_contain_portable(&f.view, hash));
        assert_true(filter_may_contain(&none, hash));
        assert_true(filter_may_contain_portable(&none, hash));
    }
    memory_free(f.bytes);
}

TEST(filter, foreign_bytes_are_refused) {
    uint64_t hash = 1;
    built_filter f = build(&hash, 1, 10);
    filter_view view;
    for (size_t size = 0; size < f.size; size++)
        assert_false(filter_view_init(&view, slice_of(f.bytes, size)));
    assert_null(view.lines);
    static const struct {
        size_t at;
        uint8_t byte;
    } damage[] = {{0, 0}, {0, 2}, {1, 0}, {1, FILTER_PROBES_MAX + 1}, {2, 1}, {3, 1},
                  {4, 0}, {4, 2}, {7, 1}};
    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        uint8_t before = f.bytes[damage[i].at];
        f.bytes[damage[i].at] = damage[i].byte;
        assert_false(filter_view_init(&view, slice_of(f.bytes, f.size)));
        assert_true(filter_may_contain(&view, 12345));
        f.bytes[damage[i].at] = before;
    }
    assert_true(filter_view_init(&view, slice_of(f.bytes, f.size)));
    memory_free(f.bytes);
}

TEST_MAIN(RUN(filter, has_the_bytes_of_the_format),
          RUN(filter, never_denies_a_key_it_was_built_from),
          RUN(filter, both_variants_give_the_same_answers),
          RUN(filter, false_positives_are_within_a_fifth_of_theory_and_probes_near_the_best),
          RUN(filter, is_as_large_as_asked_for_and_never_without_a_line),
          RUN(filter, without_keys_denies_everything_and_absent_lets_everything_pass),
          RUN(filter, foreign_bytes_are_refused))
