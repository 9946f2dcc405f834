/* compaction/job_split.h - where a large compaction is cut into pieces that run side by side.
 *
 * Invariants: borders are user keys and ascend; no user key has versions in two pieces. They are
 *             where tables begin that the outputs meet anyway, so that a cut costs no table more
 *             than it must.
 * Threads:    pure. */
#ifndef FIRN_COMPACTION_JOB_SPLIT_H
#define FIRN_COMPACTION_JOB_SPLIT_H

#include "compaction/plan.h"

#define JOB_PIECES_MAX 8

/* Fills `borders` with the keys at which the second piece and those behind it begin, and answers
 * how many: fewer than `pieces`, each worth about `least_bytes` of input; 0: it is not worth a cut.
 * The keys are the plan's. */
FIRN_INTERNAL uint32_t job_split(const compaction_plan *plan, uint32_t pieces, uint64_t least_bytes,
                                 user_key borders[JOB_PIECES_MAX - 1]);
#endif
