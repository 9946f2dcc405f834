#include "lib/shadow.h"

#include <stdio.h>
#include <stdlib.h>

#include "util/hash.h"
#include "util/rng.h"

void shadow_init(shadow *s) {
    memset(s, 0, sizeof *s);
    batch_init(&s->batch);
    s->capacity = 64;
    s->states = calloc(s->capacity, sizeof *s->states);
    s->is_committed = true;
    s->id_count = s->certain_ids = 1;
}

void shadow_deinit(shadow *s) {
    batch_deinit(&s->batch);
    free(s->states);
    free(s->changes);
}

/* --- entries --- */

slice shadow_key(uint32_t key, char out[64]) {
    static const char *const shapes[] = {"%u", "key/%02u", "key/%02u/and/then/some", "k%08u"};
    enum { SHADOW_LONG_BYTES = 65000 };
    static char long_names[2][SHADOW_LONG_BYTES];
    if (key == 0)
        return slice_of("", 0);
    if (key == SHADOW_KEY_LONG_FIRST || key == SHADOW_KEY_LONG_LAST) {
        char *name = long_names[key - SHADOW_KEY_LONG_FIRST];
        memset(name, key == SHADOW_KEY_LONG_FIRST ? '!' : 'z', SHADOW_LONG_BYTES);
        return slice_of(name, SHADOW_LONG_BYTES);
    }
    return slice_of(out, (size_t)snprintf(out, 64, shapes[key % 4], key));
}

static uint64_t shadow_entry_hash(uint32_t keyspace, slice key, slice value) {
    const uint64_t parts[] = {keyspace, hash64(key.data, key.size), hash64(value.data, value.size),
                              value.size};
    return hash64(parts, sizeof parts) | 1; /* 0 says that there is no entry */
}

/* --- writing --- */

static void shadow_change_entry(shadow *s, uint32_t keyspace, uint32_t key, uint64_t hash) {
    if (s->change_count == s->change_capacity) {
        s->change_capacity = s->change_capacity ? 2 * s->change_capacity : 16;
        s->changes = realloc(s->changes, s->change_capacity * sizeof *s->changes);
    }
    uint64_t *entry = &s->entries[keyspace][key];
    s->changes[s->change_count++] = (shadow_change){keyspace, key, *entry};
    s->present ^= *entry ^ hash;
    *entry = hash;
}

static void shadow_begin(shadow *s) {
    if (!s->is_committed)
        return;
    batch_clear(&s->batch);
    s->change_count = 0;
    s->is_committed = false;
}

/* The bytes of a value; freed by the caller. */
static uint8_t *shadow_value(uint64_t seed, size_t bytes) {
    uint8_t *value = malloc(bytes + 8);
    rng random;
    rng_init(&random, seed);
    for (size_t at = 0; at < bytes; at += 8) {
        uint64_t word = rng_next(&random);
        memcpy(value + at, &word, 8);
    }
    return value;
}

uint64_t shadow_hash_of(uint32_t keyspace, uint32_t key, slice value) {
    char name[64];
    return shadow_entry_hash(keyspace, shadow_key(key, name), value);
}

void shadow_put(shadow *s, uint32_t keyspace, uint32_t key, uint64_t seed, size_t bytes) {
    char name[64];
    uint8_t *value = shadow_value(seed, bytes);
    shadow_begin(s);
    status st =
        batch_put(&s->batch, s->ids[keyspace], shadow_key(key, name), slice_of(value, bytes), true);
    CHECK(status_is_ok(st));
    shadow_change_entry(s, keyspace, key, shadow_hash_of(keyspace, key, slice_of(value, bytes)));
    free(value);
}

void shadow_delete(shadow *s, uint32_t keyspace, uint32_t key) {
    char name[64];
    shadow_begin(s);
    status st = batch_delete(&s->batch, s->ids[keyspace], shadow_key(key, name));
    CHECK(status_is_ok(st));
    shadow_change_entry(s, keyspace, key, 0);
}

batch_view shadow_commit(shadow *s) {
    shadow_begin(s);
    s->is_committed = true;
    if (++s->count == s->capacity) {
        s->capacity *= 2;
        s->states = realloc(s->states, s->capacity * sizeof *s->states);
    }
    s->states[s->count] = s->present;
    return batch_get_view(&s->batch);
}

void shadow_take_back(shadow *s) {
    CHECK(s->is_committed && s->count > 0);
    while (s->change_count > 0) {
        const shadow_change *c = &s->changes[--s->change_count];
        s->entries[c->keyspace][c->key] = c->hash;
    }
    s->present = s->states[--s->count];
}

/* --- reading --- */

static status shadow_scan(firn_db *db, uint32_t index, uint32_t id, uint64_t *hash,
                          const char **problem) {
    status st = STATUS_OK;
    firn_iter *it = NULL;
    uint64_t backward = 0;
    buf last = {0};
    bool has_last = false;
    TRY(db_iter_new(db, id, NULL, &it));
    for (db_iter_seek_first(it); db_iter_valid(it); db_iter_next(it)) {
        slice key = db_iter_key(it), value = db_iter_value(it);
        if (has_last && slice_compare(buf_slice(&last), key) >= 0) {
            *problem = "keys out of order";
            goto out;
        }
        buf_clear(&last);
        buf_append_slice(&last, key);
        has_last = true;
        *hash ^= shadow_entry_hash(index, key, value);
        backward ^= shadow_entry_hash(index, key, value);
    }
    TRY(db_iter_status(it));
    for (db_iter_seek_last(it); db_iter_valid(it); db_iter_prev(it))
        backward ^= shadow_entry_hash(index, db_iter_key(it), db_iter_value(it));
    TRY(db_iter_status(it));
    if (backward != 0)
        *problem = "forward and backward scans differ";
    TRY(buf_status(&last));
out:
    buf_deinit(&last);
    if (it)
        db_iter_free(it);
    return st;
}

