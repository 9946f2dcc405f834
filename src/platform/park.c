#include "platform/park.h"

#include <sched.h>

#include "base/check.h"
#include "platform/thread.h"

#if defined(__linux__)

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A futex call that fails is a spurious wake-up (EINTR, EAGAIN) or a wake of nobody (EFAULT: the
 * sleeper has returned and its stack is gone). */
FIRN_INTERNAL void park_wait(const atomic_u32 *word, uint32_t value) {
    if (thread_run_wait_hook())
        return;
    long result = syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
    CHECK(result == 0 || errno == EINTR || errno == EAGAIN);
}

FIRN_INTERNAL void park_wake(const atomic_u32 *word) {
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

#else

/* Elsewhere sleepers share a few conditions, chosen by the word's address. */
enum { PARK_BUCKETS = 64 };

static pthread_mutex_t park_mutex[PARK_BUCKETS];
static pthread_cond_t park_cond[PARK_BUCKETS];
static pthread_once_t park_once = PTHREAD_ONCE_INIT;

static void park_init(void) {
    for (int i = 0; i < PARK_BUCKETS; i++) {
        CHECK(pthread_mutex_init(&park_mutex[i], NULL) == 0);
        CHECK(pthread_cond_init(&park_cond[i], NULL) == 0);
    }
}

static size_t park_bucket(const atomic_u32 *word) {
    pthread_once(&park_once, park_init);
    return (size_t)((uintptr_t)word / 64 % PARK_BUCKETS);
}

FIRN_INTERNAL void park_wait(const atomic_u32 *word, uint32_t value) {
    if (thread_run_wait_hook())
        return;
    size_t i = park_bucket(word);
    CHECK(pthread_mutex_lock(&park_mutex[i]) == 0);
    /* acquire: pairs with the change before park_wake; the bucket's mutex excludes a wake between
     * this look and the sleep. */
    if (atomic_u32_load(word, memory_order_acquire) == value)
        CHECK(pthread_cond_wait(&park_cond[i], &park_mutex[i]) == 0);
    CHECK(pthread_mutex_unlock(&park_mutex[i]) == 0);
}

FIRN_INTERNAL void park_wake(const atomic_u32 *word) {
    size_t i = park_bucket(word);
    CHECK(pthread_mutex_lock(&park_mutex[i]) == 0);
    CHECK(pthread_cond_broadcast(&park_cond[i]) == 0);
    CHECK(pthread_mutex_unlock(&park_mutex[i]) == 0);
}

#endif

FIRN_INTERNAL void park_yield(void) {
    if (!thread_run_wait_hook())
        (void)sched_yield();
}

FIRN_INTERNAL void park_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");
#endif
}
