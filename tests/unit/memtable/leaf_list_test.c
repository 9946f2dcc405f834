/* The ordered list against a sorted array, with keys of awkward shapes; what it must survive beside
 * other threads is in memtable_concurrent_test.c. */
#include "memtable/leaf_list.h"

#include <stdlib.h>
#include <string.h>

#include "lib/test.h"
#include "platform/memory.h"
#include "util/rng.h"

enum { LEAF_TEST_KEY_BYTES = 40, LEAF_TEST_ENTRIES = 4000 };

typedef struct leaf_fixture {
    arena *arena;
    leaf_list *list;
    key_order order;
    const memtable_entry *sorted[LEAF_TEST_ENTRIES];
    uint32_t count;
} leaf_fixture;

static void leaf_begin_test(leaf_fixture *f, key_order order) {
    *f = (leaf_fixture){.order = order, .arena = arena_new(65536)};
    f->list = aligned_alloc(CACHE_LINE_BYTES, sizeof *f->list);
    assert_non_null(f->arena);
    assert_non_null(f->list);
    leaf_list_init(f->list, order, f->arena);
}

static void leaf_end_test(leaf_fixture *f) {
    free(f->list);
    arena_free(f->arena);
}

/* Where an internal key belongs in the array. */
static uint32_t leaf_place_of(const leaf_fixture *f, internal_key key) {
    uint32_t low = 0, high = f->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (key_order_compare(f->order, memtable_entry_key(f->sorted[middle]), key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void leaf_test_add(leaf_fixture *f, slice user, seqno sequence) {
    memtable_entry *entry = arena_allocate(f->arena, sizeof *entry + user.size + KEY_TRAILER_BYTES);
    assert_non_null(entry);
    atomic_ptr_init(&entry->older, NULL);
    entry->key_bytes = (uint32_t)user.size + KEY_TRAILER_BYTES;
    entry->value_bytes = 0;
    slice_copy_to(user, entry->bytes);
    encode_fixed64(entry->bytes + user.size, key_trailer_pack(sequence, OP_PUT));
    assert_true(leaf_list_add(f->list, entry, (leaf_approach){0}, f->count % 2));
    uint32_t at = leaf_place_of(f, memtable_entry_key(entry));
    memmove(f->sorted + at + 1, f->sorted + at, (f->count - at) * sizeof *f->sorted);
    f->sorted[at] = entry;
    f->count++;
}

/* Goes through the list from a place of the array on, in runs of changing length. */
static void leaf_expect_forward(const leaf_fixture *f, rng *r, leaf_query query, uint32_t at) {
    leaf_run run;
    for (uint32_t runs = 0; runs < 20; runs++) {
        query.limit = 1u << (2 * rng_below(r, 4));
        leaf_list_forward(f->list, &query, &run);
        assert_true(run.count <= query.limit);
        for (uint32_t i = 0; i < run.count; i++, at++)
            assert_ptr_equal(run.entries[i], f->sorted[at]);
        if (run.count == 0) {
            assert_int_equal(at, f->count);
            return;
        }
        query = (leaf_query){.bound = memtable_entry_key(f->sorted[at - 1]), .near = run.anchor};
    }
}

static void leaf_expect_backward(const leaf_fixture *f, rng *r, leaf_query query, uint32_t end) {
    leaf_run run;
    for (uint32_t runs = 0; runs < 20; runs++) {
        query.limit = 1u << (2 * rng_below(r, 4));
        leaf_list_backward(f->list, &query, &run);
        assert_true(run.count <= query.limit && run.count <= end);
        for (uint32_t i = run.count; i > 0; i--)
            assert_ptr_equal(run.entries[i - 1], f->sorted[--end]);
        if (run.count == 0) {
            assert_int_equal(end, 0);
            return;
        }
        query = (leaf_query){.bound = memtable_entry_key(f->sorted[end])};
    }
}

/* Keys that are hard to tell apart: few letters, zero bytes, beginnings of one another, and a long
 * common beginning that now and then is left out or exceeded. */
static slice leaf_awkward_key(rng *r, uint8_t key[LEAF_TEST_KEY_BYTES]) {
    size_t size = 0;
    if (rng_below(r, 8) != 0) {
        memcpy(key, "0000000000", 10);
        size = 10;
        if (rng_below(r, 16) == 0)
            key[rng_below(r, 10)] = (uint8_t)(rng_below(r, 2) ? 0xff : 0);
    }
    uint64_t letters = rng_below(r, LEAF_TEST_KEY_BYTES - 10);
    for (uint64_t i = 0; i < letters; i++)
        key[size++] = (uint8_t)(rng_below(r, 4) ? '0' + rng_below(r, 10) : rng_below(r, 2) * 0xff);
    return slice_of(key, size);
}

static int leaf_test_backwards(void *context, firn_slice a, firn_slice b) {
    (void)context;
    return slice_compare(b, a);
}

static void leaf_run_against_model(key_order order) {
    rng r;
    rng_init(&r, test_seed());
    leaf_fixture *f = malloc(sizeof *f);
    assert_non_null(f);
    leaf_begin_test(f, order);
    uint64_t entries = test_scaled(LEAF_TEST_ENTRIES);
    if (entries > LEAF_TEST_ENTRIES)
        entries = LEAF_TEST_ENTRIES;
    while (f->count < entries) {
        uint8_t key[LEAF_TEST_KEY_BYTES];
        seek_key seek;
        leaf_test_add(f, leaf_awkward_key(&r, key), f->count + 1);
        if (rng_below(&r, 16) != 0)
            continue;
        ASSERT_OK(seek_key_init(&seek, user_key_of(leaf_awkward_key(&r, key)),
                                rng_below(&r, f->count + 2)));
        uint32_t at = leaf_place_of(f, seek.key);
        assert_ptr_equal(leaf_list_seek(f->list, seek.key), at < f->count ? f->sorted[at] : NULL);
        leaf_expect_forward(f, &r, (leaf_query){.bound = seek.key, .inclusive = true}, at);
        leaf_expect_backward(f, &r, (leaf_query){.bound = seek.key}, at);
        at = (uint32_t)rng_below(&r, f->count); /* bounds that are there */
        leaf_query there = {.bound = memtable_entry_key(f->sorted[at]), .inclusive = true};
        leaf_expect_forward(f, &r, there, at);
        there.inclusive = false;
        leaf_expect_forward(f, &r, there, at + 1);
        leaf_expect_backward(f, &r, there, at);
        leaf_expect_forward(f, &r, (leaf_query){.limit = 0}, 0);
        leaf_expect_backward(f, &r, (leaf_query){.limit = 0}, f->count);
        seek_key_deinit(&seek);
    }
    leaf_end_test(f);
    free(f);
}

TEST(leaf_list, an_empty_one_gives_nothing) {
    leaf_fixture *f = malloc(sizeof *f);
    leaf_run run;
    assert_non_null(f);
    leaf_begin_test(f, (key_order){NULL});
    leaf_list_forward(f->list, &(leaf_query){.limit = 64}, &run);
    assert_int_equal(run.count, 0);
    leaf_list_backward(f->list, &(leaf_query){.limit = 64}, &run);
    assert_int_equal(run.count, 0);
    leaf_end_test(f);
    free(f);
}

TEST(leaf_list, agrees_with_a_sorted_array) {
    leaf_run_against_model((key_order){NULL});
}

TEST(leaf_list, agrees_with_a_sorted_array_under_a_custom_order) {
    const firn_comparator backwards = {.name = "backwards", .compare = leaf_test_backwards};
    leaf_run_against_model((key_order){&backwards});
}

/* Ascending, descending, and two series that run through each other: the ways of splitting. */
TEST(leaf_list, series_of_keys_end_up_in_order) {
    for (int way = 0; way < 4; way++) {
        rng r;
        rng_init(&r, test_seed());
        leaf_fixture *f = malloc(sizeof *f);
        assert_non_null(f);
        leaf_begin_test(f, (key_order){NULL});
        for (uint32_t i = 0; i < 2000; i++) {
            uint64_t number = way == 0   ? i
                              : way == 1 ? 5000 - i
                              : way == 2 ? (i % 2) * 100000 + i
                                         : i / 100 * 100000 + (i % 3) * 7 + i;
            uint8_t key[16];
            memset(key, '0', sizeof key);
            for (int b = 15; number > 0; b--, number /= 10)
                key[b] = (uint8_t)('0' + number % 10);
            leaf_test_add(f, slice_of(key, sizeof key), i + 1);
        }
        for (uint32_t at = 0; at < f->count; at += 97) {
            leaf_query query = {.bound = memtable_entry_key(f->sorted[at])};
            leaf_expect_forward(f, &r, query, at + 1);
            leaf_expect_backward(f, &r, query, at);
        }
        leaf_end_test(f);
        free(f);
    }
}

TEST(leaf_list, a_series_costs_little_memory) {
    leaf_fixture *f = malloc(sizeof *f);
    assert_non_null(f);
    leaf_begin_test(f, (key_order){NULL});
    uint64_t own = 0;
    for (uint32_t i = 0; i < LEAF_TEST_ENTRIES; i++) {
        uint8_t key[8];
        for (int b = 0; b < 8; b++)
            key[b] = (uint8_t)((uint64_t)i >> (56 - 8 * b));
        leaf_test_add(f, slice_of(key, sizeof key), i + 1);
        own += sizeof(memtable_entry) + 16;
    }
    assert_true(arena_bytes(f->arena) < own + LEAF_TEST_ENTRIES * 14 + 2 * 65536);
    leaf_end_test(f);
    free(f);
}

TEST_MAIN(RUN(leaf_list, an_empty_one_gives_nothing), RUN(leaf_list, agrees_with_a_sorted_array),
          RUN(leaf_list, agrees_with_a_sorted_array_under_a_custom_order),
          RUN(leaf_list, series_of_keys_end_up_in_order),
          RUN(leaf_list, a_series_costs_little_memory))
