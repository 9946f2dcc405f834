#include "codec/codec_dictionary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/codec.h"
#include "lib/test.h"
#include "platform/error_detail.h"
#include "util/rng.h"

enum { DICTIONARY_SAMPLES = 128, DICTIONARY_SAMPLE_BYTES = 2048 };

static uint8_t dictionary_samples[DICTIONARY_SAMPLES * DICTIONARY_SAMPLE_BYTES];

/* Records that have words in common, in blocks of their own. */
static void dictionary_fill(void) {
    static const char *const words[] = {"avalanche", "crevasse", "moraine",
                                        "serac",     "firn",     "neve"};
    size_t at = 0;
    for (unsigned i = 0; at + 80 < sizeof dictionary_samples; i++)
        at += (size_t)snprintf((char *)dictionary_samples + at, 80,
                               "{\"kind\":\"%s\",\"height\":%u,\"guide\":\"%s\"}\n",
                               words[i * 7 % 6], i * 2654435761u >> 20, words[i * 5 % 6]);
    memset(dictionary_samples + at, 'x', sizeof dictionary_samples - at);
}

static bool dictionary_train(buf *out) {
    size_t sizes[DICTIONARY_SAMPLES];
    for (int i = 0; i < DICTIONARY_SAMPLES; i++)
        sizes[i] = DICTIONARY_SAMPLE_BYTES;
    dictionary_fill();
    status st = codec_dictionary_train(dictionary_samples, sizes, DICTIONARY_SAMPLES, 4096, out);
    if (codec_dictionary_is_available()) {
        ASSERT_OK(st);
        assert_true(out->size > 256 && out->size <= 4096);
        assert_true(codec_dictionary_begins(buf_slice(out)));
        return true;
    }
    codec_dictionary *d;
    ASSERT_CODE(st, FIRN_NOT_SUPPORTED);
    assert_non_null(strstr(error_detail_get(), "zstd"));
    ASSERT_CODE(codec_dictionary_new(slice_from_string("12345678"), &d), FIRN_NOT_SUPPORTED);
    assert_null(d);
    return false;
}

static slice dictionary_sample(int i) {
    return slice_of(dictionary_samples + (size_t)i * DICTIONARY_SAMPLE_BYTES,
                    DICTIONARY_SAMPLE_BYTES);
}

TEST(codec_dictionary, makes_blocks_smaller_and_gives_them_back) {
    buf bytes = {0};
    codec_dictionary *packer, *expander;
    static uint8_t packed[DICTIONARY_SAMPLE_BYTES], back[DICTIONARY_SAMPLE_BYTES];
    uint64_t with = 0, without = 0;
    if (!dictionary_train(&bytes))
        return;
    ASSERT_OK(codec_dictionary_new_packer(buf_slice(&bytes), 0, &packer));
    ASSERT_OK(codec_dictionary_new(buf_slice(&bytes), &expander));
    assert_true(codec_dictionary_memory_bytes(expander) > bytes.size);
    assert_int_equal(codec_dictionary_memory_bytes(NULL), 0);
    for (int i = 0; i < DICTIONARY_SAMPLES; i++) {
        static uint8_t plain[2 * DICTIONARY_SAMPLE_BYTES];
        size_t size, plain_size;
        ASSERT_OK(codec_dictionary_compress(packer, dictionary_sample(i), packed, &size));
        ASSERT_OK(codec_compress(CODEC_ZSTD, dictionary_sample(i), plain, &plain_size));
        assert_true(size > 0 && plain_size > 0);
        with += size;
        without += plain_size;
        memset(back, 0, sizeof back);
        ASSERT_OK(codec_dictionary_decompress(expander, slice_of(packed, size), back, sizeof back));
        assert_memory_equal(back, dictionary_sample(i).data, sizeof back);
        /* A context that had a dictionary compresses without one as ever. */
        ASSERT_OK(codec_decompress(CODEC_ZSTD, slice_of(plain, plain_size), back, sizeof back));
        assert_memory_equal(back, dictionary_sample(i).data, sizeof back);
    }
    print_message("%llu bytes with, %llu without\n", (unsigned long long)with,
                  (unsigned long long)without);
    assert_true(with * 4 < without * 3);
    codec_dictionary_free(packer);
    codec_dictionary_free(expander);
    codec_dictionary_free(NULL);
    buf_deinit(&bytes);
}

