/* kill -9: whatever a process was told is written is there afterwards, in every durability mode. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "integration/db_fixture.h"
#include "util/rng.h"

/* The child writes records start, start + 1, ...: each a batch of two keys that must never be seen
 * apart, and now and then a large value. It reports each acknowledged number through the pipe. */
static void writer_main(const char *dir, const firn_options *options, uint64_t start, int report) {
    firn_db *db;
    firn_batch *batch;
    static char large[(1 << 20) + 100];
    char value[300];
    if (firn_open(dir, options, &db) != FIRN_OK || firn_batch_new(&batch) != FIRN_OK)
        _exit(2);
    for (uint64_t i = start;; i++) {
        bool is_large = i % 700 == 0;
        size_t bytes = is_large ? sizeof large : i % sizeof value;
        char *data = is_large ? large : value;
        fill_bytes(i, data, bytes);
        firn_batch_clear(batch);
        char twin[32];
        snprintf(twin, sizeof twin, "twin-%06llu", (unsigned long long)i);
        if (firn_batch_put(batch, FIRN_STR(numbered_key(i)), firn_slice_of(data, bytes)) ||
            firn_batch_put(batch, FIRN_STR(twin), firn_slice_of(&i, sizeof i)) ||
            firn_write(db, NULL, batch) || write(report, &i, sizeof i) != (ssize_t)sizeof i)
            _exit(3);
    }
}

/* Records 0 .. next - 1 are there; a later one at most as a whole. Gives the first that is not. */
static uint64_t check_records(firn_db *db, uint64_t next) {
    uint8_t *expected = malloc((1 << 20) + 100);
    uint64_t i = 0;
    for (bool there = true; there; i++) {
        firn_value value, twin_value;
        char twin[32];
        snprintf(twin, sizeof twin, "twin-%06llu", (unsigned long long)i);
        firn_status st = firn_get(db, NULL, FIRN_STR(numbered_key(i)), &value);
        ASSERT_FIRN(firn_get(db, NULL, FIRN_STR(twin), &twin_value), st);
        there = st == FIRN_OK;
        if (there) {
            size_t bytes = i % 700 == 0 ? (1 << 20) + 100 : i % 300;
            fill_bytes(i, expected, bytes);
            assert_int_equal(value.size, bytes);
            assert_memory_equal(value.data, expected, bytes);
        } else if (i < next) {
            fail_msg("record %llu of %llu acknowledged ones is lost", (unsigned long long)i,
                     (unsigned long long)next);
        }
        firn_value_release(&value);
        firn_value_release(&twin_value);
    }
    free(expected);
    return i - 1;
}

static uint64_t kill_once(const char *dir, const firn_options *options, uint64_t start,
                          rng *random) {
    int report[2];
    uint64_t acknowledged = start, number;
    assert_int_equal(pipe(report), 0);
    pid_t child = fork_child();
    if (child == 0) {
        close(report[0]);
        writer_main(dir, options, start, report[1]);
    }
    close(report[1]);
    struct timespec pause = {0, (long)rng_below(random, 60) * 1000000};
    nanosleep(&pause, NULL);
    assert_int_equal(kill(child, SIGKILL), 0);
    while (read(report[0], &number, sizeof number) == (ssize_t)sizeof number)
        acknowledged = number + 1;
    int result;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFSIGNALED(result));
    close(report[0]);
    return acknowledged;
}

static void kill_rounds(firn_durability durability) {
    char *dir = test_dir_new();
    firn_options options = small_options();
    rng random;
    uint64_t next = 0;
    options.durability = durability;
    options.sync_interval_ms = 5;
    options.sync_bytes = 100000;
    rng_init(&random, test_seed() + (uint64_t)durability);
    for (uint64_t round = 0; round < test_scaled(20); round++) {
        next = kill_once(dir, &options, next, &random);
        firn_db *db = open_db(dir, &options);
        next = check_records(db, next);
        close_db(db);
        ASSERT_FIRN_OK(firn_verify(dir, &options, NULL, NULL));
    }
    print_message("%llu records\n", (unsigned long long)next);
    test_dir_remove(dir);
}

TEST(kill, loses_nothing_with_sync_every_commit) {
    kill_rounds(FIRN_SYNC_EVERY_COMMIT);
}
TEST(kill, loses_nothing_with_sync_by_interval) {
    kill_rounds(FIRN_SYNC_INTERVAL);
}
TEST(kill, loses_nothing_with_sync_every_bytes) {
    kill_rounds(FIRN_SYNC_EVERY_BYTES);
}
TEST(kill, loses_nothing_with_sync_every_commits) {
    kill_rounds(FIRN_SYNC_EVERY_COMMITS);
}
TEST(kill, loses_nothing_without_sync) {
    kill_rounds(FIRN_SYNC_MANUAL);
}

TEST_MAIN(RUN(kill, loses_nothing_with_sync_every_commit),
          RUN(kill, loses_nothing_with_sync_by_interval),
          RUN(kill, loses_nothing_with_sync_every_bytes),
          RUN(kill, loses_nothing_with_sync_every_commits), RUN(kill, loses_nothing_without_sync))
