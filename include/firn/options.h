/* firn/options.h - how a database is opened, and how one call differs.
 *
 * Every struct here starts with its own size and is set up with its INIT macro; a field left alone
 * (zero) means "the default". Where a limit can be switched off, FIRN_NONE does it.
 *
 * Four options and the path serve nine users in ten: memory_bytes, durability, disk_limit_bytes,
 * threads. Everything else is derived from them; what was derived, and why, is in the event log. */
#ifndef FIRN_OPTIONS_H
#define FIRN_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "firn/comparator.h"
#include "firn/filter.h"
#include "firn/slice.h"
#include "firn/status.h"
#include "firn/vfs.h"

#ifdef __cplusplus
extern "C" {
#endif

/* All fields zero but the first, in the form that C compilers do not warn about. */
#ifdef __cplusplus
#define FIRN_INIT_SIZED(type) \
    { sizeof(type) }
#else
#define FIRN_INIT_SIZED(type) \
    { .size = sizeof(type) }
#endif

/* For a number: the limit or feature is off. */
#define FIRN_NONE UINT64_MAX

/* A switch with a default. */
typedef enum firn_choice { FIRN_DEFAULT = 0, FIRN_YES = 1, FIRN_NO = 2 } firn_choice;

/* When the log is forced to stable storage. In every mode an acknowledged write survives the death
 * of the process (kill -9); the mode only bounds what a power cut or a kernel crash may take, and
 * what it takes is always the newest writes: survivors are a prefix of the commit order. */
typedef enum firn_durability {
    FIRN_SYNC_DEFAULT = 0,       /* FIRN_SYNC_INTERVAL */
    FIRN_SYNC_EVERY_COMMIT = 1,  /* before each write is acknowledged */
    FIRN_SYNC_INTERVAL = 2,      /* within sync_interval_ms of each write */
    FIRN_SYNC_EVERY_BYTES = 3,   /* whenever sync_bytes of log are unsynced */
    FIRN_SYNC_EVERY_COMMITS = 4, /* whenever sync_commits commits are unsynced */
    FIRN_SYNC_MANUAL = 5         /* only firn_sync, firn_close and writes that ask for it */
} firn_durability;

/* What opening does when the log is damaged below what is known to have been durable. */
typedef enum firn_recovery {
    FIRN_RECOVERY_DEFAULT = 0,   /* FIRN_RECOVERY_STRICT */
    FIRN_RECOVERY_STRICT = 1,    /* refuse with CORRUPTION naming file and offset. A torn tail, the
                                    normal trace of a crash, is cut and counted, never refused */
    FIRN_RECOVERY_LAST_GOOD = 2, /* keep the longest undamaged prefix, report what was given up */
    FIRN_RECOVERY_SKIP = 3       /* keep every undamaged batch, before and behind the damage, and
                                    report each hole (event `recovery`). What is kept is no prefix of
                                    the commit order any more: a later write may be there without an
                                    earlier one, a delete may be missing. All of it is in tables
                                    when the open returns. A torn tail is cut as in the other modes */
} firn_recovery;

/* How the blocks of tables are compressed. It may differ from open to open: each block says how it
 * was written and is read whatever this is set to, and changes when a compaction rewrites it. What
 * would not shrink by an eighth is stored as it is. Tables of L0 are never compressed: they are
 * rewritten soon, and flushes have to keep up with the writers. Nor are values of 1 MiB and more,
 * which lie in tables as they came. */
typedef enum firn_compression {
    FIRN_COMPRESSION_DEFAULT = 0, /* FIRN_COMPRESSION_NONE */
    FIRN_COMPRESSION_NONE = 1,
    FIRN_COMPRESSION_LZ4 = 2,   /* a microsecond or two per block read; in every build */
    FIRN_COMPRESSION_ZSTD = 3,  /* smaller, at several times the work */
    FIRN_COMPRESSION_SNAPPY = 4 /* much like LZ4 */
} firn_compression;

/* How tables are kept in order. It may differ from open to open: the tree is worked into the new
 * shape step by step. */
typedef enum firn_strategy {
    FIRN_STRATEGY_DEFAULT = 0, /* FIRN_STRATEGY_LEVELED */
    FIRN_STRATEGY_LEVELED = 1, /* one sorted run per level, sizes derived from the last one upward:
                                  least space, fewest places to look */
    FIRN_STRATEGY_TIERED = 2,  /* runs of similar size are merged: least written; up to
                                  l0_compaction_trigger runs to look into, and up to three times
                                  the space */
    FIRN_STRATEGY_FIFO = 3     /* nothing is rewritten: the oldest tables are dropped with all they
                                  hold, by fifo_bytes and fifo_ttl_ms. For data that arrives once
                                  and is of no use later; a read through a snapshot that is older
                                  than a drop in its keyspace answers SNAPSHOT_TOO_OLD */
} firn_strategy;

/* How records get into the log. The bytes are the same, so is what is promised. */
typedef enum firn_log_io {
    FIRN_LOG_IO_DEFAULT = 0, /* FIRN_LOG_IO_AUTO */
    FIRN_LOG_IO_AUTO = 1,    /* mapped where the file system is known to be fit for it, else pwrite;
                                the event `log-io` says which, and why */
    FIRN_LOG_IO_MAPPED = 2, /* stored into mapped segments, without a system call per write. Needs a
                               file system that truly reserves space (ext4, xfs, tmpfs) */
    FIRN_LOG_IO_PWRITE = 3  /* one system call per commit or group of commits; works everywhere */
} firn_log_io;

/* One line of the event log: a JSON object, without newline, valid during the call. May be called
 * from any thread; must not call Firn. */
typedef void (*firn_event_callback)(void *context, const char *json, size_t size);

/* How tables are read. */
typedef enum firn_table_io {
    FIRN_TABLE_IO_DEFAULT = 0,
    FIRN_TABLE_IO_AUTO, /* mapped while they fit comfortably in memory, if they lie in the operating
                           system's files; else pread */
    FIRN_TABLE_IO_MAPPED, /* blocks that are not compressed are used where the system keeps them */
    FIRN_TABLE_IO_PREAD   /* blocks are read into the block cache */
} firn_table_io;

typedef struct firn_options {
    size_t size; /* sizeof(firn_options); set by FIRN_OPTIONS_INIT */

    /* --- the four --- */
    uint64_t memory_bytes;      /* one account for all memory the database holds: memtables and
                                   log (at most half), indexes and filters, what flushes,
                                   compactions, iterators and pinned values hold; the block cache
                                   has the rest. A call that would hold more (an iterator, a value,
                                   a write beside iterators that keep flushed memtables alive)
                                   answers NO_MEMORY, and firn_error_detail() says who holds what.
                                   Not in it: pages of mapped files, values copied for the caller,
                                   stacks of threads and what the heap wastes (some MiB). At least
                                   8 memtables. Default 25 % of RAM or the cgroup limit, at least
                                   64 MiB */
    firn_durability durability; /* default FIRN_SYNC_INTERVAL */
    /* Most that tables and log take. Puts answer NO_SPACE a reserve below it (a memtable, two log
     * segments and two tables; at most a quarter); deletes go on, and what they free comes back by
     * itself. Compactions may exceed it for as long as they run. Default: no limit */
    uint64_t disk_limit_bytes;
    uint32_t threads; /* background threads, 1..64. Default: the cores available */

    /* --- opening --- */
    firn_choice create_if_missing; /* default FIRN_YES */
    firn_choice error_if_exists;   /* default FIRN_NO */
    firn_choice read_only;         /* default FIRN_NO. Takes no lock and writes nothing, so it works
                                      beside a live writer; sees all that was acknowledged before
                                      the open and moves on only at firn_refresh. Holds the files
                                      it reads from open: their space is free when it moved on */
    firn_recovery recovery;        /* default FIRN_RECOVERY_STRICT */
    const firn_comparator *comparator; /* kept; default bytewise */
    const firn_vfs *vfs;               /* kept; default the operating system's files */
    firn_event_callback on_event;      /* default: JSON lines in events.log, rotated at 1 MiB */
    void *on_event_context;

    /* --- durability details --- */
    uint64_t sync_interval_ms; /* with FIRN_SYNC_INTERVAL: 1..3,600,000. Default 1000 */
    uint64_t sync_bytes;       /* with FIRN_SYNC_EVERY_BYTES: >= 4096. Default 1 MiB */
    uint64_t sync_commits;     /* with FIRN_SYNC_EVERY_COMMITS: >= 1. Default 100 */

    /* --- experts: each overrides a derived value --- */
    uint64_t memtable_bytes;      /* 64 KiB..1 GiB; default clamp(memory_bytes/8, 1 MiB, 64 MiB) */
    uint64_t memtable_age_ms;     /* a memtable whose first write is that long ago is flushed though
                                     it is not full: bounds what a recovery replays and how long an
                                     idle database keeps its log. Default FIRN_NONE: by size only */
    uint64_t cache_bytes;         /* the most the block cache may have; FIRN_NONE: no cache.
                                     Default: what nobody else holds of memory_bytes */
    uint32_t block_bytes;         /* data block before compression, 256 B..1 MiB. Default 4096 */
    uint32_t restart_interval;    /* entries per restart point, 1..1024. Default 16 */
    uint32_t filter_bits_per_key; /* on every level, 1..32; UINT32_MAX: no filters. Default by
                                     level: 16 in L0, 8 in the last, 12 between */
    uint64_t file_bytes;          /* table size aimed at, 64 KiB..4 GiB. Default 64 MiB */
    uint64_t level_base_bytes;    /* size of the first level below L0. Default 4 x memtable */
    uint32_t level_fanout;        /* each level over the one above, 2..100. Default 10 */
    uint32_t l0_compaction_trigger; /* L0 files that start a compaction. Default 4 */
    uint32_t l0_slowdown_trigger;   /* L0 files from which writes are delayed. Default 8 */
    uint32_t l0_stop_trigger;       /* L0 files at which writes wait. Default 16 */
    firn_compression compression;   /* of tables below L0; NOT_SUPPORTED when this build lacks the
                                       codec. Default FIRN_COMPRESSION_NONE */
    firn_strategy strategy;         /* default FIRN_STRATEGY_LEVELED */
    uint64_t fifo_bytes;            /* FIFO: tables beyond it are dropped. Default: no limit */
    uint64_t fifo_ttl_ms;           /* FIFO: tables whose newest entry is that old are dropped.
                                       Default: none */
    uint32_t tombstone_percent;     /* tables with that many deletes among their entries are
                                       compacted early, 1..100; UINT32_MAX: never. Below L0
                                       values that have expired count as deletes. Default 50 */
    firn_log_io log_io;             /* default FIRN_LOG_IO_AUTO */
    firn_table_io table_io;         /* default FIRN_TABLE_IO_AUTO */
    firn_compression compression_by_level[7]; /* L0 first; DEFAULT: as `compression` says */
    uint32_t zstd_level;                      /* 1..19: smaller and slower upwards. Default 3 */
    firn_choice verify_reads;       /* mapped tables: check a block's checksum at each use. Default
                                       FIRN_NO: at its first use after the table was opened */
    uint64_t background_rate_bytes; /* most that flush and compaction write per second; tuned down
                                       to a twentieth of it while less is needed. May be changed
                                       with firn_set_option. Default: no limit */
    const firn_compaction_filter *compaction_filter; /* kept; default none. firn/filter.h */
    uint32_t prefix_filter; /* FIRN_PREFIX_FIRST or FIRN_PREFIX_UNTIL: tables get a filter of
                               their keys' prefixes, so that an iteration over a prefix
                               passes over tables that have no such key. Bytewise order
                               only. May differ from open to open: each table knows its
                               rule. Default: none */
    uint64_t purge_age_ms;  /* with the leveled strategy, >= 1000: what was deleted or overwritten
                               leaves the disk about that long after it reached a table
                               (memtable_age_ms bounds that), unless a snapshot holds it: older
                               tables are compacted downward though no level is full. For data that
                               has to be gone by a date. Default: as compactions come by */
    uint32_t zstd_dictionary_bytes; /* with Zstd: each table trains a dictionary of so many bytes,
                                       1 KiB..64 KiB, on its first blocks (64 times as much, which
                                       wait in memory), and keeps it if it saves a twentieth.
                                       Default: none */
    /* Of the file system, kept aside in the file RESERVE for when it is full. While it cannot be as
     * large as it should be, puts answer NO_SPACE and deletes are taken; when there is no space at
     * all it is given up, and deletes, flushes and compactions go on with what it held. Puts work
     * again as soon as it is whole. Default: half as much again as memtables hold, or a sixteenth
     * of what tables do if that is more; at least 1 MiB, at most two log segments, a memtable and
     * two tables. None where the file system is not known to reserve space truly (ext4, xfs and
     * tmpfs are), nor with disk_limit_bytes, which has a reserve of its own. FIRN_NONE: none */
    uint64_t disk_reserve_bytes;
} firn_options;

/* Which beginning of a key is its prefix. The first `bytes` bytes (1..255); shorter keys have none.
 * Or up to and including the first byte `byte`, as '/' or ':'; keys without it have none. It helps
 * iterations whose firn_read_options.prefix has a prefix itself: at least that many bytes, or that
 * byte in it. */
#define FIRN_PREFIX_FIRST(bytes) ((uint32_t)(bytes))
#define FIRN_PREFIX_UNTIL(byte)  (256u + (unsigned char)(byte))

#define FIRN_OPTIONS_INIT FIRN_INIT_SIZED(firn_options)

typedef struct firn_write_options {
    size_t size;      /* sizeof(firn_write_options); 0 is accepted too */
    firn_choice sync; /* YES: durable before the call returns; NO: not waited for; DEFAULT: as the
                         database's durability says */

    /* firn_put only: from then on the key counts as deleted, on the millisecond, for every reader
       whose snapshot or iterator is not older. Give one of the two; 0: never. */
    uint64_t expires_at_ms; /* milliseconds since 1970 */
    uint64_t ttl_ms;        /* from now */
} firn_write_options;

#define FIRN_WRITE_OPTIONS_INIT FIRN_INIT_SIZED(firn_write_options)

typedef struct firn_snapshot firn_snapshot;

typedef struct firn_read_options {
    size_t size;                   /* sizeof(firn_read_options); 0 is accepted too */
    const firn_snapshot *snapshot; /* read as of then. Default: now */
    firn_choice fill_cache;        /* keep blocks read from disk in the cache. Default FIRN_YES */

    /* Iterators only. */
    firn_slice lower;  /* first key, inclusive; borrowed until the iterator is freed */
    firn_slice upper;  /* end, exclusive; borrowed until the iterator is freed */
    firn_slice prefix; /* only keys that begin so (bytewise order only); borrowed likewise */
    firn_choice lower_exclusive; /* default FIRN_NO */
    firn_choice upper_inclusive; /* default FIRN_NO */

    /* Gets and iterators. */
    firn_choice cached_only; /* WOULD_BLOCK instead of touching the disk: for event loops, which
                                hand such reads to a thread that may wait. What is in memtables, in
                                the block cache, and (on Linux, by preadv2 with RWF_NOWAIT) in the
                                system's own cache of files is served, from tables that were opened
                                before. An iterator that would block ends with that status; the next
                                seek tries again. Values of 1 MiB and more always would. Default
                                FIRN_NO */
} firn_read_options;

#define FIRN_READ_OPTIONS_INIT FIRN_INIT_SIZED(firn_read_options)

/* --- options by name, for tools and configuration files --- */

typedef struct firn_option_info {
    const char *name; /* "memtable_bytes" */
    const char *type; /* "bytes", "number", "choice", or the allowed words: "strict|last-good" */
    const char *default_value; /* as text */
    const char *effect;        /* one sentence */
} firn_option_info;

/* Describes the option at `position`; false past the last. Thread-safe; strings are static. */
FIRN_API int firn_option_at(size_t position, firn_option_info *out);

/* Sets one option from text: numbers take the suffixes K, M, G, T (powers of 1024), choices take
 * yes / no, enums their words, "none" switches off. INVALID_ARGUMENT names what was wrong. */
FIRN_API firn_status firn_options_set(firn_options *options, const char *name, const char *value);

#ifdef __cplusplus
}
#endif
#endif
