/* Two ways to become visible. Most groups find those in front of them visible when their work is
 * done, or a moment later, and publish themselves. One that does not stands in line; whoever
 * publishes looks there for those that follow. That neither overlooks the other is Dekker's rule:
 * each first stores (`visible`; `parked`), then loads what the other stores, all seq_cst. The line
 * itself is under a mutex, so that only one of them takes the group out. */
#include "db/commit_order.h"

#include "base/check.h"
#include "platform/park.h"

#include "base/poison.h"

#define COMMIT_ORDER_PAUSES 100 /* what is in front is short, unless it has lost its processor */
#define COMMIT_ORDER_YIELDS 20  /* then it gets it back, unless it waits for a page */

typedef enum commit_told {
    COMMIT_TOLD_NOTHING,
    COMMIT_TOLD_SLEEPS, /* so it must be woken */
    COMMIT_TOLD_VISIBLE,
    COMMIT_TOLD_BROKEN
} commit_told;

FIRN_INTERNAL void commit_order_init(commit_order *o, atomic_u64 *visible,
                                     void (*publish)(void *context, commit_flight *flight),
                                     void *context) {
    o->publish = publish;
    o->context = context;
    o->visible = visible;
    o->line = NULL;
    atomic_u32_init(&o->parked, 0);
    atomic_u32_init(&o->broken.word, 0);
    mutex_init(&o->guard);
}

FIRN_INTERNAL void commit_order_deinit(commit_order *o) {
    DCHECK(!o->line);
    mutex_deinit(&o->guard);
}

/* seq_cst: see above. It also acquires what all in front did, from the release in
 * commit_order_publish(). */
static bool commit_order_is_next(const commit_order *o, const commit_flight *flight) {
    return atomic_u64_load(o->visible, memory_order_seq_cst) == flight->first - 1;
}

/* acquire: pairs with the release in commit_order_break(). */
static bool commit_order_is_broken(const commit_order *o) {
    return atomic_flag32_load(&o->broken, memory_order_acquire);
}

static void commit_order_publish(commit_order *o, commit_flight *flight) {
    DCHECK(!flight->failed);
    if (UNLIKELY(flight->last < flight->first))
        return; /* a leader that drains */
    o->publish(o->context, flight);
    /* seq_cst: see above; a release among other things, for readers and whoever is next. */
    (void)atomic_u64_exchange(o->visible, flight->last, memory_order_seq_cst);
}

/* From the exchange on the flight may be gone: only its address is used to wake. */
static void commit_order_tell(commit_flight *flight, commit_told what) {
    /* release: pairs with the acquire in commit_order_told(). acquire: orders nothing here; it
     * pairs with the swap for SLEEPS. */
    if (atomic_u32_exchange(&flight->told, what, memory_order_acq_rel) == COMMIT_TOLD_SLEEPS)
        park_wake(&flight->told);
}

/* Takes the flight that is next out of the line; NULL: it is not there. */
static commit_flight *commit_order_take_next_locked(commit_order *o) {
    mutex_assert_held(&o->guard);
    for (commit_flight **at = &o->line; *at; at = &(*at)->next) {
        commit_flight *flight = *at;
        if (!commit_order_is_next(o, flight))
            continue;
        *at = flight->next;
        atomic_u32_sub(&o->parked, 1, memory_order_relaxed); /* relaxed: the guard orders it */
        return flight;
    }
    return NULL;
}

/* Publishes those in line that have been waiting for what is visible now. */
static void commit_order_serve_line(commit_order *o) {
    commit_flight *flight;
    mutex_lock(&o->guard);
    while (!commit_order_is_broken(o) && (flight = commit_order_take_next_locked(o)) != NULL) {
        commit_order_publish(o, flight);
        commit_order_tell(flight, COMMIT_TOLD_VISIBLE);
    }
    mutex_unlock(&o->guard);
}

/* Nobody behind a failed group becomes visible, for what is visible stays below its sequences. All
 * who wait are told. */
