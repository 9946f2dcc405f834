/* A writer that finds nobody committing commits for itself; those that come meanwhile are committed
 * in groups by whoever leads (db/commit_queue.h): one append run of the log, at most one sync, then
 * the memtables, then one store that makes the group visible. */
#include "db/commit_internal.h"
#include "platform/error_detail.h"
#include "platform/park.h"

#include "base/poison.h"

#define COMMIT_GROUP_MAX   64
#define COMMIT_GROUP_BYTES (1u << 20)
/* After its own group a leader finishes up to so many small groups of others before it hands over:
 * that is cheaper for all than waking somebody to do it. */
#define COMMIT_ROUNDS_MAX  4
#define COMMIT_LIGHT_BYTES (64u << 10)
/* A group that syncs waits for others to join for at most this part of a sync's duration. */
#define COMMIT_WINDOW_PART   4
#define COMMIT_WINDOW_NS_MAX 1000000u

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

/* --- when no write is possible any more --- */

FIRN_INTERNAL status commit_poison(firn_db *db, status why, const char *consequence) {
    error_detail_append("; %s", consequence);
    /* release: pairs with the acquire in commit_check_writable. */
    atomic_u32_store(&db->poisoned, (uint32_t)why.code, memory_order_release);
    event e = event_begin(db->events, "poisoned");
    event_string(&e, "detail", error_detail_get());
    event_end(&e);
    return why;
}

FIRN_INTERNAL status commit_check_writable(firn_db *db) {
    if (UNLIKELY(db->config.read_only))
        return error_status(FIRN_READ_ONLY, "%s: opened read-only", db->directory);
    /* acquire: pairs with the release in commit_poison. */
    uint32_t why = atomic_u32_load(&db->poisoned, memory_order_acquire);
    if (UNLIKELY(why != FIRN_OK))
        return error_status((firn_status)why,
                            "%s: an earlier failure (see events.log) left the database readable "
                            "only; close it and open it again",
                            db->directory);
    return STATUS_OK;
}

/* --- the leader: one group --- */

typedef struct commit_group {
    uint32_t count;
    bool sync;
    seqno first, last;
    uint64_t user_bytes;
    const batch_view *batches; /* the leader's own, or `gathered` */
    /* The first `count` of each mean something. */
    commit_request *members[COMMIT_GROUP_MAX];
    slice ops[COMMIT_GROUP_MAX];
    batch_view gathered[COMMIT_GROUP_MAX];
} commit_group;

static commit_request *commit_request_of(commit_waiter *w) {
    return (commit_request *)w;
}

static void commit_group_start(firn_db *db, commit_request *leader, commit_group *g) {
    g->count = 1;
    g->sync = leader->sync;
    g->first = db->commit.last_sequence + 1;
    g->last = g->first + leader->batch->count - 1;
    g->user_bytes = leader->batch->user_bytes;
    g->members[0] = leader;
    g->batches = leader->batch;
}

/* A writer that does not sync is not made to wait for one that does; the reverse costs nothing. */
static bool commit_may_join(const firn_db *db, const commit_group *g, const commit_request *r) {
    return r->work == COMMIT_BATCH && (g->sync || !r->sync) && !r->batch->large_count &&
           (!db->commit.only_deletes || commit_only_deletes(r->batch));
}

/* Those in line behind the leader's own request, which itself stands there or does not. */
static void commit_group_fill(firn_db *db, commit_group *g) {
    commit_queue *q = &db->commit.queue;
    uint64_t bytes = g->batches[0].ops.size;
    if (LIKELY(commit_queue_collect(q) == 0) || g->batches[0].large_count)
        return;
    g->gathered[0] = g->batches[0];
    g->batches = g->gathered;
    commit_waiter *w = q->first;
    if (w == &g->members[0]->waiter)
        w = w->next;
    for (; w && g->count < COMMIT_GROUP_MAX; w = w->next) {
        commit_request *r = commit_request_of(w);
        if (!commit_may_join(db, g, r) || (bytes += r->batch->ops.size) > COMMIT_GROUP_BYTES)
            break;
        g->members[g->count] = r;
        g->gathered[g->count++] = *r->batch;
        g->last += r->batch->count;
        g->user_bytes += r->batch->user_bytes;
    }
}

