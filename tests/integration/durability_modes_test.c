/* What each durability mode has made durable by when, told by a simulated power cut. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "integration/db_fixture.h"
#include "platform/vfs_mem.h"

typedef struct machine {
    vfs_mem *disk;
    firn_options options;
    firn_db *db;
} machine;

static void machine_start(machine *m, firn_durability durability) {
    ASSERT_OK(vfs_mem_new(&m->disk));
    m->options = small_options();
    m->options.vfs = vfs_mem_vfs(m->disk);
    m->options.durability = durability;
    m->db = open_db("/db", &m->options);
}

static void machine_stop(machine *m) {
    close_db(m->db);
    vfs_mem_free(m->disk);
}

/* Opens what the disk would hold after a power cut now, and counts the keys 0 .. n - 1 that are
 * there: always the first ones written, without a gap. */
static uint64_t survivors(machine *m, vfs_mem_crash how, uint64_t written) {
    vfs_mem *after;
    ASSERT_OK(vfs_mem_crash_clone(m->disk, how, 1, &after));
    firn_options options = m->options;
    options.vfs = vfs_mem_vfs(after);
    firn_db *db = open_db("/db", &options);
    uint64_t count = 0;
    for (uint64_t i = 0; i < written; i++) {
        firn_value value;
        firn_status st = firn_get(db, NULL, FIRN_STR(numbered_key(i)), &value);
        firn_value_release(&value);
        if (st == FIRN_OK)
            assert_int_equal(count++, i);
        else
            ASSERT_FIRN(st, FIRN_NOT_FOUND);
    }
    close_db(db);
    vfs_mem_free(after);
    return count;
}

static uint64_t fewest_survivors(machine *m, uint64_t written) {
    uint64_t fewest = written;
    for (int how = VFS_MEM_LOSE_UNSYNCED; how < VFS_MEM_CRASH_COUNT; how++) {
        uint64_t count = survivors(m, (vfs_mem_crash)how, written);
        fewest = count < fewest ? count : fewest;
    }
    return fewest;
}

TEST(durability, every_commit_survives_a_power_cut) {
    machine m;
    machine_start(&m, FIRN_SYNC_EVERY_COMMIT);
    for (uint64_t i = 1; i <= 20; i++) {
        put_range(m.db, i - 1, i, 100, 1);
        assert_int_equal(fewest_survivors(&m, i), i);
    }
    machine_stop(&m);
}

TEST(durability, manual_mode_syncs_only_when_told) {
    machine m;
    machine_start(&m, FIRN_SYNC_MANUAL);
    put_range(m.db, 0, 100, 100, 1);
    assert_int_equal(survivors(&m, VFS_MEM_LOSE_UNSYNCED, 100), 0);
    assert_int_equal(survivors(&m, VFS_MEM_KILL, 100), 100);
    ASSERT_FIRN_OK(firn_sync(m.db));
    assert_int_equal(fewest_survivors(&m, 100), 100);
    put_range(m.db, 100, 150, 100, 1);
    firn_write_options sync = FIRN_WRITE_OPTIONS_INIT;
    sync.sync = FIRN_YES; /* covers what came before, too */
    ASSERT_FIRN_OK(firn_put(m.db, &sync, FIRN_STR(numbered_key(150)), FIRN_STR("v")));
    assert_int_equal(fewest_survivors(&m, 151), 151);
    machine_stop(&m);
}

TEST(durability, an_empty_synced_batch_is_a_sync) {
    machine m;
    firn_batch *batch;
    machine_start(&m, FIRN_SYNC_MANUAL);
    ASSERT_FIRN_OK(firn_batch_new(&batch));
    put_range(m.db, 0, 10, 100, 1);
    ASSERT_FIRN_OK(firn_write(m.db, NULL, batch));
    assert_int_equal(survivors(&m, VFS_MEM_LOSE_UNSYNCED, 10), 0);
    firn_write_options sync = FIRN_WRITE_OPTIONS_INIT;
    sync.sync = FIRN_YES;
    ASSERT_FIRN_OK(firn_write(m.db, &sync, batch));
    assert_int_equal(fewest_survivors(&m, 10), 10);
    firn_batch_free(batch);
    machine_stop(&m);
}

