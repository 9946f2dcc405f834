/* platform/memory.h - the only door to the heap.
 *
 * Purpose:   allocation that can be made to fail in tests. Every allocation of the library goes
 *            through here and every caller handles NULL.
 * Threads:   as malloc. */
#ifndef FIRN_PLATFORM_MEMORY_H
#define FIRN_PLATFORM_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"

/* NULL when memory is short. Zero bytes give a unique non-NULL pointer. */
FIRN_INTERNAL NODISCARD void *memory_new(size_t bytes);
FIRN_INTERNAL NODISCARD void *memory_new_zeroed(size_t bytes);
/* `alignment` is a power of two, at least sizeof(void *). Free with memory_free. */
FIRN_INTERNAL NODISCARD void *memory_new_aligned(size_t alignment, size_t bytes);
FIRN_INTERNAL NODISCARD void *memory_resize(void *old, size_t bytes);
FIRN_INTERNAL NODISCARD char *memory_copy_string(const char *text);
FIRN_INTERNAL NODISCARD void *memory_copy(const void *data, size_t bytes);
FIRN_INTERNAL void memory_free(void *memory); /* NULL is fine */

/* Whole pages from the system, zeroed, for arenas. From 2 MiB on they begin at a multiple of 2 MiB
 * and are huge where the system has such pages, so that one fault serves all of 2 MiB. */
FIRN_INTERNAL NODISCARD void *memory_map_pages(size_t bytes);
FIRN_INTERNAL void memory_unmap_pages(void *memory, size_t bytes);
/* More pages with the same contents, in place of those of memory_map_pages, or, for NULL and 0, new
 * ones. On NULL the old ones stay. */
FIRN_INTERNAL NODISCARD void *memory_grow_pages(void *memory, size_t bytes, size_t new_bytes);

/* Hands freed memory that the heap keeps for itself to the system, as far as it forms whole pages.
 * Takes about a millisecond for some ten megabytes that are free in small pieces. */
FIRN_INTERNAL void memory_give_back(void);

/* Memory that its owner keeps and nobody may touch until it is allowed again: AddressSanitizer
 * reports whoever does. Other builds do nothing. */
FIRN_INTERNAL void memory_forbid(void *memory, size_t bytes);
FIRN_INTERNAL void memory_allow(void *memory, size_t bytes);

/* RAM or cgroup limit, whichever is smaller. */
FIRN_INTERNAL uint64_t memory_total_bytes(void);
/* Cores this process may run on, cgroup quota considered; at least 1. */
FIRN_INTERNAL uint32_t memory_cpu_count(void);

/* Tests only: the `countdown`-th allocation from now and, if `sticky`, all after it fail; 0 turns
 * failing off. memory_live_count() is the number of blocks not freed yet. */
FIRN_INTERNAL void memory_fail_after(uint64_t countdown, bool sticky);
FIRN_INTERNAL uint64_t memory_live_count(void);
/* Allocations made since the process began, counted only in debug and test builds. */
FIRN_INTERNAL uint64_t memory_allocation_count(void);
#endif
