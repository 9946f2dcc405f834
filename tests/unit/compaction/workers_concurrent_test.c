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
          RUN(workers_concurrent, without_threads_work_is_stepped))
