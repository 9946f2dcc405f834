#include "wal/wal_writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "platform/memory.h"
#include "platform/vfs_fault.h"
#include "record/record.h"
#include "util/coding.h"
#include "wal_fixture.h"

enum { DISK_PAGE_BYTES = 4096 }; /* of the simulated disk */

static vfs_mem *disk;
static const firn_vfs *vfs;
static vfs_fault *faults;
static log_entries *model, *found;
static firn_batch batch;

static int set_up(void **state) {
    (void)state;
    disk = log_disk_new();
    ASSERT_OK(vfs_fault_new(vfs_mem_vfs(disk), &faults));
    vfs = vfs_fault_vfs(faults);
    model = log_entries_new();
    found = log_entries_new();
    batch_init(&batch);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    batch_deinit(&batch);
    free(model);
    free(found);
    vfs_fault_free(faults);
    vfs_mem_free(disk);
    return 0;
}

static uint64_t file_bytes(uint64_t number) {
    char path[64];
    uint64_t bytes = 0;
    return vfs_mem_contents(disk, log_path(number, path), &bytes) ? bytes : 0;
}

static void expect_log(void) {
    wal_recovery r;
    log_recover(vfs_mem_vfs(disk), found, &r);
    log_assert_equal(found, model);
    wal_recovery_deinit(&r);
}

TEST(wal_writer, creates_no_file_before_the_first_append) {
    wal_writer_args args = log_writer_args(vfs);
    wal_writer *w = log_writer_new(&args);
    assert_int_equal(wal_writer_segment(w), 1);
    assert_int_equal(wal_writer_floor_segment(w, 0), 1);
    ASSERT_OK(wal_writer_sync(w));
    wal_writer_free(w);
    assert_int_equal(file_bytes(1), 0);
}

TEST(wal_writer, batches_of_all_sizes_round_trip) {
    rng r;
    rng_init(&r, test_seed());
    wal_writer_args args = log_writer_args(vfs);
    wal_writer *w = log_writer_new(&args);
    for (int i = 0; i < 400; i++) {
        size_t value_max = (size_t)1 << rng_below(&r, 16);
        log_batch_fill(&batch, &r, 1 + (uint32_t)rng_below(&r, 20), value_max);
        ASSERT_OK(log_append(w, &batch, model));
    }
    expect_log();
    wal_writer_free(w);
    expect_log();
}

TEST(wal_writer, a_group_spreads_over_segments_and_hands_out_its_operations) {
    enum { GROUP = 40 };
    rng r;
    rng_init(&r, test_seed());
    wal_writer_args args = log_writer_args(vfs);
    wal_writer *w = log_writer_new(&args);
    firn_batch group[GROUP];
    batch_view views[GROUP];
    slice ops[GROUP];
    for (int round = 0; round < 10; round++) {
        seqno first = log_next_sequence(model);
        for (int i = 0; i < GROUP; i++) {
            batch_init(&group[i]);
            log_batch_fill(&group[i], &r, 1 + (uint32_t)rng_below(&r, 3),
                           rng_below(&r, 10) == 0 ? 40000 : 600);
            views[i] = batch_get_view(&group[i]);
        }
        ASSERT_OK(wal_writer_append(w, first, views, GROUP, ops));
        for (int i = 0; i < GROUP; i++) {
            assert_int_equal(ops[i].size, views[i].ops.size);
            assert_memory_equal(ops[i].data, views[i].ops.data, ops[i].size);
            model->at[model->count] = log_entry_of(&group[i], log_next_sequence(model));
            model->count++;
            batch_deinit(&group[i]);
        }
    }
    assert_true(wal_writer_segment(w) > 10);
    wal_recovery rec;
    log_recover(vfs_mem_vfs(disk), found, &rec);
    assert_int_equal(found->count, model->count);
    for (size_t i = 0; i < model->count; i++) {
        assert_int_equal(found->at[i].first_sequence, model->at[i].first_sequence);
        assert_int_equal(found->at[i].digest, model->at[i].digest);
    }
    assert_int_equal(rec.end_position, wal_writer_end(w));
    assert_int_equal(rec.last_sequence, log_next_sequence(model) - 1);
    wal_recovery_deinit(&rec);
    wal_writer_free(w);
}

