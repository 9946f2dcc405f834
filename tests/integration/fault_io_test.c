/* Every kind of file operation fails once, at every place where it happens in turn. */
#include <errno.h>

#include "integration/fault_fixture.h"
#include "lib/test.h"

enum { IO_WRITES = 110, IO_PLACES = 24 };

typedef struct io_case {
    const char *name;
    uint32_t kinds; /* VFS_FAULT_* */
    int error;
    const char *path_suffix;
    bool partial;
} io_case;

/* Counts what went wrong, and sees that it is said clearly. */
static void io_note(status st, firn_status *first) {
    if (status_is_ok(st))
        return;
    if (*first == FIRN_OK)
        *first = st.code;
    if (st.code != FIRN_IO_ERROR || *error_detail_get() == '\0')
        fail_msg("%s (%s): not a clear I/O error", firn_status_name(st.code), error_detail_get());
}

static status io_read_all(fault_fixture *f) {
    uint64_t hash;
    const char *problem;
    status st = shadow_read(&f->shadow, f->db, &hash, &problem);
    if (!status_is_ok(st))
        return st;
    if (problem || hash != f->shadow.present)
        fail_msg("after %zu writes: %s", f->shadow.count, problem ? problem : "wrong contents");
    return st;
}

static status io_maintain(fault_fixture *f, unsigned i) {
    status st = STATUS_OK;
    switch (i % 20) {
    case 5:
        st = db_sync(f->db);
        break;
    case 9:
    case 14:
        st = db_flush(f->db);
        break;
    case 18:
        st = db_compact_range(f->db, SLICE_UNSET, SLICE_UNSET);
        break;
    case 19:
        return io_read_all(f);
    default:
        (void)db_step(f->db);
        return STATUS_OK;
    }
    if (status_is_ok(st))
        f->durable = f->shadow.count;
    return st;
}

/* Opens until it works: what failed once works the next time. */
static void io_open(fault_fixture *f, firn_status *first) {
    for (int i = 0; i < 3 && !f->db; i++)
        io_note(db_open(FAULT_DIRECTORY, &f->config, &f->db), first);
    if (!f->db)
        fail_msg("does not open after a passing failure: %s", error_detail_get());
    for (int i = 0; i < 3 && f->shadow.certain_ids < SHADOW_KEYSPACES; i++)
        io_note(shadow_make_keyspaces(&f->shadow, f->db), first);
}

static void io_close(fault_fixture *f, firn_status *first) {
    status st = db_close(f->db);
    f->db = NULL;
    io_note(st, first);
    if (status_is_ok(st))
        f->durable = f->shadow.count;
}

/* A workload that goes on as far as it can. Once a write is refused and the next one too, the
 * database has stopped taking writes until it is opened again. */
static void io_work(fault_fixture *f, firn_status *first) {
    unsigned refused = 0;
    for (unsigned i = 0; i < IO_WRITES && refused < 3; i++) {
        if (i == IO_WRITES / 2) {
            io_close(f, first);
            fault_fixture_check_crash(f, VFS_MEM_TORN_SECTORS, f->durable);
            io_open(f, first);
            if (f->uncertain && fault_fixture_check_reopened(f) != f->shadow.present)
                return; /* the write that failed has come: nothing more to compare with */
            f->durable = f->shadow.count;
            f->uncertain = 0;
        }
        if (f->shadow.certain_ids < SHADOW_KEYSPACES)
            return;
        uint64_t uncertain = f->uncertain;
        status st = fault_fixture_try_write(f, 1 + i % 4, i % 7 == 0 ? FIRN_YES : FIRN_NO);
        io_note(st, first);
        refused = status_is_ok(st) ? 0 : refused + 1;
        if (refused > 1)
            f->uncertain = uncertain; /* only the first can have reached the log */
        io_note(io_maintain(f, i), first);
    }
}

