#include "iter/iter.h"

#include "array_iter.h"
#include "iter_model.h"
#include "lib/test.h"
#include "platform/memory.h"

/* The walk holds seek_for_prev against the model, and the iterator the other tests rely on too. */
TEST(iter, array_and_seek_for_prev_agree_with_model) {
    rng r;
    rng_init(&r, test_seed());
    for (size_t count = 0; count < 200; count = count * 2 + 1) {
        iter_model m = {0};
        iter_model_fill(&m, &r, count);
        array_iter_plan plan = {.run_max = 1 + (uint32_t)(count % 7), .fail_after = UINT64_MAX};
        rng_init(&plan.random, 1);
        iter *it = array_iter_new(&plan, m.entries, m.count, m.order);
        iter_model_expect_all(&m, it);
        iter_model_walk(&m, it, &r, test_scaled(200));
        iter_free(it);
        assert_int_equal(plan.live, 0);
        iter_model_deinit(&m);
    }
}

TEST(iter, seek_for_prev_keeps_the_error_of_any_step) {
    iter_model m = {0};
    iter_model_add(&m, slice_from_string("b"), 9 << 8, slice_of("", 0));
    for (uint64_t fail_after = 0; fail_after < 2; fail_after++) {
        for (int beyond = 0; beyond < 2; beyond++) {
            array_iter_plan plan = {.run_max = 1, .fail_after = fail_after};
            iter *it = array_iter_new(&plan, m.entries, m.count, m.order);
            seek_key target;
            ASSERT_OK(
                seek_key_init(&target, user_key_of(slice_from_string(beyond ? "c" : "a")), 5));
            iter_seek_for_prev(it, target.key, m.order);
            assert_false(iter_valid(it));
            ASSERT_CODE(it->st, FIRN_IO_ERROR);
            seek_key_deinit(&target);
            iter_free(it);
        }
    }
    iter_model_deinit(&m);
}

TEST(iter, empty_iterator_keeps_its_status_through_seeks) {
    status all[] = {STATUS_OK, status_of(FIRN_CORRUPTION, "on purpose")};
    for (size_t i = 0; i < 2; i++) {
        iter *it = NULL;
        ASSERT_OK(iter_new_empty(all[i], &it));
        seek_key target;
        ASSERT_OK(seek_key_init(&target, user_key_of(slice_of("", 0)), 1));
        for (int move = 0; move < 5; move++) {
            assert_false(iter_valid(it));
            assert_int_equal(it->count, 0);
            ASSERT_CODE(it->st, all[i].code);
            if (move == 0)
                iter_seek_first(it);
            else if (move == 1)
                iter_seek_last(it);
            else if (move == 2)
                iter_seek(it, target.key);
            else
                iter_seek_for_prev(it, target.key, (key_order){NULL});
        }
        seek_key_deinit(&target);
        iter_free(it);
    }
    iter_free(NULL);
}

TEST(iter, empty_iterator_reports_short_memory) {
    iter *it = (iter *)&it;
    memory_fail_after(1, false);
    ASSERT_CODE(iter_new_empty(STATUS_OK, &it), FIRN_NO_MEMORY);
    memory_fail_after(0, false);
    assert_null(it);
}

TEST_MAIN(RUN(iter, array_and_seek_for_prev_agree_with_model),
          RUN(iter, seek_for_prev_keeps_the_error_of_any_step),
          RUN(iter, empty_iterator_keeps_its_status_through_seeks),
          RUN(iter, empty_iterator_reports_short_memory))