TEST(wal_writer, segments_double_and_an_oversize_record_gets_its_exact_size) {
    wal_writer_args args = log_writer_args(vfs);
    args.segment_bytes_first = 16384;
    args.segment_bytes_max = 65536;
    wal_writer *w = log_writer_new(&args);
    log_batch_put(&batch, "k", 9000, 1);
    ASSERT_OK(log_append(w, &batch, model));
    assert_int_equal(file_bytes(1), 16384);
    ASSERT_OK(log_append(w, &batch, model));
    assert_int_equal(file_bytes(2), 32768);
    log_batch_put(&batch, "k", 200000, 1);
    ASSERT_OK(log_append(w, &batch, model));
    batch_view view = batch_get_view(&batch);
    assert_int_equal(file_bytes(3), SEGMENT_HEADER_BYTES + record_padded_bytes(1 + view.ops.size));
    log_batch_put(&batch, "k", 9000, 1);
    for (int i = 0; i < 20; i++)
        ASSERT_OK(log_append(w, &batch, model));
    assert_int_equal(file_bytes(4), 65536);
    assert_int_equal(file_bytes(5), 65536);
    expect_log();
    wal_writer_free(w);
    /* The last one was cut to what it holds. */
    assert_true(file_bytes(7) > 0 && file_bytes(7) < 65536);
    expect_log();
}

TEST(wal_writer, steady_appends_allocate_nothing_and_write_once_or_not_at_all) {
    wal_writer_args args = log_writer_args(vfs_mem_vfs(disk));
    args.segment_bytes_first = args.segment_bytes_max = 1 << 20;
    char *directory = test_dir_new();
    args.vfs = firn_vfs_default();
    args.directory = directory;
    wal_writer *w = log_writer_new(&args);
    log_batch_put(&batch, "0123456789abcdef", 100, 7);
    batch_view view = batch_get_view(&batch);
    slice ops;
    ASSERT_OK(wal_writer_append(w, 1, &view, 1, &ops));
    uint64_t allocations = memory_allocation_count();
    wal_writer_stats before, after;
    wal_writer_get_stats(w, &before);
    for (seqno s = 2; s < 1002; s++)
        ASSERT_OK(wal_writer_append(w, s, &view, 1, &ops));
    wal_writer_get_stats(w, &after);
    assert_int_equal(memory_allocation_count(), allocations);
    assert_int_equal(after.append_runs - before.append_runs,
                     log_fixture_io == WAL_IO_MAPPED ? 0 : 1000);
    wal_writer_free(w);
    test_dir_remove(directory);
}

TEST(wal_writer, a_put_costs_22_bytes_over_key_and_value) {
    wal_writer_args args = log_writer_args(vfs);
    wal_writer *w = log_writer_new(&args);
    log_batch_put(&batch, "0123456789abcdef", 106, 7);
    ASSERT_OK(log_append(w, &batch, model));
    assert_int_equal(wal_writer_end(w), 16 + 106 + 22);
    wal_writer_free(w);
}

TEST(wal_writer, sequences_far_from_the_segments_first_start_a_new_one) {
    wal_writer_args args = log_writer_args(vfs);
    wal_writer *w = log_writer_new(&args);
    slice ops;
    log_batch_put(&batch, "k", 10, 1);
    batch_view view = batch_get_view(&batch);
    seqno at[] = {1, 1ull << 32, (1ull << 32) + 1, 1ull << 40};
    uint64_t segment[] = {1, 1, 2, 3};
    for (size_t i = 0; i < 4; i++) {
        ASSERT_OK(wal_writer_append(w, at[i], &view, 1, &ops));
        assert_int_equal(wal_writer_segment(w), segment[i]);
    }
    wal_recovery r;
    log_recover(vfs_mem_vfs(disk), found, &r);
    assert_int_equal(found->count, 4);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(found->at[i].first_sequence, at[i]);
    wal_recovery_deinit(&r);
    wal_writer_free(w);
}

