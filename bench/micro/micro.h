/* bench/micro/micro.h - firn-micro: parts of the engine measured alone, each beside what it is to
 * be compared with, in turns within one run.
 *
 * It sees the library's own headers, unlike firn-bench. Times are processor time where one thread
 * works, wall time where several do. Figures are medians over the rounds; a
 * ratio is the median of the ratios of each round, whose members ran right after one another. */
#ifndef FIRN_BENCH_MICRO_H
#define FIRN_BENCH_MICRO_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

enum { MICRO_ROUNDS_MAX = 99, MICRO_ROWS_MAX = 96 };

typedef struct micro_config {
    uint64_t count; /* keys of a sorted structure */
    uint32_t rounds;
    uint32_t threads;  /* of the inserts by many */
    const char *only;  /* NULL: all; names separated by commas: shapes of keys, groups of parts */
    const char *order; /* NULL: both; "random" or "sequential" */
} micro_config;

/* Notes one measurement: `what`, e.g. "decimal random: insert", by `who`, e.g. "memtable". `amount`
 * operations or bytes took so long. The first `who` of a `what` is what ratios are relative to. */
void micro_note(const char *what, const char *who, double amount, uint64_t ns);

/* This process's time on processors: what one thread does is told apart from what its neighbours on
 * the machine do, but for the caches they share. */
static inline uint64_t micro_cpu_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}
static inline uint64_t micro_wall_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Whether the group of parts called `name` was asked for. */
bool micro_wants(const micro_config *config, const char *name);

void micro_sorted(const micro_config *config); /* one round of each */
void micro_bytes(const micro_config *config);
void micro_table(const micro_config *config);
void micro_log(const micro_config *config);
void micro_codec(const micro_config *config); /* a table of its own; only when asked for */
void micro_prefix(const micro_config *config);
void micro_prefix_end(void); /* removes what it keeps from round to round */
void micro_compact(const micro_config *config);

#endif
