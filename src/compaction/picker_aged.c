/* Tables by their age: with purge_age_ms, what was deleted or overwritten that long ago shall not
 * be on disk much longer. So tables whose data has that age sink, whether their level is full or
 * not, until what they hide lies on the same level and goes; and a table of the last level that was
 * written that long ago with garbage in it, for somebody could still read it then, is rewritten. */
#include "compaction/picker_internal.h"

#include "base/poison.h"

/* When the table is due; UINT64_MAX: never. */
static uint64_t picker_age_due_ms(const table_meta *t, uint32_t level, const tree_options *o) {
    bool last = level + 1 == LEVEL_COUNT;
    bool garbage = o->has_filter || t->deletes || t->hidden_versions || t->range_tombstones;
    uint64_t from = last ? t->written_ms : t->newest_ms;
    if (o->purge_age_ms == 0 || o->strategy != TREE_LEVELED || from == 0 || (last && !garbage))
        return UINT64_MAX;
    return from + o->purge_age_ms;
}

FIRN_INTERNAL status picker_sink_aged(const picker_view *view, const level_targets *targets,
                                      compaction_plan *out) {
    const version *v = view->version;
    for (uint32_t level = 0; view->options->purge_age_ms && level < LEVEL_COUNT; level++) {
        for (uint32_t i = v->levels[level].count; i-- > 0;) {
            const table_meta *t = v->levels[level].tables[i];
            if (t->compacting || picker_age_due_ms(t, level, view->options) > view->now_ms)
                continue;
            uint32_t to = level + 1 < LEVEL_COUNT ? level + 1 : level;
            picker_choice choice = {level, to, v->levels[level].tables + i, 1, "age"};
            status st = level == 0 ? picker_drain_l0(view, targets, out)
                                   : picker_complete(view, &choice, out);
            if (!status_is_ok(st) || out->version)
                return st;
        }
    }
    return STATUS_OK;
}

FIRN_INTERNAL uint64_t picker_next_age_ms(const version *v, const tree_options *options) {
    uint64_t next = UINT64_MAX;
    for (uint32_t level = 0; options->purge_age_ms && level < LEVEL_COUNT; level++) {
        for (uint32_t i = 0; i < v->levels[level].count; i++) {
            uint64_t due = picker_age_due_ms(v->levels[level].tables[i], level, options);
            next = due < next ? due : next;
        }
    }
    return next;
}
