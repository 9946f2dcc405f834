/* Four variants: tables (slicing by eight, Kounavis and Berry 2005), SSE4.2, SSE4.2 with wide
 * carry-less multiplication for what is long, and the AArch64 CRC extension. The x86 instruction
 * takes three cycles but starts every cycle, so from a hundred bytes on three thirds of the data
 * are summed side by side; the first two sums are then moved past what follows them by carry-less
 * multiplication (Gopal and others, Intel 2011). */
#include "util/crc32c.h"

#include <string.h>

#include "base/atomic.h"
#include "util/coding.h"
#include "util/crc32c_tables.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#endif

#include "base/poison.h"

FIRN_INTERNAL uint32_t crc32c_extend_table(uint32_t crc, const void *data, size_t size) {
    const uint8_t *p = data;
    uint32_t sum = ~crc;
    for (; size >= 8; size -= 8, p += 8) {
        uint32_t low = sum ^ decode_fixed32(p);
        uint32_t high = decode_fixed32(p + 4);
        sum = crc32c_slices[7][low & 0xff] ^ crc32c_slices[6][low >> 8 & 0xff] ^
              crc32c_slices[5][low >> 16 & 0xff] ^ crc32c_slices[4][low >> 24] ^
              crc32c_slices[3][high & 0xff] ^ crc32c_slices[2][high >> 8 & 0xff] ^
              crc32c_slices[1][high >> 16 & 0xff] ^ crc32c_slices[0][high >> 24];
    }
    for (; size > 0; size--)
        sum = sum >> 8 ^ crc32c_slices[0][(sum ^ *p++) & 0xff];
    return ~sum;
}

#if defined(__x86_64__)

enum {
    CRC32C_SPLIT_BYTES_MIN = 96,  /* below, one after the other is as fast */
    CRC32C_SPLIT_WORDS_MAX = 128, /* words in a third: half the entries of crc32c_shifts */
    CRC32C_UNKNOWN = 0,
    CRC32C_TABLE,
    CRC32C_INSTRUCTION,
    CRC32C_WIDE
};

enum {
    CRC32C_LANE_BYTES = 64,
    CRC32C_STRIDE_BYTES = 4 * CRC32C_LANE_BYTES,
    CRC32C_WIDE_BYTES_MIN = 4 * CRC32C_STRIDE_BYTES /* below, thirds are as fast */
};

/* x^n mod P, bits reversed and moved up by one, for n of 32 more and 32 less than the distance in
 * bits: what a half of 128 bits is multiplied by to be moved that far (Gopal and others, Intel
 * 2009). A test holds them equal to the definition through the sums they give. */
#define CRC32C_FOLD_64_BYTES_LOW   0x0740EEF02
#define CRC32C_FOLD_64_BYTES_HIGH  0x09E4ADDF8
#define CRC32C_FOLD_256_BYTES_LOW  0x0DCB17AA4
#define CRC32C_FOLD_256_BYTES_HIGH 0x0B9E02B86

/* Unaligned loads are free on every processor that has the instruction. */
static inline uint64_t crc32c_word(const uint8_t *p) {
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

/* Three adjacent thirds of `words` words each, at least 1. The last word of the last third takes
 * the moved sums of the others with it through the instruction. */
__attribute__((target("sse4.2,pclmul"))) static uint64_t
crc32c_thirds(uint64_t sum, const uint8_t *p, size_t words) {
    size_t third = words * 8;
    const uint8_t *last = p + third - 8;
    uint64_t second = 0, tail = 0;
    for (; p < last; p += 8) {
        sum = _mm_crc32_u64(sum, crc32c_word(p));
        second = _mm_crc32_u64(second, crc32c_word(p + third));
        tail = _mm_crc32_u64(tail, crc32c_word(p + 2 * third));
    }
    sum = _mm_crc32_u64(sum, crc32c_word(p));
    second = _mm_crc32_u64(second, crc32c_word(p + third));
    __m128i by_two = _mm_cvtsi32_si128((int)crc32c_shifts[2 * words - 1]);
    __m128i by_one = _mm_cvtsi32_si128((int)crc32c_shifts[words - 1]);
    __m128i moved =
        _mm_xor_si128(_mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)sum), by_two, 0),
                      _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)second), by_one, 0));
    return _mm_crc32_u64(tail, crc32c_word(p + 2 * third) ^ (uint64_t)_mm_cvtsi128_si64(moved));
}

