/* What the workers do: keep space aside, make the log's next segment, flush, compact, delete dead
 * files - in this order of urgency - and what the rest of the engine may wait for. */
#include "compaction/level_targets.h"
#include "db/background_internal.h"
#include "format/file_name.h"
#include "platform/error_detail.h"

#include "base/poison.h"

#define BACKGROUND_RETRY_NS   100000000u /* after a failed job */
#define BACKGROUND_LOOK_NS    5000000u
#define BACKGROUND_COLLECT_NS 10000000u

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

FIRN_INTERNAL void background_note_tree(firn_db *db) {
    uint32_t ids[BACKGROUND_KEYSPACES_MAX], l0 = 0;
    uint64_t bytes = 0, debt = 0;
    uint32_t count = version_set_keyspaces(db->versions, ids, BACKGROUND_KEYSPACES_MAX);
    for (uint32_t i = 0; i < count; i++) {
        read_view *view = version_set_view(db->versions, ids[i]);
        uint32_t tables = level_backlog_tables(view->version, &db->config.tree);
        l0 = tables > l0 ? tables : l0;
        bytes += version_total_bytes(view->version);
        debt += level_debt_bytes(view->version, &db->config.tree);
        read_view_unref(view);
    }
    pacing_note_tree(db, l0, debt, bytes);
    table_cache_set_mapped(db->tables, db_config_maps_tables(&db->config, bytes,
                                                             table_cache_is_mapped(db->tables)));
}

/* --- the jobs that run, for people and for pacing --- */

static background_job *background_job_start(firn_db *db, const background_job *what) {
    background *b = &db->background;
    background_job *job = NULL;
    mutex_lock(&b->guard);
    for (uint32_t i = 0; i < BACKGROUND_JOBS_MAX && !job; i++) {
        if (!b->jobs[i].name)
            job = &b->jobs[i];
    }
    CHECK(job != NULL); /* one for each worker, and one for a caller who works himself */
    *job = *what;
    job->started_ns = time_monotonic_ns(db->config.clock);
    mutex_unlock(&b->guard);
    return job;
}

static void background_job_end(firn_db *db, background_job *job) {
    mutex_lock(&db->background.guard);
    *job = (background_job){0};
    mutex_unlock(&db->background.guard);
}

static uint64_t background_job_done(const background_job *job) {
    /* relaxed: no partner. */
    uint64_t done = atomic_u64_load(&job->progress.entries_done, memory_order_relaxed);
    uint64_t total = atomic_u64_load(&job->progress.entries_total, memory_order_relaxed);
    double part = total ? (double)done / (double)total : 0;
    return (uint64_t)((double)job->bytes * (part < 1 ? part : 1));
}

FIRN_INTERNAL uint64_t background_flushed_bytes(firn_db *db) {
    uint64_t bytes = 0;
    mutex_lock(&db->background.guard);
    for (uint32_t i = 0; i < BACKGROUND_JOBS_MAX; i++) {
        const background_job *job = &db->background.jobs[i];
        if (job->name && job->is_flush)
            bytes += background_job_done(job);
    }
    mutex_unlock(&db->background.guard);
    return bytes;
}

