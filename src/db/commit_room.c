/* Before a commit: everything that may keep a writer waiting or refuse it. Each wait has a name
 * (db/write_waits.h) and is one wait from its start to its end, however often it looks. */
#include "db/commit_internal.h"
#include "platform/error_detail.h"

#include "base/poison.h"

/* A keyspace that is written rarely would hold back the log for ever: it is flushed when the log
 * kept for it is several memtables long. */
#define COMMIT_LOG_MEMTABLES_MAX 4
#define COMMIT_AGE_LOOK_NS_LEAST 10000000u
#define COMMIT_AGE_LOOK_NS_MOST  1000000000u

FIRN_INTERNAL memtable *commit_find_target(firn_db *db, uint32_t keyspace_id) {
    commit_state *c = &db->commit;
    for (uint32_t i = 0; i < c->target_count; i++) {
        if (c->targets[i].keyspace == keyspace_id)
            return c->targets[i].table;
    }
    memtable *active = version_set_active(db->versions, keyspace_id);
    if (active && c->target_count < COMMIT_TARGETS_MAX)
        c->targets[c->target_count++] = (commit_target){keyspace_id, active};
    return active;
}

/* --- waiting for background work --- */

typedef bool (*commit_condition)(firn_db *db, uint32_t keyspace_id);

static bool commit_memtables_are_full(firn_db *db, uint32_t keyspace_id) {
    return version_set_sealed_count(db->versions, keyspace_id) >= WRITE_SEALED_MAX;
}

static bool commit_l0_is_full(firn_db *db, MAYBE_UNUSED uint32_t keyspace_id) {
    /* relaxed: refreshed after every job; no partner. */
    return atomic_u32_load(&db->l0_tables, memory_order_relaxed) >= db->config.tree.l0_stop;
}

static status commit_look_again(firn_db *db) {
    status st = STATUS_OK;
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
    return st;
}

static status commit_wait_while(firn_db *db, commit_condition condition, uint32_t keyspace_id,
                                write_wait cause) {
    status st = STATUS_OK;
    if (LIKELY(!condition(db, keyspace_id)))
        return STATUS_OK;
    uint64_t started = time_monotonic_ns(db->config.clock), waited = 0;
    bool told = false;
    while (status_is_ok(st) && condition(db, keyspace_id)) {
        workers_wake(db->workers);
        st = commit_look_again(db);
        waited = time_monotonic_ns(db->config.clock) - started;
        write_waits_watch(&db->waits, db->events, cause, waited, &told);
    }
    write_waits_add(&db->waits, db->events, cause, waited);
    return st;
}

/* --- memtables --- */

/* The cached pointers are stale. */
static void commit_forget_targets(firn_db *db) {
    db->commit.target_count = 0;
    db->commit.noted = NULL;
}

FIRN_INTERNAL status commit_drain(firn_db *db) {
    commit_state *c = &db->commit;
    return LIKELY(commit_order_is_idle(&c->order, c->last_sequence)) ||
                   commit_order_drain(&c->order, c->last_sequence)
               ? STATUS_OK
               : commit_check_writable(db);
}

static status commit_seal(firn_db *db, uint32_t keyspace_id) {
    status st = STATUS_OK;
    TRY(commit_wait_while(db, commit_memtables_are_full, keyspace_id, WRITE_WAIT_MEMTABLES));
    TRY(commit_drain(db)); /* a sealed memtable takes no more entries */
    TRY(version_set_seal(db->versions, keyspace_id));
    commit_forget_targets(db);
    pacing_note_seal(db);
    workers_wake(db->workers);
out:
    return st;
}

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

/* The cached target whose memtable is full; NULL: all have room. */
static const commit_target *commit_full_target(const firn_db *db) {
    const commit_state *c = &db->commit;
    for (uint32_t i = 0; i < c->target_count; i++) {
        if (UNLIKELY(memtable_bytes(c->targets[i].table) >= db->config.memtable_bytes) ||
            pacing_wants_seal(db, c->targets[i].table))
            return &c->targets[i];
    }
    return NULL;
}

FIRN_INTERNAL status commit_seal_every_keyspace(firn_db *db) {
    status st = STATUS_OK;
    uint32_t ids[COMMIT_TARGETS_MAX];
    uint32_t count = version_set_keyspaces(db->versions, ids, COMMIT_TARGETS_MAX);
    TRY(commit_check_writable(db));
    for (uint32_t i = 0; i < count; i++)
        TRY(commit_seal(db, ids[i]));
out:
    return st;
}

