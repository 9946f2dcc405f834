/* From the files of a directory to memtables and a version: what firn_open does.
 * docs/architecture.md has the order of steps and what each protects. */
#include <stdio.h>

#include "db/recovery_replay.h"
#include "format/file_name.h"
#include "platform/error_detail.h"
#include "platform/memory.h"
#include "wal/wal_recovery.h"

#include "base/poison.h"

#define RECOVERY_SEGMENTS_MAX  4 /* replayed; more are flushed, so that logs do not pile up */
#define RECOVERY_KEYSPACES_MAX 64

/* --- the tables of the manifest are there, with their sizes --- */

static status recovery_check_table(firn_db *db, table_meta *meta) {
    char path[FILE_PATH_BYTES];
    uint64_t bytes;
    bool is_directory;
    file_path(path, db->directory, FILE_TABLE, meta->where.number);
    /* Ages were not always recorded; those begin here: too late rather than too early. */
    table_meta_date(meta, time_wall_ms(db->config.clock));
    status st = vfs_stat(db->config.vfs, path, &bytes, &is_directory);
    if (status_is(st, FIRN_NOT_FOUND))
        return error_status(FIRN_CORRUPTION,
                            "%s: missing, but the manifest lists it; run 'firn verify'", path);
    if (status_is_ok(st) && bytes != meta->where.file_bytes)
        return error_status(FIRN_CORRUPTION,
                            "%s: has %llu bytes, the manifest says %llu (offset %llu); run "
                            "'firn verify'",
                            path, (unsigned long long)bytes,
                            (unsigned long long)meta->where.file_bytes, (unsigned long long)bytes);
    return st;
}

static status recovery_check_tables(firn_db *db, version_set *versions) {
    status st = STATUS_OK;
    uint32_t ids[RECOVERY_KEYSPACES_MAX];
    uint32_t count = version_set_keyspaces(versions, ids, RECOVERY_KEYSPACES_MAX);
    for (uint32_t k = 0; k < count; k++) {
        read_view *view = version_set_view(versions, ids[k]);
        for (uint32_t level = 0; level < LEVEL_COUNT && status_is_ok(st); level++) {
            const version_level *l = &view->version->levels[level];
            for (uint32_t i = 0; i < l->count && status_is_ok(st); i++)
                st = recovery_check_table(db, l->tables[i]);
        }
        read_view_unref(view);
        TRY(st);
    }
out:
    return st;
}

/* --- reading the log --- */

/* One of two readers of the log: it only finds out where the log ends and that it is sound. */
static status recovery_skip_batch(MAYBE_UNUSED void *context, MAYBE_UNUSED seqno first,
                                  MAYBE_UNUSED uint32_t count, MAYBE_UNUSED slice ops,
                                  MAYBE_UNUSED uint64_t position) {
    return STATUS_OK;
}

static wal_recovery_args recovery_wal_args(const firn_db *db, version_set *versions,
                                           bool beside_writer) {
    version_set_facts facts;
    version_set_get_facts(versions, &facts);
    wal_recovery_args args = {.vfs = db->config.vfs,
                              .directory = db->directory,
                              .floor_segment = facts.log_floor_segment,
                              .floor_position = facts.log_floor_position,
                              .clean_end = facts.clean_end,
                              .last_good = db->config.last_good,
                              .skip = db->config.skip_damage,
                              .beside_writer = beside_writer,
                              .on_batch = recovery_skip_batch};
    memcpy(args.database, facts.database, sizeof args.database);
    return args;
}

/* --- a fresh log behind the old one --- */

/* Two for a steady stream: one is written while another's memtable is flushed. */
enum { RECOVERY_LOG_SPARES = 2 };

/* How the log will be written; the event says why. */
static wal_io recovery_choose_log_io(firn_db *db) {
    bool is_fit = vfs_reserves_truly(db->config.vfs, db->directory);
    bool is_asked = db->config.log_io == FIRN_LOG_IO_MAPPED;
    bool is_mapped = db->config.log_io == FIRN_LOG_IO_PWRITE ? false : is_fit || is_asked;
    const char *reason = "option log_io";
    if (db->config.log_io != FIRN_LOG_IO_MAPPED && db->config.log_io != FIRN_LOG_IO_PWRITE)
        reason = is_fit
                     ? "the file system reserves space truly, so stores cannot fail for lack of it"
                     : "the file system is not known to reserve space truly";
    event e = event_begin(db->events, "log-io");
    event_string(&e, "mode", is_mapped ? "mapped" : "pwrite");
    event_string(&e, "reason", reason);
    event_end(&e);
    return is_mapped ? WAL_IO_MAPPED : WAL_IO_PWRITE;
}

