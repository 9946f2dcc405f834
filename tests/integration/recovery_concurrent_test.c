/* A log that several threads put back into memtables: the order of commits decides, not theirs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "integration/db_fixture.h"
#include "util/rng.h"

enum { REPLAY_KEYS = 3000, REPLAY_OPERATIONS = 90000, REPLAY_VALUE_BYTES = 120 };

/* version[i]: of key i, 0: it is not there. */
typedef struct replay_model {
    uint64_t version[REPLAY_KEYS];
} replay_model;

/* `db` NULL: only the model learns of it. */
static void replay_write_batch(firn_db *db, rng *random, uint64_t version, replay_model *model) {
    firn_batch *batch;
    uint8_t value[REPLAY_VALUE_BYTES];
    ASSERT_FIRN_OK(firn_batch_new(&batch));
    uint64_t operations = 1 + rng_below(random, 8);
    for (uint64_t i = 0; i < operations; i++) {
        uint64_t key = rng_below(random, REPLAY_KEYS), choice = rng_below(random, 400);
        if (choice == 0) { /* a stretch of keys at once */
            uint64_t end = key + 50 < REPLAY_KEYS ? key + 50 : REPLAY_KEYS;
            ASSERT_FIRN_OK(firn_batch_delete_range(batch, FIRN_STR(numbered_key(key)),
                                                   FIRN_STR(numbered_key(end))));
            memset(&model->version[key], 0, (end - key) * sizeof *model->version);
        } else if (choice < 60) {
            ASSERT_FIRN_OK(firn_batch_delete(batch, FIRN_STR(numbered_key(key))));
            model->version[key] = 0;
        } else {
            fill_bytes(key + version, value, sizeof value);
            ASSERT_FIRN_OK(firn_batch_put(batch, FIRN_STR(numbered_key(key)),
                                          firn_slice_of(value, sizeof value)));
            model->version[key] = version;
        }
    }
    if (db)
        ASSERT_FIRN_OK(firn_write(db, NULL, batch));
    firn_batch_free(batch);
}

/* The writer dies without a close; the model is what it acknowledged. */
static void replay_write_and_die(const char *dir, const firn_options *options, uint64_t seed,
                                 replay_model *model) {
    rng random;
    memset(model, 0, sizeof *model);
    pid_t child = fork_child();
    firn_db *db = child == 0 ? open_db(dir, options) : NULL;
    rng_init(&random, seed);
    for (uint64_t v = 1; v <= test_scaled(REPLAY_OPERATIONS / 5); v++)
        replay_write_batch(db, &random, v, model);
    if (child == 0)
        _exit(0);
    expect_child_succeeded(child);
}

static void replay_check(firn_db *db, const replay_model *model) {
    uint8_t expected[REPLAY_VALUE_BYTES];
    for (uint64_t key = 0; key < REPLAY_KEYS; key++) {
        firn_value value;
        firn_status st = firn_get(db, NULL, FIRN_STR(numbered_key(key)), &value);
        ASSERT_FIRN(st, model->version[key] ? FIRN_OK : FIRN_NOT_FOUND);
        if (st == FIRN_OK) {
            fill_bytes(key + model->version[key], expected, sizeof expected);
            assert_int_equal(value.size, sizeof expected);
            assert_memory_equal(value.data, expected, sizeof expected);
        }
        firn_value_release(&value);
    }
}

static void replay_run(const firn_options *options) {
    char *dir = test_dir_new();
    replay_model *model = malloc(sizeof *model);
    assert_non_null(model);
    firn_options reading = *options;
    replay_write_and_die(dir, options, test_seed(), model);
    reading.read_only = FIRN_YES;
    firn_db *db = open_db(dir, &reading);
    replay_check(db, model);
    close_db(db);
    db = open_db(dir, options);
    assert_true(stats_of(db).recovered_records > 0);
    replay_check(db, model);
    close_db(db);
    db = open_db(dir, options);
    replay_check(db, model);
    close_db(db);
    free(model);
    test_dir_remove(dir);
}

TEST(recovery_concurrent, threads_that_replay_a_log_leave_the_newest_versions) {
    firn_options options = small_options();
    options.memtable_bytes = 64 << 20;
    options.threads = 4;
    replay_run(&options);
}

TEST(recovery_concurrent, memtables_that_fill_during_the_replay_are_flushed) {
    firn_options options = small_options();
    options.threads = 4;
    firn_options writing = options;
    writing.memtable_bytes = 64 << 20;
    char *dir = test_dir_new();
    replay_model *model = malloc(sizeof *model);
    assert_non_null(model);
    replay_write_and_die(dir, &writing, test_seed(), model);
    options.memtable_bytes = 1 << 20;
    firn_db *db = open_db(dir, &options);
    assert_true(stats_of(db).flushes >= 2);
    replay_check(db, model);
    close_db(db);
    free(model);
    test_dir_remove(dir);
}

TEST_MAIN(RUN(recovery_concurrent, threads_that_replay_a_log_leave_the_newest_versions),
          RUN(recovery_concurrent, memtables_that_fill_during_the_replay_are_flushed))
