/* Many threads on one database at once: each of them checks what it is promised. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "integration/db_fixture.h"
#include "util/rng.h"

enum { WRITERS = 3, KEYS = 400, ROUNDS = 60 };

/* Each writer owns the keys w/0000 .. and writes round after round to all of them in one batch, so
 * that any reader sees one round of each writer. Failures are counted, as cmocka's asserts only
 * work on the main thread. */
typedef struct shared {
    firn_db *db;
    atomic_int writers_left;
    atomic_uint rounds[WRITERS]; /* acknowledged */
    atomic_int wrong;
    uint64_t seed;
} shared;

typedef struct member {
    shared *all;
    unsigned number;
    pthread_t thread;
} member;

#define WRONG_UNLESS(s, condition)                                                               \
    do {                                                                                         \
        if (!(condition) && atomic_fetch_add(&(s)->wrong, 1) == 0)                               \
            print_error("%s:%d: %s: %s\n", __FILE__, __LINE__, #condition, firn_error_detail()); \
    } while (0)

static void make_key(unsigned writer, unsigned key, char out[16]) {
    snprintf(out, 16, "%u/%04u", writer, key);
}

static void *write_rounds(void *context) {
    member *me = context;
    shared *s = me->all;
    firn_batch *batch;
    char key[16], value[200];
    memset(value, 'v', sizeof value);
    WRONG_UNLESS(s, firn_batch_new(&batch) == FIRN_OK);
    for (unsigned round = 1; round <= (unsigned)test_scaled(ROUNDS); round++) {
        firn_batch_clear(batch);
        for (unsigned k = 0; k < KEYS; k++) {
            make_key(me->number, k, key);
            memcpy(value, &round, sizeof round);
            size_t bytes = 4 + (k * 7 + round) % 190;
            WRONG_UNLESS(s, firn_batch_put(batch, FIRN_STR(key), firn_slice_of(value, bytes)) ==
                                FIRN_OK);
        }
        make_key(me->number, round % KEYS, key);
        WRONG_UNLESS(s, firn_batch_delete(batch, FIRN_STR(key)) == FIRN_OK);
        WRONG_UNLESS(s, firn_write(s->db, NULL, batch) == FIRN_OK);
        atomic_store(&s->rounds[me->number], round);
    }
    firn_batch_free(batch);
    atomic_fetch_sub(&s->writers_left, 1);
    return NULL;
}

static unsigned round_of(firn_slice value) {
    unsigned round = 0;
    if (value.size >= sizeof round)
        memcpy(&round, value.data, sizeof round);
    return round;
}

/* A point read is never older than what was acknowledged before it. */
static void *read_points(void *context) {
    member *me = context;
    shared *s = me->all;
    rng random;
    char key[16];
    rng_init(&random, s->seed + me->number);
    while (atomic_load(&s->writers_left)) {
        unsigned writer = (unsigned)rng_below(&random, WRITERS);
        unsigned k = (unsigned)rng_below(&random, KEYS);
        unsigned before = atomic_load(&s->rounds[writer]);
        firn_value value;
        make_key(writer, k, key);
        firn_status st = firn_get(s->db, NULL, FIRN_STR(key), &value);
        WRONG_UNLESS(s, st == FIRN_OK || st == FIRN_NOT_FOUND);
        if (st == FIRN_OK) {
            WRONG_UNLESS(s, round_of(firn_slice_of(value.data, value.size)) >= before);
            WRONG_UNLESS(s, round_of(firn_slice_of(value.data, value.size)) % KEYS != k);
        }
        firn_value_release(&value);
    }
    return NULL;
}

/* A scan sees each writer's keys all of one round, the deleted one missing. */
static void check_scan(shared *s, firn_iter *it, bool forward) {
    unsigned seen[WRITERS] = {0}, count[WRITERS] = {0};
    if (forward)
        firn_iter_seek_first(it);
    else
        firn_iter_seek_last(it);
    while (firn_iter_valid(it)) {
        firn_slice key = firn_iter_key(it);
        unsigned writer = key.size == 6 ? key.data[0] - '0' : WRITERS;
        unsigned round = round_of(firn_iter_value(it));
        WRONG_UNLESS(s, writer < WRITERS);
        if (writer >= WRITERS)
            return;
        if (seen[writer] == 0)
            seen[writer] = round;
        WRONG_UNLESS(s, seen[writer] == round);
        count[writer]++;
        if (forward)
            firn_iter_next(it);
        else
            firn_iter_prev(it);
    }
    WRONG_UNLESS(s, firn_iter_status(it) == FIRN_OK);
    for (unsigned w = 0; w < WRITERS; w++)
        WRONG_UNLESS(s, count[w] == 0 || count[w] == KEYS - 1);
}

static void *scan(void *context) {
    member *me = context;
    shared *s = me->all;
    for (unsigned i = 0; atomic_load(&s->writers_left); i++) {
        const firn_snapshot *snapshot = NULL;
        firn_read_options options = FIRN_READ_OPTIONS_INIT;
        firn_iter *it;
        if (i % 2) {
            WRONG_UNLESS(s, firn_snapshot_new(s->db, &snapshot) == FIRN_OK);
            options.snapshot = snapshot;
        }
        WRONG_UNLESS(s, firn_iter_new(s->db, &options, &it) == FIRN_OK);
        if (!it)
            return NULL;
        check_scan(s, it, i % 3 != 0);
        if (!snapshot)
            WRONG_UNLESS(s, firn_iter_refresh(it) == FIRN_OK);
        check_scan(s, it, true);
        firn_iter_free(it);
        firn_snapshot_release(s->db, snapshot);
    }
    return NULL;
}

static void *maintain(void *context) {
    member *me = context;
    shared *s = me->all;
    rng random;
    rng_init(&random, s->seed + 99 + me->number);
    while (atomic_load(&s->writers_left)) {
        firn_stats stats = {.size = sizeof stats};
        char lower[16], upper[16];
        switch (rng_below(&random, 5)) {
        case 0:
            WRONG_UNLESS(s, firn_flush(s->db) == FIRN_OK);
            break;
        case 1:
            make_key((unsigned)rng_below(&random, WRITERS), 100, lower);
            make_key((unsigned)rng_below(&random, WRITERS), 300, upper);
            WRONG_UNLESS(s, firn_compact_range(s->db, FIRN_STR(lower), FIRN_STR(upper)) == FIRN_OK);
            break;
        case 2:
            WRONG_UNLESS(s, firn_sync(s->db) == FIRN_OK);
            break;
        case 3:
            WRONG_UNLESS(s, firn_get_stats(s->db, &stats) == FIRN_OK);
            break;
        default:
            WRONG_UNLESS(s, firn_compact_range(s->db, (firn_slice){0}, (firn_slice){0}) == FIRN_OK);
            break;
        }
    }
    return NULL;
}

static void check_end(shared *s) {
    char key[16];
    for (unsigned w = 0; w < WRITERS; w++) {
        unsigned last = atomic_load(&s->rounds[w]);
        for (unsigned k = 0; k < KEYS; k++) {
            firn_value value;
            make_key(w, k, key);
            firn_status st = firn_get(s->db, NULL, FIRN_STR(key), &value);
            ASSERT_FIRN(st, last % KEYS == k ? FIRN_NOT_FOUND : FIRN_OK);
            if (st == FIRN_OK)
                assert_int_equal(round_of(firn_slice_of(value.data, value.size)), last);
            firn_value_release(&value);
        }
    }
}

TEST(concurrent, everybody_sees_whole_batches_while_everything_happens_at_once) {
    static void *(*const roles[])(void *) = {write_rounds, write_rounds, write_rounds,
                                             read_points,  read_points,  scan,
                                             scan,         maintain,     maintain};
    enum { MEMBERS = sizeof roles / sizeof *roles };
    char *dir = test_dir_new();
    firn_options options = small_options();
    options.durability = FIRN_SYNC_INTERVAL;
    options.sync_interval_ms = 5;
    options.threads = 4;
    shared s = {.writers_left = WRITERS, .seed = test_seed()};
    member members[MEMBERS];
    s.db = open_db(dir, &options);
    for (unsigned i = 0; i < MEMBERS; i++) {
        members[i] = (member){.all = &s, .number = i};
        assert_int_equal(pthread_create(&members[i].thread, NULL, roles[i], &members[i]), 0);
    }
    for (unsigned i = 0; i < MEMBERS; i++)
        pthread_join(members[i].thread, NULL);
    assert_int_equal(atomic_load(&s.wrong), 0);
    check_end(&s);
    ASSERT_FIRN_OK(firn_wait_idle(s.db));
    close_db(s.db);
    s.db = open_db(dir, &options);
    check_end(&s);
    close_db(s.db);
    test_dir_remove(dir);
}

static void *wait_idle_often(void *context) {
    member *me = context;
    shared *s = me->all;
    while (atomic_load(&s->writers_left))
        WRONG_UNLESS(s, firn_wait_idle(s->db) == FIRN_OK);
    return NULL;
}

/* Whoever only asks for work must not get in the way of those who do it. */
TEST(concurrent, waiting_for_idle_disturbs_no_compaction) {
    enum { MEMBERS = 3 };
    char *dir = test_dir_new();
    firn_options options = small_options();
    options.threads = 4;
    options.l0_compaction_trigger = 2;
    shared s = {.writers_left = 1, .db = open_db(dir, &options)};
    member members[MEMBERS];
    for (unsigned i = 0; i < MEMBERS; i++) {
        members[i] = (member){.all = &s, .number = i};
        assert_int_equal(pthread_create(&members[i].thread, NULL, wait_idle_often, &members[i]), 0);
    }
    for (uint64_t i = 0; i < test_scaled(40); i++) {
        put_range(s.db, 0, 400, 200, i);
        ASSERT_FIRN_OK(firn_compact_range(s.db, (firn_slice){0}, (firn_slice){0}));
        firn_stats stats = stats_of(s.db);
        assert_int_equal(stats.levels[0].files, 0);
        assert_int_equal(stats.levels[stats.level_count - 1].entries, 400);
    }
    atomic_store(&s.writers_left, 0);
    for (unsigned i = 0; i < MEMBERS; i++)
        pthread_join(members[i].thread, NULL);
    assert_int_equal(atomic_load(&s.wrong), 0);
    close_db(s.db);
    test_dir_remove(dir);
}

/* Opening with compactions due lets the workers start at once. */
TEST(concurrent, work_that_is_due_at_open_starts_at_once) {
    char *dir = test_dir_new();
    firn_options options = small_options();
    options.l0_compaction_trigger = 100;
    firn_db *db = open_db(dir, &options);
    for (uint64_t i = 0; i < 8; i++) {
        put_range(db, 0, 200, 100, i);
        ASSERT_FIRN_OK(firn_flush(db));
    }
    close_db(db);
    options.l0_compaction_trigger = 2;
    for (int i = 0; i < 5; i++) {
        db = open_db(dir, &options);
        put_range(db, 0, 200, 100, 7);
        ASSERT_FIRN_OK(firn_wait_idle(db));
        assert_true(stats_of(db).levels[0].files < 2);
        expect_range(db, NULL, 0, 200, 100, 7);
        close_db(db);
    }
    test_dir_remove(dir);
}

TEST_MAIN(RUN(concurrent, everybody_sees_whole_batches_while_everything_happens_at_once),
          RUN(concurrent, waiting_for_idle_disturbs_no_compaction),
          RUN(concurrent, work_that_is_due_at_open_starts_at_once))
