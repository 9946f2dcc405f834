/* bench/process.h - what /proc and the file system say about a process and its files. */
#ifndef FIRN_BENCH_PROCESS_H
#define FIRN_BENCH_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "result.h"

/* Counters of this process since its start. */
void process_usage(usage *out);
usage usage_since(const usage *now, const usage *before);

/* Anonymous memory in use now. */
uint64_t process_rss_anon(void);

/* Returns once all threads but the caller and `ignored` have slept for a while: nothing runs in the
 * background. Gives the time (clock_ns) at which that began. Gives up after a minute. */
uint64_t process_wait_quiet(pid_t ignored);

/* Bytes allocated to the files under `path`; *tables of them in sorted files (.sst, .ldb). */
uint64_t directory_bytes(const char *path, uint64_t *tables);

/* Removes `path` and what is in it. A missing one is fine. */
void directory_remove(const char *path);

/* Makes `path`, which must not exist. */
void directory_make(const char *path);

/* Writes out everything of the file system that `path` is on. */
void directory_sync(const char *path);

/* The machine, as members of a JSON object. */
void machine_describe(const char *path, FILE *to);

#endif
