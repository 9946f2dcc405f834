/* The skip list: inserts beside inserts and readers. */
#include "explore/explore.h"
#include "platform/memory.h"

#include "format/key.c"
#include "memtable/skiplist.c"
#include "platform/error_detail.c"
#include "util/arena.c"
#include "util/buf.c"
#include "util/coding.c"
#include "util/memory_budget.c"

enum { VALUE_BYTES = 16 };

static arena *nodes;
static skiplist *list;
/* By thread: the last sequence it added, stored (release) when the entry is in;
 * as `visible` of the database tells readers. */
static atomic_u64 *done[4];

static user_key key_of(const char *letters) {
    return user_key_of(slice_of((const uint8_t *)letters, strlen(letters)));
}

/* A value tells which entry it belongs to. */
static void add(const char *letters, seqno sequence) {
    uint8_t value[VALUE_BYTES];
    skiplist_entry entry;
    for (uint32_t i = 0; i < VALUE_BYTES; i++)
        value[i] = (uint8_t)(sequence + i);
    EXPLORE_EXPECT(skiplist_prepare(list, key_of(letters), key_trailer_pack(sequence, OP_PUT),
                                    slice_of(value, sizeof value), &entry));
    skiplist_link(list, entry);
}

static void add_as(uint32_t thread, const char *letters, seqno sequence) {
    add(letters, sequence);
    /* release: pairs with the acquire in must_find(). */
    atomic_u64_store(done[thread], sequence, memory_order_release);
}

static void check_node(const skiplist_node *node) {
    seqno sequence = internal_key_sequence(skiplist_node_key(node));
    slice value = skiplist_node_value(node);
    EXPLORE_EXPECT(value.size == VALUE_BYTES);
    for (uint32_t i = 0; i < VALUE_BYTES; i++)
        EXPLORE_EXPECT(value.data[i] == (uint8_t)(sequence + i));
}

/* The sequence of the newest version up to that one; 0: there is none. */
static seqno find(const char *letters, seqno sequence) {
    seek_key seek;
    EXPLORE_EXPECT(status_is_ok(seek_key_init(&seek, key_of(letters), sequence)));
    const skiplist_node *node = skiplist_seek(list, seek.key);
    bool found = node && slice_equal(internal_key_user(skiplist_node_key(node)).s,
                                     internal_key_user(seek.key).s);
    seek_key_deinit(&seek);
    if (!found)
        return 0;
    check_node(node);
    return internal_key_sequence(skiplist_node_key(node));
}

/* What the writer said was in must be found, not an older version. */
static void must_find(uint32_t thread, const char *letters, seqno sequence) {
    /* acquire: pairs with the release in add_as(). */
    bool in = atomic_u64_load(done[thread], memory_order_acquire) >= sequence;
    EXPLORE_EXPECT(find(letters, sequence) == sequence || !in);
}

static uint32_t walk(void) {
    uint32_t count = 0;
    const skiplist_node *before = NULL;
    for (const skiplist_node *node = skiplist_first(list); node; node = skiplist_next(node)) {
        check_node(node);
        EXPLORE_EXPECT(!before || key_order_compare(list->order, skiplist_node_key(before),
                                                    skiplist_node_key(node)) < 0);
        before = node;
        count++;
    }
    return count;
}

static uint32_t walk_back(void) {
    uint32_t count = 0;
    const skiplist_node *node = skiplist_find_before(list, NULL, 0);
    while (node) {
        const skiplist_node *before = skiplist_find_before(list, node, 0);
        check_node(node);
        EXPLORE_EXPECT(!before || key_order_compare(list->order, skiplist_node_key(before),
                                                    skiplist_node_key(node)) < 0);
        node = before;
        count++;
    }
    return count;
}

static void setup_empty(void) {
    nodes = arena_new(512);
    list = memory_new_aligned(CACHE_LINE_BYTES, sizeof *list);
    skiplist_init(list, (key_order){NULL}, nodes);
    for (uint32_t i = 1; i <= 3; i++) {
        done[i] = memory_new(sizeof *done[i]);
        atomic_u64_init(done[i], 0);
        explore_name(done[i], sizeof *done[i], "done");
    }
    explore_name(list->head, sizeof list->head, "head");
    explore_name(list->hint, sizeof list->hint, "hint");
    explore_name(&list->height, sizeof list->height, "height");
}

/* Heights follow from sequences; those of 1, 2, 10, 11, 12 are 2, of 8 is 4, of
 * most others 1. */
static void setup(void) {
    setup_empty();
    add("a", 3);
    add("m", 8);
}

static void add_f(void) {
    add_as(1, "f", 10);
}
static void add_g(void) {
    add_as(2, "g", 11);
}
static void add_newer_f(void) {
    add_as(2, "f", 11);
}
static void add_p(void) {
    add_as(1, "p", 10);
}
static void add_p_q(void) {
    add_as(1, "p", 10);
    add_as(1, "q", 12);
}
static void add_r(void) {
    add_as(2, "r", 11);
}

static void scan(void) {
    EXPLORE_EXPECT(walk() <= 4);
}
static void scan_back(void) {
    EXPLORE_EXPECT(walk_back() >= 2);
}
static void get_both(void) {
    must_find(1, "f", 10);
    must_find(2, "g", 11);
}
static void get_versions(void) {
    must_find(2, "f", 11);
    must_find(1, "f", 10);
}
static void get_q(void) {
    must_find(1, "q", 12);
}

static void finish_with(uint32_t entries) {
    EXPLORE_EXPECT(walk() == entries && walk_back() == entries);
    arena_free(nodes);
    memory_free(list);
    for (uint32_t i = 1; i <= 3; i++)
        memory_free(done[i]);
    EXPLORE_EXPECT(memory_live_count() == 0);
}
static void finish_2(void) {
    finish_with(2);
}
static void finish_4(void) {
    finish_with(4);
}
static void finish_5(void) {
    finish_with(5);
}

int main(int count, char **arguments) {
    static const explore_scenario scenarios[] = {
        {"insert-get", setup, {add_f, add_g, get_both}, finish_4, 0, 0},
        {"insert-scan", setup, {add_f, add_g, scan}, finish_4, 0, 0},
        {"insert-scan-back", setup, {add_f, add_g, scan_back}, finish_4, 0, 0},
        {"versions", setup, {add_f, add_newer_f, get_versions}, finish_4, 0, 0},
        {"series", setup, {add_p_q, add_r, get_q}, finish_5, 0, 0},
        {"empty", setup_empty, {add_p, add_r, scan}, finish_2, 0, 0},
    };
    return explore_main(count, arguments, scenarios, sizeof scenarios / sizeof *scenarios);
}
