#include "compaction/job_anchors.h"

#include "platform/error_detail.h"
#include "platform/memory.h"

#include "base/poison.h"

enum { ANCHORS_PER_TABLE = 31 }; /* what is between two of them is how uneven pieces get */

/* Behind those that are not larger. */
static void anchors_insert(job_anchors *a, key_order order, job_anchor anchor) {
    uint32_t low = 0, high = a->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (key_order_compare_user(order, a->list[middle].key, anchor.key) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    memmove(a->list + low + 1, a->list + low, (a->count - low) * sizeof *a->list);
    a->list[low] = anchor;
    a->count++;
}

static status anchors_add_table(job_anchors *a, table_cache *tables, key_order order,
                                table_meta *meta) {
    status st = STATUS_OK;
    user_key keys[ANCHORS_PER_TABLE];
    table **opened = &a->tables[a->table_count];
    TRY(table_cache_get(tables, &meta->where, &meta->open, order, opened));
    a->table_count++;
    uint32_t count = table_anchors(*opened, ANCHORS_PER_TABLE + 1, keys);
    for (uint32_t i = 0; i < count; i++)
        anchors_insert(a, order, (job_anchor){keys[i], meta->where.file_bytes / (count + 1)});
out:
    return st;
}

FIRN_INTERNAL status job_anchors_gather(job_anchors *out, const compaction_plan *plan,
                                        table_cache *tables) {
    status st = STATUS_OK;
    size_t count = compaction_plan_input_tables(plan);
    out->tables = memory_new(count * sizeof(table *));
    out->list = memory_new(count * ANCHORS_PER_TABLE * sizeof(job_anchor));
    if (!out->tables || !out->list) {
        st = error_status(FIRN_NO_MEMORY, "no memory to cut a compaction into pieces");
        goto out;
    }
    for (uint32_t level = 0; level < LEVEL_COUNT; level++) {
        for (uint32_t i = 0; i < plan->input_count[level]; i++)
            TRY(anchors_add_table(out, tables, plan->version->order, plan->inputs[level][i]));
    }
out:
    return st;
}

FIRN_INTERNAL void job_anchors_deinit(job_anchors *a) {
    for (uint32_t i = 0; i < a->table_count; i++)
        table_unref(a->tables[i]);
    memory_free(a->tables);
    memory_free(a->list);
    *a = (job_anchors){0};
}
