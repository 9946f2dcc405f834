#include "json.h"

#include "base64.h"
#include "utf8.h"

void json_append_string(buf *out, slice bytes) {
    size_t start = 0;
    buf_append(out, "\"", 1);
    for (size_t i = 0; i < bytes.size; i++) {
        uint8_t byte = bytes.data[i];
        if (byte >= 0x20 && byte != '"' && byte != '\\' && byte != 0x7f)
            continue;
        buf_append(out, bytes.data + start, i - start);
        start = i + 1;
        if (byte == '"' || byte == '\\')
            buf_append(out, (char[]){'\\', (char)byte}, 2);
        else if (byte == '\n')
            buf_append(out, "\\n", 2);
        else if (byte == '\t')
            buf_append(out, "\\t", 2);
        else
            buf_printf(out, "\\u%04x", byte);
    }
    if (start < bytes.size)
        buf_append(out, bytes.data + start, bytes.size - start);
    buf_append(out, "\"", 1);
}

void json_append_member(buf *out, const char *name, slice bytes) {
    if (utf8_is_valid(bytes)) {
        buf_printf(out, "\"%s\":", name);
        json_append_string(out, bytes);
        return;
    }
    buf_printf(out, "\"%s_b64\":\"", name);
    base64_append(out, bytes);
    buf_append(out, "\"", 1);
}

/* The line while it is read. */
typedef struct json_cursor {
    slice rest;
    const char *problem; /* of the first failure */
} json_cursor;

static bool json_fail(json_cursor *in, const char *problem) {
    in->problem = problem;
    return false;
}

static void json_skip_blanks(json_cursor *in) {
    while (in->rest.size > 0 &&
           (in->rest.data[0] == ' ' || in->rest.data[0] == '\t' || in->rest.data[0] == '\r'))
        in->rest = slice_skip(in->rest, 1);
}

/* Takes `wanted` if it is next, after blanks. */
static bool json_take(json_cursor *in, char wanted) {
    json_skip_blanks(in);
    if (in->rest.size == 0 || in->rest.data[0] != (uint8_t)wanted)
        return false;
    in->rest = slice_skip(in->rest, 1);
    return true;
}

/* The four digits of \uHHHH. */
static bool json_take_unit(json_cursor *in, uint32_t *unit) {
    *unit = 0;
    if (in->rest.size < 4)
        return json_fail(in, "\\u wants four hexadecimal digits");
    for (size_t i = 0; i < 4; i++) {
        uint8_t digit = in->rest.data[i], lower = digit | 0x20;
        if (digit >= '0' && digit <= '9')
            *unit = *unit << 4 | (uint32_t)(digit - '0');
        else if (lower >= 'a' && lower <= 'f')
            *unit = *unit << 4 | (uint32_t)(lower - 'a' + 10);
        else
            return json_fail(in, "\\u wants four hexadecimal digits");
    }
    in->rest = slice_skip(in->rest, 4);
    return true;
}

