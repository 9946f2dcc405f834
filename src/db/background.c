/* What the workers do: flush, compact, delete dead files - in this order of urgency - and what the
 * rest of the engine may wait for. */
#include "compaction/level_targets.h"
#include "db/db_internal.h"
#include "format/file_name.h"
#include "platform/error_detail.h"

#include "base/poison.h"

#define BACKGROUND_RETRY_NS      100000000u /* after a failed job */
#define BACKGROUND_LOOK_NS       5000000u
#define BACKGROUND_COLLECT_NS    10000000u
#define BACKGROUND_KEYSPACES_MAX 64

FIRN_INTERNAL bool background_is_closing(void *context) {
    firn_db *db = context;
    mutex_lock(&db->background.guard);
    bool closing = db->background.closing;
    mutex_unlock(&db->background.guard);
    return closing;
}

FIRN_INTERNAL void background_wake(void *context) {
    firn_db *db = context;
    if (db->workers)
        workers_wake(db->workers);
}

FIRN_INTERNAL bool background_wait_locked(firn_db *db) {
    mutex_assert_held(&db->background.guard);
    if (workers_are_threads(db->workers)) {
        /* Bounded: a job may have ended between the caller's look and this wait. */
        cond_wait_for(&db->background.changed, &db->background.guard, BACKGROUND_LOOK_NS);
        return true;
    }
    mutex_unlock(&db->background.guard);
    bool did = workers_step(db->workers);
    mutex_lock(&db->background.guard);
    return did;
}

/* Refreshes what writers look at without a lock. */
FIRN_INTERNAL void background_note_tree(firn_db *db) {
    uint32_t ids[BACKGROUND_KEYSPACES_MAX], l0 = 0;
    uint64_t bytes = 0;
    uint32_t count = version_set_keyspaces(db->versions, ids, BACKGROUND_KEYSPACES_MAX);
    for (uint32_t i = 0; i < count; i++) {
        read_view *view = version_set_view(db->versions, ids[i]);
        uint32_t tables = level_backlog_tables(view->version, &db->config.tree);
        l0 = tables > l0 ? tables : l0;
        bytes += version_total_bytes(view->version);
        read_view_unref(view);
    }
    /* relaxed: no partner; hints for pacing. */
    atomic_u32_store(&db->l0_tables, l0, memory_order_relaxed);
    atomic_u64_store(&db->disk_bytes, bytes, memory_order_relaxed);
    table_cache_set_mapped(db->tables, db_config_maps_tables(&db->config, bytes,
                                                             table_cache_is_mapped(db->tables)));
}

/* --- beginning and ending a job --- */

static bool background_begin(firn_db *db, uint32_t *running) {
    mutex_lock(&db->background.guard);
    bool may = !db->background.closing;
    if (may)
        ++*running;
    mutex_unlock(&db->background.guard);
    return may;
}

/* A failure is remembered until a later job succeeds: writers that have to wait report it instead.
 */
static void background_end(firn_db *db, uint32_t *running, status st, const char *what) {
    background_note_tree(db);
    bool failed = !status_is_ok(st) && !status_is(st, FIRN_ABORTED);
    if (failed) {
        event e = event_begin(db->events, "error");
        event_string(&e, "job", what);
        event_string(&e, "status", firn_status_name(st.code));
        event_string(&e, "detail", error_detail_get());
        event_end(&e);
    }
    if (status_is(st, FIRN_NO_SPACE))
        wal_writer_drop_spares(db->log); /* the retry may find room */
    version_set_facts facts;
    version_set_get_facts(db->versions, &facts);
    if (facts.poisoned && status_is_ok(commit_check_writable(db)))
        commit_poison(db, st, "the database takes no more writes until it is opened again");
    mutex_lock(&db->background.guard);
    --*running;
    db->background.last = failed ? st : STATUS_OK;
    db->background.retry_at_ns =
        failed ? time_monotonic_ns(db->config.clock) + BACKGROUND_RETRY_NS : 0;
    cond_broadcast(&db->background.changed);
    mutex_unlock(&db->background.guard);
    if (!failed)
        workers_wake(db->workers); /* one piece of work often makes another due */
}

