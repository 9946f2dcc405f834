/* Reading many keys at once, reading what is cached only, and reads that explain themselves. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/slice.h"
#include "integration/db_fixture.h"
#include "util/rng.h"

enum { KEYS = 3000, ASKED = 700 };

/* Keys of all ages: in the bottom level, in L0, in memtables; some deleted. */
static firn_db *layered_db(const char *dir, const firn_options *options) {
    firn_db *db = open_db(dir, options);
    put_range(db, 0, KEYS, 100, 1);
    ASSERT_FIRN_OK(firn_compact_range(db, (firn_slice){0}, (firn_slice){0}));
    put_range(db, KEYS / 3, KEYS / 2, 300, 2);
    ASSERT_FIRN_OK(firn_flush(db));
    for (uint64_t i = 0; i < KEYS; i += 7)
        delete_text(db, numbered_key(i));
    put_range(db, KEYS / 2, KEYS / 2 + 50, 10, 3);
    return db;
}

typedef struct asked {
    char text[ASKED][32];
    firn_slice keys[ASKED];
    firn_value values[ASKED];
    firn_status statuses[ASKED];
} asked;

/* Unsorted, some twice, some never written. */
static asked *asked_new(rng *r) {
    asked *a = calloc(1, sizeof *a);
    assert_non_null(a);
    for (size_t i = 0; i < ASKED; i++) {
        snprintf(a->text[i], sizeof a->text[i], "%s%s", numbered_key(rng_below(r, KEYS + 100)),
                 rng_below(r, 10) == 0 ? "x" : "");
        a->keys[i] = FIRN_STR(a->text[i]);
    }
    return a;
}

static void expect_as_get(firn_db *db, const firn_read_options *o, asked *a, size_t count) {
    for (size_t i = 0; i < count; i++) {
        firn_value value;
        firn_status st = firn_get(db, o, a->keys[i], &value);
        assert_int_equal(a->statuses[i], st);
        assert_true(slice_equal(slice_of(value.data, value.size),
                                slice_of(a->values[i].data, a->values[i].size)));
        firn_value_release(&value);
        firn_value_release(&a->values[i]);
    }
}

TEST(multi_get, agrees_with_get_for_any_number_of_keys) {
    char *dir = test_dir_new();
    firn_options options = small_options();
    rng r;
    rng_init(&r, test_seed());
    firn_db *db = layered_db(dir, &options);
    const firn_snapshot *before;
    ASSERT_FIRN_OK(firn_snapshot_new(db, &before));
    put_range(db, 100, 200, 20, 4);
    firn_read_options at = FIRN_READ_OPTIONS_INIT;
    at.snapshot = before;
    static const size_t counts[] = {0, 1, 2, 63, 64, 65, 200, ASKED};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        for (int snapshot = 0; snapshot < 2; snapshot++) {
            asked *a = asked_new(&r);
            const firn_read_options *o = snapshot ? &at : NULL;
            ASSERT_FIRN_OK(firn_multi_get(db, o, counts[i], a->keys, a->values, a->statuses));
            expect_as_get(db, o, a, counts[i]);
            free(a);
        }
    }
    firn_snapshot_release(db, before);
    close_db(db);
    test_dir_remove(dir);
}

TEST(multi_get, takes_empty_keys_and_refuses_bad_arguments) {
    char *dir = test_dir_new();
    firn_db *db = open_db(dir, NULL);
    firn_value values[2];
    firn_status statuses[2];
    firn_slice keys[2] = {{NULL, 0}, FIRN_STR("a")};
    put_text(db, "", "empty");
    ASSERT_FIRN_OK(firn_multi_get(db, NULL, 2, keys, values, statuses));
    ASSERT_FIRN(statuses[0], FIRN_OK);
    ASSERT_FIRN(statuses[1], FIRN_NOT_FOUND);
    assert_true(slice_equal(slice_of(values[0].data, values[0].size), FIRN_STR("empty")));
    firn_value_release(&values[0]);
    firn_value_release(&values[1]);
    keys[1] = (firn_slice){NULL, 3};
    ASSERT_FIRN(firn_multi_get(db, NULL, 2, keys, values, statuses), FIRN_INVALID_ARGUMENT);
    ASSERT_FIRN(firn_multi_get(db, NULL, 1, NULL, values, statuses), FIRN_INVALID_ARGUMENT);
    ASSERT_FIRN(firn_multi_get(db, NULL, 2000000, keys, values, statuses), FIRN_INVALID_ARGUMENT);
    ASSERT_FIRN(firn_multi_get(NULL, NULL, 1, keys, values, statuses), FIRN_INVALID_ARGUMENT);
    close_db(db);
    test_dir_remove(dir);
}

