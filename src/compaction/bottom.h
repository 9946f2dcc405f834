/* compaction/bottom.h - whether anything older than a job's inputs can hold a key.
 *
 * Invariants: keys are asked for in ascending order, so each level's cursor only moves forward: a
 *             whole job costs one walk over the tables' bounds.
 * Threads:    none; keeps the version. */
#ifndef FIRN_COMPACTION_BOTTOM_H
#define FIRN_COMPACTION_BOTTOM_H

#include "compaction/plan.h"

typedef struct bottom_cursor {
    const version *version;
    uint32_t l0_from;            /* the first table of L0 that is older than the inputs */
    uint32_t first_level;        /* of those that are wholly older */
    uint32_t below[LEVEL_COUNT]; /* the first table not wholly in front of the key */
} bottom_cursor;

/* For outputs of a compaction. */
FIRN_INTERNAL bottom_cursor bottom_cursor_of_plan(const compaction_plan *plan);
/* For a memtable than which all tables of `v` are older. */
FIRN_INTERNAL bottom_cursor bottom_cursor_above(const version *v);
FIRN_INTERNAL bool bottom_cursor_has_nothing_older(bottom_cursor *c, user_key key);
#endif
