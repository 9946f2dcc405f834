#include "util/text.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/poison.h"

static const char text_hex_digits[] = "0123456789abcdef";

static bool text_is_printable(uint8_t byte) {
    return byte >= 0x20 && byte < 0x7f;
}

/* The letter after the backslash, or 0 when the byte has none. */
static char text_short_escape(uint8_t byte) {
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

FIRN_INTERNAL void text_append_escaped(buf *out, slice bytes, size_t limit) {
    size_t shown = bytes.size < limit ? bytes.size : limit;
    for (size_t i = 0; i < shown; i++) {
        uint8_t byte = bytes.data[i];
        char letter = text_short_escape(byte);
        if (letter)
            buf_append(out, (char[]){'\\', letter}, 2);
        else if (text_is_printable(byte))
            buf_append(out, &byte, 1);
        else
            buf_append(out,
                       (char[]){'\\', 'x', text_hex_digits[byte >> 4], text_hex_digits[byte & 15]},
                       4);
    }
    if (shown < bytes.size)
        buf_append(out, "...", 3);
}

/* Bytes of the UTF-8 sequence that `s` begins with, at least 2, or 0 when there is no valid one:
 * overlong forms, surrogates and numbers above U+10FFFF are not (Unicode 15, table 3-7). */
static size_t text_utf8_length(slice s) {
    uint8_t lead = s.data[0];
    uint8_t second_min = 0x80, second_max = 0xbf;
    size_t length;
    if (lead >= 0xc2 && lead <= 0xdf)
        length = 2;
    else if (lead >= 0xe0 && lead <= 0xef)
        length = 3;
    else if (lead >= 0xf0 && lead <= 0xf4)
        length = 4;
    else
        return 0;
    if (lead == 0xe0)
        second_min = 0xa0;
    else if (lead == 0xed)
        second_max = 0x9f;
    else if (lead == 0xf0)
        second_min = 0x90;
    else if (lead == 0xf4)
        second_max = 0x8f;
    if (s.size < length || s.data[1] < second_min || s.data[1] > second_max)
        return 0;
    for (size_t i = 2; i < length; i++)
        if ((s.data[i] & 0xc0) != 0x80)
            return 0;
    return length;
}

static void text_append_json_escape(buf *out, uint8_t byte) {
    char letter = byte == '"' ? '"' : byte ? text_short_escape(byte) : 0;
    if (letter)
        buf_append(out, (char[]){'\\', letter}, 2);
    else
        buf_append(out,
                   (char[]){'\\', 'u', '0', '0', text_hex_digits[byte >> 4],
                            text_hex_digits[byte & 15]},
                   6);
}

FIRN_INTERNAL void text_append_json(buf *out, slice bytes) {
    size_t at = 0;
    while (at < bytes.size) {
        uint8_t byte = bytes.data[at];
        size_t length = 1;
        if (text_is_printable(byte) && byte != '"' && byte != '\\') {
            buf_append(out, &byte, 1);
        } else if (byte >= 0x80 && (length = text_utf8_length(slice_skip(bytes, at))) != 0) {
            buf_append(out, bytes.data + at, length);
        } else {
            text_append_json_escape(out, byte);
            length = 1;
        }
        at += length;
    }
}

/* In integers: the decimal point must not follow the host program's locale. */
FIRN_INTERNAL const char *text_bytes(uint64_t bytes, char out[16]) {
    static const char units[] = "KMGTPE";
    if (bytes < 1024) {
        (void)snprintf(out, 16, "%u B", (unsigned)bytes);
        return out;
    }
    unsigned unit = 0;
    uint64_t rest = bytes;
    while (rest >= (uint64_t)1024 * 1024) {
        rest >>= 10;
        unit++;
    }
    unsigned tenths = (unsigned)((rest * 10 + 512) >> 10);
    if (tenths >= 10240 && unit + 2 < sizeof units) {
        tenths = 10;
        unit++;
    }
    (void)snprintf(out, 16, "%u.%u %ciB", tenths / 10 % 10000, tenths % 10, units[unit]);
    return out;
}