static status shadow_get_all(firn_db *db, uint32_t index, uint32_t id, uint64_t *hash) {
    status st = STATUS_OK;
    char name[64];
    for (uint32_t key = 0; key < SHADOW_KEYS; key++) {
        firn_value value;
        slice k = shadow_key(key, name);
        st = db_get(db, id, NULL, k, &value);
        if (status_is_ok(st))
            *hash ^= shadow_entry_hash(index, k, slice_of(value.data, value.size));
        else if (!status_is(st, FIRN_NOT_FOUND))
            return st;
        db_value_release(&value);
    }
    return STATUS_OK;
}

static bool shadow_has_keyspace(firn_db *db, uint32_t id) {
    firn_value value;
    status st = db_get(db, id, NULL, slice_of("", 0), &value);
    db_value_release(&value);
    return !status_is(st, FIRN_INVALID_ARGUMENT);
}

status shadow_read(const shadow *s, firn_db *db, uint64_t *hash, const char **problem) {
    status st = STATUS_OK;
    uint64_t by_gets = 0;
    *hash = 0;
    *problem = NULL;
    for (uint32_t i = 0; i < s->id_count; i++) {
        if (i >= s->certain_ids && !shadow_has_keyspace(db, s->ids[i]))
            continue;
        TRY(shadow_scan(db, i, s->ids[i], hash, problem));
        TRY(shadow_get_all(db, i, s->ids[i], &by_gets));
    }
    if (!*problem && by_gets != *hash)
        *problem = "gets and scans differ";
out:
    return st;
}

void shadow_print_difference(const shadow *s, firn_db *db) {
    char name[64];
    for (uint32_t i = 0; i < s->id_count; i++) {
        for (uint32_t key = 0; key < SHADOW_KEYS; key++) {
            firn_value value;
            slice k = shadow_key(key, name);
            uint64_t hash = 0;
            if (status_is_ok(db_get(db, s->ids[i], NULL, k, &value)))
                hash = shadow_hash_of(i, key, slice_of(value.data, value.size));
            if (hash != s->entries[i][key])
                fprintf(stderr, "  keyspace %u key %u: %s\n", i, key,
                        hash == 0                 ? "is missing"
                        : s->entries[i][key] == 0 ? "should not be there"
                                                  : "has another value");
            db_value_release(&value);
        }
    }
}

size_t shadow_find(const shadow *s, uint64_t hash, size_t least, size_t most) {
    for (size_t i = most + 1; i > least; i--) {
        if (s->states[i - 1] == hash)
            return i - 1;
    }
    return SIZE_MAX;
}

/* --- the database --- */

static uint64_t shadow_clock_now;

static uint64_t shadow_clock_ns(void *context) {
    (void)context;
    return shadow_clock_now += 1000000;
}

static uint64_t shadow_clock_ms(void *context) {
    (void)context;
    return 1700000000000u + shadow_clock_now / 1000000;
}

static void shadow_ignore_event(void *context, const char *json, size_t size) {
    (void)context;
    (void)json;
    (void)size;
}

void shadow_config(const firn_vfs *vfs, db_config *config) {
    static const time_source clock = {NULL, shadow_clock_ns, shadow_clock_ms};
    firn_options options = FIRN_OPTIONS_INIT;
    options.vfs = vfs;
    options.memory_bytes = 8u << 20;
    options.cache_bytes = 256u << 10;
    options.durability = FIRN_SYNC_MANUAL;
    options.memtable_bytes = 64u << 10;
    options.block_bytes = 1024;
    options.level_fanout = 4;
    options.l0_compaction_trigger = 3;
    options.l0_slowdown_trigger = 50;
    options.l0_stop_trigger = 60;
    options.on_event = shadow_ignore_event;
    status st = db_config_derive(&options, config);
    CHECK(status_is_ok(st));
    config->threads = 0;
    config->clock = &clock;
    config->log_segment_first = 8u << 10;
    config->log_segment_max = 16u << 10;
    config->tree.file_bytes = 12u << 10; /* smaller than the options allow */
    config->tree.level_base_bytes = 24u << 10;
}

status shadow_make_keyspaces(shadow *s, firn_db *db) {
    static const char *const names[SHADOW_KEYSPACES] = {"default", "second", "third"};
    status st = STATUS_OK;
    s->ids[0] = KEYSPACE_DEFAULT_ID;
    for (uint32_t i = s->certain_ids; i < SHADOW_KEYSPACES; i++) {
        s->ids[i] = i; /* a crash before the next call returns finds it or not */
        s->id_count = i + 1;
        if (!shadow_has_keyspace(db, i))
            TRY(db_keyspace_create(db, names[i], &s->ids[i]));
        CHECK(s->ids[i] == i);
        s->certain_ids = i + 1;
    }
out:
    return st;
}
