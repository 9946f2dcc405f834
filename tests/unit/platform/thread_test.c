#include "platform/thread.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/test.h"
#include "platform/clock.h"
#include "platform/memory.h"

typedef struct hook_log {
    mutex *m;
    int calls;
    int done_after;
    bool done;
} hook_log;

static void count_call(void *context) {
    hook_log *log = context;
    if (log->m) {
        mutex_lock(log->m); /* would hang if the waiter still held it */
        mutex_unlock(log->m);
    }
    if (++log->calls == log->done_after)
        log->done = true;
}

TEST(thread, wait_hook_runs_in_place_of_every_sleep) {
    mutex m;
    cond c;
    mutex_init(&m);
    cond_init(&c);
    hook_log log = {.m = &m, .done_after = 3};
    thread_set_wait_hook(count_call, &log);
    mutex_lock(&m);
    while (!log.done)
        cond_wait(&c, &m);
    mutex_assert_held(&m);
    assert_int_equal(log.calls, 3);
    cond_wait_for(&c, &m, UINT64_MAX);
    mutex_assert_held(&m);
    assert_int_equal(log.calls, 4);
    mutex_unlock(&m);
    thread_sleep_ns(UINT64_MAX);
    assert_int_equal(log.calls, 5);
    thread_set_wait_hook(NULL, NULL);
    uint64_t begin = time_monotonic_ns(time_source_system());
    thread_sleep_ns(3000000);
    assert_true(time_monotonic_ns(time_source_system()) - begin >= 3000000);
    assert_int_equal(log.calls, 5);
    cond_deinit(&c);
    mutex_deinit(&m);
}

TEST(thread, timed_wait_ends_by_itself_no_earlier_than_asked) {
    mutex m;
    cond c;
    mutex_init(&m);
    cond_init(&c);
    mutex_lock(&m);
    const uint64_t wait_ns = 20000000;
    uint64_t begin = time_monotonic_ns(time_source_system());
    uint64_t elapsed = 0;
    while (elapsed < wait_ns) { /* spurious wake-ups are allowed */
        cond_wait_for(&c, &m, wait_ns - elapsed);
        elapsed = time_monotonic_ns(time_source_system()) - begin;
    }
    cond_wait_for(&c, &m, 0);
    mutex_unlock(&m);
    cond_deinit(&c);
    mutex_deinit(&m);
}

static void report_name_and_signals(void *context) {
    char *out = context;
    sigset_t blocked;
    pthread_getname_np(pthread_self(), out, 16);
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    out[16] = sigismember(&blocked, SIGTERM) && sigismember(&blocked, SIGINT);
    out[17] = sigismember(&blocked, SIGBUS) || sigismember(&blocked, SIGSEGV);
}

TEST(thread, is_named_and_leaves_the_programs_signals_alone) {
    char seen[18] = {0};
    thread t;
    ASSERT_OK(thread_start(&t, "firn-compaction-1", report_name_and_signals, seen));
    thread_join(&t);
    assert_string_equal(seen, "firn-compaction"); /* 15 bytes */
    assert_true(seen[16]);
    assert_false(seen[17]);
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    assert_false(sigismember(&blocked, SIGTERM));
}

TEST(thread, start_without_memory_says_so) {
    thread t;
    memory_fail_after(1, false);
    status st = thread_start(&t, "flush", count_call, NULL);
    memory_fail_after(0, false);
    ASSERT_CODE(st, FIRN_NO_MEMORY);
    assert_string_equal(error_detail_get(), "cannot start thread 'flush': no memory");
}

static void store_number(void *context) {
    *(uint64_t *)context = thread_number();
}

TEST(thread, numbers_are_reused_after_their_thread_ended) {
    uint64_t own = thread_number();
    assert_true(own >= 1);
    assert_int_equal(thread_number(), own);
    uint64_t highest = 0;
    for (int i = 0; i < 200; i++) {
        uint64_t number = 0;
        thread t;
        ASSERT_OK(thread_start(&t, "n", store_number, &number));
        thread_join(&t);
        assert_int_not_equal(number, own);
        highest = number > highest ? number : highest;
    }
    assert_in_range(highest, 1, 10);
}

/* The exit status of a child that ran `run`. */
static int run_in_child(void (*run)(void)) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        run();
        _exit(0);
    }
    int how = 0;
    assert_int_equal(waitpid(child, &how, 0), child);
    return how;
}

static int64_t parent_id;

static void exit_with_comparison(void) {
    _exit(process_id() == getpid() && process_id() != parent_id ? 42 : 1);
}

TEST(thread, process_id_follows_a_fork) {
    parent_id = process_id();
    assert_int_equal(parent_id, getpid());
    int how = run_in_child(exit_with_comparison);
    assert_true(WIFEXITED(how));
    assert_int_equal(WEXITSTATUS(how), 42);
    assert_int_equal(process_id(), parent_id);
}

static void assert_a_free_mutex_held(void) {
    /* The abort's message and core are expected here. */
    mutex m;
    close(STDERR_FILENO);
    signal(SIGABRT, SIG_DFL);
    mutex_init(&m);
    mutex_assert_held(&m);
}

TEST(thread, assert_held_stops_a_debug_build) {
#ifdef NDEBUG
    skip();
#endif
    int how = run_in_child(assert_a_free_mutex_held);
    assert_true(WIFSIGNALED(how));
    assert_int_equal(WTERMSIG(how), SIGABRT);
}

TEST_MAIN(RUN(thread, wait_hook_runs_in_place_of_every_sleep),
          RUN(thread, timed_wait_ends_by_itself_no_earlier_than_asked),
          RUN(thread, is_named_and_leaves_the_programs_signals_alone),
          RUN(thread, start_without_memory_says_so),
          RUN(thread, numbers_are_reused_after_their_thread_ended),
          RUN(thread, process_id_follows_a_fork), RUN(thread, assert_held_stops_a_debug_build))
