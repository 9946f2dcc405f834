/* bench/workload.h - the benchmarks by name: what each does, as data. The loops that do it are in
 * workload_*.c; how they are started, timed and checked is in run.c. */
#ifndef FIRN_BENCH_WORKLOAD_H
#define FIRN_BENCH_WORKLOAD_H

#include <stdbool.h>
#include <stdint.h>

struct bench;
struct worker;

typedef enum key_order {
    ORDER_SEQUENTIAL, /* 0, 1, 2 ... */
    ORDER_SHUFFLED,   /* each once, in random order */
    ORDER_UNIFORM,    /* any, again and again */
    ORDER_HOT,        /* any of 1 % of the keys */
    ORDER_ZIPFIAN,    /* Zipf's distribution, scattered over the keys */
    ORDER_LATEST      /* Zipf's distribution, the newest keys the commonest */
} key_order;

/* What is true of a workload. */
enum {
    WORKLOAD_FRESH = 1,    /* begins with an empty database, and writes each key once */
    WORKLOAD_WRITES = 2,   /* leaves background work behind, which is waited for and counted */
    WORKLOAD_READS = 4,    /* gets a warm-up */
    WORKLOAD_MAINTAIN = 8, /* one call on the database, not operations of workers */
    WORKLOAD_COLD =
        16 /* begins with nothing in memory: caches empty, the files on the device only */
};

typedef struct workload {
    const char *name;
    const char *does; /* one line for --help */
    unsigned flags;
    key_order order;
    /* Run by every worker; NULL for maintenance, which `maintain` names. */
    void (*body)(struct worker *w);
    /* False: this engine has nothing of the kind. */
    bool (*maintain)(struct bench *b);
    uint64_t operations_divisor; /* operations are this many times fewer than usual; 0: 1 */
    uint64_t value_bytes;        /* 0: as configured */
    bool missing;                /* asks for keys that are not there */
    bool sync;
    uint32_t batch;      /* puts per commit, keys per read of many */
    uint32_t scan_steps; /* entries after the one sought */
    bool backward;
    bool writer_beside; /* worker 0 only overwrites, the others are measured */
    /* Mixed workloads: percent of each; the rest are reads. */
    uint32_t updates, inserts, scans, modifies;
} workload;

/* Whether it deletes, so that fewer keys are there afterwards. */
bool workload_deletes(const workload *w);

/* NULL: there is no such workload. */
const workload *workload_find(const char *name);

/* All, ended by one without a name. */
extern const workload workloads[];

/* Names that stand for several: gives the comma-separated list, or NULL. */
const char *workload_group(const char *name);

/* --- the loops --- */
void workload_fill(struct worker *w);
void workload_fill_batch(struct worker *w);
void workload_overwrite(struct worker *w);
void workload_delete(struct worker *w);
void workload_delete_most(struct worker *w);
void workload_delete_middle(struct worker *w);
void workload_queue(struct worker *w);
void workload_read(struct worker *w);
void workload_read_many(struct worker *w);
void workload_read_beside_writer(struct worker *w);
void workload_scan_all(struct worker *w);
void workload_seek(struct worker *w);
void workload_mix(struct worker *w);

#endif
