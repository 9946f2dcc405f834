/* util/rate_limiter.h - background writes take turns under one byte rate.
 *
 * Purpose:    keeps flush and compaction from filling the device's queue in front of the
 * foreground. While both want to write, each gets half; alone, either gets all. The rate may be
 *             tuned between a twentieth of the limit and the limit: it rises while nearly every
 *             request has to wait, and falls while few do, so that bursts are smoothed at the rate
 *             that is needed and not at the highest one allowed.
 * Threads:    safe; a leaf of the lock order. The pure core takes the time as an argument.
 * Lifetime:   init / deinit in place. */
#ifndef FIRN_UTIL_RATE_LIMITER_H
#define FIRN_UTIL_RATE_LIMITER_H

#include <stdbool.h>
#include <stdint.h>

#include "platform/clock.h"
#include "platform/thread.h"

typedef enum rate_class { RATE_FLUSH, RATE_COMPACTION, RATE_CLASS_COUNT } rate_class;

typedef struct rate_limiter {
    const time_source *clock; /* set at birth */
    mutex guard;
    /* guarded */
    uint64_t limit; /* bytes per second; 0: none */
    bool tuned;
    double rate;                       /* in force */
    uint64_t due_ns[RATE_CLASS_COUNT]; /* until when what each has written should take */
    uint64_t window_ns;                /* start of the tuning window */
    uint32_t requests, waits;          /* in the window */
    uint64_t bytes[RATE_CLASS_COUNT], waited_ns[RATE_CLASS_COUNT];
} rate_limiter;

FIRN_INTERNAL void rate_limiter_init(rate_limiter *r, const time_source *clock);
FIRN_INTERNAL void rate_limiter_deinit(rate_limiter *r);
/* From now on. 0: no limit. */
FIRN_INTERNAL void rate_limiter_set(rate_limiter *r, uint64_t bytes_per_second, bool tuned);
/* Sleeps until `bytes` more may be written. */
FIRN_INTERNAL void rate_limiter_request(rate_limiter *r, rate_class who, uint64_t bytes);

typedef struct rate_limiter_stats {
    uint64_t limit, rate; /* bytes per second; 0: none */
    uint64_t bytes[RATE_CLASS_COUNT], waited_ns[RATE_CLASS_COUNT];
} rate_limiter_stats;
FIRN_INTERNAL void rate_limiter_get_stats(rate_limiter *r, rate_limiter_stats *out);

/* The core, for tests: how long to sleep for this request, made at `now_ns`. */
FIRN_INTERNAL uint64_t rate_limiter_charge(rate_limiter *r, rate_class who, uint64_t bytes,
                                           uint64_t now_ns);
#endif
