/* iter/merging_iter.h - many sorted sources as one, kept in order by cached 8-byte key heads.
 *
 * Invariants: equal internal keys do not occur among sources. A run handed out is a piece of one
 *             source's own run, without copies, or, forwards where sources alternate, an array of
 *             entries from several. The bytes entries point to are never copied.
 * Lifetime:   as in iter/iter.h. */
#ifndef FIRN_ITER_MERGING_ITER_H
#define FIRN_ITER_MERGING_ITER_H

#include "iter/iter.h"

/* Takes the `count` children (also on failure) and the entries of the array, not the array. With
 * one child gives that child itself; with none an empty iterator. */
FIRN_INTERNAL NODISCARD status merging_iter_new(key_order order, iter **children, size_t count,
                                                iter **out);

#define MERGING_SHOWS_ALL UINT64_MAX
typedef struct merging_iter_args {
    key_order order;
    /* MERGING_SHOWS_ALL, or the sequence of a reader: then versions it does not see, newer ones and
     * those behind the first it sees of a key, may be left out going forward. They need not be, and
     * the one a seek ends on is not. */
    seqno visible;
} merging_iter_args;

/* The same in memory of the caller's, merging_iter_bytes(count) of it, aligned for any type, for at
 * least two children, which the caller keeps and releases. There is nothing to free. */
FIRN_INTERNAL size_t merging_iter_bytes(size_t count);
FIRN_INTERNAL iter *merging_iter_place(void *memory, const merging_iter_args *args,
                                       iter *const *children, size_t count);
/* How many versions such a merge has left out since this was asked last. */
FIRN_INTERNAL uint64_t merging_iter_take_hidden(iter *merged);
#endif
