#include "util/memory_budget.h"

#include <string.h>

#include "lib/test.h"
#include "platform/error_detail.h"

enum { LIMIT = 64 << 20, MIB = 1 << 20 };

/* What the cache was told last, and how often. */
typedef struct listener {
    uint64_t rest, calls;
} listener;

/* Without what the heap loses. */
static uint64_t net(uint64_t rest) {
    return rest - rest / 16;
}

static void listener_tell(void *context, uint64_t rest) {
    listener *l = context;
    l->rest = rest;
    l->calls++;
}

static uint64_t total(const memory_budget *b) {
    uint64_t sum = 0;
    for (int i = 0; i < MEMORY_KIND_COUNT; i++)
        sum += memory_budget_charged(b, (memory_kind)i);
    return sum;
}

TEST(memory_budget, the_cache_has_what_the_others_leave_and_at_least_its_floor) {
    memory_budget b;
    listener l = {0};
    memory_budget_init(&b, LIMIT, 0, listener_tell, &l);
    assert_int_equal(memory_budget_rest(&b), net(LIMIT));
    memory_budget_charge(&b, MEMORY_MEMTABLES, 10 * MIB);
    assert_int_equal(l.rest, net(54 * MIB));
    memory_budget_charge(&b, MEMORY_LOG, 10 * MIB);
    memory_budget_charge(&b, MEMORY_PINS, 10 * MIB); /* are the cache's already */
    assert_int_equal(l.rest, net(44 * MIB));
    memory_budget_charge(&b, MEMORY_JOBS, 100 * MIB);
    assert_int_equal(l.rest, net(4 * MIB));
    memory_budget_release(&b, MEMORY_JOBS, 100 * MIB);
    memory_budget_release(&b, MEMORY_MEMTABLES, 10 * MIB);
    assert_int_equal(l.rest, net(54 * MIB));
    memory_budget_release(&b, MEMORY_LOG, 10 * MIB);
    memory_budget_release(&b, MEMORY_PINS, 10 * MIB);
    assert_int_equal(l.rest, net(LIMIT));
    memory_budget_deinit(&b);
}

TEST(memory_budget, the_cache_is_told_of_large_changes_only_and_never_far_off) {
    memory_budget b;
    listener l = {0};
    memory_budget_init(&b, LIMIT, 0, listener_tell, &l);
    for (int i = 0; i < 1000; i++)
        memory_budget_charge(&b, MEMORY_READERS, 1000);
    assert_int_equal(l.calls, 0);
    uint64_t told = net(LIMIT);
    for (int i = 0; i < 20000; i++) {
        memory_budget_charge(&b, MEMORY_READERS, 1000);
        if (l.calls)
            told = l.rest;
        uint64_t rest = memory_budget_rest(&b);
        assert_true((told > rest ? told - rest : rest - told) <= LIMIT / 64);
    }
    assert_in_range(l.calls, 19, 21);
    memory_budget_release(&b, MEMORY_READERS, 21000u * 1000u);
    memory_budget_deinit(&b);
}

