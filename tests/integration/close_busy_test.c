/* firn_close with handles that are still alive. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "integration/db_fixture.h"

TEST(close, answers_busy_while_an_iterator_lives_and_stays_open) {
    char *dir = test_dir_new();
    firn_db *db = open_db(dir, NULL);
    firn_iter *it;
    put_text(db, "a", "1");
    ASSERT_FIRN_OK(firn_iter_new(db, NULL, &it));
    ASSERT_FIRN(firn_close(db), FIRN_BUSY);
    EXPECT_DETAIL("1 iterators");
    put_text(db, "b", "2");
    expect_text(db, NULL, "b", "2");
    firn_iter_free(it);
    close_db(db);
    test_dir_remove(dir);
}

TEST(close, answers_busy_while_a_snapshot_lives) {
    char *dir = test_dir_new();
    firn_db *db = open_db(dir, NULL);
    const firn_snapshot *snapshot;
    ASSERT_FIRN_OK(firn_snapshot_new(db, &snapshot));
    ASSERT_FIRN(firn_close(db), FIRN_BUSY);
    EXPECT_DETAIL("1 snapshots");
    firn_snapshot_release(db, snapshot);
    close_db(db);
    test_dir_remove(dir);
}

TEST(close, answers_busy_while_a_value_is_pinned) {
    char *dir = test_dir_new();
    firn_db *db = open_db(dir, NULL);
    firn_value value;
    size_t bytes = 2 << 20;
    uint8_t *large = calloc(1, bytes);
    ASSERT_FIRN_OK(firn_put(db, NULL, FIRN_STR("large"), firn_slice_of(large, bytes)));
    ASSERT_FIRN_OK(firn_get(db, NULL, FIRN_STR("large"), &value));
    ASSERT_FIRN(firn_close(db), FIRN_BUSY);
    EXPECT_DETAIL("1 values");
    firn_value_release(&value);
    firn_value_release(&value); /* an empty one by now */
    close_db(db);
    free(large);
    test_dir_remove(dir);
}

TEST(close, values_that_were_copied_do_not_hold_the_database) {
    char *dir = test_dir_new();
    firn_db *db = open_db(dir, NULL);
    firn_value small, medium;
    char text[1000];
    memset(text, 'x', sizeof text);
    put_text(db, "small", "1");
    ASSERT_FIRN_OK(firn_put(db, NULL, FIRN_STR("medium"), firn_slice_of(text, sizeof text)));
    ASSERT_FIRN_OK(firn_get(db, NULL, FIRN_STR("small"), &small));
    ASSERT_FIRN_OK(firn_get(db, NULL, FIRN_STR("medium"), &medium));
    close_db(db);
    assert_memory_equal(small.data, "1", 1);
    assert_memory_equal(medium.data, text, sizeof text);
    firn_value_release(&small);
    firn_value_release(&medium);
    test_dir_remove(dir);
}

TEST(close, nothing_is_closed_twice_and_null_is_fine) {
    ASSERT_FIRN_OK(firn_close(NULL));
}

TEST(close, a_child_of_fork_is_refused) {
    char *dir = test_dir_new();
    firn_db *db = open_db(dir, NULL);
    put_text(db, "a", "1");
    pid_t child = fork_child();
    if (child == 0) {
        firn_value value;
        firn_iter *it;
        firn_status put = firn_put(db, NULL, FIRN_STR("b"), FIRN_STR("2"));
        firn_status get = firn_get(db, NULL, FIRN_STR("a"), &value);
        firn_status iterate = firn_iter_new(db, NULL, &it);
        firn_status closed = firn_close(db);
        firn_status again = firn_open(dir, NULL, &db);
        _exit(put == FIRN_INVALID_ARGUMENT && get == FIRN_INVALID_ARGUMENT &&
                      iterate == FIRN_INVALID_ARGUMENT && closed == FIRN_INVALID_ARGUMENT &&
                      again == FIRN_LOCKED
                  ? 0
                  : 1);
    }
    expect_child_succeeded(child);
    expect_text(db, NULL, "a", "1");
    expect_text(db, NULL, "b", NULL);
    close_db(db);
    test_dir_remove(dir);
}

TEST_MAIN(RUN(close, answers_busy_while_an_iterator_lives_and_stays_open),
          RUN(close, answers_busy_while_a_snapshot_lives),
          RUN(close, answers_busy_while_a_value_is_pinned),
          RUN(close, values_that_were_copied_do_not_hold_the_database),
          RUN(close, nothing_is_closed_twice_and_null_is_fine),
          RUN(close, a_child_of_fork_is_refused))
