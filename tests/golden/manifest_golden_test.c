/* tests/golden/data/manifest_v1 was written by the first format-1 build, manifest_v2 by the first
 * that recorded the history of tables. Both must stay readable for ever; and what this build
 * encodes from the same edits must be the same bytes. */
#include <stdio.h>
#include <stdlib.h>

#include "lib/test.h"
#include "record/record.h"
#include "version/manifest.h"

enum { GOLDEN_BYTES = 8192, GOLDEN_NUMBER = 42 };

static const char golden_current[] = "firn 1 MANIFEST-000042 a7d1ad6c\n";

static const char *golden_directory(int format) {
    static char path[1024];
    const char *source = getenv("FIRN_SOURCE");
    snprintf(path, sizeof path, "%s/tests/golden/data/manifest_v%d", source ? source : ".", format);
    return path;
}

static table_meta *golden_table(int format) {
    static const uint8_t smallest[] = {'a', 1, 3, 0, 0, 0, 0, 0, 0}; /* "a", sequence 3, put */
    static const uint8_t largest[] = {'z', 'z', 0, 9, 0, 0, 0, 0, 0, 0};
    table_meta *made, fields = {.keyspace = 1,
                                .entries = 1000,
                                .deletes = 5,
                                .raw_key_bytes = 20000,
                                .raw_value_bytes = 300000,
                                .min_sequence = 3,
                                .max_sequence = 1002,
                                .smallest.s = slice_of(smallest, sizeof smallest),
                                .largest.s = slice_of(largest, sizeof largest)};
    fields.where = (table_locator){.number = 17, .file_bytes = 123456};
    memcpy(fields.where.identity, "golden identity.", 16);
    if (format == 2) {
        fields.newest_ms = 1700000000000;
        fields.written_ms = 1700000060000;
        fields.hidden_versions = 3;
        fields.min_expiry = 1700000100000;
        fields.max_expiry = UINT64_MAX;
        fields.expiring = 40;
        for (uint64_t i = 0; i < EXPIRY_PARTS; i++)
            fields.expiry_parts[i] = 1700000100000 + 1000 * i;
    }
    ASSERT_OK(table_meta_new(&fields, &made));
    return made;
}

/* The snapshot a file begins with, and two edits as a flush and a compaction make them. */
static void golden_edits(int format, version_edit edits[3]) {
    table_meta *t = golden_table(format);
    memset(edits, 0, 3 * sizeof *edits);
    edits[0] = (version_edit){.has_database = true,
                              .has_next_file = true,
                              .next_file = 43,
                              .has_last_sequence = true,
                              .last_sequence = 1000,
                              .has_log_floor = true,
                              .log_floor_segment = 3,
                              .log_floor_position = 70000,
                              .has_clean_end = true,
                              .clean_end = 80000};
    memcpy(edits[0].database, "golden database.", 16);
    ASSERT_OK(version_edit_create_keyspace(&edits[0], 0, "default", "firn.bytewise"));
    ASSERT_OK(version_edit_create_keyspace(&edits[0], 1, "one", "firn.bytewise"));
    ASSERT_OK(version_edit_set_flushed(&edits[0], 0, 900));
    edits[1].has_last_sequence = true;
    edits[1].last_sequence = 1002;
    ASSERT_OK(version_edit_set_flushed(&edits[1], 1, 1002));
    ASSERT_OK(version_edit_add_table(&edits[1], 0, t));
    ASSERT_OK(version_edit_remove_table(&edits[2], 1, 0, 17));
    ASSERT_OK(version_edit_add_table(&edits[2], 6, t));
    ASSERT_OK(version_edit_drop_keyspace(&edits[2], 0));
    table_meta_unref(t);
}

