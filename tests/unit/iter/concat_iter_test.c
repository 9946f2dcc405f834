#include "iter/concat_iter.h"

#include "array_iter.h"
#include "iter_model.h"
#include "lib/test.h"
#include "platform/memory.h"

enum { CONCAT_SOURCES_MAX = 12 };

typedef struct concat_fixture {
    iter_model whole;
    size_t begin[CONCAT_SOURCES_MAX + 1]; /* source i is [begin[i], begin[i + 1]) */
    size_t sources;
    array_iter_plan plan;
    uint64_t opens, open_fail_after;
    bool wide; /* the largest key of a source is given as just below the next source */
    bool released;
    iter *it;
} concat_fixture;

static bool concat_entry_is_below(const concat_fixture *f, size_t position, internal_key target) {
    const iter_entry *e = &f->whole.entries[position];
    internal_key key = {slice_of(e->key, e->key_bytes)};
    return key_order_compare(f->whole.order, key, target) < 0;
}

static size_t concat_find(void *context, internal_key target) {
    concat_fixture *f = context;
    size_t i = 0;
    for (; i < f->sources; i++) {
        if (f->begin[i] == f->begin[i + 1])
            continue; /* an empty source has no largest key */
        if (!concat_entry_is_below(f, f->begin[i + 1] - 1, target))
            break;
        bool last = f->begin[i + 1] == f->whole.count;
        if (f->wide && (last || !concat_entry_is_below(f, f->begin[i + 1], target)))
            break;
    }
    return i;
}

static status concat_open(void *context, size_t position, iter **out) {
    concat_fixture *f = context;
    *out = NULL;
    assert_true(position < f->sources);
    assert_int_equal(f->plan.live, 0); /* one open at a time */
    if (f->opens++ == f->open_fail_after)
        return status_of(FIRN_CORRUPTION, "on purpose");
    size_t count = f->begin[position + 1] - f->begin[position];
    const iter_entry *entries = count ? &f->whole.entries[f->begin[position]] : NULL;
    *out = array_iter_new(&f->plan, entries, count, f->whole.order);
    return STATUS_OK;
}

static void concat_release(void *context) {
    concat_fixture *f = context;
    assert_false(f->released);
    f->released = true;
}

static concat_source concat_fixture_source(concat_fixture *f) {
    return (concat_source){f, f->sources, concat_find, concat_open, concat_release};
}

static void concat_setup(concat_fixture *f, rng *r, size_t sources, size_t entries) {
    *f = (concat_fixture){.sources = sources,
                          .open_fail_after = UINT64_MAX,
                          .wide = rng_below(r, 2)};
    for (size_t i = 0; i < entries; i++) {
        uint8_t key[4];
        size_t size = 1 + rng_below(r, 4);
        for (size_t k = 0; k < size; k++)
            key[k] = (uint8_t)rng_below(r, 6);
        iter_model_add(&f->whole, slice_of(key, size), (uint64_t)(i + 1) << 8 | OP_PUT,
                       slice_of(key, rng_below(r, 5)));
    }
    iter_model_sort(&f->whole);
    for (size_t i = 1; i < sources; i++) {
        size_t left = f->whole.count - f->begin[i - 1];
        /* Often empty. */
        f->begin[i] = f->begin[i - 1] + (rng_below(r, 3) ? rng_below(r, left / 2 + 1) : 0);
    }
    if (sources)
        f->begin[sources] = rng_below(r, 4) ? f->whole.count : f->begin[sources - 1];
    while (f->whole.count > f->begin[sources])
        free((void *)(uintptr_t)f->whole.entries[--f->whole.count].key);
    f->plan = (array_iter_plan){.run_max = 1 + (uint32_t)rng_below(r, 9), .fail_after = UINT64_MAX};
    rng_init(&f->plan.random, rng_next(r));
    concat_source source = concat_fixture_source(f);
    ASSERT_OK(concat_iter_new(&source, &f->it));
}

static void concat_teardown(concat_fixture *f) {
    assert_false(f->released);
    iter_free(f->it);
    assert_true(f->released);
    assert_int_equal(f->plan.live, 0);
    iter_model_deinit(&f->whole);
}

TEST(concat_iter, all_moves_agree_with_model) {
    rng r;
    rng_init(&r, test_seed());
    for (size_t sources = 0; sources <= CONCAT_SOURCES_MAX; sources++) {
        for (unsigned round = 0; round < 8; round++) {
            concat_fixture f;
            concat_setup(&f, &r, sources, sources ? (size_t)rng_below(&r, 30) * round : 0);
            iter_model_expect_all(&f.whole, f.it);
            iter_model_walk(&f.whole, f.it, &r, test_scaled(60));
            concat_teardown(&f);
        }
    }
}

