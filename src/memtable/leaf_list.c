/* A writer takes a slot by swapping the leaf's word for one with a higher stage, then swaps its
 * entry into the slot. Both can fail only because another writer has got on.
 *
 * A full page is split in steps that any number of threads can do side by side, each step a swap
 * that succeeds once:
 *
 *   1. every slot that is taken and not filled is closed, so that its writer looks for another one:
 *      from here on the page never changes;
 *   2. a plan is made and swapped into the page: the new anchor with its page, what follows it, and
 *      the word the old anchor is to have. Whoever loses takes the winner's plan;
 *   3. the new anchor is linked behind the old one;
 *   4. the old anchor gets its new word.
 *
 * Between 3 and 4 the upper half is in two pages, which readers tell by the next anchor: they load
 * the word first and the next anchor after it, so that a word of after step 4 never meets a list of
 * before step 3. What follows an anchor changes in step 3 only, hence stays as it is between the
 * plan and the link.
 *
 * Keys that ascend never need the middle of a leaf again: when the slots were filled in ascending
 * order and the next key is behind them all, the new leaf begins with that key, is empty, and the
 * old page stays, full. Only if a key between the two comes is it split once more, in the middle.
 */
#include "memtable/leaf_list.h"

#include "base/sole.h"
#include "memtable/leaf_page.h"
#include "platform/thread.h"

#include "base/poison.h"

enum {
    LEAF_PREFIX_MARGIN = 6, /* digits by which an ascending series may grow */
    LEAF_SERIES_MARGIN = 1  /* the same within a leaf; ranks have room for it */
};

FIRN_INTERNAL void leaf_list_init(leaf_list *list, key_order order, arena *memory) {
    list->order = order;
    list->arena = memory;
    skiplist_init(&list->anchors, order, memory);
    anchor_index_init(&list->index);
    atomic_u64_init(&list->first, 0);
    for (uint32_t i = 0; i < LEAF_HINTS; i++)
        atomic_ptr_init(&list->hints[i].anchor, NULL);
}

static inline bool leaf_key_before(const leaf_list *list, internal_key a, internal_key b) {
    return key_order_compare(list->order, a, b) < 0;
}

/* At most what a word can say. */
static size_t leaf_common_bytes(slice a, slice b) {
    size_t limit = a.size < b.size ? a.size : b.size, common = 0;
    if (limit > LEAF_SKIP_MAX)
        limit = LEAF_SKIP_MAX;
    while (common < limit && a.data[common] == b.data[common])
        common++;
    return common;
}

/* --- splitting --- */

static leaf_page *leaf_page_new(leaf_list *list) {
    leaf_page *page = arena_allocate(list->arena, sizeof *page);
    if (!page)
        return NULL;
    CHECK((uint64_t)(uintptr_t)page >> LEAF_ADDRESS_BITS == 0);
    for (uint32_t i = 0; i < LEAF_STAGES; i++)
        atomic_ptr_init(&page->split[i], NULL);
    for (uint32_t i = 0; i < LEAF_SLOTS; i++)
        atomic_u64_init(&page->slots[i], 0);
    return page;
}

/* Some of a page's entries, ascending. */
typedef struct leaf_span {
    const memtable_entry *const *entries;
    uint32_t count;
} leaf_span;

/* As leaf_rank(), of a key that has the prefix. */
static inline uint32_t leaf_rank_at(const leaf_list *list, slice user, size_t skip) {
    DCHECK(skip <= user.size);
    return list->order.custom ? 0 : (uint32_t)(key_rank_at(user, skip) >> 32);
}

/* A page with those entries; all their keys have `skip` bytes in common. */
static leaf_page *leaf_page_new_filled(leaf_list *list, size_t skip, leaf_span span) {
    leaf_page *page = leaf_page_new(list);
    for (uint32_t i = 0; page && i < span.count; i++) {
        uint32_t rank = leaf_rank_at(list, memtable_entry_user(span.entries[i]), skip);
        page->tails[i] = (uint16_t)rank;
        atomic_u64_init(&page->slots[i], leaf_slot(span.entries[i], rank));
    }
    return page;
}

/* What all keys between the two have in common; nothing can be said under a custom order. */
static size_t leaf_skip_between(const leaf_list *list, slice low, slice high) {
    return list->order.custom ? 0 : leaf_common_bytes(low, high);
}

