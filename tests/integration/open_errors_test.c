/* Bad input gets a clear error, and nothing is lost or overwritten. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/slice.h"
#include "integration/db_fixture.h"

static firn_status try_open(const char *path, const firn_options *options) {
    firn_db *db = (firn_db *)1;
    firn_status st = firn_open(path, options, &db);
    if (st == FIRN_OK)
        close_db(db);
    else
        assert_null(db);
    return st;
}

/* --- what is at the path --- */

TEST(open_errors, a_directory_of_something_else_is_not_touched) {
    char *dir = test_dir_new();
    write_file(test_path(dir, "letter.txt"), "dear", 4);
    ASSERT_FIRN(try_open(dir, NULL), FIRN_INVALID_ARGUMENT);
    EXPECT_DETAIL("letter.txt");
    EXPECT_DETAIL(dir);
    DIR *d = opendir(dir);
    int entries = 0;
    while (readdir(d))
        entries++;
    closedir(d);
    assert_int_equal(entries, 3); /* and the two dots */
    test_dir_remove(dir);
}

TEST(open_errors, a_file_is_no_database) {
    char *dir = test_dir_new();
    const char *path = test_path(dir, "file");
    size_t bytes;
    write_file(path, "dear", 4);
    ASSERT_FIRN(try_open(path, NULL), FIRN_INVALID_ARGUMENT);
    EXPECT_DETAIL("is a file");
    uint8_t *left = read_file(path, &bytes);
    assert_int_equal(bytes, 4);
    free(left);
    assert_int_not_equal(try_open(test_path(path, "below"), NULL), FIRN_OK);
    test_dir_remove(dir);
}

TEST(open_errors, a_missing_database_is_made_only_where_that_is_wanted) {
    char *dir = test_dir_new();
    firn_options options = FIRN_OPTIONS_INIT;
    options.create_if_missing = FIRN_NO;
    ASSERT_FIRN(try_open(test_path(dir, "db"), &options), FIRN_NOT_FOUND);
    EXPECT_DETAIL("db");
    ASSERT_FIRN(try_open(dir, &options), FIRN_NOT_FOUND);
    ASSERT_FIRN(try_open(test_path(dir, "a/b"), NULL), FIRN_NOT_FOUND);
    EXPECT_DETAIL("a/b");
    ASSERT_FIRN_OK(try_open(test_path(dir, "db"), NULL));
    ASSERT_FIRN_OK(try_open(test_path(dir, "db"), &options));
    options = (firn_options)FIRN_OPTIONS_INIT;
    options.error_if_exists = FIRN_YES;
    ASSERT_FIRN(try_open(test_path(dir, "db"), &options), FIRN_INVALID_ARGUMENT);
    EXPECT_DETAIL("exists");
    test_dir_remove(dir);
}

TEST(open_errors, a_directory_without_permission_is_named) {
    char *dir = test_dir_new();
    ASSERT_FIRN_OK(try_open(dir, NULL));
    assert_int_equal(chmod(dir, 0), 0);
    if (geteuid() == 0) {
        /* Root may go anywhere; somebody else tries in a child. */
        pid_t child = fork_child();
        if (child == 0) {
            firn_db *db;
            if (setgid(65534) != 0 || setuid(65534) != 0)
                _exit(0);
            firn_status st = firn_open(dir, NULL, &db);
            _exit(st == FIRN_IO_ERROR && strstr(firn_error_detail(), dir) ? 0 : 1);
        }
        expect_child_succeeded(child);
    } else {
        ASSERT_FIRN(try_open(dir, NULL), FIRN_IO_ERROR);
        EXPECT_DETAIL(dir);
    }
    test_dir_remove(dir);
}

/* --- who holds it --- */

TEST(open_errors, a_held_database_names_its_holder) {
    char *dir = test_dir_new(), pid_text[32];
    int ready[2], go[2];
    char byte = 0;
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(go), 0);
    pid_t child = fork_child();
    if (child == 0) {
        firn_db *db;
        if (firn_open(dir, NULL, &db) != FIRN_OK || write(ready[1], &byte, 1) != 1 ||
            read(go[0], &byte, 1) != 1)
            _exit(1);
        _exit(firn_close(db) == FIRN_OK ? 0 : 1);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    ASSERT_FIRN(try_open(dir, NULL), FIRN_LOCKED);
    snprintf(pid_text, sizeof pid_text, "process %d", (int)child);
    EXPECT_DETAIL(pid_text);
    assert_int_equal(write(go[1], &byte, 1), 1);
    expect_child_succeeded(child);
    firn_db *db = open_db(dir, NULL);
    ASSERT_FIRN(try_open(dir, NULL), FIRN_LOCKED);
    EXPECT_DETAIL("already in this process");
    close_db(db);
    ASSERT_FIRN_OK(try_open(dir, NULL));
    for (int i = 0; i < 2; i++) {
        close(ready[i]);
        close(go[i]);
    }
    test_dir_remove(dir);
}

