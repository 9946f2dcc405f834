#include "compaction/write_delay.h"

#include "lib/test.h"

static const tree_options options = {.l0_trigger = 4, .l0_slowdown = 8, .l0_stop = 16};

TEST(write_delay, is_nothing_below_the_slowdown) {
    for (uint32_t tables = 0; tables < 8; tables++)
        assert_int_equal(write_delay_ns(&options, tables, 1 << 30), 0);
}

TEST(write_delay, goes_from_the_highest_rate_to_the_lowest_without_a_cliff) {
    uint64_t before = 1000000000; /* a second for what the highest rate admits in one */
    assert_int_equal(write_delay_ns(&options, 8, WRITE_DELAY_RATE_MOST), before);
    for (uint32_t tables = 9; tables <= 16; tables++) {
        uint64_t delay = write_delay_ns(&options, tables, WRITE_DELAY_RATE_MOST);
        assert_true(delay > before);
        assert_true(tables > 14 || delay < 2 * before);
        before = delay;
    }
    assert_int_equal(write_delay_ns(&options, 16, WRITE_DELAY_RATE_LEAST), 1000000000);
    assert_int_equal(write_delay_ns(&options, 1000, WRITE_DELAY_RATE_LEAST), 1000000000);
}

TEST(write_delay, is_in_proportion_to_the_bytes_and_does_not_overflow) {
    assert_int_equal(write_delay_ns(&options, 12, 2000) / 2, write_delay_ns(&options, 12, 1000));
    assert_int_equal(write_delay_ns(&options, 12, 0), 0);
    /* The largest batch. */
    assert_int_equal(write_delay_ns(&options, 16, 2ull << 30) / 1000000000, 512);
}

TEST_MAIN(RUN(write_delay, is_nothing_below_the_slowdown),
          RUN(write_delay, goes_from_the_highest_rate_to_the_lowest_without_a_cliff),
          RUN(write_delay, is_in_proportion_to_the_bytes_and_does_not_overflow))
