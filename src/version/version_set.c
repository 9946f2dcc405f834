#include "version/version_set.h"

#include "platform/error_detail.h"
#include "platform/memory.h"
#include "platform/thread.h"
#include "version/keyspace.h"

#include "base/poison.h"

#define KEYSPACES_MAX 64

struct version_set {
    /* set at birth */
    const firn_vfs *vfs;
    const char *directory;
    key_order order;
    uint64_t memtable_bytes;
    graveyard *grave;

    mutex
        install_guard; /* serialises edits; held across the manifest's I/O; taken before `guard` */
    manifest manifest; /* guarded by install_guard */

    mutex guard;                        /* all below; never held across I/O */
    keyspace *keyspaces[KEYSPACES_MAX]; /* ascending by id */
    uint32_t keyspace_count;
    uint64_t next_file;
    uint32_t next_keyspace;
    seqno last_sequence;
    uint64_t log_floor_segment, log_floor_position, clean_end;
    uint64_t manifest_number;
    uint8_t database[16];
    bool poisoned;
};

FIRN_INTERNAL status version_set_new(const version_set_args *args, version_set **out) {
    version_set *vs = memory_new_zeroed(sizeof *vs);
    *out = vs;
    if (!vs)
        return error_status(FIRN_NO_MEMORY, "no memory for the version set");
    vs->vfs = args->vfs;
    vs->directory = args->directory;
    vs->order = args->order;
    vs->memtable_bytes = args->memtable_bytes;
    vs->grave = args->grave;
    vs->next_file = 1;
    mutex_init(&vs->install_guard);
    mutex_init(&vs->guard);
    manifest_init(&vs->manifest, vs->vfs, vs->directory);
    return STATUS_OK;
}

FIRN_INTERNAL void version_set_free(version_set *vs) {
    if (!vs)
        return;
    for (uint32_t i = 0; i < vs->keyspace_count; i++)
        keyspace_free(vs->keyspaces[i]);
    manifest_deinit(&vs->manifest);
    mutex_deinit(&vs->guard);
    mutex_deinit(&vs->install_guard);
    memory_free(vs);
}

static keyspace *version_set_find_locked(version_set *vs, uint32_t id) {
    mutex_assert_held(&vs->guard);
    for (uint32_t i = 0; i < vs->keyspace_count; i++) {
        if (vs->keyspaces[i]->id == id)
            return vs->keyspaces[i];
    }
    return NULL;
}

/* --- recovery: one thread, but the locks are taken all the same, so that asserts hold --- */

static status version_set_order_by_name(const version_set *vs, const char *name, key_order *out) {
    *out = (key_order){NULL};
    if (strcmp(name, key_order_name(vs->order)) == 0)
        *out = vs->order;
    else if (strcmp(name, KEY_ORDER_BYTEWISE_NAME) != 0 || !vs->keyspace_count)
        return error_status(
            FIRN_INVALID_ARGUMENT,
            "%s: was created with comparator \"%s\" and opened with \"%s\"; open it "
            "with the one it was created with",
            vs->directory, name, key_order_name(vs->order));
    return STATUS_OK;
}

static status version_set_apply_keyspace_locked(version_set *vs, const edit_keyspace *change) {
    key_order order;
    keyspace *k = version_set_find_locked(vs, change->id);
    if (change->dropped || k || vs->keyspace_count == KEYSPACES_MAX)
        return error_status(FIRN_NOT_SUPPORTED, "%s: keyspace %u %s", vs->directory, change->id,
                            change->dropped ? "was dropped by a newer version of Firn"
                                            : "cannot be created");
    status st = version_set_order_by_name(vs, change->comparator, &order);
    if (!status_is_ok(st))
        return st;
    st = keyspace_new(change->id, change->name, order, vs->memtable_bytes, &k);
    if (status_is_ok(st)) {
        vs->keyspaces[vs->keyspace_count++] = k;
        if (change->id >= vs->next_keyspace)
            vs->next_keyspace = change->id + 1;
    }
    return st;
}

static void version_set_apply_scalars_locked(version_set *vs, const version_edit *edit) {
    mutex_assert_held(&vs->guard);
    if (edit->has_next_file && edit->next_file > vs->next_file)
        vs->next_file = edit->next_file;
    if (edit->has_last_sequence && edit->last_sequence > vs->last_sequence)
        vs->last_sequence = edit->last_sequence;
    if (edit->has_log_floor) {
        vs->log_floor_segment = edit->log_floor_segment;
        vs->log_floor_position = edit->log_floor_position;
    }
    if (edit->has_clean_end)
        vs->clean_end = edit->clean_end;
    for (uint32_t i = 0; i < edit->flushed_count; i++) {
        keyspace *k = version_set_find_locked(vs, edit->flushed[i].keyspace);
        if (k && edit->flushed[i].sequence > k->flushed_through)
            k->flushed_through = edit->flushed[i].sequence;
    }
}

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

