/* compaction/picker.h - which compaction is worth most now: a pure function from a view to a plan.
 *
 * Purpose:    one interface for every strategy (picker_leveled.c, picker_tiered.c, picker_fifo.c).
 *             A database may be opened with another strategy than it was written with: each picker
 *             takes any tree and works it into its own shape step by step.
 * Invariants: the same view gives the same plan; plans keep the rule in plan.h.
 * Threads:    pure; `compacting` flags of the tables are read, so the caller holds what guards
 * them. */
#ifndef FIRN_COMPACTION_PICKER_H
#define FIRN_COMPACTION_PICKER_H

#include "compaction/plan.h"
#include "compaction/tree_options.h"

typedef struct picker_view {
    version *version;
    uint32_t keyspace;
    const tree_options *options;
    uint64_t now_ms; /* wall clock, for ages */
    /* The earliest clock that anybody judges expiry by, now or later: what expires by then has
     * expired for all. */
    uint64_t expired_ms;
    bool wants_room; /* the disk is full: deletes and values go down to what they hide at once */
} picker_view;

/* Fills *out and *found. NO_MEMORY is the only failure. */
FIRN_INTERNAL NODISCARD status picker_pick(const picker_view *view, bool *found,
                                           compaction_plan *out);
/* When time alone may next make a table due: for what expires in it, or for its age. UINT64_MAX: it
 * never will. */
FIRN_INTERNAL uint64_t picker_next_due_ms(const version *v, const tree_options *options);
/* The next step of compacting all that overlaps [lower, upper) (either may be unset) down to the
 * last level in use; not found: done. The last level's tables are rewritten once, if they hold
 * deletes or versions that a reader needed when they were written, and are numbered below
 * `first_new_number`. */
typedef struct manual_range {
    slice lower, upper;
    uint64_t first_new_number;
} manual_range;
FIRN_INTERNAL NODISCARD status picker_pick_manual(const picker_view *view,
                                                  const manual_range *range, bool *found,
                                                  compaction_plan *out);
#endif
