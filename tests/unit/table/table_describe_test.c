#include "table_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "table/table_internal.h"

typedef struct describe_test_text {
    char text[20000];
    size_t size;
    int lines, stop_after;
} describe_test_text;

static int describe_test_line(void *context, const char *line) {
    describe_test_text *t = context;
    size_t size = strlen(line);
    assert_true(t->size + size + 2 < sizeof t->text);
    memcpy(t->text + t->size, line, size);
    t->size += size;
    t->text[t->size++] = '\n';
    t->text[t->size] = 0;
    return ++t->lines == t->stop_after;
}

static void describe_test_table_indexed(fixture *f, uint32_t partition_bytes) {
    fixture_init(f);
    table_builder_args args = fixture_args();
    args.block_bytes = 64;
    args.index_partition_bytes = partition_bytes;
    slice value = slice_from_string("0123456789012345678901234567890123456789");
    fixture_add(f, slice_from_string("a\n"), 3, OP_PUT, value);
    fixture_add(f, slice_from_string("b"), 4, OP_DELETE, slice_from_string(""));
    fixture_add(f, slice_from_string("c"), 5, OP_PUT_LARGE, value);
    fixture_add(f, slice_from_string("d"), 6, OP_PUT, value);
    fixture_sort(f, args.order);
    fixture_build(f, &args);
}

static void describe_test_table(fixture *f) {
    describe_test_table_indexed(f, 0);
}

TEST(table_describe, shows_partitions_of_the_index_and_goes_on_behind_a_damaged_one) {
    fixture f;
    describe_test_text text = {0}, damaged = {0};
    uint64_t bytes;
    describe_test_table_indexed(&f, 1);
    table *t = fixture_open(&f, NULL);
    assert_int_equal(t->top.count, 2);
    ASSERT_OK(table_describe(t, describe_test_line, &text));
    assert_non_null(strstr(text.text, "top of the index "));
    const char *second = strstr(text.text, "partition 1 of the index: offset ");
    assert_non_null(second);
    assert_non_null(strstr(second, "1 blocks\nblock 1: offset "));
    fixture_bytes(&f, &bytes)[table_index_handle(&t->top, 0).offset]++;
    ASSERT_CODE(table_describe(t, describe_test_line, &damaged), FIRN_CORRUPTION);
    assert_non_null(strstr(damaged.text, "partition 0: offset "));
    assert_non_null(strstr(damaged.text, "DAMAGED"));
    assert_null(strstr(damaged.text, "block 0: "));
    assert_non_null(strstr(damaged.text, "block 1: "));
    table_unref(t);
    fixture_deinit(&f);
}

TEST(table_describe, shows_footer_properties_blocks_and_extents) {
    fixture f;
    describe_test_text text = {0};
    describe_test_table(&f);
    table *t = fixture_open(&f, NULL);
    ASSERT_OK(table_describe(t, describe_test_line, &text));
    static const char *const expected[] = {
        "identity 0102030405060708090a0b0c0d0e0f10",
        "comparator           firn.bytewise",
        "entries.delete       1\n",
        "lines of 64 bytes",
        "none, raw ",
        "1 deletes, \"a\\n\" @3 put .. \"b\" @4 delete\n",
        "extent: offset 82, 40 bytes in 1 chunks, \"c\" @5 large put\n",
    };
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        if (!strstr(text.text, expected[i]))
            print_error("'%s' is not in:\n%s", expected[i], text.text);
        assert_non_null(strstr(text.text, expected[i]));
    }
    table_unref(t);
    fixture_deinit(&f);
}

TEST(table_describe, names_damage_and_goes_on_behind_it) {
    fixture f;
    describe_test_text text = {0};
    describe_test_table(&f);
    table *t = fixture_open(&f, NULL);
    uint64_t bytes;
    assert_int_equal(t->index.count, 2);
    fixture_bytes(&f, &bytes)[table_index_handle(&t->index, 0).offset]++;
    ASSERT_CODE(table_describe(t, describe_test_line, &text), FIRN_CORRUPTION);
    assert_non_null(strstr(text.text, "DAMAGED"));
    assert_non_null(strstr(text.text, "block 1:"));
    table_unref(t);
    fixture_deinit(&f);
}

TEST(table_describe, stops_when_told) {
    fixture f;
    describe_test_table(&f);
    table *t = fixture_open(&f, NULL);
    for (int lines = 1; lines < 25; lines++) {
        describe_test_text text = {.stop_after = lines};
        ASSERT_OK(table_describe(t, describe_test_line, &text));
        assert_int_equal(text.lines, lines);
    }
    table_unref(t);
    fixture_deinit(&f);
}

TEST_MAIN(RUN(table_describe, shows_partitions_of_the_index_and_goes_on_behind_a_damaged_one),
          RUN(table_describe, shows_footer_properties_blocks_and_extents),
          RUN(table_describe, names_damage_and_goes_on_behind_it),
          RUN(table_describe, stops_when_told))
