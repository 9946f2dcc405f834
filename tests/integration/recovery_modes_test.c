/* A log damaged below what was durable, opened in each recovery mode. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "integration/db_fixture.h"

enum { KEYS = 600, LATER = 5 };

static char said[4096]; /* the last event `recovery` */

static void note_event(void *context, const char *json, size_t size) {
    (void)context;
    if (!strstr(json, "\"recovery\"") || size >= sizeof said)
        return;
    memcpy(said, json, size);
    said[size] = 0;
}

/* A database whose process died: all but the last keys synced, all in the log. */
static void make_log(const char *dir) {
    int result;
    pid_t child = fork_child();
    if (child == 0) {
        firn_options options = FIRN_OPTIONS_INIT;
        firn_db *db;
        char value[100] = "value";
        options.durability = FIRN_SYNC_MANUAL;
        if (firn_open(dir, &options, &db) != FIRN_OK)
            _exit(2);
        for (uint64_t i = 0; i < KEYS + LATER; i++) {
            if (i == KEYS && firn_sync(db) != FIRN_OK)
                _exit(3);
            if (firn_put(db, NULL, FIRN_STR(numbered_key(i)), firn_slice_of(value, sizeof value)) !=
                FIRN_OK)
                _exit(4);
        }
        _exit(0);
    }
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFEXITED(result) && WEXITSTATUS(result) == 0);
}

static void flip(const char *dir, long offset) {
    FILE *file = fopen(test_path(dir, "000001.wal"), "rb+");
    assert_non_null(file);
    assert_int_equal(fseek(file, offset, SEEK_SET), 0);
    int byte = fgetc(file);
    assert_int_equal(fseek(file, offset, SEEK_SET), 0);
    assert_int_equal(fputc(byte ^ 0x10, file), byte ^ 0x10);
    assert_int_equal(fclose(file), 0);
}

/* How many of the keys are there; *last is the highest. */
static uint64_t count_keys(firn_db *db, uint64_t *last) {
    uint64_t count = 0;
    for (uint64_t i = 0; i < KEYS + LATER; i++) {
        firn_value value;
        firn_status st = firn_get(db, NULL, FIRN_STR(numbered_key(i)), &value);
        if (st == FIRN_OK) {
            *last = i;
            count++;
        } else {
            assert_int_equal(st, FIRN_NOT_FOUND);
        }
        firn_value_release(&value);
    }
    return count;
}

TEST(recovery_modes, skip_keeps_what_last_good_gives_up_and_leaves_a_sound_database) {
    char *dir = test_dir_new();
    const char *path = test_path(dir, "db");
    firn_options options = FIRN_OPTIONS_INIT;
    firn_db *db = NULL;
    uint64_t last = 0;
    options.on_event = note_event;
    make_log(path);
    flip(path, 20000);
    flip(path, 40000);
    ASSERT_FIRN(firn_open(path, &options, &db), FIRN_CORRUPTION);
    assert_non_null(strstr(firn_error_detail(), "000001.wal"));
    options.read_only = FIRN_YES; /* changes nothing, so that the next may look as well */
    options.recovery = FIRN_RECOVERY_LAST_GOOD;
    db = open_db(path, &options);
    assert_in_range(count_keys(db, &last), 50, 200);
    close_db(db);
    options.recovery = FIRN_RECOVERY_SKIP;
    db = open_db(path, &options);
    assert_int_equal(count_keys(db, &last), KEYS + LATER - 2);
    close_db(db);
    options.read_only = FIRN_NO;
    db = open_db(path, &options);
    assert_int_equal(count_keys(db, &last), KEYS + LATER - 2);
    assert_int_equal(last, KEYS + LATER - 1);
    assert_non_null(strstr(said, "\"holes\":2"));
    assert_non_null(strstr(said, "000001.wal: "));
    close_db(db);
    options.recovery = FIRN_RECOVERY_STRICT; /* what was saved is in tables */
    db = open_db(path, &options);
    assert_int_equal(count_keys(db, &last), KEYS + LATER - 2);
    close_db(db);
    ASSERT_FIRN_OK(firn_verify(path, &options, NULL, NULL));
    test_dir_remove(dir);
}

TEST(recovery_modes, a_log_cut_short_under_a_living_database_ends_its_writing_and_nothing_else) {
    char *dir = test_dir_new();
    const char *path = test_path(dir, "db");
    firn_options options = FIRN_OPTIONS_INIT;
    options.log_io = FIRN_LOG_IO_MAPPED;
    firn_db *db = open_db(path, &options);
    put_text(db, "a", "before");
    assert_int_equal(truncate(test_path(path, "000001.wal"), 0), 0);
    assert_int_equal(firn_put(db, NULL, FIRN_STR("b"), FIRN_STR("after")), FIRN_IO_ERROR);
    assert_non_null(strstr(firn_error_detail(), "000001.wal"));
    assert_int_equal(firn_put(db, NULL, FIRN_STR("c"), FIRN_STR("later")), FIRN_IO_ERROR);
    assert_int_equal(firn_sync(db), FIRN_IO_ERROR);
    expect_text(db, NULL, "a", "before");
    expect_text(db, NULL, "b", NULL);
    (void)firn_close(db);
    test_dir_remove(dir);
}

TEST_MAIN(RUN(recovery_modes, skip_keeps_what_last_good_gives_up_and_leaves_a_sound_database),
          RUN(recovery_modes,
              a_log_cut_short_under_a_living_database_ends_its_writing_and_nothing_else))
