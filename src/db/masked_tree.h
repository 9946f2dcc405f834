/* db/masked_tree.h - the sources of a view that has range deletes, merged, each behind the mask of
 * what its reader sees of them.
 *
 * Purpose:  what db/read_tree.h is to views without range deletes, which is nearly all: those are
 *           told apart by a look at each memtable and one flag.
 * Threads:  none.
 * Lifetime: {0} is empty. Borrows the view while it is attached. */
#ifndef FIRN_DB_MASKED_TREE_H
#define FIRN_DB_MASKED_TREE_H

#include "compaction/range_gather.h"
#include "db/read_tree.h"

typedef struct masked_tree {
    iter *merged;  /* NULL: attached to nothing */
    iter *merging; /* below `merged`, or itself; owned */
    range_gather ranges;
    range_fragments *mask; /* NULL: the reader sees no range delete */
    memory_budget *budget; /* may be NULL */
    uint64_t charged;      /* to it, for mask and sources */
} masked_tree;

FIRN_INTERNAL bool masked_tree_is_needed(const read_view *view);
/* Unpositioned sources of the view. On failure the tree is empty. */
FIRN_INTERNAL NODISCARD status masked_tree_attach(masked_tree *tree, const read_tree_args *args);
FIRN_INTERNAL void masked_tree_detach(masked_tree *tree); /* twice is fine */
#endif
