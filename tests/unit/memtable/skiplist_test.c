#include "memtable/skiplist.h"

#include <stdlib.h>

#include "lib/test.h"
#include "unit/iter/iter_model.h"

static void skiplist_test_add(skiplist *list, slice user, seqno sequence) {
    skiplist_entry entry;
    assert_true(skiplist_prepare(list, user_key_of(user), sequence << 8 | OP_PUT,
                                 slice_of(&sequence, 5), &entry));
    assert_true(entry.height >= 1 && entry.height <= SKIPLIST_HEIGHT_MAX);
    skiplist_link(list, entry);
}

static void skiplist_test_add_number(skiplist *list, uint64_t number, seqno sequence) {
    uint8_t key[8];
    for (int i = 0; i < 8; i++)
        key[i] = (uint8_t)(number >> (56 - 8 * i));
    skiplist_test_add(list, slice_of(key, 8), sequence);
}

static uint64_t skiplist_test_number(const skiplist_node *node) {
    return node->head;
}

/* Every level ascends, is part of the level below, and holds what the one below says it may. */
static void skiplist_check_levels(const skiplist *list, uint64_t count) {
    uint64_t below = UINT64_MAX;
    for (uint32_t level = 0; level < SKIPLIST_HEIGHT_MAX; level++) {
        uint64_t nodes = 0;
        const skiplist_node *node =
            atomic_ptr_load(&list->head[SKIPLIST_HEIGHT_MAX - 1 - level], memory_order_acquire);
        const skiplist_node *lower = skiplist_first(list), *before = NULL;
        for (; node; nodes++) {
            if (before)
                assert_true(key_order_compare(list->order, skiplist_node_key(before),
                                              skiplist_node_key(node)) < 0);
            while (lower && lower != node)
                lower = skiplist_next(lower);
            assert_ptr_equal(lower, node);
            before = node;
            node = atomic_ptr_load(&node->next - level, memory_order_acquire);
        }
        if (level == 0)
            assert_int_equal(nodes, count);
        assert_true(nodes <= below);
        below = nodes;
    }
}

typedef struct skiplist_fixture {
    arena *arena;
    skiplist *list;
} skiplist_fixture;

static skiplist_fixture skiplist_setup(void) {
    skiplist_fixture f = {arena_new(65536), aligned_alloc(CACHE_LINE_BYTES, sizeof(skiplist))};
    assert_non_null(f.arena);
    assert_non_null(f.list);
    skiplist_init(f.list, (key_order){NULL}, f.arena);
    return f;
}

static void skiplist_teardown(skiplist_fixture *f) {
    arena_free(f->arena);
    free(f->list);
}

/* How the n-th number of a series is chosen. */
typedef uint64_t (*skiplist_series)(uint64_t n);
static uint64_t skiplist_up(uint64_t n) {
    return n + 1;
}
static uint64_t skiplist_down(uint64_t n) {
    return 1000000 - n;
}
static uint64_t skiplist_scattered(uint64_t n) {
    return n * 0x9e3779b97f4a7c15u | 1;
}
/* Several ascending series between each other's keys. */
static uint64_t skiplist_interleaved(uint64_t n) {
    return (n % 3 + 1) * 1000000 + n;
}
/* Ascending runs that begin anew below. */
static uint64_t skiplist_sawtooth(uint64_t n) {
    return (n % 100) * 1000 + n / 100 + 1;
}
/* Ascending, then the gaps filled. */
static uint64_t skiplist_two_passes(uint64_t n) {
    return n < 1000 ? 2 * n + 2 : 2 * (n - 1000) + 1;
}

TEST(skiplist, keeps_every_level_in_order_whatever_order_keys_come_in) {
    static const skiplist_series all[] = {skiplist_up,        skiplist_down,
                                          skiplist_scattered, skiplist_interleaved,
                                          skiplist_sawtooth,  skiplist_two_passes};
    for (size_t s = 0; s < sizeof all / sizeof *all; s++) {
        skiplist_fixture f = skiplist_setup();
        for (uint64_t n = 0; n < 2000; n++) {
            skiplist_test_add_number(f.list, all[s](n), n + 1);
            if (n % 199 == 0)
                skiplist_check_levels(f.list, n + 1);
        }
        skiplist_check_levels(f.list, 2000);
        for (uint64_t n = 0; n < 2000; n++) {
            uint64_t number = all[s](n);
            uint8_t key[16];
            for (int i = 0; i < 8; i++)
                key[i] = (uint8_t)(number >> (56 - 8 * i));
            encode_fixed64(key + 8, UINT64_MAX);
            const skiplist_node *node =
                skiplist_seek(f.list, (internal_key){slice_of(key, sizeof key)});
            assert_non_null(node);
            assert_int_equal(skiplist_test_number(node), number);
            assert_int_equal(internal_key_sequence(skiplist_node_key(node)), n + 1);
        }
        skiplist_teardown(&f);
    }
}

