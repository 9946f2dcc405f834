/* bench/run.h - runs one workload on one engine and measures it.
 *
 * A `bench` is one database with what is known about its contents; it lives in one child process.
 * A `worker` is one thread of one workload; its fields are its own, apart from `done`. */
#ifndef FIRN_BENCH_RUN_H
#define FIRN_BENCH_RUN_H

#include <stdatomic.h>

#include "clock.h"
#include "config.h"
#include "result.h"
#include "values.h"
#include "workload.h"

typedef struct bench {
    const bench_config *config;
    const engine_methods *engine;
    void *db; /* NULL: not open */
    char path[512];
    uint64_t key_count;   /* keys 0 .. key_count - 1 were written */
    uint64_t value_bytes; /* as the last fill wrote them */
    bool complete;        /* none of them was deleted */
    bool filled;
    bool uncertain; /* which of two values a key has depended on how far threads got */
    uint64_t live_keys;
    double sustained_rate; /* of the last writes, their drain included */
    unsigned generation;   /* counts workloads; marks the values they write */
    uint32_t round;
} bench;

/* What the workers of a workload share. Read-only while they run, but for the counter. */
typedef struct run {
    bench *bench;
    const workload *workload;
    uint32_t threads;
    uint64_t key_count;
    permutation shuffle;              /* of the keys, for ORDER_SHUFFLED and for scattering ranks */
    zipfian *ranks;                   /* NULL: not needed */
    _Atomic uint64_t inserted;        /* keys now: grows with the inserts of mixed workloads */
    _Atomic bool readers_done;        /* tells the writer beside them to stop */
    uint64_t ticks_limit;             /* 0: none */
    double rate;                      /* operations per second of all together; 0: no limit */
    uint64_t ticks_per_operation_q16; /* the same for each worker */
    bool racy;                        /* what is read depends on who came first */
    bool must_find;                   /* a key asked for that is not found is lost */
} run;

typedef struct worker {
    run *run;
    const engine_methods *engine;
    void *session;
    uint32_t index;
    uint64_t budget; /* operations to do */
    uint64_t random;
    value_source values;
    unsigned generation;
    uint8_t key_buffer[KEY_BUFFER_BYTES];

    uint64_t issued;
    uint64_t start_ticks, last_ticks;
    bool stopped;
    /* For the trace: operations so far, and the slowest since the trace last asked. */
    _Atomic uint64_t done, slowest_ns;
    worker_result result;
} worker;

enum { LATENCY_READ, LATENCY_WRITE };

/* Opens (creating) the database of `b`, if it is not open. */
void bench_open(bench *b);
void bench_close(bench *b);

/* Closes the database if it is open, and makes its directory empty. */
void bench_empty(bench *b);

/* Runs a step; *out is all there is to say about it. */
void bench_run(bench *b, const bench_step *step, step_result *out);

/* The recovery workload: see recovery.c. */
void bench_recover(bench *b, const bench_step *step, step_result *out);

/* Gives `w` a session of its own and the generation's values. */
void worker_init(worker *w, run *r, uint32_t index, uint64_t budget);
void worker_deinit(worker *w);

/* --- for the loops --- */

/* Whether there is another operation to do. */
static inline bool worker_next(worker *w) {
    return w->issued < w->budget && !w->stopped;
}

/* Waits until the next operation is due under the rate limit, and starts its clock: when it was
 * due, if that is past, so that an operation that had to wait behind a slow one was slow too. */
void worker_pace(worker *w);

/* Ends a piece of work of `operations` operations: records how long each took since the last lap.
 */
static inline void worker_lap(worker *w, int kind, uint64_t operations) {
    uint64_t now = clock_ticks();
    uint64_t ns = clock_ticks_to_ns(now - w->last_ticks);
    histogram_add(&w->result.latency[kind], operations > 1 ? ns / operations : ns, operations);
    /* relaxed, both: one number, of which the trace takes what it finds. */
    if (ns > atomic_load_explicit(&w->slowest_ns, memory_order_relaxed))
        atomic_store_explicit(&w->slowest_ns, ns, memory_order_relaxed);
    w->last_ticks = now;
    w->issued += operations;
    /* relaxed: a counter that the trace samples; nothing is ordered by it. */
    atomic_store_explicit(&w->done, w->issued, memory_order_relaxed);
    if (w->run->ticks_limit && now - w->start_ticks >= w->run->ticks_limit)
        w->stopped = true;
    if (w->run->ticks_per_operation_q16)
        worker_pace(w);
}

/* The key of `index`; valid until the next call. */
static inline firn_slice worker_key(worker *w, uint64_t index) {
    return key_make(&w->run->bench->config->key, index, w->key_buffer);
}

/* Writes the present generation's value under `key`. */
static inline void worker_put(worker *w, firn_slice key, bool sync) {
    firn_slice value = value_make(&w->values, key_hash(key), w->generation);
    w->engine->put(w->session, key, value, sync);
    w->result.user_bytes_written += key.size + value.size;
}

/* Ends the process: `value` is not one that was written under `key`. */
__attribute__((noreturn)) void worker_took_wrong(const worker *w, firn_slice key, firn_slice value);

/* Checks what was read and adds it to the checksum. */
static inline void worker_took(worker *w, firn_slice key, firn_slice value, bool whole) {
    uint64_t hash = key_hash(key);
    if (!value_belongs(&w->values, value, hash) || (whole && !value_is_whole(&w->values, value)))
        worker_took_wrong(w, key, value);
    w->result.found++;
    w->result.user_bytes_read += key.size + value.size;
    w->result.checksum += w->run->racy ? hash : hash + value_touch(value);
}

/* Reads `key`, which must be there unless keys were deleted. Every 16th value is checked to its
 * last byte. */
bool worker_get(worker *w, firn_slice key);

/* An index in the order of the workload, for those that choose again and again. */
uint64_t worker_pick(worker *w);

#endif
