/* explore/engine.h - the parts of the explorer among themselves.
 *
 * choices.c   which way to go at each branch: depth first, at random, or as a replay says
 * threads.c   model threads, mutexes, conditions: who runs next
 * model.c     atomics: which stores a load may return, what it learns by that
 * memory.c    the heap, and races between plain accesses
 * trace.c     what happened, for people
 * main.c      the search from small to large bounds, and the report */
#ifndef FIRN_EXPLORE_ENGINE_H
#define FIRN_EXPLORE_ENGINE_H

#include "explore/explore.h"

enum {
    ENGINE_THREADS_MAX = EXPLORE_SCENARIO_THREADS_MAX + 1, /* 0 is setup and finish */
    ENGINE_LOCATIONS_MAX = 256,
    ENGINE_STORES_MAX = 64, /* of one location after setup */
    ENGINE_STEPS_MAX = 4000 /* of a schedule; more is a livelock */
};

/* What a thread knows: of each thread, the operations that happen before; of each location, the
 * oldest store it may still read. The happens-before clocks and the coherence floors in one. */
typedef struct engine_view {
    uint16_t time[ENGINE_THREADS_MAX];
    uint8_t seen[ENGINE_LOCATIONS_MAX];
} engine_view;

typedef enum engine_state {
    ENGINE_READY,
    ENGINE_BLOCKED, /* wants a mutex */
    ENGINE_WAITING, /* for a condition */
    ENGINE_DONE
} engine_state;

typedef struct engine_thread {
    engine_state state;
    void *wants;    /* the mutex it is blocked on, or will want after waiting */
    void *waits_at; /* the condition */
    bool timed;     /* ... for a limited time */
    engine_view now;
    engine_view acquirable; /* joins `now` at an acquire fence */
    engine_view released;   /* `now` at the last release fence: what relaxed stores pass on */
    uint64_t history;       /* hash of all it did and saw; decides its state, being deterministic */
} engine_thread;

typedef struct engine_run {
    bool running; /* false in setup and finish: no choices, no checks */
    uint32_t current;
    uint32_t thread_count; /* numbered 1..thread_count */
    uint32_t steps, preemptions;
    uint32_t old_reads, old_reads_max; /* loads that did not return the newest store */
    uint32_t location_count;
    engine_thread threads[ENGINE_THREADS_MAX];
} engine_run;
extern engine_run engine;

static inline engine_thread *engine_me(void) {
    return &engine.threads[engine.current];
}
static inline uint64_t engine_mix(uint64_t hash, uint64_t value) {
    hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 29;
}
static inline void engine_remember(uint64_t value) {
    engine_thread *me = engine_me();
    me->history = engine_mix(me->history, value);
}

/* --- choices.c --- */
typedef enum engine_branch {
    BRANCH_THREAD = '>',
    BRANCH_STORE = '~',
    BRANCH_WAITER = '?'
} engine_branch;
typedef enum engine_strategy { STRATEGY_ALL, STRATEGY_RANDOM, STRATEGY_REPLAY } engine_strategy;
typedef struct engine_counts {
    uint64_t schedules, states;
} engine_counts;
extern engine_counts engine_counted;

void choices_begin_search(uint32_t preemptions_max);
void choices_begin_random(uint64_t seed);
/* False: not of the form that choices_describe() gives. */
bool choices_begin_replay(const char *text);
void choices_begin_schedule(void);
/* Goes on to the next schedule of the search; false: there is none. */
bool choices_next_schedule(void);
void choices_restart(void);
/* One of `count` ways, 0 being the one without surprises. */
uint32_t choices_pick(engine_branch branch, uint32_t count);
/* One of `options`, which are thread numbers; `staying`: the first is the thread that runs. */
uint32_t choices_pick_thread(const uint32_t *options, uint32_t count, bool staying);
/* All choices of this schedule that were not 0, as text for --replay. */
void choices_describe(char *out, size_t capacity);

/* --- threads.c --- */
/* Runs one schedule; false: it failed. */
bool threads_run(const explore_scenario *scenario);
/* Leaves the schedule: the rest of it is known. */
__attribute__((noreturn)) void threads_abandon(void);
/* Before each operation others may see or be seen by: here another thread may come in. */
void threads_point(const void *address, bool writes);
uint64_t threads_fingerprint(void);
const char *threads_failure(void);
/* Makes wild accesses of the code under test failures of the schedule. */
void threads_catch_crashes(void);

/* --- model.c --- */
void model_reset(void);
void model_join(engine_view *into, const engine_view *from);
uint64_t model_fingerprint(const engine_view *view);
/* Plain stores over a range in which atomics may be: initialisation. */
void model_overwrite(const void *memory, size_t bytes);

/* --- memory.c --- */
void memory_model_reset(void);
void *memory_model_stack(uint32_t thread, size_t *bytes);
/* What is known of sharing is that of this scenario from now on. False: no memory. */
bool memory_model_begin_scenario(uint32_t number);
/* Whether another thread than the current one uses this too and one of them writes, in any schedule
 * of the scenario so far: only there a choice who runs next can matter. */
bool memory_model_is_shared(const void *address, bool writes);
bool memory_model_sharing_grew(void); /* since the last call */
void memory_model_touch(const void *memory, size_t bytes, bool write);
void memory_model_touch_atomic(const void *address, size_t bytes, bool loads);
/* The location's number kept with an address; 0: none. NULL outside the model's memory. */
uint16_t *memory_model_location(const void *address);
/* "T1 heap+0x40" or a registered name with its offset. */
const char *memory_model_describe(const void *address);

/* --- trace.c --- */
void trace_reset(void);
void trace_here(const char *file, int line);
void trace_add(const char *operation, const void *address, uint64_t value, const char *note);
void trace_print(void);

#endif
