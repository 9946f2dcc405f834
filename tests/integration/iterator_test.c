/* The public iterator: bounds, directions, what it keeps alive, what it says when it fails. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/slice.h"
#include "integration/db_fixture.h"
#include "platform/vfs_fault.h"

/* Walks the whole range and gives its keys as one string, each key being one character. */
static const char *walk(firn_db *db, const firn_read_options *options, bool forward) {
    static char keys[256];
    size_t count = 0;
    firn_iter *it;
    ASSERT_FIRN_OK(firn_iter_new(db, options, &it));
    assert_int_equal(firn_iter_valid(it), 0); /* unpositioned */
    if (forward)
        firn_iter_seek_first(it);
    else
        firn_iter_seek_last(it);
    while (firn_iter_valid(it)) {
        assert_int_equal(firn_iter_key(it).size, 1);
        keys[count++] = (char)firn_iter_key(it).data[0];
        if (forward)
            firn_iter_next(it);
        else
            firn_iter_prev(it);
    }
    ASSERT_FIRN_OK(firn_iter_status(it));
    firn_iter_free(it);
    keys[count] = 0;
    return keys;
}

static void put_letters(firn_db *db, const char *letters) {
    for (; *letters; letters++)
        ASSERT_FIRN_OK(firn_put(db, NULL, firn_slice_of(letters, 1), FIRN_STR("v")));
}

TEST(iterator, an_empty_database_has_no_positions) {
    char *dir = test_dir_new();
    firn_db *db = open_db(dir, NULL);
    firn_iter *it;
    ASSERT_FIRN_OK(firn_iter_new(db, NULL, &it));
    firn_iter_seek_first(it);
    assert_false(firn_iter_valid(it));
    firn_iter_seek_last(it);
    assert_false(firn_iter_valid(it));
    firn_iter_seek(it, FIRN_STR(""));
    assert_false(firn_iter_valid(it));
    firn_iter_seek_for_prev(it, FIRN_STR("\xff"));
    assert_false(firn_iter_valid(it));
    firn_iter_next(it);
    firn_iter_prev(it);
    assert_null(firn_iter_key(it).data);
    assert_null(firn_iter_value(it).data);
    ASSERT_FIRN_OK(firn_iter_status(it));
    firn_iter_free(it);
    firn_iter_free(NULL);
    close_db(db);
    test_dir_remove(dir);
}

TEST(iterator, bounds_admit_what_they_say) {
    static const struct {
        const char *lower, *upper, *prefix;
        bool lower_exclusive, upper_inclusive;
        const char *forward;
    } cases[] = {
        {NULL, NULL, NULL, false, false, "bdfhj"}, {"d", "h", NULL, false, false, "df"},
        {"d", "h", NULL, true, false, "f"},        {"d", "h", NULL, false, true, "dfh"},
        {"d", "h", NULL, true, true, "fh"},        {"c", "g", NULL, true, true, "df"},
        {"", NULL, NULL, false, false, "bdfhj"},   {NULL, "", NULL, false, false, ""},
        {NULL, "", NULL, false, true, ""},         {"h", "d", NULL, false, true, ""},
        {"f", "f", NULL, false, false, ""},        {"f", "f", NULL, false, true, "f"},
        {"f", "f", NULL, true, true, ""},          {NULL, NULL, "f", false, false, "f"},
        {NULL, NULL, "", false, false, "bdfhj"},   {NULL, NULL, "e", false, false, ""},
        {"f", NULL, "f", true, false, ""},         {NULL, "f", "f", false, true, "f"},
        {NULL, "f", "f", false, false, ""},        {"k", NULL, NULL, false, false, ""},
    };
    char *dir = test_dir_new();
    firn_db *db = open_db(dir, NULL);
    put_letters(db, "hbjdf");
    for (int flushed = 0; flushed < 2; flushed++) {
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            firn_read_options o = FIRN_READ_OPTIONS_INIT;
            char backward[16] = "";
            if (cases[i].lower)
                o.lower = FIRN_STR(cases[i].lower);
            if (cases[i].upper)
                o.upper = FIRN_STR(cases[i].upper);
            if (cases[i].prefix)
                o.prefix = FIRN_STR(cases[i].prefix);
            o.lower_exclusive = cases[i].lower_exclusive ? FIRN_YES : FIRN_NO;
            o.upper_inclusive = cases[i].upper_inclusive ? FIRN_YES : FIRN_NO;
            print_message("case %zu\n", i);
            assert_string_equal(walk(db, &o, true), cases[i].forward);
            size_t length = strlen(cases[i].forward);
            for (size_t j = 0; j < length; j++)
                backward[j] = cases[i].forward[length - 1 - j];
            assert_string_equal(walk(db, &o, false), backward);
        }
        ASSERT_FIRN_OK(firn_flush(db));
    }
    close_db(db);
    test_dir_remove(dir);
}

