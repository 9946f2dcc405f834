#include "version/version_set_internal.h"

#include "platform/error_detail.h"
#include "platform/memory.h"

#include "base/poison.h"

FIRN_INTERNAL memtable *version_set_active(version_set *vs, uint32_t keyspace_id) {
    mutex_lock(&vs->guard);
    keyspace *k = version_set_find_locked(vs, keyspace_id);
    memtable *active = k ? k->active.table : NULL;
    mutex_unlock(&vs->guard);
    return active;
}

FIRN_INTERNAL void version_set_note_first_write(version_set *vs, uint32_t keyspace_id,
                                                uint64_t position, uint64_t now_ns) {
    mutex_lock(&vs->guard);
    keyspace *k = version_set_find_locked(vs, keyspace_id);
    if (k && memtable_entries(k->active.table) == 0) {
        k->active.log_start = position;
        k->active.first_write_ns = now_ns;
    }
    mutex_unlock(&vs->guard);
}

FIRN_INTERNAL bool version_set_oldest_active(version_set *vs, uint32_t *keyspace_id,
                                             uint64_t *first_write_ns) {
    bool any = false;
    mutex_lock(&vs->guard);
    for (uint32_t i = 0; i < vs->keyspace_count; i++) {
        const memtable_slot *active = &vs->keyspaces[i]->active;
        if (memtable_entries(active->table) == 0 ||
            (any && active->first_write_ns >= *first_write_ns))
            continue;
        any = true;
        *first_write_ns = active->first_write_ns;
        *keyspace_id = vs->keyspaces[i]->id;
    }
    mutex_unlock(&vs->guard);
    return any;
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
    TRY(memtable_new_pooled(k->order, vs->memtable_bytes, vs->memtable_memory, &fresh));
    TRY(keyspace_prepare_view(&view));
    keyspace_seal(k, fresh);
    fresh = NULL;
    view = keyspace_publish(k, view);
out:
    mutex_unlock(&vs->guard);
    memtable_unref(fresh);
    read_view_retire(view, vs->readers);
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
        if (k->sealed_count && memtable_get_state(k->sealed[0].table) == MEMTABLE_SEALED &&
            (!best || k->sealed[0].log_start < best->sealed[0].log_start))
            best = k;
    }
    if (best) {
        memtable_set_state(best->sealed[0].table, MEMTABLE_FLUSHING);
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
    memtable_set_state(m, MEMTABLE_SEALED);
    mutex_unlock(&vs->guard);
    memtable_unref(m);
}