static status version_set_apply_recovered(void *context, const version_edit *edit) {
    version_set *vs = context;
    status st = STATUS_OK;
    read_view *view = NULL;
    mutex_lock(&vs->guard);
    for (uint32_t i = 0; i < edit->keyspace_count; i++)
        TRY(version_set_apply_keyspace_locked(vs, &edit->keyspaces[i]));
    for (uint32_t i = 0; i < vs->keyspace_count && edit->added_count + edit->removed_count; i++) {
        keyspace *k = vs->keyspaces[i];
        version *next;
        TRY(keyspace_prepare_view(&view));
        TRY(version_new_edited(k->version, edit, k->id, vs->grave, &next));
        version_unref(k->version);
        k->version = next;
        read_view_unref(keyspace_publish(k, view));
        view = NULL;
    }
    version_set_apply_scalars_locked(vs, edit);
out:
    mutex_unlock(&vs->guard);
    read_view_unref(view); /* NULL unless building the version failed */
    return st;
}

/* Copies what others may ask of the manifest to where they may look. */
static void version_set_note_manifest(version_set *vs) {
    mutex_lock(&vs->guard);
    vs->poisoned = vs->manifest.health == MANIFEST_POISONED;
    vs->manifest_number = vs->manifest.number;
    memcpy(vs->database, vs->manifest.database, sizeof vs->database);
    mutex_unlock(&vs->guard);
}

FIRN_INTERNAL status version_set_recover(version_set *vs) {
    status st = STATUS_OK;
    mutex_lock(&vs->install_guard);
    TRY(manifest_recover(&vs->manifest, version_set_apply_recovered, vs));
    version_set_note_manifest(vs);
    version_set_note_file_number(vs, vs->manifest.number);
    if (!vs->keyspace_count || vs->keyspaces[0]->id != KEYSPACE_DEFAULT)
        st = error_status(FIRN_CORRUPTION, "%s: the manifest has no default keyspace",
                          vs->directory);
out:
    mutex_unlock(&vs->install_guard);
    return st;
}

/* --- reading --- */

FIRN_INTERNAL read_view *version_set_view(version_set *vs, uint32_t keyspace_id) {
    mutex_lock(&vs->guard);
    keyspace *k = version_set_find_locked(vs, keyspace_id);
    read_view *view = k ? k->view : NULL;
    if (view)
        read_view_ref(view);
    mutex_unlock(&vs->guard);
    return view;
}

FIRN_INTERNAL uint32_t version_set_keyspaces(version_set *vs, uint32_t *ids, uint32_t capacity) {
    mutex_lock(&vs->guard);
    uint32_t count = vs->keyspace_count;
    for (uint32_t i = 0; i < count && i < capacity; i++)
        ids[i] = vs->keyspaces[i]->id;
    mutex_unlock(&vs->guard);
    return count;
}

/* --- memtables --- */

FIRN_INTERNAL memtable *version_set_active(version_set *vs, uint32_t keyspace_id) {
    mutex_lock(&vs->guard);
    keyspace *k = version_set_find_locked(vs, keyspace_id);
    memtable *active = k ? k->active.table : NULL;
    mutex_unlock(&vs->guard);
    return active;
}

FIRN_INTERNAL void version_set_note_log_start(version_set *vs, uint32_t keyspace_id,
                                              uint64_t position) {
    mutex_lock(&vs->guard);
    keyspace *k = version_set_find_locked(vs, keyspace_id);
    if (k && memtable_entries(k->active.table) == 0)
        k->active.log_start = position;
    mutex_unlock(&vs->guard);
}

FIRN_INTERNAL status version_set_seal(version_set *vs, uint32_t keyspace_id) {
    status st = STATUS_OK;
    memtable *fresh = NULL;
    read_view *view = NULL;
    mutex_lock(&vs->guard);
    keyspace *k = version_set_find_locked(vs, keyspace_id);
    if (!k || memtable_entries(k->active.table) == 0)
        goto out;
    if (k->sealed_count == SEALED_MEMTABLES_MAX) {
        st = status_of(FIRN_BUSY, "too many memtables wait to be flushed");
        goto out;
    }
    TRY(memtable_new(k->order, vs->memtable_bytes, &fresh));
    TRY(keyspace_prepare_view(&view));
    keyspace_seal(k, fresh);
    fresh = NULL;
    view = keyspace_publish(k, view);
out:
    mutex_unlock(&vs->guard);
    memtable_unref(fresh);
    read_view_unref(view);
    return st;
}

