/* Values of 1 MiB and more: they never pass through memtables, blocks or caches whole. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "integration/db_fixture.h"

#define MIB ((size_t)1 << 20)

static const size_t HUGE_VALUE = (size_t)1 << 30;
static const uint64_t BUDGET = 256 << 20;

/* Anonymous memory of this process: mapped files do not count. */
static uint64_t anonymous_bytes(void) {
    char line[256];
    unsigned long long kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file))
        (void)sscanf(line, "RssAnon: %llu kB", &kib);
    fclose(file);
    return kib << 10;
}

static void expect_huge(firn_slice value, const uint8_t *expected) {
    assert_int_equal(value.size, HUGE_VALUE);
    assert_int_equal(memcmp(value.data, expected, HUGE_VALUE), 0);
}

static void expect_huge_get(firn_db *db, const uint8_t *expected) {
    firn_value value;
    ASSERT_FIRN_OK(firn_get(db, NULL, FIRN_STR("huge"), &value));
    expect_huge(firn_slice_of(value.data, value.size), expected);
    firn_value_release(&value);
}

static void expect_huge_scan(firn_db *db, const uint8_t *expected) {
    firn_iter *it;
    ASSERT_FIRN_OK(firn_iter_new(db, NULL, &it));
    int count = 0;
    for (firn_iter_seek_first(it); firn_iter_valid(it); firn_iter_next(it), count++) {
        if (firn_iter_key(it).size == 4)
            expect_huge(firn_iter_value(it), expected);
    }
    assert_int_equal(count, 3);
    for (firn_iter_seek_last(it); firn_iter_valid(it); firn_iter_prev(it), count--) {
        if (firn_iter_key(it).size == 4)
            expect_huge(firn_iter_value(it), expected);
    }
    assert_int_equal(count, 0);
    ASSERT_FIRN_OK(firn_iter_status(it));
    firn_iter_free(it);
}

/* The peak is looked at after each step: the engine frees nothing big that it would have needed
 * only within one, for its buffers live as long as its jobs. */
TEST(large_values, one_gibibyte_fits_through_a_quarter_of_the_memory) {
    char *dir = test_dir_new();
    firn_options options = FIRN_OPTIONS_INIT;
    options.memory_bytes = BUDGET;
    /* Mapped from a file, so that the caller's own buffer is not anonymous either. */
    const char *source_path = test_path(dir, "source");
    uint8_t *source = malloc(MIB);
    FILE *file = fopen(source_path, "wb+");
    assert_non_null(file);
    for (size_t done = 0; done < HUGE_VALUE; done += MIB) {
        fill_bytes(done, source, MIB);
        assert_int_equal(fwrite(source, 1, MIB, file), MIB);
    }
    assert_int_equal(fflush(file), 0);
    free(source);
    source = mmap(NULL, HUGE_VALUE, PROT_READ, MAP_SHARED, fileno(file), 0);
    assert_true(source != MAP_FAILED);
    const char *path = test_path(dir, "db");
    firn_db *db = open_db(path, &options);
    uint64_t before = anonymous_bytes();
    put_text(db, "a", "first");
    ASSERT_FIRN_OK(firn_put(db, NULL, FIRN_STR("huge"), firn_slice_of(source, HUGE_VALUE)));
    put_text(db, "z", "last");
    assert_true(anonymous_bytes() < before + BUDGET);
    expect_huge_get(db, source);
    assert_true(anonymous_bytes() < before + BUDGET);
    ASSERT_FIRN_OK(firn_flush(db));
    expect_huge_scan(db, source);
    assert_true(anonymous_bytes() < before + BUDGET);
    ASSERT_FIRN_OK(firn_compact_range(db, (firn_slice){0}, (firn_slice){0}));
    close_db(db);
    db = open_db(path, &options);
    expect_huge_get(db, source);
    assert_true(anonymous_bytes() < before + BUDGET);
    ASSERT_FIRN(firn_put(db, NULL, FIRN_STR("more"), firn_slice_of(source, HUGE_VALUE + 1)),
                FIRN_TOO_LARGE);
    close_db(db);
    munmap(source, HUGE_VALUE);
    fclose(file);
    test_dir_remove(dir);
}

