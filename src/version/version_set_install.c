#include "version/version_set_internal.h"

#include "platform/error_detail.h"
#include "platform/memory.h"

#include "base/poison.h"

/* Tables that left the keyspace for good may be deleted once nobody reads them. */
static void version_set_mark_obsolete(const version *before, const version_edit *edit,
                                      uint32_t keyspace_id) {
    for (uint32_t i = 0; i < edit->removed_count; i++) {
        const edit_removed *r = &edit->removed[i];
        bool moved = false;
        for (uint32_t j = 0; j < edit->added_count; j++)
            moved |= edit->added[j].table->where.number == r->number;
        table_meta *gone = r->keyspace == keyspace_id && !moved
                               ? version_find_table(before, r->level, r->number)
                               : NULL;
        if (gone) /* relaxed: the reference count's release orders it before the last drop. */
            atomic_u32_store(&gone->obsolete, 1, memory_order_relaxed);
    }
}

FIRN_INTERNAL uint64_t version_set_new_file_number(version_set *vs) {
    mutex_lock(&vs->guard);
    uint64_t number = vs->next_file++;
    mutex_unlock(&vs->guard);
    return number;
}

/* The complete state as one edit, with `edit`'s own fields on top: the start of a new manifest.
 * Tables come from `next`, the versions with the edit applied. */
static status version_set_snapshot(version_set *vs, const version_edit *edit, version *const *next,
                                   version_edit *out) {
    status st = STATUS_OK;
    mutex_assert_held(&vs->install_guard);
    mutex_lock(&vs->guard);
    *out = (version_edit){.has_database = true,
                          .has_next_file = true,
                          .next_file = vs->next_file,
                          .has_last_sequence = true,
                          .last_sequence = edit->last_sequence,
                          .has_log_floor = true,
                          .log_floor_segment = vs->log_floor_segment,
                          .log_floor_position = vs->log_floor_position,
                          .has_clean_end = true,
                          .clean_end = vs->clean_end};
    memcpy(out->database, vs->manifest.database, sizeof out->database);
    if (edit->has_database)
        memcpy(out->database, edit->database, sizeof out->database);
    if (edit->has_log_floor) {
        out->log_floor_segment = edit->log_floor_segment;
        out->log_floor_position = edit->log_floor_position;
    }
    if (edit->has_clean_end)
        out->clean_end = edit->clean_end;
    for (uint32_t i = 0; i < vs->keyspace_count; i++) {
        keyspace *k = vs->keyspaces[i];
        const version *v = next[i] ? next[i] : k->version;
        seqno flushed = k->flushed_through;
        for (uint32_t j = 0; j < edit->flushed_count; j++) {
            if (edit->flushed[j].keyspace == k->id && edit->flushed[j].sequence > flushed)
                flushed = edit->flushed[j].sequence;
        }
        TRY(version_edit_create_keyspace(out, k->id, k->name, key_order_name(k->order)));
        TRY(version_edit_set_flushed(out, k->id, flushed));
        for (uint32_t level = 0; level < LEVEL_COUNT; level++) {
            for (uint32_t t = 0; t < v->levels[level].count; t++)
                TRY(version_edit_add_table(out, level, v->levels[level].tables[t]));
        }
    }
    for (uint32_t i = 0; i < edit->keyspace_count; i++)
        TRY(version_edit_create_keyspace(out, edit->keyspaces[i].id, edit->keyspaces[i].name,
                                         edit->keyspaces[i].comparator));
out:
    mutex_unlock(&vs->guard);
    return st;
}

/* The commit point. */
static status version_set_log_edit(version_set *vs, version_edit *edit, version *const *next) {
    status st = STATUS_OK;
    version_edit snapshot = {0};
    mutex_assert_held(&vs->install_guard);
    if (vs->manifest.health == MANIFEST_POISONED) {
        vs->manifest.is_unsettled = false; /* this edit is not even written */
        st = error_status(FIRN_IO_ERROR,
                          "%s: a sync of the manifest failed earlier; close the "
                          "database and open it again",
                          vs->directory);
    } else if (manifest_wants_new_file(&vs->manifest)) {
        uint64_t number = version_set_new_file_number(vs);
        TRY(version_set_snapshot(vs, edit, next, &snapshot));
        TRY(manifest_start_file(&vs->manifest, number, &snapshot));
    } else {
        TRY(manifest_append(&vs->manifest, edit));
    }
out:
    edit->may_stand = !status_is_ok(st) && vs->manifest.is_unsettled;
    version_edit_deinit(&snapshot);
    return st;
}

static void version_set_publish_locked(version_set *vs, const version_edit *edit, version **next,
                                       read_view **views) {
    version_set_apply_scalars_locked(vs, edit);
    for (uint32_t i = 0; i < vs->keyspace_count; i++) {
        keyspace *k = vs->keyspaces[i];
        if (!views[i])
            continue;
        if (next[i]) {
            version *old = k->version;
            version_set_mark_obsolete(old, edit, k->id);
            k->version = next[i];
            next[i] = old; /* dropped by the caller, without the lock */
            if (edit->drops_live)
                k->last_drop = ++vs->drops;
        }
        views[i] = keyspace_publish(k, views[i]);
    }
}

static bool version_set_edit_touches(const version_edit *edit, uint32_t keyspace_id) {
    for (uint32_t i = 0; i < edit->added_count; i++) {
        if (edit->added[i].table->keyspace == keyspace_id)
            return true;
    }
    for (uint32_t i = 0; i < edit->removed_count; i++) {
        if (edit->removed[i].keyspace == keyspace_id)
            return true;
    }
    return false;
}