static void commit_order_break(commit_order *o) {
    mutex_lock(&o->guard);
    /* release: pairs with the acquire in commit_order_is_broken(). */
    atomic_flag32_store(&o->broken, true, memory_order_release);
    while (o->line) {
        commit_flight *flight = o->line;
        o->line = flight->next;
        commit_order_tell(flight, COMMIT_TOLD_BROKEN);
    }
    atomic_u32_store(&o->parked, 0, memory_order_relaxed); /* relaxed: the guard orders it */
    mutex_unlock(&o->guard);
}

/* acquire: pairs with the exchange in commit_order_tell(). */
static uint32_t commit_order_told(const commit_flight *flight) {
    return atomic_u32_load(&flight->told, memory_order_acquire);
}

/* False: it is the flight's turn, or never will be, so it does not stand in line. */
static bool commit_order_park(commit_order *o, commit_flight *flight) {
    atomic_u32_init(&flight->told, COMMIT_TOLD_NOTHING);
    mutex_lock(&o->guard);
    (void)atomic_u32_add(&o->parked, 1, memory_order_seq_cst); /* see above */
    bool parks = !commit_order_is_next(o, flight) && !commit_order_is_broken(o);
    if (parks) {
        flight->next = o->line;
        o->line = flight;
    } else {
        atomic_u32_sub(&o->parked, 1, memory_order_relaxed); /* relaxed: the guard orders it */
    }
    mutex_unlock(&o->guard);
    return parks;
}

/* Waits in line for what somebody will tell: whether it is visible. */
static bool commit_order_wait(commit_flight *flight) {
    uint32_t told = commit_order_told(flight), nothing = COMMIT_TOLD_NOTHING;
    for (int i = 0; told == COMMIT_TOLD_NOTHING && i < COMMIT_ORDER_YIELDS; i++) {
        park_yield();
        told = commit_order_told(flight);
    }
    /* acq_rel: pairs with the exchange in commit_order_tell(), which then knows to wake. */
    if (told == COMMIT_TOLD_NOTHING &&
        atomic_u32_cas(&flight->told, &nothing, COMMIT_TOLD_SLEEPS, memory_order_acq_rel))
        told = COMMIT_TOLD_SLEEPS;
    else
        told = commit_order_told(flight);
    while (told == COMMIT_TOLD_SLEEPS) {
        park_wait(&flight->told, COMMIT_TOLD_SLEEPS);
        told = commit_order_told(flight);
    }
    return told == COMMIT_TOLD_VISIBLE;
}

static void commit_order_pause(const commit_order *o, const commit_flight *flight) {
    for (int i = 0; i < COMMIT_ORDER_PAUSES && !commit_order_is_next(o, flight); i++)
        park_pause();
}

FIRN_INTERNAL bool commit_order_try_finish(commit_order *o, commit_flight *flight) {
    if (UNLIKELY(flight->failed))
        return false;
    commit_order_pause(o, flight);
    if (UNLIKELY(!commit_order_is_next(o, flight)))
        return false;
    commit_order_publish(o, flight);
    if (UNLIKELY(atomic_u32_load(&o->parked, memory_order_seq_cst) > 0)) /* see above */
        commit_order_serve_line(o);
    return true;
}

FIRN_INTERNAL bool commit_order_finish(commit_order *o, commit_flight *flight) {
    if (UNLIKELY(flight->failed)) {
        commit_order_break(o);
        return false;
    }
    if (commit_order_park(o, flight))
        return commit_order_wait(flight);
    return commit_order_try_finish(o, flight); /* its turn has come; or broken, and it never will */
}

FIRN_INTERNAL bool commit_order_drain(commit_order *o, seqno last) {
    if (LIKELY(commit_order_is_idle(o, last)))
        return true;
    /* Behind all others, and of no sequence: told like any, and published to no effect. */
    commit_flight behind = {.first = last + 1, .last = last};
    commit_order_pause(o, &behind);
    if (!commit_order_is_next(o, &behind) && commit_order_park(o, &behind))
        return commit_order_wait(&behind);
    return commit_order_is_next(o, &behind);
}

#undef COMMIT_ORDER_PAUSES
#undef COMMIT_ORDER_YIELDS
