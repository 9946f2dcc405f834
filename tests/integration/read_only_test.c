/* Read-only databases: alone, on media that refuse writes, and beside a live writer. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "integration/db_fixture.h"
#include "platform/vfs_fault.h"

static firn_options read_only_options(void) {
    firn_options o = small_options();
    o.read_only = FIRN_YES;
    return o;
}

/* --- a writer in another process, told what to do through a pipe --- */

typedef struct writer {
    pid_t process;
    int commands, answers;
} writer;

enum { BATCH_KEYS = 300, VALUE_BYTES = 200 };

/* Each command writes one version of all keys; 'c' compacts as well, 'f' flushes. */
static void writer_main(const char *dir, int commands, int answers) {
    firn_options options = small_options();
    firn_db *db;
    char command, done = 'd';
    uint64_t version = 0;
    if (firn_open(dir, &options, &db) != FIRN_OK)
        _exit(2);
    while (write(answers, &done, 1) == 1 && read(commands, &command, 1) == 1 && command != 'q') {
        version++;
        put_range(db, 0, BATCH_KEYS, VALUE_BYTES, version);
        if (command == 'c' && firn_compact_range(db, (firn_slice){0}, (firn_slice){0}) != FIRN_OK)
            _exit(3);
        if (command == 'f' && firn_flush(db) != FIRN_OK)
            _exit(4);
        if (command == 'w')
            put_range(db, 1000, 4000, VALUE_BYTES, version);
    }
    _exit(firn_close(db) == FIRN_OK ? 0 : 5);
}

static void writer_wait(writer *w) {
    char answer;
    assert_int_equal(read(w->answers, &answer, 1), 1);
}

static writer writer_start(const char *dir) {
    writer w;
    int commands[2], answers[2];
    assert_int_equal(pipe(commands), 0);
    assert_int_equal(pipe(answers), 0);
    w.process = fork_child();
    if (w.process == 0) {
        close(commands[1]);
        close(answers[0]);
        writer_main(dir, commands[0], answers[1]);
    }
    close(commands[0]);
    close(answers[1]);
    w.commands = commands[1];
    w.answers = answers[0];
    writer_wait(&w);
    return w;
}

static void writer_begin(writer *w, char command) {
    assert_int_equal(write(w->commands, &command, 1), 1);
}

static void writer_do(writer *w, char command) {
    writer_begin(w, command);
    writer_wait(w);
}

static void writer_stop(writer *w) {
    writer_begin(w, 'q');
    expect_child_succeeded(w->process);
    close(w->commands);
    close(w->answers);
}

/* --- alone --- */

TEST(read_only, reads_logs_and_tables_and_refuses_writes) {
    char *dir = test_dir_new();
    firn_options options = small_options();
    firn_db *db = open_db(dir, &options);
    put_range(db, 0, 1000, 100, 1);
    ASSERT_FIRN_OK(firn_flush(db));
    put_range(db, 500, 700, 100, 2); /* in the log only */
    close_db(db);
    options = read_only_options();
    db = open_db(dir, &options);
    expect_range(db, NULL, 0, 500, 100, 1);
    expect_range(db, NULL, 500, 700, 100, 2);
    ASSERT_FIRN(firn_put(db, NULL, FIRN_STR("a"), FIRN_STR("1")), FIRN_READ_ONLY);
    ASSERT_FIRN(firn_delete(db, NULL, FIRN_STR("a")), FIRN_READ_ONLY);
    ASSERT_FIRN(firn_sync(db), FIRN_READ_ONLY);
    ASSERT_FIRN(firn_flush(db), FIRN_READ_ONLY);
    ASSERT_FIRN(firn_wait_idle(db), FIRN_READ_ONLY);
    ASSERT_FIRN(firn_compact_range(db, (firn_slice){0}, (firn_slice){0}), FIRN_READ_ONLY);
    assert_true(stats_of(db).table_files > 0);
    ASSERT_FIRN_OK(firn_refresh(db));
    expect_range(db, NULL, 700, 1000, 100, 1);
    close_db(db);
    options.read_only = FIRN_NO;
    db = open_db(dir, &options);
    ASSERT_FIRN(firn_refresh(db), FIRN_INVALID_ARGUMENT);
    close_db(db);
    test_dir_remove(dir);
}

