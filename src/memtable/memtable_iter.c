/* A run is a copy of up to 64 consecutive nodes' addresses and sizes; the bytes stay in the nodes.
 *
 * Forwards, the next run begins behind the last node of this one: one step, no search. Backwards
 * there are no links, so the run before is found by searching the last node before this run among
 * those of a higher level, and walking forward from it up to the run: at level 5 a search brings 32
 * nodes on average, so a step back costs O(log n / 32) expected, plus the walk.
 *
 * Runs begin small after a seek and grow while the iterator goes on, so that a seek for one entry
 * does not pay the cache misses of its neighbours.
 *
 * Writers may add nodes meanwhile. A run is a state of the past: nodes added inside it later are
 * not seen, nodes added beyond it are. Order holds by construction: what follows the last node is
 * greater, and what is walked before the first node is smaller. */
#include "memtable/memtable_iter.h"

#include "base/check.h"
#include "memtable/memtable_internal.h"
#include "platform/memory.h"

#include "base/poison.h"

enum {
    MEMTABLE_PACE_MAX = 3,       /* forwards, runs of 1, 4, 16, 64 entries */
    MEMTABLE_BACK_LEVEL_MAX = 5, /* backwards, of 1, about 4, 16, 32 entries */
};

static inline void memtable_iter_set(iter_entry *entry, const skiplist_node *node) {
    entry->key = node->bytes;
    entry->value = node->bytes + node->key_bytes;
    entry->key_bytes = node->key_bytes;
    entry->value_bytes = node->value_bytes;
}

/* Whether both have the same user key. Neighbours mostly differ near either end. */
static inline bool memtable_iter_repeats(const iter_entry *e, const iter_entry *before) {
    if (e->key_bytes != before->key_bytes)
        return false;
    size_t user_bytes = e->key_bytes - KEY_TRAILER_BYTES;
    if (LIKELY(user_bytes >= 8 && ((decode_fixed64(e->key) ^ decode_fixed64(before->key)) |
                                   (decode_fixed64(e->key + user_bytes - 8) ^
                                    decode_fixed64(before->key + user_bytes - 8)))))
        return false;
    return memcmp(e->key, before->key, user_bytes) == 0;
}

/* What the run holds, for readers who want to know it at once. */
static void memtable_iter_describe(memtable_iter *it, uint32_t count) {
    bool plain = true;
    uint64_t newest = 0;
    for (uint32_t i = 0; i < count; i++) {
        const iter_entry *e = &it->entries[i];
        uint64_t trailer = decode_fixed64(e->key + e->key_bytes - KEY_TRAILER_BYTES);
        plain &= (trailer & 0xff) == OP_PUT && !(i > 0 && memtable_iter_repeats(e, e - 1));
        newest = trailer > newest ? trailer : newest;
    }
    it->base.plain = plain;
    it->base.max_sequence = newest >> 8;
}

static void memtable_iter_publish(memtable_iter *it, uint32_t count, uint32_t index) {
    it->base.run = it->entries;
    it->base.count = count;
    it->base.index = index;
    it->base.st = STATUS_OK;
    memtable_iter_describe(it, count);
}

/* The run that begins with `node`. */
static void memtable_iter_fill(memtable_iter *it, const skiplist_node *node) {
    if (!node) {
        iter_set_end(&it->base, STATUS_OK);
        return;
    }
    uint32_t limit = 1u << (2 * it->pace);
    uint32_t count = 0;
    if (limit >= SKIPLIST_FETCH_NODES)
        skiplist_will_read(it->list, node, NULL);
    it->first = node;
    while (node && count < limit) {
        memtable_iter_set(&it->entries[count++], node);
        it->last = node;
        node = skiplist_next(node);
    }
    memtable_iter_publish(it, count, 0);
}

/* The run that ends before `bound` (NULL: with the last node of all). */
static void memtable_iter_fill_before(memtable_iter *it, const skiplist_node *bound) {
    uint32_t level = 2 * it->pace;
    if (level > MEMTABLE_BACK_LEVEL_MAX)
        level = MEMTABLE_BACK_LEVEL_MAX;
    const skiplist_node *node = skiplist_find_before(it->list, bound, level);
    /* None at that level: the nodes from the beginning on. */
    if (!node)
        node = skiplist_first(it->list);
    if (level == MEMTABLE_BACK_LEVEL_MAX && node)
        skiplist_will_read(it->list, node, bound);
    uint32_t count = 0;
    for (; node && node != bound; node = skiplist_next(node)) {
        if (count == MEMTABLE_RUN_ENTRIES) {
            /* Only what lies next to the bound is wanted: the older half makes room. */
            count = MEMTABLE_RUN_ENTRIES / 2;
            memcpy(it->entries, it->entries + count, count * sizeof *it->entries);
        }
        memtable_iter_set(&it->entries[count++], node);
        it->last = node;
    }
    if (count == 0) {
        iter_set_end(&it->base, STATUS_OK);
        return;
    }
    it->first =
        (const skiplist_node *)(const void *)(it->entries[0].key - offsetof(skiplist_node, bytes));
    memtable_iter_publish(it, count, count - 1);
}

static void memtable_iter_seek_first(iter *base) {
    memtable_iter *it = (memtable_iter *)base;
    it->pace = MEMTABLE_PACE_MAX - 1; /* who starts at the beginning means to go on */
    memtable_iter_fill(it, skiplist_first(it->list));
}

static void memtable_iter_seek_last(iter *base) {
    memtable_iter *it = (memtable_iter *)base;
    it->pace = 0;
    memtable_iter_fill_before(it, NULL);
}

static void memtable_iter_seek(iter *base, internal_key target) {
    memtable_iter *it = (memtable_iter *)base;
    it->pace = 0;
    memtable_iter_fill(it, skiplist_seek(it->list, target));
}

static void memtable_iter_next_run(iter *base) {
    memtable_iter *it = (memtable_iter *)base;
    DCHECK(base->count > 0);
    if (it->pace < MEMTABLE_PACE_MAX)
        it->pace++;
    memtable_iter_fill(it, skiplist_next(it->last));
}

static void memtable_iter_prev_run(iter *base) {
    memtable_iter *it = (memtable_iter *)base;
    DCHECK(base->count > 0);
    if (it->pace < MEMTABLE_PACE_MAX)
        it->pace++;
    memtable_iter_fill_before(it, it->first);
}

static void memtable_iter_release(iter *base) {
    memtable_iter *it = (memtable_iter *)base;
    memtable_unref(it->table);
    memory_free(it);
}

static const iter_methods memtable_iter_methods = {
    .seek_first = memtable_iter_seek_first,
    .seek_last = memtable_iter_seek_last,
    .seek = memtable_iter_seek,
    .next_run = memtable_iter_next_run,
    .prev_run = memtable_iter_prev_run,
    .release = memtable_iter_release,
};

FIRN_INTERNAL void memtable_iter_attach(memtable_iter *it, memtable *m) {
    it->base.methods = &memtable_iter_methods;
    iter_set_end(&it->base, STATUS_OK);
    it->table = m;
    it->list = memtable_list(m);
    it->first = it->last = NULL;
    it->pace = 0;
}

FIRN_INTERNAL status memtable_iter_new(memtable *m, iter **out) {
    *out = NULL;
    memtable_iter *it = memory_new(sizeof *it);
    if (!it)
        return status_of(FIRN_NO_MEMORY, "making an iterator");
    memtable_ref(m);
    memtable_iter_attach(it, m);
    *out = &it->base;
    return STATUS_OK;
}
