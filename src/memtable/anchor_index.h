/* memtable/anchor_index.h - a sorted array of anchors' heads: where in the list of anchors a search
 * begins.
 *
 * Purpose:    a way down through the anchors' skip list leads over some 25 nodes, each a line of
 * its own and a comparison the processor cannot guess. The same heads side by side in one array are
 * searched without a branch, in memory that a core's own cache holds.
 *
 * Invariants: it is advice. Each entry is an anchor of the list, and entries ascend; but anchors
 * added lately may be missing. So what it answers is a place not behind the one looked for, and the
 * list is what tells the truth.
 *
 * Threads:    anchor_index_note by many; one at a time writes, the others pass by.
 * anchor_index_find beside them, by acquire loads alone.
 *
 * Lifetime:   arrays live in the list's arena. A new one is made when a quarter of the anchors is
 * missing, so all of them together take about five times the last one: 2 bytes for an entry of the
 * leaves. */
#ifndef FIRN_MEMTABLE_ANCHOR_INDEX_H
#define FIRN_MEMTABLE_ANCHOR_INDEX_H

#include "memtable/skiplist.h"

typedef struct anchor_index {
    atomic_ptr table;   /* anchor_table, or NULL: none yet; stored by who is `busy` */
    atomic_u32 busy;    /* 1 while somebody writes */
    atomic_u32 anchors; /* in the list, about */
} anchor_index;

FIRN_INTERNAL void anchor_index_init(anchor_index *index);
/* An anchor has been linked into the list. */
FIRN_INTERNAL void anchor_index_note(anchor_index *index, const skiplist *anchors,
                                     const skiplist_node *anchor);
/* An anchor before all keys with that head, as a rule the last but a few; NULL stands for the
 * beginning of the list. False: nothing is known. */
FIRN_INTERNAL bool anchor_index_find(const anchor_index *index, uint64_t head,
                                     const skiplist_node **near);

#endif