static status recovery_start_log(firn_db *db, const wal_recovery *found) {
    version_set_facts facts;
    version_set_get_facts(db->versions, &facts);
    wal_writer_args args = {.vfs = db->config.vfs,
                            .directory = db->directory,
                            .next_segment = found->next_segment,
                            .predecessor = found->end_segment,
                            .predecessor_cut = found->end_offset,
                            .position = found->end_position,
                            .next_sequence = facts.last_sequence + 1,
                            .segment_bytes_first = db->config.log_segment_first,
                            .segment_bytes_max = db->config.log_segment_max,
                            .io = recovery_choose_log_io(db),
                            .spares_max = RECOVERY_LOG_SPARES,
                            .want_ahead = background_wake,
                            .context = db,
                            .events = db->events,
                            .memory = &db->memory,
                            .older = found->segments,
                            .older_count = found->segment_count};
    memcpy(args.database, facts.database, sizeof args.database);
    boot_id_read(args.boot_id);
    return wal_writer_new(&args, &db->log);
}

/* --- what does not belong here any more --- */

typedef struct recovery_orphans {
    firn_db *db;
    uint64_t manifest_number;
    uint64_t removed;
} recovery_orphans;

static bool recovery_table_is_live(firn_db *db, uint64_t number) {
    uint32_t ids[RECOVERY_KEYSPACES_MAX];
    uint32_t count = version_set_keyspaces(db->versions, ids, RECOVERY_KEYSPACES_MAX);
    bool live = false;
    for (uint32_t k = 0; k < count && !live; k++) {
        read_view *view = version_set_view(db->versions, ids[k]);
        for (uint32_t level = 0; level < LEVEL_COUNT && !live; level++)
            live = version_find_table(view->version, level, number) != NULL;
        read_view_unref(view);
    }
    return live;
}

static int recovery_judge_file(void *context, const char *name) {
    recovery_orphans *o = context;
    char path[FILE_PATH_BYTES];
    uint64_t number = 0;
    bool orphan = false;
    switch (file_name_parse(name, &number)) {
    case FILE_TEMPORARY:
        orphan = true;
        break;
    case FILE_TABLE:
        version_set_note_file_number(o->db->versions, number);
        orphan = !recovery_table_is_live(o->db, number);
        break;
    case FILE_MANIFEST:
        version_set_note_file_number(o->db->versions, number);
        orphan = number != o->manifest_number;
        break;
    default:
        break;
    }
    if (orphan) {
        snprintf(path, sizeof path, "%s/%s", o->db->directory, name);
        o->removed += status_is_ok(vfs_remove(o->db->config.vfs, path));
    }
    return 0;
}

static status recovery_remove_orphans(firn_db *db, const wal_recovery *found) {
    char path[FILE_PATH_BYTES];
    version_set_facts facts;
    version_set_get_facts(db->versions, &facts);
    recovery_orphans o = {db, facts.manifest_number, 0};
    status st = vfs_list(db->config.vfs, db->directory, recovery_judge_file, &o);
    for (size_t i = 0; i < found->dead_count && status_is_ok(st); i++) {
        file_path(path, db->directory, FILE_LOG, found->dead[i]);
        o.removed += status_is_ok(vfs_remove(db->config.vfs, path));
    }
    event e = event_begin(db->events, "orphans");
    event_u64(&e, "removed", o.removed);
    event_end(&e);
    return st;
}

static void recovery_report(firn_db *db, const wal_recovery *found, uint64_t started_ns) {
    db->recovered_records = found->records;
    db->recovered_bytes = found->bytes;
    db->recovered_segments = found->segment_count;
    db->torn_bytes = found->torn_bytes;
    event e = event_begin(db->events, "recovery");
    event_u64(&e, "segments", found->segment_count);
    event_u64(&e, "records", found->records);
    event_u64(&e, "bytes", found->bytes);
    event_u64(&e, "torn_bytes", found->torn_bytes);
    event_u64(&e, "last_sequence", found->last_sequence);
    if (found->holes) {
        event_u64(&e, "holes", found->holes);
        event_u64(&e, "hole_bytes", found->hole_bytes);
    }
    if (found->damage.size)
        event_bytes(&e, "given_up", buf_slice(&found->damage));
    event_u64(&e, "micros", (time_monotonic_ns(db->config.clock) - started_ns) / 1000);
    event_end(&e);
}

