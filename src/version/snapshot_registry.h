/* version/snapshot_registry.h - which sequence numbers somebody still reads at.
 *
 * Invariants: a snapshot's sequence is fixed under the registry's mutex, and so is the oldest one
 * that a compaction may rely on: a snapshot can never be older than what was answered before.
 * Threads:    safe; the mutex is a leaf of the lock order. */
#ifndef FIRN_VERSION_SNAPSHOT_REGISTRY_H
#define FIRN_VERSION_SNAPSHOT_REGISTRY_H

#include "base/atomic.h"
#include "firn/snapshot.h"
#include "format/key.h"
#include "platform/thread.h"

struct firn_snapshot {
    seqno sequence;
    uint64_t created_ms;
    struct version_set *state; /* read-only databases: what it reads from, referenced; else NULL */
    struct firn_snapshot *next, *previous;
};

typedef struct snapshot_registry {
    mutex guard;
    const atomic_u64 *visible; /* the newest sequence readers may see */
    struct firn_snapshot list; /* circular, oldest first; guarded */
    uint64_t count;            /* guarded */
} snapshot_registry;

FIRN_INTERNAL void snapshot_registry_init(snapshot_registry *r, const atomic_u64 *visible);
FIRN_INTERNAL void snapshot_registry_deinit(snapshot_registry *r);
FIRN_INTERNAL NODISCARD status snapshot_take(snapshot_registry *r, uint64_t now_ms,
                                             struct firn_snapshot **out);
FIRN_INTERNAL void snapshot_drop(snapshot_registry *r, const firn_snapshot *snapshot);

/* The sequences that matter to a compaction: all snapshots ascending, then the newest visible one.
 * Gives an array; every reader to come reads at the last entry or later. */
FIRN_INTERNAL NODISCARD status snapshot_registry_list(snapshot_registry *r, seqno **sequences,
                                                      size_t *count);
/* Number held, and the oldest (0: none). */
FIRN_INTERNAL uint64_t snapshot_registry_count(snapshot_registry *r, seqno *oldest);
#endif
