#include "platform/clock.h"

#include <string.h>
#include <time.h>

#include "lib/test.h"

TEST(clock, monotonic_time_passes_and_never_goes_back) {
    const time_source *clock = time_source_system();
    uint64_t begin = time_monotonic_ns(clock);
    uint64_t last = begin;
    while (last < begin + 2000000) {
        uint64_t now = time_monotonic_ns(clock);
        assert_true(now >= last);
        last = now;
    }
}

TEST(clock, wall_time_is_the_systems_in_milliseconds) {
    uint64_t before = (uint64_t)time(NULL) * 1000;
    uint64_t now = time_wall_ms(time_source_system());
    uint64_t after = ((uint64_t)time(NULL) + 1) * 1000;
    assert_in_range(now, before, after);
    assert_true(time_wall_ms(time_source_system()) >= now);
}

static uint64_t seven(void *context) {
    return *(uint64_t *)context + 7;
}

TEST(clock, can_be_replaced) {
    uint64_t base = 100;
    time_source fake = {&base, seven, seven};
    assert_int_equal(time_monotonic_ns(&fake), 107);
    assert_int_equal(time_wall_ms(&fake), 107);
}

TEST(clock, boot_id_is_stable_within_a_boot) {
    uint8_t one[16];
    uint8_t two[16];
    memset(one, 1, sizeof one);
    memset(two, 2, sizeof two);
    boot_id_read(one);
    boot_id_read(two);
    assert_memory_equal(one, two, 16);
}

TEST(clock, entropy_fills_every_byte_and_differs) {
    uint8_t one[300] = {0};
    uint8_t two[300] = {0};
    entropy_read(one, sizeof one);
    entropy_read(two, sizeof two);
    assert_memory_not_equal(one, two, sizeof one);
    uint8_t seen[300] = {0};
    for (int round = 0; round < 40; round++) {
        entropy_read(one, sizeof one);
        for (size_t i = 0; i < sizeof one; i++)
            seen[i] |= one[i];
    }
    for (size_t i = 0; i < sizeof seen; i++)
        assert_int_not_equal(seen[i], 0);
    entropy_read(one, 0);
}

TEST_MAIN(RUN(clock, monotonic_time_passes_and_never_goes_back),
          RUN(clock, wall_time_is_the_systems_in_milliseconds), RUN(clock, can_be_replaced),
          RUN(clock, boot_id_is_stable_within_a_boot),
          RUN(clock, entropy_fills_every_byte_and_differs))
