#include "table_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "platform/error_detail.h"
#include "platform/vfs_fault.h"
#include "table/table_cache.h"
#include "table/table_internal.h"
#include "util/hash.h"

static const table_read_args mapped_args = {.fill_cache = true};

static void mapped_test_table(fixture *f, uint32_t count, codec_id codec) {
    rng r;
    rng_init(&r, 5);
    fixture_init(f);
    table_builder_args args = fixture_args();
    args.codec = codec;
    fixture_fill(f, &r, 1, count);
    fixture_sort(f, args.order);
    fixture_build(f, &args);
    f->is_mapped = true;
}

static lookup mapped_test_get(fixture *f, table *t, uint32_t i, status *st) {
    lookup found;
    table_get_trace trace;
    slice user = internal_key_user(fixture_key(f, i)).s;
    seek_key seek;
    ASSERT_OK(seek_key_init(&seek, user_key_of(user), SEQNO_MAX));
    *st = table_get(t, seek.key, hash64(user.data, user.size), &mapped_args, &trace, &found);
    seek_key_deinit(&seek);
    return found;
}

TEST(table_mapped, blocks_that_are_not_compressed_are_used_in_place) {
    fixture f;
    cache *blocks = NULL;
    cache_stats stats;
    status st;
    mapped_test_table(&f, 1000, CODEC_NONE);
    ASSERT_OK(cache_new(1 << 20, 1, &blocks));
    table *t = fixture_open(&f, blocks);
    assert_true(table_is_mapped(t));
    for (uint32_t i = 0; i < f.count; i++) {
        lookup found = mapped_test_get(&f, t, i, &st);
        ASSERT_OK(st);
        assert_true(found.found && found.in_place && !found.unpin);
        assert_true(found.value.data >= t->mapping.data &&
                    found.value.data < t->mapping.data + t->mapping.bytes);
    }
    fixture_check_scan(&f, t, &mapped_args);
    cache_get_stats(blocks, &stats);
    assert_int_equal(stats.hits + stats.misses + stats.inserts, 0);
    table_unref(t);
    cache_free(blocks);
    fixture_deinit(&f);
}

TEST(table_mapped, a_pinned_value_keeps_the_table_open) {
    fixture f;
    status st;
    mapped_test_table(&f, 100, CODEC_NONE);
    table *t = fixture_open(&f, NULL);
    lookup found = mapped_test_get(&f, t, 7, &st);
    ASSERT_OK(st);
    table_pin_lookup(t, &found);
    table_unref(t);
    assert_int_equal(found.value.size, f.entries[7].value_bytes);
    assert_memory_equal(found.value.data, f.entries[7].value, found.value.size);
    lookup_release(&found);
    fixture_deinit(&f);
}

TEST(table_mapped, compressed_blocks_go_through_the_cache) {
    fixture f;
    cache *blocks = NULL;
    cache_stats stats;
    if (!codec_is_available(CODEC_LZ4))
        skip();
    mapped_test_table(&f, 1000, CODEC_LZ4);
    ASSERT_OK(cache_new(8 << 20, 1, &blocks));
    table *t = fixture_open(&f, blocks);
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < f.count; i++) {
            slice user = internal_key_user(fixture_key(&f, i)).s;
            fixture_check_get(&f, t, user, SEQNO_MAX, &mapped_args, false);
        }
    }
    cache_get_stats(blocks, &stats);
    assert_true(stats.inserts > 0 && stats.misses == stats.inserts && stats.hits > f.count);
    table_unref(t);
    cache_free(blocks);
    fixture_deinit(&f);
}

/* A value's byte goes bad after its block was used. */
TEST(table_mapped, every_use_is_checked_where_that_is_asked_for) {
    fixture f;
    status st;
    for (int verifies = 0; verifies < 2; verifies++) {
        table *t = NULL;
        mapped_test_table(&f, 500, CODEC_NONE);
        table_open_args args = {.vfs = vfs_mem_vfs(f.disk),
                                .path = FIXTURE_PATH,
                                .is_mapped = true,
                                .verifies_reads = verifies != 0};
        ASSERT_OK(table_open(&args, &t));
        uint32_t i = 250;
        while (f.entries[i].value_bytes == 0)
            i++;
        lookup found = mapped_test_get(&f, t, i, &st);
        ASSERT_OK(st);
        ((uint8_t *)(uintptr_t)found.value.data)[0] ^= 1;
        found = mapped_test_get(&f, t, i, &st);
        if (verifies)
            ASSERT_CODE(st, FIRN_CORRUPTION);
        else
            ASSERT_OK(st);
        if (verifies)
            assert_non_null(strstr(error_detail_get(), FIXTURE_PATH));
        table_unref(t);
        fixture_deinit(&f);
    }
}

