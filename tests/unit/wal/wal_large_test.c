#include "wal/wal_large.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record/record.h"
#include "wal_fixture.h"

static vfs_mem *disk;
static const firn_vfs *vfs;
static log_entries *model, *found;
static firn_batch batch;
static wal_writer *w;

static int set_up(void **state) {
    (void)state;
    disk = log_disk_new();
    vfs = vfs_mem_vfs(disk);
    model = log_entries_new();
    found = log_entries_new();
    batch_init(&batch);
    wal_writer_args args = log_writer_args(vfs);
    w = log_writer_new(&args);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    wal_writer_free(w);
    batch_deinit(&batch);
    free(model);
    free(found);
    vfs_mem_free(disk);
    return 0;
}

static void put(const char *key, size_t bytes, uint32_t salt) {
    uint8_t *value = malloc(bytes + 1);
    assert_non_null(value);
    for (size_t i = 0; i < bytes; i++)
        value[i] = (uint8_t)((i * 2654435761u + salt) >> 24);
    ASSERT_OK(batch_put(&batch, 0, slice_from_string(key), slice_of(value, bytes), true));
    free(value);
}

/* Small and large values in one batch; gives the references as patched. */
static size_t append_mixed(const size_t *value_bytes, size_t count, large_ref *refs) {
    size_t large = 0;
    batch_clear(&batch);
    for (size_t i = 0; i < count; i++)
        put("key", value_bytes[i], (uint32_t)i);
    batch_view view = batch_get_view(&batch);
    slice ops;
    seqno first = log_next_sequence(model);
    ASSERT_OK(wal_writer_append(w, first, &view, 1, &ops));
    model->at[model->count++] = log_entry_of(&batch, first);
    batch_op op;
    while (ops.size > 0) {
        assert_true(batch_op_decode(&ops, &op));
        if (op.kind == OP_PUT_LARGE)
            assert_true(large_ref_decode(op.value, &refs[large++]));
    }
    return large;
}

static const size_t mixed[] = {10,  LARGE_VALUE_BYTES,    0, 3 * EXTENT_CHUNK_BYTES + 5,
                               700, LARGE_VALUE_BYTES + 1};

TEST(wal_large, values_are_mapped_and_read_by_chunk) {
    large_ref refs[8];
    uint8_t *chunk = malloc(EXTENT_CHUNK_BYTES);
    assert_int_equal(append_mixed(mixed, 6, refs), 3);
    for (size_t i = 0; i < 3; i++) {
        slice value;
        void *pin;
        void (*unpin)(void *);
        wal_large_reader *r = NULL;
        slice original = batch_get_view(&batch).large[i].value;
        assert_int_equal(refs[i].place, LARGE_IN_LOG);
        assert_int_equal(refs[i].offset % 8, 0);
        ASSERT_OK(wal_large_map(vfs, WAL_DIRECTORY, &refs[i], &value, &pin, &unpin));
        assert_true(slice_equal(value, original));
        unpin(pin);
        ASSERT_OK(wal_large_open(vfs, WAL_DIRECTORY, &refs[i], &r));
        uint64_t chunks = extent_chunk_count(original.size);
        for (uint64_t c = 0; c < chunks; c++) {
            size_t bytes;
            ASSERT_OK(wal_large_read_chunk(r, c, chunk, &bytes));
            assert_int_equal(bytes, c + 1 < chunks ? EXTENT_CHUNK_BYTES
                                                   : original.size - c * EXTENT_CHUNK_BYTES);
            assert_memory_equal(chunk, original.data + c * EXTENT_CHUNK_BYTES, bytes);
        }
        wal_large_close(r);
    }
    free(chunk);
}

