/* util/arena.h - bump allocation for things that die together, and the pool their blocks go back
 * to.
 *
 * Purpose:   a memtable's memory, taken in blocks; large requests get their own. Arenas made from a
 *            pool hand their ordinary blocks on to the next arena: a page that has been touched
 * once costs no fault again. Threads:   arena_allocate may be called by many threads at once (a
 * lock is taken only to add a block); arena_bytes by anyone. All functions of a pool by anyone.
 * Lifetime:  memory lives until arena_free, which nobody may race. A pool is counted; each of its
 *            arenas holds a reference. What lies in the pool is poisoned for AddressSanitizer, so
 *            that recycling hides no use after free. */
#ifndef FIRN_UTIL_ARENA_H
#define FIRN_UTIL_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "util/memory_budget.h"

typedef struct arena arena;
typedef struct arena_pool arena_pool;

/* NULL when memory is short. `block_bytes`: size of an ordinary block, the first one included; from
 * 128 KiB on blocks are whole pages from the system. Requests over a quarter of it stand alone. */
FIRN_INTERNAL NODISCARD arena *arena_new(size_t block_bytes);
/* The same with the pool's size of blocks; takes a reference on the pool. */
FIRN_INTERNAL NODISCARD arena *arena_new_pooled(arena_pool *pool);
FIRN_INTERNAL void arena_free(arena *a);
/* 8-byte aligned, not zeroed; NULL when memory is short. */
FIRN_INTERNAL NODISCARD void *arena_allocate(arena *a, size_t bytes);
/* The same; `sole` (base/sole.h): nobody else allocates meanwhile. */
FIRN_INTERNAL NODISCARD void *arena_allocate_by(arena *a, size_t bytes, bool sole);
FIRN_INTERNAL NODISCARD void *arena_allocate_zeroed(arena *a, size_t bytes);
/* Bytes taken from the system: the exact charge. */
FIRN_INTERNAL uint64_t arena_bytes(const arena *a);

/* Keeps at most `spare_bytes_max` of blocks that no arena uses; NULL when memory is short. What its
 * arenas hold is charged to `budget` (kept; may be NULL) as memtables, the rest as spare. */
FIRN_INTERNAL NODISCARD arena_pool *arena_pool_new(size_t block_bytes, uint64_t spare_bytes_max,
                                                   memory_budget *budget);
FIRN_INTERNAL void arena_pool_ref(arena_pool *pool);
FIRN_INTERNAL void arena_pool_unref(arena_pool *pool); /* NULL is fine */
/* Gives all spare blocks back to the system. */
FIRN_INTERNAL void arena_pool_trim(arena_pool *pool);

typedef struct arena_pool_stats {
    uint64_t used_bytes;  /* sum of arena_bytes() over the pool's arenas */
    uint64_t spare_bytes; /* what waits for the next arena */
    uint64_t recycled;    /* blocks taken from the spare ones since the pool was made */
    uint64_t fresh;       /* blocks taken from the system */
} arena_pool_stats;
FIRN_INTERNAL void arena_pool_get_stats(arena_pool *pool, arena_pool_stats *out);
#endif
