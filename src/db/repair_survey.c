/* What is there, and what is wrong with it. Writes nothing. */
#include <stdio.h>

#include "db/db_internal.h"
#include "db/repair_internal.h"
#include "platform/error_detail.h"
#include "platform/memory.h"
#include "version/manifest_salvage.h"
#include "wal/wal_recovery.h"

#include "base/poison.h"

/* --- the directory --- */

static void repair_note_number(repair *r, uint64_t **list, size_t *count, uint64_t number) {
    uint64_t *grown = memory_resize(*list, (*count + 1) * sizeof *grown);
    if (!grown) {
        r->out_of_memory = true;
        return;
    }
    *list = grown;
    (*list)[(*count)++] = number;
    if (number > r->highest_number)
        r->highest_number = number;
}

static int repair_list_name(void *context, const char *name) {
    repair *r = context;
    uint64_t number;
    switch (file_name_parse(name, &number)) {
    case FILE_CURRENT:
        r->has_current = r->has_files = true;
        break;
    case FILE_TABLE:
        repair_note_number(r, &r->table_files, &r->table_file_count, number);
        r->has_files = true;
        break;
    case FILE_MANIFEST:
        repair_note_number(r, &r->manifest_files, &r->manifest_file_count, number);
        r->has_files = true;
        break;
    case FILE_LOG:
        r->has_files = true;
        break;
    default:
        break;
    }
    return r->out_of_memory;
}

FIRN_INTERNAL status repair_list_files(repair *r) {
    status st = vfs_list(r->config->vfs, r->directory, repair_list_name, r);
    return r->out_of_memory
               ? error_status(FIRN_NO_MEMORY, "%s: no memory to list its files", r->directory)
               : st;
}

static bool repair_has_file(const repair *r, uint64_t number) {
    for (size_t i = 0; i < r->table_file_count; i++) {
        if (r->table_files[i] == number)
            return true;
    }
    return false;
}

/* --- the manifest --- */

static status repair_apply_keyspace(repair *r, const edit_keyspace *change) {
    status st = STATUS_OK;
    repair_keyspace *k = repair_find_keyspace(r, change->id);
    if (!k || change->dropped)
        return error_status(FIRN_NOT_SUPPORTED, "%s: keyspace %u cannot be repaired", r->directory,
                            change->id);
    memory_free(k->name);
    memory_free(k->comparator);
    k->name = memory_copy_string(change->name);
    k->comparator = memory_copy_string(change->comparator);
    if (!k->name || !k->comparator)
        return error_status(FIRN_NO_MEMORY, "%s: no memory for its keyspaces", r->directory);
    TRY(repair_order_by_name(r, slice_from_string(change->comparator), &k->order));
out:
    return st;
}

static repair_table *repair_find_table(repair *r, uint64_t number) {
    for (size_t i = 0; i < r->table_count; i++) {
        if (r->tables[i].number == number)
            return &r->tables[i];
    }
    return NULL;
}

static status repair_apply_added(repair *r, const edit_added *added) {
    repair_table fresh = {.number = added->table->where.number,
                          .source = added->table->where.number,
                          .level = added->level,
                          .is_listed = true,
                          .meta = added->table};
    table_meta_ref(added->table);
    repair_table *known = repair_find_table(r, fresh.number);
    if (!known)
        return repair_add_table(r, &fresh);
    table_meta_unref(known->meta);
    *known = fresh;
    return STATUS_OK;
}

