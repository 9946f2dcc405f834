/* compaction/compaction_merge.h - the part of a compaction that reads and writes: its inputs merged
 * into new tables, as one piece or as several that lie side by side in the order of keys.
 *
 * Invariants: pieces share no user key, so none needs to know of another, and their tables in a row
 *             are what one piece would have written, but for where tables end.
 * Threads:    compaction_merge_run uses idle workers for pieces if it was given any; it returns
 *             when all of them are over. When one fails the others give up.
 * Crash:      nothing is installed; see table_output.h. */
#ifndef FIRN_COMPACTION_COMPACTION_MERGE_H
#define FIRN_COMPACTION_COMPACTION_MERGE_H

#include "compaction/job_split.h"
#include "compaction/jobs.h"
#include "compaction/table_output.h"
#include "platform/error_detail.h"

typedef struct compaction_merge {
    const job_env *env; /* set at birth, as is what follows */
    const compaction_plan *plan;
    job_progress *progress; /* NULL: nobody asks */
    table_output_args output;

    uint32_t count; /* of pieces; 0 until it was run, or when there was nothing to do */
    user_key borders[JOB_PIECES_MAX - 1];
    job_anchors anchors; /* whose some borders are */
    table_output outputs[JOB_PIECES_MAX];

    snapshot_list readers;
    atomic_u32 failed; /* 1 when a piece has */
    struct {
        status st;
        char detail[ERROR_DETAIL_BYTES]; /* of the thread that ran it */
    } results[JOB_PIECES_MAX];
} compaction_merge;

FIRN_INTERNAL void compaction_merge_init(compaction_merge *m, const job_env *env,
                                         const compaction_plan *plan, job_progress *progress,
                                         const table_output_args *output);
/* On failure the outputs are as they were left: the caller discards them. */
FIRN_INTERNAL NODISCARD status compaction_merge_run(compaction_merge *m);
/* Deletes the finished tables as well: only when no edit that names them was ever written. */
FIRN_INTERNAL void compaction_merge_discard(compaction_merge *m);
FIRN_INTERNAL void compaction_merge_deinit(compaction_merge *m);
#endif
