/* Entries reach readers by two ways: into a slot, where a swap puts the newer version before the
 * one that was there, or into the chain of older versions, when writers of one key overtake each
 * other. Either way the entry's own link is set before anything leads to the entry, and links only
 * ever get entries inserted behind them. So a reader on a chain is at most late. */
#include "memtable/key_index.h"

#include "base/check.h"
#include "base/sole.h"

#include "base/poison.h"

enum {
    KEY_INDEX_TAG_SHIFT = 48,
    KEY_INDEX_BUCKET_SLOTS = 8,
    KEY_INDEX_SLOTS_MIN = 64,
    KEY_INDEX_ENTRY_OVERHEAD = 32 /* bytes an entry takes beside key and value, about */
};

typedef struct key_index_bucket {
    atomic_u64 slots[KEY_INDEX_BUCKET_SLOTS];
} key_index_bucket;

typedef struct key_index_table {
    uint64_t mask;             /* buckets - 1 */
    atomic_ptr next;           /* key_index_table, or NULL */
    key_index_bucket *buckets; /* at a multiple of a cache line */
} key_index_table;

FIRN_INTERNAL void key_index_init(key_index *index, uint64_t capacity_bytes, arena *memory) {
    index->arena = memory;
    index->capacity_bytes = capacity_bytes;
    atomic_ptr_init(&index->tables, NULL);
    atomic_flag32_store(&index->partial, false, memory_order_relaxed); /* relaxed: still private */
    mutex_init(&index->growing);
}

FIRN_INTERNAL void key_index_deinit(key_index *index) {
    mutex_deinit(&index->growing);
}

static inline key_index_bucket *key_index_bucket_of(const key_index_table *table, uint64_t hash) {
    return &table->buckets[hash & table->mask];
}

static inline uint64_t key_index_tag(uint64_t hash) {
    return hash >> KEY_INDEX_TAG_SHIFT << KEY_INDEX_TAG_SHIFT;
}

static inline uint64_t key_index_slot(const memtable_entry *entry, uint64_t hash) {
    uint64_t address = (uint64_t)(uintptr_t)entry;
    CHECK(address >> KEY_INDEX_TAG_SHIFT == 0);
    return address | key_index_tag(hash);
}

static inline memtable_entry *key_index_slot_entry(uint64_t slot) {
    return (memtable_entry *)(uintptr_t)(slot & (((uint64_t)1 << KEY_INDEX_TAG_SHIFT) - 1));
}

/* Whether a filled slot leads to versions of that key. */
static inline bool key_index_is_key(uint64_t slot, uint64_t hash, slice user) {
    return (slot ^ hash) >> KEY_INDEX_TAG_SHIFT == 0 &&
           slice_equal(memtable_entry_user(key_index_slot_entry(slot)), user);
}

static inline key_index_table *key_index_first(const key_index *index) {
    /* acquire: pairs with the release in key_index_add_table(). */
    return atomic_ptr_load(&index->tables, memory_order_acquire);
}

static inline key_index_table *key_index_next(const key_index_table *table) {
    /* acquire: as in key_index_first(). */
    return atomic_ptr_load(&table->next, memory_order_acquire);
}

FIRN_INTERNAL void key_index_prefetch(const key_index *index, uint64_t hash) {
    for (const key_index_table *table = key_index_first(index); table;
         table = key_index_next(table))
        __builtin_prefetch(key_index_bucket_of(table, hash), 1);
}

/* --- finding --- */

static key_index_answer key_index_version(const memtable_entry *entry, uint64_t trailer,
                                          const memtable_entry **out) {
    for (uint32_t i = 0; i < KEY_INDEX_VERSIONS; i++) {
        if (!entry)
            return KEY_INDEX_NONE;
        if (memtable_entry_trailer(entry) <= trailer) {
            *out = entry;
            return KEY_INDEX_FOUND;
        }
        /* acquire: pairs with the releases in key_index_add_version(). */
        entry = atomic_ptr_load(&entry->older, memory_order_acquire);
    }
    return KEY_INDEX_UNKNOWN;
}

FIRN_INTERNAL key_index_answer key_index_find(const key_index *index, uint64_t hash,
                                              internal_key target, const memtable_entry **out) {
    slice user = internal_key_user(target).s;
    *out = NULL;
    /* An entry that found no table may belong before, between or behind those that tables hold, so
     * from then on the index answers nothing. acquire: pairs with the release in key_index_add().
     */
    if (UNLIKELY(atomic_flag32_load(&index->partial, memory_order_acquire)))
        return KEY_INDEX_UNKNOWN;
    for (const key_index_table *table = key_index_first(index); table;
         table = key_index_next(table)) {
        const key_index_bucket *bucket = key_index_bucket_of(table, hash);
        for (uint32_t i = 0; i < KEY_INDEX_BUCKET_SLOTS; i++) {
            /* acquire: pairs with the releases in key_index_add_to_bucket() and
             * key_index_add_version(); the entry's bytes are there. */
            uint64_t slot = atomic_u64_load(&bucket->slots[i], memory_order_acquire);
            if (!slot)
                return KEY_INDEX_NONE;
            if (key_index_is_key(slot, hash, user))
                return key_index_version(key_index_slot_entry(slot), internal_key_trailer(target),
                                         out);
        }
    }
    return KEY_INDEX_NONE;
}

/* --- adding --- */

