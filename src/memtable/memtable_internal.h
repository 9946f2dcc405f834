/* memtable/memtable_internal.h - what memtable_iter.c sees of a memtable. */
#ifndef FIRN_MEMTABLE_MEMTABLE_INTERNAL_H
#define FIRN_MEMTABLE_MEMTABLE_INTERNAL_H

#include "memtable/memtable.h"
#include "memtable/skiplist.h"

/* Lives as long as the memtable. */
FIRN_INTERNAL const skiplist *memtable_list(const memtable *m);

#endif
