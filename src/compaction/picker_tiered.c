/* Tiered (universal): the tables of L0 and each level in use are *sorted runs*, ordered by age.
 * Merging joins neighbours in age only, into the level right above the next older run, so that
 * where a run lies tells its age. */
#include "compaction/picker_internal.h"

#include "base/poison.h"

enum {
    TIERED_RUNS_MAX = 256,
    TIERED_RATIO_PERCENT = 110 /* a run joins when it is at most this much of those before it */
};

typedef struct tiered_run {
    uint32_t level;
    uint32_t l0_index; /* in L0: its position */
    uint64_t bytes;
    bool busy;
} tiered_run;

typedef struct tiered_tree {
    tiered_run runs[TIERED_RUNS_MAX]; /* newest first */
    uint32_t count;
} tiered_tree;

static void tiered_look(const version *v, tiered_tree *t) {
    t->count = 0;
    uint32_t l0_most = TIERED_RUNS_MAX - LEVEL_COUNT;
    const version_level *l0 = &v->levels[0];
    /* Of a hopeless number of runs the oldest are worked on first. */
    for (uint32_t i = l0->count > l0_most ? l0->count - l0_most : 0; i < l0->count; i++)
        t->runs[t->count++] =
            (tiered_run){0, i, l0->tables[i]->where.file_bytes, l0->tables[i]->compacting};
    for (uint32_t level = 1; level < LEVEL_COUNT; level++) {
        const version_level *l = &v->levels[level];
        if (l->count)
            t->runs[t->count++] =
                (tiered_run){level, 0, l->bytes, picker_any_compacting(l->tables, l->count)};
    }
}

static key_range tiered_range(const version *v, const tiered_run *r) {
    const version_level *l = &v->levels[r->level];
    return r->level ? picker_hull(v, l->tables, l->count)
                    : picker_hull(v, l->tables + r->l0_index, 1);
}

/* Runs that share no key, as sequential writes leave them, become one by changing their level. */
static bool tiered_can_move(const picker_view *view, const tiered_tree *t, uint32_t first,
                            uint32_t count, uint32_t to_level) {
    const version *v = view->version;
    const tiered_run *runs = t->runs + first;
    if (to_level == 0)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        key_range one = tiered_range(v, &runs[i]);
        if (tree_options_codec(view->options, runs[i].level) !=
            tree_options_codec(view->options, to_level))
            return false;
        for (uint32_t j = i + 1; j < count; j++) {
            key_range other = tiered_range(v, &runs[j]);
            if (key_order_compare_user(v->order, one.smallest, other.largest) <= 0 &&
                key_order_compare_user(v->order, other.smallest, one.largest) <= 0)
                return false;
        }
    }
    return true;
}

/* Runs [first, first + count) into the place right above the run behind them. */
static status tiered_merge(const picker_view *view, const tiered_tree *t, uint32_t first,
                           uint32_t count, const char *reason, compaction_plan *out) {
    status st = STATUS_OK;
    version *v = view->version;
    const tiered_run *runs = t->runs + first;
    bool is_last = first + count == t->count;
    uint32_t to_level = is_last ? LEVEL_COUNT - 1 : runs[count].level ? runs[count].level - 1 : 0;
    uint32_t in_l0 = 0;
    *out = (compaction_plan){.keyspace = view->keyspace,
                             .from_level = runs[0].level,
                             .to_level = to_level,
                             .reason = reason};
    while (in_l0 < count && runs[in_l0].level == 0)
        in_l0++;
    TRY(compaction_plan_add(out, 0, v->levels[0].tables + runs[0].l0_index, in_l0));
    for (uint32_t i = in_l0; i < count; i++)
        TRY(compaction_plan_add(out, runs[i].level, v->levels[runs[i].level].tables,
                                v->levels[runs[i].level].count));
    if (tiered_can_move(view, t, first, count, to_level))
        out->kind = PLAN_MOVE;
    out->version = v;
    version_ref(v);
out:
    if (!status_is_ok(st))
        compaction_plan_deinit(out);
    return st;
}

/* Neighbours that are idle, from `first` on. */
static uint32_t tiered_idle(const tiered_tree *t, uint32_t first) {
    uint32_t count = 0;
    while (first + count < t->count && !t->runs[first + count].busy)
        count++;
    return count;
}

/* Everything into one run, when what lies above the oldest one may be garbage of it. */
static status tiered_try_space(const picker_view *view, const tiered_tree *t,
                               compaction_plan *out) {
    uint64_t above = 0;
    if (t->count < 2 || tiered_idle(t, 0) < t->count)
        return STATUS_OK;
    for (uint32_t i = 0; i + 1 < t->count; i++)
        above += t->runs[i].bytes;
    uint64_t oldest = t->runs[t->count - 1].bytes;
    if ((double)above * 100 < (double)oldest * view->options->tiered_space_percent)
        return STATUS_OK;
    return tiered_merge(view, t, 0, t->count, "space", out);
}

/* Runs of similar size: those in front, the newest included, weigh about as much as the next. */
static status tiered_try_ratio(const picker_view *view, const tiered_tree *t,
                               compaction_plan *out) {
    for (uint32_t first = 0; first < t->count; first++) {
        uint64_t bytes = 0;
        uint32_t idle = tiered_idle(t, first), count = 0;
        while (count < idle &&
               (count == 0 || t->runs[first + count].bytes <= bytes / 100 * TIERED_RATIO_PERCENT)) {
            bytes += t->runs[first + count].bytes;
            count++;
        }
        if (count >= 2)
            return tiered_merge(view, t, first, count, "runs of similar size", out);
    }
    return STATUS_OK;
}

/* Too many runs, whatever their sizes: the cheapest neighbours that bring the number down. */
static status tiered_try_count(const picker_view *view, const tiered_tree *t,
                               compaction_plan *out) {
    uint32_t excess = t->count - view->options->l0_trigger + 2;
    uint32_t best = UINT32_MAX;
    uint64_t best_bytes = UINT64_MAX;
    if (excess > t->count)
        excess = t->count;
    for (uint32_t first = 0; first + excess <= t->count; first++) {
        uint64_t bytes = 0;
        if (tiered_idle(t, first) < excess)
            continue;
        for (uint32_t i = 0; i < excess; i++)
            bytes += t->runs[first + i].bytes;
        if (bytes < best_bytes) {
            best_bytes = bytes;
            best = first;
        }
    }
    return best == UINT32_MAX ? STATUS_OK
                              : tiered_merge(view, t, best, excess, "number of runs", out);
}

FIRN_INTERNAL status picker_pick_tiered(const picker_view *view, compaction_plan *out) {
    tiered_tree t;
    status st = STATUS_OK;
    tiered_look(view->version, &t);
    if (view->wants_room && t.count >= 2 && tiered_idle(&t, 0) == t.count)
        return tiered_merge(view, &t, 0, t.count, "room", out);
    if (t.count < view->options->l0_trigger || t.count < 2)
        return STATUS_OK;
    st = tiered_try_space(view, &t, out);
    if (status_is_ok(st) && !out->version)
        st = tiered_try_ratio(view, &t, out);
    if (status_is_ok(st) && !out->version && t.count > view->options->l0_trigger)
        st = tiered_try_count(view, &t, out);
    return st;
}
