/* A full disk is a border from which there is a way back, whether disk_limit_bytes or the file
 * system draws it: the database takes deletes, what they free is given back by flushes and
 * compactions that nobody asks for, and then as much fits in again as before. */
#include "db/db_internal.h"
#include "integration/fault_fixture.h"
#include "lib/test.h"

enum {
    LIMIT_VALUE_BYTES = 3000,
    LIMIT_KEYS = SHADOW_KEYSPACES * (SHADOW_KEY_LAST + 1),
    LIMIT_KEY_GREATEST = 58, /* of all names that shadow_key gives below SHADOW_KEY_LAST */
    LIMIT_ROUNDS = 6,
    LIMIT_BYTES = 400 << 10,
    LIMIT_RESERVE_BYTES = 100 << 10,
    LIMIT_PATIENCE = 2000 /* looks of a stepped clock */
};

static uint64_t limit_used_bytes(const fault_fixture *f) {
    firn_stats stats = {.size = sizeof stats};
    db_get_stats(f->db, &stats);
    return stats.table_bytes + stats.log_bytes;
}

/* Writes what the shadow holds ready; refusals end when background work has made room. */
static status limit_write(fault_fixture *f, unsigned patience) {
    batch_view view = shadow_commit(&f->shadow);
    status st = db_write(f->db, &view, FIRN_NO);
    for (unsigned i = 0; i < patience && status_is(st, FIRN_NO_SPACE); i++) {
        (void)db_step(f->db);
        st = db_write(f->db, &view, FIRN_NO);
    }
    if (!status_is_ok(st)) {
        assert_int_equal(st.code, FIRN_NO_SPACE);
        shadow_take_back(&f->shadow);
    }
    return st;
}

static uint32_t limit_fill(fault_fixture *f, uint64_t seed) {
    for (uint32_t i = 0; i < LIMIT_KEYS; i++) {
        shadow_put(&f->shadow, i % 3, i / 3, seed + i, LIMIT_VALUE_BYTES);
        if (!status_is_ok(limit_write(f, LIMIT_PATIENCE / 4)))
            return i;
        assert_true(limit_used_bytes(f) <= f->config.disk_limit_bytes);
    }
    fail_msg("%u values fit in", LIMIT_KEYS);
    return 0;
}

static void limit_delete(fault_fixture *f, uint32_t count, bool by_range) {
    for (uint32_t i = 0; i < count && !by_range; i++) {
        shadow_delete(&f->shadow, i % 3, i / 3);
        ASSERT_OK(limit_write(f, LIMIT_PATIENCE));
    }
    for (uint32_t i = 0; i < SHADOW_KEYSPACES && by_range; i++) {
        shadow_delete_range(&f->shadow, i, 0, LIMIT_KEY_GREATEST);
        ASSERT_OK(limit_write(f, LIMIT_PATIENCE));
        shadow_delete(&f->shadow, i, LIMIT_KEY_GREATEST);
        ASSERT_OK(limit_write(f, LIMIT_PATIENCE));
    }
}

typedef struct limit_run {
    firn_log_io log_io;
    bool by_range, reopens;
    bool by_file_system; /* else by disk_limit_bytes */
} limit_run;

static void limit_begin(fault_fixture *f, const limit_run *run) {
    fault_fixture_init(f, 3);
    f->config.log_io = run->log_io;
    f->config.disk_limit_bytes = run->by_file_system ? FIRN_NONE : LIMIT_BYTES;
    f->config.limit_reserve_bytes = LIMIT_RESERVE_BYTES;
    f->config.reserve_least = run->by_file_system ? LIMIT_RESERVE_BYTES : 0;
    f->config.reserve_most = run->by_file_system ? LIMIT_BYTES : 0; /* more than the log ever is */
    if (run->by_file_system)
        vfs_mem_set_capacity(f->disk, 6 * LIMIT_RESERVE_BYTES);
    fault_fixture_create(f);
}

static void limit_refill_run(const limit_run *run) {
    fault_fixture f;
    limit_begin(&f, run);
    uint32_t first = limit_fill(&f, 1);
    for (uint32_t round = 2; round < LIMIT_ROUNDS; round++) {
        fault_fixture_check(&f);
        if (run->reopens) {
            fault_fixture_close(&f);
            fault_fixture_open(&f);
        }
        limit_delete(&f, LIMIT_KEYS, run->by_range);
        uint32_t again = limit_fill(&f, round * 1000);
        /* What a compaction has to have beside its inputs is not the same each time. */
        if (again < first * (run->by_file_system ? 8 : 9) / 10)
            fail_msg("round %u: %u values fit in, %u did at first", round, again, first);
    }
    fault_fixture_check(&f);
    vfs_mem_set_capacity(f.disk, UINT64_MAX);
    fault_fixture_deinit(&f);
}

TEST(disk_limit, as_much_fits_in_again_when_all_was_deleted) {
    limit_refill_run(&(limit_run){.log_io = FIRN_LOG_IO_PWRITE});
    limit_refill_run(&(limit_run){.log_io = FIRN_LOG_IO_MAPPED});
}

TEST(disk_limit, as_much_fits_in_again_when_all_was_deleted_as_a_range) {
    limit_refill_run(&(limit_run){.log_io = FIRN_LOG_IO_PWRITE, .by_range = true});
    limit_refill_run(&(limit_run){.log_io = FIRN_LOG_IO_MAPPED, .by_range = true});
}

