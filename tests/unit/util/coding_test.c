#include "util/coding.h"

#include <stdlib.h>
#include <string.h>

#include "lib/test.h"
#include "util/rng.h"

/* Every width occurs equally often. */
static uint64_t any_width(rng *r) {
    return rng_next(r) >> rng_below(r, 64);
}

TEST(coding, fixed_integers_are_little_endian) {
    uint8_t bytes[8];
    encode_fixed16(bytes, 0x0102);
    assert_memory_equal(bytes, "\x02\x01", 2);
    encode_fixed32(bytes, 0x01020304);
    assert_memory_equal(bytes, "\x04\x03\x02\x01", 4);
    encode_fixed64(bytes, 0x0102030405060708);
    assert_memory_equal(bytes, "\x08\x07\x06\x05\x04\x03\x02\x01", 8);
    assert_int_equal(decode_fixed16(bytes), 0x0708);
    assert_int_equal(decode_fixed32(bytes), 0x05060708);
    assert_int_equal(decode_fixed64(bytes), 0x0102030405060708);
}

TEST(coding, varint_round_trips_at_every_length) {
    for (unsigned bits = 0; bits <= 64; bits++) {
        uint64_t edge = bits == 64 ? 0 : (uint64_t)1 << bits;
        for (int delta = -1; delta <= 1; delta++) {
            uint64_t v = edge + (uint64_t)delta, back;
            uint8_t bytes[VARINT64_BYTES_MAX];
            size_t size = (size_t)(encode_varint64(bytes, v) - bytes);
            assert_int_equal(size, varint_length(v));
            slice in = slice_of(bytes, size);
            assert_true(get_varint64(&in, &back));
            assert_true(back == v);
            assert_int_equal(in.size, 0);
            for (size_t cut = 0; cut < size; cut++) {
                in = slice_of(bytes, cut);
                assert_false(get_varint64(&in, &back));
                assert_int_equal(in.size, cut);
            }
            if (v > UINT32_MAX)
                continue;
            uint32_t back32;
            assert_int_equal(encode_varint32(bytes, (uint32_t)v) - bytes, (int)size);
            in = slice_of(bytes, size);
            assert_true(get_varint32(&in, &back32));
            assert_int_equal(back32, v);
        }
    }
}

TEST(coding, sequences_of_all_kinds_round_trip) {
    rng r;
    rng_init(&r, test_seed());
    enum { COUNT = 2000 };
    static uint8_t kinds[COUNT];
    static uint64_t values[COUNT];
    static uint8_t filler[300];
    buf b = {0};
    for (size_t i = 0; i < COUNT; i++) {
        kinds[i] = (uint8_t)rng_below(&r, 6);
        uint64_t v = values[i] = any_width(&r);
        switch (kinds[i]) {
        case 0:
            put_u8(&b, (uint8_t)v);
            break;
        case 1:
            put_fixed32(&b, (uint32_t)v);
            break;
        case 2:
            put_fixed64(&b, v);
            break;
        case 3:
            put_varint32(&b, (uint32_t)v);
            break;
        case 4:
            put_varint64(&b, v);
            break;
        default:
            put_sized(&b, slice_of(filler, v % sizeof filler));
        }
    }
    ASSERT_OK(buf_status(&b));
    slice in = buf_slice(&b), piece;
    for (size_t i = 0; i < COUNT; i++) {
        uint64_t v64;
        uint32_t v32;
        uint8_t v8;
        switch (kinds[i]) {
        case 0:
            assert_true(get_u8(&in, &v8) && v8 == (uint8_t)values[i]);
            break;
        case 1:
            assert_true(get_fixed32(&in, &v32) && v32 == (uint32_t)values[i]);
            break;
        case 2:
            assert_true(get_fixed64(&in, &v64) && v64 == values[i]);
            break;
        case 3:
            assert_true(get_varint32(&in, &v32) && v32 == (uint32_t)values[i]);
            break;
        case 4:
            assert_true(get_varint64(&in, &v64) && v64 == values[i]);
            break;
        default:
            assert_true(get_sized(&in, &piece));
            assert_int_equal(piece.size, values[i] % sizeof filler);
        }
    }
    assert_int_equal(in.size, 0);
    buf_deinit(&b);
}

