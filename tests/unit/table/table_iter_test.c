#include "table_fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "platform/vfs_fault.h"

TEST(table_iter, random_walks_agree_with_a_sorted_array) {
    rng r;
    rng_init(&r, test_seed());
    static const table_read_args modes[] = {{.fill_cache = true},
                                            {.fill_cache = true, .read_ahead = true},
                                            {.fill_cache = false},
                                            {.fill_cache = false, .read_ahead = true}};
    for (unsigned round = 0; round < test_scaled(FIXTURE_SHAPES * 8); round++) {
        fixture f;
        cache *blocks = NULL;
        iter *it = NULL;
        fixture_init(&f);
        table_builder_args args = fixture_args();
        args.order.custom = rng_below(&r, 4) ? NULL : &fixture_reverse;
        unsigned shape = round % FIXTURE_SHAPES;
        fixture_fill(&f, &r, shape, shape == 4 ? 30 : 1 + (uint32_t)rng_below(&r, 1000));
        fixture_sort(&f, args.order);
        fixture_pick_index(&f, &r, &args);
        fixture_build(&f, &args);
        ASSERT_OK(cache_new(3000, 1, &blocks));
        f.is_mapped = round / FIXTURE_SHAPES % 2 != 0;
        table *t = fixture_open(&f, rng_below(&r, 2) ? blocks : NULL);
        ASSERT_OK(table_iter_new(t, &modes[rng_below(&r, 4)], &it));
        assert_false(iter_valid(it));
        assert_ptr_equal(it->methods->origin(it), t);
        uint32_t at = f.count;
        for (int step = 0; step < 300; step++) {
            uint64_t choice = rng_below(&r, 10);
            if (choice == 0) {
                iter_seek_first(it);
                at = 0;
            } else if (choice == 1) {
                iter_seek_last(it);
                at = f.count - 1;
            } else if (choice < 5 || at >= f.count) {
                /* Near an entry: at it, or just behind it. */
                internal_key near = fixture_key(&f, (uint32_t)rng_below(&r, f.count));
                seek_key seek;
                seqno sequence = internal_key_sequence(near) - rng_below(&r, 2);
                ASSERT_OK(seek_key_init(&seek, internal_key_user(near), sequence));
                iter_seek(it, seek.key);
                at = fixture_find(&f, args.order, seek.key);
                seek_key_deinit(&seek);
            } else if (choice < 8) {
                iter_next(it);
                at++;
            } else {
                iter_prev(it);
                at = at == 0 ? f.count : at - 1;
            }
            assert_true(fixture_stands_on(&f, it, at));
        }
        iter_free(it);
        table_unref(t);
        cache_free(blocks);
        fixture_deinit(&f);
    }
}

static void table_iter_test_table(fixture *f) {
    rng r;
    rng_init(&r, 5);
    fixture_init(f);
    table_builder_args args = fixture_args();
    fixture_fill(f, &r, 1, 3000);
    fixture_sort(f, args.order);
    fixture_build(f, &args);
}

TEST(table_iter, a_run_is_a_whole_block) {
    fixture f;
    iter *it = NULL;
    table_iter_test_table(&f);
    table *t = fixture_open(&f, NULL);
    ASSERT_OK(table_iter_new(t, &(table_read_args){0}, &it));
    uint64_t runs = 0, entries = 0;
    iter_seek_first(it);
    while (iter_valid(it)) {
        runs++;
        entries += it->count;
        it->methods->next_run(it);
    }
    assert_int_equal(runs, table_get_properties(t)->data_blocks);
    assert_int_equal(entries, f.count);
    iter_free(it);
    table_unref(t);
    fixture_deinit(&f);
}

TEST(table_iter, keeps_the_table_open) {
    fixture f;
    iter *it = NULL;
    table_iter_test_table(&f);
    table *t = fixture_open(&f, NULL);
    ASSERT_OK(table_iter_new(t, &(table_read_args){0}, &it));
    table_unref(t);
    iter_seek_last(it);
    assert_true(fixture_stands_on(&f, it, f.count - 1));
    iter_free(it);
    fixture_deinit(&f);
}

