#include "codec_fixture.h"

#include <stdlib.h>
#include <string.h>

static void fixture_noise(rng *r, uint8_t *out, size_t bytes) {
    for (size_t i = 0; i < bytes; i++)
        out[i] = (uint8_t)rng_next(r);
}

void codec_fixture_fill(rng *r, unsigned content, uint8_t *out, size_t bytes) {
    static const char record[] = "{\"name\": \"glacier\", \"height_m\": ####, \"id\": ###}\n";
    size_t period;
    switch (content) {
    case 0:
        memset(out, 'f', bytes);
        return;
    case 1:
        fixture_noise(r, out, bytes);
        return;
    case 2: /* a short period: matches that overlap what they make */
        period = 1 + rng_below(r, 40);
        for (size_t i = 0; i < bytes; i++)
            out[i] = (uint8_t)(i < period ? rng_next(r) : out[i - period]);
        return;
    case 3: /* few letters */
        for (size_t i = 0; i < bytes; i++)
            out[i] = (uint8_t) "snow"[rng_below(r, 4)];
        return;
    case 4: /* records of equal shape, each with a number of its own */
        for (size_t i = 0; i < bytes; i++)
            out[i] = (uint8_t)record[i % (sizeof record - 1)];
        for (size_t i = 0; i < bytes; i++)
            out[i] = (uint8_t)(out[i] == '#' ? '0' + rng_below(r, 10) : out[i]);
        return;
    case 5: /* noise that comes again from as far back as LZ4 can look, or just not */
        period = 65530 + rng_below(r, 12);
        fixture_noise(r, out, bytes);
        for (size_t i = period; i < bytes; i++)
            out[i] = out[i - period];
        return;
    default: /* runs of all lengths */
        for (size_t i = 0, end; i < bytes; i = end) {
            size_t run = rng_below(r, 2) ? rng_below(r, 700) : rng_below(r, 20);
            end = i + run + 1 < bytes ? i + run + 1 : bytes;
            if (rng_below(r, 2))
                memset(out + i, (int)rng_below(r, 256), end - i);
            else
                fixture_noise(r, out + i, end - i);
        }
    }
}

static uint8_t *fixture_new(size_t bytes) {
    uint8_t *p = malloc(bytes ? bytes : 1); /* exact, so that the sanitizer sees what goes beyond */
    assert_non_null(p);
    return p;
}

static void fixture_skip_without(const codec_methods *methods) {
    if (!methods)
        skip();
}

/* Packs into as little room as the codec may ask for; *packed_bytes is 0 when it does not pay. */
static uint8_t *fixture_pack(const codec_methods *methods, slice raw, size_t *packed_bytes) {
    size_t most = raw.size - (raw.size + 7) / 8;
    uint8_t *packed = fixture_new(methods->bound ? methods->bound(raw.size) : most);
    ASSERT_OK(methods->compress(raw, 0, packed, most, packed_bytes));
    if (*packed_bytes > most)
        *packed_bytes = 0;
    return packed;
}

static uint8_t *fixture_copy(const uint8_t *data, size_t bytes) {
    uint8_t *copy = fixture_new(bytes);
    if (bytes)
        memcpy(copy, data, bytes);
    return copy;
}

static status fixture_expand(const codec_methods *methods, slice packed, uint8_t *out,
                             size_t raw_bytes) {
    uint8_t *in = fixture_copy(packed.data, packed.size);
    status st = methods->decompress(slice_of(in, packed.size), out, raw_bytes);
    free(in);
    return st;
}

codec_sample codec_fixture_sample(const codec_methods *methods, rng *r, size_t raw_bytes) {
    static uint8_t raw[1 << 16], packed[1 << 17];
    size_t packed_bytes;
    assert_true(raw_bytes <= sizeof raw);
    codec_fixture_fill(r, 4, raw, raw_bytes);
    ASSERT_OK(methods->compress(slice_of(raw, raw_bytes), 0, packed, raw_bytes - raw_bytes / 8,
                                &packed_bytes));
    assert_in_range(packed_bytes, 1, raw_bytes - raw_bytes / 8);
    return (codec_sample){slice_of(raw, raw_bytes), slice_of(packed, packed_bytes)};
}

static void fixture_round_trip(const codec_methods *packer, const codec_methods *expander, rng *r,
                               size_t raw_bytes) {
    for (unsigned content = 0; content < CODEC_CONTENTS; content++) {
        size_t packed_bytes;
        uint8_t *raw = fixture_new(raw_bytes), *back = fixture_new(raw_bytes);
        codec_fixture_fill(r, content, raw, raw_bytes);
        uint8_t *packed = fixture_pack(packer, slice_of(raw, raw_bytes), &packed_bytes);
        if (packed_bytes) {
            ASSERT_OK(fixture_expand(expander, slice_of(packed, packed_bytes), back, raw_bytes));
            assert_memory_equal(back, raw, raw_bytes);
        } else {
            assert_true(content > 0 || raw_bytes < 32); /* a run is worth it */
        }
        free(raw);
        free(packed);
        free(back);
    }
}

