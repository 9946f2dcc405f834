#include "cache/cache.h"

#include <stdbool.h>
#include <string.h>

#include "lib/test.h"
#include "platform/memory.h"
#include "util/rng.h"

/* Values are counters of their own freeing. */
static void count_free(void *value) {
    ++*(int *)value;
}

static cache_key key_of(uint64_t n) {
    return (cache_key){{n, n * 3}, n * 4096};
}

static cache *new_cache(uint64_t capacity, uint32_t shards) {
    cache *c = NULL;
    ASSERT_OK(cache_new(capacity, shards, &c));
    assert_non_null(c);
    return c;
}

static cache_handle *insert(cache *c, uint64_t n, int *freed, uint64_t charge) {
    cache_key key = key_of(n);
    cache_handle *h = NULL;
    ASSERT_OK(cache_insert(c, &key, freed, charge, count_free, &h));
    assert_ptr_equal(cache_handle_value(h), freed);
    return h;
}

static cache_handle *lookup(cache *c, uint64_t n) {
    cache_key key = key_of(n);
    return cache_lookup(c, &key);
}

static void erase(cache *c, uint64_t n) {
    cache_key key = key_of(n);
    cache_erase(c, &key);
}

static cache_stats stats_of(cache *c) {
    cache_stats stats;
    cache_get_stats(c, &stats);
    return stats;
}

TEST(cache, finds_what_was_inserted_and_frees_it_at_the_end) {
    int freed = 0;
    cache *c = new_cache(100, 1);
    assert_null(lookup(c, 1));
    cache_release(c, insert(c, 1, &freed, 10));
    cache_handle *h = lookup(c, 1);
    assert_ptr_equal(cache_handle_value(h), &freed);
    assert_null(lookup(c, 2));
    cache_release(c, h);
    assert_int_equal(freed, 0);
    cache_stats s = stats_of(c);
    assert_int_equal(s.hits, 1);
    assert_int_equal(s.misses, 2);
    assert_int_equal(s.inserts, 1);
    assert_int_equal(s.usage, 10);
    assert_int_equal(s.entries, 1);
    cache_free(c);
    assert_int_equal(freed, 1);
    cache_free(NULL);
}

TEST(cache, every_part_of_the_key_counts) {
    int freed[4] = {0};
    cache_key keys[4] = {{{1, 2}, 3}, {{2, 1}, 3}, {{1, 2}, 4}, {{1, 3}, 3}};
    cache *c = new_cache(100, 4);
    for (int i = 0; i < 4; i++) {
        cache_handle *h;
        ASSERT_OK(cache_insert(c, &keys[i], &freed[i], 1, count_free, &h));
        cache_release(c, h);
    }
    for (int i = 0; i < 4; i++) {
        cache_handle *h = cache_lookup(c, &keys[i]);
        assert_non_null(h);
        assert_ptr_equal(cache_handle_value(h), &freed[i]);
        cache_release(c, h);
    }
    cache_free(c);
}

TEST(cache, evicts_the_least_recently_released_first) {
    int freed[5] = {0};
    cache *c = new_cache(30, 1);
    for (uint64_t i = 0; i < 3; i++)
        cache_release(c, insert(c, i, &freed[i], 10));
    cache_release(c, lookup(c, 0));
    cache_release(c, insert(c, 3, &freed[3], 10));
    assert_int_equal(freed[1], 1);
    cache_release(c, insert(c, 4, &freed[4], 20));
    assert_int_equal(freed[2] + freed[3], 2); /* 0 was asked for again */
    assert_int_equal(freed[0] + freed[4], 0);
    cache_stats s = stats_of(c);
    assert_int_equal(s.evictions, 3);
    assert_int_equal(s.usage, 30);
    cache_free(c);
}

TEST(cache, a_scan_does_not_push_out_what_is_used) {
    enum { HOT = 6, SCANNED = 500 };
    int freed_hot[HOT] = {0}, freed_scanned[SCANNED] = {0};
    cache *c = new_cache(100, 1);
    for (uint64_t i = 0; i < HOT; i++) {
        cache_release(c, insert(c, i, &freed_hot[i], 10));
        cache_release(c, lookup(c, i));
    }
    for (uint64_t i = 0; i < SCANNED; i++)
        cache_release(c, insert(c, 1000 + i, &freed_scanned[i], 10));
    for (uint64_t i = 0; i < HOT; i++)
        assert_int_equal(freed_hot[i], 0);
    assert_int_equal(stats_of(c).hot_usage, HOT * 10);
    /* What is hot now makes room for what becomes so: nothing stays for ever. */
    for (uint64_t i = 0; i < 10; i++)
        cache_release(c, lookup(c, 1000 + SCANNED - 1 - i % 4));
    assert_true(stats_of(c).hot_usage <= 75);
    cache_set_capacity(c, 10);
    assert_true(stats_of(c).usage <= 10);
    cache_free(c);
}

