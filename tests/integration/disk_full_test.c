/* The disk is full: by ENOSPC or a quota at every place that writes, and by a file system that
 * really is full. Every time the database answers NO_SPACE, stays readable, and goes on by itself
 * when there is space again. */
#include <errno.h>

#include "base/check.h"
#include "db/db_internal.h"
#include "format/file_name.h"
#include "integration/fault_fixture.h"
#include "lib/test.h"
#include "platform/clock.h"
#include "platform/thread.h"

enum {
    FULL_WRITES = 1000, /* of 10 operations each */
    FULL_OPERATIONS = 10,
    FULL_RUNS = 48,
    FULL_VALUE_BYTES = 3000,
    FULL_SPARE_BYTES = 20000,
    FULL_STEPS_MAX = 400 /* of the clock, until background work tries again */
};

/* Space is back: within a moment, without a reopen, writes work again. */
static void full_check_resumes(fault_fixture *f) {
    status st = STATUS_OK;
    for (int i = 0; i < FULL_STEPS_MAX; i++) {
        st = fault_fixture_try_write(f, 1, FIRN_NO);
        if (status_is_ok(st))
            return;
        assert_int_equal(st.code, FIRN_NO_SPACE);
        (void)db_step(f->db);
    }
    ASSERT_OK(st);
}

/* Any work may be refused, for want of space only. */
static bool full_maintain(fault_fixture *f) {
    status st = STATUS_OK;
    switch (rng_below(&f->random, 40)) {
    case 0:
        st = db_flush(f->db);
        break;
    case 1:
        if (rng_below(&f->random, 3) == 0)
            st = db_compact_range(f->db, SLICE_UNSET, SLICE_UNSET);
        break;
    default:
        (void)db_step(f->db);
        break;
    }
    if (!status_is_ok(st))
        assert_int_equal(st.code, FIRN_NO_SPACE);
    return status_is_ok(st);
}

/* `writes` writes, while the disk fills up and has space again after `patience` refusals. */
static void full_run(fault_fixture *f, unsigned writes, unsigned patience) {
    unsigned refusals = 0;
    for (unsigned i = 0; i < writes; i++) {
        bool did = full_maintain(f);
        status st = fault_fixture_try_write(f, FULL_OPERATIONS, FIRN_NO);
        if (status_is_ok(st) && did)
            continue;
        if (!status_is_ok(st))
            assert_int_equal(st.code, FIRN_NO_SPACE);
        if (refusals == 0)
            fault_fixture_check(f);
        if (++refusals < patience)
            continue;
        fault_fixture_check_crash(f, VFS_MEM_KILL, f->shadow.count);
        vfs_fault_set(f->faults, NULL);
        full_check_resumes(f);
        refusals = 0;
    }
}

/* Of `matched` writes of files, how many may pass before the disk is full. */
static uint64_t full_one_run(uint64_t after, bool partial, bool stays_full) {
    fault_fixture f;
    uint64_t matched;
    vfs_fault_rule rule = {.kinds = VFS_FAULT_WRITE | VFS_FAULT_RESERVE,
                           .after = after,
                           .count = stays_full ? UINT64_MAX : 1,
                           .error = ENOSPC,
                           .partial = partial};
    fault_fixture_init(&f, 7);
    f.config.log_io = FIRN_LOG_IO_PWRITE; /* a mapped log has its space and does not write */
    fault_fixture_create(&f);
    vfs_fault_set(f.faults, &rule);
    full_run(&f, FULL_WRITES, 15);
    matched = vfs_fault_matched(f.faults);
    vfs_fault_set(f.faults, NULL);
    full_check_resumes(&f);
    fault_fixture_check(&f);
    fault_fixture_close(&f);
    fault_fixture_open(&f);
    fault_fixture_check(&f);
    ASSERT_OK(db_flush(f.db));
    ASSERT_OK(db_compact_range(f.db, SLICE_UNSET, SLICE_UNSET));
    fault_fixture_check(&f);
    fault_fixture_deinit(&f);
    return matched;
}

