/* memtable/leaf_page.h - a leaf as it lies in memory, for leaf_list.c, which fills and splits it,
 * and leaf_read.c.
 *
 * A word is a page's address and, in its upper 16 bits, a stage and the length of a prefix. The
 * stage is how many slots are taken, and once all are, whether a leaf for what follows has been
 * split off already. The prefix is what the keys of the page are expected to have in common with
 * the anchor's; it stands here because the page's first line would be one more to wait for.
 *
 * A slot is an entry's address and, in its upper 16 bits, the first half of its rank; the other
 * half lies beside the slots. A rank is the four bytes of a key that follow the prefix: a < b gives
 * rank(a) <= rank(b) in any one page, so that most comparisons need not touch an entry. */
#ifndef FIRN_MEMTABLE_LEAF_PAGE_H
#define FIRN_MEMTABLE_LEAF_PAGE_H

#include "base/check.h"
#include "memtable/key_rank.h"
#include "memtable/leaf_list.h"

enum {
    LEAF_ADDRESS_BITS = 48,
    LEAF_STAGE_SHIFT = LEAF_ADDRESS_BITS,
    LEAF_STAGE_BITS = 7,
    LEAF_SKIP_SHIFT = LEAF_STAGE_SHIFT + LEAF_STAGE_BITS,
    LEAF_SKIP_MAX = 511,
    LEAF_STAGE_FULL = LEAF_SLOTS, /* split off or in the middle */
    LEAF_STAGE_KEPT,              /* a leaf has been split off; now only in the middle */
    LEAF_STAGES = LEAF_STAGE_KEPT + 1 - LEAF_STAGE_FULL,
    LEAF_SLOT_CLOSED = 1 /* nobody will fill it any more; no entry is at that address */
};

typedef struct leaf_page {
    atomic_ptr split[LEAF_STAGES]; /* leaf_plan; by stage */
    atomic_u64 slots[LEAF_SLOTS];
    uint16_t tails[LEAF_SLOTS]; /* of ranks; written before the slot, by who has taken it */
} leaf_page;

/* How a page is split. */
typedef struct leaf_plan {
    uint64_t left;              /* the old anchor's new word */
    skiplist_entry right;       /* the new anchor; no node: the leaf is only packed anew */
    const skiplist_node *after; /* what follows it */
} leaf_plan;

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

static inline uint64_t leaf_slot(const memtable_entry *entry, uint32_t rank) {
    return leaf_address(entry) | (uint64_t)(rank >> 16) << LEAF_ADDRESS_BITS;
}
/* NULL: none yet, or never one. */
static inline const memtable_entry *leaf_slot_entry(uint64_t slot) {
    uint64_t address = leaf_address_of(slot);
    return address > LEAF_SLOT_CLOSED ? (const memtable_entry *)(uintptr_t)address : NULL;
}

/* The word of a leaf; readers only load it. */
static inline atomic_u64 *leaf_word_of(const leaf_list *list, const skiplist_node *anchor) {
    return (atomic_u64 *)(uintptr_t)(anchor ? &anchor->owned : &list->first);
}

static inline const skiplist_node *leaf_next(const leaf_list *list, const skiplist_node *anchor) {
    return anchor ? skiplist_next(anchor) : skiplist_first(&list->anchors);
}

static inline slice leaf_prefix(uint64_t word, const skiplist_node *anchor) {
    DCHECK(anchor || leaf_word_skip(word) == 0);
    return slice_of(anchor ? anchor->bytes : (const uint8_t *)"", leaf_word_skip(word));
}

static inline uint32_t leaf_rank(const leaf_list *list, slice prefix, slice user) {
    return list->order.custom ? 0 : (uint32_t)(key_rank(user, prefix) >> 32);
}

/* A leaf as it is at one moment. */
typedef struct leaf_view {
    const skiplist_node *anchor, *next;
    uint64_t word;
} leaf_view;

/* Looks at the leaf of an anchor (NULL: the first). */
static inline leaf_view leaf_look(const leaf_list *list, const skiplist_node *anchor) {
    leaf_view view = {.anchor = anchor};
    /* acquire: pairs with the releases in leaf_try_add() and leaf_split(): the page is there, and
     * the anchor that took over what the page does not have any more. */
    view.word = atomic_u64_load(leaf_word_of(list, anchor), memory_order_acquire);
    view.next = leaf_next(list, anchor);
    return view;
}

/* The leaf in whose range the key is. `near` (NULL: not known) is an anchor before the key. */
FIRN_INTERNAL leaf_view leaf_find(const leaf_list *list, internal_key key,
                                  const skiplist_node *near);
/* The same, where there are anchors and the key's head is known. */
FIRN_INTERNAL leaf_view leaf_find_target(const leaf_list *list, const skiplist_target *target,
                                         const skiplist_node *near);

/* Entries of a closed or growing page whose ranks are between the two: ascending by rank, those of
 * one rank in the order of their slots. */
FIRN_INTERNAL void leaf_sort(uint64_t word, uint32_t lowest, uint32_t highest, leaf_slots *out);
/* Puts those from `begin` up to `end` in order where their ranks are equal. `prefix` is the page's.
 */
FIRN_INTERNAL void leaf_settle(const leaf_list *list, slice prefix, leaf_slots *slots,
                               uint32_t begin, uint32_t end);

#endif