static status commit_insert_op(firn_db *db, const batch_op *op, seqno sequence, uint64_t position) {
    memtable *target = commit_find_target(db, op->keyspace);
    if (UNLIKELY(!target))
        return error_status(FIRN_INVALID_ARGUMENT, "%s: no keyspace %u", db->directory,
                            op->keyspace);
    if (UNLIKELY(memtable_entries(target) == 0))
        version_set_note_first_write(db->versions, op->keyspace, position,
                                     time_monotonic_ns(db->config.clock));
    return memtable_add(target, sequence, op->kind, op->key, op->value);
}

static status commit_insert(firn_db *db, const commit_group *g, uint64_t position) {
    status st = STATUS_OK;
    seqno sequence = g->first;
    for (uint32_t i = 0; i < g->count; i++) {
        slice ops = g->ops[i];
        if (g->batches[i].only) {
            TRY(commit_insert_op(db, g->batches[i].only, sequence++, position));
            continue;
        }
        while (ops.size) {
            batch_op op;
            CHECK(batch_op_decode(&ops, &op)); /* our own bytes */
            TRY(commit_insert_op(db, &op, sequence++, position));
        }
    }
    CHECK(sequence == g->last + 1);
out:
    return st;
}

static bool commit_wants_sync(firn_db *db, const commit_group *g) {
    commit_state *c = &db->commit;
    if (g->sync)
        return true;
    c->unsynced_commits += g->count;
    switch (db->config.durability) {
    case FIRN_SYNC_EVERY_BYTES:
        return wal_writer_end(db->log) - wal_writer_synced(db->log) >= db->config.sync_bytes;
    case FIRN_SYNC_EVERY_COMMITS:
        return c->unsynced_commits >= db->config.sync_commits;
    default:
        return false;
    }
}

static status commit_sync_group(firn_db *db, commit_group *g) {
    commit_state *c = &db->commit;
    uint64_t started = time_monotonic_ns(db->config.clock);
    for (uint32_t i = 0; i < g->count; i++)
        g->members[i]->synced = true;
    /* relaxed: tells those who queue what they wait for; no partner. */
    atomic_u32_store(&c->syncing, 1, memory_order_relaxed);
    status st = wal_writer_sync(db->log);
    atomic_u32_store(&c->syncing, 0, memory_order_relaxed); /* as above */
    uint64_t ns = time_monotonic_ns(db->config.clock) - started;
    c->sync_ns = c->sync_ns ? (7 * c->sync_ns + ns) / 8 : ns;
    if (!status_is_ok(st))
        return commit_poison(db, st, "the database takes no more writes until it is opened again");
    c->unsynced_commits = 0;
    return STATUS_OK;
}

/* relaxed: counts that only the leader stores; readers want some recent value. */
static void commit_count(atomic_u64 *count, uint64_t amount) {
    atomic_u64_store(count, atomic_u64_load(count, memory_order_relaxed) + amount,
                     memory_order_relaxed);
}

/* Log, sync, memtables, visible: in this order, so that nothing is seen that could still be lost
 * where a sync was asked for, and nothing is in a memtable that is not in the log. A later commit
 * that does not sync waits for the lead, hence for the sync in front of it. */
