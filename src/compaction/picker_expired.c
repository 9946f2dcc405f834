/* Tables by what has expired in them. A table all of whose values have expired for every reader
 * goes unread, if it hides nothing below; else it sinks, so that it soon hides nothing. A table
 * that keeps some is rewritten when as much of it is deletes and expired values as makes a table of
 * deletes sink (tombstone_percent); so an entry that stays is rewritten a number of times that
 * grows with the logarithm of those that went before it. Where fewer than that expire at all it is
 * rewritten once, when all of them have, if that is worth the work. */
#include "compaction/picker_internal.h"
#include "format/expiry.h"

#include "base/poison.h"

#define EXPIRED_LEAST_PERCENT 5 /* of the entries; for less a table is not rewritten */

FIRN_INTERNAL uint64_t picker_expiry_due_ms(const table_meta *t, const tree_options *options) {
    if (t->min_expiry == 0)
        return UINT64_MAX;
    if (t->expiring == 0) /* a table of a build that did not record how many: half of its span */
        return t->max_expiry == EXPIRY_NEVER ? UINT64_MAX
                                             : t->min_expiry + (t->max_expiry - t->min_expiry) / 2;
    double percent = options->tombstone_percent ? options->tombstone_percent : 100;
    double wanted = (double)t->entries * percent / 100 - (double)t->deletes;
    for (uint32_t i = 0; i < EXPIRY_PARTS; i++) {
        if ((double)t->expiring * (i + 1) >= wanted * EXPIRY_PARTS)
            return t->expiry_parts[i];
    }
    return (double)t->expiring * 100 >= (double)t->entries * EXPIRED_LEAST_PERCENT
               ? t->expiry_parts[EXPIRY_PARTS - 1]
               : UINT64_MAX;
}

static bool expired_wholly(const picker_view *view, const table_meta *t) {
    return t->max_expiry != 0 && t->max_expiry != EXPIRY_NEVER && t->max_expiry <= view->expired_ms;
}

/* Whether older versions of its keys may lie below: in older tables of L0, on deeper levels. */
static bool expired_hides(const version *v, uint32_t level, uint32_t at) {
    key_range r = picker_hull(v, v->levels[level].tables + at, 1);
    for (uint32_t i = at + 1; level == 0 && i < v->levels[0].count; i++) {
        if (picker_table_overlaps(v, v->levels[0].tables[i], &r))
            return true;
    }
    return version_overlaps_below(v, level + 1, r.smallest, r.largest);
}

FIRN_INTERNAL status picker_drop_expired(const picker_view *view, compaction_plan *out) {
    const version *v = view->version;
    for (uint32_t level = LEVEL_COUNT; level-- > 0;) {
        for (uint32_t i = v->levels[level].count; i-- > 0;) {
            table_meta *const *t = v->levels[level].tables + i;
            if (!(*t)->compacting && expired_wholly(view, *t) && !expired_hides(v, level, i))
                return picker_drop(view, level, t, 1, "expired", out);
        }
    }
    return STATUS_OK;
}

FIRN_INTERNAL status picker_sink_expired(const picker_view *view, compaction_plan *out) {
    const version *v = view->version;
    for (uint32_t level = 1; level < LEVEL_COUNT; level++) {
        for (uint32_t i = 0; i < v->levels[level].count; i++) {
            const table_meta *t = v->levels[level].tables[i];
            if (t->compacting || picker_expiry_due_ms(t, view->options) > view->expired_ms)
                continue;
            uint32_t to = level + 1 < LEVEL_COUNT ? level + 1 : level;
            picker_choice choice = {level, to, v->levels[level].tables + i, 1, "expired values"};
            status st = picker_complete(view, &choice, out);
            if (out->version && to == level + 1 && out->kind == PLAN_MOVE)
                out->kind = PLAN_MERGE; /* a move would leave in it what expired */
            if (!status_is_ok(st) || out->version)
                return st;
        }
    }
    return STATUS_OK;
}

FIRN_INTERNAL uint64_t picker_next_due_ms(const version *v, const tree_options *options) {
    uint64_t next = picker_next_age_ms(v, options);
    for (uint32_t level = 0; level < LEVEL_COUNT; level++) {
        for (uint32_t i = 0; i < v->levels[level].count; i++) {
            const table_meta *t = v->levels[level].tables[i];
            uint64_t due =
                level == 0 && t->min_expiry ? t->max_expiry : picker_expiry_due_ms(t, options);
            if (due < next)
                next = due;
        }
    }
    return next;
}

#undef EXPIRED_LEAST_PERCENT
