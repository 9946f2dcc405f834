/* Seeded random operations against the reference, with memtables and files so small that flushes
 * and compactions happen all the time. Two ways of running: real threads on real files, and
 * background work stepped by hand on a simulated disk that dies now and then. */
#include <stdio.h>
#include <stdlib.h>

#include "db/db.h"
#include "lib/test.h"
#include "model/reference.h"
#include "platform/vfs_mem.h"
#include "util/rng.h"

enum {
    MODEL_KEYS = 1500,
    MODEL_KEY_BYTES_MAX = KEY_BYTES_MAX,
    MODEL_ITERATORS = 4,
    MODEL_SNAPSHOTS = 6,
    MODEL_BATCH_MAX = 20
};

/* An iterator and where the reference says it stands. */
typedef struct model_iter {
    firn_iter *it;
    uint32_t keyspace;
    uint64_t clock; /* pinned */
    const firn_snapshot *snapshot;
    buf lower, upper, prefix;
    bool has_lower, has_upper, has_prefix, lower_exclusive, upper_inclusive;
    size_t at; /* key; SIZE_MAX: not valid */
} model_iter;

typedef struct model_snapshot {
    const firn_snapshot *handle;
    uint64_t clock; /* pinned */
    uint32_t users; /* iterators over it */
} model_snapshot;

typedef struct model {
    rng random;
    reference ref;
    slice *keys;
    uint8_t *key_bytes;
    db_config config;
    char *directory;
    vfs_mem *disk; /* NULL: real files and threads */
    firn_db *db;
    uint32_t keyspaces[REFERENCE_KEYSPACES];
    model_iter iterators[MODEL_ITERATORS];
    model_snapshot snapshots[MODEL_SNAPSHOTS];
    uint8_t *value;
    uint64_t operations, refusals;
    const char *doing;
} model;

