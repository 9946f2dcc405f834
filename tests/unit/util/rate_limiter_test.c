#include "util/rate_limiter.h"

#include "lib/test.h"

enum { MIB = 1 << 20 };
#define SECOND_NS 1000000000ull

/* Writers that ask for 256 KiB at a time as soon as they may, on a simulated clock; bytes each got.
 */
typedef struct simulation {
    rate_limiter limiter;
    uint64_t now, next[RATE_CLASS_COUNT], got[RATE_CLASS_COUNT];
} simulation;

static void simulation_init(simulation *s, uint64_t limit, bool tuned) {
    *s = (simulation){.now = 10 * SECOND_NS};
    rate_limiter_init(&s->limiter, NULL);
    rate_limiter_set(&s->limiter, limit, tuned);
}

static void simulate(simulation *s, uint64_t duration_ns, bool flush, bool compaction) {
    const bool wants[RATE_CLASS_COUNT] = {flush, compaction};
    uint64_t end = s->now + duration_ns;
    for (int i = 0; i < RATE_CLASS_COUNT; i++) {
        s->next[i] = wants[i] ? s->now : UINT64_MAX;
        s->got[i] = 0;
    }
    for (;;) {
        rate_class who = s->next[0] <= s->next[1] ? RATE_FLUSH : RATE_COMPACTION;
        if (s->next[who] >= end)
            break;
        s->now = s->next[who];
        uint64_t wait = rate_limiter_charge(&s->limiter, who, MIB / 4, s->now);
        s->got[who] += MIB / 4;
        s->next[who] = s->now + wait + 100000; /* the write itself takes time as well */
    }
    s->now = end;
}

TEST(rate_limiter, without_a_limit_nobody_waits) {
    simulation s;
    simulation_init(&s, 0, false);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(rate_limiter_charge(&s.limiter, RATE_FLUSH, 1 << 30, s.now), 0);
    rate_limiter_deinit(&s.limiter);
}

TEST(rate_limiter, one_alone_gets_all_of_the_rate) {
    simulation s;
    simulation_init(&s, 20 * MIB, false);
    simulate(&s, 10 * SECOND_NS, true, false);
    assert_in_range(s.got[RATE_FLUSH], 195 * MIB, 207 * MIB);
    simulate(&s, 10 * SECOND_NS, false, true);
    assert_in_range(s.got[RATE_COMPACTION], 195 * MIB, 207 * MIB);
    rate_limiter_deinit(&s.limiter);
}

TEST(rate_limiter, two_share_it_evenly) {
    simulation s;
    simulation_init(&s, 20 * MIB, false);
    simulate(&s, 10 * SECOND_NS, true, true);
    assert_in_range(s.got[RATE_FLUSH], 95 * MIB, 105 * MIB);
    assert_in_range(s.got[RATE_COMPACTION], 95 * MIB, 105 * MIB);
    rate_limiter_deinit(&s.limiter);
}

TEST(rate_limiter, what_one_does_not_want_the_other_gets_soon) {
    simulation s;
    simulation_init(&s, 20 * MIB, false);
    simulate(&s, SECOND_NS, true, true);
    simulate(&s, 10 * SECOND_NS, true, false);
    assert_in_range(s.got[RATE_FLUSH], 190 * MIB, 205 * MIB);
    rate_limiter_deinit(&s.limiter);
}

TEST(rate_limiter, an_idle_writer_saves_up_no_burst) {
    simulation s;
    simulation_init(&s, 20 * MIB, false);
    simulate(&s, 100 * SECOND_NS, false, false);
    simulate(&s, SECOND_NS, true, false);
    assert_in_range(s.got[RATE_FLUSH], 19 * MIB, 23 * MIB);
    rate_limiter_deinit(&s.limiter);
}

TEST(rate_limiter, is_set_while_it_runs) {
    simulation s;
    rate_limiter_stats stats;
    simulation_init(&s, MIB, false);
    simulate(&s, SECOND_NS, true, false);
    rate_limiter_set(&s.limiter, 50 * MIB, false);
    simulate(&s, SECOND_NS, true, false);
    assert_in_range(s.got[RATE_FLUSH], 48 * MIB, 56 * MIB);
    rate_limiter_get_stats(&s.limiter, &stats);
    assert_int_equal(stats.limit, 50 * MIB);
    assert_in_range(stats.bytes[RATE_FLUSH], 49 * MIB, 59 * MIB);
    assert_true(stats.waited_ns[RATE_FLUSH] > SECOND_NS);
    assert_int_equal(stats.bytes[RATE_COMPACTION], 0);
    rate_limiter_deinit(&s.limiter);
}

TEST(rate_limiter, tunes_itself_up_to_the_limit_and_down_again) {
    simulation s;
    rate_limiter_stats stats;
    simulation_init(&s, 40 * MIB, true);
    simulate(&s, 20 * SECOND_NS, true, true); /* as much as they can */
    rate_limiter_get_stats(&s.limiter, &stats);
    assert_int_equal(stats.rate, 40 * MIB);
    for (int i = 0; i < 200; i++) { /* 2.5 MiB a second */
        (void)rate_limiter_charge(&s.limiter, RATE_FLUSH, MIB / 4, s.now);
        s.now += SECOND_NS / 10;
    }
    rate_limiter_get_stats(&s.limiter, &stats);
    assert_in_range(stats.rate, 2 * MIB, 3 * MIB);
    rate_limiter_deinit(&s.limiter);
}

static uint64_t slept_ns;
static void note_sleep(void *context) {
    (void)context;
    slept_ns++;
}

TEST(rate_limiter, a_request_sleeps_through_the_seam) {
    rate_limiter r;
    slept_ns = 0;
    rate_limiter_init(&r, time_source_system());
    rate_limiter_set(&r, MIB, false);
    thread_set_wait_hook(note_sleep, NULL);
    rate_limiter_request(&r, RATE_FLUSH, 2 * MIB);
    thread_set_wait_hook(NULL, NULL);
    assert_in_range(slept_ns, 36, 41); /* nearly two seconds in pieces of 50 ms */
    rate_limiter_deinit(&r);
}

TEST_MAIN(RUN(rate_limiter, without_a_limit_nobody_waits),
          RUN(rate_limiter, one_alone_gets_all_of_the_rate), RUN(rate_limiter, two_share_it_evenly),
          RUN(rate_limiter, what_one_does_not_want_the_other_gets_soon),
          RUN(rate_limiter, an_idle_writer_saves_up_no_burst),
          RUN(rate_limiter, is_set_while_it_runs),
          RUN(rate_limiter, tunes_itself_up_to_the_limit_and_down_again),
          RUN(rate_limiter, a_request_sleeps_through_the_seam))
