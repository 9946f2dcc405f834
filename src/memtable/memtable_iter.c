/* A run is a copy of the addresses and sizes of up to 64 neighbours of one leaf; the bytes stay in
 * the entries. A leaf is read once and given out in several runs. What follows begins where the run
 * before it ended, by key: forwards in the same leaf or the next, backwards in the same or, after a
 * search among the anchors, the one before.
 *
 * Runs begin small after a seek and grow while the iterator goes on, so that a seek for one entry
 * does not pay the cache misses of its neighbours.
 *
 * Writers may add entries meanwhile. What was read of a leaf is a state of the past: entries added
 * inside it later are not seen, entries added beyond it are. */
#include "memtable/memtable_iter.h"

#include "base/check.h"
#include "memtable/memtable_internal.h"
#include "platform/memory.h"

#include "base/poison.h"

enum { MEMTABLE_PACE_MAX = 3 }; /* runs of at most 1, 4, 16, 64 entries */

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

/* Shows the run; the iterator stands on its first or its last entry. */
static void memtable_iter_publish(memtable_iter *it, bool at_last) {
    uint32_t count = it->run.count;
    if (count == 0) {
        iter_set_end(&it->base, STATUS_OK);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        const memtable_entry *entry = it->run.entries[i];
        it->entries[i].key = entry->bytes;
        it->entries[i].value = entry->bytes + entry->key_bytes;
        it->entries[i].key_bytes = entry->key_bytes;
        it->entries[i].value_bytes = entry->value_bytes;
    }
    it->base.run = it->entries;
    it->base.count = count;
    it->base.index = at_last ? count - 1 : 0;
    it->base.st = STATUS_OK;
    memtable_iter_describe(it, count);
}

static inline uint32_t memtable_iter_limit(const memtable_iter *it) {
    return 1u << (2 * it->pace);
}

/* Takes the next ones of the leaf as it was read; false: there are none left. */
static bool memtable_iter_go_on(memtable_iter *it,
                                void (*take)(const leaf_list *, leaf_run *, uint32_t)) {
    if (it->run.begin == it->run.end)
        return false;
    take(it->list, &it->run, memtable_iter_limit(it));
    return true;
}

static void memtable_iter_forward(memtable_iter *it, leaf_query query) {
    query.limit = memtable_iter_limit(it);
    it->backwards = false;
    leaf_list_forward(it->list, &query, &it->run);
    memtable_iter_publish(it, false);
}

static void memtable_iter_backward(memtable_iter *it, leaf_query query) {
    query.limit = memtable_iter_limit(it);
    it->backwards = true;
    leaf_list_backward(it->list, &query, &it->run);
    memtable_iter_publish(it, true);
}

static void memtable_iter_seek_first(iter *base) {
    memtable_iter *it = (memtable_iter *)base;
    it->pace = MEMTABLE_PACE_MAX; /* who starts at the beginning means to go on */
    memtable_iter_forward(it, (leaf_query){.limit = 0});
}

static void memtable_iter_seek_last(iter *base) {
    memtable_iter *it = (memtable_iter *)base;
    it->pace = 0;
    memtable_iter_backward(it, (leaf_query){.limit = 0});
}

static void memtable_iter_seek(iter *base, internal_key target) {
    memtable_iter *it = (memtable_iter *)base;
    it->pace = 0;
    memtable_iter_forward(it, (leaf_query){.bound = target, .inclusive = true});
}

static void memtable_iter_next_run(iter *base) {
    memtable_iter *it = (memtable_iter *)base;
    DCHECK(base->count > 0);
    if (it->pace < MEMTABLE_PACE_MAX)
        it->pace++;
    internal_key last = memtable_entry_key(it->run.entries[it->run.count - 1]);
    if (!it->backwards && memtable_iter_go_on(it, leaf_run_first))
        memtable_iter_publish(it, false);
    else
        memtable_iter_forward(it, (leaf_query){.bound = last, .near = it->run.anchor});
}

static void memtable_iter_prev_run(iter *base) {
    memtable_iter *it = (memtable_iter *)base;
    DCHECK(base->count > 0);
    if (it->pace < MEMTABLE_PACE_MAX)
        it->pace++;
    internal_key first = memtable_entry_key(it->run.entries[0]);
    if (it->backwards && memtable_iter_go_on(it, leaf_run_last))
        memtable_iter_publish(it, true);
    else
        memtable_iter_backward(it, (leaf_query){.bound = first});
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
    it->run.count = 0;
    it->run.begin = it->run.end = 0;
    it->backwards = false;
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
