/* All kinds of operations at once against a table of versions: puts, puts that expire on a clock of
 * the test's, deletes, single-deletes, range deletes, with snapshots and iterators held, every
 * strategy, and background work stepped by hand so that flushes and compactions never rest. */
#include <stdio.h>
#include <stdlib.h>

#include "db/db_internal.h"
#include "lib/test.h"
#include "platform/vfs_mem.h"
#include "util/rng.h"

enum {
    KINDS_KEYS = 120,
    KINDS_VERSIONS = 400,
    KINDS_SNAPSHOTS = 4,
    KINDS_OPERATIONS = 4000,
    KINDS_VALUE_BYTES = 300
};

typedef struct kinds_version {
    uint64_t step; /* of the write */
    bool deleted;
    uint64_t seed, expiry_ms;
} kinds_version;

typedef struct kinds_key {
    kinds_version versions[KINDS_VERSIONS];
    uint32_t count;
    uint32_t puts; /* since it was last removed in a way that single-deletes allow */
} kinds_key;

typedef struct kinds_reader {
    const firn_snapshot *handle;
    uint64_t step, now_ms;
    bool looked, found[KINDS_KEYS]; /* where FIFO drops: what it found when it first looked */
} kinds_reader;

typedef struct kinds_model {
    rng random;
    vfs_mem *disk;
    time_source clock;
    uint64_t now_ms, step;
    db_config config;
    firn_db *db;
    kinds_key keys[KINDS_KEYS];
    kinds_reader snapshots[KINDS_SNAPSHOTS];
    bool forgets; /* FIFO drops what the reference still knows */
    uint64_t found, forgotten, too_old;
} kinds_model;

static uint64_t kinds_now(void *context) {
    return ((kinds_model *)context)->now_ms;
}

static uint64_t kinds_monotonic(void *context) {
    (void)context;
    return 0;
}

static slice kinds_name(size_t key, char out[16]) {
    return slice_of(out, (size_t)snprintf(out, 16, "k%04zu", key));
}

static slice kinds_value(uint64_t seed, uint8_t out[KINDS_VALUE_BYTES]) {
    rng r;
    rng_init(&r, seed);
    size_t bytes = rng_below(&r, KINDS_VALUE_BYTES);
    for (size_t i = 0; i < bytes; i++)
        out[i] = (uint8_t)rng_next(&r);
    return slice_of(out, bytes);
}

/* --- the reference --- */

static void kinds_push(kinds_model *m, size_t key, kinds_version v) {
    kinds_key *k = &m->keys[key];
    v.step = m->step;
    k->puts += !v.deleted;
    if (k->count == KINDS_VERSIONS) { /* nobody reads so far back */
        memmove(k->versions, k->versions + KINDS_VERSIONS / 2, sizeof k->versions / 2);
        k->count = KINDS_VERSIONS / 2;
    }
    k->versions[k->count++] = v;
}

static const kinds_version *kinds_look(const kinds_model *m, size_t key, const kinds_reader *r) {
    const kinds_key *k = &m->keys[key];
    for (uint32_t i = k->count; i > 0; i--) {
        const kinds_version *v = &k->versions[i - 1];
        if (v->step > r->step)
            continue;
        bool gone = v->deleted || (v->expiry_ms && v->expiry_ms <= r->now_ms);
        return gone ? NULL : v;
    }
    return NULL;
}

/* --- writing --- */

static void kinds_put(kinds_model *m, firn_batch *b, size_t key) {
    char name[16];
    uint8_t bytes[KINDS_VALUE_BYTES];
    kinds_version v = {.seed = rng_next(&m->random)};
    if (rng_below(&m->random, 3) == 0)
        v.expiry_ms = m->now_ms + 1 + rng_below(&m->random, 300);
    batch_expiring put = {kinds_name(key, name), kinds_value(v.seed, bytes), v.expiry_ms};
    ASSERT_OK(batch_put_expiring(b, 0, &put, true));
    kinds_push(m, key, v);
}

