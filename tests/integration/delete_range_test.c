/* Range deletes: alone, over tables of every level, through reopen, verify and repair. */
#include "integration/db_fixture.h"
#include "lib/test.h"

static const firn_slice everywhere = {0};

static void delete_range(firn_db *db, const char *begin, const char *end) {
    assert_int_equal(firn_delete_range(db, NULL, FIRN_STR(begin), FIRN_STR(end)), FIRN_OK);
}

static uint64_t count_entries(firn_db *db) {
    uint64_t count = 0;
    firn_iter *it;
    assert_int_equal(firn_iter_new(db, NULL, &it), FIRN_OK);
    for (firn_iter_seek_first(it); firn_iter_valid(it); firn_iter_next(it))
        count++;
    for (firn_iter_seek_last(it); firn_iter_valid(it); firn_iter_prev(it))
        count--;
    assert_int_equal(count, 0);
    for (firn_iter_seek_first(it); firn_iter_valid(it); firn_iter_next(it))
        count++;
    assert_int_equal(firn_iter_status(it), FIRN_OK);
    firn_iter_free(it);
    return count;
}

static void check_whole(const char *dir, const firn_options *options) {
    assert_int_equal(firn_verify(dir, options, NULL, NULL), FIRN_OK);
}

TEST(delete_range, hides_what_lies_below_at_every_stage) {
    for (int stage = 0; stage < 4; stage++) {
        char *dir = test_dir_new();
        firn_options options = small_options();
        firn_db *db = open_db(dir, &options);
        put_range(db, 0, 3000, 100, 1);
        assert_int_equal(firn_compact_range(db, everywhere, everywhere), FIRN_OK);
        const firn_snapshot *s;
        assert_int_equal(firn_snapshot_new(db, &s), FIRN_OK);
        delete_range(db, numbered_key(100), numbered_key(2900));
        put_text(db, numbered_key(1500), "back");
        if (stage == 1)
            assert_int_equal(firn_flush(db), FIRN_OK);
        if (stage == 2)
            assert_int_equal(firn_compact_range(db, everywhere, everywhere), FIRN_OK);
        expect_range(db, s, 0, 3000, 100, 1);
        firn_snapshot_release(db, s);
        if (stage == 3) {
            close_db(db);
            check_whole(dir, &options);
            db = open_db(dir, &options);
        }
        expect_range(db, NULL, 0, 100, 100, 1);
        expect_range(db, NULL, 2900, 3000, 100, 1);
        expect_text(db, NULL, numbered_key(100), NULL);
        expect_text(db, NULL, numbered_key(2899), NULL);
        expect_text(db, NULL, numbered_key(1500), "back");
        assert_int_equal(count_entries(db), 201);
        assert_int_equal(firn_compact_range(db, everywhere, everywhere), FIRN_OK);
        assert_int_equal(count_entries(db), 201);
        check_whole(dir, &options);
        close_db(db);
        test_dir_remove(dir);
    }
}

TEST(delete_range, of_everything_leaves_nothing_behind) {
    char *dir = test_dir_new();
    firn_options options = small_options();
    firn_db *db = open_db(dir, &options);
    put_range(db, 0, 3000, 100, 1);
    assert_int_equal(firn_compact_range(db, everywhere, everywhere), FIRN_OK);
    delete_range(db, "", "z");
    assert_int_equal(count_entries(db), 0);
    assert_int_equal(firn_flush(db), FIRN_OK);
    check_whole(dir, &options); /* a table of a range delete alone */
    assert_int_equal(firn_compact_range(db, everywhere, everywhere), FIRN_OK);
    assert_int_equal(stats_of(db).table_files, 0);
    close_db(db);
    db = open_db(dir, &options);
    assert_int_equal(count_entries(db), 0);
    close_db(db);
    test_dir_remove(dir);
}

TEST(delete_range, counts_in_a_batch_from_where_it_stands) {
    char *dir = test_dir_new();
    firn_options options = small_options();
    firn_db *db = open_db(dir, &options);
    firn_batch *b;
    put_text(db, "b", "old");
    assert_int_equal(firn_batch_new(&b), FIRN_OK);
    assert_int_equal(firn_batch_put(b, FIRN_STR("c"), FIRN_STR("before")), FIRN_OK);
    assert_int_equal(firn_batch_delete_range(b, FIRN_STR("a"), FIRN_STR("m")), FIRN_OK);
    assert_int_equal(firn_batch_put(b, FIRN_STR("d"), FIRN_STR("after")), FIRN_OK);
    assert_int_equal(firn_write(db, NULL, b), FIRN_OK);
    firn_batch_free(b);
    for (int i = 0; i < 2; i++) {
        expect_text(db, NULL, "b", NULL);
        expect_text(db, NULL, "c", NULL);
        expect_text(db, NULL, "d", "after");
        close_db(db);
        db = open_db(dir, &options);
    }
    close_db(db);
    test_dir_remove(dir);
}

TEST(delete_range, the_wrong_way_round_is_empty_and_without_an_end_refused) {
    char *dir = test_dir_new();
    firn_options options = small_options();
    firn_db *db = open_db(dir, &options);
    put_text(db, "k", "value");
    delete_range(db, "z", "a");
    delete_range(db, "k", "k");
    assert_int_equal(firn_flush(db), FIRN_OK);
    expect_text(db, NULL, "k", "value");
    assert_int_equal(firn_delete_range(db, NULL, FIRN_STR("a"), everywhere), FIRN_INVALID_ARGUMENT);
    EXPECT_DETAIL("end");
    close_db(db);
    db = open_db(dir, &options);
    expect_text(db, NULL, "k", "value");
    close_db(db);
    test_dir_remove(dir);
}

/* A queue whose consumer removes its past: each range covers the ones before. */
TEST(delete_range, of_a_growing_past_stays_small) {
    char *dir = test_dir_new();
    firn_options options = small_options();
    firn_db *db = open_db(dir, &options);
    for (uint64_t i = 0; i < 3000; i++) {
        put_text(db, numbered_key(i), "job");
        delete_range(db, numbered_key(0), numbered_key(i));
    }
    assert_int_equal(count_entries(db), 1);
    expect_text(db, NULL, numbered_key(2999), "job");
    assert_int_equal(firn_compact_range(db, everywhere, everywhere), FIRN_OK);
    assert_int_equal(count_entries(db), 1);
    assert_true(stats_of(db).table_bytes < 4096);
    close_db(db);
    test_dir_remove(dir);
}

TEST_MAIN(RUN(delete_range, hides_what_lies_below_at_every_stage),
          RUN(delete_range, of_everything_leaves_nothing_behind),
          RUN(delete_range, counts_in_a_batch_from_where_it_stands),
          RUN(delete_range, the_wrong_way_round_is_empty_and_without_an_end_refused),
          RUN(delete_range, of_a_growing_past_stays_small))
