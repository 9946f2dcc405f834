#include <errno.h>
#include <stdio.h>

#include "db/commit_group.h"
#include "db/db_internal.h"
#include "firn/version.h"
#include "format/file_name.h"
#include "platform/error_detail.h"
#include "platform/memory.h"

#include "base/poison.h"

/* Descriptors the table cache may hold: half of what the process may open, for the application has
 * files and sockets of its own. */
#define OPEN_TABLES_MAX 65536
#define OPEN_TABLES_MIN 16

FIRN_INTERNAL bool db_belongs_to_this_process(const firn_db *db) {
    return db->process == process_id();
}

/* --- what is at the path --- */

typedef struct open_survey {
    bool has_current, has_data, has_foreign;
    char foreign[256];
} open_survey;

static int open_survey_name(void *context, const char *name) {
    open_survey *s = context;
    uint64_t number;
    switch (file_name_parse(name, &number)) {
    case FILE_CURRENT:
        s->has_current = true;
        break;
    case FILE_LOG:
    case FILE_TABLE:
        s->has_data = true;
        break;
    case FILE_UNKNOWN:
        s->has_foreign = true;
        snprintf(s->foreign, sizeof s->foreign, "%s", name);
        break;
    default:
        break; /* what an interrupted creation leaves behind */
    }
    return 0;
}

static status open_make_directory(const db_config *config, const char *path) {
    if (config->read_only || !config->create_if_missing)
        return error_status(FIRN_NOT_FOUND, "%s: no such database", path);
    status st = vfs_make_dir(config->vfs, path);
    if (status_is(st, FIRN_NOT_FOUND))
        return error_status(FIRN_NOT_FOUND, "%s: the directory to create it in does not exist",
                            path);
    return status_is(st, FIRN_BUSY) ? STATUS_OK : st; /* somebody else was faster */
}

/* Decides whether there is a database, room for a new one, or something that must not be touched.
 */
static status open_survey_path(const db_config *config, const char *path, bool *exists) {
    status st = STATUS_OK;
    open_survey survey = {0};
    uint64_t bytes;
    bool is_directory;
    st = vfs_stat(config->vfs, path, &bytes, &is_directory);
    if (status_is(st, FIRN_NOT_FOUND)) {
        st = open_make_directory(config, path);
        is_directory = true;
    }
    TRY(st);
    if (!is_directory) {
        st = error_status(FIRN_INVALID_ARGUMENT, "%s: is a file; a database is a directory", path);
        goto out;
    }
    TRY(vfs_list(config->vfs, path, open_survey_name, &survey));
    *exists = survey.has_current;
    if (!survey.has_current && survey.has_foreign)
        st = error_status(FIRN_INVALID_ARGUMENT,
                          "%s: not a Firn database and not empty (it holds '%s'); nothing was "
                          "changed",
                          path, survey.foreign);
    else if (!survey.has_current && survey.has_data)
        st = error_status(FIRN_CORRUPTION,
                          "%s/CURRENT: missing, but logs or tables of a database are there; put it "
                          "back from a backup, or run 'firn repair'",
                          path);
    else if (!survey.has_current && (config->read_only || !config->create_if_missing))
        st = error_status(FIRN_NOT_FOUND, "%s: no database there", path);
    else if (survey.has_current && config->error_if_exists)
        st = error_status(FIRN_INVALID_ARGUMENT, "%s: a database exists (error_if_exists)", path);
out:
    return st;
}

static status open_take_lock(firn_db *db) {
    char path[FILE_PATH_BYTES];
    int64_t holder = 0;
    file_path(path, db->directory, FILE_LOCK, 0);
    status st = vfs_lock(db->config.vfs, path, &db->lock, &holder);
    if (!status_is(st, FIRN_LOCKED))
        return st;
    if (holder == db->process)
        return error_status(FIRN_LOCKED, "%s: open already in this process (pid %lld)",
                            db->directory, (long long)holder);
    return error_status(FIRN_LOCKED, "%s: held by process %lld; close it there, or open read-only",
                        db->directory, (long long)holder);
}

