#include "platform/thread.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "platform/error_detail.h"
#include "platform/memory.h"

/* Numbers are bits of a fixed map, given back when their thread ends, so that they stay small in a
 * process that starts threads for ever. Should more threads than bits live at once, the rest count
 * upwards from there and are not given back. */
enum { THREAD_NUMBER_WORDS = 64, THREAD_NUMBER_LIMIT = THREAD_NUMBER_WORDS * 64 };

static atomic_u64 thread_numbers_taken[THREAD_NUMBER_WORDS];
static atomic_u64 thread_numbers_beyond;
static _Thread_local uint64_t thread_own_number;

static pthread_once_t thread_exit_once = PTHREAD_ONCE_INIT;
static pthread_key_t thread_exit_key;
static atomic_flag32 thread_exit_key_made;

/* Takes the lowest free bit. */
static uint64_t thread_number_take(void) {
    for (uint64_t i = 0; i < THREAD_NUMBER_WORDS; i++) {
        /* acquire: pairs with the release in thread_number_give_back(). */
        uint64_t word = atomic_u64_load(&thread_numbers_taken[i], memory_order_acquire);
        while (word != UINT64_MAX) {
            uint64_t bit = (uint64_t)__builtin_ctzll(~word);
            /* acquire: as above, for whatever the number's former owner kept under it. */
            if (atomic_u64_cas(&thread_numbers_taken[i], &word, word | (uint64_t)1 << bit,
                               memory_order_acquire))
                return i * 64 + bit + 1;
        }
    }
    /* relaxed: only distinctness matters. */
    return THREAD_NUMBER_LIMIT + 1 +
           atomic_u64_add(&thread_numbers_beyond, 1, memory_order_relaxed);
}

/* The key's destructor, in the ending thread. */
static void thread_number_give_back(MAYBE_UNUSED void *value) {
    uint64_t number = thread_own_number;
    thread_own_number = 0;
    if (number == 0 || number > THREAD_NUMBER_LIMIT)
        return;
    uint64_t bit = (uint64_t)1 << ((number - 1) % 64);
    /* release: pairs with the acquires in thread_number_take(). */
    atomic_u64_sub(&thread_numbers_taken[(number - 1) / 64], bit, memory_order_release);
}

static void thread_exit_key_make(void) {
    if (pthread_key_create(&thread_exit_key, thread_number_give_back) != 0)
        return; /* no key left in the process: numbers are simply not given back */
    /* release: pairs with the acquires of the two loads below. */
    atomic_flag32_store(&thread_exit_key_made, true, memory_order_release);
}

/* A library unloaded under living threads must not leave them a destructor that is gone. */
static __attribute__((destructor)) void thread_exit_key_drop(void) {
    /* acquire: pairs with the release in thread_exit_key_make(). */
    if (!atomic_flag32_load(&thread_exit_key_made, memory_order_acquire))
        return;
    /* release: pairs with the acquire in thread_number_first(). */
    atomic_flag32_store(&thread_exit_key_made, false, memory_order_release);
    pthread_key_delete(thread_exit_key);
}

static COLD uint64_t thread_number_first(void) {
    pthread_once(&thread_exit_once, thread_exit_key_make);
    thread_own_number = thread_number_take();
    /* acquire: pairs with the release in thread_exit_key_make(). */
    if (atomic_flag32_load(&thread_exit_key_made, memory_order_acquire))
        (void)pthread_setspecific(thread_exit_key, &thread_own_number);
    return thread_own_number;
}

FIRN_INTERNAL uint64_t thread_number(void) {
    return LIKELY(thread_own_number != 0) ? thread_own_number : thread_number_first();
}

