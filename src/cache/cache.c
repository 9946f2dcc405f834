#include "cache/cache.h"

#include <stdbool.h>
#include <string.h>

#include "base/check.h"
#include "platform/error_detail.h"
#include "platform/memory.h"
#include "platform/thread.h"

#include "base/poison.h"

enum {
    CACHE_SHARDS_DEFAULT = 16,
    CACHE_SHARDS_MAX = 1 << 16,
    CACHE_BUCKETS_MIN = 16,
    CACHE_SHARD_SHIFT = 40 /* shards and buckets are picked by different bits of the hash */
};

/* An entry, alive while it is in the cache or pinned. It is on one of its shard's rings exactly
 * when it is in the cache and not pinned. All but what is set at birth is guarded by the shard's
 * mutex. */
struct cache_handle {
    cache_key key;
    uint64_t hash;
    void *value;
    void (*free_value)(void *value);
    uint64_t charge;

    cache_handle *chain; /* next in its bucket, or in a list of entries to be freed */
    cache_handle *newer, *older;
    uint32_t pins;
    bool in_cache;
    bool is_hot; /* changes only off the rings */
};

/* A bucket, and what the heap adds to a handle and to a value. */
_Static_assert(sizeof(cache_handle) + sizeof(void *) + 2 * 16 <= CACHE_ENTRY_BYTES,
               "what an entry costs");

/* Shards of neighbouring index share no cache line. */
typedef struct cache_shard {
    _Alignas(CACHE_LINE_BYTES) mutex lock;
    cache_handle **buckets;
    uint64_t bucket_count; /* a power of two */
    uint64_t chained;      /* entries in the buckets */

    /* Two rings with these sentinels: cold.older is the most recently used cold entry, cold.newer
     * the next to be evicted; when there is none, hot.newer is. */
    cache_handle cold, hot;
    uint64_t hot_usage; /* of the hot ring */

    uint64_t capacity;
    uint64_t usage, pinned_usage; /* charges of all live entries, of the pinned ones */
    uint64_t live_count, pinned_count;
    uint64_t hits, misses, inserts, evictions;
} cache_shard;

struct cache {
    uint64_t shard_mask;
    cache_shard *shards;
};

/* File identities are random, but tests and foreign files may not be: every input bit reaches the
 * bits that pick shard and bucket. */
static uint64_t cache_key_hash(const cache_key *key) {
    uint64_t h = key->file[0] * 0x9e3779b97f4a7c15u;
    h = ((h ^ h >> 32) + key->file[1]) * 0xd6e8feb86659fd93u;
    h = ((h ^ h >> 32) + key->offset) * 0xd6e8feb86659fd93u;
    h = (h ^ h >> 29) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 32;
}

static bool cache_key_equal(const cache_key *a, const cache_key *b) {
    return a->offset == b->offset && a->file[0] == b->file[0] && a->file[1] == b->file[1];
}

static cache_shard *cache_shard_of(cache *c, uint64_t hash) {
    return &c->shards[hash >> CACHE_SHARD_SHIFT & c->shard_mask];
}

static void cache_shard_init(cache_shard *s, uint64_t capacity) {
    mutex_init(&s->lock);
    s->cold.newer = s->cold.older = &s->cold;
    s->hot.newer = s->hot.older = &s->hot;
    s->bucket_count = CACHE_BUCKETS_MIN;
    s->capacity = capacity;
}

FIRN_INTERNAL status cache_new(uint64_t capacity, uint32_t shards, cache **out) {
    status st = STATUS_OK;
    cache *c = NULL;
    uint64_t count = 1;
    *out = NULL;
    if (shards == 0)
        shards = CACHE_SHARDS_DEFAULT;
    while (count < shards && count < CACHE_SHARDS_MAX)
        count *= 2;

    c = memory_new_zeroed(sizeof *c);
    if (!c)
        TRY(error_status(FIRN_NO_MEMORY, "no memory for a cache"));
    c->shards = memory_new_aligned(CACHE_LINE_BYTES, count * sizeof *c->shards);
    if (!c->shards)
        TRY(error_status(FIRN_NO_MEMORY, "no memory for a cache of %llu shards",
                         (unsigned long long)count));
    memset(c->shards, 0, count * sizeof *c->shards);
    c->shard_mask = count - 1;
    for (uint64_t i = 0; i < count; i++)
        cache_shard_init(&c->shards[i], capacity / count + (i < capacity % count));
    for (uint64_t i = 0; i < count; i++) {
        cache_shard *s = &c->shards[i];
        s->buckets = memory_new_zeroed(s->bucket_count * sizeof *s->buckets);
        if (!s->buckets)
            TRY(error_status(FIRN_NO_MEMORY, "no memory for the buckets of a cache"));
    }
    *out = c;
    c = NULL;
out:
    cache_free(c);
    return st;
}

