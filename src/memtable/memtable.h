/* memtable/memtable.h - the newest versions, sorted in memory: a skip list in an arena.
 *
 * Source:     Pugh, "Skip Lists: A Probabilistic Alternative to Balanced Trees" (1990); insertion
 * by compare-and-swap at every height, so writers need no lock among themselves. Invariants: nodes
 * are never removed or changed once linked; the whole memtable goes at once. Internal keys in a
 * memtable are distinct. Threads:    memtable_add by any number of threads; reads and iterators at
 * any time, without lock, CAS or retry. Lifetime:   counted (memtable_ref / memtable_unref); a
 * reader holds a reference through its read view. Values returned point into the arena. Large
 * values are held as their reference into the log. */
#ifndef FIRN_MEMTABLE_MEMTABLE_H
#define FIRN_MEMTABLE_MEMTABLE_H

#include "format/key.h"
#include "format/lookup.h"
#include "iter/iter.h"

typedef struct memtable memtable;

/* `capacity_bytes` sizes the arena's blocks; it is no limit: callers watch memtable_bytes. */
FIRN_INTERNAL NODISCARD status memtable_new(key_order order, uint64_t capacity_bytes,
                                            memtable **out);
FIRN_INTERNAL void memtable_ref(memtable *m);
FIRN_INTERNAL void memtable_unref(memtable *m); /* NULL is fine */
/* Whether anybody but the caller holds a reference. */
FIRN_INTERNAL bool memtable_is_shared(const memtable *m);

/* Copies key and value. NO_MEMORY leaves the memtable as it was. */
FIRN_INTERNAL NODISCARD status memtable_add(memtable *m, seqno sequence, op_kind kind, user_key key,
                                            slice value);
/* The newest version of the key with a sequence <= the seek key's. out->value points into the
 * memtable; no pin. */
FIRN_INTERNAL void memtable_get(const memtable *m, internal_key seek, lookup *out);
/* Keeps a reference for the iterator's life. Entries added later may or may not appear. */
FIRN_INTERNAL NODISCARD status memtable_iter_new(memtable *m, iter **out);

FIRN_INTERNAL uint64_t memtable_bytes(const memtable *m); /* exact charge: all memory it holds */
FIRN_INTERNAL uint64_t memtable_entries(const memtable *m);
FIRN_INTERNAL uint64_t memtable_deletes(const memtable *m);
FIRN_INTERNAL uint64_t
memtable_large_bytes(const memtable *m); /* of values it refers to in the log */
/* Smallest and largest sequence added; 0 and 0 while empty. */
FIRN_INTERNAL seqno memtable_first_sequence(const memtable *m);
FIRN_INTERNAL seqno memtable_last_sequence(const memtable *m);
#endif
