#include "table_fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "platform/vfs_fault.h"
#include "table/table_internal.h"

TEST(table_builder, gives_the_same_bytes_for_the_same_input) {
    fixture f;
    rng r;
    rng_init(&r, test_seed());
    fixture_init(&f);
    table_builder_args args = fixture_args();
    fixture_fill(&f, &r, 1, 2000);
    fixture_sort(&f, args.order);
    fixture_build(&f, &args);
    uint64_t bytes, again_bytes;
    uint8_t *data = fixture_bytes(&f, &bytes);
    uint8_t *copy = malloc(bytes);
    memcpy(copy, data, bytes);
    fixture_build(&f, &args);
    uint8_t *again = fixture_bytes(&f, &again_bytes);
    assert_int_equal(again_bytes, bytes);
    assert_memory_equal(again, copy, bytes);
    free(copy);
    fixture_deinit(&f);
}

TEST(table_builder, cuts_blocks_near_the_target) {
    fixture f;
    rng r;
    rng_init(&r, 4);
    fixture_init(&f);
    table_builder_args args = fixture_args();
    args.block_bytes = 4096;
    fixture_fill(&f, &r, 1, 5000);
    fixture_sort(&f, args.order);
    fixture_build(&f, &args);
    table *t = fixture_open(&f, NULL);
    for (uint32_t i = 0; i + 1 < t->index.count; i++)
        assert_in_range(table_index_handle(&t->index, i).bytes, 4096, 4096 + 700);
    table_unref(t);
    fixture_deinit(&f);
}

TEST(table_builder, index_keys_are_shorter_than_the_keys_they_part) {
    fixture f;
    fixture_init(&f);
    table_builder_args args = fixture_args();
    args.block_bytes = 1; /* a block each */
    fixture_add(&f, slice_from_string("apple pie with cream"), 1, OP_PUT, slice_from_string(""));
    fixture_add(&f, slice_from_string("banana"), 2, OP_PUT, slice_from_string(""));
    fixture_build(&f, &args);
    table *t = fixture_open(&f, NULL);
    assert_int_equal(t->index.count, 2);
    assert_int_equal(internal_key_user(table_index_separator(&t->index, 0)).s.size, 1);
    assert_true(slice_equal(table_index_separator(&t->index, 1).s, fixture_key(&f, 1).s));
    table_unref(t);
    fixture_deinit(&f);
}

TEST(table_builder, long_common_keys_cut_blocks_before_readers_would_refuse_them) {
    fixture f;
    fixture_init(&f);
    table_builder_args args = fixture_args();
    args.block_bytes = 1 << 20;
    args.restart_interval = 1024;
    uint8_t *key = calloc(1, KEY_BYTES_MAX);
    for (uint32_t i = 0; i < 700; i++) {
        key[KEY_BYTES_MAX - 2] = (uint8_t)(i >> 8);
        key[KEY_BYTES_MAX - 1] = (uint8_t)i;
        fixture_add(&f, slice_of(key, KEY_BYTES_MAX), 1, OP_PUT, slice_from_string("v"));
    }
    free(key);
    fixture_build(&f, &args);
    table *t = fixture_open(&f, NULL);
    assert_in_range(t->index.count, 8, 20);
    fixture_check_scan(&f, t, &(table_read_args){0});
    ASSERT_OK(table_verify(t, NULL, NULL));
    table_unref(t);
    fixture_deinit(&f);
}

TEST(table_builder, file_bytes_grow_to_the_size_of_the_file) {
    fixture f;
    vfs_file *file = NULL;
    table_builder *b = NULL;
    table_summary summary;
    fixture_init(&f);
    f.args = fixture_args();
    ASSERT_OK(vfs_open(vfs_mem_vfs(f.disk), FIXTURE_PATH, FIRN_VFS_WRITE | FIRN_VFS_CREATE, &file));
    f.args.file = file;
    ASSERT_OK(table_builder_new(&f.args, &b));
    uint64_t before = 0;
    for (int i = 0; i < 1000; i++) {
        uint8_t key[12] = {(uint8_t)(i >> 8), (uint8_t)i, 0, 0, OP_PUT, 1};
        ASSERT_OK(table_builder_add(b, (internal_key){slice_of(key, sizeof key)},
                                    slice_from_string("some value")));
        assert_true(table_builder_file_bytes(b) > before);
        before = table_builder_file_bytes(b);
    }
    ASSERT_OK(table_builder_finish(b, &summary));
    uint64_t bytes;
    ASSERT_OK(vfs_get_size(file, &bytes));
    assert_int_equal(table_builder_file_bytes(b), bytes);
    assert_int_equal(summary.properties.file_bytes, bytes);
    table_builder_free(b);
    ASSERT_OK(vfs_close(file));
    fixture_deinit(&f);
}

