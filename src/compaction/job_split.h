/* compaction/job_split.h - where a large compaction is cut into pieces that run side by side.
 *
 * Invariants: borders are user keys and ascend; no user key has versions in two pieces. They are
 *             where tables begin that the outputs meet anyway, so that a cut costs no table more
 *             than it must; where no such table begins, they are anchors out of the inputs'
 *             indexes.
 * Threads:    pure. */
#ifndef FIRN_COMPACTION_JOB_SPLIT_H
#define FIRN_COMPACTION_JOB_SPLIT_H

#include "compaction/job_anchors.h"

#define JOB_PIECES_MAX 8

/* How many pieces, at most `wanted`, a job is worth that shall have `least_bytes` of input in each.
 * 1: it is not worth a cut. */
FIRN_INTERNAL uint32_t job_split_pieces(const compaction_plan *plan, uint32_t wanted,
                                        uint64_t least_bytes);
/* Fills `borders` with the keys at which the second piece and those behind it begin, and answers
 * how many: fewer than `pieces`, which is what job_split_pieces said. The keys are the plan's. 0:
 * no table begins anywhere. */
FIRN_INTERNAL uint32_t job_split(const compaction_plan *plan, uint32_t pieces,
                                 user_key borders[JOB_PIECES_MAX - 1]);
/* The same by anchors, whose the keys are then. */
FIRN_INTERNAL uint32_t job_split_by_anchors(const job_anchors *anchors, key_order order,
                                            uint32_t pieces, user_key borders[JOB_PIECES_MAX - 1]);
#endif
