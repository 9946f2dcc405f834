#include "run.h"

#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "device.h"
#include "process.h"

/* --- the database --- */

void bench_open(bench *b) {
    if (b->db)
        return;
    engine_settings settings = b->config->settings;
    settings.path = b->path;
    b->db = b->engine->open(&settings);
}

void bench_close(bench *b) {
    if (b->db)
        b->engine->close(b->db);
    b->db = NULL;
}

void bench_empty(bench *b) {
    bench_close(b);
    malloc_trim(0); /* what the last database freed must not count against the next */
    directory_remove(b->path);
    directory_make(b->path);
    b->key_count = b->live_keys = 0;
    b->filled = b->complete = b->uncertain = false;
}

/* --- the clock beside them --- */

typedef struct monitor {
    const bench_config *config;
    worker *workers;
    uint32_t first, count; /* the workers whose operations are traced */
    step_result *out;
    uint64_t start_ns;
    _Atomic bool tracing, stopping;
    _Atomic pid_t thread;
} monitor;

static void monitor_trace(monitor *m) {
    uint64_t sum = 0, slowest_ns = 0;
    /* relaxed: samples of counters that only their workers raise. */
    for (uint32_t i = m->first; i < m->count; i++) {
        sum += atomic_load_explicit(&m->workers[i].done, memory_order_relaxed);
        uint64_t ns = atomic_exchange_explicit(&m->workers[i].slowest_ns, 0, memory_order_relaxed);
        slowest_ns = ns > slowest_ns ? ns : slowest_ns;
    }
    m->out->trace_slowest_ns[m->out->trace_count] = slowest_ns;
    m->out->trace[m->out->trace_count++] = sum;
}

static void *monitor_main(void *context) {
    enum { STEP_US = 10000 };
    monitor *m = context;
    atomic_store(&m->thread, gettid());
    uint64_t interval_ns = m->config->trace_ms * 1000000;
    for (unsigned tick = 0; !atomic_load(&m->stopping); tick++) {
        if (tick % 5 == 0) {
            uint64_t rss = process_rss_anon();
            if (rss > m->out->rss_anon_peak)
                m->out->rss_anon_peak = rss;
        }
        uint64_t due = m->start_ns + (m->out->trace_count + 1) * interval_ns;
        if (atomic_load(&m->tracing) && m->out->trace_count < TRACE_MAX && clock_ns() >= due) {
            monitor_trace(m);
        }
        usleep(STEP_US);
    }
    return NULL;
}

/* --- one step --- */

typedef struct worker_thread {
    worker *worker;
    pthread_barrier_t *barrier;
    pthread_t thread;
} worker_thread;

static void *worker_main(void *context) {
    worker_thread *t = context;
    worker *w = t->worker;
    pthread_barrier_wait(t->barrier);
    w->start_ticks = w->last_ticks = clock_ticks();
    w->run->workload->body(w);
    struct timespec cpu;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
    w->result.cpu_ns = (uint64_t)cpu.tv_sec * 1000000000 + (uint64_t)cpu.tv_nsec;
    return NULL;
}

static void thread_start(pthread_t *thread, void *(*start)(void *), void *context) {
    if (pthread_create(thread, NULL, start, context) != 0)
        bench_fail("cannot start a thread");
}

/* How many operations the step is to do, all workers together. */
static uint64_t run_operations(const bench *b, const workload *work) {
    const bench_config *c = b->config;
    if (work->flags & WORKLOAD_FRESH || workload_deletes(work))
        return b->key_count;
    if (work->body == workload_scan_all)
        return b->live_keys;
    /* Few large values: read them often enough to measure. */
    uint64_t enough = c->keys < 100000 ? c->keys : 100000;
    uint64_t count = c->operations ? c->operations : b->key_count > enough ? b->key_count : enough;
    if (work->operations_divisor)
        count /= work->operations_divisor;
    return count ? count : 1;
}

/* Makes the database what the workload begins with. */
static void run_prepare(bench *b, const workload *work, step_result *out) {
    const bench_config *c = b->config;
    b->generation++;
    if (!(work->flags & WORKLOAD_FRESH)) {
        if (!b->filled)
            bench_fail("%s needs data: put a fill workload before it", work->name);
        if (work->flags & WORKLOAD_COLD) {
            bench_close(b);
            device_measure(b->path, &out->device);
        }
        bench_open(b);
        return;
    }
    bench_empty(b);
    b->value_bytes = work->value_bytes ? work->value_bytes : c->value_bytes;
    b->key_count = work->value_bytes ? c->big_bytes / work->value_bytes : c->keys;
    if (work->operations_divisor && b->key_count / work->operations_divisor >= 1000)
        b->key_count /= work->operations_divisor;
    else if (work->operations_divisor && b->key_count > 1000)
        b->key_count = 1000;
    if (b->key_count == 0)
        b->key_count = 1;
    bench_open(b);
    b->filled = b->complete = true;
}

