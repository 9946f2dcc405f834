/* A leaf's slots are in no order, so whoever reads it sorts a copy of them: by their ranks, all at
 * once and without a branch. What equal ranks leave open is settled by the keys, and only where a
 * reader comes to it, because that means to touch entries. The rest of a leaf stays sorted in the
 * run, for when the reader goes on. */
#include "memtable/leaf_page.h"

#include "base/poison.h"

enum {
    LEAF_WALK_MAX = 8, /* anchors passed one by one before the skip list is asked */
    LEAF_FETCH = 4     /* entries fetched beyond those asked for */
};

/* --- finding the leaf --- */

/* Walks on from an anchor before the target, to that of its leaf; false: that is far. */
static bool leaf_walk(const leaf_list *list, const skiplist_target *target,
                      const skiplist_node *anchor, uint32_t steps_max, leaf_view *view) {
    for (uint32_t step = 0; step < steps_max; step++) {
        *view = leaf_look(list, anchor);
        if (!view->next || !skiplist_before(&list->anchors, view->next, target))
            return true;
        anchor = view->next;
    }
    return false;
}

FIRN_INTERNAL leaf_view leaf_find_target(const leaf_list *list, const skiplist_target *target,
                                         const skiplist_node *near) {
    const skiplist_node *after;
    leaf_view view = leaf_look(list, near);
    if (!view.next || !skiplist_before(&list->anchors, view.next, target))
        return view;
    if (near && leaf_walk(list, target, view.next, LEAF_WALK_MAX, &view))
        return view;
    if (anchor_index_find(&list->index, target->head, &near) &&
        leaf_walk(list, target, near, LEAF_WALK_MAX, &view))
        return view;
    /* A split meanwhile may have put another anchor before the key. */
    near = skiplist_seek_before(&list->anchors, target->key, &after);
    (void)leaf_walk(list, target, near, UINT32_MAX, &view);
    return view;
}

FIRN_INTERNAL leaf_view leaf_find(const leaf_list *list, internal_key key,
                                  const skiplist_node *near) {
    leaf_view view = leaf_look(list, near);
    if (!view.next) /* not asked for its head: there may be no prefix yet */
        return view;
    skiplist_target target = skiplist_target_of(&list->anchors, key);
    return leaf_find_target(list, &target, near);
}

/* --- sorting slots --- */

typedef int32_t leaf_lanes __attribute__((vector_size(16)));
/* Vectors are looked at four at a time, so that counting does not cost more than comparing. */
enum {
    LEAF_LANES = 4,
    LEAF_VECTORS_AT_ONCE = 4,
    LEAF_RANKS_AT_ONCE = LEAF_LANES * LEAF_VECTORS_AT_ONCE,
    LEAF_VECTORS = (LEAF_SLOTS + LEAF_RANKS_AT_ONCE - 1) / LEAF_RANKS_AT_ONCE * LEAF_VECTORS_AT_ONCE
};

/* Ranks as signed numbers of the same order, which is what machines compare four at a time. */
static inline int32_t leaf_signed_rank(uint32_t rank) {
    return (int32_t)(rank ^ 0x80000000u);
}

/* In comparisons that do not depend on one another: an entry's place is the number of those of
 * smaller rank, and of those of its own that came before. */
static void leaf_sort_ranks(leaf_slots *s) {
    leaf_lanes lanes[LEAF_VECTORS];
    uint8_t taken[LEAF_SLOTS];
    leaf_slots unsorted;
    uint32_t count = s->count;
    uint32_t vectors = (count + LEAF_RANKS_AT_ONCE - 1) / LEAF_RANKS_AT_ONCE * LEAF_VECTORS_AT_ONCE;
    memset(taken, 0, count);
    memcpy(unsorted.ranks, s->ranks, count * sizeof *s->ranks);
    memcpy(unsorted.entries, s->entries, count * sizeof *s->entries);
    for (uint32_t i = 0; i < vectors * LEAF_LANES; i++)
        lanes[i / LEAF_LANES][i % LEAF_LANES] =
            i < count ? leaf_signed_rank(unsorted.ranks[i]) : INT32_MAX;
    for (uint32_t i = 0; i < count; i++) {
        int32_t rank = leaf_signed_rank(unsorted.ranks[i]);
        leaf_lanes own = {rank, rank, rank, rank}, smaller = {0};
        for (uint32_t v = 0; v < vectors; v += LEAF_VECTORS_AT_ONCE)
            smaller += ((lanes[v] < own) + (lanes[v + 1] < own)) + /* -1 where that is so */
                       ((lanes[v + 2] < own) + (lanes[v + 3] < own));
        uint32_t place = (uint32_t) - (smaller[0] + smaller[1] + smaller[2] + smaller[3]);
        place += taken[place]++;
        s->ranks[place] = unsorted.ranks[i];
        s->entries[place] = unsorted.entries[i];
    }
}