TEST(durability, a_write_may_decline_the_sync_of_its_mode) {
    machine m;
    machine_start(&m, FIRN_SYNC_EVERY_COMMIT);
    firn_write_options lazy = FIRN_WRITE_OPTIONS_INIT;
    lazy.sync = FIRN_NO;
    ASSERT_FIRN_OK(firn_put(m.db, &lazy, FIRN_STR(numbered_key(0)), FIRN_STR("v")));
    assert_int_equal(survivors(&m, VFS_MEM_LOSE_UNSYNCED, 1), 0);
    put_range(m.db, 1, 2, 10, 1);
    assert_int_equal(fewest_survivors(&m, 2), 2);
    machine_stop(&m);
}

TEST(durability, every_bytes_leaves_no_more_than_that_unsynced) {
    machine m;
    machine_start(&m, FIRN_SYNC_EVERY_BYTES);
    close_db(m.db);
    m.options.sync_bytes = 4096;
    m.options.memtable_bytes = 1 << 20; /* no flush hides it */
    m.db = open_db("/db", &m.options);
    for (uint64_t i = 20; i <= 200; i += 20) {
        put_range(m.db, i - 20, i, 1000, 1);
        assert_in_range(survivors(&m, VFS_MEM_LOSE_UNSYNCED, i), i - 5, i);
    }
    machine_stop(&m);
}

TEST(durability, every_commits_leaves_no_more_than_that_unsynced) {
    machine m;
    machine_start(&m, FIRN_SYNC_EVERY_COMMITS);
    close_db(m.db);
    m.options.sync_commits = 10;
    m.db = open_db("/db", &m.options);
    for (uint64_t i = 7; i < 100; i += 7) {
        put_range(m.db, i - 7, i, 10, 1);
        assert_in_range(survivors(&m, VFS_MEM_LOSE_UNSYNCED, i), i / 10 * 10, i);
    }
    machine_stop(&m);
}

TEST(durability, interval_syncs_by_itself) {
    machine m;
    machine_start(&m, FIRN_SYNC_INTERVAL);
    close_db(m.db);
    m.options.sync_interval_ms = 10;
    m.db = open_db("/db", &m.options);
    put_range(m.db, 0, 10, 10, 1);
    uint64_t count = 0;
    for (int tries = 0; tries < 500 && count < 10; tries++) {
        nanosleep(&(struct timespec){0, 10000000}, NULL);
        count = survivors(&m, VFS_MEM_LOSE_UNSYNCED, 10);
    }
    assert_int_equal(count, 10);
    machine_stop(&m);
}

TEST(durability, close_makes_everything_durable_without_a_flush) {
    machine m;
    machine_start(&m, FIRN_SYNC_MANUAL);
    put_range(m.db, 0, 50, 100, 1);
    close_db(m.db);
    assert_int_equal(fewest_survivors(&m, 50), 50);
    m.db = open_db("/db", &m.options);
    assert_int_equal(stats_of(m.db).table_files, 0);
    assert_int_equal(stats_of(m.db).recovered_records, 50);
    machine_stop(&m);
}

TEST_MAIN(RUN(durability, every_commit_survives_a_power_cut),
          RUN(durability, manual_mode_syncs_only_when_told),
          RUN(durability, an_empty_synced_batch_is_a_sync),
          RUN(durability, a_write_may_decline_the_sync_of_its_mode),
          RUN(durability, every_bytes_leaves_no_more_than_that_unsynced),
          RUN(durability, every_commits_leaves_no_more_than_that_unsynced),
          RUN(durability, interval_syncs_by_itself),
          RUN(durability, close_makes_everything_durable_without_a_flush))