/* Searching from the hint or from the top must give the same list; the hint only costs less. */
TEST(skiplist, ascending_keys_are_placed_from_the_hint) {
    skiplist_fixture f = skiplist_setup();
    for (uint64_t n = 1; n <= 1000; n++)
        skiplist_test_add_number(f.list, n, n);
    const skiplist_node *hint = atomic_ptr_load(&f.list->hint[0], memory_order_acquire);
    assert_non_null(hint);
    assert_int_equal(skiplist_test_number(hint), 1000);
    /* Far off the series the hint stays where it is. */
    skiplist_test_add_number(f.list, 0, 5000);
    assert_ptr_equal(atomic_ptr_load(&f.list->hint[0], memory_order_acquire), hint);
    skiplist_check_levels(f.list, 1001);
    skiplist_teardown(&f);
}

TEST(skiplist, heights_halve_from_level_to_level) {
    skiplist_fixture f = skiplist_setup();
    enum { SKIPLIST_TEST_NODES = 1 << 14 };
    uint64_t at_least[SKIPLIST_HEIGHT_MAX + 1] = {0};
    for (uint64_t n = 1; n <= SKIPLIST_TEST_NODES; n++) {
        skiplist_entry entry;
        assert_true(
            skiplist_prepare(f.list, user_key_of(FIRN_STR("k")), n << 8, FIRN_STR(""), &entry));
        for (uint32_t h = 1; h <= entry.height; h++)
            at_least[h]++;
    }
    assert_int_equal(at_least[1], SKIPLIST_TEST_NODES);
    for (uint32_t h = 2; h <= 7; h++) {
        uint64_t expected = (uint64_t)SKIPLIST_TEST_NODES >> (h - 1);
        assert_in_range(at_least[h], expected * 3 / 4, expected * 5 / 4);
    }
    skiplist_teardown(&f);
}

TEST(skiplist, find_before_gives_the_last_node_of_the_level) {
    skiplist_fixture f = skiplist_setup();
    for (uint32_t level = 0; level < SKIPLIST_HEIGHT_MAX; level++)
        assert_null(skiplist_find_before(f.list, NULL, level));
    for (uint64_t n = 0; n < 500; n++)
        skiplist_test_add_number(f.list, skiplist_scattered(n), n + 1);
    for (uint32_t level = 0; level < SKIPLIST_HEIGHT_MAX; level++) {
        const skiplist_node *expected = NULL;
        for (const skiplist_node *bound = skiplist_first(f.list);; bound = skiplist_next(bound)) {
            assert_ptr_equal(skiplist_find_before(f.list, bound, level), expected);
            if (!bound)
                break;
            /* Whether `bound` is on that level: it is the first there not before itself. */
            const skiplist_node *node =
                atomic_ptr_load(&f.list->head[SKIPLIST_HEIGHT_MAX - 1 - level],
                                memory_order_acquire);
            while (node && node->head < bound->head)
                node = atomic_ptr_load(&node->next - level, memory_order_acquire);
            if (node == bound)
                expected = bound;
        }
    }
    skiplist_teardown(&f);
}

TEST(skiplist, find_before_tells_versions_of_a_key_apart) {
    skiplist_fixture f = skiplist_setup();
    for (seqno sequence = 1; sequence <= 50; sequence++)
        skiplist_test_add(f.list, FIRN_STR("the same key"), sequence);
    const skiplist_node *node = skiplist_first(f.list);
    assert_null(skiplist_find_before(f.list, node, 0));
    for (seqno sequence = 50; node; sequence--) {
        assert_int_equal(internal_key_sequence(skiplist_node_key(node)), sequence);
        const skiplist_node *next = skiplist_next(node);
        assert_ptr_equal(skiplist_find_before(f.list, next, 0), node);
        node = next;
    }
    skiplist_teardown(&f);
}

TEST_MAIN(RUN(skiplist, keeps_every_level_in_order_whatever_order_keys_come_in),
          RUN(skiplist, ascending_keys_are_placed_from_the_hint),
          RUN(skiplist, heights_halve_from_level_to_level),
          RUN(skiplist, find_before_gives_the_last_node_of_the_level),
          RUN(skiplist, find_before_tells_versions_of_a_key_apart))
