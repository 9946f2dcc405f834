/* Snapshots see one moment, through flush, compaction and deletes, and hold back only what they
 * must. */
#include <string.h>

#include "integration/db_fixture.h"

static void compact_all(firn_db *db) {
    ASSERT_FIRN_OK(firn_compact_range(db, (firn_slice){0}, (firn_slice){0}));
}

static uint64_t table_entries(firn_db *db) {
    uint64_t entries = 0;
    firn_stats s = stats_of(db);
    for (uint32_t i = 0; i < s.level_count; i++)
        entries += s.levels[i].entries;
    return entries;
}

TEST(snapshot, sees_its_moment_before_and_after_flush_and_compaction) {
    char *dir = test_dir_new();
    firn_db *db = open_db(dir, NULL);
    const firn_snapshot *first, *second;
    put_text(db, "a", "1");
    put_text(db, "b", "1");
    ASSERT_FIRN_OK(firn_snapshot_new(db, &first));
    put_text(db, "a", "2");
    delete_text(db, "b");
    put_text(db, "c", "2");
    ASSERT_FIRN_OK(firn_snapshot_new(db, &second));
    delete_text(db, "a");
    put_text(db, "b", "3");
    assert_true(firn_snapshot_sequence(first) < firn_snapshot_sequence(second));
    for (int stage = 0; stage < 3; stage++) {
        expect_text(db, first, "a", "1");
        expect_text(db, first, "b", "1");
        expect_text(db, first, "c", NULL);
        expect_text(db, second, "a", "2");
        expect_text(db, second, "b", NULL);
        expect_text(db, second, "c", "2");
        expect_text(db, NULL, "a", NULL);
        expect_text(db, NULL, "b", "3");
        expect_text(db, NULL, "c", "2");
        if (stage == 0)
            ASSERT_FIRN_OK(firn_flush(db));
        else
            compact_all(db);
    }
    firn_snapshot_release(db, first);
    firn_snapshot_release(db, second);
    close_db(db);
    test_dir_remove(dir);
}

TEST(snapshot, versions_go_when_the_last_snapshot_goes) {
    char *dir = test_dir_new();
    firn_db *db = open_db(dir, NULL);
    const firn_snapshot *snapshot;
    put_range(db, 0, 100, 10, 1);
    ASSERT_FIRN_OK(firn_snapshot_new(db, &snapshot));
    put_range(db, 0, 100, 10, 2);
    put_range(db, 0, 100, 10, 3); /* hides version 2, which no snapshot sees */
    compact_all(db);
    assert_int_equal(table_entries(db), 200);
    expect_range(db, snapshot, 0, 100, 10, 1);
    expect_range(db, NULL, 0, 100, 10, 3);
    firn_snapshot_release(db, snapshot);
    put_range(db, 0, 100, 10, 4);
    compact_all(db);
    assert_int_equal(table_entries(db), 100);
    expect_range(db, NULL, 0, 100, 10, 4);
    close_db(db);
    test_dir_remove(dir);
}

TEST(snapshot, deletes_that_hide_nothing_vanish_at_the_bottom) {
    char *dir = test_dir_new();
    firn_db *db = open_db(dir, NULL);
    const firn_snapshot *snapshot;
    put_range(db, 0, 50, 10, 1);
    compact_all(db);
    ASSERT_FIRN_OK(firn_snapshot_new(db, &snapshot));
    for (int i = 0; i < 50; i++)
        delete_text(db, numbered_key((uint64_t)i));
    compact_all(db);
    assert_int_equal(table_entries(db), 100); /* the snapshot needs both */
    expect_range(db, snapshot, 0, 50, 10, 1);
    firn_snapshot_release(db, snapshot);
    compact_all(db);
    assert_int_equal(table_entries(db), 0);
    assert_int_equal(stats_of(db).table_files, 0);
    close_db(db);
    test_dir_remove(dir);
}

