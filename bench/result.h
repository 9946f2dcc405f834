/* bench/result.h - what measuring yields: flat structs, which children send to their parent. */
#ifndef FIRN_BENCH_RESULT_H
#define FIRN_BENCH_RESULT_H

#include <stdbool.h>
#include <stdint.h>

#include "histogram.h"

enum { TRACE_MAX = 4096, COUNTERS_TEXT_BYTES = 2048, OPTIONS_TEXT_BYTES = 6144 };

/* Of one worker; sums when merged. */
typedef struct worker_result {
    uint64_t found;
    uint64_t checksum; /* of all values read; does not depend on their order */
    uint64_t user_bytes_written;
    uint64_t user_bytes_read;
    uint64_t cpu_ns;      /* of the worker's thread alone */
    histogram latency[2]; /* reads, writes */
} worker_result;

void worker_result_merge(worker_result *into, const worker_result *from);

/* What the operating system counted for this process, over some span. */
typedef struct usage {
    uint64_t write_bytes; /* sent towards the device: every page made dirty */
    uint64_t read_bytes;  /* fetched from the device */
    uint64_t write_calls; /* write and its kin */
    uint64_t read_calls;
    uint64_t minor_faults, major_faults;
    uint64_t waits;       /* voluntary context switches */
    uint64_t preemptions; /* involuntary ones */
    uint64_t cpu_user_ns, cpu_system_ns;
} usage;

/* What the device does without an engine: see device.h. */
typedef struct device_speed {
    uint64_t page_ns; /* median of one random page */
    double bytes_per_second;
} device_speed;

typedef struct step_result {
    char engine[24];
    char step[40];
    uint32_t round;
    uint32_t threads;
    uint32_t position; /* of the step in the list */
    bool free_running; /* ended by time: counts and checksums differ between runs */
    uint64_t operations;
    double seconds;
    double drain_seconds; /* background work that was left, waited for */
    worker_result sums;
    usage during;        /* the measured span */
    usage and_drain;     /* the same plus the drain */
    device_speed device; /* of cold workloads, right before them; else zero */
    uint64_t rss_anon_peak;
    uint64_t disk_bytes;  /* allocated, after the drain */
    uint64_t table_bytes; /* of these, in sorted files */
    uint64_t live_bytes;  /* keys and values that are there */
    uint64_t debt_bytes;  /* when the last operation returned */
    uint64_t debt_after_bytes;
    uint32_t trace_count;
    uint64_t trace[TRACE_MAX];            /* operations done at the end of each interval */
    uint64_t trace_slowest_ns[TRACE_MAX]; /* the slowest within each */
    char version[32];
    char counters[COUNTERS_TEXT_BYTES]; /* members of a JSON object */
    char options[OPTIONS_TEXT_BYTES];
} step_result;

#endif
