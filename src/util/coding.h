/* util/coding.h - integers to bytes and back: little-endian fixed, LEB128 varint, zig-zag.
 *
 * put_* append to a buf; encode_* write to memory known to be large enough and return the end;
 * get_* read from a slice, advance it, and answer false when the bytes are not there or a varint
 * does not fit: they are safe on any input. */
#ifndef FIRN_UTIL_CODING_H
#define FIRN_UTIL_CODING_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/slice.h"
#include "util/buf.h"

#define VARINT32_BYTES_MAX 5
#define VARINT64_BYTES_MAX 10

/* Written so that compilers see one load or store on little-endian machines. */
/* To the order of the file and back. In one piece rather than byte by byte: compilers see that it
 * is one instruction before they decide what to inline, and put nothing together from halves. */
static inline uint16_t coding_little16(uint16_t v) {
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? v : __builtin_bswap16(v);
}
static inline uint32_t coding_little32(uint32_t v) {
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? v : __builtin_bswap32(v);
}
static inline uint64_t coding_little64(uint64_t v) {
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? v : __builtin_bswap64(v);
}

static inline void encode_fixed16(uint8_t *p, uint16_t v) {
    v = coding_little16(v);
    memcpy(p, &v, sizeof v);
}
static inline void encode_fixed32(uint8_t *p, uint32_t v) {
    v = coding_little32(v);
    memcpy(p, &v, sizeof v);
}
static inline void encode_fixed64(uint8_t *p, uint64_t v) {
    v = coding_little64(v);
    memcpy(p, &v, sizeof v);
}
static inline uint16_t decode_fixed16(const uint8_t *p) {
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return coding_little16(v);
}
static inline uint32_t decode_fixed32(const uint8_t *p) {
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return coding_little32(v);
}
static inline uint64_t decode_fixed64(const uint8_t *p) {
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return coding_little64(v);
}

FIRN_INTERNAL uint8_t *encode_varint64(uint8_t *p, uint64_t v);
static inline uint8_t *encode_varint32(uint8_t *p, uint32_t v) {
    if (LIKELY(v < 0x80)) {
        *p = (uint8_t)v;
        return p + 1;
    }
    return encode_varint64(p, v);
}
/* Seven payload bits a byte; zero still takes one. The division by 7 is one by 64 of 9/64 each. */
static inline size_t varint_length(uint64_t v) {
    unsigned highest = 63 - (unsigned)__builtin_clzll(v | 1);
    return (highest * 9 + 73) / 64;
}
/* NULL when the bytes before `end` hold no varint32; canonical or not is not judged. */
FIRN_INTERNAL const uint8_t *decode_varint32_slow(const uint8_t *p, const uint8_t *end,
                                                  uint32_t *v);
static inline const uint8_t *decode_varint32(const uint8_t *p, const uint8_t *end, uint32_t *v) {
    if (LIKELY(p < end && *p < 0x80)) {
        *v = *p;
        return p + 1;
    }
    return decode_varint32_slow(p, end, v);
}
static inline uint64_t zigzag_encode(int64_t v) {
    return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}
static inline int64_t zigzag_decode(uint64_t v) {
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

FIRN_INTERNAL void put_u8(buf *b, uint8_t v);
FIRN_INTERNAL void put_fixed32(buf *b, uint32_t v);
FIRN_INTERNAL void put_fixed64(buf *b, uint64_t v);
FIRN_INTERNAL void put_varint32(buf *b, uint32_t v);
FIRN_INTERNAL void put_varint64(buf *b, uint64_t v);
/* varint32 size, then the bytes. */
FIRN_INTERNAL void put_sized(buf *b, slice s);

FIRN_INTERNAL NODISCARD bool get_u8(slice *in, uint8_t *v);
FIRN_INTERNAL NODISCARD bool get_fixed32(slice *in, uint32_t *v);
FIRN_INTERNAL NODISCARD bool get_fixed64(slice *in, uint64_t *v);
static inline NODISCARD bool get_varint32(slice *in, uint32_t *v) {
    if (in->size == 0)
        return false; /* data may be NULL, on which no arithmetic is allowed */
    const uint8_t *end = in->data + in->size;
    const uint8_t *after = decode_varint32(in->data, end, v);
    if (!after)
        return false;
    *in = slice_of(after, (size_t)(end - after));
    return true;
}
FIRN_INTERNAL NODISCARD bool get_varint64(slice *in, uint64_t *v);
FIRN_INTERNAL NODISCARD bool get_bytes(slice *in, size_t count, slice *out);
FIRN_INTERNAL NODISCARD bool get_sized(slice *in, slice *out);
#endif
