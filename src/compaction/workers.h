/* compaction/workers.h - the threads that drain background work, or the stepper that stands in for
 * them.
 *
 * Purpose: `run_one` looks for the most urgent piece of work, does it, and says whether there was
 * one. With threads they call it until it says no, then sleep until workers_wake. Without (thread
 * count 0, for deterministic tests) nothing happens until somebody calls workers_step. Threads:
 * workers_wake from anywhere, also with locks held: it takes only its own leaf mutex. */
#ifndef FIRN_COMPACTION_WORKERS_H
#define FIRN_COMPACTION_WORKERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

typedef struct workers workers;

typedef struct workers_args {
    uint32_t threads;
    /* Worker 0 of several is for urgent work only, so that a long job never delays it. *retry_ns,
     * set to 0 before, asks to be called again after that time although nothing was done. */
    bool (*run_one)(void *context, bool urgent_only, uint64_t *retry_ns);
    void *context;
} workers_args;

FIRN_INTERNAL NODISCARD status workers_new(const workers_args *args, workers **out);
FIRN_INTERNAL void workers_wake(workers *w);
/* Does one piece of work on the calling thread; false if there was none. */
FIRN_INTERNAL bool workers_step(workers *w);
FIRN_INTERNAL bool workers_are_threads(const workers *w);
/* How many threads have nothing to do and would help with shared work. */
FIRN_INTERNAL uint32_t workers_idle(workers *w);
/* Runs piece(context, i) once for every i below `count`, on this thread and on those that find no
 * work of their own, and returns when all are over. The one for urgent work alone does not help. */
FIRN_INTERNAL void workers_share(workers *w, uint32_t count,
                                 void (*piece)(void *context, uint32_t index), void *context);
/* Waits for running work to end; nothing runs afterwards. */
FIRN_INTERNAL void workers_stop(workers *w);
FIRN_INTERNAL void workers_free(workers *w); /* stops first; NULL is fine */
#endif