/* --- a database whose files are damaged, one after the other --- */

typedef struct damage {
    const char *suffix; /* of the file */
    enum { TRUNCATE, EMPTY, GARBAGE, REMOVE, FLIP } how;
    uint64_t offset; /* for TRUNCATE and FLIP */
    firn_status expected;
    const char *detail;
} damage;

static void make_database(const char *path) {
    firn_options options = small_options();
    firn_db *db = open_db(path, &options);
    put_range(db, 0, 500, 100, 1);
    ASSERT_FIRN_OK(firn_flush(db));
    put_range(db, 500, 700, 100, 1);
    close_db(db);
}

static void apply_damage(const char *path, const damage *d) {
    size_t bytes;
    uint8_t *data = read_file(path, &bytes);
    switch (d->how) {
    case TRUNCATE:
        assert_true(d->offset < bytes);
        write_file(path, data, d->offset);
        break;
    case EMPTY:
        write_file(path, data, 0);
        break;
    case GARBAGE:
        fill_bytes(7, data, bytes);
        write_file(path, data, bytes);
        break;
    case REMOVE:
        assert_int_equal(unlink(path), 0);
        break;
    case FLIP:
        assert_true(d->offset < bytes);
        data[d->offset] ^= 0x10;
        write_file(path, data, bytes);
        break;
    }
    free(data);
}

static firn_status open_and_scan(const char *path, firn_choice read_only) {
    firn_options options = small_options();
    firn_db *db;
    firn_iter *it;
    options.read_only = read_only;
    firn_status st = firn_open(path, &options, &db);
    if (st != FIRN_OK)
        return st;
    st = firn_iter_new(db, NULL, &it);
    if (st == FIRN_OK) {
        for (firn_iter_seek_first(it); firn_iter_valid(it); firn_iter_next(it))
            continue;
        st = firn_iter_status(it);
        firn_iter_free(it);
    }
    close_db(db);
    return st;
}

TEST(open_errors, every_damaged_file_is_named_with_the_offset) {
    static const damage damages[] = {
        {"CURRENT", REMOVE, 0, FIRN_CORRUPTION, "CURRENT"},
        {"CURRENT", EMPTY, 0, FIRN_CORRUPTION, "CURRENT"},
        {"CURRENT", GARBAGE, 0, FIRN_CORRUPTION, "CURRENT"},
        {"CURRENT", TRUNCATE, 10, FIRN_CORRUPTION, "CURRENT"},
        {"CURRENT", FLIP, 12, FIRN_CORRUPTION, "CURRENT"},
        {"CURRENT", FLIP, 5, FIRN_CORRUPTION, "CURRENT"}, /* "firn 1" -> "firn !" */
        {"MANIFEST", REMOVE, 0, FIRN_CORRUPTION, "MANIFEST"},
        {"MANIFEST", EMPTY, 0, FIRN_CORRUPTION, "MANIFEST"},
        {"MANIFEST", GARBAGE, 0, FIRN_CORRUPTION, "MANIFEST"},
        {"MANIFEST", TRUNCATE, 100, FIRN_CORRUPTION, "MANIFEST"},
        {"MANIFEST", TRUNCATE, 4100, FIRN_CORRUPTION, "MANIFEST"},
        {"MANIFEST", FLIP, 4120, FIRN_CORRUPTION, "MANIFEST"},
        {".wal", REMOVE, 0, FIRN_CORRUPTION, ".wal"},
        {".wal", EMPTY, 0, FIRN_CORRUPTION, ".wal"},
        {".wal", GARBAGE, 0, FIRN_CORRUPTION, ".wal"},
        {".wal", TRUNCATE, 50000, FIRN_CORRUPTION, ".wal"},
        {".wal", FLIP, 75000, FIRN_CORRUPTION, ".wal"},
        {".sst", REMOVE, 0, FIRN_CORRUPTION, ".sst"},
        {".sst", EMPTY, 0, FIRN_CORRUPTION, ".sst"},
        {".sst", TRUNCATE, 5000, FIRN_CORRUPTION, ".sst"},
        {".sst", GARBAGE, 0, FIRN_CORRUPTION, ".sst"},
        {".sst", FLIP, 5000, FIRN_CORRUPTION, ".sst"},
    };
    char *dir = test_dir_new();
    char whole[512], broken[512];
    snprintf(whole, sizeof whole, "%s/whole", dir);
    snprintf(broken, sizeof broken, "%s/broken", dir);
    make_database(whole);
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        const damage *d = &damages[i];
        print_message("case %zu: %s\n", i, d->suffix);
        copy_directory(whole, broken);
        char name[600];
        if (strcmp(d->suffix, "MANIFEST") == 0) {
            char *current = (char *)read_file(test_path(broken, "CURRENT"), &(size_t){0});
            snprintf(name, sizeof name, "%s/%.15s", broken, current + 7);
            free(current);
        } else {
            snprintf(name, sizeof name, "%s", find_file(broken, d->suffix));
        }
        apply_damage(name, d);
        for (int read_only = 0; read_only < 2; read_only++) {
            ASSERT_FIRN(open_and_scan(broken, read_only ? FIRN_YES : FIRN_NO), d->expected);
            EXPECT_DETAIL(d->detail);
            /* A file that is missing or of the wrong size is wrong as a whole. */
            if (d->expected == FIRN_CORRUPTION && d->how != REMOVE &&
                !strstr(firn_error_detail(), " bytes"))
                EXPECT_DETAIL("offset");
        }
        copy_directory(whole, broken); /* nothing was made worse: with the file back all is well */
        ASSERT_FIRN_OK(open_and_scan(broken, FIRN_YES));
        char *doomed = strdup(broken);
        test_dir_remove(doomed);
    }
    test_dir_remove(dir);
}

