#include "db/commit_group.h"

#include "db/commit_internal.h"

#include "base/poison.h"

#define COMMIT_FEW 16

/* Where the operations of a group go, a few with consecutive sequences at a time: to `table`, or
 * each to its keyspace's memtable when that is NULL. The latter is done with no other group in
 * flight, by who leads, hence by the only one who adds to memtables. */
typedef struct commit_inserter {
    memtable *table;
    uint64_t position; /* of the group's first record */
    seqno next;
    uint32_t keyspace; /* of those that wait */
    uint32_t count;
    memtable_op ops[COMMIT_FEW];
} commit_inserter;

static void commit_note_first_write(firn_db *db, uint32_t keyspace_id, uint64_t position) {
    version_set_note_first_write(db->versions, keyspace_id, position,
                                 time_monotonic_ns(db->config.clock));
}

static status commit_insert_few(firn_db *db, commit_inserter *to) {
    memtable *target = to->table;
    if (!target) {
        target = commit_find_target(db, to->keyspace);
        if (UNLIKELY(!target))
            return error_status(FIRN_INVALID_ARGUMENT, "%s: no keyspace %u", db->directory,
                                to->keyspace);
        if (UNLIKELY(memtable_entries(target) == 0))
            commit_note_first_write(db, to->keyspace, to->position);
    }
    status st = memtable_add_many(target, to->next, to->ops, to->count, !to->table);
    to->next += to->count;
    to->count = 0;
    return st;
}

static status commit_insert_op(firn_db *db, commit_inserter *to, const batch_op *op) {
    status st = STATUS_OK;
    if (to->count == COMMIT_FEW || (to->count && to->keyspace != op->keyspace))
        TRY(commit_insert_few(db, to));
    to->keyspace = op->keyspace;
    to->ops[to->count++] = (memtable_op){op->kind, op->key, op->value};
out:
    return st;
}

/* `table` and `position`: as in commit_inserter. */
static status commit_insert(firn_db *db, const commit_group *g, memtable *table,
                            uint64_t position) {
    status st = STATUS_OK;
    commit_inserter to;
    to.table = table;
    to.position = position;
    to.next = g->flight.first;
    to.count = 0;
    for (uint32_t i = 0; i < g->count; i++) {
        slice ops = g->ops[i];
        if (g->batches[i].only) {
            TRY(commit_insert_op(db, &to, g->batches[i].only));
            continue;
        }
        while (ops.size) {
            batch_op op;
            CHECK(batch_op_decode(&ops, &op)); /* our own bytes */
            TRY(commit_insert_op(db, &to, &op));
        }
    }
    if (to.count)
        TRY(commit_insert_few(db, &to));
    CHECK(to.next == g->flight.last + 1);
out:
    return st;
}

/* What single writes will wait for in the memtable arrives while they are logged. */
static void commit_expect(firn_db *db, const commit_group *g) {
    for (uint32_t i = 0; i < g->count; i++) {
        const batch_op *only = g->batches[i].only;
        memtable *target = only ? commit_find_target(db, only->keyspace) : NULL;
        if (target)
            (void)memtable_expect(target, only->key);
    }
}

/* A group of one operation, which is most of what single writers write: as commit_expect() and
 * commit_insert(), and what the first has found the second need not look for. */
typedef struct commit_lone {
    memtable *table; /* NULL: the group is none */
    memtable_place place;
} commit_lone;

static commit_lone commit_expect_lone(firn_db *db, const commit_group *g) {
    const batch_op *only = g->batches[0].only;
    commit_lone lone = {0};
    if (g->count == 1 && only)
        lone.table = commit_find_target(db, only->keyspace);
    if (lone.table)
        lone.place = memtable_expect(lone.table, only->key);
    else
        commit_expect(db, g);
    return lone;
}

