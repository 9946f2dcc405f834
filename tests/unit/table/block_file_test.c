#include "table_fixture.h"

#include <string.h>

#include "table/block_file.h"
#include "table/table_writer.h"

/* Three blocks of entries on a disk, read back through `source`. */
typedef struct file_test {
    fixture f;
    vfs_file *file;
    block_source source;
    block_handle handles[3];
} file_test;

static void file_test_init(file_test *t) {
    static const uint8_t raw[] = {0, 1, 1, 'k', 'v', 0, 0, 0, 0, 1, 0, 0, 0};
    table_writer w;
    fixture_init(&t->f);
    ASSERT_OK(
        vfs_open(vfs_mem_vfs(t->f.disk), FIXTURE_PATH, FIRN_VFS_WRITE | FIRN_VFS_CREATE, &t->file));
    t->source = (block_source){.file = t->file, .identity = {9, 8, 7}};
    ASSERT_OK(table_writer_init(&w, t->file, t->source.identity, 64 << 10));
    for (int i = 0; i < 3; i++)
        ASSERT_OK(table_writer_block(&w, slice_of(raw, sizeof raw), CODEC_NONE, &t->handles[i]));
    assert_int_equal(table_writer_bytes(&w), 3 * (sizeof raw + BLOCK_TRAILER_BYTES));
    ASSERT_OK(table_writer_flush(&w));
    t->source.end = w.written;
    table_writer_deinit(&w);
}

static void file_test_deinit(file_test *t) {
    ASSERT_OK(vfs_close(t->file));
    fixture_deinit(&t->f);
}

TEST(block_file, handles_round_trip_and_allow_nothing_behind_them) {
    const block_handle in[] = {{0, 0}, {127, 128}, {UINT64_MAX, UINT64_MAX}};
    for (size_t i = 0; i < 3; i++) {
        uint8_t bytes[BLOCK_HANDLE_BYTES_MAX + 1] = {0};
        block_handle out;
        size_t size = (size_t)(block_handle_encode(in[i], bytes) - bytes);
        assert_true(block_handle_decode(slice_of(bytes, size), &out));
        assert_int_equal(out.offset, in[i].offset);
        assert_int_equal(out.bytes, in[i].bytes);
        assert_false(block_handle_decode(slice_of(bytes, size + 1), &out));
        assert_false(block_handle_decode(slice_of(bytes, size - 1), &out));
    }
}

TEST(block_file, a_moved_block_does_not_validate) {
    file_test t;
    table_block *b = NULL;
    uint64_t bytes;
    file_test_init(&t);
    uint8_t *data = fixture_bytes(&t.f, &bytes);
    ASSERT_OK(block_load(&t.source, t.handles[1], &b));
    assert_int_equal(b->view.restart_count, 1);
    block_free(b);
    /* The same contents, but with the checksum of another offset. */
    memcpy(data + t.handles[1].offset, data + t.handles[0].offset,
           t.handles[0].bytes + BLOCK_TRAILER_BYTES);
    ASSERT_CODE(block_load(&t.source, t.handles[1], &b), FIRN_CORRUPTION);
    assert_null(b);
    assert_non_null(strstr(error_detail_get(), "/000001.sst"));
    /* And of another file. */
    t.source.identity[15] = 1;
    ASSERT_CODE(block_load(&t.source, t.handles[0], &b), FIRN_CORRUPTION);
    file_test_deinit(&t);
}

TEST(block_file, handles_outside_the_file_are_corruption) {
    file_test t;
    table_block *b = NULL;
    file_test_init(&t);
    const block_handle bad[] = {{t.source.end, 0}, {t.source.end + 1, 0},
                                {UINT64_MAX, 5},   {0, t.source.end - BLOCK_TRAILER_BYTES + 1},
                                {0, UINT64_MAX},   {0, UINT64_MAX - BLOCK_TRAILER_BYTES}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ASSERT_CODE(block_load(&t.source, bad[i], &b), FIRN_CORRUPTION);
        assert_non_null(strstr(error_detail_get(), "outside"));
    }
    file_test_deinit(&t);
}

TEST(block_file, one_block_in_the_cache_serves_all_readers) {
    file_test t;
    cache *blocks = NULL;
    block_ref first, second, private;
    file_test_init(&t);
    ASSERT_OK(cache_new(1 << 20, 1, &blocks));
    ASSERT_OK(block_ref_fetch(&t.source, t.handles[0], blocks, true, &first));
    ASSERT_OK(block_ref_fetch(&t.source, t.handles[0], blocks, true, &second));
    assert_ptr_equal(first.block, second.block);
    assert_true(first.was_read && !second.was_read);
    ASSERT_OK(block_ref_fetch(&t.source, t.handles[1], blocks, false, &private));
    assert_null(private.handle);
    void *pin;
    void (*unpin)(void *pin);
    block_ref_to_pin(&first, &pin, &unpin);
    assert_null(first.block);
    block_ref_release(&second);
    block_ref_release(&private);
    cache_stats stats;
    cache_get_stats(blocks, &stats);
    assert_int_equal(stats.entries, 1);
    assert_true(stats.pinned_usage > 0);
    unpin(pin);
    cache_get_stats(blocks, &stats);
    assert_int_equal(stats.pinned_usage, 0);
    cache_free(blocks);
    file_test_deinit(&t);
}

TEST_MAIN(RUN(block_file, handles_round_trip_and_allow_nothing_behind_them),
          RUN(block_file, a_moved_block_does_not_validate),
          RUN(block_file, handles_outside_the_file_are_corruption),
          RUN(block_file, one_block_in_the_cache_serves_all_readers))
