#include "table/table_cache.h"

#include <errno.h>

#include "format/file_name.h"
#include "platform/error_detail.h"
#include "platform/memory.h"
#include "platform/thread.h"
#include "table/table_internal.h"
#include "util/coding.h"

#include "base/poison.h"

enum {
    TABLE_CACHE_BUCKETS_MIN = 64,
    /* Short of descriptors: tables are closed and opening is tried again, with pauses in which
     * readers leave the epoch and give descriptors back. */
    TABLE_CACHE_OPEN_TRIES = 10,
    TABLE_CACHE_OPEN_PAUSE_NS = 1000000
};

struct table_cache {
    table_cache_args args;

    mutex guard;
    table **buckets; /* by identity and number, chained through cached.chain */
    uint64_t bucket_count;
    table *oldest, *newest; /* in the order in which the hand comes by */
    table_cache_stats stats;
    atomic_u32 is_mapped; /* changed under the mutex */
};

FIRN_INTERNAL status table_cache_new(const table_cache_args *args, table_cache **out) {
    *out = NULL;
    table_cache *c = memory_new_zeroed(sizeof *c);
    if (!c)
        return error_status(FIRN_NO_MEMORY, "no memory for the cache of open tables");
    c->args = *args;
    atomic_u32_init(&c->is_mapped, args->is_mapped);
    c->bucket_count = TABLE_CACHE_BUCKETS_MIN;
    c->buckets = memory_new_zeroed(c->bucket_count * sizeof *c->buckets);
    if (!c->buckets) {
        memory_free(c);
        return error_status(FIRN_NO_MEMORY, "no memory for the cache of open tables");
    }
    mutex_init(&c->guard);
    *out = c;
    return STATUS_OK;
}

/* --- what is open; the mutex is held --- */

/* Identities are random; the number tells apart what tests give the same one. */
static table **table_cache_bucket_locked(table_cache *c, const uint8_t identity[16],
                                         uint64_t number) {
    mutex_assert_held(&c->guard);
    uint64_t hash = (decode_fixed64(identity) ^ number) * 0x9e3779b97f4a7c15u;
    return &c->buckets[hash >> 32 & (c->bucket_count - 1)];
}

static table *table_cache_find_locked(table_cache *c, const table_locator *where) {
    table *t = *table_cache_bucket_locked(c, where->identity, where->number);
    while (t && (t->cached.number != where->number ||
                 memcmp(t->source.identity, where->identity, sizeof where->identity) != 0))
        t = t->cached.chain;
    return t;
}

/* Without memory for more buckets the chains just grow longer. */
static void table_cache_grow_locked(table_cache *c) {
    mutex_assert_held(&c->guard);
    uint64_t count = c->bucket_count * 2;
    table **buckets = memory_new_zeroed(count * sizeof *buckets);
    if (!buckets)
        return;
    memory_free(c->buckets);
    c->buckets = buckets;
    c->bucket_count = count;
    for (table *t = c->oldest; t; t = t->cached.newer) {
        table **bucket = table_cache_bucket_locked(c, t->source.identity, t->cached.number);
        t->cached.chain = *bucket;
        *bucket = t;
    }
}

static void table_cache_link_newest_locked(table_cache *c, table *t) {
    mutex_assert_held(&c->guard);
    t->cached.newer = NULL;
    t->cached.older = c->newest;
    if (c->newest)
        c->newest->cached.newer = t;
    else
        c->oldest = t;
    c->newest = t;
}

static void table_cache_unlink_locked(table_cache *c, table *t) {
    mutex_assert_held(&c->guard);
    if (t->cached.newer)
        t->cached.newer->cached.older = t->cached.older;
    else
        c->newest = t->cached.older;
    if (t->cached.older)
        t->cached.older->cached.newer = t->cached.newer;
    else
        c->oldest = t->cached.newer;
}

