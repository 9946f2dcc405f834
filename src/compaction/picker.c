#include "compaction/picker_internal.h"

#include "base/poison.h"

/* A move that would later cost more than this many file sizes to compact is done as a compaction.
 */
#define PICKER_GRANDPARENT_FILES_MAX 10

FIRN_INTERNAL bool picker_table_overlaps(const version *v, const table_meta *t,
                                         const key_range *r) {
    return key_order_compare_user(v->order, internal_key_user(t->largest), r->smallest) >= 0 &&
           key_order_compare_user(v->order, internal_key_user(t->smallest), r->largest) <= 0;
}

FIRN_INTERNAL key_range picker_hull(const version *v, table_meta *const *tables, uint32_t count) {
    DCHECK(count > 0);
    key_range r = {internal_key_user(tables[0]->smallest), internal_key_user(tables[0]->largest)};
    for (uint32_t i = 1; i < count; i++) {
        user_key small = internal_key_user(tables[i]->smallest);
        user_key large = internal_key_user(tables[i]->largest);
        if (key_order_compare_user(v->order, small, r.smallest) < 0)
            r.smallest = small;
        if (key_order_compare_user(v->order, large, r.largest) > 0)
            r.largest = large;
    }
    return r;
}

FIRN_INTERNAL uint64_t picker_overlap(const version *v, uint32_t level, const key_range *r,
                                      uint32_t *from, uint32_t *to) {
    const version_level *l = &v->levels[level];
    uint32_t low = 0, high = l->count;
    uint64_t bytes = 0;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (key_order_compare_user(v->order, internal_key_user(l->tables[middle]->largest),
                                   r->smallest) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *from = *to = low;
    while (*to < l->count && picker_table_overlaps(v, l->tables[*to], r))
        bytes += l->tables[(*to)++]->where.file_bytes;
    return bytes;
}

FIRN_INTERNAL bool picker_any_compacting(table_meta *const *tables, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (tables[i]->compacting)
            return true;
    }
    return false;
}

FIRN_INTERNAL uint64_t picker_bytes(table_meta *const *tables, uint32_t count) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < count; i++)
        bytes += tables[i]->where.file_bytes;
    return bytes;
}

/* --- from upper inputs to a plan --- */

/* L0 tables that share no key could as well be on a sorted level. */
static bool picker_inputs_are_disjoint(const version *v, table_meta *const *tables,
                                       uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        key_range r = picker_hull(v, tables + i, 1);
        for (uint32_t j = i + 1; j < count; j++) {
            if (picker_table_overlaps(v, tables[j], &r))
                return false;
        }
    }
    return true;
}

static bool picker_can_move(const picker_view *view, const picker_choice *choice,
                            const key_range *range) {
    const version *v = view->version;
    const tree_options *options = view->options;
    if (choice->from_level == choice->to_level ||
        (choice->from_level == 0 && !picker_inputs_are_disjoint(v, choice->tables, choice->count)))
        return false;
    /* Moved down all the way, data that arrives in order would never be compressed. */
    if (tree_options_codec(options, choice->from_level) !=
        tree_options_codec(options, choice->to_level))
        return false;
    if (choice->to_level + 1 >= LEVEL_COUNT)
        return true;
    uint32_t from, to;
    return picker_overlap(v, choice->to_level + 1, range, &from, &to) <=
           PICKER_GRANDPARENT_FILES_MAX * options->file_bytes * choice->count;
}

FIRN_INTERNAL status picker_complete(const picker_view *view, const picker_choice *choice,
                                     compaction_plan *out) {
    status st = STATUS_OK;
    version *v = view->version;
    uint32_t from = 0, to = 0;
    *out = (compaction_plan){.keyspace = view->keyspace,
                             .from_level = choice->from_level,
                             .to_level = choice->to_level,
                             .reason = choice->reason};
    key_range range = picker_hull(v, choice->tables, choice->count);
    if (choice->to_level != choice->from_level)
        picker_overlap(v, choice->to_level, &range, &from, &to);
    table_meta **below = v->levels[choice->to_level].tables;
    if (picker_any_compacting(choice->tables, choice->count) ||
        picker_any_compacting(below + from, to - from))
        return STATUS_OK;
    TRY(compaction_plan_add(out, choice->from_level, choice->tables, choice->count));
    if (from < to)
        TRY(compaction_plan_add(out, choice->to_level, below + from, to - from));
    else if (picker_can_move(view, choice, &range))
        out->kind = PLAN_MOVE;
    out->version = v;
    version_ref(v);
out:
    if (!status_is_ok(st))
        compaction_plan_deinit(out);
    return st;
}