TEST(coding, varint_that_does_not_fit_is_refused) {
    static const struct {
        const char *bytes;
        size_t size;
        bool fits32, fits64;
    } cases[] = {
        {"\xff\xff\xff\xff\x0f", 5, true, true},
        {"\xff\xff\xff\xff\x1f", 5, false, true},
        {"\x80\x80\x80\x80\x10", 5, false, true},
        {"\x80\x80\x80\x80\x00", 5, true, true}, /* long-winded zero */
        {"\x80\x80\x80\x80\x80\x00", 6, false, true},
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10, false, true},
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10, false, false},
        {"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 11, false, false},
        {"\x80", 1, false, false},
        {"", 0, false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t v32;
        uint64_t v64;
        slice in = slice_of(cases[i].bytes, cases[i].size);
        assert_int_equal(get_varint32(&in, &v32), cases[i].fits32);
        assert_int_equal(in.size, cases[i].fits32 ? 0 : cases[i].size);
        in = slice_of(cases[i].bytes, cases[i].size);
        assert_int_equal(get_varint64(&in, &v64), cases[i].fits64);
    }
}

/* In memory of the exact size, so that the sanitizer sees one byte read too many. */
TEST(coding, garbage_is_decoded_or_refused_within_bounds) {
    rng r;
    rng_init(&r, test_seed());
    for (uint64_t round = test_scaled(20000); round > 0; round--) {
        size_t size = rng_below(&r, 24);
        uint8_t *bytes = malloc(size ? size : 1);
        assert_non_null(bytes);
        for (size_t i = 0; i < size; i++)
            bytes[i] = (uint8_t)(rng_next(&r) | (rng_below(&r, 2) ? 0x80 : 0));
        slice in = slice_of(size ? bytes : NULL, size);
        bool more = true;
        while (more) {
            size_t before = in.size;
            slice piece = SLICE_UNSET;
            uint64_t v64;
            uint32_t v32;
            uint8_t v8;
            switch (rng_below(&r, 7)) {
            case 0:
                more = get_u8(&in, &v8);
                break;
            case 1:
                more = get_fixed32(&in, &v32);
                break;
            case 2:
                more = get_fixed64(&in, &v64);
                break;
            case 3:
                more = get_varint32(&in, &v32);
                break;
            case 4:
                more = get_varint64(&in, &v64);
                break;
            case 5:
                more = get_sized(&in, &piece);
                break;
            default:
                more = get_bytes(&in, 1 + rng_below(&r, 5), &piece);
            }
            assert_true(more ? in.size < before : in.size == before);
            assert_true(piece.size <= before);
            volatile uint8_t sum = 0;
            for (size_t i = 0; more && i < piece.size; i++)
                sum = (uint8_t)(sum + piece.data[i]);
        }
        free(bytes);
    }
}

TEST(coding, sized_bytes_that_are_cut_leave_the_input_where_it_was) {
    slice in = slice_of("\x05"
                        "abc",
                        4),
          out;
    assert_false(get_sized(&in, &out));
    assert_int_equal(in.size, 4);
    in = slice_of("\x03"
                  "abcd",
                  5);
    assert_true(get_sized(&in, &out));
    assert_true(slice_equal(out, slice_from_string("abc")));
    assert_int_equal(in.size, 1);
}

TEST(coding, zigzag_keeps_small_magnitudes_small) {
    static const struct {
        int64_t plain;
        uint64_t coded;
    } cases[] = {
        {0, 0}, {-1, 1}, {1, 2}, {-2, 3}, {INT64_MAX, UINT64_MAX - 1}, {INT64_MIN, UINT64_MAX}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_true(zigzag_encode(cases[i].plain) == cases[i].coded);
        assert_true(zigzag_decode(cases[i].coded) == cases[i].plain);
    }
}

TEST_MAIN(RUN(coding, fixed_integers_are_little_endian),
          RUN(coding, varint_round_trips_at_every_length),
          RUN(coding, sequences_of_all_kinds_round_trip),
          RUN(coding, varint_that_does_not_fit_is_refused),
          RUN(coding, garbage_is_decoded_or_refused_within_bounds),
          RUN(coding, sized_bytes_that_are_cut_leave_the_input_where_it_was),
          RUN(coding, zigzag_keeps_small_magnitudes_small))