/* From here on no reader comes upon the table; those that have it are inside the epoch. */
static void table_cache_empty_slots_locked(table_cache *c, table *t) {
    mutex_assert_held(&c->guard);
    while (t->cached.slots) {
        table_slot *slot = t->cached.slots;
        t->cached.slots = slot->next;
        slot->next = NULL;
        /* seq_cst, as epochs want it: pairs with the load in table_slot_peek. */
        atomic_ptr_store(&slot->open, NULL, memory_order_seq_cst);
    }
}

/* Takes the table out of the cache; it joins `closed`, chained. */
static void table_cache_close_locked(table_cache *c, table *t, table **closed) {
    mutex_assert_held(&c->guard);
    table **at = table_cache_bucket_locked(c, t->source.identity, t->cached.number);
    while (*at != t)
        at = &(*at)->cached.chain;
    *at = t->cached.chain;
    table_cache_unlink_locked(c, t);
    table_cache_empty_slots_locked(c, t);
    c->stats.tables--;
    c->stats.closed++;
    c->stats.memory_bytes -= table_memory_bytes(t);
    t->cached.chain = *closed;
    *closed = t;
}

/* Whether a reader asked for the table since this was called last. */
static bool table_cache_take_recent(table *t) {
    bool recent = false;
    for (table_slot *slot = t->cached.slots; slot; slot = slot->next) {
        /* relaxed: a hint; pairs with the store in table_slot_peek. */
        if (atomic_u32_load(&slot->recent, memory_order_relaxed)) {
            atomic_u32_store(&slot->recent, 0, memory_order_relaxed);
            recent = true;
        }
    }
    return recent;
}

/* Closes all but `keep` tables, and more until indexes and filters fit; who was used since the hand
 * last came by stays for another round. The newest one always stays. */
static void table_cache_evict_locked(table_cache *c, uint64_t keep, table **closed) {
    mutex_assert_held(&c->guard);
    uint64_t memory_max = c->args.memory_max ? c->args.memory_max : UINT64_MAX;
    uint64_t spared = 0, spared_max = c->stats.tables;
    if (c->args.tables_max == TABLE_CACHE_KEEPS_ALL)
        return;
    while (c->oldest != c->newest &&
           (c->stats.tables > keep || c->stats.memory_bytes > memory_max)) {
        table *t = c->oldest;
        if (spared < spared_max && table_cache_take_recent(t)) {
            spared++;
            table_cache_unlink_locked(c, t);
            table_cache_link_newest_locked(c, t);
        } else {
            table_cache_close_locked(c, t, closed);
        }
    }
}

static void table_cache_fill_slot_locked(table_cache *c, table_slot *slot, table *t) {
    mutex_assert_held(&c->guard);
    /* relaxed: slots are filled and emptied under the mutex only. */
    if (!slot || atomic_ptr_load(&slot->open, memory_order_relaxed))
        return;
    slot->owner = c;
    slot->next = t->cached.slots;
    t->cached.slots = slot;
    /* relaxed: a hint, as in table_slot_peek. */
    atomic_u32_store(&slot->recent, 1, memory_order_relaxed);
    /* seq_cst: pairs with the load in table_slot_peek; who sees the table sees it open. */
    atomic_ptr_store(&slot->open, t, memory_order_seq_cst);
}

/* --- closing; no lock is held --- */

static void table_cache_reclaim(epoch_item *item) {
    table_unref((table *)item);
}

/* Readers inside the epoch may still use the tables: the cache's references wait for them. */
static void table_cache_retire(table_cache *c, table *closed) {
    while (closed) {
        table *next = closed->cached.chain;
        epoch_retire(c->args.readers, &closed->retirement, table_cache_reclaim);
        closed = next;
    }
}

FIRN_INTERNAL void table_slot_init(table_slot *slot) {
    atomic_ptr_init(&slot->open, NULL);
    atomic_u32_init(&slot->recent, 0);
    slot->owner = NULL;
    slot->next = NULL;
}

