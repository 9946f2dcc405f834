/* Read views: sealing, flushing and collecting under readers. What was written stays reachable, in
 * memtables or in tables, and nothing a reader can reach is freed. */
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
#include "util/epoch.c"
#include "util/hash_builtin.c"
#include "util/memory_budget.c"
#include "util/text.c"
#include "version/keyspace.c"
#include "version/read_view.c"
#include "version/table_meta.c"
#include "version/version.c"
#include "version/version_edit.c"
#include "version/version_set.c"
#include "version/version_set_install.c"
#include "version/version_set_memtables.c"

/* --- stand-ins for what the views do not care about: the manifest, open tables, chance --- */

void manifest_init(manifest *m, const firn_vfs *vfs, const char *directory) {
    *m = (manifest){.vfs = vfs, .directory = directory};
}
void manifest_deinit(manifest *m) {
    (void)m;
}
status manifest_recover(manifest *m, status (*apply)(void *, const version_edit *), void *context) {
    (void)m;
    (void)apply;
    (void)context;
    return STATUS_OK;
}
status manifest_write_back(manifest *m) {
    (void)m;
    return STATUS_OK;
}
bool manifest_wants_new_file(const manifest *m) {
    (void)m;
    return false;
}
status manifest_start_file(manifest *m, uint64_t number, const version_edit *snapshot) {
    (void)m;
    (void)number;
    (void)snapshot;
    return STATUS_OK;
}
/* The moment of the commit. */
status manifest_append(manifest *m, const version_edit *edit) {
    m->records++;
    (void)edit;
    return STATUS_OK;
}
void table_slot_init(table_slot *slot) {
    atomic_ptr_init(&slot->open, NULL);
}
void table_slot_close(table_slot *slot) {
    (void)slot;
}
void entropy_read(void *out, size_t bytes) {
    memset(out, 7, bytes);
}

/* --- the scenarios --- */

enum { ENTRY_SEQUENCE = 3 };

static epoch *readers;
static version_set *versions;
static graveyard *grave;

static user_key the_key(void) {
    return user_key_of(slice_of((const uint8_t *)"k", 1));
}

static void add_entry(memtable *m, seqno sequence) {
    EXPLORE_EXPECT(status_is_ok(
        memtable_add(m, sequence, OP_PUT, the_key(), slice_of((const uint8_t *)"value", 5))));
}

static void wake_nobody(void *context) {
    (void)context;
}

static void setup(void) {
    edit_keyspace change = {.id = 0, .name = "default", .comparator = KEY_ORDER_BYTEWISE_NAME};
    readers = memory_new_aligned(CACHE_LINE_BYTES, sizeof *readers);
    epoch_init(readers);
    grave = memory_new_zeroed(sizeof *grave);
    grave->wake = wake_nobody;
    version_set_args args = {.directory = "x",
                             .memtable_bytes = 4096,
                             .grave = grave,
                             .readers = readers};
    EXPLORE_EXPECT(status_is_ok(version_set_new(&args, &versions)));
    mutex_lock(&versions->guard);
    EXPLORE_EXPECT(status_is_ok(version_set_apply_keyspace_locked(versions, &change)));
    mutex_unlock(&versions->guard);
    explore_name(readers, sizeof *readers, "epoch");
    explore_name(&readers->guard, sizeof readers->guard, "epoch guard");
    explore_name(versions, sizeof *versions, "versions");
    explore_name(&versions->guard, sizeof versions->guard, "guard");
    explore_name(&versions->install_guard, sizeof versions->install_guard, "install guard");
    explore_name(&versions->keyspaces[0]->view, sizeof(atomic_ptr), "view");
    add_entry(version_set_active(versions, 0), ENTRY_SEQUENCE);
}

/* With the entry in a sealed memtable. */
static void setup_sealed(void) {
    setup();
    EXPLORE_EXPECT(status_is_ok(version_set_seal(versions, 0)));
    (void)version_set_collect(versions, 1);
}

