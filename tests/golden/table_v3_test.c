/* tests/golden/data/table_v3*.sst were written by the first release of table format 3: a
 * partitioned index, and a filter of prefixes. They must open for ever, and as long as format 3 is
 * written the same input must give the same bytes.
 *
 * FIRN_GOLDEN_WRITE=1 writes the file where there is none yet. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/codec_dictionary.h"
#include "lib/test.h"
#include "platform/vfs_mem.h"
#include "table/table_builder.h"
#include "util/hash.h"

enum { GOLDEN3_KEYS = 60 };

static void golden3_entry(int i, buf *key, buf *value) {
    char text[64];
    snprintf(text, sizeof text, "station/%02d/reading/%03d", i / 10, i);
    buf_clear(key);
    buf_clear(value);
    internal_key_append(key, user_key_of(slice_from_string(text)), (seqno)(500 + i),
                        i % 7 == 3 ? OP_DELETE : OP_PUT);
    if (i % 7 != 3)
        buf_printf(value, "value %d", i);
}

/* A partitioned index; or a filter of prefixes. */
typedef struct golden3_file {
    const char *name;
    uint32_t partition_bytes;
    prefix_rule prefix;
    uint8_t index_kind;
} golden3_file;
static const golden3_file golden3_files[] = {
    {"table_v3.sst", 60, 0, 2},
    {"table_v3_prefix.sst", 0, PREFIX_UNTIL + '/', 1},
};
enum { GOLDEN3_FILES = sizeof golden3_files / sizeof *golden3_files };

static void golden3_build(vfs_mem *disk, const golden3_file *which) {
    vfs_file *file = NULL;
    table_builder *b = NULL;
    table_summary summary;
    buf key = {0}, value = {0};
    ASSERT_OK(vfs_open(vfs_mem_vfs(disk), "/golden.sst", FIRN_VFS_WRITE | FIRN_VFS_CREATE, &file));
    table_builder_args args = {.file = file,
                               .keyspace = 3,
                               .block_bytes = 128,
                               .restart_interval = 8,
                               .filter_bits_per_key = 10,
                               .index_partition_bytes = which->partition_bytes,
                               .prefix = which->prefix,
                               .codec = CODEC_NONE};
    for (int i = 0; i < 16; i++)
        args.identity[i] = (uint8_t)(0xd0 + i);
    ASSERT_OK(table_builder_new(&args, &b));
    for (int i = 0; i < GOLDEN3_KEYS; i++) {
        golden3_entry(i, &key, &value);
        ASSERT_OK(table_builder_add(b, (internal_key){buf_slice(&key)}, buf_slice(&value)));
    }
    ASSERT_OK(table_builder_finish(b, &summary));
    table_builder_free(b);
    ASSERT_OK(vfs_close(file));
    buf_deinit(&key);
    buf_deinit(&value);
}

static const char *golden3_path(const golden3_file *which) {
    const char *source = getenv("FIRN_SOURCE");
    static char path[1024];
    snprintf(path, sizeof path, "%s/tests/golden/data/%s", source ? source : ".", which->name);
    return path;
}

/* With its whole index, and by partition. */
static void golden3_read(const golden3_file *which, cache *blocks) {
    table *t = NULL;
    buf key = {0}, value = {0};
    table_open_args args = {.vfs = firn_vfs_default(),
                            .path = golden3_path(which),
                            .blocks = blocks};
    ASSERT_OK(table_open(&args, &t));
    for (int i = 0; i < GOLDEN3_KEYS; i++) {
        lookup found;
        table_get_trace trace;
        seek_key seek;
        golden3_entry(i, &key, &value);
        slice user = internal_key_user((internal_key){buf_slice(&key)}).s;
        ASSERT_OK(seek_key_init(&seek, user_key_of(user), SEQNO_MAX));
        ASSERT_OK(table_get(t, seek.key, hash64(user.data, user.size),
                            &(table_read_args){.fill_cache = true}, &trace, &found));
        seek_key_deinit(&seek);
        assert_true(found.found);
        assert_int_equal(found.kind, i % 7 == 3 ? OP_DELETE : OP_PUT);
        assert_int_equal(found.sequence, 500 + i);
        assert_true(slice_equal(found.value, buf_slice(&value)));
        lookup_release(&found);
    }
    assert_int_equal(table_get_properties(t)->entries, GOLDEN3_KEYS);
    assert_int_equal(table_get_properties(t)->data_blocks, 12);
    assert_int_equal(table_get_properties(t)->prefix, which->prefix);
    assert_true(table_may_have_prefix(t, slice_from_string("station/02")));
    assert_int_equal(table_may_have_prefix(t, slice_from_string("garden/02")), !which->prefix);
    ASSERT_OK(table_verify(t, NULL, NULL));
    table_unref(t);
    buf_deinit(&key);
    buf_deinit(&value);
}

TEST(golden_table_v3, opens_and_says_what_was_written) {
    for (int i = 0; i < GOLDEN3_FILES; i++) {
        cache *blocks = NULL;
        golden3_read(&golden3_files[i], NULL);
        ASSERT_OK(cache_new(1 << 20, 1, &blocks));
        golden3_read(&golden3_files[i], blocks);
        cache_free(blocks);
    }
}

