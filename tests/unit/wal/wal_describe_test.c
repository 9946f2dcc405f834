#include <stdlib.h>
#include <string.h>

#include "record/record.h"
#include "wal_fixture.h"

static buf text;
static int stop_after;

static int collect(void *context, const char *line) {
    (void)context;
    buf_append(&text, line, strlen(line));
    buf_append(&text, "\n", 1);
    return stop_after > 0 && --stop_after == 0;
}

static const char *described(void) {
    buf_append(&text, "", 1);
    ASSERT_OK(buf_status(&text));
    return (const char *)text.data;
}

static status describe_edit(slice payload, firn_line_callback print, void *context) {
    assert_int_equal(payload.size, 5);
    print(context, "    edited");
    return STATUS_OK;
}

TEST(wal_describe, prints_batches_and_says_where_damage_is) {
    vfs_mem *disk = log_disk_new();
    const firn_vfs *vfs = vfs_mem_vfs(disk);
    log_entries *model = log_entries_new();
    firn_batch batch;
    char path[64];
    batch_init(&batch);
    wal_writer_args args = log_writer_args(vfs);
    args.segment_bytes_first = args.segment_bytes_max = 8u << 20;
    wal_writer *w = log_writer_new(&args);
    ASSERT_OK(batch_put(&batch, 0, slice_of("a\n", 2), slice_from_string("one"), true));
    ASSERT_OK(batch_delete(&batch, 3, slice_from_string("b")));
    ASSERT_OK(log_append(w, &batch, model));
    log_batch_put(&batch, "big", LARGE_VALUE_BYTES, 1);
    ASSERT_OK(log_append(w, &batch, model));
    ASSERT_OK(wal_writer_sync(w));
    log_batch_put(&batch, "last", 3, 'x');
    ASSERT_OK(log_append(w, &batch, model));
    log_path(1, path);
    ASSERT_OK(wal_describe(vfs, path, NULL, collect, NULL));
    const char *out = described();
    assert_non_null(strstr(out, "log segment 1, format 1"));
    assert_non_null(strstr(out, "batch  sequence 1  operations 2"));
    assert_non_null(strstr(out, "put \"a\\n\" = \"one\" (3 bytes)"));
    assert_non_null(strstr(out, "delete [keyspace 3] \"b\""));
    assert_non_null(strstr(out, "large batch  sequence 3"));
    assert_non_null(strstr(out, "put-large \"big\" = 1048576 bytes at offset"));
    assert_non_null(strstr(out, "put \"last\" = \"xxx\""));
    assert_non_null(strstr(out, "end of records"));
    /* Damage below what the last record knows to be durable. */
    uint64_t bytes;
    uint8_t *file = vfs_mem_contents(disk, path, &bytes);
    file[SEGMENT_HEADER_BYTES + model->at[1].position + 20] ^= 1;
    buf_clear(&text);
    ASSERT_CODE(wal_describe(vfs, path, NULL, collect, NULL), FIRN_CORRUPTION);
    out = described();
    assert_non_null(strstr(out, "put \"a\\n\""));
    assert_null(strstr(out, "last"));
    assert_non_null(strstr(error_detail_get(), path));
    /* A damaged value, and a callback that has seen enough. */
    file[SEGMENT_HEADER_BYTES + model->at[1].position + 20] ^= 1;
    file[SEGMENT_HEADER_BYTES + model->at[1].position + 5000] ^= 1;
    ASSERT_CODE(wal_describe(vfs, path, NULL, collect, NULL), FIRN_CORRUPTION);
    buf_clear(&text);
    stop_after = 4;
    ASSERT_OK(wal_describe(vfs, path, NULL, collect, NULL));
    assert_null(strstr(described(), "put"));
    stop_after = 0;
    file[0] ^= 1;
    ASSERT_CODE(wal_describe(vfs, path, NULL, collect, NULL), FIRN_CORRUPTION);
    ASSERT_CODE(wal_describe(vfs, "/db/none", NULL, collect, NULL), FIRN_NOT_FOUND);
    wal_writer_free(w);
    buf_deinit(&text);
    batch_deinit(&batch);
    free(model);
    vfs_mem_free(disk);
}

TEST(wal_describe, prints_manifests_through_the_callers_decoder) {
    vfs_mem *disk = log_disk_new();
    const firn_vfs *vfs = vfs_mem_vfs(disk);
    vfs_file *file = NULL;
    uint8_t bytes[SEGMENT_HEADER_BYTES + 96] = {0};
    segment_header h = {.kind = SEGMENT_MANIFEST, .number = 7, .epoch = 3};
    segment_header_encode(&h, bytes);
    for (uint32_t i = 0; i < 3; i++) {
        record_head head = {.bytes = 5, .sequence_delta = i, .type = RECORD_EDIT};
        uint64_t offset = SEGMENT_HEADER_BYTES + i * 24;
        record_seal(&h, offset, &head, 5, bytes + offset);
    }
    ASSERT_OK(vfs_open(vfs, "/db/MANIFEST-000007", FIRN_VFS_WRITE | FIRN_VFS_CREATE, &file));
    ASSERT_OK(vfs_write(file, 0, bytes, sizeof bytes));
    ASSERT_OK(wal_describe(vfs, "/db/MANIFEST-000007", describe_edit, collect, NULL));
    const char *out = described();
    assert_non_null(strstr(out, "manifest segment 7"));
    assert_non_null(strstr(out, "edit 2"));
    assert_non_null(strstr(out, "edited"));
    /* A damaged edit that a valid one follows had been acknowledged. */
    ASSERT_OK(vfs_write(file, SEGMENT_HEADER_BYTES + 24 + 18, "?", 1));
    buf_clear(&text);
    ASSERT_CODE(wal_describe(vfs, "/db/MANIFEST-000007", NULL, collect, NULL), FIRN_CORRUPTION);
    /* The last one may be torn. */
    ASSERT_OK(vfs_write(file, SEGMENT_HEADER_BYTES + 48 + 18, "?", 1));
    ASSERT_OK(wal_describe(vfs, "/db/MANIFEST-000007", NULL, collect, NULL));
    ASSERT_OK(vfs_close(file));
    buf_deinit(&text);
    vfs_mem_free(disk);
}

LOG_TEST_MAIN(RUN(wal_describe, prints_batches_and_says_where_damage_is),
              RUN(wal_describe, prints_manifests_through_the_callers_decoder))
