/* A word is a page's address and, in its upper 16 bits, a stage and the length of a prefix. The
 * stage is how many slots are taken, and once all are, whether a leaf for what follows has been
 * split off already. The prefix is what the keys of the page are expected to have in common with
 * the anchor's; it stands here because the page's first line would be one more to wait for. A
 * writer takes a slot by swapping the word for one with a higher stage, then swaps its entry into
 * the slot. Both can fail only because another writer has got on.
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

#include "base/check.h"
#include "platform/thread.h"

#include "base/poison.h"

enum {
    LEAF_ADDRESS_BITS = 48,
    LEAF_STAGE_SHIFT = LEAF_ADDRESS_BITS,
    LEAF_STAGE_BITS = 7,
    LEAF_SKIP_SHIFT = LEAF_STAGE_SHIFT + LEAF_STAGE_BITS,
    LEAF_SKIP_MAX = 511,
    LEAF_STAGE_FULL = LEAF_SLOTS, /* split off or in the middle */
    LEAF_STAGE_KEPT,              /* a leaf has been split off; now only in the middle */
    LEAF_STAGES = LEAF_STAGE_KEPT + 1 - LEAF_STAGE_FULL,
    LEAF_LIMIT_TOUCH = 64, /* from so many entries wanted on, all of the page are touched at once */
    LEAF_FETCH_MAX = 16,   /* below, about so many of those nearest to the bound */
    LEAF_PREFIX_MARGIN = 6 /* digits by which an ascending series may grow */
};

typedef struct leaf_page {
    atomic_ptr split[LEAF_STAGES]; /* leaf_plan; by stage */
    atomic_u64 slots[LEAF_SLOTS];  /* an entry's address, in the upper 16 bits its fragment */
} leaf_page;

typedef struct leaf_plan {
    uint64_t left;              /* the old anchor's new word */
    skiplist_entry right;       /* the new anchor; no node: the leaf is only packed anew */
    const skiplist_node *after; /* what follows it */
} leaf_plan;

/* A slot nobody will fill any more; no entry is at that address. */
#define LEAF_SLOT_CLOSED ((uint64_t)1)

static inline uint64_t leaf_address(const void *what) {
    uint64_t address = (uint64_t)(uintptr_t)what;
    DCHECK(address >> LEAF_ADDRESS_BITS == 0);
    return address;
}
static inline uint64_t leaf_address_of(uint64_t word) {
    return word & (((uint64_t)1 << LEAF_ADDRESS_BITS) - 1);
}

static inline uint64_t leaf_word(const leaf_page *page, uint64_t stage, size_t skip) {
    DCHECK(skip <= LEAF_SKIP_MAX && stage < 1u << LEAF_STAGE_BITS);
    return leaf_address(page) | stage << LEAF_STAGE_SHIFT | (uint64_t)skip << LEAF_SKIP_SHIFT;
}
/* One more slot taken, or the stage behind. */
static inline uint64_t leaf_word_next_stage(uint64_t word) {
    return word + ((uint64_t)1 << LEAF_STAGE_SHIFT);
}
static inline leaf_page *leaf_word_page(uint64_t word) {
    return (leaf_page *)(uintptr_t)leaf_address_of(word);
}
static inline uint64_t leaf_word_stage(uint64_t word) {
    return word >> LEAF_STAGE_SHIFT & ((1u << LEAF_STAGE_BITS) - 1);
}
static inline size_t leaf_word_skip(uint64_t word) {
    return (size_t)(word >> LEAF_SKIP_SHIFT);
}
static inline uint32_t leaf_word_slots(uint64_t word) {
    uint64_t stage = leaf_word_stage(word);
    return stage < LEAF_SLOTS ? (uint32_t)stage : LEAF_SLOTS;
}

static inline uint64_t leaf_slot(const memtable_entry *entry, uint64_t rank) {
    return leaf_address(entry) | rank >> LEAF_ADDRESS_BITS << LEAF_ADDRESS_BITS;
}
/* NULL: none yet, or never one. */
static inline const memtable_entry *leaf_slot_entry(uint64_t slot) {
    uint64_t address = leaf_address_of(slot);
    return address > LEAF_SLOT_CLOSED ? (const memtable_entry *)(uintptr_t)address : NULL;
}
static inline uint64_t leaf_slot_rank(uint64_t slot) {
    return slot >> LEAF_ADDRESS_BITS << LEAF_ADDRESS_BITS;
}

