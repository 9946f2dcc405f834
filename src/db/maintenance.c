/* Background work by request: flush, compact a range, wait until all is quiet, pause, cancel. */
#include "db/background_internal.h"
#include "db/option_table.h"
#include "platform/error_detail.h"

#include "base/poison.h"

/* Whoever asks for work himself gets a fresh try of it: that a job failed before, on a disk that
 * has space again by now, is no answer to him. */
static void maintenance_try_again(firn_db *db) {
    mutex_lock(&db->background.guard);
    db->background.last = STATUS_OK;
    db->background.retry_at_ns = 0;
    mutex_unlock(&db->background.guard);
}

/* --- flush --- */

/* Waits until everything up to `sequence`, which the caller has sealed, is in tables. Memtables
 * that are sealed meanwhile are not waited for: under load there is always one. */
static status maintenance_wait_flushed(firn_db *db, seqno sequence) {
    status st = STATUS_OK;
    background *b = &db->background;
    workers_wake(db->workers);
    while (status_is_ok(st) && version_set_has_sealed(db->versions, sequence)) {
        mutex_lock(&b->guard);
        if (!status_is_ok(b->last))
            st = b->last;
        else if (version_set_has_sealed(db->versions, sequence) && !background_wait_locked(db))
            st = status_is_ok(b->last) ? status_of(FIRN_BUSY, "flushing") : b->last;
        mutex_unlock(&b->guard);
    }
    if (!status_is_ok(st))
        error_detail_set("%s: flush fails: %s (see events.log)", db->directory,
                         firn_status_name(st.code));
    return st;
}

FIRN_INTERNAL status db_flush(firn_db *db) {
    status st = STATUS_OK;
    /* acquire: pairs with the commit leader's release; what is visible by now gets sealed. */
    seqno sequence = atomic_u64_load(&db->visible, memory_order_acquire);
    maintenance_try_again(db);
    TRY(commit_seal_all(db));
    TRY(maintenance_wait_flushed(db, sequence));
out:
    return st;
}

/* --- compacting a range --- */

/* A request: cancelled when `cancels` has moved on. */
typedef struct maintenance_request {
    firn_db *db;
    uint64_t cancels;
    const manual_range *range;
    background_pick pick;
} maintenance_request;

static bool maintenance_is_cancelled(void *context) {
    const maintenance_request *r = context;
    background *b = &r->db->background;
    mutex_lock(&b->guard);
    bool cancelled = b->closing || b->cancels != r->cancels;
    mutex_unlock(&b->guard);
    return cancelled;
}

static status maintenance_cancelled(const firn_db *db) {
    return error_status(FIRN_ABORTED, "%s: the compaction was cancelled, or the database closes",
                        db->directory);
}

/* Automatic compactions make room for one by request: they would pick the same tables. */
static status maintenance_take_turn(maintenance_request *r) {
    status st = STATUS_OK;
    background *b = &r->db->background;
    mutex_lock(&b->guard);
    r->cancels = b->cancels;
    while (b->manual && !b->closing && b->cancels == r->cancels)
        cond_wait(&b->changed, &b->guard);
    if (b->closing || b->cancels != r->cancels) {
        st = maintenance_cancelled(r->db);
        goto out;
    }
    b->manual = true;
    while (b->compactions_running > 0)
        cond_wait(&b->changed, &b->guard);
    b->compactions_running++;
out:
    mutex_unlock(&b->guard);
    return st;
}

static void maintenance_end_turn(firn_db *db, status st) {
    background_end(db, &db->background.compactions_running, st, "requested compaction");
    mutex_lock(&db->background.guard);
    db->background.manual = false;
    cond_broadcast(&db->background.changed);
    mutex_unlock(&db->background.guard);
    workers_wake(db->workers);
}

static void maintenance_pick_locked(void *context, version *now) {
    maintenance_request *r = context;
    background_pick *p = &r->pick;
    picker_view view = background_view(r->db, p->keyspace, now);
    p->st = picker_pick_manual(&view, r->range, &p->found, &p->plan);
}

static status maintenance_step(maintenance_request *r, uint32_t keyspace_id, bool *found) {
    firn_db *db = r->db;
    job_env env = db->jobs;
    env.cancelled = maintenance_is_cancelled;
    env.context = r;
    r->pick = (background_pick){.db = db, .keyspace = keyspace_id};
    version_set_with_state(db->versions, keyspace_id, maintenance_pick_locked, r);
    *found = r->pick.found;
    status st = r->pick.st;
    if (*found)
        st = maintenance_is_cancelled(r) ? maintenance_cancelled(db)
                                         : background_run_plan(db, &env, &r->pick.plan);
    compaction_plan_deinit(&r->pick.plan);
    background_note_tree(db);
    return st;
}

