/* Released segments become new ones. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "platform/vfs_fault.h"
#include "record/record.h"
#include "wal/wal_reader.h"
#include "wal_fixture.h"

enum { SEGMENT_BYTES = 8192 };

static vfs_mem *disk;
static vfs_fault *faults;
static log_entries *model, *found;
static firn_batch batch;
static wal_writer *w;
static unsigned asked; /* for the next segment to be made ahead */

static void ask(void *context) {
    ++*(unsigned *)context;
}

static int set_up(void **state) {
    (void)state;
    disk = log_disk_new();
    ASSERT_OK(vfs_fault_new(vfs_mem_vfs(disk), &faults));
    model = log_entries_new();
    found = log_entries_new();
    batch_init(&batch);
    log_batch_put(&batch, "key", 2100, 1);
    wal_writer_args args = log_writer_args(vfs_fault_vfs(faults));
    args.segment_bytes_max = SEGMENT_BYTES;
    args.spares_max = 2;
    args.want_ahead = ask;
    args.context = &asked;
    asked = 0;
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

/* One record fills a segment. */
static void append(int count) {
    for (int i = 0; i < count; i++)
        ASSERT_OK(log_append(w, &batch, model));
}

static wal_writer_stats stats(void) {
    wal_writer_stats s;
    wal_writer_get_stats(w, &s);
    return s;
}

static bool is_there(uint64_t number) {
    char path[64];
    uint64_t bytes;
    return vfs_mem_contents(disk, log_path(number, path), &bytes) != NULL;
}

/* What a crash of `mode` leaves of the log from segment `floor` on. */
static size_t survivors(vfs_mem_crash mode, uint64_t floor) {
    vfs_mem *clone = NULL;
    wal_recovery r;
    ASSERT_OK(vfs_mem_crash_clone(disk, mode, 3, &clone));
    found->count = 0;
    wal_recovery_args args = log_recovery_args(vfs_mem_vfs(clone), found);
    args.floor_segment = floor;
    args.floor_position = model->at[floor - 1].position;
    ASSERT_OK(wal_recover(&args, &r));
    wal_recovery_deinit(&r);
    vfs_mem_free(clone);
    return found->count;
}

TEST(wal_recycle, released_segments_become_the_next_ones_under_a_new_epoch) {
    wal_reader r = {0};
    char path[64];
    bool missing;
    append(3);
    ASSERT_OK(wal_writer_sync(w));
    ASSERT_OK(wal_reader_open(&r, vfs_mem_vfs(disk), log_path(2, path), &missing));
    uint64_t epoch = r.header.epoch;
    wal_writer_release(w, 3);
    assert_int_equal(stats().spares, 2);
    assert_int_equal(stats().segments, 1);
    assert_int_equal(stats().live_bytes, 3 * SEGMENT_BYTES); /* what is kept takes space */
    /* What is kept stays mapped. */
    assert_int_equal(stats().mapped_bytes, log_fixture_io == WAL_IO_MAPPED ? 3 * SEGMENT_BYTES : 0);
    assert_true(is_there(1) && is_there(2));
    append(2);
    assert_int_equal(stats().spares, 0);
    assert_int_equal(stats().recycled_segments, 2);
    assert_true(!is_there(1) && !is_there(2) && is_there(4) && is_there(5));
    bool unchanged = true;
    ASSERT_OK(wal_reader_is_unchanged(&r, &unchanged));
    assert_false(unchanged); /* who reads the old segment finds out */
    assert_true(epoch != 0);
    wal_reader_deinit(&r);
    assert_int_equal(survivors(VFS_MEM_KILL, 3), 3);
    ASSERT_OK(wal_writer_sync(w));
    assert_int_equal(survivors(VFS_MEM_LOSE_UNSYNCED, 3), 3);
}

TEST(wal_recycle, records_of_a_file_s_former_life_never_count) {
    append(2);
    wal_writer_release(w, 2);
    log_batch_put(&batch, "k", 10, 2); /* small: the old record reaches far behind it */
    append(5);
    assert_int_equal(stats().recycled_segments, 0);
    log_batch_put(&batch, "key", 2100, 1);
    append(1);
    assert_int_equal(stats().recycled_segments, 1);
    for (vfs_mem_crash mode = 0; mode < VFS_MEM_CRASH_COUNT; mode++)
        assert_true(survivors(mode, 2) <= 7);
    assert_int_equal(survivors(VFS_MEM_KILL, 2), 7);
}

TEST(wal_recycle, a_new_name_that_was_not_synced_takes_only_what_was_not_synced) {
    append(2);
    ASSERT_OK(wal_writer_sync(w));
    wal_writer_release(w, 2);
    append(1);
    assert_int_equal(stats().recycled_segments, 1);
    assert_int_equal(survivors(VFS_MEM_DATA_BEFORE_NAMES, 2), 1);
    assert_int_equal(survivors(VFS_MEM_NAMES_BEFORE_DATA, 2), 1);
    assert_int_equal(survivors(VFS_MEM_LOSE_UNSYNCED, 2), 1);
    ASSERT_OK(wal_writer_sync(w));
    assert_int_equal(survivors(VFS_MEM_LOSE_UNSYNCED, 2), 2);
}

TEST(wal_recycle, no_more_than_asked_for_are_kept_and_none_after_the_end) {
    append(6);
    wal_writer_release(w, 6);
    assert_int_equal(stats().spares, 2);
    assert_true(is_there(1) && is_there(2) && !is_there(3) && !is_there(5) && is_there(6));
    wal_writer_drop_spares(w); /* when space is short */
    assert_true(!is_there(1) && !is_there(2) && is_there(6));
    assert_int_equal(stats().live_bytes, SEGMENT_BYTES);
    append(2);
    wal_writer_release(w, 8);
    assert_int_equal(stats().spares, 2);
    wal_writer_free(w);
    w = NULL;
    assert_true(!is_there(6) && !is_there(7) && is_there(8));
}

TEST(wal_recycle, what_is_kept_gives_way_to_a_record_that_does_not_fit_it) {
    append(4);
    wal_writer_release(w, 4);
    assert_int_equal(stats().spares, 2);
    vfs_mem_set_capacity(disk, 4 * SEGMENT_BYTES); /* two kept, the current one and another */
    log_batch_put(&batch, "key", 2 * SEGMENT_BYTES, 1);
    append(1);
    assert_int_equal(stats().spares, 0);
    assert_true(!is_there(2) && !is_there(3) && is_there(5));
    assert_int_equal(survivors(VFS_MEM_KILL, 4), 2);
}

TEST(wal_recycle, a_file_that_holds_large_values_is_not_written_over) {
    uint8_t *large = calloc(1, LARGE_VALUE_BYTES);
    assert_non_null(large);
    batch_clear(&batch);
    ASSERT_OK(
        batch_put(&batch, 0, slice_from_string("large"), slice_of(large, LARGE_VALUE_BYTES), true));
    free(large);
    append(1);
    log_batch_put(&batch, "key", 2100, 1);
    append(2);
    wal_writer_release(w, 3);
    assert_int_equal(stats().spares, 1);
    assert_true(!is_there(1) && is_there(2));
}

TEST(wal_recycle, where_renaming_fails_a_fresh_file_is_made) {
    append(2);
    wal_writer_release(w, 2);
    vfs_fault_set(faults, &(vfs_fault_rule){.kinds = VFS_FAULT_RENAME, .count = 1, .error = EIO});
    append(1);
    vfs_fault_set(faults, NULL);
    assert_int_equal(stats().recycled_segments, 0);
    assert_int_equal(stats().spares, 0);
    assert_true(!is_there(1) && is_there(3));
    ASSERT_OK(wal_writer_sync(w));
    assert_int_equal(survivors(VFS_MEM_LOSE_UNSYNCED, 2), 2);
}

/* It has no segment's number. */
static bool is_made_ahead(void) {
    return is_there(0);
}

TEST(wal_recycle, the_next_segment_is_made_ahead_when_the_current_one_is_nearly_full) {
    log_batch_put(&batch, "key", 100, 1);
    append(1);
    assert_int_equal(asked, 0);
    assert_false(wal_writer_prepare(w));
    log_batch_put(&batch, "key", 2100, 1);
    append(1);
    assert_int_equal(asked, 1);
    assert_true(wal_writer_prepare(w));
    assert_true(is_made_ahead());
    assert_int_equal(stats().spares, 1);
    assert_int_equal(stats().live_bytes, 2 * SEGMENT_BYTES);
    assert_false(wal_writer_prepare(w)); /* never more than one */
    vfs_fault_set(faults, &(vfs_fault_rule){.kinds = VFS_FAULT_RESERVE | VFS_FAULT_MAP,
                                            .count = UINT64_MAX,
                                            .error = EIO});
    append(1); /* needs nothing of this any more */
    vfs_fault_set(faults, NULL);
    assert_true(is_there(2) && !is_made_ahead());
    assert_int_equal(stats().prepared_segments, 1);
    assert_int_equal(stats().recycled_segments, 0);
    assert_int_equal(survivors(VFS_MEM_KILL, 1), 3);
    ASSERT_OK(wal_writer_sync(w));
    assert_int_equal(survivors(VFS_MEM_LOSE_UNSYNCED, 1), 3);
    assert_int_equal(survivors(VFS_MEM_NAMES_BEFORE_DATA, 1), 3);
}

TEST(wal_recycle, nothing_is_made_ahead_where_something_is_kept) {
    append(2);
    assert_int_equal(asked, 2);
    wal_writer_release(w, 2);
    append(1);
    assert_int_equal(stats().recycled_segments, 1);
    assert_int_equal(asked, 3);
    wal_writer_release(w, 3);
    assert_false(wal_writer_prepare(w)); /* there is one by now */
    append(1);
    wal_writer_release(w, 4);
    log_batch_put(&batch, "key", 10, 1);
    append(1);
    assert_int_equal(asked, 4);
}

TEST(wal_recycle, what_was_made_ahead_goes_when_space_is_short_and_at_the_end) {
    append(1);
    assert_true(wal_writer_prepare(w));
    assert_true(wal_writer_drop_spares(w));
    assert_false(is_made_ahead());
    append(1);
    wal_writer_drop_spares(w); /* what was only asked for is not made either */
    assert_false(wal_writer_prepare(w));
    append(1);
    assert_true(wal_writer_prepare(w));
    assert_true(is_made_ahead());
    wal_writer_free(w);
    w = NULL;
    assert_false(is_made_ahead());
    assert_true(is_there(3));
}

TEST(wal_recycle, what_a_killed_process_had_made_ahead_is_nothing_and_goes) {
    append(1);
    assert_true(wal_writer_prepare(w));
    vfs_mem *clone = NULL;
    wal_recovery r;
    ASSERT_OK(vfs_mem_crash_clone(disk, VFS_MEM_KILL, 3, &clone));
    log_recover(vfs_mem_vfs(clone), found, &r);
    log_assert_equal(found, model);
    assert_int_equal(r.next_segment, 2);
    assert_int_equal(r.dead_count, 1);
    assert_int_equal(r.dead[0], 0);
    wal_recovery_deinit(&r);
    vfs_mem_free(clone);
}

TEST(wal_recycle, a_segment_that_cannot_be_made_ahead_is_made_by_the_append) {
    for (int kind = 0; kind < 3; kind++) {
        static const unsigned kinds[] = {VFS_FAULT_OPEN, VFS_FAULT_RESERVE, VFS_FAULT_RENAME};
        append(1);
        vfs_fault_set(faults, &(vfs_fault_rule){.kinds = kinds[kind],
                                                .count = 1,
                                                .error = kind ? ENOSPC : EIO});
        assert_true(wal_writer_prepare(w));
        uint64_t next = wal_writer_segment(w) + 1;
        assert_int_equal(stats().spares, kinds[kind] == VFS_FAULT_RENAME);
        log_batch_put(&batch, "key", 2101, 1);
        append(1);
        vfs_fault_set(faults, NULL);
        assert_true(is_there(next) && !is_made_ahead());
        assert_int_equal(stats().prepared_segments, 0);
    }
    assert_int_equal(survivors(VFS_MEM_KILL, 1), 6);
}

TEST(wal_recycle, where_mapping_fails_records_are_written) {
    vfs_fault_set(faults,
                  &(vfs_fault_rule){.kinds = VFS_FAULT_MAP, .count = UINT64_MAX, .error = ENOMEM});
    append(3);
    assert_int_equal(stats().append_runs, 3);
    ASSERT_OK(wal_writer_sync(w));
    assert_int_equal(survivors(VFS_MEM_LOSE_UNSYNCED, 1), 3);
}

TEST(wal_recycle, a_log_cut_short_under_the_writer_is_an_error_that_stays) {
    char *dir = test_dir_new();
    wal_writer_args args = log_writer_args(firn_vfs_default());
    args.directory = dir;
    args.segment_bytes_first = args.segment_bytes_max = 1 << 20;
    wal_writer *real = log_writer_new(&args);
    batch_view view = batch_get_view(&batch);
    slice ops;
    ASSERT_OK(wal_writer_append(real, 1, &view, 1, &ops));
    assert_int_equal(truncate(test_path(dir, "000001.wal"), 0), 0);
    if (log_fixture_io == WAL_IO_MAPPED) {
        ASSERT_CODE(wal_writer_append(real, 2, &view, 1, &ops), FIRN_IO_ERROR);
        assert_non_null(strstr(error_detail_get(), "000001.wal' through its mapping"));
        ASSERT_CODE(wal_writer_append(real, 2, &view, 1, &ops), FIRN_IO_ERROR);
        ASSERT_CODE(wal_writer_sync(real), FIRN_IO_ERROR);
    }
    wal_writer_free(real);
    test_dir_remove(dir);
}

#define RUN_WITH(behaviour) \
    { "wal_recycle: " #behaviour, test_wal_recycle_##behaviour, set_up, tear_down, NULL }

LOG_TEST_MAIN(RUN_WITH(released_segments_become_the_next_ones_under_a_new_epoch),
              RUN_WITH(records_of_a_file_s_former_life_never_count),
              RUN_WITH(a_new_name_that_was_not_synced_takes_only_what_was_not_synced),
              RUN_WITH(no_more_than_asked_for_are_kept_and_none_after_the_end),
              RUN_WITH(what_is_kept_gives_way_to_a_record_that_does_not_fit_it),
              RUN_WITH(a_file_that_holds_large_values_is_not_written_over),
              RUN_WITH(where_renaming_fails_a_fresh_file_is_made),
              RUN_WITH(the_next_segment_is_made_ahead_when_the_current_one_is_nearly_full),
              RUN_WITH(nothing_is_made_ahead_where_something_is_kept),
              RUN_WITH(what_was_made_ahead_goes_when_space_is_short_and_at_the_end),
              RUN_WITH(what_a_killed_process_had_made_ahead_is_nothing_and_goes),
              RUN_WITH(a_segment_that_cannot_be_made_ahead_is_made_by_the_append),
              RUN_WITH(where_mapping_fails_records_are_written),
              RUN_WITH(a_log_cut_short_under_the_writer_is_an_error_that_stays))
