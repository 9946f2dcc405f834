/* Iterations over a prefix where tables know their prefixes: the same keys as without, and no look
 * into tables that have none of them. */
#include <stdio.h>
#include <string.h>

#include "base/slice.h"
#include "integration/db_fixture.h"
#include "util/rng.h"

enum { GROUPS = 60, MEMBERS = 40 };
static const firn_slice everything = {0};

static const char *prefix_key(uint64_t group, uint64_t member, char key[32]) {
    snprintf(key, 32, "%02u/%03u", (unsigned)group, (unsigned)member);
    return key;
}

static firn_options prefix_options(uint32_t rule) {
    firn_options options = small_options();
    options.prefix_filter = rule;
    options.table_io = FIRN_TABLE_IO_PREAD;
    return options;
}

/* The keys of `it` from where it stands, in a row; those without the prefix left out. */
static size_t prefix_collect(firn_iter *it, const char *prefix, bool forward, char *out,
                             size_t room) {
    size_t size = 0;
    while (firn_iter_valid(it)) {
        firn_slice key = firn_iter_key(it);
        if (slice_starts_with(key, slice_from_string(prefix))) {
            assert_true(size + key.size < room);
            memcpy(out + size, key.data, key.size);
            size += key.size;
        }
        if (forward)
            firn_iter_next(it);
        else
            firn_iter_prev(it);
    }
    ASSERT_FIRN_OK(firn_iter_status(it));
    return size;
}

/* What an iteration over the prefix gives, each way and from the middle, against one over all. */
static void prefix_compare(firn_db *db, const firn_snapshot *snapshot, const char *prefix) {
    static char found[20000], expected[20000];
    firn_iter *all, *some;
    firn_read_options whole = {.snapshot = snapshot};
    firn_read_options only = {.snapshot = snapshot, .prefix = FIRN_STR(prefix)};
    char middle[40];
    snprintf(middle, sizeof middle, "%s020", prefix);
    ASSERT_FIRN_OK(firn_iter_new(db, &whole, &all));
    ASSERT_FIRN_OK(firn_iter_new(db, &only, &some));
    for (int way = 0; way < 4; way++) {
        firn_iter *both[] = {all, some};
        for (int i = 0; i < 2; i++) {
            if (way == 0)
                firn_iter_seek_first(both[i]);
            else if (way == 1)
                firn_iter_seek_last(both[i]);
            else if (way == 2)
                firn_iter_seek(both[i], FIRN_STR(middle));
            else
                firn_iter_seek_for_prev(both[i], FIRN_STR(middle));
        }
        size_t bytes = prefix_collect(all, prefix, way % 2 == 0, expected, sizeof expected);
        assert_int_equal(prefix_collect(some, prefix, way % 2 == 0, found, sizeof found), bytes);
        assert_memory_equal(found, expected, bytes);
    }
    /* There and back. */
    firn_iter_seek_first(some);
    firn_iter_seek_first(all);
    if (firn_iter_valid(some)) {
        firn_iter_next(some);
        if (firn_iter_valid(some)) {
            firn_iter_prev(some);
            assert_true(firn_iter_valid(some));
            firn_iter_seek(all, FIRN_STR(prefix));
            assert_true(slice_equal(firn_iter_key(some), firn_iter_key(all)));
        }
    }
    firn_iter_free(all);
    firn_iter_free(some);
}

static void prefix_random_writes(firn_db *db, rng *r, uint64_t count) {
    char key[32], end[32], value[120];
    for (uint64_t i = 0; i < count; i++) {
        uint64_t group = rng_below(r, GROUPS), member = rng_below(r, MEMBERS);
        prefix_key(group, member, key);
        uint64_t choice = rng_below(r, 200);
        memset(value, 'a' + (int)(i % 26), sizeof value);
        if (choice == 0) {
            prefix_key(group + rng_below(r, 2), rng_below(r, MEMBERS), end);
            if (strcmp(key, end) < 0)
                ASSERT_FIRN_OK(firn_delete_range(db, NULL, FIRN_STR(key), FIRN_STR(end)));
        } else if (choice < 40) {
            ASSERT_FIRN_OK(firn_delete(db, NULL, FIRN_STR(key)));
        } else if (group % 3) { /* a third of the groups is deleted only */
            ASSERT_FIRN_OK(firn_put(db, NULL, FIRN_STR(key), firn_slice_of(value, sizeof value)));
        }
    }
}

