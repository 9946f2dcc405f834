/* util/event_log.h - one JSON object per line about what the engine does (docs/events.md).
 *
 * Purpose:   open, recovery, flush, compaction, stall, derived options, errors: for people and
 *            machines, to events.log (rotated to events.log.old at 1 MiB) or a callback.
 * Threads:   event_begin .. event_end build in a caller's buf; only the emit takes a lock.
 * It is not: allowed to fail anything: a line that cannot be written is dropped and counted. */
#ifndef FIRN_UTIL_EVENT_LOG_H
#define FIRN_UTIL_EVENT_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/status.h"
#include "firn/options.h"
#include "platform/clock.h"
#include "util/buf.h"

typedef struct event_log event_log;

typedef struct event_log_args {
    const firn_vfs *vfs;
    const char *directory; /* borrowed; where events.log is, used when callback is NULL. NULL with
                              no callback: events are discarded (read-only opens write nothing) */
    const time_source *clock;
    firn_event_callback callback;
    void *callback_context;
} event_log_args;

FIRN_INTERNAL NODISCARD status event_log_new(const event_log_args *args, event_log **out);
FIRN_INTERNAL void event_log_free(event_log *log);

/* Usage: event e = event_begin(log, "flush"); event_u64(&e, "bytes", n); ... event_end(&e); */
typedef struct event {
    event_log *log;
    buf line;
} event;
FIRN_INTERNAL event event_begin(event_log *log, const char *name); /* log NULL: all are no-ops */
FIRN_INTERNAL void event_u64(event *e, const char *field, uint64_t value);
FIRN_INTERNAL void event_i64(event *e, const char *field, int64_t value);
FIRN_INTERNAL void event_string(event *e, const char *field, const char *value); /* escaped */
FIRN_INTERNAL void event_bytes(event *e, const char *field, slice value); /* key, as escaped text */
FIRN_INTERNAL void event_end(event *e);
#endif