static void leaf_close_slots(leaf_page *page) {
    for (uint32_t i = 0; i < LEAF_SLOTS; i++) {
        uint64_t empty = 0;
        /* relaxed: a hint. The swap is acquire, for no partner: the weakest there is. */
        if (atomic_u64_load(&page->slots[i], memory_order_relaxed) == 0)
            (void)atomic_u64_cas(&page->slots[i], &empty, LEAF_SLOT_CLOSED, memory_order_acquire);
    }
}

/* Whether a closed page was filled in ascending order and the entry is behind all of it, given the
 * page's entries by rank. */
static bool leaf_is_series(const leaf_list *list, const leaf_page *page, const leaf_slots *sorted,
                           const memtable_entry *entry) {
    for (uint32_t i = 0; i < LEAF_SLOTS; i++) {
        /* relaxed: compared by address only. */
        if (leaf_slot_entry(atomic_u64_load(&page->slots[i], memory_order_relaxed)) !=
            sorted->entries[i])
            return false;
    }
    return leaf_key_before(list, memtable_entry_key(sorted->entries[LEAF_SLOTS - 1]),
                           memtable_entry_key(entry));
}

static inline slice leaf_low(const skiplist_node *anchor) {
    return anchor ? internal_key_user(skiplist_node_key(anchor)).s : slice_of("", 0);
}

/* What most keys of the whole list begin with, judged by the first leaf: before any anchor. */
static bool leaf_settle_prefix(leaf_list *list, slice first, slice last, bool series) {
    if (list->order.custom)
        return true;
    size_t common = leaf_common_bytes(first, last);
    /* The first leaf of a series knows nothing of how far it will go. */
    if (series)
        common = common > LEAF_PREFIX_MARGIN ? common - LEAF_PREFIX_MARGIN : 0;
    return skiplist_offer_prefix(&list->anchors, slice_of(first.data, common));
}

/* An anchor whose leaf has those entries; no node when memory is short. */
static skiplist_entry leaf_anchor_new(leaf_list *list, slice user, uint64_t trailer, size_t skip,
                                      leaf_span entries) {
    skiplist_entry anchor = {0};
    leaf_page *page = leaf_page_new_filled(list, skip, entries);
    if (!page ||
        !skiplist_prepare(&list->anchors, user_key_of(user), trailer, slice_of("", 0), &anchor))
        return (skiplist_entry){0};
    atomic_u64_init(&anchor.node->owned, leaf_word(page, entries.count, skip));
    return anchor;
}

/* The new leaf begins with `entry`, which is behind all of the page, and is empty. */
static bool leaf_plan_series(leaf_list *list, const leaf_view *view, slice first,
                             const memtable_entry *entry, leaf_plan *plan) {
    slice user = memtable_entry_user(entry);
    size_t skip = leaf_skip_between(list, first, user);
    skip -= skip < LEAF_SERIES_MARGIN ? skip : LEAF_SERIES_MARGIN;
    plan->left = leaf_word_next_stage(view->word);
    /* Right before the entry: an anchor's key must never equal one that is still to be added, for
     * what is searched is the last anchor before a key. */
    plan->right = leaf_anchor_new(list, user, memtable_entry_trailer(entry) | OP_SEEK, skip,
                                  (leaf_span){NULL, 0});
    return plan->right.node != NULL;
}

static bool leaf_plan_halves(leaf_list *list, const leaf_view *view, const leaf_slots *sorted,
                             leaf_plan *plan) {
    const memtable_entry *const *entries = sorted->entries;
    uint32_t count = sorted->count;
    /* So many slots may have been closed unfilled that there is room without another leaf. */
    uint32_t half = count <= LEAF_SLOTS / 2 ? count : count / 2;
    size_t skip = half ? leaf_skip_between(list, leaf_low(view->anchor),
                                           memtable_entry_user(entries[half - 1]))
                       : 0;
    leaf_page *left = leaf_page_new_filled(list, skip, (leaf_span){entries, half});
    if (!left)
        return false;
    plan->left = leaf_word(left, half, skip);
    if (half == count)
        return true;
    slice low = memtable_entry_user(entries[half]);
    skip = leaf_skip_between(list, low, memtable_entry_user(entries[count - 1]));
    plan->right = leaf_anchor_new(list, low, memtable_entry_trailer(entries[half]), skip,
                                  (leaf_span){entries + half, count - half});
    return plan->right.node != NULL;
}