FIRN_INTERNAL void leaf_list_init(leaf_list *list, key_order order, arena *memory) {
    list->order = order;
    list->arena = memory;
    skiplist_init(&list->anchors, order, memory);
    atomic_u64_init(&list->first, 0);
    for (uint32_t i = 0; i < LEAF_HINTS; i++)
        atomic_ptr_init(&list->hints[i].anchor, NULL);
}

/* The word of a leaf; readers only load it. */
static inline atomic_u64 *leaf_word_of(const leaf_list *list, const skiplist_node *anchor) {
    return (atomic_u64 *)(uintptr_t)(anchor ? &anchor->owned : &list->first);
}

static inline const skiplist_node *leaf_next(const leaf_list *list, const skiplist_node *anchor) {
    return anchor ? skiplist_next(anchor) : skiplist_first(&list->anchors);
}

static inline bool leaf_key_before(const leaf_list *list, internal_key a, internal_key b) {
    return key_order_compare(list->order, a, b) < 0;
}

static inline bool leaf_anchor_before(const leaf_list *list, const skiplist_node *anchor,
                                      internal_key key) {
    return leaf_key_before(list, skiplist_node_key(anchor), key);
}

/* --- ranks: 8 bytes of a key, behind what the leaf's keys have in common --- */

static inline slice leaf_prefix(uint64_t word, const skiplist_node *anchor) {
    DCHECK(anchor || leaf_word_skip(word) == 0);
    return slice_of(anchor ? anchor->bytes : (const uint8_t *)"", leaf_word_skip(word));
}

