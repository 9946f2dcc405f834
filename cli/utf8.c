#include "utf8.h"

static bool utf8_is_tail(uint8_t byte) {
    return (byte & 0xc0) == 0x80;
}

size_t utf8_decode(slice s, uint32_t *code) {
    *code = 0;
    if (s.size == 0)
        return 0;
    uint8_t lead = s.data[0];
    if (lead < 0x80) {
        *code = lead;
        return 1;
    }
    size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || s.size < size)
        return 0;
    uint32_t c = lead & (0x7fu >> size);
    for (size_t i = 1; i < size; i++) {
        if (!utf8_is_tail(s.data[i]))
            return 0;
        c = c << 6 | (s.data[i] & 0x3fu);
    }
    bool overlong = (size == 3 && c < 0x800) || (size == 4 && c < 0x10000);
    bool surrogate = c >= 0xd800 && c <= 0xdfff;
    if (overlong || surrogate || c > 0x10ffff)
        return 0;
    *code = c;
    return size;
}

bool utf8_is_valid(slice s) {
    while (s.size > 0) {
        uint32_t code;
        size_t size = utf8_decode(s, &code);
        if (size == 0)
            return false;
        s = slice_skip(s, size);
    }
    return true;
}

size_t utf8_encode(uint32_t code, uint8_t out[4]) {
    if (code < 0x80) {
        out[0] = (uint8_t)code;
        return 1;
    }
    size_t size = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = size - 1; i > 0; i--) {
        out[i] = (uint8_t)(0x80 | (code & 0x3f));
        code >>= 6;
    }
    out[0] = (uint8_t)(0xf00u >> size | code);
    return size;
}