static void kinds_delete_range(kinds_model *m, firn_batch *b) {
    char first[16], last[16];
    size_t from = rng_below(&m->random, KINDS_KEYS + 1);
    size_t bytes = rng_below(&m->random, 8) ? rng_below(&m->random, 12) : KINDS_KEYS;
    size_t to = from + bytes > KINDS_KEYS ? KINDS_KEYS : from + bytes;
    if (rng_below(&m->random, 20) == 0) { /* the wrong way round */
        ASSERT_OK(batch_delete_range(b, 0, kinds_name(to + 1, last), kinds_name(from, first)));
        return;
    }
    ASSERT_OK(batch_delete_range(b, 0, kinds_name(from, first), kinds_name(to, last)));
    for (size_t key = from; key < to; key++) {
        kinds_push(m, key, (kinds_version){.deleted = true});
        m->keys[key].puts = 0;
    }
}

static void kinds_add_operation(kinds_model *m, firn_batch *b) {
    char name[16];
    size_t key = rng_below(&m->random, KINDS_KEYS);
    uint64_t what = rng_below(&m->random, 100);
    m->step++;
    bool once = key % 3 == 0; /* put once, single-deleted, mostly */
    if (what < 4) {
        kinds_delete_range(m, b);
    } else if (what < 25 && !once) {
        ASSERT_OK(batch_delete(b, 0, kinds_name(key, name)));
        kinds_push(m, key, (kinds_version){.deleted = true});
    } else if (once && m->keys[key].puts == 1 && what < 90) {
        ASSERT_OK(batch_single_delete(b, 0, kinds_name(key, name)));
        kinds_push(m, key, (kinds_version){.deleted = true});
        m->keys[key].puts = 0;
    } else {
        kinds_put(m, b, key);
    }
}

static void kinds_write(kinds_model *m) {
    firn_batch b;
    batch_init(&b);
    for (uint64_t i = 1 + rng_below(&m->random, 4); i > 0; i--)
        kinds_add_operation(m, &b);
    batch_view view = batch_get_view(&b);
    ASSERT_OK(db_write(m->db, &view, FIRN_NO));
    batch_deinit(&b);
}

/* --- reading --- */

static void kinds_check_value(const kinds_version *v, slice value) {
    uint8_t bytes[KINDS_VALUE_BYTES];
    assert_true(slice_equal(kinds_value(v->seed, bytes), value));
}

static void kinds_check_get(kinds_model *m, size_t key, const kinds_reader *r) {
    char name[16];
    firn_value value;
    firn_read_options options = {.snapshot = r->handle};
    const kinds_version *v = kinds_look(m, key, r);
    status st = db_get(m->db, 0, &options, kinds_name(key, name), &value);
    if ((st.code == FIRN_OK) != (v != NULL))
        print_error("key %zu at step %llu\n", key, (unsigned long long)m->step);
    assert_int_equal(st.code, v ? FIRN_OK : FIRN_NOT_FOUND);
    if (v) {
        kinds_check_value(v, slice_of(value.data, value.size));
        assert_int_equal(value.expiry_ms, v->expiry_ms);
    }
    db_value_release(&value);
}

/* The next key in one direction from `key` on that the reader sees; SIZE_MAX: none. */
static size_t kinds_find(const kinds_model *m, size_t key, bool forward, const kinds_reader *r) {
    for (; key < KINDS_KEYS; key += forward ? 1 : SIZE_MAX) {
        if (kinds_look(m, key, r))
            return key;
    }
    return SIZE_MAX;
}

static void kinds_check_place(kinds_model *m, firn_iter *it, size_t key, const kinds_reader *r) {
    char name[16];
    ASSERT_OK(db_iter_status(it));
    assert_int_equal(db_iter_valid(it), key != SIZE_MAX);
    if (key == SIZE_MAX)
        return;
    const kinds_version *v = kinds_look(m, key, r);
    assert_true(slice_equal(db_iter_key(it), kinds_name(key, name)));
    kinds_check_value(v, db_iter_value(it));
    assert_int_equal(db_iter_expiry_ms(it), v->expiry_ms);
}

/* Where FIFO drops tables, a reader finds what the reference has or nothing, never an older
 * version, for the oldest table goes first. A snapshot finds the same all its life, or is too old.
 */