/* --- newer formats --- */

static void expect_newer_format(const char *suffix, int64_t offset_from_end, uint64_t offset) {
    char *dir = test_dir_new();
    make_database(dir);
    size_t bytes;
    char path[512];
    snprintf(path, sizeof path, "%s", find_file(dir, suffix));
    uint8_t *data = read_file(path, &bytes);
    data[offset_from_end ? bytes - (size_t)offset_from_end : offset] +=
        7; /* known ones are less; a digit stays one */
    write_file(path, data, bytes);
    free(data);
    ASSERT_FIRN(open_and_scan(dir, FIRN_NO), FIRN_NOT_SUPPORTED);
    EXPECT_DETAIL(path);
    test_dir_remove(dir);
}

TEST(open_errors, a_newer_format_is_told_from_damage) {
    expect_newer_format("CURRENT", 0, 5);
    expect_newer_format(".wal", 0, 8);
    expect_newer_format(".sst", 12, 0);
}

/* --- comparators and options --- */

static int compare_reversed(void *context, firn_slice a, firn_slice b) {
    (void)context;
    return slice_compare(b, a);
}

TEST(open_errors, another_comparator_is_refused_by_name) {
    static const firn_comparator reversed = {"test.reversed", NULL, compare_reversed};
    char *dir = test_dir_new();
    firn_options options = FIRN_OPTIONS_INIT;
    ASSERT_FIRN_OK(try_open(test_path(dir, "plain"), NULL));
    options.comparator = &reversed;
    ASSERT_FIRN(try_open(test_path(dir, "plain"), &options), FIRN_INVALID_ARGUMENT);
    EXPECT_DETAIL("firn.bytewise");
    EXPECT_DETAIL("test.reversed");
    ASSERT_FIRN_OK(try_open(test_path(dir, "reversed"), &options));
    ASSERT_FIRN(try_open(test_path(dir, "reversed"), NULL), FIRN_INVALID_ARGUMENT);
    EXPECT_DETAIL("test.reversed");
    ASSERT_FIRN_OK(try_open(test_path(dir, "reversed"), &options));
    test_dir_remove(dir);
}