TEST(read_only, makes_nothing_where_nothing_is) {
    char *dir = test_dir_new();
    firn_options options = read_only_options();
    firn_db *db;
    const char *missing = test_path(dir, "missing");
    ASSERT_FIRN(firn_open(missing, &options, &db), FIRN_NOT_FOUND);
    assert_int_equal(access(missing, F_OK), -1);
    ASSERT_FIRN(firn_open(dir, &options, &db), FIRN_NOT_FOUND);
    EXPECT_DETAIL(dir);
    test_dir_remove(dir);
}

TEST(read_only, writes_no_byte) {
    char *dir = test_dir_new();
    firn_options options = small_options();
    firn_db *db = open_db(dir, &options);
    put_range(db, 0, 2000, 100, 1);
    close_db(db);
    vfs_fault *fault;
    ASSERT_OK(vfs_fault_new(firn_vfs_default(), &fault));
    vfs_fault_rule rule = {.kinds = VFS_FAULT_WRITE | VFS_FAULT_SYNC | VFS_FAULT_TRUNCATE |
                                    VFS_FAULT_RESERVE | VFS_FAULT_RENAME | VFS_FAULT_REMOVE |
                                    VFS_FAULT_SYNC_DIR,
                           .count = UINT64_MAX,
                           .error = 30 /* EROFS */};
    vfs_fault_set(fault, &rule);
    options = read_only_options();
    options.vfs = vfs_fault_vfs(fault);
    db = open_db(dir, &options);
    expect_range(db, NULL, 0, 2000, 100, 1);
    ASSERT_FIRN_OK(firn_refresh(db));
    close_db(db);
    assert_int_equal(vfs_fault_matched(fault), 0);
    vfs_fault_free(fault);
    test_dir_remove(dir);
}

TEST(read_only, works_on_a_directory_without_write_permission) {
    char *dir = test_dir_new();
    firn_options options = small_options();
    firn_db *db = open_db(dir, &options);
    put_range(db, 0, 100, 100, 1);
    close_db(db);
    assert_int_equal(chmod(dir, 0500), 0);
    options = read_only_options();
    db = open_db(dir, &options);
    expect_range(db, NULL, 0, 100, 100, 1);
    close_db(db);
    assert_int_equal(chmod(dir, 0700), 0);
    test_dir_remove(dir);
}

/* --- beside a writer --- */

TEST(read_only, sees_what_was_acknowledged_before_and_moves_on_at_refresh) {
    char *dir = test_dir_new();
    writer w = writer_start(dir);
    writer_do(&w, 'p');
    firn_options options = read_only_options();
    firn_db *db = open_db(dir, &options);
    expect_range(db, NULL, 0, BATCH_KEYS, VALUE_BYTES, 1);
    writer_do(&w, 'p');
    writer_do(&w, 'f');
    expect_range(db, NULL, 0, BATCH_KEYS, VALUE_BYTES, 1);
    ASSERT_FIRN_OK(firn_refresh(db));
    expect_range(db, NULL, 0, BATCH_KEYS, VALUE_BYTES, 3);
    writer_do(&w, 'c');
    writer_do(&w, 'c');
    expect_range(db, NULL, 0, BATCH_KEYS, VALUE_BYTES, 3); /* from tables that are gone */
    ASSERT_FIRN_OK(firn_refresh(db));
    expect_range(db, NULL, 0, BATCH_KEYS, VALUE_BYTES, 5);
    close_db(db);
    writer_stop(&w);
    test_dir_remove(dir);
}