TEST(disk_full, no_write_of_a_run_that_meets_a_full_disk_harms_the_database) {
    uint64_t writes = full_one_run(UINT64_MAX, false, false);
    assert_true(writes > FULL_WRITES);
    print_message("%u operations write to files %llu times; the disk is full at %u of them\n",
                  FULL_WRITES * FULL_OPERATIONS, (unsigned long long)writes, FULL_RUNS);
    for (unsigned i = 0; i < FULL_RUNS; i++)
        (void)full_one_run(i * writes / FULL_RUNS + i % 7, i % 2, i % 3 != 0);
}

/* Each write in turn of the first ones, where new files of every kind are made. */
TEST(disk_full, none_of_the_first_writes_harms_the_database) {
    for (uint64_t after = 0; after < 120; after++) {
        fault_fixture f;
        vfs_fault_rule rule = {.kinds = VFS_FAULT_WRITE | VFS_FAULT_RESERVE,
                               .after = after,
                               .count = 1 + after % 3,
                               .error = after % 2 ? EDQUOT : ENOSPC,
                               .partial = after % 5 == 0};
        fault_fixture_init(&f, after);
        vfs_fault_set(f.faults, &rule);
        while (!f.db || f.shadow.certain_ids < SHADOW_KEYSPACES) {
            status st = f.db ? shadow_make_keyspaces(&f.shadow, f.db)
                             : db_open(FAULT_DIRECTORY, &f.config, &f.db);
            if (!status_is_ok(st))
                assert_int_equal(st.code, FIRN_NO_SPACE);
        }
        full_run(&f, 60, 2);
        vfs_fault_set(f.faults, NULL);
        fault_fixture_check_crash(&f, VFS_MEM_LOSE_UNSYNCED, 0);
        fault_fixture_close(&f);
        fault_fixture_open(&f);
        fault_fixture_check(&f);
        fault_fixture_deinit(&f);
    }
}

static uint64_t full_used_bytes(fault_fixture *f) {
    uint64_t free_bytes;
    vfs_mem_set_capacity(f->disk, 1ull << 40);
    assert_int_equal(vfs_mem_vfs(f->disk)->free_bytes(vfs_mem_vfs(f->disk), FAULT_DIRECTORY,
                                                      &free_bytes),
                     0);
    return (1ull << 40) - free_bytes;
}

/* Writes until nothing goes any more. */
static void full_fill(fault_fixture *f) {
    unsigned refused = 0;
    while (refused < 30) {
        status st = fault_fixture_try_write(f, FULL_OPERATIONS, FIRN_NO);
        if (!status_is_ok(st)) {
            assert_int_equal(st.code, FIRN_NO_SPACE);
            refused++;
        }
        (void)full_maintain(f);
    }
}

TEST(disk_full, a_database_on_a_full_file_system_is_readable_and_opens_and_goes_on_with_space) {
    for (unsigned i = 0; i < 24; i++) {
        fault_fixture f;
        fault_fixture_init(&f, 100 + i);
        fault_fixture_create(&f);
        uint64_t capacity = full_used_bytes(&f) + 20000 + i * 17000;
        vfs_mem_set_capacity(f.disk, capacity);
        full_fill(&f);
        fault_fixture_check(&f);
        status st = db_close(f.db); /* there may be no room to say that it was a clean one */
        f.db = NULL;
        if (!status_is_ok(st))
            assert_int_equal(st.code, FIRN_NO_SPACE);
        fault_fixture_open(&f);
        fault_fixture_check(&f);
        full_fill(&f);
        fault_fixture_check(&f);
        vfs_mem_set_capacity(f.disk, capacity + (4u << 20));
        full_check_resumes(&f);
        full_run(&f, 20, 1000);
        fault_fixture_check(&f);
        fault_fixture_close(&f);
        fault_fixture_open(&f);
        fault_fixture_check(&f);
        fault_fixture_deinit(&f);
    }
}