FIRN_INTERNAL void leaf_sort(uint64_t word, uint32_t lowest, uint32_t highest, leaf_slots *out) {
    const leaf_page *page = leaf_word_page(word);
    uint32_t taken = page ? leaf_word_slots(word) : 0, count = 0, descents = 0;
    for (uint32_t i = 0; i < taken; i++) {
        /* acquire: pairs with the release in leaf_try_add(); the entry's bytes are there, and the
         * other half of its rank. */
        uint64_t slot = atomic_u64_load(&page->slots[i], memory_order_acquire);
        const memtable_entry *entry = leaf_slot_entry(slot);
        if (UNLIKELY(!entry))
            continue;
        uint32_t rank = (uint32_t)(slot >> LEAF_ADDRESS_BITS) << 16 | page->tails[i];
        out->ranks[count] = rank;
        out->entries[count] = entry;
        count += rank - lowest <= highest - lowest;
    }
    for (uint32_t i = 1; i < count; i++)
        descents += out->ranks[i] < out->ranks[i - 1];
    out->count = count;
    if (descents)
        leaf_sort_ranks(out);
}

/* Insertion sort of some with the same rank, by longer ranks and then by whole keys. */
static void leaf_sort_equal(const leaf_list *list, slice prefix, const memtable_entry **entries,
                            uint32_t count) {
    uint64_t heads[LEAF_SLOTS];
    for (uint32_t i = 0; i < count; i++)
        __builtin_prefetch(entries[i]);
    for (uint32_t i = 0; i < count; i++) {
        const memtable_entry *entry = entries[i];
        uint64_t head = list->order.custom ? 0 : key_rank(memtable_entry_user(entry), prefix);
        uint32_t at = i;
        for (; at > 0 && head <= heads[at - 1]; at--) {
            if (head == heads[at - 1] && key_order_compare(list->order, memtable_entry_key(entry),
                                                           memtable_entry_key(entries[at - 1])) > 0)
                break;
            heads[at] = heads[at - 1];
            entries[at] = entries[at - 1];
        }
        heads[at] = head;
        entries[at] = entry;
    }
}

FIRN_INTERNAL void leaf_settle(const leaf_list *list, slice prefix, leaf_slots *slots,
                               uint32_t begin, uint32_t end) {
    for (uint32_t at = begin + 1; at < end; at++) {
        if (LIKELY(slots->ranks[at] != slots->ranks[at - 1]))
            continue;
        uint32_t first = at - 1;
        while (at + 1 < end && slots->ranks[at + 1] == slots->ranks[first])
            at++;
        leaf_sort_equal(list, prefix, slots->entries + first, at + 1 - first);
    }
}

/* --- reading --- */

/* Whether the page may hold entries that belong to the next anchor. */
static bool leaf_is_being_split(const leaf_view *view) {
    uint64_t stage = leaf_word_stage(view->word);
    /* acquire: pairs with the release in leaf_make_plan(). Asked after `next` was loaded: whoever
     * sees a new anchor sees the plan that made it. */
    return stage >= LEAF_STAGE_FULL &&
           atomic_ptr_load(&leaf_word_page(view->word)->split[stage - LEAF_STAGE_FULL],
                           memory_order_acquire);
}

/* What is wanted of a leaf: entries between two bounds, each of which may be absent (NULL). */
typedef struct leaf_filter {
    const internal_key *above, *below;
    bool inclusive; /* `above` itself is wanted too */
} leaf_filter;

static int leaf_compare(const leaf_list *list, const memtable_entry *entry, internal_key key) {
    return key_order_compare(list->order, memtable_entry_key(entry), key);
}

/* Makes the run of what the leaf holds between the bounds. Entries of a bound's rank are compared
 * with it. */
static void leaf_collect(const leaf_list *list, const leaf_view *view, const leaf_filter *filter,
                         leaf_run *run) {
    leaf_slots *rest = &run->rest;
    uint32_t lowest = 0, highest = UINT32_MAX;
    run->anchor = view->anchor;
    run->prefix = leaf_prefix(view->word, view->anchor);
    if (filter->above)
        lowest = leaf_rank(list, run->prefix, internal_key_user(*filter->above).s);
    if (filter->below)
        highest = leaf_rank(list, run->prefix, internal_key_user(*filter->below).s);
    leaf_sort(view->word, lowest, highest, rest);
    run->begin = 0;
    run->end = rest->count;
    if (filter->above && run->end > 0 && rest->ranks[0] == lowest) {
        uint32_t equal = 1;
        while (equal < run->end && rest->ranks[equal] == lowest)
            equal++;
        leaf_settle(list, run->prefix, rest, 0, equal);
        for (; run->begin < equal; run->begin++) {
            int order = leaf_compare(list, rest->entries[run->begin], *filter->above);
            if (order > 0 || (order == 0 && filter->inclusive))
                break;
        }
    }
    if (filter->below && run->end > run->begin && rest->ranks[run->end - 1] == highest) {
        uint32_t equal = run->end - 1;
        while (equal > run->begin && rest->ranks[equal - 1] == highest)
            equal--;
        leaf_settle(list, run->prefix, rest, equal, run->end);
        while (run->end > equal &&
               leaf_compare(list, rest->entries[run->end - 1], *filter->below) >= 0)
            run->end--;
    }
}