/* Behind `newer`, which is a newer version of the same key. */
static void key_index_add_older(memtable_entry *newer, memtable_entry *entry) {
    uint64_t trailer = memtable_entry_trailer(entry);
    for (;;) {
        /* acquire: pairs with the releases here; the next one's trailer is read. */
        void *next = atomic_ptr_load(&newer->older, memory_order_acquire);
        while (next && memtable_entry_trailer(next) > trailer) {
            newer = next;
            next = atomic_ptr_load(&newer->older, memory_order_acquire); /* acquire: as above */
        }
        /* relaxed: nobody reaches the entry before the swap. */
        atomic_ptr_store(&entry->older, next, memory_order_relaxed);
        /* release: pairs with the acquires above and in key_index_version(). */
        if (atomic_ptr_cas(&newer->older, &next, entry, memory_order_release))
            return;
    }
}

/* Into the chain of a slot that holds `found`, a version of the same key, or did a moment ago. */
static void key_index_add_version(atomic_u64 *slot, uint64_t found, uint64_t hash,
                                  memtable_entry *entry, bool sole) {
    for (;;) {
        memtable_entry *newest = key_index_slot_entry(found);
        if (memtable_entry_trailer(newest) > memtable_entry_trailer(entry)) {
            key_index_add_older(newest, entry);
            return;
        }
        /* relaxed: nobody reaches the entry before the swap. */
        atomic_ptr_store(&entry->older, newest, memory_order_relaxed);
        /* release: pairs with the acquires in key_index_find() and here, at failure. */
        if (sole_cas_u64(sole, slot, &found, key_index_slot(entry, hash), memory_order_release))
            return;
    }
}

/* False when the bucket is full of other keys. */
static bool key_index_add_to_bucket(key_index_bucket *bucket, uint64_t hash, memtable_entry *entry,
                                    bool sole) {
    for (uint32_t i = 0; i < KEY_INDEX_BUCKET_SLOTS; i++) {
        atomic_u64 *slot = &bucket->slots[i];
        /* acquire: pairs with the releases below; the entry's key is read. */
        uint64_t found = atomic_u64_load(slot, memory_order_acquire);
        /* release: pairs with the acquires in key_index_find() and here. */
        if (!found &&
            sole_cas_u64(sole, slot, &found, key_index_slot(entry, hash), memory_order_release))
            return true;
        /* Here `found` is what the slot holds, by the swap's own acquire if that has failed. */
        if (key_index_is_key(found, hash, memtable_entry_user(entry))) {
            key_index_add_version(slot, found, hash, entry, sole);
            return true;
        }
    }
    return false;
}

static uint64_t key_index_power_of_two(uint64_t at_least) {
    uint64_t power = KEY_INDEX_SLOTS_MIN;
    while (power < at_least)
        power *= 2;
    return power;
}

/* The first table is for as many entries of this one's size as the memtable will hold; the second a
 * quarter of it, for what finds its bucket full; should the entries turn out smaller, each further
 * one is four times the one before. */
static uint64_t key_index_slots_for(const key_index *index, const key_index_table *last,
                                    const memtable_entry *entry) {
    if (!last)
        return key_index_power_of_two(
            index->capacity_bytes /
            (KEY_INDEX_ENTRY_OVERHEAD + sizeof *entry + entry->key_bytes + entry->value_bytes));
    uint64_t slots = (last->mask + 1) * KEY_INDEX_BUCKET_SLOTS;
    return key_index_power_of_two(last == key_index_first(index) ? slots / 4 : slots * 4);
}

static key_index_table *key_index_table_new(key_index *index, uint64_t slots) {
    size_t bytes = (size_t)slots * sizeof(atomic_u64);
    key_index_table *table = arena_allocate(index->arena, sizeof *table);
    uint8_t *memory =
        table ? arena_allocate_zeroed(index->arena, bytes + CACHE_LINE_BYTES - 8) : NULL;
    if (!memory)
        return NULL;
    memory += -(uintptr_t)memory & (CACHE_LINE_BYTES - 1);
    table->mask = slots / KEY_INDEX_BUCKET_SLOTS - 1;
    atomic_ptr_init(&table->next, NULL);
    table->buckets = (key_index_bucket *)(void *)memory;
    return table;
}

/* The table that follows `last`, the first when that is NULL; NULL when memory is short. */
static key_index_table *key_index_add_table(key_index *index, key_index_table *last,
                                            const memtable_entry *entry) {
    atomic_ptr *place = last ? &last->next : &index->tables;
    mutex_lock(&index->growing);
    /* relaxed: only stored under the mutex held here. */
    key_index_table *table = atomic_ptr_load(place, memory_order_relaxed);
    if (!table) {
        table = key_index_table_new(index, key_index_slots_for(index, last, entry));
        /* release: pairs with the acquires in key_index_first() and key_index_next(); the empty
         * slots come with it. */
        if (table)
            atomic_ptr_store(place, table, memory_order_release);
    }
    mutex_unlock(&index->growing);
    return table;
}

FIRN_INTERNAL void key_index_add(key_index *index, uint64_t hash, memtable_entry *entry,
                                 bool sole) {
    key_index_table *last = NULL, *table = key_index_first(index);
    for (;;) {
        if (UNLIKELY(!table)) {
            table = key_index_add_table(index, last, entry);
            if (!table) {
                /* release: pairs with the acquire in key_index_find(); the entry is in the ordered
                 * list already. */
                atomic_flag32_store(&index->partial, true, memory_order_release);
                return;
            }
        }
        if (LIKELY(key_index_add_to_bucket(key_index_bucket_of(table, hash), hash, entry, sole)))
            return;
        last = table;
        table = key_index_next(table);
    }
}