TEST(cache, pinned_entries_survive_eviction_erasure_and_replacement) {
    int freed[4] = {0};
    cache *c = new_cache(10, 1);
    cache_handle *evicted = insert(c, 1, &freed[0], 10);
    cache_handle *erased = insert(c, 2, &freed[1], 10);
    cache_handle *replaced = insert(c, 3, &freed[2], 10);
    cache_release(c, insert(c, 4, &freed[3], 10));
    assert_int_equal(freed[3], 1); /* the only one not pinned, and over capacity */
    cache_handle *again = lookup(c, 1);
    assert_ptr_equal(again, evicted);
    cache_release(c, again);
    erase(c, 2);
    assert_null(lookup(c, 2));
    freed[3] = 0;
    cache_handle *newer = insert(c, 3, &freed[3], 10);
    assert_int_equal(freed[0] + freed[1] + freed[2] + freed[3], 0);
    cache_stats s = stats_of(c);
    assert_int_equal(s.usage, 40);
    assert_int_equal(s.pinned_usage, 40);
    assert_int_equal(s.entries, 4);
    assert_ptr_equal(cache_handle_value(erased), &freed[1]);

    cache_release(c, erased);
    assert_int_equal(freed[1], 1);
    cache_release(c, replaced);
    assert_int_equal(freed[2], 1);
    cache_release(c, newer);
    assert_int_equal(freed[3], 1); /* still over capacity */
    cache_release(c, evicted);
    assert_int_equal(freed[0], 0);
    s = stats_of(c);
    assert_int_equal(s.usage, 10);
    assert_int_equal(s.pinned_usage, 0);
    assert_int_equal(s.entries, 1);
    cache_free(c);
    assert_int_equal(freed[0], 1);
}

TEST(cache, without_capacity_frees_at_the_last_release) {
    int freed[2] = {0};
    cache *c = new_cache(0, 4);
    for (int charge = 0; charge < 2; charge++) {
        cache_handle *h = insert(c, 1, &freed[charge], (uint64_t)charge);
        cache_handle *second = lookup(c, 1);
        assert_ptr_equal(second, h);
        cache_release(c, h);
        assert_int_equal(freed[charge], 0);
        cache_release(c, second);
        assert_int_equal(freed[charge], 1);
        assert_null(lookup(c, 1));
    }
    assert_int_equal(stats_of(c).entries, 0);
    cache_free(c);
}

TEST(cache, entry_larger_than_the_capacity_leaves_with_its_pin) {
    int freed[2] = {0};
    cache *c = new_cache(10, 1);
    cache_release(c, insert(c, 1, &freed[0], 5));
    cache_handle *h = insert(c, 2, &freed[1], 1000);
    assert_int_equal(freed[0], 1);
    cache_release(c, h);
    assert_int_equal(freed[1], 1);
    assert_int_equal(stats_of(c).usage, 0);
    cache_free(c);
}

TEST(cache, shards_share_the_capacity_to_the_last_byte) {
    static const uint32_t shards[] = {0, 1, 2, 3, 5, 16, 64};
    for (size_t i = 0; i < sizeof shards / sizeof *shards; i++) {
        cache *c = new_cache(1000003, shards[i]);
        assert_int_equal(stats_of(c).capacity, 1000003);
        cache_free(c);
    }
}

TEST(cache, keeps_finding_many_entries_as_it_grows_even_without_memory_to_grow) {
    enum { COUNT = 20000 };
    for (int short_of_memory = 0; short_of_memory < 2; short_of_memory++) {
        int freed = 0;
        cache *c = new_cache(COUNT * 2, 2);
        for (uint64_t i = 0; i < COUNT / (short_of_memory ? 20 : 1); i++) {
            /* The first allocation of an insertion is the entry, the second are more buckets. */
            memory_fail_after(short_of_memory ? 2 : 0, false);
            cache_release(c, insert(c, i, &freed, 1));
            memory_fail_after(0, false);
        }
        for (uint64_t i = 0; i < COUNT / (short_of_memory ? 20 : 1); i++) {
            cache_handle *h = lookup(c, i);
            assert_non_null(h);
            cache_release(c, h);
        }
        assert_int_equal(freed, 0);
        cache_free(c);
    }
}

