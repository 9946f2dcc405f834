#include "version/version_edit.h"

#include <stdlib.h>

#include "lib/test.h"
#include "unit/version/version_fixture.h"
#include "util/rng.h"

static version_edit edit_with_everything(void) {
    version_edit e = {.has_database = true,
                      .has_next_file = true,
                      .next_file = 300,
                      .has_last_sequence = true,
                      .last_sequence = 1u << 20,
                      .has_log_floor = true,
                      .log_floor_segment = 7,
                      .log_floor_position = 4096,
                      .has_clean_end = true,
                      .clean_end = 9000};
    memcpy(e.database, "0123456789abcdef", 16);
    ASSERT_OK(version_edit_create_keyspace(&e, 0, "default", "firn.bytewise"));
    ASSERT_OK(version_edit_drop_keyspace(&e, 5));
    ASSERT_OK(version_edit_set_flushed(&e, 0, 99));
    ASSERT_OK(version_edit_remove_table(&e, 0, 3, 41));
    table_meta *t = fixture_table(42, 0, "a", "zz", 7);
    ASSERT_OK(version_edit_add_table(&e, 2, t));
    table_meta_unref(t);
    return e;
}

TEST(version_edit, comes_back_from_its_bytes) {
    version_edit e = edit_with_everything(), back;
    buf bytes = {0};
    version_edit_encode(&e, &bytes);
    ASSERT_OK(version_edit_decode(buf_slice(&bytes), &back));
    assert_true(back.has_database && back.has_next_file && back.has_last_sequence &&
                back.has_log_floor && back.has_clean_end);
    assert_memory_equal(back.database, "0123456789abcdef", 16);
    assert_int_equal(back.next_file, 300);
    assert_int_equal(back.last_sequence, 1u << 20);
    assert_int_equal(back.log_floor_segment, 7);
    assert_int_equal(back.log_floor_position, 4096);
    assert_int_equal(back.clean_end, 9000);
    assert_int_equal(back.keyspace_count, 2);
    assert_string_equal(back.keyspaces[0].name, "default");
    assert_string_equal(back.keyspaces[0].comparator, "firn.bytewise");
    assert_true(back.keyspaces[1].dropped && back.keyspaces[1].id == 5);
    assert_int_equal(back.flushed_count, 1);
    assert_int_equal(back.flushed[0].sequence, 99);
    assert_int_equal(back.removed_count, 1);
    assert_int_equal(back.removed[0].level, 3);
    assert_int_equal(back.removed[0].number, 41);
    assert_int_equal(back.added_count, 1);
    assert_int_equal(back.added[0].level, 2);
    const table_meta *t = back.added[0].table, *was = e.added[0].table;
    assert_int_equal(t->where.number, 42);
    assert_memory_equal(t->where.identity, was->where.identity, 16);
    assert_int_equal(t->where.file_bytes, was->where.file_bytes);
    assert_int_equal(t->entries, was->entries);
    assert_int_equal(t->max_sequence, 7);
    assert_true(slice_equal(t->smallest.s, was->smallest.s));
    assert_true(slice_equal(t->largest.s, was->largest.s));
    version_edit_deinit(&back);
    version_edit_deinit(&e);
    buf_deinit(&bytes);
}

static status edit_history_back(const table_meta *fields, table_meta *out) {
    version_edit e = {0}, back;
    buf bytes = {0};
    table_meta *t;
    ASSERT_OK(table_meta_new(fields, &t));
    ASSERT_OK(version_edit_add_table(&e, 6, t));
    version_edit_encode(&e, &bytes);
    status st = version_edit_decode(buf_slice(&bytes), &back);
    if (status_is_ok(st))
        *out = *back.added[0].table;
    version_edit_deinit(&back);
    version_edit_deinit(&e);
    table_meta_unref(t);
    buf_deinit(&bytes);
    return st;
}

