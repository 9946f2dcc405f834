/* tests/golden/data/table_v1.sst was written by the first release of table format 1. It must open
 * for ever, and as long as format 1 is written the same input must give the same bytes: another
 * byte is another format.
 *
 * FIRN_GOLDEN_WRITE=1 writes the file where there is none yet. */
#include "lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/vfs_mem.h"
#include "table/table_builder.h"
#include "util/hash.h"

enum { GOLDEN_KEYS = 60, GOLDEN_LARGE_BYTES = LARGE_VALUE_BYTES + 5 };

/* Key i: ten users with three records each, of which some are deleted; then their older versions.
 */
static void golden_entry(int i, buf *key, buf *value) {
    char text[64];
    snprintf(text, sizeof text, "user:%02d/record:%d", i / 6, i / 2 % 3);
    bool newer = i % 2 == 0;
    bool deleted = newer && i % 10 == 4;
    buf_clear(key);
    buf_clear(value);
    internal_key_append(key, user_key_of(slice_from_string(text)),
                        (seqno)(newer ? 1000 + i : 1 + i), deleted ? OP_DELETE : OP_PUT);
    if (!deleted)
        buf_printf(value, "value %d of %s", i, text);
}

static status golden_chunk(void *context, uint64_t index, uint8_t *out, size_t *bytes) {
    (void)context;
    size_t left = GOLDEN_LARGE_BYTES - index * EXTENT_CHUNK_BYTES;
    *bytes = left < EXTENT_CHUNK_BYTES ? left : EXTENT_CHUNK_BYTES;
    for (size_t i = 0; i < *bytes; i++)
        out[i] = (uint8_t)((index * EXTENT_CHUNK_BYTES + i) * 31 >> 3);
    return STATUS_OK;
}

/* Builds the table on `disk`; with the large value it is another, bigger one, not stored here. */
static void golden_build(vfs_mem *disk, bool with_large) {
    vfs_file *file = NULL;
    table_builder *b = NULL;
    table_summary summary;
    buf key = {0}, value = {0};
    ASSERT_OK(vfs_open(vfs_mem_vfs(disk), "/golden.sst", FIRN_VFS_WRITE | FIRN_VFS_CREATE, &file));
    table_builder_args args = {.file = file,
                               .keyspace = 3,
                               .block_bytes = 512,
                               .restart_interval = 8,
                               .filter_bits_per_key = 10,
                               .codec = CODEC_NONE};
    for (int i = 0; i < 16; i++)
        args.identity[i] = (uint8_t)(0xf0 + i);
    ASSERT_OK(table_builder_new(&args, &b));
    for (int i = 0; i < GOLDEN_KEYS; i++) {
        golden_entry(i, &key, &value);
        ASSERT_OK(table_builder_add(b, (internal_key){buf_slice(&key)}, buf_slice(&value)));
    }
    if (with_large) {
        large_ref ref = {.bytes = GOLDEN_LARGE_BYTES};
        large_source source = {NULL, golden_chunk};
        buf_clear(&key);
        internal_key_append(&key, user_key_of(slice_from_string("x")), 5000, OP_PUT_LARGE);
        ASSERT_OK(table_builder_add_large(b, (internal_key){buf_slice(&key)}, &ref, &source));
    }
    ASSERT_OK(table_builder_finish(b, &summary));
    table_builder_free(b);
    ASSERT_OK(vfs_close(file));
    buf_deinit(&key);
    buf_deinit(&value);
}

static const char *golden_path(void) {
    const char *source = getenv("FIRN_SOURCE");
    static char path[1024];
    snprintf(path, sizeof path, "%s/tests/golden/data/table_v1.sst", source ? source : ".");
    return path;
}

static void golden_check(const firn_vfs *vfs, const char *path) {
    table *t = NULL;
    buf key = {0}, value = {0};
    table_open_args args = {.vfs = vfs, .path = path};
    ASSERT_OK(table_open(&args, &t));
    for (int i = 0; i < GOLDEN_KEYS; i++) {
        lookup found;
        table_get_trace trace;
        golden_entry(i, &key, &value);
        internal_key wanted = {buf_slice(&key)};
        slice user = internal_key_user(wanted).s;
        ASSERT_OK(table_get(t, wanted, hash64(user.data, user.size), &(table_read_args){0}, &trace,
                            &found));
        assert_true(found.found && trace.filter_checked);
        assert_int_equal(found.sequence, internal_key_sequence(wanted));
        assert_int_equal(found.kind, internal_key_kind(wanted));
        assert_true(slice_equal(found.value, buf_slice(&value)));
        lookup_release(&found);
    }
    const table_properties *p = table_get_properties(t);
    assert_int_equal(p->entries, GOLDEN_KEYS);
    assert_int_equal(p->deletes, 6);
    assert_int_equal(p->keyspace, 3);
    assert_int_equal(p->max_sequence, 1058);
    assert_int_equal(p->min_sequence, 2);
    assert_int_equal(p->identity[15], 0xff);
    ASSERT_OK(table_verify(t, NULL, NULL));
    table_unref(t);
    buf_deinit(&key);
    buf_deinit(&value);
}