static void golden_encode(int format, uint8_t *file) {
    version_edit edits[3];
    segment_header h = {.kind = SEGMENT_MANIFEST,
                        .number = GOLDEN_NUMBER,
                        .epoch = 0x0123456789abcdefu};
    memcpy(h.database, "golden database.", 16);
    memset(file, 0, GOLDEN_BYTES);
    segment_header_encode(&h, file);
    golden_edits(format, edits);
    uint64_t offset = SEGMENT_HEADER_BYTES;
    for (uint32_t i = 0; i < 3; i++) {
        buf payload = {0};
        version_edit_encode(&edits[i], &payload);
        ASSERT_OK(buf_status(&payload));
        record_head head = {.bytes = (uint32_t)payload.size,
                            .sequence_delta = i,
                            .type = RECORD_EDIT};
        memcpy(file + offset + RECORD_HEADER_BYTES, payload.data, payload.size);
        record_seal(&h, offset, &head, payload.size, file + offset);
        offset += record_padded_bytes(payload.size);
        buf_deinit(&payload);
        version_edit_deinit(&edits[i]);
    }
    assert_true(offset < GOLDEN_BYTES);
}

static void golden_write(int format, const char *name, const void *data, size_t bytes) {
    FILE *out = fopen(test_path(golden_directory(format), name), "wbx");
    assert_non_null(out);
    assert_int_equal(fwrite(data, 1, bytes, out), bytes);
    assert_int_equal(fclose(out), 0);
}

static void expect_golden_bytes(int format) {
    uint8_t *encoded = malloc(GOLDEN_BYTES), *golden = malloc(GOLDEN_BYTES + 1);
    const char *wanted = getenv("FIRN_GOLDEN_WRITE"); /* once per format, when it is made */
    golden_encode(format, encoded);
    if (wanted && atoi(wanted) == format) {
        golden_write(format, "MANIFEST-000042", encoded, GOLDEN_BYTES);
        golden_write(format, "CURRENT", golden_current, sizeof golden_current - 1);
    }
    FILE *in = fopen(test_path(golden_directory(format), "MANIFEST-000042"), "rb");
    assert_non_null(in);
    assert_int_equal(fread(golden, 1, GOLDEN_BYTES + 1, in), GOLDEN_BYTES);
    fclose(in);
    assert_memory_equal(encoded, golden, GOLDEN_BYTES);
    free(encoded);
    free(golden);
}

TEST(golden_manifest, encoding_gives_the_golden_bytes) {
    expect_golden_bytes(1);
    expect_golden_bytes(2);
}

typedef struct golden_reading {
    int format;
    uint32_t count;
} golden_reading;

static status golden_compare(void *context, const version_edit *e) {
    golden_reading *reading = context;
    int format = reading->format;
    version_edit edits[3];
    buf expected = {0}, got = {0};
    golden_edits(format, edits);
    assert_true(reading->count < 3);
    version_edit_encode(&edits[reading->count], &expected);
    version_edit_encode(e, &got);
    assert_true(slice_equal(buf_slice(&expected), buf_slice(&got)));
    if (reading->count == 1) {
        const table_meta *t = e->added[0].table;
        assert_int_equal(t->where.number, 17);
        assert_int_equal(t->where.file_bytes, 123456);
        assert_int_equal(t->max_sequence, 1002);
        assert_true(slice_equal(internal_key_user(t->largest).s, slice_from_string("zz")));
        assert_int_equal(internal_key_sequence(t->smallest), 3);
        assert_int_equal(t->newest_ms, format == 2 ? 1700000000000 : 0);
        assert_int_equal(t->expiry_parts[7], format == 2 ? 1700000107000 : 0);
    }
    for (int i = 0; i < 3; i++)
        version_edit_deinit(&edits[i]);
    buf_deinit(&expected);
    buf_deinit(&got);
    reading->count++;
    return STATUS_OK;
}

TEST(golden_manifest, the_golden_files_read_as_they_were_written) {
    for (int format = 1; format <= 2; format++) {
        manifest m;
        golden_reading reading = {format, 0};
        manifest_init(&m, firn_vfs_default(), golden_directory(format));
        ASSERT_OK(manifest_recover(&m, golden_compare, &reading));
        assert_int_equal(reading.count, 3);
        assert_int_equal(m.number, GOLDEN_NUMBER);
        assert_memory_equal(m.database, "golden database.", 16);
        manifest_deinit(&m);
    }
}

TEST_MAIN(RUN(golden_manifest, encoding_gives_the_golden_bytes),
          RUN(golden_manifest, the_golden_files_read_as_they_were_written))
