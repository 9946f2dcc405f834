#include "compaction/workers.h"

#include "base/atomic.h"
#include "lib/test.h"
#include "platform/thread.h"

typedef struct work {
    workers *pool; /* as the owner keeps it: where workers_new puts it */
    atomic_u32 left, done, idle, urgent;
} work;

static bool take_work(void *context, bool urgent_only, uint64_t *retry_ns) {
    work *w = context;
    (void)retry_ns;
    atomic_u32_add(&w->urgent, urgent_only, memory_order_seq_cst);
    for (uint32_t left = atomic_u32_load(&w->left, memory_order_seq_cst); left > 0;) {
        if (!atomic_u32_cas(&w->left, &left, left - 1, memory_order_seq_cst))
            continue;
        atomic_u32_add(&w->done, 1, memory_order_seq_cst);
        workers_wake(w->pool); /* one piece of work often makes another due */
        return true;
    }
    atomic_u32_add(&w->idle, 1, memory_order_seq_cst);
    return false;
}

static void wait_done(work *w, uint32_t count) {
    while (atomic_u32_load(&w->done, memory_order_seq_cst) < count)
        thread_sleep_ns(100000);
}

TEST(workers_concurrent, work_may_wake_the_others_from_the_first_moment) {
    for (uint64_t i = 0; i < test_scaled(100); i++) {
        work w = {0};
        atomic_u32_init(&w.left, 20);
        workers_args args = {.threads = 4, .run_one = take_work, .context = &w};
        ASSERT_OK(workers_new(&args, &w.pool));
        assert_true(workers_are_threads(w.pool));
        wait_done(&w, 20);
        workers_free(w.pool);
        assert_int_equal(atomic_u32_load(&w.done, memory_order_seq_cst), 20);
    }
}

TEST(workers_concurrent, a_wake_is_never_slept_through) {
    work w = {0};
    workers_args args = {.threads = 3, .run_one = take_work, .context = &w};
    ASSERT_OK(workers_new(&args, &w.pool));
    for (uint32_t i = 1; i <= 500; i++) {
        atomic_u32_add(&w.left, 1, memory_order_seq_cst);
        workers_wake(w.pool);
        wait_done(&w, i);
    }
    assert_true(atomic_u32_load(&w.urgent, memory_order_seq_cst) > 0);
    workers_stop(w.pool);
    workers_free(w.pool);
    workers_free(NULL);
}

enum { PIECES = 64 };

typedef struct pieces {
    atomic_u32 taken[PIECES], together, most;
} pieces;

static void take_piece(void *context, uint32_t index) {
    pieces *p = context;
    uint32_t now = atomic_u32_add(&p->together, 1, memory_order_seq_cst) + 1;
    uint32_t most = atomic_u32_load(&p->most, memory_order_seq_cst);
    while (now > most && !atomic_u32_cas(&p->most, &most, now, memory_order_seq_cst))
        continue;
    atomic_u32_add(&p->taken[index], 1, memory_order_seq_cst);
    thread_sleep_ns(200000);
    atomic_u32_sub(&p->together, 1, memory_order_seq_cst);
}

static uint32_t share_pieces(workers *pool) {
    pieces p = {0};
    workers_share(pool, PIECES, take_piece, &p);
    for (uint32_t i = 0; i < PIECES; i++)
        assert_int_equal(atomic_u32_load(&p.taken[i], memory_order_seq_cst), 1);
    assert_int_equal(atomic_u32_load(&p.together, memory_order_seq_cst), 0);
    return atomic_u32_load(&p.most, memory_order_seq_cst);
}

static void share_on_thread(void *context) {
    share_pieces(context);
}

TEST(workers_concurrent, shared_work_is_done_once_by_all_that_are_idle) {
    work w = {0};
    thread other;
    workers_args args = {.threads = 4, .run_one = take_work, .context = &w};
    ASSERT_OK(workers_new(&args, &w.pool));
    while (workers_idle(w.pool) < 3) /* the urgent one is not counted */
        thread_sleep_ns(100000);
    uint32_t most = share_pieces(w.pool);
    assert_in_range(most, 2, 4);
    ASSERT_OK(thread_start(&other, "other", share_on_thread, w.pool));
    share_pieces(w.pool); /* two at once */
    thread_join(&other);
    workers_free(w.pool);
}

TEST(workers_concurrent, without_threads_shared_work_is_the_callers) {
    work w = {0};
    workers_args args = {.threads = 0, .run_one = take_work, .context = &w};
    ASSERT_OK(workers_new(&args, &w.pool));
    assert_int_equal(workers_idle(w.pool), 0);
    assert_int_equal(share_pieces(w.pool), 1);
    workers_free(w.pool);
}

TEST(workers_concurrent, without_threads_work_is_stepped) {
    work w = {0};
    atomic_u32_init(&w.left, 2);
    workers_args args = {.threads = 0, .run_one = take_work, .context = &w};
    ASSERT_OK(workers_new(&args, &w.pool));
    assert_false(workers_are_threads(w.pool));
    workers_wake(w.pool);
    assert_int_equal(atomic_u32_load(&w.done, memory_order_seq_cst), 0);
    assert_true(workers_step(w.pool));
    assert_true(workers_step(w.pool));
    assert_false(workers_step(w.pool));
    assert_int_equal(atomic_u32_load(&w.done, memory_order_seq_cst), 2);
    workers_free(w.pool);
}

TEST_MAIN(RUN(workers_concurrent, work_may_wake_the_others_from_the_first_moment),
          RUN(workers_concurrent, a_wake_is_never_slept_through),
          RUN(workers_concurrent, shared_work_is_done_once_by_all_that_are_idle),
          RUN(workers_concurrent, without_threads_shared_work_is_the_callers),
          RUN(workers_concurrent, without_threads_work_is_stepped))
