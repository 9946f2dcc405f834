/* The quick crash sweep; see crash/sweep.h. */
#include <stdio.h>
#include <stdlib.h>

#include "crash/sweep.h"
#include "lib/test.h"

/* Fixed, so that every run is the same; FIRN_CRASH_SEED asks for another workload. */
static uint64_t quick_sweep_seed(void) {
    const char *text = getenv("FIRN_CRASH_SEED");
    uint64_t seed = text && *text ? strtoull(text, NULL, 0) : 1;
    print_message("FIRN_CRASH_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

/* --- everything a small database does --- */

static void quick_sweep_add_operation(sweep *s, uint32_t keyspace) {
    const shadow_mix mix = {.random = &s->random, .puts_percent = 60, .bytes_most = 250};
    shadow_draw(&s->shadow, keyspace, &mix);
}

static void quick_sweep_write(sweep *s) {
    static const unsigned sizes[] = {1, 1, 2, 3, 6, 20};
    unsigned count = sizes[rng_below(&s->random, 6)];
    uint32_t keyspace = (uint32_t)rng_below(&s->random, SHADOW_KEYSPACES);
    bool is_mixed = rng_below(&s->random, 2);
    for (unsigned i = 0; i < count; i++)
        quick_sweep_add_operation(s, is_mixed ? (uint32_t)rng_below(&s->random, SHADOW_KEYSPACES)
                                              : keyspace);
    if (rng_below(&s->random, 30) == 0)
        sweep_write_refused(s);
    else
        sweep_write(s, rng_below(&s->random, 6) == 0);
}

static void quick_sweep_reopen(sweep *s) {
    sweep_close(s);
    sweep_open(s);
}

static void quick_sweep_maintain(sweep *s) {
    if (rng_below(&s->random, 4) == 0)
        sweep_pass_time(s, rng_below(&s->random, 20));
    switch (rng_below(&s->random, 40)) {
    case 0:
        sweep_sync(s);
        break;
    case 1:
    case 2:
        sweep_flush(s);
        break;
    case 3:
        if (rng_below(&s->random, 2))
            sweep_compact(s);
        break;
    case 4:
        if (rng_below(&s->random, 2))
            quick_sweep_reopen(s);
        break;
    default:
        sweep_step(s, (unsigned)rng_below(&s->random, 3));
        break;
    }
}

static void quick_sweep_workload(const char *name, firn_log_io log_io) {
    sweep s;
    sweep_init(&s, name, log_io, quick_sweep_seed(), 15);
    sweep_open(&s);
    while (s.shadow.count < 520) {
        quick_sweep_write(&s);
        quick_sweep_maintain(&s);
    }
    sweep_close(&s);
    assert_true(s.shadow.count >= 500);
    assert_true(s.log_recycles >= 5);
    assert_true(s.manifests >= 3);
    assert_true(s.compactions >= 10);
    sweep_finish(&s);
}

TEST(quick_sweep, no_crash_of_a_mapped_log_loses_or_halves_or_invents_a_write) {
    quick_sweep_workload("workload, mapped log", FIRN_LOG_IO_MAPPED);
}

TEST(quick_sweep, no_crash_of_a_written_log_loses_or_halves_or_invents_a_write) {
    quick_sweep_workload("workload, written log", FIRN_LOG_IO_PWRITE);
}

/* --- a manifest that is replaced because it grew, not because of a reopen --- */

TEST(quick_sweep, no_crash_while_a_grown_manifest_is_replaced_loses_anything) {
    sweep s;
    sweep_init(&s, "manifest", FIRN_LOG_IO_AUTO, quick_sweep_seed(), 150);
    s.is_paused = !s.is_full;
    sweep_open(&s);
    /* Keys almost as long as a key may be stand in each edit twice. */
    for (int i = 0; i < 40 && s.manifests < 2; i++) {
        shadow_put(&s.shadow, 0, SHADOW_KEY_LONG_FIRST, rng_next(&s.random), 10);
        shadow_put(&s.shadow, 0, SHADOW_KEY_LONG_LAST, rng_next(&s.random), 10);
        shadow_put(&s.shadow, 1, (uint32_t)rng_below(&s.random, SHADOW_KEY_LAST), 1, 10);
        sweep_write(&s, i % 2);
        sweep_flush(&s);
        sweep_step(&s, 1);
        s.is_paused = i < 3 && !s.is_full;
    }
    assert_true(s.manifests >= 2);
    shadow_delete(&s.shadow, 0, SHADOW_KEY_LONG_FIRST);
    sweep_write(&s, false);
    sweep_flush(&s);
    sweep_close(&s);
    sweep_finish(&s);
}

/* --- values that lie outside of batches and blocks --- */

TEST(quick_sweep, no_crash_loses_or_halves_a_large_value) {
    sweep s;
    sweep_init(&s, "large values", FIRN_LOG_IO_AUTO, quick_sweep_seed(), 120);
    sweep_open(&s);
    for (uint32_t i = 0; i < 5; i++) {
        shadow_put_value(&s.shadow, i % 3, 7,
                         (shadow_value){.seed = rng_next(&s.random),
                                        .bytes = LARGE_VALUE_BYTES + i * 300000,
                                        .expiry_ms = i % 2 ? shadow_now_ms() + 10 : 0});
        shadow_put(&s.shadow, (i + 1) % 3, 8, rng_next(&s.random), 100);
        sweep_write(&s, i % 2);
        shadow_put(&s.shadow, i % 3, 9, rng_next(&s.random), 100);
        sweep_write(&s, i == 2);
        if (i == 1 || i == 3)
            sweep_flush(&s);
        if (i == 2)
            quick_sweep_reopen(&s);
        sweep_pass_time(&s, 6);
        sweep_step(&s, 2);
    }
    sweep_compact(&s);
    sweep_close(&s);
    sweep_finish(&s);
}

/* --- a kill, and then a power cut: what recovery reads is in the page cache, not all on the disk
 * --- */

static void quick_sweep_run_to_death(sweep *s) {
    static const char *const kinds[] = {NULL,
                                        "write log",
                                        "store log",
                                        "create log",
                                        "rename log",
                                        "write manifest",
                                        "write manifest",
                                        "sync manifest",
                                        "rename CURRENT",
                                        "sync_dir directory",
                                        "rename table"};
    const char *kind = kinds[rng_below(&s->random, sizeof kinds / sizeof *kinds)];
    s->is_paused = true;
    sweep_die_after(s, kind, 1 + rng_below(&s->random, kind ? 40 : 600));
    sweep_open(s);
    for (int i = 0; i < 150 && !s->is_dead; i++) {
        quick_sweep_write(s);
        quick_sweep_maintain(s);
    }
    s->is_paused = false;
    sweep_revive(s);
    for (int i = 0; i < 3; i++)
        quick_sweep_write(s);
    sweep_flush(s);
    sweep_close(s);
}

TEST(quick_sweep, no_power_cut_after_a_kill_loses_or_halves_or_invents_a_write) {
    sweep s;
    sweep_init(&s, "kill, then power cut", FIRN_LOG_IO_MAPPED, quick_sweep_seed(), 60);
    unsigned runs = s.is_full ? 1000 : 60;
    for (unsigned i = 0; i < runs; i++) {
        quick_sweep_run_to_death(&s);
        s.log_io = i % 2 ? FIRN_LOG_IO_MAPPED : FIRN_LOG_IO_PWRITE;
        if (i + 1 < runs)
            sweep_restart(&s);
    }
    sweep_finish(&s);
}

TEST_MAIN(RUN(quick_sweep, no_crash_of_a_mapped_log_loses_or_halves_or_invents_a_write),
          RUN(quick_sweep, no_crash_of_a_written_log_loses_or_halves_or_invents_a_write),
          RUN(quick_sweep, no_power_cut_after_a_kill_loses_or_halves_or_invents_a_write),
          RUN(quick_sweep, no_crash_while_a_grown_manifest_is_replaced_loses_anything),
          RUN(quick_sweep, no_crash_loses_or_halves_a_large_value))