static status commit_insert_lone(firn_db *db, const commit_group *g, const commit_lone *lone,
                                 uint64_t position) {
    const batch_op *only = g->batches[0].only;
    if (UNLIKELY(memtable_entries(lone->table) == 0))
        commit_note_first_write(db, only->keyspace, position);
    return memtable_add_expected(lone->table, g->flight.first,
                                 &(memtable_op){only->kind, only->key, only->value}, &lone->place);
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

/* The log has the batches and a memtable only part of them: only a replay can mend that. */
static status commit_poison_half_applied(firn_db *db, status why) {
    return commit_poison(db, why, "a logged batch could not be applied; open the database again");
}

/* What goes before `visible`; in the order of the groups. */
static void commit_prepare_visible(firn_db *db, const commit_group *g) {
    /* release: pairs with the acquire in flush jobs. */
    atomic_u64_store(&db->applied, wal_writer_end(db->log), memory_order_release);
    commit_count(&db->commit_groups, 1);
    commit_count(&db->commit_batches, g->count);
    commit_count(&db->commit_user_bytes, g->user_bytes);
}

/* A later commit that does not sync waits for the lead, hence for the sync in front of it. */
FIRN_INTERNAL status commit_group_run(firn_db *db, commit_group *g) {
    status st = STATUS_OK;
    if (UNLIKELY(g->flight.last > SEQNO_MAX))
        return error_status(FIRN_TOO_LARGE, "%s: sequence numbers are used up", db->directory);
    TRY(commit_drain(db));
    uint64_t position = wal_writer_end(db->log);
    commit_lone lone = commit_expect_lone(db, g);
    TRY(wal_writer_append(db->log, g->flight.first, g->batches, g->count, g->ops));
    db->commit.last_sequence = g->flight.last;
    if (commit_wants_sync(db, g))
        TRY(commit_sync_group(db, g));
    st = lone.table ? commit_insert_lone(db, g, &lone, position)
                    : commit_insert(db, g, NULL, position);
    if (UNLIKELY(!status_is_ok(st))) {
        st = commit_poison_half_applied(db, st);
        goto out;
    }
    commit_prepare_visible(db, g);
    /* release: pairs with readers' acquire; they see every insert of the group. */
    atomic_u64_store(&db->visible, g->flight.last, memory_order_release);
out:
    return st;
}

/* --- abreast --- */

/* Whatever may want a sync goes alone. */
static bool commit_group_may_go_abreast(const firn_db *db, const commit_group *g) {
    firn_durability durability = db->config.durability;
    if (g->sync || g->flight.last > SEQNO_MAX ||
        (durability != FIRN_SYNC_INTERVAL && durability != FIRN_SYNC_MANUAL))
        return false;
    for (uint32_t i = 0; i < g->count; i++) {
        if (g->batches[i].names_keyspaces)
            return false;
    }
    return true;
}

FIRN_INTERNAL bool commit_group_begin(firn_db *db, commit_group *g) {
    commit_state *c = &db->commit;
    if (!commit_group_may_go_abreast(db, g) ||
        !wal_writer_reserve(db->log, g->flight.first, g->batches, g->count, &g->log))
        return false;
    g->table = commit_find_target(db, KEYSPACE_DEFAULT);
    for (uint32_t i = 0; i < g->count; i++)
        g->ops[i] = g->batches[i].ops;
    if (UNLIKELY(c->noted != g->table)) {
        if (memtable_entries(g->table) == 0)
            commit_note_first_write(db, KEYSPACE_DEFAULT, g->log.position);
        c->noted = g->table;
    }
    c->last_sequence = g->flight.last;
    return true;
}

/* The order calls this before the group becomes visible. */
FIRN_INTERNAL void commit_group_publish(void *context, commit_flight *flight) {
    firn_db *db = context;
    const commit_group *g = (const commit_group *)flight;
    wal_writer_publish(db->log, &g->log);
    memtable_note_added(g->table, g->flight.first, g->flight.last);
    commit_prepare_visible(db, g);
}

/* Whether it has become visible. */
static bool commit_group_finish(firn_db *db, commit_group *g) {
    commit_order *o = &db->commit.order;
    if (LIKELY(commit_order_try_finish(o, &g->flight)))
        return true;
    uint64_t started = time_monotonic_ns(db->config.clock);
    bool is_visible = commit_order_finish(o, &g->flight);
    write_waits_add(&db->waits, db->events, WRITE_WAIT_QUEUE,
                    time_monotonic_ns(db->config.clock) - started);
    return is_visible;
}

FIRN_INTERNAL status commit_group_end(firn_db *db, commit_group *g) {
    status st = wal_writer_fill(db->log, &g->log, g->batches, g->count);
    if (LIKELY(status_is_ok(st)))
        st = commit_insert(db, g, g->table, g->log.position);
    g->flight.failed = !status_is_ok(st);
    if (UNLIKELY(g->flight.failed))
        st = commit_poison_half_applied(db, st);
    if (UNLIKELY(!commit_group_finish(db, g)) && status_is_ok(st))
        st = commit_check_writable(db); /* one in front has failed */
    return st;
}

#undef COMMIT_FEW
