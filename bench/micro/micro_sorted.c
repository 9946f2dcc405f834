/* The memtable beside a plain skip list (one key a node, the project's own) and a balanced tree
 * (the C library's red-black tree), all with the same entries from the same pool of memory, which
 * has been touched before, as in a database that runs. */
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memtable/memtable.h"
#include "memtable/skiplist.h"
#include "micro.h"
#include "micro_keys.h"
#include "platform/memory.h"
#include "platform/thread.h"
#include "util/arena.h"

enum { SORTED_VALUE_BYTES = 100, SORTED_BLOCK_BYTES = 2 << 20, SORTED_FEW = 16 };

typedef struct sorted {
    micro_shape shape;
    const char *order;
    uint64_t count;
    arena_pool *pool;
    memtable *table;
    skiplist *list;
    arena *arena;
    void *tree;
    uint8_t value[SORTED_VALUE_BYTES];
} sorted;

/* `alone`: no other thread inserts. */
typedef void sorted_insert(sorted *s, uint64_t index, bool alone);
typedef bool sorted_find(sorted *s, slice key);

static void sorted_fail(const char *what) {
    fprintf(stderr, "firn-micro: %s\n", what);
    exit(1);
}

/* 0, 1, 2, ... or all of them in an order that looks random: i times an odd number, modulo a power
 * of two, leaving out what is too large. */
static uint64_t sorted_index(const sorted *s, uint64_t i) {
    if (s->order[0] == 's')
        return i;
    uint64_t mask = 1;
    while (mask < s->count)
        mask = mask << 1 | 1;
    uint64_t x = i;
    do {
        x = (x * 0x9e3779b97f4a7c15u + 0x7f4a7c15u) & mask;
        x ^= x >> 9;
        x = (x * 0xd6e8feb86659fd93u + 1) & mask;
        x ^= x >> 7;
    } while (x >= s->count);
    return x;
}

static slice sorted_key(const sorted *s, uint64_t index, uint8_t *bytes) {
    micro_key(s->shape, index, bytes);
    return slice_of(bytes, MICRO_KEY_BYTES);
}

static void sorted_memtable_insert(sorted *s, uint64_t index, bool alone) {
    uint8_t bytes[MICRO_KEY_BYTES];
    slice key = sorted_key(s, index, bytes);
    memtable_op op = {OP_PUT, user_key_of(key), slice_of(s->value, sizeof s->value)};
    if (!status_is_ok(memtable_add_many(s->table, index + 1, &op, 1, alone)))
        sorted_fail("no memory");
}

/* By one thread, as the operations of a batch are. */
static void sorted_memtable_insert_in_groups(sorted *s) {
    uint8_t bytes[SORTED_FEW][MICRO_KEY_BYTES];
    memtable_op ops[SORTED_FEW];
    for (uint64_t i = 0; i < s->count;) {
        uint32_t few = 0;
        for (; few < SORTED_FEW && i < s->count; few++, i++)
            ops[few] =
                (memtable_op){OP_PUT, user_key_of(sorted_key(s, sorted_index(s, i), bytes[few])),
                              slice_of(s->value, sizeof s->value)};
        if (!status_is_ok(memtable_add_many(s->table, i + 1 - few, ops, few, true)))
            sorted_fail("no memory");
    }
}

static bool sorted_memtable_find(sorted *s, slice key) {
    seek_key seek;
    lookup found;
    if (!status_is_ok(seek_key_init(&seek, user_key_of(key), SEQNO_MAX)))
        sorted_fail("no memory");
    memtable_get(s->table, seek.key, &found);
    seek_key_deinit(&seek);
    return found.found;
}

static void sorted_list_insert(sorted *s, uint64_t index, bool alone) {
    (void)alone;
    uint8_t bytes[MICRO_KEY_BYTES];
    skiplist_entry entry;
    slice key = sorted_key(s, index, bytes);
    if (!skiplist_prepare(s->list, user_key_of(key), key_trailer_pack(index + 1, OP_PUT),
                          slice_of(s->value, sizeof s->value), &entry))
        sorted_fail("no memory");
    skiplist_link(s->list, entry);
}

static bool sorted_list_find(sorted *s, slice key) {
    seek_key seek;
    if (!status_is_ok(seek_key_init(&seek, user_key_of(key), SEQNO_MAX)))
        sorted_fail("no memory");
    const skiplist_node *node = skiplist_seek(s->list, seek.key);
    seek_key_deinit(&seek);
    return node && slice_equal(internal_key_user(skiplist_node_key(node)).s, key);
}

static int sorted_tree_compare(const void *a, const void *b) {
    return memcmp(a, b, MICRO_KEY_BYTES);
}

static void sorted_tree_insert(sorted *s, uint64_t index, bool alone) {
    (void)alone;
    uint8_t *entry = arena_allocate(s->arena, MICRO_KEY_BYTES + 8 + SORTED_VALUE_BYTES);
    if (!entry)
        sorted_fail("no memory");
    micro_key(s->shape, index, entry);
    memcpy(entry + MICRO_KEY_BYTES + 8, s->value, SORTED_VALUE_BYTES);
    if (!tsearch(entry, &s->tree, sorted_tree_compare))
        sorted_fail("no memory");
}