FIRN_INTERNAL uint32_t background_list_jobs(firn_db *db, firn_job_stats *out, uint32_t capacity) {
    uint32_t count = 0;
    uint64_t now = time_monotonic_ns(db->config.clock);
    mutex_lock(&db->background.guard);
    for (uint32_t i = 0; i < BACKGROUND_JOBS_MAX && count < capacity; i++) {
        const background_job *job = &db->background.jobs[i];
        if (!job->name)
            continue;
        uint64_t done = background_job_done(job), elapsed = now - job->started_ns;
        double left = done ? (double)(job->bytes - done) / (double)done * (double)elapsed : 0;
        out[count++] = (firn_job_stats){.name = job->name,
                                        .from_level = job->from_level,
                                        .to_level = job->to_level,
                                        .bytes_done = done,
                                        .bytes_total = job->bytes,
                                        .elapsed_ns = elapsed,
                                        .left_ns = (uint64_t)left};
    }
    mutex_unlock(&db->background.guard);
    return count;
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
FIRN_INTERNAL void background_end(firn_db *db, uint32_t *running, status st, const char *what) {
    background_note_tree(db);
    db_report_refusals(db);
    bool failed = !status_is_ok(st) && !status_is(st, FIRN_ABORTED);
    if (failed) {
        event e = event_begin(db->events, "error");
        event_string(&e, "job", what);
        event_string(&e, "status", firn_status_name(st.code));
        event_string(&e, "detail", error_detail_get());
        event_end(&e);
    }
    if (status_is(st, FIRN_NO_SPACE)) {
        wal_writer_drop_spares(db->log);
        failed = !space_reserve_spend(&db->space); /* with what that freed it is tried at once */
    } else if (status_is_ok(st)) {
        db_keep_space(db);
    }
    version_set_facts facts;
    version_set_get_facts(db->versions, &facts);
    if (facts.poisoned && status_is_ok(commit_check_writable(db)))
        commit_poison(db, st, "the database takes no more writes until it is opened again");
    mutex_lock(&db->background.guard);
    --*running;
    db->background.ended++;
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
    background_job what = {.name = "flush",
                           .is_flush = true,
                           .bytes = memtable_bytes(flushed.table)};
    background_job *job = background_job_start(db, &what);
    status st = flush_job_run(&db->jobs, &flushed, &job->progress, &result);
    uint64_t elapsed = time_monotonic_ns(db->config.clock) - job->started_ns;
    background_job_end(db, job);
    if (!status_is_ok(st)) {
        version_set_flush_failed(db->versions, flushed.keyspace, flushed.table);
        return st;
    }
    pacing_note_flush(db, what.bytes, elapsed);
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
        /* relaxed: a hint among workers. */
        atomic_u32_store(&db->flush_lacks_space, status_is(st, FIRN_NO_SPACE),
                         memory_order_relaxed);
        return true;
    }
    mutex_lock(&db->background.guard);
    db->background.flushes_running--;
    cond_broadcast(&db->background.changed);
    mutex_unlock(&db->background.guard);
    return false;
}

/* --- compaction --- */

/* relaxed: no partner; whoever sets it wakes the workers. */
static bool background_wants_room(const firn_db *db) {
    return atomic_u32_load(&db->wants_room, memory_order_relaxed) != 0 &&
           (db->config.disk_limit_bytes != FIRN_NONE || space_reserve_is_short(&db->space));
}

FIRN_INTERNAL picker_view background_view(firn_db *db, uint32_t keyspace, version *now) {
    return (picker_view){.version = now,
                         .keyspace = keyspace,
                         .options = &db->config.tree,
                         .now_ms = time_wall_ms(db->config.clock),
                         .expired_ms = snapshot_registry_clock_ms(&db->snapshots),
                         .wants_room = background_wants_room(db)};
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

static uint64_t background_plan_l0_bytes(const compaction_plan *plan) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < plan->input_count[0]; i++)
        bytes += plan->inputs[0][i]->where.file_bytes;
    return bytes;
}

FIRN_INTERNAL status background_run_plan(firn_db *db, const job_env *env,
                                         const compaction_plan *plan) {
    status st;
    job_result result;
    background_job what = {.name = "compaction",
                           .from_level = plan->from_level,
                           .to_level = plan->to_level,
                           .bytes = compaction_plan_input_bytes(plan)};
    background_job *job = background_job_start(db, &what);
    bool behind = plan->version->levels[0].count >= db->config.tree.l0_slowdown;
    uint64_t started_ns = job->started_ns;
    st = compaction_job_run(env, plan, &job->progress, &result);
    background_job_end(db, job);
    for (uint32_t level = 0; level < LEVEL_COUNT; level++)
        version_set_mark_compacting(db->versions, plan->inputs[level], plan->input_count[level],
                                    false);
    if (!status_is_ok(st))
        return st;
    if (plan->from_level == 0 && plan->to_level > 0 && !result.was_move)
        pacing_note_drain(db, background_plan_l0_bytes(plan), started_ns, behind);
    counters_add(&db->counters, result.was_move ? COUNT_MOVES : COUNT_COMPACTIONS, 1);
    counters_add(&db->counters, COUNT_COMPACTION_READ, result.bytes_read);
    counters_add(&db->counters, COUNT_COMPACTION_WRITTEN, result.bytes_written);
    return st;
}

