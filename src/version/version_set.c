#include "version/version_set_internal.h"

#include "platform/error_detail.h"
#include "platform/memory.h"

#include "base/poison.h"

FIRN_INTERNAL status version_set_new(const version_set_args *args, version_set **out) {
    version_set *vs = memory_new_aligned(CACHE_LINE_BYTES, sizeof *vs);
    arena_pool *pool = vs ? memtable_new_pool(args->memtable_bytes, args->memory) : NULL;
    *out = NULL;
    if (!pool) {
        memory_free(vs);
        return error_status(FIRN_NO_MEMORY, "no memory for the version set");
    }
    memset(vs, 0, sizeof *vs);
    vs->vfs = args->vfs;
    vs->directory = args->directory;
    vs->order = args->order;
    vs->memtable_bytes = args->memtable_bytes;
    vs->memory = args->memory;
    vs->memtable_memory = pool;
    vs->grave = args->grave;
    vs->readers = args->readers;
    vs->next_file = 1;
    atomic_u32_init(&vs->references, 1);
    mutex_init(&vs->install_guard);
    mutex_init(&vs->guard);
    manifest_init(&vs->manifest, vs->vfs, vs->directory);
    *out = vs;
    return STATUS_OK;
}

FIRN_INTERNAL void version_set_ref(version_set *vs) {
    /* relaxed: the caller holds a reference, or what keeps the database from dropping its own. */
    atomic_u32_add(&vs->references, 1, memory_order_relaxed);
}

FIRN_INTERNAL void version_set_unref(version_set *vs) {
    /* acq_rel: pairs with the other droppers' release. */
    if (!vs || atomic_u32_sub(&vs->references, 1, memory_order_acq_rel) != 1)
        return;
    epoch_collect(vs->readers);
    for (uint32_t i = 0; i < vs->keyspace_count; i++)
        keyspace_free(vs->keyspaces[i]);
    version_set_free_retired(vs->retired);
    arena_pool_unref(vs->memtable_memory);
    manifest_deinit(&vs->manifest);
    mutex_deinit(&vs->guard);
    mutex_deinit(&vs->install_guard);
    memory_free(vs);
}

FIRN_INTERNAL keyspace *version_set_find_locked(version_set *vs, uint32_t id) {
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

FIRN_INTERNAL status version_set_apply_keyspace_locked(version_set *vs,
                                                       const edit_keyspace *change) {
    key_order order;
    keyspace *k = version_set_find_locked(vs, change->id);
    if (change->dropped || k || vs->keyspace_count == KEYSPACES_MAX)
        return error_status(FIRN_NOT_SUPPORTED, "%s: keyspace %u %s", vs->directory, change->id,
                            change->dropped ? "was dropped by a newer version of Firn"
                                            : "cannot be created");
    status st = version_set_order_by_name(vs, change->comparator, &order);
    if (!status_is_ok(st))
        return st;
    st = keyspace_new(change->id, change->name, order, vs->memtable_bytes, vs->memtable_memory, &k);
    if (status_is_ok(st)) {
        vs->keyspaces[vs->keyspace_count++] = k;
        if (change->id >= vs->next_keyspace)
            vs->next_keyspace = change->id + 1;
    }
    return st;
}

FIRN_INTERNAL void version_set_apply_scalars_locked(version_set *vs, const version_edit *edit) {
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
        read_view_retire(keyspace_publish(k, view), vs->readers);
        view = NULL;
    }
    version_set_apply_scalars_locked(vs, edit);
out:
    mutex_unlock(&vs->guard);
    read_view_unref(view); /* NULL unless building the version failed */
    return st;
}

/* Copies what others may ask of the manifest to where they may look. */
FIRN_INTERNAL void version_set_note_manifest(version_set *vs) {
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

FIRN_INTERNAL status version_set_write_back(version_set *vs) {
    mutex_lock(&vs->install_guard);
    status st = manifest_write_back(&vs->manifest);
    mutex_unlock(&vs->install_guard);
    return st;
}

/* --- reading --- */

/* The default keyspace is there from the beginning and never moves; others are looked up under the
 * lock. */
static keyspace *version_set_find(version_set *vs, uint32_t keyspace_id) {
    if (LIKELY(keyspace_id == KEYSPACE_DEFAULT))
        return vs->keyspaces[0];
    mutex_lock(&vs->guard);
    keyspace *k = version_set_find_locked(vs, keyspace_id);
    mutex_unlock(&vs->guard);
    return k;
}

FIRN_INTERNAL const read_view *version_set_enter(version_set *vs, uint32_t keyspace_id,
                                                 uint64_t *slot) {
    keyspace *k = version_set_find(vs, keyspace_id);
    if (!k)
        return NULL;
    *slot = epoch_enter(vs->readers);
    return atomic_ptr_load(&k->view, memory_order_seq_cst);
}

FIRN_INTERNAL void version_set_leave(version_set *vs, uint64_t slot) {
    epoch_leave(vs->readers, slot);
}

FIRN_INTERNAL read_view *version_set_view(version_set *vs, uint32_t keyspace_id) {
    uint64_t slot;
    const read_view *view = version_set_enter(vs, keyspace_id, &slot);
    if (!view)
        return NULL;
    read_view *referenced = (read_view *)(uintptr_t)view;
    read_view_ref(referenced);
    version_set_leave(vs, slot);
    return referenced;
}

FIRN_INTERNAL uint64_t version_set_drops(version_set *vs) {
    mutex_lock(&vs->guard);
    uint64_t drops = vs->drops;
    mutex_unlock(&vs->guard);
    return drops;
}

FIRN_INTERNAL uint64_t version_set_collect(version_set *vs, uint64_t now_ns) {
    uint64_t waiting = epoch_collect(vs->readers);
    if (waiting > 0)
        epoch_mark(vs->readers, now_ns);
    return waiting;
}

FIRN_INTERNAL uint32_t version_set_keyspaces(version_set *vs, uint32_t *ids, uint32_t capacity) {
    mutex_lock(&vs->guard);
    uint32_t count = vs->keyspace_count;
    for (uint32_t i = 0; i < count && i < capacity; i++)
        ids[i] = vs->keyspaces[i]->id;
    mutex_unlock(&vs->guard);
    return count;
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