/* With real threads and a real clock, and nobody who steps anything. */
TEST(disk_full, background_work_tries_again_by_itself_when_there_is_space) {
    fault_fixture f;
    status st = STATUS_OK;
    fault_fixture_init(&f, 9);
    f.config.threads = 2;
    time_source clock = *time_source_system(); /* but for what expires by the shadow's time */
    clock.wall_ms = f.config.clock->wall_ms;
    f.config.clock = &clock;
    fault_fixture_create(&f);
    uint64_t capacity = full_used_bytes(&f) + 400000;
    vfs_mem_set_capacity(f.disk, capacity);
    for (unsigned refused = 0; refused < 200;) {
        st = fault_fixture_try_write(&f, FULL_OPERATIONS, FIRN_NO);
        refused += !status_is_ok(st);
        if (!status_is_ok(st))
            assert_int_equal(st.code, FIRN_NO_SPACE);
    }
    fault_fixture_check(&f);
    vfs_mem_set_capacity(f.disk, capacity + (8u << 20));
    /* The next try of a flush may be a moment away. */
    uint64_t until = time_monotonic_ns(f.config.clock) + 20000000000u;
    for (unsigned written = 0; written < 200;) {
        st = fault_fixture_try_write(&f, FULL_OPERATIONS, FIRN_NO);
        written += status_is_ok(st);
        if (status_is_ok(st))
            continue;
        assert_int_equal(st.code, FIRN_NO_SPACE);
        assert_true(time_monotonic_ns(f.config.clock) < until);
        thread_sleep_ns(10000000);
    }
    ASSERT_OK(db_wait_idle(f.db));
    fault_fixture_check(&f);
    fault_fixture_close(&f);
    fault_fixture_open(&f);
    fault_fixture_check(&f);
    fault_fixture_deinit(&f);
}

static int full_count_table(void *context, const char *name) {
    uint64_t number;
    *(unsigned *)context += file_name_parse(name, &number) == FILE_TABLE;
    return 0;
}

/* After a failed sync of the manifest nothing can be installed any more: what is tried in vain
 * leaves nothing behind, or the disk would fill up. */
TEST(disk_full, flushes_over_a_poisoned_manifest_collect_no_tables) {
    fault_fixture f;
    unsigned tables = 0;
    vfs_fault_rule rule = {.kinds = VFS_FAULT_SYNC,
                           .path_suffix = "MANIFEST-000001",
                           .count = 1,
                           .error = EIO};
    fault_fixture_init(&f, 11);
    fault_fixture_create(&f);
    while (db_step(f.db)) {
    }
    vfs_fault_set(f.faults, &rule);
    for (int i = 0; i < 400 && vfs_fault_failed(f.faults) == 0; i++) {
        ASSERT_OK(fault_fixture_try_write(&f, FULL_OPERATIONS, FIRN_NO));
        (void)db_step(f.db);
    }
    assert_int_equal(vfs_fault_failed(f.faults), 1);
    assert_false(status_is_ok(fault_fixture_try_write(&f, 1, FIRN_NO)));
    for (int i = 0; i < 3000; i++)
        (void)db_step(f.db);
    ASSERT_OK(vfs_list(f.config.vfs, FAULT_DIRECTORY, full_count_table, &tables));
    assert_in_range(tables, 1, 4); /* of the edit that may stand */
    vfs_fault_set(f.faults, NULL);
    assert_false(status_is_ok(db_close(f.db)));
    f.db = NULL;
    fault_fixture_open(&f);
    (void)fault_fixture_check_reopened(&f);
    fault_fixture_deinit(&f);
}

static unsigned full_tables(const fault_fixture *f) {
    unsigned tables = 0;
    ASSERT_OK(vfs_list(f->config.vfs, FAULT_DIRECTORY, full_count_table, &tables));
    return tables;
}

static void full_put(fault_fixture *f, uint32_t first, uint32_t count) {
    for (uint32_t i = first; i < first + count; i++) {
        shadow_put(&f->shadow, 0, i, i, FULL_VALUE_BYTES);
        batch_view view = shadow_commit(&f->shadow);
        ASSERT_OK(db_write(f->db, &view, FIRN_NO));
    }
}

/* A reader that stands inside until it is told to go. */
typedef struct full_reader {
    firn_db *db;
    atomic_u32 is_inside, may_go;
} full_reader;

static void full_stand_inside(void *context) {
    full_reader *r = context;
    uint64_t slot;
    CHECK(version_set_enter(r->db->versions, KEYSPACE_DEFAULT_ID, &slot) != NULL);
    atomic_u32_store(&r->is_inside, 1, memory_order_seq_cst);
    while (!atomic_u32_load(&r->may_go, memory_order_seq_cst))
        thread_sleep_ns(100000);
    version_set_leave(r->db->versions, slot);
}

