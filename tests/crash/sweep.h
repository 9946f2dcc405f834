/* tests/crash/sweep.h - pulls the plug after every file operation of a workload.
 *
 * The workload runs on a simulated disk, on one thread, through the production code. Before each
 * operation that changes the disk, and so after the one before it, the disk is cloned as a power
 * cut or a kill would leave it, in every mode vfs_mem knows. Each clone that was not seen before is
 * opened and must hold a state that the shadow allows:
 *   - all writes acknowledged before the last sync (all acknowledged ones, after a kill);
 *   - of the rest a prefix in commit order over all keyspaces, batches whole, nothing else;
 *   - the same by iterator in both directions, by gets, and to a reader that may not write;
 *   - some of them when everything that may expire has;
 *   - and it must take writes, and keep them over the next reopen. A second crash during that
 *     recovery must lose nothing of what the first one left.
 *
 * Sampling: the quick sweep takes a part of the (operation, mode) pairs, chosen by the seed, and
 * all those whose cell of the report is still thin; FIRN_CRASH_FULL=1 takes all of them. */
#ifndef FIRN_TESTS_SWEEP_H
#define FIRN_TESTS_SWEEP_H

#include "lib/shadow.h"
#include "platform/vfs_fault.h"
#include "platform/vfs_mem.h"
#include "util/rng.h"

#define SWEEP_DIRECTORY "/db"

enum { SWEEP_KINDS_MAX = 64, SWEEP_KIND_BYTES = 32 };

typedef struct sweep_cell {
    uint64_t tried, distinct;
} sweep_cell;

typedef struct sweep_kind {
    char name[SWEEP_KIND_BYTES]; /* "write log" */
    uint64_t operations;
    sweep_cell cells[VFS_MEM_CRASH_COUNT];
} sweep_kind;

typedef struct sweep {
    const char *name;
    vfs_mem *disk;
    vfs_fault *process; /* between disk and database: after its death nothing gets through */
    bool is_dead;
    const char *death_kind;
    uint64_t death_count; /* operations until then; 0: it lives on */
    firn_log_io log_io;
    db_config config;
    firn_db *db;
    shadow shadow;
    rng random;
    bool is_full;
    bool is_paused;     /* parts of the workload that only lead up to what is swept */
    unsigned per_mille; /* of the pairs, when not full */

    size_t acknowledged; /* writes that returned OK */
    size_t durable;      /* of them, those before the last sync that returned OK */

    sweep_kind kinds[SWEEP_KINDS_MAX];
    size_t kind_count;
    sweep_kind *last; /* of the operation done last; NULL before the first */
    uint64_t *seen;   /* hash set: disk image and what had to be on it */
    size_t seen_count, seen_capacity;

    uint64_t recoveries, second_crashes, reuses, read_only_opens, late_opens;
    uint64_t log_segments, log_recycles, manifests; /* made by the workload */
    uint64_t flushes, compactions;                  /* done by the workload */
} sweep;

void sweep_init(sweep *s, const char *name, firn_log_io log_io, uint64_t seed, unsigned per_mille);
/* A fresh disk and database; counters and report go on. */
void sweep_restart(sweep *s);
/* Crashes once more after the last operation, prints the report, and fails where a cell is empty.
 */
void sweep_finish(sweep *s);

const char *sweep_mode_name(vfs_mem_crash mode);
/* Adds a line of JSON to the file FIRN_CRASH_REPORT names, if it is set. */
void sweep_report(const sweep *s);

/* Lets the process die right after the `count`th file operation of `kind` ("write log") from now
 * on; NULL: of any kind. Then the workload's calls do nothing, until sweep_revive opens the
 * database again, on the disk as it is: what was not synced still is not, but can be seen. */
void sweep_die_after(sweep *s, const char *kind, uint64_t count);
void sweep_revive(sweep *s);

/* The workload: each call fails the test when the database does. */
void sweep_open(sweep *s);
void sweep_close(sweep *s);
/* Writes what was put into s->shadow. */
void sweep_write(sweep *s, bool sync);
/* The same, but the disk takes only half of what goes to the log and is full for a moment: the
 * write is refused, and must leave no trace. (A mapped log has its space already and may take it.)
 */
void sweep_write_refused(sweep *s);
/* Moves the clock by which values expire. */
void sweep_pass_time(sweep *s, uint64_t ms);
void sweep_sync(sweep *s);
void sweep_flush(sweep *s);
void sweep_compact(sweep *s);
/* Up to `count` pieces of background work. */
void sweep_step(sweep *s, unsigned count);

#endif
