#include "iter/checked_iter.h"

#include <stdio.h>

#include "array_iter.h"
#include "iter/merging_iter.h"
#include "iter_model.h"
#include "lib/test.h"
#include "platform/memory.h"

static iter *checked_test_wrap(iter *inner, const checked_iter_args *args) {
    iter *it = NULL;
    ASSERT_OK(checked_iter_new(inner, args, &it));
    return it;
}

TEST(checked_iter, shows_what_the_other_one_has) {
    rng r;
    rng_init(&r, test_seed());
    for (size_t count = 0; count < 200; count = count * 2 + 1) {
        iter_model m = {0};
        iter_model_fill(&m, &r, count);
        array_iter_plan plan = {.run_max = 1 + (uint32_t)(count % 37), .fail_after = UINT64_MAX};
        rng_init(&plan.random, 1);
        checked_iter_args args = {.owns = true};
        iter *it = checked_test_wrap(array_iter_new(&plan, m.entries, m.count, m.order), &args);
        iter_model_expect_all(&m, it);
        iter_model_walk(&m, it, &r, test_scaled(200));
        if (iter_valid(it))
            assert_ptr_equal(iter_origin(it), m.entries);
        iter_free(it);
        assert_int_equal(plan.live, 0);
        iter_model_deinit(&m);
    }
}

TEST(checked_iter, hands_on_errors_and_lack_of_memory) {
    iter_model m = {0};
    for (uint64_t i = 1; i < 9; i++)
        iter_model_add(&m, slice_from_string("k"), i << 8 | OP_PUT, slice_from_string("v"));
    iter_model_sort(&m);
    array_iter_plan plan = {.run_max = 1, .fail_after = 1};
    rng_init(&plan.random, 1);
    checked_iter_args args = {.owns = true};
    iter *it = checked_test_wrap(array_iter_new(&plan, m.entries, m.count, m.order), &args);
    iter_seek_first(it);
    assert_true(iter_valid(it));
    iter_next(it);
    assert_false(iter_valid(it));
    ASSERT_CODE(it->st, FIRN_IO_ERROR);
    memory_fail_after(1, false);
    iter_seek_first(it);
    memory_fail_after(0, false);
    assert_false(iter_valid(it));
    ASSERT_CODE(it->st, FIRN_NO_MEMORY);
    iter_seek_first(it);
    assert_true(iter_valid(it));
    iter_free(it);
    iter_model_deinit(&m);
}

/* A source that shows an array as it is, whatever order that has. */
typedef struct bent_iter {
    iter base;
    const iter_entry *entries;
    uint32_t count, run_max;
    uint32_t seek_error; /* how far beside its target a seek ends */
} bent_iter;

static void bent_load(bent_iter *it, uint32_t begin, uint32_t position) {
    if (position >= it->count) {
        iter_set_end(&it->base, STATUS_OK);
        return;
    }
    it->base.run = it->entries + begin;
    it->base.count = it->count - begin < it->run_max ? it->count - begin : it->run_max;
    it->base.index = position - begin;
}

static uint32_t bent_begin(const bent_iter *it) {
    return (uint32_t)(it->base.run - it->entries);
}

static void bent_seek_first(iter *base) {
    bent_load((bent_iter *)base, 0, ((bent_iter *)base)->seek_error);
}

static void bent_seek_last(iter *base) {
    bent_iter *it = (bent_iter *)base;
    uint32_t begin = (it->count - 1) / it->run_max * it->run_max;
    bent_load(it, begin, it->count - 1 - it->seek_error);
}

static void bent_seek(iter *base, internal_key target) {
    bent_iter *it = (bent_iter *)base;
    (void)target;
    bent_load(it, 0, it->seek_error);
}

static void bent_next_run(iter *base) {
    bent_iter *it = (bent_iter *)base;
    uint32_t position = bent_begin(it) + base->count;
    bent_load(it, position, position);
}

static void bent_prev_run(iter *base) {
    bent_iter *it = (bent_iter *)base;
    uint32_t begin = bent_begin(it);
    if (begin == 0)
        iter_set_end(base, STATUS_OK);
    else
        bent_load(it, begin - it->run_max, begin - 1);
}

static void bent_release(iter *base) {
    (void)base;
}

static const iter_methods bent_methods = {
    .seek_first = bent_seek_first,
    .seek_last = bent_seek_last,
    .seek = bent_seek,
    .next_run = bent_next_run,
    .prev_run = bent_prev_run,
    .release = bent_release,
};

static void bent_report(void *context, const char *what) {
    snprintf(context, 100, "%s", what);
}

typedef struct bent_walk {
    const char *keys; /* of one byte each */
    uint32_t run_max; /* entries of a run */
    uint32_t seek_error;
    char start; /* f(irst), l(ast), or a key to seek */
    bool forward;
    const char *report; /* part of it; NULL: all is well */
} bent_walk;

static void bent_check(const bent_walk *walk) {
    iter_model m = {0};
    for (const char *k = walk->keys; *k; k++)
        iter_model_add(&m, slice_of(k, 1), 1 << 8 | OP_PUT, slice_from_string("v"));
    bent_iter bent = {.base.methods = &bent_methods,
                      .entries = m.entries,
                      .count = (uint32_t)m.count,
                      .run_max = walk->run_max,
                      .seek_error = walk->seek_error};
    char reported[100] = "";
    checked_iter_args args = {.report = bent_report, .context = reported};
    iter *it = checked_test_wrap(&bent.base, &args);
    if (walk->start == 'f') {
        iter_seek_first(it);
    } else if (walk->start == 'l') {
        iter_seek_last(it);
    } else {
        seek_key target;
        ASSERT_OK(seek_key_init(&target, user_key_of(slice_of(&walk->start, 1)), SEQNO_MAX));
        iter_seek(it, target.key);
        seek_key_deinit(&target);
    }
    while (iter_valid(it)) {
        if (walk->forward)
            iter_next(it);
        else
            iter_prev(it);
    }
    if (walk->report) {
        assert_non_null(strstr(reported, walk->report));
        ASSERT_CODE(it->st, FIRN_CORRUPTION);
    } else {
        assert_string_equal(reported, "");
        ASSERT_OK(it->st);
    }
    iter_free(it);
    iter_model_deinit(&m);
}