TEST(table_builder, a_failed_write_is_reported) {
    fixture f;
    vfs_fault *fault = NULL;
    vfs_file *file = NULL;
    fixture_init(&f);
    ASSERT_OK(vfs_fault_new(vfs_mem_vfs(f.disk), &fault));
    for (uint64_t after = 0; after < 3; after++) {
        table_builder *b = NULL;
        table_summary summary;
        status st = STATUS_OK;
        table_builder_args args = fixture_args();
        ASSERT_OK(
            vfs_open(vfs_fault_vfs(fault), FIXTURE_PATH, FIRN_VFS_WRITE | FIRN_VFS_CREATE, &file));
        args.file = file;
        ASSERT_OK(table_builder_new(&args, &b));
        vfs_fault_set(fault, &(vfs_fault_rule){.kinds = VFS_FAULT_WRITE,
                                               .after = after,
                                               .count = 1,
                                               .error = ENOSPC});
        static uint8_t value[60000];
        for (uint32_t i = 0; i < 80 && status_is_ok(st); i++) {
            uint8_t key[9] = {(uint8_t)i, OP_PUT, 1};
            st = table_builder_add(b, (internal_key){slice_of(key, sizeof key)},
                                   slice_of(value, sizeof value));
        }
        if (status_is_ok(st))
            st = table_builder_finish(b, &summary);
        ASSERT_CODE(st, FIRN_NO_SPACE);
        vfs_fault_set(fault, NULL);
        table_builder_free(b);
        ASSERT_OK(vfs_close(file));
    }
    vfs_fault_free(fault);
    fixture_deinit(&f);
}

static status builder_test_bad_chunk(void *context, uint64_t index, uint8_t *out, size_t *bytes) {
    *bytes = 10;
    memset(out, 0, 10);
    return *(int *)context == 0 || index < 1 ? STATUS_OK : status_of(FIRN_IO_ERROR, "test");
}

TEST(table_builder, a_large_value_whose_source_fails_or_lies_is_refused) {
    fixture f;
    fixture_init(&f);
    for (int mode = 0; mode < 2; mode++) {
        vfs_file *file = NULL;
        table_builder *b = NULL;
        table_builder_args args = fixture_args();
        ASSERT_OK(
            vfs_open(vfs_mem_vfs(f.disk), FIXTURE_PATH, FIRN_VFS_WRITE | FIRN_VFS_CREATE, &file));
        args.file = file;
        ASSERT_OK(table_builder_new(&args, &b));
        uint8_t key[9] = {'k', OP_PUT_LARGE, 1};
        large_ref ref = {.bytes = mode ? 11 : 3u << 20};
        large_source source = {&mode, builder_test_bad_chunk};
        ASSERT_CODE(table_builder_add_large(b, (internal_key){slice_of(key, sizeof key)}, &ref,
                                            &source),
                    FIRN_CORRUPTION);
        table_builder_free(b);
        ASSERT_OK(vfs_close(file));
    }
    fixture_deinit(&f);
}

TEST_MAIN(RUN(table_builder, gives_the_same_bytes_for_the_same_input),
          RUN(table_builder, cuts_blocks_near_the_target),
          RUN(table_builder, index_keys_are_shorter_than_the_keys_they_part),
          RUN(table_builder, long_common_keys_cut_blocks_before_readers_would_refuse_them),
          RUN(table_builder, file_bytes_grow_to_the_size_of_the_file),
          RUN(table_builder, a_failed_write_is_reported),
          RUN(table_builder, a_large_value_whose_source_fails_or_lies_is_refused))
