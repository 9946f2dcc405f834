/* Readers, writers that replace and retire, and a checker that nothing is reclaimed under a reader.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/test.h"
#include "platform/memory.h"
#include "platform/thread.h"
#include "util/epoch.h"

enum { READERS = 4, LIVE = 0x11, DEAD = 0x22 };

typedef struct thing {
    epoch_item item; /* first: reclaim gets it */
    atomic_u32 state;
} thing;

typedef struct shared {
    epoch domain;
    atomic_ptr current;
    atomic_u32 stop;
    atomic_u64 reclaimed, reads;
} shared;

static shared *race;

static thing *thing_new(void) {
    thing *t = memory_new(sizeof *t);
    assert_non_null(t);
    atomic_u32_init(&t->state, LIVE);
    return t;
}

static void thing_reclaim(epoch_item *item) {
    thing *t = (thing *)item;
    atomic_u32_store(&t->state, DEAD, memory_order_seq_cst);
    atomic_u64_add(&race->reclaimed, 1, memory_order_seq_cst);
    memory_free(t);
}

static void read_for_a_while(void *context) {
    shared *s = context;
    while (!atomic_u32_load(&s->stop, memory_order_seq_cst)) {
        uint64_t slot = epoch_enter(&s->domain);
        thing *t = atomic_ptr_load(&s->current, memory_order_seq_cst);
        for (int i = 0; i < 20; i++) {
            if (atomic_u32_load(&t->state, memory_order_seq_cst) != LIVE)
                abort();
        }
        epoch_leave(&s->domain, slot);
        atomic_u64_add(&s->reads, 1, memory_order_seq_cst);
    }
}

static shared *shared_new(void) {
    shared *s = memory_new_aligned(CACHE_LINE_BYTES, sizeof *s);
    assert_non_null(s);
    memset(s, 0, sizeof *s);
    epoch_init(&s->domain);
    atomic_ptr_init(&s->current, thing_new());
    race = s;
    return s;
}

static void shared_free(shared *s) {
    epoch_deinit(&s->domain);
    memory_free(atomic_ptr_load(&s->current, memory_order_seq_cst));
    memory_free(s);
}

static void replace_current(shared *s) {
    thing *old = atomic_ptr_exchange(&s->current, thing_new(), memory_order_seq_cst);
    epoch_retire(&s->domain, &old->item, thing_reclaim);
}

TEST(epoch, nothing_is_reclaimed_under_a_reader) {
    shared *s = shared_new();
    thread readers[READERS];
    for (int i = 0; i < READERS; i++)
        ASSERT_OK(thread_start(&readers[i], "reader", read_for_a_while, s));
    uint64_t rounds = test_scaled(20000);
    for (uint64_t i = 0; i < rounds; i++)
        replace_current(s);
    atomic_u32_store(&s->stop, 1, memory_order_seq_cst);
    for (int i = 0; i < READERS; i++)
        thread_join(&readers[i]);
    (void)epoch_collect(&s->domain);
    assert_int_equal(atomic_u64_load(&s->reclaimed, memory_order_seq_cst), rounds);
    shared_free(s);
}

TEST(epoch, a_reader_inside_holds_up_what_is_retired_after_it_entered) {
    shared *s = shared_new();
    uint64_t slot = epoch_enter(&s->domain);
    replace_current(s);
    replace_current(s);
    assert_int_equal(epoch_collect(&s->domain), 2);
    assert_int_equal(atomic_u64_load(&s->reclaimed, memory_order_seq_cst), 0);
    epoch_leave(&s->domain, slot);
    (void)epoch_collect(&s->domain);
    assert_int_equal(atomic_u64_load(&s->reclaimed, memory_order_seq_cst), 2);
    shared_free(s);
}

TEST(epoch, without_readers_things_go_at_once) {
    shared *s = shared_new();
    replace_current(s);
    assert_int_equal(atomic_u64_load(&s->reclaimed, memory_order_seq_cst), 1);
    shared_free(s);
}

TEST(epoch, threads_beyond_the_slots_share_one) {
    shared *s = shared_new();
    epoch_enter_crowd(&s->domain);
    epoch_enter_crowd(&s->domain);
    replace_current(s);
    epoch_leave_crowd(&s->domain);
    assert_int_equal(epoch_collect(&s->domain), 1);
    epoch_leave_crowd(&s->domain);
    (void)epoch_collect(&s->domain);
    assert_int_equal(atomic_u64_load(&s->reclaimed, memory_order_seq_cst), 1);
    shared_free(s);
}

TEST(epoch, statistics_tell_who_is_inside_and_for_how_long) {
    shared *s = shared_new();
    epoch_stats stats;
    epoch_get_stats(&s->domain, 1000, &stats);
    assert_int_equal(stats.inside, 0);
    assert_int_equal(stats.oldest_ns, 0);
    uint64_t slot = epoch_enter(&s->domain);
    replace_current(s);
    epoch_get_stats(&s->domain, 5000, &stats); /* the first to meet it */
    assert_int_equal(stats.inside, 1);
    assert_int_equal(stats.waiting, 1);
    assert_int_equal(stats.oldest_ns, 0);
    epoch_enter_crowd(&s->domain); /* later than the first */
    for (uint64_t now = 6000; now <= 20000; now += 1000)
        epoch_mark(&s->domain, now); /* more often than there is room to remember */
    epoch_get_stats(&s->domain, 25000, &stats);
    assert_int_equal(stats.inside, 2);
    assert_int_equal(stats.oldest_ns, 20000);
    epoch_leave(&s->domain, slot);
    epoch_get_stats(&s->domain, 26000, &stats);
    assert_int_equal(stats.inside, 1);
    assert_int_equal(stats.oldest_ns, 20000); /* it was met at 6000 */
    epoch_leave_crowd(&s->domain);
    assert_int_equal(epoch_collect(&s->domain), 0);
    slot = epoch_enter(&s->domain); /* nobody who enters anew inherits an age */
    epoch_get_stats(&s->domain, 30000, &stats);
    assert_int_equal(stats.oldest_ns, 0);
    assert_int_equal(stats.waiting, 0);
    epoch_leave(&s->domain, slot);
    shared_free(s);
}

TEST_MAIN(RUN(epoch, nothing_is_reclaimed_under_a_reader),
          RUN(epoch, a_reader_inside_holds_up_what_is_retired_after_it_entered),
          RUN(epoch, without_readers_things_go_at_once),
          RUN(epoch, threads_beyond_the_slots_share_one),
          RUN(epoch, statistics_tell_who_is_inside_and_for_how_long))
