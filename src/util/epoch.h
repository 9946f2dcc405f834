/* util/epoch.h - epoch-based reclamation: readers without locks or shared counters.
 *
 * Source:     Fraser, "Practical Lock-Freedom" (2004), chapter 5.
 * Purpose:    a reader enters, loads a shared pointer, uses what it leads to, and leaves. A writer
 * replaces the pointer, then retires the old object: its `reclaim` runs once every reader that
 * could have loaded it has left. Invariants: inside, the pointer is loaded with seq_cst, and the
 * writer stores it with seq_cst before epoch_retire: then either the writer sees the reader inside,
 * or the reader sees the new pointer. A thread is inside a domain at most once. Threads:    all
 * functions at once. Entering costs one exchange on a line of the thread's own. Threads numbered
 *             above EPOCH_SLOTS share one slot under a mutex.
 * Lifetime:   epoch_deinit when no reader is inside; it reclaims what is left.
 * It is not:  for long stays: what one reader holds up, is held up for all. */
#ifndef FIRN_UTIL_EPOCH_H
#define FIRN_UTIL_EPOCH_H

#include "base/attributes.h"
#include "base/check.h"
#include "platform/thread.h"

#define EPOCH_SLOTS 256

typedef struct epoch_item {
    struct epoch_item *next;
    uint64_t retired_at;
    void (*reclaim)(struct epoch_item *item);
} epoch_item;

typedef struct epoch_slot {
    _Alignas(CACHE_LINE_BYTES) atomic_u64 inside; /* the epoch it entered in; 0: outside */
} epoch_slot;

/* Whoever is inside since an epoch <= `epoch` was inside at `ns`. */
typedef struct epoch_moment {
    uint64_t epoch;
    uint64_t ns;
} epoch_moment;

enum { EPOCH_MOMENTS = 8 };

typedef struct epoch {
    epoch_slot slots[EPOCH_SLOTS + 1]; /* 0 is the shared one */
    atomic_u64 now;                    /* rises with every retirement; starts at 1 */
    mutex guard;                       /* all below; a leaf */
    epoch_item *oldest, *newest;       /* retired, not yet reclaimed */
    uint64_t waiting;
    uint64_t crowd; /* threads in the shared slot */
    epoch_moment
        moments[EPOCH_MOMENTS]; /* ascending; only those that tell the age of some reader */
    uint32_t moment_count;
} epoch;

FIRN_INTERNAL void epoch_init(epoch *e);
FIRN_INTERNAL void epoch_deinit(epoch *e);

FIRN_INTERNAL void epoch_enter_crowd(epoch *e);
FIRN_INTERNAL void epoch_leave_crowd(epoch *e);

/* Gives the slot to leave with. */
static inline uint64_t epoch_enter(epoch *e) {
    uint64_t slot = thread_number();
    if (UNLIKELY(slot > EPOCH_SLOTS)) {
        epoch_enter_crowd(e);
        return 0;
    }
    /* acquire: pairs with the release of `now` in epoch_retire. */
    uint64_t now = atomic_u64_load(&e->now, memory_order_acquire);
    /* An exchange is also the fence between this store and the loads of the reader. */
    uint64_t before = atomic_u64_exchange(&e->slots[slot].inside, now, memory_order_seq_cst);
    DCHECK(before == 0);
    (void)before;
    return slot;
}
static inline void epoch_leave(epoch *e, uint64_t slot) {
    if (UNLIKELY(slot == 0)) {
        epoch_leave_crowd(e);
        return;
    }
    /* release: pairs with the reclaimer's load; it frees only what this reader is done with. */
    atomic_u64_store(&e->slots[slot].inside, 0, memory_order_release);
}

/* Takes `item`; `reclaim` runs in this call or a later one of any thread, with no lock of the
 * domain held. */
FIRN_INTERNAL void epoch_retire(epoch *e, epoch_item *item, void (*reclaim)(epoch_item *item));
/* Reclaims what has become free; cheap when nothing waits. Returns how many items still wait. */
FIRN_INTERNAL uint64_t epoch_collect(epoch *e);

/* Entering reads no clock; instead somebody says now and then what time it is, and a reader's age
 * is known from the first such moment on. `now_ns` is of one clock and never runs backwards. */
FIRN_INTERNAL void epoch_mark(epoch *e, uint64_t now_ns);

typedef struct epoch_stats {
    uint64_t inside;    /* threads */
    uint64_t oldest_ns; /* that one of them is inside for at least */
    uint64_t waiting;   /* items retired and not yet reclaimed */
} epoch_stats;
/* Marks the time as well: asked twice, it knows of every reader that stayed in between. */
FIRN_INTERNAL void epoch_get_stats(epoch *e, uint64_t now_ns, epoch_stats *out);
#endif
