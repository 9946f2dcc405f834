/* iter/merging_iter.h - many sorted sources as one: a loser tree over cached 8-byte key heads.
 *
 * Source:     Knuth, TAOCP vol. 3, 5.4.1 (tree of losers).
 * Invariants: equal internal keys do not occur among sources. A run handed out is a piece of the
 *             winner's own run that lies below the runner-up (above it, going backwards): no entry
 * is copied, and the tree is touched once per run. */
#ifndef FIRN_ITER_MERGING_ITER_H
#define FIRN_ITER_MERGING_ITER_H

#include "iter/iter.h"

/* Takes the `count` children (also on failure) and the entries of the array, not the array. With
 * one child gives that child itself; with none an empty iterator. */
FIRN_INTERNAL NODISCARD status merging_iter_new(key_order order, iter **children, size_t count,
                                                iter **out);

/* The same in memory of the caller's, merging_iter_bytes(count) of it, aligned for any type, for at
 * least two children, which the caller keeps and releases. There is nothing to free. */
FIRN_INTERNAL size_t merging_iter_bytes(size_t count);
FIRN_INTERNAL iter *merging_iter_place(void *memory, key_order order, iter *const *children,
                                       size_t count);
#endif
