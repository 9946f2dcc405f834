/* util/arena.h - bump allocation for things that die together.
 *
 * Purpose:   a memtable's memory, taken in blocks; large requests get their own.
 * Threads:   arena_allocate may be called by many threads at once (a lock is taken only to add a
 *            block); arena_bytes by anyone.
 * Lifetime:  memory lives until arena_free, which nobody may race. */
#ifndef FIRN_UTIL_ARENA_H
#define FIRN_UTIL_ARENA_H

#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"

typedef struct arena arena;

/* NULL when memory is short. `block_bytes`: size of an ordinary block, the first one included; from
 * 2 MiB on blocks are whole pages from the system. Requests over a quarter of it stand alone. */
FIRN_INTERNAL NODISCARD arena *arena_new(size_t block_bytes);
FIRN_INTERNAL void arena_free(arena *a);
/* 8-byte aligned, not zeroed; NULL when memory is short. */
FIRN_INTERNAL NODISCARD void *arena_allocate(arena *a, size_t bytes);
/* Bytes taken from the system: the exact charge. */
FIRN_INTERNAL uint64_t arena_bytes(const arena *a);
#endif
