#include <errno.h>
#include <stdio.h>

#include "compaction/job_split.h"
#include "lib/test.h"
#include "platform/error_detail.h"
#include "unit/compaction/job_fixture.h"

static void flush(job_fixture *f) {
    job_result result;
    ASSERT_OK(job_flush(f, &result));
}

static void compact(job_fixture *f) {
    job_result result;
    bool found = true;
    while (found)
        ASSERT_OK(job_compact(f, &found, &result));
}

TEST(compaction_job, merges_and_drops_what_is_hidden) {
    job_fixture f;
    job_fixture_init(&f);
    job_put(&f, "a", "1");
    job_put(&f, "b", "1");
    job_put(&f, "d", "1");
    flush(&f);
    job_put(&f, "a", "2");
    job_put(&f, "b", NULL);
    job_put(&f, "c", "2");
    flush(&f);
    compact(&f);
    assert_string_equal(job_level_text(&f, 0), "");
    assert_string_equal(job_level_text(&f, 6), "a=2 c=2 d=1");
    job_fixture_deinit(&f);
}

TEST(compaction_job, an_empty_result_is_no_table) {
    job_fixture f;
    job_fixture_init(&f);
    job_put(&f, "a", "1");
    flush(&f);
    job_put(&f, "a", NULL);
    flush(&f);
    compact(&f);
    read_view *view = version_set_view(f.versions, 0);
    assert_int_equal(version_total_tables(view->version), 0);
    read_view_unref(view);
    job_fixture_deinit(&f);
}

TEST(compaction_job, cuts_tables_between_keys_never_between_versions) {
    enum { KEYS = 60 };
    job_fixture f;
    char key[16], value[4096];
    struct firn_snapshot *snapshots[4];
    job_fixture_init(&f);
    f.options.file_bytes = 65536;
    f.first_new = 1; /* the snapshots' versions stay: rewriting would never end */
    memset(value, 'v', sizeof value);
    value[sizeof value - 1] = 0;
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < KEYS; i++) {
            snprintf(key, sizeof key, "%03d", i);
            job_put(&f, key, value);
        }
        ASSERT_OK(snapshot_take(&f.snapshots, NULL, &snapshots[round]));
        flush(&f);
    }
    compact(&f);
    read_view *view = version_set_view(f.versions, 0);
    uint64_t entries = 0;
    uint32_t count = view->version->levels[6].count;
    assert_in_range(count, 10, 20);
    for (uint32_t i = 0; i < count; i++) {
        const table_meta *t = view->version->levels[6].tables[i];
        assert_int_equal(t->entries % 4, 0);
        assert_true(t->where.file_bytes < 65536 + 5 * sizeof value);
        entries += t->entries;
    }
    assert_int_equal(entries, 4 * KEYS);
    read_view_unref(view);
    for (int round = 0; round < 4; round++)
        snapshot_drop(&f.snapshots, snapshots[round]);
    job_fixture_deinit(&f);
}

/* Four tables of five keys on the last level, and newer versions and deletes of every third in L0.
 */
static void fill_for_pieces(job_fixture *f) {
    char key[16];
    job_fixture_init(f);
    f->options.file_bytes = 1;
    for (int i = 0; i < 20; i++) {
        snprintf(key, sizeof key, "%02d", i);
        job_put(f, key, "1");
    }
    flush(f);
    compact(f);
    for (int i = 0; i < 20; i += 3) {
        snprintf(key, sizeof key, "%02d", i);
        job_put(f, key, i % 2 ? "2" : NULL);
    }
    flush(f);
}

TEST(compaction_job, in_pieces_comes_to_the_same) {
    char expected[1024];
    for (uint32_t pieces = 1; pieces <= JOB_PIECES_MAX + 1; pieces++) {
        job_fixture f;
        job_result result;
        bool found;
        fill_for_pieces(&f);
        f.options.pieces = pieces;
        ASSERT_OK(job_compact(&f, &found, &result));
        assert_int_equal(result.pieces, pieces > JOB_PIECES_MAX ? JOB_PIECES_MAX : pieces);
        assert_string_equal(job_level_text(&f, 0), "");
        if (pieces == 1)
            snprintf(expected, sizeof expected, "%s", job_level_text(&f, 6));
        assert_string_equal(job_level_text(&f, 6), expected);
        job_fixture_deinit(&f);
    }
    assert_true(strncmp(expected, "01=1 | 02=1 | 03=2 | 04=1", 25) == 0);
}

/* Two tables of L0 over the same keys, of several blocks each, and nothing below. */
static void fill_l0_alone(job_fixture *f) {
    char key[16];
    job_fixture_init(f);
    f->options.file_bytes = 1;
    f->options.block_bytes = 64;
    for (int table = 0; table < 2; table++) {
        for (int i = table; i < 40; i += 1 + table) {
            snprintf(key, sizeof key, "%02d", i);
            job_put(f, key, table ? "2" : "1");
        }
        flush(f);
    }
}

