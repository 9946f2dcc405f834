/* compaction/jobs.h - flush and compaction: mechanism, without the choice of what to do.
 *
 * Invariants: a job's outputs are complete, synced and named before its edit is installed; the edit
 * is the commit point. If the job fails before it, its outputs are deleted; if installing fails
 * they stay, for the edit may be durable. Threads:    several jobs may run at once on disjoint
 * inputs; a job uses the thread that runs it, and a compaction also those workers that are idle. */
#ifndef FIRN_COMPACTION_JOBS_H
#define FIRN_COMPACTION_JOBS_H

#include "compaction/picker.h"
#include "compaction/tree_options.h"
#include "compaction/workers.h"
#include "firn/filter.h"
#include "table/table_cache.h"
#include "util/event_log.h"
#include "util/rate_limiter.h"
#include "version/snapshot_registry.h"
#include "version/version_set.h"
#include "wal/wal_writer.h"

/* What jobs work on; set at open. */
typedef struct job_env {
    const firn_vfs *vfs;
    const char *directory;
    const time_source *clock;
    event_log *events;
    version_set *versions;
    snapshot_registry *snapshots;
    table_cache *tables;
    const tree_options *options;
    rate_limiter *limiter;                /* NULL: none */
    const firn_compaction_filter *filter; /* of compactions; NULL: none */
    wal_writer *log;                      /* NULL while recovery flushes */
    const atomic_u64 *applied; /* log position below which every record is in its memtable */
    bool (*cancelled)(void *context);
    void *context;
    workers *const *helpers; /* whose idle threads may take pieces of a job; NULL: nobody's */
} job_env;

/* How far a running job is; written by it, read by anybody. */
typedef struct job_progress {
    atomic_u64 entries_done, entries_total; /* of the inputs */
} job_progress;

typedef struct job_result {
    uint64_t bytes_read, bytes_written;
    uint32_t tables_written;
    uint32_t pieces; /* that a compaction was cut into; 0: nothing was merged */
    bool was_move;
} job_result;

/* Writes the sealed memtable `flushed->table` to L0, installs that, and lets go of the log it
 * needed. On failure the caller gives the memtable back (version_set_flush_failed). */
FIRN_INTERNAL NODISCARD status flush_job_run(const job_env *env, const flushed_memtable *flushed,
                                             job_progress *progress, job_result *result);
/* Runs a plan whose inputs are marked as compacting. `progress` may be NULL, here and above. */
FIRN_INTERNAL NODISCARD status compaction_job_run(const job_env *env, const compaction_plan *plan,
                                                  job_progress *progress, job_result *result);
#endif
