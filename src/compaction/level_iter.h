/* compaction/level_iter.h - iterators over the tables of a version, for reads and for compactions.
 *
 * Purpose:    tables whose ranges ascend and do not overlap, one after the other; one of them is
 *             open at a time, and only once something is wanted of it.
 * Invariants: as in iter/iter.h. {0} is attached to nothing.
 * Threads:    none.
 * Lifetime:   level_iter_new_* hold references on the version and the table in use; one that is
 *             attached borrows the version and the bounds. */
#ifndef FIRN_COMPACTION_LEVEL_ITER_H
#define FIRN_COMPACTION_LEVEL_ITER_H

#include "iter/mask_iter.h"
#include "table/table_cache.h"
#include "table/table_iter.h"
#include "version/version.h"

typedef struct level_iter_args {
    table_cache *tables;
    key_order order;
    version *version; /* kept alive for the iterator's life */
    table_read_args read;
    const range_fragments *mask; /* NULL: none; see iter/mask_iter.h. Kept */
    /* NULL, or whether nothing of a table is wanted: then it is not even opened. */
    bool (*skip)(void *context, const table_meta *meta);
    void *skip_context;
} level_iter_args;

typedef struct level_iter {
    iter base;
    level_iter_args args;
    table_meta *const *metas;
    size_t count;
    size_t position;   /* of the table in use */
    bool is_ruled_out; /* the table in use has no key with the prefix that is wanted */
    bool announced;
    size_t sought; /* the table an announced seek will use */
    bool owned;    /* made by level_iter_new_sorted: holds a reference on the version */
    table_iter current;
} level_iter;

/* Makes it an unpositioned iterator over `count` tables; the array must live as long as the
 * version. It must be attached to nothing. */
FIRN_INTERNAL void level_iter_attach(level_iter *it, const level_iter_args *args,
                                     table_meta *const *metas, size_t count);
/* Lets go of the table in use; the memory blocks are decoded into stays. Twice is fine. */
FIRN_INTERNAL void level_iter_detach(level_iter *it);
FIRN_INTERNAL void level_iter_deinit(level_iter *it);

/* One table. */
FIRN_INTERNAL NODISCARD status level_iter_new_table(const level_iter_args *args, table_meta *meta,
                                                    iter **out);
/* Tables whose ranges ascend without overlap; the array must live as long as the version. */
FIRN_INTERNAL NODISCARD status level_iter_new_sorted(const level_iter_args *args,
                                                     table_meta *const *metas, size_t count,
                                                     iter **out);
#endif