FIRN_INTERNAL void table_slot_close(table_slot *slot) {
    table_cache *c = slot->owner;
    if (!c)
        return;
    mutex_lock(&c->guard);
    /* relaxed: slots are filled and emptied under the mutex only. */
    table *t = atomic_ptr_load(&slot->open, memory_order_relaxed);
    if (t) {
        table_slot **at = &t->cached.slots;
        while (*at != slot)
            at = &(*at)->next;
        *at = slot->next;
        slot->next = NULL;
        /* seq_cst, as in table_cache_empty_slots_locked. */
        atomic_ptr_store(&slot->open, NULL, memory_order_seq_cst);
    }
    mutex_unlock(&c->guard);
}

FIRN_INTERNAL void table_cache_forget(table_cache *c, const table_locator *where) {
    table *closed = NULL;
    mutex_lock(&c->guard);
    table *t = table_cache_find_locked(c, where);
    if (t)
        table_cache_close_locked(c, t, &closed);
    mutex_unlock(&c->guard);
    table_cache_retire(c, closed);
}

FIRN_INTERNAL bool table_cache_is_mapped(const table_cache *c) {
    /* relaxed: either way is right for who opens a table meanwhile. */
    return atomic_u32_load(&c->is_mapped, memory_order_relaxed) != 0;
}

FIRN_INTERNAL void table_cache_set_mapped(table_cache *c, bool is_mapped) {
    table *closed = NULL;
    mutex_lock(&c->guard);
    if (table_cache_is_mapped(c) != is_mapped) {
        /* relaxed: as in table_cache_is_mapped. */
        atomic_u32_store(&c->is_mapped, is_mapped, memory_order_relaxed);
        bool closes = c->args.tables_max != TABLE_CACHE_KEEPS_ALL;
        for (table *t = c->oldest, *next; t && closes; t = next) {
            next = t->cached.newer;
            if (table_is_mapped(t) != is_mapped)
                table_cache_close_locked(c, t, &closed);
        }
    }
    mutex_unlock(&c->guard);
    table_cache_retire(c, closed);
}

FIRN_INTERNAL void table_cache_free(table_cache *c) {
    if (!c)
        return;
    /* What waits in the epoch may have slots that lead here. */
    epoch_collect(c->args.readers);
    table *closed = NULL;
    mutex_lock(&c->guard);
    while (c->oldest)
        table_cache_close_locked(c, c->oldest, &closed);
    mutex_unlock(&c->guard);
    table_cache_retire(c, closed);
    mutex_deinit(&c->guard);
    memory_free(c->buckets);
    memory_free(c);
}

/* --- opening --- */

/* What a partitioned index may take to be held as a whole. Half of the memory for indexes and
 * filters is kept for tables opened later, which then read their index by partitions. */
static uint64_t table_cache_index_room(table_cache *c) {
    uint64_t most = c->args.memory_max / 2;
    if (most == 0)
        return UINT64_MAX;
    mutex_lock(&c->guard);
    uint64_t used = c->stats.memory_bytes;
    mutex_unlock(&c->guard);
    return used < most ? most - used : 0;
}

static status table_cache_try_open(table_cache *c, const table_locator *where, key_order order,
                                   table **out) {
    char path[FILE_PATH_BYTES];
    table_open_args args = {
        .vfs = c->args.vfs,
        .path = file_path(path, c->args.directory, FILE_TABLE, where->number),
        .order = order,
        .blocks = c->args.blocks,
        .memory = c->args.memory,
        .expected_bytes = where->file_bytes,
        .expected_identity = where->identity,
        .index_memory_max = table_cache_index_room(c),
        .is_mapped = table_cache_is_mapped(c),
        .verifies_reads = c->args.verifies_reads,
    };
    status st = table_open(&args, out);
    /* Must not be taken for the absence of a key. */
    if (UNLIKELY(status_is(st, FIRN_NOT_FOUND)))
        return error_status(FIRN_CORRUPTION,
                            "%s: missing, but the manifest lists it; run 'firn verify'", path);
    return st;
}