TEST(open_errors, null_arguments_are_refused) {
    char *dir = test_dir_new();
    firn_db *db;
    ASSERT_FIRN(firn_open(NULL, NULL, &db), FIRN_INVALID_ARGUMENT);
    ASSERT_FIRN(firn_open(dir, NULL, NULL), FIRN_INVALID_ARGUMENT);
    ASSERT_FIRN(firn_open("", NULL, &db), FIRN_INVALID_ARGUMENT);
    db = open_db(dir, NULL);
    firn_value value;
    firn_slice broken = {NULL, 5}, key = FIRN_STR("k");
    ASSERT_FIRN(firn_put(NULL, NULL, key, key), FIRN_INVALID_ARGUMENT);
    ASSERT_FIRN(firn_put(db, NULL, broken, key), FIRN_INVALID_ARGUMENT);
    ASSERT_FIRN(firn_put(db, NULL, key, broken), FIRN_INVALID_ARGUMENT);
    ASSERT_FIRN(firn_delete(NULL, NULL, key), FIRN_INVALID_ARGUMENT);
    ASSERT_FIRN(firn_delete(db, NULL, broken), FIRN_INVALID_ARGUMENT);
    ASSERT_FIRN(firn_get(NULL, NULL, key, &value), FIRN_INVALID_ARGUMENT);
    firn_value_release(&value);
    ASSERT_FIRN(firn_get(db, NULL, key, NULL), FIRN_INVALID_ARGUMENT);
    ASSERT_FIRN(firn_get(db, NULL, broken, &value), FIRN_INVALID_ARGUMENT);
    ASSERT_FIRN(firn_write(db, NULL, NULL), FIRN_INVALID_ARGUMENT);
    ASSERT_FIRN(firn_batch_new(NULL), FIRN_INVALID_ARGUMENT);
    ASSERT_FIRN(firn_batch_put(NULL, key, key), FIRN_INVALID_ARGUMENT);
    ASSERT_FIRN(firn_batch_delete(NULL, key), FIRN_INVALID_ARGUMENT);
    ASSERT_FIRN(firn_iter_new(db, NULL, NULL), FIRN_INVALID_ARGUMENT);
    ASSERT_FIRN(firn_snapshot_new(db, NULL), FIRN_INVALID_ARGUMENT);
    ASSERT_FIRN(firn_sync(NULL), FIRN_INVALID_ARGUMENT);
    ASSERT_FIRN(firn_flush(NULL), FIRN_INVALID_ARGUMENT);
    ASSERT_FIRN(firn_wait_idle(NULL), FIRN_INVALID_ARGUMENT);
    ASSERT_FIRN(firn_refresh(NULL), FIRN_INVALID_ARGUMENT);
    ASSERT_FIRN(firn_compact_range(db, broken, key), FIRN_INVALID_ARGUMENT);
    ASSERT_FIRN(firn_get_stats(db, NULL), FIRN_INVALID_ARGUMENT);
    ASSERT_FIRN_OK(firn_put(db, NULL, (firn_slice){0}, (firn_slice){0})); /* empty, and legal */
    ASSERT_FIRN_OK(firn_get(db, NULL, FIRN_STR(""), &value));
    assert_int_equal(value.size, 0);
    firn_value_release(&value);
    firn_value_release(NULL);
    firn_batch_free(NULL);
    firn_iter_free(NULL);
    firn_snapshot_release(db, NULL);
    close_db(db);
    test_dir_remove(dir);
}

TEST(open_errors, keys_and_values_over_the_limit_are_refused) {
    char *dir = test_dir_new();
    firn_db *db = open_db(dir, NULL);
    firn_batch *batch;
    firn_value value;
    uint8_t *key = calloc(1, 65536);
    firn_slice longest = firn_slice_of(key, 65535), longer = firn_slice_of(key, 65536);
    firn_slice too_much = firn_slice_of(key, ((size_t)1 << 30) + 1); /* its bytes are not read */
    ASSERT_FIRN_OK(firn_put(db, NULL, longest, FIRN_STR("v")));
    ASSERT_FIRN(firn_put(db, NULL, longer, FIRN_STR("v")), FIRN_TOO_LARGE);
    EXPECT_DETAIL("65536");
    ASSERT_FIRN(firn_delete(db, NULL, longer), FIRN_TOO_LARGE);
    ASSERT_FIRN(firn_put(db, NULL, FIRN_STR("k"), too_much), FIRN_TOO_LARGE);
    ASSERT_FIRN_OK(firn_batch_new(&batch));
    ASSERT_FIRN(firn_batch_put(batch, longer, FIRN_STR("v")), FIRN_TOO_LARGE);
    ASSERT_FIRN(firn_batch_put(batch, FIRN_STR("k"), too_much), FIRN_TOO_LARGE);
    ASSERT_FIRN(firn_batch_delete(batch, longer), FIRN_TOO_LARGE);
    assert_int_equal(firn_batch_count(batch), 0);
    firn_batch_free(batch);
    ASSERT_FIRN(firn_get(db, NULL, longer, &value), FIRN_NOT_FOUND);
    ASSERT_FIRN_OK(firn_get(db, NULL, longest, &value));
    firn_value_release(&value);
    close_db(db);
    free(key);
    test_dir_remove(dir);
}

TEST_MAIN(RUN(open_errors, a_directory_of_something_else_is_not_touched),
          RUN(open_errors, a_file_is_no_database),
          RUN(open_errors, a_missing_database_is_made_only_where_that_is_wanted),
          RUN(open_errors, a_directory_without_permission_is_named),
          RUN(open_errors, a_held_database_names_its_holder),
          RUN(open_errors, every_damaged_file_is_named_with_the_offset),
          RUN(open_errors, a_newer_format_is_told_from_damage),
          RUN(open_errors, another_comparator_is_refused_by_name),
          RUN(open_errors, null_arguments_are_refused),
          RUN(open_errors, keys_and_values_over_the_limit_are_refused))
