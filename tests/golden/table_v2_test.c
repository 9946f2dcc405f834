/* tests/golden/data/table_v2.sst was written by the first release of table format 2:
 * single-deletes, values that expire, range tombstones. It must open for ever, and as long as
 * format 2 is written the same input must give the same bytes.
 *
 * FIRN_GOLDEN_WRITE=1 writes the file where there is none yet. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/test.h"
#include "platform/vfs_mem.h"
#include "table/table_builder.h"
#include "util/hash.h"

enum { GOLDEN2_KEYS = 40 };

static op_kind golden2_kind(int i) {
    static const op_kind kinds[] = {OP_PUT, OP_PUT_EXPIRY, OP_SINGLE_DELETE, OP_DELETE};
    return kinds[i % 4];
}

static void golden2_entry(int i, buf *key, buf *value) {
    char text[64];
    op_kind kind = golden2_kind(i);
    snprintf(text, sizeof text, "job:%03d", i);
    buf_clear(key);
    buf_clear(value);
    internal_key_append(key, user_key_of(slice_from_string(text)), (seqno)(100 + i), kind);
    if (kind == OP_PUT_EXPIRY)
        put_fixed64(value, 1700000000000u + (uint64_t)i);
    if (kind == OP_PUT || kind == OP_PUT_EXPIRY)
        buf_printf(value, "value %d", i);
}

static void golden2_range(table_builder *b, const char *begin, const char *end, seqno sequence) {
    buf key = {0};
    internal_key_append(&key, user_key_of(slice_from_string(begin)), sequence, OP_RANGE_DELETE);
    ASSERT_OK(table_builder_add_range_tombstone(b, (internal_key){buf_slice(&key)},
                                                user_key_of(slice_from_string(end))));
    buf_deinit(&key);
}

static void golden2_build(vfs_mem *disk) {
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
        args.identity[i] = (uint8_t)(0xe0 + i);
    ASSERT_OK(table_builder_new(&args, &b));
    for (int i = 0; i < GOLDEN2_KEYS; i++) {
        golden2_entry(i, &key, &value);
        ASSERT_OK(table_builder_add(b, (internal_key){buf_slice(&key)}, buf_slice(&value)));
    }
    golden2_range(b, "a", "job:005", 104);
    golden2_range(b, "job:003", "job:006", 300);
    golden2_range(b, "job:003", "zebra", 90);
    ASSERT_OK(table_builder_finish(b, &summary));
    assert_true(slice_equal(internal_key_user(summary.smallest).s, slice_from_string("a")));
    assert_true(internal_key_is_range_end(summary.largest));
    table_builder_free(b);
    ASSERT_OK(vfs_close(file));
    buf_deinit(&key);
    buf_deinit(&value);
}

static const char *golden2_path(void) {
    const char *source = getenv("FIRN_SOURCE");
    static char path[1024];
    snprintf(path, sizeof path, "%s/tests/golden/data/table_v2.sst", source ? source : ".");
    return path;
}

/* What a reader of the present finds under key i. */
static op_kind golden2_expected(int i) {
    if (i >= 3 && i < 6)
        return OP_RANGE_DELETE; /* at 300 */
    return i < 5 && 100 + i < 104 ? OP_RANGE_DELETE : golden2_kind(i);
}

TEST(golden_table_v2, opens_and_says_what_was_written) {
    table *t = NULL;
    buf key = {0}, value = {0};
    table_open_args args = {.vfs = firn_vfs_default(), .path = golden2_path()};
    ASSERT_OK(table_open(&args, &t));
    for (int i = 0; i < GOLDEN2_KEYS; i++) {
        lookup found;
        table_get_trace trace;
        seek_key seek;
        golden2_entry(i, &key, &value);
        slice user = internal_key_user((internal_key){buf_slice(&key)}).s;
        ASSERT_OK(seek_key_init(&seek, user_key_of(user), SEQNO_MAX));
        ASSERT_OK(table_get(t, seek.key, hash64(user.data, user.size), &(table_read_args){0},
                            &trace, &found));
        seek_key_deinit(&seek);
        assert_int_equal(found.kind, golden2_expected(i));
        if (found.kind != OP_RANGE_DELETE)
            assert_true(slice_equal(found.value, buf_slice(&value)));
        lookup_release(&found);
    }
    const table_properties *p = table_get_properties(t);
    assert_int_equal(p->entries, GOLDEN2_KEYS);
    assert_int_equal(p->deletes, 20);
    assert_int_equal(p->range_tombstones, 3);
    assert_int_equal(p->min_expiry, 1700000000001u);
    assert_true(p->max_expiry == UINT64_MAX);
    assert_int_equal(p->min_sequence, 90);
    assert_int_equal(p->max_sequence, 300);
    ASSERT_OK(table_verify(t, NULL, NULL));
    table_unref(t);
    buf_deinit(&key);
    buf_deinit(&value);
}

TEST(golden_table_v2, is_what_the_builder_still_writes) {
    vfs_mem *disk = NULL;
    uint64_t bytes = 0;
    static uint8_t stored[65536];
    ASSERT_OK(vfs_mem_new(&disk));
    golden2_build(disk);
    uint8_t *built = vfs_mem_contents(disk, "/golden.sst", &bytes);
    assert_non_null(built);
    if (getenv("FIRN_GOLDEN_WRITE")) {
        FILE *new_file = fopen(golden2_path(), "wbx");
        if (new_file) {
            assert_int_equal(fwrite(built, 1, bytes, new_file), bytes);
            assert_int_equal(fclose(new_file), 0);
        }
    }
    FILE *file = fopen(golden2_path(), "rb");
    assert_non_null(file);
    assert_int_equal(fread(stored, 1, sizeof stored, file), bytes);
    (void)fclose(file);
    assert_memory_equal(stored, built, bytes);
    assert_int_equal(built[bytes - 12], 2);
    vfs_mem_free(disk);
}

TEST_MAIN(RUN(golden_table_v2, is_what_the_builder_still_writes),
          RUN(golden_table_v2, opens_and_says_what_was_written))
