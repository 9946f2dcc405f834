#include "codec/codec.h"

#include "codec_fixture.h"

TEST(codec_lz4, round_trips_all_sizes_and_contents) {
    const codec_methods *methods = codec_methods_of(CODEC_LZ4);
    codec_fixture_round_trips(methods, methods);
}

TEST(codec_lz4, noise_does_not_pay) {
    codec_fixture_noise_does_not_pay(codec_methods_of(CODEC_LZ4));
}

TEST(codec_lz4, wrong_sizes_are_corruption) {
    codec_fixture_wrong_sizes_are_corruption(codec_methods_of(CODEC_LZ4));
}

TEST(codec_lz4, garbage_stays_in_bounds) {
    codec_fixture_garbage_stays_in_bounds(codec_methods_of(CODEC_LZ4));
}

TEST_MAIN(RUN(codec_lz4, round_trips_all_sizes_and_contents), RUN(codec_lz4, noise_does_not_pay),
          RUN(codec_lz4, wrong_sizes_are_corruption), RUN(codec_lz4, garbage_stays_in_bounds))
