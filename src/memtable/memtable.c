#include "memtable/memtable.h"

#include "base/sole.h"
#include "format/large_ref.h"
#include "memtable/key_index.h"
#include "memtable/memtable_internal.h"
#include "memtable/range_set.h"
#include "platform/error_detail.h"
#include "platform/memory.h"
#include "util/arena.h"
#include "util/hash.h"

#include "base/poison.h"

enum { MEMTABLE_FEW = 16 }; /* additions made at once */

struct memtable {
    leaf_list list;
    key_index index;
    range_set ranges;
    arena *arena; /* set at birth; owned */
    void *kept;   /* set before there are readers; owned */
    void (*release_kept)(void *kept);
    atomic_u32 state; /* memtable_state; stored by the owner only */
    /* Written by every writer, so apart from what readers load. */
    _Alignas(CACHE_LINE_BYTES) atomic_u64 entries;
    atomic_u64 deletes;
    atomic_u64 large_bytes;
    atomic_u64 first_sequence; /* UINT64_MAX while empty */
    atomic_u64 last_sequence;
    _Alignas(CACHE_LINE_BYTES) atomic_u32 refs;
};

/* Small against the capacity, because what is left of the last block is charged and not used; large
 * against an entry; and exactly a huge page for the memtables of a database with memory. */
static size_t memtable_block_bytes(uint64_t capacity_bytes) {
    enum { MEMTABLE_BLOCK_BYTES_MIN = 4096, MEMTABLE_BLOCK_BYTES_MAX = 2 << 20 };
    uint64_t bytes = capacity_bytes / 32;
    if (bytes < MEMTABLE_BLOCK_BYTES_MIN)
        return MEMTABLE_BLOCK_BYTES_MIN;
    if (bytes > MEMTABLE_BLOCK_BYTES_MAX)
        return MEMTABLE_BLOCK_BYTES_MAX;
    return (size_t)bytes;
}

/* Takes the arena, which may be NULL for lack of memory. */
static status memtable_new_in(key_order order, uint64_t capacity_bytes, arena *nodes,
                              memtable **out) {
    *out = NULL;
    memtable *m = nodes ? memory_new_aligned(CACHE_LINE_BYTES, sizeof *m) : NULL;
    if (!m) {
        arena_free(nodes);
        return status_of(FIRN_NO_MEMORY, "making a memtable");
    }
    memset(m, 0, sizeof *m);
    m->arena = nodes;
    atomic_u32_init(&m->state, MEMTABLE_ACTIVE);
    leaf_list_init(&m->list, order, m->arena);
    key_index_init(&m->index, capacity_bytes, m->arena);
    range_set_init(&m->ranges, order, m->arena);
    atomic_u64_init(&m->first_sequence, UINT64_MAX);
    atomic_u32_init(&m->refs, 1);
    *out = m;
    return STATUS_OK;
}

FIRN_INTERNAL status memtable_new(key_order order, uint64_t capacity_bytes, memtable **out) {
    return memtable_new_in(order, capacity_bytes, arena_new(memtable_block_bytes(capacity_bytes)),
                           out);
}

FIRN_INTERNAL status memtable_new_pooled(key_order order, uint64_t capacity_bytes, arena_pool *pool,
                                         memtable **out) {
    return memtable_new_in(order, capacity_bytes, arena_new_pooled(pool), out);
}

FIRN_INTERNAL arena_pool *memtable_new_pool(uint64_t capacity_bytes, memory_budget *budget) {
    return arena_pool_new(memtable_block_bytes(capacity_bytes), capacity_bytes, budget);
}

FIRN_INTERNAL memtable_state memtable_get_state(const memtable *m) {
    /* relaxed: whoever must not be wrong about it holds the owner's lock. */
    return (memtable_state)atomic_u32_load(&m->state, memory_order_relaxed);
}