static void run_init(run *r, bench *b, const bench_step *step) {
    const workload *work = step->workload;
    memset(r, 0, sizeof *r);
    r->bench = b;
    r->workload = work;
    r->threads = step->threads;
    r->key_count = b->key_count;
    r->inserted = b->key_count;
    r->rate = step->percent ? b->sustained_rate * step->percent / 100 : b->config->rate;
    permutation_init(&r->shuffle, b->key_count, b->config->seed);
    if (work->order == ORDER_ZIPFIAN || work->order == ORDER_LATEST) {
        r->ranks = zipfian_new(b->key_count);
        if (!r->ranks)
            bench_fail("out of memory");
    }
    bool both = (work->flags & WORKLOAD_READS) && (work->flags & WORKLOAD_WRITES);
    r->racy = b->uncertain || work->writer_beside || (both && step->threads > 1);
    r->must_find = b->engine->stores && b->complete && !(work->inserts && step->threads > 1);
}

/* Brings caches into the state of a running system; not measured. */
static void run_warm_up(run *r, worker *w, uint64_t operations) {
    const workload *work = r->workload;
    if (!(work->flags & WORKLOAD_READS) || operations == 0)
        return;
    if (work->operations_divisor)
        operations /= work->operations_divisor;
    uint64_t budget = w->budget;
    uint64_t random = w->random;
    w->budget = operations;
    w->random = random_mix(random ^ 1);
    w->start_ticks = w->last_ticks = clock_ticks();
    if (work->flags & WORKLOAD_WRITES)
        workload_read(w);
    else
        work->body(w);
    memset(&w->result, 0, sizeof w->result);
    w->budget = budget;
    w->random = random;
    w->issued = 0;
    atomic_store(&w->done, 0);
    atomic_store(&w->slowest_ns, 0);
}

/* Waits for background work that `out`'s operations left, and counts it. */
static void run_drain(bench *b, uint64_t end_ns, pid_t monitor_thread, step_result *out) {
    if (b->engine->debt_bytes)
        out->debt_bytes = b->engine->debt_bytes(b->db);
    if (b->engine->wait_idle)
        b->engine->wait_idle(b->db);
    uint64_t quiet_ns = process_wait_quiet(monitor_thread);
    if (quiet_ns > end_ns)
        out->drain_seconds = (double)(quiet_ns - end_ns) / 1e9;
    if (b->engine->debt_bytes)
        out->debt_after_bytes = b->engine->debt_bytes(b->db);
}

/* Runs the workers; gives the time at which the last of them ended. */
static uint64_t run_workers(run *r, worker *workers, uint32_t count, monitor *m) {
    pthread_barrier_t barrier;
    worker_thread *threads = bench_alloc(count * sizeof *threads);
    pthread_barrier_init(&barrier, NULL, count + 1);
    for (uint32_t i = 0; i < count; i++) {
        threads[i].worker = &workers[i];
        threads[i].barrier = &barrier;
        thread_start(&threads[i].thread, worker_main, &threads[i]);
    }
    m->start_ns = clock_ns();
    atomic_store(&m->tracing, true);
    pthread_barrier_wait(&barrier);
    /* The writer beside the readers is worker 0: it ends when they have. */
    for (uint32_t i = count; i-- > 0;) {
        if (i == 0)
            atomic_store(&r->readers_done, true);
        pthread_join(threads[i].thread, NULL);
    }
    uint64_t end_ns = clock_ns();
    atomic_store(&m->tracing, false);
    pthread_barrier_destroy(&barrier);
    free(threads);
    return end_ns;
}

/* What the workload has done to the database. */
static void run_note_effects(bench *b, const run *r, const step_result *out) {
    const workload *work = r->workload;
    if (work->flags & WORKLOAD_FRESH) {
        b->live_keys = out->operations;
        b->key_count = out->operations;
    }
    if (workload_deletes(work)) {
        b->complete = false;
        b->live_keys = work->body == workload_delete        ? 0
                       : work->body == workload_delete_most ? (b->key_count + 99) / 100
                       : b->key_count < 2                   ? b->key_count
                                                            : 2;
    }
    if (work->body == workload_queue) {
        b->complete = false;
        b->live_keys = out->operations < 100 ? out->operations : 100ull * r->threads;
    }
    if (work->inserts) {
        uint64_t inserted = atomic_load(&((run *)(uintptr_t)r)->inserted);
        b->live_keys += inserted - b->key_count;
        b->key_count = inserted;
    }
    /* Which keys bear this generation now depends on how far the threads got. */
    if ((work->flags & WORKLOAD_WRITES) && !(work->flags & WORKLOAD_FRESH) &&
        (work->writer_beside || out->free_running))
        b->uncertain = true;
}