void codec_fixture_round_trips(const codec_methods *packer, const codec_methods *expander) {
    rng r;
    rng_init(&r, test_seed());
    fixture_skip_without(packer);
    fixture_skip_without(expander);
    for (size_t bytes = 2; bytes < 400; bytes++)
        fixture_round_trip(packer, expander, &r, bytes);
    for (size_t bytes = 512; bytes <= 1 << 20; bytes *= 2) {
        fixture_round_trip(packer, expander, &r, bytes - 1);
        fixture_round_trip(packer, expander, &r, bytes);
        fixture_round_trip(packer, expander, &r, bytes + rng_below(&r, bytes));
    }
    for (uint64_t i = test_scaled(300); i > 0; i--)
        fixture_round_trip(packer, expander, &r, 2 + rng_below(&r, 9000));
}

void codec_fixture_noise_does_not_pay(const codec_methods *methods) {
    rng r;
    rng_init(&r, test_seed());
    fixture_skip_without(methods);
    for (size_t bytes = 2; bytes <= 1 << 18; bytes = bytes * 3 / 2 + 1) {
        size_t packed_bytes;
        uint8_t *raw = fixture_new(bytes);
        codec_fixture_fill(&r, 1, raw, bytes);
        if (bytes == 2)
            memcpy(raw, "ab", 2);
        free(fixture_pack(methods, slice_of(raw, bytes), &packed_bytes));
        assert_int_equal(packed_bytes, 0);
        free(raw);
    }
}

void codec_fixture_wrong_sizes_are_corruption(const codec_methods *methods) {
    rng r;
    rng_init(&r, test_seed());
    fixture_skip_without(methods);
    codec_sample s = codec_fixture_sample(methods, &r, 4096);
    const size_t wrong[] = {1, 4, 4000, 4091, 4095, 4097, 4112, 5000, 1 << 16};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        uint8_t *out = fixture_new(wrong[i]);
        ASSERT_CODE(fixture_expand(methods, s.packed, out, wrong[i]), FIRN_CORRUPTION);
        free(out);
    }
    uint8_t *out = fixture_new(4096);
    for (size_t bytes = 1; bytes < s.packed.size; bytes++)
        ASSERT_CODE(fixture_expand(methods, slice_of(s.packed.data, bytes), out, 4096),
                    FIRN_CORRUPTION);
    uint8_t *longer = fixture_new(s.packed.size + 1);
    memcpy(longer, s.packed.data, s.packed.size);
    longer[s.packed.size] = 0x10;
    ASSERT_CODE(fixture_expand(methods, slice_of(longer, s.packed.size + 1), out, 4096),
                FIRN_CORRUPTION);
    ASSERT_OK(fixture_expand(methods, s.packed, out, 4096));
    free(longer);
    free(out);
}

/* Input of any bytes for a block of any size. */
static void fixture_try_garbage(const codec_methods *methods, slice in, size_t raw_bytes) {
    uint8_t *out = fixture_new(raw_bytes);
    status st = fixture_expand(methods, in, out, raw_bytes);
    if (!status_is_ok(st))
        ASSERT_CODE(st, FIRN_CORRUPTION);
    free(out);
}

void codec_fixture_garbage_stays_in_bounds(const codec_methods *methods) {
    rng r;
    uint8_t noise[300];
    rng_init(&r, test_seed());
    fixture_skip_without(methods);
    for (size_t raw_bytes = 256; raw_bytes <= 16384; raw_bytes *= 2) {
        codec_sample s = codec_fixture_sample(methods, &r, raw_bytes);
        uint8_t *changed = fixture_copy(s.packed.data, s.packed.size);
        for (uint64_t i = 0; i < test_scaled(3000); i++) {
            size_t at = rng_below(&r, s.packed.size);
            changed[at] = (uint8_t)(rng_below(&r, 4) ? rng_next(&r) : 255);
            fixture_try_garbage(methods, slice_of(changed, s.packed.size), raw_bytes);
            if (rng_below(&r, 2)) /* else changes add up */
                changed[at] = s.packed.data[at];
        }
        free(changed);
    }
    for (uint64_t i = 0; i < test_scaled(20000); i++) {
        size_t bytes = 1 + rng_below(&r, sizeof noise);
        fixture_noise(&r, noise, bytes);
        fixture_try_garbage(methods, slice_of(noise, bytes), 1 + rng_below(&r, 600));
    }
}