/* --- parts --- */

/* The block cache has what nobody else needs. What it gives away lies in the heap in small pieces,
 * of no use to whoever made it smaller, until the heap gives them back. */
static void open_tell_cache(void *context, uint64_t rest) {
    firn_db *db = context;
    uint64_t capacity = rest < db->config.cache_bytes ? rest : db->config.cache_bytes;
    if (!db->blocks)
        return;
    cache_set_capacity(db->blocks, capacity);
    if (capacity > db->trimmed_capacity) {
        db->trimmed_capacity = capacity;
    } else if (db->trimmed_capacity - capacity >= db->memory.limit / DB_TRIM_PART) {
        db->trimmed_capacity = capacity;
        memory_give_back();
    }
}

static status open_new_db(const char *path, const db_config *config, firn_db **out) {
    *out = NULL;
    if (strlen(path) == 0 || strlen(path) > FILE_PATH_BYTES - 64)
        return error_status(FIRN_INVALID_ARGUMENT, "a database path has 1 to %d bytes",
                            FILE_PATH_BYTES - 64);
    firn_db *db = memory_new_aligned(CACHE_LINE_BYTES, sizeof *db);
    if (!db)
        return error_status(FIRN_NO_MEMORY, "%s: no memory for a database", path);
    memset(db, 0, sizeof *db);
    db->config = *config;
    db->process = process_id();
    db->grave = (graveyard){.wake = background_wake, .context = db};
    /* One memtable that fills, two that wait for their flush or are kept by iterators, and a spare
     * arena: what db_config_derive made room for. */
    memory_budget_init(&db->memory, config->memory_bytes,
                       config->read_only ? 0 : 4 * config->memtable_bytes, open_tell_cache, db);
    epoch_init(&db->readers);
    snapshot_registry_init(&db->snapshots, &db->visible, db->config.clock);
    mutex_init(&db->refreshing);
    mutex_init(&db->refresh_guard);
    commit_queue_init(&db->commit.queue);
    commit_order_init(&db->commit.order, &db->visible, commit_group_publish, db);
    write_waits_init(&db->waits);
    pacing_init(&db->pacing);
    rate_limiter_init(&db->limiter, db->config.clock);
    space_reserve_init(&db->space);
    mutex_init(&db->background.guard);
    cond_init(&db->background.changed);
    *out = db;
    db->directory = memory_copy_string(path);
    return db->directory ? STATUS_OK
                         : error_status(FIRN_NO_MEMORY, "%s: no memory for a database", path);
}

static uint64_t open_tables_max(void) {
    uint64_t half = process_descriptors_max() / 2;
    return half < OPEN_TABLES_MIN   ? OPEN_TABLES_MIN
           : half > OPEN_TABLES_MAX ? OPEN_TABLES_MAX
                                    : half;
}

static status open_caches(firn_db *db) {
    status st = STATUS_OK;
    uint64_t rest = memory_budget_rest(&db->memory);
    if (db->config.cache_bytes)
        TRY(cache_new(rest < db->config.cache_bytes ? rest : db->config.cache_bytes, 0,
                      &db->blocks));
    db->trimmed_capacity = rest;
    table_cache_args tables = {
        .vfs = db->config.vfs,
        .directory = db->directory,
        .blocks = db->blocks,
        .memory = &db->memory,
        .readers = &db->readers,
        /* Beside a live writer a table that was closed may be gone: all stay open. */
        .tables_max = db->config.read_only ? TABLE_CACHE_KEEPS_ALL : open_tables_max(),
        .memory_max = db->config.memory_bytes / 4,
        .is_mapped = db_config_maps_tables(&db->config, 0, true),
        .verifies_reads = db->config.verifies_reads};
    TRY(table_cache_new(&tables, &db->tables));
    rate_limiter_set(&db->limiter, db->config.background_rate_bytes, true);
    db->jobs = (job_env){.limiter = &db->limiter,
                         .vfs = db->config.vfs,
                         .directory = db->directory,
                         .clock = db->config.clock,
                         .events = db->events,
                         .snapshots = &db->snapshots,
                         .tables = db->tables,
                         .options = &db->config.tree,
                         .filter = db->config.filter,
                         .applied = &db->applied,
                         .cancelled = background_is_closing,
                         .context = db,
                         .helpers = &db->workers};
out:
    return st;
}