TEST(iterator, prefixes_of_ff_have_no_end_and_still_hold) {
    char *dir = test_dir_new();
    firn_db *db = open_db(dir, NULL);
    put_letters(db, "a\xfe\xff");
    put_text(db, "\xff\xff", "longer");
    firn_read_options o = FIRN_READ_OPTIONS_INIT;
    firn_iter *it;
    o.prefix = FIRN_STR("\xff");
    ASSERT_FIRN_OK(firn_iter_new(db, &o, &it));
    int count = 0;
    for (firn_iter_seek_first(it); firn_iter_valid(it); firn_iter_next(it))
        count++;
    assert_int_equal(count, 2);
    for (firn_iter_seek_last(it); firn_iter_valid(it); firn_iter_prev(it))
        count--;
    assert_int_equal(count, 0);
    firn_iter_free(it);
    close_db(db);
    test_dir_remove(dir);
}

TEST(iterator, seeks_stay_within_the_bounds) {
    char *dir = test_dir_new();
    firn_db *db = open_db(dir, NULL);
    put_letters(db, "bdfhj");
    firn_read_options o = FIRN_READ_OPTIONS_INIT;
    firn_iter *it;
    o.lower = FIRN_STR("d");
    o.upper = FIRN_STR("h");
    ASSERT_FIRN_OK(firn_iter_new(db, &o, &it));
    firn_iter_seek(it, FIRN_STR("a"));
    assert_int_equal(firn_iter_key(it).data[0], 'd');
    firn_iter_prev(it); /* past the lower bound */
    assert_false(firn_iter_valid(it));
    firn_iter_next(it); /* stays where it is: nowhere */
    assert_false(firn_iter_valid(it));
    firn_iter_seek_for_prev(it, FIRN_STR("z"));
    assert_int_equal(firn_iter_key(it).data[0], 'f');
    firn_iter_next(it);
    assert_false(firn_iter_valid(it));
    firn_iter_seek(it, FIRN_STR("h"));
    assert_false(firn_iter_valid(it));
    firn_iter_seek_for_prev(it, FIRN_STR("c"));
    assert_false(firn_iter_valid(it));
    firn_iter_seek(it, FIRN_STR("e"));
    assert_int_equal(firn_iter_key(it).data[0], 'f');
    firn_iter_prev(it);
    assert_int_equal(firn_iter_key(it).data[0], 'd');
    firn_iter_next(it);
    assert_int_equal(firn_iter_key(it).data[0], 'f');
    firn_iter_free(it);
    close_db(db);
    test_dir_remove(dir);
}

TEST(iterator, an_iterator_may_be_sought_to_its_own_key) {
    char *dir = test_dir_new();
    firn_db *db = open_db(dir, NULL);
    put_letters(db, "bdf");
    firn_iter *it;
    ASSERT_FIRN_OK(firn_iter_new(db, NULL, &it));
    for (int backward = 0; backward < 2; backward++) {
        firn_iter_seek_last(it);
        firn_iter_prev(it);
        firn_iter_seek(it, firn_iter_key(it));
        assert_int_equal(firn_iter_key(it).data[0], 'd');
        firn_iter_seek_for_prev(it, firn_iter_key(it));
        assert_int_equal(firn_iter_key(it).data[0], 'd');
        ASSERT_FIRN_OK(firn_flush(db));
        ASSERT_FIRN_OK(firn_iter_refresh(it));
    }
    firn_iter_free(it);
    close_db(db);
    test_dir_remove(dir);
}

