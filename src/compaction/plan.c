#include "compaction/plan.h"

#include "platform/error_detail.h"
#include "platform/memory.h"

#include "base/poison.h"

FIRN_INTERNAL void compaction_plan_deinit(compaction_plan *p) {
    for (uint32_t level = 0; level < LEVEL_COUNT; level++) {
        for (uint32_t i = 0; i < p->input_count[level]; i++)
            table_meta_unref(p->inputs[level][i]);
        memory_free(p->inputs[level]);
    }
    version_unref(p->version);
    *p = (compaction_plan){0};
}

FIRN_INTERNAL uint64_t compaction_plan_input_bytes(const compaction_plan *p) {
    uint64_t bytes = 0;
    for (uint32_t level = 0; level < LEVEL_COUNT; level++) {
        for (uint32_t i = 0; i < p->input_count[level]; i++)
            bytes += p->inputs[level][i]->where.file_bytes;
    }
    return bytes;
}

FIRN_INTERNAL uint32_t compaction_plan_input_tables(const compaction_plan *p) {
    uint32_t tables = 0;
    for (uint32_t level = 0; level < LEVEL_COUNT; level++)
        tables += p->input_count[level];
    return tables;
}

FIRN_INTERNAL status compaction_plan_add(compaction_plan *p, uint32_t level,
                                         table_meta *const *tables, uint32_t count) {
    DCHECK(p->input_count[level] == 0);
    if (count == 0)
        return STATUS_OK;
    p->inputs[level] = memory_new(count * sizeof(table_meta *));
    if (!p->inputs[level])
        return error_status(FIRN_NO_MEMORY, "no memory for a compaction plan");
    for (uint32_t i = 0; i < count; i++) {
        p->inputs[level][i] = tables[i];
        table_meta_ref(tables[i]);
    }
    p->input_count[level] = count;
    return STATUS_OK;
}
