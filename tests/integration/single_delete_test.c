/* Single-deletes: the pair vanishes, and what is promised for keys that were put more than once. */
#include "integration/db_fixture.h"
#include "lib/test.h"

static void single_delete(firn_db *db, const char *key) {
    assert_int_equal(firn_single_delete(db, NULL, FIRN_STR(key)), FIRN_OK);
}

static uint64_t entries_of(firn_db *db) {
    uint64_t entries = 0;
    firn_stats s = stats_of(db);
    for (uint32_t i = 0; i < s.level_count; i++)
        entries += s.levels[i].entries;
    return entries + s.memtable_entries;
}

TEST(single_delete, removes_a_key_wherever_its_put_lies) {
    for (int put_at = 0; put_at < 3; put_at++) {
        for (int then = 0; then < 3; then++) {
            char *dir = test_dir_new();
            firn_options options = small_options();
            firn_db *db = open_db(dir, &options);
            put_text(db, "a", "stays");
            put_text(db, "k", "goes");
            if (put_at == 1)
                assert_int_equal(firn_flush(db), FIRN_OK);
            if (put_at == 2)
                assert_int_equal(firn_compact_range(db, (firn_slice){0}, (firn_slice){0}), FIRN_OK);
            single_delete(db, "k");
            expect_text(db, NULL, "k", NULL);
            if (then == 1)
                assert_int_equal(firn_flush(db), FIRN_OK);
            if (then == 2)
                assert_int_equal(firn_compact_range(db, (firn_slice){0}, (firn_slice){0}), FIRN_OK);
            expect_text(db, NULL, "k", NULL);
            expect_text(db, NULL, "a", "stays");
            if (then == 2)
                assert_int_equal(entries_of(db), 1);
            close_db(db);
            db = open_db(dir, &options);
            expect_text(db, NULL, "k", NULL);
            put_text(db, "k", "again");
            expect_text(db, NULL, "k", "again");
            close_db(db);
            test_dir_remove(dir);
        }
    }
}

TEST(single_delete, vanishes_with_its_put_in_the_first_flush) {
    char *dir = test_dir_new();
    firn_options options = small_options();
    firn_db *db = open_db(dir, &options);
    for (uint64_t i = 0; i < 100; i++) {
        put_text(db, numbered_key(i), "job");
        single_delete(db, numbered_key(i));
    }
    put_text(db, "z", "stays");
    assert_int_equal(firn_flush(db), FIRN_OK);
    assert_int_equal(entries_of(db), 1);
    close_db(db);
    test_dir_remove(dir);
}

TEST(single_delete, leaves_to_a_snapshot_what_it_sees) {
    char *dir = test_dir_new();
    firn_options options = small_options();
    firn_db *db = open_db(dir, &options);
    const firn_snapshot *s;
    put_text(db, "k", "value");
    assert_int_equal(firn_snapshot_new(db, &s), FIRN_OK);
    single_delete(db, "k");
    assert_int_equal(firn_compact_range(db, (firn_slice){0}, (firn_slice){0}), FIRN_OK);
    expect_text(db, s, "k", "value");
    expect_text(db, NULL, "k", NULL);
    firn_snapshot_release(db, s);
    assert_int_equal(firn_compact_range(db, (firn_slice){0}, (firn_slice){0}), FIRN_OK);
    expect_text(db, NULL, "k", NULL);
    assert_int_equal(entries_of(db), 0);
    close_db(db);
    test_dir_remove(dir);
}

/* What the header says of keys that were put more than once. */
TEST(single_delete, of_a_key_put_twice_hides_it_until_a_compaction_and_a_delete_ends_it) {
    char *dir = test_dir_new();
    firn_options options = small_options();
    firn_db *db = open_db(dir, &options);
    put_text(db, "k", "first");
    put_text(db, "other", "untouched");
    assert_int_equal(firn_compact_range(db, (firn_slice){0}, (firn_slice){0}), FIRN_OK);
    put_text(db, "k", "second");
    single_delete(db, "k");
    expect_text(db, NULL, "k", NULL);
    assert_int_equal(firn_flush(db), FIRN_OK);
    expect_text(db, NULL, "k", "first"); /* the pair went in the flush */
    expect_text(db, NULL, "other", "untouched");
    delete_text(db, "k");
    expect_text(db, NULL, "k", NULL);
    assert_int_equal(firn_compact_range(db, (firn_slice){0}, (firn_slice){0}), FIRN_OK);
    expect_text(db, NULL, "k", NULL);
    expect_text(db, NULL, "other", "untouched");
    close_db(db);
    test_dir_remove(dir);
}

TEST_MAIN(RUN(single_delete, removes_a_key_wherever_its_put_lies),
          RUN(single_delete, vanishes_with_its_put_in_the_first_flush),
          RUN(single_delete, leaves_to_a_snapshot_what_it_sees),
          RUN(single_delete, of_a_key_put_twice_hides_it_until_a_compaction_and_a_delete_ends_it))
