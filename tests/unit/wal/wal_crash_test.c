/* Cuts the power, in every way a file system may take it, before each operation of a random
 * workload, and reads the log back: what comes back must be a prefix of what was appended that
 * holds everything synced, and strict recovery must never refuse. Then life goes on from there and
 * the power is cut again. */
#include <stdlib.h>
#include <string.h>

#include "wal_fixture.h"

typedef struct workload {
    vfs_mem *disk;
    rng random;
    log_entries *appended; /* batches under way included */
    size_t durable_count;  /* of them, known durable */
    uint64_t floor_segment, floor_position;
    size_t floor_count; /* batches below the floor: safe in tables */
    uint64_t checks;
    unsigned depth; /* crashes this workload comes after */
} workload;

static void run_workload(workload *load, wal_writer *w, int steps);

static log_entries *copy_entries(const log_entries *from) {
    log_entries *copy = log_entries_new();
    memcpy(copy, from, sizeof *copy);
    return copy;
}

/* Goes on after the crash: new appends, and perhaps another crash. */
static void live_on(const workload *before, vfs_mem *disk, const wal_recovery_args *args,
                    const wal_recovery *r, size_t survivors) {
    workload load = {.disk = disk,
                     .appended = copy_entries(before->appended),
                     .durable_count = survivors,
                     .floor_segment = before->floor_segment,
                     .floor_position = before->floor_position,
                     .floor_count = before->floor_count,
                     .depth = before->depth + 1};
    load.appended->count = survivors;
    rng_init(&load.random, before->checks * 7919 + survivors);
    ASSERT_OK(wal_recovery_write_back(args, r));
    for (size_t i = 0; i < r->dead_count; i++) {
        char path[64];
        if (rng_below(&load.random, 2))
            ASSERT_OK(vfs_remove(args->vfs, log_path(r->dead[i], path)));
    }
    wal_writer *w = log_writer_after(args->vfs, r);
    run_workload(&load, w, 6);
    wal_writer_free(w);
    free(load.appended);
}

static void check_crash(workload *load, vfs_mem_crash mode) {
    vfs_mem *clone = NULL;
    log_entries *found = log_entries_new();
    wal_recovery r;
    uint64_t seed = rng_next(&load->random);
    ASSERT_OK(vfs_mem_crash_clone(load->disk, mode, seed, &clone));
    wal_recovery_args args = log_recovery_args(vfs_mem_vfs(clone), found);
    args.floor_segment = load->floor_segment;
    args.floor_position = load->floor_position;
    status st = wal_recover(&args, &r);
    if (!status_is_ok(st))
        print_error("mode %d, seed %llu, depth %u: %s\n", (int)mode, (unsigned long long)seed,
                    load->depth, error_detail_get());
    ASSERT_OK(st);
    size_t survivors = load->floor_count + found->count;
    assert_true(survivors <= load->appended->count);
    assert_true(survivors >= load->durable_count);
    for (size_t i = 0; i < found->count; i++) {
        const log_entry *is = &found->at[i], *should = &load->appended->at[load->floor_count + i];
        assert_int_equal(is->first_sequence, should->first_sequence);
        assert_int_equal(is->digest, should->digest);
    }
    if (mode == VFS_MEM_KILL)
        assert_true(survivors + 4 >= load->appended->count); /* but for a group under way */
    load->checks++;
    /* The batches below the floor count as the database's last sequence. */
    if (found->count == 0 && load->floor_count > 0)
        r.last_sequence = load->appended->at[load->floor_count - 1].first_sequence +
                          load->appended->at[load->floor_count - 1].count - 1;
    if (load->depth < 2 && load->checks % 23 == 0)
        live_on(load, clone, &args, &r, survivors);
    wal_recovery_deinit(&r);
    free(found);
    vfs_mem_free(clone);
}

static void crash_here(void *context, uint64_t operation, const char *kind, const char *path) {
    workload *load = context;
    (void)operation;
    (void)kind;
    (void)path;
    if (load->depth > 0 && rng_below(&load->random, 3) != 0)
        return;
    for (int mode = 0; mode < VFS_MEM_CRASH_COUNT; mode++)
        check_crash(load, (vfs_mem_crash)mode);
}

/* One append of 1..4 batches. */
static void append_group(workload *load, wal_writer *w) {
    firn_batch batches[4];
    batch_view views[4];
    slice ops[4];
    size_t count = 1 + (size_t)rng_below(&load->random, 4);
    seqno first = load->appended->count == 0 ? 1 : log_next_sequence(load->appended);
    for (size_t i = 0; i < count; i++) {
        batch_init(&batches[i]);
        size_t value_max = rng_below(&load->random, 12) == 0 ? 20000 : 700;
        log_batch_fill(&batches[i], &load->random, 1 + (uint32_t)rng_below(&load->random, 3),
                       value_max);
        if (rng_below(&load->random, 40) == 0)
            log_batch_put(&batches[i], "large", LARGE_VALUE_BYTES + (size_t)i, (uint8_t)i);
        views[i] = batch_get_view(&batches[i]);
        load->appended->at[load->appended->count] =
            log_entry_of(&batches[i], log_next_sequence(load->appended));
        load->appended->count++;
    }
    ASSERT_OK(wal_writer_append(w, first, views, count, ops));
    for (size_t i = 0; i < count; i++)
        batch_deinit(&batches[i]);
}

/* A flush of all batches so far: the log below is needed no more. */
static void move_floor(workload *load, wal_writer *w) {
    uint64_t position = wal_writer_end(w);
    load->floor_segment = wal_writer_floor_segment(w, position);
    load->floor_position = position;
    load->floor_count = load->appended->count;
    if (load->durable_count < load->floor_count)
        load->durable_count = load->floor_count;
    wal_writer_release(w, load->floor_segment);
}

static void run_workload(workload *load, wal_writer *w, int steps) {
    vfs_mem_observe(load->disk, crash_here, load);
    for (int step = 0; step < steps; step++) {
        append_group(load, w);
        if (rng_below(&load->random, 3) == 0) {
            ASSERT_OK(wal_writer_sync(w));
            load->durable_count = load->appended->count;
        }
        if (rng_below(&load->random, 9) == 0)
            move_floor(load, w);
    }
    vfs_mem_observe(load->disk, NULL, NULL);
}

TEST(wal_crash, survivors_are_a_prefix_with_everything_synced) {
    uint64_t seed = test_seed(), rounds = test_scaled(1); /* in each way of writing */
    for (uint64_t round = 0; round < rounds; round++) {
        workload load = {.disk = log_disk_new(), .appended = log_entries_new(), .floor_segment = 1};
        rng_init(&load.random, seed + round);
        wal_writer_args args = log_writer_args(vfs_mem_vfs(load.disk));
        args.segment_bytes_max = 8192;
        args.spares_max = 2;
        wal_writer *w = log_writer_new(&args);
        run_workload(&load, w, 12);
        wal_writer_free(w);
        assert_true(load.checks > 100);
        free(load.appended);
        vfs_mem_free(load.disk);
    }
}

LOG_TEST_MAIN(RUN(wal_crash, survivors_are_a_prefix_with_everything_synced))
