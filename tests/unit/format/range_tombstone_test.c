#include "format/range_tombstone.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/test.h"
#include "platform/memory.h"
#include "util/rng.h"

enum { RANGE_KEYS = 40, RANGE_TOMBSTONES = 24 };

static char range_names[RANGE_KEYS + 1][8];

static user_key range_key(size_t i) {
    return user_key_of(slice_of(range_names[i], (size_t)sprintf(range_names[i], "%03zu", i)));
}

static int range_compare_reversed(void *context, firn_slice a, firn_slice b) {
    (void)context;
    return slice_compare(b, a);
}

static const firn_comparator range_reversed = {"reversed", NULL, range_compare_reversed};

/* What covers, asked tombstone by tombstone. */
static seqno range_cover_slowly(key_order order, const range_tombstone *t, uint32_t count,
                                user_key key, seqno at) {
    seqno newest = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (key_order_compare_user(order, t[i].begin, key) <= 0 &&
            key_order_compare_user(order, key, t[i].end) < 0 && t[i].sequence <= at &&
            t[i].sequence > newest)
            newest = t[i].sequence;
    }
    return newest;
}

static bool range_always(void *context, seqno newer, seqno older) {
    (void)context;
    return newer > older;
}

static void range_check_shape(const range_fragments *f) {
    for (uint32_t i = 0; i < f->count; i++) {
        const range_fragment *one = &f->list[i];
        const seqno *sequences = range_fragment_sequences(f, one);
        assert_true(key_order_compare_user(f->order, one->begin, one->end) < 0);
        assert_true(one->count > 0 && one->first + one->count <= f->sequence_count);
        for (uint32_t j = 1; j < one->count; j++)
            assert_true(sequences[j - 1] > sequences[j]);
        if (i > 0)
            assert_true(key_order_compare_user(f->order, f->list[i - 1].end, one->begin) <= 0);
    }
}

static void range_check_random(rng *random, key_order order) {
    range_tombstone t[RANGE_TOMBSTONES];
    range_fragments *all, *newest;
    range_list again = {0};
    uint32_t count = (uint32_t)rng_below(random, RANGE_TOMBSTONES + 1);
    seqno at = rng_below(random, RANGE_TOMBSTONES + 4);
    for (uint32_t i = 0; i < count; i++) /* empty and turned ones too */
        t[i] = (range_tombstone){range_key(rng_below(random, RANGE_KEYS + 1)),
                                 range_key(rng_below(random, RANGE_KEYS + 1)), i + 1};
    ASSERT_OK(range_fragments_build(order, t, count, &(range_select){.at = SEQNO_MAX}, &all));
    ASSERT_OK(
        range_fragments_build(order, t, count, &(range_select){at, range_always, NULL}, &newest));
    if (all) {
        range_check_shape(all);
        /* Building from the fragments gives the fragments. */
        range_fragments *same;
        range_fragments_list(all, &again);
        ASSERT_OK(range_list_status(&again));
        ASSERT_OK(range_fragments_build(order, again.items, again.count,
                                        &(range_select){.at = SEQNO_MAX}, &same));
        assert_int_equal(same->count, all->count);
        assert_int_equal(same->bytes, all->bytes);
        memory_free(same);
    }
    for (size_t k = 0; k <= RANGE_KEYS; k++) {
        seqno expected = range_cover_slowly(order, t, count, range_key(k), at);
        assert_int_equal(all ? range_fragments_cover(all, range_key(k), at) : 0, expected);
        assert_int_equal(newest ? range_fragments_cover(newest, range_key(k), SEQNO_MAX) : 0,
                         expected);
    }
    range_list_deinit(&again);
    memory_free(all);
    memory_free(newest);
}

TEST(range_tombstone, fragments_cover_what_the_tombstones_cover) {
    rng random;
    rng_init(&random, test_seed());
    for (int i = 0; i < 2000; i++) {
        range_check_random(&random, (key_order){NULL});
        range_check_random(&random, (key_order){&range_reversed});
    }
}

TEST(range_tombstone, neighbours_alike_are_one_fragment) {
    range_fragments *f;
    const range_tombstone t[] = {{range_key(5), range_key(9), 3}, {range_key(1), range_key(5), 3}};
    ASSERT_OK(range_fragments_build((key_order){NULL}, t, 2, &(range_select){.at = SEQNO_MAX}, &f));
    assert_int_equal(f->count, 1);
    assert_int_equal(range_fragments_cover_all(f, range_key(1), range_key(8)), 3);
    assert_int_equal(range_fragments_cover_all(f, range_key(1), range_key(9)), 0);
    assert_int_equal(range_fragments_cover_all(f, range_key(0), range_key(3)), 0);
    memory_free(f);
}

TEST(range_tombstone, says_when_memory_is_short) {
    const range_tombstone t[] = {{range_key(1), range_key(5), 3}, {range_key(2), range_key(7), 4}};
    for (uint32_t fail = 1;; fail++) {
        range_fragments *f;
        memory_fail_after(fail, false);
        status st =
            range_fragments_build((key_order){NULL}, t, 2, &(range_select){.at = SEQNO_MAX}, &f);
        memory_fail_after(0, false);
        if (status_is_ok(st)) {
            assert_true(fail > 3);
            memory_free(f);
            break;
        }
        assert_int_equal(st.code, FIRN_NO_MEMORY);
        assert_null(f);
    }
}

TEST_MAIN(RUN(range_tombstone, fragments_cover_what_the_tombstones_cover),
          RUN(range_tombstone, neighbours_alike_are_one_fragment),
          RUN(range_tombstone, says_when_memory_is_short))
