#include "compaction/write_pacing.h"

#include "lib/test.h"

enum { MIB = 1 << 20 };

static const tree_options options = {.l0_trigger = 4,
                                     .l0_slowdown = 8,
                                     .l0_stop = 16,
                                     .level_base_bytes = 256 * MIB};

static write_pressure calm(void) {
    return (write_pressure){.memtable_bytes = 64 * MIB,
                            .unflushed_bytes = 64 * MIB,
                            .backlog_tables = 4,
                            .flush_rate = 100 * MIB,
                            .drain_rate = 50 * MIB};
}

TEST(write_pacing, leaves_writers_alone_while_work_keeps_up) {
    write_pressure p = calm();
    assert_int_equal(write_pace_of(&options, &p).cause, PACE_FREE);
    p.unflushed_bytes = 79 * MIB; /* one is flushed while the next begins to fill */
    p.backlog_tables = 7;
    assert_int_equal(write_pace_of(&options, &p).cause, PACE_FREE);
}

/* Rates over a rising fill: they fall, none by more than a third at once, and pass the drain. */
static void expect_even(write_pressure *p, uint64_t drain, bool by_l0) {
    uint64_t before = UINT64_MAX, steps = by_l0 ? 9 : 100;
    bool at_drain = false;
    for (uint64_t i = 0; i < steps; i++) {
        if (by_l0)
            p->backlog_tables = (uint32_t)(8 + i);
        else
            p->unflushed_bytes = (80 + 112 * (i + 1) / steps) * MIB;
        write_pace pace = write_pace_of(&options, p);
        assert_int_equal(pace.cause, by_l0 ? PACE_L0 : PACE_FLUSH);
        assert_true(pace.bytes_per_second <= 4 * drain);
        assert_true(pace.bytes_per_second >= drain / 4);
        assert_true(pace.bytes_per_second <= before);
        assert_true(before == UINT64_MAX || pace.bytes_per_second * 2 > before);
        at_drain |=
            pace.bytes_per_second >= drain * 8 / 10 && pace.bytes_per_second <= drain * 12 / 10;
        before = pace.bytes_per_second;
    }
    assert_true(at_drain);
    assert_int_equal(before, drain / 4);
}

TEST(write_pacing, slows_evenly_to_what_l0_drains) {
    write_pressure p = calm();
    expect_even(&p, 50 * MIB, true);
}

TEST(write_pacing, slows_evenly_to_what_is_flushed) {
    write_pressure p = calm();
    expect_even(&p, 100 * MIB, false);
}

TEST(write_pacing, names_the_slowest_cause) {
    write_pressure p = calm();
    p.backlog_tables = 12;
    p.unflushed_bytes = 90 * MIB;
    assert_int_equal(write_pace_of(&options, &p).cause, PACE_L0);
    p.unflushed_bytes = 190 * MIB;
    assert_int_equal(write_pace_of(&options, &p).cause, PACE_FLUSH);
}

TEST(write_pacing, debt_slows_but_never_nearly_stops) {
    write_pressure p = calm();
    p.total_bytes = 1000ull * MIB;
    p.debt_bytes = 2048ull * MIB;
    assert_int_equal(write_pace_of(&options, &p).cause, PACE_FREE);
    p.debt_bytes = 2100ull * MIB;
    assert_int_equal(write_pace_of(&options, &p).cause, PACE_DEBT);
    p.debt_bytes = UINT64_MAX / 2;
    assert_true(write_pace_of(&options, &p).bytes_per_second > 50 * MIB / 2);
    /* A large database may be further behind. */
    p.total_bytes = 100000ull * MIB;
    p.debt_bytes = 40000ull * MIB;
    assert_int_equal(write_pace_of(&options, &p).cause, PACE_FREE);
}

TEST(write_pacing, has_a_rate_before_anything_was_measured) {
    write_pressure p = calm();
    p.flush_rate = p.drain_rate = 0;
    p.backlog_tables = 16;
    assert_int_equal(write_pace_of(&options, &p).bytes_per_second, 8 * MIB);
    p.drain_rate = 1; /* however slow the disk */
    assert_int_equal(write_pace_of(&options, &p).bytes_per_second, 256 << 10);
}

TEST(write_pacing, believes_less_the_longer_a_job_takes) {
    write_pressure p = calm();
    p.backlog_tables = 11;
    p.drained_bytes = 50 * MIB;
    uint64_t usual = write_pace_of(&options, &p).bytes_per_second;
    p.undrained_ns = 1000000000; /* as long as the measured rate says */
    assert_int_equal(write_pace_of(&options, &p).bytes_per_second, usual);
    p.undrained_ns = 2000000000;
    assert_in_range(write_pace_of(&options, &p).bytes_per_second, usual / 2 - 1, usual / 2 + 1);
    p.undrained_ns = 8000000000;
    assert_in_range(write_pace_of(&options, &p).bytes_per_second, usual / 8 - 1, usual / 8 + 1);
    p.backlog_tables = 4; /* nobody waits for L0 */
    assert_int_equal(write_pace_of(&options, &p).cause, PACE_FREE);
}