TEST(iterator, later_writes_are_seen_only_after_refresh) {
    char *dir = test_dir_new();
    firn_db *db = open_db(dir, NULL);
    put_letters(db, "bd");
    firn_iter *it;
    const firn_snapshot *snapshot;
    ASSERT_FIRN_OK(firn_iter_new(db, NULL, &it));
    ASSERT_FIRN_OK(firn_snapshot_new(db, &snapshot));
    put_letters(db, "ac");
    delete_text(db, "b");
    ASSERT_FIRN_OK(firn_compact_range(db, (firn_slice){0}, (firn_slice){0}));
    firn_iter_seek_first(it);
    assert_int_equal(firn_iter_key(it).data[0], 'b');
    firn_iter_next(it);
    assert_int_equal(firn_iter_key(it).data[0], 'd');
    ASSERT_FIRN_OK(firn_iter_refresh(it));
    assert_false(firn_iter_valid(it));
    firn_iter_seek_first(it);
    assert_int_equal(firn_iter_key(it).data[0], 'a');
    firn_iter_next(it);
    assert_int_equal(firn_iter_key(it).data[0], 'c');
    firn_iter_free(it);
    firn_read_options o = FIRN_READ_OPTIONS_INIT;
    o.snapshot = snapshot;
    assert_string_equal(walk(db, &o, true), "bd");
    ASSERT_FIRN_OK(firn_iter_new(db, &o, &it));
    ASSERT_FIRN(firn_iter_refresh(it), FIRN_INVALID_ARGUMENT);
    firn_iter_free(it);
    firn_snapshot_release(db, snapshot);
    close_db(db);
    test_dir_remove(dir);
}

static int compare_reversed(void *context, firn_slice a, firn_slice b) {
    (void)context;
    return slice_compare(b, a);
}

TEST(iterator, a_custom_order_rules_bounds_and_refuses_prefixes) {
    static const firn_comparator reversed = {"test.reversed", NULL, compare_reversed};
    char *dir = test_dir_new();
    firn_options options = FIRN_OPTIONS_INIT;
    options.comparator = &reversed;
    firn_db *db = open_db(dir, &options);
    put_letters(db, "abcde");
    firn_read_options o = FIRN_READ_OPTIONS_INIT;
    firn_iter *it;
    o.lower = FIRN_STR("d");
    o.upper = FIRN_STR("b");
    assert_string_equal(walk(db, &o, true), "dc");
    assert_string_equal(walk(db, &o, false), "cd");
    o.prefix = FIRN_STR("a");
    ASSERT_FIRN(firn_iter_new(db, &o, &it), FIRN_INVALID_ARGUMENT);
    assert_null(it);
    close_db(db);
    test_dir_remove(dir);
}

TEST(iterator, keeps_its_large_values_readable_after_flush_and_compaction) {
    enum { BYTES = 3 << 20 };
    char *dir = test_dir_new();
    firn_options options = small_options();
    firn_db *db = open_db(dir, &options);
    uint8_t *large = malloc(BYTES);
    fill_bytes(7, large, BYTES);
    ASSERT_FIRN_OK(firn_put(db, NULL, FIRN_STR("large"), firn_slice_of(large, BYTES)));
    firn_iter *it;
    ASSERT_FIRN_OK(firn_iter_new(db, NULL, &it));
    delete_text(db, "large");
    /* The log of the value and its tables go, as far as the present is concerned. */
    for (int i = 0; i < 3; i++) {
        put_range(db, 0, 3000, 1000, (uint64_t)i);
        ASSERT_FIRN_OK(firn_compact_range(db, (firn_slice){0}, (firn_slice){0}));
    }
    firn_iter_seek(it, FIRN_STR("large"));
    assert_true(firn_iter_valid(it));
    firn_slice value = firn_iter_value(it);
    ASSERT_FIRN_OK(firn_iter_status(it));
    assert_int_equal(value.size, BYTES);
    assert_memory_equal(value.data, large, BYTES);
    firn_iter_free(it);
    close_db(db);
    free(large);
    test_dir_remove(dir);
}