TEST(compaction_job, out_of_l0_alone_is_cut_at_keys_of_its_indexes) {
    char expected[1024];
    for (uint32_t pieces = 1; pieces <= 4; pieces++) {
        job_fixture f;
        job_result result;
        bool found;
        fill_l0_alone(&f);
        f.options.pieces = pieces;
        ASSERT_OK(job_compact(&f, &found, &result));
        assert_int_equal(result.pieces, pieces);
        assert_string_equal(job_level_text(&f, 0), "");
        if (pieces == 1)
            snprintf(expected, sizeof expected, "%s", job_level_text(&f, 6));
        assert_string_equal(job_level_text(&f, 6), expected);
        job_fixture_deinit(&f);
    }
}

/* Whichever piece it meets: no output stays, and the inputs do. */
TEST(compaction_job, a_failure_in_one_piece_ends_them_all) {
    for (uint64_t after = 0;; after++) {
        job_fixture f;
        job_result result;
        bool found;
        fill_for_pieces(&f);
        f.options.pieces = 4;
        unsigned tables = job_count_files(&f, ".sst");
        vfs_fault_rule rule = {.kinds = VFS_FAULT_ANY,
                               .path_suffix = ".tmp",
                               .after = after,
                               .count = 1,
                               .error = EIO};
        vfs_fault_set(f.fault, &rule);
        status st = job_compact(&f, &found, &result);
        bool failed = vfs_fault_failed(f.fault) > 0;
        vfs_fault_set(f.fault, NULL);
        if (!status_is_ok(st)) {
            ASSERT_CODE(st, FIRN_IO_ERROR);
            assert_non_null(strstr(error_detail_get(), ".tmp"));
            assert_int_equal(job_count_files(&f, ".tmp"), 0);
            assert_int_equal(job_count_files(&f, ".sst"), tables);
        }
        job_fixture_deinit(&f);
        if (!failed) {
            assert_true(after > 20); /* there were calls to fail */
            break;
        }
    }
}

TEST(compaction_job, its_inputs_survive_every_failure) {
    for (uint64_t after = 0;; after++) {
        job_fixture f;
        job_result result;
        bool found;
        job_fixture_init(&f);
        job_put(&f, "a", "1");
        job_put(&f, "b", "1");
        flush(&f);
        job_put(&f, "a", NULL);
        job_put(&f, "c", "2");
        flush(&f);
        /* The manifest is left out: what its failures mean, version_set decides. */
        vfs_fault_rule rule = {.kinds = VFS_FAULT_ANY,
                               .path_suffix = ".tmp",
                               .after = after,
                               .count = 1,
                               .error = EIO};
        vfs_fault_set(f.fault, &rule);
        status st = job_compact(&f, &found, &result);
        bool failed = vfs_fault_failed(f.fault) > 0;
        vfs_fault_set(f.fault, NULL);
        if (!status_is_ok(st)) {
            assert_true(failed);
            ASSERT_CODE(st, FIRN_IO_ERROR);
            assert_int_equal(job_count_files(&f, ".tmp"), 0);
            assert_int_equal(job_count_files(&f, ".sst"), 2);
            assert_string_equal(job_level_text(&f, 0), "a- c=2 | a=1 b=1");
            compact(&f);
        }
        assert_string_equal(job_level_text(&f, 6), "b=1 c=2");
        job_fixture_deinit(&f);
        if (!failed) {
            assert_true(after > 2); /* there were calls to fail */
            break;
        }
    }
}

TEST(compaction_job, a_closing_database_gives_up) {
    job_fixture f;
    job_result result;
    bool found;
    char key[16];
    job_fixture_init(&f);
    for (int i = 0; i < 10000; i++) {
        snprintf(key, sizeof key, "%05d", i);
        job_put(&f, key, "v");
    }
    flush(&f);
    f.cancelled = true;
    ASSERT_CODE(job_compact(&f, &found, &result), FIRN_ABORTED);
    assert_int_equal(job_count_files(&f, ".tmp"), 0);
    assert_int_equal(job_count_files(&f, ".sst"), 1);
    job_fixture_deinit(&f);
}

TEST_MAIN(RUN(compaction_job, merges_and_drops_what_is_hidden),
          RUN(compaction_job, an_empty_result_is_no_table),
          RUN(compaction_job, cuts_tables_between_keys_never_between_versions),
          RUN(compaction_job, in_pieces_comes_to_the_same),
          RUN(compaction_job, out_of_l0_alone_is_cut_at_keys_of_its_indexes),
          RUN(compaction_job, a_failure_in_one_piece_ends_them_all),
          RUN(compaction_job, its_inputs_survive_every_failure),
          RUN(compaction_job, a_closing_database_gives_up))
