#include "version/table_meta.h"

#include "platform/error_detail.h"
#include "platform/memory.h"

#include "base/poison.h"

FIRN_INTERNAL status table_meta_new(const table_meta *fields, table_meta **out) {
    size_t small = fields->smallest.s.size, large = fields->largest.s.size;
    table_meta *m = memory_new(sizeof *m + small + large);
    *out = m;
    if (!m)
        return error_status(FIRN_NO_MEMORY, "no memory for the description of a table");
    *m = *fields;
    uint8_t *keys = (uint8_t *)(m + 1);
    slice_copy_to(fields->smallest.s, keys);
    slice_copy_to(fields->largest.s, keys + small);
    m->smallest.s = slice_of(keys, small);
    m->largest.s = slice_of(keys + small, large);
    m->next_dead = NULL;
    m->compacting = false;
    table_slot_init(&m->open);
    atomic_u32_init(&m->references, 1);
    atomic_u32_init(&m->obsolete, 0);
    return STATUS_OK;
}

FIRN_INTERNAL void table_meta_ref(table_meta *m) {
    /* relaxed: the caller holds a reference already, so the object cannot go meanwhile. */
    atomic_u32_add(&m->references, 1, memory_order_relaxed);
}

FIRN_INTERNAL void table_meta_unref(table_meta *m) {
    /* acq_rel: pairs with the other droppers' release; the last one sees all their reads done. */
    if (!m || atomic_u32_sub(&m->references, 1, memory_order_acq_rel) != 1)
        return;
    table_slot_close(&m->open);
    /* relaxed: ordered by the count above; whoever set it held a reference. */
    if (!m->grave || !atomic_u32_load(&m->obsolete, memory_order_relaxed)) {
        table_meta_bury(m);
        return;
    }
    graveyard *g = m->grave;
    void *head = NULL;
    do {
        m->next_dead = head;
        /* release: pairs with the acquire exchange in graveyard_take. */
    } while (!atomic_ptr_cas(&g->head, &head, m, memory_order_release));
    g->wake(g->context);
}

FIRN_INTERNAL table_meta *graveyard_take(graveyard *g) {
    /* acquire: pairs with the release push in table_meta_unref. */
    return atomic_ptr_exchange(&g->head, NULL, memory_order_acquire);
}

FIRN_INTERNAL void table_meta_bury(table_meta *m) {
    memory_free(m);
}

FIRN_INTERNAL void table_meta_date(table_meta *m, uint64_t now_ms) {
    m->newest_ms = m->newest_ms ? m->newest_ms : now_ms;
    m->written_ms = m->written_ms ? m->written_ms : now_ms;
}

FIRN_INTERNAL table_meta table_meta_from_summary(const table_summary *summary, uint64_t number,
                                                 uint32_t keyspace) {
    const table_properties *p = &summary->properties;
    table_meta m = {
        .keyspace = keyspace,
        .entries = p->entries,
        .deletes = p->deletes,
        .range_tombstones = p->range_tombstones,
        .raw_key_bytes = p->raw_key_bytes,
        .raw_value_bytes = p->raw_value_bytes,
        .min_sequence = p->min_sequence,
        .max_sequence = p->max_sequence,
        .min_expiry = p->min_expiry,
        .max_expiry = p->max_expiry,
        .hidden_versions = summary->hidden_versions,
        .expiring = summary->expiring,
        .smallest = summary->smallest,
        .largest = summary->largest,
    };
    m.where.number = number;
    m.where.file_bytes = p->file_bytes;
    memcpy(m.where.identity, p->identity, sizeof m.where.identity);
    memcpy(m.expiry_parts, summary->expiry_parts, sizeof m.expiry_parts);
    return m;
}
