/* A few lives from fixed seeds; `make sim` lives longer. */
#include "lib/test.h"
#include "sim/sim.h"

enum { SIM_TEST_STEPS = 15000 };

static void sim_test_live(uint64_t seed, sim_result *r) {
    sim_options options = {.seed = seed, .steps = test_scaled(SIM_TEST_STEPS)};
    if (!sim_run(&options, r))
        fail_msg("%s\n  shrink it with: make sim SEED=%llu STEPS=%llu", r->problem,
                 (unsigned long long)seed, (unsigned long long)options.steps);
    print_message(
        "seed %llu: %llu operations, %llu faults, %llu full disks, %llu reopens, %llu s\n",
        (unsigned long long)seed, (unsigned long long)r->operations, (unsigned long long)r->faults,
        (unsigned long long)r->full_disks, (unsigned long long)r->reopens,
        (unsigned long long)r->simulated_seconds);
}

TEST(sim, fixed_seeds_live_through_faults_and_crashes) {
    sim_result r;
    for (uint64_t seed = 1; seed <= 3; seed++)
        sim_test_live(seed, &r);
}

TEST(sim, a_seed_lives_the_same_life_again) {
    sim_result once, again;
    sim_test_live(11, &once);
    sim_test_live(11, &again);
    assert_memory_equal(&once, &again, sizeof once);
}

TEST(sim, steps_left_out_do_not_change_the_others) {
    static uint8_t skipped[SIM_TEST_STEPS];
    sim_result r;
    for (size_t i = 0; i < SIM_TEST_STEPS; i++)
        skipped[i] = i % 3 == 0;
    sim_options options = {.seed = 12, .steps = test_scaled(SIM_TEST_STEPS), .skipped = skipped};
    if (options.steps > SIM_TEST_STEPS)
        options.steps = SIM_TEST_STEPS;
    if (!sim_run(&options, &r))
        fail_msg("%s", r.problem);
}

TEST_MAIN(RUN(sim, fixed_seeds_live_through_faults_and_crashes),
          RUN(sim, a_seed_lives_the_same_life_again),
          RUN(sim, steps_left_out_do_not_change_the_others))