FIRN_INTERNAL status picker_merge_in_l0(const picker_view *view, uint32_t first, uint32_t count,
                                        compaction_plan *out) {
    picker_choice choice = {0, 0, view->version->levels[0].tables + first, count, "merge in L0"};
    return picker_complete(view, &choice, out);
}

FIRN_INTERNAL status picker_drain_l0(const picker_view *view, const level_targets *targets,
                                     compaction_plan *out) {
    const version_level *l0 = &view->version->levels[0];
    picker_choice choice = {0, targets->base_level, l0->tables, l0->count, "L0 tables"};
    return picker_complete(view, &choice, out);
}

FIRN_INTERNAL status picker_drop(const picker_view *view, uint32_t level, table_meta *const *tables,
                                 uint32_t count, const char *reason, compaction_plan *out) {
    *out = (compaction_plan){.kind = PLAN_DROP,
                             .keyspace = view->keyspace,
                             .from_level = level,
                             .to_level = level,
                             .reason = reason};
    status st = compaction_plan_add(out, level, tables, count);
    if (!status_is_ok(st)) {
        compaction_plan_deinit(out);
        return st;
    }
    out->version = view->version;
    version_ref(view->version);
    return st;
}

FIRN_INTERNAL status picker_pick(const picker_view *view, bool *found, compaction_plan *out) {
    status st;
    *out = (compaction_plan){0};
    st = picker_drop_expired(view, out);
    if (!status_is_ok(st) || out->version) {
        *found = out->version != NULL;
        return st;
    }
    switch (view->options->strategy) {
    case TREE_TIERED:
        st = picker_pick_tiered(view, out);
        break;
    case TREE_FIFO:
        st = picker_pick_fifo(view, out);
        break;
    default:
        st = picker_pick_leveled(view, out);
        break;
    }
    *found = out->version != NULL;
    return st;
}

/* --- by hand --- */

static bool picker_in_manual_range(const version *v, const table_meta *t,
                                   const manual_range *range) {
    return (!slice_is_set(range->lower) ||
            key_order_compare_user(v->order, internal_key_user(t->largest),
                                   user_key_of(range->lower)) >= 0) &&
           (!slice_is_set(range->upper) ||
            key_order_compare_user(v->order, internal_key_user(t->smallest),
                                   user_key_of(range->upper)) < 0);
}

/* Whether merging the table, alone on the last level even, may leave something out. */
static bool picker_may_shrink(const picker_view *view, const table_meta *t) {
    return view->options->has_filter || t->deletes || t->hidden_versions || t->range_tombstones ||
           t->min_expiry;
}

static bool picker_has_garbage(const picker_view *view, const table_meta *t,
                               const manual_range *range) {
    return picker_may_shrink(view, t) && t->where.number < range->first_new_number;
}

static table_meta *picker_first_in_range(const picker_view *view, uint32_t level,
                                         const manual_range *range, bool only_garbage) {
    const version *v = view->version;
    const version_level *l = &v->levels[level];
    for (uint32_t i = 0; i < l->count; i++) {
        table_meta *t = l->tables[i];
        if (picker_in_manual_range(v, t, range) &&
            (!only_garbage || picker_has_garbage(view, t, range)))
            return t;
    }
    return NULL;
}

FIRN_INTERNAL status picker_pick_manual(const picker_view *view, const manual_range *range,
                                        bool *found, compaction_plan *out) {
    const version *v = view->version;
    level_targets targets = level_targets_of(v, view->options);
    uint32_t last = LEVEL_COUNT - 1;
    status st = STATUS_OK;
    *found = false;
    *out = (compaction_plan){0};
    while (last > targets.base_level && v->levels[last].count == 0)
        last--;
    for (uint32_t level = 0; level <= last && !*found; level++) {
        table_meta *t = picker_first_in_range(view, level, range, level == last);
        if (!t)
            continue;
        picker_choice choice = {level, level == last ? level : level + 1, &t, 1, "by request"};
        st =
            level == 0 ? picker_drain_l0(view, &targets, out) : picker_complete(view, &choice, out);
        if (!status_is_ok(st))
            return st;
        *found = out->version != NULL;
        /* A move would keep what deletes left behind. */
        if (*found && (picker_may_shrink(view, t) || level == 0))
            out->kind = PLAN_MERGE;
    }
    return st;
}

#undef PICKER_GRANDPARENT_FILES_MAX
