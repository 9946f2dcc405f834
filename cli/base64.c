#include "base64.h"

static const char base64_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_append(buf *out, slice bytes) {
    size_t size = (bytes.size + 2) / 3 * 4;
    uint8_t *to = buf_reserve(out, size);
    if (!to)
        return;
    for (size_t i = 0; i < bytes.size; i += 3) {
        size_t left = bytes.size - i;
        uint32_t bits = (uint32_t)bytes.data[i] << 16;
        if (left > 1)
            bits |= (uint32_t)bytes.data[i + 1] << 8;
        if (left > 2)
            bits |= bytes.data[i + 2];
        *to++ = (uint8_t)base64_alphabet[bits >> 18];
        *to++ = (uint8_t)base64_alphabet[bits >> 12 & 63];
        *to++ = left > 1 ? (uint8_t)base64_alphabet[bits >> 6 & 63] : '=';
        *to++ = left > 2 ? (uint8_t)base64_alphabet[bits & 63] : '=';
    }
    out->size += size;
}

static int base64_value(uint8_t digit) {
    if (digit >= 'A' && digit <= 'Z')
        return digit - 'A';
    if (digit >= 'a' && digit <= 'z')
        return digit - 'a' + 26;
    if (digit >= '0' && digit <= '9')
        return digit - '0' + 52;
    return digit == '+' ? 62 : digit == '/' ? 63 : -1;
}

/* Four digits, of which the last `padding` are '='. */
static bool base64_parse_group(const uint8_t *group, size_t padding, buf *out) {
    uint32_t bits = 0;
    for (size_t i = 0; i < 4 - padding; i++) {
        int value = base64_value(group[i]);
        if (value < 0)
            return false;
        bits |= (uint32_t)value << (18 - 6 * i);
    }
    uint8_t bytes[3] = {(uint8_t)(bits >> 16), (uint8_t)(bits >> 8), (uint8_t)bits};
    /* Bits behind the last byte must be zero, or two texts would mean the same bytes. */
    for (size_t i = 3 - padding; i < 3; i++)
        if (bytes[i] != 0)
            return false;
    buf_append(out, bytes, 3 - padding);
    return true;
}

bool base64_parse(slice text, buf *out) {
    if (text.size % 4 != 0)
        return false;
    if (!buf_reserve(out, text.size / 4 * 3 + 1))
        return true; /* Out of memory is in the buf, not in the text. */
    for (size_t i = 0; i < text.size; i += 4) {
        const uint8_t *group = text.data + i;
        size_t padding = 0;
        if (i + 4 == text.size)
            padding = group[3] != '=' ? 0 : group[2] != '=' ? 1 : 2;
        if (!base64_parse_group(group, padding, out))
            return false;
    }
    return true;
}
