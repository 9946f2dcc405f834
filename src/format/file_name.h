/* format/file_name.h - the names in a database directory (docs/format/README.md). */
#ifndef FIRN_FORMAT_FILE_NAME_H
#define FIRN_FORMAT_FILE_NAME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"

typedef enum file_kind {
    FILE_UNKNOWN = 0,
    FILE_CURRENT,
    FILE_LOCK,
    FILE_MANIFEST,
    FILE_LOG,
    FILE_TABLE,
    FILE_TEMPORARY, /* *.tmp */
    FILE_EVENTS,    /* events.log, events.log.old */
    FILE_RESERVE    /* space kept aside */
} file_kind;

#define FILE_PATH_BYTES 4096

/* Writes "directory/name" for a kind and number into out; returns out. CHECKs that it fits: the
 * directory's length is limited at open to FILE_PATH_BYTES - 64. */
FIRN_INTERNAL char *file_path(char out[FILE_PATH_BYTES], const char *directory, file_kind kind,
                              uint64_t number);
/* The same with ".tmp" appended. */
FIRN_INTERNAL char *file_path_temporary(char out[FILE_PATH_BYTES], const char *directory,
                                        file_kind kind, uint64_t number);
/* What a directory entry is; *number is 0 where the kind has none. */
FIRN_INTERNAL file_kind file_name_parse(const char *name, uint64_t *number);
#endif
