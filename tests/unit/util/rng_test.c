#include "util/rng.h"

#include "lib/test.h"

/* splitmix64 from 0 begins with these; they are the published ones. */
TEST(rng, state_is_expanded_by_splitmix64) {
    rng r;
    rng_init(&r, 0);
    assert_true(r.state[0] == 0xe220a8397b1dcdafu);
    assert_true(r.state[1] == 0x6e789e6aa1b965f4u);
    assert_true(r.state[2] == 0x06c45d188009454fu);
    assert_true(r.state[3] == 0xf88bb8a8724c81ecu);
}

/* The reference program's first outputs from state {1, 2, 3, 4}. */
TEST(rng, gives_the_published_sequence) {
    static const uint64_t expected[] = {11520, 0, 1509978240, 1215971899390074240};
    rng r = {{1, 2, 3, 4}};
    for (int i = 0; i < 4; i++)
        assert_true(rng_next(&r) == expected[i]);
}

TEST(rng, same_seed_same_sequence_and_other_seed_another) {
    rng a, b, c;
    rng_init(&a, 42);
    rng_init(&b, 42);
    rng_init(&c, 43);
    int same = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t v = rng_next(&a);
        assert_true(v == rng_next(&b));
        same += v == rng_next(&c);
    }
    assert_int_equal(same, 0);
}

/* Chi-squared over the results: for 16 degrees of freedom more than 60 comes up once in a million.
 */
TEST(rng, below_is_uniform_and_within_bounds) {
    enum { BOUND = 17, DRAWS = 170000 };
    rng r;
    rng_init(&r, test_seed());
    uint64_t counts[BOUND] = {0};
    for (int i = 0; i < DRAWS; i++) {
        uint64_t v = rng_below(&r, BOUND);
        assert_true(v < BOUND);
        counts[v]++;
    }
    double chi = 0, expected = (double)DRAWS / BOUND;
    for (int i = 0; i < BOUND; i++)
        chi += ((double)counts[i] - expected) * ((double)counts[i] - expected) / expected;
    assert_true(chi < 60);
    assert_true(rng_below(&r, 1) == 0);
}

/* A plain modulo or product would give the lower half of this range two thirds of the draws. */
TEST(rng, below_has_no_bias_for_huge_bounds) {
    enum { DRAWS = 30000 };
    rng r;
    rng_init(&r, test_seed());
    const uint64_t bound = (uint64_t)3 << 62;
    uint64_t thirds[3] = {0};
    for (int i = 0; i < DRAWS; i++)
        thirds[rng_below(&r, bound) >> 62]++;
    for (int i = 0; i < 3; i++)
        assert_true(thirds[i] > DRAWS / 3 - 600 && thirds[i] < DRAWS / 3 + 600);
    uint64_t residues[3] = {0};
    for (int i = 0; i < DRAWS; i++)
        residues[rng_below(&r, bound) % 3]++;
    for (int i = 0; i < 3; i++)
        assert_true(residues[i] > DRAWS / 3 - 600 && residues[i] < DRAWS / 3 + 600);
}

TEST_MAIN(RUN(rng, state_is_expanded_by_splitmix64), RUN(rng, gives_the_published_sequence),
          RUN(rng, same_seed_same_sequence_and_other_seed_another),
          RUN(rng, below_is_uniform_and_within_bounds), RUN(rng, below_has_no_bias_for_huge_bounds))