FIRN_INTERNAL bool version_set_log_is_shared(version_set *vs, uint32_t keyspace_id) {
    bool shared = false;
    mutex_lock(&vs->guard);
    for (uint32_t i = 0; i < vs->keyspace_count; i++) {
        const keyspace *k = vs->keyspaces[i];
        shared |=
            k->id != keyspace_id && (k->sealed_count > 0 || memtable_entries(k->active.table) > 0);
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

/* --- flushed memtables that readers still hold --- */

FIRN_INTERNAL status version_set_prepare_retired(const memtable *m, retired_memtable **out) {
    *out = NULL;
    if (memtable_large_bytes(m) == 0)
        return STATUS_OK;
    *out = memory_new_zeroed(sizeof **out);
    return *out ? STATUS_OK : error_status(FIRN_NO_MEMORY, "no memory to retire a memtable");
}

FIRN_INTERNAL memtable *version_set_drop_flushed_locked(version_set *vs,
                                                        const flushed_memtable *flushed,
                                                        retired_memtable **retired) {
    mutex_assert_held(&vs->guard);
    keyspace *k = version_set_find_locked(vs, flushed->keyspace);
    uint64_t log_start = k->sealed[0].log_start;
    memtable *dropped = keyspace_drop_oldest_sealed(k, flushed->table);
    if (!*retired)
        return dropped;
    **retired = (retired_memtable){dropped, log_start, vs->retired};
    vs->retired = *retired;
    *retired = NULL;
    return NULL;
}

FIRN_INTERNAL void version_set_free_retired(retired_memtable *list) {
    while (list) {
        retired_memtable *next = list->next;
        memtable_unref(list->table);
        memory_free(list);
        list = next;
    }
}

FIRN_INTERNAL uint64_t version_set_log_pinned(version_set *vs) {
    uint64_t lowest = UINT64_MAX;
    retired_memtable *idle = NULL;
    mutex_lock(&vs->guard);
    for (retired_memtable **at = &vs->retired; *at;) {
        retired_memtable *r = *at;
        if (memtable_is_shared(r->table)) {
            lowest = r->log_start < lowest ? r->log_start : lowest;
            at = &r->next;
        } else { /* no reader can come to it any more */
            *at = r->next;
            r->next = idle;
            idle = r;
        }
    }
    mutex_unlock(&vs->guard);
    version_set_free_retired(idle);
    return lowest;
}

/* --- what it all holds --- */

FIRN_INTERNAL uint64_t version_set_sealed_bytes(version_set *vs, uint64_t *active) {
    uint64_t sealed = 0;
    *active = 0;
    mutex_lock(&vs->guard);
    for (uint32_t i = 0; i < vs->keyspace_count; i++) {
        const keyspace *k = vs->keyspaces[i];
        *active += memtable_bytes(k->active.table);
        for (uint32_t j = 0; j < k->sealed_count; j++)
            sealed += memtable_bytes(k->sealed[j].table);
    }
    mutex_unlock(&vs->guard);
    return sealed;
}

static uint64_t version_set_table_bytes(const memtable *m) {
    return memtable_bytes(m) + memtable_large_bytes(m);
}

FIRN_INTERNAL uint64_t version_set_unflushed_bytes(version_set *vs) {
    uint64_t bytes = 0;
    mutex_lock(&vs->guard);
    for (uint32_t i = 0; i < vs->keyspace_count; i++) {
        const keyspace *k = vs->keyspaces[i];
        bytes += version_set_table_bytes(k->active.table);
        for (uint32_t j = 0; j < k->sealed_count; j++)
            bytes += version_set_table_bytes(k->sealed[j].table);
    }
    mutex_unlock(&vs->guard);
    return bytes;
}

FIRN_INTERNAL void version_set_get_memory(version_set *vs, uint64_t now_ns,
                                          version_set_memory *out) {
    arena_pool_stats pool;
    uint64_t in_use = 0;
    *out = (version_set_memory){0};
    mutex_lock(&vs->guard);
    /* Before the memtables, which may grow meanwhile: rather too little is taken for held than too
     * much. */
    arena_pool_get_stats(vs->memtable_memory, &pool);
    for (uint32_t i = 0; i < vs->keyspace_count; i++) {
        const keyspace *k = vs->keyspaces[i];
        out->bytes += memtable_bytes(k->active.table);
        in_use += memtable_arena_bytes(k->active.table);
        out->entries += memtable_entries(k->active.table);
        out->sealed += k->sealed_count;
        for (uint32_t j = 0; j < k->sealed_count; j++) {
            out->bytes += memtable_bytes(k->sealed[j].table);
            in_use += memtable_arena_bytes(k->sealed[j].table);
            out->entries += memtable_entries(k->sealed[j].table);
        }
    }
    mutex_unlock(&vs->guard);
    epoch_get_stats(vs->readers, now_ns, &out->readers);
    out->spare_bytes = pool.spare_bytes;
    /* All memtables live in the pool; what is not counted above is gone but for its readers. */
    out->held_bytes = pool.used_bytes > in_use ? pool.used_bytes - in_use : 0;
}

FIRN_INTERNAL void version_set_trim_memory(version_set *vs) {
    arena_pool_trim(vs->memtable_memory);
}

FIRN_INTERNAL memory_budget *version_set_memory_budget(const version_set *vs) {
    return vs->memory;
}
