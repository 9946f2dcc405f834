/* memtable/memtable.h - the newest versions, in memory: sorted, and by hash for point reads.
 *
 * Invariants: entries are never removed or changed once added; the whole memtable goes at once.
 * Internal keys in a memtable are distinct.
 *
 * Threads:    memtable_add and memtable_add_many by any number of threads; reads and iterators at
 * any time, without lock, CAS or retry.
 *
 * Lifetime:   counted (memtable_ref / memtable_unref); a reader holds a reference through its read
 * view. Values returned point into the arena. Large values are held as their reference into the
 * log.
 */
#ifndef FIRN_MEMTABLE_MEMTABLE_H
#define FIRN_MEMTABLE_MEMTABLE_H

#include "format/key.h"
#include "format/lookup.h"
#include "format/range_tombstone.h"
#include "iter/iter.h"
#include "util/arena.h"

typedef struct memtable memtable;

/* A memtable's life. Edges: active -> sealed -> flushing -> gone, and flushing -> sealed when the
 * flush has failed. Only an active one takes entries; a gone one lives on for its readers alone. */
typedef enum memtable_state {
    MEMTABLE_ACTIVE,
    MEMTABLE_SEALED,
    MEMTABLE_FLUSHING,
    MEMTABLE_GONE
} memtable_state;

/* `capacity_bytes` sizes the arena's blocks and the hash tables; it is no limit: callers watch
 * memtable_bytes. */
FIRN_INTERNAL NODISCARD status memtable_new(key_order order, uint64_t capacity_bytes,
                                            memtable **out);
/* The same with memory from a pool that memtable_new_pool made for that capacity. */
FIRN_INTERNAL NODISCARD status memtable_new_pooled(key_order order, uint64_t capacity_bytes,
                                                   arena_pool *pool, memtable **out);
/* Keeps as spare what one memtable of that capacity holds; NULL when memory is short. `budget` as
 * in arena_pool_new. */
FIRN_INTERNAL NODISCARD arena_pool *memtable_new_pool(uint64_t capacity_bytes,
                                                      memory_budget *budget);
/* Moves along an edge; any other step ends the process. For the owner, who serialises the calls. */
FIRN_INTERNAL void memtable_set_state(memtable *m, memtable_state next);
FIRN_INTERNAL memtable_state memtable_get_state(const memtable *m);
FIRN_INTERNAL void memtable_ref(memtable *m);
FIRN_INTERNAL void memtable_unref(memtable *m); /* NULL is fine */
/* Ties `kept`, which its large values are read by, to the memtable's life: `release` gets it with
 * the last reference. Once, by the owner, before there are readers. */
FIRN_INTERNAL void memtable_keep(memtable *m, void *kept, void (*release)(void *kept));
FIRN_INTERNAL void *memtable_kept(const memtable *m); /* NULL: nothing */
/* Whether anybody but the caller holds a reference. */
FIRN_INTERNAL bool memtable_is_shared(const memtable *m);

/* One write. Key and value are borrowed; for OP_RANGE_DELETE they are the range's begin and end. */
typedef struct memtable_op {
    op_kind kind;
    user_key key;
    slice value;
} memtable_op;
/* Adds them, with one sequence after another. `sole` (base/sole.h) promises that nobody else adds
 * until it returns. Several at once are cheaper than one by one: what they wait for, they wait for
 * together. After a failure the first few may be in; of one, nothing is. Added beside others they
 * are in, but not in memtable_entries and the sequences: whoever puts the additions of several
 * threads in order counts them, by memtable_note_added. */
FIRN_INTERNAL NODISCARD status memtable_add_many(memtable *m, seqno first, const memtable_op *ops,
                                                 uint32_t count, bool sole);
/* All from `first` to `last` are in. One thread at a time, none of them `sole` meanwhile. */
FIRN_INTERNAL void memtable_note_added(memtable *m, seqno first, seqno last);
/* One, beside other threads that add, and counted. */
FIRN_INTERNAL NODISCARD status memtable_add(memtable *m, seqno sequence, op_kind kind, user_key key,
                                            slice value);

/* What is known of an addition before it is made. */
typedef struct memtable_place {
    uint64_t hash;
    const struct skiplist_node *near; /* as in leaf_approach, memtable/leaf_list.h */
    uint64_t head;
} memtable_place;
/* That key will be added soon: what the addition will wait for is fetched meanwhile. The place
 * stays good for that key in that memtable. */
FIRN_INTERNAL memtable_place memtable_expect(const memtable *m, user_key key);
/* One, by who is `sole`, at its key's place. */
FIRN_INTERNAL NODISCARD status memtable_add_expected(memtable *m, seqno sequence,
                                                     const memtable_op *op,
                                                     const memtable_place *place);
/* The newest version of the key with a sequence <= the seek key's; OP_RANGE_DELETE, without a
 * value, when a range delete is newer than all of them. out->value points into the memtable; no
 * pin. */
FIRN_INTERNAL void memtable_get(const memtable *m, internal_key seek, lookup *out);
/* The same with the hash64() of the user key, which tables ask for too. */
FIRN_INTERNAL void memtable_get_hashed(const memtable *m, internal_key seek, uint64_t hash,
                                       lookup *out);
/* Its range deletes, which memtable_get() knows of and iterators do not show. Keys live as long as
 * the memtable. */
FIRN_INTERNAL bool memtable_has_ranges(const memtable *m);
FIRN_INTERNAL void memtable_list_ranges(const memtable *m, range_list *out);
/* Keeps a reference for the iterator's life. Entries added later may or may not appear. */
FIRN_INTERNAL NODISCARD status memtable_iter_new(memtable *m, iter **out);

FIRN_INTERNAL uint64_t memtable_bytes(const memtable *m); /* exact charge: all memory it holds */
FIRN_INTERNAL uint64_t memtable_arena_bytes(const memtable *m); /* of them, what its pool counts */
FIRN_INTERNAL uint64_t memtable_entries(const memtable *m);
FIRN_INTERNAL uint64_t memtable_deletes(const memtable *m);
FIRN_INTERNAL uint64_t
memtable_large_bytes(const memtable *m); /* of values it refers to in the log */
/* Smallest and largest sequence added; 0 and 0 while empty. */
FIRN_INTERNAL seqno memtable_first_sequence(const memtable *m);
FIRN_INTERNAL seqno memtable_last_sequence(const memtable *m);
#endif
