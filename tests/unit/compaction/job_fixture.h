/* tests/unit/compaction/job_fixture.h - what jobs work on, on a simulated disk that can fail. */
#ifndef FIRN_TESTS_JOB_FIXTURE_H
#define FIRN_TESTS_JOB_FIXTURE_H

#include "compaction/jobs.h"
#include "platform/vfs_fault.h"
#include "platform/vfs_mem.h"

typedef struct job_fixture {
    vfs_mem *disk;
    vfs_fault *fault;
    graveyard grave;
    epoch readers;
    version_set *versions;
    snapshot_registry snapshots;
    table_cache *tables;
    tree_options options;
    atomic_u64 visible, applied;
    job_env env;
    bool cancelled;
    uint64_t first_new; /* for manual_range; 0: every table of the last level counts as old */
    seqno last;         /* given out */
} job_fixture;

void job_fixture_init(job_fixture *f);
void job_fixture_deinit(job_fixture *f);
/* One entry into the active memtable; text "k" deletes where `value` is NULL. */
void job_put(job_fixture *f, const char *key, const char *value);
/* Seals the memtable and runs a flush job. */
status job_flush(job_fixture *f, job_result *result);
/* What picker_pick_manual offers for the whole range, run; *found false: nothing to do. */
status job_compact(job_fixture *f, bool *found, job_result *result);
/* All entries of the tables of a level in order: "a=1 b=2 c-", newest version first. */
const char *job_level_text(job_fixture *f, uint32_t level);
/* Files of the disk whose names end so. */
unsigned job_count_files(job_fixture *f, const char *suffix);
#endif
