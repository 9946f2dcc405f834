#include "version/version_set.h"

#include "lib/test.h"
#include "platform/vfs_mem.h"
#include "unit/version/version_fixture.h"

enum { MEMTABLE_BYTES = 64 << 10 };

typedef struct place {
    vfs_mem *disk;
    graveyard grave;
    epoch readers;
    version_set *versions;
} place;

static void ignore_wake(void *context) {
    (void)context;
}

static void place_open(place *p, bool create) {
    version_set_args args = {.vfs = vfs_mem_vfs(p->disk),
                             .directory = "/db",
                             .memtable_bytes = MEMTABLE_BYTES,
                             .grave = &p->grave,
                             .readers = &p->readers};
    ASSERT_OK(version_set_new(&args, &p->versions));
    ASSERT_OK(create ? version_set_create(p->versions) : version_set_recover(p->versions));
}

static void place_init(place *p) {
    *p = (place){.grave = {.wake = ignore_wake}};
    epoch_init(&p->readers);
    ASSERT_OK(vfs_mem_new(&p->disk));
    ASSERT_OK(vfs_make_dir(vfs_mem_vfs(p->disk), "/db"));
    place_open(p, true);
}

static void place_reopen(place *p) {
    version_set_unref(p->versions);
    place_open(p, false);
}

static void place_deinit(place *p) {
    version_set_unref(p->versions);
    for (table_meta *dead = graveyard_take(&p->grave), *next; dead; dead = next) {
        next = dead->next_dead;
        table_meta_bury(dead);
    }
    epoch_deinit(&p->readers);
    vfs_mem_free(p->disk);
}

/* One entry into the active memtable of a keyspace, at a position of the log. */
static void add_entry(place *p, uint32_t keyspace, seqno sequence, op_kind kind,
                      uint64_t position) {
    uint8_t encoded[LARGE_REF_BYTES];
    large_ref ref = {.place = LARGE_IN_LOG, .file = 1, .offset = 4096, .bytes = 2 << 20};
    slice value = slice_from_string("v");
    memtable *active = version_set_active(p->versions, keyspace);
    if (kind == OP_PUT_LARGE) {
        large_ref_encode(&ref, encoded);
        value = slice_of(encoded, sizeof encoded);
    }
    version_set_note_first_write(p->versions, keyspace, position, 0);
    ASSERT_OK(memtable_add(active, sequence, kind, user_key_of(slice_from_string("k")), value));
    version_set_note_sequence(p->versions, sequence);
}

static status install_flush(place *p, const flushed_memtable *flushed, uint64_t number,
                            uint64_t floor) {
    version_edit e = {.has_log_floor = true, .log_floor_segment = 1, .log_floor_position = floor};
    table_meta *t = fixture_table(number, flushed->keyspace, "k", "k", 1);
    ASSERT_OK(version_edit_add_table(&e, 0, t));
    ASSERT_OK(
        version_edit_set_flushed(&e, flushed->keyspace, memtable_last_sequence(flushed->table)));
    status st = version_set_install(p->versions, &e, flushed);
    table_meta_unref(t);
    version_edit_deinit(&e);
    return st;
}

static uint64_t tables_of(place *p, uint32_t keyspace) {
    read_view *view = version_set_view(p->versions, keyspace);
    uint64_t count = version_total_tables(view->version);
    read_view_unref(view);
    return count;
}

TEST(version_set, a_new_database_has_the_default_keyspace) {
    place p;
    uint32_t ids[4];
    version_set_facts before, after;
    place_init(&p);
    assert_int_equal(version_set_keyspaces(p.versions, ids, 4), 1);
    assert_int_equal(ids[0], KEYSPACE_DEFAULT);
    version_set_get_facts(p.versions, &before);
    place_reopen(&p);
    version_set_get_facts(p.versions, &after);
    assert_memory_equal(before.database, after.database, 16);
    assert_null(version_set_view(p.versions, 9));
    assert_null(version_set_active(p.versions, 9));
    place_deinit(&p);
}

TEST(version_set, keyspaces_come_back_and_names_are_taken_once) {
    place p;
    uint32_t one, two, ids[4];
    place_init(&p);
    ASSERT_OK(version_set_create_keyspace(p.versions, "one", &one));
    ASSERT_OK(version_set_create_keyspace(p.versions, "two", &two));
    assert_int_equal(one, 1);
    assert_int_equal(two, 2);
    ASSERT_CODE(version_set_create_keyspace(p.versions, "one", &one), FIRN_BUSY);
    place_reopen(&p);
    assert_int_equal(version_set_keyspaces(p.versions, ids, 4), 3);
    ASSERT_CODE(version_set_create_keyspace(p.versions, "two", &one), FIRN_BUSY);
    ASSERT_OK(version_set_create_keyspace(p.versions, "three", &one));
    assert_int_equal(one, 3);
    place_deinit(&p);
}

