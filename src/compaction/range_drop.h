/* compaction/range_drop.h - range tombstones in a flush or compaction: what they spare, and what is
 * written of them.
 *
 * Rules, beside those of drop_rules.h and with the same strata:
 *  1. An entry is dropped when a newer range tombstone of its stratum covers it.
 *  2. Of the tombstones over a range the newest of each stratum is kept.
 *  3. A tombstone of the oldest stratum is dropped where nothing below the output can lie in it.
 *  4. A table of entries all of one stratum, all older than a tombstone of that stratum that covers
 * it, need not be read.
 *
 * Outputs get the tombstones cut at their borders, so that no table covers keys of another.
 * Threads: none; keys are asked for in ascending order. */
#ifndef FIRN_COMPACTION_RANGE_DROP_H
#define FIRN_COMPACTION_RANGE_DROP_H

#include "compaction/drop_rules.h"
#include "compaction/table_output.h"
#include "format/range_tombstone.h"
#include "version/snapshot_registry.h"

typedef struct range_drop {
    key_order order;
    drop_rules strata;          /* for their readers only */
    range_fragments *fragments; /* NULL: none */
    /* Whether nothing below the output can hold a key of [begin, end). */
    bool (*is_bottom)(void *context, user_key begin, user_key end);
    void *context;

    uint32_t asked; /* the fragment of the last key asked for */
    uint32_t at;    /* the first that is not written to its end */
    bool is_cut;    /* its beginning is: the rest starts at `rest` */
    buf rest;
} range_drop;

/* Keeps `readers`; keys stay borrowed from the list. */
FIRN_INTERNAL NODISCARD status range_drop_init(range_drop *r, key_order order,
                                               const range_list *list,
                                               const snapshot_list *readers);
FIRN_INTERNAL void range_drop_deinit(range_drop *r);
/* Leaves out what lies before `lower`: the outputs begin there. */
FIRN_INTERNAL NODISCARD status range_drop_begin_at(range_drop *r, user_key lower);
/* Rule 1. */
FIRN_INTERNAL bool range_drop_covers(range_drop *r, user_key key, seqno sequence);
/* Rule 4. */
FIRN_INTERNAL bool range_drop_covers_table(const range_drop *r, const table_meta *meta);
/* Writes what lies before `before` (unset: all the rest) to the output's current table, which is
 * opened if there is something to write. */
FIRN_INTERNAL NODISCARD status range_drop_write(range_drop *r, table_output *output, slice before);
#endif