/* Runs the callbacks of a list that cache_shard_drop_locked made; no lock is held. */
static void cache_free_dropped(cache_handle *dropped) {
    while (dropped) {
        cache_handle *next = dropped->chain;
        dropped->free_value(dropped->value);
        memory_free(dropped);
        dropped = next;
    }
}

static void cache_list_remove_locked(cache_shard *s, cache_handle *h) {
    mutex_assert_held(&s->lock);
    h->newer->older = h->older;
    h->older->newer = h->newer;
    h->newer = h->older = NULL;
    if (h->is_hot)
        s->hot_usage -= h->charge;
}

static void cache_list_add_newest_locked(cache_shard *s, cache_handle *h) {
    mutex_assert_held(&s->lock);
    cache_handle *newest = h->is_hot ? &s->hot : &s->cold;
    h->newer = newest;
    h->older = newest->older;
    h->older->newer = h;
    newest->older = h;
    if (h->is_hot)
        s->hot_usage += h->charge;
}

/* The next to go, or NULL. */
static cache_handle *cache_list_oldest_locked(cache_shard *s) {
    mutex_assert_held(&s->lock);
    if (s->cold.newer != &s->cold)
        return s->cold.newer;
    return s->hot.newer != &s->hot ? s->hot.newer : NULL;
}

/* Hot entries beyond their part get a second chance among the cold ones. */
static void cache_list_cool_locked(cache_shard *s) {
    mutex_assert_held(&s->lock);
    while (s->hot_usage > s->capacity / 4 * 3) {
        cache_handle *h = s->hot.newer;
        cache_list_remove_locked(s, h);
        h->is_hot = false;
        cache_list_add_newest_locked(s, h);
    }
}

/* Where the pointer to the entry stands in its bucket, or the NULL at the bucket's end. */
static cache_handle **cache_shard_find_locked(cache_shard *s, uint64_t hash, const cache_key *key) {
    mutex_assert_held(&s->lock);
    cache_handle **at = &s->buckets[hash & (s->bucket_count - 1)];
    while (*at && ((*at)->hash != hash || !cache_key_equal(&(*at)->key, key)))
        at = &(*at)->chain;
    return at;
}

/* Without memory for more buckets the chains just grow longer. */
static void cache_shard_grow_locked(cache_shard *s) {
    mutex_assert_held(&s->lock);
    uint64_t count = s->bucket_count * 2;
    cache_handle **buckets = memory_new_zeroed(count * sizeof *buckets);
    if (!buckets)
        return;
    for (uint64_t i = 0; i < s->bucket_count; i++) {
        for (cache_handle *h = s->buckets[i], *next; h; h = next) {
            next = h->chain;
            h->chain = buckets[h->hash & (count - 1)];
            buckets[h->hash & (count - 1)] = h;
        }
    }
    memory_free(s->buckets);
    s->buckets = buckets;
    s->bucket_count = count;
}

/* Puts an entry that is neither in the cache nor pinned on the list of those to be freed. */
static void cache_shard_drop_locked(cache_shard *s, cache_handle *h, cache_handle **dropped) {
    mutex_assert_held(&s->lock);
    DCHECK(h->pins == 0 && !h->in_cache);
    DCHECK(s->usage >= h->charge && s->live_count > 0);
    s->usage -= h->charge;
    s->live_count--;
    h->chain = *dropped;
    *dropped = h;
}

/* Takes the entry at `at` out of the cache; pinned it lives on until its last release. */
static void cache_shard_forget_locked(cache_shard *s, cache_handle **at, cache_handle **dropped) {
    mutex_assert_held(&s->lock);
    cache_handle *h = *at;
    DCHECK(h->in_cache);
    *at = h->chain;
    h->chain = NULL;
    h->in_cache = false;
    s->chained--;
    if (h->pins == 0) {
        cache_list_remove_locked(s, h);
        cache_shard_drop_locked(s, h, dropped);
    }
}

/* A shard without capacity keeps nothing, not even what charges nothing. */
static void cache_shard_evict_locked(cache_shard *s, cache_handle **dropped) {
    mutex_assert_held(&s->lock);
    cache_handle *oldest;
    while ((s->usage > s->capacity || s->capacity == 0) &&
           (oldest = cache_list_oldest_locked(s)) != NULL) {
        cache_shard_forget_locked(s, cache_shard_find_locked(s, oldest->hash, &oldest->key),
                                  dropped);
        s->evictions++;
    }
}

static void cache_shard_pin_locked(cache_shard *s, cache_handle *h) {
    mutex_assert_held(&s->lock);
    if (h->pins++ == 0) {
        s->pinned_usage += h->charge;
        s->pinned_count++;
    }
    DCHECK(h->pins != 0);
}

FIRN_INTERNAL cache_handle *cache_lookup(cache *c, const cache_key *key) {
    uint64_t hash = cache_key_hash(key);
    cache_shard *s = cache_shard_of(c, hash);
    mutex_lock(&s->lock);
    cache_handle *h = *cache_shard_find_locked(s, hash, key);
    if (h) {
        if (h->pins == 0)
            cache_list_remove_locked(s, h);
        h->is_hot = true;
        cache_shard_pin_locked(s, h);
        s->hits++;
    } else {
        s->misses++;
    }
    mutex_unlock(&s->lock);
    return h;
}