static status repair_apply_edit(void *context, const version_edit *edit) {
    status st = STATUS_OK;
    repair *r = context;
    for (uint32_t i = 0; i < edit->keyspace_count; i++)
        TRY(repair_apply_keyspace(r, &edit->keyspaces[i]));
    for (uint32_t i = 0; i < edit->removed_count; i++) {
        repair_table gone = {.number = edit->removed[i].number,
                             .source = edit->removed[i].number,
                             .level = edit->removed[i].level,
                             .fate = REPAIR_DROP};
        repair_table *t = repair_find_table(r, gone.number);
        if (t)
            t->fate = REPAIR_DROP;
        else
            TRY(repair_add_table(r, &gone));
    }
    for (uint32_t i = 0; i < edit->added_count; i++)
        TRY(repair_apply_added(r, &edit->added[i]));
    for (uint32_t i = 0; i < edit->flushed_count; i++) {
        repair_keyspace *k = repair_find_keyspace(r, edit->flushed[i].keyspace);
        if (k && k->flushed < edit->flushed[i].sequence)
            k->flushed = edit->flushed[i].sequence;
    }
    if (edit->has_next_file && edit->next_file > r->next_file)
        r->next_file = edit->next_file;
    if (edit->has_last_sequence && edit->last_sequence > r->last_sequence)
        r->last_sequence = edit->last_sequence;
    if (edit->has_log_floor) {
        r->log_floor_segment = edit->log_floor_segment;
        r->log_floor_position = edit->log_floor_position;
    }
    if (edit->has_clean_end)
        r->clean_end = edit->clean_end;
out:
    return st;
}

static void repair_forget_edits(repair *r) {
    for (size_t i = 0; i < r->table_count; i++)
        table_meta_unref(r->tables[i].meta);
    r->table_count = 0;
    for (uint32_t i = 0; i < r->keyspace_count; i++) {
        memory_free(r->keyspaces[i].name);
        memory_free(r->keyspaces[i].comparator);
    }
    r->keyspace_count = 0;
    r->next_file = r->log_floor_segment = r->log_floor_position = r->clean_end = 0;
    r->last_sequence = 0;
}

/* *usable: something can be had from this manifest. */
static status repair_try_manifest(repair *r, uint64_t number, uint64_t current, bool *usable) {
    status st = STATUS_OK;
    char path[FILE_PATH_BYTES];
    manifest_salvage found;
    file_path(path, r->directory, FILE_MANIFEST, number);
    repair_message m = REPAIR_MESSAGE(FIRN_REPAIR_PROBLEM, path);
    st = manifest_salvage_run(r->config->vfs, path, number, repair_apply_edit, r, &found);
    *usable = status_is_ok(st) && found.edits > 0;
    if (repair_is_damage(st)) {
        TRY(repair_tell(r, &m, "%s", error_detail_get()));
        goto out;
    }
    TRY(st);
    if (!found.is_whole) {
        m.offset = found.bad_offset;
        TRY(repair_tell(r, &m, "%s: damaged version edit at offset %llu; %u edits can be read",
                        path, (unsigned long long)found.bad_offset, found.edits));
    }
    if (*usable) {
        r->manifest_number = number;
        r->has_database = true;
        memcpy(r->database, found.database, sizeof r->database);
        /* Only the one that was in force is the truth; without CURRENT, the newest. */
        r->manifest_is_whole = found.is_whole && (current == 0 || current == number);
    }
out:
    return st;
}

static status repair_survey_manifest(repair *r) {
    status st = STATUS_OK;
    uint64_t current = 0, below = UINT64_MAX;
    char path[FILE_PATH_BYTES];
    bool usable = false;
    st = manifest_read_current(r->config->vfs, r->directory, &current);
    r->current_is_good = status_is_ok(st);
    repair_message m =
        REPAIR_MESSAGE(FIRN_REPAIR_PROBLEM, file_path(path, r->directory, FILE_CURRENT, 0));
    if (status_is(st, FIRN_NOT_FOUND))
        TRY(repair_tell(r, &m, "%s: missing", path));
    else if (repair_is_damage(st) ||
             (status_is(st, FIRN_NOT_SUPPORTED) &&
              manifest_current_has_bad_format(r->config->vfs, r->directory)))
        TRY(repair_tell(r, &m, "%s", error_detail_get()));
    else
        TRY(st);
    if (current)
        TRY(repair_try_manifest(r, current, current, &usable));
    while (!usable && r->manifest_file_count > 0) {
        uint64_t next = 0;
        for (size_t i = 0; i < r->manifest_file_count; i++) {
            if (r->manifest_files[i] < below && r->manifest_files[i] > next)
                next = r->manifest_files[i];
        }
        if (next == 0)
            break;
        below = next;
        if (next == current)
            continue;
        repair_forget_edits(r);
        TRY(repair_try_manifest(r, next, current, &usable));
    }
    if (!usable)
        repair_forget_edits(r);
    st = STATUS_OK;
out:
    return st;
}