/* False: the run went through without meeting the fault. */
static bool io_run(const io_case *c, uint64_t after) {
    fault_fixture f;
    firn_status first = FIRN_OK;
    vfs_fault_rule rule = {.kinds = c->kinds,
                           .path_suffix = c->path_suffix,
                           .after = after,
                           .count = 1,
                           .error = c->error,
                           .partial = c->partial};
    fault_fixture_init(&f, after);
    vfs_fault_set(f.faults, &rule);
    io_open(&f, &first);
    io_work(&f, &first);
    bool met = vfs_fault_failed(f.faults) > 0;
    vfs_fault_set(f.faults, NULL);
    if (f.shadow.certain_ids == SHADOW_KEYSPACES)
        (void)io_read_all(&f);
    for (int mode = 0; mode < VFS_MEM_CRASH_COUNT; mode++)
        fault_fixture_check_crash(&f, (vfs_mem_crash)mode,
                                  mode == VFS_MEM_KILL ? f.shadow.count : f.durable);
    io_close(&f, &first);
    fault_fixture_open(&f);
    fault_fixture_check_usable(&f, fault_fixture_check_reopened(&f));
    fault_fixture_deinit(&f);
    return met;
}

static void io_sweep(const io_case *c) {
    uint64_t places = 0, runs = 0;
    /* How often it happens at all, then about IO_PLACES of those. */
    while (io_run(c, places + 16))
        places += 16;
    places += 16;
    uint64_t stride = places / test_scaled(IO_PLACES) + 1;
    for (uint64_t after = 0; after < places; after += stride)
        runs += io_run(c, after);
    print_message("%-28s failed at %llu of up to %llu places\n", c->name, (unsigned long long)runs,
                  (unsigned long long)places);
    assert_true(runs > 0);
}

