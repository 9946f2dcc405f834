/* compaction/picker.h - which compaction is worth most now: a pure function from a view to a plan.
 *
 * Invariants: the same view gives the same plan. A plan's inputs can be replaced by its outputs
 * without changing what any read sees: all older versions of the inputs' keys on the two levels are
 *             among the inputs.
 * Threads:    pure; `compacting` flags of the tables are read, so the caller holds what guards
 * them. */
#ifndef FIRN_COMPACTION_PICKER_H
#define FIRN_COMPACTION_PICKER_H

#include "compaction/level_targets.h"
#include "version/version.h"

typedef struct compaction_plan {
    uint32_t keyspace;
    uint32_t from_level, to_level;
    table_meta **inputs[2]; /* of from_level (L0: newest first) and to_level; owned, referenced */
    uint32_t input_count[2];
    version *version;   /* what was picked from; referenced */
    bool is_move;       /* the inputs need only change their level */
    const char *reason; /* for the event log */
} compaction_plan;

FIRN_INTERNAL void compaction_plan_deinit(compaction_plan *p);
FIRN_INTERNAL uint64_t compaction_plan_input_bytes(const compaction_plan *p);

/* Fills *out and *found. NO_MEMORY is the only failure. */
FIRN_INTERNAL NODISCARD status picker_pick(version *v, uint32_t keyspace,
                                           const tree_options *options, bool *found,
                                           compaction_plan *out);
/* The next step of compacting all that overlaps [lower, upper) (either may be unset) down to the
 * last level in use; not found: done. The last level's tables are rewritten once, if they hold
 * deletes and are numbered below `first_new_number`. */
typedef struct manual_range {
    slice lower, upper;
    uint64_t first_new_number;
} manual_range;
FIRN_INTERNAL NODISCARD status picker_pick_manual(version *v, uint32_t keyspace,
                                                  const tree_options *options,
                                                  const manual_range *range, bool *found,
                                                  compaction_plan *out);
#endif