static firn_status get_cached(firn_db *db, const char *key) {
    firn_read_options o = FIRN_READ_OPTIONS_INIT;
    firn_value value;
    o.cached_only = FIRN_YES;
    firn_status st = firn_get(db, &o, FIRN_STR(key), &value);
    firn_value_release(&value);
    return st;
}

/* Makes the system forget the pages of all tables, which are synced and not mapped anywhere else;
 * false where it keeps them all the same, or where nobody can ask. */
static bool make_tables_cold(const char *dir) {
    bool cold = true;
    DIR *list = opendir(dir);
    assert_non_null(list);
    for (struct dirent *entry; (entry = readdir(list)) != NULL;) {
        uint8_t resident;
        size_t length = strlen(entry->d_name);
        if (length < 4 || strcmp(entry->d_name + length - 4, ".sst") != 0)
            continue;
        int fd = open(test_path(dir, entry->d_name), O_RDONLY);
        assert_true(fd >= 0);
        assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
        /* A read that does not wait would start one; looking does not. */
        void *first = mmap(NULL, 1, PROT_READ, MAP_SHARED, fd, 0);
        assert_true(first != MAP_FAILED);
        cold &= mincore(first, 1, &resident) == 0 && !(resident & 1);
        munmap(first, 1);
        close(fd);
    }
    closedir(list);
    return cold;
}

static void cold_files_would_block(firn_table_io io) {
    char *dir = test_dir_new();
    firn_options options = small_options();
    options.table_io = io;
    firn_db *db = layered_db(dir, &options);
    ASSERT_FIRN_OK(firn_compact_range(db, (firn_slice){0}, (firn_slice){0}));
    close_db(db);
    db = open_db(dir, &options); /* with a cold cache, and no table open */
    ASSERT_FIRN_OK(firn_wait_idle(db));
    put_text(db, "in-memory", "v");
    ASSERT_FIRN(get_cached(db, "in-memory"), FIRN_OK);
    ASSERT_FIRN(get_cached(db, numbered_key(5)), FIRN_WOULD_BLOCK); /* the table is not open */
    expect_text(db, NULL, numbered_key(KEYS + 1), NULL);
    firn_value value;
    if (!make_tables_cold(dir)) {
        close_db(db);
        test_dir_remove(dir);
        skip();
    }
    ASSERT_FIRN(get_cached(db, numbered_key(5)), FIRN_WOULD_BLOCK);
    ASSERT_FIRN_OK(firn_get(db, NULL, FIRN_STR(numbered_key(5)), &value));
    firn_value_release(&value);
    ASSERT_FIRN(get_cached(db, numbered_key(5)), FIRN_OK);
    ASSERT_FIRN(get_cached(db, numbered_key(KEYS - 5)), FIRN_WOULD_BLOCK);

    firn_slice keys[3] = {FIRN_STR("in-memory"), FIRN_STR("key-000005"), FIRN_STR("key-002995")};
    firn_value values[3];
    firn_status statuses[3];
    firn_read_options o = FIRN_READ_OPTIONS_INIT;
    o.cached_only = FIRN_YES;
    ASSERT_FIRN(firn_multi_get(db, &o, 3, keys, values, statuses), FIRN_WOULD_BLOCK);
    ASSERT_FIRN(statuses[0], FIRN_OK);
    ASSERT_FIRN(statuses[1], FIRN_OK);
    ASSERT_FIRN(statuses[2], FIRN_WOULD_BLOCK);
    for (int i = 0; i < 3; i++)
        firn_value_release(&values[i]);

    /* A scan goes as far as the cache does, and no further. */
    firn_iter *it;
    int steps = 0;
    ASSERT_FIRN_OK(firn_iter_new(db, &o, &it));
    for (firn_iter_seek(it, FIRN_STR("key-000005")); firn_iter_valid(it); firn_iter_next(it))
        steps++;
    ASSERT_FIRN(firn_iter_status(it), FIRN_WOULD_BLOCK);
    assert_in_range(steps, 1, KEYS - 1);
    firn_iter_free(it);
    close_db(db);
    test_dir_remove(dir);
}

