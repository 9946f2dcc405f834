#include "util/arena.h"

#include <string.h>

#include "lib/test.h"
#include "platform/memory.h"
#include "util/rng.h"

TEST(arena, pieces_are_aligned_distinct_and_keep_their_bytes) {
    enum { COUNT = 3000 };
    static uint8_t *pieces[COUNT];
    static size_t sizes[COUNT];
    rng r;
    rng_init(&r, test_seed());
    arena *a = arena_new(4096);
    assert_non_null(a);
    for (size_t i = 0; i < COUNT; i++) {
        sizes[i] = rng_below(&r, rng_below(&r, 10) == 0 ? 9000 : 200);
        pieces[i] = arena_allocate(a, sizes[i]);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % 8, 0);
        memset(pieces[i], (int)(i % 251), sizes[i]);
    }
    for (size_t i = 0; i < COUNT; i++)
        for (size_t j = 0; j < sizes[i]; j++)
            assert_int_equal(pieces[i][j], i % 251);
    arena_free(a);
}

TEST(arena, zero_bytes_give_distinct_pieces) {
    arena *a = arena_new(4096);
    assert_non_null(a);
    void *first = arena_allocate(a, 0), *second = arena_allocate(a, 0);
    assert_non_null(first);
    assert_non_null(second);
    assert_ptr_not_equal(first, second);
    arena_free(a);
}

TEST(arena, charge_is_the_sum_of_all_blocks) {
    arena *a = arena_new(4096);
    assert_non_null(a);
    uint64_t empty = arena_bytes(a);
    assert_in_range(empty, 1, 1024);
    assert_non_null(arena_allocate(a, 100));
    assert_int_equal(arena_bytes(a), empty + 4096);
    assert_non_null(arena_allocate(a, 1000)); /* fits: a quarter of a block */
    assert_int_equal(arena_bytes(a), empty + 4096);
    assert_non_null(arena_allocate(a, 5000)); /* alone: its bytes and a header */
    uint64_t with_large = arena_bytes(a);
    assert_in_range(with_large, empty + 4096 + 5000, empty + 4096 + 5000 + 64);
    assert_non_null(arena_allocate(a, 100)); /* the large one did not end the ordinary block */
    assert_int_equal(arena_bytes(a), with_large);
    arena_free(a);
}

TEST(arena, blocks_of_whole_pages_are_used_and_given_back) {
    arena *a = arena_new((size_t)2 << 20);
    assert_non_null(a);
    uint64_t empty = arena_bytes(a);
    uint8_t *small = arena_allocate(a, 64);
    assert_non_null(small);
    assert_int_equal(arena_bytes(a), empty + (2 << 20));
    uint8_t *large = arena_allocate(a, ((size_t)3 << 20) + 1);
    assert_non_null(large);
    assert_int_equal(arena_bytes(a), empty + (2 << 20) + (3 << 20) + 4096);
    memset(small, 1, 64);
    memset(large, 2, ((size_t)3 << 20) + 1);
    assert_int_equal(small[63], 1);
    arena_free(a);
}

TEST(arena, short_memory_gives_null_and_leaves_the_arena_usable) {
    memory_fail_after(1, true);
    assert_null(arena_new(4096));
    memory_fail_after(0, false);
    uint64_t live = memory_live_count();
    arena *a = arena_new(4096);
    assert_non_null(a);
    memory_fail_after(1, true);
    assert_null(arena_allocate(a, 10));
    assert_null(arena_allocate(a, 10000));
    memory_fail_after(0, false);
    uint64_t empty = arena_bytes(a);
    assert_non_null(arena_allocate(a, 10));
    assert_non_null(arena_allocate(a, 10000));
    assert_true(arena_bytes(a) > empty + 14000);
    arena_free(a);
    assert_int_equal(memory_live_count(), live);
}

TEST(arena, impossible_sizes_are_refused_not_wrapped) {
    arena *a = arena_new(4096);
    assert_non_null(a);
    for (size_t below = 0; below < 64; below++)
        assert_null(arena_allocate(a, SIZE_MAX - below));
    assert_null(arena_allocate(a, SIZE_MAX / 2 + 1));
    assert_non_null(arena_allocate(a, 8));
    arena_free(a);
    arena_free(NULL);
}

TEST(arena, blocks_pass_from_one_arena_of_a_pool_to_the_next) {
    arena_pool_stats stats;
    arena_pool *pool = arena_pool_new(4096, 2 * 4096, NULL);
    assert_non_null(pool);
    arena *a = arena_new_pooled(pool);
    assert_non_null(a);
    for (int i = 0; i < 12; i++) /* four to a block */
        memset(arena_allocate(a, 1000), 1, 1000);
    assert_non_null(arena_allocate(a, 9000)); /* alone: goes back to the system */
    arena_pool_get_stats(pool, &stats);
    assert_int_equal(stats.used_bytes, arena_bytes(a));
    assert_int_equal(stats.fresh, 4);
    assert_int_equal(stats.recycled, 0);
    arena_free(a);
    arena_pool_get_stats(pool, &stats);
    assert_int_equal(stats.used_bytes, 0);
    assert_int_equal(stats.spare_bytes, 2 * 4096); /* the third is over the limit */

    a = arena_new_pooled(pool);
    assert_non_null(a);
    arena_pool_unref(pool); /* the arena keeps it */
    for (int i = 0; i < 12; i++)
        memset(arena_allocate(a, 1000), 2, 1000);
    arena_pool_get_stats(pool, &stats);
    assert_int_equal(stats.spare_bytes, 0);
    assert_int_equal(stats.recycled, 2);
    assert_int_equal(stats.fresh, 5);
    arena_free(a);
}

TEST(arena, a_trimmed_pool_holds_nothing_and_goes_on) {
    arena_pool_stats stats;
    uint64_t live = memory_live_count();
    arena_pool *pool = arena_pool_new((size_t)2 << 20, (uint64_t)8 << 20, NULL);
    assert_non_null(pool);
    for (int round = 0; round < 3; round++) {
        arena *a = arena_new_pooled(pool);
        assert_non_null(a);
        uint8_t *piece = arena_allocate(a, 100);
        assert_non_null(piece);
        piece[99] = 1;
        arena_free(a);
        arena_pool_get_stats(pool, &stats);
        assert_int_equal(stats.spare_bytes, 2 << 20);
        assert_int_equal(stats.recycled, round > 0);
        if (round != 1)
            continue;
        arena_pool_trim(pool);
        arena_pool_get_stats(pool, &stats);
        assert_int_equal(stats.spare_bytes, 0);
    }
    assert_int_equal(stats.fresh, 2);
    arena_pool_unref(pool);
    arena_pool_unref(NULL);
    memory_fail_after(1, true);
    assert_null(arena_pool_new(4096, 4096, NULL));
    memory_fail_after(0, false);
    assert_int_equal(memory_live_count(), live);
}

TEST_MAIN(RUN(arena, pieces_are_aligned_distinct_and_keep_their_bytes),
          RUN(arena, zero_bytes_give_distinct_pieces), RUN(arena, charge_is_the_sum_of_all_blocks),
          RUN(arena, blocks_of_whole_pages_are_used_and_given_back),
          RUN(arena, short_memory_gives_null_and_leaves_the_arena_usable),
          RUN(arena, impossible_sizes_are_refused_not_wrapped),
          RUN(arena, blocks_pass_from_one_arena_of_a_pool_to_the_next),
          RUN(arena, a_trimmed_pool_holds_nothing_and_goes_on))