/* Where the file cannot be mapped, it is read. */
TEST(table_mapped, is_optional) {
    fixture f;
    vfs_fault *fault = NULL;
    table *t = NULL;
    mapped_test_table(&f, 500, CODEC_NONE);
    ASSERT_OK(vfs_fault_new(vfs_mem_vfs(f.disk), &fault));
    vfs_fault_set(fault,
                  &(vfs_fault_rule){.kinds = VFS_FAULT_MAP, .count = UINT64_MAX, .error = ENODEV});
    table_open_args args = {.vfs = vfs_fault_vfs(fault), .path = FIXTURE_PATH, .is_mapped = true};
    ASSERT_OK(table_open(&args, &t));
    assert_false(table_is_mapped(t));
    fixture_check_scan(&f, t, &mapped_args);
    table_unref(t);
    vfs_fault_free(fault);
    fixture_deinit(&f);
}

/* The fixture's table as a real file. */
static void mapped_test_real_file(fixture *f, const char *directory, char *path, size_t room) {
    vfs_file *file = NULL;
    uint64_t bytes = 0;
    uint8_t *data = fixture_bytes(f, &bytes);
    snprintf(path, room, "%s/000001.sst", directory);
    ASSERT_OK(vfs_open(firn_vfs_default(), path, FIRN_VFS_WRITE | FIRN_VFS_CREATE, &file));
    ASSERT_OK(vfs_write(file, 0, data, bytes));
    ASSERT_OK(vfs_close(file));
}

TEST(table_mapped, a_file_cut_short_under_it_is_an_error_that_names_it) {
    fixture f;
    char path[512];
    table *t = NULL;
    iter *it = NULL;
    status st;
    char *directory = test_dir_new();
    mapped_test_table(&f, 3000, CODEC_NONE);
    mapped_test_real_file(&f, directory, path, sizeof path);
    table_open_args args = {.vfs = firn_vfs_default(), .path = path, .is_mapped = true};
    ASSERT_OK(table_open(&args, &t));
    assert_true(table_is_mapped(t));
    fixture_check_scan(&f, t, &mapped_args);
    ASSERT_OK(table_iter_new(t, &mapped_args, &it));
    iter_seek(it, fixture_key(&f, f.count - 10));
    assert_true(iter_valid(it));
    assert_int_equal(truncate(path, 4096), 0);

    /* What lies before the cut is still served, whatever happened behind it. */
    for (int round = 0; round < 2; round++) {
        lookup found = mapped_test_get(&f, t, f.count - 1, &st);
        ASSERT_CODE(st, FIRN_IO_ERROR);
        assert_non_null(strstr(error_detail_get(), path));
        assert_false(found.found);
        found = mapped_test_get(&f, t, 0, &st);
        ASSERT_OK(st);
        assert_memory_equal(found.value.data, f.entries[0].value, found.value.size);
        lookup_release(&found);
    }
    while (iter_valid(it))
        iter_next(it);
    ASSERT_CODE(it->st, FIRN_IO_ERROR);
    iter_free(it);
    table_unref(t);
    test_dir_remove(directory);
    fixture_deinit(&f);
}

TEST(table_mapped, the_cache_reopens_tables_the_other_way) {
    fixture f;
    static epoch readers;
    table_cache *c = NULL;
    table_slot slot;
    table *t = NULL;
    mapped_test_table(&f, 300, CODEC_NONE);
    epoch_init(&readers);
    table_slot_init(&slot);
    table_cache_args args = {.vfs = vfs_mem_vfs(f.disk),
                             .directory = "",
                             .readers = &readers,
                             .tables_max = 9};
    table_locator where = {.number = 1, .file_bytes = f.built.file_bytes};
    memcpy(where.identity, f.args.identity, sizeof where.identity);
    ASSERT_OK(table_cache_new(&args, &c));
    for (int i = 0; i < 4; i++) {
        table_cache_set_mapped(c, i % 2 != 0);
        assert_null(table_slot_peek(&slot));
        ASSERT_OK(table_cache_get(c, &where, &slot, (key_order){NULL}, &t));
        assert_int_equal(table_is_mapped(t), i % 2 != 0);
        fixture_check_scan(&f, t, &mapped_args);
        table_cache_set_mapped(c, i % 2 != 0);
        assert_ptr_equal(table_slot_peek(&slot), t);
        table_unref(t);
    }
    table_slot_close(&slot);
    table_cache_free(c);
    epoch_deinit(&readers);
    fixture_deinit(&f);
}

TEST_MAIN(RUN(table_mapped, blocks_that_are_not_compressed_are_used_in_place),
          RUN(table_mapped, a_pinned_value_keeps_the_table_open),
          RUN(table_mapped, compressed_blocks_go_through_the_cache),
          RUN(table_mapped, every_use_is_checked_where_that_is_asked_for),
          RUN(table_mapped, is_optional),
          RUN(table_mapped, a_file_cut_short_under_it_is_an_error_that_names_it),
          RUN(table_mapped, the_cache_reopens_tables_the_other_way))
