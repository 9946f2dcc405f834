/* compaction/range_gather.h - the range tombstones of memtables and tables, for a scan or a
 * compaction.
 *
 * Lifetime: keeps the tables open that it read from; the memtables are the caller's to keep. */
#ifndef FIRN_COMPACTION_RANGE_GATHER_H
#define FIRN_COMPACTION_RANGE_GATHER_H

#include "format/range_tombstone.h"
#include "memtable/memtable.h"
#include "table/table_cache.h"
#include "version/version.h"

typedef struct range_gather {
    range_list list; /* keys lie in the tables held and in the memtables */
    table **held;
    uint32_t held_count;
} range_gather;

FIRN_INTERNAL void range_gather_memtable(range_gather *g, const memtable *m);
/* Opens only tables that have range tombstones. */
FIRN_INTERNAL NODISCARD status range_gather_tables(range_gather *g, table_cache *tables,
                                                   key_order order, table_meta *const *metas,
                                                   uint32_t count);
/* All levels; nothing to do, and nothing looked at, where the version has none. */
FIRN_INTERNAL NODISCARD status range_gather_version(range_gather *g, table_cache *tables,
                                                    const version *v);
FIRN_INTERNAL void range_gather_deinit(range_gather *g);
#endif
