/* firn/inspect.h - look at a database's files, and prove them whole.
 *
 * These work on paths, take no lock and write nothing, so they can be used beside a live writer
 * (which may delete a file under them: a file that has gone from the manifest is not an error). */
#ifndef FIRN_INSPECT_H
#define FIRN_INSPECT_H

#include "firn/options.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Receives one line of text, without newline, valid during the call. Return non-zero to stop. */
typedef int (*firn_line_callback)(void *context, const char *line);

/* Decodes one log, table or manifest file for a person to read, and checks its checksums.
 * Which kind it is comes from its magic, not its name. CORRUPTION: damage found (after printing
 * what could be read); detail names file and offset. */
FIRN_API firn_status firn_inspect_file(const firn_options *options, const char *path,
                                       firn_line_callback print, void *context);

typedef struct firn_verify_progress {
    const char *file; /* being read now */
    uint64_t bytes_done;
    uint64_t bytes_total; /* an estimate */
    const char *problem;  /* NULL, or one line: what is wrong, in which file, at which offset */
} firn_verify_progress;

/* Called as files are read and once for each problem. Return non-zero to stop. */
typedef int (*firn_verify_callback)(void *context, const firn_verify_progress *progress);

/* Reads and checks every byte of every live file of the database at `path`: checksums, key order,
 * counts and bounds against the manifest, and that no two files of a level overlap. OK: all is
 * well. CORRUPTION: at least one problem was reported. `report` may be NULL. */
FIRN_API firn_status firn_verify(const char *path, const firn_options *options,
                                 firn_verify_callback report, void *context);

#ifdef __cplusplus
}
#endif
#endif