/* --- flush --- */

FIRN_INTERNAL status background_flush_one(firn_db *db, bool *found) {
    job_result result;
    flushed_memtable flushed;
    *found = version_set_take_flush(db->versions, &flushed.keyspace, &flushed.table);
    if (!*found)
        return STATUS_OK;
    status st = flush_job_run(&db->jobs, &flushed, &result);
    if (!status_is_ok(st)) {
        version_set_flush_failed(db->versions, flushed.keyspace, flushed.table);
        return st;
    }
    counters_add(&db->counters, COUNT_FLUSHES, 1);
    counters_add(&db->counters, COUNT_FLUSH_BYTES, result.bytes_written);
    return st;
}

static bool background_try_flush(firn_db *db) {
    bool found;
    if (!background_begin(db, &db->background.flushes_running))
        return false;
    status st = background_flush_one(db, &found);
    if (found) {
        background_end(db, &db->background.flushes_running, st, "flush");
        return true;
    }
    mutex_lock(&db->background.guard);
    db->background.flushes_running--;
    cond_broadcast(&db->background.changed);
    mutex_unlock(&db->background.guard);
    return false;
}

/* --- compaction --- */

typedef struct background_pick {
    firn_db *db;
    uint32_t keyspace;
    bool only_asks; /* whether there is something to do: nothing is marked */
    bool found;
    compaction_plan plan;
    status st;
} background_pick;

/* What the pickers look at. Tables from before this open begin to age when they are first seen:
 * they are kept too long rather than too short. */
static picker_view background_view(firn_db *db, uint32_t keyspace, version *now) {
    picker_view view = {.version = now,
                        .keyspace = keyspace,
                        .options = &db->config.tree,
                        .now_ms = time_wall_ms(db->config.clock)};
    for (uint32_t level = 0; db->config.tree.fifo_ttl_ms && level < LEVEL_COUNT; level++) {
        for (uint32_t i = 0; i < now->levels[level].count; i++) {
            table_meta *t = now->levels[level].tables[i];
            t->newest_ms = t->newest_ms ? t->newest_ms : view.now_ms;
        }
    }
    return view;
}

/* Under the version set's state lock, which guards the tables' compacting flags. */
static void background_pick_locked(void *context, version *now) {
    background_pick *p = context;
    picker_view view = background_view(p->db, p->keyspace, now);
    p->st = picker_pick(&view, &p->found, &p->plan);
    for (uint32_t level = 0; p->found && !p->only_asks && level < LEVEL_COUNT; level++) {
        for (uint32_t i = 0; i < p->plan.input_count[level]; i++)
            p->plan.inputs[level][i]->compacting = true;
    }
}

static bool background_pick_compaction(firn_db *db, bool only_asks, background_pick *p) {
    uint32_t ids[BACKGROUND_KEYSPACES_MAX];
    uint32_t count = version_set_keyspaces(db->versions, ids, BACKGROUND_KEYSPACES_MAX);
    mutex_lock(&db->background.guard);
    uint64_t first = db->background.next_keyspace++;
    mutex_unlock(&db->background.guard);
    for (uint32_t i = 0; i < count; i++) {
        *p = (background_pick){.db = db,
                               .keyspace = ids[(first + i) % count],
                               .only_asks = only_asks};
        version_set_with_state(db->versions, p->keyspace, background_pick_locked, p);
        if (p->found || !status_is_ok(p->st))
            return true;
    }
    return false;
}

static void background_run_plan(firn_db *db, compaction_plan *plan, status *st) {
    job_result result;
    *st = compaction_job_run(&db->jobs, plan, &result);
    for (uint32_t level = 0; level < LEVEL_COUNT; level++)
        version_set_mark_compacting(db->versions, plan->inputs[level], plan->input_count[level],
                                    false);
    if (!status_is_ok(*st))
        return;
    counters_add(&db->counters, result.was_move ? COUNT_MOVES : COUNT_COMPACTIONS, 1);
    counters_add(&db->counters, COUNT_COMPACTION_READ, result.bytes_read);
    counters_add(&db->counters, COUNT_COMPACTION_WRITTEN, result.bytes_written);
}

