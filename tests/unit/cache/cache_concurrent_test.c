#include "cache/cache.h"

#include <stdbool.h>

#include "base/atomic.h"
#include "lib/test.h"
#include "platform/memory.h"
#include "platform/thread.h"
#include "util/rng.h"

enum { THREADS = 4, KEYS = 200, PINS = 8 };

/* Says of itself which key it belongs to, so that a wrong or freed value is noticed. */
typedef struct shared_value {
    uint64_t key;
    atomic_u64 *freed;
} shared_value;

typedef struct shared {
    cache *c;
    uint64_t seed, operations;
    atomic_u64 made, freed, wrong, lookups;
} shared;

typedef struct worker {
    shared *s;
    thread thread;
    uint64_t index;
} worker;

static void free_shared_value(void *value) {
    shared_value *v = value;
    /* relaxed: a count, read after the threads are joined. */
    atomic_u64_add(v->freed, 1, memory_order_relaxed);
    v->key = UINT64_MAX;
    memory_free(v);
}

static cache_key key_of(uint64_t n) {
    return (cache_key){{n, 0}, n};
}

static cache_handle *insert_value(shared *s, uint64_t key) {
    cache_handle *h = NULL;
    cache_key k = key_of(key);
    shared_value *v = memory_new(sizeof *v);
    if (!v)
        return NULL;
    *v = (shared_value){key, &s->freed};
    if (!status_is_ok(cache_insert(s->c, &k, v, 1 + key % 5, free_shared_value, &h))) {
        memory_free(v);
        return NULL;
    }
    atomic_u64_add(&s->made, 1, memory_order_relaxed); /* relaxed: as above */
    return h;
}

static void work(void *context) {
    worker *w = context;
    shared *s = w->s;
    rng r;
    rng_init(&r, s->seed + w->index);
    cache_handle *pins[PINS] = {NULL};
    uint64_t pinned_keys[PINS] = {0};
    for (uint64_t i = 0; i < s->operations; i++) {
        uint64_t slot = rng_below(&r, PINS), key = rng_below(&r, KEYS);
        cache_key k = key_of(key);
        if (pins[slot]) {
            const shared_value *v = cache_handle_value(pins[slot]);
            if (v->key != pinned_keys[slot])
                atomic_u64_add(&s->wrong, 1, memory_order_relaxed); /* relaxed: as above */
            cache_release(s->c, pins[slot]);
            pins[slot] = NULL;
        } else if (rng_below(&r, 20) == 0) {
            cache_erase(s->c, &k);
        } else {
            pins[slot] = cache_lookup(s->c, &k);
            atomic_u64_add(&s->lookups, 1, memory_order_relaxed); /* relaxed: as above */
            if (!pins[slot])
                pins[slot] = insert_value(s, key);
            pinned_keys[slot] = key;
        }
    }
    for (size_t i = 0; i < PINS; i++)
        if (pins[i])
            cache_release(s->c, pins[i]);
}

static void run_threads(uint64_t capacity, uint32_t shards) {
    shared s = {.seed = test_seed(), .operations = test_scaled(30000)};
    worker workers[THREADS];
    ASSERT_OK(cache_new(capacity, shards, &s.c));
    for (uint64_t i = 0; i < THREADS; i++) {
        workers[i] = (worker){.s = &s, .index = i};
        ASSERT_OK(thread_start(&workers[i].thread, "cache test", work, &workers[i]));
    }
    cache_stats stats;
    for (int i = 0; i < 100; i++)
        cache_get_stats(s.c, &stats);
    for (uint64_t i = 0; i < THREADS; i++)
        thread_join(&workers[i].thread);

    cache_get_stats(s.c, &stats);
    /* relaxed: the threads are joined. */
    uint64_t made = atomic_u64_load(&s.made, memory_order_relaxed);
    uint64_t freed = atomic_u64_load(&s.freed, memory_order_relaxed);
    assert_int_equal(atomic_u64_load(&s.wrong, memory_order_relaxed), 0);
    assert_int_equal(stats.hits + stats.misses, atomic_u64_load(&s.lookups, memory_order_relaxed));
    assert_int_equal(stats.inserts, made);
    assert_int_equal(stats.entries, made - freed);
    assert_int_equal(stats.pinned_usage, 0);
    assert_true(stats.usage <= capacity);
    cache_free(s.c);
    assert_int_equal(atomic_u64_load(&s.freed, memory_order_relaxed), made);
}

TEST(cache, threads_share_it_and_every_value_is_freed_once) {
    uint64_t live = memory_live_count();
    run_threads(150, 4);
    run_threads(150, 1);
    run_threads(0, 2);
    assert_int_equal(memory_live_count(), live);
}

TEST_MAIN(RUN(cache, threads_share_it_and_every_value_is_freed_once))
