#include "db/commit_queue.h"

#include "base/check.h"
#include "platform/park.h"

#include "base/poison.h"

/* A short commit is over within the pauses; a leader that lost its processor gets it back within
 * the yields; what takes longer (a sync, a stall) is worth sleeping. */
#define COMMIT_QUEUE_TRIES  40
#define COMMIT_QUEUE_PAUSES 200
#define COMMIT_QUEUE_YIELDS 20

typedef enum commit_turn {
    COMMIT_TURN_WAITS,
    COMMIT_TURN_SLEEPS, /* so it must be woken */
    COMMIT_TURN_LEADS,
    COMMIT_TURN_IS_DONE
} commit_turn;

FIRN_INTERNAL void commit_queue_init(commit_queue *q) {
    atomic_ptr_init(&q->word, NULL);
    q->first = q->last = NULL;
    q->length = 0;
}

FIRN_INTERNAL bool commit_queue_try_enter(commit_queue *q) {
    void *nobody = NULL;
    /* acquire: pairs with the release in commit_queue_leave(); with the lead comes what it owns. */
    return atomic_ptr_cas(&q->word, &nobody, q, memory_order_acquire);
}

FIRN_INTERNAL bool commit_queue_try_enter_soon(commit_queue *q) {
    for (int i = 0; i < COMMIT_QUEUE_TRIES; i++) {
        /* relaxed: only tells whether the swap is worth it. */
        if (!atomic_ptr_load(&q->word, memory_order_relaxed) && commit_queue_try_enter(q))
            return true;
        park_pause();
    }
    return false;
}

/* True: nobody led, so the caller does. */
static bool commit_queue_push(commit_queue *q, commit_waiter *w) {
    /* acquire: as in commit_queue_try_enter(), should the CAS take the lead. */
    void *found = atomic_ptr_load(&q->word, memory_order_acquire);
    for (;;) {
        if (!found) {
            if (commit_queue_try_enter(q))
                return true;
            found = atomic_ptr_load(&q->word, memory_order_acquire); /* as above */
            continue;
        }
        w->next = found == q ? NULL : found;
        /* release: pairs with the acquire in commit_queue_collect(); who finds the waiter finds its
         * request. The waiters below stay published by the release sequence. */
        if (atomic_ptr_cas(&q->word, &found, w, memory_order_acq_rel))
            return false;
    }
}

/* acquire: pairs with the exchange in commit_queue_tell(). */
static uint32_t commit_queue_turn(const commit_waiter *w) {
    return atomic_u32_load(&w->turn, memory_order_acquire);
}

FIRN_INTERNAL bool commit_queue_wait(commit_queue *q, commit_waiter *w) {
    atomic_u32_init(&w->turn, COMMIT_TURN_WAITS);
    if (commit_queue_push(q, w))
        return true;
    uint32_t turn = commit_queue_turn(w);
    for (int i = 0; turn == COMMIT_TURN_WAITS && i < COMMIT_QUEUE_PAUSES; i++) {
        park_pause();
        turn = commit_queue_turn(w);
    }
    for (int i = 0; turn == COMMIT_TURN_WAITS && i < COMMIT_QUEUE_YIELDS; i++) {
        park_yield();
        turn = commit_queue_turn(w);
    }
    uint32_t waits = COMMIT_TURN_WAITS;
    /* acq_rel: pairs with the exchange in commit_queue_tell(), which then knows to wake. */
    if (turn == COMMIT_TURN_WAITS &&
        atomic_u32_cas(&w->turn, &waits, COMMIT_TURN_SLEEPS, memory_order_acq_rel))
        turn = COMMIT_TURN_SLEEPS;
    else
        turn = commit_queue_turn(w);
    while (turn == COMMIT_TURN_SLEEPS) {
        park_wait(&w->turn, COMMIT_TURN_SLEEPS);
        turn = commit_queue_turn(w);
    }
    return turn == COMMIT_TURN_LEADS;
}

FIRN_INTERNAL uint32_t commit_queue_collect(commit_queue *q) {
    /* relaxed: only tells whether the exchange is worth it; later waiters are found at leaving. */
    if (atomic_ptr_load(&q->word, memory_order_relaxed) == q)
        return q->length;
    /* acquire: pairs with the releases in commit_queue_push(). */
    commit_waiter *newest = atomic_ptr_exchange(&q->word, q, memory_order_acquire);
    commit_waiter *older = NULL;
    for (commit_waiter *w = newest; w;) { /* turns the list round: oldest first */
        commit_waiter *below = w->next;
        w->next = older;
        older = w;
        w = below;
        q->length++;
    }
    if (q->last)
        q->last->next = older;
    else
        q->first = older;
    q->last = newest;
    return q->length;
}

/* From the exchange on the waiter may be gone: only its address is used to wake. */
static void commit_queue_tell(commit_waiter *w, commit_turn turn) {
    /* release: pairs with the acquire in commit_queue_turn(): results, or what the leader owns.
     * acquire: orders nothing here; it pairs with the CAS to SLEEPS. */
    if (atomic_u32_exchange(&w->turn, turn, memory_order_acq_rel) == COMMIT_TURN_SLEEPS)
        park_wake(&w->turn);
}

FIRN_INTERNAL commit_waiter *commit_queue_take_first(commit_queue *q) {
    commit_waiter *w = q->first;
    DCHECK(w != NULL && q->length > 0);
    q->first = w->next;
    if (!q->first)
        q->last = NULL;
    q->length--;
    return w;
}

FIRN_INTERNAL void commit_queue_finish(commit_waiter *w) {
    commit_queue_tell(w, COMMIT_TURN_IS_DONE);
}

FIRN_INTERNAL void commit_queue_finish_first(commit_queue *q) {
    commit_queue_finish(commit_queue_take_first(q));
}

FIRN_INTERNAL void commit_queue_leave(commit_queue *q) {
    for (;;) {
        if (commit_queue_collect(q) > 0) {
            commit_queue_tell(commit_queue_take_first(q), COMMIT_TURN_LEADS);
            return;
        }
        void *held = q;
        /* release: pairs with the acquire in commit_queue_try_enter(). */
        if (atomic_ptr_cas(&q->word, &held, NULL, memory_order_release))
            return;
    }
}

#undef COMMIT_QUEUE_TRIES
#undef COMMIT_QUEUE_PAUSES
#undef COMMIT_QUEUE_YIELDS
