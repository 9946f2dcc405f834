/* Leveled: one sorted run per level, each a fanout larger than the one above. The level furthest
 * over its target gives up the tables that drag the fewest bytes along. */
#include "compaction/picker_internal.h"

#include <float.h>

#include "base/poison.h"

#define LEVELED_EXPAND_FILES_MAX 25 /* file sizes that a compaction may grow to for free */
/* Draining L0 into a base level more than this many times its size is put off: merging its tables
 * with each other first costs less. */
#define LEVELED_L0_DRAG_MAX      4
#define LEVELED_L0_DELETES_LEAST 1000 /* fewer are in nobody's way */

/* --- L0 --- */

/* How many of the newest tables of L0, the first `limit` at most, can be merged so that each is no
 * larger than those in front of it together: then nothing is rewritten more than a logarithm of
 * times. */
static uint32_t leveled_l0_group(const version_level *l0, uint32_t limit) {
    uint64_t bytes = 0;
    uint32_t count = 0;
    while (count < limit && !l0->tables[count]->compacting &&
           (count == 0 || l0->tables[count]->where.file_bytes <= bytes + bytes / 4)) {
        bytes += l0->tables[count]->where.file_bytes;
        count++;
    }
    return count;
}

/* Newest tables of L0 that wait for nothing but a running compaction out of it. */
static uint32_t leveled_l0_waiting(const version_level *l0) {
    uint32_t count = 0;
    while (count < l0->count && !l0->tables[count]->compacting)
        count++;
    return count;
}

/* A running compaction out of L0 blocks the next: its outputs are older than what is there now. The
 * tables that pile up meanwhile are merged with each other before writers would be slowed down. */
static status leveled_try_l0(const picker_view *view, const level_targets *targets,
                             compaction_plan *out) {
    const tree_options *options = view->options;
    const version_level *l0 = &view->version->levels[0];
    uint32_t waiting = leveled_l0_waiting(l0), from, to;
    if (waiting < l0->count) {
        uint32_t group = leveled_l0_group(l0, waiting);
        bool urgent = l0->count >= options->l0_slowdown;
        if (group >= options->l0_trigger && group >= 2 &&
            (urgent || picker_bytes(l0->tables, group) <= options->file_bytes))
            return picker_merge_in_l0(view, 0, group, out);
        return STATUS_OK;
    }
    key_range range = picker_hull(view->version, l0->tables, l0->count);
    uint64_t dragged = picker_overlap(view->version, targets->base_level, &range, &from, &to);
    if (dragged / LEVELED_L0_DRAG_MAX > l0->bytes && l0->count < options->l0_stop) {
        uint32_t group = leveled_l0_group(l0, l0->count);
        if (group >= 2)
            return picker_merge_in_l0(view, 0, group, out);
    }
    return picker_drain_l0(view, targets, out);
}

/* --- the levels below --- */

/* Neighbours of `level` in a row, `first` .. `first + count`. */
typedef struct leveled_run {
    uint32_t first, count;
} leveled_run;

/* More tables of the level whose rewriting drags nothing new along: they lie within what the chosen
 * one meets below. Bounded, so that a job stays a job. */
static void leveled_expand(const picker_view *view, uint32_t level, leveled_run *run) {
    const version *v = view->version;
    const version_level *l = &v->levels[level], *below = &v->levels[level + 1];
    uint32_t from, to, wider_from, wider_to;
    key_range range = picker_hull(v, l->tables + run->first, run->count);
    uint64_t bytes = picker_overlap(v, level + 1, &range, &from, &to);
    uint64_t most = LEVELED_EXPAND_FILES_MAX * view->options->file_bytes;
    bytes += picker_bytes(l->tables + run->first, run->count);
    if (from == to)
        return;
    key_range hull = picker_hull(v, below->tables + from, to - from);
    for (;;) {
        leveled_run wider = *run;
        if (run->first > 0 && picker_table_overlaps(v, l->tables[run->first - 1], &hull))
            wider = (leveled_run){run->first - 1, run->count + 1};
        else if (run->first + run->count < l->count &&
                 picker_table_overlaps(v, l->tables[run->first + run->count], &hull))
            wider.count++;
        else
            return;
        const table_meta *t =
            l->tables[wider.first < run->first ? wider.first : run->first + run->count];
        range = picker_hull(v, l->tables + wider.first, wider.count);
        picker_overlap(v, level + 1, &range, &wider_from, &wider_to);
        if (t->compacting || wider_from != from || wider_to != to ||
            bytes + t->where.file_bytes > most)
            return;
        bytes += t->where.file_bytes;
        *run = wider;
    }
}

