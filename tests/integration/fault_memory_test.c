/* Each allocation in turn fails, alone or with all that follow, while a database is opened,
 * written, flushed, compacted, read and closed. */
#include "integration/fault_fixture.h"
#include "lib/test.h"
#include "platform/memory.h"

enum {
    MEMORY_WRITES = 24,
    MEMORY_RUNS = 500 /* at most so many of the allocations, evenly spread */
};

/* The writes are put together beforehand: while allocations fail, only the database makes any. */
typedef struct memory_run {
    fault_fixture f;
    firn_batch batches[MEMORY_WRITES];
    size_t written; /* acknowledged */
    bool is_stuck;  /* a write failed twice */
    unsigned failures;
} memory_run;

static void memory_prepare(memory_run *r, uint64_t seed) {
    *r = (memory_run){0};
    fault_fixture_init(&r->f, seed);
    fault_fixture_create(&r->f);
    fault_fixture_close(&r->f);
    for (int i = 0; i < MEMORY_WRITES; i++) {
        if (i == 3)
            shadow_put(&r->f.shadow, 1, SHADOW_KEY_LAST, 1, LARGE_VALUE_BYTES);
        fault_fixture_compose(&r->f, 1 + (unsigned)i % 9);
        (void)shadow_commit(&r->f.shadow);
        r->batches[i] = r->f.shadow.batch;
        batch_init(&r->f.shadow.batch);
    }
}

static void memory_deinit(memory_run *r) {
    for (int i = 0; i < MEMORY_WRITES; i++)
        batch_deinit(&r->batches[i]);
    fault_fixture_deinit(&r->f);
}

static bool memory_did(memory_run *r, status st) {
    if (status_is_ok(st))
        return true;
    r->failures++;
    /* A log or manifest that could not be completed answers IO_ERROR from then on. */
    if ((st.code != FIRN_NO_MEMORY && st.code != FIRN_IO_ERROR) || *error_detail_get() == '\0')
        fail_msg("%s (%s): not a clear lack of memory", firn_status_name(st.code),
                 error_detail_get());
    return false;
}

/* Again, if it fails: writing the same twice changes nothing. */
static void memory_write(memory_run *r, int i) {
    batch_view view = batch_get_view(&r->batches[i]);
    firn_choice sync = i % 5 == 0 ? FIRN_YES : FIRN_NO;
    bool did = memory_did(r, db_write(r->f.db, &view, sync));
    if (!did)
        did = memory_did(r, db_write(r->f.db, &view, sync));
    if (did)
        r->written = (size_t)i + 1;
    else
        r->is_stuck = true;
}

static void memory_read(memory_run *r) {
    uint64_t hash;
    const char *problem;
    if (memory_did(r, shadow_read(&r->f.shadow, r->f.db, &hash, &problem)) &&
        (problem || hash != r->f.shadow.states[r->written]))
        fail_msg("after %zu writes: %s", r->written, problem ? problem : "wrong contents");
}

static void memory_scenario(memory_run *r) {
    for (int i = 0; i < 2 && !r->f.db; i++)
        (void)memory_did(r, db_open(FAULT_DIRECTORY, &r->f.config, &r->f.db));
    for (int i = 0; i < MEMORY_WRITES && r->f.db && !r->is_stuck; i++) {
        memory_write(r, i);
        if (i % 6 == 5)
            (void)memory_did(r, db_flush(r->f.db));
        if (i == 12)
            memory_read(r);
        (void)db_step(r->f.db);
    }
    if (!r->f.db)
        return;
    if (!r->is_stuck)
        (void)memory_did(r, db_compact_range(r->f.db, SLICE_UNSET, SLICE_UNSET));
    memory_read(r);
    (void)memory_did(r, db_close(r->f.db));
    r->f.db = NULL;
}

static void memory_check_reopened(memory_run *r) {
    uint64_t hash;
    const char *problem;
    fault_fixture_open(&r->f);
    ASSERT_OK(shadow_read(&r->f.shadow, r->f.db, &hash, &problem));
    assert_null(problem);
    size_t most = r->written + (r->is_stuck && r->written < MEMORY_WRITES);
    if (shadow_find(&r->f.shadow, hash, r->written, most) == SIZE_MAX)
        fail_msg("does not hold the %zu acknowledged writes", r->written);
    fault_fixture_check_usable(&r->f, hash);
    fault_fixture_close(&r->f);
}

/* Gives whether an allocation failed. */
static bool memory_one_run(uint64_t countdown, bool sticky) {
    memory_run *r = test_calloc(1, sizeof *r);
    memory_prepare(r, 1);
    uint64_t live = memory_live_count();
    memory_fail_after(countdown, sticky);
    memory_scenario(r);
    memory_fail_after(0, false);
    if (memory_live_count() != live)
        fail_msg("allocation %llu failed, and %lld blocks leaked", (unsigned long long)countdown,
                 (long long)(memory_live_count() - live));
    bool failed = r->failures > 0;
    memory_check_reopened(r);
    memory_deinit(r);
    test_free(r);
    return failed;
}

static uint64_t memory_count_allocations(void) {
    memory_run *r = test_calloc(1, sizeof *r);
    memory_prepare(r, 1);
    uint64_t before = memory_allocation_count();
    memory_scenario(r);
    uint64_t count = memory_allocation_count() - before;
    assert_int_equal(r->failures, 0);
    assert_int_equal(r->written, MEMORY_WRITES);
    memory_deinit(r);
    test_free(r);
    return count;
}

static void memory_sweep(bool sticky) {
    uint64_t count = memory_count_allocations(), failed = 0, runs = 0;
    if (count == 0)
        skip(); /* a release build counts nothing */
    uint64_t stride = count / test_scaled(MEMORY_RUNS) + 1;
    for (uint64_t n = 1; n <= count; n += stride, runs++)
        failed += memory_one_run(n, sticky);
    print_message("%llu allocations; failed at %llu of them, noticed %llu times\n",
                  (unsigned long long)count, (unsigned long long)runs, (unsigned long long)failed);
    assert_true(failed > runs / 4);
}

TEST(fault_memory, one_failing_allocation_is_reported_and_harms_nothing) {
    memory_sweep(false);
}

TEST(fault_memory, running_out_of_memory_for_good_is_reported_and_harms_nothing) {
    memory_sweep(true);
}

TEST_MAIN(RUN(fault_memory, one_failing_allocation_is_reported_and_harms_nothing),
          RUN(fault_memory, running_out_of_memory_for_good_is_reported_and_harms_nothing))
