/* compaction/plan.h - what one compaction takes in and where it puts the result.
 *
 * Invariants: a plan's inputs can be replaced by its outputs without changing what any read sees:
 *             no version of an input's key that lies between two of the inputs in age stays
 * outside. Threads:    plain values; whoever marks the inputs as compacting owns them. Lifetime:
 * holds references on its inputs and on the version it was picked from. */
#ifndef FIRN_COMPACTION_PLAN_H
#define FIRN_COMPACTION_PLAN_H

#include "version/version.h"

/* What is done with the inputs. */
typedef enum plan_kind {
    PLAN_MERGE, /* rewritten into tables of to_level */
    PLAN_MOVE,  /* they only change their level */
    PLAN_DROP   /* they go, and what they hold with them; see drops_live */
} plan_kind;

typedef struct compaction_plan {
    plan_kind kind;
    uint32_t keyspace;
    uint32_t from_level, to_level;    /* the highest level with inputs, and that of the outputs */
    table_meta **inputs[LEVEL_COUNT]; /* by level (L0: newest first); owned, referenced */
    uint32_t input_count[LEVEL_COUNT];
    version *version;   /* what was picked from; referenced */
    bool drops_live;    /* PLAN_DROP: of what readers might still see, not only what expired */
    const char *reason; /* for the event log */
} compaction_plan;

FIRN_INTERNAL void compaction_plan_deinit(compaction_plan *p);
FIRN_INTERNAL uint64_t compaction_plan_input_bytes(const compaction_plan *p);
FIRN_INTERNAL uint32_t compaction_plan_input_tables(const compaction_plan *p);
/* Adds tables of one level, which has none in the plan yet. */
FIRN_INTERNAL NODISCARD status compaction_plan_add(compaction_plan *p, uint32_t level,
                                                   table_meta *const *tables, uint32_t count);
#endif
