#include <stdio.h>

#include "codec/codec.h"

#include "codec_fixture.h"

TEST(codec_zstd, round_trips_all_sizes_and_contents) {
    const codec_methods *methods = codec_methods_of(CODEC_ZSTD);
    codec_fixture_round_trips(methods, methods);
}

TEST(codec_zstd, noise_does_not_pay) {
    codec_fixture_noise_does_not_pay(codec_methods_of(CODEC_ZSTD));
}

TEST(codec_zstd, wrong_sizes_are_corruption) {
    codec_fixture_wrong_sizes_are_corruption(codec_methods_of(CODEC_ZSTD));
}

TEST(codec_zstd, garbage_stays_in_bounds) {
    codec_fixture_garbage_stays_in_bounds(codec_methods_of(CODEC_ZSTD));
}

TEST(codec_zstd, levels_matter_and_expand_all_the_same) {
    static uint8_t raw[64 << 10], packed[128 << 10], back[sizeof raw];
    size_t first = 0, last = 0;
    for (size_t i = 0; i + 16 <= sizeof raw; i += 16)
        snprintf((char *)raw + i, 16, "user%05u,%03u;", (unsigned)(i * 7919 % 99991),
                 (unsigned)(i / 16 % 97));
    ASSERT_OK(codec_compress_at(CODEC_ZSTD, 1, slice_of(raw, sizeof raw), packed, &first));
    ASSERT_OK(
        codec_compress_at(CODEC_ZSTD, CODEC_LEVEL_MAX, slice_of(raw, sizeof raw), packed, &last));
    print_message("%zu and %zu bytes\n", first, last);
    assert_true(first > 0 && last > 0 && last != first);
    ASSERT_OK(codec_decompress(CODEC_ZSTD, slice_of(packed, last), back, sizeof back));
    assert_memory_equal(raw, back, sizeof raw);
}

TEST_MAIN(RUN(codec_zstd, levels_matter_and_expand_all_the_same),
          RUN(codec_zstd, round_trips_all_sizes_and_contents), RUN(codec_zstd, noise_does_not_pay),
          RUN(codec_zstd, wrong_sizes_are_corruption), RUN(codec_zstd, garbage_stays_in_bounds))