static status open_events(firn_db *db) {
    event_log_args args = {.vfs = db->config.vfs,
                           .directory = db->config.read_only ? NULL : db->directory,
                           .clock = db->config.clock,
                           .callback = db->config.on_event,
                           .callback_context = db->config.on_event_context};
    return event_log_new(&args, &db->events);
}

/* With FIRN_SYNC_INTERVAL: nothing stays unsynced for longer than that. */
static void open_sync_thread(void *context) {
    firn_db *db = context;
    mutex_lock(&db->background.guard);
    while (!db->background.closing) {
        uint64_t until =
            time_monotonic_ns(db->config.clock) + db->config.sync_interval_ms * 1000000;
        uint64_t now;
        while (!db->background.closing && (now = time_monotonic_ns(db->config.clock)) < until)
            cond_wait_for(&db->background.changed, &db->background.guard, until - now);
        mutex_unlock(&db->background.guard);
        db_report_refusals(db);
        if (status_is_ok(commit_check_writable(db)))
            (void)!status_is_ok(db_sync(db)); /* a failure poisons and is in the event log */
        mutex_lock(&db->background.guard);
    }
    mutex_unlock(&db->background.guard);
}

/* Where the file system cannot reserve space it would take by writing it, which only who asks for
 * it gets. */
static void open_space_reserve(firn_db *db) {
    if (db->config.reserve_is_derived && !vfs_reserves_truly(db->config.vfs, db->directory))
        db->config.reserve_most = 0;
    space_reserve_args args = {.vfs = db->config.vfs,
                               .directory = db->directory,
                               .clock = db->config.clock,
                               .events = db->events,
                               .least = db->config.reserve_least,
                               .most = db->config.reserve_most};
    space_used used = db_space_used(db);
    space_reserve_open(&db->space, &args, &used);
}

static status open_start_work(firn_db *db) {
    status st = STATUS_OK;
    workers_args args = {.threads = db->config.threads,
                         .run_one = background_run_one,
                         .context = db};
    TRY(workers_new(&args, &db->workers));
    if (db->config.durability == FIRN_SYNC_INTERVAL && db->config.threads > 0) {
        TRY(thread_start(&db->syncer, "firn-sync", open_sync_thread, db));
        db->has_syncer = true;
    }
    workers_wake(db->workers);
out:
    return st;
}

/* A new database's own name must survive a power cut, or all that is synced in it is lost with it.
 * A parent that may not be read cannot be synced; whoever gave the directory answers for it. */
static status open_sync_parent(const firn_db *db) {
    char parent[FILE_PATH_BYTES];
    size_t size = strlen(db->directory);
    while (size > 1 && db->directory[size - 1] == '/')
        size--;
    while (size > 0 && db->directory[size - 1] != '/')
        size--;
    while (size > 1 && db->directory[size - 1] == '/')
        size--;
    snprintf(parent, sizeof parent, "%.*s", (int)size, db->directory);
    status st = vfs_sync_dir(db->config.vfs, size ? parent : ".");
    return st.os_errno == EACCES ? STATUS_OK : st;
}

static status open_writable(firn_db *db, bool exists) {
    status st = STATUS_OK;
    version_set_args args = {.vfs = db->config.vfs,
                             .directory = db->directory,
                             .order = db->config.order,
                             .memtable_bytes = db->config.memtable_bytes,
                             .memory = &db->memory,
                             .grave = &db->grave,
                             .readers = &db->readers};
    TRY(open_take_lock(db));
    /* Once more, now that nobody else can change it. */
    TRY(open_survey_path(&db->config, db->directory, &exists));
    TRY(open_events(db));
    db_config_report(&db->config, db->events);
    TRY(open_caches(db));
    TRY(version_set_new(&args, &db->versions));
    db->jobs.versions = db->versions;
    if (!exists)
        TRY(open_sync_parent(db));
    TRY(exists ? version_set_recover(db->versions) : version_set_create(db->versions));
    TRY(recovery_run(db));
    open_space_reserve(db);
    TRY(open_start_work(db));
out:
    return st;
}

