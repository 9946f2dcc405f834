/* XXH3, 64 bits, seed 0, default secret: the format of Yann Collet's xxHash 0.8, written from its
 * description. Every length class mixes the input with its own part of the secret:
 *
 *     0, 1-3, 4-8, 9-16    one or two words, possibly overlapping
 *     17-128, 129-240      16-byte pieces, each folded by a 64 x 64 -> 128 multiplication
 *     241-                 eight lanes over 64-byte stripes; every 16 stripes the lanes are
 * scrambled
 *
 * Filters on disk hold these hashes: the answer for any input may never change. */
#include "util/hash.h"

#include "util/coding.h"

#include "base/poison.h"

__extension__ typedef unsigned __int128 hash_wide;

static const uint64_t hash_prime64_1 = 0x9e3779b185ebca87u;
static const uint64_t hash_prime64_2 = 0xc2b2ae3d27d4eb4fu;
static const uint64_t hash_prime64_3 = 0x165667b19e3779f9u;
static const uint64_t hash_prime64_4 = 0x85ebca77c2b2ae63u;
static const uint64_t hash_prime64_5 = 0x27d4eb2f165667c5u;
static const uint64_t hash_prime32_1 = 0x9e3779b1u;
static const uint64_t hash_prime32_2 = 0x85ebca77u;
static const uint64_t hash_prime32_3 = 0xc2b2ae3du;

enum {
    HASH_LANES = 8,
    HASH_STRIPE_BYTES = 64,
    HASH_SECRET_BYTES = 192,
    HASH_SECRET_STEP = 8, /* how far the secret moves from stripe to stripe */
    HASH_BLOCK_STRIPES = (HASH_SECRET_BYTES - HASH_STRIPE_BYTES) / HASH_SECRET_STEP,
    HASH_BLOCK_BYTES = HASH_BLOCK_STRIPES * HASH_STRIPE_BYTES
};

static const uint8_t hash_secret[HASH_SECRET_BYTES] = {
    0xb8, 0xfe, 0x6c, 0x39, 0x23, 0xa4, 0x4b, 0xbe, 0x7c, 0x01, 0x81, 0x2c, 0xf7, 0x21, 0xad, 0x1c,
    0xde, 0xd4, 0x6d, 0xe9, 0x83, 0x90, 0x97, 0xdb, 0x72, 0x40, 0xa4, 0xa4, 0xb7, 0xb3, 0x67, 0x1f,
    0xcb, 0x79, 0xe6, 0x4e, 0xcc, 0xc0, 0xe5, 0x78, 0x82, 0x5a, 0xd0, 0x7d, 0xcc, 0xff, 0x72, 0x21,
    0xb8, 0x08, 0x46, 0x74, 0xf7, 0x43, 0x24, 0x8e, 0xe0, 0x35, 0x90, 0xe6, 0x81, 0x3a, 0x26, 0x4c,
    0x3c, 0x28, 0x52, 0xbb, 0x91, 0xc3, 0x00, 0xcb, 0x88, 0xd0, 0x65, 0x8b, 0x1b, 0x53, 0x2e, 0xa3,
    0x71, 0x64, 0x48, 0x97, 0xa2, 0x0d, 0xf9, 0x4e, 0x38, 0x19, 0xef, 0x46, 0xa9, 0xde, 0xac, 0xd8,
    0xa8, 0xfa, 0x76, 0x3f, 0xe3, 0x9c, 0x34, 0x3f, 0xf9, 0xdc, 0xbb, 0xc7, 0xc7, 0x0b, 0x4f, 0x1d,
    0x8a, 0x51, 0xe0, 0x4b, 0xcd, 0xb4, 0x59, 0x31, 0xc8, 0x9f, 0x7e, 0xc9, 0xd9, 0x78, 0x73, 0x64,
    0xea, 0xc5, 0xac, 0x83, 0x34, 0xd3, 0xeb, 0xc3, 0xc5, 0x81, 0xa0, 0xff, 0xfa, 0x13, 0x63, 0xeb,
    0x17, 0x0d, 0xdd, 0x51, 0xb7, 0xf0, 0xda, 0x49, 0xd3, 0x16, 0x55, 0x26, 0x29, 0xd4, 0x68, 0x9e,
    0x2b, 0x16, 0xbe, 0x58, 0x7d, 0x47, 0xa1, 0xfc, 0x8f, 0xf8, 0xb8, 0xd1, 0x7a, 0xd0, 0x31, 0xce,
    0x45, 0xcb, 0x3a, 0x8f, 0x95, 0x16, 0x04, 0x28, 0xaf, 0xd7, 0xfb, 0xca, 0xbb, 0x4b, 0x40, 0x7e,
};

