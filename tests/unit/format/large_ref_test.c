#include "format/large_ref.h"

#include "format/key.h"
#include "lib/test.h"
#include "platform/memory.h"
#include "util/coding.h"
#include "util/rng.h"

TEST(large_ref, has_the_bytes_of_the_format) {
    static const uint8_t golden[] = {0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                                     0x00, 0x08, 0x20, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                                     0x01, 0x00, 0x10, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                                     0x68, 0xe5, 0xcf, 0x8b, 0x01, 0x00, 0x00};
    large_ref ref = {.place = LARGE_IN_TABLE,
                     .has_expiry = true,
                     .offset = 8200,
                     .bytes = 1048577,
                     .expiry_ms = 1700000000000};
    uint8_t bytes[LARGE_REF_BYTES_MAX];
    assert_ptr_equal(large_ref_encode(&ref, bytes), bytes + LARGE_REF_BYTES_MAX);
    assert_memory_equal(bytes, golden, sizeof golden);
}

TEST(large_ref, random_references_come_back_as_they_were) {
    rng r;
    rng_init(&r, test_seed());
    for (uint64_t i = test_scaled(10000); i > 0; i--) {
        large_ref ref = {.place = (uint8_t)rng_below(&r, 2),
                         .has_expiry = rng_below(&r, 2) == 1,
                         .offset = rng_next(&r) >> (1 + rng_below(&r, 63)),
                         .bytes = rng_below(&r, (uint64_t)VALUE_BYTES_MAX + 1)};
        if (ref.place == LARGE_IN_LOG)
            ref.file = rng_next(&r);
        if (ref.has_expiry)
            ref.expiry_ms = rng_next(&r);
        uint8_t bytes[LARGE_REF_BYTES_MAX];
        uint8_t *end = large_ref_encode(&ref, bytes);
        assert_int_equal(end - bytes, ref.has_expiry ? LARGE_REF_BYTES_MAX : LARGE_REF_BYTES);
        large_ref back;
        assert_true(large_ref_decode(slice_of(bytes, (size_t)(end - bytes)), &back));
        assert_int_equal(back.place, ref.place);
        assert_int_equal(back.has_expiry, ref.has_expiry);
        assert_true(back.file == ref.file && back.offset == ref.offset);
        assert_true(back.bytes == ref.bytes && back.expiry_ms == ref.expiry_ms);
    }
}

static bool decodes(const uint8_t *bytes, size_t size) {
    large_ref ref;
    return large_ref_decode(slice_of(bytes, size), &ref);
}

TEST(large_ref, invalid_bytes_are_refused) {
    large_ref ref = {.place = LARGE_IN_TABLE, .offset = 8, .bytes = LARGE_VALUE_BYTES};
    uint8_t good[LARGE_REF_BYTES_MAX] = {0}, bad[LARGE_REF_BYTES_MAX];
    (void)large_ref_encode(&ref, good);
    assert_true(decodes(good, LARGE_REF_BYTES));
    for (size_t size = 0; size <= LARGE_REF_BYTES_MAX; size++)
        assert_int_equal(decodes(good, size), size == LARGE_REF_BYTES);

    memcpy(bad, good, sizeof bad);
    bad[0] = 2; /* an unknown place */
    assert_false(decodes(bad, LARGE_REF_BYTES));
    memcpy(bad, good, sizeof bad);
    bad[1] = 2; /* an unknown flag */
    assert_false(decodes(bad, LARGE_REF_BYTES));
    bad[1] = 1; /* an expiry that is there, or not */
    assert_false(decodes(bad, LARGE_REF_BYTES));
    assert_true(decodes(bad, LARGE_REF_BYTES_MAX));
    memcpy(bad, good, sizeof bad);
    bad[2] = 1; /* a file number where there is none */
    assert_false(decodes(bad, LARGE_REF_BYTES));
    memcpy(bad, good, sizeof bad);
    encode_fixed64(bad + 18, (uint64_t)VALUE_BYTES_MAX + 1);
    assert_false(decodes(bad, LARGE_REF_BYTES));
    memcpy(bad, good, sizeof bad);
    encode_fixed64(bad + 10, UINT64_MAX - 10); /* the end wraps around */
    assert_false(decodes(bad, LARGE_REF_BYTES));
}

