#include "escape.h"

#include "utf8.h"

static const char escape_digits[] = "0123456789abcdef";

/* The letter after the backslash, 0 if the byte has none. */
static char escape_letter(uint8_t byte) {
    switch (byte) {
    case '\\':
        return '\\';
    case '\t':
        return 't';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\0':
        return '0';
    default:
        return 0;
    }
}

static bool escape_is_plain(uint8_t byte) {
    return byte >= 0x20 && byte < 0x7f && byte != '\\';
}

/* Characters that change how the text around them looks. */
static bool escape_is_invisible(uint32_t code) {
    return (code >= 0x80 && code < 0xa0) || (code >= 0x200b && code <= 0x200f) ||
           (code >= 0x2028 && code <= 0x202e) || (code >= 0x2060 && code <= 0x206f) ||
           code == 0xfeff || code == 0x61c || code == 0xad || (code & 0xfffe) == 0xfffe;
}

/* Bytes of the printable character beyond ASCII that `s` starts with, or 0. */
static size_t escape_wide_size(slice s) {
    uint32_t code;
    size_t size = utf8_decode(s, &code);
    return size > 1 && !escape_is_invisible(code) ? size : 0;
}

static void escape_append_byte(buf *out, uint8_t byte) {
    char letter = escape_letter(byte);
    if (letter)
        buf_append(out, (char[]){'\\', letter}, 2);
    else
        buf_append(out, (char[]){'\\', 'x', escape_digits[byte >> 4], escape_digits[byte & 15]}, 4);
}

void escape_append(buf *out, slice bytes) {
    size_t start = 0, i = 0;
    while (i < bytes.size) {
        if (escape_is_plain(bytes.data[i])) {
            i++;
            continue;
        }
        size_t wide = escape_wide_size(slice_skip(bytes, i));
        if (wide > 0) {
            i += wide;
            continue;
        }
        buf_append(out, bytes.data + start, i - start);
        escape_append_byte(out, bytes.data[i]);
        start = ++i;
    }
    if (i > start)
        buf_append(out, bytes.data + start, i - start);
}

static int escape_hex_value(uint8_t digit) {
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    digit |= 0x20;
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* Reads the escape `text` starts with. Returns its length, 0 if it is none. */
static size_t escape_parse_one(slice text, uint8_t *byte) {
    if (text.size < 2)
        return 0;
    for (const char *letters = "\\\\t\tn\nr\r"; *letters; letters += 2) {
        if (text.data[1] == (uint8_t)letters[0]) {
            *byte = (uint8_t)letters[1];
            return 2;
        }
    }
    *byte = 0;
    if (text.data[1] == '0')
        return 2;
    if (text.data[1] != 'x' || text.size < 4)
        return 0;
    int high = escape_hex_value(text.data[2]), low = escape_hex_value(text.data[3]);
    if (high < 0 || low < 0)
        return 0;
    *byte = (uint8_t)(high << 4 | low);
    return 4;
}

bool escape_parse(slice text, buf *out, const char **problem) {
    while (text.size > 0) {
        const uint8_t *backslash = memchr(text.data, '\\', text.size);
        size_t plain = backslash ? (size_t)(backslash - text.data) : text.size;
        buf_append(out, text.data, plain);
        text = slice_skip(text, plain);
        if (text.size == 0)
            break;
        uint8_t byte;
        size_t size = escape_parse_one(text, &byte);
        if (size == 0) {
            *problem = "a backslash must start one of \\\\ \\t \\n \\r \\0 \\xHH";
            return false;
        }
        buf_append(out, &byte, 1);
        text = slice_skip(text, size);
    }
    return true;
}

void escape_append_hex(buf *out, slice bytes) {
    uint8_t *to = buf_reserve(out, bytes.size * 2);
    if (!to)
        return;
    for (size_t i = 0; i < bytes.size; i++) {
        *to++ = (uint8_t)escape_digits[bytes.data[i] >> 4];
        *to++ = (uint8_t)escape_digits[bytes.data[i] & 15];
    }
    out->size += bytes.size * 2;
}
