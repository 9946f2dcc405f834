/* Writers queue up; the first is the leader and commits for itself and those behind it: one append
 * run of the log, at most one sync, then the memtables, then one store that makes the group
 * visible. Everybody else sleeps until the leader is done with him or he is the leader. */
#include "compaction/write_delay.h"
#include "db/db_internal.h"
#include "platform/error_detail.h"

#include "base/poison.h"

#define COMMIT_GROUP_MAX      64
#define COMMIT_GROUP_BYTES    (1u << 20)
#define COMMIT_SLEEP_NS_LEAST 1000000u  /* owed delay is slept in pieces of at least 1 ms */
#define COMMIT_STALL_EVENT_NS 20000000u /* shorter waits are only counted */

typedef enum commit_work { COMMIT_BATCH, COMMIT_SEAL } commit_work;

struct commit_request {
    batch_view batch;
    commit_work work;
    bool sync;
    bool done;                           /* guarded by commit.guard */
    status result;                       /* set by the leader before `done` */
    char detail[ERROR_DETAIL_BYTES / 4]; /* the leader's words about `result` */
    cond wake;
    commit_request *next; /* guarded */
};

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
    if (db->config.read_only)
        return error_status(FIRN_READ_ONLY, "%s: opened read-only", db->directory);
    /* acquire: pairs with the release in commit_poison. */
    uint32_t why = atomic_u32_load(&db->poisoned, memory_order_acquire);
    if (why != FIRN_OK)
        return error_status((firn_status)why,
                            "%s: an earlier failure (see events.log) left the database readable "
                            "only; close it and open it again",
                            db->directory);
    return STATUS_OK;
}

/* --- the leader: room --- */

static commit_target *commit_find_target(firn_db *db, uint32_t keyspace_id) {
    commit_queue *q = &db->commit;
    for (uint32_t i = 0; i < q->target_count; i++) {
        if (q->targets[i].keyspace == keyspace_id)
            return &q->targets[i];
    }
    memtable *active = version_set_active(db->versions, keyspace_id);
    if (!active || q->target_count == COMMIT_TARGETS_MAX)
        return NULL;
    q->targets[q->target_count] = (commit_target){keyspace_id, active};
    return &q->targets[q->target_count++];
}

/* Waits for background work to get further. Each wait has a name and a counter; long ones are
 * events. */
typedef struct commit_cause {
    const char *name;
    counter count, nanoseconds;
} commit_cause;

static const commit_cause commit_memtables_full = {"memtables full", COUNT_WAIT_MEMTABLE,
                                                   COUNT_WAIT_MEMTABLE_NS};
static const commit_cause commit_l0_full = {"L0 full", COUNT_WAIT_L0_STOP, COUNT_WAIT_L0_STOP_NS};

static void commit_count_wait(firn_db *db, const commit_cause *cause, uint64_t waited_ns) {
    counters_add(&db->counters, cause->count, 1);
    counters_add(&db->counters, cause->nanoseconds, waited_ns);
    if (waited_ns < COMMIT_STALL_EVENT_NS)
        return;
    event e = event_begin(db->events, "stall");
    event_string(&e, "cause", cause->name);
    event_u64(&e, "micros", waited_ns / 1000);
    /* relaxed: no partner; for people. */
    event_u64(&e, "l0_tables", atomic_u32_load(&db->l0_tables, memory_order_relaxed));
    event_end(&e);
}

static status commit_wait(firn_db *db, const commit_cause *cause) {
    status st = STATUS_OK;
    uint64_t started = time_monotonic_ns(db->config.clock);
    workers_wake(db->workers);
    mutex_lock(&db->background.guard);
    if (!status_is_ok(db->background.last)) {
        st = db->background.last;
        error_detail_set("%s: writes wait for background work, which fails: %s (see events.log)",
                         db->directory, firn_status_name(st.code));
    } else if (!background_wait_locked(db)) {
        st = error_status(FIRN_BUSY, "%s: memtables are full and no background work is due",
                          db->directory);
    }
    mutex_unlock(&db->background.guard);
    commit_count_wait(db, cause, time_monotonic_ns(db->config.clock) - started);
    return st;
}

