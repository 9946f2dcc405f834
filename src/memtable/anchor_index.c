#include "memtable/anchor_index.h"

#include "base/check.h"

#include "base/poison.h"

enum {
    ANCHOR_INDEX_MISSING_MIN = 16, /* fewer are not worth an array */
    ANCHOR_INDEX_TIES = 4,         /* so many equal heads are better told apart by the list */
    ANCHOR_INDEX_AHEAD = 16        /* anchors fetched ahead of the one copied */
};

typedef struct anchor_table {
    const skiplist_node **nodes; /* `capacity` of them, behind the heads */
    uint32_t capacity;
    atomic_u32 count; /* grows while anchors are added at the end */
    uint64_t heads[];
} anchor_table;

FIRN_INTERNAL void anchor_index_init(anchor_index *index) {
    atomic_ptr_init(&index->table, NULL);
    atomic_u32_init(&index->busy, 0);
    atomic_u32_init(&index->anchors, 0);
}

FIRN_INTERNAL bool anchor_index_find(const anchor_index *index, uint64_t head,
                                     const skiplist_node **near) {
    /* acquire: pairs with the release in anchor_index_rebuild(). */
    const anchor_table *table = atomic_ptr_load(&index->table, memory_order_acquire);
    if (UNLIKELY(!table))
        return false;
    /* acquire: pairs with the releases in anchor_index_rebuild() and anchor_index_append(). */
    uint32_t count = atomic_u32_load(&table->count, memory_order_acquire);
    const uint64_t *heads = table->heads;
    for (uint32_t left = count; left > 1;) {
        uint32_t half = left / 2;
        heads += heads[half - 1] < head ? half : 0; /* a conditional move */
        left -= half;
    }
    uint32_t before = (uint32_t)(heads - table->heads) + (*heads < head);
    if (UNLIKELY(before + ANCHOR_INDEX_TIES <= count &&
                 table->heads[before + ANCHOR_INDEX_TIES - 1] == head))
        return false;
    *near = before ? table->nodes[before - 1] : NULL;
    return true;
}

/* --- keeping it up --- */

static anchor_table *anchor_table_new(arena *memory, uint32_t capacity) {
    anchor_table *table = arena_allocate(memory, sizeof *table + capacity * (sizeof *table->heads +
                                                                             sizeof *table->nodes));
    if (!table)
        return NULL;
    table->nodes = (const skiplist_node **)(void *)(table->heads + capacity);
    table->capacity = capacity;
    atomic_u32_init(&table->count, 0);
    return table;
}

static uint32_t anchor_table_put(anchor_table *table, uint32_t count, const skiplist_node *node) {
    table->heads[count] = node->head;
    table->nodes[count] = node;
    return count + 1;
}

/* Copies the list as it is, as far as there is room. Those of the old array lead the way: the next
 * ones are fetched while one is asked for its successor. */
static uint32_t anchor_table_fill(anchor_table *table, const anchor_table *old, uint32_t old_count,
                                  const skiplist *anchors) {
    const skiplist_node *node = skiplist_first(anchors);
    uint32_t count = 0, at = 0;
    for (; node && count < table->capacity; node = skiplist_next(node)) {
        if (at < old_count && node == old->nodes[at]) {
            if (at + ANCHOR_INDEX_AHEAD < old_count)
                __builtin_prefetch(old->nodes[at + ANCHOR_INDEX_AHEAD]);
            at++;
        }
        count = anchor_table_put(table, count, node);
    }
    return count;
}

/* For who is busy. Short of memory, what there was stays. */
static void anchor_index_rebuild(anchor_index *index, const skiplist *anchors,
                                 const anchor_table *old, uint32_t old_count, uint32_t total) {
    anchor_table *table =
        anchor_table_new(anchors->arena, total + total / 4 + ANCHOR_INDEX_MISSING_MIN);
    if (!table)
        return;
    uint32_t count = anchor_table_fill(table, old, old_count, anchors);
    DCHECK(count > 0);
    atomic_u32_init(&table->count, count);
    /* release: pairs with the acquire in anchor_index_find(). */
    atomic_ptr_store(&index->table, table, memory_order_release);
}

FIRN_INTERNAL void anchor_index_note(anchor_index *index, const skiplist *anchors,
                                     const skiplist_node *anchor) {
    uint32_t nobody = 0;
    if (anchors->order.custom) /* all heads are the same */
        return;
    /* relaxed: says only when it is time for a new array. */
    uint32_t total = atomic_u32_add(&index->anchors, 1, memory_order_relaxed) + 1;
    /* acquire: pairs with the release below. */
    if (!atomic_u32_cas(&index->busy, &nobody, 1, memory_order_acquire))
        return;
    /* relaxed, both: only stored by who is busy. */
    anchor_table *table = atomic_ptr_load(&index->table, memory_order_relaxed);
    uint32_t count = table ? atomic_u32_load(&table->count, memory_order_relaxed) : 0;
    bool last = count > 0 && table->heads[count - 1] < anchor->head;
    if (last && count < table->capacity)
        /* release: pairs with the acquire in anchor_index_find(). */
        atomic_u32_store(&table->count, anchor_table_put(table, count, anchor),
                         memory_order_release);
    else if (last || total >= count + count / 4 + ANCHOR_INDEX_MISSING_MIN)
        anchor_index_rebuild(index, anchors, table, count, total);
    /* release: pairs with the acquire above. */
    atomic_u32_store(&index->busy, 0, memory_order_release);
}