TEST(table_iter, scanning_with_a_window_reads_the_file_in_few_pieces) {
    fixture f;
    vfs_fault *fault = NULL;
    table *t = NULL;
    table_iter_test_table(&f);
    ASSERT_OK(vfs_fault_new(vfs_mem_vfs(f.disk), &fault));
    table_open_args open = {.vfs = vfs_fault_vfs(fault), .path = FIXTURE_PATH};
    ASSERT_OK(table_open(&open, &t));
    /* A rule that counts and never fails. */
    vfs_fault_set(fault, &(vfs_fault_rule){.kinds = VFS_FAULT_READ, .after = UINT64_MAX});
    iter *it = NULL;
    uint32_t i = 0;
    ASSERT_OK(table_iter_new(t, &(table_read_args){.read_ahead = true}, &it));
    for (iter_seek_first(it); iter_valid(it); iter_next(it))
        assert_true(fixture_stands_on(&f, it, i++));
    assert_int_equal(i, f.count);
    assert_true(table_get_properties(t)->data_blocks > 50);
    assert_in_range(vfs_fault_matched(fault), 1, 4);
    iter_free(it);
    table_unref(t);
    vfs_fault_free(fault);
    fixture_deinit(&f);
}

TEST(table_iter, a_failed_read_ends_it_until_the_next_seek) {
    fixture f;
    vfs_fault *fault = NULL;
    table *t = NULL;
    iter *it = NULL;
    table_iter_test_table(&f);
    ASSERT_OK(vfs_fault_new(vfs_mem_vfs(f.disk), &fault));
    table_open_args open = {.vfs = vfs_fault_vfs(fault), .path = FIXTURE_PATH};
    ASSERT_OK(table_open(&open, &t));
    ASSERT_OK(table_iter_new(t, &(table_read_args){0}, &it));
    vfs_fault_set(fault,
                  &(vfs_fault_rule){.kinds = VFS_FAULT_READ, .after = 3, .count = 1, .error = EIO});
    uint32_t i = 0;
    for (iter_seek_first(it); iter_valid(it); iter_next(it))
        assert_true(fixture_stands_on(&f, it, i++));
    assert_true(i > 0 && i < f.count);
    ASSERT_CODE(it->st, FIRN_IO_ERROR);
    iter_seek(it, fixture_key(&f, i));
    ASSERT_OK(it->st);
    assert_true(fixture_stands_on(&f, it, i));
    iter_free(it);
    table_unref(t);
    vfs_fault_free(fault);
    fixture_deinit(&f);
}

TEST(table_iter, a_bit_that_flips_once_on_the_way_is_read_again) {
    fixture f;
    vfs_fault *fault = NULL;
    table *t = NULL;
    table_iter_test_table(&f);
    ASSERT_OK(vfs_fault_new(vfs_mem_vfs(f.disk), &fault));
    table_open_args open = {.vfs = vfs_fault_vfs(fault), .path = FIXTURE_PATH};
    for (uint64_t after = 0; after < 5; after++) {
        /* Each of the reads of an open in turn. */
        vfs_fault_set(fault, &(vfs_fault_rule){.kinds = VFS_FAULT_READ,
                                               .after = after,
                                               .count = 1,
                                               .flip_bit = true});
        ASSERT_OK(table_open(&open, &t));
        assert_int_equal(vfs_fault_failed(fault), 1);
        table_unref(t);
    }
    vfs_fault_set(fault, NULL);
    ASSERT_OK(table_open(&open, &t));
    for (int mode = 0; mode < 2; mode++) {
        iter *it = NULL;
        uint32_t i = 0;
        vfs_fault_set(fault,
                      &(vfs_fault_rule){.kinds = VFS_FAULT_READ, .count = 1, .flip_bit = true});
        ASSERT_OK(table_iter_new(t, &(table_read_args){.read_ahead = mode}, &it));
        for (iter_seek_first(it); iter_valid(it); iter_next(it))
            assert_true(fixture_stands_on(&f, it, i++));
        ASSERT_OK(it->st);
        assert_int_equal(i, f.count);
        iter_free(it);
    }
    table_unref(t);
    vfs_fault_free(fault);
    fixture_deinit(&f);
}

TEST_MAIN(RUN(table_iter, random_walks_agree_with_a_sorted_array),
          RUN(table_iter, a_run_is_a_whole_block), RUN(table_iter, keeps_the_table_open),
          RUN(table_iter, scanning_with_a_window_reads_the_file_in_few_pieces),
          RUN(table_iter, a_failed_read_ends_it_until_the_next_seek),
          RUN(table_iter, a_bit_that_flips_once_on_the_way_is_read_again))