TEST(version_edit, carries_the_history_of_a_table) {
    table_meta back, *plain = fixture_table(42, 0, "a", "zz", 7);
    table_meta fields = *plain;
    ASSERT_OK(edit_history_back(&fields, &back));
    assert_int_equal(back.newest_ms + back.written_ms + back.hidden_versions + back.expiring, 0);
    fields.entries = 9;
    fields.newest_ms = 1700000000000;
    fields.written_ms = UINT64_MAX;
    fields.hidden_versions = 4;
    ASSERT_OK(edit_history_back(&fields, &back));
    assert_int_equal(back.newest_ms, 1700000000000);
    assert_int_equal(back.written_ms, UINT64_MAX);
    assert_int_equal(back.hidden_versions, 4);
    fields.expiring = 9;
    for (uint64_t i = 0; i < EXPIRY_PARTS; i++)
        fields.expiry_parts[i] = i < 7 ? 1000 + i : UINT64_MAX;
    ASSERT_OK(edit_history_back(&fields, &back));
    assert_memory_equal(back.expiry_parts, fields.expiry_parts, sizeof back.expiry_parts);
    fields.hidden_versions = 10; /* more than there are entries */
    assert_int_equal(edit_history_back(&fields, &back).code, FIRN_CORRUPTION);
    fields.hidden_versions = 0;
    fields.expiring = 10;
    assert_int_equal(edit_history_back(&fields, &back).code, FIRN_CORRUPTION);
    table_meta_unref(plain);
}

TEST(version_edit, refuses_the_history_of_another_table) {
    static const uint8_t lonely[] = {11, 6, 0, 42, 1, 1, 0, 0};
    version_edit back;
    assert_int_equal(version_edit_decode(slice_of(lonely, sizeof lonely), &back).code,
                     FIRN_CORRUPTION);
    version_edit_deinit(&back);
}

/* docs/format/manifest.md: tag, length, field. */
TEST(version_edit, has_the_documented_bytes) {
    static const uint8_t golden[] = {
        2,  2, 0xac, 0x02,                    /* next file 300 */
        4,  3, 7,    0x80, 0x20,              /* log floor: segment 7, position 4096 */
        5,  1, 5,                             /* clean end 5 */
        6,  6, 1,    2,    'k',  's', 1, 'c', /* keyspace 1 "ks", order "c" */
        7,  1, 4,                             /* keyspace 4 dropped */
        8,  2, 1,    9,                       /* keyspace 1 is in tables through 9 */
        10, 3, 1,    6,    12,                /* table 12 leaves level 6 of keyspace 1 */
    };
    version_edit e = {.has_next_file = true,
                      .next_file = 300,
                      .has_log_floor = true,
                      .log_floor_segment = 7,
                      .log_floor_position = 4096,
                      .has_clean_end = true,
                      .clean_end = 5};
    buf bytes = {0};
    ASSERT_OK(version_edit_create_keyspace(&e, 1, "ks", "c"));
    ASSERT_OK(version_edit_drop_keyspace(&e, 4));
    ASSERT_OK(version_edit_set_flushed(&e, 1, 9));
    ASSERT_OK(version_edit_remove_table(&e, 1, 6, 12));
    version_edit_encode(&e, &bytes);
    assert_int_equal(bytes.size, sizeof golden);
    assert_memory_equal(bytes.data, golden, sizeof golden);
    version_edit_deinit(&e);
    buf_deinit(&bytes);
}

TEST(version_edit, of_nothing_is_nothing) {
    version_edit e = {0}, back;
    buf bytes = {0};
    version_edit_encode(&e, &bytes);
    assert_int_equal(bytes.size, 0);
    ASSERT_OK(version_edit_decode(buf_slice(&bytes), &back));
    version_edit_deinit(&back);
    version_edit_deinit(&e);
    buf_deinit(&bytes);
}