TEST(version_set, a_sealed_memtable_stays_visible_until_its_tables_are) {
    place p;
    flushed_memtable flushed;
    place_init(&p);
    read_view *before = version_set_view(p.versions, 0);
    ASSERT_OK(version_set_seal(p.versions, 0)); /* empty: nothing to do */
    assert_int_equal(version_set_sealed_count(p.versions, 0), 0);
    assert_false(version_set_take_flush(p.versions, &flushed.keyspace, &flushed.table));
    add_entry(&p, 0, 1, OP_PUT, 100);
    ASSERT_OK(version_set_seal(p.versions, 0));
    assert_int_equal(version_set_sealed_count(p.versions, 0), 1);
    assert_true(version_set_take_flush(p.versions, &flushed.keyspace, &flushed.table));
    uint32_t other;
    memtable *none;
    assert_false(version_set_take_flush(p.versions, &other, &none)); /* one at a time */
    version_set_flush_failed(p.versions, flushed.keyspace, flushed.table);
    assert_true(version_set_take_flush(p.versions, &flushed.keyspace, &flushed.table));
    read_view *during = version_set_view(p.versions, 0);
    assert_int_equal(during->sealed_count, 1);
    assert_ptr_equal(during->sealed[0], before->active);
    ASSERT_OK(install_flush(&p, &flushed, 10, 200));
    read_view *after = version_set_view(p.versions, 0);
    assert_int_equal(after->sealed_count, 0);
    assert_int_equal(version_total_tables(after->version), 1);
    assert_int_equal(version_total_tables(during->version), 0);
    read_view_unref(before);
    read_view_unref(during);
    read_view_unref(after);
    assert_int_equal(version_set_flushed_through(p.versions, 0), 1);
    place_reopen(&p);
    assert_int_equal(tables_of(&p, 0), 1);
    assert_int_equal(version_set_flushed_through(p.versions, 0), 1);
    place_deinit(&p);
}

TEST(version_set, the_log_floor_never_goes_back) {
    place p;
    flushed_memtable a, b;
    uint32_t one;
    version_set_facts facts;
    place_init(&p);
    ASSERT_OK(version_set_create_keyspace(p.versions, "one", &one));
    add_entry(&p, 0, 1, OP_PUT, 100);
    add_entry(&p, one, 2, OP_PUT, 200);
    ASSERT_OK(version_set_seal(p.versions, 0));
    ASSERT_OK(version_set_seal(p.versions, one));
    assert_true(version_set_take_flush(p.versions, &a.keyspace, &a.table));
    assert_true(version_set_take_flush(p.versions, &b.keyspace, &b.table));
    assert_int_equal(a.keyspace, 0); /* which holds back more of the log */
    /* Each looks before either is installed. */
    uint64_t floor_a = version_set_log_floor(p.versions, a.table, 1000);
    uint64_t floor_b = version_set_log_floor(p.versions, b.table, 1000);
    assert_int_equal(floor_a, 200);
    assert_int_equal(floor_b, 100);
    ASSERT_OK(install_flush(&p, &a, 10, floor_a));
    ASSERT_OK(install_flush(&p, &b, 11, floor_b));
    version_set_get_facts(p.versions, &facts);
    assert_int_equal(facts.log_floor_position, 200);
    place_reopen(&p);
    version_set_get_facts(p.versions, &facts);
    assert_int_equal(facts.log_floor_position, 200);
    assert_int_equal(version_set_log_floor(p.versions, NULL, 1000), 1000);
    place_deinit(&p);
}

TEST(version_set, readers_of_large_values_pin_the_log) {
    place p;
    flushed_memtable flushed;
    place_init(&p);
    add_entry(&p, 0, 1, OP_PUT_LARGE, 100);
    read_view *reader = version_set_view(p.versions, 0);
    ASSERT_OK(version_set_seal(p.versions, 0));
    assert_true(version_set_take_flush(p.versions, &flushed.keyspace, &flushed.table));
    ASSERT_OK(install_flush(&p, &flushed, 10, 900));
    assert_int_equal(version_set_log_pinned(p.versions), 100);
    assert_int_equal(version_set_log_pinned(p.versions), 100);
    read_view_unref(reader);
    assert_int_equal(version_set_log_pinned(p.versions), UINT64_MAX);
    /* Small values need no log once they are in tables. */
    add_entry(&p, 0, 2, OP_PUT, 900);
    reader = version_set_view(p.versions, 0);
    ASSERT_OK(version_set_seal(p.versions, 0));
    assert_true(version_set_take_flush(p.versions, &flushed.keyspace, &flushed.table));
    ASSERT_OK(install_flush(&p, &flushed, 11, 950));
    assert_int_equal(version_set_log_pinned(p.versions), UINT64_MAX);
    read_view_unref(reader);
    place_deinit(&p);
}

