#include "compaction/workers.h"

#include "platform/error_detail.h"
#include "platform/memory.h"
#include "platform/thread.h"

#include "base/poison.h"

#define WORKERS_MAX 64

typedef struct worker {
    workers *pool;
    thread handle;
    bool urgent_only;
} worker;

/* Work that one thread shares with the others; lives on its stack while it does. */
typedef struct workers_shared {
    void (*piece)(void *context, uint32_t index); /* set at birth, as is what follows */
    void *context;
    uint32_t count;

    struct workers_shared *more; /* guarded, as is what follows */
    uint32_t taken, over;
} workers_shared;

struct workers {
    /* set at birth */
    workers_args args;
    uint32_t started;
    worker members[WORKERS_MAX];

    mutex guard;
    cond changed;
    uint64_t wake_count;    /* guarded: rises with every workers_wake */
    bool stopping;          /* guarded */
    uint32_t idle;          /* guarded: members that wait and may help */
    workers_shared *shared; /* guarded: a list */
};

/* One piece of that work. */
static void workers_take_piece_locked(workers *w, workers_shared *s) {
    mutex_assert_held(&w->guard);
    uint32_t index = s->taken++;
    mutex_unlock(&w->guard);
    s->piece(s->context, index);
    mutex_lock(&w->guard);
    if (++s->over == s->count)
        cond_broadcast(&w->changed);
}

/* False: nobody shares anything. */
static bool workers_help_locked(workers *w) {
    workers_shared *s = w->shared;
    while (s && s->taken == s->count)
        s = s->more;
    if (s)
        workers_take_piece_locked(w, s);
    return s != NULL;
}

static void workers_thread(void *context) {
    worker *me = context;
    workers *w = me->pool;
    mutex_lock(&w->guard);
    while (!w->stopping) {
        uint64_t seen = w->wake_count, retry_ns = 0;
        mutex_unlock(&w->guard);
        bool did = w->args.run_one(w->args.context, me->urgent_only, &retry_ns);
        mutex_lock(&w->guard);
        /* What was queued while run_one looked must not be slept through. */
        while (!did && !w->stopping && seen == w->wake_count) {
            if (!me->urgent_only && workers_help_locked(w))
                break; /* time has passed: look for work again */
            w->idle += !me->urgent_only;
            if (retry_ns)
                cond_wait_for(&w->changed, &w->guard, retry_ns);
            else
                cond_wait(&w->changed, &w->guard);
            w->idle -= !me->urgent_only;
            if (retry_ns)
                break;
        }
    }
    mutex_unlock(&w->guard);
}

FIRN_INTERNAL status workers_new(const workers_args *args, workers **out) {
    status st = STATUS_OK;
    workers *w = memory_new_zeroed(sizeof *w);
    *out = NULL;
    if (!w)
        return error_status(FIRN_NO_MEMORY, "no memory for background threads");
    w->args = *args;
    mutex_init(&w->guard);
    cond_init(&w->changed);
    /* The first piece of work may want to wake the others through *out: it is set before any thread
     * gets past the mutex. */
    mutex_lock(&w->guard);
    *out = w;
    for (uint32_t i = 0; i < args->threads && i < WORKERS_MAX && status_is_ok(st); i++) {
        w->members[i] = (worker){.pool = w, .urgent_only = args->threads > 1 && i == 0};
        st = thread_start(&w->members[i].handle, i == 0 ? "firn-flush" : "firn-compact",
                          workers_thread, &w->members[i]);
        w->started += status_is_ok(st);
    }
    w->stopping = !status_is_ok(st);
    mutex_unlock(&w->guard);
    if (!status_is_ok(st)) {
        workers_free(w);
        *out = NULL;
    }
    return st;
}

FIRN_INTERNAL void workers_wake(workers *w) {
    mutex_lock(&w->guard);
    w->wake_count++;
    cond_broadcast(&w->changed);
    mutex_unlock(&w->guard);
}

FIRN_INTERNAL bool workers_step(workers *w) {
    uint64_t retry_ns = 0;
    return w->args.run_one(w->args.context, false, &retry_ns);
}

FIRN_INTERNAL bool workers_are_threads(const workers *w) {
    return w->started > 0;
}

FIRN_INTERNAL uint32_t workers_idle(workers *w) {
    mutex_lock(&w->guard);
    uint32_t idle = w->idle;
    mutex_unlock(&w->guard);
    return idle;
}

FIRN_INTERNAL void workers_share(workers *w, uint32_t count,
                                 void (*piece)(void *context, uint32_t index), void *context) {
    mutex_lock(&w->guard);
    workers_shared mine = {piece, context, count, w->shared, 0, 0};
    w->shared = &mine;
    cond_broadcast(&w->changed);
    while (mine.taken < count)
        workers_take_piece_locked(w, &mine);
    while (mine.over < count)
        cond_wait(&w->changed, &w->guard);
    workers_shared **at = &w->shared;
    while (*at != &mine)
        at = &(*at)->more;
    *at = mine.more;
    mutex_unlock(&w->guard);
}

FIRN_INTERNAL void workers_stop(workers *w) {
    mutex_lock(&w->guard);
    w->stopping = true;
    cond_broadcast(&w->changed);
    mutex_unlock(&w->guard);
    for (uint32_t i = 0; i < w->started; i++)
        thread_join(&w->members[i].handle);
    w->started = 0;
}

FIRN_INTERNAL void workers_free(workers *w) {
    if (!w)
        return;
    workers_stop(w);
    cond_deinit(&w->changed);
    mutex_deinit(&w->guard);
    memory_free(w);
}

#undef WORKERS_MAX