#ifdef NDEBUG
static inline void mutex_owner_set(MAYBE_UNUSED mutex *m) {
}
static inline void mutex_owner_clear(MAYBE_UNUSED mutex *m) {
}
FIRN_INTERNAL void mutex_assert_held(MAYBE_UNUSED const mutex *m) {
}
#else
static inline void mutex_owner_set(mutex *m) {
    /* relaxed: only compared with the reader's own number, which only the reader stores. */
    atomic_u64_store(&m->owner, thread_number(), memory_order_relaxed);
}
static inline void mutex_owner_clear(mutex *m) {
    mutex_assert_held(m);
    atomic_u64_store(&m->owner, 0, memory_order_relaxed); /* relaxed: as above */
}
FIRN_INTERNAL void mutex_assert_held(const mutex *m) {
    CHECK(atomic_u64_load(&m->owner, memory_order_relaxed) == thread_number()); /* as above */
}
#endif

FIRN_INTERNAL void mutex_init(mutex *m) {
    CHECK(pthread_mutex_init(&m->raw, NULL) == 0);
    atomic_u64_init(&m->owner, 0);
}

FIRN_INTERNAL void mutex_deinit(mutex *m) {
    CHECK(pthread_mutex_destroy(&m->raw) == 0);
}

FIRN_INTERNAL void mutex_lock(mutex *m) {
    CHECK(pthread_mutex_lock(&m->raw) == 0);
    mutex_owner_set(m);
}

FIRN_INTERNAL void mutex_unlock(mutex *m) {
    mutex_owner_clear(m);
    CHECK(pthread_mutex_unlock(&m->raw) == 0);
}

static atomic_flag32 thread_hook_is_set;
static void (*thread_hook)(void *context);
static void *thread_hook_context;

FIRN_INTERNAL void thread_set_wait_hook(void (*hook)(void *context), void *context) {
    thread_hook = hook;
    thread_hook_context = context;
    /* release: pairs with the acquire in thread_run_hook(). */
    atomic_flag32_store(&thread_hook_is_set, hook != NULL, memory_order_release);
}

static inline bool thread_has_hook(void) {
    /* acquire: pairs with the release in thread_set_wait_hook(). */
    return UNLIKELY(atomic_flag32_load(&thread_hook_is_set, memory_order_acquire));
}

FIRN_INTERNAL bool thread_run_wait_hook(void) {
    bool has = thread_has_hook();
    if (has)
        thread_hook(thread_hook_context);
    return has;
}

static void thread_run_hook(mutex *m) {
    mutex_unlock(m);
    thread_hook(thread_hook_context);
    mutex_lock(m);
}

FIRN_INTERNAL void cond_init(cond *c) {
    pthread_condattr_t attributes;
    CHECK(pthread_condattr_init(&attributes) == 0);
    CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&c->raw, &attributes) == 0);
    CHECK(pthread_condattr_destroy(&attributes) == 0);
}

FIRN_INTERNAL void cond_deinit(cond *c) {
    CHECK(pthread_cond_destroy(&c->raw) == 0);
}

FIRN_INTERNAL void cond_wait(cond *c, mutex *m) {
    mutex_assert_held(m);
    if (thread_has_hook()) {
        thread_run_hook(m);
        return;
    }
    mutex_owner_clear(m);
    CHECK(pthread_cond_wait(&c->raw, &m->raw) == 0);
    mutex_owner_set(m);
}

/* Now + ns on the monotonic clock; far beyond any uptime where the sum would not fit. */
static struct timespec thread_deadline(uint64_t ns) {
    const uint64_t second = 1000000000u;
    const uint64_t longest = (uint64_t)INT32_MAX * second;
    struct timespec at;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &at) == 0);
    if (ns > longest)
        ns = longest;
    uint64_t fraction = (uint64_t)at.tv_nsec + ns % second;
    at.tv_sec += (time_t)(ns / second + fraction / second);
    at.tv_nsec = (long)(fraction % second);
    return at;
}

FIRN_INTERNAL void cond_wait_for(cond *c, mutex *m, uint64_t ns) {
    mutex_assert_held(m);
    if (thread_has_hook()) {
        thread_run_hook(m);
        return;
    }
    struct timespec deadline = thread_deadline(ns);
    mutex_owner_clear(m);
    int error = pthread_cond_timedwait(&c->raw, &m->raw, &deadline);
    CHECK(error == 0 || error == ETIMEDOUT);
    mutex_owner_set(m);
}