TEST(write_pacing, a_meter_follows_slowly) {
    rate_meter m = {0};
    rate_meter_note(&m, 0, 1000);
    assert_int_equal(m.bytes_per_second, 0);
    rate_meter_note(&m, 1000, 1000000000);
    assert_int_equal(m.bytes_per_second, 1000);
    rate_meter_note(&m, 2000, 1000000000);
    assert_int_equal(m.bytes_per_second, 1250);
    rate_meter_note(&m, 250, 1000000000); /* downward it is quicker */
    assert_int_equal(m.bytes_per_second, 750);
    rate_meter_note(&m, 1000, 0); /* no time at all */
    assert_true(m.bytes_per_second > 750);
}

/* A minute of writers as fast as they can against a pace; the simulated clock moves by sleeping. */
TEST(write_pacing, a_bucket_keeps_the_pace_in_small_pieces) {
    write_bucket b = {0};
    write_pace pace = {PACE_L0, 10 * MIB};
    uint64_t now = 5000000000ull, start = now, bytes = 0, longest = 0;
    while (now - start < 60000000000ull) {
        uint64_t wait = write_bucket_charge(&b, &pace, 116, now);
        assert_true(wait == 0 || wait >= WRITE_BUCKET_PIECE_LEAST_NS);
        longest = wait > longest ? wait : longest;
        now += wait + 300;
        bytes += 116;
    }
    assert_true(longest <= WRITE_BUCKET_PIECE_MOST_NS);
    assert_in_range(bytes, 595ull * MIB, 605ull * MIB);
}

/* Each piece takes three milliseconds more than asked for, as on a machine with other work. */
TEST(write_pacing, a_bucket_makes_up_for_waking_late) {
    write_bucket b = {0};
    write_pace pace = {PACE_L0, 10 * MIB};
    uint64_t now = 5000000000ull, start = now, bytes = 0;
    while (now - start < 60000000000ull) {
        uint64_t wait = write_bucket_charge(&b, &pace, 116, now);
        now += wait ? wait + 3000000 : 300;
        bytes += 116;
    }
    assert_in_range(bytes, 595ull * MIB, 605ull * MIB);
}

TEST(write_pacing, a_slow_writer_never_waits) {
    write_bucket b = {0};
    write_pace pace = {PACE_L0, 10 * MIB};
    uint64_t now = 0;
    for (int i = 0; i < 100000; i++) {
        assert_int_equal(write_bucket_charge(&b, &pace, 1000, now), 0);
        now += 100000; /* 10 kB in a millisecond: just under the pace */
    }
}

TEST(write_pacing, a_large_batch_is_paid_for_by_those_that_follow) {
    write_bucket b = {0};
    write_pace pace = {PACE_L0, 10 * MIB};
    uint64_t now = 1000000000, pieces = 0;
    uint64_t wait = write_bucket_charge(&b, &pace, 10 * MIB, now);
    while (wait) {
        assert_true(wait <= WRITE_BUCKET_PIECE_MOST_NS);
        pieces++;
        now += wait;
        wait = write_bucket_charge(&b, &pace, 1, now);
    }
    assert_in_range(pieces, 490, 510); /* a second in pieces of two milliseconds */
}

TEST(write_pacing, what_was_owed_is_forgotten_when_the_pressure_is_gone) {
    write_bucket b = {0};
    write_pace pace = {PACE_L0, 10 * MIB}, none = {PACE_FREE, UINT64_MAX};
    assert_true(write_bucket_charge(&b, &pace, 10 * MIB, 1000000000) > 0);
    assert_int_equal(write_bucket_charge(&b, &none, 10 * MIB, 1000000001), 0);
    assert_int_equal(write_bucket_charge(&b, &pace, 100, 1000000002), 0);
}

TEST_MAIN(RUN(write_pacing, leaves_writers_alone_while_work_keeps_up),
          RUN(write_pacing, slows_evenly_to_what_l0_drains),
          RUN(write_pacing, slows_evenly_to_what_is_flushed),
          RUN(write_pacing, names_the_slowest_cause),
          RUN(write_pacing, debt_slows_but_never_nearly_stops),
          RUN(write_pacing, has_a_rate_before_anything_was_measured),
          RUN(write_pacing, believes_less_the_longer_a_job_takes),
          RUN(write_pacing, a_meter_follows_slowly),
          RUN(write_pacing, a_bucket_keeps_the_pace_in_small_pieces),
          RUN(write_pacing, a_bucket_makes_up_for_waking_late),
          RUN(write_pacing, a_slow_writer_never_waits),
          RUN(write_pacing, a_large_batch_is_paid_for_by_those_that_follow),
          RUN(write_pacing, what_was_owed_is_forgotten_when_the_pressure_is_gone))