/* Looks often enough for the age to be kept within an eighth, and never busily. */
static uint64_t commit_age_look_ns(uint64_t age_ns) {
    uint64_t look = age_ns / 8;
    return look < COMMIT_AGE_LOOK_NS_LEAST  ? COMMIT_AGE_LOOK_NS_LEAST
           : look > COMMIT_AGE_LOOK_NS_MOST ? COMMIT_AGE_LOOK_NS_MOST
                                            : look;
}

/* For workers, who must not wait for writers: nothing happens while anybody commits. */
static void commit_seal_beside(firn_db *db, uint32_t keyspace_id) {
    if (!commit_queue_try_enter(&db->commit.queue))
        return;
    if (commit_order_is_idle(&db->commit.order, db->commit.last_sequence) &&
        status_is_ok(commit_check_writable(db)) && !commit_memtables_are_full(db, keyspace_id) &&
        status_is_ok(version_set_seal(db->versions, keyspace_id))) {
        commit_forget_targets(db); /* else the next look tries again */
        pacing_note_seal(db);
    }
    commit_queue_leave(&db->commit.queue);
}

FIRN_INTERNAL uint64_t commit_seal_aged(firn_db *db, uint64_t now_ns) {
    uint32_t keyspace_id;
    uint64_t first_ns, age_ns;
    if (LIKELY(db->config.memtable_age_ms == FIRN_NONE))
        return 0;
    age_ns = db->config.memtable_age_ms * 1000000u;
    if (version_set_oldest_active(db->versions, &keyspace_id, &first_ns) &&
        now_ns >= first_ns + age_ns)
        commit_seal_beside(db, keyspace_id);
    return commit_age_look_ns(age_ns);
}

/* A keyspace whose active memtable should be sealed for the deletes in it. */
static bool commit_find_skipped(firn_db *db, uint32_t *keyspace_id) {
    uint32_t ids[COMMIT_TARGETS_MAX];
    if (LIKELY(!pacing_has_skipped_much(db)))
        return false;
    uint32_t count = version_set_keyspaces(db->versions, ids, COMMIT_TARGETS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        read_view *view = version_set_view(db->versions, ids[i]);
        bool wants = pacing_wants_seal(db, view->active);
        read_view_unref(view);
        *keyspace_id = ids[i];
        if (wants)
            return true;
    }
    return false;
}

FIRN_INTERNAL void commit_seal_skipped(firn_db *db) {
    uint32_t keyspace_id;
    if (UNLIKELY(commit_find_skipped(db, &keyspace_id)))
        commit_seal_beside(db, keyspace_id);
}

FIRN_INTERNAL bool commit_seal_skipped_is_due(firn_db *db) {
    uint32_t keyspace_id;
    return commit_find_skipped(db, &keyspace_id) && !commit_memtables_are_full(db, keyspace_id) &&
           status_is_ok(commit_check_writable(db));
}

/* --- memory --- */

static bool commit_waits_for_memory(firn_db *db, MAYBE_UNUSED uint32_t keyspace_id) {
    return (memory_budget_is_write_half_full(&db->memory, false) ||
            memory_budget_is_exhausted(&db->memory)) &&
           version_set_has_sealed(db->versions, SEQNO_MAX);
}

/* The cached target with the largest memtable, if that is worth a flush of its own. */
static const commit_target *commit_target_to_seal(const firn_db *db) {
    const commit_target *largest = NULL;
    uint64_t most = db->config.memtable_bytes / 8;
    for (uint32_t i = 0; i < db->commit.target_count; i++) {
        uint64_t bytes = memtable_bytes(db->commit.targets[i].table);
        if (bytes >= most) {
            largest = &db->commit.targets[i];
            most = bytes;
        }
    }
    return largest;
}

/* Memtables of many keyspaces, or flushed ones that iterators keep alive, may take more than their
 * half: spare arenas go first, then memtables are flushed before they are full, and what no flush
 * will free ends in NO_MEMORY. Nothing waits here for a reader, who may be this same thread. */
static COLD status commit_make_memory(firn_db *db) {
    status st = STATUS_OK;
    version_set_trim_memory(db->versions);
    if (!memory_budget_is_write_half_full(&db->memory, false))
        return STATUS_OK;
    const commit_target *target = commit_target_to_seal(db);
    if (target && !version_set_has_sealed(db->versions, SEQNO_MAX))
        TRY(commit_seal(db, target->keyspace));
    TRY(commit_wait_while(db, commit_waits_for_memory, 0, WRITE_WAIT_MEMORY));
    version_set_trim_memory(db->versions); /* flushes have left new ones */
    if (memory_budget_is_exhausted(&db->memory))
        st = memory_budget_refuse(&db->memory);
out:
    return st;
}

