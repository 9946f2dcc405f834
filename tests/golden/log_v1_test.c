/* tests/golden/data/log_v1.wal was written by the first format-1 build and must stay readable for
 * ever; and what this build encodes from the same operations must be the same bytes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/batch.h"
#include "lib/test.h"
#include "record/record.h"
#include "util/coding.h"
#include "wal/wal_large.h"
#include "wal/wal_recovery.h"

enum { GOLDEN_BYTES = 3 * 4096, GOLDEN_EXTENT_BYTES = 3000 };

static segment_header golden_header(void) {
    segment_header h = {.kind = SEGMENT_LOG,
                        .number = 12,
                        .epoch = 0x0123456789abcdefu,
                        .position = 1000000,
                        .sequence = 501,
                        .predecessor = 11,
                        .predecessor_cut = 8200};
    memcpy(h.boot_id, "golden boot 0001", 16);
    memcpy(h.database, "golden database.", 16);
    return h;
}

static uint64_t golden_record(const segment_header *h, uint64_t offset, record_head head,
                              const buf *payload, size_t checked, uint8_t *file) {
    head.bytes = (uint32_t)payload->size;
    memcpy(file + offset + RECORD_HEADER_BYTES, payload->data, payload->size);
    record_seal(h, offset, &head, checked, file + offset);
    return offset + record_padded_bytes(payload->size);
}

static void golden_op(buf *b, op_kind kind, uint32_t keyspace, const char *key, slice value) {
    put_u8(b, (uint8_t)kind);
    put_varint32(b, keyspace);
    put_varint32(b, (uint32_t)strlen(key));
    put_varint32(b, (uint32_t)value.size);
    buf_append(b, key, strlen(key));
    buf_append_slice(b, value);
}

static uint8_t golden_byte(size_t i) {
    return (uint8_t)(i * 7 + i / 256);
}

/* The large batch: one put, one reference, one extent. */
static void golden_large_payload(const segment_header *h, uint64_t offset, buf *b,
                                 size_t *checked) {
    uint8_t encoded[LARGE_REF_BYTES];
    large_ref ref = {.place = LARGE_IN_LOG, .file = h->number, .bytes = GOLDEN_EXTENT_BYTES};
    buf ops = {0};
    for (int pass = 0; pass < 2; pass++) { /* the reference's offset depends on the length */
        buf_clear(&ops);
        put_varint32(&ops, 2);
        golden_op(&ops, OP_PUT, 0, "small", slice_from_string("value"));
        large_ref_encode(&ref, encoded);
        golden_op(&ops, OP_PUT_LARGE, 300, "large", slice_of(encoded, sizeof encoded));
        ref.offset = offset + record_padded_bytes(4 + ops.size);
    }
    put_fixed32(b, (uint32_t)ops.size);
    buf_append_slice(b, buf_slice(&ops));
    *checked = b->size;
    buf_append_zeros(b, (size_t)(ref.offset - offset - RECORD_HEADER_BYTES - b->size));
    size_t value_at = b->size;
    for (size_t i = 0; i < GOLDEN_EXTENT_BYTES; i++)
        put_u8(b, golden_byte(i));
    extent_seed seed = {.epoch = h->epoch, .number = h->number};
    put_fixed32(b, extent_chunk_crc(&seed, ref.offset,
                                    slice_of(b->data + value_at, GOLDEN_EXTENT_BYTES)));
    buf_append_zeros(b, 8 - (RECORD_HEADER_BYTES + b->size) % 8);
    buf_deinit(&ops);
}

static void golden_encode(uint8_t *file) {
    segment_header h = golden_header();
    uint64_t offset = SEGMENT_HEADER_BYTES;
    size_t checked;
    buf b = {0};
    memset(file, 0, GOLDEN_BYTES);
    segment_header_encode(&h, file);
    put_varint32(&b, 1);
    golden_op(&b, OP_PUT, 0, "hello", slice_from_string("world"));
    offset = golden_record(&h, offset, (record_head){0, 0, 0, RECORD_BATCH}, &b, b.size, file);
    buf_clear(&b);
    put_varint32(&b, 3);
    golden_op(&b, OP_PUT, 0, "", slice_from_string("empty key"));
    golden_op(&b, OP_DELETE, 0, "hello", slice_from_string(""));
    golden_op(&b, OP_PUT, 7, "empty value", slice_from_string(""));
    offset = golden_record(&h, offset, (record_head){0, 1, 5, RECORD_BATCH}, &b, b.size, file);
    buf_clear(&b);
    golden_large_payload(&h, offset, &b, &checked);
    offset = golden_record(&h, offset, (record_head){0, 4, UINT32_MAX, RECORD_LARGE_BATCH}, &b,
                           checked, file);
    ASSERT_OK(buf_status(&b));
    buf_deinit(&b);
}

