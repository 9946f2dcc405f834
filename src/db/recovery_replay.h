/* db/recovery_replay.h - batches of the log into memtables, by several threads.
 *
 * Purpose:    inserting costs several times what reading and checking does. The reader of the log
 *             copies batches into chunks; helpers insert them, in whatever order: entries carry
 *             their sequences. Where all chunks are full the reader inserts one itself.
 * Invariants: memtables are sealed between batches, when all that was handed out is inserted. The
 *             first failure, of whoever, ends the replay.
 * Threads:    one caller; helpers only between its calls. Without threads (options.threads = 0) the
 *             caller inserts everything. */
#ifndef FIRN_DB_RECOVERY_REPLAY_H
#define FIRN_DB_RECOVERY_REPLAY_H

#include "db/db_internal.h"

typedef struct recovery_replay recovery_replay;

/* Called once, before the first memtable is flushed: makes durable what is read. */
typedef status (*recovery_secure)(void *context);

typedef struct recovery_replay_args {
    firn_db *db;
    version_set *versions;
    bool may_flush; /* a read-only open keeps everything in memory */
    recovery_secure secure;
    void *context;
} recovery_replay_args;

FIRN_INTERNAL NODISCARD status recovery_replay_new(const recovery_replay_args *args,
                                                   recovery_replay **out);
/* Waits for helpers that still insert. NULL is fine. */
FIRN_INTERNAL void recovery_replay_free(recovery_replay *r);
/* For wal_recovery_args.on_batch. */
FIRN_INTERNAL NODISCARD status recovery_replay_batch(void *replay, seqno first, uint32_t count,
                                                     slice ops, uint64_t position);
/* Whether `secure` has been called, or recovery_replay_set_secured. */
FIRN_INTERNAL bool recovery_replay_is_secured(const recovery_replay *r);
/* The caller has made everything durable. */
FIRN_INTERNAL void recovery_replay_set_secured(recovery_replay *r);
/* All batches are in memtables. */
FIRN_INTERNAL NODISCARD status recovery_replay_finish(recovery_replay *r);
/* Flushes all memtables; only when all is in memtables. `if_room`: a full disk is no failure: what
 * finds no room stays in memory, and in the log. */
FIRN_INTERNAL NODISCARD status recovery_replay_flush(recovery_replay *r, bool if_room);
#endif
