/* platform/park.h - sleeping until a word changes, without a lock beside it.
 *
 * Source:  the idea of a futex: Franke, Russell, Kirkwood, "Fuss, Futexes and Furwocks" (2002).
 * Threads: all functions may be called at once. The word may be gone by the time park_wake runs:
 *          only its address is used, so a waker may store and wake although the sleeper returns and
 *          frees the word in between.
 * Seam:    with a wait hook set (platform/thread.h) park_wait calls it instead of sleeping. */
#ifndef FIRN_PLATFORM_PARK_H
#define FIRN_PLATFORM_PARK_H

#include "base/atomic.h"
#include "base/status.h"

/* Sleeps while *word is `value`. Wakes spuriously at times: always loop. */
FIRN_INTERNAL void park_wait(const atomic_u32 *word, uint32_t value);
/* Wakes those who sleep on the word; to be called after changing it. */
FIRN_INTERNAL void park_wake(const atomic_u32 *word);
/* Lets other threads run for a moment; with a wait hook set it calls that. */
FIRN_INTERNAL void park_yield(void);
/* Tells the processor that this thread waits in a loop; a few dozen nanoseconds. */
FIRN_INTERNAL void park_pause(void);
#endif