/* A character beyond U+FFFF is two units, high surrogate first. */
static bool json_take_unicode(json_cursor *in, buf *out) {
    uint32_t code, low;
    if (!json_take_unit(in, &code))
        return false;
    if (code >= 0xd800 && code <= 0xdfff) {
        if (code >= 0xdc00 || in->rest.size < 2 || memcmp(in->rest.data, "\\u", 2) != 0)
            return json_fail(in, "half of a surrogate pair");
        in->rest = slice_skip(in->rest, 2);
        if (!json_take_unit(in, &low))
            return false;
        if (low < 0xdc00 || low > 0xdfff)
            return json_fail(in, "half of a surrogate pair");
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    uint8_t bytes[4];
    buf_append(out, bytes, utf8_encode(code, bytes));
    return true;
}

static bool json_take_escape(json_cursor *in, buf *out) {
    static const char letters[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
    if (in->rest.size == 0)
        return json_fail(in, "the string does not end");
    uint8_t letter = in->rest.data[0];
    in->rest = slice_skip(in->rest, 1);
    if (letter == 'u')
        return json_take_unicode(in, out);
    for (size_t i = 0; i + 1 < sizeof letters; i += 2) {
        if (letter == (uint8_t)letters[i]) {
            buf_append(out, &letters[i + 1], 1);
            return true;
        }
    }
    return json_fail(in, "unknown escape in a string");
}

/* Bytes up to the next quote, backslash or control character are taken as they are. */
static bool json_take_plain(json_cursor *in, buf *out) {
    size_t size = 0;
    while (size < in->rest.size && in->rest.data[size] >= 0x20 && in->rest.data[size] != '"' &&
           in->rest.data[size] != '\\')
        size++;
    slice plain = slice_of(in->rest.data, size);
    if (!utf8_is_valid(plain))
        return json_fail(in, "a string is not valid UTF-8");
    buf_append_slice(out, plain);
    in->rest = slice_skip(in->rest, size);
    return true;
}

static bool json_take_string(json_cursor *in, buf *out) {
    buf_clear(out);
    if (!json_take(in, '"'))
        return json_fail(in, "a string is expected");
    for (;;) {
        if (!json_take_plain(in, out))
            return false;
        if (in->rest.size == 0)
            return json_fail(in, "the string does not end");
        uint8_t byte = in->rest.data[0];
        in->rest = slice_skip(in->rest, 1);
        if (byte == '"')
            return true;
        if (byte != '\\')
            return json_fail(in, "a control character inside a string");
        if (!json_take_escape(in, out))
            return false;
    }
}

static bool json_name_is(const buf *name, const char *wanted) {
    return slice_equal(buf_slice(name), slice_from_string(wanted));
}

/* Digits only: neither sign, fraction nor exponent makes a time. */
static bool json_take_time(json_cursor *in, uint64_t *out) {
    size_t size = 0;
    json_skip_blanks(in);
    while (size < in->rest.size && in->rest.data[size] >= '0' && in->rest.data[size] <= '9')
        size++;
    if (!record_parse_time(slice_of(in->rest.data, size), out))
        return json_fail(in, "expires_at_ms is not a number of milliseconds since 1970");
    in->rest = slice_skip(in->rest, size);
    return true;
}

/* The members of a record while they are collected. */
typedef struct json_members {
    cli_record *record;
    bool has_key, has_value, has_expiry;
} json_members;

/* Which buffer member `name` fills, NULL for the expiry; false if it is none of ours or a
 * repetition. */
static bool json_member_target(json_cursor *in, const buf *name, json_members *members,
                               buf **target) {
    bool is_key = json_name_is(name, "key") || json_name_is(name, "key_b64");
    bool is_value = json_name_is(name, "value") || json_name_is(name, "value_b64");
    if (!is_key && !is_value && !json_name_is(name, "expires_at_ms"))
        return json_fail(in, "a member is none of key, key_b64, value, value_b64, expires_at_ms");
    bool *seen = is_key ? &members->has_key : is_value ? &members->has_value : &members->has_expiry;
    if (*seen)
        return json_fail(in, is_key ? "two keys" : is_value ? "two values" : "two times of expiry");
    *seen = true;
    *target = is_key ? &members->record->key : is_value ? &members->record->value : NULL;
    return true;
}

static bool json_take_member(json_cursor *in, json_members *members, buf *scratch) {
    buf *target;
    if (!json_take_string(in, scratch) || !json_member_target(in, scratch, members, &target))
        return false;
    bool is_base64 = json_name_is(scratch, "key_b64") || json_name_is(scratch, "value_b64");
    if (!json_take(in, ':'))
        return json_fail(in, "a colon is expected after a name");
    if (!target)
        return json_take_time(in, &members->record->expires_at_ms);
    if (!is_base64)
        return json_take_string(in, target);
    if (!json_take_string(in, scratch))
        return false;
    buf_clear(target);
    return base64_parse(buf_slice(scratch), target) || json_fail(in, "not valid base64");
}

static bool json_take_record(json_cursor *in, json_members *members, buf *scratch) {
    if (!json_take(in, '{'))
        return json_fail(in, "an object is expected");
    do {
        if (!json_take_member(in, members, scratch))
            return false;
    } while (json_take(in, ','));
    if (!json_take(in, '}'))
        return json_fail(in, "a comma or the end of the object is expected");
    json_skip_blanks(in);
    if (in->rest.size > 0)
        return json_fail(in, "something follows the object");
    if (!members->has_key || !members->has_value)
        return json_fail(in, members->has_key ? "no value" : "no key");
    return true;
}

bool json_record_parse(slice line, cli_record *record, const char **problem) {
    json_cursor in = {.rest = line};
    json_members members = {.record = record};
    buf scratch = {0};
    record->expires_at_ms = 0;
    bool fine = json_take_record(&in, &members, &scratch);
    if (fine && scratch.out_of_memory)
        record->value.out_of_memory = true;
    buf_deinit(&scratch);
    *problem = in.problem;
    return fine;
}
