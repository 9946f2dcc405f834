/* compaction/write_pacing.h - how fast writers may go while background work is behind: pure.
 *
 * Purpose:    writers that outrun flush and compaction are slowed to what these manage, evenly and
 *             early, so that nobody ever stands still. What is behind is measured as a fill between
 *             0 (delays begin) and 1 (writes would stop). At 0 writers may go four times as fast as
 *             the work was seen to drain, at one half as fast as it drains - there it settles - and
 *             at 1 a quarter of that. Nothing jumps.
 *             A job that takes longer than those before it is noticed while it runs: the longer it
 *             takes, the less is believed to drain.
 * Invariants: the rate falls as the fill rises, continuously, and is never 0.
 * Threads:    pure, but for write_bucket: one owner, the commit leader. */
#ifndef FIRN_COMPACTION_WRITE_PACING_H
#define FIRN_COMPACTION_WRITE_PACING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "compaction/tree_options.h"

/* Why writers are slowed down. */
typedef enum pace_cause {
    PACE_FREE,  /* they are not */
    PACE_FLUSH, /* memtables fill faster than they are flushed */
    PACE_L0,    /* L0 grows faster than it is compacted */
    PACE_DEBT   /* the levels below hold much more than they should */
} pace_cause;

#define WRITE_SEALED_MAX 2 /* memtables of a keyspace that may wait for their flush */

typedef struct write_pressure {
    uint64_t memtable_bytes;  /* size at which one is sealed */
    uint64_t unflushed_bytes; /* in memtables, less what running flushes have written already */
    uint32_t backlog_tables;  /* level_backlog_tables */
    uint64_t debt_bytes, total_bytes;
    uint64_t flush_rate, drain_rate; /* bytes per second as measured; 0: not known yet */
    /* What the last job took out of L0, and for how long L0 has been waiting for the next one to
     * end. */
    uint64_t drained_bytes, undrained_ns;
} write_pressure;

typedef struct write_pace {
    pace_cause cause;
    uint64_t bytes_per_second;
} write_pace;

/* The slowest of what flush, L0 and the levels below ask for. */
FIRN_INTERNAL write_pace write_pace_of(const tree_options *options, const write_pressure *p);
/* A rate as it was lately: each measurement counts for a quarter, one that is lower for a half, for
 * who believes in too high a rate has to stop. */
typedef struct rate_meter {
    uint64_t bytes_per_second; /* 0: nothing measured */
} rate_meter;
FIRN_INTERNAL void rate_meter_note(rate_meter *m, uint64_t bytes, uint64_t elapsed_ns);

/* Spreads the waiting over the writes. A writer that is slower than the pace by itself never waits;
 * one that is faster waits in pieces that a timer can keep and nobody notices. */
typedef struct write_bucket {
    uint64_t due_ns; /* on the monotonic clock: until when what was written so far should take */
} write_bucket;

#define WRITE_BUCKET_PIECE_LEAST_NS 100000u
#define WRITE_BUCKET_PIECE_MOST_NS  2000000u

/* Charges `bytes`, and answers how long to sleep now: 0, or one piece. What is owed beyond a piece
 * is slept by the writes that follow. */
FIRN_INTERNAL uint64_t write_bucket_charge(write_bucket *b, const write_pace *pace, uint64_t bytes,
                                           uint64_t now_ns);
#endif