static bool background_try_compaction(firn_db *db) {
    background_pick p;
    mutex_lock(&db->background.guard);
    bool may = !db->background.paused && !db->background.closing;
    if (may)
        db->background.compactions_running++;
    mutex_unlock(&db->background.guard);
    if (!may)
        return false;
    if (background_pick_compaction(db, false, &p)) {
        if (p.found)
            background_run_plan(db, &p.plan, &p.st);
        compaction_plan_deinit(&p.plan);
        background_end(db, &db->background.compactions_running, p.st, "compaction");
        return true;
    }
    mutex_lock(&db->background.guard);
    db->background.compactions_running--;
    cond_broadcast(&db->background.changed);
    mutex_unlock(&db->background.guard);
    return false;
}

/* --- dead files --- */

static bool background_try_bury(firn_db *db) {
    char path[FILE_PATH_BYTES];
    table_meta *dead = graveyard_take(&db->grave);
    bool any = dead != NULL;
    while (dead) {
        table_meta *next = dead->next_dead;
        table_cache_forget(db->tables, &dead->where);
        /* A file that cannot be removed is an orphan for the next open. */
        (void)!status_is_ok(vfs_remove(db->config.vfs, file_path(path, db->directory, FILE_TABLE,
                                                                 dead->where.number)));
        table_meta_bury(dead);
        dead = next;
    }
    return any;
}

/* --- the order of urgency --- */

FIRN_INTERNAL bool background_run_one(void *context, bool urgent_only, uint64_t *retry_ns) {
    firn_db *db = context;
    uint64_t now = time_monotonic_ns(db->config.clock);
    mutex_lock(&db->background.guard);
    uint64_t retry_at = db->background.retry_at_ns;
    mutex_unlock(&db->background.guard);
    if (retry_at > now) {
        *retry_ns = retry_at - now;
        return background_try_bury(db);
    }
    *retry_ns = commit_seal_aged(db, now);
    if (background_try_flush(db))
        return true;
    if (!urgent_only && background_try_compaction(db))
        return true;
    /* A reader was inside when a view was replaced: look again soon. */
    if (version_set_collect(db->versions, now) > 0)
        *retry_ns = BACKGROUND_COLLECT_NS;
    return background_try_bury(db);
}

/* --- by request --- */

static bool background_is_quiet_locked(const firn_db *db) {
    const background *b = &db->background;
    return b->flushes_running == 0 && b->compactions_running == 0;
}

/* Whoever asks for work himself gets a fresh try of it: that a job failed before, on a disk that
 * has space again by now, is no answer to him. */
static void background_try_again(firn_db *db) {
    mutex_lock(&db->background.guard);
    db->background.last = STATUS_OK;
    db->background.retry_at_ns = 0;
    mutex_unlock(&db->background.guard);
}

/* Waits until everything up to `sequence`, which the caller has sealed, is in tables. Memtables
 * that are sealed meanwhile are not waited for: under load there is always one. */
static status background_wait_flushed(firn_db *db, seqno sequence) {
    status st = STATUS_OK;
    workers_wake(db->workers);
    while (status_is_ok(st) && version_set_has_sealed(db->versions, sequence)) {
        mutex_lock(&db->background.guard);
        if (!status_is_ok(db->background.last)) {
            st = db->background.last;
            error_detail_set("%s: flush fails: %s (see events.log)", db->directory,
                             firn_status_name(st.code));
        } else if (version_set_has_sealed(db->versions, sequence) && !background_wait_locked(db)) {
            st = error_status(FIRN_BUSY, "%s: sealed memtables do not flush", db->directory);
        }
        mutex_unlock(&db->background.guard);
    }
    return st;
}

FIRN_INTERNAL status db_flush(firn_db *db) {
    status st = STATUS_OK;
    /* acquire: pairs with the commit leader's release; what is visible by now gets sealed. */
    seqno sequence = atomic_u64_load(&db->visible, memory_order_acquire);
    background_try_again(db);
    TRY(commit_seal_all(db));
    TRY(background_wait_flushed(db, sequence));
out:
    return st;
}