static status commit_run_group(firn_db *db, commit_group *g) {
    status st = STATUS_OK;
    uint64_t position = wal_writer_end(db->log);
    if (UNLIKELY(g->last > SEQNO_MAX))
        return error_status(FIRN_TOO_LARGE, "%s: sequence numbers are used up", db->directory);
    TRY(wal_writer_append(db->log, g->first, g->batches, g->count, g->ops));
    db->commit.last_sequence = g->last;
    if (commit_wants_sync(db, g))
        TRY(commit_sync_group(db, g));
    st = commit_insert(db, g, position);
    if (UNLIKELY(!status_is_ok(st))) {
        /* The log has the batch and the memtable only part of it: only a replay can mend that. */
        commit_poison(db, st, "a logged batch could not be applied; open the database again");
        goto out;
    }
    /* release: pairs with the acquire in flush jobs. */
    atomic_u64_store(&db->applied, wal_writer_end(db->log), memory_order_release);
    /* release: pairs with readers' acquire; they see every insert of the group. */
    atomic_u64_store(&db->visible, g->last, memory_order_release);
    commit_count(&db->commit.groups, 1);
    commit_count(&db->commit.batches, g->count);
    commit_count(&db->commit.user_bytes, g->user_bytes);
out:
    return st;
}

/* A log that poisoned itself at an append (not for lack of space) takes the database with it. */
static void commit_judge_append(firn_db *db, status st) {
    if (!status_is_ok(st) && !status_is(st, FIRN_NO_SPACE) && !status_is(st, FIRN_NO_MEMORY) &&
        !status_is(st, FIRN_TOO_LARGE) && !status_is(st, FIRN_INVALID_ARGUMENT) &&
        atomic_u32_load(&db->poisoned, memory_order_acquire) == FIRN_OK) /* pairs with poison's */
        commit_poison(db, st, "the database takes no more writes until it is opened again");
}

/* --- the leader: a turn --- */

/* Writers that sync come back together after a sync. Waiting a little for those of last time makes
 * one group, and one sync, of what would be two. */
static void commit_fill_window(firn_db *db) {
    commit_state *c = &db->commit;
    if (c->sync_crowd <= 1 || commit_queue_collect(&c->queue) + 1 >= c->sync_crowd)
        return;
    uint64_t window = c->sync_ns / COMMIT_WINDOW_PART;
    if (window > COMMIT_WINDOW_NS_MAX)
        window = COMMIT_WINDOW_NS_MAX;
    uint64_t started = time_monotonic_ns(db->config.clock);
    do
        park_yield();
    while (commit_queue_collect(&c->queue) + 1 < c->sync_crowd &&
           time_monotonic_ns(db->config.clock) - started < window);
}

static void commit_store_result(commit_request *r, status result) {
    r->result = result;
    if (LIKELY(status_is_ok(result)))
        return;
    strncpy(r->detail, error_detail_get(), sizeof r->detail - 1);
    r->detail[sizeof r->detail - 1] = 0;
}

/* Serves `r`, and with it those that may join; r is the caller's own or the first in line. Other
 * members are told as soon as their result stands. */
static void commit_serve(firn_db *db, commit_request *r) {
    commit_queue *q = &db->commit.queue;
    commit_group g;
    status st;
    g.count = 1;
    g.members[0] = r;
    if (UNLIKELY(r->work == COMMIT_SEAL)) {
        st = commit_seal_every_keyspace(db);
    } else {
        st = commit_make_room(db, r->batch);
        if (status_is_ok(st)) {
            if (r->sync)
                commit_fill_window(db);
            commit_group_start(db, r, &g);
            commit_group_fill(db, &g);
            st = commit_run_group(db, &g);
            commit_judge_append(db, st);
            if (g.sync)
                db->commit.sync_crowd = g.count + commit_queue_collect(q);
        }
    }
    for (uint32_t i = 0; i < g.count; i++) {
        commit_request *member = g.members[i];
        commit_store_result(member, st);
        if (q->first == &member->waiter)
            commit_queue_finish_first(q);
    }
}

/* Whether serving the first in line costs the leader little. */
static bool commit_next_is_light(firn_db *db) {
    commit_queue *q = &db->commit.queue;
    firn_durability durability = db->config.durability;
    if (commit_queue_collect(q) == 0 || !commit_has_room(db) ||
        (durability != FIRN_SYNC_INTERVAL && durability != FIRN_SYNC_MANUAL))
        return false;
    const commit_request *r = commit_request_of(q->first);
    return r->work == COMMIT_BATCH && !r->sync && r->batch->ops.size <= COMMIT_LIGHT_BYTES;
}