TEST(read_only, snapshots_and_iterators_keep_what_they_see_over_refresh) {
    char *dir = test_dir_new();
    writer w = writer_start(dir);
    writer_do(&w, 'f');
    firn_options options = read_only_options();
    firn_db *db = open_db(dir, &options);
    const firn_snapshot *snapshot;
    firn_iter *it;
    ASSERT_FIRN_OK(firn_snapshot_new(db, &snapshot));
    ASSERT_FIRN_OK(firn_iter_new(db, NULL, &it));
    writer_do(&w, 'c'); /* the writer knows nothing of the snapshot and drops version 1 */
    ASSERT_FIRN_OK(firn_refresh(db));
    expect_range(db, NULL, 0, BATCH_KEYS, VALUE_BYTES, 2);
    expect_range(db, snapshot, 0, BATCH_KEYS, VALUE_BYTES, 1);
    uint8_t expected[VALUE_BYTES];
    uint64_t i = 0;
    for (firn_iter_seek_first(it); firn_iter_valid(it); firn_iter_next(it), i++) {
        fill_bytes(i << 20 ^ 1, expected, sizeof expected);
        assert_memory_equal(firn_iter_value(it).data, expected, sizeof expected);
    }
    ASSERT_FIRN_OK(firn_iter_status(it));
    assert_int_equal(i, BATCH_KEYS);
    firn_iter_free(it);
    firn_read_options o = FIRN_READ_OPTIONS_INIT;
    o.snapshot = snapshot;
    ASSERT_FIRN_OK(firn_iter_new(db, &o, &it));
    firn_iter_seek_last(it);
    fill_bytes((uint64_t)(BATCH_KEYS - 1) << 20 ^ 1, expected, sizeof expected);
    assert_true(firn_iter_valid(it));
    assert_memory_equal(firn_iter_value(it).data, expected, sizeof expected);
    firn_iter_free(it);
    firn_snapshot_release(db, snapshot);
    close_db(db);
    writer_stop(&w);
    test_dir_remove(dir);
}

static unsigned open_descriptors(void) {
    unsigned count = 0;
    DIR *d = opendir("/proc/self/fd");
    assert_non_null(d);
    while (readdir(d))
        count++;
    closedir(d);
    return count;
}

TEST(read_only, following_a_writer_does_not_collect_descriptors) {
    char *dir = test_dir_new();
    writer w = writer_start(dir);
    writer_do(&w, 'w');
    writer_do(&w, 'c');
    firn_options options = read_only_options();
    firn_db *db = open_db(dir, &options);
    unsigned before = open_descriptors();
    for (int i = 0; i < 10; i++) {
        writer_do(&w, 'c');
        ASSERT_FIRN_OK(firn_refresh(db));
        expect_range(db, NULL, 0, BATCH_KEYS, VALUE_BYTES, (uint64_t)i + 3);
    }
    assert_in_range(open_descriptors(), 1, before + 8);
    close_db(db);
    writer_stop(&w);
    test_dir_remove(dir);
}

enum { LARGE_BYTES = 3 << 20 };

static void expect_large(firn_slice value, uint64_t seed) {
    uint8_t *expected = malloc(LARGE_BYTES);
    fill_bytes(seed, expected, LARGE_BYTES);
    assert_int_equal(value.size, LARGE_BYTES);
    assert_memory_equal(value.data, expected, LARGE_BYTES);
    free(expected);
}

static void expect_large_get(firn_db *db, const firn_snapshot *snapshot, uint64_t seed) {
    firn_read_options read = {.snapshot = snapshot};
    firn_value value;
    ASSERT_FIRN_OK(firn_get(db, &read, FIRN_STR("large"), &value));
    expect_large((firn_slice){value.data, value.size}, seed);
    firn_value_release(&value);
}

static void put_large(firn_db *db, uint64_t seed) {
    uint8_t *bytes = malloc(LARGE_BYTES);
    fill_bytes(seed, bytes, LARGE_BYTES);
    ASSERT_FIRN_OK(firn_put(db, NULL, FIRN_STR("large"), (firn_slice){bytes, LARGE_BYTES}));
    free(bytes);
}

/* The segment that holds the large value: the first that is large enough, and no spare one.
 * Give its path to free(). */
static char *large_segment(const char *dir) {
    char *found = NULL;
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e; !found && (e = readdir(d));) {
        struct stat about;
        const char *path = test_path(dir, e->d_name);
        if (strstr(e->d_name, ".wal") && strcmp(e->d_name, "000000.wal") != 0 &&
            stat(path, &about) == 0 && about.st_size > LARGE_BYTES)
            found = strdup(path);
    }
    closedir(d);
    assert_non_null(found);
    return found;
}

/* The writer flushes until the segment is gone. */
static void delete_segment(firn_db *writer, const char *path) {
    for (uint64_t i = 0; access(path, F_OK) == 0; i++) {
        assert_true(i < 100);
        put_range(writer, 0, BATCH_KEYS, VALUE_BYTES, i);
        ASSERT_FIRN_OK(firn_flush(writer));
    }
}

