/* memtable/memtable_internal.h - what memtable_iter.c sees of a memtable. */
#ifndef FIRN_MEMTABLE_MEMTABLE_INTERNAL_H
#define FIRN_MEMTABLE_MEMTABLE_INTERNAL_H

#include "memtable/leaf_list.h"
#include "memtable/memtable.h"

/* Lives as long as the memtable. */
FIRN_INTERNAL const leaf_list *memtable_list(const memtable *m);

#endif
