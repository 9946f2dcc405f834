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

TEST_MAIN(RUN(codec_zstd, round_trips_all_sizes_and_contents), RUN(codec_zstd, noise_does_not_pay),
          RUN(codec_zstd, wrong_sizes_are_corruption), RUN(codec_zstd, garbage_stays_in_bounds))
