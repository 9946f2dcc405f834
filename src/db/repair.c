/* Makes a damaged database usable again: the order of things, the originals, the commit. */
#include "db/repair.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "db/inspect.h"
#include "db/repair_internal.h"
#include "platform/error_detail.h"
#include "platform/memory.h"
#include "version/manifest.h"

#include "base/poison.h"

#define REPAIR_TEXT_BYTES  (FILE_PATH_BYTES + 1024)
#define REPAIR_COPY_BYTES  (1u << 20)
#define REPAIR_FOLDERS_MAX 100000
#define REPAIR_LOST_FOLDER "lost"

/* --- telling --- */

FIRN_INTERNAL status repair_tell(repair *r, const repair_message *m, const char *format, ...) {
    char text[REPAIR_TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    r->problems += m->kind == FIRN_REPAIR_PROBLEM;
    r->losses += m->kind == FIRN_REPAIR_LOSS;
    firn_repair_step step = {.size = sizeof step,
                             .kind = m->kind,
                             .file = m->file,
                             .text = text,
                             .offset = m->offset,
                             .bytes = m->bytes,
                             .entries = m->entries,
                             .from = m->from,
                             .to = m->to,
                             .from_sequence = m->from_sequence,
                             .to_sequence = m->to_sequence};
    r->stopped |= r->report && r->report(r->context, &step);
    return r->stopped ? error_status(FIRN_ABORTED, "%s: the repair was stopped", r->directory)
                      : STATUS_OK;
}

FIRN_INTERNAL bool repair_is_damage(status st) {
    return status_is(st, FIRN_CORRUPTION) || status_is(st, FIRN_IO_ERROR) ||
           status_is(st, FIRN_NOT_FOUND);
}

/* --- what the parts share --- */

FIRN_INTERNAL repair_keyspace *repair_find_keyspace(repair *r, uint32_t id) {
    char name[32];
    for (uint32_t i = 0; i < r->keyspace_count; i++) {
        if (r->keyspaces[i].id == id)
            return &r->keyspaces[i];
    }
    if (r->keyspace_count == REPAIR_KEYSPACES_MAX)
        return NULL;
    /* Names are in the manifest only. */
    snprintf(name, sizeof name, id == KEYSPACE_DEFAULT ? "default" : "recovered-%u", id);
    repair_keyspace fresh = {.id = id, .order = r->config->order, .name = memory_copy_string(name)};
    fresh.comparator = memory_copy_string(key_order_name(fresh.order));
    if (!fresh.name || !fresh.comparator) {
        memory_free(fresh.name);
        memory_free(fresh.comparator);
        return NULL;
    }
    uint32_t at = r->keyspace_count++;
    for (; at > 0 && r->keyspaces[at - 1].id > id; at--)
        r->keyspaces[at] = r->keyspaces[at - 1];
    r->keyspaces[at] = fresh;
    return &r->keyspaces[at];
}

FIRN_INTERNAL status repair_order_by_name(const repair *r, slice name, key_order *out) {
    *out = (key_order){NULL};
    if (slice_equal(name, slice_from_string(KEY_ORDER_BYTEWISE_NAME)))
        return STATUS_OK;
    *out = r->config->order;
    if (slice_equal(name, slice_from_string(key_order_name(r->config->order))))
        return STATUS_OK;
    return error_status(FIRN_INVALID_ARGUMENT,
                        "%s: keys are in the order '%.*s': give its comparator to repair them",
                        r->directory, (int)(name.size < 255 ? name.size : 255),
                        (const char *)name.data);
}

FIRN_INTERNAL status repair_add_table(repair *r, const repair_table *t) {
    repair_table *grown = memory_resize(r->tables, (r->table_count + 1) * sizeof *grown);
    if (!grown) {
        table_meta_unref(t->meta);
        return error_status(FIRN_NO_MEMORY, "%s: no memory to list the tables", r->directory);
    }
    r->tables = grown;
    r->tables[r->table_count++] = *t;
    return STATUS_OK;
}

/* What cannot be read of the original is zeros in the copy. */
static status repair_copy_chunk(vfs_file *in, vfs_file *out, uint64_t at, uint8_t *chunk,
                                size_t count) {
    size_t got = 0;
    status st = vfs_read(in, at, chunk, count, &got);
    if (!status_is_ok(st))
        got = 0;
    memset(chunk + got, 0, count - got);
    return vfs_write(out, at, chunk, count);
}

FIRN_INTERNAL status repair_copy_file(const repair *r, const char *from, const char *to) {
    status st = STATUS_OK;
    vfs_file *in = NULL, *out = NULL;
    uint8_t *chunk = NULL;
    uint64_t bytes = 0;
    const firn_vfs *vfs = r->config->vfs;
    TRY(vfs_open(vfs, from, FIRN_VFS_READ, &in));
    TRY(vfs_get_size(in, &bytes));
    TRY(vfs_open(vfs, to, FIRN_VFS_WRITE | FIRN_VFS_CREATE | FIRN_VFS_TRUNCATE, &out));
    chunk = memory_new(REPAIR_COPY_BYTES);
    if (!chunk) {
        st = error_status(FIRN_NO_MEMORY, "no memory to copy '%s'", from);
        goto out;
    }
    for (uint64_t at = 0; at < bytes; at += REPAIR_COPY_BYTES) {
        uint64_t left = bytes - at;
        TRY(repair_copy_chunk(in, out, at, chunk,
                              left < REPAIR_COPY_BYTES ? (size_t)left : REPAIR_COPY_BYTES));
    }
    TRY(vfs_sync(out));
out:
    (void)vfs_close(in);  /* only read */
    (void)vfs_close(out); /* synced, or of no use */
    memory_free(chunk);
    return st;
}

/* --- the originals --- */

static status repair_make_folder(repair *r, char folder[FILE_PATH_BYTES]) {
    status st = STATUS_OK;
    uint32_t number = 1;
    int length = snprintf(folder, FILE_PATH_BYTES, "%s/" REPAIR_LOST_FOLDER, r->directory);
    CHECK(length > 0 && length + 32 < FILE_PATH_BYTES);
    st = vfs_make_dir(r->config->vfs, folder);
    if (!status_is(st, FIRN_BUSY))
        TRY(st);
    TRY(vfs_sync_dir(r->config->vfs, r->directory));
    do {
        snprintf(folder + length, FILE_PATH_BYTES - (size_t)length, "/repair-%u", number++);
        st = vfs_make_dir(r->config->vfs, folder);
    } while (status_is(st, FIRN_BUSY) && number < REPAIR_FOLDERS_MAX);
    TRY(st);
    folder[length] = 0;
    TRY(vfs_sync_dir(r->config->vfs, folder));
    folder[length] = '/';
out:
    return st;
}

static status repair_keep_one(repair *r, const char *folder, file_kind kind, uint64_t number) {
    char from[FILE_PATH_BYTES], to[FILE_PATH_BYTES + 64];
    file_path(from, r->directory, kind, number);
    snprintf(to, sizeof to, "%s%s", folder, from + strlen(r->directory));
    status st = repair_copy_file(r, from, to);
    if (status_is(st, FIRN_NOT_FOUND))
        return STATUS_OK;
    if (status_is_ok(st)) {
        repair_message m = REPAIR_MESSAGE(FIRN_REPAIR_ACTION, from);
        st = repair_tell(r, &m, "%s: kept as %s", from, to);
    }
    return st;
}

typedef struct repair_logs {
    repair *r;
    const char *folder;
    status st;
} repair_logs;

static int repair_keep_log(void *context, const char *name) {
    repair_logs *logs = context;
    uint64_t number;
    if (file_name_parse(name, &number) == FILE_LOG)
        logs->st = repair_keep_one(logs->r, logs->folder, FILE_LOG, number);
    return !status_is_ok(logs->st);
}

static bool repair_replaces_log(const repair *r) {
    return r->log_is_damaged || !r->manifest_is_whole;
}

/* Copies of all that the new state does without. */
static status repair_keep_originals(repair *r) {
    status st = STATUS_OK;
    char folder[FILE_PATH_BYTES];
    TRY(repair_make_folder(r, folder));
    if (r->has_current && !(r->manifest_is_whole && r->current_is_good))
        TRY(repair_keep_one(r, folder, FILE_CURRENT, 0));
    for (size_t i = 0; i < r->manifest_file_count; i++)
        TRY(repair_keep_one(r, folder, FILE_MANIFEST, r->manifest_files[i]));
    for (size_t i = 0; i < r->rescued_count; i++)
        TRY(repair_keep_one(r, folder, FILE_TABLE, r->rescued[i]));
    if (repair_replaces_log(r)) {
        repair_logs logs = {r, folder, STATUS_OK};
        TRY(vfs_list(r->config->vfs, r->directory, repair_keep_log, &logs));
        TRY(logs.st);
    }
    TRY(vfs_sync_dir(r->config->vfs, folder));
out:
    return st;
}

/* --- the commit --- */

static status repair_build_snapshot(repair *r, version_edit *edit) {
    status st = STATUS_OK;
    version_set_facts facts;
    version_set_get_facts(r->numbers, &facts);
    *edit = (version_edit){.has_database = true,
                           .has_next_file = true,
                           .next_file = facts.next_file,
                           .has_last_sequence = true,
                           .last_sequence = r->last_sequence,
                           .has_log_floor = true,
                           .log_floor_segment = r->log_floor_segment,
                           .log_floor_position = r->log_floor_position,
                           .has_clean_end = true,
                           .clean_end = r->clean_end};
    memcpy(edit->database, r->database, sizeof edit->database);
    if (repair_replaces_log(r)) {
        /* A new log, above every name and every claim of the old one. */
        uint64_t position = r->log_highest_position;
        if (position < r->log_floor_position)
            position = r->log_floor_position;
        if (position < r->clean_end)
            position = r->clean_end;
        edit->log_floor_segment = r->log_highest_segment + 1;
        if (edit->log_floor_segment <= r->log_floor_segment)
            edit->log_floor_segment = r->log_floor_segment + 1;
        edit->log_floor_position = (position + 7) / 8 * 8;
        edit->clean_end = 0;
    }
    for (uint32_t i = 0; i < r->keyspace_count; i++) {
        const repair_keyspace *k = &r->keyspaces[i];
        TRY(version_edit_create_keyspace(edit, k->id, k->name, k->comparator));
        TRY(version_edit_set_flushed(edit, k->id,
                                     repair_replaces_log(r) ? r->last_sequence : k->flushed));
    }
    for (size_t i = 0; i < r->table_count; i++) {
        const repair_table *t = &r->tables[i];
        if (t->fate == REPAIR_KEEP)
            TRY(version_edit_add_table(edit, t->level, t->meta));
    }
out:
    return st;
}

/* Proves the edit before it is written: levels without overlaps, every table once. */
static status repair_check_snapshot(const repair *r, const version_edit *edit) {
    status st = STATUS_OK;
    version *empty = NULL, *full = NULL;
    for (uint32_t i = 0; i < r->keyspace_count; i++) {
        TRY(version_new_empty(r->keyspaces[i].order, &empty));
        TRY(version_new_edited(empty, edit, r->keyspaces[i].id, NULL, &full));
        version_unref(empty);
        version_unref(full);
        empty = full = NULL;
    }
out:
    version_unref(empty);
    version_unref(full);
    return st;
}

static status repair_commit(repair *r) {
    status st = STATUS_OK;
    version_edit edit = {0};
    manifest m;
    char path[FILE_PATH_BYTES];
    uint64_t number = version_set_new_file_number(r->numbers);
    manifest_init(&m, r->config->vfs, r->directory);
    TRY(repair_build_snapshot(r, &edit));
    TRY(repair_check_snapshot(r, &edit));
    TRY(vfs_sync_dir(r->config->vfs, r->directory));
    TRY(manifest_start_file(&m, number, &edit));
    repair_message done =
        REPAIR_MESSAGE(FIRN_REPAIR_ACTION, file_path(path, r->directory, FILE_MANIFEST, number));
    done.entries = edit.added_count;
    /* It is done: nobody can stop it any more. */
    (void)!status_is_ok(repair_tell(r, &done, "%s: in force, with %u table%s", path,
                                    edit.added_count, edit.added_count == 1 ? "" : "s"));
out:
    manifest_deinit(&m);
    version_edit_deinit(&edit);
    return st;
}

/* --- the whole --- */

static status repair_prepare_numbers(repair *r) {
    version_set_args args = {.vfs = r->config->vfs,
                             .directory = r->directory,
                             .order = r->config->order,
                             .memtable_bytes = r->config->memtable_bytes,
                             .readers = &r->readers};
    status st = version_set_new(&args, &r->numbers);
    if (!status_is_ok(st))
        return st;
    version_set_note_file_number(r->numbers, r->highest_number);
    if (r->next_file > 0)
        version_set_note_file_number(r->numbers, r->next_file - 1);
    return STATUS_OK;
}

static status repair_take_lock(repair *r, void **lock) {
    char path[FILE_PATH_BYTES];
    int64_t holder = 0;
    status st =
        vfs_lock(r->config->vfs, file_path(path, r->directory, FILE_LOCK, 0), lock, &holder);
    if (status_is(st, FIRN_LOCKED))
        return error_status(FIRN_LOCKED, "%s: held by process %lld; close it there first",
                            r->directory, (long long)holder);
    /* A plan also serves where nothing can be written. */
    if (r->plan_only && (st.os_errno == EROFS || st.os_errno == EACCES))
        return STATUS_OK;
    return st;
}

static status repair_run(repair *r) {
    status st = STATUS_OK;
    TRY(repair_prepare_numbers(r));
    TRY(repair_survey(r));
    if (r->problems == 0)
        goto out;
    TRY(repair_rescue_tables(r));
    if (!r->manifest_is_whole)
        TRY(repair_place_tables(r));
    if (repair_replaces_log(r))
        TRY(repair_convert_log(r));
    if (r->plan_only)
        goto out;
    TRY(repair_keep_originals(r));
    TRY(repair_commit(r));
out:
    return st;
}

static void repair_free(repair *r) {
    for (size_t i = 0; i < r->table_count; i++)
        table_meta_unref(r->tables[i].meta);
    for (uint32_t i = 0; i < r->keyspace_count; i++) {
        memory_free(r->keyspaces[i].name);
        memory_free(r->keyspaces[i].comparator);
    }
    memory_free(r->tables);
    memory_free(r->table_files);
    memory_free(r->manifest_files);
    memory_free(r->rescued);
    version_set_unref(r->numbers);
    epoch_deinit(&r->readers);
    memory_free(r);
}

FIRN_INTERNAL status repair_database(const db_config *config, const char *path, bool plan_only,
                                     firn_repair_callback report, void *context) {
    status st = STATUS_OK;
    void *lock = NULL;
    uint64_t bytes;
    bool is_directory;
    repair *r = memory_new_aligned(CACHE_LINE_BYTES, sizeof *r);
    if (!r)
        return error_status(FIRN_NO_MEMORY, "%s: no memory to repair it", path);
    memset(r, 0, sizeof *r);
    epoch_init(&r->readers);
    r->config = config;
    r->directory = path;
    r->plan_only = plan_only;
    r->report = report;
    r->context = context;
    if (strlen(path) == 0 || strlen(path) > FILE_PATH_BYTES - 64) {
        st = error_status(FIRN_INVALID_ARGUMENT, "a database path has 1 to %d bytes",
                          FILE_PATH_BYTES - 64);
        goto out;
    }
    st = vfs_stat(config->vfs, path, &bytes, &is_directory);
    if (status_is(st, FIRN_NOT_FOUND) || (status_is_ok(st) && !is_directory))
        st = error_status(FIRN_NOT_FOUND, "%s: no database there", path);
    TRY(st);
    TRY(repair_list_files(r));
    if (!r->has_files) {
        st = error_status(FIRN_NOT_FOUND, "%s: no files of a database there", path);
        goto out;
    }
    TRY(repair_take_lock(r, &lock));
    TRY(repair_run(r));
out:
    if (lock)
        vfs_unlock(config->vfs, lock);
    repair_free(r);
    return st;
}

#undef REPAIR_TEXT_BYTES
#undef REPAIR_COPY_BYTES
#undef REPAIR_FOLDERS_MAX
#undef REPAIR_LOST_FOLDER