/* --- tables --- */

/* A description from the file itself, when no manifest has one. */
static status repair_describe_table(table *t, const repair_keyspace *k, uint64_t number,
                                    table_meta **out) {
    status st = STATUS_OK;
    buf smallest = {0}, largest = {0};
    *out = NULL;
    TRY(table_read_bounds(t, &smallest, &largest));
    if (smallest.size == 0) {
        st = error_status(FIRN_CORRUPTION, "the table is empty");
        goto out;
    }
    table_summary summary = {.properties = *table_get_properties(t),
                             .smallest = {buf_slice(&smallest)},
                             .largest = {buf_slice(&largest)}};
    table_meta fields = table_meta_from_summary(&summary, number, k->id);
    TRY(table_meta_new(&fields, out));
out:
    buf_deinit(&smallest);
    buf_deinit(&largest);
    return st;
}

/* Opens and checks all of it. The order of keys is in the table, and wrong ones are refused. */
static status repair_check_whole(repair *r, const repair_table *t, const char *path,
                                 table_meta **described) {
    status st = STATUS_OK;
    table *opened = NULL;
    repair_keyspace *k = t->meta ? repair_find_keyspace(r, t->meta->keyspace) : NULL;
    table_open_args args = {.vfs = r->config->vfs,
                            .path = path,
                            .order = k ? k->order : r->config->order,
                            .expected_bytes = t->meta ? t->meta->where.file_bytes : 0,
                            .expected_identity = t->meta ? t->meta->where.identity : NULL};
    *described = NULL;
    st = table_open(&args, &opened);
    if (status_is(st, FIRN_INVALID_ARGUMENT) && !k && args.order.custom) {
        args.order = (key_order){NULL};
        st = table_open(&args, &opened);
    }
    TRY(st);
    TRY(table_verify(opened, NULL, NULL));
    if (t->meta)
        goto out;
    k = repair_find_keyspace(r, table_get_properties(opened)->keyspace);
    if (!k) {
        st = error_status(FIRN_NO_MEMORY, "%s: no room for its keyspace", path);
        goto out;
    }
    k->order = args.order;
    TRY(repair_describe_table(opened, k, t->number, described));
out:
    table_unref(opened);
    return st;
}

/* Whether another file holds exactly this table: files that were exchanged. */
static bool repair_find_elsewhere(repair *r, repair_table *t, char path[FILE_PATH_BYTES]) {
    table_meta *none;
    for (size_t i = 0; t->meta && i < r->table_file_count; i++) {
        if (r->table_files[i] == t->number)
            continue;
        file_path(path, r->directory, FILE_TABLE, r->table_files[i]);
        if (status_is_ok(repair_check_whole(r, t, path, &none))) {
            t->source = r->table_files[i];
            return true;
        }
    }
    return false;
}