TEST(cache, failed_allocation_leaves_the_value_with_the_caller) {
    uint64_t live = memory_live_count();
    int freed = 0;
    cache_key key = key_of(1);
    cache *c = NULL;
    uint64_t failures = 0;
    for (;; failures++) {
        memory_fail_after(failures + 1, false);
        status st = cache_new(100, 4, &c);
        memory_fail_after(0, false);
        if (status_is_ok(st))
            break;
        ASSERT_CODE(st, FIRN_NO_MEMORY);
        assert_null(c);
        assert_int_equal(memory_live_count(), live);
    }
    assert_int_equal(failures, 2 + 4); /* cache, shards, buckets of each */
    cache_handle *h = (cache_handle *)&freed;
    memory_fail_after(1, false);
    status st = cache_insert(c, &key, &freed, 1, count_free, &h);
    memory_fail_after(0, false);
    ASSERT_CODE(st, FIRN_NO_MEMORY);
    assert_null(h);
    assert_int_equal(freed, 0);
    assert_null(cache_lookup(c, &key));
    cache_free(c);
    assert_int_equal(memory_live_count(), live);
}

/* A value whose freeing uses the cache: possible only because no lock is held then. */
typedef struct nested_value {
    cache *c;
    uint64_t seen;
} nested_value;
static void free_through_the_cache(void *value) {
    nested_value *nested = value;
    cache_handle *h = lookup(nested->c, 7);
    nested->seen = h ? 1 : 2;
    if (h)
        cache_release(nested->c, h);
    erase(nested->c, 99);
}

TEST(cache, callbacks_run_without_the_lock) {
    int freed = 0;
    cache *c = new_cache(10, 1);
    nested_value values[3] = {{c, 0}, {c, 0}, {c, 0}};
    cache_key keys[3] = {key_of(1), key_of(2), key_of(3)};
    cache_handle *h[3];
    cache_release(c, insert(c, 7, &freed, 0));
    for (int i = 0; i < 3; i++)
        ASSERT_OK(cache_insert(c, &keys[i], &values[i], 1, free_through_the_cache, &h[i]));
    cache_release(c, h[0]);
    erase(c, 1); /* erased */
    erase(c, 2);
    cache_release(c, h[1]); /* released after erasure */
    cache_release(c, h[2]);
    cache_release(c, insert(c, 8, &freed, 20)); /* evicted */
    for (int i = 0; i < 3; i++)
        assert_true(values[i].seen != 0);
    cache_free(c);
}

/* The simplest cache with the same rules: an array ordered by the time of the last release. */
enum { MODEL_KEYS = 40, MODEL_ENTRIES = 4000, MODEL_PINS = 64 };
typedef struct model_entry {
    uint64_t key, charge, released_at;
    uint32_t pins;
    bool cached, alive, is_hot;
} model_entry;
typedef struct model {
    model_entry entries[MODEL_ENTRIES];
    int freed[MODEL_ENTRIES];
    uint32_t count;
    uint64_t now, capacity, evictions;
} model;

static model_entry *model_find(model *m, uint64_t key) {
    for (uint32_t i = 0; i < m->count; i++)
        if (m->entries[i].cached && m->entries[i].key == key)
            return &m->entries[i];
    return NULL;
}

static uint64_t model_usage(const model *m, bool pinned_only) {
    uint64_t usage = 0;
    for (uint32_t i = 0; i < m->count; i++)
        if (m->entries[i].alive && (!pinned_only || m->entries[i].pins))
            usage += m->entries[i].charge;
    return usage;
}

static void model_forget(model_entry *e) {
    e->cached = false;
    e->alive = e->pins > 0;
}

static model_entry *model_oldest(model *m, bool is_hot) {
    model_entry *oldest = NULL;
    for (uint32_t i = 0; i < m->count; i++) {
        model_entry *e = &m->entries[i];
        if (e->cached && !e->pins && e->is_hot == is_hot &&
            (!oldest || e->released_at < oldest->released_at))
            oldest = e;
    }
    return oldest;
}

static uint64_t model_hot_usage(const model *m) {
    uint64_t usage = 0;
    for (uint32_t i = 0; i < m->count; i++)
        if (m->entries[i].cached && !m->entries[i].pins && m->entries[i].is_hot)
            usage += m->entries[i].charge;
    return usage;
}

static void model_cool(model *m) {
    while (model_hot_usage(m) > m->capacity / 4 * 3) {
        model_entry *e = model_oldest(m, true);
        e->is_hot = false;
        e->released_at = ++m->now;
    }
}

static void model_evict(model *m) {
    while (model_usage(m, false) > m->capacity) {
        model_entry *oldest = model_oldest(m, false);
        if (!oldest)
            oldest = model_oldest(m, true);
        if (!oldest)
            return;
        model_forget(oldest);
        m->evictions++;
    }
}

static void model_release(model *m, model_entry *e) {
    if (--e->pins > 0)
        return;
    e->released_at = ++m->now;
    e->alive = e->cached;
    if (e->cached)
        model_cool(m);
    model_evict(m);
}