/* Entries from `at` on, as many as are there, are about to be touched. */
static void leaf_fetch(const leaf_run *run, uint32_t at, uint32_t count) {
    for (; count > 0 && at < run->end; at++, count--)
        __builtin_prefetch(run->rest.entries[at]);
}

static uint32_t leaf_run_count(const leaf_run *run, uint32_t limit) {
    return run->end - run->begin < limit ? run->end - run->begin : limit;
}

FIRN_INTERNAL void leaf_run_first(const leaf_list *list, leaf_run *run, uint32_t limit) {
    run->count = leaf_run_count(run, limit);
    leaf_fetch(run, run->begin, run->count + LEAF_FETCH);
    uint32_t end = run->begin + run->count;
    while (run->count > 0 && end < run->end && run->rest.ranks[end] == run->rest.ranks[end - 1])
        end++;
    leaf_settle(list, run->prefix, &run->rest, run->begin, end);
    memcpy(run->entries, run->rest.entries + run->begin, run->count * sizeof *run->entries);
    run->begin += run->count;
}

FIRN_INTERNAL void leaf_run_last(const leaf_list *list, leaf_run *run, uint32_t limit) {
    run->count = leaf_run_count(run, limit);
    uint32_t first = run->end - run->count, at = first;
    uint32_t ahead = first - run->begin < LEAF_FETCH ? first - run->begin : LEAF_FETCH;
    leaf_fetch(run, first - ahead, run->count + ahead);
    while (run->count > 0 && at > run->begin && run->rest.ranks[at - 1] == run->rest.ranks[first])
        at--;
    leaf_settle(list, run->prefix, &run->rest, at, run->end);
    memcpy(run->entries, run->rest.entries + first, run->count * sizeof *run->entries);
    run->end = first;
}

FIRN_INTERNAL void leaf_list_forward(const leaf_list *list, const leaf_query *query,
                                     leaf_run *run) {
    const internal_key *from = query->bound.s.data ? &query->bound : NULL;
    leaf_view view = from ? leaf_find(list, *from, query->near) : leaf_look(list, query->near);
    for (;;) {
        internal_key end;
        leaf_filter filter = {.above = from, .inclusive = query->inclusive};
        if (view.next && leaf_is_being_split(&view)) {
            end = skiplist_node_key(view.next);
            filter.below = &end;
        }
        leaf_collect(list, &view, &filter, run);
        if (run->end > run->begin || !view.next)
            break;
        view = leaf_look(list, view.next);
    }
    leaf_run_first(list, run, query->limit);
}

/* The last leaf, or that before which the bound is. */
static leaf_view leaf_find_last(const leaf_list *list, internal_key bound) {
    if (bound.s.data)
        return leaf_find(list, bound, NULL);
    leaf_view view = leaf_look(list, skiplist_find_before(&list->anchors, NULL, 0));
    while (view.next) /* the last is the last no longer */
        view = leaf_look(list, view.next);
    return view;
}

FIRN_INTERNAL void leaf_list_backward(const leaf_list *list, const leaf_query *query,
                                      leaf_run *run) {
    internal_key bound = query->bound;
    for (;;) {
        leaf_view view = leaf_find_last(list, bound);
        internal_key end;
        leaf_filter filter = {.below = bound.s.data ? &bound : NULL};
        if (view.next && leaf_is_being_split(&view)) {
            /* What the next anchor has taken over is not before the bound, or `view` would be of
             * that one: with a bound, the bound tells them apart. */
            end = skiplist_node_key(view.next);
            if (!filter.below)
                filter.below = &end;
        }
        leaf_collect(list, &view, &filter, run);
        if (run->end > run->begin || !view.anchor)
            break;
        bound = skiplist_node_key(view.anchor);
    }
    leaf_run_last(list, run, query->limit);
}

FIRN_INTERNAL const memtable_entry *leaf_list_seek(const leaf_list *list, internal_key target) {
    leaf_run run;
    leaf_query query = {.bound = target, .limit = 1, .inclusive = true};
    leaf_list_forward(list, &query, &run);
    return run.count ? run.entries[0] : NULL;
}