TEST(codec_dictionary, noise_does_not_pay) {
    buf bytes = {0};
    codec_dictionary *packer;
    rng r;
    uint8_t noise[1000], packed[1000];
    size_t size = 9;
    rng_init(&r, test_seed());
    if (!dictionary_train(&bytes))
        return;
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (uint8_t)rng_next(&r);
    ASSERT_OK(codec_dictionary_new_packer(buf_slice(&bytes), 1, &packer));
    ASSERT_OK(codec_dictionary_compress(packer, slice_of(noise, sizeof noise), packed, &size));
    assert_int_equal(size, 0);
    ASSERT_OK(codec_dictionary_compress(packer, slice_of(noise, 1), packed, &size));
    assert_int_equal(size, 0);
    codec_dictionary_free(packer);
    buf_deinit(&bytes);
}

/* Wrong sizes, changed bytes, another dictionary: the right bytes, wrong ones or CORRUPTION, and
 * never a byte beyond. */
TEST(codec_dictionary, damage_stays_in_bounds) {
    buf bytes = {0};
    rng r;
    rng_init(&r, test_seed());
    codec_dictionary *packer, *expander, *other;
    uint8_t packed[DICTIONARY_SAMPLE_BYTES];
    size_t size;
    if (!dictionary_train(&bytes))
        return;
    ASSERT_OK(codec_dictionary_new_packer(buf_slice(&bytes), 0, &packer));
    ASSERT_OK(codec_dictionary_new(buf_slice(&bytes), &expander));
    ASSERT_OK(codec_dictionary_compress(packer, dictionary_sample(3), packed, &size));
    for (size_t i = bytes.size / 2; i < bytes.size; i++)
        bytes.data[i] ^= 0x55;
    ASSERT_OK(codec_dictionary_new(buf_slice(&bytes), &other));
    for (uint64_t round = 0; round < test_scaled(3000); round++) {
        size_t room =
            rng_below(&r, 2) ? DICTIONARY_SAMPLE_BYTES : rng_below(&r, 2 * DICTIONARY_SAMPLE_BYTES);
        size_t kept = rng_below(&r, 3) ? size : rng_below(&r, size + 1);
        uint8_t *in = malloc(kept ? kept : 1), *out = malloc(room ? room : 1);
        assert_true(in && out);
        memcpy(in, packed, kept);
        for (uint64_t c = rng_below(&r, 3); c > 0 && kept > 0; c--)
            in[rng_below(&r, kept)] = (uint8_t)rng_next(&r);
        status st = codec_dictionary_decompress(rng_below(&r, 2) ? expander : other,
                                                slice_of(in, kept), out, room);
        assert_true(status_is_ok(st) || status_is(st, FIRN_CORRUPTION));
        if (room != DICTIONARY_SAMPLE_BYTES && kept == size && memcmp(in, packed, size) == 0)
            ASSERT_CODE(st, FIRN_CORRUPTION);
        free(in);
        free(out);
    }
    ASSERT_CODE(codec_dictionary_decompress(expander, slice_of("", 0), packed, 5), FIRN_CORRUPTION);
    codec_dictionary_free(packer);
    codec_dictionary_free(expander);
    codec_dictionary_free(other);
    buf_deinit(&bytes);
}

TEST(codec_dictionary, other_bytes_are_none) {
    codec_dictionary *d;
    uint8_t begins[40] = {0x37, 0xa4, 0x30, 0xec};
    if (!codec_dictionary_is_available())
        return;
    ASSERT_CODE(codec_dictionary_new(slice_from_string("no dictionary"), &d), FIRN_CORRUPTION);
    assert_null(d);
    ASSERT_CODE(codec_dictionary_new(slice_of(begins, 4), &d), FIRN_CORRUPTION);
    ASSERT_CODE(codec_dictionary_new(slice_of(begins, sizeof begins), &d), FIRN_CORRUPTION);
    assert_null(d);
    assert_false(codec_dictionary_begins(SLICE_UNSET));
}

TEST_MAIN(RUN(codec_dictionary, makes_blocks_smaller_and_gives_them_back),
          RUN(codec_dictionary, noise_does_not_pay), RUN(codec_dictionary, damage_stays_in_bounds),
          RUN(codec_dictionary, other_bytes_are_none))
