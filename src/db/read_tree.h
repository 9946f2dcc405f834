/* db/read_tree.h - all sources of a view, merged, in one piece of memory that is used again.
 *
 * Purpose:    an iterator over a view has one source for each memtable, each table of L0 and each
 *             level. Making them anew for each of many short scans costs more than the scans. A
 *             tree is attached to one view after the other; its memory, and what its sources decode
 *             blocks into, stays.
 * Invariants: tables are opened when something is wanted of them, not when the tree is attached.
 *             Sources that cannot have entries within the bounds are left out.
 * Threads:    none.
 * Lifetime:   {0} is empty. Borrows view and bounds while it is attached. */
#ifndef FIRN_DB_READ_TREE_H
#define FIRN_DB_READ_TREE_H

#include "compaction/level_iter.h"
#include "memtable/memtable_iter.h"
#include "version/read_view.h"

typedef struct read_tree {
    iter *merged;  /* NULL: attached to nothing */
    iter *merging; /* below `merged`; NULL: there is one source */
    uint32_t memtable_count, level_count;
    uint32_t memtable_room, level_room; /* how many of each there is memory for */
    void *memory;                       /* all below in one piece */
    memtable_iter *memtables;
    level_iter *levels;
    iter **children;
    void *merge;
    memory_budget *budget; /* that `memory` is charged to; may be NULL */
    uint64_t charged;
} read_tree;

typedef struct read_tree_args {
    const read_view *view;
    table_cache *tables;
    memory_budget *memory; /* may be NULL; always the same for one tree */
    table_read_args read;
    seqno sequence; /* what the reader sees; loaded after the view */
} read_tree_args;

/* Unpositioned sources of the view. The tree must be attached to nothing. */
FIRN_INTERNAL NODISCARD status read_tree_attach(read_tree *tree, const read_tree_args *args);
/* How many versions the reader does not see were left out since this was asked last. */
FIRN_INTERNAL uint64_t read_tree_take_hidden(read_tree *tree);
/* Lets go of tables and blocks. Twice is fine. */
FIRN_INTERNAL void read_tree_detach(read_tree *tree);
FIRN_INTERNAL void read_tree_deinit(read_tree *tree);
/* What it keeps when it is detached. */
FIRN_INTERNAL uint64_t read_tree_memory_bytes(const read_tree *tree);
#endif