TEST(version_set, tables_that_were_removed_die_with_their_last_reader) {
    place p;
    version_edit e = {0};
    place_init(&p);
    fixture_add(&e, 1, 5, "a", "c");
    ASSERT_OK(version_set_install(p.versions, &e, NULL));
    version_edit_deinit(&e);
    read_view *reader = version_set_view(p.versions, 0);
    ASSERT_OK(version_edit_remove_table(&e, 0, 1, 5));
    fixture_add(&e, 2, 6, "a", "c");
    ASSERT_OK(version_set_install(p.versions, &e, NULL));
    version_edit_deinit(&e);
    assert_null(graveyard_take(&p.grave));
    read_view_unref(reader);
    table_meta *dead = graveyard_take(&p.grave);
    assert_non_null(dead);
    assert_int_equal(dead->where.number, 5);
    table_meta_bury(dead);
    /* A table that only changes its level lives on. */
    read_view *view = version_set_view(p.versions, 0);
    table_meta *moved = view->version->levels[2].tables[0];
    ASSERT_OK(version_edit_remove_table(&e, 0, 2, 6));
    ASSERT_OK(version_edit_add_table(&e, 3, moved));
    read_view_unref(view);
    ASSERT_OK(version_set_install(p.versions, &e, NULL));
    version_edit_deinit(&e);
    assert_null(graveyard_take(&p.grave));
    assert_int_equal(tables_of(&p, 0), 1);
    place_reopen(&p);
    assert_int_equal(tables_of(&p, 0), 1);
    place_deinit(&p);
}

TEST(version_set, an_edit_that_does_not_fit_changes_nothing) {
    place p;
    version_edit e = {0};
    version_set_facts facts;
    place_init(&p);
    ASSERT_OK(version_edit_remove_table(&e, 0, 1, 77));
    ASSERT_CODE(version_set_install(p.versions, &e, NULL), FIRN_CORRUPTION);
    version_edit_deinit(&e);
    version_set_get_facts(p.versions, &facts);
    assert_false(facts.poisoned);
    place_reopen(&p);
    assert_int_equal(tables_of(&p, 0), 0);
    place_deinit(&p);
}

TEST(version_set, file_numbers_are_never_given_twice) {
    place p;
    place_init(&p);
    uint64_t first = version_set_new_file_number(p.versions);
    assert_int_equal(version_set_new_file_number(p.versions), first + 1);
    version_set_note_file_number(p.versions, 500);
    assert_int_equal(version_set_new_file_number(p.versions), 501);
    version_set_note_file_number(p.versions, 3);
    version_edit e = {0};
    ASSERT_OK(version_set_install(p.versions, &e, NULL));
    place_reopen(&p);
    assert_true(version_set_new_file_number(p.versions) >= 502);
    place_deinit(&p);
}

static int compare_nothing(void *context, firn_slice a, firn_slice b) {
    (void)context;
    return slice_compare(a, b);
}

TEST(version_set, another_order_is_refused) {
    static const firn_comparator other = {"test.other", NULL, compare_nothing};
    place p;
    place_init(&p);
    version_set_unref(p.versions);
    version_set_args args = {.vfs = vfs_mem_vfs(p.disk),
                             .directory = "/db",
                             .order = {&other},
                             .memtable_bytes = MEMTABLE_BYTES,
                             .readers = &p.readers,
                             .grave = &p.grave};
    ASSERT_OK(version_set_new(&args, &p.versions));
    ASSERT_CODE(version_set_recover(p.versions), FIRN_INVALID_ARGUMENT);
    place_deinit(&p);
}

TEST_MAIN(RUN(version_set, a_new_database_has_the_default_keyspace),
          RUN(version_set, keyspaces_come_back_and_names_are_taken_once),
          RUN(version_set, a_sealed_memtable_stays_visible_until_its_tables_are),
          RUN(version_set, the_log_floor_never_goes_back),
          RUN(version_set, readers_of_large_values_pin_the_log),
          RUN(version_set, tables_that_were_removed_die_with_their_last_reader),
          RUN(version_set, an_edit_that_does_not_fit_changes_nothing),
          RUN(version_set, file_numbers_are_never_given_twice),
          RUN(version_set, another_order_is_refused))
