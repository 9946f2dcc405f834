/* The numbers of firn_get_stats say what happened. */
#include <string.h>

#include "integration/db_fixture.h"

TEST(stats, count_operations_and_bytes) {
    char *dir = test_dir_new();
    firn_db *db = open_db(dir, NULL);
    firn_batch *batch;
    firn_value value;
    put_text(db, "a", "123");
    put_text(db, "b", "4567");
    delete_text(db, "a");
    ASSERT_FIRN_OK(firn_batch_new(&batch));
    ASSERT_FIRN_OK(firn_batch_put(batch, FIRN_STR("c"), FIRN_STR("89")));
    ASSERT_FIRN_OK(firn_write(db, NULL, batch));
    firn_batch_free(batch);
    ASSERT_FIRN_OK(firn_get(db, NULL, FIRN_STR("b"), &value));
    firn_value_release(&value);
    ASSERT_FIRN(firn_get(db, NULL, FIRN_STR("zz"), &value), FIRN_NOT_FOUND);
    firn_iter *it;
    ASSERT_FIRN_OK(firn_iter_new(db, NULL, &it));
    firn_iter_seek_first(it);
    firn_stats s = stats_of(db);
    assert_int_equal(s.puts, 2);
    assert_int_equal(s.deletes, 1);
    assert_int_equal(s.gets, 2);
    assert_int_equal(s.gets_found, 1);
    assert_int_equal(s.seeks, 1);
    assert_int_equal(s.iterators, 1);
    assert_int_equal(s.user_bytes_written, 4 + 5 + 1 + 3);
    assert_int_equal(s.last_sequence, 4);
    assert_int_equal(s.memtable_entries, 4);
    assert_true(s.memtable_bytes > 0 && s.log_bytes_written > 0 && s.commit_groups > 0);
    assert_int_equal(s.log_files, 1);
    firn_iter_free(it);
    close_db(db);
    test_dir_remove(dir);
}

TEST(stats, levels_add_up) {
    char *dir = test_dir_new();
    firn_options options = small_options();
    options.table_io = FIRN_TABLE_IO_PREAD; /* mapped tables leave the block cache alone */
    firn_db *db = open_db(dir, &options);
    put_range(db, 0, 5000, 100, 1);
    for (uint64_t i = 0; i < 100; i++)
        delete_text(db, numbered_key(i));
    ASSERT_FIRN_OK(firn_flush(db));
    ASSERT_FIRN_OK(firn_wait_idle(db));
    firn_stats s = stats_of(db);
    uint64_t files = 0, bytes = 0, entries = 0;
    for (uint32_t i = 0; i < s.level_count; i++) {
        files += s.levels[i].files;
        bytes += s.levels[i].bytes;
        entries += s.levels[i].entries;
    }
    assert_int_equal(files, s.table_files);
    assert_int_equal(bytes, s.table_bytes);
    assert_in_range(entries, 4900, 5100);
    assert_int_equal(s.memtable_entries, 0);
    assert_int_equal(s.sealed_memtables, 0);
    assert_true(s.flushes > 0 && s.flush_bytes > 0);
    assert_true(s.compactions + s.trivial_moves > 0);
    expect_range(db, NULL, 100, 200, 100, 1);
    assert_true(stats_of(db).filter_checked > 0);
    expect_text(db, NULL, "key-000100x", NULL);
    expect_text(db, NULL, "key-004000x", NULL);
    assert_true(stats_of(db).filter_useful > 0);
    assert_true(stats_of(db).cache_hits + stats_of(db).cache_misses > 0);
    close_db(db);
    db = open_db(dir, &options);
    s = stats_of(db);
    assert_int_equal(s.table_files, files);
    assert_int_equal(s.puts, 0); /* counters begin anew */
    close_db(db);
    test_dir_remove(dir);
}

TEST(stats, the_size_field_is_honoured) {
    char *dir = test_dir_new();
    firn_db *db = open_db(dir, NULL);
    firn_stats s;
    memset(&s, 0xee, sizeof s);
    s.size = 0;
    ASSERT_FIRN(firn_get_stats(db, &s), FIRN_INVALID_ARGUMENT);
    s.size = sizeof s + 1;
    ASSERT_FIRN(firn_get_stats(db, &s), FIRN_INVALID_ARGUMENT);
    s.size = offsetof(firn_stats, memtable_bytes);
    ASSERT_FIRN_OK(firn_get_stats(db, &s));
    assert_int_equal(s.size, offsetof(firn_stats, memtable_bytes));
    assert_int_equal(s.last_sequence, 0);
    assert_int_equal(s.memtable_bytes, 0xeeeeeeeeeeeeeeeeu); /* an older caller's memory */
    close_db(db);
    test_dir_remove(dir);
}

TEST(stats, memory_of_flushed_memtables_is_told_apart) {
    char *dir = test_dir_new();
    firn_options options = small_options();
    options.memtable_bytes = 1 << 20;
    firn_db *db = open_db(dir, &options);
    firn_iter *it;
    put_range(db, 0, 2000, 100, 1);
    uint64_t bytes = stats_of(db).memtable_bytes;
    assert_int_equal(stats_of(db).memtable_held_bytes, 0);
    ASSERT_FIRN_OK(firn_iter_new(db, NULL, &it));
    firn_iter_seek_first(it);
    ASSERT_FIRN_OK(firn_flush(db));
    ASSERT_FIRN_OK(firn_wait_idle(db));
    firn_stats s = stats_of(db);
    assert_in_range(s.memtable_held_bytes, 2000 * 100, bytes);
    assert_int_equal(s.memtable_spare_bytes, 0);
    firn_iter_free(it);
    s = stats_of(db);
    assert_int_equal(s.memtable_held_bytes, 0);
    assert_in_range(s.memtable_spare_bytes, 2000 * 100, bytes);
    put_range(db, 0, 2000, 100, 2); /* lives in what was spare */
    assert_int_equal(stats_of(db).memtable_spare_bytes, 0);
    assert_int_equal(stats_of(db).readers_inside, 0);
    assert_int_equal(stats_of(db).retired_waiting, 0);
    close_db(db);
    test_dir_remove(dir);
}

TEST_MAIN(RUN(stats, count_operations_and_bytes), RUN(stats, levels_add_up),
          RUN(stats, the_size_field_is_honoured),
          RUN(stats, memory_of_flushed_memtables_is_told_apart))
