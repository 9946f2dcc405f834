#include "util/rate_limiter.h"

#include "base/poison.h"

#define RATE_SECOND_NS     1000000000ull
#define RATE_BURST_NS      100000000ull /* an idle class may run ahead by that much */
#define RATE_PIECE_NS      1000000ull   /* shorter waits are saved up */
#define RATE_ACTIVE_NS     100000000ull /* a class that asked within this time wants its half */
#define RATE_WINDOW_NS     100000000ull
#define RATE_TUNED_LEAST   20   /* the limit over it is the lowest tuned rate */
#define RATE_TUNED_STEP    1.05 /* per window */
#define RATE_WAITS_MANY    90   /* percent of requests */
#define RATE_WAITS_FEW     50
#define RATE_SLEEP_MOST_NS 50000000ull /* a lowered or lifted limit is seen after that */

FIRN_INTERNAL void rate_limiter_init(rate_limiter *r, const time_source *clock) {
    *r = (rate_limiter){.clock = clock};
    mutex_init(&r->guard);
}

FIRN_INTERNAL void rate_limiter_deinit(rate_limiter *r) {
    mutex_deinit(&r->guard);
}

FIRN_INTERNAL void rate_limiter_set(rate_limiter *r, uint64_t bytes_per_second, bool tuned) {
    mutex_lock(&r->guard);
    r->limit = bytes_per_second;
    r->tuned = tuned;
    r->rate = (double)bytes_per_second / (tuned ? 2 : 1);
    for (int i = 0; i < RATE_CLASS_COUNT; i++)
        r->due_ns[i] = 0;
    mutex_unlock(&r->guard);
}

static void rate_limiter_tune(rate_limiter *r, uint64_t now_ns) {
    if (now_ns - r->window_ns < RATE_WINDOW_NS)
        return;
    uint32_t percent = r->requests ? r->waits * 100 / r->requests : 0;
    double least = (double)r->limit / RATE_TUNED_LEAST;
    if (percent >= RATE_WAITS_MANY)
        r->rate *= RATE_TUNED_STEP;
    else if (percent < RATE_WAITS_FEW)
        r->rate /= RATE_TUNED_STEP;
    if (r->rate < least)
        r->rate = least;
    if (r->rate > (double)r->limit)
        r->rate = (double)r->limit;
    r->window_ns = now_ns;
    r->requests = r->waits = 0;
}

FIRN_INTERNAL uint64_t rate_limiter_charge(rate_limiter *r, rate_class who, uint64_t bytes,
                                           uint64_t now_ns) {
    uint64_t wait = 0;
    mutex_lock(&r->guard);
    r->bytes[who] += bytes;
    if (r->limit == 0)
        goto out;
    if (r->tuned)
        rate_limiter_tune(r, now_ns);
    const uint64_t *other = &r->due_ns[RATE_CLASS_COUNT - 1 - who];
    bool shared = *other && *other + RATE_ACTIVE_NS > now_ns;
    double rate = shared ? r->rate / 2 : r->rate;
    uint64_t earliest = now_ns > RATE_BURST_NS ? now_ns - RATE_BURST_NS : 1;
    uint64_t *due = &r->due_ns[who];
    if (*due < earliest)
        *due = earliest;
    *due += (uint64_t)((double)bytes * (double)RATE_SECOND_NS / (rate < 1 ? 1 : rate));
    wait = *due > now_ns + RATE_PIECE_NS ? *due - now_ns : 0;
    r->requests++;
    r->waits += wait > 0;
    r->waited_ns[who] += wait;
out:
    mutex_unlock(&r->guard);
    return wait;
}

/* In pieces, so that a limit that was lifted meanwhile lets everybody go. */
FIRN_INTERNAL void rate_limiter_request(rate_limiter *r, rate_class who, uint64_t bytes) {
    uint64_t left = rate_limiter_charge(r, who, bytes, time_monotonic_ns(r->clock));
    while (left > 0) {
        uint64_t piece = left < RATE_SLEEP_MOST_NS ? left : RATE_SLEEP_MOST_NS;
        thread_sleep_ns(piece);
        mutex_lock(&r->guard);
        left = r->due_ns[who] ? left - piece : 0;
        mutex_unlock(&r->guard);
    }
}

FIRN_INTERNAL void rate_limiter_get_stats(rate_limiter *r, rate_limiter_stats *out) {
    mutex_lock(&r->guard);
    *out = (rate_limiter_stats){.limit = r->limit, .rate = r->limit ? (uint64_t)r->rate : 0};
    for (int i = 0; i < RATE_CLASS_COUNT; i++) {
        out->bytes[i] = r->bytes[i];
        out->waited_ns[i] = r->waited_ns[i];
    }
    mutex_unlock(&r->guard);
}

#undef RATE_SECOND_NS
#undef RATE_BURST_NS
#undef RATE_PIECE_NS
#undef RATE_ACTIVE_NS
#undef RATE_WINDOW_NS
#undef RATE_TUNED_LEAST
#undef RATE_TUNED_STEP
#undef RATE_WAITS_MANY
#undef RATE_WAITS_FEW
#undef RATE_SLEEP_MOST_NS
