#include "codec/codec.h"

#include <string.h>

#include "codec_fixture.h"

TEST(codec, names_are_those_of_the_format) {
    assert_string_equal(codec_name(0), "none");
    assert_string_equal(codec_name(1), "lz4");
    assert_string_equal(codec_name(2), "zstd");
    assert_string_equal(codec_name(3), "snappy");
    assert_string_equal(codec_name(4), "zstd-dictionary");
    assert_string_equal(codec_name(5), "unknown");
    assert_string_equal(codec_name(255), "unknown");
}

TEST(codec, none_never_pays_and_copies_back) {
    uint8_t out[8] = {0};
    size_t bytes = 99;
    assert_true(codec_is_available(CODEC_NONE));
    assert_int_equal(codec_bound(CODEC_NONE, 4), 4);
    ASSERT_OK(codec_compress(CODEC_NONE, slice_from_string("snow"), out, &bytes));
    assert_int_equal(bytes, 0);
    ASSERT_OK(codec_decompress(CODEC_NONE, slice_from_string("snow"), out, 4));
    assert_memory_equal(out, "snow\0\0\0\0", 8);
    ASSERT_OK(codec_decompress(CODEC_NONE, slice_of(NULL, 0), out, 0));
}

TEST(codec, wrong_raw_size_is_corruption) {
    uint8_t out[8] = {0};
    ASSERT_CODE(codec_decompress(CODEC_NONE, slice_from_string("snow"), out, 3), FIRN_CORRUPTION);
    ASSERT_CODE(codec_decompress(CODEC_NONE, slice_from_string("snow"), out, 5), FIRN_CORRUPTION);
    assert_int_equal(out[0], 0);
}

TEST(codec, codecs_this_build_lacks_are_named) {
    uint8_t out[8];
    size_t bytes = 99;
    assert_false(codec_is_available(200));
    ASSERT_CODE(codec_decompress(200, slice_from_string("snow"), out, 4), FIRN_NOT_SUPPORTED);
    assert_non_null(strstr(error_detail_get(), "200 (unknown)"));
    for (uint8_t id = 1; id <= 3; id++) {
        if (codec_is_available(id))
            continue;
        ASSERT_CODE(codec_decompress(id, slice_from_string("snow"), out, 4), FIRN_NOT_SUPPORTED);
        assert_non_null(strstr(error_detail_get(), codec_name(id)));
        ASSERT_CODE(codec_compress((codec_id)id, slice_from_string("snow"), out, &bytes),
                    FIRN_NOT_SUPPORTED);
        assert_non_null(strstr(error_detail_get(), codec_name(id)));
        assert_int_equal(bytes, 0);
    }
}

TEST(codec, lz4_is_part_of_every_build) {
    assert_true(codec_is_available(CODEC_LZ4));
}

static uint8_t codec_test_raw[4096], codec_test_packed[8192];

/* `runs` of 16 equal bytes each, then noise. */
static slice codec_test_block(rng *r, size_t runs) {
    codec_fixture_fill(r, 1, codec_test_raw, sizeof codec_test_raw);
    memset(codec_test_raw, 's', runs * 16);
    return slice_of(codec_test_raw, sizeof codec_test_raw);
}

TEST(codec, what_saves_less_than_an_eighth_does_not_pay) {
    rng r;
    rng_init(&r, test_seed());
    for (uint8_t id = 1; id <= 3; id++) {
        size_t bytes = 99;
        if (!codec_is_available(id))
            continue;
        assert_true(codec_bound((codec_id)id, sizeof codec_test_raw) <= sizeof codec_test_packed);
        /* 416 of 4096 bytes can be saved at the most, where 512 are asked for; then 640. */
        ASSERT_OK(
            codec_compress((codec_id)id, codec_test_block(&r, 26), codec_test_packed, &bytes));
        assert_int_equal(bytes, 0);
        ASSERT_OK(
            codec_compress((codec_id)id, codec_test_block(&r, 40), codec_test_packed, &bytes));
        assert_in_range(bytes, 4096 - 640, 4096 - 512);
        for (size_t size = 0; size < 2; size++) {
            ASSERT_OK(codec_compress((codec_id)id, slice_of(codec_test_raw, size),
                                     codec_test_packed, &bytes));
            assert_int_equal(bytes, 0);
        }
    }
}

TEST(codec, empty_compressed_blocks_are_corruption) {
    uint8_t out[4];
    for (uint8_t id = 1; id <= 3; id++) {
        if (!codec_is_available(id))
            continue;
        ASSERT_CODE(codec_decompress(id, slice_of("", 0), out, 4), FIRN_CORRUPTION);
        ASSERT_CODE(codec_decompress(id, slice_of(NULL, 0), out, 0), FIRN_CORRUPTION);
        ASSERT_CODE(codec_decompress(id, slice_of("\0", 1), out, 0), FIRN_CORRUPTION);
    }
}

TEST_MAIN(RUN(codec, names_are_those_of_the_format), RUN(codec, none_never_pays_and_copies_back),
          RUN(codec, wrong_raw_size_is_corruption), RUN(codec, codecs_this_build_lacks_are_named),
          RUN(codec, lz4_is_part_of_every_build),
          RUN(codec, what_saves_less_than_an_eighth_does_not_pay),
          RUN(codec, empty_compressed_blocks_are_corruption))
