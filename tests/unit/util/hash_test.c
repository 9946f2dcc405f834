/* Holds the library's hash64, whichever twin that is, our own twin and the xxHash library (where it
 * is installed) equal to each other, and judges the quality a Bloom filter relies on. */
#include "util/hash.h"

#include <stdio.h>
#include <string.h>

#include "lib/test.h"
#include "util/rng.h"

#if __has_include(<xxhash.h>)
#define XXH_INLINE_ALL
#include <xxhash.h>
static uint64_t hash_by_library(const void *data, size_t size) {
    return XXH3_64bits(data, size);
}
#else
#define hash_by_library hash64
#endif

/* The built-in twin under another name, so that it is tested in builds that do not use it. */
#define hash64 hash_by_our_own
uint64_t hash_by_our_own(const void *data, size_t size);
#include "util/hash_builtin.c"
#undef hash64

enum { CONTENT_BYTES = 4096 };
static uint8_t content[CONTENT_BYTES];

static void fill_content(rng *r) {
    for (size_t i = 0; i < CONTENT_BYTES; i++)
        content[i] = (uint8_t)rng_next(r);
}

TEST(hash, gives_the_fixed_values_of_the_format) {
    static const struct {
        size_t size;
        uint64_t hash;
    } cases[] = {
        {0, 0x2d06800538d394c2u},    {1, 0xc44bdff4074eecdbu},    {3, 0x6811538b444fc6dcu},
        {4, 0xed503340c589a28bu},    {8, 0xe5b43ab074c9c13bu},    {9, 0x089b8d25b20fb877u},
        {16, 0x0a0ec5ae8679cb7fu},   {17, 0x57c52d21ce492c1eu},   {128, 0x696069c4f1e6a91au},
        {129, 0xb1ada52285757bebu},  {240, 0xb80284837259eee4u},  {241, 0x44dbd3180a664e27u},
        {1024, 0xd1abb5dbd52032f9u}, {1025, 0xa3908b116ddf0191u}, {4096, 0x9f544112e3e91bb5u},
    };
    for (size_t i = 0; i < CONTENT_BYTES; i++)
        content[i] = (uint8_t)(i * 131 + (i >> 8) * 7);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_true(hash64(content, cases[i].size) == cases[i].hash);
        assert_true(hash_by_our_own(content, cases[i].size) == cases[i].hash);
    }
}

/* The input ends where `content` ends, so that the sanitizer sees a read beyond. */
TEST(hash, twins_agree_on_every_length) {
    rng r;
    rng_init(&r, test_seed());
    for (uint64_t round = test_scaled(4); round > 0; round--) {
        fill_content(&r);
        for (size_t size = 0; size <= CONTENT_BYTES; size++) {
            const uint8_t *p = content + CONTENT_BYTES - size;
            uint64_t expected = hash_by_library(p, size);
            assert_true(hash64(p, size) == expected);
            assert_true(hash_by_our_own(p, size) == expected);
        }
    }
    assert_true(hash64(NULL, 0) == hash_by_our_own(NULL, 0));
}

/* Flipping one input bit flips each output bit in about half of the cases: six standard deviations
 * around 1/2 over 4000 samples. One byte has only 1024 pairs of inputs that differ in a bit, so the
 * samples repeat and stray further. */
TEST(hash, one_input_bit_changes_half_of_the_output_bits) {
    enum { SAMPLES = 4000 };
    static const size_t sizes[] = {1, 3, 8, 16, 24, 100, 200, 500};
    rng r;
    rng_init(&r, test_seed());
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        const unsigned slack = sizes[s] == 1 ? 480 : 190;
        unsigned flips[64] = {0};
        for (int i = 0; i < SAMPLES; i++) {
            for (size_t j = 0; j < sizes[s]; j++)
                content[j] = (uint8_t)rng_next(&r);
            uint64_t before = hash_by_our_own(content, sizes[s]);
            size_t bit = rng_below(&r, 8 * sizes[s]);
            content[bit / 8] ^= (uint8_t)(1 << bit % 8);
            uint64_t changed = before ^ hash_by_our_own(content, sizes[s]);
            for (int j = 0; j < 64; j++)
                flips[j] += changed >> j & 1;
        }
        for (int j = 0; j < 64; j++)
            assert_in_range(flips[j], SAMPLES / 2 - slack, SAMPLES / 2 + slack);
    }
}

/* Sequential keys, the usual ones, spread evenly by any byte of the hash: chi-squared with 255
 * degrees of freedom stays under 400 (one chance in 10^8 each). */
TEST(hash, sequential_keys_fill_all_buckets_evenly) {
    enum { KEYS = 100000, BUCKETS = 256 };
    static unsigned counts[8][BUCKETS];
    memset(counts, 0, sizeof counts);
    for (int i = 0; i < KEYS; i++) {
        char key[32];
        int size = snprintf(key, sizeof key, "user%012d", i);
        uint64_t h = hash_by_our_own(key, (size_t)size);
        for (int byte = 0; byte < 8; byte++)
            counts[byte][h >> (8 * byte) & 0xff]++;
    }
    const double expected = (double)KEYS / BUCKETS;
    for (int byte = 0; byte < 8; byte++) {
        double chi = 0;
        for (int i = 0; i < BUCKETS; i++) {
            double off = (double)counts[byte][i] - expected;
            chi += off * off / expected;
        }
        assert_true(chi > 130 && chi < 400);
    }
}

TEST_MAIN(RUN(hash, gives_the_fixed_values_of_the_format), RUN(hash, twins_agree_on_every_length),
          RUN(hash, one_input_bit_changes_half_of_the_output_bits),
          RUN(hash, sequential_keys_fill_all_buckets_evenly))