static bool sorted_tree_find(sorted *s, slice key) {
    return tfind(key.data, &s->tree, sorted_tree_compare) != NULL;
}

/* --- threads --- */

typedef struct sorted_share {
    sorted *s;
    sorted_insert *insert;
    uint64_t first, step;
} sorted_share;

static void sorted_insert_share(void *context) {
    sorted_share *share = context;
    for (uint64_t i = share->first; i < share->s->count; i += share->step)
        share->insert(share->s, sorted_index(share->s, i), share->step == 1);
}

static void sorted_insert_all(sorted *s, sorted_insert *insert, uint32_t threads) {
    sorted_share shares[64];
    thread started[64];
    for (uint32_t i = 0; i < threads; i++)
        shares[i] = (sorted_share){s, insert, i, threads};
    if (threads == 1) {
        sorted_insert_share(&shares[0]);
        return;
    }
    for (uint32_t i = 0; i < threads; i++) {
        if (!status_is_ok(thread_start(&started[i], "insert", sorted_insert_share, &shares[i])))
            sorted_fail("no thread");
    }
    for (uint32_t i = 0; i < threads; i++)
        thread_join(&started[i]);
}

/* --- the rows --- */

static void sorted_nothing(void *node) {
    (void)node;
}

static void sorted_begin(sorted *s) {
    s->arena = arena_new_pooled(s->pool);
    s->list = memory_new_aligned(CACHE_LINE_BYTES, sizeof *s->list);
    s->tree = NULL;
    if (!s->arena || !s->list ||
        !status_is_ok(memtable_new_pooled((key_order){NULL}, s->count * 160, s->pool, &s->table)))
        sorted_fail("no memory");
    skiplist_init(s->list, (key_order){NULL}, s->arena);
}

/* Fills the pool with memory that has been written to. */
static void sorted_warm(sorted *s) {
    uint64_t bytes = s->count * 600;
    s->pool = arena_pool_new(SORTED_BLOCK_BYTES, bytes, NULL);
    arena *a = s->pool ? arena_new_pooled(s->pool) : NULL;
    while (a && arena_bytes(a) < bytes) {
        void *piece = arena_allocate(a, SORTED_BLOCK_BYTES / 8);
        if (!piece)
            sorted_fail("no memory");
        memset(piece, 1, SORTED_BLOCK_BYTES / 8);
    }
    if (!a)
        sorted_fail("no memory");
    arena_free(a);
}

static void sorted_end(sorted *s) {
    tdestroy(s->tree, sorted_nothing);
    memtable_unref(s->table);
    memory_free(s->list);
    arena_free(s->arena);
}

static void sorted_measure_find(sorted *s, const char *who, sorted_find *find) {
    uint8_t bytes[MICRO_KEY_BYTES];
    char what[64];
    uint64_t found = 0, started = micro_cpu_ns(), lookups = s->count < 1000000 ? s->count : 1000000;
    for (uint64_t i = 0; i < lookups; i++)
        found += find(s, sorted_key(s, sorted_index(s, (i * 7919 + 13) % s->count), bytes));
    snprintf(what, sizeof what, "%s %s: look up", micro_shape_name(s->shape), s->order);
    micro_note(what, who, (double)lookups, micro_cpu_ns() - started);
    if (found != lookups)
        sorted_fail("a key is missing");
    started = micro_cpu_ns();
    for (uint64_t i = 0; i < lookups; i++) {
        uint64_t index = sorted_index(s, (i * 7919 + 13) % s->count);
        micro_key(s->shape, index, bytes);
        bytes[MICRO_KEY_BYTES - 1] = '.'; /* between others' keys */
        found += find(s, slice_of(bytes, MICRO_KEY_BYTES));
    }
    snprintf(what, sizeof what, "%s %s: look up missing", micro_shape_name(s->shape), s->order);
    micro_note(what, who, (double)lookups, micro_cpu_ns() - started);
    if (found != lookups)
        sorted_fail("a key is there that never was");
}

static void sorted_measure_scan(sorted *s) {
    iter *it;
    char what[64];
    uint64_t seen = 0, bytes = 0, started = micro_cpu_ns();
    if (!status_is_ok(memtable_iter_new(s->table, &it)))
        sorted_fail("no memory");
    for (iter_seek_first(it); iter_valid(it); iter_next(it)) {
        seen++;
        bytes += iter_key(it).s.size + iter_key(it).s.data[3];
    }
    iter_free(it);
    snprintf(what, sizeof what, "%s %s: scan", micro_shape_name(s->shape), s->order);
    micro_note(what, "memtable", (double)seen, micro_cpu_ns() - started);
    started = micro_cpu_ns();
    uint64_t plain = 0;
    for (const skiplist_node *node = skiplist_first(s->list); node; node = skiplist_next(node)) {
        plain++;
        bytes += node->key_bytes + node->bytes[3];
    }
    micro_note(what, "skip list", (double)plain, micro_cpu_ns() - started);
    if (seen != s->count || plain != s->count || bytes == 0)
        sorted_fail("a scan lost entries");
}

