/* Iterators that pass over too many deletes make the memtable that holds them flush, also when
 * nobody writes any more. */
#include "integration/db_fixture.h"

enum { SKIPPED_KEYS = 2000, SKIPPED_MOST = 1 << 18 };

static firn_options skipped_options(void) {
    firn_options options = FIRN_OPTIONS_INIT;
    options.threads = 1;
    options.memtable_bytes = 4 << 20; /* never full here */
    return options;
}

/* A scan that finds nothing but what was deleted. */
static void scan_nothing(firn_db *db) {
    firn_iter *it;
    ASSERT_FIRN_OK(firn_iter_new(db, NULL, &it));
    firn_iter_seek_first(it);
    assert_false(firn_iter_valid(it));
    firn_iter_free(it);
}

static void delete_all(firn_db *db) {
    for (uint64_t i = 0; i < SKIPPED_KEYS; i++)
        delete_text(db, numbered_key(i));
}

TEST(skipped_deletes, are_flushed_although_nobody_writes) {
    char *dir = test_dir_new();
    firn_options options = skipped_options();
    firn_db *db = open_db(dir, &options);
    put_range(db, 0, SKIPPED_KEYS, 10, 1);
    delete_all(db);
    for (uint64_t i = 0; i < SKIPPED_MOST / SKIPPED_KEYS + 1; i++)
        scan_nothing(db);
    ASSERT_FIRN_OK(firn_wait_idle(db));
    assert_int_equal(stats_of(db).flushes, 1);
    assert_int_equal(stats_of(db).table_files,
                     0); /* a delete of what was put since leaves nothing */
    uint64_t before = stats_of(db).iter_skipped;
    scan_nothing(db);
    assert_int_equal(stats_of(db).iter_skipped, before);
    close_db(db);
    test_dir_remove(dir);
}

TEST(skipped_deletes, that_cost_little_stay_in_memory) {
    char *dir = test_dir_new();
    firn_options options = skipped_options();
    firn_db *db = open_db(dir, &options);
    put_range(db, 0, SKIPPED_KEYS, 10, 1);
    delete_all(db);
    for (uint64_t i = 0; i < SKIPPED_MOST / SKIPPED_KEYS / 4; i++)
        scan_nothing(db);
    ASSERT_FIRN_OK(firn_wait_idle(db));
    assert_int_equal(stats_of(db).flushes, 0);
    close_db(db);
    test_dir_remove(dir);
}

TEST_MAIN(RUN(skipped_deletes, are_flushed_although_nobody_writes),
          RUN(skipped_deletes, that_cost_little_stay_in_memory))
