#include "codec/codec.h"

#include "codec_fixture.h"

TEST(codec_snappy, round_trips_all_sizes_and_contents) {
    const codec_methods *methods = codec_methods_of(CODEC_SNAPPY);
    codec_fixture_round_trips(methods, methods);
}

TEST(codec_snappy, noise_does_not_pay) {
    codec_fixture_noise_does_not_pay(codec_methods_of(CODEC_SNAPPY));
}

TEST(codec_snappy, wrong_sizes_are_corruption) {
    codec_fixture_wrong_sizes_are_corruption(codec_methods_of(CODEC_SNAPPY));
}

TEST(codec_snappy, garbage_stays_in_bounds) {
    codec_fixture_garbage_stays_in_bounds(codec_methods_of(CODEC_SNAPPY));
}

TEST_MAIN(RUN(codec_snappy, round_trips_all_sizes_and_contents),
          RUN(codec_snappy, noise_does_not_pay), RUN(codec_snappy, wrong_sizes_are_corruption),
          RUN(codec_snappy, garbage_stays_in_bounds))