static void kinds_check_forgetful(kinds_model *m, kinds_reader *r) {
    char name[16];
    firn_value value;
    firn_iter *it;
    firn_read_options options = {.snapshot = r->handle};
    status st = db_iter_new(m->db, 0, &options, &it);
    bool too_old = st.code == FIRN_SNAPSHOT_TOO_OLD;
    assert_true(st.code == FIRN_OK || (too_old && r->handle));
    m->too_old += too_old;
    if (!too_old)
        db_iter_seek_first(it);
    for (size_t key = 0; key < KINDS_KEYS; key++) {
        const kinds_version *v = kinds_look(m, key, r);
        st = db_get(m->db, 0, &options, kinds_name(key, name), &value);
        assert_int_equal(st.code == FIRN_SNAPSHOT_TOO_OLD, too_old);
        if (too_old)
            continue;
        assert_true(st.code == FIRN_OK || st.code == FIRN_NOT_FOUND);
        bool found = st.code == FIRN_OK;
        if (r->looked)
            assert_int_equal(found, r->found[key]);
        r->found[key] = found;
        m->found += found;
        m->forgotten += v && !found;
        if (!found)
            continue;
        assert_non_null(v);
        kinds_check_value(v, slice_of(value.data, value.size));
        assert_int_equal(value.expiry_ms, v->expiry_ms);
        db_value_release(&value);
        kinds_check_place(m, it, key, r); /* the scan shows what gets find, and nothing else */
        db_iter_next(it);
    }
    if (too_old)
        return;
    r->looked = true;
    kinds_check_place(m, it, SIZE_MAX, r);
    db_iter_free(it);
}

static void kinds_check_scans(kinds_model *m, const kinds_reader *r) {
    char name[16];
    firn_iter *it;
    firn_read_options options = {.snapshot = r->handle};
    ASSERT_OK(db_iter_new(m->db, 0, &options, &it));
    size_t at = kinds_find(m, 0, true, r);
    for (db_iter_seek_first(it); kinds_check_place(m, it, at, r), at != SIZE_MAX; db_iter_next(it))
        at = kinds_find(m, at + 1, true, r);
    at = kinds_find(m, KINDS_KEYS - 1, false, r);
    for (db_iter_seek_last(it); kinds_check_place(m, it, at, r), at != SIZE_MAX; db_iter_prev(it))
        at = kinds_find(m, at - 1, false, r);
    for (int walks = 0; walks < 6; walks++) {
        at = rng_below(&m->random, KINDS_KEYS);
        db_iter_seek(it, kinds_name(at, name));
        at = kinds_find(m, at, true, r);
        kinds_check_place(m, it, at, r);
        for (int steps = 0; steps < 6 && at != SIZE_MAX; steps++) {
            bool forward = rng_below(&m->random, 2);
            if (forward)
                db_iter_next(it);
            else
                db_iter_prev(it);
            at = kinds_find(m, forward ? at + 1 : at - 1, forward, r);
            kinds_check_place(m, it, at, r);
        }
    }
    db_iter_free(it);
}

static void kinds_check(kinds_model *m, bool all) {
    kinds_reader present = {.step = m->step, .now_ms = m->now_ms};
    for (int i = -1; i < KINDS_SNAPSHOTS; i++) {
        kinds_reader *r = i < 0 ? &present : &m->snapshots[i];
        if (i >= 0 && !r->handle)
            continue;
        if (m->forgets) {
            kinds_check_forgetful(m, r);
            continue;
        }
        for (int gets = 0; gets < 8; gets++)
            kinds_check_get(m, rng_below(&m->random, KINDS_KEYS), r);
        if (all)
            kinds_check_scans(m, r);
    }
}

/* --- life --- */

static void kinds_change_snapshot(kinds_model *m) {
    kinds_reader *r = &m->snapshots[rng_below(&m->random, KINDS_SNAPSHOTS)];
    if (r->handle) {
        db_snapshot_release(m->db, r->handle);
        *r = (kinds_reader){0};
        return;
    }
    *r = (kinds_reader){.step = m->step, .now_ms = m->now_ms};
    ASSERT_OK(db_snapshot_new(m->db, NULL, &r->handle));
}

static void kinds_drop_snapshots(kinds_model *m) {
    for (int i = 0; i < KINDS_SNAPSHOTS; i++) {
        if (m->snapshots[i].handle)
            db_snapshot_release(m->db, m->snapshots[i].handle);
        m->snapshots[i] = (kinds_reader){0};
    }
}