TEST(read_only, large_values_of_the_log_outlive_their_segment) {
    char *dir = test_dir_new();
    firn_options options = small_options();
    unsigned before = open_descriptors();
    firn_db *writer = open_db(dir, &options);
    put_large(writer, 1);
    char *segment = large_segment(dir);
    options = read_only_options();
    firn_db *db = open_db(dir, &options);
    firn_iter *it;
    const firn_snapshot *snapshot;
    firn_value kept;
    ASSERT_FIRN_OK(firn_iter_new(db, NULL, &it));
    ASSERT_FIRN_OK(firn_snapshot_new(db, &snapshot));
    ASSERT_FIRN_OK(firn_get(db, NULL, FIRN_STR("large"), &kept));
    delete_segment(writer, segment);
    expect_large_get(db, NULL, 1);
    put_large(writer, 2);
    ASSERT_FIRN_OK(firn_refresh(db)); /* holds another segment, beside the one of before */
    expect_large_get(db, NULL, 2);
    expect_large_get(db, snapshot, 1);
    firn_iter_seek(it, FIRN_STR("large"));
    assert_true(firn_iter_valid(it));
    expect_large(firn_iter_value(it), 1);
    ASSERT_FIRN_OK(firn_iter_refresh(it));
    firn_iter_seek(it, FIRN_STR("large"));
    assert_true(firn_iter_valid(it));
    expect_large(firn_iter_value(it), 2);
    firn_iter_free(it);
    firn_snapshot_release(db, snapshot);
    expect_large((firn_slice){kept.data, kept.size}, 1);
    firn_value_release(&kept);
    close_db(db);
    close_db(writer);
    assert_int_equal(open_descriptors(), before);
    free(segment);
    test_dir_remove(dir);
}

TEST(read_only, following_a_writer_of_large_values_does_not_collect_descriptors) {
    char *dir = test_dir_new();
    firn_options options = small_options();
    firn_db *writer = open_db(dir, &options);
    options = read_only_options();
    firn_db *db = open_db(dir, &options);
    unsigned before = open_descriptors();
    for (uint64_t i = 1; i < 20; i++) {
        put_large(writer, i);
        ASSERT_FIRN_OK(firn_refresh(db));
        expect_large_get(db, NULL, i);
        ASSERT_FIRN_OK(firn_flush(writer));
        expect_large_get(db, NULL, i);
        ASSERT_FIRN_OK(firn_compact_range(writer, (firn_slice){0}, (firn_slice){0}));
    }
    assert_in_range(open_descriptors(), 1, before + 8);
    close_db(db);
    close_db(writer);
    test_dir_remove(dir);
}

TEST(read_only, opens_again_and_again_while_files_come_and_go) {
    char *dir = test_dir_new();
    writer w = writer_start(dir);
    writer_do(&w, 'f');
    firn_options options = read_only_options();
    firn_db *refreshed = open_db(dir, &options);
    for (int round = 0; round < 6; round++) {
        writer_begin(&w, round % 2 ? 'c' : 'w');
        for (int i = 0; i < 15; i++) {
            firn_value value;
            firn_db *db = open_db(dir, &options);
            ASSERT_FIRN_OK(firn_get(db, NULL, FIRN_STR(numbered_key(7)), &value));
            assert_int_equal(value.size, VALUE_BYTES);
            firn_value_release(&value);
            close_db(db);
            ASSERT_FIRN_OK(firn_refresh(refreshed));
            ASSERT_FIRN_OK(firn_get(refreshed, NULL, FIRN_STR(numbered_key(299)), &value));
            firn_value_release(&value);
        }
        writer_wait(&w);
    }
    ASSERT_FIRN_OK(firn_refresh(refreshed));
    expect_range(refreshed, NULL, 0, BATCH_KEYS, VALUE_BYTES, 7);
    close_db(refreshed);
    writer_stop(&w);
    test_dir_remove(dir);
}

TEST_MAIN(RUN(read_only, reads_logs_and_tables_and_refuses_writes),
          RUN(read_only, makes_nothing_where_nothing_is), RUN(read_only, writes_no_byte),
          RUN(read_only, works_on_a_directory_without_write_permission),
          RUN(read_only, sees_what_was_acknowledged_before_and_moves_on_at_refresh),
          RUN(read_only, snapshots_and_iterators_keep_what_they_see_over_refresh),
          RUN(read_only, following_a_writer_does_not_collect_descriptors),
          RUN(read_only, large_values_of_the_log_outlive_their_segment),
          RUN(read_only, following_a_writer_of_large_values_does_not_collect_descriptors),
          RUN(read_only, opens_again_and_again_while_files_come_and_go))
