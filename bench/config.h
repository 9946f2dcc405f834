/* bench/config.h - what the command line asked for. Set once, read by everything afterwards. */
#ifndef FIRN_BENCH_CONFIG_H
#define FIRN_BENCH_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine.h"
#include "keys.h"

enum { ENGINES_MAX = 8, STEPS_MAX = 64, EXTRA_OPTIONS_MAX = 32 };

struct workload;

/* One benchmark of the list, with the number of threads it is run with. */
typedef struct bench_step {
    const struct workload *workload;
    uint32_t threads;
    uint32_t percent; /* of the rate the engine sustained just before; 0: as fast as it can */
    char name[40];    /* as it was given: "fillrandom", "readrandom@4", "overwrite%50" */
} bench_step;

typedef struct bench_config {
    const engine_methods *engines[ENGINES_MAX];
    size_t engine_count;
    const engine_methods *baseline; /* the ratios' denominator */
    bench_step steps[STEPS_MAX];
    size_t step_count;

    uint32_t rounds;
    uint32_t threads;
    uint64_t keys;
    uint64_t operations; /* of a workload that does not fill; 0: as many as keys */
    double seconds;      /* 0: run to the operation count */
    uint64_t warmup;     /* unmeasured reads before a reading workload */
    double rate;         /* operations per second and engine; 0: unlimited */
    uint64_t big_bytes;  /* what the large-value workloads write altogether */
    uint64_t recovery_bytes;
    key_maker key;
    uint64_t value_bytes;
    double compressible_to;
    uint64_t seed;
    uint64_t trace_ms;

    engine_settings settings; /* path is filled in for each database */
    const char *extra_options[EXTRA_OPTIONS_MAX];

    char directory[400];
    const char *json_path;
    bool keep;               /* leave the databases */
    bool reuse;              /* begin with the databases that are there */
    bool exit_without_close; /* as after kill -9; for the recovery workload */
    bool quiet;
} bench_config;

/* Fills *out or ends the process with a message. */
void config_parse(bench_config *out, int argc, char **argv);

#endif