static void run_measure(run *r, const bench_step *step, step_result *out) {
    bench *b = r->bench;
    const bench_config *c = b->config;
    uint32_t beside = step->workload->writer_beside ? 1 : 0;
    uint32_t count = step->threads + beside;
    uint64_t operations = run_operations(b, step->workload);
    if (step->percent) /* for about as long as the unlimited one took */
        operations = operations * step->percent / 100 + 1;
    /* Fills stop early under a time limit; everything else goes on until then. */
    if (c->seconds > 0 && !(step->workload->flags & WORKLOAD_FRESH))
        operations = UINT64_MAX / 2;
    worker *workers = bench_alloc(count * sizeof *workers);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t rank = i - beside;
        uint64_t share = operations / step->threads + (rank < operations % step->threads);
        worker_init(&workers[i], r, i, share);
    }
    run_warm_up(r, &workers[count - 1], c->warmup);
    if (c->seconds > 0)
        r->ticks_limit = clock_ns_to_ticks((uint64_t)(c->seconds * 1e9));
    if (r->rate > 0)
        r->ticks_per_operation_q16 =
            (uint64_t)((double)clock_ns_to_ticks(1000000000) * 65536 / (r->rate / step->threads));

    monitor m = {.config = c, .workers = workers, .first = beside, .count = count, .out = out};
    pthread_t monitor_thread;
    usage before, after;
    thread_start(&monitor_thread, monitor_main, &m);
    process_usage(&before);
    uint64_t end_ns = run_workers(r, workers, count, &m);
    out->seconds = (double)(end_ns - m.start_ns) / 1e9;
    process_usage(&after);
    out->during = usage_since(&after, &before);
    if ((step->workload->flags & WORKLOAD_WRITES) && !c->exit_without_close)
        run_drain(b, end_ns, atomic_load(&m.thread), out);
    process_usage(&after);
    out->and_drain = usage_since(&after, &before);
    atomic_store(&m.stopping, true);
    pthread_join(monitor_thread, NULL);

    for (uint32_t i = 0; i < count; i++) {
        if (i < beside)
            workers[i].result.cpu_ns = 0; /* it is not what is measured */
        worker_result_merge(&out->sums, &workers[i].result);
        if (i >= beside)
            out->operations += workers[i].issued;
        worker_deinit(&workers[i]);
    }
    free(workers);
}

/* flush, compact, drain: one call, and what it leaves running. No operation where the engine has
 * nothing to do. */
static void run_maintain(bench *b, const workload *work, step_result *out) {
    usage before, after;
    process_usage(&before);
    uint64_t start_ns = clock_ns();
    if (!work->maintain(b))
        return;
    uint64_t end_ns = clock_ns();
    run_drain(b, end_ns, 0, out);
    process_usage(&after);
    out->operations = 1;
    out->seconds = (double)(end_ns - start_ns) / 1e9 + out->drain_seconds;
    out->drain_seconds = 0;
    out->during = out->and_drain = usage_since(&after, &before);
    out->sums.cpu_ns = out->during.cpu_user_ns + out->during.cpu_system_ns;
    out->rss_anon_peak = process_rss_anon();
}

/* Text of a describing function, cut to `size`. */
static void run_text(void (*describe)(void *, FILE *), void *db, char *text, size_t size) {
    FILE *to = fmemopen(text, size, "w");
    if (!to)
        bench_fail("out of memory");
    describe(db, to);
    fclose(to);
    text[size - 1] = '\0';
}

void bench_run(bench *b, const bench_step *step, step_result *out) {
    const workload *work = step->workload;
    if (strcmp(work->name, "recovery") == 0) {
        bench_recover(b, step, out);
        return;
    }
    run_prepare(b, work, out);
    if (work->maintain) {
        run_maintain(b, work, out);
    } else {
        run r;
        run_init(&r, b, step);
        out->free_running = b->config->seconds > 0 || (work->inserts && step->threads > 1);
        run_measure(&r, step, out);
        run_note_effects(b, &r, out);
        zipfian_free(r.ranks);
        if ((work->flags & WORKLOAD_WRITES) && r.rate == 0)
            b->sustained_rate = (double)out->operations / (out->seconds + out->drain_seconds);
    }
    out->live_bytes = b->live_keys * (b->config->key.bytes + b->value_bytes);
    out->disk_bytes = directory_bytes(b->path, &out->table_bytes);
    if (b->engine->counters)
        run_text(b->engine->counters, b->db, out->counters, sizeof out->counters);
    run_text(b->engine->describe, b->db, out->options, sizeof out->options);
    b->engine->version(out->version, sizeof out->version);
    if (work->flags & WORKLOAD_WRITES)
        directory_sync(b->path);
}
