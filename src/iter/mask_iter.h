/* iter/mask_iter.h - an iterator without the entries that range deletes cover.
 *
 * Purpose:    stands between a source and the merge. Where everything the source can hold in a
 *             covered range is older than the range delete, it seeks behind the range; else it
 * looks at each entry. Runs that no fragment touches are handed on as they are. Invariants: the
 * mask has one sequence per fragment: the newest that its reader sees. Lifetime:   keeps the mask
 * and the keys it borrows. */
#ifndef FIRN_ITER_MASK_ITER_H
#define FIRN_ITER_MASK_ITER_H

#include "format/range_tombstone.h"
#include "iter/iter.h"

/* Takes `child`, also on failure. `newest` is at least the sequence of every entry the child will
 * ever give. */
FIRN_INTERNAL NODISCARD status mask_iter_new(iter *child, const range_fragments *mask, seqno newest,
                                             iter **out);
#endif