FIRN_INTERNAL uint32_t version_set_sealed_count(version_set *vs, uint32_t keyspace_id) {
    mutex_lock(&vs->guard);
    keyspace *k = version_set_find_locked(vs, keyspace_id);
    uint32_t count = k ? k->sealed_count : 0;
    mutex_unlock(&vs->guard);
    return count;
}

FIRN_INTERNAL bool version_set_has_sealed(version_set *vs, seqno sequence) {
    bool any = false;
    mutex_lock(&vs->guard);
    for (uint32_t i = 0; i < vs->keyspace_count; i++) {
        const keyspace *k = vs->keyspaces[i];
        any |= k->sealed_count > 0 && memtable_first_sequence(k->sealed[0].table) <= sequence;
    }
    mutex_unlock(&vs->guard);
    return any;
}

FIRN_INTERNAL bool version_set_oldest_unflushed(version_set *vs, uint32_t *keyspace_id,
                                                uint64_t *position) {
    *position = UINT64_MAX;
    mutex_lock(&vs->guard);
    for (uint32_t i = 0; i < vs->keyspace_count; i++) {
        uint64_t start = keyspace_log_start(vs->keyspaces[i], NULL);
        if (start < *position) {
            *position = start;
            *keyspace_id = vs->keyspaces[i]->id;
        }
    }
    mutex_unlock(&vs->guard);
    return *position != UINT64_MAX;
}

/* One flush per keyspace at a time, oldest memtable first; of several keyspaces the one whose
 * memtable holds back most of the log. */
FIRN_INTERNAL bool version_set_take_flush(version_set *vs, uint32_t *keyspace_id, memtable **out) {
    keyspace *best = NULL;
    *out = NULL;
    mutex_lock(&vs->guard);
    for (uint32_t i = 0; i < vs->keyspace_count; i++) {
        keyspace *k = vs->keyspaces[i];
        if (k->sealed_count && !k->sealed[0].flushing &&
            (!best || k->sealed[0].log_start < best->sealed[0].log_start))
            best = k;
    }
    if (best) {
        best->sealed[0].flushing = true;
        *keyspace_id = best->id;
        *out = best->sealed[0].table;
        memtable_ref(*out);
    }
    mutex_unlock(&vs->guard);
    return best != NULL;
}

FIRN_INTERNAL void version_set_flush_failed(version_set *vs, uint32_t keyspace_id, memtable *m) {
    mutex_lock(&vs->guard);
    keyspace *k = version_set_find_locked(vs, keyspace_id);
    CHECK(k && k->sealed_count && k->sealed[0].table == m);
    k->sealed[0].flushing = false;
    mutex_unlock(&vs->guard);
    memtable_unref(m);
}

static bool version_set_keyspace_reaches_below(const keyspace *k, seqno sequence) {
    for (uint32_t i = 0; i < k->sealed_count; i++) {
        if (memtable_first_sequence(k->sealed[i].table) <= sequence)
            return true;
    }
    return memtable_entries(k->active.table) > 0 &&
           memtable_first_sequence(k->active.table) <= sequence;
}

FIRN_INTERNAL bool version_set_log_is_shared(version_set *vs, uint32_t keyspace_id,
                                             seqno sequence) {
    bool shared = false;
    mutex_lock(&vs->guard);
    for (uint32_t i = 0; i < vs->keyspace_count; i++) {
        const keyspace *k = vs->keyspaces[i];
        shared |= k->id != keyspace_id && version_set_keyspace_reaches_below(k, sequence);
    }
    mutex_unlock(&vs->guard);
    return shared;
}

FIRN_INTERNAL uint64_t version_set_log_floor(version_set *vs, const memtable *flushed,
                                             uint64_t applied) {
    uint64_t floor = applied;
    mutex_lock(&vs->guard);
    for (uint32_t i = 0; i < vs->keyspace_count; i++) {
        uint64_t start = keyspace_log_start(vs->keyspaces[i], flushed);
        if (start < floor)
            floor = start;
    }
    mutex_unlock(&vs->guard);
    return floor;
}

