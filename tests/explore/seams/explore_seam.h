/* Included before everything in the code under test (-include): copies and comparisons are plain
 * accesses too, and lock operations get their line in traces. */
#ifndef FIRN_EXPLORE_SEAM_H
#define FIRN_EXPLORE_SEAM_H

#include <string.h>

#include "platform/thread.h"

void *explore_memcpy(void *to, const void *from, size_t bytes);
void *explore_memmove(void *to, const void *from, size_t bytes);
void *explore_memset(void *to, int byte, size_t bytes);
int explore_memcmp(const void *a, const void *b, size_t bytes);
#define memcpy  explore_memcpy
#define memmove explore_memmove
#define memset  explore_memset
#define memcmp  explore_memcmp

#define mutex_lock(m)          EXPLORE_AT_THIS_LINE(mutex_lock(m))
#define mutex_unlock(m)        EXPLORE_AT_THIS_LINE(mutex_unlock(m))
#define cond_wait(c, m)        EXPLORE_AT_THIS_LINE(cond_wait(c, m))
#define cond_wait_for(c, m, n) EXPLORE_AT_THIS_LINE(cond_wait_for(c, m, n))
#define cond_signal(c)         EXPLORE_AT_THIS_LINE(cond_signal(c))
#define cond_broadcast(c)      EXPLORE_AT_THIS_LINE(cond_broadcast(c))

#endif
