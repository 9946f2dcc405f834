#include "format/prefix.h"

#include <stdio.h>
#include <string.h>

#include "base/poison.h"

FIRN_INTERNAL slice prefix_of(prefix_rule rule, slice key) {
    if (rule < PREFIX_UNTIL)
        return rule && key.size >= rule ? slice_of(key.data, rule) : SLICE_UNSET;
    const uint8_t *found = key.size ? memchr(key.data, (int)(rule - PREFIX_UNTIL), key.size) : NULL;
    return found ? slice_of(key.data, (size_t)(found - key.data) + 1) : SLICE_UNSET;
}

FIRN_INTERNAL const char *prefix_rule_name(prefix_rule rule, char name[PREFIX_NAME_BYTES]) {
    if (rule == 0)
        snprintf(name, PREFIX_NAME_BYTES, "none");
    else if (rule < PREFIX_UNTIL)
        snprintf(name, PREFIX_NAME_BYTES, "first:%u", (unsigned)rule);
    else
        snprintf(name, PREFIX_NAME_BYTES, "until:%02x", (unsigned)(rule - PREFIX_UNTIL) & 0xff);
    return name;
}

static int prefix_hex_digit(uint8_t c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A rule has one name only: no zeros in front, small letters. */
FIRN_INTERNAL bool prefix_rule_parse(slice name, prefix_rule *out) {
    static const slice first = {(const uint8_t *)"first:", 6},
                       until = {(const uint8_t *)"until:", 6};
    *out = 0;
    if (slice_starts_with(name, until) && name.size == until.size + 2) {
        int high = prefix_hex_digit(name.data[6]), low = prefix_hex_digit(name.data[7]);
        if (high < 0 || low < 0)
            return false;
        *out = PREFIX_UNTIL + (prefix_rule)(high * 16 + low);
        return true;
    }
    if (!slice_starts_with(name, first) || name.size > first.size + 3)
        return false;
    prefix_rule bytes = 0;
    for (size_t i = first.size; i < name.size; i++) {
        if (name.data[i] < '0' || name.data[i] > '9' || (bytes == 0 && name.data[i] == '0'))
            return false;
        bytes = bytes * 10 + (prefix_rule)(name.data[i] - '0');
    }
    if (bytes == 0 || bytes >= PREFIX_UNTIL)
        return false;
    *out = bytes;
    return true;
}
