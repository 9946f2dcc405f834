/* db/pacing.h - writers pay for background work that is behind (compaction/write_pacing.h says how
 * much).
 *
 * Threads: pacing_charge and what is marked so: the commit leader. The notes: any. */
#ifndef FIRN_DB_PACING_H
#define FIRN_DB_PACING_H

#include "base/atomic.h"
#include "base/status.h"
#include "compaction/write_pacing.h"
#include "firn/db.h"
#include "memtable/memtable.h"

typedef struct pacing {
    /* Owned by the commit leader. */
    bool watching; /* a memtable was sealed lately: flushes may be behind */
    write_pace pace;
    write_bucket bucket;
    uint64_t charged_bytes; /* of commit_user_bytes */
    uint64_t unseen_bytes;  /* charged since the pressure was last looked at */

    atomic_u64 skipped;       /* entries that iterators passed over since the last seal */
    atomic_u32 behind;        /* L0 or the levels below are behind: 0 or 1 */
    atomic_u64 debt_bytes;    /* as of the last job */
    atomic_u64 flush_rate;    /* bytes per second, as measured lately; 0: not yet */
    atomic_u64 drain_rate;    /* the same, out of L0 */
    atomic_u64 drained_at;    /* when L0 was last drained, monotonic */
    atomic_u64 drained_bytes; /* by that job */
    atomic_u64 waits_from;    /* since when L0 has had enough tables for a job; 0: it has not */
    atomic_u64 rate_allowed;  /* bytes per second, for people; UINT64_MAX: no limit */
} pacing;

FIRN_INTERNAL void pacing_init(pacing *p);
/* Whether a commit may skip pacing_charge. The leader only. */
FIRN_INTERNAL bool pacing_is_free(const firn_db *db);
/* A memtable was sealed. The leader only. */
FIRN_INTERNAL void pacing_note_seal(firn_db *db);
/* An iterator passed over that many hidden entries in one go: workers look whether that is reason
 * for a seal, should nobody commit meanwhile. Any thread. */
FIRN_INTERNAL void pacing_note_skipped(firn_db *db, uint64_t entries);
/* Whether that is so many that pacing_wants_seal is worth asking. Any thread. */
FIRN_INTERNAL bool pacing_has_skipped_much(const firn_db *db);
/* Whether iterators have paid more for the deletes in `active` than sealing and flushing it costs:
 * in a table they can be compacted away. Any thread; a hint for all but the leader. */
FIRN_INTERNAL bool pacing_wants_seal(const firn_db *db, const memtable *active);
/* Sleeps off what was committed since the last call, whoever wrote it. The leader only. */
FIRN_INTERNAL void pacing_charge(firn_db *db);

/* A flush of `bytes` of memtable took that long; so did a compaction that took `bytes` out of L0,
 * which began when `backlog` tables were there. */
FIRN_INTERNAL void pacing_note_flush(firn_db *db, uint64_t bytes, uint64_t elapsed_ns);
FIRN_INTERNAL void pacing_note_drain(firn_db *db, uint64_t bytes, uint64_t started_ns,
                                     bool under_pressure);
/* What jobs left behind; refreshes what writers look at without a lock. */
FIRN_INTERNAL void pacing_note_tree(firn_db *db, uint32_t backlog_tables, uint64_t debt_bytes,
                                    uint64_t total_bytes);
#endif
