#include <errno.h>

#include "lib/test.h"
#include "unit/compaction/job_fixture.h"

TEST(flush_job, writes_what_somebody_can_see_and_keeps_deletes) {
    job_fixture f;
    job_result result;
    job_fixture_init(&f);
    job_put(&f, "b", "1");
    job_put(&f, "a", "1");
    job_put(&f, "b", "2");
    job_put(&f, "c", NULL);
    ASSERT_OK(job_flush(&f, &result));
    assert_string_equal(job_level_text(&f, 0), "a=1 b=2 c-");
    assert_int_equal(result.tables_written, 1);
    assert_int_equal(version_set_flushed_through(f.versions, 0), 4);
    assert_int_equal(job_count_files(&f, ".sst"), 1);
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
            ASSERT_OK(flush_job_run(&f.env, &flushed, &result));
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

TEST_MAIN(RUN(flush_job, writes_what_somebody_can_see_and_keeps_deletes),
          RUN(flush_job, keeps_the_versions_of_snapshots),
          RUN(flush_job, newer_tables_stand_in_front),
          RUN(flush_job, leaves_nothing_behind_when_it_fails_and_can_be_run_again))
