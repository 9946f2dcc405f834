/* platform/thread.h - threads, mutexes, conditions, and the seam under waiting.
 *
 * Purpose:   all blocking of the library happens in cond_wait / cond_wait_for. With a wait hook set
 *            (deterministic tests), a would-be sleeper calls the hook instead - which runs one step
 * of background work - and returns as from a spurious wake-up. So every waiter loops on its
 *            condition.
 * Threads:   all functions may be called at once.
 * Lifetime:  init / deinit in place. */
#ifndef FIRN_PLATFORM_THREAD_H
#define FIRN_PLATFORM_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/status.h"

typedef struct mutex {
    pthread_mutex_t raw;
    atomic_u64 owner; /* thread number of the holder, 0 when free; debug builds only */
} mutex;
typedef struct cond {
    pthread_cond_t raw;
} cond;
typedef struct thread {
    pthread_t raw;
} thread;

FIRN_INTERNAL void mutex_init(mutex *m);
FIRN_INTERNAL void mutex_deinit(mutex *m);
FIRN_INTERNAL void mutex_lock(mutex *m);
FIRN_INTERNAL void mutex_unlock(mutex *m);
/* Stops a debug build when the caller does not hold `m`; free in release builds. */
FIRN_INTERNAL void mutex_assert_held(const mutex *m);

FIRN_INTERNAL void cond_init(cond *c); /* on the monotonic clock */
FIRN_INTERNAL void cond_deinit(cond *c);
/* Wakes spuriously at times: always loop. */
FIRN_INTERNAL void cond_wait(cond *c, mutex *m);
/* The same, for at most `ns`. */
FIRN_INTERNAL void cond_wait_for(cond *c, mutex *m, uint64_t ns);
FIRN_INTERNAL void cond_signal(cond *c);
FIRN_INTERNAL void cond_broadcast(cond *c);

/* `name` (up to 15 bytes) is what the system's tools show. */
FIRN_INTERNAL NODISCARD status thread_start(thread *t, const char *name, void (*run)(void *),
                                            void *context);
FIRN_INTERNAL void thread_join(thread *t);
/* A small number unique among live threads, at least 1. */
FIRN_INTERNAL uint64_t thread_number(void);
FIRN_INTERNAL void thread_sleep_ns(uint64_t ns); /* through the seam as well */
/* This process's id: differs after fork. */
FIRN_INTERNAL int64_t process_id(void);
/* Files this process may have open at once. */
FIRN_INTERNAL uint64_t process_descriptors_max(void);

/* Tests only, while no other thread waits: called with no lock held in place of sleeping. NULL
 * restores real waiting. */
FIRN_INTERNAL void thread_set_wait_hook(void (*hook)(void *context), void *context);
/* Runs the hook in place of a sleep; false: there is none, sleep. */
FIRN_INTERNAL bool thread_run_wait_hook(void);
#endif
