/* format/lookup.h - what a search for one user key found in one place.
 *
 * Lifetime: `value` is valid while the pin is held (tables), or while the memtable lives (no pin).
 */
#ifndef FIRN_FORMAT_LOOKUP_H
#define FIRN_FORMAT_LOOKUP_H

#include "format/key.h"

typedef struct lookup {
    bool found; /* some version, tombstones included */
    op_kind kind;
    seqno sequence;
    slice value;   /* OP_PUT_LARGE: an encoded large_ref */
    bool in_place; /* it lies in a mapped table: valid while that is open */
    void *pin;
    void (*unpin)(void *pin);
} lookup;

static inline void lookup_release(lookup *l) {
    if (l->unpin)
        l->unpin(l->pin);
    *l = (lookup){0};
}
#endif
