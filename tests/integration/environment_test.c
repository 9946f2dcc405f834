/* What other processes and the machine do to a database: its lock is held, descriptors run out, its
 * file system turns read-only, files are removed and cut short under it, clocks jump. Each has the
 * outcome that docs/durability.md promises. */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "integration/db_fixture.h"
#include "integration/fault_fixture.h"

enum { ENVIRONMENT_KEYS = 3000, ENVIRONMENT_VALUE_BYTES = 300 };

/* --- the lock --- */

TEST(environment, a_held_lock_names_its_holder_and_goes_with_him) {
    char *root = test_dir_new();
    char *path = strdup(test_path(root, "db"));
    firn_options options = small_options();
    int ready[2], ended;
    char byte, pid_text[32];
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork_child();
    if (child == 0) {
        firn_db *held = open_db(path, &options);
        put_text(held, "from", "the child");
        if (write(ready[1], "x", 1) != 1)
            _exit(1);
        pause(); /* with the database open, until it is killed */
        _exit(1);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    firn_db *db;
    ASSERT_FIRN(firn_open(path, &options, &db), FIRN_LOCKED);
    snprintf(pid_text, sizeof pid_text, "%d", (int)child);
    EXPECT_DETAIL(pid_text);
    ASSERT_FIRN(firn_repair(path, &options, FIRN_NO, NULL, NULL), FIRN_LOCKED);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &ended, 0), child);
    db = open_db(path, &options);
    expect_text(db, NULL, "from", "the child");
    close_db(db);
    close(ready[0]);
    close(ready[1]);
    free(path);
    test_dir_remove(root);
}

/* --- descriptors --- */

static size_t environment_open_files(void) {
    DIR *dir = opendir("/proc/self/fd");
    size_t count = 0;
    assert_non_null(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

static void environment_limit_files(rlim_t limit) {
    struct rlimit now;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &now), 0);
    now.rlim_cur = limit;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
}

/* Few descriptors: what needs one fails by name, and works again when there are some. */
static void environment_starve(const char *path) {
    struct rlimit before;
    firn_options options = small_options();
    options.threads = 1;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    firn_db *db = open_db(path, &options);
    put_range(db, 0, ENVIRONMENT_KEYS, ENVIRONMENT_VALUE_BYTES, 1);
    ASSERT_FIRN_OK(firn_flush(db));
    ASSERT_FIRN_OK(firn_wait_idle(db));
    close_db(db);
    db = open_db(path, &options);
    environment_limit_files(environment_open_files() - 1);
    for (uint64_t i = 0; i < ENVIRONMENT_KEYS; i += 10) {
        firn_value value;
        const char *key = numbered_key(i);
        firn_status st = firn_get(db, NULL, FIRN_STR(key), &value);
        firn_value_release(&value);
        if (st != FIRN_OK)
            assert_int_equal(st, FIRN_IO_ERROR);
    }
    firn_status st = firn_flush(db);
    assert_true(st == FIRN_OK || st == FIRN_IO_ERROR);
    environment_limit_files(before.rlim_cur);
    expect_range(db, NULL, 0, ENVIRONMENT_KEYS, ENVIRONMENT_VALUE_BYTES, 1);
    put_range(db, 0, 100, ENVIRONMENT_VALUE_BYTES, 2);
    ASSERT_FIRN_OK(firn_flush(db));
    close_db(db);
    db = open_db(path, &options);
    expect_range(db, NULL, 0, 100, ENVIRONMENT_VALUE_BYTES, 2);
    expect_range(db, NULL, 100, ENVIRONMENT_KEYS, ENVIRONMENT_VALUE_BYTES, 1);
    close_db(db);
}

TEST(environment, without_descriptors_calls_fail_by_name_and_work_again_with_some) {
    char *root = test_dir_new();
    char *path = strdup(test_path(root, "db"));
    pid_t child = fork_child();
    if (child == 0) {
        environment_starve(path);
        fflush(NULL);
        _exit(0);
    }
    expect_child_succeeded(child);
    free(path);
    test_dir_remove(root);
}

/* --- a file system that turns read-only --- */

