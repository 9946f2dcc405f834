/* A search stands on a *slot*: the address of one link, in the list's head or in a node's tower.
 * The slot of the level below is the next word in memory, so a search needs no node to step down
 * from, and the list's head is no special case.
 *
 * Inserting finds the slot at every level and swaps the node in from the bottom up. A failed swap
 * means that another writer linked a node just there; the slot's node still precedes ours, so the
 * search goes on from it, at that level alone. A reader that meets a node half-way up sees a list
 * with a lower tower: slower by nothing worth counting, and never wrong. */
#include "memtable/skiplist.h"

#include "base/check.h"
#include "memtable/key_rank.h"

#include "base/poison.h"

/* Where a node belongs, level by level. */
typedef struct skiplist_splice {
    atomic_ptr *slot[SKIPLIST_HEIGHT_MAX]; /* last link before the place */
    void *after[SKIPLIST_HEIGHT_MAX];      /* what it pointed to */
} skiplist_splice;

FIRN_INTERNAL void skiplist_init(skiplist *list, key_order order, arena *nodes) {
    list->order = order;
    list->arena = nodes;
    atomic_ptr_init(&list->prefix, NULL);
    atomic_u32_init(&list->height, 1);
    for (size_t i = 0; i < SKIPLIST_HEIGHT_MAX; i++) {
        atomic_ptr_init(&list->head[i], NULL);
        atomic_ptr_init(&list->hint[i], NULL);
    }
}

/* The 8 bytes behind the prefix; for keys that sort before all that have it the least head there
 * is, for those behind them the greatest. So a < b gives head(a) <= head(b), whatever the prefix.
 */
FIRN_INTERNAL uint64_t skiplist_key_head(const skiplist *list, slice user) {
    if (UNLIKELY(list->order.custom != NULL))
        return 0;
    /* relaxed: who has made a node has set the prefix before, and who has met one has acquired it
     * and with it the prefix; see skiplist_offer_prefix() and skiplist_is_empty(). */
    const skiplist_prefix *prefix = atomic_ptr_load(&list->prefix, memory_order_relaxed);
    return prefix ? key_rank(user, slice_of(prefix->bytes, prefix->size)) : key_head(user);
}

/* Asked before a target's head is taken: in a list that is not empty the prefix is settled. */
static inline bool skiplist_is_empty(const skiplist *list) {
    return skiplist_first(list) == NULL;
}

FIRN_INTERNAL bool skiplist_offer_prefix(skiplist *list, slice prefix) {
    /* acquire: pairs with the release below. */
    if (atomic_ptr_load(&list->prefix, memory_order_acquire))
        return true;
    skiplist_prefix *own = arena_allocate(list->arena, sizeof *own + prefix.size);
    if (!own)
        return false;
    own->size = prefix.size;
    slice_copy_to(prefix, own->bytes);
    void *expected = NULL;
    /* release: pairs with the acquires here; whoever loses takes what the winner offered. */
    (void)atomic_ptr_cas(&list->prefix, &expected, own, memory_order_release);
    return true;
}

static inline atomic_ptr *skiplist_head_slot(const skiplist *list, uint32_t level) {
    /* Readers only load through it. */
    return (atomic_ptr *)(uintptr_t)&list->head[SKIPLIST_HEIGHT_MAX - 1 - level];
}

static inline atomic_ptr *skiplist_node_slot(const skiplist_node *node, uint32_t level) {
    return (atomic_ptr *)(uintptr_t)&node->next - level;
}

/* The node a slot of that level belongs to; NULL: the list's head. */
static inline const skiplist_node *skiplist_slot_node(const skiplist *list, const atomic_ptr *slot,
                                                      uint32_t level) {
    if (slot == skiplist_head_slot(list, level))
        return NULL;
    return (const skiplist_node *)(const void *)(slot + level);
}

static inline skiplist_target skiplist_target_of_node(const skiplist_node *node) {
    return (skiplist_target){skiplist_node_key(node), node->head};
}

FIRN_INTERNAL bool skiplist_tie_before(const skiplist *list, const skiplist_node *node,
                                       const skiplist_target *target) {
    internal_key key = skiplist_node_key(node);
    if (list->order.custom)
        return key_order_compare(list->order, key, target->key) < 0;
    int order = slice_compare(internal_key_user(key).s, internal_key_user(target->key).s);
    if (order != 0)
        return order < 0;
    return internal_key_trailer(key) > internal_key_trailer(target->key);
}

static inline void skiplist_prefetch(const atomic_ptr *slot) {
    /* relaxed: only the address is used, not what stands there. */
    const skiplist_node *node = atomic_ptr_load(slot, memory_order_relaxed);
    if (node)
        __builtin_prefetch(&node->head);
}