static void golden3_compare(const golden3_file *which) {
    vfs_mem *disk = NULL;
    uint64_t bytes = 0;
    static uint8_t stored[65536];
    ASSERT_OK(vfs_mem_new(&disk));
    golden3_build(disk, which);
    uint8_t *built = vfs_mem_contents(disk, "/golden.sst", &bytes);
    assert_non_null(built);
    if (getenv("FIRN_GOLDEN_WRITE")) {
        FILE *new_file = fopen(golden3_path(which), "wbx");
        if (new_file) {
            assert_int_equal(fwrite(built, 1, bytes, new_file), bytes);
            assert_int_equal(fclose(new_file), 0);
        }
    }
    FILE *file = fopen(golden3_path(which), "rb");
    assert_non_null(file);
    assert_int_equal(fread(stored, 1, sizeof stored, file), bytes);
    (void)fclose(file);
    assert_memory_equal(stored, built, bytes);
    assert_int_equal(built[bytes - 12], 3);
    assert_int_equal(built[bytes - 24], which->index_kind);
    vfs_mem_free(disk);
}

TEST(golden_table_v3, is_what_the_builder_still_writes) {
    for (int i = 0; i < GOLDEN3_FILES; i++)
        golden3_compare(&golden3_files[i]);
}

/* --- blocks compressed with a dictionary: another release of Zstd may compress them otherwise, so
 * that only reading is held fast --- */

enum { GOLDEN3_HUTS = 1600 };

static void golden3_hut(int i, buf *key, buf *value) {
    char text[64];
    snprintf(text, sizeof text, "hut/%05d", i);
    buf_clear(key);
    buf_clear(value);
    internal_key_append(key, user_key_of(slice_from_string(text)), (seqno)(7 + i), OP_PUT);
    buf_printf(value, "{\"beds\": %d, \"stove\": \"wood\"}", i * 7919 % 1000);
}

static void golden3_build_huts(vfs_mem *disk) {
    vfs_file *file = NULL;
    table_builder *b = NULL;
    table_summary summary;
    buf key = {0}, value = {0};
    ASSERT_OK(vfs_open(vfs_mem_vfs(disk), "/golden.sst", FIRN_VFS_WRITE | FIRN_VFS_CREATE, &file));
    table_builder_args args = {.file = file,
                               .identity = {0xc0},
                               .block_bytes = 1024,
                               .restart_interval = 16,
                               .codec = CODEC_ZSTD,
                               .dictionary_bytes = 1024};
    ASSERT_OK(table_builder_new(&args, &b));
    for (int i = 0; i < GOLDEN3_HUTS; i++) {
        golden3_hut(i, &key, &value);
        ASSERT_OK(table_builder_add(b, (internal_key){buf_slice(&key)}, buf_slice(&value)));
    }
    ASSERT_OK(table_builder_finish(b, &summary));
    table_builder_free(b);
    ASSERT_OK(vfs_close(file));
    buf_deinit(&key);
    buf_deinit(&value);
}

static void golden3_write_huts(const golden3_file *which) {
    vfs_mem *disk = NULL;
    uint64_t bytes = 0;
    ASSERT_OK(vfs_mem_new(&disk));
    golden3_build_huts(disk);
    uint8_t *built = vfs_mem_contents(disk, "/golden.sst", &bytes);
    FILE *new_file = fopen(golden3_path(which), "wbx");
    if (new_file) {
        assert_int_equal(fwrite(built, 1, bytes, new_file), bytes);
        assert_int_equal(fclose(new_file), 0);
    }
    vfs_mem_free(disk);
}

TEST(golden_table_v3, blocks_with_a_dictionary_expand) {
    static const golden3_file huts = {.name = "table_v3_dictionary.sst"};
    table *t = NULL;
    iter *it = NULL;
    int i = 0;
    buf key = {0}, value = {0};
    table_open_args args = {.vfs = firn_vfs_default(), .path = golden3_path(&huts)};
    if (!codec_dictionary_is_available()) {
        ASSERT_CODE(table_open(&args, &t), FIRN_NOT_SUPPORTED);
        return;
    }
    if (getenv("FIRN_GOLDEN_WRITE"))
        golden3_write_huts(&huts);
    ASSERT_OK(table_open(&args, &t));
    ASSERT_OK(table_iter_new(t, &(table_read_args){.fill_cache = false}, &it));
    for (iter_seek_first(it); iter_valid(it); iter_next(it)) {
        golden3_hut(i++, &key, &value);
        assert_true(slice_equal(iter_key(it).s, buf_slice(&key)));
        assert_true(slice_equal(iter_value(it), buf_slice(&value)));
    }
    ASSERT_OK(it->st);
    assert_int_equal(i, GOLDEN3_HUTS);
    iter_free(it);
    ASSERT_OK(table_verify(t, NULL, NULL));
    table_unref(t);
    buf_deinit(&key);
    buf_deinit(&value);
}

TEST_MAIN(RUN(golden_table_v3, blocks_with_a_dictionary_expand),
          RUN(golden_table_v3, is_what_the_builder_still_writes),
          RUN(golden_table_v3, opens_and_says_what_was_written))
