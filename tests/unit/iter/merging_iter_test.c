#include "iter/merging_iter.h"

#include "array_iter.h"
#include "iter_model.h"
#include "lib/test.h"
#include "platform/memory.h"

enum { MERGING_CHILDREN_MAX = 20 };

typedef struct merging_fixture {
    iter_model whole;
    iter_model parts[MERGING_CHILDREN_MAX];
    size_t children;
    array_iter_plan plan;
    iter *it;
} merging_fixture;

static int merging_reverse(void *context, firn_slice a, firn_slice b) {
    (void)context;
    return slice_compare(b, a);
}
static const firn_comparator merging_reverse_order = {"reverse", NULL, merging_reverse};

/* Shapes of keys: short ones over few letters (ties of heads, prefixes, empty keys), ones that
 * begin alike in one of several ways (heads are taken behind a prefix, which comes and goes), and
 * full-range ones (heads say all; 0 and all-ones too). */
static slice merging_random_key(rng *r, unsigned shape, uint8_t bytes[112]) {
    size_t size;
    if (shape == 0) {
        size = rng_below(r, 5);
        for (size_t i = 0; i < size; i++)
            bytes[i] = rng_below(r, 2) ? 0xff : (uint8_t)rng_below(r, 3);
    } else if (shape == 1) {
        static const char *const begin[] = {"user0000000000", "user000000001", "a",
                                            "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"};
        const char *first = begin[rng_below(r, 4)];
        size = strlen(first);
        memcpy(bytes, first, size);
        if (rng_below(r, 4) == 0) {
            memset(bytes + size, 'p', 80);
            size += 80;
        }
        for (uint64_t digits = rng_below(r, 14); digits > 0; digits--)
            bytes[size++] = (uint8_t)('0' + rng_below(r, 3));
    } else {
        size = 8 + rng_below(r, 9);
        uint64_t pick = rng_below(r, 16);
        for (size_t i = 0; i < size; i++)
            bytes[i] = pick == 0 ? 0 : pick == 1 ? 0xff : (uint8_t)rng_next(r);
    }
    return slice_of(bytes, size);
}

/* `clustered`: neighbours tend to lie in one child, so that long pieces occur. */
static void merging_setup(merging_fixture *f, rng *r, size_t children, size_t entries,
                          key_order order) {
    *f = (merging_fixture){.children = children};
    f->whole.order = order;
    unsigned shape = (unsigned)rng_below(r, 3);
    for (size_t i = 0; i < entries; i++) {
        uint8_t bytes[112] = {0};
        slice key = merging_random_key(r, shape, bytes);
        iter_model_add(&f->whole, key, (uint64_t)(i + 1) << 8 | OP_PUT,
                       slice_of(bytes, rng_below(r, 9)));
    }
    iter_model_sort(&f->whole);
    bool clustered = rng_below(r, 2);
    size_t part = 0;
    for (size_t i = 0; i < f->whole.count && children; i++) {
        if (!clustered || rng_below(r, 20) == 0)
            part = rng_below(r, children);
        f->parts[part].order = order;
        internal_key key = {slice_of(f->whole.entries[i].key, f->whole.entries[i].key_bytes)};
        iter_model_add(&f->parts[part], internal_key_user(key).s, internal_key_trailer(key),
                       slice_of(f->whole.entries[i].value, f->whole.entries[i].value_bytes));
    }
    f->plan =
        (array_iter_plan){.run_max = 1 + (uint32_t)rng_below(r, 40), .fail_after = UINT64_MAX};
    rng_init(&f->plan.random, rng_next(r));
    iter *all[MERGING_CHILDREN_MAX] = {NULL};
    for (size_t i = 0; i < children; i++)
        all[i] = array_iter_new(&f->plan, f->parts[i].entries, f->parts[i].count, order);
    ASSERT_OK(merging_iter_new(order, all, children, &f->it));
}

static void merging_teardown(merging_fixture *f) {
    iter_free(f->it);
    assert_int_equal(f->plan.live, 0);
    for (size_t i = 0; i < f->children; i++)
        iter_model_deinit(&f->parts[i]);
    iter_model_deinit(&f->whole);
}

