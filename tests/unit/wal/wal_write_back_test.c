#include <errno.h>
#include <stdlib.h>

#include "platform/vfs_fault.h"
#include "wal_fixture.h"

TEST(wal_write_back, what_only_the_page_cache_had_is_durable_afterwards) {
    vfs_mem *disk = log_disk_new(), *clone = NULL;
    const firn_vfs *vfs = vfs_mem_vfs(disk);
    log_entries *model = log_entries_new(), *found = log_entries_new();
    firn_batch batch;
    wal_recovery r;
    rng random;
    rng_init(&random, test_seed());
    batch_init(&batch);
    wal_writer_args writer_args = log_writer_args(vfs);
    wal_writer *w = log_writer_new(&writer_args);
    for (int i = 0; i < 60; i++) {
        log_batch_fill(&batch, &random, 2, 3000);
        ASSERT_OK(log_append(w, &batch, model));
    }
    log_batch_put(&batch, "large", LARGE_VALUE_BYTES + 1, 9);
    ASSERT_OK(log_append(w, &batch, model));
    wal_recovery_args args = log_recovery_args(vfs, found);
    args.floor_position = model->at[30].position;
    args.floor_segment = wal_writer_floor_segment(w, args.floor_position);
    wal_writer_free(w);
    ASSERT_OK(wal_recover(&args, &r));
    assert_int_equal(found->count, 31);
    ASSERT_OK(wal_recovery_write_back(&args, &r));
    wal_recovery_deinit(&r);
    ASSERT_OK(vfs_mem_crash_clone(disk, VFS_MEM_LOSE_UNSYNCED, 1, &clone));
    args.vfs = found->vfs = vfs_mem_vfs(clone);
    found->count = 0;
    args.clean_end = model->at[60].position;
    ASSERT_OK(wal_recover(&args, &r));
    assert_int_equal(found->count, 31);
    assert_int_equal(found->at[30].digest, model->at[60].digest);
    wal_recovery_deinit(&r);
    batch_deinit(&batch);
    free(model);
    free(found);
    vfs_mem_free(clone);
    vfs_mem_free(disk);
}

TEST(wal_write_back, any_failing_call_is_reported) {
    vfs_mem *disk = log_disk_new();
    vfs_fault *faults = NULL;
    log_entries *model = log_entries_new(), *found = log_entries_new();
    firn_batch batch;
    wal_recovery r;
    ASSERT_OK(vfs_fault_new(vfs_mem_vfs(disk), &faults));
    batch_init(&batch);
    wal_writer_args writer_args = log_writer_args(vfs_fault_vfs(faults));
    wal_writer *w = log_writer_new(&writer_args);
    log_batch_put(&batch, "key", 3000, 9);
    for (int i = 0; i < 5; i++)
        ASSERT_OK(log_append(w, &batch, model));
    wal_writer_free(w);
    wal_recovery_args args = log_recovery_args(vfs_fault_vfs(faults), found);
    ASSERT_OK(wal_recover(&args, &r));
    for (uint64_t after = 0;; after++) {
        vfs_fault_rule rule = {.kinds = VFS_FAULT_ANY, .after = after, .count = 1, .error = EIO};
        vfs_fault_set(faults, &rule);
        status st = wal_recovery_write_back(&args, &r);
        bool failed = vfs_fault_failed(faults) > 0;
        vfs_fault_set(faults, NULL);
        assert_int_equal(st.code, failed ? FIRN_IO_ERROR : FIRN_OK);
        if (!failed) {
            assert_true(after > 5);
            break;
        }
    }
    wal_recovery_deinit(&r);
    batch_deinit(&batch);
    free(model);
    free(found);
    vfs_fault_free(faults);
    vfs_mem_free(disk);
}

LOG_TEST_MAIN(RUN(wal_write_back, what_only_the_page_cache_had_is_durable_afterwards),
              RUN(wal_write_back, any_failing_call_is_reported))
