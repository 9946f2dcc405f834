/* The LZ4 block format, for builds without liblz4. A block is a chain of sequences:
 *
 *     token     high half: how many literals; low half: length of the match, less 4
 *     more      for a half of 15: bytes that add up to it, ending with the first below 255
 *     literals
 *     offset    u16, 1..65535: how far back the match begins; it may overlap what it makes
 *     more      of the match's length
 *
 * The last sequence ends after its literals. Two rules of the format let decoders copy in large
 * steps: the last five bytes are literals, and no match begins in the last twelve. */
#include "codec/codec_methods.h"
#include "util/coding.h"

#include "base/poison.h"

enum {
    LZ4_MATCH_MIN = 4,
    LZ4_OFFSET_MAX = 65535,
    LZ4_LAST_LITERALS = 5,     /* bytes at the end that no match covers */
    LZ4_LAST_MATCH_START = 12, /* no match begins closer to the end */
    LZ4_HASH_BITS = 12,
    LZ4_MISSES_SHIFT = 6, /* steps grow by one after 64 misses */
    LZ4_COPY_STEP = 16
};

/* --- compression: greedy, with one candidate per hash --- */

typedef struct lz4_out {
    uint8_t *at, *end;
} lz4_out;

static inline uint32_t lz4_hash(uint32_t four_bytes) {
    return four_bytes * 2654435761u >> (32 - LZ4_HASH_BITS);
}

/* How many bytes `a` and `b` share, up to `end` (of b). */
static inline size_t lz4_shared(const uint8_t *a, const uint8_t *b, const uint8_t *end) {
    const uint8_t *start = b;
    while (end - b >= 8) {
        uint64_t difference = decode_fixed64(a) ^ decode_fixed64(b);
        if (difference)
            return (size_t)(b - start) + (size_t)__builtin_ctzll(difference) / 8;
        a += 8;
        b += 8;
    }
    while (b < end && *a == *b) {
        a++;
        b++;
    }
    return (size_t)(b - start);
}

/* The bytes that continue a half of the token; false: no room. */
static bool lz4_put_length(lz4_out *o, size_t length) {
    if (length < 15)
        return true;
    length -= 15;
    if ((size_t)(o->end - o->at) < length / 255 + 1)
        return false;
    for (; length >= 255; length -= 255)
        *o->at++ = 255;
    *o->at++ = (uint8_t)length;
    return true;
}

/* match_bytes 0: the last sequence. */
static bool lz4_put_sequence(lz4_out *o, slice literals, size_t offset, size_t match_bytes) {
    size_t more = match_bytes ? match_bytes - LZ4_MATCH_MIN : 0;
    if (o->at == o->end)
        return false;
    *o->at++ = (uint8_t)((literals.size < 15 ? literals.size : 15) << 4 | (more < 15 ? more : 15));
    if (!lz4_put_length(o, literals.size) || (size_t)(o->end - o->at) < literals.size)
        return false;
    slice_copy_to(literals, o->at);
    o->at += literals.size;
    if (match_bytes == 0)
        return true;
    if (o->end - o->at < 2)
        return false;
    encode_fixed16(o->at, (uint16_t)offset);
    o->at += 2;
    return lz4_put_length(o, more);
}

typedef struct lz4_match {
    size_t at, from; /* places in the raw bytes */
} lz4_match;

/* Finds the next match from m->at on; false: none before `limit`. */
static bool lz4_find(uint32_t *heads, const uint8_t *raw, size_t limit, lz4_match *m) {
    size_t misses = (size_t)1 << LZ4_MISSES_SHIFT;
    for (size_t at = m->at; at < limit; at += misses++ >> LZ4_MISSES_SHIFT) {
        uint32_t bytes = decode_fixed32(raw + at);
        uint32_t *head = &heads[lz4_hash(bytes)];
        size_t from = *head;
        *head = (uint32_t)at;
        /* Heads begin as 0: a candidate is only what it proves to be. */
        if (from < at && at - from <= LZ4_OFFSET_MAX && decode_fixed32(raw + from) == bytes) {
            *m = (lz4_match){at, from};
            return true;
        }
    }
    return false;
}

static bool lz4_pack(slice in, lz4_out *o) {
    uint32_t heads[1 << LZ4_HASH_BITS] = {0};
    const uint8_t *raw = in.data;
    size_t limit = in.size < LZ4_LAST_MATCH_START ? 0 : in.size - LZ4_LAST_MATCH_START;
    size_t anchor = 0; /* where the literals that were not written yet begin */
    lz4_match m = {0};
    while (lz4_find(heads, raw, limit, &m)) {
        /* The match may have begun earlier, in what would be literals. */
        while (m.at > anchor && m.from > 0 && raw[m.at - 1] == raw[m.from - 1]) {
            m.at--;
            m.from--;
        }
        size_t bytes =
            LZ4_MATCH_MIN + lz4_shared(raw + m.from + LZ4_MATCH_MIN, raw + m.at + LZ4_MATCH_MIN,
                                       raw + in.size - LZ4_LAST_LITERALS);
        if (!lz4_put_sequence(o, slice_of(raw + anchor, m.at - anchor), m.at - m.from, bytes))
            return false;
        m.at += bytes;
        anchor = m.at;
        if (m.at < limit) /* a place inside the match, for what follows */
            heads[lz4_hash(decode_fixed32(raw + m.at - 2))] = (uint32_t)(m.at - 2);
    }
    return lz4_put_sequence(o, slice_of(raw + anchor, in.size - anchor), 0, 0);
}