TEST(large_values, sizes_around_the_threshold_come_back_whole) {
    static const size_t sizes[] = {(1 << 20) - 1, 1 << 20,       (1 << 20) + 1, (2 << 20) - 1,
                                   2 << 20,       (2 << 20) + 1, 5000000,       100};
    enum { COUNT = sizeof sizes / sizeof *sizes };
    char *dir = test_dir_new();
    firn_options options = small_options();
    firn_db *db = open_db(dir, &options);
    for (uint64_t i = 0; i < COUNT; i++)
        put_range(db, i, i + 1, sizes[i], 5);
    for (int stage = 0; stage < 5; stage++) {
        for (uint64_t i = 0; i < COUNT; i++)
            expect_range(db, NULL, i, i + 1, sizes[i], 5);
        if (stage == 0) { /* from the log */
            close_db(db);
            db = open_db(dir, &options);
        } else if (stage == 1) {
            ASSERT_FIRN_OK(firn_flush(db));
        } else if (stage == 2) { /* rewritten with what was deleted next to it */
            put_range(db, 100, 110, 3 << 20, 1);
            for (uint64_t i = 100; i < 110; i++)
                delete_text(db, numbered_key(i));
            ASSERT_FIRN_OK(firn_compact_range(db, (firn_slice){0}, (firn_slice){0}));
        } else {
            close_db(db);
            db = open_db(dir, &options);
        }
    }
    close_db(db);
    test_dir_remove(dir);
}

TEST(large_values, a_batch_may_hold_several_and_stays_atomic) {
    enum { COUNT = 6 };
    char *dir = test_dir_new();
    firn_options options = small_options();
    firn_db *db = open_db(dir, &options);
    firn_batch *batch;
    uint8_t *value = malloc(3 * MIB);
    ASSERT_FIRN_OK(firn_batch_new(&batch));
    for (int again = 0; again < 2; again++) { /* the batch is unchanged by writing it */
        for (uint64_t i = 0; again == 0 && i < COUNT; i++) {
            size_t bytes = i % 2 ? 2 * MIB + (size_t)i : 50;
            fill_bytes(i << 20 ^ 9, value, bytes);
            ASSERT_FIRN_OK(
                firn_batch_put(batch, FIRN_STR(numbered_key(i)), firn_slice_of(value, bytes)));
        }
        if (again == 0)
            ASSERT_FIRN_OK(firn_batch_delete(batch, FIRN_STR(numbered_key(0))));
        ASSERT_FIRN_OK(firn_write(db, NULL, batch));
        assert_int_equal(firn_batch_count(batch), COUNT + 1);
        for (int stage = 0; stage < 3; stage++) {
            expect_text(db, NULL, numbered_key(0), NULL);
            for (uint64_t i = 1; i < COUNT; i++)
                expect_range(db, NULL, i, i + 1, i % 2 ? 2 * MIB + (size_t)i : 50, 9);
            if (stage == 0) {
                close_db(db);
                db = open_db(dir, &options);
            } else if (stage == 1) {
                ASSERT_FIRN_OK(firn_compact_range(db, (firn_slice){0}, (firn_slice){0}));
            }
        }
        for (uint64_t i = 0; i < COUNT; i++)
            delete_text(db, numbered_key(i));
    }
    free(value);
    firn_batch_free(batch);
    close_db(db);
    test_dir_remove(dir);
}

TEST(large_values, space_comes_back_after_deleting_and_compacting) {
    char *dir = test_dir_new();
    firn_options options = small_options();
    firn_db *db = open_db(dir, &options);
    put_range(db, 0, 10, 2 * MIB, 1);
    ASSERT_FIRN_OK(firn_flush(db));
    assert_true(stats_of(db).table_bytes > 20 * MIB);
    for (uint64_t i = 0; i < 10; i++)
        delete_text(db, numbered_key(i));
    ASSERT_FIRN_OK(firn_compact_range(db, (firn_slice){0}, (firn_slice){0}));
    assert_int_equal(stats_of(db).table_bytes, 0);
    put_range(db, 0, 40, 60000, 1); /* the log moves on too */
    ASSERT_FIRN_OK(firn_flush(db));
    /* What is begun, 16 MiB, and perhaps the next one, made ahead. */
    assert_true(stats_of(db).log_bytes < (16 + 32 + 1) * MIB);
    close_db(db);
    test_dir_remove(dir);
}

