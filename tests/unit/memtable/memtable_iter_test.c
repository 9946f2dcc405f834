#include "memtable/memtable.h"

#include "iter/merging_iter.h"
#include "lib/test.h"
#include "unit/iter/iter_model.h"

static void memtable_iter_test_put(memtable *m, uint64_t number, seqno sequence) {
    uint8_t key[8];
    for (int i = 0; i < 8; i++)
        key[i] = (uint8_t)(number >> (56 - 8 * i));
    ASSERT_OK(memtable_add(m, sequence, OP_PUT, user_key_of(slice_of(key, 8)), FIRN_STR("v")));
}

static uint64_t memtable_iter_test_number(const iter *it) {
    return key_head(internal_key_user(iter_key(it)).s);
}

TEST(memtable_iter, runs_grow_while_it_goes_on) {
    memtable *m = NULL;
    ASSERT_OK(memtable_new((key_order){NULL}, 1 << 20, &m));
    for (uint64_t n = 1; n <= 1000; n++)
        memtable_iter_test_put(m, n, n);
    iter *it = NULL;
    ASSERT_OK(memtable_iter_new(m, &it));
    seek_key seek;
    ASSERT_OK(seek_key_init(&seek, user_key_of(FIRN_STR("")), SEQNO_MAX));
    iter_seek(it, seek.key);
    assert_int_equal(it->count, 1);
    uint32_t longest = 0;
    while (iter_valid(it)) {
        longest = it->count > longest ? it->count : longest;
        it->index = it->count - 1;
        iter_next(it);
    }
    assert_int_equal(longest, 64);
    iter_seek_last(it);
    assert_int_equal(it->count, 1);
    uint32_t runs = 0;
    for (; iter_valid(it); runs++) {
        it->index = 0;
        iter_prev(it);
    }
    assert_in_range(runs, 1000 / 64, 200);
    iter_free(it);
    seek_key_deinit(&seek);
    memtable_unref(m);
}

/* What was there before the iterator passed is met exactly once, in order, whatever is added around
 * it meanwhile. */
static void memtable_iter_check_added_meanwhile(bool forward, uint64_t seed) {
    rng r;
    rng_init(&r, seed);
    memtable *m = NULL;
    ASSERT_OK(memtable_new((key_order){NULL}, 1 << 20, &m));
    enum { MEMTABLE_ITER_NUMBERS = 4000 };
    static bool there[MEMTABLE_ITER_NUMBERS];
    memset(there, 0, sizeof there);
    seqno sequence = 1;
    for (int i = 0; i < 500; i++) {
        uint64_t number = rng_below(&r, MEMTABLE_ITER_NUMBERS);
        if (!there[number])
            memtable_iter_test_put(m, number, sequence++);
        there[number] = true;
    }
    iter *it = NULL;
    ASSERT_OK(memtable_iter_new(m, &it));
    int64_t last = forward ? -1 : MEMTABLE_ITER_NUMBERS;
    static bool old[MEMTABLE_ITER_NUMBERS];
    memcpy(old, there, sizeof there);
    if (forward)
        iter_seek_first(it);
    else
        iter_seek_last(it);
    while (iter_valid(it)) {
        int64_t now = (int64_t)memtable_iter_test_number(it);
        assert_true(forward ? now > last : now < last);
        assert_true(there[now]);
        for (int64_t n = forward ? last + 1 : now + 1; n < (forward ? now : last); n++)
            assert_false(old[n]);
        last = now;
        for (uint64_t adds = rng_below(&r, 5); adds > 0; adds--) {
            uint64_t near = (uint64_t)now + rng_below(&r, 40);
            uint64_t number = rng_below(&r, 2)
                                  ? rng_below(&r, MEMTABLE_ITER_NUMBERS)
                                  : (near > 20 ? near - 20 : 0) % MEMTABLE_ITER_NUMBERS;
            if (!there[number])
                memtable_iter_test_put(m, number, sequence++);
            there[number] = true;
        }
        if (forward)
            iter_next(it);
        else
            iter_prev(it);
    }
    iter_free(it);
    memtable_unref(m);
}

TEST(memtable_iter, stays_in_order_while_entries_are_added) {
    uint64_t seed = test_seed();
    for (uint64_t i = 0; i < 20; i++) {
        memtable_iter_check_added_meanwhile(true, seed + i);
        memtable_iter_check_added_meanwhile(false, seed + i);
    }
}