static void sorted_measure_seek(sorted *s) {
    iter *it;
    char what[64];
    uint8_t bytes[MICRO_KEY_BYTES];
    uint64_t sum = 0, seeks = s->count / 4, started;
    if (!status_is_ok(memtable_iter_new(s->table, &it)))
        sorted_fail("no memory");
    for (uint32_t nexts = 0; nexts <= 10; nexts += 10) {
        started = micro_cpu_ns();
        for (uint64_t i = 0; i < seeks; i++) {
            seek_key seek;
            slice key = sorted_key(s, sorted_index(s, (i * 7919 + 13) % s->count), bytes);
            if (!status_is_ok(seek_key_init(&seek, user_key_of(key), SEQNO_MAX)))
                sorted_fail("no memory");
            iter_seek(it, seek.key);
            for (uint32_t n = 0; iter_valid(it) && n <= nexts; n++, iter_next(it))
                sum += iter_key(it).s.data[MICRO_KEY_BYTES - 1];
        }
        snprintf(what, sizeof what, "%s %s: seek + %u", micro_shape_name(s->shape), s->order,
                 nexts);
        micro_note(what, "memtable", (double)seeks, micro_cpu_ns() - started);
        started = micro_cpu_ns();
        for (uint64_t i = 0; i < seeks; i++) {
            seek_key seek;
            slice key = sorted_key(s, sorted_index(s, (i * 7919 + 13) % s->count), bytes);
            if (!status_is_ok(seek_key_init(&seek, user_key_of(key), SEQNO_MAX)))
                sorted_fail("no memory");
            const skiplist_node *node = skiplist_seek(s->list, seek.key);
            for (uint32_t n = 0; node && n <= nexts; n++, node = skiplist_next(node))
                sum += node->bytes[MICRO_KEY_BYTES - 1];
        }
        micro_note(what, "skip list", (double)seeks, micro_cpu_ns() - started);
    }
    iter_free(it);
    if (sum == 0)
        sorted_fail("nothing was sought");
}

static void sorted_measure_insert(sorted *s, const char *who, sorted_insert *insert,
                                  uint32_t threads) {
    char what[64];
    uint64_t started = threads == 1 ? micro_cpu_ns() : micro_wall_ns();
    sorted_insert_all(s, insert, threads);
    uint64_t now = threads == 1 ? micro_cpu_ns() : micro_wall_ns();
    snprintf(what, sizeof what, "%s %s: insert, %u thread%s", micro_shape_name(s->shape), s->order,
             threads, threads == 1 ? "" : "s");
    micro_note(what, who, (double)s->count, now - started);
}

static void sorted_round(sorted *s, uint32_t threads) {
    char what[64];
    sorted_begin(s);
    sorted_measure_insert(s, "skip list", sorted_list_insert, 1);
    sorted_measure_insert(s, "memtable", sorted_memtable_insert, 1);
    sorted_measure_insert(s, "tree", sorted_tree_insert, 1);
    sorted_measure_find(s, "skip list", sorted_list_find);
    sorted_measure_find(s, "memtable", sorted_memtable_find);
    sorted_measure_find(s, "tree", sorted_tree_find);
    sorted_measure_scan(s);
    sorted_measure_seek(s);
    fprintf(stderr, "%s %s: memtable %.1f, skip list and tree %.1f bytes an entry\n",
            micro_shape_name(s->shape), s->order,
            (double)memtable_bytes(s->table) / (double)s->count,
            (double)arena_bytes(s->arena) / (double)s->count);
    sorted_end(s);
    sorted_begin(s);
    uint64_t started = micro_cpu_ns();
    sorted_memtable_insert_in_groups(s);
    snprintf(what, sizeof what, "%s %s: insert, 1 thread", micro_shape_name(s->shape), s->order);
    micro_note(what, "memtable x16", (double)s->count, micro_cpu_ns() - started);
    sorted_end(s);
    sorted_begin(s);
    sorted_measure_insert(s, "skip list", sorted_list_insert, threads);
    sorted_measure_insert(s, "memtable", sorted_memtable_insert, threads);
    sorted_end(s);
}

void micro_sorted(const micro_config *config) {
    static const char *const orders[] = {"random", "sequential"};
    for (micro_shape shape = MICRO_BINARY; shape < MICRO_SHAPES; shape++) {
        for (int order = 0; order < 2; order++) {
            sorted s = {.shape = shape, .order = orders[order], .count = config->count};
            memset(s.value, 'v', sizeof s.value);
            if (!micro_wants(config, micro_shape_name(shape)) ||
                (config->order && strcmp(config->order, s.order) != 0))
                continue;
            sorted_warm(&s);
            sorted_round(&s, config->threads);
            arena_pool_unref(s.pool);
        }
    }
}