/* Fills `plan` for a closed page, in which `entry` finds no room. False when memory is short. */
static bool leaf_fill_plan(leaf_list *list, const leaf_view *view, const memtable_entry *entry,
                           leaf_plan *plan) {
    leaf_slots sorted;
    slice prefix = leaf_prefix(view->word, view->anchor);
    leaf_sort(view->word, 0, UINT32_MAX, &sorted);
    for (uint32_t i = 0; i < sorted.count; i++) /* a split in the middle reads them all */
        __builtin_prefetch(sorted.entries[i]);
    leaf_settle(list, prefix, &sorted, 0, sorted.count);
    bool series = leaf_word_stage(view->word) == LEAF_STAGE_FULL && sorted.count == LEAF_SLOTS &&
                  leaf_is_series(list, leaf_word_page(view->word), &sorted, entry);
    plan->after = view->next;
    plan->right = (skiplist_entry){0};
    if (sorted.count > 0 &&
        !leaf_settle_prefix(list, memtable_entry_user(sorted.entries[0]),
                            memtable_entry_user(sorted.entries[sorted.count - 1]), series))
        return false;
    if (series)
        return leaf_plan_series(list, view, memtable_entry_user(sorted.entries[0]), entry, plan);
    return leaf_plan_halves(list, view, &sorted, plan);
}

/* The plan of a full page, made here unless there is one; NULL when memory is short. */
static leaf_plan *leaf_make_plan(leaf_list *list, const leaf_view *view,
                                 const memtable_entry *entry, bool *own) {
    leaf_page *page = leaf_word_page(view->word);
    atomic_ptr *place = &page->split[leaf_word_stage(view->word) - LEAF_STAGE_FULL];
    *own = false;
    /* acquire: pairs with the release below. */
    leaf_plan *there = atomic_ptr_load(place, memory_order_acquire);
    if (there)
        return there;
    leaf_close_slots(page);
    leaf_plan *plan = arena_allocate(list->arena, sizeof *plan);
    if (!plan || !leaf_fill_plan(list, view, entry, plan))
        return NULL;
    if (plan->right.node)
        skiplist_adopt(plan->right, plan->after);
    void *expected = NULL;
    /* release: pairs with the acquire above, and with the one in leaf_is_being_split(). */
    *own = atomic_ptr_cas(place, &expected, plan, memory_order_release);
    return *own ? plan : expected;
}

/* `view` was looked at before its plan was made, if it was made here. */
static bool leaf_split(leaf_list *list, const leaf_view *view, const memtable_entry *entry) {
    bool own;
    leaf_plan *plan = leaf_make_plan(list, view, entry, &own);
    if (!plan)
        return false;
    if (plan->right.node)
        skiplist_link_at(&list->anchors, view->anchor, plan->right, plan->after);
    uint64_t word = view->word;
    /* release: pairs with the acquire in leaf_look(): who sees the new word sees the new anchor.
     * Failing means that another has done it. */
    (void)atomic_u64_cas(leaf_word_of(list, view->anchor), &word, plan->left, memory_order_release);
    if (own && plan->right.node) {
        skiplist_link_above(&list->anchors, plan->right);
        anchor_index_note(&list->index, &list->anchors, plan->right.node);
    }
    return true;
}

/* --- adding --- */

/* The first page of the list. False when memory is short. */
static bool leaf_begin(leaf_list *list) {
    uint64_t none = 0;
    leaf_page *page = leaf_page_new(list);
    if (!page)
        return false;
    /* release: pairs with the acquire in leaf_look(). */
    (void)atomic_u64_cas(&list->first, &none, leaf_word(page, 0, 0), memory_order_release);
    return true;
}

static inline atomic_ptr *leaf_hint_of(const leaf_list *list) {
    return (atomic_ptr *)(uintptr_t)&list->hints[thread_number() % LEAF_HINTS].anchor;
}

/* The leaf in which this thread's ascending series goes on, if the key belongs there. */
static inline bool leaf_find_by_hint(const leaf_list *list, internal_key key, leaf_view *view) {
    /* acquire: pairs with the release in leaf_note_series(); the anchor's bytes are there. */
    const skiplist_node *anchor = atomic_ptr_load(leaf_hint_of(list), memory_order_acquire);
    if (!anchor)
        return false;
    skiplist_target target = skiplist_target_of(&list->anchors, key);
    if (!skiplist_before(&list->anchors, anchor, &target))
        return false;
    *view = leaf_look(list, anchor);
    return !view->next || !skiplist_before(&list->anchors, view->next, &target);
}

