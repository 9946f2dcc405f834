/* Two variants of the question, with the same answers: AVX2 tests eight probes at once, the
 * portable one tests all in turn without a branch. Leaving at the first clear bit is slower than
 * either (15 ns against 5 and 8 for an absent key): where it happens cannot be predicted. */
#include "format/filter.h"

#include "util/coding.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "base/poison.h"

enum {
    FILTER_KIND = 1, /* on disk: never renumber */
    FILTER_LINE_BITS = FILTER_LINE_BYTES * 8,
    /* Lines asked for this many keys ahead: enough to cover a miss, few enough to be under way. */
    FILTER_PREFETCH_KEYS = 16
};

/* 2^32 over the golden ratio: odd, with bits that look random. */
static const uint32_t filter_factor = 0x9e3779b9u;

/* By bits per key; see filter.h for the rule. */
static const uint8_t filter_probes_by_bits[] = {
    1,  1,  1,  2,  3,  3,  4,  5,  5,  6,  6,  7,  7,  8,  8,  9,  9,
    10, 10, 11, 11, 11, 12, 12, 12, 13, 13, 13, 14, 14, 14, 14, 15,
};

static uint32_t filter_probes(uint32_t bits_per_key) {
    uint32_t last = (uint32_t)(sizeof filter_probes_by_bits - 1);
    return filter_probes_by_bits[bits_per_key < last ? bits_per_key : last];
}

static uint32_t filter_line_count(uint64_t keys, uint32_t bits_per_key) {
    if (keys == 0 || bits_per_key == 0)
        return 1;
    /* 2^32 lines have 256 GiB; more keys than fit only make the answers less sharp. */
    if (keys > (uint64_t)UINT32_MAX * FILTER_LINE_BITS / bits_per_key)
        return UINT32_MAX;
    return (uint32_t)((keys * bits_per_key + FILTER_LINE_BITS - 1) / FILTER_LINE_BITS);
}

static inline size_t filter_line_offset(uint32_t line_count, uint64_t hash) {
    uint64_t line = (hash >> 32) * line_count >> 32;
    return (size_t)line * FILTER_LINE_BYTES;
}

FIRN_INTERNAL size_t filter_bytes(uint64_t keys, uint32_t bits_per_key) {
    return FILTER_HEADER_BYTES + (size_t)filter_line_count(keys, bits_per_key) * FILTER_LINE_BYTES;
}

FIRN_INTERNAL void filter_build(const uint64_t *hashes, uint64_t keys, uint32_t bits_per_key,
                                uint8_t *out) {
    uint32_t line_count = filter_line_count(keys, bits_per_key);
    uint32_t probes = filter_probes(bits_per_key);
    uint8_t *lines = out + FILTER_HEADER_BYTES;
    DCHECK(probes >= 1 && probes <= FILTER_PROBES_MAX);
    out[0] = FILTER_KIND;
    out[1] = (uint8_t)probes;
    encode_fixed16(out + 2, 0);
    encode_fixed32(out + 4, line_count);
    memset(lines, 0, (size_t)line_count * FILTER_LINE_BYTES);

    for (uint64_t i = 0; i < keys; i++) {
        if (i + FILTER_PREFETCH_KEYS < keys) {
            uint64_t hash = hashes[i + FILTER_PREFETCH_KEYS];
            uint8_t *ahead = lines + filter_line_offset(line_count, hash);
            __builtin_prefetch(ahead, 1);
            __builtin_prefetch(ahead + FILTER_LINE_BYTES - 1, 1);
        }
        uint8_t *line = lines + filter_line_offset(line_count, hashes[i]);
        uint32_t x = (uint32_t)hashes[i];
        for (uint32_t probe = 0; probe < probes; probe++) {
            x *= filter_factor;
            line[x >> 26] |= (uint8_t)(1u << (x >> 23 & 7));
        }
    }
}

