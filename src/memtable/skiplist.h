/* memtable/skiplist.h - a sorted list of internal keys with values, by any number of writers: the
 * anchors of the memtable's leaves.
 *
 * Source:     Pugh, "Skip Lists: A Probabilistic Alternative to Balanced Trees" (1990).
 *
 * Invariants: a node is complete before the first link to it, and neither it nor its place ever
 * changes; the nodes of a level are a subset of those of the level below; every level ascends
 * strictly. Hence a predecessor once found stays one, and a reader never retries.
 *
 * Threads:    skiplist_prepare and skiplist_link by many at once (compare-and-swap, no lock);
 * everything else at any time beside them, by acquire loads alone.
 *
 * Lifetime:   keeps the arena, in which the nodes live and die.
 *
 * A node in memory, and where a search meets it (the cache line that holds `next` and `head`):
 *
 *     link[height - 1] ... link[1] | next | head | sizes | user key, trailer | value
 *                                    ^ skiplist_node
 */
#ifndef FIRN_MEMTABLE_SKIPLIST_H
#define FIRN_MEMTABLE_SKIPLIST_H

#include "base/atomic.h"
#include "format/key.h"
#include "util/arena.h"

enum { SKIPLIST_HEIGHT_MAX = 20 };

typedef struct skiplist_node {
    atomic_ptr next;      /* level 0; the link of level i lies i words before it */
    uint64_t head;        /* 8 bytes of the user key that tell it apart; 0 under a custom order */
    atomic_u64 owned;     /* for whoever owns the list; 0 at birth */
    uint32_t key_bytes;   /* of the internal key */
    uint32_t value_bytes; /* < LARGE_VALUE_BYTES */
    uint8_t bytes[];      /* internal key, then value */
} skiplist_node;

/* Bytes that most user keys begin with; heads are taken from what follows them. */
typedef struct skiplist_prefix {
    size_t size;
    uint8_t bytes[];
} skiplist_prefix;

typedef struct skiplist {
    key_order order;   /* set at birth */
    arena *arena;      /* set at birth */
    atomic_ptr prefix; /* skiplist_prefix, or NULL: none; set once, before the first node is made */
    atomic_u32 height; /* levels in use; grows only */
    /* The node before all others, links only; the same way round as in a node: level i stands at
     * SKIPLIST_HEIGHT_MAX - 1 - i. */
    atomic_ptr head[SKIPLIST_HEIGHT_MAX];
    /* By level, a node near which the next key of an ascending series belongs, or NULL. Nothing but
     * a place to look first. Writers only, hence apart from what readers load. */
    _Alignas(CACHE_LINE_BYTES) atomic_ptr hint[SKIPLIST_HEIGHT_MAX];
} skiplist;

/* Keeps `nodes`. There is no deinit: all memory is the arena's. */
FIRN_INTERNAL void skiplist_init(skiplist *list, key_order order, arena *nodes);

/* From now on heads are taken behind these bytes; what is there already stays. A key without the
 * prefix is in its place all the same, only slower found. False when memory is short. */
FIRN_INTERNAL NODISCARD bool skiplist_offer_prefix(skiplist *list, slice prefix);

/* An entry not visible to anyone yet; NULL when memory is short. Its height follows from the
 * sequence. */
typedef struct skiplist_entry {
    skiplist_node *node;
    uint32_t height;
} skiplist_entry;
FIRN_INTERNAL NODISCARD bool skiplist_prepare(skiplist *list, user_key key, uint64_t trailer,
                                              slice value, skiplist_entry *out);
/* Links a prepared entry; its internal key must not be in the list. Cannot fail. */
FIRN_INTERNAL void skiplist_link(skiplist *list, skiplist_entry entry);

/* The same in two steps for who knows the neighbours, `before` (NULL: the beginning) and `after`
 * (NULL: the end). skiplist_adopt says what will follow a node that nobody can reach yet;
 * skiplist_link_at swaps it in between the two at level 0 unless that has been done, and may be
 * called by many for one node; then skiplist_link_above, by one of them, makes it quick to find. */
FIRN_INTERNAL void skiplist_adopt(skiplist_entry entry, const skiplist_node *after);
FIRN_INTERNAL void skiplist_link_at(skiplist *list, const skiplist_node *before,
                                    skiplist_entry entry, const skiplist_node *after);
FIRN_INTERNAL void skiplist_link_above(skiplist *list, skiplist_entry entry);

/* A key looked for, with its head, which most comparisons are decided by. */
typedef struct skiplist_target {
    internal_key key;
    uint64_t head;
} skiplist_target;
/* Both for a list that is not empty, whose prefix is settled. Keys with a smaller head are before.
 */
FIRN_INTERNAL uint64_t skiplist_key_head(const skiplist *list, slice user);
static inline skiplist_target skiplist_target_of(const skiplist *list, internal_key key) {
    return (skiplist_target){key, skiplist_key_head(list, internal_key_user(key).s)};
}
/* Whether the node is before a target of the same head. */
FIRN_INTERNAL bool skiplist_tie_before(const skiplist *list, const skiplist_node *node,
                                       const skiplist_target *target);
static inline bool skiplist_before(const skiplist *list, const skiplist_node *node,
                                   const skiplist_target *target) {
    if (LIKELY(node->head != target->head))
        return node->head < target->head;
    return skiplist_tie_before(list, node, target);
}

/* The last node before the target, NULL: none; *after is the one behind it. */
FIRN_INTERNAL const skiplist_node *skiplist_seek_before(const skiplist *list, internal_key target,
                                                        const skiplist_node **after);
/* The first node >= target; NULL: none. */
FIRN_INTERNAL const skiplist_node *skiplist_seek(const skiplist *list, internal_key target);
/* Among the nodes linked at `level` (one in 2^level): the last one before `bound`, the last of all
 * when `bound` is NULL; NULL: none. */
FIRN_INTERNAL const skiplist_node *skiplist_find_before(const skiplist *list,
                                                        const skiplist_node *bound, uint32_t level);
/* Advice: the nodes from `first` on, up to `bound` (NULL: the end) or about SKIPLIST_FETCH_NODES of
 * them, are about to be read one by one. */
enum { SKIPLIST_FETCH_NODES = 64 };
FIRN_INTERNAL void skiplist_will_read(const skiplist *list, const skiplist_node *first,
                                      const skiplist_node *bound);

static inline const skiplist_node *skiplist_first(const skiplist *list) {
    /* acquire: pairs with the release in skiplist_link(); who sees a node sees its bytes. */
    return atomic_ptr_load(&list->head[SKIPLIST_HEIGHT_MAX - 1], memory_order_acquire);
}
static inline const skiplist_node *skiplist_next(const skiplist_node *node) {
    /* acquire: as in skiplist_first(). */
    return atomic_ptr_load(&node->next, memory_order_acquire);
}
static inline internal_key skiplist_node_key(const skiplist_node *node) {
    return (internal_key){slice_of(node->bytes, node->key_bytes)};
}
static inline slice skiplist_node_value(const skiplist_node *node) {
    return slice_of(node->bytes + node->key_bytes, node->value_bytes);
}

#endif