/* Ascending keys split leaves off; then the new leaf is where the writer will go on. Other splits
 * take the hint back, so that keys in random order do not try it. */
static void leaf_note_series(leaf_list *list, const leaf_view *view) {
    atomic_ptr *hint = leaf_hint_of(list);
    const skiplist_node *next = NULL;
    if (leaf_word_stage(view->word) == LEAF_STAGE_FULL &&
        /* acquire: as in leaf_look(). */
        leaf_word_stage(atomic_u64_load(leaf_word_of(list, view->anchor), memory_order_acquire)) ==
            LEAF_STAGE_KEPT)
        next = leaf_next(list, view->anchor);
    /* release: pairs with the acquire in leaf_find_by_hint(). */
    atomic_ptr_store(hint, (void *)(uintptr_t)next, memory_order_release);
}

/* Takes a slot and fills it. False: another writer was quicker, look again. */
static bool leaf_try_add(leaf_list *list, const leaf_view *view, const memtable_entry *entry,
                         bool sole) {
    leaf_page *page = leaf_word_page(view->word);
    uint64_t stage = leaf_word_stage(view->word), word = view->word, empty = 0;
    atomic_u64 *slot = &page->slots[stage];
    __builtin_prefetch(slot, 1);
    __builtin_prefetch(&page->tails[stage], 1);
    uint32_t rank = leaf_rank(list, leaf_prefix(word, view->anchor), memtable_entry_user(entry));
    /* acq_rel: whoever acquires the word from here gets the page from the one who published it. */
    if (!sole_cas_u64(sole, leaf_word_of(list, view->anchor), &word, leaf_word_next_stage(word),
                      memory_order_acq_rel))
        return false;
    page->tails[stage] = (uint16_t)rank;
    /* release: pairs with the acquire in leaf_sort(). Failing means that the page is being split
     * and the slot was closed. */
    return sole_cas_u64(sole, slot, &empty, leaf_slot(entry, rank), memory_order_release);
}

/* The leaf of a key that was approached before. */
static inline leaf_view leaf_find_from(const leaf_list *list, internal_key key,
                                       const leaf_approach *from) {
    leaf_view view;
    if (from->near)
        return leaf_find_target(list, &(skiplist_target){key, from->head}, from->near);
    return leaf_find_by_hint(list, key, &view) ? view : leaf_find(list, key, NULL);
}

FIRN_INTERNAL bool leaf_list_add(leaf_list *list, const memtable_entry *entry, leaf_approach from,
                                 bool sole) {
    internal_key key = memtable_entry_key(entry);
    for (leaf_view view = leaf_find_from(list, key, &from);;) {
        if (UNLIKELY(!leaf_word_page(view.word))) {
            if (!leaf_begin(list))
                return false;
        } else if (UNLIKELY(leaf_word_stage(view.word) >= LEAF_STAGE_FULL)) {
            if (!leaf_split(list, &view, entry))
                return false;
            leaf_note_series(list, &view);
        } else if (LIKELY(leaf_try_add(list, &view, entry, sole))) {
            return true;
        }
        view = leaf_find(list, key, view.anchor);
    }
}

FIRN_INTERNAL leaf_approach leaf_list_approach(const leaf_list *list, user_key key) {
    leaf_approach from = {NULL, 0};
    /* relaxed: whether there is a hint, not what it leads to. */
    if (atomic_ptr_load(leaf_hint_of(list), memory_order_relaxed) ||
        !skiplist_first(&list->anchors))
        return from;
    from.head = skiplist_key_head(&list->anchors, key.s);
    if (anchor_index_find(&list->index, from.head, &from.near) && from.near)
        __builtin_prefetch(&from.near->head, 1);
    return from;
}

FIRN_INTERNAL void leaf_list_fetch_slot(const leaf_list *list, const skiplist_node *near) {
    /* relaxed: only where the slot would be is used. */
    uint64_t word = near ? atomic_u64_load(leaf_word_of(list, near), memory_order_relaxed) : 0;
    const leaf_page *page = leaf_word_page(word);
    uint32_t next = leaf_word_slots(word) % LEAF_SLOTS;
    if (page) {
        __builtin_prefetch(&page->slots[next], 1);
        __builtin_prefetch(&page->tails[next], 1);
    }
}