TEST(prefix_filter, iterations_are_the_same_with_it_and_without) {
    static const uint32_t rules[] = {FIRN_PREFIX_UNTIL('/'), FIRN_PREFIX_FIRST(3), 0,
                                     FIRN_PREFIX_FIRST(1)};
    rng r;
    char *dir = test_dir_new();
    rng_init(&r, test_seed());
    for (uint64_t round = 0; round < test_scaled(8); round++) {
        firn_options options = prefix_options(rules[round % 4]);
        firn_db *db = open_db(dir, &options);
        const firn_snapshot *snapshot;
        prefix_random_writes(db, &r, 1500);
        ASSERT_FIRN_OK(firn_snapshot_new(db, &snapshot));
        prefix_random_writes(db, &r, 1500);
        if (round % 3 == 2)
            ASSERT_FIRN_OK(firn_compact_range(db, everything, everything));
        else if (round % 3)
            ASSERT_FIRN_OK(firn_flush(db));
        for (uint64_t group = 0; group <= GROUPS; group += 1 + rng_below(&r, 3)) {
            char prefix[32];
            prefix_key(group, 0, prefix);
            prefix[3] = 0;
            prefix_compare(db, rng_below(&r, 2) ? snapshot : NULL, prefix);
        }
        prefix_compare(db, NULL, "1");
        prefix_compare(db, NULL, "17/00");
        prefix_compare(db, NULL, "");
        firn_snapshot_release(db, snapshot);
        close_db(db);
        ASSERT_FIRN_OK(firn_verify(dir, &options, NULL, NULL));
    }
    test_dir_remove(dir);
}

/* Blocks that were asked for. */
static uint64_t prefix_blocks_of(firn_db *db, const char *prefix) {
    firn_iter *it;
    firn_stats before = stats_of(db);
    ASSERT_FIRN_OK(firn_iter_new(db, &(firn_read_options){.prefix = FIRN_STR(prefix)}, &it));
    firn_iter_seek_first(it);
    ASSERT_FIRN_OK(firn_iter_status(it));
    firn_iter_free(it);
    firn_stats after = stats_of(db);
    return after.cache_hits + after.cache_misses - before.cache_hits - before.cache_misses;
}

TEST(prefix_filter, tables_without_the_prefix_are_not_looked_into) {
    for (int filtered = 0; filtered < 2; filtered++) {
        char *dir = test_dir_new(), key[32];
        firn_options options = prefix_options(filtered ? FIRN_PREFIX_UNTIL('/') : 0);
        firn_db *db = open_db(dir, &options);
        uint64_t absent = 0;
        for (uint64_t half = 0; half < 2; half++) {
            for (uint64_t i = 0; i < GROUPS / 2 * MEMBERS; i++) {
                prefix_key(i / MEMBERS * 2, i % MEMBERS, key);
                ASSERT_FIRN_OK(firn_put(db, NULL, FIRN_STR(key), FIRN_STR("value")));
            }
            ASSERT_FIRN_OK(half ? firn_flush(db) : firn_compact_range(db, everything, everything));
        }
        for (uint64_t group = 1; group + 1 < GROUPS; group += 2) {
            prefix_key(group, 0, key);
            key[3] = 0;
            absent += prefix_blocks_of(db, key);
        }
        assert_true(prefix_blocks_of(db, "10/") > 0);
        if (filtered)
            assert_in_range(absent, 0, 8); /* false positives; of 29 prefixes */
        else
            assert_true(absent >= 29);
        close_db(db);
        test_dir_remove(dir);
    }
}

static int prefix_reverse(void *context, firn_slice a, firn_slice b) {
    (void)context;
    return slice_compare(b, a);
}

TEST(prefix_filter, rules_that_are_none_and_other_orders_are_refused) {
    static const firn_comparator reverse = {"test.reverse", NULL, prefix_reverse};
    char *dir = test_dir_new();
    firn_db *db;
    firn_options options = prefix_options(512);
    assert_int_equal(firn_open(dir, &options, &db), FIRN_INVALID_ARGUMENT);
    EXPECT_DETAIL("prefix_filter is 512");
    options.prefix_filter = FIRN_PREFIX_FIRST(4);
    options.comparator = &reverse;
    assert_int_equal(firn_open(dir, &options, &db), FIRN_INVALID_ARGUMENT);
    EXPECT_DETAIL("bytewise order");
    test_dir_remove(dir);
}

TEST_MAIN(RUN(prefix_filter, iterations_are_the_same_with_it_and_without),
          RUN(prefix_filter, tables_without_the_prefix_are_not_looked_into),
          RUN(prefix_filter, rules_that_are_none_and_other_orders_are_refused))