FIRN_INTERNAL bool filter_view_init(filter_view *view, slice contents) {
    *view = (filter_view){0};
    if (contents.size < FILTER_HEADER_BYTES || contents.data[0] != FILTER_KIND)
        return false;
    uint32_t probes = contents.data[1], line_count = decode_fixed32(contents.data + 4);
    if (probes < 1 || probes > FILTER_PROBES_MAX || decode_fixed16(contents.data + 2) != 0)
        return false;
    if (line_count == 0 ||
        contents.size != FILTER_HEADER_BYTES + (uint64_t)line_count * FILTER_LINE_BYTES)
        return false;
    *view = (filter_view){contents.data + FILTER_HEADER_BYTES, line_count, probes};
    return true;
}

FIRN_INTERNAL void filter_prefetch(const filter_view *view, uint64_t hash) {
    if (!view->lines)
        return;
    const uint8_t *line = view->lines + filter_line_offset(view->line_count, hash);
    __builtin_prefetch(line);
    /* A line of the filter need not be one of the cache. */
    __builtin_prefetch(line + FILTER_LINE_BYTES - 1);
}

FIRN_INTERNAL bool filter_may_contain_portable(const filter_view *view, uint64_t hash) {
    if (!view->lines)
        return true;
    const uint8_t *line = view->lines + filter_line_offset(view->line_count, hash);
    uint32_t x = (uint32_t)hash, all = 1;
    for (uint32_t probe = 0; probe < view->probes; probe++) {
        x *= filter_factor;
        all &= (uint32_t)line[x >> 26] >> (x >> 23 & 7);
    }
    return all != 0;
}

#if defined(__x86_64__)

/* filter_factor to the powers 1 .. 8. */
static const uint32_t filter_factor_powers[8] = {
    0x9e3779b9u, 0xe35e67b1u, 0x734297e9u, 0x35fbe861u,
    0xdeb7c719u, 0x0448b211u, 0x3459b749u, 0xab25f4c1u,
};

/* A line is sixteen words of 32 bits; the upper four bits of a probe name the word, the next five
 * the bit in it. */
__attribute__((target("avx2"))) static bool filter_may_contain_avx2(const filter_view *view,
                                                                    uint64_t hash) {
    const uint8_t *line = view->lines + filter_line_offset(view->line_count, hash);
    __m256i low = _mm256_loadu_si256((const __m256i *)(const void *)line);
    __m256i high = _mm256_loadu_si256((const __m256i *)(const void *)(line + 32));
    __m256i powers = _mm256_loadu_si256((const __m256i *)(const void *)filter_factor_powers);
    uint32_t x = (uint32_t)hash;
    for (int left = (int)view->probes;; left -= 8) {
        __m256i probes = _mm256_mullo_epi32(_mm256_set1_epi32((int)x), powers);
        __m256i word = _mm256_srli_epi32(probes, 28); /* the permutations look at three bits */
        __m256i words = _mm256_blendv_epi8(_mm256_permutevar8x32_epi32(low, word),
                                           _mm256_permutevar8x32_epi32(high, word),
                                           _mm256_srai_epi32(probes, 31));
        __m256i bit = _mm256_srli_epi32(_mm256_slli_epi32(probes, 4), 27);
        __m256i wanted =
            _mm256_cmpgt_epi32(_mm256_set1_epi32(left), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
        __m256i mask = _mm256_sllv_epi32(_mm256_srli_epi32(wanted, 31), bit);
        if (!_mm256_testc_si256(words, mask))
            return false;
        if (left <= 8)
            return true;
        x *= filter_factor_powers[7];
    }
}

FIRN_INTERNAL bool filter_may_contain(const filter_view *view, uint64_t hash) {
    if (!view->lines)
        return true;
    /* A load and a test: the compiler's start-up code has asked the processor. */
    if (LIKELY(__builtin_cpu_supports("avx2")))
        return filter_may_contain_avx2(view, hash);
    return filter_may_contain_portable(view, hash);
}

#else

FIRN_INTERNAL bool filter_may_contain(const filter_view *view, uint64_t hash) {
    return filter_may_contain_portable(view, hash);
}

#endif