/* FIRN_SOURCE is where the sources are; by hand, run from there. */
static const char *golden_directory(void) {
    static char path[1024];
    const char *source = getenv("FIRN_SOURCE");
    snprintf(path, sizeof path, "%s/tests/golden/data", source ? source : ".");
    return path;
}

static uint8_t *golden_read(void) {
    uint8_t *file = malloc(GOLDEN_BYTES);
    FILE *in = fopen(test_path(golden_directory(), "log_v1.wal"), "rb");
    assert_non_null(file);
    assert_non_null(in);
    assert_int_equal(fread(file, 1, GOLDEN_BYTES, in), GOLDEN_BYTES);
    assert_int_equal(fgetc(in), EOF);
    fclose(in);
    return file;
}

TEST(golden_log, encoding_gives_the_golden_bytes) {
    uint8_t *encoded = malloc(GOLDEN_BYTES);
    assert_non_null(encoded);
    golden_encode(encoded);
    if (getenv("FIRN_GOLDEN_WRITE")) { /* once per format, when it is made */
        FILE *out = fopen(test_path(golden_directory(), "log_v1.wal"), "wbx");
        assert_non_null(out);
        assert_int_equal(fwrite(encoded, 1, GOLDEN_BYTES, out), GOLDEN_BYTES);
        assert_int_equal(fclose(out), 0);
    }
    uint8_t *golden = golden_read();
    assert_memory_equal(encoded, golden, GOLDEN_BYTES);
    free(golden);
    free(encoded);
}

static struct {
    const char *directory;
    unsigned batches, operations;
} seen;

static status golden_batch(void *context, seqno first, uint32_t count, slice ops,
                           uint64_t position) {
    static const seqno firsts[] = {501, 502, 505};
    static const uint32_t counts[] = {1, 3, 2};
    static const uint64_t positions[] = {1000000, 1000032, 1000088};
    static const char *keys[] = {"hello", "", "hello", "empty value", "small", "large"};
    static const char *values[] = {"world", "empty key", "", "", "value", NULL};
    static const op_kind kinds[] = {OP_PUT, OP_PUT, OP_DELETE, OP_PUT, OP_PUT, OP_PUT_LARGE};
    static const uint32_t keyspaces[] = {0, 0, 0, 7, 0, 300};
    (void)context;
    assert_true(seen.batches < 3);
    assert_int_equal(first, firsts[seen.batches]);
    assert_int_equal(count, counts[seen.batches]);
    assert_int_equal(position, positions[seen.batches]);
    seen.batches++;
    for (; ops.size > 0; seen.operations++) {
        batch_op op;
        unsigned i = seen.operations;
        assert_true(batch_op_decode(&ops, &op));
        assert_int_equal(op.kind, kinds[i]);
        assert_int_equal(op.keyspace, keyspaces[i]);
        assert_true(slice_equal(op.key.s, slice_from_string(keys[i])));
        if (values[i]) {
            assert_true(slice_equal(op.value, slice_from_string(values[i])));
            continue;
        }
        large_ref ref;
        slice value;
        void *pin;
        void (*unpin)(void *);
        assert_true(large_ref_decode(op.value, &ref));
        ASSERT_OK(wal_large_map(firn_vfs_default(), seen.directory, &ref, &value, &pin, &unpin));
        assert_int_equal(value.size, GOLDEN_EXTENT_BYTES);
        for (size_t at = 0; at < value.size; at++)
            assert_int_equal(value.data[at], golden_byte(at));
        unpin(pin);
    }
    return STATUS_OK;
}

TEST(golden_log, the_golden_file_reads_as_it_was_written) {
    char *directory = test_dir_new();
    uint8_t *golden = golden_read();
    FILE *out = fopen(test_path(directory, "000012.wal"), "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(golden, 1, GOLDEN_BYTES, out), GOLDEN_BYTES);
    fclose(out);
    free(golden);
    seen.directory = directory;
    wal_recovery r;
    wal_recovery_args args = {.vfs = firn_vfs_default(),
                              .directory = directory,
                              .floor_segment = 12,
                              .clean_end = 1000088,
                              .on_batch = golden_batch};
    memcpy(args.database, "golden database.", 16);
    ASSERT_OK(wal_recover(&args, &r));
    assert_int_equal(seen.batches, 3);
    assert_int_equal(seen.operations, 6);
    assert_int_equal(r.last_sequence, 506);
    assert_int_equal(r.torn_bytes, 0);
    wal_recovery_deinit(&r);
    test_dir_remove(directory);
}

TEST_MAIN(RUN(golden_log, encoding_gives_the_golden_bytes),
          RUN(golden_log, the_golden_file_reads_as_it_was_written))