/* Tables behind a movable one that are movable as well, as long as the level is over its target. */
static void leveled_extend_move(const picker_view *view, uint32_t level, uint64_t over,
                                leveled_run *run) {
    const version *v = view->version;
    const version_level *l = &v->levels[level];
    uint64_t bytes = l->tables[run->first]->where.file_bytes;
    uint32_t from, to;
    while (run->first + run->count < l->count && bytes < over) {
        const table_meta *t = l->tables[run->first + run->count];
        key_range range = picker_hull(v, l->tables + run->first, run->count + 1);
        if (t->compacting || picker_overlap(v, level + 1, &range, &from, &to) > 0)
            return;
        bytes += t->where.file_bytes;
        run->count++;
    }
}

/* Bytes that remain of [from, to) of `level` when that many deletes fall on it: what they take away
 * need not be written again. */
static double leveled_net_bytes(const picker_view *view, uint32_t level, uint32_t from, uint32_t to,
                                uint64_t bytes, uint64_t deletes) {
    uint64_t entries = 0;
    for (; from < to; from++)
        entries += view->version->levels[level].tables[from]->entries;
    if (entries == 0 || deletes >= entries)
        return 0;
    return (double)bytes * (1 - (double)deletes / (double)entries);
}

/* Whether its deletes are reason enough to merge the table down. */
static bool leveled_is_dense(const picker_view *view, const table_meta *t) {
    if (t->range_tombstones > 0) /* those hide the more the deeper they are */
        return true;
    return t->deletes > 0 &&
           (view->wants_room || t->deletes * 100 >= t->entries * view->options->tombstone_percent);
}

/* The table of `level` that drags the fewest bytes along per byte moved; `only_dense` considers
 * those alone that hold many deletes. LEVEL's count: none. */
static uint32_t leveled_cheapest(const picker_view *view, uint32_t level, bool only_dense) {
    const version *v = view->version;
    const version_level *l = &v->levels[level];
    uint32_t best = l->count;
    double best_ratio = 0;
    for (uint32_t i = 0; i < l->count; i++) {
        const table_meta *t = l->tables[i];
        uint32_t from, to;
        bool is_in = !only_dense || leveled_is_dense(view, t);
        if (t->compacting || (!is_in && !view->wants_room))
            continue;
        key_range r = picker_hull(v, l->tables + i, 1);
        uint64_t below = picker_overlap(v, level + 1, &r, &from, &to);
        if (!is_in && below == 0) /* where room is wanted: its values may hide older ones */
            continue;
        if (picker_any_compacting(v->levels[level + 1].tables + from, to - from))
            continue;
        double ratio = leveled_net_bytes(view, level + 1, from, to, below, t->deletes) /
                       (double)(t->where.file_bytes + 1);
        if (best == l->count || ratio < best_ratio) {
            best = i;
            best_ratio = ratio;
        }
    }
    return best;
}

static status leveled_try_level(const picker_view *view, uint32_t level, uint64_t over,
                                compaction_plan *out) {
    const version_level *l = &view->version->levels[level];
    leveled_run run = {leveled_cheapest(view, level, false), 1};
    if (run.first == l->count)
        return STATUS_OK;
    leveled_expand(view, level, &run);
    leveled_extend_move(view, level, over, &run);
    picker_choice choice = {level, level + 1, l->tables + run.first, run.count, "level size"};
    return picker_complete(view, &choice, out);
}

/* Whether L0 is worth draining before it is full: room is wanted, or its deletes are many, and
 * rewriting what is left of the base level below them costs no more than L0 itself. */