/* Automatic compactions make room for one by request: they would pick the same tables. */
static status background_pause_compactions(firn_db *db) {
    mutex_lock(&db->background.guard);
    while (db->background.paused && !db->background.closing)
        cond_wait(&db->background.changed, &db->background.guard);
    db->background.paused = true;
    while (db->background.compactions_running > 0)
        cond_wait(&db->background.changed, &db->background.guard);
    db->background.compactions_running++;
    mutex_unlock(&db->background.guard);
    return STATUS_OK;
}

static void background_resume_compactions(firn_db *db, status st) {
    background_end(db, &db->background.compactions_running, st, "requested compaction");
    mutex_lock(&db->background.guard);
    db->background.paused = false;
    cond_broadcast(&db->background.changed);
    mutex_unlock(&db->background.guard);
    workers_wake(db->workers);
}

typedef struct background_manual {
    background_pick pick;
    const manual_range *range;
} background_manual;

static void background_pick_manual_locked(void *context, version *now) {
    background_manual *m = context;
    background_pick *p = &m->pick;
    picker_view view = background_view(p->db, p->keyspace, now);
    p->st = picker_pick_manual(&view, m->range, &p->found, &p->plan);
}

static status background_compact_step(firn_db *db, uint32_t keyspace_id, const manual_range *range,
                                      bool *found) {
    background_manual m = {.pick = {.db = db, .keyspace = keyspace_id}, .range = range};
    version_set_with_state(db->versions, keyspace_id, background_pick_manual_locked, &m);
    *found = m.pick.found;
    status st = m.pick.st;
    if (m.pick.found)
        background_run_plan(db, &m.pick.plan, &st);
    compaction_plan_deinit(&m.pick.plan);
    background_note_tree(db);
    return st;
}

FIRN_INTERNAL status db_compact_range(firn_db *db, slice lower, slice upper) {
    status st = STATUS_OK;
    uint32_t ids[BACKGROUND_KEYSPACES_MAX];
    bool found = true;
    TRY(commit_check_writable(db));
    TRY(db_flush(db));
    TRY(background_pause_compactions(db));
    manual_range range = {lower, upper, version_set_new_file_number(db->versions)};
    uint32_t count = version_set_keyspaces(db->versions, ids, BACKGROUND_KEYSPACES_MAX);
    for (uint32_t i = 0; i < count && status_is_ok(st); i++) {
        do {
            st = background_compact_step(db, ids[i], &range, &found);
        } while (found && status_is_ok(st));
    }
    background_resume_compactions(db, st);
out:
    return st;
}

static bool background_work_is_due(firn_db *db) {
    background_pick p;
    if (version_set_has_sealed(db->versions, SEQNO_MAX))
        return true;
    if (!background_pick_compaction(db, true, &p))
        return false;
    compaction_plan_deinit(&p.plan);
    return p.found;
}

FIRN_INTERNAL status db_wait_idle(firn_db *db) {
    status st = STATUS_OK;
    bool idle = false;
    TRY(commit_check_writable(db));
    background_try_again(db);
    while (!idle && status_is_ok(st)) {
        workers_wake(db->workers);
        mutex_lock(&db->background.guard);
        st = db->background.last;
        idle = background_is_quiet_locked(db);
        mutex_unlock(&db->background.guard);
        idle = idle && !background_work_is_due(db);
        mutex_lock(&db->background.guard);
        if (!idle && status_is_ok(st) && !background_wait_locked(db))
            idle = true;
        mutex_unlock(&db->background.guard);
    }
out:
    return st;
}

FIRN_INTERNAL bool db_step(firn_db *db) {
    return workers_step(db->workers);
}

#undef BACKGROUND_RETRY_NS
#undef BACKGROUND_LOOK_NS
#undef BACKGROUND_COLLECT_NS
#undef BACKGROUND_KEYSPACES_MAX

FIRN_INTERNAL status db_keyspace_create(firn_db *db, const char *name, uint32_t *id) {
    status st = commit_check_writable(db);
    return status_is_ok(st) ? version_set_create_keyspace(db->versions, name, id) : st;
}
