#include "version/keyspace.h"

#include "platform/error_detail.h"
#include "platform/memory.h"

#include "base/poison.h"

FIRN_INTERNAL status keyspace_new(uint32_t id, const char *name, key_order order,
                                  uint64_t memtable_bytes, arena_pool *pool, keyspace **out) {
    status st = STATUS_OK;
    read_view *view = NULL;
    keyspace *k = memory_new_zeroed(sizeof *k);
    *out = NULL;
    if (!k)
        return error_status(FIRN_NO_MEMORY, "no memory for keyspace \"%s\"", name);
    k->id = id;
    k->order = order;
    k->name = memory_copy_string(name);
    if (!k->name) {
        st = error_status(FIRN_NO_MEMORY, "no memory for keyspace \"%s\"", name);
        goto out;
    }
    TRY(memtable_new_pooled(order, memtable_bytes, pool, &k->active.table));
    TRY(version_new_empty(order, &k->version));
    TRY(keyspace_prepare_view(&view));
    CHECK(keyspace_publish(k, view) == NULL);
    *out = k;
    k = NULL;
out:
    keyspace_free(k);
    return st;
}

FIRN_INTERNAL void keyspace_free(keyspace *k) {
    if (!k)
        return;
    read_view_unref(atomic_ptr_load(&k->view, memory_order_seq_cst));
    memtable_unref(k->active.table);
    for (uint32_t i = 0; i < k->sealed_count; i++)
        memtable_unref(k->sealed[i].table);
    version_unref(k->version);
    memory_free(k->name);
    memory_free(k);
}

FIRN_INTERNAL status keyspace_prepare_view(read_view **out) {
    *out = memory_new_zeroed(sizeof **out);
    if (!*out)
        return error_status(FIRN_NO_MEMORY, "no memory for a read view");
    atomic_u32_init(&(*out)->references, 1);
    return STATUS_OK;
}

FIRN_INTERNAL read_view *keyspace_publish(keyspace *k, read_view *prepared) {
    prepared->keyspace = k->id;
    prepared->order = k->order;
    prepared->active = k->active.table;
    memtable_ref(prepared->active);
    prepared->sealed_count = k->sealed_count;
    for (uint32_t i = 0; i < k->sealed_count; i++) {
        prepared->sealed[i] = k->sealed[k->sealed_count - 1 - i].table;
        memtable_ref(prepared->sealed[i]);
    }
    prepared->version = k->version;
    version_ref(prepared->version);
    prepared->last_drop = k->last_drop;
    /* seq_cst, as epochs want it: pairs with the load in version_set_enter. */
    return atomic_ptr_exchange(&k->view, prepared, memory_order_seq_cst);
}

FIRN_INTERNAL void keyspace_seal(keyspace *k, memtable *fresh) {
    CHECK(k->sealed_count < SEALED_MEMTABLES_MAX);
    memtable_set_state(k->active.table, MEMTABLE_SEALED);
    k->sealed[k->sealed_count++] = k->active;
    k->active = (memtable_slot){.table = fresh};
}

FIRN_INTERNAL memtable *keyspace_drop_oldest_sealed(keyspace *k, const memtable *m) {
    /* Out of order, a newer flush would hide older unflushed versions from replay. */
    CHECK(k->sealed_count > 0 && k->sealed[0].table == m);
    memtable *dropped = k->sealed[0].table;
    memtable_set_state(dropped, MEMTABLE_GONE);
    k->sealed_count--;
    memmove(k->sealed, k->sealed + 1, k->sealed_count * sizeof *k->sealed);
    return dropped;
}

FIRN_INTERNAL uint64_t keyspace_log_start(const keyspace *k, const memtable *except) {
    uint64_t lowest = UINT64_MAX;
    for (uint32_t i = 0; i < k->sealed_count; i++) {
        if (k->sealed[i].table != except && k->sealed[i].log_start < lowest)
            lowest = k->sealed[i].log_start;
    }
    if (memtable_entries(k->active.table) > 0 && k->active.log_start < lowest)
        lowest = k->active.log_start;
    return lowest;
}
