/* kill -9 under four writing threads, at random moments, in every durability mode and with the log
 * mapped and written: what any of them was told is written is there afterwards.
 *
 * FIRN_KILL_ROUNDS (default 3) is the number of kills per combination. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "db/config.h"
#include "db/db.h"
#include "integration/db_fixture.h"
#include "util/rng.h"

enum { THREADS = 4, VALUE_BYTES_UP_TO = 900 };

/* One acknowledged batch; small enough for a pipe to take it whole. */
typedef struct kill_report {
    uint32_t thread;
    uint64_t number;
} kill_report;

typedef struct kill_writer {
    firn_db *db;
    uint32_t thread;
    uint64_t start;
    int report;
} kill_writer;

/* The entries of one batch, which must never be seen apart. */
static const char *kill_key(uint32_t thread, uint64_t number, const char *which, char out[64]) {
    snprintf(out, 64, "writer-%u-%08llu-%s", thread, (unsigned long long)number, which);
    return out;
}

static size_t kill_value(uint32_t thread, uint64_t number, uint8_t *out) {
    size_t bytes = (size_t)(number * 37 % VALUE_BYTES_UP_TO);
    fill_bytes(number * THREADS + thread, out, bytes);
    return bytes;
}

static void *kill_write(void *context) {
    const kill_writer *w = context;
    firn_batch *batch;
    uint8_t value[VALUE_BYTES_UP_TO];
    char first[64], second[64];
    if (firn_batch_new(&batch) != FIRN_OK)
        _exit(2);
    for (uint64_t i = w->start;; i++) {
        kill_report report = {.thread = w->thread, .number = i};
        size_t bytes = kill_value(w->thread, i, value);
        firn_batch_clear(batch);
        if (firn_batch_put(batch, FIRN_STR(kill_key(w->thread, i, "a", first)),
                           firn_slice_of(value, bytes)) ||
            firn_batch_put(batch, FIRN_STR(kill_key(w->thread, i, "b", second)),
                           firn_slice_of(&i, sizeof i)) ||
            firn_write(w->db, NULL, batch) ||
            write(w->report, &report, sizeof report) != (ssize_t)sizeof report)
            _exit(3);
    }
    return NULL;
}

static void kill_child(const char *dir, const firn_options *options, const uint64_t *next,
                       int report) {
    kill_writer writers[THREADS];
    pthread_t threads[THREADS];
    db_config config;
    firn_db *db;
    if (!status_is_ok(db_config_derive(options, &config)))
        _exit(4);
    config.log_segment_first = 64 << 10; /* so that segments are recycled all the time */
    config.log_segment_max = 128 << 10;
    if (!status_is_ok(db_open(dir, &config, &db)))
        _exit(5);
    for (uint32_t t = 0; t < THREADS; t++) {
        writers[t] = (kill_writer){db, t, next[t], report};
        if (pthread_create(&threads[t], NULL, kill_write, &writers[t]) != 0)
            _exit(6);
    }
    for (;;)
        pause();
}

/* next[t]: the first number that thread t was not told is written. */
static void kill_once(const char *dir, const firn_options *options, uint64_t *next, rng *random) {
    int report[2], result;
    kill_report r;
    assert_int_equal(pipe(report), 0);
    pid_t child = fork_child();
    if (child == 0) {
        close(report[0]);
        kill_child(dir, options, next, report[1]);
    }
    close(report[1]);
    struct timespec pause = {0, (long)rng_below(random, 150) * 1000000};
    nanosleep(&pause, NULL);
    assert_int_equal(kill(child, SIGKILL), 0);
    while (read(report[0], &r, sizeof r) == (ssize_t)sizeof r)
        next[r.thread] = r.number + 1;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFSIGNALED(result));
    close(report[0]);
}

static bool kill_check_one(firn_db *db, uint32_t thread, uint64_t number) {
    firn_value value, twin;
    uint8_t expected[VALUE_BYTES_UP_TO];
    char key[64];
    firn_status st = firn_get(db, NULL, FIRN_STR(kill_key(thread, number, "a", key)), &value);
    ASSERT_FIRN(firn_get(db, NULL, FIRN_STR(kill_key(thread, number, "b", key)), &twin), st);
    if (st == FIRN_OK) {
        assert_int_equal(value.size, kill_value(thread, number, expected));
        assert_memory_equal(value.data, expected, value.size);
        assert_int_equal(twin.size, sizeof number);
        assert_memory_equal(twin.data, &number, sizeof number);
    }
    firn_value_release(&value);
    firn_value_release(&twin);
    return st == FIRN_OK;
}

/* All that was told is there, and at most one batch per thread more. */
static void kill_check(firn_db *db, uint64_t *next) {
    for (uint32_t t = 0; t < THREADS; t++) {
        for (uint64_t i = 0; i < next[t]; i++) {
            if (!kill_check_one(db, t, i))
                fail_msg("batch %llu of thread %u, acknowledged, is lost", (unsigned long long)i,
                         t);
        }
        next[t] += kill_check_one(db, t, next[t]);
        assert_false(kill_check_one(db, t, next[t]));
    }
}

static void kill_rounds(firn_durability durability, firn_log_io log_io) {
    const char *text = getenv("FIRN_KILL_ROUNDS");
    uint64_t rounds = text && *text ? strtoull(text, NULL, 0) : test_scaled(3);
    char *dir = test_dir_new();
    firn_options options = small_options();
    uint64_t next[THREADS] = {0}, total = 0;
    rng random;
    options.durability = durability;
    options.log_io = log_io;
    options.sync_interval_ms = 5;
    options.sync_bytes = 100000;
    rng_init(&random, test_seed() * 16 + (uint64_t)durability * 4 + (uint64_t)log_io);
    for (uint64_t round = 0; round < rounds; round++) {
        kill_once(dir, &options, next, &random);
        firn_db *db = open_db(dir, &options);
        kill_check(db, next);
        close_db(db);
        if (round % 8 == 2)
            ASSERT_FIRN_OK(firn_verify(dir, &options, NULL, NULL));
    }
    for (uint32_t t = 0; t < THREADS; t++)
        total += next[t];
    print_message("%llu kills, %llu batches, nothing lost\n", (unsigned long long)rounds,
                  (unsigned long long)total);
    test_dir_remove(dir);
}

#define KILL_TESTS(name, durability)                 \
    TEST(kill_threads, name##_with_a_mapped_log) {   \
        kill_rounds(durability, FIRN_LOG_IO_MAPPED); \
    }                                                \
    TEST(kill_threads, name##_with_a_written_log) {  \
        kill_rounds(durability, FIRN_LOG_IO_PWRITE); \
    }
#define KILL_RUNS(name) \
    RUN(kill_threads, name##_with_a_mapped_log), RUN(kill_threads, name##_with_a_written_log)

KILL_TESTS(sync_every_commit, FIRN_SYNC_EVERY_COMMIT)
KILL_TESTS(sync_by_interval, FIRN_SYNC_INTERVAL)
KILL_TESTS(sync_every_bytes, FIRN_SYNC_EVERY_BYTES)
KILL_TESTS(sync_every_commits, FIRN_SYNC_EVERY_COMMITS)
KILL_TESTS(no_sync, FIRN_SYNC_MANUAL)

TEST_MAIN(KILL_RUNS(sync_every_commit), KILL_RUNS(sync_by_interval), KILL_RUNS(sync_every_bytes),
          KILL_RUNS(sync_every_commits), KILL_RUNS(no_sync))
