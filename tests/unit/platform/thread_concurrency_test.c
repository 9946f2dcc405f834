#include <string.h>

#include "lib/test.h"
#include "platform/clock.h"
#include "platform/memory.h"
#include "platform/thread.h"
#include "platform/vfs.h"
#include "platform/vfs_mem.h"

enum { WORKERS = 4, ROUNDS = 2000 };

typedef struct turnstile {
    mutex m;
    cond changed;
    int turn;
    uint64_t total; /* guarded by m */
    uint64_t numbers[WORKERS];
} turnstile;

typedef struct worker {
    thread t;
    turnstile *shared;
    int index;
} worker;

static void take_turns(void *context) {
    worker *w = context;
    turnstile *s = w->shared;
    s->numbers[w->index] = thread_number();
    for (int i = 0; i < ROUNDS / WORKERS; i++) {
        mutex_lock(&s->m);
        while (s->turn != w->index)
            cond_wait(&s->changed, &s->m);
        s->total++;
        s->turn = (s->turn + 1) % WORKERS;
        cond_broadcast(&s->changed);
        mutex_unlock(&s->m);
    }
}

TEST(thread_concurrency, conditions_hand_turns_from_thread_to_thread) {
    turnstile shared = {.turn = 0};
    worker workers[WORKERS];
    mutex_init(&shared.m);
    cond_init(&shared.changed);
    for (int i = 0; i < WORKERS; i++) {
        workers[i] = (worker){.shared = &shared, .index = i};
        ASSERT_OK(thread_start(&workers[i].t, "turn", take_turns, &workers[i]));
    }
    for (int i = 0; i < WORKERS; i++)
        thread_join(&workers[i].t);
    assert_int_equal(shared.total, ROUNDS / WORKERS * WORKERS);
    /* All of them were alive at once. */
    for (int i = 0; i < WORKERS; i++) {
        for (int j = 0; j < i; j++)
            assert_int_not_equal(shared.numbers[i], shared.numbers[j]);
    }
    cond_deinit(&shared.changed);
    mutex_deinit(&shared.m);
}

typedef struct wall_watch {
    mutex m;
    uint64_t latest_ms; /* guarded by m */
    bool went_back;
} wall_watch;

static void watch_wall(void *context) {
    wall_watch *watch = context;
    for (int i = 0; i < ROUNDS; i++) {
        mutex_lock(&watch->m);
        uint64_t now = time_wall_ms(time_source_system());
        watch->went_back |= now < watch->latest_ms;
        watch->latest_ms = now;
        mutex_unlock(&watch->m);
        (void)time_wall_ms(time_source_system());
    }
}

TEST(thread_concurrency, wall_time_never_runs_back_between_threads) {
    wall_watch watch = {.latest_ms = 0};
    thread threads[WORKERS];
    mutex_init(&watch.m);
    for (int i = 0; i < WORKERS; i++)
        ASSERT_OK(thread_start(&threads[i], "wall", watch_wall, &watch));
    for (int i = 0; i < WORKERS; i++)
        thread_join(&threads[i]);
    assert_false(watch.went_back);
    mutex_deinit(&watch.m);
}

static void allocate_until_one_fails(void *context) {
    atomic_u64 *failures = context;
    for (int i = 0; i < ROUNDS; i++) {
        void *block = memory_new(16);
        if (!block)
            atomic_u64_add(failures, 1, memory_order_relaxed); /* relaxed: read after joining */
        memory_free(block);
    }
}

TEST(thread_concurrency, exactly_one_allocation_of_many_threads_fails) {
    atomic_u64 failures;
    thread threads[WORKERS];
    atomic_u64_init(&failures, 0);
    for (int i = 0; i < WORKERS; i++)
        ASSERT_OK(thread_start(&threads[i], "memory", allocate_until_one_fails, &failures));
    memory_fail_after(100, false);
    for (int i = 0; i < WORKERS; i++)
        thread_join(&threads[i]);
    assert_in_range(atomic_u64_load(&failures, memory_order_seq_cst), 0, 1);
    memory_fail_after(0, false);
}

typedef struct mapped_file {
    vfs_mem *disk;
    vfs_file *file;
    uint8_t *map;
    atomic_u32 stop;
} mapped_file;

static void store_all_the_time(void *context) {
    mapped_file *f = context;
    for (uint64_t i = 0; atomic_u32_load(&f->stop, memory_order_seq_cst) == 0; i++) {
        memcpy(f->map + i % 512 * 8, &i, 8);
        vfs_stored(f->file, i % 512 * 8, 8);
    }
}

TEST(thread_concurrency, a_simulated_disk_syncs_and_crashes_beside_mapped_stores) {
    mapped_file f = {0};
    vfs_mapping mapping;
    thread t;
    ASSERT_OK(vfs_mem_new(&f.disk));
    ASSERT_OK(vfs_open(vfs_mem_vfs(f.disk), "log", FIRN_VFS_WRITE | FIRN_VFS_CREATE, &f.file));
    ASSERT_OK(vfs_reserve(f.file, 0, 8192));
    ASSERT_OK(vfs_map(f.file, 0, 8192, true, &mapping));
    f.map = mapping.data;
    ASSERT_OK(thread_start(&t, "store", store_all_the_time, &f));
    for (uint64_t i = 0; i < 50; i++) {
        vfs_mem *clone = NULL;
        vfs_mem_crash mode = (vfs_mem_crash)(i % VFS_MEM_CRASH_COUNT);
        ASSERT_OK(vfs_sync(f.file));
        ASSERT_OK(vfs_sync_dir(vfs_mem_vfs(f.disk), "/"));
        ASSERT_OK(vfs_mem_crash_clone(f.disk, mode, i, &clone));
        (void)vfs_mem_hash(f.disk);
        vfs_mem_free(clone);
    }
    atomic_u32_store(&f.stop, 1, memory_order_seq_cst);
    thread_join(&t);
    vfs_unmap(&mapping);
    ASSERT_OK(vfs_close(f.file));
    vfs_mem_free(f.disk);
}

TEST_MAIN(RUN(thread_concurrency, conditions_hand_turns_from_thread_to_thread),
          RUN(thread_concurrency, wall_time_never_runs_back_between_threads),
          RUN(thread_concurrency, exactly_one_allocation_of_many_threads_fails),
          RUN(thread_concurrency, a_simulated_disk_syncs_and_crashes_beside_mapped_stores))