static void kinds_begin(kinds_model *m, uint64_t seed, const char *strategy, uint64_t fifo_bytes) {
    firn_options options = FIRN_OPTIONS_INIT;
    memset(m, 0, sizeof *m);
    m->forgets = fifo_bytes > 0;
    options.fifo_bytes = fifo_bytes;
    rng_init(&m->random, seed);
    m->now_ms = 1000000;
    m->clock = (time_source){m, kinds_monotonic, kinds_now};
    ASSERT_OK(vfs_mem_new(&m->disk));
    options.memory_bytes = 8 << 20;
    options.memtable_bytes = 64 << 10;
    options.file_bytes = 64 << 10;
    options.level_base_bytes = 64 << 10;
    options.level_fanout = 2;
    options.block_bytes = 512;
    assert_int_equal(firn_options_set(&options, "strategy", strategy), FIRN_OK);
    ASSERT_OK(db_config_derive(&options, &m->config));
    /* Tables of a few blocks, so that levels have many. */
    m->config.memtable_bytes = 24 << 10;
    m->config.tree.file_bytes = 4 << 10;
    m->config.tree.level_base_bytes = 8 << 10;
    m->config.tree.pieces = 3;
    m->config.tree.purge_age_ms = 2000;
    m->config.vfs = vfs_mem_vfs(m->disk);
    m->config.clock = &m->clock;
    m->config.threads = 0;
    ASSERT_OK(db_open("/db", &m->config, &m->db));
}

static void kinds_seldom(kinds_model *m) {
    char a[16], b[16];
    slice from = kinds_name(rng_below(&m->random, KINDS_KEYS), a);
    slice to = kinds_name(rng_below(&m->random, KINDS_KEYS), b);
    switch (rng_below(&m->random, 6)) {
    case 0:
        ASSERT_OK(db_compact_range(m->db, SLICE_UNSET, SLICE_UNSET));
        break;
    case 1:
        ASSERT_OK(db_compact_range(m->db, from, to));
        break;
    case 2:
        kinds_drop_snapshots(m);
        ASSERT_OK(db_close(m->db));
        m->config.tree.pieces = 1 + (uint32_t)rng_below(&m->random, 5);
        ASSERT_OK(db_open("/db", &m->config, &m->db));
        break;
    case 3:
        ASSERT_OK(db_wait_idle(m->db));
        break;
    default:
        ASSERT_OK(db_flush(m->db));
        break;
    }
    kinds_check(m, true);
}

/* With `fifo_bytes` the oldest tables are dropped beyond them. */
static void kinds_run(const char *strategy, uint64_t salt, uint64_t fifo_bytes) {
    kinds_model *m = malloc(sizeof *m);
    uint64_t operations = test_scaled(KINDS_OPERATIONS);
    kinds_begin(m, test_seed() + salt, strategy, fifo_bytes);
    for (uint64_t i = 0; i < operations; i++) {
        kinds_write(m);
        m->now_ms += rng_below(&m->random, 3);
        if (rng_below(&m->random, 20) == 0)
            kinds_change_snapshot(m);
        if (rng_below(&m->random, 8) == 0)
            (void)db_step(m->db);
        kinds_check(m, rng_below(&m->random, 60) == 0);
        if (rng_below(&m->random, 120) == 0)
            kinds_seldom(m);
    }
    kinds_drop_snapshots(m);
    m->now_ms += 1000;
    ASSERT_OK(db_compact_range(m->db, SLICE_UNSET, SLICE_UNSET));
    kinds_check(m, true);
    if (m->forgets && operations >= KINDS_OPERATIONS) {
        assert_true(m->found > 0);
        assert_true(m->forgotten > 0);
        assert_true(m->too_old > 0);
    }
    ASSERT_OK(db_close(m->db));
    vfs_mem_free(m->disk);
    free(m);
}

TEST(kinds_model, all_kinds_agree_with_the_reference_when_leveled) {
    kinds_run("leveled", 1, 0);
}

TEST(kinds_model, all_kinds_agree_with_the_reference_when_tiered) {
    kinds_run("tiered", 2, 0);
}

TEST(kinds_model, all_kinds_agree_with_the_reference_when_fifo_drops_nothing) {
    kinds_run("fifo", 3, 0);
}

TEST(kinds_model, what_fifo_left_agrees_with_the_reference) {
    kinds_run("fifo", 4, 40 << 10);
}

TEST_MAIN(RUN(kinds_model, all_kinds_agree_with_the_reference_when_leveled),
          RUN(kinds_model, all_kinds_agree_with_the_reference_when_tiered),
          RUN(kinds_model, all_kinds_agree_with_the_reference_when_fifo_drops_nothing),
          RUN(kinds_model, what_fifo_left_agrees_with_the_reference))