static status codec_lz4_builtin_compress(slice raw, MAYBE_UNUSED int level, uint8_t *out,
                                         size_t most, size_t *out_bytes) {
    lz4_out o = {out, out + most};
    *out_bytes = 0;
    if (raw.size <= UINT32_MAX && lz4_pack(raw, &o)) /* heads are 32 bits wide */
        *out_bytes = (size_t)(o.at - out);
    return STATUS_OK;
}

/* --- decompression: every length is held against both ends before it is believed --- */

typedef struct lz4_unpack {
    const uint8_t *in, *in_end;
    uint8_t *out, *out_start, *out_end;
} lz4_unpack;

static inline size_t lz4_in_left(const lz4_unpack *u) {
    return (size_t)(u->in_end - u->in);
}

static inline size_t lz4_out_left(const lz4_unpack *u) {
    return (size_t)(u->out_end - u->out);
}

/* Completes a length whose half of the token was 15; false: more than `most`, or no bytes. */
static bool lz4_get_length(lz4_unpack *u, size_t most, size_t *length) {
    uint8_t byte = 255;
    while (byte == 255) {
        if (u->in == u->in_end || *length > most)
            return false;
        byte = *u->in++;
        *length += byte;
    }
    return true;
}

static bool lz4_copy_literals(lz4_unpack *u, size_t bytes) {
    if (bytes > lz4_in_left(u) || bytes > lz4_out_left(u))
        return false;
    if (LIKELY(bytes <= LZ4_COPY_STEP && lz4_in_left(u) >= LZ4_COPY_STEP &&
               lz4_out_left(u) >= LZ4_COPY_STEP))
        memcpy(u->out, u->in, LZ4_COPY_STEP);
    else
        memcpy(u->out, u->in, bytes);
    u->in += bytes;
    u->out += bytes;
    return true;
}

/* `offset` and `bytes` were checked. The source may reach into the destination: then what was just
 * made is copied again. */
static void lz4_copy_match(lz4_unpack *u, size_t offset, size_t bytes) {
    const uint8_t *from = u->out - offset;
    uint8_t *to = u->out, *end = to + bytes;
    u->out = end;
    if (offset >= LZ4_COPY_STEP && (size_t)(u->out_end - end) >= LZ4_COPY_STEP) {
        /* Whole steps, up to 15 bytes too far, which the next sequence overwrites. */
        for (; to < end; to += LZ4_COPY_STEP, from += LZ4_COPY_STEP)
            memcpy(to, from, LZ4_COPY_STEP);
    } else if (offset >= bytes) {
        memcpy(to, from, bytes);
    } else if (offset == 1) {
        memset(to, *from, bytes);
    } else {
        while (to < end)
            *to++ = *from++;
    }
}

static bool lz4_take_match(lz4_unpack *u, size_t length) {
    if (lz4_in_left(u) < 2 || lz4_out_left(u) < LZ4_LAST_MATCH_START)
        return false;
    size_t offset = decode_fixed16(u->in), most = lz4_out_left(u) - LZ4_LAST_LITERALS;
    u->in += 2;
    if (offset == 0 || offset > (size_t)(u->out - u->out_start))
        return false;
    if (length == 15 && !lz4_get_length(u, most, &length))
        return false;
    length += LZ4_MATCH_MIN;
    if (length > most)
        return false;
    lz4_copy_match(u, offset, length);
    return true;
}

static bool lz4_expand(lz4_unpack *u) {
    while (u->in < u->in_end) {
        uint8_t token = *u->in++;
        size_t literals = token >> 4;
        if (literals == 15 && !lz4_get_length(u, lz4_in_left(u), &literals))
            return false;
        if (!lz4_copy_literals(u, literals))
            return false;
        if (u->in == u->in_end) /* the last sequence has no match */
            return u->out == u->out_end;
        if (!lz4_take_match(u, token & 15))
            return false;
    }
    return false;
}

static status codec_lz4_builtin_decompress(slice in, uint8_t *out, size_t raw_bytes) {
    lz4_unpack u = {.in = in.data,
                    .in_end = in.data + in.size,
                    .out = out,
                    .out_start = out,
                    .out_end = out + raw_bytes};
    return lz4_expand(&u) ? STATUS_OK : status_of(FIRN_CORRUPTION, "LZ4 block");
}

static const codec_methods codec_lz4_builtin_table = {
    .compress = codec_lz4_builtin_compress,
    .decompress = codec_lz4_builtin_decompress,
};

FIRN_INTERNAL const codec_methods *codec_lz4_builtin_methods(void) {
    return &codec_lz4_builtin_table;
}
