/* db/db_internal.h - the state of an open database; for this folder and its tests.
 *
 * Lock order (docs/locking.md): the lead of commits -> background.guard -> version set's install,
 * state -> leaves (snapshots, log, cache shards, event log, workers). */
#ifndef FIRN_DB_DB_INTERNAL_H
#define FIRN_DB_DB_INTERNAL_H

#include "compaction/jobs.h"
#include "compaction/workers.h"
#include "db/commit_order.h"
#include "db/commit_queue.h"
#include "db/counters.h"
#include "db/db.h"
#include "db/pacing.h"
#include "db/space_reserve.h"
#include "db/write_waits.h"
#include "platform/thread.h"
#include "util/memory_budget.h"
#include "util/rate_limiter.h"

/* The active memtable of a keyspace as the commit leader knows it; forgotten at each seal. */
typedef struct commit_target {
    uint32_t keyspace;
    memtable *table;
} commit_target;

#define COMMIT_TARGETS_MAX 64

typedef struct commit_state {
    /* Taken and passed on with the lead, so on one line. */
    _Alignas(CACHE_LINE_BYTES) commit_queue queue;
    atomic_u32 crowded;    /* somebody found the lead taken; set by writers, by the leader reset */
    uint32_t abreast_left; /* owned by the leader: so many more commits give up the lead early */
    seqno last_sequence;   /* owned by the leader: given out */

    /* Owned by the leader. */
    _Alignas(CACHE_LINE_BYTES) commit_target targets[COMMIT_TARGETS_MAX];
    uint32_t target_count;
    const memtable *noted;     /* its first write is known; forgotten at each seal */
    bool only_deletes;         /* the disk limit is reached, or space is short */
    uint64_t unsynced_commits; /* for FIRN_SYNC_EVERY_COMMITS */
    uint64_t sync_ns;          /* how long syncs take, smoothed */
    uint32_t sync_crowd;       /* writers of the last group that synced, and those behind it */
    atomic_u32 syncing;        /* stored by the leader, read by anybody */

    _Alignas(CACHE_LINE_BYTES) commit_order order;
} commit_state;

#define BACKGROUND_JOBS_MAX 80 /* the most threads, and callers who work themselves */

/* A job that runs. */
typedef struct background_job {
    const char *name; /* NULL: a free slot */
    bool is_flush;
    uint32_t from_level, to_level;
    uint64_t bytes; /* of its inputs */
    uint64_t started_ns;
    job_progress progress;
} background_job;

typedef struct background {
    mutex guard;
    cond changed; /* broadcast after every job, state change and at closing */
    status last;  /* guarded: OK, or why the last job failed */
    uint64_t retry_at_ns;
    uint32_t flushes_running, compactions_running, others_running; /* guarded */
    uint64_t ended;                                                /* guarded: jobs that ran */
    uint32_t pauses;        /* guarded: no automatic compactions while there are any */
    bool manual;            /* guarded: one by request runs, alone */
    uint64_t cancels;       /* guarded: how often requested compactions were cancelled */
    bool closing;           /* guarded */
    uint64_t next_keyspace; /* guarded: round robin of the picker */
    background_job jobs[BACKGROUND_JOBS_MAX]; /* guarded, but for their progress */
} background;

/* Iterators kept for their memory, and the most that one of them may hold. */
#define DB_IDLE_ITERATORS          8
#define DB_IDLE_ITERATOR_BYTES_MAX (256u << 10)

/* The heap gives back when the cache has shrunk by such a part of memory_bytes. */
#define DB_TRIM_PART 32

struct firn_db {
    /* --- set at open, never changes --- */
    db_config config;
    char *directory;
    int64_t process;
    void *lock; /* NULL when read-only */
    event_log *events;
    memory_budget memory;
    cache *blocks;             /* NULL: no block cache */
    uint64_t trimmed_capacity; /* of the cache, the largest since the heap gave back; changed only
                                  by the one call of memory.tell at a time */
    table_cache *tables;
    wal_writer *log;  /* NULL when read-only */
    workers *workers; /* NULL when read-only */
    snapshot_registry snapshots;
    graveyard grave;
    epoch readers; /* inside: point reads; what they may hold is freed after they left */
    job_env jobs;
    uint64_t recovered_records, recovered_bytes, recovered_segments, torn_bytes;
    thread syncer; /* with FIRN_SYNC_INTERVAL */
    bool has_syncer;

    /* --- replaced by refresh of a read-only database under refresh_guard, else constant --- */
    mutex refreshing; /* one refresh at a time: an older state must not replace a newer */
    mutex refresh_guard;
    version_set *versions;