FIRN_INTERNAL void cond_signal(cond *c) {
    CHECK(pthread_cond_signal(&c->raw) == 0);
}

FIRN_INTERNAL void cond_broadcast(cond *c) {
    CHECK(pthread_cond_broadcast(&c->raw) == 0);
}

FIRN_INTERNAL void thread_sleep_ns(uint64_t ns) {
    if (thread_run_wait_hook())
        return;
    struct timespec deadline = thread_deadline(ns);
    int error;
    do {
        error = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, NULL);
    } while (error == EINTR);
    CHECK(error == 0);
}

typedef struct thread_task {
    void (*run)(void *context);
    void *context;
    char name[16]; /* what the kernel keeps, terminator included */
} thread_task;

static void *thread_main(void *argument) {
    thread_task task = *(thread_task *)argument;
    memory_free(argument);
    (void)pthread_setname_np(pthread_self(), task.name); /* a courtesy to debuggers */
    task.run(task.context);
    return NULL;
}

/* Starts with every signal blocked that is not the thread's own fault: the handlers of the program
 * around us must not run on our threads. */
static int thread_create_quiet(pthread_t *raw, thread_task *task) {
    static const int own_fault[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};
    sigset_t blocked;
    sigset_t before;
    sigfillset(&blocked);
    for (size_t i = 0; i < sizeof own_fault / sizeof own_fault[0]; i++)
        sigdelset(&blocked, own_fault[i]);
    CHECK(pthread_sigmask(SIG_SETMASK, &blocked, &before) == 0);
    int error = pthread_create(raw, NULL, thread_main, task);
    CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    return error;
}

FIRN_INTERNAL status thread_start(thread *t, const char *name, void (*run)(void *), void *context) {
    thread_task *task = memory_new(sizeof *task);
    if (!task)
        return error_status(FIRN_NO_MEMORY, "cannot start thread '%s': no memory", name);
    *task = (thread_task){.run = run, .context = context};
    snprintf(task->name, sizeof task->name, "%s", name);
    int error = thread_create_quiet(&t->raw, task);
    if (error == 0)
        return STATUS_OK;
    memory_free(task);
    char text[128];
    status st = error_status(FIRN_NO_MEMORY, "cannot start thread '%s': %s (errno %d)", name,
                             strerror_r(error, text, sizeof text), error);
    st.os_errno = error;
    return st;
}

FIRN_INTERNAL void thread_join(thread *t) {
    CHECK(pthread_join(t->raw, NULL) == 0);
}

static pthread_once_t process_id_once = PTHREAD_ONCE_INIT;
static atomic_u64 process_id_cached; /* 0: ask again */

static void process_id_forked(void) {
    /* relaxed: the child has one thread. */
    atomic_u64_store(&process_id_cached, 0, memory_order_relaxed);
}

static atomic_flag32 process_id_watched;

static void process_id_watch_fork(void) {
    /* release: pairs with the acquire in process_id(). */
    if (pthread_atfork(NULL, NULL, process_id_forked) == 0)
        atomic_flag32_store(&process_id_watched, true, memory_order_release);
}

FIRN_INTERNAL int64_t process_id(void) {
    /* relaxed: every thread would store the same value. */
    uint64_t cached = atomic_u64_load(&process_id_cached, memory_order_relaxed);
    if (LIKELY(cached != 0))
        return (int64_t)cached;
    pthread_once(&process_id_once, process_id_watch_fork);
    int64_t id = (int64_t)getpid();
    /* acquire: pairs with the release in process_id_watch_fork(). A cache nobody would reset in a
     * forked child is not filled. */
    if (atomic_flag32_load(&process_id_watched, memory_order_acquire))
        atomic_u64_store(&process_id_cached, (uint64_t)id, memory_order_relaxed); /* as above */
    return id;
}

FIRN_INTERNAL uint64_t process_descriptors_max(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return _POSIX_OPEN_MAX;
    return limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : limit.rlim_cur;
}