/* Sleeps off what is owed for writing while L0 is too full, in pieces a timer can keep. */
static void commit_pay_delay(firn_db *db, uint64_t bytes) {
    commit_queue *q = &db->commit;
    /* relaxed: no partner; a hint that is refreshed after every job. */
    uint32_t l0 = atomic_u32_load(&db->l0_tables, memory_order_relaxed);
    q->delay_debt_ns += write_delay_ns(&db->config.tree, l0, bytes);
    if (q->delay_debt_ns < COMMIT_SLEEP_NS_LEAST)
        return;
    uint64_t owed = q->delay_debt_ns;
    q->delay_debt_ns = 0;
    workers_wake(db->workers);
    thread_sleep_ns(owed);
    counters_add(&db->counters, COUNT_WAIT_L0_DELAY, 1);
    counters_add(&db->counters, COUNT_WAIT_L0_DELAY_NS, owed);
}

/* Two memtables per keyspace may wait for their flush; a third writer waits with them. */
#define COMMIT_SEALED_MAX 2

static status commit_seal(firn_db *db, uint32_t keyspace_id) {
    status st = STATUS_OK;
    while (version_set_sealed_count(db->versions, keyspace_id) >= COMMIT_SEALED_MAX)
        TRY(commit_wait(db, &commit_memtables_full));
    TRY(version_set_seal(db->versions, keyspace_id));
    db->commit.target_count = 0; /* the cached pointers are stale */
    workers_wake(db->workers);
out:
    return st;
}

/* A keyspace that is written rarely would hold back the log for ever: it is flushed when the log
 * kept for it is several memtables long. */
#define COMMIT_LOG_MEMTABLES_MAX 4

static status commit_bound_log(firn_db *db) {
    uint32_t keyspace_id;
    uint64_t start;
    if (!version_set_oldest_unflushed(db->versions, &keyspace_id, &start) ||
        wal_writer_end(db->log) - start <=
            COMMIT_LOG_MEMTABLES_MAX * db->config.memtable_bytes + (64u << 10))
        return STATUS_OK;
    if (version_set_sealed_count(db->versions, keyspace_id) > 0)
        return STATUS_OK; /* its flush is under way */
    return commit_seal(db, keyspace_id);
}

static bool commit_only_deletes(const batch_view *batch) {
    slice ops = batch->ops;
    batch_op op;
    while (batch_op_decode(&ops, &op)) {
        if (op.kind != OP_DELETE)
            return false;
    }
    return true;
}

/* Beyond the limit a reserve is left to deletes, or nobody could ever get below it again. */
static status commit_check_disk_limit(firn_db *db, const batch_view *first) {
    uint64_t limit = db->config.disk_limit_bytes;
    db->commit.only_deletes = false;
    if (limit == FIRN_NONE)
        return STATUS_OK;
    wal_writer_stats log;
    wal_writer_get_stats(db->log, &log);
    /* relaxed: no partner; refreshed after every job. */
    uint64_t used = atomic_u64_load(&db->disk_bytes, memory_order_relaxed) + log.live_bytes;
    if (used < limit)
        return STATUS_OK;
    db->commit.only_deletes = true;
    if (used - limit < 2 * db->config.memtable_bytes && commit_only_deletes(first))
        return STATUS_OK;
    return error_status(
        FIRN_NO_SPACE,
        "%s: uses %llu bytes, disk_limit_bytes is %llu; delete data and compact, or "
        "raise the limit",
        db->directory, (unsigned long long)used, (unsigned long long)limit);
}

static status commit_make_room(firn_db *db, const batch_view *first) {
    status st = STATUS_OK;
    commit_queue *q = &db->commit;
    TRY(commit_check_writable(db));
    TRY(commit_check_disk_limit(db, first));
    commit_pay_delay(db, first->user_bytes);
    /* relaxed: no partner; refreshed after every job. */
    while (atomic_u32_load(&db->l0_tables, memory_order_relaxed) >= db->config.tree.l0_stop)
        TRY(commit_wait(db, &commit_l0_full));
    CHECK(commit_find_target(db, KEYSPACE_DEFAULT) != NULL); /* recovery insists on it */
    for (uint32_t i = 0; i < q->target_count; i++) {
        if (memtable_bytes(q->targets[i].table) < db->config.memtable_bytes)
            continue;
        TRY(commit_seal(db, q->targets[i].keyspace));
        TRY(commit_bound_log(db));
        (void)commit_find_target(db, KEYSPACE_DEFAULT);
        break;
    }
out:
    return st;
}