/* --- the disk limit --- */

FIRN_INTERNAL bool commit_only_deletes(const batch_view *batch) {
    slice ops = batch->ops;
    batch_op op;
    while (batch_op_decode(&ops, &op)) {
        if (!op_kind_is_delete(op.kind) && op.kind != OP_RANGE_DELETE)
            return false;
    }
    return true;
}

static uint64_t commit_table_bytes(firn_db *db) {
    /* relaxed: no partner; refreshed after every job. */
    return atomic_u64_load(&db->disk_bytes, memory_order_relaxed);
}

static uint64_t commit_disk_used(firn_db *db, wal_writer_stats *log) {
    wal_writer_get_stats(db->log, log);
    return commit_table_bytes(db) + log->live_bytes;
}

FIRN_INTERNAL space_used db_space_used(firn_db *db) {
    uint64_t unflushed = version_set_unflushed_bytes(db->versions), step = unflushed / 2;
    if (step < db->config.reserve_least)
        step = db->config.reserve_least;
    uint64_t until = db->config.reserve_most ? wal_writer_end(db->log) + step : UINT64_MAX;
    /* relaxed: a hint, which the leader looks at again. */
    atomic_u64_store(&db->kept_until, until, memory_order_relaxed);
    return (space_used){commit_table_bytes(db), unflushed + step};
}

FIRN_INTERNAL void db_keep_space(firn_db *db) {
    space_used used = db_space_used(db);
    space_reserve_keep(&db->space, &used);
}

FIRN_INTERNAL bool db_try_keep_space(firn_db *db) {
    /* relaxed, both: a request that may be served twice; orders nothing. */
    if (LIKELY(!atomic_u32_load(&db->wants_space_kept, memory_order_relaxed)))
        return false;
    atomic_u32_store(&db->wants_space_kept, 0, memory_order_relaxed);
    db_keep_space(db);
    return true;
}

/* Flushing gives log back, and brings deletes to what they delete: it is done before memtables are
 * full, where either is worth a table. Nobody waits for it here. */
static void commit_start_making_room(firn_db *db, const wal_writer_stats *log) {
    uint32_t ids[COMMIT_TARGETS_MAX];
    uint32_t count = version_set_keyspaces(db->versions, ids, COMMIT_TARGETS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        const memtable *active = version_set_active(db->versions, ids[i]);
        bool is_worth_it =
            memtable_deletes(active) > 0 || memtable_has_ranges(active) ||
            (log->segments > 1 ? memtable_entries(active) > 0
                               : memtable_bytes(active) >= db->config.memtable_bytes / 8);
        if (is_worth_it && version_set_sealed_count(db->versions, ids[i]) == 0 &&
            status_is_ok(commit_drain(db)) && status_is_ok(version_set_seal(db->versions, ids[i])))
            commit_forget_targets(db);
    }
    /* relaxed: as where the picker's view loads it. */
    atomic_u32_store(&db->wants_room, 1, memory_order_relaxed);
    workers_wake(db->workers);
}

/* Beyond the limit less a reserve only deletes are taken, or nobody could ever get below it again:
 * up to the limit, and beyond it as much as the reserve holds of log, which flushes give back. */
static status commit_check_disk_limit(firn_db *db, const batch_view *first) {
    uint64_t limit = db->config.disk_limit_bytes, reserve = db->config.limit_reserve_bytes;
    if (UNLIKELY(db->commit.only_deletes))
        db->commit.only_deletes = false;
    if (LIKELY(limit == FIRN_NONE))
        return STATUS_OK;
    wal_writer_stats log;
    uint64_t used = commit_disk_used(db, &log);
    if (used + reserve >= limit && log.spares > 0) {
        wal_writer_drop_spares(db->log);
        used = commit_disk_used(db, &log);
    }
    if (used + reserve < limit) {
        /* relaxed, both: as where it is loaded by the picker's view. */
        if (UNLIKELY(atomic_u32_load(&db->wants_room, memory_order_relaxed)))
            atomic_u32_store(&db->wants_room, 0, memory_order_relaxed);
        return STATUS_OK;
    }
    db->commit.only_deletes = true;
    if ((used < limit || log.live_bytes < reserve) && commit_only_deletes(first))
        return STATUS_OK;
    commit_start_making_room(db, &log);
    return error_status(
        FIRN_NO_SPACE,
        "%s: uses %llu bytes, disk_limit_bytes is %llu, of which %llu are kept for deletes; delete "
        "data, and compact where it is needed at once, or raise the limit",
        db->directory, (unsigned long long)used, (unsigned long long)limit,
        (unsigned long long)reserve);
}

