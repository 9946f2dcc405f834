/* db/write_waits.h - what writers wait for: each wait has a name, a count, a histogram and an
 * estimate.
 *
 * Threads: safe; a wait is recorded by the thread that waited. */
#ifndef FIRN_DB_WRITE_WAITS_H
#define FIRN_DB_WRITE_WAITS_H

#include "util/event_log.h"
#include "util/histogram.h"

typedef enum write_wait {
    WRITE_WAIT_MEMTABLES,   /* all memtables are full, their flush is behind */
    WRITE_WAIT_L0_STOP,     /* L0 is full */
    WRITE_WAIT_DELAY,       /* slowed down because compaction is behind */
    WRITE_WAIT_SYNC,        /* for the sync of a commit in front of one's own, or of one's group */
    WRITE_WAIT_QUEUE,       /* for other commits */
    WRITE_WAIT_FLUSH_DELAY, /* slowed down because flushes are behind */
    WRITE_WAIT_DEBT_DELAY,  /* slowed down because the levels below hold far too much */
    WRITE_WAIT_MEMORY,      /* memtables and log are beyond their half of memory_bytes */
    WRITE_WAIT_COUNT
} write_wait;

typedef struct write_waits {
    histogram waited_ns[WRITE_WAIT_COUNT];
} write_waits;

FIRN_INTERNAL void write_waits_init(write_waits *w);
FIRN_INTERNAL const char *write_wait_name(write_wait cause);
/* How long such a wait will probably take: the mean of those so far, 0 when there were none. */
FIRN_INTERNAL uint64_t write_waits_estimate_ns(const write_waits *w, write_wait cause);
/* Counts a wait that is over. Long ones are `stall` events. */
FIRN_INTERNAL void write_waits_add(write_waits *w, event_log *events, write_wait cause,
                                   uint64_t waited_ns);
/* A writer has been waiting for this long and still does: writes one `writer_waits` event for each
 * wait that is longer than a second. *told belongs to that one wait, false at its start. */
FIRN_INTERNAL void write_waits_watch(const write_waits *w, event_log *events, write_wait cause,
                                     uint64_t waited_ns, bool *told);
#endif