TEST(concat_iter, seeking_twice_into_a_source_opens_it_once) {
    rng r;
    rng_init(&r, 1);
    concat_fixture f;
    concat_setup(&f, &r, 1, 50);
    f.begin[1] = f.whole.count;
    iter_seek_first(f.it);
    iter_seek_last(f.it);
    iter_seek_first(f.it);
    assert_int_equal(f.opens, 1);
    concat_teardown(&f);
}

TEST(concat_iter, names_the_source_an_entry_came_from) {
    rng r;
    rng_init(&r, test_seed());
    concat_fixture f;
    concat_setup(&f, &r, 5, 100);
    size_t position = 0, source = 0;
    for (iter_seek_first(f.it); iter_valid(f.it); iter_next(f.it), position++) {
        while (position >= f.begin[source + 1])
            source++;
        assert_ptr_equal(iter_origin(f.it), &f.whole.entries[f.begin[source]]);
    }
    assert_int_equal(position, f.whole.count);
    concat_teardown(&f);
}

TEST(concat_iter, runs_are_the_childs_own) {
    rng r;
    rng_init(&r, 2);
    concat_fixture f;
    concat_setup(&f, &r, 1, 200);
    f.plan.run_max = 1000;
    uint64_t longest = 0;
    for (unsigned i = 0; i < 50; i++) {
        iter_seek_first(f.it);
        longest = f.it->count > longest ? f.it->count : longest;
        assert_true(f.plan.loads == i + 1);
    }
    assert_true(f.whole.count == 0 || longest > 1);
    concat_teardown(&f);
}

static bool concat_walk_until_error(concat_fixture *f, uint64_t seed, firn_status code) {
    rng r;
    rng_init(&r, seed);
    for (unsigned i = 0; i < 12; i++) {
        size_t position = iter_model_random_seek(&f->whole, f->it, &r);
        for (unsigned move = 0;; move++) {
            if (!status_is_ok(f->it->st)) {
                assert_int_equal(f->it->count, 0);
                ASSERT_CODE(f->it->st, code);
                return false;
            }
            iter_model_expect(&f->whole, f->it, position);
            if (!iter_valid(f->it) || move == 40)
                break;
            if (i % 2) {
                iter_next(f->it);
                position++;
            } else {
                iter_prev(f->it);
                position--;
            }
        }
    }
    return true;
}

TEST(concat_iter, failing_to_open_or_to_read_ends_it_and_a_seek_revives_it) {
    rng r;
    rng_init(&r, test_seed());
    for (unsigned round = 0; round < 10; round++) {
        concat_fixture f;
        concat_setup(&f, &r, 6, 60);
        uint64_t seed = rng_next(&r);
        for (int opening = 0; opening < 2; opening++) {
            bool survived = false;
            for (uint64_t n = 0; !survived; n++) {
                f.opens = f.plan.loads = 0;
                *(opening ? &f.open_fail_after : &f.plan.fail_after) = n;
                survived =
                    concat_walk_until_error(&f, seed, opening ? FIRN_CORRUPTION : FIRN_IO_ERROR);
                assert_int_equal(survived, (opening ? f.opens : f.plan.loads) <= n);
                f.open_fail_after = f.plan.fail_after = UINT64_MAX;
                iter_model_walk(&f.whole, f.it, &r, 2);
            }
        }
        concat_teardown(&f);
    }
}

TEST(concat_iter, short_memory_releases_the_source) {
    concat_fixture f = {.sources = 3};
    concat_source source = concat_fixture_source(&f);
    iter *it = (iter *)&f;
    memory_fail_after(1, false);
    ASSERT_CODE(concat_iter_new(&source, &it), FIRN_NO_MEMORY);
    memory_fail_after(0, false);
    assert_null(it);
    assert_true(f.released);
}

TEST_MAIN(RUN(concat_iter, all_moves_agree_with_model),
          RUN(concat_iter, seeking_twice_into_a_source_opens_it_once),
          RUN(concat_iter, names_the_source_an_entry_came_from),
          RUN(concat_iter, runs_are_the_childs_own),
          RUN(concat_iter, failing_to_open_or_to_read_ends_it_and_a_seek_revives_it),
          RUN(concat_iter, short_memory_releases_the_source))