/* --- a full file system --- */

/* Whether, while space is short, the log may grow by the batch. */
static bool commit_has_log(firn_db *db, const batch_view *first) {
    wal_writer_stats log;
    wal_writer_get_stats(db->log, &log);
    return log.segments <= 1 ||
           log.live_bytes + first->ops.size < space_reserve_log_bytes(&db->space);
}

/* Flushes under way give log back. */
static bool commit_waits_for_log(firn_db *db, MAYBE_UNUSED uint32_t keyspace_id) {
    return version_set_has_sealed(db->versions, SEQNO_MAX);
}

/* Once writers have added what the reserve was made for, a worker makes it larger; without threads
 * nobody might for long. */
static void commit_want_space_kept(firn_db *db) {
    uint64_t end = wal_writer_end(db->log);
    /* relaxed, all three: as where they are stored and loaded. */
    if (LIKELY(end < atomic_u64_load(&db->kept_until, memory_order_relaxed)))
        return;
    if (!workers_are_threads(db->workers)) {
        db_keep_space(db);
        return;
    }
    atomic_u64_store(&db->kept_until, UINT64_MAX, memory_order_relaxed); /* relaxed: above */
    atomic_u32_store(&db->wants_space_kept, 1, memory_order_relaxed);    /* relaxed: above */
    workers_wake(db->workers);
}

/* While space is short only deletes are taken: they lead to free space, and what was kept aside is
 * for them and for what makes room of them. */
static status commit_check_space(firn_db *db, const batch_view *first) {
    status st = STATUS_OK;
    commit_want_space_kept(db);
    if (LIKELY(!space_reserve_is_short(&db->space)))
        return STATUS_OK;
    wal_writer_drop_spares(db->log);
    db_keep_space(db);
    if (!space_reserve_is_short(&db->space))
        return STATUS_OK;
    db->commit.only_deletes = true;
    bool is_delete = commit_only_deletes(first);
    if (is_delete && commit_has_log(db, first))
        return STATUS_OK;
    wal_writer_stats log;
    wal_writer_get_stats(db->log, &log);
    commit_start_making_room(db, &log);
    if (is_delete)
        TRY(commit_wait_while(db, commit_waits_for_log, 0, WRITE_WAIT_MEMTABLES));
    if (!is_delete || !commit_has_log(db, first))
        st = error_status(
            FIRN_NO_SPACE,
            "%s: the file system has no room for what is kept aside for deletes (option "
            "disk_reserve_bytes); free space, or delete data, and writes go on",
            db->directory);
out:
    return st;
}

/* --- all of it --- */

FIRN_INTERNAL bool commit_has_room(firn_db *db) {
    return pacing_is_free(db) && !commit_full_target(db) &&
           !memory_budget_is_write_half_full(&db->memory, true);
}

FIRN_INTERNAL status commit_make_room(firn_db *db, const batch_view *first) {
    status st = STATUS_OK;
    TRY(commit_check_writable(db));
    TRY(commit_check_disk_limit(db, first));
    TRY(commit_check_space(db, first));
    pacing_charge(db);
    if (LIKELY(!db->commit.only_deletes)) /* what deletes lead to is what L0 waits for */
        TRY(commit_wait_while(db, commit_l0_is_full, 0, WRITE_WAIT_L0_STOP));
    if (UNLIKELY(db->commit.target_count == 0)) /* recovery insists on the default keyspace */
        CHECK(commit_find_target(db, KEYSPACE_DEFAULT) != NULL);
    const commit_target *full = commit_full_target(db);
    if (UNLIKELY(full)) {
        TRY(commit_seal(db, full->keyspace));
        TRY(commit_bound_log(db));
    }
    if (UNLIKELY(memory_budget_is_write_half_full(&db->memory, true)))
        TRY(commit_make_memory(db));
out:
    return st;
}

#undef COMMIT_LOG_MEMTABLES_MAX
#undef COMMIT_AGE_LOOK_NS_LEAST
#undef COMMIT_AGE_LOOK_NS_MOST
