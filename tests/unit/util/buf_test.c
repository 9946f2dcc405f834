#include "util/buf.h"

#include <stdlib.h>
#include <string.h>

#include "lib/test.h"
#include "platform/memory.h"
#include "util/rng.h"

TEST(buf, appends_keep_all_bytes_over_many_growths) {
    rng r;
    rng_init(&r, test_seed());
    enum { TOTAL_MAX = 100000 };
    uint8_t *model = malloc(TOTAL_MAX);
    assert_non_null(model);
    size_t size = 0;
    buf b = {0};
    while (size < TOTAL_MAX - 600) {
        size_t piece = rng_below(&r, 600);
        if (rng_below(&r, 4) == 0) {
            memset(model + size, 0, piece);
            buf_append_zeros(&b, piece);
        } else {
            for (size_t i = 0; i < piece; i++)
                model[size + i] = (uint8_t)rng_next(&r);
            buf_append_slice(&b, slice_of(model + size, piece));
        }
        size += piece;
    }
    ASSERT_OK(buf_status(&b));
    assert_int_equal(b.size, size);
    assert_memory_equal(b.data, model, size);
    buf_deinit(&b);
    free(model);
}

TEST(buf, empty_one_gives_a_set_slice) {
    buf b = {0};
    assert_true(slice_is_set(buf_slice(&b)));
    assert_int_equal(buf_slice(&b).size, 0);
    buf_append(&b, NULL, 0);
    ASSERT_OK(buf_status(&b));
    assert_int_equal(b.size, 0);
    buf_deinit(&b);
}

TEST(buf, reserve_gives_room_and_does_not_change_the_size) {
    buf b = {0};
    for (size_t extra = 0; extra < 3000; extra = extra * 2 + 1) {
        uint8_t *room = buf_reserve(&b, extra);
        assert_non_null(room);
        memset(room, 0xee, extra);
        assert_true(b.capacity - b.size >= extra);
    }
    assert_int_equal(b.size, 0);
    buf_deinit(&b);
}

TEST(buf, growth_by_single_bytes_moves_seldom) {
    buf b = {0};
    int moves = 0;
    for (size_t i = 0; i < 100000; i++) {
        size_t before = b.capacity;
        buf_append(&b, "x", 1);
        moves += b.capacity != before;
    }
    assert_in_range(moves, 1, 20);
    buf_deinit(&b);
}

TEST(buf, clear_keeps_the_memory) {
    buf b = {0};
    buf_append_zeros(&b, 5000);
    uint8_t *before = b.data;
    buf_clear(&b);
    buf_append(&b, "abc", 3);
    assert_ptr_equal(b.data, before);
    assert_int_equal(b.size, 3);
    buf_deinit(&b);
    assert_null(b.data);
}

TEST(buf, printf_appends_text_of_any_length) {
    char long_text[1000];
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = 0;
    for (int length = 0; length < 999; length++) {
        buf b = {0};
        buf_append(&b, "<", 1);
        buf_printf(&b, "%.*s%c", length, long_text, '>');
        ASSERT_OK(buf_status(&b));
        assert_int_equal(b.size, length + 2);
        assert_int_equal(b.data[0], '<');
        assert_memory_equal(b.data + 1, long_text, (size_t)length);
        assert_int_equal(b.data[length + 1], '>');
        buf_deinit(&b);
    }
}

TEST(buf, failed_append_sticks_until_cleared_and_keeps_earlier_bytes) {
    buf b = {0};
    buf_append(&b, "before", 6);
    memory_fail_after(1, true);
    buf_append_zeros(&b, 10000);
    memory_fail_after(0, false);
    ASSERT_CODE(buf_status(&b), FIRN_NO_MEMORY);
    buf_append(&b, "x", 1);
    buf_printf(&b, "y");
    assert_null(buf_reserve(&b, 1));
    assert_int_equal(b.size, 6);
    assert_memory_equal(b.data, "before", 6);
    buf_clear(&b);
    buf_append(&b, "after", 5);
    ASSERT_OK(buf_status(&b));
    assert_memory_equal(b.data, "after", 5);
    buf_deinit(&b);
}

TEST(buf, impossible_size_is_refused_not_wrapped) {
    buf b = {0};
    buf_append(&b, "abc", 3);
    assert_null(buf_reserve(&b, SIZE_MAX - 1));
    ASSERT_CODE(buf_status(&b), FIRN_NO_MEMORY);
    buf_deinit(&b);
}

TEST_MAIN(RUN(buf, appends_keep_all_bytes_over_many_growths), RUN(buf, empty_one_gives_a_set_slice),
          RUN(buf, reserve_gives_room_and_does_not_change_the_size),
          RUN(buf, growth_by_single_bytes_moves_seldom), RUN(buf, clear_keeps_the_memory),
          RUN(buf, printf_appends_text_of_any_length),
          RUN(buf, failed_append_sticks_until_cleared_and_keeps_earlier_bytes),
          RUN(buf, impossible_size_is_refused_not_wrapped))