FIRN_INTERNAL status db_compact_range(firn_db *db, slice lower, slice upper) {
    status st = STATUS_OK;
    uint32_t ids[BACKGROUND_KEYSPACES_MAX];
    bool found = true;
    maintenance_request request = {.db = db};
    TRY(commit_check_writable(db));
    TRY(db_flush(db));
    TRY(maintenance_take_turn(&request));
    manual_range range = {lower, upper, version_set_new_file_number(db->versions)};
    request.range = &range;
    uint32_t count = version_set_keyspaces(db->versions, ids, BACKGROUND_KEYSPACES_MAX);
    for (uint32_t i = 0; i < count && status_is_ok(st); i++) {
        do {
            st = maintenance_step(&request, ids[i], &found);
            if (status_is(st, FIRN_NO_SPACE) && space_reserve_held_bytes(&db->space) > 0 &&
                space_reserve_spend(&db->space)) /* once more with what that freed */
                st = maintenance_step(&request, ids[i], &found);
        } while (found && status_is_ok(st));
    }
    maintenance_end_turn(db, st);
out:
    return st;
}

FIRN_INTERNAL void db_cancel_compact_range(firn_db *db) {
    mutex_lock(&db->background.guard);
    db->background.cancels++;
    cond_broadcast(&db->background.changed);
    mutex_unlock(&db->background.guard);
}

/* --- pause and resume --- */

FIRN_INTERNAL status db_pause_compactions(firn_db *db) {
    status st = commit_check_writable(db);
    if (!status_is_ok(st))
        return st;
    background *b = &db->background;
    mutex_lock(&b->guard);
    b->pauses++;
    while (b->compactions_running > (b->manual ? 1u : 0u))
        cond_wait(&b->changed, &b->guard);
    mutex_unlock(&b->guard);
    return STATUS_OK;
}

FIRN_INTERNAL status db_resume_compactions(firn_db *db) {
    status st = STATUS_OK;
    mutex_lock(&db->background.guard);
    if (db->background.pauses == 0)
        st = error_status(FIRN_INVALID_ARGUMENT, "%s: compactions are not paused", db->directory);
    else
        db->background.pauses--;
    mutex_unlock(&db->background.guard);
    if (status_is_ok(st))
        workers_wake(db->workers);
    return st;
}

/* --- quiet --- */

/* What is due while compactions are paused is not waited for. A job under way hides what it works
 * on from the picker, so "nothing is due" counts only if none ran during the look: none runs after
 * it, and none ended since before it. */
static bool maintenance_may_be_idle(firn_db *db) {
    background *b = &db->background;
    uint64_t active;
    mutex_lock(&b->guard);
    uint64_t ended = b->ended;
    bool paused = b->pauses > 0;
    mutex_unlock(&b->guard);
    bool due =
        paused ? version_set_sealed_bytes(db->versions, &active) > 0 : background_work_is_due(db);
    mutex_lock(&b->guard);
    bool quiet = b->flushes_running == 0 && b->compactions_running == 0 && b->ended == ended;
    mutex_unlock(&b->guard);
    return quiet && !due;
}

FIRN_INTERNAL status db_wait_idle(firn_db *db) {
    status st = STATUS_OK;
    background *b = &db->background;
    bool idle = false;
    TRY(commit_check_writable(db));
    maintenance_try_again(db);
    while (!idle && status_is_ok(st)) {
        workers_wake(db->workers);
        idle = maintenance_may_be_idle(db);
        mutex_lock(&b->guard);
        if (!idle && !status_is_ok(b->last)) {
            st = b->last;
        } else if (!idle && !background_wait_locked(db)) {
            st = b->last;
            idle = true;
        }
        mutex_unlock(&b->guard);
    }
out:
    return st;
}

/* --- options of an open database --- */

FIRN_INTERNAL status db_set_option(firn_db *db, const char *name, const char *value) {
    status st = STATUS_OK;
    firn_options changed = FIRN_OPTIONS_INIT;
    TRY(commit_check_writable(db));
    TRY(option_table_set(&changed, name, value));
    if (strcmp(name, "background_rate_bytes") != 0) {
        st = error_status(FIRN_INVALID_ARGUMENT,
                          "option %s cannot be changed while the database is open", name);
        goto out;
    }
    rate_limiter_set(&db->limiter,
                     changed.background_rate_bytes == FIRN_NONE ? 0 : changed.background_rate_bytes,
                     true);
out:
    return st;
}
