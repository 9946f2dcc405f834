#include "compaction/range_gather.h"

#include "platform/error_detail.h"
#include "platform/memory.h"

#include "base/poison.h"

FIRN_INTERNAL void range_gather_memtable(range_gather *g, const memtable *m) {
    memtable_list_ranges(m, &g->list);
}

static status range_gather_hold(range_gather *g, table *t) {
    if ((g->held_count & (g->held_count - 1)) == 0) {
        size_t capacity = g->held_count ? (size_t)g->held_count * 2 : 1;
        table **held = memory_resize(g->held, capacity * sizeof(table *));
        if (!held)
            return error_status(FIRN_NO_MEMORY, "no memory to list range deletes");
        g->held = held;
    }
    g->held[g->held_count++] = t;
    return STATUS_OK;
}

FIRN_INTERNAL status range_gather_tables(range_gather *g, table_cache *tables, key_order order,
                                         table_meta *const *metas, uint32_t count) {
    status st = STATUS_OK;
    table *t = NULL;
    for (uint32_t i = 0; i < count; i++) {
        if (metas[i]->range_tombstones == 0)
            continue;
        TRY(table_cache_get(tables, &metas[i]->where, &metas[i]->open, order, &t));
        TRY(range_gather_hold(g, t));
        range_fragments_list(table_ranges(t), &g->list);
        t = NULL;
    }
out:
    table_unref(t);
    return st;
}

FIRN_INTERNAL status range_gather_version(range_gather *g, table_cache *tables, const version *v) {
    status st = STATUS_OK;
    for (uint32_t level = 0; v->has_range_tombstones && level < LEVEL_COUNT; level++)
        TRY(range_gather_tables(g, tables, v->order, v->levels[level].tables,
                                v->levels[level].count));
out:
    return st;
}

FIRN_INTERNAL void range_gather_deinit(range_gather *g) {
    range_list_deinit(&g->list);
    for (uint32_t i = 0; i < g->held_count; i++)
        table_unref(g->held[i]);
    memory_free(g->held);
    *g = (range_gather){0};
}
