/* compaction/entry_writer.h - the loop that flush and compaction share: sorted entries in, tables
 * out.
 *
 * Purpose: walks an iterator run by run, applies the drop rules, streams large values, cuts tables.
 * Threads: none. `cancelled` is asked between runs, once in some thousand entries or a megabyte. */
#ifndef FIRN_COMPACTION_ENTRY_WRITER_H
#define FIRN_COMPACTION_ENTRY_WRITER_H

#include "base/atomic.h"
#include "compaction/drop_rules.h"
#include "compaction/output_cut.h"
#include "compaction/range_drop.h"
#include "compaction/table_output.h"
#include "firn/filter.h"
#include "iter/iter.h"
#include "util/rate_limiter.h"
#include "version/snapshot_registry.h"

typedef struct entry_writer {
    table_output *output;
    key_order order;
    const firn_vfs *vfs;
    const char *directory;
    const snapshot_list *readers; /* for the drop rules */
    output_cut *cut;              /* where tables end, between user keys; NULL: nowhere */
    /* Whether nothing below the output can hold this key; called with ascending keys. */
    bool (*is_bottom)(void *context, user_key key);
    bool (*cancelled)(void *context);
    void *context;
    rate_limiter *limiter;    /* may be NULL */
    rate_class class;         /* for the limiter */
    atomic_u64 *entries_done; /* counted up now and then for others to see; may be NULL */

    slice lower, upper; /* user keys from `lower` on, below `upper`; unset: all */

    const firn_compaction_filter *filter; /* NULL: none */
    range_drop *ranges;                   /* NULL: there are no range tombstones */

    uint64_t entries_read, entries_dropped; /* results */
} entry_writer;

/* Reads `in` from its first entry within the bounds to the last. */
FIRN_INTERNAL NODISCARD status entry_writer_run(entry_writer *w, iter *in);
#endif