#define MODEL_CHECK(m, condition)                                                        \
    do {                                                                                 \
        if (!(condition)) {                                                              \
            print_error("operation %llu, %s: %s\n", (unsigned long long)(m)->operations, \
                        (m)->doing, #condition);                                         \
            fail();                                                                      \
        }                                                                                \
    } while (0)
#define MODEL_OK(m, expr)                                                                          \
    do {                                                                                           \
        status model_st = (expr);                                                                  \
        if (!status_is_ok(model_st))                                                               \
            print_error("operation %llu, %s:\n", (unsigned long long)(m)->operations, (m)->doing); \
        test_assert_status(model_st, FIRN_OK, #expr, __FILE__, __LINE__);                          \
    } while (0)

/* Readers may be refused for want of memory; background work and writers never are. */
static bool model_is_refused(model *m, status st) {
    if (!status_is(st, FIRN_NO_MEMORY))
        return false;
    m->refusals++;
    return true;
}

/* --- keys --- */

static int model_compare_reversed(void *context, firn_slice a, firn_slice b) {
    (void)context;
    return slice_compare(b, a);
}

static const firn_comparator model_reversed = {"firn.test.reversed", NULL, model_compare_reversed};

static size_t model_shape_key(rng *random, size_t number, uint8_t *out) {
    if (number == 0)
        return 0;
    if (number % 500 == 1) { /* as long as a key may be */
        memset(out, 'x', MODEL_KEY_BYTES_MAX);
        out[rng_below(random, MODEL_KEY_BYTES_MAX)] = (uint8_t)number;
        return MODEL_KEY_BYTES_MAX;
    }
    switch (number % 5) {
    case 0:
        return (size_t)sprintf((char *)out, "%llu", (unsigned long long)rng_below(random, 3000));
    case 1:
        return (size_t)sprintf((char *)out, "user/%03u/profile/%06zu",
                               (unsigned)rng_below(random, 20), number);
    case 2: { /* binary, with many bytes at the ends of the range */
        static const uint8_t edges[] = {0, 0, 1, 0x7f, 0x80, 0xfe, 0xff, 0xff};
        size_t bytes = 1 + rng_below(random, 12);
        for (size_t i = 0; i < bytes; i++)
            out[i] = edges[rng_below(random, sizeof edges)];
        return bytes;
    }
    case 3: /* each the beginning of others */
        memset(out, 'a', 200);
        return 1 + rng_below(random, 200);
    default:
        return (size_t)sprintf((char *)out, "user/%03u", (unsigned)rng_below(random, 1000));
    }
}

static void model_make_keys(model *m, key_order order) {
    size_t used = 0;
    m->key_bytes = malloc(MODEL_KEYS * 256 + 8 * MODEL_KEY_BYTES_MAX);
    m->keys = malloc(MODEL_KEYS * sizeof *m->keys);
    for (size_t i = 0; i < MODEL_KEYS; i++) {
        m->keys[i] = slice_of(m->key_bytes + used, 0);
        m->keys[i].size = model_shape_key(&m->random, i, m->key_bytes + used);
        used += m->keys[i].size + 1;
    }
    reference_init(&m->ref, order, m->keys, MODEL_KEYS);
}

/* Mostly a key of the run, sometimes one that was never written. */
static slice model_some_key(model *m, uint8_t out[64]) {
    if (rng_below(&m->random, 4) != 0)
        return m->keys[rng_below(&m->random, m->ref.key_count)];
    slice key = m->keys[rng_below(&m->random, m->ref.key_count)];
    size_t size = key.size < 62 ? key.size : 62;
    memcpy(out, key.data, size);
    out[size] = (uint8_t)rng_next(&m->random);
    if (rng_below(&m->random, 2))
        size++;
    else if (size > 0)
        out[size - 1] ^= 1;
    return slice_of(out, size);
}

/* --- life --- */

static void model_open(model *m) {
    MODEL_OK(m, db_open(m->directory, &m->config, &m->db));
}

static void model_drop_iterator(model *m, model_iter *mi) {
    if (!mi->it)
        return;
    db_iter_free(mi->it);
    reference_unpin(&m->ref, mi->clock);
    for (int i = 0; i < MODEL_SNAPSHOTS; i++) {
        if (mi->snapshot && m->snapshots[i].handle == mi->snapshot)
            m->snapshots[i].users--;
    }
    buf_deinit(&mi->lower);
    buf_deinit(&mi->upper);
    buf_deinit(&mi->prefix);
    *mi = (model_iter){0};
}

static void model_drop_handles(model *m) {
    for (int i = 0; i < MODEL_ITERATORS; i++)
        model_drop_iterator(m, &m->iterators[i]);
    for (int i = 0; i < MODEL_SNAPSHOTS; i++) {
        model_snapshot *s = &m->snapshots[i];
        if (!s->handle)
            continue;
        db_snapshot_release(m->db, s->handle);
        reference_unpin(&m->ref, s->clock);
        *s = (model_snapshot){0};
    }
}

static void model_close(model *m) {
    model_drop_handles(m);
    MODEL_OK(m, db_close(m->db));
    m->db = NULL;
}

/* --- writing --- */

static uint32_t model_value_bytes(model *m, size_t key) {
    if (key % 300 == 11 && rng_below(&m->random, 4) == 0)
        return (uint32_t)(LARGE_VALUE_BYTES - 1 + rng_below(&m->random, 3 * LARGE_VALUE_BYTES / 2));
    if (key % 100 == 7)
        return (uint32_t)(65536 - 2 + rng_below(&m->random, 5));
    switch (rng_below(&m->random, 8)) {
    case 0:
        return 0;
    case 1:
        return (uint32_t)(125 + rng_below(&m->random, 6)); /* around what fits into a firn_value */
    default:
        return (uint32_t)rng_below(&m->random, 200);
    }
}

/* Applied to the reference before db_write: nothing may fail. */
static void model_add_operation(model *m, firn_batch *b) {
    uint32_t k = (uint32_t)rng_below(&m->random, REFERENCE_KEYSPACES);
    size_t key = rng_below(&m->random, m->ref.key_count);
    if (rng_below(&m->random, 4) == 0) {
        MODEL_OK(m, batch_delete(b, m->keyspaces[k], m->keys[key]));
        reference_delete(&m->ref, k, key);
        return;
    }
    uint64_t seed = rng_next(&m->random);
    uint32_t bytes = model_value_bytes(m, key);
    reference_fill(seed, m->value, bytes);
    MODEL_OK(m, batch_put(b, m->keyspaces[k], m->keys[key], slice_of(m->value, bytes), true));
    reference_put(&m->ref, k, key, seed, bytes);
}

static void model_write(model *m, uint64_t count) {
    static const firn_choice syncs[] = {FIRN_DEFAULT, FIRN_NO, FIRN_YES};
    firn_batch batch;
    batch_init(&batch);
    for (uint64_t i = 0; i < count; i++)
        model_add_operation(m, &batch);
    batch_view view = batch_get_view(&batch);
    bool sync = rng_below(&m->random, 200) == 0;
    MODEL_OK(m, db_write(m->db, &view, syncs[sync ? 2 : rng_below(&m->random, 2)]));
    batch_deinit(&batch);
    m->operations += count - 1;
}

/* --- point reads --- */

static void model_check_get(model *m, uint32_t k, slice key, const model_snapshot *s) {
    firn_value value;
    firn_read_options options = {.snapshot = s ? s->handle : NULL};
    size_t at = reference_lower_bound(&m->ref, key);
    const reference_version *expected = NULL;
    if (at < m->ref.key_count && slice_equal(m->keys[at], key))
        expected = reference_get(&m->ref, k, at, s ? s->clock : m->ref.clock);
    status st = db_get(m->db, m->keyspaces[k], &options, key, &value);
    if (model_is_refused(m, st))
        return;
    if (!expected) {
        MODEL_CHECK(m, status_is(st, FIRN_NOT_FOUND));
    } else {
        MODEL_OK(m, st);
        MODEL_CHECK(m, reference_matches(expected, slice_of(value.data, value.size)));
    }
    db_value_release(&value);
}

static void model_get(model *m) {
    uint8_t bytes[64];
    const model_snapshot *s = &m->snapshots[rng_below(&m->random, MODEL_SNAPSHOTS)];
    uint32_t k = (uint32_t)rng_below(&m->random, REFERENCE_KEYSPACES);
    model_check_get(m, k, model_some_key(m, bytes),
                    s->handle && rng_below(&m->random, 3) == 0 ? s : NULL);
}

static void model_snapshot_change(model *m) {
    model_snapshot *s = &m->snapshots[rng_below(&m->random, MODEL_SNAPSHOTS)];
    if (s->users)
        return;
    if (s->handle) {
        db_snapshot_release(m->db, s->handle);
        reference_unpin(&m->ref, s->clock);
        *s = (model_snapshot){0};
    } else {
        MODEL_OK(m, db_snapshot_new(m->db, NULL, &s->handle));
        s->clock = reference_pin(&m->ref);
    }
}

/* --- iterators --- */

/* Whether the iterator's bounds admit a key. */
static bool model_admits(const model *m, const model_iter *mi, slice key) {
    int order;
    if (mi->has_prefix && !slice_starts_with(key, buf_slice(&mi->prefix)))
        return false;
    if (mi->has_lower) {
        order = key_order_compare_user(m->ref.order, user_key_of(key),
                                       user_key_of(buf_slice(&mi->lower)));
        if (order < 0 || (order == 0 && mi->lower_exclusive))
            return false;
    }
    if (mi->has_upper) {
        order = key_order_compare_user(m->ref.order, user_key_of(key),
                                       user_key_of(buf_slice(&mi->upper)));
        if (order > 0 || (order == 0 && !mi->upper_inclusive))
            return false;
    }
    return true;
}

/* From `at` on in one direction, the first visible key within the bounds. */
static size_t model_find(const model *m, const model_iter *mi, size_t at, bool forward) {
    for (;;) {
        at = forward ? reference_next(&m->ref, mi->keyspace, at, mi->clock)
                     : reference_previous(&m->ref, mi->keyspace, at, mi->clock);
        if (at == SIZE_MAX || model_admits(m, mi, m->keys[at]))
            return at;
        at += forward ? 1 : SIZE_MAX;
    }
}

/* False: it was refused memory. */
static bool model_check_iterator(model *m, model_iter *mi) {
    if (!db_iter_valid(mi->it)) {
        if (model_is_refused(m, db_iter_status(mi->it)))
            return false;
        MODEL_OK(m, db_iter_status(mi->it));
    }
    MODEL_CHECK(m, db_iter_valid(mi->it) == (mi->at != SIZE_MAX));
    if (mi->at == SIZE_MAX)
        return true;
    MODEL_CHECK(m, slice_equal(db_iter_key(mi->it), m->keys[mi->at]));
    const reference_version *v = reference_get(&m->ref, mi->keyspace, mi->at, mi->clock);
    slice value = db_iter_value(mi->it);
    if (model_is_refused(m, db_iter_status(mi->it)))
        return false;
    MODEL_OK(m, db_iter_status(mi->it));
    MODEL_CHECK(m, reference_matches(v, value));
    return true;
}

/* False: refused. */
static bool model_new_iterator(model *m, model_iter *mi) {
    uint8_t bytes[64];
    firn_read_options options = FIRN_READ_OPTIONS_INIT;
    model_drop_iterator(m, mi);
    mi->keyspace = (uint32_t)rng_below(&m->random, REFERENCE_KEYSPACES);
    mi->has_lower = rng_below(&m->random, 3) == 0;
    mi->has_upper = rng_below(&m->random, 3) == 0;
    mi->has_prefix = !m->ref.order.custom && rng_below(&m->random, 4) == 0;
    mi->lower_exclusive = rng_below(&m->random, 2);
    mi->upper_inclusive = rng_below(&m->random, 2);
    buf_append_slice(&mi->lower, model_some_key(m, bytes));
    buf_append_slice(&mi->upper, model_some_key(m, bytes));
    slice prefix = model_some_key(m, bytes);
    buf_append(&mi->prefix, prefix.data, rng_below(&m->random, prefix.size + 1));
    if (mi->has_lower)
        options.lower = buf_slice(&mi->lower);
    if (mi->has_upper)
        options.upper = buf_slice(&mi->upper);
    if (mi->has_prefix)
        options.prefix = buf_slice(&mi->prefix);
    options.lower_exclusive = mi->lower_exclusive ? FIRN_YES : FIRN_NO;
    options.upper_inclusive = mi->upper_inclusive ? FIRN_YES : FIRN_DEFAULT;
    options.fill_cache = rng_below(&m->random, 2) ? FIRN_NO : FIRN_DEFAULT;
    model_snapshot *s = &m->snapshots[rng_below(&m->random, MODEL_SNAPSHOTS)];
    if (s->handle && rng_below(&m->random, 2)) {
        options.snapshot = mi->snapshot = s->handle;
        s->users++;
        mi->clock = s->clock;
        m->ref.pins[m->ref.pin_count++] = s->clock;
    } else {
        mi->clock = reference_pin(&m->ref);
    }
    mi->at = SIZE_MAX;
    status st = db_iter_new(m->db, m->keyspaces[mi->keyspace], &options, &mi->it);
    if (model_is_refused(m, st))
        return false;
    MODEL_OK(m, st);
    return true;
}

static bool model_refresh_iterator(model *m, model_iter *mi) {
    status st = db_iter_refresh(mi->it);
    if (model_is_refused(m, st))
        return false;
    MODEL_OK(m, st);
    reference_unpin(&m->ref, mi->clock);
    mi->clock = reference_pin(&m->ref);
    mi->at = SIZE_MAX;
    return true;
}

static void model_seek_iterator(model *m, model_iter *mi) {
    uint8_t bytes[64];
    slice key = model_some_key(m, bytes);
    size_t at = reference_lower_bound(&m->ref, key);
    bool exact = at < m->ref.key_count && slice_equal(m->keys[at], key);
    switch (rng_below(&m->random, 4)) {
    case 0:
        db_iter_seek_first(mi->it);
        mi->at = model_find(m, mi, 0, true);
        break;
    case 1:
        db_iter_seek_last(mi->it);
        mi->at = model_find(m, mi, m->ref.key_count - 1, false);
        break;
    case 2:
        db_iter_seek(mi->it, key);
        mi->at = model_find(m, mi, at, true);
        break;
    default:
        db_iter_seek_for_prev(mi->it, key);
        mi->at = model_find(m, mi, exact ? at : at - 1, false);
        break;
    }
}

static void model_step_iterator(model *m, model_iter *mi, bool forward) {
    if (forward)
        db_iter_next(mi->it);
    else
        db_iter_prev(mi->it);
    if (mi->at != SIZE_MAX)
        mi->at = model_find(m, mi, mi->at + (forward ? 1 : SIZE_MAX), forward);
}

/* False: it was refused memory on the way. */
static bool model_walk_iterator(model *m, model_iter *mi) {
    if (!mi->it || rng_below(&m->random, 12) == 0) {
        if (!model_new_iterator(m, mi))
            return false;
    } else if (!mi->snapshot && rng_below(&m->random, 12) == 0) {
        if (!model_refresh_iterator(m, mi))
            return false;
    }
    if (mi->at == SIZE_MAX || rng_below(&m->random, 3) == 0)
        model_seek_iterator(m, mi);
    bool good = model_check_iterator(m, mi), forward = rng_below(&m->random, 2);
    for (uint64_t steps = rng_below(&m->random, 8); good && steps > 0; steps--) {
        if (rng_below(&m->random, 4) == 0)
            forward = !forward;
        model_step_iterator(m, mi, forward);
        good = model_check_iterator(m, mi);
    }
    return good;
}

/* Who is refused gives back what he has. */
static void model_move_iterator(model *m) {
    model_iter *mi = &m->iterators[rng_below(&m->random, MODEL_ITERATORS)];
    if (!model_walk_iterator(m, mi))
        model_drop_iterator(m, mi);
}

/* A keyspace from end to end, both ways; false: it was refused memory on the way. */
static bool model_check_keyspace(model *m, uint32_t k) {
    model_iter mi = {.keyspace = k, .clock = m->ref.clock};
    status st = db_iter_new(m->db, m->keyspaces[k], NULL, &mi.it);
    if (model_is_refused(m, st))
        return false;
    MODEL_OK(m, st);
    db_iter_seek_first(mi.it);
    mi.at = model_find(m, &mi, 0, true);
    bool good = model_check_iterator(m, &mi);
    for (; good && mi.at != SIZE_MAX; good = model_check_iterator(m, &mi))
        model_step_iterator(m, &mi, true);
    db_iter_seek_last(mi.it);
    mi.at = model_find(m, &mi, m->ref.key_count - 1, false);
    good = good && model_check_iterator(m, &mi);
    for (; good && mi.at != SIZE_MAX; good = model_check_iterator(m, &mi))
        model_step_iterator(m, &mi, false);
    db_iter_free(mi.it);
    return good;
}

/* Once jobs are quiet and nobody else reads, there is memory. */
static void model_check_everything(model *m) {
    for (uint32_t k = 0; k < REFERENCE_KEYSPACES; k++) {
        if (!model_check_keyspace(m, k)) {
            for (size_t i = 0; i < MODEL_ITERATORS; i++)
                model_drop_iterator(m, &m->iterators[i]);
            MODEL_OK(m, db_wait_idle(m->db));
            MODEL_CHECK(m, model_check_keyspace(m, k));
        }
        for (size_t i = rng_below(&m->random, 10); i < m->ref.key_count; i += 10)
            model_check_get(m, k, m->keys[i], NULL);
    }
}

/* --- maintenance --- */

static void model_compact(model *m) {
    uint8_t a[64], b[64];
    slice lower = SLICE_UNSET, upper = SLICE_UNSET;
    if (rng_below(&m->random, 3))
        lower = model_some_key(m, a);
    if (rng_below(&m->random, 3))
        upper = model_some_key(m, b);
    MODEL_OK(m, db_compact_range(m->db, lower, upper));
}

/* Another disk takes over: with everything on it after a kill, and with everything that was synced
 * after a power cut. */
static void model_crash(model *m) {
    vfs_mem *after;
    vfs_mem_crash mode = VFS_MEM_KILL;
    if (rng_below(&m->random, 2)) {
        mode = (vfs_mem_crash)rng_below(&m->random, VFS_MEM_CRASH_COUNT);
        MODEL_OK(m, db_sync(m->db));
    }
    MODEL_OK(m, vfs_mem_crash_clone(m->disk, mode, rng_next(&m->random), &after));
    model_close(m);
    vfs_mem_free(m->disk);
    m->disk = after;
    m->config.vfs = vfs_mem_vfs(after);
    model_open(m);
    model_check_everything(m);
}

static void model_seldom(model *m) {
    switch (rng_below(&m->random, 8)) {
    case 0:
    case 1:
        m->doing = "flush";
        MODEL_OK(m, db_flush(m->db));
        break;
    case 2:
    case 3:
        m->doing = "compact";
        model_compact(m);
        break;
    case 4:
        m->doing = "wait_idle";
        MODEL_OK(m, db_wait_idle(m->db));
        break;
    case 5:
        m->doing = "sync";
        MODEL_OK(m, db_sync(m->db));
        break;
    case 6:
        m->doing = "reopen";
        model_close(m);
        model_open(m);
        model_check_everything(m);
        break;
    default:
        m->doing = "crash";
        if (m->disk)
            model_crash(m);
        break;
    }
}

static void model_operation(model *m) {
    uint64_t what = rng_below(&m->random, 1000);
    if (what < 500) {
        m->doing = "write";
        model_write(m, 1);
    } else if (what < 560) {
        m->doing = "batch";
        model_write(m, 1 + rng_below(&m->random, MODEL_BATCH_MAX));
    } else if (what < 850) {
        m->doing = "get";
        model_get(m);
    } else if (what < 985) {
        m->doing = "iterate";
        model_move_iterator(m);
    } else if (what < 997) {
        m->doing = "snapshot";
        model_snapshot_change(m);
    } else if (rng_below(&m->random, 4) == 0) {
        model_seldom(m);
    }
    if (m->disk && rng_below(&m->random, 16) == 0) {
        m->doing = "step";
        (void)db_step(m->db);
    }
    m->operations++;
}

/* --- one run --- */

static void model_begin(model *m, uint64_t seed, const firn_comparator *order, bool simulated) {
    static const firn_durability modes[] = {FIRN_SYNC_INTERVAL, FIRN_SYNC_MANUAL,
                                            FIRN_SYNC_EVERY_BYTES, FIRN_SYNC_EVERY_COMMITS};
    *m = (model){.doing = "open"};
    rng_init(&m->random, seed);
    firn_options options = FIRN_OPTIONS_INIT;
    options.comparator = order;
    options.threads = 2 + (uint32_t)rng_below(&m->random, 3);
    options.memory_bytes = 8 << 20; /* so that readers are refused now and then */
    options.memtable_bytes = 64 << 10;
    options.file_bytes = 64 << 10;
    options.level_base_bytes = 64 << 10;
    options.level_fanout = 2 + (uint32_t)rng_below(&m->random, 3);
    options.block_bytes = rng_below(&m->random, 2) ? 4096 : 512;
    options.cache_bytes = rng_below(&m->random, 2) ? FIRN_NONE : 256 << 10;
    options.filter_bits_per_key = rng_below(&m->random, 4) ? 10 : UINT32_MAX;
    options.durability = modes[rng_below(&m->random, 4)];
    options.sync_commits = 1000;
    MODEL_OK(m, db_config_derive(&options, &m->config));
    m->config.log_segment_first = 64 << 10;
    m->config.log_segment_max = 256 << 10;
    if (simulated) {
        MODEL_OK(m, vfs_mem_new(&m->disk));
        m->config.vfs = vfs_mem_vfs(m->disk);
        m->config.threads = 0;
        m->directory = strdup("/db");
    } else {
        m->directory = test_dir_new();
    }
    m->value = malloc(4 * LARGE_VALUE_BYTES);
    model_make_keys(m, m->config.order);
    model_open(m);
    for (uint32_t k = 1; k < REFERENCE_KEYSPACES; k++)
        MODEL_OK(m, db_keyspace_create(m->db, k == 1 ? "one" : "two", &m->keyspaces[k]));
}

static void model_end(model *m) {
    m->doing = "end";
    model_check_everything(m);
    model_close(m);
    model_open(m);
    model_check_everything(m);
    model_close(m);
    if (m->disk) {
        vfs_mem_free(m->disk);
        free(m->directory);
    } else {
        test_dir_remove(m->directory);
    }
    reference_deinit(&m->ref);
    free(m->keys);
    free(m->key_bytes);
    free(m->value);
}

static void model_run(const firn_comparator *order, bool simulated, uint64_t salt) {
    uint64_t seed = test_seed() + salt;
    for (int i = 0; i < 2; i++, seed += 1000) {
        model m;
        uint64_t operations = test_scaled(26000);
        model_begin(&m, seed, order, simulated);
        while (m.operations < operations)
            model_operation(&m);
        model_end(&m);
    }
}

TEST(model, threads_on_files_agree_with_the_reference) {
    model_run(NULL, false, 1);
}

TEST(model, threads_on_files_agree_in_a_custom_order) {
    model_run(&model_reversed, false, 2);
}

TEST(model, stepped_work_on_a_dying_disk_agrees_with_the_reference) {
    model_run(NULL, true, 3);
}

TEST(model, stepped_work_on_a_dying_disk_agrees_in_a_custom_order) {
    model_run(&model_reversed, true, 4);
}

TEST_MAIN(RUN(model, threads_on_files_agree_with_the_reference),
          RUN(model, threads_on_files_agree_in_a_custom_order),
          RUN(model, stepped_work_on_a_dying_disk_agrees_with_the_reference),
          RUN(model, stepped_work_on_a_dying_disk_agrees_in_a_custom_order))