TEST(cached_only, of_tables_that_are_read_answers_would_block_on_cold_files) {
    cold_files_would_block(FIRN_TABLE_IO_PREAD);
}

TEST(cached_only, of_mapped_tables_answers_would_block_on_cold_files) {
    cold_files_would_block(FIRN_TABLE_IO_MAPPED);
}

/* No block cache at all: what the system has is enough. */
TEST(cached_only, serves_what_the_system_has_of_a_file) {
    char *dir = test_dir_new();
    firn_options options = small_options();
    options.table_io = FIRN_TABLE_IO_PREAD;
    options.cache_bytes = FIRN_NONE;
    firn_db *db = layered_db(dir, &options);
    ASSERT_FIRN_OK(firn_compact_range(db, (firn_slice){0}, (firn_slice){0}));
    close_db(db);
    db = open_db(dir, &options);
    ASSERT_FIRN_OK(firn_wait_idle(db)); /* from here on no table comes or goes */
    firn_value value;
    ASSERT_FIRN_OK(firn_get(db, NULL, FIRN_STR(numbered_key(5)), &value));
    firn_value_release(&value);
    if (make_tables_cold(dir)) { /* the system can be asked */
        ASSERT_FIRN(get_cached(db, numbered_key(5)), FIRN_WOULD_BLOCK);
        ASSERT_FIRN_OK(firn_get(db, NULL, FIRN_STR(numbered_key(5)), &value));
        firn_value_release(&value);
        ASSERT_FIRN(get_cached(db, numbered_key(5)), FIRN_OK);
    }
    close_db(db);
    test_dir_remove(dir);
}

typedef struct seen {
    int steps, memtables, tables, filtered;
    uint64_t newer, older, tombstones;
    firn_explain_step last;
} seen;

static void see(void *context, const firn_explain_step *step) {
    seen *s = context;
    s->steps++;
    s->memtables += step->level < 0;
    s->tables += step->level >= 0;
    s->filtered += step->verdict == FIRN_EXPLAIN_FILTERED;
    assert_int_equal(step->size, sizeof *step);
    s->newer += step->newer_skipped;
    s->older += step->older_skipped;
    s->tombstones += step->tombstones_skipped;
    s->last = *step;
}

