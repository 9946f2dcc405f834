#include "lib/test.h"

#include <string.h>

#include "platform/memory.h"
#include "table/block_builder.h"
#include "util/coding.h"

TEST(block_builder, writes_the_bytes_the_format_draws) {
    static const uint8_t expected[] = {
        0, 3, 1, 'a', 'b', 'c', '1', 2, 1, 1, 'd', '2', 0, 2, 0, 'b', 'c', /* entries */
        0, 0, 0, 0,   12,  0,   0,   0, 2, 0, 0,   0                       /* restarts */
    };
    block_builder b;
    slice raw;
    block_builder_init(&b, 2);
    for (int round = 0; round < 2; round++) {
        block_builder_add(&b, slice_from_string("abc"), 0, slice_from_string("1"));
        block_builder_add(&b, slice_from_string("abd"), 2, slice_from_string("2"));
        /* A restart: whole, whatever it shares. */
        block_builder_add(&b, slice_from_string("bc"), 0, slice_from_string(""));
        assert_int_equal(b.entries, 3);
        assert_int_equal(b.key_bytes, 8);
        assert_int_equal(block_builder_bytes(&b), sizeof expected);
        ASSERT_OK(block_builder_finish(&b, &raw));
        assert_int_equal(raw.size, sizeof expected);
        assert_memory_equal(raw.data, expected, sizeof expected);
        block_builder_clear(&b);
    }
    block_builder_deinit(&b);
}

TEST(block_builder, without_entries_is_a_zero_count) {
    block_builder b;
    slice raw;
    block_builder_init(&b, 16);
    ASSERT_OK(block_builder_finish(&b, &raw));
    assert_int_equal(raw.size, 4);
    assert_int_equal(decode_fixed32(raw.data), 0);
    block_builder_deinit(&b);
}

TEST(block_builder, an_entry_lost_for_want_of_memory_fails_the_block) {
    uint8_t value[5000] = {0};
    for (uint64_t countdown = 1; countdown < 4; countdown++) {
        block_builder b;
        slice raw;
        block_builder_init(&b, 1);
        memory_fail_after(countdown, false);
        block_builder_add(&b, slice_from_string("a"), 0, slice_of(value, 10));
        block_builder_add(&b, slice_from_string("b"), 0, slice_of(value, sizeof value));
        memory_fail_after(0, false);
        assert_int_equal(b.entries, 2);
        ASSERT_CODE(block_builder_finish(&b, &raw), FIRN_NO_MEMORY);
        assert_false(slice_is_set(raw));
        block_builder_deinit(&b);
    }
}

TEST_MAIN(RUN(block_builder, writes_the_bytes_the_format_draws),
          RUN(block_builder, without_entries_is_a_zero_count),
          RUN(block_builder, an_entry_lost_for_want_of_memory_fails_the_block))
