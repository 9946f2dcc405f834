/* memtable/key_index.h - the versions of a user key, by its hash.
 *
 * Purpose:    a point read costs one cache line to learn that a memtable does not have the key, and
 * two to get the newest version. It is no substitute for the order, which leaf_list.h keeps.
 *
 * Shape:      tables of buckets of one cache line, 8 slots each: an entry's address and 16 bits of
 * its hash. A user key has one slot, in the first table whose bucket had room; it leads to the
 * newest version and from there to older ones. Slots of a bucket are taken in order and never given
 * back, so that the first empty one ends a search. When a bucket is full, its further keys go to
 * the next table, which is larger.
 *
 * Threads:    key_index_add by many at once, lock-free but for the moment in which a table is
 * added; key_index_find beside them, by acquire loads alone.
 *
 * Lifetime:   keeps the arena. Cost: O(1) expected; O(versions newer than the one looked for), but
 * at most KEY_INDEX_VERSIONS of them. */
#ifndef FIRN_MEMTABLE_KEY_INDEX_H
#define FIRN_MEMTABLE_KEY_INDEX_H

#include "memtable/memtable_entry.h"
#include "platform/thread.h"
#include "util/arena.h"

enum { KEY_INDEX_VERSIONS = 16 };

typedef struct key_index {
    arena *arena;            /* set at birth */
    uint64_t capacity_bytes; /* set at birth */
    atomic_ptr tables;       /* key_index_table: the first, which knows the next */
    atomic_flag32 partial;   /* some key is not in it, for memory was short */
    mutex growing;           /* held to add a table, which is too large to be made in vain; a leaf
                              * but for the arena's */
} key_index;

/* Keeps `memory`, which is expected to hold about that much. */
FIRN_INTERNAL void key_index_init(key_index *index, uint64_t capacity_bytes, arena *memory);
FIRN_INTERNAL void key_index_deinit(key_index *index);
/* Advice: that hash will be looked for or added at once. */
FIRN_INTERNAL void key_index_prefetch(const key_index *index, uint64_t hash);
/* Adds a complete entry, not added yet, by the hash of its user key; `sole` (base/sole.h): nobody
 * else adds. When memory is short it becomes partial. */
FIRN_INTERNAL void key_index_add(key_index *index, uint64_t hash, memtable_entry *entry, bool sole);

typedef enum key_index_answer {
    KEY_INDEX_FOUND,
    KEY_INDEX_NONE,   /* no version of the key at or before that trailer */
    KEY_INDEX_UNKNOWN /* ask the ordered list */
} key_index_answer;
/* The newest version of the key whose trailer is not above the target's. */
FIRN_INTERNAL key_index_answer key_index_find(const key_index *index, uint64_t hash,
                                              internal_key target, const memtable_entry **out);
#endif