static status version_set_install_locked(version_set *vs, version_edit *edit,
                                         const flushed_memtable *flushed) {
    status st = STATUS_OK;
    version *next[KEYSPACES_MAX] = {NULL};
    read_view *views[KEYSPACES_MAX] = {NULL};
    memtable *dropped = NULL;
    retired_memtable *retired = NULL;
    mutex_assert_held(&vs->install_guard);
    edit->has_next_file = edit->has_last_sequence = true;
    mutex_lock(&vs->guard);
    edit->next_file = vs->next_file;
    if (edit->last_sequence < vs->last_sequence)
        edit->last_sequence = vs->last_sequence;
    if (edit->has_log_floor && edit->log_floor_position < vs->log_floor_position) {
        /* A flush of another keyspace was installed since this one looked. Its floor holds as well,
         * and the log below it is gone. */
        edit->log_floor_position = vs->log_floor_position;
        edit->log_floor_segment = vs->log_floor_segment;
    }
    mutex_unlock(&vs->guard);
    /* Only installs change versions and the list of keyspaces, and they hold install_guard. */
    for (uint32_t i = 0; i < vs->keyspace_count; i++) {
        keyspace *k = vs->keyspaces[i];
        if (version_set_edit_touches(edit, k->id))
            TRY(version_new_edited(k->version, edit, k->id, vs->grave, &next[i]));
        if (next[i] || (flushed && k->id == flushed->keyspace))
            TRY(keyspace_prepare_view(&views[i]));
    }
    if (flushed)
        TRY(version_set_prepare_retired(flushed->table, &retired));
    TRY(version_set_log_edit(vs, edit, next));
    /* One step for readers: the flushed memtable goes and its tables come under the same lock. */
    mutex_lock(&vs->guard);
    if (flushed)
        dropped = version_set_drop_flushed_locked(vs, flushed, &retired);
    version_set_publish_locked(vs, edit, next, views);
    mutex_unlock(&vs->guard);
    if (flushed)
        memtable_unref(flushed->table); /* the reference that version_set_take_flush gave */
out:
    version_set_note_manifest(vs);
    memtable_unref(dropped);
    memory_free(retired);
    for (uint32_t i = 0; i < KEYSPACES_MAX; i++) {
        version_unref(next[i]);
        read_view_retire(views[i], vs->readers);
    }
    return st;
}

FIRN_INTERNAL status version_set_install(version_set *vs, version_edit *edit,
                                         const flushed_memtable *flushed) {
    mutex_lock(&vs->install_guard);
    status st = version_set_install_locked(vs, edit, flushed);
    mutex_unlock(&vs->install_guard);
    return st;
}

/* Makes a keyspace durable, then part of the state. Takes nothing of `edit`. */
static status version_set_add_keyspace_locked(version_set *vs, version_edit *edit, uint32_t id,
                                              const char *name) {
    status st = STATUS_OK;
    TRY(version_edit_create_keyspace(edit, id, name, key_order_name(vs->order)));
    TRY(version_set_install_locked(vs, edit, NULL));
    mutex_lock(&vs->guard);
    st = version_set_apply_keyspace_locked(vs, &edit->keyspaces[0]);
    mutex_unlock(&vs->guard);
out:
    return st;
}

FIRN_INTERNAL status version_set_create(version_set *vs) {
    version_edit edit = {.has_database = true, .has_log_floor = true, .log_floor_segment = 1};
    entropy_read(edit.database, sizeof edit.database);
    mutex_lock(&vs->install_guard);
    status st = version_set_add_keyspace_locked(vs, &edit, KEYSPACE_DEFAULT, "default");
    mutex_unlock(&vs->install_guard);
    version_edit_deinit(&edit);
    return st;
}

FIRN_INTERNAL status version_set_create_keyspace(version_set *vs, const char *name, uint32_t *id) {
    status st;
    version_edit edit = {0};
    mutex_lock(&vs->install_guard);
    *id = vs->next_keyspace;
    bool taken = vs->keyspace_count == KEYSPACES_MAX;
    for (uint32_t i = 0; i < vs->keyspace_count; i++)
        taken |= strcmp(vs->keyspaces[i]->name, name) == 0;
    if (taken)
        st = error_status(FIRN_BUSY, "keyspace \"%s\" exists already, or there are %d of them",
                          name, KEYSPACES_MAX);
    else
        st = version_set_add_keyspace_locked(vs, &edit, *id, name);
    mutex_unlock(&vs->install_guard);
    version_edit_deinit(&edit);
    return st;
}

FIRN_INTERNAL bool version_set_mark_compacting(version_set *vs, table_meta *const *tables,
                                               uint32_t count, bool compacting) {
    bool free_to_take = true;
    mutex_lock(&vs->guard);
    for (uint32_t i = 0; compacting && i < count; i++)
        free_to_take &= !tables[i]->compacting;
    for (uint32_t i = 0; free_to_take && i < count; i++)
        tables[i]->compacting = compacting;
    mutex_unlock(&vs->guard);
    return free_to_take;
}

FIRN_INTERNAL void version_set_with_state(version_set *vs, uint32_t keyspace_id,
                                          void (*look)(void *context, version *now),
                                          void *context) {
    mutex_lock(&vs->guard);
    keyspace *k = version_set_find_locked(vs, keyspace_id);
    if (k)
        look(context, k->version);
    mutex_unlock(&vs->guard);
}
