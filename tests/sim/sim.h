/* tests/sim/sim.h - a deterministic life of a database: clients, background work, faults, crashes
 * and clock in one thread, all from one seed.
 *
 * Each step is made from the seed and its own number alone, so that leaving steps out does not
 * change the others: a failing run is shrunk by leaving out. A model knows what every read must
 * give; after a crash the database must hold one of the states that the writes between the last
 * durable one and the last one lead to.
 *
 * What a step may be: puts (some of which expire), deletes, single-deletes, range deletes, batches
 * over three keyspaces (synced or not), gets, snapshots, iterators that live on while others write,
 * syncs, flushes, compactions, single pieces of background work, reopening with another durability,
 * a reader beside the writer, full checks of the files; calls of the file system that fail, come up
 * short, find no space or return a wrong bit; a disk that is full for a while; a clock that jumps;
 * a crash in any of the ways of platform/vfs_mem.h. */
#ifndef FIRN_TESTS_SIM_H
#define FIRN_TESTS_SIM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "platform/vfs_mem.h"

typedef struct sim_options {
    uint64_t seed, steps;
    const uint8_t *skipped; /* one byte per step; NULL: none */
    FILE *trace;            /* every step as a line of text; NULL: no */
} sim_options;

typedef struct sim_result {
    uint64_t steps;      /* done, those left out included */
    uint64_t operations; /* of clients: reads and writes, each operation of a batch */
    uint64_t expiring, single_deletes, range_deletes; /* operations of writes */
    uint64_t writes, reads, syncs, flushes, compactions, background;
    uint64_t reopens, faults, failed_calls, full_disks, clock_jumps, verifications, readers_beside;
    uint64_t crashes[VFS_MEM_CRASH_COUNT];
    uint64_t simulated_seconds;
    bool failed;
    char problem[1024];
} sim_result;

/* False: something is wrong, result->problem says what, and everything is left as it was (leaked):
 * the process should end. */
bool sim_run(const sim_options *options, sim_result *result);

#endif