TEST(wal_writer, no_space_for_the_next_segment_leaves_no_trace) {
    enum { GROUP = 8 };
    firn_batch group[GROUP];
    batch_view views[GROUP];
    slice ops[GROUP];
    wal_writer_args args = log_writer_args(vfs);
    wal_writer *w = log_writer_new(&args);
    log_batch_put(&batch, "small", 100, 1);
    ASSERT_OK(log_append(w, &batch, model));
    for (int i = 0; i < GROUP; i++) {
        batch_init(&group[i]);
        log_batch_put(&group[i], "group", 1500, (uint8_t)i);
        views[i] = batch_get_view(&group[i]);
    }
    uint64_t end = wal_writer_end(w), hash = vfs_mem_hash(disk);
    vfs_fault_rule rule = {.kinds = VFS_FAULT_RESERVE, .count = UINT64_MAX, .error = ENOSPC};
    vfs_fault_set(faults, &rule);
    ASSERT_CODE(wal_writer_append(w, 2, views, GROUP, ops), FIRN_NO_SPACE);
    assert_false(slice_is_set(ops[0]));
    assert_int_equal(wal_writer_end(w), end);
    assert_int_equal(wal_writer_segment(w), 1);
    assert_int_equal(vfs_mem_hash(disk), hash);
    /* What still fits goes on where it would have. */
    ASSERT_OK(log_append(w, &batch, model));
    assert_int_equal(wal_writer_segment(w), 1);
    vfs_fault_set(faults, NULL);
    ASSERT_OK(wal_writer_append(w, 3, views, GROUP, ops));
    ASSERT_OK(wal_writer_sync(w));
    wal_recovery r;
    log_recover(vfs_mem_vfs(disk), found, &r);
    assert_int_equal(found->count, 2 + GROUP);
    wal_recovery_deinit(&r);
    for (int i = 0; i < GROUP; i++)
        batch_deinit(&group[i]);
    wal_writer_free(w);
}

/* On a file system that copies on write, even reserved space can run out. */
TEST(wal_writer, no_space_in_the_middle_of_a_group_counts_none_of_it) {
    enum { GROUP = 12 };
    firn_batch group[GROUP];
    batch_view views[GROUP];
    slice ops[GROUP];
    for (int i = 0; i < GROUP; i++) {
        batch_init(&group[i]);
        log_batch_put(&group[i], "group", 1500, (uint8_t)i);
        views[i] = batch_get_view(&group[i]);
    }
    for (uint64_t good_writes = 0;; good_writes++) {
        tear_down(state);
        set_up(state);
        wal_writer_args args = log_writer_args(vfs);
        wal_writer *w = log_writer_new(&args);
        log_batch_put(&batch, "first", 100, 1);
        ASSERT_OK(log_append(w, &batch, model));
        ASSERT_OK(log_append(w, &batch, model));
        vfs_fault_rule rule = {.kinds = VFS_FAULT_WRITE,
                               .after = good_writes,
                               .count = 1,
                               .error = ENOSPC,
                               .partial = true};
        vfs_fault_set(faults, &rule);
        status st = wal_writer_append(w, 3, views, GROUP, ops);
        vfs_fault_set(faults, NULL);
        if (status_is_ok(st)) {
            assert_true(good_writes >= 2);
            wal_writer_free(w);
            break;
        }
        assert_int_equal(st.code, FIRN_NO_SPACE);
        assert_int_equal(wal_writer_segment(w), 2);
        assert_int_equal(file_bytes(2), 0);
        expect_log();
        /* The same sizes once more, so that leftovers would line up. */
        log_batch_put(&batch, "after", 1500, 99);
        for (int i = 0; i < 6; i++)
            ASSERT_OK(log_append(w, &batch, model));
        ASSERT_OK(wal_writer_sync(w));
        expect_log();
        for (int mode = 0; mode < VFS_MEM_CRASH_COUNT; mode++) {
            vfs_mem *clone = NULL;
            wal_recovery r;
            ASSERT_OK(vfs_mem_crash_clone(disk, (vfs_mem_crash)mode, good_writes, &clone));
            log_recover(vfs_mem_vfs(clone), found, &r);
            log_assert_equal(found, model);
            wal_recovery_deinit(&r);
            vfs_mem_free(clone);
        }
        wal_writer_free(w);
        expect_log();
    }
    for (int i = 0; i < GROUP; i++)
        batch_deinit(&group[i]);
}