TEST(checked_iter, finds_wrong_orders_and_seeks_that_end_elsewhere) {
    static const bent_walk walks[] = {
        {"abcdefg", 3, 0, 'f', true, NULL},
        {"abcdefg", 3, 0, 'l', false, NULL},
        {"abdcefg", 7, 0, 'f', true, "do not ascend"},
        {"abdcefg", 7, 0, 'l', false, "do not ascend"},
        {"abbcefg", 7, 0, 'f', true, "do not ascend"},
        {"abdcefg", 3, 0, 'f', true, "has not led forward"},
        {"abdcefg", 3, 0, 'l', false, "has not led backward"},
        {"abddefg", 3, 0, 'f', true, "has not led forward"},
        {"abddefg", 3, 0, 'l', false, "has not led backward"},
        {"abcdefg", 3, 1, 'f', true, "to the first entry has not led"},
        {"abcdefg", 7, 1, 'l', false, "to the last entry has not led"},
        {"hijklmn", 7, 2, 'j', true, NULL},
        {"hijklmn", 7, 1, 'j', true, "from its target on"},
        {"hijklmn", 7, 3, 'j', true, "from its target on"},
    };
    for (size_t i = 0; i < sizeof walks / sizeof *walks; i++)
        bent_check(&walks[i]);
}

/* The bytes may not be touched under AddressSanitizer: allowed again here, to see what they are. */
TEST(checked_iter, overwrites_what_it_returned_when_it_moves_on) {
    iter_model m = {0};
    for (const char *c = "abcdefghij"; *c; c++)
        iter_model_add(&m, slice_of(c, 1), 1 << 8 | OP_PUT, slice_from_string("value"));
    array_iter_plan plan = {.run_max = 1, .fail_after = UINT64_MAX};
    rng_init(&plan.random, 1);
    checked_iter_args args = {.owns = true};
    for (int way = 0; way < 4; way++) {
        iter *it = checked_test_wrap(array_iter_new(&plan, m.entries, m.count, m.order), &args);
        seek_key target;
        ASSERT_OK(seek_key_init(&target, user_key_of(slice_from_string("d")), SEQNO_MAX));
        iter_seek(it, target.key);
        const uint8_t *key = iter_key(it).s.data, *value = iter_value(it).data;
        assert_int_equal(key[0], 'd');
        if (way == 0)
            iter_next(it);
        else if (way == 1)
            iter_prev(it);
        else if (way == 2)
            iter_seek(it, target.key);
        else
            iter_announce_seek(it, target.key);
        seek_key_deinit(&target);
        memory_allow((void *)(uintptr_t)key, 9);
        memory_allow((void *)(uintptr_t)value, 5);
        assert_int_equal(key[0], 0xdb);
        assert_int_equal(value[4], 0xdb);
        iter_free(it);
    }
    iter_model_deinit(&m);
}

/* A merge over checked sources, under checks itself, as debug builds read. */
TEST(checked_iter, lets_a_merge_of_checked_sources_be) {
    rng r;
    rng_init(&r, test_seed());
    for (size_t sources = 2; sources < 9; sources++) {
        iter_model all = {0}, parts[8] = {0};
        array_iter_plan plan = {.run_max = 5, .fail_after = UINT64_MAX};
        rng_init(&plan.random, sources);
        checked_iter_args args = {.owns = true};
        iter *children[8], *merged;
        for (uint64_t i = 0; i < 400; i++) {
            uint64_t user = rng_below(&r, 200);
            slice key = slice_of(&user, 1 + i % 2);
            iter_model_add(&all, key, (i + 1) << 8 | OP_PUT, slice_of(&i, 3));
            iter_model_add(&parts[rng_below(&r, sources)], key, (i + 1) << 8 | OP_PUT,
                           slice_of(&i, 3));
        }
        iter_model_sort(&all);
        for (size_t i = 0; i < sources; i++) {
            iter_model_sort(&parts[i]);
            children[i] = checked_test_wrap(array_iter_new(&plan, parts[i].entries, parts[i].count,
                                                           all.order),
                                            &args);
        }
        ASSERT_OK(merging_iter_new(all.order, children, sources, &merged));
        iter *it = checked_test_wrap(merged, &args);
        iter_model_expect_all(&all, it);
        iter_model_walk(&all, it, &r, test_scaled(100));
        iter_free(it);
        assert_int_equal(plan.live, 0);
        for (size_t i = 0; i < sources; i++)
            iter_model_deinit(&parts[i]);
        iter_model_deinit(&all);
    }
}

TEST_MAIN(RUN(checked_iter, shows_what_the_other_one_has),
          RUN(checked_iter, hands_on_errors_and_lack_of_memory),
          RUN(checked_iter, finds_wrong_orders_and_seeks_that_end_elsewhere),
          RUN(checked_iter, overwrites_what_it_returned_when_it_moves_on),
          RUN(checked_iter, lets_a_merge_of_checked_sources_be))
