/* compaction/job_anchors.h - keys out of the indexes of a job's inputs, where it may be cut into
 * pieces (job_split.h) although no table begins there.
 *
 * Invariants: anchors ascend; some may be equal. Between neighbours of one table lies about as much
 *             of it as between any others, and each anchor says how much.
 * Threads:    a gathered list is only read.
 * Lifetime:   the tables stay open, for the keys are theirs, until job_anchors_deinit. {0} is
 *             empty. */
#ifndef FIRN_COMPACTION_JOB_ANCHORS_H
#define FIRN_COMPACTION_JOB_ANCHORS_H

#include "compaction/plan.h"
#include "table/table_cache.h"

typedef struct job_anchor {
    user_key key;
    uint64_t bytes; /* of its table in front of it, from the anchor before on */
} job_anchor;

typedef struct job_anchors {
    job_anchor *list;
    uint32_t count;
    table **tables; /* referenced */
    uint32_t table_count;
} job_anchors;

/* Of all inputs of the plan, which are opened for that. `out` is {0}. */
FIRN_INTERNAL NODISCARD status job_anchors_gather(job_anchors *out, const compaction_plan *plan,
                                                  table_cache *tables);
FIRN_INTERNAL void job_anchors_deinit(job_anchors *a);
#endif