TEST(disk_limit, a_full_database_that_is_opened_again_has_the_same_way_back) {
    limit_refill_run(&(limit_run){.log_io = FIRN_LOG_IO_MAPPED, .reopens = true});
    limit_refill_run(&(limit_run){.log_io = FIRN_LOG_IO_MAPPED, .by_range = true, .reopens = true});
}

TEST(disk_limit, a_full_file_system_has_the_same_way_back) {
    for (int i = 0; i < 8; i++) {
        limit_run run = {.log_io = i & 1 ? FIRN_LOG_IO_MAPPED : FIRN_LOG_IO_PWRITE,
                         .by_range = i & 2,
                         .reopens = i & 4,
                         .by_file_system = true};
        limit_refill_run(&run);
    }
}

/* What the reserve is for: without it nobody could get out. */
TEST(disk_limit, a_full_file_system_without_a_reserve_may_refuse_deletes) {
    fault_fixture f;
    status st = STATUS_OK;
    limit_run run = {.log_io = FIRN_LOG_IO_PWRITE, .by_file_system = true};
    limit_begin(&f, &run);
    fault_fixture_close(&f);
    f.config.reserve_least = f.config.reserve_most = 0;
    fault_fixture_open(&f);
    uint32_t count = limit_fill(&f, 1);
    for (uint32_t i = 0; i < count && status_is_ok(st); i++) {
        shadow_delete(&f.shadow, i % 3, i / 3);
        st = limit_write(&f, 50);
    }
    assert_int_equal(st.code, FIRN_NO_SPACE);
    fault_fixture_check(&f);
    vfs_mem_set_capacity(f.disk, UINT64_MAX);
    fault_fixture_deinit(&f);
}

/* Somebody lowers the limit below what is there. */
TEST(disk_limit, a_database_far_beyond_a_new_limit_takes_deletes_until_it_is_below) {
    fault_fixture f;
    fault_fixture_init(&f, 4);
    fault_fixture_create(&f);
    for (uint32_t i = 0; i < LIMIT_KEYS; i++) {
        shadow_put(&f.shadow, i % 3, i / 3, i, LIMIT_VALUE_BYTES);
        ASSERT_OK(limit_write(&f, 0));
        (void)db_step(f.db);
    }
    fault_fixture_close(&f);
    f.config.disk_limit_bytes = 250u << 10;
    f.config.limit_reserve_bytes = 60u << 10;
    fault_fixture_open(&f);
    shadow_put(&f.shadow, 0, 1, 1, 10);
    assert_int_equal(limit_write(&f, 20).code, FIRN_NO_SPACE);
    assert_non_null(strstr(error_detail_get(), "disk_limit_bytes"));
    limit_delete(&f, LIMIT_KEYS, false);
    shadow_put(&f.shadow, 0, 1, 1, 10);
    ASSERT_OK(limit_write(&f, LIMIT_PATIENCE));
    fault_fixture_check(&f);
    fault_fixture_deinit(&f);
}

/* As a user has it: derived sizes, threads, a real clock. */
TEST(disk_limit, a_small_limit_is_usable_with_no_other_option) {
    fault_fixture f;
    firn_options options = FIRN_OPTIONS_INIT;
    fault_fixture_init(&f, 5);
    options.disk_limit_bytes = 4u << 20;
    options.vfs = f.config.vfs;
    options.on_event = f.config.on_event;
    ASSERT_OK(db_config_derive(&options, &f.config));
    assert_true(f.config.limit_reserve_bytes <= f.config.disk_limit_bytes / 4);
    fault_fixture_create(&f);
    uint64_t first = 0;
    for (uint64_t round = 0; round < 3; round++) {
        uint32_t count = 0;
        status st = STATUS_OK;
        for (uint64_t until = time_monotonic_ns(f.config.clock) + 60000000000u;;) {
            shadow_put(&f.shadow, count % 3, count / 3, round + count, 10 * LIMIT_VALUE_BYTES);
            st = limit_write(&f, 0);
            count += status_is_ok(st);
            if (count == LIMIT_KEYS ||
                (!status_is_ok(st) && count > 0 && (round == 0 || count >= first * 9 / 10)))
                break;
            assert_true(time_monotonic_ns(f.config.clock) < until);
        }
        first = round == 0 ? count : first;
        fault_fixture_check(&f);
        for (uint32_t i = 0; i < SHADOW_KEYSPACES; i++) {
            shadow_delete_range(&f.shadow, i, 0, SHADOW_KEY_LONG_LAST);
            while (!status_is_ok(limit_write(&f, 0)))
                shadow_delete_range(&f.shadow, i, 0, SHADOW_KEY_LONG_LAST);
        }
    }
    fault_fixture_deinit(&f);
}

TEST_MAIN(RUN(disk_limit, as_much_fits_in_again_when_all_was_deleted),
          RUN(disk_limit, as_much_fits_in_again_when_all_was_deleted_as_a_range),
          RUN(disk_limit, a_full_database_that_is_opened_again_has_the_same_way_back),
          RUN(disk_limit, a_full_file_system_has_the_same_way_back),
          RUN(disk_limit, a_full_file_system_without_a_reserve_may_refuse_deletes),
          RUN(disk_limit, a_database_far_beyond_a_new_limit_takes_deletes_until_it_is_below),
          RUN(disk_limit, a_small_limit_is_usable_with_no_other_option))
