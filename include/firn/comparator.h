/* firn/comparator.h - a key order of your own.
 *
 * The default order is bytewise (memcmp, shorter first). A database remembers the name of the order
 * it was created with and refuses to open with another.
 *
 * Rules: compare() is a total order, and answers 0 only for byte-equal keys. It is called from many
 * threads at once, inside the engine's read path: it must not block, allocate, call Firn, or change
 * its mind. The struct and its name must outlive every database opened with it. A custom order
 * switches off the engine's 8-byte key heads and prefix tricks, so reads cost more. */
#ifndef FIRN_COMPARATOR_H
#define FIRN_COMPARATOR_H

#include "firn/slice.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct firn_comparator {
    const char *name; /* 1..255 bytes, stored in the database */
    void *context;    /* yours, handed to compare */
    /* < 0, 0, > 0 as `a` sorts before, with, after `b`. */
    int (*compare)(void *context, firn_slice a, firn_slice b);
} firn_comparator;

#ifdef __cplusplus
}
#endif
#endif
