/* tests/unit/codec/codec_fixture.h - what every codec must do, whoever wrote it. Each check takes
 * the codec's functions and skips the test when they are NULL: not part of this build. */
#ifndef FIRN_TESTS_CODEC_FIXTURE_H
#define FIRN_TESTS_CODEC_FIXTURE_H

#include "lib/test.h"

#include "codec/codec_methods.h"
#include "util/rng.h"

/* Contents that compress well, badly and not at all. */
enum { CODEC_CONTENTS = 7 };
void codec_fixture_fill(rng *r, unsigned content, uint8_t *out, size_t bytes);

/* A block that compresses, as `methods` pack it; both are the fixture's until the next call. */
typedef struct codec_sample {
    slice raw, packed;
} codec_sample;
codec_sample codec_fixture_sample(const codec_methods *methods, rng *r, size_t raw_bytes);

/* Whatever `packer` packs, of all sizes and contents, `expander` expands. */
void codec_fixture_round_trips(const codec_methods *packer, const codec_methods *expander);
void codec_fixture_noise_does_not_pay(const codec_methods *methods);
/* A claimed size that is not the raw size, and input that is cut short or goes on. */
void codec_fixture_wrong_sizes_are_corruption(const codec_methods *methods);
/* Changed and arbitrary input: only OK or CORRUPTION, and nothing written outside. */
void codec_fixture_garbage_stays_in_bounds(const codec_methods *methods);
#endif