    /* --- atomic --- */
    /* Stored by whoever publishes a group, at each commit. */
    _Alignas(CACHE_LINE_BYTES) atomic_u64 visible; /* newest sequence readers may see */
    atomic_u64 applied; /* log position below which all records are in memtables */
    atomic_u64 commit_groups, commit_batches, commit_user_bytes;
    _Alignas(CACHE_LINE_BYTES)
        atomic_u32 poisoned;      /* a firn_status: why no write is possible until the next open */
    atomic_u32 l0_tables;         /* most of any keyspace */
    atomic_u64 disk_bytes;        /* tables, as of the last job */
    atomic_u64 kept_until;        /* log position at which the space reserve is to be made larger */
    atomic_u32 wants_space_kept;  /* a writer has come there; reset by whoever does it */
    atomic_u32 flush_lacks_space; /* the last flush found none, and no compaction was tried since */
    atomic_u32 wants_room; /* a write was refused for want of disk, and none has had room since;
                            * stored by the leader */
    atomic_u64 iterators, pinned_values;
    atomic_u64 refusals_told; /* of the memory budget, as of the last `memory` event */
    /* Freed iterators whose memory the next one takes, by thread; NULL: none. */
    atomic_ptr idle_iterators[DB_IDLE_ITERATORS];

    commit_state commit;
    write_waits waits;
    pacing pacing;
    rate_limiter limiter;
    space_reserve space;
    background background;
    counters counters;
};

/* --- background.c --- */
FIRN_INTERNAL bool background_run_one(void *context, bool urgent_only, uint64_t *retry_ns);
FIRN_INTERNAL void background_wake(void *context);
/* Waits until a job ends (threads) or does one piece of work (stepper). With threads the caller
 * holds background.guard; the stepper is called without. False: nothing can move any more. */
FIRN_INTERNAL bool background_wait_locked(firn_db *db);
FIRN_INTERNAL bool background_is_closing(void *context);
/* Refreshes the hints writers pace themselves by. */
FIRN_INTERNAL void background_note_tree(firn_db *db);
/* Bytes of memtables that running flushes have written already. */
FIRN_INTERNAL uint64_t background_flushed_bytes(firn_db *db);
/* The running jobs, at most `capacity`; returns how many. */
FIRN_INTERNAL uint32_t background_list_jobs(firn_db *db, firn_job_stats *out, uint32_t capacity);
FIRN_INTERNAL NODISCARD status background_flush_one(firn_db *db, bool *found);

/* --- commit.c --- */
/* Seals every non-empty active memtable, waiting for room, as one step of the commit order. */
FIRN_INTERNAL NODISCARD status commit_seal_all(firn_db *db);
/* Seals the active memtable whose first write is longer ago than memtable_age_ms allows, unless
 * somebody is committing: for workers, which must not wait for writers. Returns after how many
 * nanoseconds to look again; 0: no need. */
FIRN_INTERNAL uint64_t commit_seal_aged(firn_db *db, uint64_t now_ns);
/* Seals, in the same way, an active memtable whose deletes iterators passed over too often. */
FIRN_INTERNAL void commit_seal_skipped(firn_db *db);
/* Whether that has something to do. */
FIRN_INTERNAL bool commit_seal_skipped_is_due(firn_db *db);
FIRN_INTERNAL status commit_poison(firn_db *db, status why, const char *consequence);
FIRN_INTERNAL NODISCARD status commit_check_writable(firn_db *db);

/* --- stats.c --- */
/* Writes a `memory` event if calls were refused for lack of memory since the last one. */
FIRN_INTERNAL void db_report_refusals(firn_db *db);

/* --- commit_room.c --- */
/* What the space reserve is to cover until writers have added half as much again, which is noted as
 * the next time to look (kept_until). */
FIRN_INTERNAL space_used db_space_used(firn_db *db);
/* Makes the space reserve as large as the database wants it, or finds out that space is short. */
FIRN_INTERNAL void db_keep_space(firn_db *db);
/* The same for a worker: only if a writer has asked for it; whether one had. */
FIRN_INTERNAL bool db_try_keep_space(firn_db *db);

/* --- close.c --- */
/* Frees everything; makes nothing durable. */
FIRN_INTERNAL void db_discard(firn_db *db);

/* --- recovery.c --- */
FIRN_INTERNAL NODISCARD status recovery_run(firn_db *db);
FIRN_INTERNAL NODISCARD status recovery_load_read_only(firn_db *db, version_set **out,
                                                       seqno *visible);

/* --- iterator.c --- */
FIRN_INTERNAL void db_idle_iterators_free(firn_db *db);

/* --- read.c --- */
/* What a reader of `snapshot` (NULL: the present) looks at; NULL: no such keyspace. */
FIRN_INTERNAL read_view *db_view(firn_db *db, uint32_t keyspace, const firn_snapshot *snapshot);
/* SNAPSHOT_TOO_OLD when the view lacks tables that were dropped since the snapshot was taken. NULL,
 * the present, is fine. */
FIRN_INTERNAL NODISCARD status db_check_snapshot(const firn_db *db, const read_view *view,
                                                 const firn_snapshot *snapshot);
/* Where a large value is read from. */
typedef struct db_large_source {
    const read_view *view; /* that it was found in */
    table *origin;         /* its table; NULL: the log */
    slice encoded;         /* the reference */
} db_large_source;
FIRN_INTERNAL NODISCARD status db_large_map(firn_db *db, const db_large_source *source,
                                            slice *value, void **pin, void (**unpin)(void *pin));
#endif
