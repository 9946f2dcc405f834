/* cache/cache.h - a sharded LRU cache of opaque entries with pinned handles.
 *
 * Purpose:    the block cache, charged in bytes.
 * Invariants: a pinned entry is never freed. Unpinned entries are evicted, least recently released
 *             first, whenever a shard's charge exceeds its part of the capacity; pinned ones may
 *             exceed it.
 *             What was asked for again since it was inserted is hot and is evicted after all that
 *             was not, so that a scan does not push out what is used: hot entries may take three
 *             quarters of a shard; beyond that the one least recently released is cold again.
 * Threads:    all functions may be called at once; free callbacks run with no lock held.
 * Lifetime:   cache_free when no handle is pinned. */
#ifndef FIRN_CACHE_CACHE_H
#define FIRN_CACHE_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* What an entry costs beside its value: charges in bytes include it. */
#define CACHE_ENTRY_BYTES 144

typedef struct cache cache;
typedef struct cache_handle cache_handle;

/* A file's random identity and an offset in it. */
typedef struct cache_key {
    uint64_t file[2];
    uint64_t offset;
} cache_key;

/* Evictions are those for lack of capacity, not erasures and replacements. */
typedef struct cache_stats {
    uint64_t hits, misses, inserts, evictions;
    uint64_t usage, pinned_usage, capacity; /* usage: the charge of all that is not freed yet */
    uint64_t hot_usage;                     /* of hot entries that are not pinned */
    uint64_t entries;                       /* not freed yet, forgotten but pinned ones included */
} cache_stats;

/* `shards` is rounded up to a power of two; 0 means 16. Each gets an equal part of the capacity, so
 * a cache that counts entries in tens wants one shard or two. */
FIRN_INTERNAL NODISCARD status cache_new(uint64_t capacity, uint32_t shards, cache **out);
FIRN_INTERNAL void cache_free(cache *c); /* NULL is fine */
/* A pin on the entry, or NULL. */
FIRN_INTERNAL cache_handle *cache_lookup(cache *c, const cache_key *key);
/* Takes `value`; gives a pinned handle. An entry with the same key is replaced (its pins stay
 * good). On NO_MEMORY `value` stays the caller's. With capacity 0 the entry is freed at its last
 * release. */
FIRN_INTERNAL NODISCARD status cache_insert(cache *c, const cache_key *key, void *value,
                                            uint64_t charge, void (*free_value)(void *value),
                                            cache_handle **out);
FIRN_INTERNAL void *cache_handle_value(const cache_handle *handle);
FIRN_INTERNAL void cache_release(cache *c, cache_handle *handle);
/* Forgets the entry; it is freed when its last pin goes. */
FIRN_INTERNAL void cache_erase(cache *c, const cache_key *key);
/* Evicts until what is not pinned fits. */
FIRN_INTERNAL void cache_set_capacity(cache *c, uint64_t capacity);
FIRN_INTERNAL void cache_get_stats(cache *c, cache_stats *out);
#endif