static void commit_lead(firn_db *db, commit_request *own) {
    commit_queue *q = &db->commit.queue;
    commit_serve(db, own);
    for (int i = 0; i < COMMIT_ROUNDS_MAX && commit_next_is_light(db); i++)
        commit_serve(db, commit_request_of(q->first));
    commit_queue_leave(q);
}

/* What a writer that was not alone waited for, once it is over. */
static void commit_count_wait(firn_db *db, const commit_request *r, uint64_t waited, bool synced) {
    write_wait cause = synced || r->synced ? WRITE_WAIT_SYNC : WRITE_WAIT_QUEUE;
    write_waits_add(&db->waits, db->events, cause, waited);
}

static status commit_enqueue(firn_db *db, commit_request *r) {
    commit_queue *q = &db->commit.queue;
    bool leads = commit_queue_try_enter(q);
    if (UNLIKELY(!leads)) {
        uint64_t started = time_monotonic_ns(db->config.clock);
        /* relaxed: as in commit_sync_group(). */
        bool syncing = atomic_u32_load(&db->commit.syncing, memory_order_relaxed) != 0;
        leads = commit_queue_wait(q, &r->waiter);
        commit_count_wait(db, r, time_monotonic_ns(db->config.clock) - started, syncing);
    }
    if (leads)
        commit_lead(db, r);
    if (UNLIKELY(!status_is_ok(r->result))) /* the words of whom this thread led may stand there */
        error_detail_set("%s", r->detail);
    return r->result;
}

/* --- the calls --- */

/* Before anything is logged: what a replay could not apply must not get there. */
static status commit_check_keyspaces(firn_db *db, const batch_view *batch) {
    slice ops = batch->ops;
    batch_op op;
    while (batch_op_decode(&ops, &op)) {
        if (op.keyspace != KEYSPACE_DEFAULT && !version_set_active(db->versions, op.keyspace))
            return error_status(FIRN_INVALID_ARGUMENT, "%s: no keyspace %u", db->directory,
                                op.keyspace);
    }
    return STATUS_OK;
}

FIRN_INTERNAL status db_write(firn_db *db, const batch_view *batch, firn_choice sync) {
    bool wants_sync = sync == FIRN_YES ||
                      (sync == FIRN_DEFAULT && db->config.durability == FIRN_SYNC_EVERY_COMMIT);
    if (UNLIKELY(batch->count == 0)) {
        status st = commit_check_writable(db);
        return status_is_ok(st) && wants_sync ? db_sync(db) : st;
    }
    if (UNLIKELY(batch->names_keyspaces)) {
        status st = commit_check_keyspaces(db, batch);
        if (!status_is_ok(st))
            return st;
    }
    commit_request r;
    r.batch = batch;
    r.work = COMMIT_BATCH;
    r.sync = wants_sync;
    r.synced = false;
    return commit_enqueue(db, &r);
}

FIRN_INTERNAL status db_sync(firn_db *db) {
    status st = commit_check_writable(db);
    if (status_is_ok(st)) {
        st = wal_writer_sync(db->log);
        if (!status_is_ok(st))
            commit_poison(db, st, "the database takes no more writes until it is opened again");
    }
    return st;
}

FIRN_INTERNAL status commit_seal_all(firn_db *db) {
    commit_request r;
    r.work = COMMIT_SEAL;
    r.sync = r.synced = false;
    return commit_enqueue(db, &r);
}

#undef COMMIT_GROUP_MAX
#undef COMMIT_GROUP_BYTES
#undef COMMIT_ROUNDS_MAX
#undef COMMIT_LIGHT_BYTES
#undef COMMIT_WINDOW_PART
#undef COMMIT_WINDOW_NS_MAX