/* The sequence readers start with. */
static seqno recovery_publish(firn_db *db, version_set *versions) {
    version_set_facts facts;
    version_set_get_facts(versions, &facts);
    db->commit.last_sequence = facts.last_sequence;
    /* release: pairs with readers' acquire. */
    atomic_u64_store(&db->visible, facts.last_sequence, memory_order_release);
    return facts.last_sequence;
}

/* Before anything that was read is built upon - flushed, acknowledged again - it is made durable:
 * after a failed sync the page cache may show bytes that the disk lacks. */
static status recovery_secure_log(const wal_recovery_args *args, const wal_recovery *found) {
    return found->end_position > args->clean_end ? wal_recovery_write_back(args, found) : STATUS_OK;
}

/* A log that does not fit into memtables is read twice: to its end before the first is flushed. */
static status recovery_secure_first(void *context) {
    status st = STATUS_OK;
    firn_db *db = context;
    wal_recovery found = {0};
    wal_recovery_args args = recovery_wal_args(db, db->versions, false);
    TRY(wal_recover(&args, &found));
    TRY(recovery_secure_log(&args, &found));
out:
    wal_recovery_deinit(&found);
    return st;
}

FIRN_INTERNAL status recovery_run(firn_db *db) {
    status st = STATUS_OK;
    wal_recovery found = {0};
    recovery_replay *replay = NULL;
    recovery_replay_args replay_args = {.db = db,
                                        .versions = db->versions,
                                        .may_flush = true,
                                        .secure = recovery_secure_first,
                                        .context = db};
    uint64_t started_ns = time_monotonic_ns(db->config.clock);
    TRY(recovery_check_tables(db, db->versions));
    TRY(version_set_write_back(db->versions));
    TRY(recovery_replay_new(&replay_args, &replay));
    wal_recovery_args args = recovery_wal_args(db, db->versions, false);
    args.on_batch = recovery_replay_batch;
    args.context = replay;
    TRY(wal_recover(&args, &found));
    TRY(recovery_replay_finish(replay));
    if (!recovery_replay_is_secured(replay))
        TRY(recovery_secure_log(&args, &found));
    recovery_replay_set_secured(replay);
    recovery_publish(db, db->versions);
    TRY(recovery_start_log(db, &found));
    /* release: pairs with the acquire in flush jobs. */
    atomic_u64_store(&db->applied, found.end_position, memory_order_release);
    db->jobs.log = db->log;
    /* Only now, when no file of the database was found missing, may files be removed. */
    TRY(recovery_remove_orphans(db, &found));
    /* The next open would meet the holes again, and a strict one would refuse. */
    if (found.holes > 0 || found.segment_count > RECOVERY_SEGMENTS_MAX)
        TRY(recovery_replay_flush(replay, found.holes == 0));
    background_note_tree(db);
    recovery_report(db, &found, started_ns);
out:
    recovery_replay_free(replay);
    wal_recovery_deinit(&found);
    return st;
}

/* --- read-only --- */

#define RECOVERY_READ_TRIES    6
#define RECOVERY_READ_PAUSE_NS 1000000u /* doubled at each try */

static status recovery_open_tables(firn_db *db, version_set *versions) {
    status st = STATUS_OK;
    uint32_t ids[RECOVERY_KEYSPACES_MAX];
    uint32_t count = version_set_keyspaces(versions, ids, RECOVERY_KEYSPACES_MAX);
    for (uint32_t k = 0; k < count && status_is_ok(st); k++) {
        read_view *view = version_set_view(versions, ids[k]);
        for (uint32_t level = 0; level < LEVEL_COUNT; level++) {
            const version_level *l = &view->version->levels[level];
            for (uint32_t i = 0; i < l->count && status_is_ok(st); i++) {
                table *t;
                st = table_cache_get(db->tables, &l->tables[i]->where, &l->tables[i]->open,
                                     view->order, &t);
                table_unref(t);                    /* the cache keeps it open */
                if (status_is(st, FIRN_NOT_FOUND)) /* damage, or a live writer moved on: retried */
                    st = recovery_check_table(db, l->tables[i]);
            }
        }
        read_view_unref(view);
    }
    return st;
}

