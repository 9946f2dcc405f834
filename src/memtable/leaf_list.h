/* memtable/leaf_list.h - entries in order, up to 64 to a leaf, by any number of writers.
 *
 * Purpose:    what costs in a sorted structure in memory is one cache miss after another on the way
 * down. Here that way leads over the leaves' anchors only, one for some 45 entries, which a core's
 * own cache can hold; behind it an insertion touches one line of the leaf.
 *
 * Shape:      an anchor is a node of a skip list (memtable/skiplist.h): the smallest key its leaf
 * may hold, and a word that names the leaf's page and how many of its slots are taken. The leaf
 * before all anchors has its word in the list itself. A page's slots are filled as entries come,
 * in no order; beside an entry's address stand 4 bytes of its key, by which most comparisons are
 * decided without touching the entry.
 *
 * Invariants: entries and anchors are never removed or moved. An anchor's range ends where the next
 * one begins, and only shrinks, from its upper end. An entry is in the page of the anchor whose
 * range has its key; for a moment also in a page that has been split, where whoever reads it
 * ignores what belongs to the next anchor.
 *
 * Threads:    leaf_list_add by many at once, lock-free: a split that another thread began is
 * finished by whoever meets it. Readers at any time beside them: acquire loads alone, no
 * compare-and-swap, no retry, for what they have passed stays passed.
 *
 * Lifetime:   keeps the arena, in which everything lives and dies.
 *
 * Cost:       adding is O(log(n / 45)) expected, amortised O(1) for ascending series (per writer);
 * the first run out of a leaf takes up to 64 * 64 comparisons of ranks, four to an instruction;
 * runs touch the entries they give. */
#ifndef FIRN_MEMTABLE_LEAF_LIST_H
#define FIRN_MEMTABLE_LEAF_LIST_H

#include "memtable/anchor_index.h"
#include "memtable/memtable_entry.h"
#include "memtable/skiplist.h"

enum { LEAF_SLOTS = 64, LEAF_HINTS = 8 };

typedef struct leaf_hint {
    /* An anchor in whose range the next key of an ascending series belongs, or NULL. Nothing but a
     * place to look first. */
    _Alignas(CACHE_LINE_BYTES) atomic_ptr anchor;
} leaf_hint;

typedef struct leaf_list {
    key_order order;             /* set at birth */
    arena *arena;                /* set at birth */
    skiplist anchors;            /* each node's `owned` is its leaf's word */
    anchor_index index;          /* where among them to begin */
    atomic_u64 first;            /* the word of the leaf before all anchors */
    leaf_hint hints[LEAF_HINTS]; /* by thread number; writers only */
} leaf_list;

/* Keeps `memory`. There is no deinit. */
FIRN_INTERNAL void leaf_list_init(leaf_list *list, key_order order, arena *memory);

/* Where the search for a key's leaf begins. */
typedef struct leaf_approach {
    const skiplist_node *near; /* an anchor before the key; NULL: none is known */
    uint64_t head;             /* of the key among the anchors, if one is */
} leaf_approach;
/* Advice in two steps, so that the waiting for one addition goes on beside the work for others: the
 * first gives an anchor to add from, fetched, the second fetches its slot. */
FIRN_INTERNAL leaf_approach leaf_list_approach(const leaf_list *list, user_key key);
FIRN_INTERNAL void leaf_list_fetch_slot(const leaf_list *list, const skiplist_node *near);

/* Adds a complete entry whose internal key is not there yet, from where its user key was approached
 * at any time before. `sole` (base/sole.h): nobody else adds. False when memory is short: nothing
 * has happened. */
FIRN_INTERNAL NODISCARD bool leaf_list_add(leaf_list *list, const memtable_entry *entry,
                                           leaf_approach from, bool sole);

/* Entries of one page, ascending as far as their ranks (memtable/leaf_page.h) tell. */
typedef struct leaf_slots {
    uint32_t count;
    uint32_t ranks[LEAF_SLOTS];
    const memtable_entry *entries[LEAF_SLOTS];
} leaf_slots;

/* Neighbouring entries of one leaf, ascending, and what the leaf had beyond them when it was read.
 */
typedef struct leaf_run {
    const skiplist_node *anchor; /* of the leaf they are from; NULL: the first */
    uint32_t count;              /* 0: there are none */
    const memtable_entry *entries[LEAF_SLOTS];
    /* Not given out yet: of `rest`, from `begin` up to `end`. */
    uint32_t begin, end;
    slice prefix; /* of the leaf's ranks */
    leaf_slots rest;
} leaf_run;

/* `near` is an anchor before the bound, such as that of the run before; NULL if none is known. */
typedef struct leaf_query {
    internal_key bound;
    const skiplist_node *near;
    uint32_t limit;
    bool inclusive;
} leaf_query;
/* The first `limit` or fewer, of one leaf, that are >= `bound`, or > `bound` unless `inclusive`;
 * from the beginning when bound.s.data is NULL. */
FIRN_INTERNAL void leaf_list_forward(const leaf_list *list, const leaf_query *query, leaf_run *run);
/* The last `limit` or fewer, of one leaf, that are < `bound`; of all when bound.s.data is NULL. */
FIRN_INTERNAL void leaf_list_backward(const leaf_list *list, const leaf_query *query,
                                      leaf_run *run);
/* The next ones out of the rest of a run that leaf_list_forward() began, or leaf_list_backward().
 * None (count 0): ask the list again, from the last entry given. */
FIRN_INTERNAL void leaf_run_first(const leaf_list *list, leaf_run *run, uint32_t limit);
FIRN_INTERNAL void leaf_run_last(const leaf_list *list, leaf_run *run, uint32_t limit);
/* The first entry >= target; NULL: none. */
FIRN_INTERNAL const memtable_entry *leaf_list_seek(const leaf_list *list, internal_key target);
#endif