TEST(wal_large, large_and_small_batches_of_a_group_come_back) {
    firn_batch group[4];
    batch_view views[4];
    slice ops[4];
    for (size_t i = 0; i < 4; i++) {
        batch_init(&group[i]);
        log_batch_put(&group[i], "value", i % 2 ? LARGE_VALUE_BYTES + i * 1000 : 300, (uint8_t)i);
        views[i] = batch_get_view(&group[i]);
        model->at[model->count] = log_entry_of(&group[i], log_next_sequence(model));
        model->count++;
    }
    ASSERT_OK(wal_writer_append(w, 1, views, 4, ops));
    ASSERT_OK(wal_writer_sync(w));
    wal_recovery r;
    log_recover(vfs, found, &r);
    assert_int_equal(found->count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(found->at[i].digest, model->at[i].digest);
        batch_deinit(&group[i]);
    }
    assert_int_equal(r.end_position, wal_writer_end(w));
    /* Written back, nothing changes. */
    uint64_t hash = vfs_mem_hash(disk);
    wal_recovery_args args = log_recovery_args(vfs, found);
    ASSERT_OK(wal_recovery_write_back(&args, &r));
    assert_int_equal(vfs_mem_hash(disk), hash);
    wal_recovery_deinit(&r);
}

TEST(wal_large, a_damaged_chunk_is_corruption_with_its_offset) {
    large_ref refs[8];
    append_mixed(mixed, 6, refs);
    char path[64], where[64];
    uint64_t bytes;
    uint8_t *file = vfs_mem_contents(disk, log_path(refs[1].file, path), &bytes);
    uint64_t second = refs[1].offset + EXTENT_CHUNK_BYTES;
    file[second + 77] ^= 1;
    snprintf(where, sizeof where, "offset %llu", (unsigned long long)second);
    slice value;
    void *pin;
    void (*unpin)(void *);
    ASSERT_CODE(wal_large_map(vfs, WAL_DIRECTORY, &refs[1], &value, &pin, &unpin), FIRN_CORRUPTION);
    assert_non_null(strstr(error_detail_get(), where));
    assert_null(pin);
    wal_large_reader *r = NULL;
    uint8_t *chunk = malloc(EXTENT_CHUNK_BYTES);
    size_t got;
    ASSERT_OK(wal_large_open(vfs, WAL_DIRECTORY, &refs[1], &r));
    ASSERT_OK(wal_large_read_chunk(r, 0, chunk, &got));
    ASSERT_CODE(wal_large_read_chunk(r, 1, chunk, &got), FIRN_CORRUPTION);
    assert_non_null(strstr(error_detail_get(), where));
    wal_large_close(r);
    free(chunk);
    large_ref beyond = refs[1];
    beyond.offset = bytes;
    ASSERT_CODE(wal_large_open(vfs, WAL_DIRECTORY, &beyond, &r), FIRN_CORRUPTION);
    beyond.file = 99;
    ASSERT_CODE(wal_large_open(vfs, WAL_DIRECTORY, &beyond, &r), FIRN_CORRUPTION);
    assert_null(r);
}

/* Its header can reach the disk before its value does. */
TEST(wal_large, a_batch_with_a_torn_extent_does_not_come_back) {
    large_ref refs[8];
    size_t small = 100;
    append_mixed(&small, 1, refs);
    append_mixed(mixed, 6, refs);
    append_mixed(&small, 1, refs + 4);
    for (size_t i = 0; i < 3; i++) {
        char path[64];
        uint64_t bytes;
        uint8_t *file = vfs_mem_contents(disk, log_path(refs[i].file, path), &bytes);
        uint64_t at = refs[i].offset + refs[i].bytes - 1;
        file[at] ^= 1;
        wal_recovery r;
        log_recover(vfs, found, &r);
        assert_int_equal(found->count, 1);
        wal_recovery_deinit(&r);
        file[at] ^= 1;
    }
    ASSERT_OK(wal_writer_sync(w));
    append_mixed(&small, 1, refs + 4);
    char path[64];
    uint64_t bytes;
    uint8_t *file = vfs_mem_contents(disk, log_path(refs[0].file, path), &bytes);
    file[refs[0].offset] ^= 1;
    wal_recovery_args args = log_recovery_args(vfs, found);
    wal_recovery r;
    ASSERT_CODE(wal_recover(&args, &r), FIRN_CORRUPTION);
}

#define RUN_WITH(behaviour) \
    { "wal_large: " #behaviour, test_wal_large_##behaviour, set_up, tear_down, NULL }

LOG_TEST_MAIN(RUN_WITH(values_are_mapped_and_read_by_chunk),
              RUN_WITH(large_and_small_batches_of_a_group_come_back),
              RUN_WITH(a_damaged_chunk_is_corruption_with_its_offset),
              RUN_WITH(a_batch_with_a_torn_extent_does_not_come_back))
