/* db/space_reserve.h - bytes of the file system kept aside for when it is full.
 *
 * Purpose:    the file RESERVE holds space that nothing is written to: as much as flushing all that
 *             is not in tables yet may take, and a part of what the tables do, for a compaction.
 *             When it cannot be as large as that, space is short: puts are refused, deletes go on.
 *             When the log, a flush or a compaction finds no space at all, the file is deleted;
 *             what it held is for deletes, for their log, and for the flushes and compactions that
 *             turn them into free space. As soon as the file can be made whole, puts go on. That
 *             another program may take what was freed cannot be helped.
 * Invariants: its contents mean nothing and it is never synced; a database that lost it makes it
 *             anew.
 * Threads:    all functions may be called at once, under the lead of commits and without any lock.
 * Lifetime:   in place. The file stays when the database is closed, for the next open. */
#ifndef FIRN_DB_SPACE_RESERVE_H
#define FIRN_DB_SPACE_RESERVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "firn/vfs.h"
#include "platform/clock.h"
#include "platform/thread.h"
#include "util/event_log.h"

typedef struct space_reserve_args {
    const firn_vfs *vfs;
    const char *directory;
    const time_source *clock;
    event_log *events;
    uint64_t least, most; /* bytes of the file; most 0: there is none */
} space_reserve_args;

typedef struct space_reserve {
    space_reserve_args args;
    atomic_u32 is_short;
    /* Changed under the mutex. */
    atomic_u64 held_bytes;
    atomic_u64 shared_bytes; /* while space is short, what was held when it became so */
    mutex guard;
    /* guarded: when the file was last tried to be made in vain, and when it was last deleted; 0:
     * never */
    uint64_t tried_ns, spent_ns;
} space_reserve;

/* What the database has on disk. */
typedef struct space_used {
    uint64_t table_bytes;
    uint64_t unflushed_bytes; /* in memtables, and what will be there at the next call */
} space_used;

/* As if nothing was held and nothing short. */
FIRN_INTERNAL void space_reserve_init(space_reserve *r);
FIRN_INTERNAL void space_reserve_deinit(space_reserve *r);
/* Takes over the file that an earlier open left, or makes it. */
FIRN_INTERNAL void space_reserve_open(space_reserve *r, const space_reserve_args *args,
                                      const space_used *used);

/* Makes the file as large as all that is not flushed, or a sixteenth of the tables if that is more,
 * within the limits; smaller once it is more than twice as large. Decides whether space is short.
 * What failed is not tried again for a tenth of a second. */
FIRN_INTERNAL void space_reserve_keep(space_reserve *r, const space_used *used);
/* There is no space left: frees what is held. True if it did, or had done so a tenth of a second
 * ago at most: then what failed is worth another try. Leaves the error detail alone. */
FIRN_INTERNAL bool space_reserve_spend(space_reserve *r);

/* One load. */
static inline bool space_reserve_is_short(const space_reserve *r) {
    /* relaxed: a state that is looked at again and again; orders nothing. */
    return atomic_u32_load(&r->is_short, memory_order_relaxed) != 0;
}

FIRN_INTERNAL uint64_t space_reserve_held_bytes(const space_reserve *r);
/* While space is short: what the log may take beyond the segment that is being filled. Half of what
 * was held; the other half is for the flush that gives the log back. */
FIRN_INTERNAL uint64_t space_reserve_log_bytes(const space_reserve *r);
#endif
