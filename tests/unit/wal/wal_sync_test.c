#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "platform/vfs_fault.h"
#include "record/record.h"
#include "util/coding.h"
#include "wal_fixture.h"

static vfs_mem *disk;
static const firn_vfs *vfs;
static vfs_fault *faults;
static log_entries *model, *found;
static firn_batch batch;
static wal_writer *w;

static int set_up(void **state) {
    (void)state;
    disk = log_disk_new();
    ASSERT_OK(vfs_fault_new(vfs_mem_vfs(disk), &faults));
    vfs = vfs_fault_vfs(faults);
    model = log_entries_new();
    found = log_entries_new();
    batch_init(&batch);
    log_batch_put(&batch, "key", 1000, 1);
    wal_writer_args args = log_writer_args(vfs);
    w = log_writer_new(&args);
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

static void append(int count) {
    for (int i = 0; i < count; i++)
        ASSERT_OK(log_append(w, &batch, model));
}

/* Counts the calls of a kind during one sync. */
static uint64_t calls_of_sync(uint32_t kinds) {
    vfs_fault_rule rule = {.kinds = kinds, .after = UINT64_MAX, .count = 0, .error = EIO};
    vfs_fault_set(faults, &rule);
    ASSERT_OK(wal_writer_sync(w));
    uint64_t calls = vfs_fault_matched(faults);
    vfs_fault_set(faults, NULL);
    return calls;
}

TEST(wal_sync, makes_all_segments_and_their_names_durable) {
    append(40);
    assert_true(wal_writer_segment(w) >= 3);
    assert_int_equal(wal_writer_synced(w), 0);
    ASSERT_OK(wal_writer_sync(w));
    assert_int_equal(wal_writer_synced(w), wal_writer_end(w));
    vfs_mem *clone = NULL;
    wal_recovery r;
    ASSERT_OK(vfs_mem_crash_clone(disk, VFS_MEM_LOSE_UNSYNCED, 1, &clone));
    log_recover(vfs_mem_vfs(clone), found, &r);
    log_assert_equal(found, model);
    wal_recovery_deinit(&r);
    vfs_mem_free(clone);
}

TEST(wal_sync, costs_one_call_in_the_steady_state_and_none_when_nothing_is_new) {
    append(1);
    assert_int_equal(calls_of_sync(VFS_FAULT_SYNC | VFS_FAULT_SYNC_DIR), 2);
    append(1);
    assert_int_equal(calls_of_sync(VFS_FAULT_SYNC | VFS_FAULT_SYNC_DIR), 1);
    assert_int_equal(calls_of_sync(VFS_FAULT_SYNC | VFS_FAULT_SYNC_DIR), 0);
    uint64_t segment = wal_writer_segment(w);
    while (wal_writer_segment(w) == segment)
        append(1);
    assert_int_equal(calls_of_sync(VFS_FAULT_SYNC), 2); /* the old one's rest and the new one */
    append(1);
    assert_int_equal(calls_of_sync(VFS_FAULT_SYNC | VFS_FAULT_SYNC_DIR), 1);
    wal_writer_stats stats;
    wal_writer_get_stats(w, &stats);
    assert_int_equal(stats.syncs, 4);
}

TEST(wal_sync, a_record_says_what_was_durable_when_it_was_appended) {
    append(2);
    ASSERT_OK(wal_writer_sync(w));
    uint64_t synced = wal_writer_synced(w);
    append(1);
    char path[64];
    uint64_t bytes;
    const uint8_t *file = vfs_mem_contents(disk, log_path(1, path), &bytes);
    for (size_t i = 0; i < 3; i++) {
        uint64_t position = model->at[i].position;
        uint64_t distance = decode_fixed32(file + SEGMENT_HEADER_BYTES + position + 12);
        assert_int_equal(position - distance * 8, i < 2 ? 0 : synced);
    }
}

static void failed_sync_poisons(uint32_t kinds, int error) {
    append(2);
    uint64_t end = wal_writer_end(w);
    vfs_fault_rule rule = {.kinds = kinds, .count = 1, .error = error, .partial = true};
    vfs_fault_set(faults, &rule);
    ASSERT_CODE(wal_writer_sync(w), FIRN_IO_ERROR);
    assert_non_null(strstr(error_detail_get(), "must be reopened"));
    assert_int_equal(wal_writer_synced(w), 0);
    /* The kernel may have dropped the pages: trying again would prove nothing. */
    ASSERT_CODE(wal_writer_sync(w), FIRN_IO_ERROR);
    ASSERT_CODE(log_append(w, &batch, model), FIRN_IO_ERROR);
    assert_int_equal(wal_writer_end(w), end);
    assert_int_equal(vfs_fault_failed(faults), 1);
}

TEST(wal_sync, failed_sync_poisons_instead_of_retrying) {
    failed_sync_poisons(VFS_FAULT_SYNC, EIO);
}
TEST(wal_sync, running_out_of_space_in_a_sync_poisons_too) {
    failed_sync_poisons(VFS_FAULT_SYNC, ENOSPC);
}
TEST(wal_sync, failed_directory_sync_poisons) {
    failed_sync_poisons(VFS_FAULT_SYNC_DIR, EIO);
}

#define RUN_WITH(behaviour) \
    { "wal_sync: " #behaviour, test_wal_sync_##behaviour, set_up, tear_down, NULL }

LOG_TEST_MAIN(RUN_WITH(makes_all_segments_and_their_names_durable),
              RUN_WITH(costs_one_call_in_the_steady_state_and_none_when_nothing_is_new),
              RUN_WITH(a_record_says_what_was_durable_when_it_was_appended),
              RUN_WITH(failed_sync_poisons_instead_of_retrying),
              RUN_WITH(running_out_of_space_in_a_sync_poisons_too),
              RUN_WITH(failed_directory_sync_poisons))
