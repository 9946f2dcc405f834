#include "lib/shadow.h"

#include <stdio.h>
#include <stdlib.h>

#include "format/expiry.h"
#include "util/hash.h"
#include "util/rng.h"

void shadow_init(shadow *s) {
    memset(s, 0, sizeof *s);
    batch_init(&s->batch);
    s->capacity = 64;
    s->states = calloc(s->capacity, sizeof *s->states);
    s->late = calloc(s->capacity, sizeof *s->late);
    for (size_t i = 0; i < SHADOW_KEYSPACES * SHADOW_KEYS; i++)
        s->known[i / SHADOW_KEYS][i % SHADOW_KEYS].life = SIZE_MAX;
    s->is_committed = true;
    s->id_count = s->certain_ids = 1;
}

void shadow_deinit(shadow *s) {
    batch_deinit(&s->batch);
    free(s->states);
    free(s->late);
    free(s->lives);
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

static uint64_t shadow_entry_hash(uint32_t keyspace, slice key, slice value, uint64_t expiry_ms) {
    const uint64_t parts[] = {keyspace, hash64(key.data, key.size), hash64(value.data, value.size),
                              value.size, expiry_ms};
    return hash64(parts, sizeof parts) | 1; /* 0 says that there is no entry */
}

/* --- time --- */

enum { SHADOW_WALL_START = 1000 };
static const uint64_t shadow_wall_base = 1700000000000u;
static uint64_t shadow_clock_now, shadow_wall_now = SHADOW_WALL_START;
static bool shadow_is_late;

static uint64_t shadow_clock_ns(void *context) {
    (void)context;
    return shadow_clock_now += 1000000;
}

static uint64_t shadow_clock_ms(void *context) {
    (void)context;
    return shadow_is_late ? EXPIRY_NEVER - 1 : shadow_now_ms();
}

uint64_t shadow_now_ms(void) {
    return shadow_wall_base + shadow_wall_now;
}

void shadow_end_of_time(bool begins) {
    shadow_is_late = begins;
}

/* The entry has been there since the write `first`, until now or until `end`; now it is not. */
static void shadow_expire(shadow *s, const shadow_life *life) {
    size_t end = life->end < s->count + 1 ? life->end : s->count + 1;
    for (size_t i = life->first; i < end; i++)
        s->states[i] ^= life->hash;
    if (life->end != SIZE_MAX)
        return;
    s->present ^= life->hash;
    s->entries[life->keyspace][life->key] = 0;
    s->known[life->keyspace][life->key].life = SIZE_MAX;
}

void shadow_pass_time(shadow *s, uint64_t ms) {
    size_t kept = 0;
    CHECK(s->is_committed);
    s->is_final = true;
    shadow_wall_now += ms;
    for (size_t i = 0; i < s->life_count; i++) {
        const shadow_life *life = &s->lives[i];
        if (life->expiry_ms <= shadow_now_ms()) {
            shadow_expire(s, life);
            continue;
        }
        if (life->end == SIZE_MAX)
            s->known[life->keyspace][life->key].life = kept;
        s->lives[kept++] = *life;
    }
    s->life_count = kept;
}

/* --- writing --- */

static void *shadow_grow(void *array, size_t count, size_t *capacity, size_t size) {
    if (count < *capacity)
        return array;
    *capacity = *capacity ? 2 * *capacity : 16;
    array = realloc(array, *capacity * size);
    CHECK(array != NULL);
    return array;
}

static size_t shadow_begin_life(shadow *s, shadow_life life) {
    s->lives = shadow_grow(s->lives, s->life_count, &s->life_capacity, sizeof *s->lives);
    s->lives[s->life_count] = life;
    return s->life_count++;
}

/* Puts an entry there; hash 0: none. */
static void shadow_change_entry(shadow *s, uint32_t keyspace, uint32_t key, uint64_t hash,
                                shadow_entry after) {
    uint64_t *entry = &s->entries[keyspace][key];
    shadow_entry *known = &s->known[keyspace][key];
    s->changes = shadow_grow(s->changes, s->change_count, &s->change_capacity, sizeof *s->changes);
    s->changes[s->change_count++] = (shadow_change){keyspace, key, *entry, *known};
    s->present ^= *entry ^ hash;
    if (known->life == SIZE_MAX)
        s->lasting ^= *entry;
    else
        s->lives[known->life].end = s->count + 1;
    if (after.life == SIZE_MAX)
        s->lasting ^= hash;
    *entry = hash;
    *known = after;
}

static void shadow_begin(shadow *s) {
    if (!s->is_committed)
        return;
    batch_clear(&s->batch);
    s->change_count = 0;
    s->is_committed = s->is_final = false;
}

/* The bytes of a value; freed by the caller. */
static uint8_t *shadow_make_value(uint64_t seed, size_t bytes) {
    uint8_t *value = malloc(bytes + 8);
    rng random;
    rng_init(&random, seed);
    for (size_t at = 0; at < bytes; at += 8) {
        uint64_t word = rng_next(&random);
        memcpy(value + at, &word, 8);
    }
    return value;
}

uint64_t shadow_hash_of(uint32_t keyspace, uint32_t key, slice value, uint64_t expiry_ms) {
    char name[64];
    return shadow_entry_hash(keyspace, shadow_key(key, name), value, expiry_ms);
}

void shadow_put(shadow *s, uint32_t keyspace, uint32_t key, uint64_t seed, size_t bytes) {
    shadow_put_value(s, keyspace, key, (shadow_value){seed, bytes, 0});
}

void shadow_put_value(shadow *s, uint32_t keyspace, uint32_t key, shadow_value value) {
    char name[64];
    uint8_t *bytes = shadow_make_value(value.seed, value.bytes);
    batch_expiring put = {shadow_key(key, name), slice_of(bytes, value.bytes), value.expiry_ms};
    shadow_begin(s);
    status st = batch_put_expiring(&s->batch, s->ids[keyspace], &put, true);
    CHECK(status_is_ok(st));
    uint64_t hash = shadow_hash_of(keyspace, key, put.value, value.expiry_ms);
    shadow_entry after = {SIZE_MAX, s->known[keyspace][key].puts + 1};
    if (value.expiry_ms != 0 && value.expiry_ms <= shadow_now_ms())
        hash = 0;
    else if (value.expiry_ms != 0)
        after.life = shadow_begin_life(s, (shadow_life){keyspace, key, hash, value.expiry_ms,
                                                        s->count + 1, SIZE_MAX});
    shadow_change_entry(s, keyspace, key, hash, after);
    free(bytes);
}

void shadow_delete(shadow *s, uint32_t keyspace, uint32_t key) {
    char name[64];
    shadow_begin(s);
    status st = batch_delete(&s->batch, s->ids[keyspace], shadow_key(key, name));
    CHECK(status_is_ok(st));
    /* No single-delete may follow until something else has removed the key. */
    shadow_change_entry(s, keyspace, key, 0, (shadow_entry){SIZE_MAX, 2});
}

bool shadow_may_single_delete(const shadow *s, uint32_t keyspace, uint32_t key) {
    return s->known[keyspace][key].puts == 1;
}

void shadow_single_delete(shadow *s, uint32_t keyspace, uint32_t key) {
    char name[64];
    CHECK(shadow_may_single_delete(s, keyspace, key));
    shadow_begin(s);
    status st = batch_single_delete(&s->batch, s->ids[keyspace], shadow_key(key, name));
    CHECK(status_is_ok(st));
    shadow_change_entry(s, keyspace, key, 0, (shadow_entry){SIZE_MAX, 0});
}

void shadow_delete_range(shadow *s, uint32_t keyspace, uint32_t begin, uint32_t end) {
    char from_name[64], to_name[64], name[64];
    slice from = shadow_key(begin, from_name), to = shadow_key(end, to_name);
    shadow_begin(s);
    status st = batch_delete_range(&s->batch, s->ids[keyspace], from, to);
    CHECK(status_is_ok(st));
    for (uint32_t key = 0; key < SHADOW_KEYS; key++) {
        slice k = shadow_key(key, name);
        if (slice_compare(from, k) <= 0 && slice_compare(k, to) < 0)
            shadow_change_entry(s, keyspace, key, 0, (shadow_entry){SIZE_MAX, 0});
    }
}

void shadow_draw(shadow *s, uint32_t keyspace, const shadow_mix *mix) {
    rng *r = mix->random;
    uint32_t key = (uint32_t)rng_below(r, SHADOW_KEY_LAST + 1);
    bool is_put = rng_below(r, 100) < mix->puts_percent, is_once = key % 3 == 0;
    if (!is_put && rng_below(r, 16) == 0) {
        shadow_delete_range(s, keyspace, key, (uint32_t)rng_below(r, SHADOW_KEY_LAST + 1));
    } else if (!is_put && is_once && shadow_may_single_delete(s, keyspace, key)) {
        shadow_single_delete(s, keyspace, key);
    } else if (!is_put && !is_once) {
        shadow_delete(s, keyspace, key);
    } else {
        size_t bytes = rng_below(r, 12) ? mix->bytes_most : 10 * mix->bytes_most;
        shadow_value value = {.seed = rng_next(r), .bytes = rng_below(r, bytes)};
        if (!mix->lasts && rng_below(r, 4) == 0)
            value.expiry_ms = shadow_now_ms() + rng_below(r, 80);
        shadow_put_value(s, keyspace, key, value);
    }
}

batch_view shadow_commit(shadow *s) {
    shadow_begin(s);
    s->is_committed = true;
    if (++s->count == s->capacity) {
        s->capacity *= 2;
        s->states = realloc(s->states, s->capacity * sizeof *s->states);
        s->late = realloc(s->late, s->capacity * sizeof *s->late);
    }
    s->states[s->count] = s->present;
    s->late[s->count] = s->lasting;
    return batch_get_view(&s->batch);
}

void shadow_take_back(shadow *s) {
    CHECK(s->is_committed && !s->is_final && s->count > 0);
    while (s->change_count > 0) {
        const shadow_change *c = &s->changes[--s->change_count];
        shadow_entry *known = &s->known[c->keyspace][c->key];
        if (known->life != SIZE_MAX)
            s->life_count--; /* begun by this change, after all others */
        if (c->before.life != SIZE_MAX)
            s->lives[c->before.life].end = SIZE_MAX;
        s->entries[c->keyspace][c->key] = c->hash;
        *known = c->before;
    }
    s->count--;
    s->present = s->states[s->count];
    s->lasting = s->late[s->count];
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
        uint64_t entry = shadow_entry_hash(index, key, value, db_iter_expiry_ms(it));
        *hash ^= entry;
        backward ^= entry;
    }
    TRY(db_iter_status(it));
    for (db_iter_seek_last(it); db_iter_valid(it); db_iter_prev(it))
        backward ^=
            shadow_entry_hash(index, db_iter_key(it), db_iter_value(it), db_iter_expiry_ms(it));
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
            *hash ^= shadow_entry_hash(index, k, slice_of(value.data, value.size), value.expiry_ms);
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
                hash = shadow_hash_of(i, key, slice_of(value.data, value.size), value.expiry_ms);
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
    const uint64_t *states = shadow_is_late ? s->late : s->states;
    for (size_t i = most + 1; i > least; i--) {
        if (states[i - 1] == hash)
            return i - 1;
    }
    return SIZE_MAX;
}

/* --- the database --- */

static void shadow_ignore_event(void *context, const char *json, size_t size) {
    (void)context;
    (void)json;
    (void)size;
}

void shadow_config(const firn_vfs *vfs, db_config *config) {
    static const time_source clock = {NULL, shadow_clock_ns, shadow_clock_ms};
    firn_options options = FIRN_OPTIONS_INIT;
    options.vfs = vfs;
    options.memory_bytes = 64u << 20;
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
    config->reserve_least = config->reserve_most = 32u << 10;
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
