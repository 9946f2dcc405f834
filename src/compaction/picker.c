#include "compaction/picker.h"

#include "platform/error_detail.h"
#include "platform/memory.h"

#include "base/poison.h"

/* A move that would later cost more than this many file sizes to compact is done as a compaction.
 */
#define PICKER_GRANDPARENT_FILES_MAX 10

FIRN_INTERNAL void compaction_plan_deinit(compaction_plan *p) {
    for (int side = 0; side < 2; side++) {
        for (uint32_t i = 0; i < p->input_count[side]; i++)
            table_meta_unref(p->inputs[side][i]);
        memory_free(p->inputs[side]);
    }
    version_unref(p->version);
    *p = (compaction_plan){0};
}

FIRN_INTERNAL uint64_t compaction_plan_input_bytes(const compaction_plan *p) {
    uint64_t bytes = 0;
    for (int side = 0; side < 2; side++) {
        for (uint32_t i = 0; i < p->input_count[side]; i++)
            bytes += p->inputs[side][i]->where.file_bytes;
    }
    return bytes;
}

/* A closed range of user keys. */
typedef struct key_range {
    user_key smallest, largest;
} key_range;

static bool picker_table_overlaps(const version *v, const table_meta *t, const key_range *r) {
    return key_order_compare_user(v->order, internal_key_user(t->largest), r->smallest) >= 0 &&
           key_order_compare_user(v->order, internal_key_user(t->smallest), r->largest) <= 0;
}

static void picker_extend_range(const version *v, const table_meta *t, bool first, key_range *r) {
    user_key small = internal_key_user(t->smallest), large = internal_key_user(t->largest);
    if (first || key_order_compare_user(v->order, small, r->smallest) < 0)
        r->smallest = small;
    if (first || key_order_compare_user(v->order, large, r->largest) > 0)
        r->largest = large;
}

/* The run of tables of a sorted level that overlap the range: [*from, *to). */
static void picker_overlap(const version *v, uint32_t level, const key_range *r, uint32_t *from,
                           uint32_t *to) {
    const version_level *l = &v->levels[level];
    uint32_t low = 0, high = l->count;
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
        ++*to;
}

static bool picker_any_compacting(table_meta *const *tables, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (tables[i]->compacting)
            return true;
    }
    return false;
}

static status picker_copy_inputs(compaction_plan *p, int side, table_meta *const *tables,
                                 uint32_t count) {
    if (count == 0)
        return STATUS_OK;
    p->inputs[side] = memory_new(count * sizeof(table_meta *));
    if (!p->inputs[side])
        return error_status(FIRN_NO_MEMORY, "no memory for a compaction plan");
    for (uint32_t i = 0; i < count; i++) {
        p->inputs[side][i] = tables[i];
        table_meta_ref(tables[i]);
    }
    p->input_count[side] = count;
    return STATUS_OK;
}

/* L0 tables that share no key could as well be on a sorted level. */
static bool picker_inputs_are_disjoint(const version *v, table_meta *const *tables,
                                       uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        key_range r;
        picker_extend_range(v, tables[i], true, &r);
        for (uint32_t j = i + 1; j < count; j++) {
            if (picker_table_overlaps(v, tables[j], &r))
                return false;
        }
    }
    return true;
}

static bool picker_can_move(const version *v, const compaction_plan *p, const key_range *range,
                            const tree_options *options) {
    if (p->input_count[1] != 0 || p->from_level == p->to_level ||
        (p->from_level == 0 && !picker_inputs_are_disjoint(v, p->inputs[0], p->input_count[0])))
        return false;
    /* Moved down all the way, data that arrives in order would never be compressed. */
    if (tree_options_codec(options, p->from_level) != tree_options_codec(options, p->to_level))
        return false;
    if (p->to_level + 1 >= LEVEL_COUNT)
        return true;
    uint32_t from, to;
    uint64_t bytes = 0;
    picker_overlap(v, p->to_level + 1, range, &from, &to);
    for (; from < to; from++)
        bytes += v->levels[p->to_level + 1].tables[from]->where.file_bytes;
    return bytes <= PICKER_GRANDPARENT_FILES_MAX * options->file_bytes * p->input_count[0];
}

/* Completes a plan from its upper inputs. Not found: an overlapping table is busy. */
typedef struct picker_choice {
    uint32_t from_level, to_level;
    table_meta *const *tables;
    uint32_t count;
    const char *reason;
} picker_choice;

static status picker_complete(version *v, uint32_t keyspace, const tree_options *options,
                              const picker_choice *choice, compaction_plan *out) {
    status st = STATUS_OK;
    key_range range;
    uint32_t from = 0, to = 0;
    *out = (compaction_plan){.keyspace = keyspace,
                             .from_level = choice->from_level,
                             .to_level = choice->to_level,
                             .reason = choice->reason};
    for (uint32_t i = 0; i < choice->count; i++)
        picker_extend_range(v, choice->tables[i], i == 0, &range);
    if (choice->to_level != choice->from_level)
        picker_overlap(v, choice->to_level, &range, &from, &to);
    table_meta **below = v->levels[choice->to_level].tables;
    if (picker_any_compacting(choice->tables, choice->count) ||
        picker_any_compacting(below + from, to - from))
        return STATUS_OK;
    TRY(picker_copy_inputs(out, 0, choice->tables, choice->count));
    TRY(picker_copy_inputs(out, 1, below + from, to - from));
    out->is_move = picker_can_move(v, out, &range, options);
    out->version = v;
    version_ref(v);
out:
    if (!status_is_ok(st))
        compaction_plan_deinit(out);
    return st;
}

