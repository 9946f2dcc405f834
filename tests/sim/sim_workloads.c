#include "lib/test.h"
#include "sim/tree_sim.h"

/* Space while the workload runs, from its second half on. */
static void sim_sample_space(tree_sim *s, uint32_t i, uint32_t operations) {
    if (i > operations / 2 && i % (operations / 16) == 0)
        s->space_sum += tree_sim_space(s);
}

/* Every key once, in an order that looks random: a full cycle of a linear congruence. */
static void sim_fill_random(tree_sim *s, rng *r, uint32_t operations) {
    uint64_t key = rng_below(r, s->keys), step = (uint64_t)(s->keys * 0.6180339887) | 1;
    for (uint32_t i = 0; i < operations; i++) {
        key = (key + step) % s->keys;
        tree_sim_put(s, (uint32_t)key);
        sim_sample_space(s, i, operations);
    }
}

static void sim_fill_sequential(tree_sim *s, rng *r, uint32_t operations) {
    (void)r;
    for (uint32_t i = 0; i < operations; i++) {
        tree_sim_put(s, i % s->keys);
        sim_sample_space(s, i, operations);
    }
}

static void sim_overwrite(tree_sim *s, rng *r, uint32_t operations) {
    for (uint32_t i = 0; i < operations; i++) {
        tree_sim_put(s, (uint32_t)rng_below(r, s->keys / 8));
        sim_sample_space(s, i, operations);
    }
}

/* Nine writes in ten go to a hundredth of the keys. */
static void sim_hot_range(tree_sim *s, rng *r, uint32_t operations) {
    for (uint32_t i = 0; i < operations; i++) {
        bool hot = rng_below(r, 10) > 0;
        uint32_t key = (uint32_t)rng_below(r, hot ? s->keys / 100 : s->keys / 4);
        tree_sim_put(s, hot ? s->keys / 8 + key : key);
        sim_sample_space(s, i, operations);
    }
}

/* Many series, each appended to in order; the oldest points are deleted after a while. */
static void sim_time_series(tree_sim *s, rng *r, uint32_t operations) {
    enum { SERIES = 64 };
    uint32_t length = s->keys / SERIES, kept = length / 4, ends[SERIES] = {0};
    for (uint32_t i = 0; i < operations; i++) {
        uint32_t one = (uint32_t)rng_below(r, SERIES), end = ends[one]++;
        tree_sim_put(s, one * length + end % length);
        if (end >= kept)
            tree_sim_delete(s, one * length + (end - kept) % length);
        sim_sample_space(s, i, operations);
    }
}

/* A queue: put at the tail, delete at the head. */
static void sim_queue(tree_sim *s, rng *r, uint32_t operations) {
    (void)r;
    for (uint32_t i = 0; i < operations; i++) {
        tree_sim_put(s, i % s->keys);
        if (i >= 1000)
            tree_sim_delete(s, (i - 1000) % s->keys);
    }
}

/* Random puts, then deletes of nine keys in ten. */
static void sim_delete_most(tree_sim *s, rng *r, uint32_t operations) {
    sim_fill_random(s, r, operations / 2);
    for (uint32_t i = 0; i < operations / 2; i++) {
        uint32_t key = (uint32_t)rng_below(r, s->keys);
        if (key % 10)
            tree_sim_delete(s, key);
    }
}

const sim_workload sim_workloads[] = {
    {"fillrandom", sim_fill_random, false},  {"sequential", sim_fill_sequential, false},
    {"overwrite", sim_overwrite, true},      {"hot range", sim_hot_range, true},
    {"time series", sim_time_series, true},  {"queue", sim_queue, false},
    {"delete most", sim_delete_most, false},
};
const size_t sim_workload_count = sizeof sim_workloads / sizeof *sim_workloads;

sim_result tree_sim_run(const sim_workload *w, const sim_setup *setup, uint32_t operations,
                        uint64_t seed) {
    tree_sim s;
    rng r;
    rng_init(&r, seed);
    tree_sim_init(&s, setup);
    w->run(&s, &r, operations);
    if (setup->strategy != TREE_FIFO)
        tree_sim_check(&s);
    double stalled = s.stalled / s.clock;
    tree_sim_settle(&s);
    if (setup->strategy != TREE_FIFO)
        tree_sim_check(&s);
    sim_result result = {.write = (s.flushed + s.compacted) / s.user_entries,
                         .read = s.read_sum / s.samples,
                         .space = w->is_steady ? s.space_sum / 7 : tree_sim_space(&s),
                         .read_most = s.read_most,
                         .l0_most = s.l0_most,
                         .stalled = stalled};
    tree_sim_deinit(&s);
    return result;
}