FIRN_INTERNAL uint64_t version_set_memtable_bytes(version_set *vs, uint64_t *entries,
                                                  uint64_t *sealed) {
    uint64_t bytes = 0;
    *entries = *sealed = 0;
    mutex_lock(&vs->guard);
    for (uint32_t i = 0; i < vs->keyspace_count; i++) {
        const keyspace *k = vs->keyspaces[i];
        bytes += memtable_bytes(k->active.table);
        *entries += memtable_entries(k->active.table);
        *sealed += k->sealed_count;
        for (uint32_t j = 0; j < k->sealed_count; j++) {
            bytes += memtable_bytes(k->sealed[j].table);
            *entries += memtable_entries(k->sealed[j].table);
        }
    }
    mutex_unlock(&vs->guard);
    return bytes;
}

/* --- changing --- */

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
static status version_set_log_edit(version_set *vs, const version_edit *edit,
                                   version *const *next) {
    status st = STATUS_OK;
    version_edit snapshot = {0};
    mutex_assert_held(&vs->install_guard);
    if (vs->manifest.health == MANIFEST_POISONED) {
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
    version_edit_deinit(&snapshot);
    return st;
}

/* One step for readers: the flushed memtable goes and its tables come under the same lock. Gives
 * back the memtable's reference. */
static memtable *version_set_publish(version_set *vs, const version_edit *edit, version **next,
                                     read_view **views, const flushed_memtable *flushed) {
    memtable *dropped = NULL;
    mutex_lock(&vs->guard);
    if (flushed)
        dropped = keyspace_drop_oldest_sealed(version_set_find_locked(vs, flushed->keyspace),
                                              flushed->table);
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
        }
        views[i] = keyspace_publish(k, views[i]);
    }
    mutex_unlock(&vs->guard);
    return dropped;
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
    mutex_assert_held(&vs->install_guard);
    edit->has_next_file = edit->has_last_sequence = true;
    mutex_lock(&vs->guard);
    edit->next_file = vs->next_file;
    if (edit->last_sequence < vs->last_sequence)
        edit->last_sequence = vs->last_sequence;
    mutex_unlock(&vs->guard);
    /* Only installs change versions and the list of keyspaces, and they hold install_guard. */
    for (uint32_t i = 0; i < vs->keyspace_count; i++) {
        keyspace *k = vs->keyspaces[i];
        if (version_set_edit_touches(edit, k->id))
            TRY(version_new_edited(k->version, edit, k->id, vs->grave, &next[i]));
        if (next[i] || (flushed && k->id == flushed->keyspace))
            TRY(keyspace_prepare_view(&views[i]));
    }
    TRY(version_set_log_edit(vs, edit, next));
    dropped = version_set_publish(vs, edit, next, views, flushed);
    if (flushed)
        memtable_unref(flushed->table); /* the reference that version_set_take_flush gave */
out:
    version_set_note_manifest(vs);
    memtable_unref(dropped);
    for (uint32_t i = 0; i < KEYSPACES_MAX; i++) {
        version_unref(next[i]);
        read_view_unref(views[i]);
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

FIRN_INTERNAL void version_set_with_state(version_set *vs, void (*look)(void *context),
                                          void *context) {
    mutex_lock(&vs->guard);
    look(context);
    mutex_unlock(&vs->guard);
}

/* --- facts --- */

FIRN_INTERNAL void version_set_get_facts(version_set *vs, version_set_facts *out) {
    mutex_lock(&vs->guard);
    *out = (version_set_facts){.log_floor_segment = vs->log_floor_segment,
                               .log_floor_position = vs->log_floor_position,
                               .clean_end = vs->clean_end,
                               .last_sequence = vs->last_sequence,
                               .next_file = vs->next_file,
                               .manifest_number = vs->manifest_number,
                               .poisoned = vs->poisoned};
    memcpy(out->database, vs->database, sizeof out->database);
    mutex_unlock(&vs->guard);
}

FIRN_INTERNAL seqno version_set_flushed_through(version_set *vs, uint32_t keyspace_id) {
    mutex_lock(&vs->guard);
    keyspace *k = version_set_find_locked(vs, keyspace_id);
    seqno sequence = k ? k->flushed_through : 0;
    mutex_unlock(&vs->guard);
    return sequence;
}

FIRN_INTERNAL void version_set_note_sequence(version_set *vs, seqno sequence) {
    mutex_lock(&vs->guard);
    if (sequence > vs->last_sequence)
        vs->last_sequence = sequence;
    mutex_unlock(&vs->guard);
}

FIRN_INTERNAL void version_set_note_file_number(version_set *vs, uint64_t number) {
    mutex_lock(&vs->guard);
    if (number >= vs->next_file)
        vs->next_file = number + 1;
    mutex_unlock(&vs->guard);
}

#undef KEYSPACES_MAX
