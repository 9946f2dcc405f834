/* memtable/range_set.h - the range tombstones of a memtable.
 *
 * Purpose:    few writers, any number of readers that never wait: each write publishes a new,
 *             immutable set.
 * Invariants: a set is a few lists of fragments, each made of at least twice as many tombstones as
 *             the next, so that n writes cost O(n log n) and a reader asks O(log n) lists. What a
 * write replaces stays in the arena until the memtable goes, and is charged with it.
 * Threads:    range_set_add by many at once (a mutex); everything else at any time, by one acquire
 * load. Lifetime:   keeps the arena. */
#ifndef FIRN_MEMTABLE_RANGE_SET_H
#define FIRN_MEMTABLE_RANGE_SET_H

#include "base/atomic.h"
#include "format/range_tombstone.h"
#include "platform/thread.h"
#include "util/arena.h"

typedef struct range_set {
    key_order order;
    arena *arena;
    atomic_ptr now; /* range_set_lists; NULL: there are none */
    mutex guard;    /* of writers */
} range_set;

FIRN_INTERNAL void range_set_init(range_set *s, key_order order, arena *keys);
FIRN_INTERNAL void range_set_deinit(range_set *s);
/* Copies the keys. NO_MEMORY leaves the set as it was. An empty range is accepted and adds nothing.
 */
FIRN_INTERNAL NODISCARD status range_set_add(range_set *s, const range_tombstone *t);
static inline bool range_set_is_empty(const range_set *s) {
    /* acquire: pairs with the release in range_set_add(); as every look at `now`. */
    return atomic_ptr_load(&s->now, memory_order_acquire) == NULL;
}
/* The newest sequence <= at that covers `key`; 0: none does. */
FIRN_INTERNAL seqno range_set_cover(const range_set *s, user_key key, seqno at);
/* Appends all tombstones; their keys live as long as the arena. */
FIRN_INTERNAL void range_set_list(const range_set *s, range_list *out);
#endif
