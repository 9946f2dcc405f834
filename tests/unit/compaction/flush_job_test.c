#include <errno.h>

#include "lib/test.h"
#include "unit/compaction/job_fixture.h"

TEST(flush_job, writes_what_somebody_can_see) {
    job_fixture f;
    job_result result;
    job_fixture_init(&f);
    job_put(&f, "b", "1");
    job_put(&f, "a", "1");
    job_put(&f, "b", "2");
    job_put(&f, "c", NULL);
    ASSERT_OK(job_flush(&f, &result));
    assert_string_equal(job_level_text(&f, 0), "a=1 b=2");
    assert_int_equal(result.tables_written, 1);
    assert_int_equal(version_set_flushed_through(f.versions, 0), 4);
    assert_int_equal(job_count_files(&f, ".sst"), 1);
    job_fixture_deinit(&f);
}

TEST(flush_job, keeps_deletes_of_what_tables_may_hold) {
    job_fixture f;
    job_result result;
    job_fixture_init(&f);
    job_put(&f, "b", "1");
    job_put(&f, "d", "1");
    ASSERT_OK(job_flush(&f, &result));
    job_put(&f, "a", NULL);
    job_put(&f, "b", NULL);
    job_put(&f, "c", NULL); /* within the table's range: it may be in it */
    job_put(&f, "e", NULL);
    ASSERT_OK(job_flush(&f, &result));
    assert_string_equal(job_level_text(&f, 0), "b- c- | b=1 d=1");
    job_fixture_deinit(&f);
}

TEST(flush_job, a_queue_that_is_empty_again_leaves_no_table) {
    job_fixture f;
    job_result result;
    struct firn_snapshot *snapshot;
    job_fixture_init(&f);
    job_put(&f, "a", "1");
    job_put(&f, "a", NULL);
    ASSERT_OK(job_flush(&f, &result));
    assert_int_equal(result.tables_written, 0);
    assert_int_equal(version_set_flushed_through(f.versions, 0), 2);
    assert_int_equal(job_count_files(&f, ".sst") + job_count_files(&f, ".tmp"), 0);
    job_put(&f, "b", "1");
    ASSERT_OK(snapshot_take(&f.snapshots, NULL, &snapshot));
    job_put(&f, "b", NULL);
    ASSERT_OK(job_flush(&f, &result));
    assert_string_equal(job_level_text(&f, 0), "b- b=1"); /* the snapshot sees it */
    snapshot_drop(&f.snapshots, snapshot);
    job_fixture_deinit(&f);
}

/* The older memtable is not in tables yet, and its keys are in nobody's bounds. */
TEST(flush_job, keeps_deletes_while_an_older_memtable_waits) {
    job_fixture f;
    job_result result;
    flushed_memtable older, newer;
    job_fixture_init(&f);
    job_put(&f, "a", "1");
    ASSERT_OK(version_set_seal(f.versions, 0));
    assert_true(version_set_take_flush(f.versions, &older.keyspace, &older.table));
    job_put(&f, "a", NULL);
    job_put(&f, "b", "1");
    ASSERT_OK(version_set_seal(f.versions, 0));
    if (version_set_take_flush(f.versions, &newer.keyspace, &newer.table)) {
        /* Installing waits for its turn: the older one goes first, but was read as waiting. */
        version_set_flush_failed(f.versions, newer.keyspace, newer.table);
    }
    ASSERT_OK(flush_job_run(&f.env, &older, NULL, &result));
    assert_true(version_set_take_flush(f.versions, &newer.keyspace, &newer.table));
    ASSERT_OK(flush_job_run(&f.env, &newer, NULL, &result));
    assert_string_equal(job_level_text(&f, 0), "a- b=1 | a=1");
    job_fixture_deinit(&f);
}

TEST(flush_job, keeps_the_versions_of_snapshots) {
    job_fixture f;
    job_result result;
    struct firn_snapshot *snapshot;
    job_fixture_init(&f);
    job_put(&f, "a", "1");
    job_put(&f, "a", "2");
    ASSERT_OK(snapshot_take(&f.snapshots, NULL, &snapshot));
    job_put(&f, "a", "3");
    job_put(&f, "a", "4");
    ASSERT_OK(job_flush(&f, &result));
    assert_string_equal(job_level_text(&f, 0), "a=4 a=2");
    snapshot_drop(&f.snapshots, snapshot);
    job_fixture_deinit(&f);
}

TEST(flush_job, newer_tables_stand_in_front) {
    job_fixture f;
    job_result result;
    job_fixture_init(&f);
    job_put(&f, "a", "1");
    ASSERT_OK(job_flush(&f, &result));
    job_put(&f, "a", "2");
    ASSERT_OK(job_flush(&f, &result));
    assert_string_equal(job_level_text(&f, 0), "a=2 | a=1");
    job_fixture_deinit(&f);
}

/* Every call of the disk fails in turn; the memtable stays, and in the end it is flushed once. */
TEST(flush_job, leaves_nothing_behind_when_it_fails_and_can_be_run_again) {
    for (uint64_t after = 0;; after++) {
        job_fixture f;
        job_result result;
        job_fixture_init(&f);
        job_put(&f, "a", "1");
        vfs_fault_rule rule = {.kinds = VFS_FAULT_ANY,
                               .path_suffix = ".tmp",
                               .after = after,
                               .count = 1,
                               .error = ENOSPC};
        vfs_fault_set(f.fault, &rule);
        status st = job_flush(&f, &result);
        bool failed = vfs_fault_failed(f.fault) > 0;
        vfs_fault_set(f.fault, NULL);
        if (failed && !status_is_ok(st)) {
            ASSERT_CODE(st, FIRN_NO_SPACE);
            assert_int_equal(job_count_files(&f, ".tmp"), 0);
            assert_int_equal(job_count_files(&f, ".sst"), 0);
            assert_string_equal(job_level_text(&f, 0), "");
            assert_int_equal(version_set_sealed_count(f.versions, 0), 1);
            flushed_memtable flushed;
            assert_true(version_set_take_flush(f.versions, &flushed.keyspace, &flushed.table));
            ASSERT_OK(flush_job_run(&f.env, &flushed, NULL, &result));
        } else {
            ASSERT_OK(st);
        }
        assert_string_equal(job_level_text(&f, 0), "a=1");
        job_fixture_deinit(&f);
        if (!failed) {
            assert_true(after > 2); /* there were calls to fail */
            break;
        }
    }
}

TEST_MAIN(RUN(flush_job, writes_what_somebody_can_see),
          RUN(flush_job, keeps_deletes_of_what_tables_may_hold),
          RUN(flush_job, a_queue_that_is_empty_again_leaves_no_table),
          RUN(flush_job, keeps_deletes_while_an_older_memtable_waits),
          RUN(flush_job, keeps_the_versions_of_snapshots),
          RUN(flush_job, newer_tables_stand_in_front),
          RUN(flush_job, leaves_nothing_behind_when_it_fails_and_can_be_run_again))