FIRN_INTERNAL status cache_insert(cache *c, const cache_key *key, void *value, uint64_t charge,
                                  void (*free_value)(void *value), cache_handle **out) {
    *out = NULL;
    cache_handle *h = memory_new_zeroed(sizeof *h), *dropped = NULL;
    if (!h)
        return error_status(FIRN_NO_MEMORY, "no memory for an entry of a cache");
    h->key = *key;
    h->hash = cache_key_hash(key);
    h->value = value;
    h->free_value = free_value;
    h->charge = charge;
    h->in_cache = true;

    cache_shard *s = cache_shard_of(c, h->hash);
    mutex_lock(&s->lock);
    cache_handle **at = cache_shard_find_locked(s, h->hash, key);
    if (*at)
        cache_shard_forget_locked(s, at, &dropped);
    else if (s->chained >= s->bucket_count)
        cache_shard_grow_locked(s);
    at = &s->buckets[h->hash & (s->bucket_count - 1)];
    h->chain = *at;
    *at = h;
    s->chained++;
    s->live_count++;
    s->usage += charge;
    s->inserts++;
    cache_shard_pin_locked(s, h);
    cache_shard_evict_locked(s, &dropped);
    mutex_unlock(&s->lock);

    cache_free_dropped(dropped);
    *out = h;
    return STATUS_OK;
}

FIRN_INTERNAL void *cache_handle_value(const cache_handle *handle) {
    return handle->value;
}

FIRN_INTERNAL void cache_release(cache *c, cache_handle *handle) {
    cache_handle *dropped = NULL;
    cache_shard *s = cache_shard_of(c, handle->hash);
    mutex_lock(&s->lock);
    DCHECK(handle->pins > 0);
    if (--handle->pins == 0) {
        s->pinned_usage -= handle->charge;
        s->pinned_count--;
        if (handle->in_cache) {
            cache_list_add_newest_locked(s, handle);
            cache_list_cool_locked(s);
            cache_shard_evict_locked(s, &dropped);
        } else {
            cache_shard_drop_locked(s, handle, &dropped);
        }
    }
    mutex_unlock(&s->lock);
    cache_free_dropped(dropped);
}

FIRN_INTERNAL void cache_erase(cache *c, const cache_key *key) {
    cache_handle *dropped = NULL;
    uint64_t hash = cache_key_hash(key);
    cache_shard *s = cache_shard_of(c, hash);
    mutex_lock(&s->lock);
    cache_handle **at = cache_shard_find_locked(s, hash, key);
    if (*at)
        cache_shard_forget_locked(s, at, &dropped);
    mutex_unlock(&s->lock);
    cache_free_dropped(dropped);
}

FIRN_INTERNAL void cache_set_capacity(cache *c, uint64_t capacity) {
    uint64_t count = c->shard_mask + 1;
    for (uint64_t i = 0; i < count; i++) {
        cache_shard *s = &c->shards[i];
        cache_handle *dropped = NULL;
        mutex_lock(&s->lock);
        s->capacity = capacity / count + (i < capacity % count);
        cache_list_cool_locked(s);
        cache_shard_evict_locked(s, &dropped);
        mutex_unlock(&s->lock);
        cache_free_dropped(dropped);
    }
}

FIRN_INTERNAL void cache_get_stats(cache *c, cache_stats *out) {
    *out = (cache_stats){0};
    for (uint64_t i = 0; i <= c->shard_mask; i++) {
        cache_shard *s = &c->shards[i];
        mutex_lock(&s->lock);
        out->hits += s->hits;
        out->misses += s->misses;
        out->inserts += s->inserts;
        out->evictions += s->evictions;
        out->usage += s->usage;
        out->pinned_usage += s->pinned_usage;
        out->hot_usage += s->hot_usage;
        out->capacity += s->capacity;
        out->entries += s->live_count;
        mutex_unlock(&s->lock);
    }
}

FIRN_INTERNAL void cache_free(cache *c) {
    if (!c)
        return;
    for (uint64_t i = 0; c->shards && i <= c->shard_mask; i++) {
        cache_shard *s = &c->shards[i];
        cache_handle *dropped = NULL;
        mutex_lock(&s->lock);
        DCHECK(s->pinned_count == 0);
        cache_handle *h;
        while ((h = cache_list_oldest_locked(s)) != NULL) {
            cache_shard_forget_locked(s, cache_shard_find_locked(s, h->hash, &h->key), &dropped);
        }
        mutex_unlock(&s->lock);
        cache_free_dropped(dropped);
        memory_free(s->buckets);
        mutex_deinit(&s->lock);
    }
    memory_free(c->shards);
    memory_free(c);
}
