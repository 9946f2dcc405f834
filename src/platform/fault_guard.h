/* platform/fault_guard.h - a failing page of a mapped file costs an error, not the process.
 *
 * Purpose:    memory that maps a file raises SIGBUS when a page of it cannot be had: the file was
 *             cut short, its device failed, its file system is full or gone. While a range is
 *             guarded, a handler puts an anonymous page of zeros in the place of each such page and
 *             notes it; the access goes on, and whoever made it asks afterwards and throws away
 *             what was read.
 * Invariants: the note is made before the page is replaced: who has seen bytes of such a page finds
 *             the fault. The file never gets what is stored into it.
 * Threads:    all functions may be called at once. The handler allocates nothing, takes no lock and
 *             jumps nowhere; it runs on the alternate stack where the thread has one.
 * Lifetime:   the handler is installed with the first range and stays; each further range sees that
 *             it is still there, and puts it back if not. Signals that are not ours go on to the
 *             handler found then, so do faults that nobody knows, with the result they always had.
 * Not:        a guard against other signals, nor for memory that is not mapped from a file. */
#ifndef FIRN_PLATFORM_FAULT_GUARD_H
#define FIRN_PLATFORM_FAULT_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct fault_guard fault_guard;

/* Guards the pages that [address, address + bytes) touches, until removed. Keeps `name`: where the
 * file's name stands, for messages. `is_writable` as the mapping is. */
FIRN_INTERNAL NODISCARD status fault_guard_add(const void *address, size_t bytes, bool is_writable,
                                               char *const *name, fault_guard **out);
/* Before the memory is unmapped. NULL is fine. */
FIRN_INTERNAL void fault_guard_remove(fault_guard *guard);
/* Whether any page of the range was replaced; *distance is how far behind the range's first byte
 * the first fault was. */
FIRN_INTERNAL bool fault_guard_has_faulted(const fault_guard *guard, size_t *distance);
/* OK, or IO_ERROR with the name of a guarded range that has faulted and overlaps these bytes. They
 * must stay guarded meanwhile, if they are. */
FIRN_INTERNAL NODISCARD status fault_guard_check(const void *address, size_t bytes);
#endif