__attribute__((target("sse4.2,pclmul"))) static uint32_t
crc32c_extend_instruction(uint32_t crc, const void *data, size_t size) {
    const uint8_t *p = data;
    uint64_t sum = (uint32_t)~crc;
    while (size >= CRC32C_SPLIT_BYTES_MIN) {
        size_t words = size / 24;
        if (words > CRC32C_SPLIT_WORDS_MAX)
            words = CRC32C_SPLIT_WORDS_MAX;
        sum = crc32c_thirds(sum, p, words);
        p += words * 24;
        size -= words * 24;
    }
    for (; size >= 8; size -= 8, p += 8)
        sum = _mm_crc32_u64(sum, crc32c_word(p));
    uint32_t narrow = (uint32_t)sum;
    if (size & 4) {
        narrow = _mm_crc32_u32(narrow, decode_fixed32(p));
        p += 4;
    }
    if (size & 2) {
        narrow = _mm_crc32_u16(narrow, decode_fixed16(p));
        p += 2;
    }
    if (size & 1)
        narrow = _mm_crc32_u8(narrow, *p);
    return ~narrow;
}

#define CRC32C_TARGET_WIDE __attribute__((target("sse4.2,pclmul,avx512f,vpclmulqdq")))

/* Four times 128 bits, moved on by the distance of the factors, and what stands there. */
CRC32C_TARGET_WIDE static inline __m512i crc32c_fold(__m512i lane, __m512i factors, __m512i next) {
    __m512i low = _mm512_clmulepi64_epi128(lane, factors, 0x00);
    __m512i high = _mm512_clmulepi64_epi128(lane, factors, 0x11);
    return _mm512_ternarylogic_epi64(low, high, next, 0x96); /* all three, exclusive-or */
}

CRC32C_TARGET_WIDE static inline __m512i crc32c_factors(long long low, long long high) {
    return _mm512_broadcast_i32x4(_mm_set_epi64x(high, low));
}

/* The sum of a multiple of CRC32C_STRIDE_BYTES, at least two of them, by four lanes side by side;
 * what they come to in the end is 64 bytes that have the same sum as all. */
CRC32C_TARGET_WIDE static uint64_t crc32c_wide(uint64_t sum, const uint8_t *p, size_t size) {
    __m512i far = crc32c_factors(CRC32C_FOLD_256_BYTES_LOW, CRC32C_FOLD_256_BYTES_HIGH);
    __m512i near = crc32c_factors(CRC32C_FOLD_64_BYTES_LOW, CRC32C_FOLD_64_BYTES_HIGH);
    const uint8_t *end = p + size;
    __m512i a = _mm512_loadu_si512(p), b = _mm512_loadu_si512(p + CRC32C_LANE_BYTES);
    __m512i c = _mm512_loadu_si512(p + 2 * (size_t)CRC32C_LANE_BYTES);
    __m512i d = _mm512_loadu_si512(p + 3 * (size_t)CRC32C_LANE_BYTES);
    a = _mm512_xor_si512(a, _mm512_zextsi128_si512(_mm_cvtsi64_si128((long long)sum)));
    for (p += CRC32C_STRIDE_BYTES; p < end; p += CRC32C_STRIDE_BYTES) {
        a = crc32c_fold(a, far, _mm512_loadu_si512(p));
        b = crc32c_fold(b, far, _mm512_loadu_si512(p + CRC32C_LANE_BYTES));
        c = crc32c_fold(c, far, _mm512_loadu_si512(p + 2 * (size_t)CRC32C_LANE_BYTES));
        d = crc32c_fold(d, far, _mm512_loadu_si512(p + 3 * (size_t)CRC32C_LANE_BYTES));
    }
    uint8_t last[CRC32C_LANE_BYTES];
    _mm512_storeu_si512(last, crc32c_fold(crc32c_fold(crc32c_fold(a, near, b), near, c), near, d));
    sum = 0;
    for (size_t i = 0; i < CRC32C_LANE_BYTES; i += 8)
        sum = _mm_crc32_u64(sum, crc32c_word(last + i));
    return sum;
}