FIRN_INTERNAL void memtable_set_state(memtable *m, memtable_state next) {
    static const uint8_t edges[] = {
        [MEMTABLE_ACTIVE] = 1u << MEMTABLE_SEALED,
        [MEMTABLE_SEALED] = 1u << MEMTABLE_FLUSHING,
        [MEMTABLE_FLUSHING] = 1u << MEMTABLE_SEALED | 1u << MEMTABLE_GONE,
        [MEMTABLE_GONE] = 0,
    };
    memtable_state now = memtable_get_state(m);
    /* Flushed twice, or flushed while it still takes entries: either loses data. */
    CHECK(now <= MEMTABLE_GONE && next <= MEMTABLE_GONE && (edges[now] >> next & 1));
    atomic_u32_store(&m->state, next, memory_order_relaxed); /* relaxed: as above */
}

FIRN_INTERNAL void memtable_ref(memtable *m) {
    /* relaxed: who takes a reference has one, or is inside an epoch that keeps one alive. */
    uint32_t before = atomic_u32_add(&m->refs, 1, memory_order_relaxed);
    CHECK(before > 0 && before < UINT32_MAX);
}

FIRN_INTERNAL void memtable_unref(memtable *m) {
    if (!m)
        return;
    /* acq_rel: each release pairs with the acquire of the last, which frees after all use. */
    uint32_t before = atomic_u32_sub(&m->refs, 1, memory_order_acq_rel);
    CHECK(before > 0);
    if (before > 1)
        return;
    if (m->kept)
        m->release_kept(m->kept);
    key_index_deinit(&m->index);
    range_set_deinit(&m->ranges);
    arena_free(m->arena);
    memory_free(m);
}

FIRN_INTERNAL void memtable_keep(memtable *m, void *kept, void (*release)(void *kept)) {
    CHECK(!m->kept);
    m->kept = kept;
    m->release_kept = release;
}

FIRN_INTERNAL void *memtable_kept(const memtable *m) {
    return m->kept;
}

FIRN_INTERNAL bool memtable_is_shared(const memtable *m) {
    /* acquire: pairs with the release in memtable_unref; who was last to let go is done reading. */
    return atomic_u32_load(&m->refs, memory_order_acquire) > 1;
}

static void memtable_note_sequences(memtable *m, seqno least, seqno most, bool sole) {
    /* relaxed loads: statistics. Whoever needs them exact has waited for the writers. The swaps are
     * acquire, for no partner, because no order of a failure may exceed that of success. */
    uint64_t first = atomic_u64_load(&m->first_sequence, memory_order_relaxed);
    while (least < first &&
           !sole_cas_u64(sole, &m->first_sequence, &first, least, memory_order_acquire))
        continue;
    uint64_t last = atomic_u64_load(&m->last_sequence, memory_order_relaxed);
    while (most > last && !sole_cas_u64(sole, &m->last_sequence, &last, most, memory_order_acquire))
        continue;
}

static memtable_entry *memtable_entry_new(memtable *m, const memtable_op *op, uint64_t trailer,
                                          bool sole) {
    slice key = op->key.s;
    size_t key_bytes = key.size + KEY_TRAILER_BYTES;
    memtable_entry *entry =
        arena_allocate_by(m->arena, sizeof *entry + key_bytes + op->value.size, sole);
    if (!entry)
        return NULL;
    atomic_ptr_init(&entry->older, NULL);
    entry->key_bytes = (uint32_t)key_bytes;
    entry->value_bytes = (uint32_t)op->value.size;
    slice_copy_to(key, entry->bytes);
    encode_fixed64(entry->bytes + key.size, trailer);
    slice_copy_to(op->value, entry->bytes + key_bytes);
    return entry;
}

static inline memtable_place memtable_approach(const memtable *m, user_key key) {
    memtable_place place = {.hash = hash64(key.s.data, key.s.size)};
    key_index_prefetch(&m->index, place.hash);
    leaf_approach from = leaf_list_approach(&m->list, key);
    place.near = from.near;
    place.head = from.head;
    return place;
}

