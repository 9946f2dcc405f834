/* The memtable's leaves alone: filling and splitting beside writers and readers. Leaves have two
 * slots, so that every addition to a full one splits it, and anchors have no towers and no array
 * over them (parts skiplist and anchors have). Memory comes from the heap: where an arena would put
 * it decides nothing here. */
#include "explore/explore.h"
#include "platform/memory.h"
#include "util/arena.h"

enum { PIECES_MAX = 64, VALUE_BYTES = 8 };

/* By thread, what it has allocated. */
static void *pieces[EXPLORE_SCENARIO_THREADS_MAX + 1][PIECES_MAX];
static uint32_t piece_count[EXPLORE_SCENARIO_THREADS_MAX + 1];

void *arena_allocate(arena *a, size_t bytes) {
    (void)a;
    uint64_t thread = thread_number() % (EXPLORE_SCENARIO_THREADS_MAX + 1);
    EXPLORE_EXPECT(piece_count[thread] < PIECES_MAX);
    return pieces[thread][piece_count[thread]++] = memory_new(bytes);
}

#include "format/key.c"
#include "memtable/anchor_index.c"
#include "memtable/leaf_list.c"
#include "memtable/leaf_read.c"
#include "memtable/skiplist.c"
#include "platform/error_detail.c"
#include "util/buf.c"
#include "util/coding.c"

static leaf_list *list;
/* The last sequence that a writer has added, stored (release) when the entry is in. */
static atomic_u64 *done;

static void add_by(const char *letters, seqno sequence, bool sole) {
    size_t bytes = strlen(letters) + KEY_TRAILER_BYTES;
    memtable_entry *entry = arena_allocate(NULL, sizeof *entry + bytes + VALUE_BYTES);
    atomic_ptr_init(&entry->older, NULL);
    entry->key_bytes = (uint32_t)bytes;
    entry->value_bytes = VALUE_BYTES;
    memcpy(entry->bytes, letters, strlen(letters));
    encode_fixed64(entry->bytes + strlen(letters), key_trailer_pack(sequence, OP_PUT));
    encode_fixed64(entry->bytes + bytes, sequence);
    EXPLORE_EXPECT(leaf_list_add(list, entry, (leaf_approach){0}, sole));
}

static void add(const char *letters, seqno sequence) {
    add_by(letters, sequence, false);
}

static void check_entry(const memtable_entry *entry) {
    EXPLORE_EXPECT(entry->value_bytes == VALUE_BYTES);
    EXPLORE_EXPECT(decode_fixed64(memtable_entry_value(entry).data) ==
                   memtable_entry_trailer(entry) >> 8);
}

/* What the writer said was in must be found. */
static void must_find(const char *letters, seqno sequence) {
    seek_key seek;
    /* acquire: pairs with the releases in add_f_and_say() and add_alone(). */
    bool in = atomic_u64_load(done, memory_order_acquire) >= sequence;
    EXPLORE_EXPECT(status_is_ok(
        seek_key_init(&seek, user_key_of(slice_of((const uint8_t *)letters, 1)), sequence)));
    const memtable_entry *entry = leaf_list_seek(list, seek.key);
    if (entry)
        check_entry(entry);
    EXPLORE_EXPECT(!in || (entry && memtable_entry_trailer(entry) >> 8 == sequence));
    seek_key_deinit(&seek);
}

static uint32_t walk(bool backwards) {
    leaf_run run;
    leaf_query query = {.limit = LEAF_SLOTS};
    uint32_t count = 0;
    const memtable_entry *before = NULL;
    for (;;) {
        if (backwards)
            leaf_list_backward(list, &query, &run);
        else
            leaf_list_forward(list, &query, &run);
        if (run.count == 0)
            return count;
        for (uint32_t i = 0; i < run.count; i++) {
            const memtable_entry *entry = run.entries[backwards ? run.count - 1 - i : i];
            check_entry(entry);
            int order = before ? key_order_compare(list->order, memtable_entry_key(before),
                                                   memtable_entry_key(entry))
                               : 0;
            EXPLORE_EXPECT(!before || (backwards ? order > 0 : order < 0));
            before = entry;
            count++;
        }
        query = (leaf_query){.bound = memtable_entry_key(before), .limit = LEAF_SLOTS};
        if (!backwards)
            query.near = run.anchor;
    }
}

