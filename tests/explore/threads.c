/* Model threads are contexts of one system thread; control passes only in threads_point() and where
 * a thread blocks. This file is also platform/thread.h for the code under test. */
#include "explore/engine.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>

#include "platform/park.h"
#include "platform/thread.h"

engine_run engine;

enum { THREADS_OBJECTS_MAX = 32, THREADS_FAILURE_BYTES = 512 };

typedef struct threads_mutex {
    const mutex *address;
    uint32_t owner;   /* 0: free */
    uint32_t taken;   /* how often */
    engine_view view; /* what the last holder knew */
} threads_mutex;

static struct {
    ucontext_t outside;
    ucontext_t contexts[ENGINE_THREADS_MAX];
    const explore_scenario *scenario;
    threads_mutex mutexes[THREADS_OBJECTS_MAX];
    uint32_t mutex_count;
    bool failed;
    char failure[THREADS_FAILURE_BYTES];
} threads;

/* --- ends of a schedule --- */

const char *threads_failure(void) {
    return threads.failed ? threads.failure : NULL;
}

void threads_abandon(void) {
    setcontext(&threads.outside);
    __builtin_unreachable();
}

void explore_fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    if (!threads.failed)
        vsnprintf(threads.failure, sizeof threads.failure, format, arguments);
    va_end(arguments);
    threads.failed = true;
    threads_abandon();
}

/* For CHECK and DCHECK of the code under test (base/check.h). */
void check_failed(const char *file, int line, const char *expression) {
    explore_fail("internal check failed: %s (%s:%d)", expression, file, line);
}

static void threads_on_crash(int signal, siginfo_t *info, void *context) {
    (void)context;
    explore_fail("T%u accesses %p (signal %d)", engine.current, info->si_addr, signal);
}

void threads_catch_crashes(void) {
    static uint8_t stack[1 << 16];
    sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, NULL);
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    action.sa_sigaction = threads_on_crash;
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
}

/* --- who runs next --- */

static threads_mutex *threads_find_mutex(const mutex *m) {
    for (uint32_t i = 0; i < threads.mutex_count; i++) {
        if (threads.mutexes[i].address == m)
            return &threads.mutexes[i];
    }
    if (threads.mutex_count == THREADS_OBJECTS_MAX)
        explore_fail("more than %d mutexes", THREADS_OBJECTS_MAX);
    threads_mutex *fresh = &threads.mutexes[threads.mutex_count++];
    memset(fresh, 0, sizeof *fresh);
    fresh->address = m;
    return fresh;
}

static bool threads_can_run(const engine_thread *t) {
    return t->state == ENGINE_READY ||
           (t->state == ENGINE_BLOCKED && threads_find_mutex(t->wants)->owner == 0);
}

static uint32_t threads_runnable(uint32_t *out, bool staying) {
    uint32_t count = 0;
    if (staying)
        out[count++] = engine.current;
    for (uint32_t i = 1; i <= engine.thread_count; i++) {
        if (i != engine.current && threads_can_run(&engine.threads[i]))
            out[count++] = i;
    }
    if (count == 0 && engine.current != 0 && threads_can_run(engine_me()))
        out[count++] = engine.current; /* it gave way, but nobody else can run */
    return count;
}

/* Time passes only when nothing else can happen. */
static bool threads_let_one_time_out(void) {
    uint32_t sleepers[ENGINE_THREADS_MAX], count = 0;
    for (uint32_t i = 1; i <= engine.thread_count; i++) {
        if (engine.threads[i].state == ENGINE_WAITING && engine.threads[i].timed)
            sleepers[count++] = i;
    }
    if (count == 0)
        return false;
    engine_thread *t = &engine.threads[sleepers[choices_pick(BRANCH_WAITER, count)]];
    t->state = t->wants ? ENGINE_BLOCKED : ENGINE_READY;
    return true;
}

static void threads_report_deadlock(void) {
    char text[THREADS_FAILURE_BYTES];
    int used = snprintf(text, sizeof text, "deadlock:");
    for (uint32_t i = 1; i <= engine.thread_count; i++) {
        const engine_thread *t = &engine.threads[i];
        if (t->state == ENGINE_DONE)
            continue;
        used +=
            snprintf(text + used, sizeof text - (size_t)used, " T%u waits for %s %s;", i,
                     t->state == ENGINE_BLOCKED ? "mutex" : "condition",
                     memory_model_describe(t->state == ENGINE_BLOCKED ? t->wants : t->waits_at));
    }
    explore_fail("%s", text);
}

