/* simulate [operations [speed [workers]]] - every workload under every strategy, as a table. */
#include <stdio.h>
#include <stdlib.h>

#include "lib/test.h"
#include "sim/tree_sim.h"

int main(int argc, char **argv) {
    uint32_t operations = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 2000000;
    double speed = argc > 2 ? strtod(argv[2], NULL) : 12;
    uint32_t workers = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 1;
    static const tree_strategy strategies[] = {TREE_LEVELED, TREE_TIERED, TREE_FIFO};
    if (operations < 100000 || speed <= 0 || workers == 0 || workers > SIM_WORKERS_MAX) {
        fprintf(stderr, "usage: simulate [operations >= 100000 [speed > 0 [workers 1..8]]]\n");
        return 2;
    }
    printf("%u operations, memtable of 4096 entries, %u worker(s) that rewrite %g entries per "
           "entry written\n\n%-12s %-8s %7s %7s %7s %9s %6s %8s\n",
           operations, workers, speed, "workload", "strategy", "write", "read", "space",
           "read most", "L0", "stalled");
    for (size_t i = 0; i < sim_workload_count; i++) {
        for (size_t j = 0; j < sizeof strategies / sizeof *strategies; j++) {
            sim_setup setup = {strategies[j], operations, workers, speed};
            sim_result r = tree_sim_run(&sim_workloads[i], &setup, operations, 1);
            printf("%-12s %-8s %7.2f %7.2f %7.3f %9u %6u %7.1f%%\n", sim_workloads[i].name,
                   tree_strategy_name(strategies[j]), r.write, r.read, r.space, r.read_most,
                   r.l0_most, 100 * r.stalled);
            fflush(stdout);
        }
    }
    return 0;
}