/* a < b gives rank(a) <= rank(b) in any one page. */
static inline uint64_t leaf_rank(const leaf_list *list, slice prefix, slice user) {
    return list->order.custom ? 0 : key_head_behind(user, prefix);
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

typedef struct leaf_candidate {
    uint64_t rank;
    const memtable_entry *entry;
} leaf_candidate;

static inline bool leaf_candidate_before(const leaf_list *list, const leaf_candidate *a,
                                         const leaf_candidate *b) {
    if (LIKELY(a->rank != b->rank))
        return a->rank < b->rank;
    return leaf_key_before(list, memtable_entry_key(a->entry), memtable_entry_key(b->entry));
}

/* --- reading a page --- */

/* What is wanted of a page: entries between two bounds, each of which may be absent; the first or
 * the last `limit` of them. */
typedef struct leaf_filter {
    const skiplist_node *anchor;
    const internal_key *above, *below;
    bool inclusive; /* `above` itself is wanted too */
    bool last;      /* rather the last than the first */
    uint32_t limit;
} leaf_filter;

/* Puts a candidate in its place among those found so far; whoever falls out at the far end was not
 * wanted. Gives their number. */
static uint32_t leaf_place(const leaf_list *list, const leaf_filter *filter, leaf_candidate *found,
                           uint32_t count, leaf_candidate candidate) {
    uint32_t at = count;
    while (at > 0 && leaf_candidate_before(list, &candidate, &found[at - 1])) {
        found[at] = found[at - 1];
        at--;
    }
    found[at] = candidate;
    if (LIKELY(count < filter->limit))
        return count + 1;
    if (filter->last)
        memmove(found, found + 1, filter->limit * sizeof *found);
    return count;
}

/* Order of a slot's entry and a key of that rank: by the ranks if they tell. */
static inline int leaf_slot_compare(const leaf_list *list, leaf_candidate candidate, uint64_t rank,
                                    internal_key key) {
    if (candidate.rank != rank)
        return candidate.rank < rank ? -1 : 1;
    return key_order_compare(list->order, memtable_entry_key(candidate.entry), key);
}

/* The entries whose fragment is the bound's have to be compared with it, those with the nearest
 * fragments beyond it with one another: their misses are better waited for together. */
static void leaf_fetch_near(const leaf_filter *filter, const uint64_t *slots, uint32_t taken,
                            uint64_t bound) {
    uint64_t nearest[LEAF_FETCH_MAX], mirror = filter->last ? UINT64_MAX : 0; /* nearer is less */
    uint32_t count = 0, wanted = filter->limit < LEAF_FETCH_MAX ? filter->limit : LEAF_FETCH_MAX;
    bound = leaf_slot_rank(bound ^ mirror);
    for (uint32_t i = 0; i < taken; i++) {
        uint64_t rank = leaf_slot_rank(slots[i] ^ mirror);
        if (rank <= bound || (count == wanted && rank >= nearest[count - 1]))
            continue;
        uint32_t at = count < wanted ? count++ : count - 1;
        for (; at > 0 && nearest[at - 1] > rank; at--)
            nearest[at] = nearest[at - 1];
        nearest[at] = rank;
    }
    uint64_t farthest = count ? nearest[count - 1] : bound;
    for (uint32_t i = 0; i < taken; i++) {
        uint64_t rank = leaf_slot_rank(slots[i] ^ mirror);
        if (rank >= bound && rank <= farthest)
            __builtin_prefetch(leaf_slot_entry(slots[i]));
    }
}

/* Gives how many; `found` has room for one more than the limit. */
static uint32_t leaf_collect(const leaf_list *list, uint64_t word, const leaf_filter *filter,
                             leaf_candidate *found) {
    const leaf_page *page = leaf_word_page(word);
    slice prefix = leaf_prefix(word, filter->anchor);
    uint64_t above = 0, below = 0, slots[LEAF_SLOTS];
    uint32_t taken = page ? leaf_word_slots(word) : 0, count = 0;
    bool touch = filter->limit >= LEAF_LIMIT_TOUCH;
    if (filter->above)
        above = leaf_slot_rank(leaf_rank(list, prefix, internal_key_user(*filter->above).s));
    if (filter->below)
        below = leaf_slot_rank(leaf_rank(list, prefix, internal_key_user(*filter->below).s));
    for (uint32_t i = 0; i < taken; i++) {
        /* acquire: pairs with the release in leaf_try_add(); the entry's bytes are there. */
        slots[i] = atomic_u64_load(&page->slots[i], memory_order_acquire);
        if (touch)
            __builtin_prefetch(leaf_slot_entry(slots[i]));
    }
    if (!touch && filter->limit > 0)
        leaf_fetch_near(filter, slots, taken,
                        !filter->last   ? above
                        : filter->below ? below
                                        : UINT64_MAX);
    for (uint32_t i = 0; i < taken; i++) {
        leaf_candidate c = {leaf_slot_rank(slots[i]), leaf_slot_entry(slots[i])};
        if (!c.entry)
            continue;
        if (filter->above) {
            int order = leaf_slot_compare(list, c, above, *filter->above);
            if (order < 0 || (order == 0 && !filter->inclusive))
                continue;
        }
        if (filter->below && leaf_slot_compare(list, c, below, *filter->below) >= 0)
            continue;
        if (touch)
            c.rank = leaf_rank(list, prefix, memtable_entry_user(c.entry));
        count = leaf_place(list, filter, found, count, c);
    }
    return count;
}

static void leaf_run_set(leaf_run *run, const skiplist_node *anchor, const leaf_candidate *found,
                         uint32_t count) {
    run->anchor = anchor;
    run->count = count;
    for (uint32_t i = 0; i < count; i++)
        run->entries[i] = found[i].entry;
}

/* A leaf as it is at one moment. */
typedef struct leaf_view {
    const skiplist_node *anchor, *next;
    uint64_t word;
} leaf_view;

/* Looks at a leaf, or at one further on if `key` (NULL: none) turns out to belong there. */
static leaf_view leaf_look(const leaf_list *list, const skiplist_node *anchor,
                           const internal_key *key) {
    for (;;) {
        leaf_view view = {.anchor = anchor};
        /* acquire: pairs with the releases in leaf_try_add() and leaf_finish_split(): the page is
         * there, and the anchor that took over what the page does not have any more. */
        view.word = atomic_u64_load(leaf_word_of(list, anchor), memory_order_acquire);
        view.next = leaf_next(list, anchor);
        if (!view.next || !key || !leaf_anchor_before(list, view.next, *key))
            return view;
        anchor = view.next;
    }
}

/* Whether the page may hold entries that belong to the next anchor. */
static bool leaf_is_being_split(const leaf_view *view) {
    uint64_t stage = leaf_word_stage(view->word);
    /* acquire: pairs with the release in leaf_make_plan(). Asked after `next` was loaded: whoever
     * sees a new anchor sees the plan that made it. */
    return stage >= LEAF_STAGE_FULL &&
           atomic_ptr_load(&leaf_word_page(view->word)->split[stage - LEAF_STAGE_FULL],
                           memory_order_acquire);
}

FIRN_INTERNAL void leaf_list_forward(const leaf_list *list, const leaf_query *query,
                                     leaf_run *run) {
    leaf_candidate found[LEAF_SLOTS + 1];
    const internal_key *from = query->bound.s.data ? &query->bound : NULL;
    const skiplist_node *anchor = query->near, *after;
    if (!anchor && from)
        anchor = skiplist_seek_before(&list->anchors, *from, &after);
    for (;;) {
        leaf_view view = leaf_look(list, anchor, from);
        internal_key end;
        leaf_filter filter = {.anchor = view.anchor,
                              .above = from,
                              .inclusive = query->inclusive,
                              .limit = query->limit};
        if (view.next && leaf_is_being_split(&view)) {
            end = skiplist_node_key(view.next);
            filter.below = &end;
        }
        uint32_t count = leaf_collect(list, view.word, &filter, found);
        if (count > 0 || !view.next) {
            leaf_run_set(run, view.anchor, found, count);
            return;
        }
        anchor = view.next;
    }
}

FIRN_INTERNAL void leaf_list_backward(const leaf_list *list, const leaf_query *query,
                                      leaf_run *run) {
    leaf_candidate found[LEAF_SLOTS + 1];
    internal_key bound = query->bound;
    const skiplist_node *anchor, *after;
    for (;;) {
        if (bound.s.data)
            anchor = skiplist_seek_before(&list->anchors, bound, &after);
        else
            anchor = skiplist_find_before(&list->anchors, NULL, 0);
        leaf_view view = leaf_look(list, anchor, bound.s.data ? &bound : NULL);
        while (!bound.s.data && view.next) /* the last is the last no longer */
            view = leaf_look(list, view.next, NULL);
        internal_key end;
        leaf_filter filter = {.anchor = view.anchor,
                              .below = bound.s.data ? &bound : NULL,
                              .last = true,
                              .limit = query->limit};
        if (view.next && leaf_is_being_split(&view)) {
            /* What the next anchor has taken over is not before the bound, or `view` would be of
             * that one: with a bound, the bound tells them apart. */
            end = skiplist_node_key(view.next);
            if (!filter.below)
                filter.below = &end;
        }
        uint32_t count = leaf_collect(list, view.word, &filter, found);
        if (count > 0 || !view.anchor) {
            leaf_run_set(run, view.anchor, found, count);
            return;
        }
        bound = skiplist_node_key(view.anchor);
    }
}

FIRN_INTERNAL const memtable_entry *leaf_list_seek(const leaf_list *list, internal_key target) {
    leaf_run run;
    leaf_query query = {.bound = target, .limit = 1, .inclusive = true};
    leaf_list_forward(list, &query, &run);
    return run.count ? run.entries[0] : NULL;
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

/* Some of them, ascending. */
typedef struct leaf_span {
    const leaf_candidate *sorted;
    uint32_t count;
} leaf_span;

/* A page with those entries, which ascend; its keys have `skip` bytes of `low` in common. */
static leaf_page *leaf_page_new_filled(leaf_list *list, slice low, size_t skip, leaf_span entries) {
    leaf_page *page = leaf_page_new(list);
    slice prefix = slice_of(low.data, skip);
    for (uint32_t i = 0; page && i < entries.count; i++) {
        const memtable_entry *entry = entries.sorted[i].entry;
        uint64_t rank = leaf_rank(list, prefix, memtable_entry_user(entry));
        atomic_u64_init(&page->slots[i], leaf_slot(entry, rank));
    }
    return page;
}

static void leaf_close_slots(leaf_page *page) {
    for (uint32_t i = 0; i < LEAF_SLOTS; i++) {
        uint64_t empty = 0;
        /* relaxed: a hint. The swap is acquire, for no partner: the weakest there is. */
        if (atomic_u64_load(&page->slots[i], memory_order_relaxed) == 0)
            (void)atomic_u64_cas(&page->slots[i], &empty, LEAF_SLOT_CLOSED, memory_order_acquire);
    }
}

/* Whether the slots of a closed page were filled in ascending order. */
static bool leaf_was_filled_in_order(const leaf_page *page, const leaf_candidate *sorted,
                                     uint32_t count) {
    if (count < LEAF_SLOTS)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        /* relaxed: compared by address only. */
        if (leaf_slot_entry(atomic_u64_load(&page->slots[i], memory_order_relaxed)) !=
            sorted[i].entry)
            return false;
    }
    return true;
}

static inline slice leaf_low(const skiplist_node *anchor) {
    return anchor ? internal_key_user(skiplist_node_key(anchor)).s : slice_of("", 0);
}

/* What most keys of the whole list begin with, judged by the first leaf: before any anchor. */
static bool leaf_settle_prefix(leaf_list *list, const leaf_candidate *sorted, uint32_t count,
                               bool series) {
    if (list->order.custom || count == 0)
        return true;
    slice first = memtable_entry_user(sorted[0].entry);
    size_t common = leaf_common_bytes(first, memtable_entry_user(sorted[count - 1].entry));
    /* The first leaf of a series knows nothing of how far it will go. */
    if (series)
        common = common > LEAF_PREFIX_MARGIN ? common - LEAF_PREFIX_MARGIN : 0;
    return skiplist_offer_prefix(&list->anchors, slice_of(first.data, common));
}

/* An anchor whose leaf has those entries; no node when memory is short. */
static skiplist_entry leaf_anchor_new(leaf_list *list, slice user, uint64_t trailer, size_t skip,
                                      leaf_span entries) {
    skiplist_entry anchor = {0};
    leaf_page *page = leaf_page_new_filled(list, user, skip, entries);
    if (!page ||
        !skiplist_prepare(&list->anchors, user_key_of(user), trailer, slice_of("", 0), &anchor))
        return (skiplist_entry){0};
    atomic_u64_init(&anchor.node->owned, leaf_word(page, entries.count, skip));
    return anchor;
}

/* Fills `plan` for a closed page, in which `entry` finds no room. False when memory is short. */
static bool leaf_fill_plan(leaf_list *list, const leaf_view *view, const memtable_entry *entry,
                           leaf_plan *plan) {
    leaf_candidate sorted[LEAF_SLOTS + 1];
    leaf_filter all = {.anchor = view->anchor, .limit = LEAF_SLOTS};
    leaf_page *page = leaf_word_page(view->word);
    uint32_t count = leaf_collect(list, view->word, &all, sorted);
    slice low = leaf_low(view->anchor);
    bool series = leaf_word_stage(view->word) == LEAF_STAGE_FULL &&
                  leaf_was_filled_in_order(page, sorted, count) &&
                  leaf_key_before(list, memtable_entry_key(sorted[count - 1].entry),
                                  memtable_entry_key(entry));
    plan->after = view->next;
    plan->right = (skiplist_entry){0};
    if (!leaf_settle_prefix(list, sorted, count, series))
        return false;
    if (series) {
        slice user = memtable_entry_user(entry);
        size_t skip = leaf_common_bytes(memtable_entry_user(sorted[0].entry), user);
        /* Right before the entry: an anchor's key must never equal one that is still to be added,
         * for what is searched is the last anchor before a key. */
        plan->left = leaf_word_next_stage(view->word);
        plan->right = leaf_anchor_new(list, user, memtable_entry_trailer(entry) | OP_SEEK, skip,
                                      (leaf_span){NULL, 0});
        return plan->right.node != NULL;
    }
    /* So many slots were closed unfilled that there is room without another leaf. */
    uint32_t half = count <= LEAF_SLOTS / 2 ? count : count / 2;
    size_t skip = half ? leaf_common_bytes(low, memtable_entry_user(sorted[half - 1].entry)) : 0;
    leaf_page *left = leaf_page_new_filled(list, low, skip, (leaf_span){sorted, half});
    if (!left)
        return false;
    plan->left = leaf_word(left, half, skip);
    if (half == count)
        return true;
    skip = leaf_common_bytes(memtable_entry_user(sorted[half].entry),
                             memtable_entry_user(sorted[count - 1].entry));
    plan->right = leaf_anchor_new(list, memtable_entry_user(sorted[half].entry),
                                  memtable_entry_trailer(sorted[half].entry), skip,
                                  (leaf_span){sorted + half, count - half});
    return plan->right.node != NULL;
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
    if (own && plan->right.node)
        skiplist_link_above(&list->anchors, plan->right);
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

static inline atomic_ptr *leaf_hint_of(leaf_list *list) {
    return &list->hints[thread_number() % LEAF_HINTS].anchor;
}

/* The leaf in whose range the key is. */
static leaf_view leaf_find(leaf_list *list, internal_key key) {
    /* acquire: pairs with the release in leaf_note_series(); the anchor's bytes are there. */
    const skiplist_node *anchor = atomic_ptr_load(leaf_hint_of(list), memory_order_acquire);
    const skiplist_node *after;
    leaf_view view;
    if (anchor && leaf_anchor_before(list, anchor, key)) {
        view.anchor = anchor;
        /* acquire: as in leaf_look(). */
        view.word = atomic_u64_load(leaf_word_of(list, anchor), memory_order_acquire);
        view.next = leaf_next(list, anchor);
        if (!view.next || !leaf_anchor_before(list, view.next, key))
            return view;
    }
    view.anchor = skiplist_seek_before(&list->anchors, key, &after);
    /* acquire: as in leaf_look(). */
    view.word = atomic_u64_load(leaf_word_of(list, view.anchor), memory_order_acquire);
    view.next = leaf_next(list, view.anchor);
    if (UNLIKELY(view.next != after)) /* a split meanwhile */
        return leaf_look(list, view.anchor, &key);
    return view;
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
    /* release: pairs with the acquire in leaf_find(). */
    atomic_ptr_store(hint, (void *)(uintptr_t)next, memory_order_release);
}

/* Takes a slot and fills it. False: another writer was quicker, look again. */
static bool leaf_try_add(leaf_list *list, const leaf_view *view, const memtable_entry *entry) {
    leaf_page *page = leaf_word_page(view->word);
    uint64_t stage = leaf_word_stage(view->word), word = view->word, empty = 0;
    atomic_u64 *slot = &page->slots[stage];
    __builtin_prefetch(slot, 1);
    uint64_t rank = leaf_rank(list, leaf_prefix(word, view->anchor), memtable_entry_user(entry));
    /* acq_rel: whoever acquires the word from here gets the page from the one who published it. */
    if (!atomic_u64_cas(leaf_word_of(list, view->anchor), &word, leaf_word_next_stage(word),
                        memory_order_acq_rel))
        return false;
    /* release: pairs with the acquire in leaf_collect(). Failing means that the page is being split
     * and the slot was closed. */
    return atomic_u64_cas(slot, &empty, leaf_slot(entry, rank), memory_order_release);
}

FIRN_INTERNAL bool leaf_list_add(leaf_list *list, const memtable_entry *entry) {
    internal_key key = memtable_entry_key(entry);
    for (;;) {
        leaf_view view = leaf_find(list, key);
        if (UNLIKELY(!leaf_word_page(view.word))) {
            if (!leaf_begin(list))
                return false;
        } else if (UNLIKELY(leaf_word_stage(view.word) >= LEAF_STAGE_FULL)) {
            if (!leaf_split(list, &view, entry))
                return false;
            leaf_note_series(list, &view);
        } else if (LIKELY(leaf_try_add(list, &view, entry))) {
            return true;
        }
    }
}

#undef LEAF_SLOT_CLOSED
