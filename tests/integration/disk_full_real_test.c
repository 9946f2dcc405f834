/* A real file system that is really full: a small tmpfs. Skipped where nothing can be mounted. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "integration/db_fixture.h"
#include "util/rng.h"

enum {
    REAL_BYTES = 12 << 20,
    REAL_FILLER_BYTES = 4 << 20,
    REAL_VALUE_BYTES = 900,
    REAL_LARGER_VALUE_BYTES = 10000
};

static char *real_mount(uint64_t bytes) {
    char *path = test_dir_new();
    char size[32];
    snprintf(size, sizeof size, "size=%llu", (unsigned long long)bytes);
    if (mount("firn-test", path, "tmpfs", 0, size) == 0)
        return path;
    print_message("cannot mount a small file system: %s\n", strerror(errno));
    test_dir_remove(path);
    return NULL;
}

static void real_unmount(char *path) {
    assert_int_equal(umount(path), 0);
    test_dir_remove(path);
}

/* What takes space away, and gives it back. */
static void real_fill(const char *root) {
    static const uint8_t zeros[REAL_FILLER_BYTES];
    write_file(test_path(root, "filler"), zeros, sizeof zeros);
}

static firn_options real_options(void) {
    firn_options options = small_options();
    options.durability = FIRN_SYNC_EVERY_COMMITS;
    options.sync_commits = 50;
    return options;
}

/* Puts keys from `first` on until one is refused; gives the first that was. */
static uint64_t real_put_until_full(firn_db *db, uint64_t first) {
    uint8_t value[REAL_VALUE_BYTES];
    for (uint64_t i = first; i < 100000; i++) {
        const char *key = numbered_key(i);
        fill_bytes(i, value, sizeof value);
        firn_status st = firn_put(db, NULL, FIRN_STR(key), firn_slice_of(value, sizeof value));
        if (st != FIRN_OK) {
            assert_int_equal(st, FIRN_NO_SPACE);
            return i;
        }
    }
    fail_msg("a file system of %d bytes is never full", REAL_BYTES);
    return 0;
}

static void real_check(firn_db *db, uint64_t end) {
    uint8_t value[REAL_VALUE_BYTES];
    for (uint64_t i = 0; i < end; i++) {
        firn_value got;
        const char *key = numbered_key(i);
        fill_bytes(i, value, sizeof value);
        ASSERT_FIRN_OK(firn_get(db, NULL, FIRN_STR(key), &got));
        assert_int_equal(got.size, sizeof value);
        assert_memory_equal(got.data, value, sizeof value);
        firn_value_release(&got);
    }
}

/* Background work tries again every 100 ms: within some seconds writes are taken again. */
static void real_wait_for_space(firn_db *db, const char *key) {
    firn_status st = FIRN_NO_SPACE;
    for (int i = 0; i < 600 && st != FIRN_OK; i++) {
        st = firn_put(db, NULL, FIRN_STR(key), FIRN_STR("value"));
        if (st != FIRN_OK) {
            assert_int_equal(st, FIRN_NO_SPACE);
            usleep(50000);
        }
    }
    ASSERT_FIRN_OK(st);
}

TEST(disk_full_real, reads_go_on_it_opens_and_writes_resume_with_space) {
    char *root = real_mount(REAL_BYTES);
    if (!root)
        skip();
    char *path = strdup(test_path(root, "db"));
    firn_options options = real_options();
    firn_db *db = open_db(path, &options);
    real_fill(root);
    uint64_t end = real_put_until_full(db, 0);
    assert_true(end > 1000);
    real_check(db, end);
    firn_status st = firn_close(db); /* there may be no room to note that it was a clean one */
    assert_true(st == FIRN_OK || st == FIRN_NO_SPACE);
    db = open_db(path, &options);
    real_check(db, end);
    assert_int_equal(unlink(test_path(root, "filler")), 0);
    real_wait_for_space(db, "space is back");
    end = real_put_until_full(db, end);
    real_check(db, end);
    ASSERT_FIRN(firn_verify(path, &options, NULL, NULL), FIRN_OK);
    (void)firn_close(db);
    db = open_db(path, &options);
    real_check(db, end);
    expect_text(db, NULL, "space is back", "value");
    (void)firn_close(db);
    free(path);
    real_unmount(root);
}