/* A search is a chain of cache misses. The candidates one and two levels down, one of which comes
 * next unless the search goes on at this level, are fetched while this level's one is. */
static inline void skiplist_prefetch_below(const atomic_ptr *slot, uint32_t level) {
    if (level > 0)
        skiplist_prefetch(slot + 1);
    if (level > 1)
        skiplist_prefetch(slot + 2);
}

/* From `slot`, whose node is before the target, to the last such slot of that level; *after is what
 * stands behind it. `beyond` is a node known to be past the target, or NULL. */
static inline atomic_ptr *skiplist_walk(const skiplist *list, const skiplist_target *target,
                                        atomic_ptr *slot, uint32_t level, void **after) {
    const void *beyond = *after;
    for (;;) {
        /* acquire: pairs with the release in skiplist_link(); who sees a node sees its bytes and
         * its lower links. */
        skiplist_node *next = atomic_ptr_load(slot, memory_order_acquire);
        skiplist_prefetch_below(slot, level);
        if (next == beyond || !next || !skiplist_before(list, next, target)) {
            *after = next;
            return slot;
        }
        slot = skiplist_node_slot(next, level);
    }
}

/* The list's height bounds where a search begins; an old value only makes it begin lower. */
static inline uint32_t skiplist_top_level(const skiplist *list) {
    /* relaxed: publishes nothing; the links themselves are acquired. */
    return atomic_u32_load(&list->height, memory_order_relaxed) - 1;
}

/* The last level 0 slot before the target. */
static atomic_ptr *skiplist_descend(const skiplist *list, internal_key target, void **after) {
    *after = NULL;
    if (skiplist_is_empty(list))
        return skiplist_head_slot(list, 0);
    skiplist_target t = skiplist_target_of(list, target);
    uint32_t level = skiplist_top_level(list);
    atomic_ptr *slot = skiplist_head_slot(list, level);
    for (;;) {
        slot = skiplist_walk(list, &t, slot, level, after);
        if (level == 0)
            return slot;
        level--;
        slot++;
    }
}

FIRN_INTERNAL const skiplist_node *skiplist_seek(const skiplist *list, internal_key target) {
    void *after;
    (void)skiplist_descend(list, target, &after);
    return after;
}

FIRN_INTERNAL const skiplist_node *skiplist_seek_before(const skiplist *list, internal_key target,
                                                        const skiplist_node **after) {
    void *behind;
    const atomic_ptr *slot = skiplist_descend(list, target, &behind);
    *after = behind;
    return skiplist_slot_node(list, slot, 0);
}

/* The last node of that level, walking on from `slot`. */
static atomic_ptr *skiplist_walk_to_end(atomic_ptr *slot, uint32_t level) {
    const skiplist_node *next;
    /* acquire: as in skiplist_walk(). */
    while ((next = atomic_ptr_load(slot, memory_order_acquire)) != NULL)
        slot = skiplist_node_slot(next, level);
    return slot;
}

FIRN_INTERNAL const skiplist_node *
skiplist_find_before(const skiplist *list, const skiplist_node *bound, uint32_t level) {
    DCHECK(level < SKIPLIST_HEIGHT_MAX);
    skiplist_target t = {0};
    if (bound)
        t = skiplist_target_of_node(bound);
    uint32_t at = skiplist_top_level(list);
    if (at < level)
        at = level;
    atomic_ptr *slot = skiplist_head_slot(list, at);
    void *after = NULL;
    for (;;) {
        slot = bound ? skiplist_walk(list, &t, slot, at, &after) : skiplist_walk_to_end(slot, at);
        if (at == level)
            return skiplist_slot_node(list, slot, level);
        at--;
        slot++;
    }
}

/* Up to `count` nodes of that level, not before `first` and before `bound` (NULL: no bound). */
static uint32_t skiplist_collect(const skiplist *list, const skiplist_node *first,
                                 const skiplist_node *bound, uint32_t level,
                                 const skiplist_node *out[], uint32_t count) {
    const skiplist_node *before = skiplist_find_before(list, first, level);
    const atomic_ptr *slot =
        before ? skiplist_node_slot(before, level) : skiplist_head_slot(list, level);
    skiplist_target end = {0};
    if (bound)
        end = skiplist_target_of_node(bound);
    uint32_t found = 0;
    while (found < count) {
        /* acquire: as in skiplist_walk(). */
        const skiplist_node *node = atomic_ptr_load(slot, memory_order_acquire);
        if (!node || (bound && !skiplist_before(list, node, &end)))
            break;
        out[found++] = node;
        slot = skiplist_node_slot(node, level);
    }
    return found;
}

/* Neighbours lie far apart in memory, and a node names its successor only once it has arrived: one
 * cache miss after another. A higher level divides the stretch into lanes; these are walked side by
 * side, so that their misses overlap. Nothing is made of what is met. */