FIRN_INTERNAL memtable_place memtable_expect(const memtable *m, user_key key) {
    return memtable_approach(m, key);
}

static inline status memtable_add_op(memtable *m, seqno sequence, const memtable_op *op,
                                     const memtable_place *place, bool sole) {
    DCHECK(sequence > 0 && sequence <= SEQNO_MAX);
    DCHECK(op_kind_is_supported((uint8_t)op->kind));
    DCHECK(op->key.s.size <= KEY_BYTES_MAX && op->value.size < LARGE_VALUE_BYTES);
    large_ref large;
    if (UNLIKELY(op->kind == OP_PUT_LARGE && !large_ref_decode(op->value, &large)))
        return error_status(FIRN_CORRUPTION,
                            "the operation with sequence %llu holds no valid large-value reference",
                            (unsigned long long)sequence);
    if (UNLIKELY(op->kind == OP_RANGE_DELETE))
        return range_set_add(&m->ranges,
                             &(range_tombstone){op->key, user_key_of(op->value), sequence});
    memtable_entry *entry = memtable_entry_new(m, op, key_trailer_pack(sequence, op->kind), sole);
    /* The ordered list first: it alone can fail. */
    if (!entry || !leaf_list_add(&m->list, entry, (leaf_approach){place->near, place->head}, sole))
        return status_of(FIRN_NO_MEMORY, "adding to a memtable");
    key_index_add(&m->index, place->hash, entry, sole);
    if (op_kind_is_delete(op->kind))
        (void)sole_add_u64(sole, &m->deletes, 1);
    if (UNLIKELY(op->kind == OP_PUT_LARGE))
        (void)sole_add_u64(sole, &m->large_bytes, large.bytes);
    return STATUS_OK;
}

static inline void memtable_note(memtable *m, seqno first, seqno last, bool sole) {
    memtable_note_sequences(m, first, last, sole);
    (void)sole_add_u64(sole, &m->entries, last - first + 1);
}

FIRN_INTERNAL void memtable_note_added(memtable *m, seqno first, seqno last) {
    memtable_note(m, first, last, true);
}

/* A few, whose cache misses overlap: every step asks for what the next one needs. */
static status memtable_add_few(memtable *m, seqno first, const memtable_op *ops, uint32_t count,
                               bool sole) {
    memtable_place places[MEMTABLE_FEW];
    status st = STATUS_OK;
    uint32_t done = 0;
    for (uint32_t i = 0; i < count; i++)
        places[i] = memtable_approach(m, ops[i].key);
    for (uint32_t i = 0; i < count; i++)
        leaf_list_fetch_slot(&m->list, places[i].near);
    for (; done < count; done++)
        TRY(memtable_add_op(m, first + done, &ops[done], &places[done], sole));
out:
    if (done > 0 && sole)
        memtable_note(m, first, first + done - 1, true);
    return st;
}

FIRN_INTERNAL status memtable_add_many(memtable *m, seqno first, const memtable_op *ops,
                                       uint32_t count, bool sole) {
    status st = STATUS_OK;
    DCHECK(memtable_get_state(m) == MEMTABLE_ACTIVE);
    for (uint32_t i = 0; i < count; i += MEMTABLE_FEW) {
        uint32_t few = count - i < MEMTABLE_FEW ? count - i : MEMTABLE_FEW;
        TRY(memtable_add_few(m, first + i, ops + i, few, sole));
    }
out:
    return st;
}

FIRN_INTERNAL status memtable_add(memtable *m, seqno sequence, op_kind kind, user_key key,
                                  slice value) {
    status st = memtable_add_many(m, sequence, &(memtable_op){kind, key, value}, 1, false);
    if (LIKELY(status_is_ok(st)))
        memtable_note(m, sequence, sequence, false);
    return st;
}

