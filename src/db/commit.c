/* A writer that finds nobody committing commits for itself; those that come meanwhile are committed
 * in groups by whoever leads (db/commit_queue.h, db/commit_group.h). Where writers get into each
 * other's way, leaders give up the lead as soon as their groups have their places in the log. */
#include "db/commit_group.h"
#include "db/commit_internal.h"
#include "platform/error_detail.h"
#include "platform/park.h"

#include "base/poison.h"

#define COMMIT_GROUP_BYTES (1u << 20)
/* After its own group a leader finishes up to so many small groups of others before it hands over:
 * that is cheaper for all than waking somebody to do it. */
#define COMMIT_ROUNDS_MAX  4
#define COMMIT_LIGHT_BYTES (64u << 10)
/* A group that syncs waits for others to join for at most this part of a sync's duration. */
#define COMMIT_WINDOW_PART   4
#define COMMIT_WINDOW_NS_MAX 1000000u
/* After two writers have met, so many commits go abreast. */
#define COMMIT_ABREAST_ROUNDS 256u

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

static commit_request *commit_request_of(commit_waiter *w) {
    return (commit_request *)w;
}

static void commit_group_start(firn_db *db, commit_request *leader, commit_group *g) {
    g->count = 1;
    g->sync = leader->sync;
    g->flight.first = db->commit.last_sequence + 1;
    g->flight.last = g->flight.first + leader->batch->count - 1;
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
        g->flight.last += r->batch->count;
        g->user_bytes += r->batch->user_bytes;
    }
}

/* A log that poisoned itself at an append (not for lack of space) takes the database with it. */
static void commit_judge_append(firn_db *db, status st, const batch_view *first) {
    /* That a large value does not fit says little of what others may find. */
    if (UNLIKELY(status_is(st, FIRN_NO_SPACE)) && first->large_count == 0)
        (void)space_reserve_spend(&db->space);
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

/* --- abreast: beside the groups of other leaders --- */

/* Whether others want the lead, so that giving it up early is worth the trouble. */
static bool commit_is_crowded(firn_db *db) {
    commit_state *c = &db->commit;
    /* relaxed, both: a hint; no partner. */
    if (UNLIKELY(atomic_u32_load(&c->crowded, memory_order_relaxed))) {
        atomic_u32_store(&c->crowded, 0, memory_order_relaxed);
        c->abreast_left = COMMIT_ABREAST_ROUNDS;
    }
    if (LIKELY(c->abreast_left == 0))
        return false;
    c->abreast_left--;
    return true;
}

/* Leaves the lead to others, then does the group's work. */
static void commit_go_abreast(firn_db *db, commit_group *g) {
    commit_queue *q = &db->commit.queue;
    bool from_line = q->first == &g->members[0]->waiter; /* else the caller's own */
    for (uint32_t i = from_line ? 0 : 1; i < g->count; i++)
        (void)commit_queue_take_first(q); /* in this order they are members */
    commit_queue_leave(q);
    status st = commit_group_end(db, g);
    for (uint32_t i = 0; i < g->count; i++) {
        commit_store_result(g->members[i], st);
        if (i > 0 || from_line)
            commit_queue_finish(&g->members[i]->waiter);
    }
}

/* Serves `r`, and with it those that may join; r is the caller's own or the first in line. Other
 * members are told as soon as their result stands. False: it does not lead any more. */
static bool commit_serve(firn_db *db, commit_request *r) {
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
            if (UNLIKELY(commit_is_crowded(db)) && commit_group_begin(db, &g)) {
                commit_go_abreast(db, &g);
                return false;
            }
            st = commit_group_run(db, &g);
            commit_judge_append(db, st, r->batch);
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
    return true;
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
    bool leads = commit_serve(db, own);
    for (int i = 0; leads && i < COMMIT_ROUNDS_MAX && commit_next_is_light(db); i++)
        leads = commit_serve(db, commit_request_of(q->first));
    if (leads)
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
        atomic_u32_store(&db->commit.crowded, 1,
                         memory_order_relaxed); /* see commit_is_crowded() */
        leads = commit_queue_try_enter_soon(q);
    }
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
    status st = commit_enqueue(db, &r);
    /* What was kept aside for deletes is free by now. */
    if (UNLIKELY(status_is(st, FIRN_NO_SPACE)) && space_reserve_is_short(&db->space) &&
        commit_only_deletes(batch))
        st = commit_enqueue(db, &r);
    return st;
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

#undef COMMIT_GROUP_BYTES
#undef COMMIT_ROUNDS_MAX
#undef COMMIT_LIGHT_BYTES
#undef COMMIT_WINDOW_PART
#undef COMMIT_WINDOW_NS_MAX
#undef COMMIT_ABREAST_ROUNDS