static status repair_survey_table(repair *r, repair_table *t) {
    status st = STATUS_OK;
    table_meta *described;
    char path[FILE_PATH_BYTES], other[FILE_PATH_BYTES], problem[FILE_PATH_BYTES + 64];
    file_path(path, r->directory, FILE_TABLE, t->number);
    repair_message m = REPAIR_MESSAGE(FIRN_REPAIR_PROBLEM, path);
    st = repair_check_whole(r, t, path, &described);
    if (status_is_ok(st) && described)
        t->meta = described;
    /* A newer format is told from a damaged number by the salvage. */
    if (!repair_is_damage(st) && !status_is(st, FIRN_NOT_SUPPORTED))
        return st;
    snprintf(problem, sizeof problem, "%s", error_detail_get());
    if (repair_find_elsewhere(r, t, other)) {
        t->fate = REPAIR_COPY;
        return repair_tell(r, &m, "%s: not the table of this name; %s is", path, other);
    }
    if (status_is(st, FIRN_NOT_FOUND))
        snprintf(problem, sizeof problem, "%s: missing, but the manifest lists it", path);
    return repair_judge_damaged(r, t, problem);
}

/* Without all edits nobody knows whether a later one replaced the table. */
static status repair_tell_gone(repair *r, repair_table *t) {
    char path[FILE_PATH_BYTES];
    repair_message m =
        REPAIR_MESSAGE(FIRN_REPAIR_LOSS, file_path(path, r->directory, FILE_TABLE, t->number));
    t->fate = REPAIR_LOST;
    m.entries = t->meta->entries;
    m.from = internal_key_user(t->meta->smallest).s;
    m.to = internal_key_user(t->meta->largest).s;
    return repair_tell(r, &m,
                       "%s: missing; lost are its keys, unless the edits that are damaged "
                       "had replaced it",
                       path);
}

static status repair_survey_tables(repair *r) {
    status st = STATUS_OK;
    /* Without a whole manifest any table may belong: all that no edit removed. */
    for (size_t i = 0; !r->manifest_is_whole && i < r->table_file_count; i++) {
        repair_table t = {.number = r->table_files[i],
                          .source = r->table_files[i],
                          .level = LEVEL_COUNT};
        if (!repair_find_table(r, t.number))
            TRY(repair_add_table(r, &t));
    }
    for (size_t i = 0; i < r->table_count; i++) {
        repair_table *t = &r->tables[i];
        /* An edit that adds it may have been lost with those behind it that remove it again. */
        if (!r->manifest_is_whole && t->fate != REPAIR_DROP && !repair_has_file(r, t->number))
            TRY(repair_tell_gone(r, t));
        if (t->fate == REPAIR_KEEP)
            TRY(repair_survey_table(r, &r->tables[i]));
    }
out:
    return st;
}

/* --- the log --- */

static status repair_skip_batch(void *context, seqno first, uint32_t count, slice ops,
                                uint64_t position) {
    (void)context;
    (void)first;
    (void)count;
    (void)ops;
    (void)position;
    return STATUS_OK;
}

/* With a whole manifest the log is judged as an open would judge it. */
static status repair_survey_log(repair *r) {
    wal_recovery found = {0};
    wal_recovery_args args = {.vfs = r->config->vfs,
                              .directory = r->directory,
                              .floor_segment = r->log_floor_segment,
                              .floor_position = r->log_floor_position,
                              .clean_end = r->clean_end,
                              .on_batch = repair_skip_batch};
    memcpy(args.database, r->database, sizeof args.database);
    if (!r->manifest_is_whole)
        return STATUS_OK;
    status st = wal_recover(&args, &found);
    wal_recovery_deinit(&found);
    /* A newer format is told from a damaged number by the salvage. */
    if (!repair_is_damage(st) && !status_is(st, FIRN_NOT_SUPPORTED))
        return st;
    r->log_is_damaged = true;
    repair_message m = REPAIR_MESSAGE(FIRN_REPAIR_PROBLEM, r->directory);
    return repair_tell(r, &m, "%s", error_detail_get());
}

FIRN_INTERNAL status repair_survey(repair *r) {
    status st = STATUS_OK;
    TRY(repair_survey_manifest(r));
    TRY(repair_survey_tables(r));
    TRY(repair_survey_log(r));
    if (!repair_find_keyspace(r, KEYSPACE_DEFAULT))
        st = error_status(FIRN_NO_MEMORY, "%s: no memory for its keyspaces", r->directory);
out:
    return st;
}
