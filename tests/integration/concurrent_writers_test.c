/* Many writers at once, each in the other's way, with a mapped log: they commit abreast. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "integration/db_fixture.h"
#include "util/rng.h"

enum { WRITERS = 6, READERS = 2, WRITES = 3000 };

/* Writer w counts: its keys w/a and w/b are set to the same number in one batch, w/c alone. */
typedef struct crowd {
    firn_db *db;
    atomic_uint acknowledged[WRITERS];
    atomic_int writers_left, wrong, refused;
    bool may_fail; /* the log is damaged under them */
    uint64_t seed;
} crowd;

typedef struct crowd_member {
    crowd *all;
    unsigned number;
    pthread_t thread;
} crowd_member;

/* cmocka's asserts only work on the main thread. */
#define CROWD_CHECK(c, condition)                                                                \
    do {                                                                                         \
        if (!(condition) && atomic_fetch_add(&(c)->wrong, 1) == 0)                               \
            print_error("%s:%d: %s: %s\n", __FILE__, __LINE__, #condition, firn_error_detail()); \
    } while (0)

static firn_slice crowd_key(unsigned writer, char part, char out[8]) {
    snprintf(out, 8, "%u/%c", writer, part);
    return FIRN_STR(out);
}

static unsigned crowd_get(crowd *c, const firn_snapshot *snapshot, unsigned writer, char part) {
    firn_read_options options = FIRN_READ_OPTIONS_INIT;
    firn_value value;
    char key[8];
    unsigned number = 0;
    options.snapshot = snapshot;
    firn_status st = firn_get(c->db, &options, crowd_key(writer, part, key), &value);
    CROWD_CHECK(c, st == FIRN_OK || st == FIRN_NOT_FOUND);
    if (st == FIRN_OK)
        memcpy(&number, value.data, sizeof number);
    firn_value_release(&value);
    return number;
}

static firn_status crowd_write(crowd *c, unsigned writer, unsigned number, bool sync) {
    const firn_write_options options = {.size = sizeof options,
                                        .sync = sync ? FIRN_YES : FIRN_DEFAULT};
    unsigned char value[64] = {0};
    char key[8];
    firn_batch *batch;
    memcpy(value, &number, sizeof number);
    firn_status st = firn_batch_new(&batch);
    if (st == FIRN_OK)
        st = firn_batch_put(batch, crowd_key(writer, 'a', key), firn_slice_of(value, sizeof value));
    if (st == FIRN_OK)
        st = firn_batch_put(batch, crowd_key(writer, 'b', key), firn_slice_of(value, sizeof value));
    if (st == FIRN_OK)
        st = firn_write(c->db, &options, batch);
    firn_batch_free(batch);
    if (st == FIRN_OK)
        st = firn_put(c->db, NULL, crowd_key(writer, 'c', key), firn_slice_of(value, sizeof value));
    return st;
}

static void *crowd_count(void *context) {
    crowd_member *me = context;
    crowd *c = me->all;
    rng random;
    rng_init(&random, c->seed + me->number);
    for (unsigned i = 1; i <= (unsigned)test_scaled(WRITES); i++) {
        firn_status st = crowd_write(c, me->number, i, rng_below(&random, 500) == 0);
        if (st != FIRN_OK) {
            CROWD_CHECK(c, c->may_fail && st == FIRN_IO_ERROR);
            atomic_fetch_add(&c->refused, 1);
            break;
        }
        atomic_store(&c->acknowledged[me->number], i);
        CROWD_CHECK(c, crowd_get(c, NULL, me->number, 'c') == i);
        if (rng_below(&random, 400) == 0)
            CROWD_CHECK(c, firn_flush(c->db) == FIRN_OK || c->may_fail);
    }
    atomic_fetch_sub(&c->writers_left, 1);
    return NULL;
}

static void *crowd_watch(void *context) {
    crowd_member *me = context;
    crowd *c = me->all;
    rng random;
    rng_init(&random, c->seed + 77 + me->number);
    while (atomic_load(&c->writers_left)) {
        unsigned writer = (unsigned)rng_below(&random, WRITERS);
        unsigned before = atomic_load(&c->acknowledged[writer]);
        const firn_snapshot *snapshot;
        CROWD_CHECK(c, firn_snapshot_new(c->db, &snapshot) == FIRN_OK);
        unsigned a = crowd_get(c, snapshot, writer, 'a');
        CROWD_CHECK(c, a >= before);
        CROWD_CHECK(c, crowd_get(c, snapshot, writer, 'b') == a);
        unsigned last = crowd_get(c, snapshot, writer, 'c');
        CROWD_CHECK(c, last == a || last + 1 == a);
        firn_snapshot_release(c->db, snapshot);
    }
    return NULL;
}

static void crowd_start(crowd *c, crowd_member members[WRITERS + READERS]) {
    atomic_store(&c->writers_left, WRITERS);
    for (unsigned i = 0; i < WRITERS + READERS; i++) {
        members[i] = (crowd_member){.all = c, .number = i};
        assert_int_equal(pthread_create(&members[i].thread, NULL,
                                        i < WRITERS ? crowd_count : crowd_watch, &members[i]),
                         0);
    }
}

static void crowd_join(crowd *c, crowd_member members[WRITERS + READERS]) {
    for (unsigned i = 0; i < WRITERS + READERS; i++)
        pthread_join(members[i].thread, NULL);
    assert_int_equal(atomic_load(&c->wrong), 0);
}

static firn_options crowd_options(void) {
    firn_options options = small_options();
    options.durability = FIRN_SYNC_INTERVAL;
    options.sync_interval_ms = 3;
    options.log_io = FIRN_LOG_IO_MAPPED;
    options.memtable_bytes = 512 << 10; /* some seals, and not all the time in flushes */
    return options;
}

TEST(concurrent_writers, commits_abreast_are_whole_in_order_and_kept) {
    char *dir = test_dir_new();
    firn_options options = crowd_options();
    crowd c = {.seed = test_seed()};
    crowd_member members[WRITERS + READERS];
    c.db = open_db(dir, &options);
    crowd_start(&c, members);
    crowd_join(&c, members);
    for (int reopened = 0; reopened < 2; reopened++) {
        for (unsigned w = 0; w < WRITERS; w++) {
            unsigned last = atomic_load(&c.acknowledged[w]);
            assert_int_equal(last, test_scaled(WRITES));
            assert_int_equal(crowd_get(&c, NULL, w, 'a'), last);
            assert_int_equal(crowd_get(&c, NULL, w, 'b'), last);
            assert_int_equal(crowd_get(&c, NULL, w, 'c'), last);
        }
        close_db(c.db);
        if (!reopened)
            c.db = open_db(dir, &options);
    }
    test_dir_remove(dir);
}

/* Whoever meets the hole fails, and with it all behind it: what was acknowledged stays readable,
 * and nobody waits for ever. */
TEST(concurrent_writers, a_log_cut_short_under_them_fails_all_and_hangs_none) {
    char *dir = test_dir_new();
    firn_options options = crowd_options();
    options.durability = FIRN_SYNC_MANUAL;
    options.memtable_bytes = 64 << 20; /* one segment after the other, none released */
    crowd c = {.seed = test_seed(), .may_fail = true};
    crowd_member members[WRITERS + READERS];
    c.db = open_db(dir, &options);
    ASSERT_FIRN_OK(crowd_write(&c, 0, 0, true));
    crowd_start(&c, members);
    while (atomic_load(&c.acknowledged[0]) < 20)
        usleep(100);
    assert_int_equal(truncate(find_file(dir, ".wal"), 4096), 0);
    crowd_join(&c, members);
    assert_int_equal(atomic_load(&c.refused), WRITERS);
    assert_int_equal(crowd_write(&c, 0, 1, false), FIRN_IO_ERROR);
    for (unsigned w = 0; w < WRITERS; w++)
        assert_true(crowd_get(&c, NULL, w, 'a') >= atomic_load(&c.acknowledged[w]));
    assert_int_equal(firn_close(c.db), FIRN_IO_ERROR);
    test_dir_remove(dir);
}

TEST_MAIN(RUN(concurrent_writers, commits_abreast_are_whole_in_order_and_kept),
          RUN(concurrent_writers, a_log_cut_short_under_them_fails_all_and_hangs_none))