static status open_read_only(firn_db *db) {
    status st = STATUS_OK;
    seqno visible;
    TRY(open_events(db));
    TRY(open_caches(db));
    TRY(recovery_load_read_only(db, &db->versions, &visible));
    /* release: pairs with readers' acquire. */
    atomic_u64_store(&db->visible, visible, memory_order_release);
out:
    return st;
}

FIRN_INTERNAL status db_open(const char *path, const db_config *config, firn_db **out) {
    status st = STATUS_OK;
    firn_db *db = NULL;
    bool exists = false;
    *out = NULL;
    TRY(open_new_db(path, config, &db));
    TRY(open_survey_path(config, path, &exists));
    TRY(config->read_only ? open_read_only(db) : open_writable(db, exists));
    event e = event_begin(db->events, "open");
    event_string(&e, "version", firn_version());
    event_string(&e, "path", path);
    event_end(&e);
    *out = db;
    db = NULL;
out:
    if (db)
        db_discard(db);
    return st;
}

static bool open_has_table(const read_view *view, uint64_t number) {
    bool found = false;
    for (uint32_t level = 0; view && !found && level < LEVEL_COUNT; level++)
        found = version_find_table(view->version, level, number) != NULL;
    return found;
}

/* Tables of the state before that the new one has no more are closed when nobody reads them: else
 * a reader that follows a writer would run out of descriptors. Their files are the writer's. */
static void open_mark_gone(version_set *before, version_set *now) {
    uint32_t ids[COMMIT_TARGETS_MAX];
    uint32_t count = version_set_keyspaces(before, ids, COMMIT_TARGETS_MAX);
    for (uint32_t k = 0; k < count; k++) {
        read_view *old = version_set_view(before, ids[k]);
        read_view *fresh = version_set_view(now, ids[k]);
        for (uint32_t at = 0; at < LEVEL_COUNT; at++) {
            const version_level *l = &old->version->levels[at];
            for (uint32_t i = 0; i < l->count; i++) {
                /* relaxed: the reference count orders it before the last drop. */
                if (!open_has_table(fresh, l->tables[i]->where.number))
                    atomic_u32_store(&l->tables[i]->obsolete, 1, memory_order_relaxed);
            }
        }
        read_view_unref(old);
        read_view_unref(fresh);
    }
}

static void open_forget_gone(firn_db *db) {
    for (table_meta *dead = graveyard_take(&db->grave), *next; dead; dead = next) {
        next = dead->next_dead;
        table_cache_forget(db->tables, &dead->where);
        table_meta_bury(dead);
    }
}

FIRN_INTERNAL status db_refresh(firn_db *db) {
    status st = STATUS_OK;
    version_set *fresh = NULL;
    seqno visible;
    if (!db->config.read_only)
        return error_status(FIRN_INVALID_ARGUMENT,
                            "%s: only a database opened read-only is refreshed", db->directory);
    mutex_lock(&db->refreshing);
    TRY(recovery_load_read_only(db, &fresh, &visible));
    open_mark_gone(db->versions, fresh);
    mutex_lock(&db->refresh_guard);
    version_set *old = db->versions;
    db->versions = fresh;
    /* release: pairs with readers' acquire. */
    atomic_u64_store(&db->visible, visible, memory_order_release);
    mutex_unlock(&db->refresh_guard);
    version_set_unref(old); /* views in use keep what they name */
    open_forget_gone(db);
out:
    mutex_unlock(&db->refreshing);
    return st;
}

#undef OPEN_TABLES_MAX
#undef OPEN_TABLES_MIN
