#include "platform/error_detail.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char error_detail_text[ERROR_DETAIL_BYTES];

/* Bytes of the UTF-8 sequence at `at`, of which `available` are there; 0 if it is not one. */
static size_t error_detail_sequence(const unsigned char *at, size_t available) {
    static const struct {
        unsigned char first_min, first_max, second_min, second_max, bytes;
    } forms[] = {
        {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3}, {0xE1, 0xEC, 0x80, 0xBF, 3},
        {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3}, {0xF0, 0xF0, 0x90, 0xBF, 4},
        {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4},
    };
    if (at[0] < 0x80)
        return 1;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (at[0] < forms[i].first_min || at[0] > forms[i].first_max)
            continue;
        if (available < forms[i].bytes || at[1] < forms[i].second_min ||
            at[1] > forms[i].second_max)
            return 0;
        for (size_t j = 2; j < forms[i].bytes; j++) {
            if (at[j] < 0x80 || at[j] > 0xBF)
                return 0;
        }
        return forms[i].bytes;
    }
    return 0;
}

/* One line of UTF-8 is what firn_error_detail() promises, and a path may hold anything: what is
 * neither becomes '?'; a sequence the end cut in half goes the same way. */
static void error_detail_clean(char *text) {
    unsigned char *at = (unsigned char *)text;
    size_t left = strlen(text);
    while (left > 0) {
        size_t bytes = error_detail_sequence(at, left);
        if (bytes == 0 || at[0] < 0x20 || at[0] == 0x7F) {
            at[0] = '?';
            bytes = 1;
        }
        at += bytes;
        left -= bytes;
    }
}

/* Formats aside first: an argument may be the present detail itself. */
static PRINTF_LIKE(2, 0) void error_detail_put(size_t from, const char *format, va_list arguments) {
    char text[ERROR_DETAIL_BYTES];
    if (vsnprintf(text, sizeof text, format, arguments) < 0)
        text[0] = '\0';
    error_detail_clean(text);
    snprintf(error_detail_text + from, sizeof error_detail_text - from, "%s", text);
    /* Appending may have cut a sequence once more. */
    error_detail_clean(error_detail_text + from);
}

FIRN_INTERNAL void error_detail_set(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    error_detail_put(0, format, arguments);
    va_end(arguments);
}

FIRN_INTERNAL void error_detail_append(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    error_detail_put(strlen(error_detail_text), format, arguments);
    va_end(arguments);
}

FIRN_INTERNAL const char *error_detail_get(void) {
    return error_detail_text;
}

/* The literal a status of this code carries. */
static const char *error_detail_code_name(firn_status code) {
    switch (code) {
    case FIRN_OK:
        return "OK";
    case FIRN_NOT_FOUND:
        return "NOT_FOUND";
    case FIRN_CORRUPTION:
        return "CORRUPTION";
    case FIRN_IO_ERROR:
        return "IO_ERROR";
    case FIRN_INVALID_ARGUMENT:
        return "INVALID_ARGUMENT";
    case FIRN_BUSY:
        return "BUSY";
    case FIRN_LOCKED:
        return "LOCKED";
    case FIRN_NO_SPACE:
        return "NO_SPACE";
    case FIRN_READ_ONLY:
        return "READ_ONLY";
    case FIRN_NOT_SUPPORTED:
        return "NOT_SUPPORTED";
    case FIRN_TOO_LARGE:
        return "TOO_LARGE";
    case FIRN_ABORTED:
        return "ABORTED";
    case FIRN_SNAPSHOT_TOO_OLD:
        return "SNAPSHOT_TOO_OLD";
    case FIRN_NO_MEMORY:
        return "NO_MEMORY";
    case FIRN_WOULD_BLOCK:
        return "WOULD_BLOCK";
    }
    return "UNKNOWN";
}

FIRN_INTERNAL status error_status(firn_status code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    error_detail_put(0, format, arguments);
    va_end(arguments);
    return status_of(code, error_detail_code_name(code));
}

FIRN_INTERNAL status error_corruption_at(const char *path, uint64_t offset, const char *problem) {
    return error_status(FIRN_CORRUPTION, "%s: %s at offset %" PRIu64, path, problem, offset);
}
