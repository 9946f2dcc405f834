/* db/commit_group.h - one group of batches on its way: log, sync, memtables, visible.
 *
 * Purpose:    two ways to the same end. Alone: the leader does all of it while it leads. Abreast:
 *             while it leads it only takes room in the log and sequences; then it gives up the
 *             lead, and does the rest beside other groups, which do the same.
 * Invariants: in either way, in this order: nothing is seen that could still be lost where a sync
 *             was asked for, nothing is in a memtable for good that is not in the log, and no group
 *             is visible or acknowledged before all earlier ones are in the log. `visible` never
 *             passes a pending sync: a group that syncs goes alone, and waits until none is in
 *             flight.
 * Failure:    a group that fails behind its reservation, or in a memtable, poisons the database
 *             before it is done, and no group behind it becomes visible.
 * Threads:    start, run and begin: the leader. end: who called begin, without the lead. */
#ifndef FIRN_DB_COMMIT_GROUP_H
#define FIRN_DB_COMMIT_GROUP_H

#include "db/db_internal.h"
#include "platform/error_detail.h"

#define COMMIT_GROUP_MAX 64

typedef enum commit_work { COMMIT_BATCH, COMMIT_SEAL } commit_work;

typedef struct commit_request {
    commit_waiter waiter; /* first: requests in line are found by it */
    const batch_view *batch;
    commit_work work;
    bool sync;
    bool synced;                         /* its group waited for a sync */
    status result;                       /* set by the leader before the waiter is told */
    char detail[ERROR_DETAIL_BYTES / 4]; /* the leader's words about `result` */
} commit_request;

typedef struct commit_group {
    commit_flight flight; /* first: groups in flight are found by it */
    uint32_t count;
    bool sync;
    uint64_t user_bytes;
    const batch_view *batches; /* the leader's own, or `gathered` */
    /* Set by commit_group_begin. */
    memtable *table;
    wal_reservation log;
    /* The first `count` of each mean something. */
    commit_request *members[COMMIT_GROUP_MAX];
    slice ops[COMMIT_GROUP_MAX];
    batch_view gathered[COMMIT_GROUP_MAX];
} commit_group;

FIRN_INTERNAL NODISCARD status commit_group_run(firn_db *db, commit_group *g);
/* False, and nothing has happened: the group has to go alone. */
FIRN_INTERNAL NODISCARD bool commit_group_begin(firn_db *db, commit_group *g);
/* To be given to commit_order_init. */
FIRN_INTERNAL void commit_group_publish(void *db, commit_flight *flight);
FIRN_INTERNAL NODISCARD status commit_group_end(firn_db *db, commit_group *g);
#endif
