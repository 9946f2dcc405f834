#include "db/db_internal.h"
#include "platform/error_detail.h"
#include "platform/memory.h"

#include "base/poison.h"

static void close_stop_work(firn_db *db) {
    mutex_lock(&db->background.guard);
    db->background.closing = true;
    cond_broadcast(&db->background.changed);
    mutex_unlock(&db->background.guard);
    if (db->has_syncer)
        thread_join(&db->syncer);
    db->has_syncer = false;
    workers_free(db->workers);
    db->workers = NULL;
}

/* Nothing is made durable here: db_close did that, or opening failed. */
FIRN_INTERNAL void db_discard(firn_db *db) {
    close_stop_work(db);
    db_idle_iterators_free(db);
    wal_writer_free(db->log);
    version_set_unref(db->versions);
    for (table_meta *dead = graveyard_take(&db->grave), *next; dead; dead = next) {
        next = dead->next_dead;
        table_meta_bury(dead); /* the file is an orphan, removed at the next open */
    }
    table_cache_free(db->tables);
    epoch_deinit(&db->readers);
    cache_free(db->blocks);
    db->blocks = NULL; /* nobody has to tell it any more */
    memory_budget_deinit(&db->memory);
    event_log_free(db->events);
    if (db->lock)
        vfs_unlock(db->config.vfs, db->lock);
    snapshot_registry_deinit(&db->snapshots);
    cond_deinit(&db->background.changed);
    mutex_deinit(&db->background.guard);
    rate_limiter_deinit(&db->limiter);
    space_reserve_deinit(&db->space);
    mutex_deinit(&db->refresh_guard);
    commit_order_deinit(&db->commit.order);
    mutex_deinit(&db->refreshing);
    memory_free(db->directory);
    memory_free(db);
}

static status close_check_handles(firn_db *db) {
    seqno oldest;
    uint64_t snapshots = snapshot_registry_count(&db->snapshots, &oldest);
    /* acquire: pairs with nothing but the caller's own order: no call may run beside firn_close. */
    uint64_t iterators = atomic_u64_load(&db->iterators, memory_order_acquire);
    uint64_t values = atomic_u64_load(&db->pinned_values, memory_order_acquire); /* as above */
    if (snapshots + iterators + values == 0)
        return STATUS_OK;
    return error_status(FIRN_BUSY,
                        "%s: %llu iterators, %llu snapshots and %llu values are not released",
                        db->directory, (unsigned long long)iterators, (unsigned long long)snapshots,
                        (unsigned long long)values);
}

/* Syncs the log and says in the manifest that it is complete, so that the next open can tell damage
 * from a torn tail; memtables are not flushed. */
static status close_make_durable(firn_db *db) {
    status st = STATUS_OK;
    version_edit edit = {0};
    version_set_facts facts;
    version_set_get_facts(db->versions, &facts);
    uint64_t end = wal_writer_end(db->log);
    if (end == facts.clean_end)
        return STATUS_OK; /* nothing was written since */
    TRY(wal_writer_sync(db->log));
    edit.has_clean_end = true;
    edit.clean_end = end;
    edit.last_sequence = db->commit.last_sequence;
    TRY(version_set_install(db->versions, &edit, NULL));
out:
    version_edit_deinit(&edit);
    return st;
}

FIRN_INTERNAL status db_close(firn_db *db) {
    status st = close_check_handles(db);
    if (!status_is_ok(st))
        return st;
    close_stop_work(db);
    if (!db->config.read_only) {
        st = commit_check_writable(db);
        if (status_is_ok(st))
            st = close_make_durable(db);
    }
    db_report_refusals(db);
    event e = event_begin(db->events, "close");
    event_string(&e, "status", firn_status_name(st.code));
    event_end(&e);
    db_discard(db);
    return st;
}
