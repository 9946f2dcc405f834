/* compaction/level_iter.h - iterators over the tables of a version, for reads and for compactions.
 *
 * Threads:  none.
 * Lifetime: each iterator holds references on the version and the tables it uses. */
#ifndef FIRN_COMPACTION_LEVEL_ITER_H
#define FIRN_COMPACTION_LEVEL_ITER_H

#include "iter/iter.h"
#include "table/table_cache.h"
#include "version/version.h"

typedef struct level_iter_args {
    table_cache *tables;
    key_order order;
    version *version; /* kept alive for the iterator's life */
    table_read_args read;
} level_iter_args;

/* One table. */
FIRN_INTERNAL NODISCARD status level_iter_new_table(const level_iter_args *args, table_meta *meta,
                                                    iter **out);
/* Tables whose ranges ascend without overlap; the array must live as long as the version. */
FIRN_INTERNAL NODISCARD status level_iter_new_sorted(const level_iter_args *args,
                                                     table_meta *const *metas, size_t count,
                                                     iter **out);
#endif