#undef CRC32C_TARGET_WIDE

static uint32_t crc32c_extend_wide(uint32_t crc, const void *data, size_t size) {
    const uint8_t *p = data;
    if (size >= CRC32C_WIDE_BYTES_MIN) {
        size_t wide = size - size % CRC32C_STRIDE_BYTES;
        crc = ~(uint32_t)crc32c_wide((uint32_t)~crc, p, wide);
        p += wide;
        size -= wide;
    }
    return crc32c_extend_instruction(crc, p, size);
}

static atomic_u32 crc32c_variant;

static COLD uint32_t crc32c_choose(void) {
    __builtin_cpu_init();
    uint32_t variant = CRC32C_TABLE;
    if (__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul"))
        variant = CRC32C_INSTRUCTION;
    if (variant == CRC32C_INSTRUCTION && __builtin_cpu_supports("avx512f") &&
        __builtin_cpu_supports("vpclmulqdq"))
        variant = CRC32C_WIDE;
    /* relaxed: every thread finds the same answer, and it guards no other memory. */
    atomic_u32_store(&crc32c_variant, variant, memory_order_relaxed);
    return variant;
}

FIRN_INTERNAL uint32_t crc32c_extend(uint32_t crc, const void *data, size_t size) {
    /* relaxed: see crc32c_choose. */
    uint32_t variant = atomic_u32_load(&crc32c_variant, memory_order_relaxed);
    if (UNLIKELY(variant == CRC32C_UNKNOWN))
        variant = crc32c_choose();
    if (LIKELY(variant == CRC32C_WIDE))
        return crc32c_extend_wide(crc, data, size);
    if (LIKELY(variant == CRC32C_INSTRUCTION))
        return crc32c_extend_instruction(crc, data, size);
    return crc32c_extend_table(crc, data, size);
}

#undef CRC32C_FOLD_64_BYTES_LOW
#undef CRC32C_FOLD_64_BYTES_HIGH
#undef CRC32C_FOLD_256_BYTES_LOW
#undef CRC32C_FOLD_256_BYTES_HIGH

FIRN_INTERNAL uint32_t crc32c_extend_narrow(uint32_t crc, const void *data, size_t size) {
    /* relaxed: see crc32c_choose. */
    uint32_t variant = atomic_u32_load(&crc32c_variant, memory_order_relaxed);
    if (UNLIKELY(variant == CRC32C_UNKNOWN))
        variant = crc32c_choose();
    return variant == CRC32C_TABLE ? crc32c_extend_table(crc, data, size)
                                   : crc32c_extend_instruction(crc, data, size);
}

#elif defined(__ARM_FEATURE_CRC32)

FIRN_INTERNAL uint32_t crc32c_extend(uint32_t crc, const void *data, size_t size) {
    const uint8_t *p = data;
    uint32_t sum = ~crc;
    for (; size >= 8; size -= 8, p += 8)
        sum = __crc32cd(sum, decode_fixed64(p));
    for (; size > 0; size--)
        sum = __crc32cb(sum, *p++);
    return ~sum;
}

#else

FIRN_INTERNAL uint32_t crc32c_extend(uint32_t crc, const void *data, size_t size) {
    return crc32c_extend_table(crc, data, size);
}

#endif

#if !defined(__x86_64__)
FIRN_INTERNAL uint32_t crc32c_extend_narrow(uint32_t crc, const void *data, size_t size) {
    return crc32c_extend(crc, data, size);
}
#endif

FIRN_INTERNAL uint32_t crc32c_seed_segment(uint64_t epoch, uint64_t number, uint64_t offset) {
    uint8_t place[24];
    encode_fixed64(place, epoch);
    encode_fixed64(place + 8, number);
    encode_fixed64(place + 16, offset);
    return crc32c_extend(0, place, sizeof place);
}

FIRN_INTERNAL uint32_t crc32c_seed_table(const uint8_t identity[16], uint64_t offset) {
    uint8_t place[24];
    memcpy(place, identity, 16);
    encode_fixed64(place + 16, offset);
    return crc32c_extend(0, place, sizeof place);
}
