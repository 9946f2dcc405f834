/* table/table_cache.h - open tables, bounded by descriptors and by memory.
 *
 * Purpose:    a reader reaches an open table with one load. Whoever describes a table (table_meta)
 *             has a table_slot for it, which leads to the table while that is open.
 * Invariants: a slot leads to a table only while the cache holds the table. When it is closed its
 *             slots are emptied first, and the cache's reference is dropped once no reader inside
 *             the epoch can still use it. Tables that nobody asked for since the hand last came by
 *             are closed first (second chance).
 * Threads:    safe. table_slot_peek inside the epoch; all others outside of it.
 * Lifetime:   table_cache_free when no table is in use; its slots are closed before. What it closed
 *             last may still wait in the epoch. */
#ifndef FIRN_TABLE_TABLE_CACHE_H
#define FIRN_TABLE_TABLE_CACHE_H

#include "base/atomic.h"
#include "table/table.h"
#include "util/epoch.h"

typedef struct table_cache table_cache;

/* What was opened stays open until it is forgotten. */
#define TABLE_CACHE_KEEPS_ALL UINT64_MAX

typedef struct table_cache_args {
    const firn_vfs *vfs;
    const char *directory; /* borrowed for the cache's life */
    cache *blocks;         /* may be NULL */
    memory_budget *memory; /* kept; may be NULL: what open tables hold is charged to it */
    epoch *readers;        /* kept: who peeks is inside */
    uint64_t tables_max;   /* or TABLE_CACHE_KEEPS_ALL */
    uint64_t memory_max;   /* for indexes and filters; 0: no limit */
    bool is_mapped;        /* tables are opened mapped; table_cache_set_mapped changes it */
    bool verifies_reads;   /* as in table_open_args */
} table_cache_args;

FIRN_INTERNAL NODISCARD status table_cache_new(const table_cache_args *args, table_cache **out);
FIRN_INTERNAL void table_cache_free(table_cache *c);

typedef struct table_locator {
    uint64_t number;
    uint64_t file_bytes;
    uint8_t identity[16];
} table_locator;

/* Leads to a table while that is open. {0}: to none. */
typedef struct table_slot {
    atomic_ptr open;         /* table *; NULL: not open */
    atomic_u32 recent;       /* used since the hand came by */
    table_cache *owner;      /* set once, by whoever fills it first; then guarded by its mutex */
    struct table_slot *next; /* other slots of the same table */
} table_slot;

FIRN_INTERNAL void table_slot_init(table_slot *slot);
/* Before the slot's memory goes, and as soon as nobody can ask for its table. */
FIRN_INTERNAL void table_slot_close(table_slot *slot);

/* Inside the epoch: the table if it is open, valid until the epoch is left. */
static inline table *table_slot_peek(table_slot *slot) {
    /* seq_cst, as epochs want it: pairs with the store in table_cache_empty_slots_locked. */
    table *t = atomic_ptr_load(&slot->open, memory_order_seq_cst);
    /* relaxed: a hint. It is written only when it changes, so that readers share the line. */
    if (LIKELY(t != NULL) && UNLIKELY(!atomic_u32_load(&slot->recent, memory_order_relaxed)))
        atomic_u32_store(&slot->recent, 1, memory_order_relaxed);
    return t;
}

/* Outside the epoch: an open table with a reference for the caller: table_unref it. Fills `slot`.
 */
FIRN_INTERNAL NODISCARD status table_cache_get(table_cache *c, const table_locator *where,
                                               table_slot *slot, key_order order, table **out);
/* The same if it is open, without opening it; NULL: it is not. */
FIRN_INTERNAL table *table_cache_get_open(table_cache *c, table_slot *slot);
/* The file is about to be deleted: closes it when its last user goes. */
FIRN_INTERNAL void table_cache_forget(table_cache *c, const table_locator *where);

/* How tables are opened from now on; those that are open the other way are closed. */
FIRN_INTERNAL void table_cache_set_mapped(table_cache *c, bool is_mapped);
FIRN_INTERNAL bool table_cache_is_mapped(const table_cache *c);

typedef struct table_cache_stats {
    uint64_t tables, memory_bytes; /* open ones; their indexes and filters */
    uint64_t opened, closed;       /* since the cache was made */
} table_cache_stats;
FIRN_INTERNAL void table_cache_get_stats(table_cache *c, table_cache_stats *out);
#endif