TEST(wal_writer, a_full_disk_recovers_by_itself) {
    wal_writer_args args = log_writer_args(vfs);
    wal_writer *w = log_writer_new(&args);
    log_batch_put(&batch, "key", 1000, 1);
    vfs_mem_set_capacity(disk, 60000);
    status st = STATUS_OK;
    while (status_is_ok(st))
        st = log_append(w, &batch, model);
    assert_int_equal(st.code, FIRN_NO_SPACE);
    ASSERT_CODE(log_append(w, &batch, model), FIRN_NO_SPACE);
    ASSERT_OK(wal_writer_sync(w));
    expect_log();
    vfs_mem_set_capacity(disk, UINT64_MAX);
    for (int i = 0; i < 20; i++)
        ASSERT_OK(log_append(w, &batch, model));
    expect_log();
    wal_writer_free(w);
}

TEST(wal_writer, where_space_is_short_segments_shrink_and_grow_again_later) {
    wal_writer_args args = log_writer_args(vfs);
    args.segment_bytes_first = args.segment_bytes_max = 65536;
    wal_writer *w = log_writer_new(&args);
    log_batch_put(&batch, "k", 9000, 1);
    ASSERT_OK(log_append(w, &batch, model));
    assert_int_equal(file_bytes(1), 65536);
    vfs_fault_rule rule = {.kinds = VFS_FAULT_RESERVE, .count = 2, .error = ENOSPC};
    vfs_fault_set(faults, &rule);
    uint64_t sizes[] = {65536, 16384, 16384, 32768, 65536, 65536};
    while (wal_writer_segment(w) < 6) {
        uint64_t at = wal_writer_segment(w);
        ASSERT_OK(log_append(w, &batch, model));
        if (wal_writer_segment(w) > at)
            assert_int_equal(file_bytes(at + 1), sizes[at]);
    }
    expect_log();
    wal_writer_free(w);
    expect_log();
}

/* What the record needs and no more, and not even that: then it leaves no trace. */
TEST(wal_writer, a_segment_is_made_as_long_as_the_record_fits_the_disk) {
    wal_writer_args args = log_writer_args(vfs);
    args.segment_bytes_first = args.segment_bytes_max = 131072;
    wal_writer *w = log_writer_new(&args);
    log_batch_put(&batch, "k", 65000, 1);
    ASSERT_OK(log_append(w, &batch, model));
    batch_view view = batch_get_view(&batch);
    uint64_t need = SEGMENT_HEADER_BYTES + record_padded_bytes(1 + view.ops.size);
    uint64_t pages = (need + DISK_PAGE_BYTES - 1) / DISK_PAGE_BYTES, hash = vfs_mem_hash(disk);
    vfs_mem_set_capacity(disk, 131072 + (pages - 1) * DISK_PAGE_BYTES);
    ASSERT_CODE(log_append(w, &batch, model), FIRN_NO_SPACE);
    assert_int_equal(vfs_mem_hash(disk), hash);
    vfs_mem_set_capacity(disk, 131072 + pages * DISK_PAGE_BYTES);
    ASSERT_OK(log_append(w, &batch, model));
    assert_int_equal(file_bytes(2), need);
    expect_log();
    wal_writer_free(w);
}

