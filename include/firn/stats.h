/* firn/stats.h - what a database holds and what it has been doing. */
#ifndef FIRN_STATS_H
#define FIRN_STATS_H

#include "firn/db.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FIRN_LEVELS_MAX 8

typedef struct firn_level_stats {
    uint64_t files;
    uint64_t bytes;   /* on disk */
    uint64_t entries; /* versions and tombstones included */
    uint64_t tombstones;
    uint64_t target_bytes; /* what compaction aims at; 0 for L0 and unused levels */
} firn_level_stats;

#define FIRN_WAITS_MAX 12

/* One reason for which writers waited. Causes and their order:
 *   "memtables full"     all memtables are full and their flush is behind
 *   "L0 full"            L0 has reached l0_stop_trigger
 *   "compaction behind"  the even delay past l0_slowdown_trigger
 *   "sync"               the sync of one's own group of commits or of one in front of it
 *   "other commits"      another writer was committing
 *   "flush behind"       the even delay while memtables fill faster than they are flushed
 *   "compaction debt"    the even delay while the levels hold far more than they should
 *   "memory"             memtables and log are beyond their half of memory_bytes, a flush is under
 * way Percentiles are upper edges of buckets about 3 % wide. */
typedef struct firn_wait_stats {
    const char *cause; /* static */
    uint64_t count, total_ns;
    uint64_t p50_ns, p99_ns, max_ns;
} firn_wait_stats;

#define FIRN_JOBS_MAX 16

/* A flush or compaction that is running. */
typedef struct firn_job_stats {
    const char *name; /* "flush", "compaction"; static */
    uint32_t from_level, to_level;
    uint64_t bytes_done, bytes_total; /* of its inputs, estimated */
    uint64_t elapsed_ns, left_ns;     /* left: an estimate; 0 while there is none */
} firn_job_stats;

#define FIRN_MEMORY_KINDS_MAX 12

/* What one kind of holder has of memory_bytes. Kinds and their order:
 *   "memtables"             arenas, those of flushed memtables that iterators keep alive included
 *   "spare arenas"          kept for the next memtable
 *   "log"                   mapped segments, buffers of commits
 *   "tables"                indexes and filters of open tables
 *   "jobs"                  what flushes and compactions read and write through
 *   "iterators and values"  what they hold beside the block cache
 *   "pinned blocks"         what they hold inside the block cache: part of the next
 *   "block cache"           blocks of tables */
typedef struct firn_memory_stats {
    const char *kind; /* static */
    uint64_t bytes;
} firn_memory_stats;

/* Gauges are the state at the call; counters run since the open. Set `size` before the call. */
typedef struct firn_stats {
    size_t size; /* sizeof(firn_stats) */

    /* gauges */
    uint64_t last_sequence;
    uint64_t memtable_bytes; /* active and sealed, exact charge */
    uint64_t memtable_entries;
    uint64_t sealed_memtables;
    uint64_t log_files;
    uint64_t log_bytes; /* bytes of log that a recovery would read */
    uint64_t table_files;
    uint64_t table_bytes;
    uint64_t cache_bytes;
    uint64_t cache_capacity_bytes;
    uint64_t snapshots;
    uint64_t iterators;
    uint64_t oldest_snapshot_sequence; /* 0: none */
    uint64_t pending_compaction_bytes; /* estimate of bytes above the levels' targets */
    uint32_t level_count;              /* how many of `levels` mean something */
    firn_level_stats levels[FIRN_LEVELS_MAX];

    /* counters */
    uint64_t puts, deletes, batches, gets, gets_found, seeks;
    uint64_t user_bytes_written; /* keys and values handed in */
    uint64_t log_bytes_written;
    uint64_t log_syncs;
    uint64_t commit_groups; /* log append runs; writes / groups = mean group size */
    uint64_t flushes, flush_bytes;
    uint64_t compactions, compaction_bytes_read, compaction_bytes_written, trivial_moves;
    uint64_t cache_hits, cache_misses;
    uint64_t filter_checked, filter_useful; /* point reads of a table; those the filter spared */

    /* waits of writers, by cause; how many of `waits` mean something */
    uint32_t wait_count;
    firn_wait_stats waits[FIRN_WAITS_MAX];

    /* recovery of this open */
    uint64_t recovered_records, recovered_bytes, torn_bytes_cut;

    /* gauges: memory of memtables beyond memtable_bytes, and who keeps it */
    uint64_t memtable_spare_bytes; /* arenas of flushed memtables, kept for the next one */
    uint64_t memtable_held_bytes;  /* flushed memtables that iterators or reads keep alive */
    uint64_t readers_inside;       /* threads in a point read at this moment */
    uint64_t reader_oldest_ns; /* one of them is in it for at least so long; known from the call of
                                * firn_get_stats, or the end of a flush or compaction, that first
                                * met it, so ask twice */
    uint64_t retired_waiting;  /* replaced views and closed tables that wait for them to leave */
    /* iterators: entries passed over because deletes or newer versions hide them, and seeks made in
     * place of passing over more of the same key */
    uint64_t iter_skipped, iter_reseeks;

    /* gauges: background work */
    uint64_t write_rate_allowed; /* bytes per second; UINT64_MAX: writers are not slowed down */
    uint64_t flush_rate;         /* bytes per second, as measured lately; 0: not yet */
    uint64_t drain_rate;         /* the same, out of L0 */
    uint32_t job_count;          /* how many of `jobs` mean something */
    firn_job_stats jobs[FIRN_JOBS_MAX];

    /* the account of memory_bytes */
    uint64_t memory_limit_bytes;   /* the limit: memory_bytes, raised to 8 memtables */
    uint64_t memory_charged_bytes; /* the sum of `memory`, without "pinned blocks" */
    uint64_t memory_refusals;      /* counter: NO_MEMORY because the budget was used up */
    uint32_t memory_count;         /* how many of `memory` mean something */
    firn_memory_stats memory[FIRN_MEMORY_KINDS_MAX];

    /* block cache and open tables, beyond cache_bytes, cache_hits and cache_misses */
    uint64_t cache_entries, cache_hot_bytes, cache_pinned_bytes; /* gauges */
    uint64_t cache_inserts, cache_evictions;                     /* counters */
    uint64_t tables_open, tables_memory_bytes; /* gauges; memory: indexes and filters */
    uint64_t tables_opened, tables_closed;     /* counters */

    /* gauges: what is kept aside of the file system (option disk_reserve_bytes), and 1 while that
     * is less than it should be and only deletes are taken */
    uint64_t disk_reserve_bytes, disk_is_short;
} firn_stats;

/* Fills *out, up to out->size bytes of it. INVALID_ARGUMENT when size is not set. */
FIRN_API firn_status firn_get_stats(firn_db *db, firn_stats *out);

#ifdef __cplusplus
}
#endif
#endif
