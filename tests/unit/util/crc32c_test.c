#include "util/crc32c.h"

#include <stdlib.h>
#include <string.h>

#include "lib/test.h"
#include "util/coding.h"
#include "util/rng.h"

/* The definition, one bit at a time. */
static uint32_t crc_by_definition(uint32_t crc, const uint8_t *p, size_t size) {
    crc = ~crc;
    while (size--) {
        crc ^= *p++;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

TEST(crc32c, gives_the_published_values) {
    uint8_t zeros[32], ones[32], rising[32], falling[32];
    for (uint8_t i = 0; i < 32; i++) {
        zeros[i] = 0;
        ones[i] = 0xff;
        rising[i] = i;
        falling[i] = (uint8_t)(31 - i);
    }
    uint32_t (*const twins[])(uint32_t, const void *, size_t) = {crc32c_extend,
                                                                 crc32c_extend_table};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(twins[i](0, zeros, 32), 0x8a9136aa);
        assert_int_equal(twins[i](0, ones, 32), 0x62a8ab43);
        assert_int_equal(twins[i](0, rising, 32), 0x46dd794e);
        assert_int_equal(twins[i](0, falling, 32), 0x113fdb5c);
        assert_int_equal(twins[i](0, "123456789", 9), 0xe3069283);
        assert_int_equal(twins[i](0x12345678, NULL, 0), 0x12345678);
    }
}

/* At every alignment and length up to 1400: all loops and splits of both twins. The copies end
 * where their memory ends, so that the sanitizer sees a read beyond. */
TEST(crc32c, twins_equal_the_definition_at_every_alignment_and_length) {
    enum { LENGTH_MAX = 1400, ALIGNMENTS = 8 };
    rng r;
    rng_init(&r, test_seed());
    uint32_t running[LENGTH_MAX + 1];
    uint8_t content[LENGTH_MAX];
    for (size_t i = 0; i < LENGTH_MAX; i++)
        content[i] = (uint8_t)rng_next(&r);
    uint32_t start = (uint32_t)rng_next(&r);
    for (size_t size = 0; size <= LENGTH_MAX; size++)
        running[size] = size ? crc_by_definition(running[size - 1], content + size - 1, 1) : start;
    for (size_t size = 0; size <= LENGTH_MAX; size++) {
        for (size_t shift = 0; shift < ALIGNMENTS; shift++) {
            uint8_t *memory = malloc(shift + size + 1);
            assert_non_null(memory);
            uint8_t *p = memory + shift + 1;
            memcpy(p, content, size);
            assert_int_equal(crc32c_extend(start, p, size), running[size]);
            assert_int_equal(crc32c_extend_table(start, p, size), running[size]);
            assert_int_equal(crc32c_extend_narrow(start, p, size), running[size]);
            free(memory);
        }
    }
}

TEST(crc32c, large_inputs_equal_the_definition) {
    enum { BYTES = 100000 };
    rng r;
    rng_init(&r, test_seed());
    uint8_t *p = malloc(BYTES);
    assert_non_null(p);
    for (size_t i = 0; i < BYTES; i++)
        p[i] = (uint8_t)rng_next(&r);
    for (uint64_t round = test_scaled(20); round > 0; round--) {
        size_t from = rng_below(&r, BYTES), size = rng_below(&r, BYTES - from);
        uint32_t expected = crc_by_definition(7, p + from, size);
        assert_int_equal(crc32c_extend(7, p + from, size), expected);
        assert_int_equal(crc32c_extend_table(7, p + from, size), expected);
        assert_int_equal(crc32c_extend_narrow(7, p + from, size), expected);
    }
    free(p);
}

TEST(crc32c, extending_in_pieces_equals_one_call) {
    enum { BYTES = 10000 };
    rng r;
    rng_init(&r, test_seed());
    static uint8_t p[BYTES];
    for (size_t i = 0; i < BYTES; i++)
        p[i] = (uint8_t)rng_next(&r);
    for (uint64_t round = test_scaled(200); round > 0; round--) {
        uint32_t crc = 0;
        size_t at = 0;
        while (at < BYTES) {
            size_t piece = rng_below(&r, 400);
            if (piece > BYTES - at)
                piece = BYTES - at;
            crc = crc32c_extend(crc, p + at, piece);
            at += piece;
        }
        assert_int_equal(crc, crc32c_extend(0, p, BYTES));
    }
}

TEST(crc32c, one_flipped_bit_is_always_noticed) {
    uint8_t p[150] = {1, 2, 3};
    uint32_t before = crc32c_extend(0, p, sizeof p);
    for (size_t bit = 0; bit < 8 * sizeof p; bit++) {
        p[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_not_equal(crc32c_extend(0, p, sizeof p), before);
        p[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

TEST(crc32c, seeds_are_checksums_of_the_place) {
    uint8_t place[24];
    encode_fixed64(place, 0x1122334455667788);
    encode_fixed64(place + 8, 12);
    encode_fixed64(place + 16, 4096);
    assert_int_equal(crc32c_seed_segment(0x1122334455667788, 12, 4096),
                     crc_by_definition(0, place, 24));
    const uint8_t identity[16] = {9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 1, 2, 3, 4, 5, 6};
    memcpy(place, identity, 16);
    assert_int_equal(crc32c_seed_table(identity, 4096), crc_by_definition(0, place, 24));
    assert_int_not_equal(crc32c_seed_table(identity, 4096), crc32c_seed_table(identity, 8192));
}

TEST_MAIN(RUN(crc32c, gives_the_published_values),
          RUN(crc32c, twins_equal_the_definition_at_every_alignment_and_length),
          RUN(crc32c, large_inputs_equal_the_definition),
          RUN(crc32c, extending_in_pieces_equals_one_call),
          RUN(crc32c, one_flipped_bit_is_always_noticed),
          RUN(crc32c, seeds_are_checksums_of_the_place))