/* The only file in `dir` whose name ends so, and that is longer than a large value. */
static char *large_file(const char *dir, const char *suffix) {
    DIR *listing = opendir(dir);
    char *found = NULL;
    assert_non_null(listing);
    for (const struct dirent *e = readdir(listing); e; e = readdir(listing)) {
        struct stat info;
        size_t bytes = strlen(e->d_name);
        if (bytes < 4 || strcmp(e->d_name + bytes - 4, suffix) != 0)
            continue;
        const char *path = test_path(dir, e->d_name);
        assert_int_equal(stat(path, &info), 0);
        if ((size_t)info.st_size < 3 * MIB)
            continue;
        assert_null(found);
        found = strdup(path);
    }
    closedir(listing);
    assert_non_null(found);
    return found;
}

/* Somebody cuts the file short while a value in it is mapped. */
static void expect_cut_is_noticed(firn_db *db, const char *dir, const char *suffix) {
    firn_value value, whole;
    firn_iter *it;
    char *path = large_file(dir, suffix);
    ASSERT_FIRN_OK(firn_get(db, NULL, FIRN_STR("large"), &value));
    ASSERT_FIRN_OK(firn_value_check(&value));
    ASSERT_FIRN_OK(firn_iter_new(db, NULL, &it));
    firn_iter_seek(it, FIRN_STR("large"));
    assert_int_equal(firn_iter_value(it).size, value.size);
    ASSERT_FIRN_OK(firn_iter_status(it));
    assert_int_equal(truncate(path, 2 * MIB), 0);
    for (size_t i = 0; i < value.size; i += 4096) {
        if (i > 2 * MIB)
            assert_int_equal(value.data[i] | firn_iter_value(it).data[i], 0);
    }
    assert_int_equal(firn_value_check(&value), FIRN_IO_ERROR);
    assert_non_null(strstr(firn_error_detail(), strrchr(path, '/')));
    assert_int_equal(firn_iter_status(it), FIRN_IO_ERROR);
    firn_iter_next(it);
    assert_false(firn_iter_valid(it));
    assert_int_equal(firn_iter_status(it), FIRN_IO_ERROR);
    firn_iter_free(it);
    firn_value_release(&value);
    /* The table knows its size from before, the log's file is opened anew. */
    firn_status code = firn_get(db, NULL, FIRN_STR("large"), &whole);
    assert_int_equal(code, strcmp(suffix, ".sst") == 0 ? FIRN_IO_ERROR : FIRN_CORRUPTION);
    firn_value_release(&whole);
    free(path);
}

TEST(large_values, a_file_cut_short_under_a_mapped_value_is_an_error_and_not_a_crash) {
    char *dir = test_dir_new();
    uint8_t *bytes = malloc(4 * MIB);
    memset(bytes, 'v', 4 * MIB);
    for (int stage = 0; stage < 2; stage++) {
        const char *path = test_path(dir, stage ? "in-a-table" : "in-the-log");
        /* The small value's block is to stay in the cache, whatever happens to its file. */
        firn_options options = FIRN_OPTIONS_INIT;
        options.table_io = FIRN_TABLE_IO_PREAD;
        firn_db *db = open_db(path, &options);
        ASSERT_FIRN_OK(firn_put(db, NULL, FIRN_STR("large"), firn_slice_of(bytes, 4 * MIB)));
        put_text(db, "other", "small");
        if (stage)
            ASSERT_FIRN_OK(firn_flush(db));
        expect_cut_is_noticed(db, path, stage ? ".sst" : ".wal");
        expect_text(db, NULL, "other", "small");
        (void)firn_close(db);
    }
    free(bytes);
    test_dir_remove(dir);
}

#undef MIB

TEST_MAIN(RUN(large_values, one_gibibyte_fits_through_a_quarter_of_the_memory),
          RUN(large_values, sizes_around_the_threshold_come_back_whole),
          RUN(large_values, a_batch_may_hold_several_and_stays_atomic),
          RUN(large_values, space_comes_back_after_deleting_and_compacting),
          RUN(large_values, a_file_cut_short_under_a_mapped_value_is_an_error_and_not_a_crash))