FIRN_INTERNAL void skiplist_will_read(const skiplist *list, const skiplist_node *first,
                                      const skiplist_node *bound) {
    enum {
        SKIPLIST_LANE_LEVEL = 3,
        SKIPLIST_LANES = SKIPLIST_FETCH_NODES >> SKIPLIST_LANE_LEVEL,
        SKIPLIST_LANE_STEPS = 2 << SKIPLIST_LANE_LEVEL /* twice the average length */
    };
    const skiplist_node *lane[SKIPLIST_LANES + 1], *end[SKIPLIST_LANES + 1];
    lane[0] = first;
    uint32_t lanes =
        1 + skiplist_collect(list, first, bound, SKIPLIST_LANE_LEVEL, lane + 1, SKIPLIST_LANES);
    for (uint32_t i = 0; i < lanes; i++)
        end[i] = i + 1 < lanes ? lane[i + 1] : bound;
    for (uint32_t step = 0; step < SKIPLIST_LANE_STEPS && lanes > 1; step++) {
        for (uint32_t i = 0; i < lanes; i++) {
            if (!lane[i] || lane[i] == end[i])
                continue;
            lane[i] = skiplist_next(lane[i]);
            if (lane[i])
                __builtin_prefetch(lane[i]);
        }
    }
}

/* Fills the splice from `level` down. */
static void skiplist_find_splice(const skiplist *list, const skiplist_target *target,
                                 uint32_t level, skiplist_splice *splice) {
    atomic_ptr *slot = skiplist_head_slot(list, level);
    void *after = NULL;
    for (;;) {
        slot = skiplist_walk(list, target, slot, level, &after);
        splice->slot[level] = slot;
        splice->after[level] = after;
        if (level == 0)
            return;
        level--;
        slot++;
    }
}

/* Takes the splice from the hints where the target belongs right behind them, at every level it
 * needs. Each level is checked on its own, so hints of different writers may be mixed. */
static bool skiplist_try_hint(const skiplist *list, const skiplist_target *target, uint32_t height,
                              skiplist_splice *splice) {
    for (uint32_t level = 0; level < height; level++) {
        /* acquire: pairs with the release in skiplist_set_hint(); the node's bytes and its link of
         * this level are there. */
        skiplist_node *node = atomic_ptr_load(&list->hint[level], memory_order_acquire);
        if (!node || !skiplist_before(list, node, target))
            return false;
        atomic_ptr *slot = skiplist_node_slot(node, level);
        /* acquire: as in skiplist_walk(). */
        skiplist_node *next = atomic_ptr_load(slot, memory_order_acquire);
        if (next && skiplist_before(list, next, target))
            return false;
        splice->slot[level] = slot;
        splice->after[level] = next;
    }
    return true;
}

/* release: pairs with the acquire in skiplist_try_hint(). `node` is linked at that level. */
static inline void skiplist_set_hint(skiplist *list, uint32_t level, const skiplist_node *node) {
    atomic_ptr_store(&list->hint[level], (void *)(uintptr_t)node, memory_order_release);
}

/* Whether the place just found is behind a node added a moment ago (or at the end of the list): a
 * series of ascending keys. Told by the sequence numbers, so that keys in random order never write
 * to the hints, whose line all writers share. */
static bool skiplist_is_series(const skiplist *list, const skiplist_splice *splice,
                               const skiplist_target *target) {
    enum { SKIPLIST_SERIES_WINDOW = 64 };
    const skiplist_node *before = skiplist_slot_node(list, splice->slot[0], 0);
    if (!before)
        return false;
    if (!splice->after[0])
        return true;
    seqno distance =
        internal_key_sequence(target->key) - internal_key_sequence(skiplist_node_key(before));
    return distance + SKIPLIST_SERIES_WINDOW < 2 * SKIPLIST_SERIES_WINDOW; /* to either side */
}

static void skiplist_begin_series(skiplist *list, const skiplist_splice *splice,
                                  const skiplist_entry *entry, uint32_t top) {
    for (uint32_t i = 0; i < entry->height; i++)
        skiplist_set_hint(list, i, entry->node);
    for (uint32_t i = entry->height; i <= top; i++)
        skiplist_set_hint(list, i, skiplist_slot_node(list, splice->slot[i], i));
}

static void skiplist_raise_height(skiplist *list, uint32_t height) {
    /* relaxed: see skiplist_top_level(). */
    uint32_t now = atomic_u32_load(&list->height, memory_order_relaxed);
    /* acquire, for no partner: the weakest swap there is. */
    while (now < height && !atomic_u32_cas(&list->height, &now, height, memory_order_acquire))
        continue;
}

/* 1, 2, 3, ... with probability 1/2, 1/4, 1/8, ...: from the sequence, which every operation has
 * for itself, so that writers share no generator and a run can be repeated. */
