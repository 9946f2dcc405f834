#include "table_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "platform/vfs_fault.h"
#include "table/table_writer.h"

enum { PIECE_BYTES = 1 << 20 };

static uint64_t announced_bytes;

/* Front to back, without a gap. */
static void note_announced(firn_file *file, uint64_t offset, uint64_t bytes) {
    uint64_t written;
    assert_int_equal(offset, announced_bytes);
    announced_bytes += bytes;
    assert_int_equal(file->methods->get_size(file, &written), 0);
    assert_true(written >= announced_bytes); /* after the write, not before it */
}

TEST(table_writer, announces_whole_buffers_to_be_synced) {
    fixture f;
    vfs_file *file = NULL;
    table_writer w;
    fixture_init(&f);
    ASSERT_OK(vfs_open(vfs_mem_vfs(f.disk), FIXTURE_PATH, FIRN_VFS_WRITE | FIRN_VFS_CREATE, &file));
    const firn_file_methods *before = file->handle->methods;
    firn_file_methods methods = *before;
    methods.will_sync = note_announced;
    file->handle->methods = &methods;
    announced_bytes = 0;
    ASSERT_OK(table_writer_init(&w, file, (const uint8_t[16]){0}, PIECE_BYTES));
    uint8_t *data = calloc(1, 2 * PIECE_BYTES + 1);
    ASSERT_OK(table_writer_append(&w, slice_of(data, 2 * PIECE_BYTES + 1)));
    ASSERT_OK(table_writer_flush(&w));
    assert_int_equal(announced_bytes, 2 * PIECE_BYTES);
    methods.size = offsetof(firn_file_methods, will_sync); /* of a program built before it */
    ASSERT_OK(table_writer_append(&w, slice_of(data, PIECE_BYTES)));
    assert_int_equal(announced_bytes, 2 * PIECE_BYTES);
    file->handle->methods = before;
    table_writer_deinit(&w);
    ASSERT_OK(vfs_close(file));
    free(data);
    fixture_deinit(&f);
}

TEST(table_writer, writes_what_was_appended_in_whole_buffers) {
    fixture f;
    vfs_fault *fault = NULL;
    vfs_file *file = NULL;
    table_writer w;
    rng r;
    rng_init(&r, test_seed());
    fixture_init(&f);
    ASSERT_OK(vfs_fault_new(vfs_mem_vfs(f.disk), &fault));
    vfs_fault_set(fault, &(vfs_fault_rule){.kinds = VFS_FAULT_WRITE, .after = UINT64_MAX});
    ASSERT_OK(
        vfs_open(vfs_fault_vfs(fault), FIXTURE_PATH, FIRN_VFS_WRITE | FIRN_VFS_CREATE, &file));
    ASSERT_OK(table_writer_init(&w, file, (const uint8_t[16]){0}, PIECE_BYTES));
    size_t total = 3 * PIECE_BYTES + 12345, done = 0;
    uint8_t *data = malloc(total);
    for (size_t i = 0; i < total; i++)
        data[i] = (uint8_t)(i * 7 >> 3);
    while (done < total) {
        size_t piece = 1 + rng_below(&r, rng_below(&r, 50) ? 5000 : 2 * PIECE_BYTES);
        piece = piece < total - done ? piece : total - done;
        ASSERT_OK(table_writer_append(&w, slice_of(data + done, piece)));
        done += piece;
        assert_int_equal(table_writer_bytes(&w), done);
    }
    assert_int_equal(vfs_fault_matched(fault), 3);
    ASSERT_OK(table_writer_flush(&w));
    ASSERT_OK(table_writer_flush(&w));
    assert_int_equal(vfs_fault_matched(fault), 4);
    table_writer_deinit(&w);
    ASSERT_OK(vfs_close(file));
    uint64_t bytes;
    assert_memory_equal(fixture_bytes(&f, &bytes), data, total);
    assert_int_equal(bytes, total);
    free(data);
    vfs_fault_free(fault);
    fixture_deinit(&f);
}

TEST_MAIN(RUN(table_writer, announces_whole_buffers_to_be_synced),
          RUN(table_writer, writes_what_was_appended_in_whole_buffers))