TEST(golden_table_v1, opens_and_says_what_was_written) {
    golden_check(firn_vfs_default(), golden_path());
}

TEST(golden_table_v1, is_what_the_builder_still_writes) {
    vfs_mem *disk = NULL;
    uint64_t bytes = 0;
    static uint8_t stored[65536];
    ASSERT_OK(vfs_mem_new(&disk));
    golden_build(disk, false);
    uint8_t *built = vfs_mem_contents(disk, "/golden.sst", &bytes);
    assert_non_null(built);
    if (getenv("FIRN_GOLDEN_WRITE")) {
        FILE *new_file = fopen(golden_path(), "wbx");
        if (new_file) {
            assert_int_equal(fwrite(built, 1, bytes, new_file), bytes);
            assert_int_equal(fclose(new_file), 0);
        }
    }
    FILE *file = fopen(golden_path(), "rb");
    assert_non_null(file);
    assert_int_equal(fread(stored, 1, sizeof stored, file), bytes);
    (void)fclose(file);
    assert_memory_equal(stored, built, bytes);
    vfs_mem_free(disk);
}

/* Too big to keep a copy of: its hash is kept instead. */
TEST(golden_table_v1, with_an_extent_hashes_as_ever) {
    vfs_mem *disk = NULL;
    uint64_t bytes = 0;
    ASSERT_OK(vfs_mem_new(&disk));
    golden_build(disk, true);
    uint8_t *built = vfs_mem_contents(disk, "/golden.sst", &bytes);
    assert_non_null(built);
    assert_int_equal(hash64(built, bytes), 0x6004006e1d3e49f5);
    vfs_mem_free(disk);
}

/* The table of docs/format/table.md, "Worked example". */
TEST(golden_table_v1, worked_example_has_the_bytes_the_format_page_shows) {
    static const struct {
        const char *user, *value;
        seqno sequence;
        op_kind kind;
    } entries[] = {{"apple", "", 7, OP_DELETE},
                   {"apple", "red", 5, OP_PUT},
                   {"apricot", "orange", 6, OP_PUT}};
    static const uint8_t data_block[69] = {0x00, 0x0d, 0x00, 0x61, 0x70, 0x70, 0x6c, 0x65, 0x00,
                                           0x07, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05, 0x08,
                                           0x03, 0x01, 0x05, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                                           0x72, 0x65, 0x64, 0x02, 0x0d, 0x06, 0x72, 0x69, 0x63,
                                           0x6f, 0x74, 0x01, 0x06, 0x00, 0x00, 0x00, 0x00, 0x00,
                                           0x00, 0x6f, 0x72, 0x61, 0x6e, 0x67, 0x65, 0x00, 0x00,
                                           0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x3c, 0x00,
                                           0x00, 0x00, 0xcb, 0x05, 0x9d, 0x98};
    vfs_mem *disk = NULL;
    vfs_file *file = NULL;
    table_builder *b = NULL;
    table_summary summary;
    buf key = {0};
    uint64_t bytes = 0;
    ASSERT_OK(vfs_mem_new(&disk));
    ASSERT_OK(vfs_open(vfs_mem_vfs(disk), "/example.sst", FIRN_VFS_WRITE | FIRN_VFS_CREATE, &file));
    table_builder_args args = {.file = file, .block_bytes = 4096, .restart_interval = 16};
    for (int i = 0; i < 16; i++)
        args.identity[i] = (uint8_t)(0xa0 + i);
    ASSERT_OK(table_builder_new(&args, &b));
    for (int i = 0; i < 3; i++) {
        buf_clear(&key);
        internal_key_append(&key, user_key_of(slice_from_string(entries[i].user)),
                            entries[i].sequence, entries[i].kind);
        ASSERT_OK(table_builder_add(b, (internal_key){buf_slice(&key)},
                                    slice_from_string(entries[i].value)));
    }
    ASSERT_OK(table_builder_finish(b, &summary));
    uint8_t *built = vfs_mem_contents(disk, "/example.sst", &bytes);
    assert_int_equal(bytes, 535);
    assert_memory_equal(built, data_block, sizeof data_block);
    assert_int_equal(hash64(built, bytes), 0x2eb9c3076628ebdb);
    table_builder_free(b);
    ASSERT_OK(vfs_close(file));
    buf_deinit(&key);
    vfs_mem_free(disk);
}

TEST_MAIN(RUN(golden_table_v1, worked_example_has_the_bytes_the_format_page_shows),
          RUN(golden_table_v1, is_what_the_builder_still_writes),
          RUN(golden_table_v1, opens_and_says_what_was_written),
          RUN(golden_table_v1, with_an_extent_hashes_as_ever))