static void setup_empty(void) {
    memset(piece_count, 0, sizeof piece_count);
    list = memory_new_aligned(CACHE_LINE_BYTES, sizeof *list);
    done = memory_new(sizeof *done);
    leaf_list_init(list, (key_order){NULL}, NULL);
    atomic_u64_init(done, 0);
    explore_name(done, sizeof *done, "done");
    explore_name(&list->first, sizeof(atomic_u64), "first leaf");
    explore_name(list->anchors.head, sizeof list->anchors.head, "anchors");
    explore_name(list->hints, sizeof list->hints, "hints");
}

static void setup_half(void) {
    setup_empty();
    add("b", 3);
}
/* The next one splits the leaf in the middle, unless it is behind both. */
static void setup_full(void) {
    setup_empty();
    add("m", 3);
    add("b", 4);
}
static void setup_ascending(void) {
    setup_empty();
    add("b", 3);
    add("c", 4);
}

static void add_f(void) {
    add("f", 10);
}
static void add_f_and_say(void) {
    add("f", 10);
    /* release: pairs with the acquire in must_find(). */
    atomic_u64_store(done, 10, memory_order_release);
}
/* As the one who leads a group of commits does. */
static void add_alone(void) {
    add_by("f", 10, true);
    add_by("d", 11, true);
    /* release: pairs with the acquire in must_find(). */
    atomic_u64_store(done, 11, memory_order_release);
}
static void add_g(void) {
    add("g", 11);
}
static void add_n(void) {
    add("n", 12);
}
static void add_c(void) {
    add("c", 13);
}
static void add_e(void) {
    add("e", 10);
}
static void add_e_f(void) {
    add_e();
    add("f", 14);
}

/* Whoever sees this one splits in the middle what for "e" is the end of a series. */
static void add_between(void) {
    add("bb", 11);
}

static void scan(void) {
    (void)walk(false);
}
static void scan_both(void) {
    EXPLORE_EXPECT(walk(false) >= 2);
}
static void scan_back(void) {
    EXPLORE_EXPECT(walk(true) >= 2);
}
static void seek_f(void) {
    must_find("f", 10);
}
static void seek_d(void) {
    must_find("d", 11);
}

static void finish_with(uint32_t entries) {
    EXPLORE_EXPECT(walk(false) == entries);
    EXPLORE_EXPECT(walk(true) == entries);
    for (uint32_t i = 0; i <= EXPLORE_SCENARIO_THREADS_MAX; i++) {
        for (uint32_t p = 0; p < piece_count[i]; p++)
            memory_free(pieces[i][p]);
    }
    memory_free(list);
    memory_free(done);
    EXPLORE_EXPECT(memory_live_count() == 0);
}
static void finish_2(void) {
    finish_with(2);
}
static void finish_3(void) {
    finish_with(3);
}
static void finish_4(void) {
    finish_with(4);
}
static void finish_5(void) {
    finish_with(5);
}

int main(int count, char **arguments) {
    static const explore_scenario scenarios[] = {
        {"first", setup_empty, {add_f, add_g, scan}, finish_2, 0, 2},
        {"fill", setup_half, {add_f, add_g, scan}, finish_3, 0, 2},
        {"split-scan", setup_full, {add_f, scan_both}, finish_3, 0, 2},
        {"split-scan-back", setup_full, {add_f, scan_back}, finish_3, 0, 2},
        {"split-seek", setup_full, {add_f_and_say, add_n, seek_f}, finish_4, 0, 2},
        {"split-twice", setup_full, {add_f, add_g, scan_both}, finish_4, 0, 1},
        {"split-beside", setup_full, {add_f, add_n, scan_back}, finish_4, 0, 2},
        {"split-three", setup_full, {add_f, add_c, add_n}, finish_5, 0, 1},
        {"series", setup_ascending, {add_e, add_g, scan_both}, finish_4, 0, 2},
        {"series-or-not", setup_ascending, {add_e, add_between, scan_both}, finish_4, 0, 2},
        {"series-goes-on", setup_ascending, {add_e_f, scan_both}, finish_4, 0, 2},
        {"alone", setup_full, {add_alone, scan_back, seek_d}, finish_4, 0, 2},
    };
    return explore_main(count, arguments, scenarios, sizeof scenarios / sizeof *scenarios);
}
