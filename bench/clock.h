/* bench/clock.h - the time, cheaply enough to be read once per operation.
 *
 * On x86-64 a tick is one step of the time stamp counter, elsewhere a nanosecond. Calibrated once
 * by clock_start(), before any fork; afterwards read-only, so any thread may ask. */
#ifndef FIRN_BENCH_CLOCK_H
#define FIRN_BENCH_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Nanoseconds of one tick, times 2^32. */
extern uint64_t clock_ns_per_tick_q32;

/* Takes about 20 ms. */
void clock_start(void);

static inline uint64_t clock_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static inline uint64_t clock_ticks(void) {
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#else
    return clock_ns();
#endif
}

/* For spans of up to an hour. */
static inline uint64_t clock_ticks_to_ns(uint64_t ticks) {
    return (uint64_t)(((unsigned __int128)ticks * clock_ns_per_tick_q32) >> 32);
}

static inline uint64_t clock_ns_to_ticks(uint64_t ns) {
    return (uint64_t)(((unsigned __int128)ns << 32) / clock_ns_per_tick_q32);
}

#endif