static inline uint64_t hash_secret64(size_t offset) {
    return decode_fixed64(hash_secret + offset);
}

static inline uint64_t hash_rotate_left(uint64_t v, unsigned by) {
    return v << by | v >> (64 - by);
}

static inline uint64_t hash_multiply_fold(uint64_t a, uint64_t b) {
    hash_wide product = (hash_wide)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t hash_finish(uint64_t h) {
    h ^= h >> 37;
    h *= 0x165667919e3779f9u;
    return h ^ h >> 32;
}

/* The final mix of the older XXH64, kept for the shortest inputs. */
static inline uint64_t hash_finish_short(uint64_t h) {
    h ^= h >> 33;
    h *= hash_prime64_2;
    h ^= h >> 29;
    h *= hash_prime64_3;
    return h ^ h >> 32;
}

static inline uint64_t hash_1_to_3(const uint8_t *p, size_t size) {
    uint32_t bytes =
        (uint32_t)p[0] << 16 | (uint32_t)p[size >> 1] << 24 | p[size - 1] | (uint32_t)size << 8;
    return hash_finish_short(bytes ^ decode_fixed32(hash_secret) ^ decode_fixed32(hash_secret + 4));
}

static inline uint64_t hash_4_to_8(const uint8_t *p, size_t size) {
    uint64_t h = (uint64_t)decode_fixed32(p) << 32 | decode_fixed32(p + size - 4);
    h ^= hash_secret64(8) ^ hash_secret64(16);
    h ^= hash_rotate_left(h, 49) ^ hash_rotate_left(h, 24);
    h *= 0x9fb21c651e98df25u;
    h ^= (h >> 35) + size;
    h *= 0x9fb21c651e98df25u;
    return h ^ h >> 28;
}

static inline uint64_t hash_9_to_16(const uint8_t *p, size_t size) {
    uint64_t low = decode_fixed64(p) ^ hash_secret64(24) ^ hash_secret64(32);
    uint64_t high = decode_fixed64(p + size - 8) ^ hash_secret64(40) ^ hash_secret64(48);
    return hash_finish(size + __builtin_bswap64(low) + high + hash_multiply_fold(low, high));
}

static inline uint64_t hash_mix_16(const uint8_t *p, size_t secret_offset) {
    return hash_multiply_fold(decode_fixed64(p) ^ hash_secret64(secret_offset),
                              decode_fixed64(p + 8) ^ hash_secret64(secret_offset + 8));
}

/* Pairs of pieces from both ends towards the middle; they may overlap there. */
static uint64_t hash_17_to_128(const uint8_t *p, size_t size) {
    uint64_t h = size * hash_prime64_1;
    const uint8_t *end = p + size;
    if (size > 96)
        h += hash_mix_16(p + 48, 96) + hash_mix_16(end - 64, 112);
    if (size > 64)
        h += hash_mix_16(p + 32, 64) + hash_mix_16(end - 48, 80);
    if (size > 32)
        h += hash_mix_16(p + 16, 32) + hash_mix_16(end - 32, 48);
    h += hash_mix_16(p, 0) + hash_mix_16(end - 16, 16);
    return hash_finish(h);
}

/* From the ninth piece on the secret is used again, three bytes further on. */
static uint64_t hash_129_to_240(const uint8_t *p, size_t size) {
    uint64_t h = size * hash_prime64_1;
    size_t pieces = size / 16;
    for (size_t i = 0; i < 8; i++)
        h += hash_mix_16(p + 16 * i, 16 * i);
    h = hash_finish(h);
    for (size_t i = 8; i < pieces; i++)
        h += hash_mix_16(p + 16 * i, 16 * (i - 8) + 3);
    h += hash_mix_16(p + size - 16, 136 - 17);
    return hash_finish(h);
}

static inline uint64_t hash_multiply_halves(uint64_t v) {
    return (v & 0xffffffffu) * (v >> 32);
}

/* Each lane takes its neighbour's input as it is and the product of the halves of its own, keyed,
 * so that no input byte can be multiplied away. */
static inline void hash_stripe(uint64_t lanes[HASH_LANES], const uint8_t *restrict p,
                               const uint8_t *restrict secret) {
    for (size_t i = 0; i < HASH_LANES; i += 2) {
        uint64_t even = decode_fixed64(p + 8 * i);
        uint64_t odd = decode_fixed64(p + 8 * i + 8);
        lanes[i] += odd + hash_multiply_halves(even ^ decode_fixed64(secret + 8 * i));
        lanes[i + 1] += even + hash_multiply_halves(odd ^ decode_fixed64(secret + 8 * i + 8));
    }
}

static inline void hash_scramble(uint64_t lanes[HASH_LANES]) {
    for (size_t i = 0; i < HASH_LANES; i++) {
        uint64_t lane = lanes[i];
        lane ^= lane >> 47;
        lane ^= hash_secret64(HASH_SECRET_BYTES - HASH_STRIPE_BYTES + 8 * i);
        lanes[i] = lane * hash_prime32_1;
    }
}

/* The last stripe ends with the input, overlapping the one before, and is never part of a block:
 * hence the "- 1". */
static uint64_t hash_long(const uint8_t *p, size_t size) {
    uint64_t lanes[HASH_LANES] = {hash_prime32_3, hash_prime64_1, hash_prime64_2, hash_prime64_3,
                                  hash_prime64_4, hash_prime32_2, hash_prime64_5, hash_prime32_1};
    const uint8_t *last = p + size - HASH_STRIPE_BYTES;
    size_t stripes = (size - 1) / HASH_STRIPE_BYTES;
    for (; stripes >= HASH_BLOCK_STRIPES; stripes -= HASH_BLOCK_STRIPES) {
        for (size_t i = 0; i < HASH_BLOCK_STRIPES; i++, p += HASH_STRIPE_BYTES)
            hash_stripe(lanes, p, hash_secret + HASH_SECRET_STEP * i);
        hash_scramble(lanes);
    }
    for (size_t i = 0; i < stripes; i++, p += HASH_STRIPE_BYTES)
        hash_stripe(lanes, p, hash_secret + HASH_SECRET_STEP * i);
    hash_stripe(lanes, last, hash_secret + HASH_SECRET_BYTES - HASH_STRIPE_BYTES - 7);

    uint64_t h = size * hash_prime64_1;
    for (size_t i = 0; i < HASH_LANES; i += 2)
        h += hash_multiply_fold(lanes[i] ^ hash_secret64(11 + 8 * i),
                                lanes[i + 1] ^ hash_secret64(11 + 8 * i + 8));
    return hash_finish(h);
}

FIRN_INTERNAL uint64_t hash64(const void *data, size_t size) {
    const uint8_t *p = data;
    if (size > 240)
        return hash_long(p, size);
    if (size > 128)
        return hash_129_to_240(p, size);
    if (size > 16)
        return hash_17_to_128(p, size);
    if (size > 8)
        return hash_9_to_16(p, size);
    if (size >= 4)
        return hash_4_to_8(p, size);
    if (size > 0)
        return hash_1_to_3(p, size);
    return hash_finish_short(hash_secret64(56) ^ hash_secret64(64));
}
