/* firn/inspect.h - look at a database's files, and prove them whole.
 *
 * These work on paths, take no lock and write nothing, so they can be used beside a live writer
 * (which may delete a file under them: a file that has gone from the manifest is not an error). */
#ifndef FIRN_INSPECT_H
#define FIRN_INSPECT_H

#include "firn/db.h"
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

/* --- what a read does --- */

typedef enum firn_explain_verdict {
    FIRN_EXPLAIN_ABSENT = 1,   /* looked for, not there */
    FIRN_EXPLAIN_FILTERED = 2, /* the table's filter says it cannot be there */
    FIRN_EXPLAIN_VALUE = 3,    /* a value: the search ends */
    FIRN_EXPLAIN_DELETED = 4,  /* a delete: the search ends */
    FIRN_EXPLAIN_EXPIRED = 5,  /* a value whose time is over: the search ends */
    FIRN_EXPLAIN_FAILED = 6    /* an error: the search ends */
} firn_explain_verdict;

/* One place that a read asked. */
typedef struct firn_explain_step {
    size_t size;    /* sizeof(firn_explain_step) of the library */
    int level;      /* of the table; -1: a memtable */
    uint64_t file;  /* number of the table; of a memtable how many newer ones there are */
    uint64_t bytes; /* size of the table or memtable */
    firn_explain_verdict verdict;
    int filter; /* 1: the filter let it pass, 0: it stopped the search, -1: none asked */
    uint64_t blocks_cached; /* blocks found in the block cache */
    uint64_t blocks_read;   /* blocks read from the file */
    uint64_t blocks_mapped; /* blocks used where the mapped file holds them */
    uint64_t block_bytes;   /* of all, expanded */
    uint64_t sequence;      /* of the version that was found */
    uint64_t value_bytes;   /* of a value that was found */
    uint64_t nanoseconds;   /* that this step took, opening the table included */
    /* Other versions of the key that lie in this place, counted after the step, as far as they
     * could be read: */
    uint64_t newer_skipped;      /* written after the read's moment */
    uint64_t older_skipped;      /* hidden by the version that was found */
    uint64_t tombstones_skipped; /* deletes among both */
} firn_explain_step;

/* Receives the steps in order, valid during the call. Must not call Firn: the read stands inside.
 */
typedef void (*firn_explain_callback)(void *context, const firn_explain_step *step);

/* Reads `key` as firn_get() would and says what that took: which memtables and tables were asked,
 * what filters answered, where blocks came from, which versions were passed over. Tables whose
 * range cannot hold the key are not asked and not listed. The read is a real one: it fills the
 * cache (unless `options` says no), so a second one may differ. Returns what firn_get() would have,
 * but for a value of 1 MiB or more, which is not fetched. */
FIRN_API firn_status firn_explain_get(firn_db *db, const firn_read_options *options, firn_slice key,
                                      firn_explain_callback explain, void *context);

#ifdef __cplusplus
}
#endif
#endif