static void merging_check_order(key_order order) {
    rng r;
    rng_init(&r, test_seed());
    for (size_t children = 0; children <= MERGING_CHILDREN_MAX; children++) {
        for (unsigned round = 0; round < 6; round++) {
            merging_fixture f;
            size_t entries = children ? (size_t)rng_below(&r, 40) * (round + 1) : 0;
            merging_setup(&f, &r, children, entries, order);
            iter_model_expect_all(&f.whole, f.it);
            iter_model_walk(&f.whole, f.it, &r, test_scaled(40));
            merging_teardown(&f);
        }
    }
}

TEST(merging_iter, all_moves_agree_with_model) {
    merging_check_order((key_order){NULL});
}

TEST(merging_iter, all_moves_agree_with_model_under_a_custom_order) {
    merging_check_order((key_order){&merging_reverse_order});
}

TEST(merging_iter, one_child_is_given_back_and_none_is_empty) {
    iter_model m = {0};
    array_iter_plan plan = {.run_max = 1, .fail_after = UINT64_MAX};
    iter *child = array_iter_new(&plan, NULL, 0, m.order);
    iter *it = NULL;
    ASSERT_OK(merging_iter_new(m.order, &child, 1, &it));
    assert_ptr_equal(it, child);
    iter_free(it);
    assert_int_equal(plan.live, 0);
    ASSERT_OK(merging_iter_new(m.order, NULL, 0, &it));
    iter_model_expect_all(&m, it);
    iter_free(it);
}

TEST(merging_iter, hands_out_a_long_piece_without_copying) {
    iter_model parts[2] = {{0}, {0}};
    for (unsigned i = 0; i < 200; i++) {
        uint8_t key[2] = {(uint8_t)i, 0};
        iter_model_add(&parts[i == 100], slice_of(key, 2), 1 << 8 | OP_PUT, slice_of("", 0));
    }
    array_iter_plan plan = {.run_max = 1000, .fail_after = UINT64_MAX};
    rng_init(&plan.random, 1);
    iter *all[2];
    for (size_t i = 0; i < 2; i++)
        all[i] = array_iter_new(&plan, parts[i].entries, parts[i].count, parts[i].order);
    iter *big = all[0], *it = NULL;
    ASSERT_OK(merging_iter_new(parts[0].order, all, 2, &it));
    /* Forwards: all of the child's run up to the other child's only entry. */
    iter_seek_first(it);
    assert_ptr_equal(it->run, big->run + big->index);
    assert_true(it->count == 100 || it->count == big->count);
    /* Backwards: from the last one down to it. */
    iter_seek_last(it);
    assert_int_equal(it->index, it->count - 1);
    assert_ptr_equal(it->run + it->index, big->run + big->index);
    assert_true(it->count == 99 || it->count == big->count);
    iter_free(it);
    iter_model_deinit(&parts[0]);
    iter_model_deinit(&parts[1]);
}

/* Whether the model holds the entry the iterator stands on. */
static bool merging_part_has(const iter_model *part, const iter *it) {
    size_t position = iter_model_lower_bound(part, iter_key(it));
    return position < part->count && part->entries[position].key_bytes == iter_key(it).s.size &&
           !memcmp(part->entries[position].key, iter_key(it).s.data, iter_key(it).s.size);
}

TEST(merging_iter, names_the_child_an_entry_came_from) {
    rng r;
    rng_init(&r, test_seed());
    merging_fixture f;
    merging_setup(&f, &r, 4, 300, (key_order){NULL});
    for (int backward = 0; backward < 2; backward++) {
        uint64_t met = 0;
        if (backward)
            iter_seek_last(f.it);
        else
            iter_seek_first(f.it);
        for (; iter_valid(f.it); met++) {
            for (size_t i = 0; i < f.children; i++)
                assert_int_equal(iter_origin(f.it) == f.parts[i].entries,
                                 merging_part_has(&f.parts[i], f.it));
            if (backward)
                iter_prev(f.it);
            else
                iter_next(f.it);
        }
        assert_int_equal(met, 300);
    }
    merging_teardown(&f);
}