/* `staying`: the current thread could go on, and leaving it is a preemption. */
static void threads_schedule(bool staying) {
    uint32_t options[ENGINE_THREADS_MAX], from = engine.current;
    uint32_t count = threads_runnable(options, staying);
    if (count == 0) {
        bool all_done = true;
        for (uint32_t i = 1; i <= engine.thread_count; i++)
            all_done &= engine.threads[i].state == ENGINE_DONE;
        if (all_done)
            threads_abandon();
        if (!threads_let_one_time_out())
            threads_report_deadlock();
        count = threads_runnable(options, false);
        if (count == 0)
            threads_report_deadlock();
    }
    uint32_t to = choices_pick_thread(options, count, staying);
    if (to == from)
        return;
    engine.preemptions += staying;
    engine.current = to;
    if (from == 0)
        setcontext(&threads.contexts[to]);
    else
        swapcontext(&threads.contexts[from], &threads.contexts[to]);
}

void threads_point(const void *address, bool writes) {
    if (!engine.running)
        return;
    if (++engine.steps > ENGINE_STEPS_MAX)
        explore_fail("livelock: %d operations and no end", ENGINE_STEPS_MAX);
    if (memory_model_is_shared(address, writes))
        threads_schedule(true);
    engine_me()->now.time[engine.current]++;
}

uint64_t threads_fingerprint(void) {
    uint64_t hash = 0;
    for (uint32_t i = 1; i <= engine.thread_count; i++)
        hash = engine_mix(hash, engine.threads[i].history);
    return hash;
}

/* --- one schedule --- */

static void threads_main(void) {
    threads.scenario->threads[engine.current - 1]();
    trace_add("end", NULL, 0, NULL);
    engine_me()->state = ENGINE_DONE;
    engine_remember('e');
    threads_schedule(false);
}

static void threads_start(uint32_t number) {
    size_t bytes;
    void *stack = memory_model_stack(number, &bytes);
    ucontext_t *context = &threads.contexts[number];
    getcontext(context);
    context->uc_stack.ss_sp = stack;
    context->uc_stack.ss_size = bytes;
    context->uc_link = NULL;
    makecontext(context, threads_main, 0);
    engine.threads[number].state = ENGINE_READY;
    engine.threads[number].now.time[number] = 1; /* 0 is setup, which is before everything */
}

bool threads_run(const explore_scenario *scenario) {
    static volatile bool back; /* control returns to getcontext() when the threads are done */
    memset(&engine, 0, sizeof engine);
    engine.old_reads_max = scenario->old_reads_max ? scenario->old_reads_max : UINT32_MAX;
    threads.scenario = scenario;
    threads.mutex_count = 0;
    threads.failed = false;
    memory_model_reset();
    model_reset();
    trace_reset();
    choices_begin_schedule();
    scenario->setup();
    while (engine.thread_count < EXPLORE_SCENARIO_THREADS_MAX &&
           scenario->threads[engine.thread_count])
        threads_start(++engine.thread_count);
    back = false;
    getcontext(&threads.outside);
    if (!back) {
        back = true;
        engine.running = true;
        threads_schedule(false);
    }
    engine.running = false;
    bool complete = !threads.failed;
    for (uint32_t i = 1; i <= engine.thread_count; i++)
        complete &= engine.threads[i].state == ENGINE_DONE;
    engine.current = 0;
    back = false;
    getcontext(&threads.outside); /* where a failure in `finish` comes out */
    if (complete && !back && scenario->finish) {
        back = true;
        scenario->finish();
    }
    return !threads.failed;
}

/* --- platform/thread.h --- */

void mutex_init(mutex *m) {
    memory_model_touch(m, sizeof *m, true);
    threads_find_mutex(m)->owner = 0;
}

void mutex_deinit(mutex *m) {
    if (engine.running && threads_find_mutex(m)->owner != 0)
        explore_fail("mutex %s is destroyed while it is held", memory_model_describe(m));
    memory_model_touch(m, sizeof *m, true);
}

static void threads_take(threads_mutex *m) {
    engine_thread *me = engine_me();
    me->wants = (void *)(uintptr_t)m->address;
    while (m->owner != 0) {
        me->state = ENGINE_BLOCKED;
        threads_schedule(false);
    }
    me->state = ENGINE_READY;
    me->wants = NULL;
    m->owner = engine.current;
    model_join(&me->now, &m->view);
    engine_remember((uintptr_t)m->address + m->taken++);
    trace_add("lock", m->address, 0, NULL);
}

static void threads_give(threads_mutex *m) {
    m->view = engine_me()->now;
    m->owner = 0;
    engine_me()->now.time[engine.current]++;
    trace_add("unlock", m->address, 0, NULL);
}

void mutex_lock(mutex *m) {
    if (!engine.running)
        return;
    threads_point(m, true);
    memory_model_touch_atomic(m, sizeof *m, true);
    if (threads_find_mutex(m)->owner == engine.current)
        explore_fail("mutex %s is locked twice by T%u", memory_model_describe(m), engine.current);
    threads_take(threads_find_mutex(m));
}

/* No point of its own: what another thread could do before an unlock, it can do before the
 * operation ahead of it. */
void mutex_unlock(mutex *m) {
    if (!engine.running)
        return;
    mutex_assert_held(m);
    memory_model_touch_atomic(m, sizeof *m, true);
    threads_give(threads_find_mutex(m));
}

