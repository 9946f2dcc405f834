/* format/expiry_spread.h - when the entries of a table expire: a histogram of fixed size that grows
 * coarser as what it spans grows.
 *
 * Purpose:    whoever has the table's description can say how much of it has expired at any time,
 *             without reading it.
 * Invariants: a bucket spans a power of two of milliseconds, all buckets the same; what is in it
 *             counts as expired when all of it is, so answers err to the late side, by at most two
 *             sixty-thirds of the whole span.
 * Threads:    none; pure. */
#ifndef FIRN_FORMAT_EXPIRY_SPREAD_H
#define FIRN_FORMAT_EXPIRY_SPREAD_H

#include <stdint.h>

#include "base/attributes.h"

#define EXPIRY_SPREAD_BUCKETS 64
#define EXPIRY_PARTS          8

typedef struct expiry_spread {
    uint64_t count; /* of entries that expire; {0}: none */
    uint64_t least_ms, most_ms;
    uint64_t first; /* bucket i holds times whose upper bits, without `shift`, are first + i */
    uint32_t shift;
    uint64_t buckets[EXPIRY_SPREAD_BUCKETS];
} expiry_spread;

/* One more entry that expires then. */
FIRN_INTERNAL void expiry_spread_note(expiry_spread *s, uint64_t expiry_ms);
/* parts[k]: when at least k + 1 eighths of those entries have expired; ascending. Zeros if there
 * are none. */
FIRN_INTERNAL void expiry_spread_parts(const expiry_spread *s, uint64_t parts[EXPIRY_PARTS]);
#endif
