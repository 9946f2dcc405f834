/* One thread appends while others sync, release, make segments ahead, drop them, and ask: for the
 * race detector, and for the promise that a sync covers what was appended before it. */
#include <stdlib.h>

#include "platform/thread.h"
#include "wal_fixture.h"

typedef struct shared {
    wal_writer *w;
    atomic_flag32 done;
    atomic_u64 synced_seen;
    atomic_flag32 wanted; /* the next segment, ahead */
} shared;

static void sync_loop(void *context) {
    shared *s = context;
    bool done = false;
    while (!done) {
        done = atomic_flag32_load(&s->done, memory_order_seq_cst);
        uint64_t end = wal_writer_end(s->w);
        status st = wal_writer_sync(s->w);
        CHECK(status_is_ok(st));
        CHECK(wal_writer_synced(s->w) >= end);
        atomic_u64_add(&s->synced_seen, 1, memory_order_seq_cst);
    }
}

static void release_loop(void *context) {
    shared *s = context;
    uint64_t last = 0;
    while (!atomic_flag32_load(&s->done, memory_order_seq_cst)) {
        wal_writer_stats stats;
        uint64_t end = wal_writer_synced(s->w), floor = end > 50000 ? end - 50000 : 0;
        uint64_t number = wal_writer_floor_segment(s->w, floor);
        CHECK(number >= last && number <= wal_writer_segment(s->w));
        last = number;
        wal_writer_release(s->w, number);
        wal_writer_get_stats(s->w, &stats);
        thread_sleep_ns(1000);
    }
}

static void want_ahead(void *context) {
    shared *s = context;
    atomic_flag32_store(&s->wanted, true, memory_order_seq_cst);
}

static void prepare_loop(void *context) {
    shared *s = context;
    while (!atomic_flag32_load(&s->done, memory_order_seq_cst)) {
        if (atomic_flag32_load(&s->wanted, memory_order_seq_cst)) {
            atomic_flag32_store(&s->wanted, false, memory_order_seq_cst);
            (void)wal_writer_prepare(s->w);
        }
        thread_sleep_ns(1000);
    }
}

static void drop_loop(void *context) {
    shared *s = context;
    while (!atomic_flag32_load(&s->done, memory_order_seq_cst)) {
        (void)wal_writer_drop_spares(s->w);
        thread_sleep_ns(200000);
    }
}

TEST(wal_writer_concurrent, append_beside_syncs_and_releases) {
    vfs_mem *disk = log_disk_new();
    const firn_vfs *vfs = vfs_mem_vfs(disk);
    wal_writer_args args = log_writer_args(vfs);
    args.segment_bytes_max = 16384;
    args.spares_max = 2; /* segments change their lives beside syncs */
    shared s = {0};
    args.want_ahead = want_ahead;
    args.context = &s;
    s.w = log_writer_new(&args);
    thread threads[5];
    firn_batch batch;
    rng random;
    rng_init(&random, test_seed());
    batch_init(&batch);
    ASSERT_OK(thread_start(&threads[0], "sync1", sync_loop, &s));
    ASSERT_OK(thread_start(&threads[1], "sync2", sync_loop, &s));
    ASSERT_OK(thread_start(&threads[2], "release", release_loop, &s));
    ASSERT_OK(thread_start(&threads[3], "prepare", prepare_loop, &s));
    ASSERT_OK(thread_start(&threads[4], "drop", drop_loop, &s));
    seqno next = 1;
    uint64_t rounds = test_scaled(4000);
    for (uint64_t i = 0; i < rounds; i++) {
        slice ops;
        log_batch_fill(&batch, &random, 1 + (uint32_t)rng_below(&random, 3), 1500);
        batch_view view = batch_get_view(&batch);
        ASSERT_OK(wal_writer_append(s.w, next, &view, 1, &ops));
        next += batch.count;
    }
    atomic_flag32_store(&s.done, true, memory_order_seq_cst);
    for (int i = 0; i < 5; i++)
        thread_join(&threads[i]);
    wal_writer_stats stats;
    wal_writer_get_stats(s.w, &stats);
    print_message("%llu segments recycled, %llu made ahead\n",
                  (unsigned long long)stats.recycled_segments,
                  (unsigned long long)stats.prepared_segments);
    assert_int_equal(wal_writer_synced(s.w), wal_writer_end(s.w));
    assert_true(atomic_u64_load(&s.synced_seen, memory_order_seq_cst) >= 2);
    /* All that a release left is durable. */
    vfs_mem *clone = NULL;
    log_entries *found = log_entries_new();
    wal_recovery r;
    ASSERT_OK(vfs_mem_crash_clone(disk, VFS_MEM_LOSE_UNSYNCED, 1, &clone));
    wal_recovery_args recovery = log_recovery_args(vfs_mem_vfs(clone), found);
    recovery.floor_segment = wal_writer_floor_segment(s.w, 0);
    ASSERT_OK(wal_recover(&recovery, &r));
    assert_int_equal(r.last_sequence, next - 1);
    wal_recovery_deinit(&r);
    free(found);
    vfs_mem_free(clone);
    batch_deinit(&batch);
    wal_writer_free(s.w);
    vfs_mem_free(disk);
}

LOG_TEST_MAIN(RUN(wal_writer_concurrent, append_beside_syncs_and_releases))
