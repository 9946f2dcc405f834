/* Whole workloads under every strategy: levels stay disjoint and nothing is lost (checked by the
 * simulator as it goes), and what is written, looked into and kept stays within bounds. */
#include "lib/test.h"
#include "sim/tree_sim.h"

typedef struct bound {
    const char *workload;
    tree_strategy strategy;
    double write, read, space; /* most */
} bound;

/* Half again above what was measured with these numbers of operations; `make simulate` prints the
 * table. */
static const bound bounds[] = {
    {"fillrandom", TREE_LEVELED, 8.0, 7.0, 1.01},  {"fillrandom", TREE_TIERED, 6.5, 7.0, 1.01},
    {"sequential", TREE_LEVELED, 1.01, 7.0, 1.01}, {"sequential", TREE_TIERED, 1.01, 7.0, 1.01},
    {"overwrite", TREE_LEVELED, 5.0, 6.5, 2.2},    {"overwrite", TREE_TIERED, 5.0, 6.5, 3.5},
    {"hot range", TREE_LEVELED, 2.0, 6.0, 2.2},    {"hot range", TREE_TIERED, 2.0, 6.0, 3.5},
    {"time series", TREE_LEVELED, 8.0, 7.0, 1.7},  {"time series", TREE_TIERED, 6.5, 7.0, 2.5},
    {"queue", TREE_LEVELED, 2.0, 6.0, 10},         {"queue", TREE_TIERED, 2.0, 6.0, 15},
    {"delete most", TREE_LEVELED, 9.5, 7.0, 2.0},  {"delete most", TREE_TIERED, 7.0, 7.0, 4.0},
};

static void expect_bounds(uint32_t workers, double speed) {
    uint64_t seed = test_seed();
    uint32_t operations = (uint32_t)test_scaled(200000);
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
        const sim_workload *w = sim_workloads;
        while (strcmp(w->name, bounds[i].workload) != 0)
            w++;
        sim_setup setup = {bounds[i].strategy, operations, workers, speed, NULL};
        sim_result r = tree_sim_run(w, &setup, operations, seed);
        print_message("%-12s %-8s write %.2f read %.2f (most %u) space %.3f stalled %.1f%%\n",
                      w->name, tree_strategy_name(bounds[i].strategy), r.write, r.read, r.read_most,
                      r.space, 100 * r.stalled);
        if (operations < 200000)
            continue; /* the bounds are for trees of some size */
        assert_true(r.write <= bounds[i].write);
        assert_true(r.read <= bounds[i].read);
        assert_true(r.space <= bounds[i].space);
        assert_true(r.l0_most <= 17); /* l0_stop, and the flush that reached it */
    }
}

TEST(compaction, keeps_its_bounds_with_one_worker) {
    expect_bounds(1, 12);
}

TEST(compaction, keeps_its_bounds_with_four_workers) {
    expect_bounds(4, 4);
}

/* Work that is far too slow: writers stand still, and still nothing is lost. */
TEST(compaction, that_is_too_slow_loses_nothing) {
    static const tree_strategy strategies[] = {TREE_LEVELED, TREE_TIERED};
    uint64_t seed = test_seed();
    for (size_t i = 0; i < sim_workload_count; i++) {
        for (size_t j = 0; j < 2; j++) {
            sim_setup setup = {strategies[j], 60000, 3, 0.7, NULL};
            sim_result r = tree_sim_run(&sim_workloads[i], &setup, 60000, seed);
            assert_true(r.l0_most <= 17);
        }
    }
}

/* One database, another strategy every now and then. */
TEST(compaction, takes_over_trees_of_other_strategies) {
    static const tree_strategy strategies[] = {TREE_LEVELED, TREE_TIERED, TREE_LEVELED, TREE_TIERED,
                                               TREE_LEVELED};
    rng r;
    tree_sim s;
    sim_setup setup = {TREE_LEVELED, 100000, 2, 6, NULL};
    rng_init(&r, test_seed());
    tree_sim_init(&s, &setup);
    for (size_t i = 0; i < sizeof strategies / sizeof *strategies; i++) {
        s.options.strategy = strategies[i];
        for (int j = 0; j < 40000; j++) {
            uint32_t key = (uint32_t)rng_below(&r, s.keys);
            if (rng_below(&r, 4) == 0)
                tree_sim_delete(&s, key);
            else
                tree_sim_put(&s, key);
        }
        tree_sim_check(&s);
    }
    tree_sim_settle(&s);
    tree_sim_check(&s);
    assert_true(tree_sim_space(&s) < 2.5);
    tree_sim_deinit(&s);
}

TEST_MAIN(RUN(compaction, keeps_its_bounds_with_one_worker),
          RUN(compaction, keeps_its_bounds_with_four_workers),
          RUN(compaction, that_is_too_slow_loses_nothing),
          RUN(compaction, takes_over_trees_of_other_strategies))
