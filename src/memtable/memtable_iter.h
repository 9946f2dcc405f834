/* memtable/memtable_iter.h - the iterator over a memtable as a value, for who has a place for it.
 *
 * Invariants: as in iter/iter.h. {0} is attached to nothing and may only be attached.
 * Threads:    none.
 * Lifetime:   borrows the memtable from memtable_iter_attach on; there is nothing to free. */
#ifndef FIRN_MEMTABLE_MEMTABLE_ITER_H
#define FIRN_MEMTABLE_MEMTABLE_ITER_H

#include "memtable/leaf_list.h"
#include "memtable/memtable.h"

typedef struct memtable_iter {
    iter base;
    memtable *table; /* one reference, if it was made by memtable_iter_new */
    const leaf_list *list;
    leaf_run run;
    bool backwards; /* the run was read from its end */
    uint32_t pace;  /* grows from run to run, 0 after a seek */
    iter_entry entries[LEAF_SLOTS];
} memtable_iter;

/* Makes it an iterator over `m`, unpositioned. Entries added later may or may not appear. */
FIRN_INTERNAL void memtable_iter_attach(memtable_iter *it, memtable *m);
#endif
