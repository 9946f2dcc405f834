#include "version/version.h"

#include <stdio.h>

#include "lib/test.h"
#include "unit/version/version_fixture.h"

static version *empty_version(void) {
    version *v;
    ASSERT_OK(version_new_empty((key_order){NULL}, &v));
    return v;
}

/* Takes `base` and gives what the edit makes of it; empties the edit. */
static version *edited(version *base, version_edit *e) {
    version *v;
    ASSERT_OK(version_new_edited(base, e, 0, NULL, &v));
    version_unref(base);
    version_edit_deinit(e);
    return v;
}

static void expect_level(const version *v, uint32_t level, const char *numbers) {
    char text[128] = "";
    for (uint32_t i = 0; i < v->levels[level].count; i++)
        sprintf(text + strlen(text), "%s%llu", i ? " " : "",
                (unsigned long long)v->levels[level].tables[i]->where.number);
    assert_string_equal(text, numbers);
    assert_int_equal(v->levels[level].bytes, 1000ull * v->levels[level].count);
}

TEST(version, orders_l0_newest_first_and_the_rest_by_key) {
    version_edit e = {0};
    fixture_add(&e, 0, 4, "a", "z");
    fixture_add(&e, 0, 9, "c", "d");
    fixture_add(&e, 0, 6, "a", "b");
    fixture_add(&e, 2, 7, "m", "p");
    fixture_add(&e, 2, 3, "x", "z");
    fixture_add(&e, 2, 8, "a", "c");
    version *v = edited(empty_version(), &e);
    expect_level(v, 0, "9 6 4");
    expect_level(v, 1, "");
    expect_level(v, 2, "8 7 3");
    assert_int_equal(version_total_tables(v), 6);
    assert_int_equal(version_total_bytes(v), 6000);
    version_unref(v);
}

TEST(version, an_edit_moves_tables_between_levels) {
    version_edit e = {0};
    fixture_add(&e, 1, 1, "a", "c");
    fixture_add(&e, 1, 2, "d", "f");
    fixture_add(&e, 2, 3, "a", "z");
    version *v = edited(empty_version(), &e);
    ASSERT_OK(version_edit_remove_table(&e, 0, 1, 1));
    ASSERT_OK(version_edit_remove_table(&e, 0, 2, 3));
    fixture_add(&e, 2, 4, "a", "m");
    fixture_add(&e, 2, 5, "n", "z");
    v = edited(v, &e);
    expect_level(v, 1, "2");
    expect_level(v, 2, "4 5");
    assert_null(version_find_table(v, 1, 1));
    assert_int_equal(version_find_table(v, 2, 5)->where.number, 5);
    assert_null(version_find_table(v, 3, 5));
    version_unref(v);
}

TEST(version, minds_only_its_keyspace) {
    version_edit e = {0};
    table_meta *other = fixture_table(5, 3, "a", "z", 1);
    ASSERT_OK(version_edit_add_table(&e, 1, other));
    ASSERT_OK(version_edit_remove_table(&e, 3, 1, 77));
    table_meta_unref(other);
    version *v = edited(empty_version(), &e);
    assert_int_equal(version_total_tables(v), 0);
    version_unref(v);
}

static void expect_refused(version_edit *e) {
    version *base = empty_version(), *v;
    version_edit first = {0};
    fixture_add(&first, 1, 1, "d", "f");
    base = edited(base, &first);
    ASSERT_CODE(version_new_edited(base, e, 0, NULL, &v), FIRN_CORRUPTION);
    assert_null(v);
    version_unref(base);
    version_edit_deinit(e);
}

TEST(version, refuses_edits_that_do_not_fit) {
    version_edit e = {0};
    ASSERT_OK(version_edit_remove_table(&e, 0, 1, 9)); /* not there */
    expect_refused(&e);
    ASSERT_OK(version_edit_remove_table(&e, 0, 2, 1)); /* on another level */
    expect_refused(&e);
    fixture_add(&e, 1, 2, "a", "d"); /* shares a key */
    expect_refused(&e);
    fixture_add(&e, 1, 2, "e", "e"); /* inside */
    expect_refused(&e);
    fixture_add(&e, 1, 1, "x", "z"); /* there already */
    expect_refused(&e);
    fixture_add(&e, 0, 1, "x", "z"); /* there already, on another level */
    expect_refused(&e);
}

TEST(version, finds_the_table_for_a_key) {
    version_edit e = {0};
    fixture_add(&e, 3, 1, "b", "d");
    fixture_add(&e, 3, 2, "f", "h");
    version *v = edited(empty_version(), &e);
    static const struct {
        const char *key;
        uint32_t position;
    } cases[] = {{"a", 0}, {"b", 0}, {"d", 0}, {"e", 1}, {"h", 1}, {"i", 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        seek_key seek;
        ASSERT_OK(seek_key_init(&seek, user_key_of(slice_from_string(cases[i].key)), SEQNO_MAX));
        assert_int_equal(version_level_find(v, 3, seek.key), cases[i].position);
        seek_key_deinit(&seek);
    }
    user_key c = user_key_of(slice_from_string("c")), e_key = user_key_of(slice_from_string("e"));
    user_key g = user_key_of(slice_from_string("g"));
    assert_true(version_overlaps_below(v, 1, c, c));
    assert_true(version_overlaps_below(v, 3, e_key, g));
    assert_false(version_overlaps_below(v, 1, e_key, e_key));
    assert_false(version_overlaps_below(v, 4, c, g));
    version_unref(v);
}

static void count_wake(void *context) {
    ++*(int *)context;
}

TEST(version, hands_obsolete_tables_to_the_graveyard_with_the_last_reference) {
    int wakes = 0;
    graveyard grave = {.wake = count_wake, .context = &wakes};
    version_edit e = {0};
    version *base = empty_version(), *first, *second;
    fixture_add(&e, 1, 1, "a", "b");
    ASSERT_OK(version_new_edited(base, &e, 0, &grave, &first));
    version_edit_deinit(&e);
    ASSERT_OK(version_edit_remove_table(&e, 0, 1, 1));
    ASSERT_OK(version_new_edited(first, &e, 0, &grave, &second));
    /* relaxed: one thread. */
    atomic_u32_store(&first->levels[1].tables[0]->obsolete, 1, memory_order_relaxed);
    version_ref(first); /* a reader */
    version_unref(first);
    assert_int_equal(wakes, 0);
    version_unref(first);
    assert_int_equal(wakes, 1);
    table_meta *dead = graveyard_take(&grave);
    assert_int_equal(dead->where.number, 1);
    assert_null(dead->next_dead);
    table_meta_bury(dead);
    assert_null(graveyard_take(&grave));
    version_edit_deinit(&e);
    version_unref(second);
    version_unref(base);
}

TEST_MAIN(RUN(version, orders_l0_newest_first_and_the_rest_by_key),
          RUN(version, an_edit_moves_tables_between_levels), RUN(version, minds_only_its_keyspace),
          RUN(version, refuses_edits_that_do_not_fit), RUN(version, finds_the_table_for_a_key),
          RUN(version, hands_obsolete_tables_to_the_graveyard_with_the_last_reference))