/* --- the leader: one group --- */

typedef struct commit_group {
    commit_request *members[COMMIT_GROUP_MAX];
    batch_view batches[COMMIT_GROUP_MAX];
    slice ops[COMMIT_GROUP_MAX];
    uint32_t count;
    seqno first, last;
    bool sync;
} commit_group;

/* A writer that does not sync is not made to wait for one that does; the reverse costs nothing. */
static void commit_gather_locked(firn_db *db, commit_request *leader, commit_group *g) {
    uint64_t bytes = 0;
    mutex_assert_held(&db->commit.guard);
    *g = (commit_group){.sync = leader->sync, .first = db->commit.last_sequence + 1};
    g->last = db->commit.last_sequence;
    for (commit_request *r = leader; r && g->count < COMMIT_GROUP_MAX; r = r->next) {
        if (r->work != COMMIT_BATCH || (r->sync && !g->sync) ||
            (g->count && bytes + r->batch.ops.size > COMMIT_GROUP_BYTES) ||
            (g->count && r->batch.large_count) ||
            (g->count && db->commit.only_deletes && !commit_only_deletes(&r->batch)))
            break;
        bytes += r->batch.ops.size;
        g->members[g->count] = r;
        g->batches[g->count++] = r->batch;
        g->last += r->batch.count;
        if (r->batch.large_count)
            break;
    }
}

static status commit_insert_op(firn_db *db, const batch_op *op, seqno sequence, uint64_t position) {
    commit_target *target = commit_find_target(db, op->keyspace);
    if (!target)
        return error_status(FIRN_INVALID_ARGUMENT, "%s: no keyspace %u", db->directory,
                            op->keyspace);
    if (UNLIKELY(memtable_entries(target->table) == 0))
        version_set_note_log_start(db->versions, op->keyspace, position);
    return memtable_add(target->table, sequence, op->kind, op->key, op->value);
}