FIRN_INTERNAL status memtable_add_expected(memtable *m, seqno sequence, const memtable_op *op,
                                           const memtable_place *place) {
    DCHECK(memtable_get_state(m) == MEMTABLE_ACTIVE);
    status st = memtable_add_op(m, sequence, op, place, true);
    if (LIKELY(status_is_ok(st)))
        memtable_note(m, sequence, sequence, true);
    return st;
}

/* For what the index does not know. */
static const memtable_entry *memtable_seek(const memtable *m, internal_key seek) {
    const memtable_entry *entry = leaf_list_seek(&m->list, seek);
    /* Equal under any order means byte-equal, so a custom one need not be asked again. */
    if (entry && slice_equal(memtable_entry_user(entry), internal_key_user(seek).s))
        return entry;
    return NULL;
}

static void memtable_get_point(const memtable *m, internal_key seek, uint64_t hash, lookup *out) {
    const memtable_entry *entry;
    *out = (lookup){0};
    DCHECK(hash == hash64(seek.s.data, seek.s.size - KEY_TRAILER_BYTES));
    if (UNLIKELY(key_index_find(&m->index, hash, seek, &entry) == KEY_INDEX_UNKNOWN))
        entry = memtable_seek(m, seek);
    if (!entry)
        return;
    uint64_t trailer = memtable_entry_trailer(entry);
    out->found = true;
    out->kind = (op_kind)(trailer & 0xff);
    out->sequence = trailer >> 8;
    out->value = memtable_entry_value(entry);
}

FIRN_INTERNAL void memtable_get_hashed(const memtable *m, internal_key seek, uint64_t hash,
                                       lookup *out) {
    memtable_get_point(m, seek, hash, out);
    if (LIKELY(range_set_is_empty(&m->ranges)))
        return;
    seqno cover = range_set_cover(&m->ranges, internal_key_user(seek), internal_key_sequence(seek));
    if (cover > out->sequence)
        *out = (lookup){.found = true, .kind = OP_RANGE_DELETE, .sequence = cover};
}

FIRN_INTERNAL bool memtable_has_ranges(const memtable *m) {
    return !range_set_is_empty(&m->ranges);
}

FIRN_INTERNAL void memtable_list_ranges(const memtable *m, range_list *out) {
    range_set_list(&m->ranges, out);
}

FIRN_INTERNAL void memtable_get(const memtable *m, internal_key seek, lookup *out) {
    memtable_get_hashed(m, seek, hash64(seek.s.data, seek.s.size - KEY_TRAILER_BYTES), out);
}

FIRN_INTERNAL const leaf_list *memtable_list(const memtable *m) {
    return &m->list;
}

FIRN_INTERNAL uint64_t memtable_bytes(const memtable *m) {
    return sizeof *m + arena_bytes(m->arena);
}

FIRN_INTERNAL uint64_t memtable_arena_bytes(const memtable *m) {
    return arena_bytes(m->arena);
}

/* All below give some recent value; see memtable_note_sequences(). */
FIRN_INTERNAL uint64_t memtable_entries(const memtable *m) {
    return atomic_u64_load(&m->entries, memory_order_relaxed); /* relaxed: no partner */
}

FIRN_INTERNAL uint64_t memtable_deletes(const memtable *m) {
    return atomic_u64_load(&m->deletes, memory_order_relaxed); /* relaxed: no partner */
}

FIRN_INTERNAL uint64_t memtable_large_bytes(const memtable *m) {
    return atomic_u64_load(&m->large_bytes, memory_order_relaxed); /* relaxed: no partner */
}

FIRN_INTERNAL seqno memtable_first_sequence(const memtable *m) {
    /* relaxed: no partner */
    uint64_t first = atomic_u64_load(&m->first_sequence, memory_order_relaxed);
    return first == UINT64_MAX ? 0 : first;
}

FIRN_INTERNAL seqno memtable_last_sequence(const memtable *m) {
    return atomic_u64_load(&m->last_sequence, memory_order_relaxed); /* relaxed: no partner */
}