static uint32_t skiplist_height_of(uint64_t trailer) {
    uint64_t x = (trailer >> 8) * 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 32) * 0xd6e8feb86659fd93u;
    x ^= x >> 32;
    x |= 1ull << (SKIPLIST_HEIGHT_MAX - 1);
    return 1 + (uint32_t)__builtin_ctzll(x);
}

FIRN_INTERNAL bool skiplist_prepare(skiplist *list, user_key key, uint64_t trailer, slice value,
                                    skiplist_entry *out) {
    uint32_t height = skiplist_height_of(trailer);
    size_t tower = (height - 1) * sizeof(atomic_ptr);
    size_t key_bytes = key.s.size + KEY_TRAILER_BYTES;
    *out = (skiplist_entry){NULL, height};
    uint8_t *memory =
        arena_allocate(list->arena, tower + sizeof(skiplist_node) + key_bytes + value.size);
    if (!memory)
        return false;
    skiplist_node *node = (skiplist_node *)(void *)(memory + tower);
    node->head = skiplist_key_head(list, key.s);
    atomic_u64_init(&node->owned, 0);
    node->key_bytes = (uint32_t)key_bytes;
    node->value_bytes = (uint32_t)value.size;
    slice_copy_to(key.s, node->bytes);
    encode_fixed64(node->bytes + key.s.size, trailer);
    slice_copy_to(value, node->bytes + key_bytes);
    out->node = node;
    return true;
}

/* Swaps the entry in at the levels from `level` up, by the splice. */
static void skiplist_link_levels(skiplist *list, const skiplist_entry *entry, uint32_t level,
                                 const skiplist_target *target, skiplist_splice *splice) {
    for (; level < entry->height; level++) {
        atomic_ptr *own = skiplist_node_slot(entry->node, level);
        for (;;) {
            void *expected = splice->after[level];
            /* relaxed: nobody reaches this link before the swap below. */
            atomic_ptr_store(own, expected, memory_order_relaxed);
            /* release: pairs with the acquires in skiplist_walk(), skiplist_first() and
             * skiplist_next(): the node's bytes, this link and the links below come with it. */
            if (LIKELY(atomic_ptr_cas(splice->slot[level], &expected, entry->node,
                                      memory_order_release)))
                break;
            splice->after[level] = NULL;
            splice->slot[level] =
                skiplist_walk(list, target, splice->slot[level], level, &splice->after[level]);
        }
    }
}

/* The highest level in use once the entry is in. */
static uint32_t skiplist_top_level_with(skiplist *list, const skiplist_entry *entry) {
    uint32_t top = skiplist_top_level(list);
    if (LIKELY(top >= entry->height - 1))
        return top;
    skiplist_raise_height(list, entry->height);
    return entry->height - 1;
}

FIRN_INTERNAL void skiplist_link(skiplist *list, skiplist_entry entry) {
    skiplist_target target = skiplist_target_of_node(entry.node);
    skiplist_splice splice;
    uint32_t top = skiplist_top_level_with(list, &entry);
    bool hinted = skiplist_try_hint(list, &target, entry.height, &splice);
    if (!hinted)
        skiplist_find_splice(list, &target, top, &splice);
    skiplist_link_levels(list, &entry, 0, &target, &splice);
    if (hinted) {
        for (uint32_t i = 0; i < entry.height; i++)
            skiplist_set_hint(list, i, entry.node);
    } else if (skiplist_is_series(list, &splice, &target)) {
        skiplist_begin_series(list, &splice, &entry, top);
    }
}

FIRN_INTERNAL void skiplist_adopt(skiplist_entry entry, const skiplist_node *after) {
    /* relaxed: nobody reaches the node yet. */
    atomic_ptr_store(&entry.node->next, (void *)(uintptr_t)after, memory_order_relaxed);
}

FIRN_INTERNAL void skiplist_link_at(skiplist *list, const skiplist_node *before,
                                    skiplist_entry entry, const skiplist_node *after) {
    atomic_ptr *slot = before ? skiplist_node_slot(before, 0) : skiplist_head_slot(list, 0);
    void *expected = (void *)(uintptr_t)after;
    /* release: pairs with the acquires of the readers, as in skiplist_link_levels(). Failing means
     * that another has linked this node; what a slot has led to it never leads to again. */
    (void)atomic_ptr_cas(slot, &expected, entry.node, memory_order_release);
}

FIRN_INTERNAL void skiplist_link_above(skiplist *list, skiplist_entry entry) {
    if (entry.height == 1)
        return;
    skiplist_target target = skiplist_target_of_node(entry.node);
    skiplist_splice splice;
    skiplist_find_splice(list, &target, skiplist_top_level_with(list, &entry), &splice);
    skiplist_link_levels(list, &entry, 1, &target, &splice);
}
