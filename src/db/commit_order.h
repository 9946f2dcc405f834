/* db/commit_order.h - groups in flight become visible in the order they began.
 *
 * Purpose:    leaders that give up the lead before their group is in the log and in memtables work
 *             abreast. When a group's work is done, and all in front of it are visible, it becomes
 *             visible: by its own thread, or, where that has stopped waiting for its turn, by the
 *             thread of one in front. So a thread that has lost its processor keeps others waiting
 *             only while its work is not done.
 * Invariants: `visible` grows from one group's last sequence to the next one's. One thread at a
 *             time publishes: what that does needs no other guard, and is seen by whoever publishes
 *             next, by those who waited, and by a leader that has drained.
 * Failure:    once a group has failed neither it nor any behind it becomes visible.
 * Threads:    try_finish and finish: whose group it is; is_idle and drain: the leader.
 * Lifetime:   a flight is not touched after the call that finished it has returned. */
#ifndef FIRN_DB_COMMIT_ORDER_H
#define FIRN_DB_COMMIT_ORDER_H

#include "format/key.h"
#include "platform/thread.h"

/* A group in flight. */
typedef struct commit_flight {
    seqno first, last; /* set by the leader, in order, without gaps */
    bool failed;       /* set before it is finished */
    /* Owned by the order. */
    struct commit_flight *next;
    atomic_u32 told; /* a commit_told */
} commit_flight;

typedef struct commit_order {
    /* Set at birth. `publish` is called for each flight just before it becomes visible. */
    void (*publish)(void *context, commit_flight *flight);
    void *context;
    atomic_u64 *visible; /* the last sequence of the last group that is */

    atomic_u32 parked;    /* how many are in line; changed under guard */
    atomic_flag32 broken; /* one has failed; set under guard */
    mutex guard;          /* a leaf */
    commit_flight *line;  /* guarded: done, but not all in front are visible; in no order */
} commit_order;

/* Keeps `visible`. */
FIRN_INTERNAL void commit_order_init(commit_order *o, atomic_u64 *visible,
                                     void (*publish)(void *context, commit_flight *flight),
                                     void *context);
FIRN_INTERNAL void commit_order_deinit(commit_order *o);
/* The flight's work is done: makes it visible if all in front of it are, or will be in a moment. */
FIRN_INTERNAL NODISCARD bool commit_order_try_finish(commit_order *o, commit_flight *flight);
/* After that said no: waits until it is visible. False: it will never be, because it, or one in
 * front of it, has failed. */
FIRN_INTERNAL NODISCARD bool commit_order_finish(commit_order *o, commit_flight *flight);
/* Whether no group is in flight; `last` is the last sequence given to one. */
static inline bool commit_order_is_idle(const commit_order *o, seqno last) {
    /* acquire: pairs with the exchange in commit_order_publish(). */
    return atomic_u64_load(o->visible, memory_order_acquire) == last;
}
/* Until no group is in flight. False: one has failed. */
FIRN_INTERNAL NODISCARD bool commit_order_drain(commit_order *o, seqno last);
#endif
