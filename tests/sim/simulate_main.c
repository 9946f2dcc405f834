/* simulate [--trace FILE] [operations [speed [workers]]] - every workload under every strategy, as
 * a table; with --trace also how each went over time, as tab-separated lines for bench/simulate.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/test.h"
#include "sim/tree_sim.h"

enum { SIMULATE_POINTS = 200 };

static void simulate_write_trace(FILE *out, const char *workload, const char *strategy,
                                 const sim_trace *trace) {
    for (uint32_t i = 0; i < trace->count; i++) {
        const sim_point *p = &trace->points[i];
        fprintf(out, "%s\t%s\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%u\n", workload, strategy,
                p->clock, p->user, p->written, p->kept, p->alive, p->debt, p->runs);
    }
}

static void simulate_one(const sim_workload *w, const sim_setup *setup, uint32_t operations,
                         FILE *trace_file) {
    sim_trace trace = {.every = operations / SIMULATE_POINTS};
    sim_setup traced = *setup;
    traced.trace = trace_file ? &trace : NULL;
    sim_result r = tree_sim_run(w, &traced, operations, 1);
    const char *strategy = tree_strategy_name(setup->strategy);
    printf("%-12s %-8s %7.2f %7.2f %7.3f %9u %6u %7.1f%%\n", w->name, strategy, r.write, r.read,
           r.space, r.read_most, r.l0_most, 100 * r.stalled);
    fflush(stdout);
    if (trace_file)
        simulate_write_trace(trace_file, w->name, strategy, &trace);
    free(trace.points);
}

int main(int argc, char **argv) {
    FILE *trace_file = NULL;
    if (argc > 2 && strcmp(argv[1], "--trace") == 0) {
        trace_file = fopen(argv[2], "w");
        if (!trace_file) {
            perror(argv[2]);
            return 1;
        }
        fprintf(trace_file, "workload\tstrategy\tclock\tuser\twritten\tkept\talive\tdebt\truns\n");
        argc -= 2;
        argv += 2;
    }
    uint32_t operations = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 2000000;
    double speed = argc > 2 ? strtod(argv[2], NULL) : 12;
    uint32_t workers = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 1;
    static const tree_strategy strategies[] = {TREE_LEVELED, TREE_TIERED, TREE_FIFO};
    if (operations < 100000 || speed <= 0 || workers == 0 || workers > SIM_WORKERS_MAX) {
        fprintf(stderr, "usage: simulate [--trace FILE] "
                        "[operations >= 100000 [speed > 0 [workers 1..8]]]\n");
        return 2;
    }
    printf("%u operations, memtable of 4096 entries, %u worker(s) that rewrite %g entries per "
           "entry written\n\n%-12s %-8s %7s %7s %7s %9s %6s %8s\n",
           operations, workers, speed, "workload", "strategy", "write", "read", "space",
           "read most", "L0", "stalled");
    for (size_t i = 0; i < sim_workload_count; i++) {
        for (size_t j = 0; j < sizeof strategies / sizeof *strategies; j++) {
            sim_setup setup = {.strategy = strategies[j],
                               .keys = operations,
                               .workers = workers,
                               .speed = speed};
            simulate_one(&sim_workloads[i], &setup, operations, trace_file);
        }
    }
    if (trace_file && fclose(trace_file) != 0) {
        perror("simulate: the trace");
        return 1;
    }
    return 0;
}