TEST(environment, a_read_only_remount_stops_writes_keeps_reads_and_loses_nothing) {
    static const vfs_fault_rule read_only = {.kinds = VFS_FAULT_WRITE | VFS_FAULT_RESERVE |
                                                      VFS_FAULT_TRUNCATE | VFS_FAULT_RENAME |
                                                      VFS_FAULT_REMOVE | VFS_FAULT_SYNC |
                                                      VFS_FAULT_SYNC_DIR,
                                             .count = UINT64_MAX,
                                             .error = EROFS};
    for (uint64_t seed = 1; seed <= 8; seed++) {
        fault_fixture f;
        fault_fixture_init(&f, seed);
        fault_fixture_create(&f);
        for (uint64_t i = 0; i < 20 * seed; i++) {
            ASSERT_OK(fault_fixture_try_write(&f, 5, i % 5 ? FIRN_NO : FIRN_YES));
            (void)db_step(f.db);
        }
        vfs_fault_set(f.faults, &read_only);
        status st = fault_fixture_try_write(&f, 5, FIRN_YES);
        assert_false(status_is_ok(st));
        assert_true(status_is(st, FIRN_IO_ERROR) || status_is(st, FIRN_READ_ONLY));
        fault_fixture_check(&f);
        (void)db_step(f.db);
        fault_fixture_check(&f);
        (void)!status_is_ok(db_close(f.db));
        f.db = NULL;
        /* A reader needs nothing that is refused. */
        db_config reading = f.config;
        firn_db *reader;
        reading.read_only = true;
        ASSERT_OK(db_open(FAULT_DIRECTORY, &reading, &reader));
        ASSERT_OK(db_close(reader));
        /* A writer says so, and changes nothing. */
        uint64_t before = vfs_mem_hash(f.disk);
        st = db_open(FAULT_DIRECTORY, &f.config, &f.db);
        assert_false(status_is_ok(st));
        f.db = NULL;
        assert_true(vfs_mem_hash(f.disk) == before);
        vfs_fault_set(f.faults, NULL);
        fault_fixture_open(&f);
        uint64_t hash = fault_fixture_check_reopened(&f);
        fault_fixture_check_usable(&f, hash);
        fault_fixture_deinit(&f);
    }
}

/* --- files that go away --- */

static char *environment_make(const char *root) {
    char *path = strdup(test_path(root, "db"));
    firn_options options = small_options();
    firn_db *db = open_db(path, &options);
    put_range(db, 0, ENVIRONMENT_KEYS, ENVIRONMENT_VALUE_BYTES, 1);
    ASSERT_FIRN_OK(firn_flush(db));
    ASSERT_FIRN_OK(firn_wait_idle(db));
    close_db(db);
    return path;
}

/* Every answer is right, or an error that names the file. Gives the number of errors. */
static uint64_t environment_read_damaged(firn_db *db, const char *name) {
    uint64_t errors = 0;
    uint8_t right[ENVIRONMENT_VALUE_BYTES];
    for (uint64_t i = 0; i < ENVIRONMENT_KEYS; i++) {
        firn_value value;
        const char *key = numbered_key(i);
        firn_status st = firn_get(db, NULL, FIRN_STR(key), &value);
        if (st == FIRN_OK) {
            fill_bytes(i ^ (uint64_t)1 << 32, right, sizeof right);
            assert_int_equal(value.size, sizeof right);
        } else {
            assert_true(st == FIRN_CORRUPTION || st == FIRN_IO_ERROR);
            EXPECT_DETAIL(name);
            errors++;
        }
        firn_value_release(&value);
    }
    return errors;
}

TEST(environment, a_table_removed_under_it_is_named_and_the_rest_goes_on) {
    char *root = test_dir_new();
    char *path = environment_make(root);
    firn_options options = small_options();
    firn_db *db = open_db(path, &options);
    char *victim = strdup(find_file(path, ".sst"));
    const char *name = strrchr(victim, '/') + 1;
    assert_int_equal(unlink(victim), 0);
    uint64_t errors = environment_read_damaged(db, name);
    assert_true(errors < ENVIRONMENT_KEYS);
    put_text(db, "another", "value");
    expect_text(db, NULL, "another", "value");
    (void)firn_close(db);
    ASSERT_FIRN(firn_open(path, &options, &db), FIRN_CORRUPTION);
    EXPECT_DETAIL(name);
    ASSERT_FIRN_OK(firn_repair(path, &options, FIRN_NO, NULL, NULL));
    db = open_db(path, &options);
    expect_text(db, NULL, "another", "value");
    close_db(db);
    free(victim);
    free(path);
    test_dir_remove(root);
}