static status commit_insert(firn_db *db, const commit_group *g, uint64_t position) {
    status st = STATUS_OK;
    seqno sequence = g->first;
    for (uint32_t i = 0; i < g->count; i++) {
        slice ops = g->ops[i];
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
    commit_queue *q = &db->commit;
    if (g->sync)
        return true;
    q->unsynced_commits += g->count;
    switch (db->config.durability) {
    case FIRN_SYNC_EVERY_BYTES:
        return wal_writer_end(db->log) - wal_writer_synced(db->log) >= db->config.sync_bytes;
    case FIRN_SYNC_EVERY_COMMITS:
        return q->unsynced_commits >= db->config.sync_commits;
    default:
        return false;
    }
}

/* Log, sync, memtables, visible: in this order, so that nothing is seen that could still be lost
 * where a sync was asked for, and nothing is in a memtable that is not in the log. */
static status commit_run_group(firn_db *db, commit_group *g) {
    status st = STATUS_OK;
    uint64_t position = wal_writer_end(db->log);
    if (g->last > SEQNO_MAX)
        return error_status(FIRN_TOO_LARGE, "%s: sequence numbers are used up", db->directory);
    TRY(wal_writer_append(db->log, g->first, g->batches, g->count, g->ops));
    db->commit.last_sequence = g->last;
    if (commit_wants_sync(db, g)) {
        st = wal_writer_sync(db->log);
        if (!status_is_ok(st)) {
            commit_poison(db, st, "the database takes no more writes until it is opened again");
            goto out;
        }
        db->commit.unsynced_commits = 0;
    }
    st = commit_insert(db, g, position);
    if (!status_is_ok(st)) {
        /* The log has the batch and the memtable only part of it: only a replay can mend that. */
        commit_poison(db, st, "a logged batch could not be applied; open the database again");
        goto out;
    }
    /* release: pairs with the acquire in flush jobs. */
    atomic_u64_store(&db->applied, wal_writer_end(db->log), memory_order_release);
    /* release: pairs with readers' acquire; they see every insert of the group. */
    atomic_u64_store(&db->visible, g->last, memory_order_release);
    counters_add(&db->counters, COUNT_GROUPS, 1);
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

/* --- the queue --- */

static void commit_finish_locked(firn_db *db, const commit_group *g, status result) {
    commit_queue *q = &db->commit;
    mutex_assert_held(&q->guard);
    for (uint32_t i = 0; i < g->count; i++) {
        commit_request *r = g->members[i];
        CHECK(q->head == r);
        q->head = r->next;
        r->result = result;
        if (!status_is_ok(result)) {
            strncpy(r->detail, error_detail_get(), sizeof r->detail - 1);
            r->detail[sizeof r->detail - 1] = 0;
        }
        r->done = true;
        if (i > 0) /* the first is this thread */
            cond_signal(&r->wake);
    }
    if (!q->head)
        q->tail = NULL;
    else
        cond_signal(&q->head->wake);
}

static status commit_seal_every_keyspace(firn_db *db) {
    status st = STATUS_OK;
    uint32_t ids[COMMIT_TARGETS_MAX];
    uint32_t count = version_set_keyspaces(db->versions, ids, COMMIT_TARGETS_MAX);
    TRY(commit_check_writable(db));
    for (uint32_t i = 0; i < count; i++)
        TRY(commit_seal(db, ids[i]));
out:
    return st;
}

/* The caller is the head of the queue and holds the guard; on return its request is done. */
static void commit_lead_locked(firn_db *db, commit_request *leader) {
    status st;
    commit_group g;
    mutex_unlock(&db->commit.guard);
    st = leader->work == COMMIT_SEAL ? commit_seal_every_keyspace(db)
                                     : commit_make_room(db, &leader->batch);
    mutex_lock(&db->commit.guard);
    if (leader->work == COMMIT_BATCH && status_is_ok(st)) {
        commit_gather_locked(db, leader, &g);
        mutex_unlock(&db->commit.guard);
        st = commit_run_group(db, &g);
        commit_judge_append(db, st);
        mutex_lock(&db->commit.guard);
    } else {
        g = (commit_group){.count = 1};
        g.members[0] = leader;
    }
    commit_finish_locked(db, &g, st);
}

static status commit_enqueue(firn_db *db, commit_request *r) {
    commit_queue *q = &db->commit;
    mutex_lock(&q->guard);
    bool alone = q->head == NULL;
    if (alone)
        q->head = r;
    else
        q->tail->next = r;
    q->tail = r;
    if (!alone)
        cond_init(&r->wake);
    while (!r->done && q->head != r)
        cond_wait(&r->wake, &q->guard);
    bool led = !r->done;
    if (led)
        commit_lead_locked(db, r);
    mutex_unlock(&q->guard);
    if (!alone)
        cond_deinit(&r->wake);
    if (!status_is_ok(r->result) && !led)
        error_detail_set("%s", r->detail);
    return r->result;
}

FIRN_INTERNAL status db_write(firn_db *db, const batch_view *batch, firn_choice sync) {
    bool wants_sync = sync == FIRN_YES ||
                      (sync == FIRN_DEFAULT && db->config.durability == FIRN_SYNC_EVERY_COMMIT);
    if (batch->count == 0) {
        status st = commit_check_writable(db);
        return status_is_ok(st) && wants_sync ? db_sync(db) : st;
    }
    commit_request r = {.batch = *batch, .sync = wants_sync};
    counters_add(&db->counters, COUNT_BATCHES, 1);
    counters_add(&db->counters, COUNT_USER_BYTES, batch->user_bytes);
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
    commit_request r = {.work = COMMIT_SEAL};
    return commit_enqueue(db, &r);
}

#undef COMMIT_SEALED_MAX
#undef COMMIT_LOG_MEMTABLES_MAX
#undef COMMIT_GROUP_MAX
#undef COMMIT_GROUP_BYTES
#undef COMMIT_SLEEP_NS_LEAST
#undef COMMIT_STALL_EVENT_NS