/* A descriptor per segment, of which the application has need as well. */
static uint32_t recovery_held_max(void) {
    enum { RECOVERY_HELD_MIN = 8, RECOVERY_HELD_MAX = 1024 };
    uint64_t part = process_descriptors_max() / 8;
    return part < RECOVERY_HELD_MIN   ? RECOVERY_HELD_MIN
           : part > RECOVERY_HELD_MAX ? RECOVERY_HELD_MAX
                                      : (uint32_t)part;
}

/* The memtables' readers come to large values through `held`, as long as they have one of them. */
static void recovery_keep_held(version_set *versions, wal_large_files *held) {
    uint32_t ids[RECOVERY_KEYSPACES_MAX];
    if (!wal_large_files_any(held))
        return;
    uint32_t count = version_set_keyspaces(versions, ids, RECOVERY_KEYSPACES_MAX);
    for (uint32_t k = 0; k < count; k++) {
        memtable *active = version_set_active(versions, ids[k]);
        if (memtable_large_bytes(active) == 0)
            continue;
        wal_large_files_ref(held);
        memtable_keep(active, held, wal_large_files_unref);
    }
}

static status recovery_try_read_only(firn_db *db, version_set *versions, bool beside_writer) {
    status st = STATUS_OK;
    wal_recovery found = {0};
    recovery_replay *replay = NULL;
    wal_large_files *held = NULL;
    recovery_replay_args replay_args = {.db = db, .versions = versions};
    uint64_t started_ns = time_monotonic_ns(db->config.clock);
    TRY(version_set_recover(versions));
    if (!db->config.opens_tables_late)
        TRY(recovery_open_tables(db, versions));
    TRY(recovery_replay_new(&replay_args, &replay));
    TRY(wal_large_files_new(db->config.vfs, db->directory, recovery_held_max(), &held));
    wal_recovery_args args = recovery_wal_args(db, versions, beside_writer);
    args.held = held;
    args.on_batch = recovery_replay_batch;
    args.context = replay;
    TRY(wal_recover(&args, &found));
    TRY(recovery_replay_finish(replay));
    recovery_keep_held(versions, held);
    recovery_report(db, &found, started_ns);
out:
    recovery_replay_free(replay);
    wal_large_files_unref(held);
    wal_recovery_deinit(&found);
    return st;
}

FIRN_INTERNAL status recovery_load_read_only(firn_db *db, version_set **out, seqno *visible) {
    status st = STATUS_OK;
    version_set *versions = NULL;
    version_set_facts facts;
    *out = NULL;
    version_set_args args = {.vfs = db->config.vfs,
                             .directory = db->directory,
                             .order = db->config.order,
                             .memtable_bytes = db->config.memtable_bytes,
                             .memory = &db->memory,
                             .grave = &db->grave,
                             .readers = &db->readers};
    for (int tries = 0; tries < RECOVERY_READ_TRIES; tries++) {
        TRY(version_set_new(&args, &versions));
        /* The last try says what is wrong as if no writer were there. */
        st = recovery_try_read_only(db, versions, tries + 1 < RECOVERY_READ_TRIES);
        if (status_is_ok(st))
            break;
        version_set_unref(versions);
        versions = NULL;
        /* A live writer replaces files while they are read: what looks wrong may be a moment's
         * view. */
        if (!status_is(st, FIRN_ABORTED) && !status_is(st, FIRN_CORRUPTION) &&
            !(status_is(st, FIRN_NOT_FOUND) && tries > 0))
            break;
        thread_sleep_ns(RECOVERY_READ_PAUSE_NS << tries);
    }
    TRY(st);
    version_set_get_facts(versions, &facts);
    *visible = facts.last_sequence;
    *out = versions;
out:
    return st;
}

#undef RECOVERY_SEGMENTS_MAX
#undef RECOVERY_KEYSPACES_MAX
#undef RECOVERY_READ_TRIES
#undef RECOVERY_READ_PAUSE_NS
