#include "compaction/bottom.h"

#include "base/poison.h"

FIRN_INTERNAL bottom_cursor bottom_cursor_of_plan(const compaction_plan *plan) {
    const version_level *l0 = &plan->version->levels[0];
    bottom_cursor c = {.version = plan->version,
                       .l0_from = l0->count,
                       .first_level = plan->to_level + 1};
    /* Only outputs that stay in L0 have older tables beside them. */
    if (plan->to_level == 0) {
        c.l0_from = 0;
        while (c.l0_from < l0->count &&
               l0->tables[c.l0_from] != plan->inputs[0][plan->input_count[0] - 1])
            c.l0_from++;
        c.l0_from++;
    }
    return c;
}

FIRN_INTERNAL bottom_cursor bottom_cursor_above(const version *v) {
    return (bottom_cursor){.version = v, .first_level = 1};
}

FIRN_INTERNAL bool bottom_cursor_has_nothing_older(bottom_cursor *c, user_key key) {
    key_order order = c->version->order;
    const version_level *l0 = &c->version->levels[0];
    for (uint32_t i = c->l0_from; i < l0->count; i++) {
        if (key_order_compare_user(order, internal_key_user(l0->tables[i]->smallest), key) <= 0 &&
            key_order_compare_user(order, internal_key_user(l0->tables[i]->largest), key) >= 0)
            return false;
    }
    for (uint32_t level = c->first_level; level < LEVEL_COUNT; level++) {
        const version_level *l = &c->version->levels[level];
        uint32_t *i = &c->below[level];
        while (*i < l->count &&
               key_order_compare_user(order, internal_key_user(l->tables[*i]->largest), key) < 0)
            ++*i;
        if (*i < l->count &&
            key_order_compare_user(order, internal_key_user(l->tables[*i]->smallest), key) <= 0)
            return false;
    }
    return true;
}
