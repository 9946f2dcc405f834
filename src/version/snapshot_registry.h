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
#include "platform/clock.h"
#include "platform/thread.h"

#define SNAPSHOT_LABEL_BYTES 64 /* with the zero */

struct firn_snapshot {
    seqno sequence;
    uint64_t created_ms;              /* the time at which its reader judges what has expired */
    char label[SNAPSHOT_LABEL_BYTES]; /* who holds it, for people; "" when not said */
    struct version_set *state; /* read-only databases: what it reads from, referenced; else NULL */
    uint64_t drops;            /* version_set_drops() when it was taken */
    struct firn_snapshot *next, *previous;
};

typedef struct snapshot_registry {
    mutex guard;
    const atomic_u64 *visible; /* the newest sequence readers may see */
    const time_source *clock;
    struct firn_snapshot list; /* circular, oldest first; guarded */
    uint64_t count;            /* guarded */
} snapshot_registry;

FIRN_INTERNAL void snapshot_registry_init(snapshot_registry *r, const atomic_u64 *visible,
                                          const time_source *clock);
FIRN_INTERNAL void snapshot_registry_deinit(snapshot_registry *r);
/* `label` may be NULL; what is longer than SNAPSHOT_LABEL_BYTES is cut. */
FIRN_INTERNAL NODISCARD status snapshot_take(snapshot_registry *r, const char *label,
                                             struct firn_snapshot **out);
FIRN_INTERNAL void snapshot_drop(snapshot_registry *r, const firn_snapshot *snapshot);

/* The readers that matter to a compaction: all snapshots ascending, then whoever reads at the
 * newest visible sequence. Every reader to come reads at the last entry or later, in both columns:
 * times and sequences are taken under the registry's mutex, so the times ascend as well. */
typedef struct snapshot_list {
    seqno *sequences;    /* ascending, no two alike */
    uint64_t *clocks_ms; /* the earliest time at which anybody reads at that sequence or later */
    size_t count;
    bool newest_is_held; /* a snapshot reads at the last sequence, too */
} snapshot_list;
FIRN_INTERNAL NODISCARD status snapshot_registry_list(snapshot_registry *r, snapshot_list *out);
FIRN_INTERNAL void snapshot_list_deinit(snapshot_list *l);
/* The earliest time that a reader, now or later, judges expiry by. */
FIRN_INTERNAL uint64_t snapshot_registry_clock_ms(snapshot_registry *r);
/* Gives copies of what is held, oldest first, to be read only; free with memory_free. */
FIRN_INTERNAL NODISCARD status snapshot_registry_copy(snapshot_registry *r,
                                                      struct firn_snapshot **copies, size_t *count);
/* Number held, and the oldest (0: none). */
FIRN_INTERNAL uint64_t snapshot_registry_count(snapshot_registry *r, seqno *oldest);
#endif
