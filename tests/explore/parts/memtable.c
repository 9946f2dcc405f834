/* The memtable through its own interface: inserts beside inserts and readers, the leaves and the
 * hash together. How leaves split is what part leaves is about. */
#include "explore/explore.h"
#include "platform/memory.h"

#include "format/key.c"
#include "format/large_ref.c"
#include "format/range_tombstone.c"
#include "iter/iter.c"
#include "memtable/anchor_index.c"
#include "memtable/key_index.c"
#include "memtable/leaf_list.c"
#include "memtable/leaf_read.c"
#include "memtable/memtable.c"
#include "memtable/memtable_iter.c"
#include "memtable/range_set.c"
#include "memtable/skiplist.c"
#include "platform/error_detail.c"
#include "util/arena.c"
#include "util/buf.c"
#include "util/coding.c"
#include "util/crc32c.c"
#include "util/hash_builtin.c"
#include "util/memory_budget.c"

enum { VALUE_BYTES = 16 };

static memtable *table;
/* By thread: the last sequence it added, stored (release) when the entry is in;
 * as `visible` of the database tells readers. */
static atomic_u64 *done[4];

static user_key key_of(const char *letters) {
    return user_key_of(slice_of((const uint8_t *)letters, strlen(letters)));
}

/* A value tells which entry it belongs to. */
static void fill_value(uint8_t *value, seqno sequence) {
    for (uint32_t i = 0; i < VALUE_BYTES; i++)
        value[i] = (uint8_t)(sequence + i);
}

static void check_value(slice value, seqno sequence) {
    EXPLORE_EXPECT(value.size == VALUE_BYTES);
    for (uint32_t i = 0; i < VALUE_BYTES; i++)
        EXPLORE_EXPECT(value.data[i] == (uint8_t)(sequence + i));
}

static void add(const char *letters, seqno sequence) {
    uint8_t value[VALUE_BYTES];
    fill_value(value, sequence);
    EXPLORE_EXPECT(status_is_ok(
        memtable_add(table, sequence, OP_PUT, key_of(letters), slice_of(value, sizeof value))));
}

static void add_as(uint32_t thread, const char *letters, seqno sequence) {
    add(letters, sequence);
    /* release: pairs with the acquire in must_find(). */
    atomic_u64_store(done[thread], sequence, memory_order_release);
}

/* The sequence of the newest version up to that one; 0: there is none. */
static seqno find(const char *letters, seqno sequence) {
    seek_key seek;
    lookup found;
    EXPLORE_EXPECT(status_is_ok(seek_key_init(&seek, key_of(letters), sequence)));
    memtable_get(table, seek.key, &found);
    seek_key_deinit(&seek);
    if (found.found) {
        EXPLORE_EXPECT(found.sequence <= sequence);
        check_value(found.value, found.sequence);
    }
    return found.found ? found.sequence : 0;
}

/* What the writer said was in must be found, not an older version. */
static void must_find(uint32_t thread, const char *letters, seqno sequence) {
    /* acquire: pairs with the release in add_as(). */
    bool in = atomic_u64_load(done[thread], memory_order_acquire) >= sequence;
    EXPLORE_EXPECT(find(letters, sequence) == sequence || !in);
}

static uint32_t walk(bool backwards) {
    iter *it;
    uint32_t count = 0;
    internal_key before = {{NULL, 0}};
    EXPLORE_EXPECT(status_is_ok(memtable_iter_new(table, &it)));
    if (backwards)
        iter_seek_last(it);
    else
        iter_seek_first(it);
    while (iter_valid(it)) {
        internal_key key = iter_key(it);
        check_value(iter_value(it), internal_key_sequence(key));
        if (count++ > 0) {
            int order = key_order_compare((key_order){NULL}, before, key);
            EXPLORE_EXPECT(backwards ? order > 0 : order < 0);
        }
        before = key;
        if (backwards)
            iter_prev(it);
        else
            iter_next(it);
    }
    iter_free(it);
    return count;
}

static void setup_empty(void) {
    EXPLORE_EXPECT(status_is_ok(memtable_new((key_order){NULL}, 1024, &table)));
    for (uint32_t i = 1; i <= 3; i++) {
        done[i] = memory_new(sizeof *done[i]);
        atomic_u64_init(done[i], 0);
        explore_name(done[i], sizeof *done[i], "done");
    }
    explore_name(table, sizeof *table, "memtable");
    explore_name(&table->list.first, sizeof(atomic_u64), "first leaf");
    explore_name(table->list.anchors.head, sizeof table->list.anchors.head, "anchors");
    explore_name(&table->index.tables, sizeof(atomic_ptr), "index");
}

/* The leaf has room for two more. */
static void setup(void) {
    setup_empty();
    add("a", 3);
    add("m", 8);
}
/* The next one splits the leaf, in the middle unless it is behind all. */
static void setup_full(void) {
    setup();
    add("z", 4);
    add("c", 5);
}
/* With an older version of the key that two writers are about to write. */
static void setup_version(void) {
    setup_empty();
    add("a", 3);
    add("f", 5);
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
static void add_r(void) {
    add_as(2, "r", 11);
}
static void scan(void) {
    EXPLORE_EXPECT(walk(false) >= 2);
}
static void scan_back(void) {
    EXPLORE_EXPECT(walk(true) >= 2);
}
static void get_both(void) {
    must_find(1, "f", 10);
    must_find(2, "g", 11);
}
static void get_versions(void) {
    must_find(2, "f", 11);
    must_find(1, "f", 10);
}
static void get_p(void) {
    must_find(1, "p", 10);
}

static void finish_with(uint32_t entries) {
    EXPLORE_EXPECT(walk(false) == entries);
    EXPLORE_EXPECT(walk(true) == entries);
    memtable_unref(table);
    for (uint32_t i = 1; i <= 3; i++)
        memory_free(done[i]);
    EXPLORE_EXPECT(memory_live_count() == 0);
}
static void finish_4(void) {
    finish_with(4);
}
static void finish_5(void) {
    finish_with(5);
}
static void finish_2(void) {
    finish_with(2);
}

int main(int count, char **arguments) {
    static const explore_scenario scenarios[] = {
        {"insert-get", setup, {add_f, add_g, get_both}, finish_4, 0, 2},
        {"insert-scan", setup, {add_f, add_g, scan}, finish_4, 0, 2},
        {"versions", setup_version, {add_f, add_newer_f, get_versions}, finish_4, 0, 2},
        {"empty", setup_empty, {add_p, add_r, get_p}, finish_2, 0, 2},
        {"split-scan", setup_full, {add_f, scan}, finish_5, 0, 2},
        {"split-scan-back", setup_full, {add_f, scan_back}, finish_5, 0, 2},
    };
    return explore_main(count, arguments, scenarios, sizeof scenarios / sizeof *scenarios);
}
