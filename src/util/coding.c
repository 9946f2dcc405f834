#include "util/coding.h"

#include "base/poison.h"

FIRN_INTERNAL uint8_t *encode_varint64(uint8_t *p, uint64_t v) {
    while (v >= 0x80) {
        *p++ = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    *p++ = (uint8_t)v;
    return p;
}

FIRN_INTERNAL const uint8_t *decode_varint32_slow(const uint8_t *p, const uint8_t *end,
                                                  uint32_t *v) {
    uint32_t value = 0;
    for (unsigned shift = 0; shift < 35 && p < end; shift += 7) {
        uint32_t byte = *p++;
        /* The fifth byte has room for four bits; with a fifth or the continuation bit set it
         * stands for no 32-bit number. */
        if (shift == 28 && byte > 0x0f)
            return NULL;
        value |= (byte & 0x7f) << shift;
        if (byte < 0x80) {
            *v = value;
            return p;
        }
    }
    return NULL;
}

static const uint8_t *coding_decode_varint64(const uint8_t *p, const uint8_t *end, uint64_t *v) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70 && p < end; shift += 7) {
        uint64_t byte = *p++;
        /* The tenth byte has room for one bit. */
        if (shift == 63 && byte > 1)
            return NULL;
        value |= (byte & 0x7f) << shift;
        if (byte < 0x80) {
            *v = value;
            return p;
        }
    }
    return NULL;
}

FIRN_INTERNAL void put_u8(buf *b, uint8_t v) {
    uint8_t *p = buf_reserve(b, 1);
    if (!p)
        return;
    *p = v;
    b->size += 1;
}

FIRN_INTERNAL void put_fixed32(buf *b, uint32_t v) {
    uint8_t *p = buf_reserve(b, 4);
    if (!p)
        return;
    encode_fixed32(p, v);
    b->size += 4;
}

FIRN_INTERNAL void put_fixed64(buf *b, uint64_t v) {
    uint8_t *p = buf_reserve(b, 8);
    if (!p)
        return;
    encode_fixed64(p, v);
    b->size += 8;
}

FIRN_INTERNAL void put_varint32(buf *b, uint32_t v) {
    uint8_t *p = buf_reserve(b, VARINT32_BYTES_MAX);
    if (!p)
        return;
    b->size += (size_t)(encode_varint32(p, v) - p);
}

FIRN_INTERNAL void put_varint64(buf *b, uint64_t v) {
    uint8_t *p = buf_reserve(b, VARINT64_BYTES_MAX);
    if (!p)
        return;
    b->size += (size_t)(encode_varint64(p, v) - p);
}

FIRN_INTERNAL void put_sized(buf *b, slice s) {
    CHECK(s.size <= UINT32_MAX);
    put_varint32(b, (uint32_t)s.size);
    buf_append(b, s.data, s.size);
}

FIRN_INTERNAL bool get_u8(slice *in, uint8_t *v) {
    if (in->size < 1)
        return false;
    *v = in->data[0];
    *in = slice_skip(*in, 1);
    return true;
}

FIRN_INTERNAL bool get_fixed32(slice *in, uint32_t *v) {
    if (in->size < 4)
        return false;
    *v = decode_fixed32(in->data);
    *in = slice_skip(*in, 4);
    return true;
}

FIRN_INTERNAL bool get_fixed64(slice *in, uint64_t *v) {
    if (in->size < 8)
        return false;
    *v = decode_fixed64(in->data);
    *in = slice_skip(*in, 8);
    return true;
}

FIRN_INTERNAL bool get_varint64(slice *in, uint64_t *v) {
    if (in->size == 0)
        return false;
    const uint8_t *end = in->data + in->size;
    const uint8_t *after = coding_decode_varint64(in->data, end, v);
    if (!after)
        return false;
    *in = slice_of(after, (size_t)(end - after));
    return true;
}

FIRN_INTERNAL bool get_bytes(slice *in, size_t count, slice *out) {
    if (in->size < count)
        return false;
    *out = slice_of(in->data, count);
    if (count)
        *in = slice_skip(*in, count);
    return true;
}

FIRN_INTERNAL bool get_sized(slice *in, slice *out) {
    slice rest = *in;
    uint32_t size;
    if (!get_varint32(&rest, &size) || !get_bytes(&rest, size, out))
        return false;
    *in = rest;
    return true;
}