static bool background_try_compaction(firn_db *db) {
    background_pick p;
    mutex_lock(&db->background.guard);
    bool may = db->background.pauses == 0 && !db->background.manual && !db->background.closing;
    if (may)
        db->background.compactions_running++;
    mutex_unlock(&db->background.guard);
    if (!may)
        return false;
    if (background_pick_compaction(db, false, &p)) {
        if (p.found)
            p.st = background_run_plan(db, &db->jobs, &p.plan);
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

/* --- what time alone makes due --- */

/* Asks to be called when a table is due for what expires in it or for its age; once a second at
 * least where a snapshot's clock holds that up. */
static void background_ask_for_time(firn_db *db, uint64_t *retry_ns) {
    enum { BACKGROUND_TIME_MS_MAX = 60000, BACKGROUND_TIME_HELD_MS = 1000 };
    uint32_t ids[BACKGROUND_KEYSPACES_MAX];
    uint64_t next_ms = UINT64_MAX;
    uint32_t count = version_set_keyspaces(db->versions, ids, BACKGROUND_KEYSPACES_MAX);
    for (uint32_t i = 0; i < count; i++) {
        read_view *view = version_set_view(db->versions, ids[i]);
        uint64_t due_ms = picker_next_due_ms(view->version, &db->config.tree);
        next_ms = due_ms < next_ms ? due_ms : next_ms;
        read_view_unref(view);
    }
    if (next_ms == UINT64_MAX)
        return;
    uint64_t now_ms = time_wall_ms(db->config.clock);
    uint64_t wait_ms = next_ms > now_ms ? next_ms - now_ms : BACKGROUND_TIME_HELD_MS;
    if (wait_ms > BACKGROUND_TIME_MS_MAX)
        wait_ms = BACKGROUND_TIME_MS_MAX;
    if (*retry_ns == 0 || wait_ms * 1000000 < *retry_ns)
        *retry_ns = wait_ms * 1000000;
}

/* --- the order of urgency --- */

/* After a flush that found no space, once: something smaller may give back what it needs. */
static bool background_compacts_first(firn_db *db) {
    /* relaxed, both: a hint among workers. */
    bool first = atomic_u32_load(&db->flush_lacks_space, memory_order_relaxed) != 0;
    if (UNLIKELY(first))
        atomic_u32_store(&db->flush_lacks_space, 0, memory_order_relaxed);
    return first;
}

FIRN_INTERNAL bool background_run_one(void *context, bool urgent_only, uint64_t *retry_ns) {
    firn_db *db = context;
    uint64_t now = time_monotonic_ns(db->config.clock);
    mutex_lock(&db->background.guard);
    uint64_t retry_at = db->background.retry_at_ns;
    mutex_unlock(&db->background.guard);
    if (retry_at > now) {
        *retry_ns = retry_at - now;
        /* What failed may be waiting for the very space that dead tables hold. */
        (void)version_set_collect(db->versions, now);
        return background_try_bury(db);
    }
    *retry_ns = commit_seal_aged(db, now);
    commit_seal_skipped(db);
    /* The log first, for it takes milliseconds and the next writer may need it. */
    if (db_try_keep_space(db) ||
        (!space_reserve_is_short(&db->space) && wal_writer_prepare(db->log)))
        return true;
    if (!urgent_only && background_compacts_first(db) && background_try_compaction(db))
        return true;
    if (background_try_flush(db))
        return true;
    if (!urgent_only && background_try_compaction(db))
        return true;
    if (!urgent_only)
        background_ask_for_time(db, retry_ns);
    /* A reader was inside when a view was replaced: look again soon. */
    if (version_set_collect(db->versions, now) > 0)
        *retry_ns = BACKGROUND_COLLECT_NS;
    return background_try_bury(db);
}

FIRN_INTERNAL bool background_work_is_due(firn_db *db) {
    background_pick p;
    uint64_t active;
    if (version_set_sealed_bytes(db->versions, &active) > 0 || commit_seal_skipped_is_due(db))
        return true;
    if (!background_pick_compaction(db, true, &p))
        return false;
    compaction_plan_deinit(&p.plan);
    return p.found;
}

FIRN_INTERNAL bool db_step(firn_db *db) {
    return workers_step(db->workers);
}

FIRN_INTERNAL status db_keyspace_create(firn_db *db, const char *name, uint32_t *id) {
    status st = commit_check_writable(db);
    return status_is_ok(st) ? version_set_create_keyspace(db->versions, name, id) : st;
}

#undef BACKGROUND_RETRY_NS
#undef BACKGROUND_LOOK_NS
#undef BACKGROUND_COLLECT_NS
