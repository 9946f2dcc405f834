#include <errno.h>
#include <stdlib.h>

#include "platform/vfs_fault.h"
#include "wal_fixture.h"

static vfs_mem *disk;
static vfs_fault *faults;
static log_entries *model, *found;
static firn_batch batch;
static wal_writer *w;

static int set_up(void **state) {
    (void)state;
    disk = log_disk_new();
    ASSERT_OK(vfs_fault_new(vfs_mem_vfs(disk), &faults));
    model = log_entries_new();
    found = log_entries_new();
    batch_init(&batch);
    log_batch_put(&batch, "key", 2100, 1);
    wal_writer_args args = log_writer_args(vfs_fault_vfs(faults));
    args.segment_bytes_max = 8192;
    w = log_writer_new(&args);
    for (int i = 0; i < 10; i++) /* one to a segment */
        ASSERT_OK(log_append(w, &batch, model));
    assert_int_equal(wal_writer_segment(w), 10);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    wal_writer_free(w);
    batch_deinit(&batch);
    free(model);
    free(found);
    vfs_fault_free(faults);
    vfs_mem_free(disk);
    return 0;
}

static bool is_there(uint64_t number) {
    char path[64];
    uint64_t bytes;
    return vfs_mem_contents(disk, log_path(number, path), &bytes) != NULL;
}

TEST(wal_segments, floor_is_the_oldest_segment_with_records_above_a_position) {
    for (size_t i = 0; i < model->count; i++) {
        assert_int_equal(wal_writer_floor_segment(w, model->at[i].position), i + 1);
        assert_int_equal(wal_writer_floor_segment(w, model->at[i].position + 8), i + 1);
    }
    /* The current segment is always needed. */
    assert_int_equal(wal_writer_floor_segment(w, wal_writer_end(w)), 10);
}

TEST(wal_segments, release_deletes_files_below_the_floor_only) {
    wal_writer_stats stats;
    wal_writer_get_stats(w, &stats);
    assert_int_equal(stats.segments, 10);
    uint64_t live = stats.live_bytes;
    wal_writer_release(w, 4);
    for (uint64_t n = 1; n <= 10; n++)
        assert_int_equal(is_there(n), n >= 4);
    wal_writer_get_stats(w, &stats);
    assert_int_equal(stats.segments, 7);
    assert_true(stats.live_bytes < live);
    assert_int_equal(wal_writer_floor_segment(w, 0), 4);
    ASSERT_OK(wal_writer_sync(w));
    wal_recovery r;
    wal_recovery_args args = log_recovery_args(vfs_mem_vfs(disk), found);
    args.floor_segment = 4;
    args.floor_position = model->at[3].position;
    ASSERT_OK(wal_recover(&args, &r));
    assert_int_equal(found->count, 7);
    wal_recovery_deinit(&r);
}

TEST(wal_segments, the_current_segment_is_never_released) {
    wal_writer_release(w, 1000);
    assert_true(is_there(10));
    ASSERT_OK(log_append(w, &batch, model));
    ASSERT_OK(wal_writer_sync(w));
}

TEST(wal_segments, a_deletion_that_failed_is_tried_again) {
    vfs_fault_rule rule = {.kinds = VFS_FAULT_REMOVE, .count = 2, .error = EIO};
    vfs_fault_set(faults, &rule);
    wal_writer_release(w, 4);
    assert_true(is_there(1) && is_there(2) && !is_there(3));
    assert_int_equal(wal_writer_floor_segment(w, 0), 4);
    wal_writer_release(w, 4);
    assert_true(!is_there(1) && !is_there(2));
}

TEST(wal_segments, segments_of_an_earlier_life_are_released_likewise) {
    ASSERT_OK(wal_writer_sync(w));
    wal_writer_free(w);
    wal_recovery r;
    log_recover(vfs_mem_vfs(disk), found, &r);
    assert_int_equal(r.segment_count, 10);
    w = log_writer_after(vfs_mem_vfs(disk), &r);
    assert_int_equal(wal_writer_floor_segment(w, model->at[6].position), 7);
    assert_int_equal(wal_writer_floor_segment(w, r.end_position), 11); /* not created yet */
    wal_writer_release(w, 7);
    assert_true(!is_there(6) && is_there(7));
    ASSERT_OK(log_append(w, &batch, model));
    assert_int_equal(wal_writer_floor_segment(w, r.end_position), 11);
    wal_writer_release(w, 11);
    assert_true(!is_there(10) && is_there(11));
    wal_recovery_deinit(&r);
}

#define RUN_WITH(behaviour) \
    { "wal_segments: " #behaviour, test_wal_segments_##behaviour, set_up, tear_down, NULL }

LOG_TEST_MAIN(RUN_WITH(floor_is_the_oldest_segment_with_records_above_a_position),
              RUN_WITH(release_deletes_files_below_the_floor_only),
              RUN_WITH(the_current_segment_is_never_released),
              RUN_WITH(a_deletion_that_failed_is_tried_again),
              RUN_WITH(segments_of_an_earlier_life_are_released_likewise))
