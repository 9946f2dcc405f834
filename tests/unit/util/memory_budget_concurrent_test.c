#include "util/memory_budget.h"

#include "lib/test.h"

enum { LIMIT = 64 << 20, MIB = 1 << 20 };

typedef struct crowd {
    memory_budget budget;
    uint64_t capacity; /* written by `tell`, which runs once at a time */
} crowd;

static void crowd_tell(void *context, uint64_t rest) {
    crowd *c = context;
    c->capacity = rest;
}

static void crowd_run(void *context) {
    crowd *c = context;
    for (int i = 0; i < 5000; i++) {
        memory_budget_charge(&c->budget, MEMORY_MEMTABLES, 3 * MIB);
        memory_budget_charge(&c->budget, MEMORY_JOBS, 5 * MIB);
        if (status_is_ok(memory_budget_try_charge(&c->budget, MEMORY_READERS, 8 * MIB)))
            memory_budget_release(&c->budget, MEMORY_READERS, 8 * MIB);
        memory_budget_release(&c->budget, MEMORY_JOBS, 5 * MIB);
        memory_budget_release(&c->budget, MEMORY_MEMTABLES, 3 * MIB);
    }
}

TEST(memory_budget, concurrent_charges_leave_the_last_word_with_the_last_change) {
    crowd c = {0};
    thread threads[4];
    memory_budget_init(&c.budget, LIMIT, 0, crowd_tell, &c);
    for (int i = 0; i < 4; i++)
        ASSERT_OK(thread_start(&threads[i], "crowd", crowd_run, &c));
    for (int i = 0; i < 4; i++)
        thread_join(&threads[i]);
    assert_int_equal(memory_budget_charged(&c.budget, MEMORY_READERS), 0);
    assert_true(c.capacity >= (LIMIT - LIMIT / 64) / 16 * 15);
    memory_budget_deinit(&c.budget);
}

TEST_MAIN(RUN(memory_budget, concurrent_charges_leave_the_last_word_with_the_last_change))
