#include "db/write_waits.h"

#include "base/poison.h"

#define WRITE_WAITS_EVENT_NS 20000000u   /* shorter waits are only counted */
#define WRITE_WAITS_WATCH_NS 1000000000u /* longer ones are told while they last */

static const char *const write_wait_names[WRITE_WAIT_COUNT] = {
    "memtables full", "L0 full",      "compaction behind", "sync",
    "other commits",  "flush behind", "compaction debt",   "memory",
};

FIRN_INTERNAL void write_waits_init(write_waits *w) {
    for (int i = 0; i < WRITE_WAIT_COUNT; i++)
        histogram_init(&w->waited_ns[i]);
}

FIRN_INTERNAL const char *write_wait_name(write_wait cause) {
    return write_wait_names[cause];
}

FIRN_INTERNAL uint64_t write_waits_estimate_ns(const write_waits *w, write_wait cause) {
    return (uint64_t)histogram_mean(&w->waited_ns[cause]);
}

FIRN_INTERNAL void write_waits_add(write_waits *w, event_log *events, write_wait cause,
                                   uint64_t waited_ns) {
    histogram_add(&w->waited_ns[cause], waited_ns);
    if (waited_ns < WRITE_WAITS_EVENT_NS || cause == WRITE_WAIT_SYNC || cause == WRITE_WAIT_QUEUE)
        return;
    event e = event_begin(events, "stall");
    event_string(&e, "cause", write_wait_names[cause]);
    event_u64(&e, "micros", waited_ns / 1000);
    event_end(&e);
}

FIRN_INTERNAL void write_waits_watch(const write_waits *w, event_log *events, write_wait cause,
                                     uint64_t waited_ns, bool *told) {
    if (*told || waited_ns < WRITE_WAITS_WATCH_NS)
        return;
    *told = true;
    event e = event_begin(events, "writer_waits");
    event_string(&e, "cause", write_wait_names[cause]);
    event_u64(&e, "micros", waited_ns / 1000);
    event_u64(&e, "usual_micros", write_waits_estimate_ns(w, cause) / 1000);
    event_end(&e);
}

#undef WRITE_WAITS_EVENT_NS
#undef WRITE_WAITS_WATCH_NS
