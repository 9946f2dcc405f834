/* tests/sim/tree_sim.h - a tree of tables in memory that lives under a picker, without I/O.
 *
 * Purpose: runs whole workloads through the real pickers, the real version edits and the real cuts,
 *          and counts what is written, how many places a read has to look into and how much space
 *          is used. One entry stands for SIM_ENTRY_BYTES; time is counted in entries written by the
 *          user, and each of `workers` rewrites `speed` entries in the time the user writes one.
 * Checks:  the version set's own rules at every install (levels disjoint), inputs that nobody else
 *          has, and, by tree_sim_check, that every key has its newest value. */
#ifndef FIRN_TESTS_TREE_SIM_H
#define FIRN_TESTS_TREE_SIM_H

#include "compaction/picker.h"
#include "util/rng.h"

enum { SIM_ENTRY_BYTES = 120, SIM_WORKERS_MAX = 8 };

typedef struct sim_entry {
    uint32_t key;
    uint32_t sequence; /* | SIM_DELETE */
} sim_entry;
#define SIM_DELETE 0x80000000u

typedef struct sim_job {
    bool running;
    double ends;
    compaction_plan plan;
} sim_job;

/* How things stand at one moment; all but the clock and `runs` in entries. */
typedef struct sim_point {
    double clock;
    double user, written; /* since the start; written: by flushes and compactions */
    double kept, alive;   /* in tables and in the memtable; of keys that are alive */
    double debt;
    uint32_t runs; /* places a read may have to look into */
} sim_point;

typedef struct sim_trace {
    uint32_t every; /* user entries between two points */
    sim_point *points;
    uint32_t count, capacity;
} sim_trace;

typedef struct tree_sim {
    tree_options options;
    uint32_t memtable_entries, keys, workers;
    double speed;
    version *now;
    sim_entry **tables; /* by number */
    uint64_t *table_entries;
    uint64_t table_capacity, next_number;
    uint32_t *memtable; /* sequence by key, 0: not in it */
    uint32_t *touched;  /* keys in the memtable */
    uint32_t touched_count;
    uint32_t *model; /* newest sequence by key */
    uint32_t alive;  /* keys that have a value */
    uint32_t sequence;
    double clock; /* entries the user could have written */
    sim_job jobs[SIM_WORKERS_MAX];
    sim_trace *trace; /* NULL: nobody wants one */

    /* results */
    double user_entries, flushed, compacted, moved, dropped;
    double stalled; /* of clock */
    double read_sum, space_sum, samples;
    uint32_t read_most, l0_most;
} tree_sim;

typedef struct sim_setup {
    tree_strategy strategy;
    uint32_t keys; /* key space */
    uint32_t workers;
    double speed;
    sim_trace *trace; /* NULL, or filled while the workload runs: {.every = n}; the points are the
                         caller's to free */
} sim_setup;

void tree_sim_init(tree_sim *s, const sim_setup *setup);
void tree_sim_deinit(tree_sim *s);
void tree_sim_put(tree_sim *s, uint32_t key);
void tree_sim_delete(tree_sim *s, uint32_t key);
/* Flushes, and works until the picker has nothing left to do. */
void tree_sim_settle(tree_sim *s);
/* Every key answers with its newest version. */
void tree_sim_check(const tree_sim *s);
/* Entries in tables over keys that are alive. */
double tree_sim_space(const tree_sim *s);

/* --- workloads --- */

typedef struct sim_workload {
    const char *name;
    void (*run)(tree_sim *s, rng *r, uint32_t operations);
    bool is_steady; /* space is measured while it runs, not at its end */
} sim_workload;

extern const sim_workload sim_workloads[];
extern const size_t sim_workload_count;

typedef struct sim_result {
    double write, read, space; /* amplification */
    uint32_t read_most, l0_most;
    double stalled; /* part of the time */
} sim_result;
/* Runs one workload from an empty tree to a settled one, and checks it. */
sim_result tree_sim_run(const sim_workload *w, const sim_setup *setup, uint32_t operations,
                        uint64_t seed);
#endif