/* What was read of a leaf is given out as it was; turning round reads it again. */
TEST(memtable_iter, turning_round_meets_entries_added_meanwhile) {
    memtable *m = NULL;
    ASSERT_OK(memtable_new((key_order){NULL}, 1 << 20, &m));
    memtable_iter_test_put(m, 10, 1);
    memtable_iter_test_put(m, 20, 2);
    iter *it = NULL;
    ASSERT_OK(memtable_iter_new(m, &it));
    iter_seek_last(it);
    assert_int_equal(memtable_iter_test_number(it), 20);
    memtable_iter_test_put(m, 15, 3);
    iter_prev(it);
    assert_int_equal(memtable_iter_test_number(it), 10);
    memtable_iter_test_put(m, 17, 4);
    iter_next(it);
    assert_int_equal(memtable_iter_test_number(it), 15);
    iter_next(it);
    assert_int_equal(memtable_iter_test_number(it), 17);
    iter_next(it);
    assert_int_equal(memtable_iter_test_number(it), 20);
    iter_next(it);
    assert_false(iter_valid(it));
    iter_free(it);
    memtable_unref(m);
}

/* The merge's own bookkeeping must hold when its sources grow between any two moves. */
TEST(memtable_iter, merging_growing_memtables_stays_in_order_through_turns) {
    rng r;
    rng_init(&r, test_seed());
    for (uint64_t round = 0; round < test_scaled(30); round++) {
        memtable *tables[3];
        iter *children[3], *it = NULL;
        seqno sequence = 1;
        for (int i = 0; i < 3; i++) {
            ASSERT_OK(memtable_new((key_order){NULL}, 1 << 20, &tables[i]));
            ASSERT_OK(memtable_iter_new(tables[i], &children[i]));
        }
        for (; sequence <= 60; sequence++)
            memtable_iter_test_put(tables[rng_below(&r, 20) ? 0 : rng_below(&r, 3)],
                                   rng_below(&r, 1000), sequence);
        ASSERT_OK(merging_iter_new((key_order){NULL}, children, 3, &it));
        iter_seek_first(it);
        for (int turn = 0; turn < 40; turn++) {
            bool forward = rng_below(&r, 2);
            for (uint64_t move = rng_below(&r, 12); move > 0 && iter_valid(it); move--) {
                /* The bytes live as long as the memtables. */
                internal_key before = iter_key(it);
                memtable_iter_test_put(tables[rng_below(&r, 3)], rng_below(&r, 1000), sequence++);
                if (forward)
                    iter_next(it);
                else
                    iter_prev(it);
                if (!iter_valid(it))
                    break;
                int order = key_order_compare((key_order){NULL}, before, iter_key(it));
                assert_true(forward ? order < 0 : order > 0);
            }
            ASSERT_OK(it->st);
            if (!iter_valid(it) && forward)
                iter_seek_last(it);
            else if (!iter_valid(it))
                iter_seek_first(it);
        }
        iter_free(it);
        for (int i = 0; i < 3; i++)
            memtable_unref(tables[i]);
    }
}

TEST(memtable_iter, walks_agree_with_model_on_long_lists) {
    rng r;
    rng_init(&r, test_seed());
    memtable *m = NULL;
    iter_model model = {0};
    ASSERT_OK(memtable_new((key_order){NULL}, 1 << 20, &m));
    for (seqno sequence = 1; sequence <= test_scaled(20000); sequence++) {
        uint64_t number = rng_next(&r);
        slice user = slice_of(&number, 8);
        ASSERT_OK(memtable_add(m, sequence, OP_PUT, user_key_of(user), user));
        iter_model_add(&model, user, key_trailer_pack(sequence, OP_PUT), user);
    }
    iter_model_sort(&model);
    iter *it = NULL;
    ASSERT_OK(memtable_iter_new(m, &it));
    iter_model_expect_all(&model, it);
    iter_model_walk(&model, it, &r, test_scaled(500));
    iter_free(it);
    memtable_unref(m);
    iter_model_deinit(&model);
}

TEST_MAIN(RUN(memtable_iter, runs_grow_while_it_goes_on),
          RUN(memtable_iter, stays_in_order_while_entries_are_added),
          RUN(memtable_iter, turning_round_meets_entries_added_meanwhile),
          RUN(memtable_iter, merging_growing_memtables_stays_in_order_through_turns),
          RUN(memtable_iter, walks_agree_with_model_on_long_lists))
