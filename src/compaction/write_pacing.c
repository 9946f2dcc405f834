#include "compaction/write_pacing.h"

#include "base/poison.h"

#define PACING_NS_PER_SECOND 1000000000ull
#define PACING_RATE_UNKNOWN  (32ull << 20) /* until something was measured */
#define PACING_RATE_LEAST    (256ull << 10)
/* An idle writer may run ahead by that much, and so may one whom the system woke late: on a busy
 * machine that is milliseconds after each piece. */
#define PACING_BURST_NS       10000000u
#define PACING_DEBT_FREE_BASE 8 /* level bases of debt that cost nothing */

/* --- how full --- */

static double pacing_fill(double value, double begins, double ends) {
    if (value <= begins)
        return 0;
    return value >= ends ? 1 : (value - begins) / (ends - begins);
}

/* One memtable that is being flushed while the next one fills is the normal state. */
static double pacing_memtable_fill(const write_pressure *p) {
    double one = (double)p->memtable_bytes;
    return pacing_fill((double)p->unflushed_bytes, 1.25 * one, (WRITE_SEALED_MAX + 1) * one);
}

static double pacing_l0_fill(const tree_options *o, const write_pressure *p) {
    /* The table that begins the delay counts: at l0_slowdown there is one already. */
    return pacing_fill(p->backlog_tables, o->l0_slowdown - 1.0, o->l0_stop);
}

/* Debt alone never comes near stopping anybody: it costs space and reads, not the ability to go on.
 */
static double pacing_debt_fill(const tree_options *o, const write_pressure *p) {
    double allowed = (double)o->level_base_bytes * PACING_DEBT_FREE_BASE;
    if ((double)p->total_bytes / 2 > allowed)
        allowed = (double)p->total_bytes / 2;
    return pacing_fill((double)p->debt_bytes, allowed, 4 * allowed) * 0.75;
}

/* --- how fast --- */

/* 4 at 0, 1 at one half, a quarter at 1. */
static double pacing_factor(double fill) {
    double x = 1 - 2 * fill;
    return x >= 0 ? 1 + 3 * x * x : 1 + 0.75 * x;
}

static void pacing_take_slower(write_pace *pace, pace_cause cause, double fill, uint64_t rate) {
    if (fill <= 0)
        return;
    double limit = (double)(rate ? rate : PACING_RATE_UNKNOWN) * pacing_factor(fill);
    if (limit < (double)PACING_RATE_LEAST)
        limit = (double)PACING_RATE_LEAST;
    if (limit < (double)pace->bytes_per_second)
        *pace = (write_pace){cause, (uint64_t)limit};
}

/* The rate at which L0 is relieved: as measured, or as the job that is being waited for will have
 * it at best, were it over now. 0: not known. */
static uint64_t pacing_drain_rate(const write_pressure *p) {
    if (p->drain_rate == 0 || p->drained_bytes == 0 || p->undrained_ns == 0)
        return p->drain_rate;
    double best = (double)p->drained_bytes / (double)p->undrained_ns * (double)PACING_NS_PER_SECOND;
    return best < (double)p->drain_rate ? (uint64_t)best : p->drain_rate;
}

FIRN_INTERNAL write_pace write_pace_of(const tree_options *options, const write_pressure *p) {
    write_pace pace = {PACE_FREE, UINT64_MAX};
    pacing_take_slower(&pace, PACE_FLUSH, pacing_memtable_fill(p), p->flush_rate);
    uint64_t drain_rate = pacing_drain_rate(p);
    pacing_take_slower(&pace, PACE_L0, pacing_l0_fill(options, p), drain_rate);
    pacing_take_slower(&pace, PACE_DEBT, pacing_debt_fill(options, p), drain_rate);
    return pace;
}

FIRN_INTERNAL void rate_meter_note(rate_meter *m, uint64_t bytes, uint64_t elapsed_ns) {
    if (bytes == 0)
        return;
    double rate = (double)bytes / (double)(elapsed_ns ? elapsed_ns : 1);
    rate *= (double)PACING_NS_PER_SECOND;
    double before = (double)m->bytes_per_second, weight = rate < before ? 0.5 : 0.25;
    if (m->bytes_per_second)
        rate = before + weight * (rate - before);
    if (rate > (double)(1ull << 40)) /* a terabyte a second: the clock stood still */
        rate = (double)(1ull << 40);
    m->bytes_per_second = rate < 1 ? 1 : (uint64_t)rate;
}

FIRN_INTERNAL uint64_t write_bucket_charge(write_bucket *b, const write_pace *pace, uint64_t bytes,
                                           uint64_t now_ns) {
    if (pace->cause == PACE_FREE) {
        b->due_ns = 0;
        return 0;
    }
    uint64_t earliest = now_ns > PACING_BURST_NS ? now_ns - PACING_BURST_NS : 0;
    if (b->due_ns < earliest)
        b->due_ns = earliest;
    b->due_ns +=
        (uint64_t)((double)bytes * (double)PACING_NS_PER_SECOND / (double)pace->bytes_per_second);
    if (b->due_ns < now_ns + WRITE_BUCKET_PIECE_LEAST_NS)
        return 0;
    uint64_t owed = b->due_ns - now_ns;
    return owed < WRITE_BUCKET_PIECE_MOST_NS ? owed : WRITE_BUCKET_PIECE_MOST_NS;
}

#undef PACING_NS_PER_SECOND
#undef PACING_RATE_UNKNOWN
#undef PACING_RATE_LEAST
#undef PACING_BURST_NS
#undef PACING_DEBT_FREE_BASE
