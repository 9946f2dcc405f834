/* db/commit_queue.h - who commits next: one word, and a list of those who wait.
 *
 * Purpose:    makes one thread at a time the leader. A writer that finds nobody leading takes one
 *             CAS to lead and one to leave: no mutex, no hand-off. Writers that come meanwhile push
 *             themselves on the word; the leader takes them into its line, finishes some of them
 *             itself, and hands the lead to the oldest of the rest. Only sleepers are woken.
 * Source:     the list is Treiber's stack (1986), taken whole and reversed; finishing others' work
 *             is flat combining: Hendler, Incze, Shavit, Tzafrir (2010).
 * Invariants: every waiter is told exactly once, LEADS or DONE, in the order of arrival. What the
 *             leader owns passes to the next leader with the lead.
 * Threads:    try_enter, try_enter_soon, wait and finish: any; all others: the leader only.
 * Lifetime:   a waiter lives on its thread's stack and is not touched after it was told. */
#ifndef FIRN_DB_COMMIT_QUEUE_H
#define FIRN_DB_COMMIT_QUEUE_H

#include "base/atomic.h"
#include "base/status.h"

typedef struct commit_waiter {
    struct commit_waiter *next; /* to the next older while pushed, to the next newer in line */
    atomic_u32 turn;            /* a commit_turn */
} commit_waiter;

typedef struct commit_queue {
    atomic_ptr word; /* NULL: nobody leads; the queue itself: no new waiters; else the newest */
    /* Owned by the leader. */
    commit_waiter *first, *last; /* in line, oldest first */
    uint32_t length;             /* of the line */
} commit_queue;

FIRN_INTERNAL void commit_queue_init(commit_queue *q);
/* Leads if nobody does. */
FIRN_INTERNAL NODISCARD bool commit_queue_try_enter(commit_queue *q);
/* The same, looking again for a moment. */
FIRN_INTERNAL NODISCARD bool commit_queue_try_enter_soon(commit_queue *q);
/* Waits until the caller leads (true), or until a leader has finished its waiter (false). */
FIRN_INTERNAL NODISCARD bool commit_queue_wait(commit_queue *q, commit_waiter *w);
/* Takes the waiters pushed since into the line; returns its length. */
FIRN_INTERNAL uint32_t commit_queue_collect(commit_queue *q);
/* Tells the oldest in line that it is done, and takes it out. Its results are stored before. */
FIRN_INTERNAL void commit_queue_finish_first(commit_queue *q);
/* The same in two steps, the second for anybody, at any time: the leader takes the oldest out of
 * the line, somebody tells it. */
FIRN_INTERNAL commit_waiter *commit_queue_take_first(commit_queue *q);
FIRN_INTERNAL void commit_queue_finish(commit_waiter *w);
/* Hands the lead to the oldest waiter; without any, nobody leads from now on. */
FIRN_INTERNAL void commit_queue_leave(commit_queue *q);
#endif