static bool leveled_l0_is_worth_it(const picker_view *view, const level_targets *targets) {
    const version_level *l0 = &view->version->levels[0];
    uint64_t entries = 0, deletes = 0;
    uint32_t from, to;
    for (uint32_t i = 0; i < l0->count; i++) {
        entries += l0->tables[i]->entries;
        deletes += l0->tables[i]->deletes;
    }
    if (picker_any_compacting(l0->tables, l0->count))
        return false;
    if (view->wants_room)
        return l0->count > 0;
    if (view->options->tombstone_percent == 0 || deletes < LEVELED_L0_DELETES_LEAST ||
        deletes * 100 < entries * view->options->tombstone_percent)
        return false;
    key_range range = picker_hull(view->version, l0->tables, l0->count);
    uint64_t bytes = picker_overlap(view->version, targets->base_level, &range, &from, &to);
    return leveled_net_bytes(view, targets->base_level, from, to, bytes, deletes) <=
           (double)l0->bytes;
}

/* Deletes in the way of scans, and the space they could give back, without any level being full:
 * the highest level first, for its tables are the smallest work. */
static status leveled_try_tombstones(const picker_view *view, const level_targets *targets,
                                     compaction_plan *out) {
    const version *v = view->version;
    bool is_asked = view->options->tombstone_percent > 0 || view->wants_room;
    if (leveled_l0_is_worth_it(view, targets))
        return picker_drain_l0(view, targets, out);
    for (uint32_t level = 1; is_asked && level + 1 < LEVEL_COUNT; level++) {
        uint32_t first = leveled_cheapest(view, level, true);
        if (first == v->levels[level].count)
            continue;
        picker_choice choice = {level, level + 1, v->levels[level].tables + first, 1, "deletes"};
        status st = picker_complete(view, &choice, out);
        if (!status_is_ok(st) || out->version)
            return st;
    }
    return STATUS_OK;
}

/* --- which level --- */

/* Writers are about to be slowed down for the tables of L0, or are already. */
static bool leveled_l0_is_urgent(const picker_view *view) {
    return view->version->levels[0].count + 1 >= view->options->l0_slowdown;
}

/* Bytes of a level that no running job takes away. */
static uint64_t leveled_staying_bytes(const version_level *l) {
    uint64_t bytes = l->bytes;
    for (uint32_t i = 0; i < l->count; i++)
        bytes -= l->tables[i]->compacting ? l->tables[i]->where.file_bytes : 0;
    return bytes;
}

FIRN_INTERNAL status picker_pick_leveled(const picker_view *view, compaction_plan *out) {
    const version *v = view->version;
    level_targets targets = level_targets_of(v, view->options);
    double scores[LEVEL_COUNT] = {0};
    uint64_t over[LEVEL_COUNT] = {0};
    scores[0] = (double)v->levels[0].count / view->options->l0_trigger;
    for (uint32_t level = 1; level + 1 < LEVEL_COUNT; level++) {
        uint64_t bytes = leveled_staying_bytes(&v->levels[level]), most = targets.bytes[level];
        scores[level] = (double)bytes / (double)(most + 1); /* most: 0 above the base level */
        over[level] = bytes > most ? bytes - most : 0;
    }
    if (leveled_l0_is_urgent(view))
        scores[0] = DBL_MAX;
    for (uint32_t tries = 0; tries + 1 < LEVEL_COUNT; tries++) {
        uint32_t best = 0;
        for (uint32_t level = 1; level + 1 < LEVEL_COUNT; level++) {
            if (scores[level] > scores[best])
                best = level;
        }
        if (scores[best] < 1.0)
            break;
        status st = best == 0 ? leveled_try_l0(view, &targets, out)
                              : leveled_try_level(view, best, over[best], out);
        if (out->version || !status_is_ok(st))
            return st;
        scores[best] = 0; /* busy: the next best may do */
    }
    status st = leveled_try_tombstones(view, &targets, out);
    if (!status_is_ok(st) || out->version)
        return st;
    st = picker_sink_expired(view, out);
    return !status_is_ok(st) || out->version ? st : picker_sink_aged(view, &targets, out);
}

#undef LEVELED_EXPAND_FILES_MAX
#undef LEVELED_L0_DRAG_MAX
#undef LEVELED_L0_DELETES_LEAST
