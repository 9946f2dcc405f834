/* FIFO: tables stay in L0 as they were flushed and go whole, the oldest first, when the database is
 * too large or they are too old. Small ones are merged with their neighbours in age, so that reads
 * do not look into hundreds. */
#include "compaction/picker_internal.h"

#include "base/poison.h"

/* The table that holds the oldest data. A deeper level is older than any above it; on one sorted
 * level it does not matter to reads which table goes first, for they share no key. */
static table_meta *const *fifo_oldest(const version *v, uint32_t *level) {
    for (*level = LEVEL_COUNT - 1; *level > 0; --*level) {
        const version_level *l = &v->levels[*level];
        if (l->count == 0)
            continue;
        table_meta *const *oldest = &l->tables[0];
        for (uint32_t i = 1; i < l->count; i++) {
            if (l->tables[i]->max_sequence < (*oldest)->max_sequence)
                oldest = &l->tables[i];
        }
        return oldest;
    }
    return v->levels[0].count ? &v->levels[0].tables[v->levels[0].count - 1] : NULL;
}

static status fifo_drop(const picker_view *view, uint32_t level, table_meta *const *oldest,
                        const char *reason, compaction_plan *out) {
    status st = picker_drop(view, level, oldest, 1, reason, out);
    out->drops_live = status_is_ok(st);
    return st;
}

/* The oldest table, beyond the size limit or past its time. */
static status fifo_try_drop(const picker_view *view, compaction_plan *out) {
    const tree_options *o = view->options;
    const version *v = view->version;
    uint32_t level;
    uint64_t bytes = version_total_bytes(v);
    table_meta *const *oldest = fifo_oldest(v, &level);
    if (!oldest || (*oldest)->compacting)
        return STATUS_OK;
    if (o->fifo_bytes && bytes > o->fifo_bytes)
        return fifo_drop(view, level, oldest, "size limit", out);
    uint64_t written = (*oldest)->newest_ms;
    if (o->fifo_ttl_ms && written && view->now_ms > written &&
        view->now_ms - written > o->fifo_ttl_ms)
        return fifo_drop(view, level, oldest, "age", out);
    return STATUS_OK;
}

/* As many neighbours, the newest first, as make one table of the wanted size. */
static status fifo_try_merge(const picker_view *view, compaction_plan *out) {
    const tree_options *o = view->options;
    const version_level *l0 = &view->version->levels[0];
    uint32_t first = 0;
    while (first < l0->count) {
        uint32_t count = 0;
        uint64_t bytes = 0;
        while (first + count < l0->count && !l0->tables[first + count]->compacting &&
               bytes + l0->tables[first + count]->where.file_bytes <= o->file_bytes &&
               (count == 0 || l0->tables[first + count]->where.file_bytes <= bytes + bytes / 4))
            bytes += l0->tables[first + count++]->where.file_bytes;
        if (count >= o->l0_trigger && count >= 2)
            return picker_merge_in_l0(view, first, count, out);
        first++;
    }
    return STATUS_OK;
}

FIRN_INTERNAL status picker_pick_fifo(const picker_view *view, compaction_plan *out) {
    status st = fifo_try_drop(view, out);
    if (status_is_ok(st) && !out->version)
        st = fifo_try_merge(view, out);
    return st;
}
