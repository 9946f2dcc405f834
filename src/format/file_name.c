#include "format/file_name.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"

#include "base/poison.h"

enum { FILE_NUMBER_DIGITS_MIN = 6 };

static void file_path_write(char out[FILE_PATH_BYTES], const char *directory, file_kind kind,
                            uint64_t number, const char *suffix) {
    const char *before = "", *after = "";
    bool numbered = true;
    switch (kind) {
    case FILE_CURRENT:
        before = "CURRENT";
        numbered = false;
        break;
    case FILE_LOCK:
        before = "LOCK";
        numbered = false;
        break;
    case FILE_EVENTS:
        before = "events.log";
        numbered = false;
        break;
    case FILE_RESERVE:
        before = "RESERVE";
        numbered = false;
        break;
    case FILE_MANIFEST:
        before = "MANIFEST-";
        break;
    case FILE_LOG:
        after = ".wal";
        break;
    case FILE_TABLE:
        after = ".sst";
        break;
    case FILE_UNKNOWN:
    case FILE_TEMPORARY:
        CHECK(!"a kind of file with a name of its own");
    }
    /* A cut-off path would name another file, and that file could be overwritten. */
    int length = numbered ? snprintf(out, FILE_PATH_BYTES, "%s/%s%0*" PRIu64 "%s%s", directory,
                                     before, FILE_NUMBER_DIGITS_MIN, number, after, suffix)
                          : snprintf(out, FILE_PATH_BYTES, "%s/%s%s", directory, before, suffix);
    CHECK(length > 0 && length < FILE_PATH_BYTES);
}

FIRN_INTERNAL char *file_path(char out[FILE_PATH_BYTES], const char *directory, file_kind kind,
                              uint64_t number) {
    file_path_write(out, directory, kind, number, "");
    return out;
}

FIRN_INTERNAL char *file_path_temporary(char out[FILE_PATH_BYTES], const char *directory,
                                        file_kind kind, uint64_t number) {
    file_path_write(out, directory, kind, number, ".tmp");
    return out;
}

/* Reads a number as file_path writes it, so that every file has one name only: six digits or more
 * without needless zeros. NULL, or where the digits end. */
static const char *file_number_parse(const char *p, uint64_t *number) {
    const char *start = p;
    uint64_t value = 0;
    for (; *p >= '0' && *p <= '9'; p++) {
        uint64_t digit = (uint64_t)(*p - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return NULL;
        value = value * 10 + digit;
    }
    if (p - start < FILE_NUMBER_DIGITS_MIN)
        return NULL;
    if (p - start > FILE_NUMBER_DIGITS_MIN && *start == '0')
        return NULL;
    *number = value;
    return p;
}

static bool file_name_has_suffix(const char *name, const char *suffix) {
    size_t name_bytes = strlen(name), suffix_bytes = strlen(suffix);
    return name_bytes > suffix_bytes && !strcmp(name + name_bytes - suffix_bytes, suffix);
}

FIRN_INTERNAL file_kind file_name_parse(const char *name, uint64_t *number) {
    static const char manifest_prefix[] = "MANIFEST-";
    *number = 0;
    if (!strcmp(name, "CURRENT"))
        return FILE_CURRENT;
    if (!strcmp(name, "LOCK"))
        return FILE_LOCK;
    if (!strcmp(name, "events.log") || !strcmp(name, "events.log.old"))
        return FILE_EVENTS;
    if (!strcmp(name, "RESERVE"))
        return FILE_RESERVE;
    if (file_name_has_suffix(name, ".tmp"))
        return FILE_TEMPORARY;

    bool manifest = !strncmp(name, manifest_prefix, sizeof manifest_prefix - 1);
    uint64_t value = 0;
    const char *rest =
        file_number_parse(manifest ? name + sizeof manifest_prefix - 1 : name, &value);
    file_kind kind = FILE_UNKNOWN;
    if (rest && manifest && !*rest)
        kind = FILE_MANIFEST;
    else if (rest && !manifest && !strcmp(rest, ".wal"))
        kind = FILE_LOG;
    else if (rest && !manifest && !strcmp(rest, ".sst"))
        kind = FILE_TABLE;
    if (value == 0 && kind != FILE_LOG) /* numbers begin with 1; see wal/wal_segments.c */
        kind = FILE_UNKNOWN;
    if (kind != FILE_UNKNOWN)
        *number = value;
    return kind;
}