TEST(memory_budget, readers_are_refused_while_jobs_have_room_and_the_error_says_who_holds) {
    memory_budget b;
    memory_budget_init(&b, LIMIT, 0, NULL, NULL);
    memory_budget_charge(&b, MEMORY_MEMTABLES, 20 * MIB);
    memory_budget_charge(&b, MEMORY_SPARE, 8 * MIB);
    memory_budget_charge(&b, MEMORY_TABLES, 7 * MIB);
    ASSERT_OK(memory_budget_try_charge(&b, MEMORY_READERS, 11 * MIB));
    ASSERT_OK(memory_budget_try_charge(&b, MEMORY_PINS, 6 * MIB)); /* exactly 52 */
    uint64_t before = total(&b);
    ASSERT_CODE(memory_budget_try_charge(&b, MEMORY_PINS, 1), FIRN_NO_MEMORY);
    ASSERT_CODE(memory_budget_try_charge(&b, MEMORY_READERS, 1), FIRN_NO_MEMORY);
    assert_int_equal(total(&b), before);
    assert_int_equal(memory_budget_refusals(&b), 2);
    static const char *const parts[] = {
        "64 MiB",    "memtables 28 MiB",          "values 11",         "pinned blocks 6",
        "filters 7", "free or refresh iterators", "raise memory_bytes"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        assert_non_null(strstr(error_detail_get(), parts[i]));
    /* What must go on is not refused. */
    memory_budget_charge(&b, MEMORY_JOBS, 30 * MIB);
    assert_false(memory_budget_is_exhausted(&b)); /* jobs end by themselves */
    memory_budget_release(&b, MEMORY_JOBS, 30 * MIB);
    memory_budget_charge(&b, MEMORY_MEMTABLES, 13 * MIB);
    assert_true(memory_budget_is_exhausted(&b));
    memory_budget_release(&b, MEMORY_MEMTABLES, 13 * MIB);
    memory_budget_release(&b, MEMORY_PINS, 1 * MIB);
    ASSERT_OK(memory_budget_try_charge(&b, MEMORY_READERS, 1 * MIB));
    memory_budget_release(&b, MEMORY_PINS, 5 * MIB);
    memory_budget_release(&b, MEMORY_READERS, 12 * MIB);
    memory_budget_release(&b, MEMORY_TABLES, 7 * MIB);
    memory_budget_move(&b, MEMORY_SPARE, MEMORY_MEMTABLES, 8 * MIB);
    memory_budget_adjust(&b, MEMORY_MEMTABLES, 28 * MIB, 0);
    memory_budget_deinit(&b);
}

TEST(memory_budget, memtables_have_half_and_the_log_at_most_a_quarter_of_that) {
    memory_budget b;
    memory_budget_init(&b, LIMIT, 0, NULL, NULL);
    memory_budget_charge(&b, MEMORY_LOG, 60 * MIB);
    memory_budget_charge(&b, MEMORY_MEMTABLES, 24 * MIB);
    assert_false(memory_budget_is_write_half_full(&b, true));
    memory_budget_charge(&b, MEMORY_SPARE, 1);
    assert_true(memory_budget_is_write_half_full(&b, true));
    assert_false(memory_budget_is_write_half_full(&b, false));
    memory_budget_charge(&b, MEMORY_MEMTABLES, 1);
    assert_true(memory_budget_is_write_half_full(&b, false));
    memory_budget_release(&b, MEMORY_LOG, 60 * MIB);
    assert_false(memory_budget_is_write_half_full(&b, false));
    memory_budget_release(&b, MEMORY_MEMTABLES, 24 * MIB + 1);
    memory_budget_release(&b, MEMORY_SPARE, 1);
    memory_budget_deinit(&b);
}

TEST(memory_budget, the_reserve_is_the_writers_whether_they_use_it_or_not) {
    memory_budget b;
    listener l = {.rest = 7};
    memory_budget_init(&b, LIMIT, 24 * MIB, listener_tell, &l);
    assert_int_equal(memory_budget_rest(&b), net(40 * MIB));
    memory_budget_charge(&b, MEMORY_MEMTABLES, 16 * MIB);
    memory_budget_charge(&b, MEMORY_SPARE, 4 * MIB);
    memory_budget_charge(&b, MEMORY_LOG, 4 * MIB);
    assert_int_equal(l.calls, 0);
    ASSERT_CODE(memory_budget_try_charge(&b, MEMORY_READERS, 28 * MIB + 1), FIRN_NO_MEMORY);
    memory_budget_charge(&b, MEMORY_MEMTABLES, 2 * MIB);
    assert_int_equal(l.rest, net(38 * MIB));
    memory_budget_release(&b, MEMORY_MEMTABLES, 18 * MIB);
    assert_int_equal(l.rest, net(40 * MIB));
    memory_budget_release(&b, MEMORY_SPARE, 4 * MIB);
    memory_budget_release(&b, MEMORY_LOG, 4 * MIB);
    ASSERT_OK(memory_budget_try_charge(&b, MEMORY_PINS, 28 * MIB));
    ASSERT_CODE(memory_budget_try_charge(&b, MEMORY_PINS, 1), FIRN_NO_MEMORY);
    memory_budget_release(&b, MEMORY_PINS, 28 * MIB);
    memory_budget_deinit(&b);
}

TEST(memory_budget, without_one_everything_is_allowed) {
    memory_budget_charge(NULL, MEMORY_LOG, UINT64_MAX);
    ASSERT_OK(memory_budget_try_charge(NULL, MEMORY_READERS, UINT64_MAX));
    memory_budget_release(NULL, MEMORY_LOG, UINT64_MAX);
    memory_budget_adjust(NULL, MEMORY_LOG, 1, 2);
    memory_budget_move(NULL, MEMORY_LOG, MEMORY_JOBS, 1);
    assert_int_equal(memory_budget_rest(NULL), UINT64_MAX);
    assert_false(memory_budget_is_exhausted(NULL));
}

TEST_MAIN(RUN(memory_budget, the_cache_has_what_the_others_leave_and_at_least_its_floor),
          RUN(memory_budget, the_cache_is_told_of_large_changes_only_and_never_far_off),
          RUN(memory_budget, readers_are_refused_while_jobs_have_room_and_the_error_says_who_holds),
          RUN(memory_budget, memtables_have_half_and_the_log_at_most_a_quarter_of_that),
          RUN(memory_budget, the_reserve_is_the_writers_whether_they_use_it_or_not),
          RUN(memory_budget, without_one_everything_is_allowed))
