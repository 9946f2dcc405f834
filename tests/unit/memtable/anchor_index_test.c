/* The array over the anchors against the list itself: it may lag behind, never lead past the place.
 */
#include "memtable/anchor_index.h"

#include <stdlib.h>
#include <string.h>

#include "lib/test.h"
#include "util/rng.h"

typedef struct anchor_fixture {
    arena *arena;
    skiplist *list;
    anchor_index index;
    uint32_t count;
} anchor_fixture;

static void anchor_begin_test(anchor_fixture *f, key_order order) {
    f->arena = arena_new(65536);
    f->list = aligned_alloc(CACHE_LINE_BYTES, sizeof *f->list);
    assert_non_null(f->arena);
    assert_non_null(f->list);
    skiplist_init(f->list, order, f->arena);
    anchor_index_init(&f->index);
    f->count = 0;
}

static void anchor_end_test(anchor_fixture *f) {
    free(f->list);
    arena_free(f->arena);
}

static void anchor_test_add(anchor_fixture *f, uint64_t number) {
    uint8_t key[8];
    skiplist_entry entry;
    for (int i = 0; i < 8; i++)
        key[i] = (uint8_t)(number >> (56 - 8 * i));
    assert_true(skiplist_prepare(f->list, user_key_of(slice_of(key, sizeof key)),
                                 key_trailer_pack(++f->count, OP_PUT), slice_of("", 0), &entry));
    skiplist_link(f->list, entry);
    anchor_index_note(&f->index, f->list, entry.node);
}

/* How many anchors lie between the one it answers and the last one before that head. */
static uint32_t anchor_steps(const anchor_fixture *f, uint64_t head) {
    const skiplist_node *near;
    if (!anchor_index_find(&f->index, head, &near))
        return UINT32_MAX;
    assert_true(!near || near->head < head);
    const skiplist_node *next = near ? skiplist_next(near) : skiplist_first(f->list);
    uint32_t steps = 0;
    for (; next && next->head < head; next = skiplist_next(next))
        steps++;
    return steps;
}

TEST(anchor_index, random_anchors_are_found_within_a_few_steps) {
    rng r;
    anchor_fixture f;
    rng_init(&r, test_seed());
    anchor_begin_test(&f, (key_order){NULL});
    uint64_t steps = 0, finds = 0;
    for (uint32_t i = 0; i < 3000; i++) {
        anchor_test_add(&f, rng_next(&r));
        if (i < 32)
            continue;
        uint32_t step = anchor_steps(&f, rng_next(&r));
        assert_true(step != UINT32_MAX);
        steps += step;
        finds++;
    }
    assert_true(steps * 2 < finds);
    anchor_end_test(&f);
}

TEST(anchor_index, ascending_anchors_are_all_in_it) {
    anchor_fixture f;
    anchor_begin_test(&f, (key_order){NULL});
    for (uint64_t i = 1; i < 1000; i++) {
        anchor_test_add(&f, i * 3);
        if (i > 32)
            assert_int_equal(anchor_steps(&f, i * 3 + 1), 0);
    }
    assert_int_equal(anchor_steps(&f, 0), 0);
    assert_int_equal(anchor_steps(&f, UINT64_MAX), 0);
    anchor_end_test(&f);
}

/* Descending ones are never at the end; those missing meanwhile must not be skipped. */
TEST(anchor_index, descending_anchors_are_not_passed_over) {
    anchor_fixture f;
    anchor_begin_test(&f, (key_order){NULL});
    for (uint64_t i = 1000; i > 0; i--) {
        anchor_test_add(&f, i * 3);
        if (i < 960)
            assert_true(anchor_steps(&f, i * 3 + 1) <= 1 + (1000 - i) / 4 + 16);
    }
    anchor_end_test(&f);
}

TEST(anchor_index, many_equal_heads_are_left_to_the_list) {
    anchor_fixture f;
    anchor_begin_test(&f, (key_order){NULL});
    for (uint32_t i = 0; i < 100; i++)
        anchor_test_add(&f, 77); /* versions of one key */
    assert_int_equal(anchor_steps(&f, 77), UINT32_MAX);
    assert_int_equal(anchor_steps(&f, 5), 0);
    anchor_end_test(&f);
}

static int anchor_test_backwards(void *context, firn_slice a, firn_slice b) {
    (void)context;
    return slice_compare(b, a);
}

TEST(anchor_index, nothing_is_known_under_a_custom_order) {
    const firn_comparator backwards = {.name = "backwards", .compare = anchor_test_backwards};
    anchor_fixture f;
    anchor_begin_test(&f, (key_order){&backwards});
    for (uint32_t i = 0; i < 100; i++)
        anchor_test_add(&f, i);
    assert_int_equal(anchor_steps(&f, 5), UINT32_MAX);
    anchor_end_test(&f);
}

TEST_MAIN(RUN(anchor_index, random_anchors_are_found_within_a_few_steps),
          RUN(anchor_index, ascending_anchors_are_all_in_it),
          RUN(anchor_index, descending_anchors_are_not_passed_over),
          RUN(anchor_index, many_equal_heads_are_left_to_the_list),
          RUN(anchor_index, nothing_is_known_under_a_custom_order))