/* A running compaction out of L0 blocks the next: its outputs are older than what is there now. */
static status picker_try_l0(version *v, uint32_t keyspace, const tree_options *options,
                            const level_targets *targets, compaction_plan *out) {
    const version_level *l0 = &v->levels[0];
    picker_choice choice = {.from_level = 0,
                            .to_level = targets->base_level,
                            .tables = l0->tables,
                            .count = l0->count,
                            .reason = "L0 tables"};
    return picker_complete(v, keyspace, options, &choice, out);
}

/* The table of `level` that drags the fewest bytes along per byte moved. */
static status picker_try_level(version *v, uint32_t keyspace, const tree_options *options,
                               uint32_t level, compaction_plan *out) {
    const version_level *l = &v->levels[level];
    table_meta *best = NULL;
    double best_ratio = 0;
    for (uint32_t i = 0; i < l->count; i++) {
        key_range r;
        uint32_t from, to;
        uint64_t below = 0;
        if (l->tables[i]->compacting)
            continue;
        picker_extend_range(v, l->tables[i], true, &r);
        picker_overlap(v, level + 1, &r, &from, &to);
        if (picker_any_compacting(v->levels[level + 1].tables + from, to - from))
            continue;
        for (; from < to; from++)
            below += v->levels[level + 1].tables[from]->where.file_bytes;
        double ratio = (double)below / (double)(l->tables[i]->where.file_bytes + 1);
        if (!best || ratio < best_ratio) {
            best = l->tables[i];
            best_ratio = ratio;
        }
    }
    picker_choice choice = {level, level + 1, &best, 1, "level size"};
    return best ? picker_complete(v, keyspace, options, &choice, out) : STATUS_OK;
}

/* How far above its target a level is, tables that are leaving already not counted. */
static double picker_level_score(const version *v, const level_targets *targets, uint32_t level) {
    uint64_t leaving = 0;
    for (uint32_t i = 0; i < v->levels[level].count; i++) {
        if (v->levels[level].tables[i]->compacting)
            leaving += v->levels[level].tables[i]->where.file_bytes;
    }
    uint64_t bytes = v->levels[level].bytes - leaving;
    return (double)bytes / (double)(targets->bytes[level] + 1); /* 0 bytes above the base level */
}

FIRN_INTERNAL status picker_pick(version *v, uint32_t keyspace, const tree_options *options,
                                 bool *found, compaction_plan *out) {
    level_targets targets = level_targets_of(v, options);
    double scores[LEVEL_COUNT] = {0};
    *found = false;
    *out = (compaction_plan){0};
    scores[0] = (double)v->levels[0].count / options->l0_trigger;
    for (uint32_t level = 1; level + 1 < LEVEL_COUNT; level++)
        scores[level] = picker_level_score(v, &targets, level);
    for (uint32_t tries = 0; tries + 1 < LEVEL_COUNT; tries++) {
        uint32_t best = 0;
        for (uint32_t level = 1; level + 1 < LEVEL_COUNT; level++) {
            if (scores[level] > scores[best])
                best = level;
        }
        if (scores[best] < 1.0)
            return STATUS_OK;
        status st = best == 0 ? picker_try_l0(v, keyspace, options, &targets, out)
                              : picker_try_level(v, keyspace, options, best, out);
        *found = out->version != NULL;
        if (*found || !status_is_ok(st))
            return st;
        scores[best] = 0; /* busy: the next best may do */
    }
    return STATUS_OK;
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

static table_meta *picker_first_in_range(const version *v, uint32_t level,
                                         const manual_range *range, bool only_old_deletes) {
    const version_level *l = &v->levels[level];
    for (uint32_t i = 0; i < l->count; i++) {
        table_meta *t = l->tables[i];
        if (picker_in_manual_range(v, t, range) &&
            (!only_old_deletes || (t->deletes && t->where.number < range->first_new_number)))
            return t;
    }
    return NULL;
}

FIRN_INTERNAL status picker_pick_manual(version *v, uint32_t keyspace, const tree_options *options,
                                        const manual_range *range, bool *found,
                                        compaction_plan *out) {
    level_targets targets = level_targets_of(v, options);
    uint32_t last = LEVEL_COUNT - 1;
    status st = STATUS_OK;
    *found = false;
    *out = (compaction_plan){0};
    while (last > targets.base_level && v->levels[last].count == 0)
        last--;
    for (uint32_t level = 0; level <= last && !*found; level++) {
        table_meta *t = picker_first_in_range(v, level, range, level == last);
        if (!t)
            continue;
        picker_choice choice = {level, level == last ? level : level + 1, &t, 1, "by request"};
        st = level == 0 ? picker_try_l0(v, keyspace, options, &targets, out)
                        : picker_complete(v, keyspace, options, &choice, out);
        if (!status_is_ok(st))
            return st;
        *found = out->version != NULL;
        /* A move would keep what deletes left behind. */
        out->is_move = out->is_move && !t->deletes && level != 0;
    }
    return st;
}

#undef PICKER_GRANDPARENT_FILES_MAX