TEST(iterator, an_error_is_sticky_until_the_next_seek) {
    char *dir = test_dir_new();
    vfs_fault *fault;
    ASSERT_OK(vfs_fault_new(firn_vfs_default(), &fault));
    firn_options options = small_options();
    options.vfs = vfs_fault_vfs(fault);
    options.cache_bytes = FIRN_NONE;
    firn_db *db = open_db(dir, &options);
    put_range(db, 0, 500, 100, 1);
    ASSERT_FIRN_OK(firn_flush(db));
    firn_iter *it;
    ASSERT_FIRN_OK(firn_iter_new(db, NULL, &it));
    firn_iter_seek_first(it);
    assert_true(firn_iter_valid(it));
    vfs_fault_rule rule = {.kinds = VFS_FAULT_READ,
                           .path_suffix = ".sst",
                           .count = UINT64_MAX,
                           .error = 5 /* EIO */};
    vfs_fault_set(fault, &rule);
    int steps = 0;
    for (; firn_iter_valid(it); firn_iter_next(it))
        steps++;
    assert_in_range(steps, 1, 499);
    ASSERT_FIRN(firn_iter_status(it), FIRN_IO_ERROR);
    EXPECT_DETAIL(".sst");
    firn_iter_next(it);
    firn_iter_prev(it);
    ASSERT_FIRN(firn_iter_status(it), FIRN_IO_ERROR);
    assert_false(firn_iter_valid(it));
    vfs_fault_set(fault, NULL);
    ASSERT_FIRN(firn_iter_status(it), FIRN_IO_ERROR);
    for (firn_iter_seek_first(it), steps = 0; firn_iter_valid(it); firn_iter_next(it))
        steps++;
    assert_int_equal(steps, 500);
    ASSERT_FIRN_OK(firn_iter_status(it));
    firn_iter_free(it);
    close_db(db);
    vfs_fault_free(fault);
    test_dir_remove(dir);
}

/* Versions kept by a snapshot for one key between two others, most of them in tables. */
static void put_versions(firn_db *db, const firn_snapshot **before, uint64_t versions) {
    put_text(db, "a", "first");
    put_text(db, "b", "old");
    put_text(db, "c", "last");
    for (uint64_t i = 0; i < versions; i++) {
        if (i % 200 == 0 && i / 200 < 8)
            ASSERT_FIRN_OK(firn_snapshot_new(db, &before[i / 200]));
        put_text(db, "b", numbered_key(i));
    }
}

TEST(iterator, many_versions_of_a_key_are_jumped_over) {
    enum { VERSIONS = 1600, SNAPSHOTS = 8 };
    char *dir = test_dir_new();
    firn_options options = small_options();
    options.memtable_bytes = 1 << 20;
    firn_db *db = open_db(dir, &options);
    const firn_snapshot *at[SNAPSHOTS + 1] = {NULL};
    put_versions(db, at, VERSIONS);
    for (int i = 0; i <= SNAPSHOTS; i++) {
        firn_read_options o = FIRN_READ_OPTIONS_INIT;
        firn_iter *it;
        o.snapshot = at[i];
        uint64_t newest = i == SNAPSHOTS ? VERSIONS - 1 : (uint64_t)i * 200 - 1;
        const char *expected = i == 0 ? "old" : numbered_key(newest);
        firn_stats before = stats_of(db);
        ASSERT_FIRN_OK(firn_iter_new(db, &o, &it));
        firn_iter_seek_first(it);
        assert_true(slice_equal(firn_iter_key(it), FIRN_STR("a")));
        firn_iter_next(it);
        assert_true(slice_equal(firn_iter_key(it), FIRN_STR("b")));
        assert_true(slice_equal(firn_iter_value(it), FIRN_STR(expected)));
        firn_iter_next(it);
        assert_true(slice_equal(firn_iter_key(it), FIRN_STR("c")));
        firn_iter_prev(it);
        assert_true(slice_equal(firn_iter_key(it), FIRN_STR("b")));
        assert_true(slice_equal(firn_iter_value(it), FIRN_STR(expected)));
        firn_iter_prev(it);
        assert_true(slice_equal(firn_iter_key(it), FIRN_STR("a")));
        firn_iter_prev(it);
        assert_false(firn_iter_valid(it));
        firn_iter_seek_last(it);
        firn_iter_prev(it);
        assert_true(slice_equal(firn_iter_value(it), FIRN_STR(expected)));
        ASSERT_FIRN_OK(firn_iter_status(it));
        firn_iter_free(it);
        firn_stats after = stats_of(db);
        assert_in_range(after.iter_reseeks - before.iter_reseeks, 2, 10);
        assert_in_range(after.iter_skipped - before.iter_skipped, 16, 200);
        if (i < SNAPSHOTS)
            firn_snapshot_release(db, at[i]);
    }
    close_db(db);
    test_dir_remove(dir);
}