/* What a walk of seeks and moves meets; false: an error, which must be the injected one. */
static bool merging_walk_until_error(merging_fixture *f, uint64_t seed) {
    rng r;
    rng_init(&r, seed);
    for (unsigned i = 0; i < 12; i++) {
        size_t position = iter_model_random_seek(&f->whole, f->it, &r);
        for (unsigned move = 0;; move++) {
            if (!status_is_ok(f->it->st)) {
                assert_false(iter_valid(f->it));
                assert_int_equal(f->it->count, 0);
                ASSERT_CODE(f->it->st, FIRN_IO_ERROR);
                return false;
            }
            iter_model_expect(&f->whole, f->it, position);
            if (!iter_valid(f->it) || move == 40)
                break;
            if (rng_below(&r, 8) < (i % 2 ? 7u : 1u)) {
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

TEST(merging_iter, a_failing_child_ends_the_merge_and_a_seek_revives_it) {
    rng r;
    rng_init(&r, test_seed());
    for (size_t children = 2; children <= 5; children++) {
        merging_fixture f;
        merging_setup(&f, &r, children, 60, (key_order){NULL});
        uint64_t seed = rng_next(&r);
        bool survived = false;
        for (uint64_t n = 0; !survived; n++) {
            f.plan.loads = 0;
            f.plan.fail_after = n;
            survived = merging_walk_until_error(&f, seed);
            /* Every load but those never reached must have been noticed. */
            assert_int_equal(survived, f.plan.loads <= n);
            f.plan.fail_after = UINT64_MAX;
            iter_model_walk(&f.whole, f.it, &r, 2);
        }
        merging_teardown(&f);
    }
}

TEST(merging_iter, short_memory_frees_all_children) {
    for (size_t children = 0; children < 5; children++) {
        if (children == 1)
            continue; /* needs none */
        iter_model m = {0};
        array_iter_plan plan = {.run_max = 1, .fail_after = UINT64_MAX};
        iter *all[5] = {NULL}, *it = (iter *)&plan;
        for (size_t i = 0; i < children; i++)
            all[i] = array_iter_new(&plan, NULL, 0, m.order);
        memory_fail_after(1, false);
        ASSERT_CODE(merging_iter_new(m.order, all, children, &it), FIRN_NO_MEMORY);
        memory_fail_after(0, false);
        assert_null(it);
        assert_int_equal(plan.live, 0);
    }
}

/* --- a reader's merge --- */

/* Whether a reader at `visible` does not see that entry of the model. */
static bool merging_model_hides(const iter_model *m, size_t position, seqno visible) {
    internal_key key = {slice_of(m->entries[position].key, m->entries[position].key_bytes)};
    if (internal_key_sequence(key) > visible)
        return true;
    if (position == 0)
        return false;
    const iter_entry *e = &m->entries[position - 1];
    internal_key before = {slice_of(e->key, e->key_bytes)};
    return internal_key_sequence(before) <= visible &&
           slice_equal(internal_key_user(before).s, internal_key_user(key).s);
}

/* What lies between two positions the merge showed one after the other was hidden; what a plain run
 * holds is to be shown as it is. */
static size_t merging_expect_shown(const merging_fixture *f, const iter *it, size_t from,
                                   bool forward, seqno visible) {
    size_t position = iter_valid(it) ? iter_model_lower_bound(&f->whole, iter_key(it))
                                     : (forward ? f->whole.count : 0);
    size_t begin = forward ? from : (iter_valid(it) ? position + 1 : 0);
    size_t end = forward ? position : from;
    ASSERT_OK(it->st);
    assert_true(begin <= end);
    for (size_t i = begin; i < end; i++)
        assert_true(merging_model_hides(&f->whole, i, visible));
    if (iter_valid(it))
        iter_model_expect_entry(&it->run[it->index], &f->whole.entries[position]);
    for (uint32_t i = 1; it->plain && it->max_sequence <= visible && i < it->count; i++) {
        internal_key key = {slice_of(it->run[i].key, it->run[i].key_bytes)};
        assert_false(
            merging_model_hides(&f->whole, iter_model_lower_bound(&f->whole, key), visible));
    }
    return position;
}

static void merging_walk_as_reader(const merging_fixture *f, iter *it, seqno visible, rng *r) {
    size_t shown = 0, position = 0;
    (void)merging_iter_take_hidden(it);
    for (iter_seek_first(it);; iter_next(it), shown++) {
        position = merging_expect_shown(f, it, shown ? position + 1 : 0, true, visible);
        if (!iter_valid(it))
            break;
    }
    assert_int_equal(shown + merging_iter_take_hidden(it), f->whole.count);
    for (unsigned i = 0; i < 20; i++) {
        uint8_t *storage;
        internal_key target = iter_model_random_target(&f->whole, r, &storage);
        iter_seek(it, target);
        /* A seek stands where it was told to, seen by the reader or not. */
        position = iter_model_lower_bound(&f->whole, target);
        assert_int_equal(merging_expect_shown(f, it, position, true, visible), position);
        free(storage);
        for (unsigned move = 0; iter_valid(it) && move < 60; move++) {
            bool forward = rng_below(r, 8) < (i % 2 ? 7u : 3u);
            if (forward)
                iter_next(it);
            else
                iter_prev(it);
            position =
                merging_expect_shown(f, it, forward ? position + 1 : position, forward, visible);
        }
    }
}

TEST(merging_iter, a_readers_merge_leaves_out_nothing_but_what_the_reader_does_not_see) {
    rng r;
    rng_init(&r, test_seed());
    for (size_t children = 2; children <= MERGING_CHILDREN_MAX; children += 1 + children / 4) {
        for (unsigned round = 0; round < 8; round++) {
            merging_fixture f;
            key_order order = {round % 4 == 3 ? &merging_reverse_order : NULL};
            iter *all[MERGING_CHILDREN_MAX];
            merging_setup(&f, &r, children, rng_below(&r, 400), order);
            iter_free(f.it);
            for (size_t i = 0; i < children; i++)
                all[i] = array_iter_new(&f.plan, f.parts[i].entries, f.parts[i].count, order);
            merging_iter_args args = {.order = order,
                                      .visible =
                                          round % 2 ? SEQNO_MAX : rng_below(&r, f.whole.count + 1)};
            void *memory = malloc(merging_iter_bytes(children));
            assert_non_null(memory);
            f.it = merging_iter_place(memory, &args, all, children);
            merging_walk_as_reader(&f, f.it, args.visible, &r);
            for (size_t i = 0; i < children; i++)
                iter_free(all[i]);
            free(memory);
            f.it = NULL;
            merging_teardown(&f);
        }
    }
}

TEST(merging_iter, a_readers_merge_of_alternating_sources_hands_out_plain_runs) {
    iter_model parts[2] = {{0}, {0}};
    for (unsigned i = 0; i < 400; i++) {
        uint8_t key[2] = {(uint8_t)(i / 2 >> 8), (uint8_t)(i / 2)};
        iter_model_add(&parts[i % 2], slice_of(key, 2), (uint64_t)(1 + i % 2) << 8 | OP_PUT,
                       slice_of("", 0));
    }
    array_iter_plan plan = {.run_max = 1000, .fail_after = UINT64_MAX};
    rng_init(&plan.random, 1);
    iter *all[2];
    for (size_t i = 0; i < 2; i++)
        all[i] = array_iter_new(&plan, parts[i].entries, parts[i].count, parts[i].order);
    void *memory = malloc(merging_iter_bytes(2));
    assert_non_null(memory);
    iter *it = merging_iter_place(memory, &(merging_iter_args){.visible = 9}, all, 2);
    unsigned runs = 0, shown = 0, wrong = 0;
    for (iter_seek_first(it); iter_valid(it); iter_next(it), shown++) {
        runs += it->index == 0;
        wrong += !it->plain || it->max_sequence > 9;
    }
    /* Some runs of the sources end between the two versions of a key. */
    assert_int_equal(wrong, 0);
    assert_true(shown >= 200 && shown < 200 + runs && runs < 60);
    for (size_t i = 0; i < 2; i++) {
        iter_free(all[i]);
        iter_model_deinit(&parts[i]);
    }
    free(memory);
}

TEST_MAIN(RUN(merging_iter, all_moves_agree_with_model),
          RUN(merging_iter, all_moves_agree_with_model_under_a_custom_order),
          RUN(merging_iter, one_child_is_given_back_and_none_is_empty),
          RUN(merging_iter, hands_out_a_long_piece_without_copying),
          RUN(merging_iter, names_the_child_an_entry_came_from),
          RUN(merging_iter, a_failing_child_ends_the_merge_and_a_seek_revives_it),
          RUN(merging_iter, short_memory_frees_all_children),
          RUN(merging_iter, a_readers_merge_leaves_out_nothing_but_what_the_reader_does_not_see),
          RUN(merging_iter, a_readers_merge_of_alternating_sources_hands_out_plain_runs))