TEST(wal_writer, a_failed_write_poisons) {
    wal_writer_args args = log_writer_args(vfs);
    args.io =
        WAL_IO_PWRITE; /* a store cannot fail so; wal_recycle_test.c has the fault of a page */
    wal_writer *w = log_writer_new(&args);
    log_batch_put(&batch, "key", 1000, 1);
    ASSERT_OK(log_append(w, &batch, model));
    vfs_fault_rule rule = {.kinds = VFS_FAULT_WRITE, .count = 1, .error = EIO, .partial = true};
    vfs_fault_set(faults, &rule);
    ASSERT_CODE(log_append(w, &batch, model), FIRN_IO_ERROR);
    assert_non_null(strstr(error_detail_get(), "must be reopened"));
    vfs_fault_set(faults, NULL);
    ASSERT_CODE(log_append(w, &batch, model), FIRN_IO_ERROR);
    assert_non_null(strstr(error_detail_get(), "must be reopened"));
    ASSERT_CODE(wal_writer_sync(w), FIRN_IO_ERROR);
    wal_writer_free(w);
    expect_log();
}

TEST(wal_writer, every_allocation_may_fail) {
    char *directory = test_dir_new();
    wal_writer_args args = log_writer_args(firn_vfs_default());
    wal_segment_info older = {.number = 1, .end_position = 80};
    args.directory = directory;
    args.older = &older;
    args.older_count = 1;
    args.next_segment = 2;
    args.position = 80;
    log_batch_put(&batch, "key", 20000, 1);
    batch_view view = batch_get_view(&batch);
    uint64_t blocks = memory_live_count();
    for (uint64_t n = 1;; n++) {
        wal_writer *w = NULL;
        slice ops;
        memory_fail_after(n, false);
        status st = wal_writer_new(&args, &w);
        if (status_is_ok(st))
            st = wal_writer_append(w, 1, &view, 1, &ops);
        memory_fail_after(0, false);
        if (w && !status_is_ok(st)) {
            assert_int_equal(wal_writer_end(w), 80);
            ASSERT_OK(wal_writer_append(w, 1, &view, 1, &ops));
        } else if (!w) {
            assert_int_equal(st.code, FIRN_NO_MEMORY);
        }
        wal_writer_free(w);
        assert_int_equal(memory_live_count(), blocks);
        if (status_is_ok(st))
            break;
    }
    test_dir_remove(directory);
}

#define RUN_WITH(behaviour) \
    { "wal_writer: " #behaviour, test_wal_writer_##behaviour, set_up, tear_down, NULL }

LOG_TEST_MAIN(RUN_WITH(creates_no_file_before_the_first_append),
              RUN_WITH(batches_of_all_sizes_round_trip),
              RUN_WITH(a_group_spreads_over_segments_and_hands_out_its_operations),
              RUN_WITH(segments_double_and_an_oversize_record_gets_its_exact_size),
              RUN_WITH(steady_appends_allocate_nothing_and_write_once_or_not_at_all),
              RUN_WITH(a_put_costs_22_bytes_over_key_and_value),
              RUN_WITH(sequences_far_from_the_segments_first_start_a_new_one),
              RUN_WITH(no_space_for_the_next_segment_leaves_no_trace),
              RUN_WITH(no_space_in_the_middle_of_a_group_counts_none_of_it),
              RUN_WITH(a_full_disk_recovers_by_itself),
              RUN_WITH(where_space_is_short_segments_shrink_and_grow_again_later),
              RUN_WITH(a_segment_is_made_as_long_as_the_record_fits_the_disk),
              RUN_WITH(a_failed_write_poisons), RUN_WITH(every_allocation_may_fail))