TEST(explain, names_the_places_a_read_asks) {
    char *dir = test_dir_new();
    firn_options options = small_options();
    options.table_io = FIRN_TABLE_IO_PREAD;
    firn_db *db = layered_db(dir, &options);
    seen s = {0};
    ASSERT_FIRN(firn_explain_get(db, NULL, FIRN_STR(numbered_key(7)), see, &s), FIRN_NOT_FOUND);
    assert_int_equal(s.last.verdict, FIRN_EXPLAIN_DELETED);
    s = (seen){0};
    ASSERT_FIRN_OK(firn_explain_get(db, NULL, FIRN_STR(numbered_key(KEYS - 1)), see, &s));
    assert_int_equal(s.last.verdict, FIRN_EXPLAIN_VALUE);
    assert_int_equal(s.last.value_bytes, 100);
    assert_true(s.last.level > 0 && s.memtables >= 1 && s.tables >= 1);
    assert_int_equal(s.last.blocks_cached + s.last.blocks_read, 1);
    assert_int_equal(s.last.filter, 1);
    assert_true(s.last.sequence > 0);
    seen again = {0};
    ASSERT_FIRN_OK(firn_explain_get(db, NULL, FIRN_STR(numbered_key(KEYS - 1)), see, &again));
    assert_int_equal(again.last.blocks_cached, 1);
    assert_int_equal(again.last.blocks_read, 0);
    int filtered = 0;
    for (uint64_t i = 0; i < 200; i++) {
        char key[40];
        snprintf(key, sizeof key, "%sx", numbered_key(KEYS / 3 + i));
        seen none = {0};
        ASSERT_FIRN(firn_explain_get(db, NULL, FIRN_STR(key), see, &none), FIRN_NOT_FOUND);
        filtered += none.filtered;
    }
    assert_in_range(filtered, 180, 10000);
    ASSERT_FIRN(firn_explain_get(db, NULL, FIRN_STR("a"), NULL, NULL), FIRN_INVALID_ARGUMENT);
    close_db(db);
    test_dir_remove(dir);
}

static seen explain(firn_db *db, const firn_snapshot *snapshot, const char *key,
                    firn_status expected) {
    firn_read_options options = FIRN_READ_OPTIONS_INIT;
    options.snapshot = snapshot;
    seen s = {0};
    ASSERT_FIRN(firn_explain_get(db, &options, FIRN_STR(key), see, &s), expected);
    return s;
}

static void expect_skipped(seen s, uint64_t newer, uint64_t older, uint64_t tombstones) {
    assert_int_equal(s.newer, newer);
    assert_int_equal(s.older, older);
    assert_int_equal(s.tombstones, tombstones);
}

/* Before and after a flush, for the snapshot keeps all versions there: put, delete, put, snapshot,
 * delete, put, delete. */
TEST(explain, counts_the_versions_and_tombstones_that_were_passed_over) {
    char *dir = test_dir_new();
    firn_options options = small_options();
    firn_db *db = open_db(dir, &options);
    const firn_snapshot *oldest, *middle;
    put_text(db, "a", "neighbour");
    put_text(db, "k", "1");
    ASSERT_FIRN_OK(firn_snapshot_new(db, &oldest));
    delete_text(db, "k");
    ASSERT_FIRN_OK(firn_snapshot_new(db, &middle));
    put_text(db, "k", "2");
    delete_text(db, "k");
    put_text(db, "kk", "neighbour");
    for (int flushed = 0; flushed < 2; flushed++) {
        expect_skipped(explain(db, NULL, "k", FIRN_NOT_FOUND), 0, flushed ? 2 : 3, 1);
        expect_skipped(explain(db, middle, "k", FIRN_NOT_FOUND), flushed ? 1 : 2, 1, 1);
        expect_skipped(explain(db, oldest, "k", FIRN_OK), flushed ? 2 : 3, 0, 2);
        expect_skipped(explain(db, NULL, "a", FIRN_OK), 0, 0, 0);
        expect_skipped(explain(db, NULL, "j", FIRN_NOT_FOUND), 0, 0, 0);
        ASSERT_FIRN_OK(firn_flush(db));
    }
    firn_snapshot_release(db, oldest);
    firn_snapshot_release(db, middle);
    close_db(db);
    test_dir_remove(dir);
}

TEST_MAIN(RUN(multi_get, agrees_with_get_for_any_number_of_keys),
          RUN(multi_get, takes_empty_keys_and_refuses_bad_arguments),
          RUN(cached_only, of_tables_that_are_read_answers_would_block_on_cold_files),
          RUN(cached_only, of_mapped_tables_answers_would_block_on_cold_files),
          RUN(cached_only, serves_what_the_system_has_of_a_file),
          RUN(explain, names_the_places_a_read_asks),
          RUN(explain, counts_the_versions_and_tombstones_that_were_passed_over))