TEST(environment, a_table_cut_short_under_it_is_named_and_ends_nothing) {
    char *root = test_dir_new();
    char *path = environment_make(root);
    firn_options options = small_options();
    firn_db *db = open_db(path, &options);
    expect_range(db, NULL, 0, ENVIRONMENT_KEYS, ENVIRONMENT_VALUE_BYTES, 1); /* all are open */
    char *victim = strdup(find_file(path, ".sst"));
    assert_int_equal(truncate(victim, 5000), 0);
    (void)environment_read_damaged(db, strrchr(victim, '/') + 1);
    put_text(db, "another", "value");
    expect_text(db, NULL, "another", "value");
    (void)firn_close(db);
    ASSERT_FIRN(firn_open(path, &options, &db), FIRN_CORRUPTION);
    EXPECT_DETAIL(strrchr(victim, '/') + 1);
    free(victim);
    free(path);
    test_dir_remove(root);
}

/* The process that has the log open goes on; what it acknowledges is lost with the name, and the
 * next open says so. */
TEST(environment, a_log_removed_under_it_is_missed_at_the_next_open) {
    char *root = test_dir_new();
    char *path = strdup(test_path(root, "db"));
    firn_options options = small_options();
    firn_db *db = open_db(path, &options);
    put_text(db, "before", "value");
    ASSERT_FIRN_OK(firn_sync(db));
    assert_int_equal(unlink(find_file(path, ".wal")), 0);
    put_text(db, "after", "value");
    ASSERT_FIRN_OK(firn_sync(db));
    expect_text(db, NULL, "before", "value");
    expect_text(db, NULL, "after", "value");
    (void)firn_close(db);
    ASSERT_FIRN(firn_open(path, &options, &db), FIRN_CORRUPTION);
    EXPECT_DETAIL(".wal");
    ASSERT_FIRN_OK(firn_repair(path, &options, FIRN_NO, NULL, NULL));
    db = open_db(path, &options);
    put_text(db, "again", "value");
    close_db(db);
    free(path);
    test_dir_remove(root);
}

/* --- clocks --- */

typedef struct environment_clock {
    uint64_t now_ns;
    uint64_t wall_ms;
} environment_clock;

static uint64_t environment_ns(void *context) {
    environment_clock *c = context;
    return c->now_ns += 1000;
}

static uint64_t environment_ms(void *context) {
    const environment_clock *c = context;
    return c->wall_ms;
}

TEST(environment, clocks_that_jump_change_nothing) {
    environment_clock c = {1000000000, 1700000000000};
    time_source clock = {&c, environment_ns, environment_ms};
    fault_fixture f;
    fault_fixture_init(&f, 3);
    f.config.clock = &clock;
    f.lasts = true; /* the shadow's wall clock does not jump */
    fault_fixture_create(&f);
    for (int i = 0; i < 200; i++) {
        if (i % 20 == 0)
            c.wall_ms = i % 40 ? 1000 : 1900000000000; /* 1970, 2030 */
        if (i % 30 == 0)
            c.now_ns += 400ull * 24 * 3600 * 1000000000; /* more than a year */
        ASSERT_OK(fault_fixture_try_write(&f, 5, i % 7 ? FIRN_NO : FIRN_YES));
        (void)db_step(f.db);
        if (i % 50 == 0)
            fault_fixture_check_crash(&f, VFS_MEM_LOSE_UNSYNCED, f.durable);
    }
    fault_fixture_check(&f);
    c.wall_ms = 1;
    fault_fixture_close(&f);
    fault_fixture_open(&f);
    fault_fixture_check(&f);
    fault_fixture_deinit(&f);
}

TEST_MAIN(RUN(environment, a_held_lock_names_its_holder_and_goes_with_him),
          RUN(environment, without_descriptors_calls_fail_by_name_and_work_again_with_some),
          RUN(environment, a_read_only_remount_stops_writes_keeps_reads_and_loses_nothing),
          RUN(environment, a_table_removed_under_it_is_named_and_the_rest_goes_on),
          RUN(environment, a_table_cut_short_under_it_is_named_and_ends_nothing),
          RUN(environment, a_log_removed_under_it_is_missed_at_the_next_open),
          RUN(environment, clocks_that_jump_change_nothing))
