/* explore/atomics.h - what seams/base/atomic.h calls in place of the machine's atomics.
 *
 * `order` is a memory_order; all values are widened to 64 bits. */
#ifndef FIRN_EXPLORE_ATOMICS_H
#define FIRN_EXPLORE_ATOMICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum explore_update {
    UPDATE_EXCHANGE,
    UPDATE_ADD,
    UPDATE_SUB,
    UPDATE_AND,
    UPDATE_OR
} explore_update;

void explore_atomic_init(void *address, size_t bytes, uint64_t value);
uint64_t explore_atomic_load(const void *address, size_t bytes, int order);
void explore_atomic_store(void *address, size_t bytes, uint64_t value, int order);
uint64_t explore_atomic_update(void *address, size_t bytes, explore_update kind, uint64_t operand,
                               int order);
bool explore_atomic_cas(void *address, size_t bytes, uint64_t *expected, uint64_t desired,
                        int order);
void explore_atomic_fence(int order);
/* The line of code the next operation belongs to. */
void explore_here(const char *file, int line);

#endif