void mutex_assert_held(const mutex *m) {
    if (engine.running && threads_find_mutex(m)->owner != engine.current)
        explore_fail("T%u does not hold mutex %s", engine.current, memory_model_describe(m));
}

void cond_init(cond *c) {
    memory_model_touch(c, sizeof *c, true);
}

static bool threads_waits_at(uint32_t number, const cond *c) {
    return engine.threads[number].state == ENGINE_WAITING && engine.threads[number].waits_at == c;
}

void cond_deinit(cond *c) {
    for (uint32_t i = 1; i <= engine.thread_count; i++) {
        if (threads_waits_at(i, c))
            explore_fail("condition %s is destroyed while T%u waits", memory_model_describe(c), i);
    }
    memory_model_touch(c, sizeof *c, true);
}

/* Never wakes by itself: spurious wake-ups would hide lost ones. */
static void threads_wait(cond *c, mutex *m, bool timed) {
    if (!engine.running)
        explore_fail("setup or finish waits for a condition");
    mutex_assert_held(m);
    threads_point(c, true);
    memory_model_touch_atomic(c, sizeof *c, true);
    trace_add("wait", c, 0, NULL);
    engine_thread *me = engine_me();
    engine_remember((uintptr_t)c + 'w');
    threads_give(threads_find_mutex(m));
    me->state = ENGINE_WAITING;
    me->waits_at = c;
    me->wants = m;
    me->timed = timed;
    threads_schedule(false);
    threads_take(threads_find_mutex(m));
}

void cond_wait(cond *c, mutex *m) {
    threads_wait(c, m, false);
}

void cond_wait_for(cond *c, mutex *m, uint64_t ns) {
    (void)ns;
    threads_wait(c, m, true);
}

/* Moves one waiter on to the mutex. */
static void threads_wake(cond *c, uint32_t number) {
    engine.threads[number].state = ENGINE_BLOCKED;
    engine_remember((uintptr_t)c + number);
}

static uint32_t threads_waiters(const cond *c, uint32_t *out) {
    uint32_t count = 0;
    for (uint32_t i = 1; i <= engine.thread_count; i++) {
        if (threads_waits_at(i, c))
            out[count++] = i;
    }
    return count;
}

void cond_signal(cond *c) {
    uint32_t waiters[ENGINE_THREADS_MAX];
    threads_point(c, true);
    memory_model_touch_atomic(c, sizeof *c, true);
    uint32_t count = threads_waiters(c, waiters);
    trace_add("signal", c, count, "waiters");
    engine_remember((uintptr_t)c + 's' + count);
    if (count)
        threads_wake(c, waiters[choices_pick(BRANCH_WAITER, count)]);
}

void cond_broadcast(cond *c) {
    uint32_t waiters[ENGINE_THREADS_MAX];
    threads_point(c, true);
    memory_model_touch_atomic(c, sizeof *c, true);
    uint32_t count = threads_waiters(c, waiters);
    trace_add("broadcast", c, count, "waiters");
    engine_remember((uintptr_t)c + 'b' + count);
    for (uint32_t i = 0; i < count; i++)
        threads_wake(c, waiters[i]);
}

uint64_t thread_number(void) {
    if (engine.current == 0)
        return 1; /* setup and finish: as a thread that has ended */
    return engine.current + threads.scenario->number_offset;
}

/* Gives way to the others. */
void thread_sleep_ns(uint64_t ns) {
    (void)ns;
    if (!engine.running)
        return;
    if (++engine.steps > ENGINE_STEPS_MAX)
        explore_fail("livelock: %d operations and no end", ENGINE_STEPS_MAX);
    threads_schedule(false);
}

bool thread_run_wait_hook(void) {
    return false;
}

/* --- platform/park.h --- */

/* The comparison is the kernel's: with the newest value, and in one step with falling asleep. */
void park_wait(const atomic_u32 *word, uint32_t value) {
    if (!engine.running)
        explore_fail("setup or finish parks");
    threads_point(word, true);
    memory_model_touch_atomic(word, sizeof *word, true);
    bool sleeps = word->raw == value;
    trace_add(sleeps ? "park" : "park PASSES", word, word->raw, NULL);
    engine_remember((uintptr_t)word + 'p' + sleeps);
    if (!sleeps)
        return;
    engine_thread *me = engine_me();
    me->state = ENGINE_WAITING;
    me->waits_at = (void *)(uintptr_t)word;
    me->wants = NULL;
    me->timed = false;
    threads_schedule(false);
}

/* The word itself may be gone. */
void park_wake(const atomic_u32 *word) {
    threads_point(word, true);
    trace_add("wake", word, 0, NULL);
    for (uint32_t i = 1; i <= engine.thread_count; i++) {
        engine_thread *t = &engine.threads[i];
        if (t->state == ENGINE_WAITING && t->waits_at == word) {
            t->state = ENGINE_READY;
            engine_remember((uintptr_t)word + i);
        }
    }
}

void park_yield(void) {
    thread_sleep_ns(0);
}

void park_pause(void) {
}