/* What is replaced meanwhile waits for the reader, and then for somebody who looks. */
TEST(disk_full, what_is_dead_goes_while_a_flush_waits_for_space) {
    fault_fixture f;
    vfs_fault_rule rule = {.kinds = VFS_FAULT_WRITE,
                           .path_suffix = ".tmp",
                           .count = UINT64_MAX,
                           .error = ENOSPC};
    fault_fixture_init(&f, 12);
    fault_fixture_create(&f);
    for (uint32_t i = 0; i < 3; i++) {
        full_put(&f, 1, 10);
        ASSERT_OK(commit_seal_all(f.db));
        bool found;
        ASSERT_OK(background_flush_one(f.db, &found));
        assert_true(found);
    }
    full_reader reader = {.db = f.db};
    thread standing;
    atomic_u32_init(&reader.is_inside, 0);
    atomic_u32_init(&reader.may_go, 0);
    ASSERT_OK(thread_start(&standing, "reader", full_stand_inside, &reader));
    while (!atomic_u32_load(&reader.is_inside, memory_order_seq_cst))
        thread_sleep_ns(100000);
    while (db_step(f.db)) {
    }
    full_put(&f, 1, 5);
    ASSERT_OK(commit_seal_all(f.db));
    atomic_u32_store(&reader.may_go, 1, memory_order_seq_cst);
    thread_join(&standing);
    unsigned before = full_tables(&f);
    vfs_fault_set(f.faults, &rule);
    for (int i = 0; i < 20; i++) /* the first fails; in the others its retry is not due yet */
        (void)db_step(f.db);
    assert_true(vfs_fault_failed(f.faults) > 0);
    assert_int_equal(full_tables(&f), before - 3);
    vfs_fault_set(f.faults, NULL);
    full_check_resumes(&f);
    fault_fixture_check(&f);
    fault_fixture_deinit(&f);
}

/* The flush needs more than there is, and a compaction that needs little would free it. */
TEST(disk_full, a_flush_without_space_lets_a_compaction_try) {
    fault_fixture f;
    status st = STATUS_OK;
    fault_fixture_init(&f, 13);
    f.config.reserve_least = f.config.reserve_most = 8u << 10;
    fault_fixture_create(&f);
    full_put(&f, 1, 18);
    ASSERT_OK(db_flush(f.db));
    shadow_delete_range(&f.shadow, 0, 0, 58); /* whose name is the greatest of all below LAST */
    batch_view view = shadow_commit(&f.shadow);
    ASSERT_OK(db_write(f.db, &view, FIRN_NO));
    ASSERT_OK(db_flush(f.db));
    full_put(&f, 21, 14);
    vfs_mem_set_capacity(f.disk, full_used_bytes(&f) + FULL_SPARE_BYTES);
    ASSERT_OK(commit_seal_all(f.db));
    for (int i = 0; i < 3000 && version_set_has_sealed(f.db->versions, SEQNO_MAX); i++) {
        (void)db_step(f.db);
        shadow_put(&f.shadow, 1, 1, 1, 10);
        view = shadow_commit(&f.shadow);
        st = db_write(f.db, &view, FIRN_NO);
        if (!status_is_ok(st)) {
            assert_int_equal(st.code, FIRN_NO_SPACE);
            shadow_take_back(&f.shadow);
        }
    }
    assert_false(version_set_has_sealed(f.db->versions, SEQNO_MAX));
    fault_fixture_check(&f);
    vfs_mem_set_capacity(f.disk, UINT64_MAX);
    fault_fixture_deinit(&f);
}

TEST_MAIN(RUN(disk_full, what_is_dead_goes_while_a_flush_waits_for_space),
          RUN(disk_full, a_flush_without_space_lets_a_compaction_try),
          RUN(disk_full, flushes_over_a_poisoned_manifest_collect_no_tables),
          RUN(disk_full, no_write_of_a_run_that_meets_a_full_disk_harms_the_database),
          RUN(disk_full, none_of_the_first_writes_harms_the_database),
          RUN(disk_full,
              a_database_on_a_full_file_system_is_readable_and_opens_and_goes_on_with_space),
          RUN(disk_full, background_work_tries_again_by_itself_when_there_is_space))