typedef struct model_pin {
    cache_handle *handle;
    model_entry *entry;
} model_pin;

static void model_check(const model *m, cache *c) {
    cache_stats s = stats_of(c);
    uint64_t alive = 0;
    assert_int_equal(s.usage, model_usage(m, false));
    assert_int_equal(s.pinned_usage, model_usage(m, true));
    assert_int_equal(s.evictions, m->evictions);
    assert_int_equal(s.hot_usage, model_hot_usage(m));
    for (uint32_t i = 0; i < m->count; i++) {
        alive += m->entries[i].alive;
        assert_int_equal(m->freed[i], !m->entries[i].alive);
    }
    assert_int_equal(s.entries, alive);
}

static void model_insert(model *m, cache *c, rng *r, model_pin *pin) {
    uint64_t key = rng_below(r, MODEL_KEYS), charge = rng_below(r, 30);
    pin->handle = insert(c, key, &m->freed[m->count], charge);
    model_entry *old = model_find(m, key);
    if (old)
        model_forget(old);
    pin->entry = &m->entries[m->count++];
    *pin->entry = (model_entry){key, charge, 0, 1, true, true, false};
    model_evict(m);
}

static void model_lookup(model *m, cache *c, rng *r, model_pin *pin) {
    uint64_t key = rng_below(r, MODEL_KEYS);
    pin->handle = lookup(c, key);
    pin->entry = model_find(m, key);
    assert_int_equal(pin->handle != NULL, pin->entry != NULL);
    if (!pin->handle)
        return;
    assert_ptr_equal(cache_handle_value(pin->handle), &m->freed[pin->entry - m->entries]);
    pin->entry->pins++;
    pin->entry->is_hot = true;
}

static void model_run(model *m, uint64_t seed) {
    rng r;
    rng_init(&r, seed);
    memset(m, 0, sizeof *m);
    m->capacity = 1 + rng_below(&r, 400);
    cache *c = new_cache(m->capacity, 1);
    model_pin pins[MODEL_PINS];
    size_t pinned = 0;
    while (m->count < MODEL_ENTRIES / 8) {
        uint64_t action = rng_below(&r, 10);
        if (action < 3 && pinned < MODEL_PINS) {
            model_insert(m, c, &r, &pins[pinned++]);
        } else if (action < 6 && pinned < MODEL_PINS) {
            model_lookup(m, c, &r, &pins[pinned]);
            pinned += pins[pinned].handle != NULL;
        } else if (action == 7 && rng_below(&r, 20) == 0) {
            m->capacity = 1 + rng_below(&r, 400);
            cache_set_capacity(c, m->capacity);
            model_cool(m);
            model_evict(m);
        } else if (action == 6 && rng_below(&r, 3) == 0) {
            uint64_t key = rng_below(&r, MODEL_KEYS);
            erase(c, key);
            model_entry *e = model_find(m, key);
            if (e)
                model_forget(e);
        } else if (pinned) {
            size_t i = rng_below(&r, pinned);
            cache_release(c, pins[i].handle);
            model_release(m, pins[i].entry);
            pins[i] = pins[--pinned];
        }
        model_check(m, c);
    }
    while (pinned) {
        cache_release(c, pins[--pinned].handle);
        model_release(m, pins[pinned].entry);
    }
    model_check(m, c);
    cache_free(c);
    for (uint32_t i = 0; i < m->count; i++)
        assert_int_equal(m->freed[i], 1);
}

TEST(cache, random_operations_do_what_a_simple_model_does) {
    uint64_t seed = test_seed(), live = memory_live_count();
    model *m = memory_new(sizeof *m);
    assert_non_null(m);
    for (uint64_t i = test_scaled(30); i > 0; i--)
        model_run(m, seed + i);
    memory_free(m);
    assert_int_equal(memory_live_count(), live);
}

TEST_MAIN(RUN(cache, finds_what_was_inserted_and_frees_it_at_the_end),
          RUN(cache, every_part_of_the_key_counts),
          RUN(cache, evicts_the_least_recently_released_first),
          RUN(cache, a_scan_does_not_push_out_what_is_used),
          RUN(cache, pinned_entries_survive_eviction_erasure_and_replacement),
          RUN(cache, without_capacity_frees_at_the_last_release),
          RUN(cache, entry_larger_than_the_capacity_leaves_with_its_pin),
          RUN(cache, shards_share_the_capacity_to_the_last_byte),
          RUN(cache, keeps_finding_many_entries_as_it_grows_even_without_memory_to_grow),
          RUN(cache, failed_allocation_leaves_the_value_with_the_caller),
          RUN(cache, callbacks_run_without_the_lock),
          RUN(cache, random_operations_do_what_a_simple_model_does))