static bool memtable_has(const memtable *m) {
    seek_key seek;
    lookup found;
    EXPLORE_EXPECT(status_is_ok(seek_key_init(&seek, the_key(), SEQNO_MAX)));
    memtable_get(m, seek.key, &found);
    seek_key_deinit(&seek);
    return found.found && found.value.size == 5;
}

/* As a point read: memtables newest first, then tables. */
static void check_view(const read_view *view) {
    bool found = memtable_has(view->active);
    for (uint32_t i = 0; i < view->sealed_count; i++)
        found |= memtable_has(view->sealed[i]);
    for (uint32_t i = 0; i < view->version->levels[0].count; i++)
        found |= view->version->levels[0].tables[i]->max_sequence >= ENTRY_SEQUENCE;
    EXPLORE_EXPECT(found);
}

static void read_inside(void) {
    uint64_t slot;
    const read_view *view = version_set_enter(versions, 0, &slot);
    check_view(view);
    version_set_leave(versions, slot);
}

/* As an iterator: the reference outlasts the epoch. */
static void read_pinned(void) {
    read_view *view = version_set_view(versions, 0);
    check_view(view);
    read_view_unref(view);
}

static void read_both(void) {
    read_inside();
    read_pinned();
}

static void seal(void) {
    EXPLORE_EXPECT(status_is_ok(version_set_seal(versions, 0)));
}

/* As the writer who leads: what is in the active memtable may be sealed right after. */
static void add_then_seal(void) {
    add_entry(version_set_active(versions, 0), ENTRY_SEQUENCE + 1);
    seal();
}

static table_meta *new_table(const memtable *m, uint64_t number) {
    static const uint8_t key[9] = {'k', 1};
    table_meta fields = {.where.number = number,
                         .where.file_bytes = 100,
                         .entries = 1,
                         .max_sequence = memtable_last_sequence(m),
                         .smallest.s = slice_of(key, sizeof key),
                         .largest.s = slice_of(key, sizeof key)};
    table_meta *table;
    EXPLORE_EXPECT(status_is_ok(table_meta_new(&fields, &table)));
    return table;
}

static void flush(void) {
    uint32_t keyspace;
    memtable *m;
    version_edit edit = {0};
    if (!version_set_take_flush(versions, &keyspace, &m))
        return;
    table_meta *table = new_table(m, version_set_new_file_number(versions));
    EXPLORE_EXPECT(status_is_ok(version_edit_add_table(&edit, 0, table)));
    EXPLORE_EXPECT(
        status_is_ok(version_edit_set_flushed(&edit, keyspace, memtable_last_sequence(m))));
    EXPLORE_EXPECT(
        status_is_ok(version_set_install(versions, &edit, &(flushed_memtable){keyspace, m})));
    version_edit_deinit(&edit);
    table_meta_unref(table);
}

static void collect(void) {
    (void)version_set_collect(versions, 2);
}

static void finish(void) {
    read_both();
    (void)version_set_collect(versions, 3);
    version_set_unref(versions);
    epoch_deinit(readers);
    memory_free(readers);
    memory_free(grave);
    EXPLORE_EXPECT(memory_live_count() == 0);
}

int main(int count, char **arguments) {
    static const explore_scenario scenarios[] = {
        {"seal", setup, {read_inside, seal}, finish, 0, 0},
        {"seal-two-readers", setup, {read_inside, read_pinned, seal}, finish, 0, 0},
        {"write-seal", setup, {add_then_seal, read_pinned, collect}, finish, 0, 0},
        {"flush", setup_sealed, {read_inside, flush}, finish, 0, 0},
        {"flush-two-readers", setup_sealed, {read_inside, read_pinned, flush}, finish, 0, 0},
        {"seal-flush", setup_sealed, {add_then_seal, flush, read_inside}, finish, 0, 0},
    };
    return explore_main(count, arguments, scenarios, sizeof scenarios / sizeof *scenarios);
}