TEST(extent, has_one_checksum_for_every_started_chunk) {
    assert_int_equal(extent_chunk_count(0), 0);
    assert_int_equal(extent_chunk_count(1), 1);
    assert_int_equal(extent_chunk_count(EXTENT_CHUNK_BYTES), 1);
    assert_int_equal(extent_chunk_count(EXTENT_CHUNK_BYTES + 1), 2);
    assert_int_equal(extent_disk_bytes(EXTENT_CHUNK_BYTES + 1), EXTENT_CHUNK_BYTES + 1 + 8);
}

TEST(extent, checksums_depend_on_file_and_offset) {
    extent_seed table = {.in_table = true};
    for (uint8_t i = 0; i < 16; i++)
        table.identity[i] = i;
    extent_seed log = {.epoch = 0x1122334455667788, .number = 7};
    slice chunk = slice_from_string("firn");
    assert_int_equal(extent_chunk_crc(&table, 4096, chunk), 0x4aa15514);
    assert_int_equal(extent_chunk_crc(&log, 4096, chunk), 0xad649fcd);
    assert_int_not_equal(extent_chunk_crc(&log, 4097, chunk), 0xad649fcd);
    log.number++;
    assert_int_not_equal(extent_chunk_crc(&log, 4096, chunk), 0xad649fcd);
    table.identity[15]++;
    assert_int_not_equal(extent_chunk_crc(&table, 4096, chunk), 0x4aa15514);
}

TEST(extent, verification_names_the_damaged_chunk) {
    enum { SIZE = 2 * EXTENT_CHUNK_BYTES + 100, OFFSET = 12345 };
    extent_seed seed = {.epoch = 1, .number = 2};
    uint8_t *value = memory_new(SIZE), crcs[12];
    assert_non_null(value);
    rng r;
    rng_init(&r, test_seed());
    for (size_t i = 0; i < SIZE; i++)
        value[i] = (uint8_t)rng_next(&r);
    for (uint64_t i = 0; i < 3; i++) {
        uint64_t at = i * EXTENT_CHUNK_BYTES;
        uint64_t size = SIZE - at < EXTENT_CHUNK_BYTES ? SIZE - at : EXTENT_CHUNK_BYTES;
        encode_fixed32(crcs + 4 * i,
                       extent_chunk_crc(&seed, OFFSET + at, slice_of(value + at, size)));
    }
    uint64_t bad = 1;
    assert_true(extent_verify(&seed, OFFSET, slice_of(value, SIZE), crcs, &bad));
    assert_int_equal(bad, 0);
    assert_true(extent_verify(&seed, OFFSET, slice_of(value, 0), crcs, &bad));
    static const size_t damaged[] = {0, EXTENT_CHUNK_BYTES - 1, EXTENT_CHUNK_BYTES, SIZE - 1};
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        value[damaged[i]] ^= 0x10;
        assert_false(extent_verify(&seed, OFFSET, slice_of(value, SIZE), crcs, &bad));
        assert_int_equal(bad, OFFSET + damaged[i] / EXTENT_CHUNK_BYTES * EXTENT_CHUNK_BYTES);
        value[damaged[i]] ^= 0x10;
    }
    crcs[9] ^= 1;
    assert_false(extent_verify(&seed, OFFSET, slice_of(value, SIZE), crcs, &bad));
    assert_int_equal(bad, OFFSET + 2 * EXTENT_CHUNK_BYTES);
    memory_free(value);
}

TEST_MAIN(RUN(large_ref, has_the_bytes_of_the_format),
          RUN(large_ref, random_references_come_back_as_they_were),
          RUN(large_ref, invalid_bytes_are_refused),
          RUN(extent, has_one_checksum_for_every_started_chunk),
          RUN(extent, checksums_depend_on_file_and_offset),
          RUN(extent, verification_names_the_damaged_chunk))
