/* compaction/picker_internal.h - what the pickers share; for this folder and its tests. */
#ifndef FIRN_COMPACTION_PICKER_INTERNAL_H
#define FIRN_COMPACTION_PICKER_INTERNAL_H

#include "compaction/level_targets.h"
#include "compaction/picker.h"

/* A closed range of user keys. */
typedef struct key_range {
    user_key smallest, largest;
} key_range;

FIRN_INTERNAL bool picker_table_overlaps(const version *v, const table_meta *t, const key_range *r);
/* The range of `tables`, of which there is at least one. */
FIRN_INTERNAL key_range picker_hull(const version *v, table_meta *const *tables, uint32_t count);
/* The run of tables of a sorted level that overlap the range: [*from, *to); their bytes. */
FIRN_INTERNAL uint64_t picker_overlap(const version *v, uint32_t level, const key_range *r,
                                      uint32_t *from, uint32_t *to);
FIRN_INTERNAL bool picker_any_compacting(table_meta *const *tables, uint32_t count);
FIRN_INTERNAL uint64_t picker_bytes(table_meta *const *tables, uint32_t count);

/* Neighbours on one level, and where they shall go. */
typedef struct picker_choice {
    uint32_t from_level, to_level;
    table_meta *const *tables;
    uint32_t count;
    const char *reason;
} picker_choice;

/* A plan from its upper inputs: adds what they meet on to_level and decides whether they can just
 * move. Leaves *out empty (no version) when an input is busy. */
FIRN_INTERNAL NODISCARD status picker_complete(const picker_view *view, const picker_choice *choice,
                                               compaction_plan *out);
/* Merges `count` neighbours of L0, from position `first`, into one table of L0. */
FIRN_INTERNAL NODISCARD status picker_merge_in_l0(const picker_view *view, uint32_t first,
                                                  uint32_t count, compaction_plan *out);
/* All of L0 into the base level. */
FIRN_INTERNAL NODISCARD status picker_drain_l0(const picker_view *view,
                                               const level_targets *targets, compaction_plan *out);

/* A plan that drops neighbours of a level. */
FIRN_INTERNAL NODISCARD status picker_drop(const picker_view *view, uint32_t level,
                                           table_meta *const *tables, uint32_t count,
                                           const char *reason, compaction_plan *out);

/* --- picker_expired.c: tables by what has expired in them --- */
FIRN_INTERNAL NODISCARD status picker_drop_expired(const picker_view *view, compaction_plan *out);
FIRN_INTERNAL NODISCARD status picker_sink_expired(const picker_view *view, compaction_plan *out);
/* When a rewrite gives something up; UINT64_MAX: never. */
FIRN_INTERNAL uint64_t picker_expiry_due_ms(const table_meta *t, const tree_options *options);

/* --- picker_aged.c: tables by how long ago their data was written --- */
FIRN_INTERNAL NODISCARD status picker_sink_aged(const picker_view *view,
                                                const level_targets *targets, compaction_plan *out);
/* When a table is next due; UINT64_MAX: never. */
FIRN_INTERNAL uint64_t picker_next_age_ms(const version *v, const tree_options *options);

FIRN_INTERNAL NODISCARD status picker_pick_leveled(const picker_view *view, compaction_plan *out);
FIRN_INTERNAL NODISCARD status picker_pick_tiered(const picker_view *view, compaction_plan *out);
FIRN_INTERNAL NODISCARD status picker_pick_fifo(const picker_view *view, compaction_plan *out);
#endif