/* Closes half of all tables, to get descriptors back. */
static void table_cache_make_room(table_cache *c) {
    table *closed = NULL;
    mutex_lock(&c->guard);
    table_cache_evict_locked(c, c->stats.tables / 2, &closed);
    mutex_unlock(&c->guard);
    table_cache_retire(c, closed);
    epoch_collect(c->args.readers);
}

/* Opens the table outside any lock. When the process is out of descriptors, other tables give
 * theirs. */
static status table_cache_open(table_cache *c, const table_locator *where, key_order order,
                               table **out) {
    status st = table_cache_try_open(c, where, order, out);
    for (int attempt = 1; attempt < TABLE_CACHE_OPEN_TRIES; attempt++) {
        if (LIKELY(st.os_errno != EMFILE && st.os_errno != ENFILE))
            break;
        table_cache_make_room(c);
        st = table_cache_try_open(c, where, order, out);
        if (!status_is_ok(st))
            thread_sleep_ns(TABLE_CACHE_OPEN_PAUSE_NS);
    }
    return st;
}

/* Takes the table's one reference for the cache, unless somebody else opened the same one
 * meanwhile: then that one takes its place. The caller gets a reference of its own. */
static table *table_cache_add(table_cache *c, const table_locator *where, table_slot *slot,
                              table *opened) {
    table *closed = NULL;
    mutex_lock(&c->guard);
    table *t = table_cache_find_locked(c, where);
    if (!t) {
        t = opened;
        opened = NULL;
        t->cached.number = where->number;
        if (c->stats.tables >= c->bucket_count)
            table_cache_grow_locked(c);
        table **bucket = table_cache_bucket_locked(c, where->identity, where->number);
        t->cached.chain = *bucket;
        *bucket = t;
        table_cache_link_newest_locked(c, t);
        c->stats.tables++;
        c->stats.opened++;
        c->stats.memory_bytes += table_memory_bytes(t);
    }
    table_ref(t);
    table_cache_fill_slot_locked(c, slot, t);
    table_cache_evict_locked(c, c->args.tables_max, &closed);
    mutex_unlock(&c->guard);
    table_unref(opened);
    table_cache_retire(c, closed);
    return t;
}

FIRN_INTERNAL table *table_cache_get_open(table_cache *c, table_slot *slot) {
    uint64_t inside = epoch_enter(c->args.readers);
    table *t = table_slot_peek(slot);
    if (LIKELY(t != NULL))
        table_ref(t);
    epoch_leave(c->args.readers, inside);
    return t;
}

/* A table that is open, for a slot that does not lead there yet. */
static table *table_cache_lookup(table_cache *c, const table_locator *where, table_slot *slot) {
    mutex_lock(&c->guard);
    table *t = table_cache_find_locked(c, where);
    if (t) {
        table_ref(t);
        table_cache_fill_slot_locked(c, slot, t);
    }
    mutex_unlock(&c->guard);
    return t;
}

FIRN_INTERNAL status table_cache_get(table_cache *c, const table_locator *where, table_slot *slot,
                                     key_order order, table **out) {
    *out = slot ? table_cache_get_open(c, slot) : NULL;
    if (LIKELY(*out != NULL))
        return STATUS_OK;
    *out = table_cache_lookup(c, where, slot);
    if (*out)
        return STATUS_OK;
    table *opened;
    status st = table_cache_open(c, where, order, &opened);
    if (status_is_ok(st))
        *out = table_cache_add(c, where, slot, opened);
    return st;
}

FIRN_INTERNAL void table_cache_get_stats(table_cache *c, table_cache_stats *out) {
    mutex_lock(&c->guard);
    *out = c->stats;
    mutex_unlock(&c->guard);
}