TEST(version_edit, unknown_fields_are_of_a_newer_version) {
    static const uint8_t bytes[] = {12, 1, 0};
    version_edit e;
    ASSERT_CODE(version_edit_decode(slice_of(bytes, sizeof bytes), &e), FIRN_NOT_SUPPORTED);
    assert_non_null(strstr(error_detail_get(), "field 12"));
    version_edit_deinit(&e);
}

TEST(version_edit, malformed_fields_are_corruption) {
    static const struct {
        uint8_t bytes[8];
        size_t size;
    } bad[] = {
        {{2}, 1},                     /* no length */
        {{2, 5, 1}, 3},               /* length beyond the end */
        {{2, 2, 1, 1}, 4},            /* bytes behind the number */
        {{2, 1, 0x80}, 3},            /* number without end */
        {{1, 3, 'a', 'b', 'c'}, 5},   /* identity too short */
        {{4, 1, 7}, 3},               /* half a floor */
        {{10, 3, 0, 7, 1}, 5},        /* level 7 does not exist */
        {{6, 5, 1, 2, 'k', 0, 0}, 7}, /* a zero byte in a name */
        {{9, 2, 0, 0}, 4},            /* a table of nothing */
        {{7, 2, 1, 1}, 4},            /* a drop with something behind it */
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        version_edit e;
        ASSERT_CODE(version_edit_decode(slice_of(bad[i].bytes, bad[i].size), &e), FIRN_CORRUPTION);
        version_edit_deinit(&e);
    }
}

static int ignore_line(void *context, const char *line) {
    (void)context;
    (void)line;
    return 0;
}

TEST(version_edit, random_damage_is_survived) {
    rng random;
    rng_init(&random, test_seed());
    version_edit e = edit_with_everything();
    buf bytes = {0};
    version_edit_encode(&e, &bytes);
    for (uint64_t i = 0; i < test_scaled(20000); i++) {
        version_edit back;
        size_t size = rng_below(&random, bytes.size + 1);
        uint8_t *copy = malloc(size + 1); /* of the exact size, for the sanitizers */
        memcpy(copy, bytes.data, size);
        for (uint64_t flips = rng_below(&random, 5); size && flips > 0; flips--)
            copy[rng_below(&random, size)] = (uint8_t)rng_next(&random);
        status st = version_edit_decode(slice_of(copy, size), &back);
        assert_true(status_is_ok(st) || status_is(st, FIRN_CORRUPTION) ||
                    status_is(st, FIRN_NOT_SUPPORTED));
        version_edit_deinit(&back);
        (void)!status_is_ok(version_edit_describe(slice_of(copy, size), ignore_line, NULL));
        free(copy);
    }
    buf_deinit(&bytes);
    version_edit_deinit(&e);
}

TEST(version_edit, grows_to_many_tables) {
    version_edit e = {0}, back;
    buf bytes = {0};
    for (uint64_t i = 1; i <= 1000; i++) {
        table_meta *t = fixture_table(i, 0, "a", "b", i);
        ASSERT_OK(version_edit_add_table(&e, 0, t));
        ASSERT_OK(version_edit_remove_table(&e, 0, 0, i));
        table_meta_unref(t);
    }
    version_edit_encode(&e, &bytes);
    ASSERT_OK(version_edit_decode(buf_slice(&bytes), &back));
    assert_int_equal(back.added_count, 1000);
    assert_int_equal(back.added[999].table->where.number, 1000);
    assert_int_equal(back.removed_count, 1000);
    version_edit_deinit(&back);
    version_edit_deinit(&e);
    buf_deinit(&bytes);
}

TEST_MAIN(RUN(version_edit, comes_back_from_its_bytes),
          RUN(version_edit, carries_the_history_of_a_table),
          RUN(version_edit, refuses_the_history_of_another_table),
          RUN(version_edit, has_the_documented_bytes), RUN(version_edit, of_nothing_is_nothing),
          RUN(version_edit, unknown_fields_are_of_a_newer_version),
          RUN(version_edit, malformed_fields_are_corruption),
          RUN(version_edit, random_damage_is_survived), RUN(version_edit, grows_to_many_tables))