/* A full database takes deletes, and what they free takes as much again. */
static void real_check_way_back(const firn_options *options, const char *detail) {
    char *root = real_mount(REAL_BYTES);
    if (!root)
        skip();
    char *path = strdup(test_path(root, "db"));
    firn_db *db = open_db(path, options);
    uint64_t end = real_put_until_full(db, 0);
    end = real_put_until_full(db, end); /* by now nothing is found out, it is known */
    EXPECT_DETAIL(detail);
    for (uint64_t i = 0; i < end; i++)
        ASSERT_FIRN_OK(firn_delete(db, NULL, FIRN_STR(numbered_key(i))));
    ASSERT_FIRN_OK(firn_compact_range(db, FIRN_STR(""), (firn_slice){NULL, 0}));
    real_wait_for_space(db, "after the deletes");
    uint64_t again = real_put_until_full(db, 0);
    print_message("%llu keys, after their deletes %llu\n", (unsigned long long)end,
                  (unsigned long long)again);
    assert_true(again >= end * 9 / 10);
    (void)firn_close(db);
    free(path);
    real_unmount(root);
}

TEST(disk_full_real, a_limit_of_its_own_leaves_room_for_deletes_and_compactions) {
    firn_options options = real_options();
    options.disk_limit_bytes = 4u << 20;
    real_check_way_back(&options, "disk_limit_bytes");
}

TEST(disk_full_real, what_is_kept_aside_leaves_room_for_deletes_and_compactions) {
    firn_options options = real_options();
    options.disk_reserve_bytes = 2u << 20;
    real_check_way_back(&options, "disk_reserve_bytes");
}

/* Overwrites until background work finds no more room for a while. */
static void real_overwrite_until_full(firn_db *db, uint64_t keys, rng *r) {
    static uint8_t value[REAL_LARGER_VALUE_BYTES];
    for (unsigned refused = 0, puts = 0; refused < 20 && puts < 20000;) {
        const char *key = numbered_key(rng_below(r, keys));
        fill_bytes(rng_next(r), value, sizeof value);
        firn_status st = firn_put(db, NULL, FIRN_STR(key), firn_slice_of(value, sizeof value));
        if (st == FIRN_OK) {
            refused = 0;
            puts++;
        } else {
            assert_int_equal(st, FIRN_NO_SPACE);
            refused++;
            usleep(50000);
        }
    }
}

static void real_delete(firn_db *db, uint64_t number) {
    firn_status st = FIRN_NO_SPACE;
    for (int i = 0; i < 200 && st == FIRN_NO_SPACE; i++) {
        st = firn_delete(db, NULL, FIRN_STR(numbered_key(number)));
        if (st == FIRN_NO_SPACE)
            usleep(50000);
    }
    ASSERT_FIRN_OK(st);
}

/* What L0 needs to be drained is more than what is kept aside, and L0 is full. */
TEST(disk_full_real, one_that_is_full_of_overwrites_has_a_way_back) {
    enum { KEYS = 3000, BYTES = 48 << 20 };
    char *root = real_mount(BYTES);
    if (!root)
        skip();
    rng r;
    rng_init(&r, test_seed());
    char *path = strdup(test_path(root, "db"));
    firn_options options = FIRN_OPTIONS_INIT;
    options.memory_bytes = 8 << 20;
    options.file_bytes = 1 << 20;
    options.threads = 2;
    firn_db *db = open_db(path, &options);
    real_overwrite_until_full(db, KEYS, &r);
    for (uint64_t i = 0; i < KEYS; i++)
        real_delete(db, i);
    real_wait_for_space(db, "after the deletes");
    (void)firn_close(db);
    free(path);
    real_unmount(root);
}

TEST_MAIN(RUN(disk_full_real, reads_go_on_it_opens_and_writes_resume_with_space),
          RUN(disk_full_real, a_limit_of_its_own_leaves_room_for_deletes_and_compactions),
          RUN(disk_full_real, what_is_kept_aside_leaves_room_for_deletes_and_compactions),
          RUN(disk_full_real, one_that_is_full_of_overwrites_has_a_way_back))
