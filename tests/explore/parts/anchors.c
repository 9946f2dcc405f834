/* The array over the anchors: written beside readers and other writers, it leads to nothing behind
 * the place looked for, and to nothing that is not there yet. The list of anchors is linked by
 * hand. */
#include "explore/explore.h"
#include "platform/memory.h"
#include "util/arena.h"

enum { PIECES_MAX = 16 };

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
#include "memtable/skiplist.c"
#include "platform/error_detail.c"
#include "util/buf.c"
#include "util/coding.c"

static skiplist *list;
static anchor_index *over;

static void add(const char *letter, seqno sequence) {
    skiplist_entry entry;
    EXPLORE_EXPECT(skiplist_prepare(list, user_key_of(slice_of((const uint8_t *)letter, 1)),
                                    key_trailer_pack(sequence, OP_PUT), slice_of("", 0), &entry));
    skiplist_link(list, entry);
    anchor_index_note(over, list, entry.node);
}

/* Whatever is answered is before the key, complete, and in the list. */
static void find(const char *letter) {
    uint64_t head = key_head(slice_of((const uint8_t *)letter, 1));
    const skiplist_node *near;
    if (!anchor_index_find(over, head, &near) || !near)
        return;
    EXPLORE_EXPECT(near->head < head && near->key_bytes == 1 + KEY_TRAILER_BYTES);
    const skiplist_node *node = skiplist_first(list);
    while (node && node != near)
        node = skiplist_next(node);
    EXPLORE_EXPECT(node == near);
}

static void setup(void) {
    memset(piece_count, 0, sizeof piece_count);
    list = memory_new_aligned(CACHE_LINE_BYTES, sizeof *list);
    over = memory_new(sizeof *over);
    skiplist_init(list, (key_order){NULL}, NULL);
    anchor_index_init(over);
    explore_name(over, sizeof *over, "index");
    explore_name(list->head, sizeof list->head, "anchors");
    add("b", 1);
}

static void add_d(void) {
    add("d", 2);
}
static void add_f(void) {
    add("f", 3);
}
static void add_d_h(void) {
    add("d", 2);
    add("h", 4);
}
static void find_e(void) {
    find("e");
}
static void find_z(void) {
    find("z");
    find("c");
}

static void finish(void) {
    find("z");
    find("c");
    for (uint32_t i = 0; i <= EXPLORE_SCENARIO_THREADS_MAX; i++) {
        for (uint32_t p = 0; p < piece_count[i]; p++)
            memory_free(pieces[i][p]);
    }
    memory_free(list);
    memory_free(over);
    EXPLORE_EXPECT(memory_live_count() == 0);
}

int main(int count, char **arguments) {
    static const explore_scenario scenarios[] = {
        {"note-find", setup, {add_d_h, find_z}, finish, 0, 2},
        {"note-note", setup, {add_d, add_f, find_e}, finish, 0, 2},
        {"note-both", setup, {add_d_h, add_f, find_z}, finish, 0, 2},
    };
    return explore_main(count, arguments, scenarios, sizeof scenarios / sizeof *scenarios);
}