/* Entries that no other source interrupts are shown without a look at each: every entry of such a
 * stretch is a place to turn round at, and one where a bound may fall. */
TEST(iterator, turns_and_bounds_hold_anywhere_in_a_stretch_of_plain_entries) {
    enum { KEYS = 60 };
    char *dir = test_dir_new();
    firn_options options = small_options();
    options.block_bytes = 1024;
    firn_db *db = open_db(dir, &options);
    put_range(db, 0, KEYS, 20, 1);
    for (int flushed = 0; flushed < 2; flushed++) {
        for (uint64_t lower = 0; lower < KEYS; lower += 7) {
            for (uint64_t upper = lower + 1; upper <= KEYS; upper += 3) {
                firn_read_options o = FIRN_READ_OPTIONS_INIT;
                firn_iter *it;
                char low[32], high[32];
                snprintf(low, sizeof low, "%s", numbered_key(lower));
                snprintf(high, sizeof high, "%s", numbered_key(upper));
                o.lower = FIRN_STR(low);
                o.upper = FIRN_STR(high);
                ASSERT_FIRN_OK(firn_iter_new(db, &o, &it));
                uint64_t at = lower;
                for (firn_iter_seek_first(it); firn_iter_valid(it); firn_iter_next(it))
                    assert_true(slice_equal(firn_iter_key(it), FIRN_STR(numbered_key(at++))));
                assert_int_equal(at, upper);
                for (firn_iter_seek_last(it); firn_iter_valid(it); firn_iter_prev(it))
                    assert_true(slice_equal(firn_iter_key(it), FIRN_STR(numbered_key(--at))));
                assert_int_equal(at, lower);
                at = lower + (upper - lower) / 2;
                firn_iter_seek(it, FIRN_STR(numbered_key(at)));
                firn_iter_prev(it);
                assert_int_equal(firn_iter_valid(it), at > lower);
                if (at > lower) {
                    firn_iter_next(it);
                    assert_true(slice_equal(firn_iter_key(it), FIRN_STR(numbered_key(at))));
                }
                firn_iter_free(it);
            }
        }
        ASSERT_FIRN_OK(firn_flush(db));
    }
    close_db(db);
    test_dir_remove(dir);
}

TEST_MAIN(RUN(iterator, an_empty_database_has_no_positions),
          RUN(iterator, bounds_admit_what_they_say),
          RUN(iterator, prefixes_of_ff_have_no_end_and_still_hold),
          RUN(iterator, seeks_stay_within_the_bounds),
          RUN(iterator, an_iterator_may_be_sought_to_its_own_key),
          RUN(iterator, later_writes_are_seen_only_after_refresh),
          RUN(iterator, a_custom_order_rules_bounds_and_refuses_prefixes),
          RUN(iterator, keeps_its_large_values_readable_after_flush_and_compaction),
          RUN(iterator, many_versions_of_a_key_are_jumped_over),
          RUN(iterator, turns_and_bounds_hold_anywhere_in_a_stretch_of_plain_entries),
          RUN(iterator, an_error_is_sticky_until_the_next_seek))
