/* iter/checked_iter.h - an iterator that holds another one, and its caller, to the contract.
 *
 * Purpose:    in debug builds readers run over it: keys must ascend strictly within runs and from
 *             run to run, in the direction of the move; a seek must end on the first entry that is
 *             not before its target; an iterator that failed must have ended. What it hands out is
 *             a copy, in memory of its own, in runs of changing length: with the next move out of a
 *             run all bytes of it are overwritten (under AddressSanitizer forbidden too), so that
 *             who keeps pointers for too long reads nonsense at once, not sometimes.
 * Invariants: as in iter/iter.h; memory that is short ends it with NO_MEMORY.
 * Threads:    none.
 * Not:        a check of bounds, which sources need not keep; the user's iterator looks at those
 *             itself (db/iterator.c). Nothing of it is in a release build. */
#ifndef FIRN_ITER_CHECKED_ITER_H
#define FIRN_ITER_CHECKED_ITER_H

#include "iter/iter.h"

typedef struct checked_iter_args {
    key_order order;
    bool owns; /* frees the other iterator with itself */
    /* Is told what was broken, and the iterator ends with CORRUPTION; NULL: the process stops. */
    void (*report)(void *context, const char *what);
    void *context;
} checked_iter_args;

/* With args->owns takes `inner`, else keeps it. On failure it stays the caller's. */
FIRN_INTERNAL NODISCARD status checked_iter_new(iter *inner, const checked_iter_args *args,
                                                iter **out);

/* What debug builds put over the sources of a read and over what they are merged to: *it becomes a
 * checked one. On failure it stays as it is. */
#ifdef NDEBUG
static inline status checked_iter_wrap(iter **it, key_order order, bool owns) {
    (void)it;
    (void)order;
    (void)owns;
    return STATUS_OK;
}
static inline void checked_iter_drop(iter *it) {
    (void)it;
}
#else
FIRN_INTERNAL NODISCARD status checked_iter_wrap(iter **it, key_order order, bool owns);
/* Frees one that does not own what it checks, and nothing else; other iterators and NULL are left
 * as they are. */
FIRN_INTERNAL void checked_iter_drop(iter *it);
#endif
#endif