TEST(snapshot, many_snapshots_keep_their_own_versions) {
    enum { COUNT = 60 };
    char *dir = test_dir_new();
    firn_options options = small_options();
    firn_db *db = open_db(dir, &options);
    const firn_snapshot *snapshots[COUNT];
    for (uint64_t i = 0; i < COUNT; i++) {
        put_range(db, 0, 40, 100, i);
        ASSERT_FIRN_OK(firn_snapshot_new(db, &snapshots[i]));
    }
    assert_int_equal(stats_of(db).snapshots, COUNT);
    assert_int_equal(stats_of(db).oldest_snapshot_sequence, firn_snapshot_sequence(snapshots[0]));
    compact_all(db);
    for (uint64_t i = 0; i < COUNT; i += 2) { /* every other one goes */
        expect_range(db, snapshots[i], 0, 40, 100, i);
        firn_snapshot_release(db, snapshots[i]);
    }
    put_range(db, 0, 40, 100, 1000);
    compact_all(db);
    for (uint64_t i = 1; i < COUNT; i += 2) {
        expect_range(db, snapshots[i], 0, 40, 100, i);
        firn_snapshot_release(db, snapshots[i]);
    }
    close_db(db);
    test_dir_remove(dir);
}

TEST(snapshot, of_an_empty_database_stays_empty) {
    char *dir = test_dir_new();
    firn_db *db = open_db(dir, NULL);
    const firn_snapshot *snapshot;
    firn_iter *it;
    ASSERT_FIRN_OK(firn_snapshot_new(db, &snapshot));
    put_text(db, "a", "1");
    compact_all(db);
    expect_text(db, snapshot, "a", NULL);
    firn_read_options o = FIRN_READ_OPTIONS_INIT;
    o.snapshot = snapshot;
    ASSERT_FIRN_OK(firn_iter_new(db, &o, &it));
    firn_iter_seek_first(it);
    assert_false(firn_iter_valid(it));
    firn_iter_seek_last(it);
    assert_false(firn_iter_valid(it));
    firn_iter_free(it);
    firn_snapshot_release(db, snapshot);
    firn_snapshot_release(db, NULL);
    close_db(db);
    test_dir_remove(dir);
}

typedef struct snapshot_ledger {
    uint32_t count;
    char labels[4][64];
    firn_snapshot_info lines[4];
} snapshot_ledger;

static int note_snapshot(void *context, const firn_snapshot_info *info) {
    snapshot_ledger *l = context;
    assert_true(l->count < 4);
    strcpy(l->labels[l->count], info->label);
    l->lines[l->count++] = *info;
    return l->count == 4;
}

TEST(snapshot, ledger_says_who_holds_what) {
    char *dir = test_dir_new();
    firn_options options = small_options();
    firn_db *db = open_db(dir, &options);
    const firn_snapshot *first, *second, *unnamed;
    snapshot_ledger l = {0};
    put_range(db, 0, 500, 100, 1);
    ASSERT_FIRN_OK(firn_snapshot_new_for(db, "nightly report", &first));
    put_range(db, 0, 500, 100, 2);
    compact_all(db);
    put_text(db, "a", "1");
    ASSERT_FIRN_OK(firn_snapshot_new_for(db, NULL, &unnamed));
    ASSERT_FIRN_OK(firn_snapshot_new_for(
        db, "a label that goes on and on and on and on and on and on and on and is cut", &second));
    ASSERT_FIRN_OK(firn_snapshot_list(db, note_snapshot, &l));
    assert_int_equal(l.count, 3);
    assert_string_equal(l.labels[0], "nightly report");
    assert_string_equal(l.labels[1], "");
    assert_int_equal(strlen(l.labels[2]), 63);
    assert_int_equal(l.lines[0].sequence, firn_snapshot_sequence(first));
    assert_true(l.lines[0].created_ms <= l.lines[2].created_ms);
    /* 500 hidden values of 100 bytes, their keys and a little more. */
    assert_in_range(l.lines[0].pinned_bytes, 500 * 100, 500 * 150);
    firn_snapshot_release(db, first);
    firn_snapshot_release(db, second);
    firn_snapshot_release(db, unnamed);
    compact_all(db);
    l.count = 0;
    ASSERT_FIRN_OK(firn_snapshot_list(db, note_snapshot, &l));
    assert_int_equal(l.count, 0);
    close_db(db);
    test_dir_remove(dir);
}

TEST_MAIN(RUN(snapshot, ledger_says_who_holds_what),
          RUN(snapshot, sees_its_moment_before_and_after_flush_and_compaction),
          RUN(snapshot, versions_go_when_the_last_snapshot_goes),
          RUN(snapshot, deletes_that_hide_nothing_vanish_at_the_bottom),
          RUN(snapshot, many_snapshots_keep_their_own_versions),
          RUN(snapshot, of_an_empty_database_stays_empty))