TEST(fault_io, one_failing_operation_is_reported_and_harms_nothing) {
    static const io_case cases[] = {
        {"open", VFS_FAULT_OPEN, EMFILE, NULL, false},
        {"read", VFS_FAULT_READ, EIO, NULL, false},
        {"write", VFS_FAULT_WRITE, EIO, NULL, false},
        {"half a write", VFS_FAULT_WRITE, EIO, NULL, true},
        {"write to the log", VFS_FAULT_WRITE, EIO, ".wal", true},
        {"sync", VFS_FAULT_SYNC, EIO, NULL, false},
        {"sync, pages dropped", VFS_FAULT_SYNC, EIO, NULL, true},
        {"sync of the log, dropped", VFS_FAULT_SYNC, EIO, ".wal", true},
        {"truncate", VFS_FAULT_TRUNCATE, EIO, NULL, false},
        {"reserve", VFS_FAULT_RESERVE, EIO, NULL, false},
        {"rename", VFS_FAULT_RENAME, EIO, NULL, false},
        {"remove", VFS_FAULT_REMOVE, EIO, NULL, false},
        {"sync of the directory", VFS_FAULT_SYNC_DIR, EIO, NULL, false},
        {"list or stat", VFS_FAULT_LIST, EACCES, NULL, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        io_sweep(&cases[i]);
}

/* --- a failed sync --- */

TEST(fault_io, after_a_failed_sync_nothing_is_acknowledged_until_reopened) {
    vfs_fault_rule rule = {
        .kinds = VFS_FAULT_SYNC, .path_suffix = ".wal", .count = 1, .error = EIO, .partial = true};
    for (int by_call = 0; by_call < 2; by_call++) {
        fault_fixture f;
        fault_fixture_init(&f, 3);
        fault_fixture_create(&f);
        for (int i = 0; i < 20; i++)
            ASSERT_OK(fault_fixture_try_write(&f, 3, i == 10 ? FIRN_YES : FIRN_NO));
        vfs_fault_set(f.faults, &rule);
        status st = by_call ? db_sync(f.db) : fault_fixture_try_write(&f, 3, FIRN_YES);
        assert_int_equal(st.code, FIRN_IO_ERROR);
        assert_int_equal(vfs_fault_failed(f.faults), 1);
        /* The disk is well again, but what it lost of the log nobody knows. */
        uint64_t uncertain = f.uncertain;
        for (int i = 0; i < 5; i++) {
            ASSERT_CODE(fault_fixture_try_write(&f, 1, FIRN_NO), FIRN_IO_ERROR);
            ASSERT_CODE(db_sync(f.db), FIRN_IO_ERROR);
            ASSERT_CODE(db_flush(f.db), FIRN_IO_ERROR);
        }
        assert_non_null(strstr(error_detail_get(), "open it again"));
        f.uncertain = uncertain;
        fault_fixture_check(&f); /* readable, and without the write that failed */
        for (int mode = 0; mode < VFS_MEM_CRASH_COUNT; mode++)
            fault_fixture_check_crash(&f, (vfs_mem_crash)mode, f.durable);
        ASSERT_CODE(db_close(f.db), FIRN_IO_ERROR);
        fault_fixture_open(&f);
        fault_fixture_check_usable(&f, fault_fixture_check_reopened(&f));
        fault_fixture_deinit(&f);
    }
}

/* --- bits that flip between disk and memory --- */

/* Once, on its way from the disk: whatever was read so is read again. */
TEST(fault_io, a_bit_that_flips_on_its_way_from_the_disk_does_not_matter) {
    uint64_t flips = 0;
    for (uint64_t after = 0; after < 240; after++) {
        fault_fixture f;
        uint64_t hash;
        const char *problem = NULL;
        vfs_fault_rule rule = {.kinds = VFS_FAULT_READ,
                               .after = after,
                               .count = 1,
                               .flip_bit = true,
                               .flip_seed = after * 31};
        fault_fixture_init(&f, 11);
        f.config.cache_bytes = 0;
        fault_fixture_create(&f);
        for (int i = 0; i < 100; i++) {
            ASSERT_OK(fault_fixture_try_write(&f, 4, FIRN_NO));
            if (i % 30 == 29)
                ASSERT_OK(db_flush(f.db));
        }
        fault_fixture_close(&f);
        vfs_fault_set(f.faults, &rule);
        ASSERT_OK(db_open(FAULT_DIRECTORY, &f.config, &f.db));
        ASSERT_OK(shadow_read(&f.shadow, f.db, &hash, &problem));
        if (problem || hash != f.shadow.present)
            fail_msg("the bit flipped in read %llu gave wrong contents", (unsigned long long)after);
        flips += vfs_fault_failed(f.faults);
        vfs_fault_set(f.faults, NULL);
        fault_fixture_check(&f); /* it was not on the disk */
        fault_fixture_deinit(&f);
    }
    print_message("%llu flips\n", (unsigned long long)flips);
    assert_true(flips >= 40);
}

/* The same while what a killed process left is recovered: the newest records have no later one that
 * says they were durable, and must not be cut as a torn tail. */
TEST(fault_io, a_bit_that_flips_while_a_killed_log_is_recovered_costs_no_write) {
    uint64_t flips = 0;
    fault_fixture f;
    fault_fixture_init(&f, 12);
    fault_fixture_create(&f);
    for (int i = 0; i < 60; i++)
        ASSERT_OK(fault_fixture_try_write(&f, 4, FIRN_NO));
    for (uint64_t i = 0; i < 400; i++) {
        vfs_mem *killed = NULL;
        vfs_fault *faults = NULL;
        firn_db *db = NULL;
        uint64_t hash;
        const char *problem = NULL;
        db_config config = f.config;
        vfs_fault_rule rule = {.kinds = VFS_FAULT_READ,
                               .after = i % 16,
                               .count = 1,
                               .flip_bit = true,
                               .flip_seed = i * 31};
        ASSERT_OK(vfs_mem_crash_clone(f.disk, VFS_MEM_KILL, 0, &killed));
        ASSERT_OK(vfs_fault_new(vfs_mem_vfs(killed), &faults));
        vfs_fault_set(faults, &rule);
        config.vfs = vfs_fault_vfs(faults);
        ASSERT_OK(db_open(FAULT_DIRECTORY, &config, &db));
        ASSERT_OK(shadow_read(&f.shadow, db, &hash, &problem));
        if (problem || hash != f.shadow.present)
            fail_msg("bit %llu flipped in read %llu cost writes",
                     (unsigned long long)rule.flip_seed, (unsigned long long)rule.after);
        flips += vfs_fault_failed(faults);
        ASSERT_OK(db_close(db));
        vfs_fault_free(faults);
        vfs_mem_free(killed);
    }
    print_message("%llu flips\n", (unsigned long long)flips);
    assert_true(flips >= 100);
    fault_fixture_deinit(&f);
}

TEST_MAIN(RUN(fault_io, one_failing_operation_is_reported_and_harms_nothing),
          RUN(fault_io, after_a_failed_sync_nothing_is_acknowledged_until_reopened),
          RUN(fault_io, a_bit_that_flips_on_its_way_from_the_disk_does_not_matter),
          RUN(fault_io, a_bit_that_flips_while_a_killed_log_is_recovered_costs_no_write))
