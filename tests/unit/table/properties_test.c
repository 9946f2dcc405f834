#include "lib/test.h"

#include <string.h>

#include "table/properties.h"

static const block_place properties_test_place = {"test", 0};

/* Finishes `b` and hands on what the decoder says of it. */
static status properties_test_decode(block_builder *b, table_properties *out, slice *comparator) {
    slice raw;
    static uint8_t bytes[4096];
    block_view view;
    ASSERT_OK(block_builder_finish(b, &raw));
    assert_true(raw.size + BLOCK_SLACK_BYTES <= sizeof bytes);
    slice_copy_to(raw, bytes);
    assert_true(block_view_init(&view, slice_of(bytes, raw.size)));
    block_builder_deinit(b);
    return properties_decode(&view, properties_test_place, out, comparator);
}

static table_properties properties_test_make(void) {
    return (table_properties){.data_blocks = 1,
                              .entries = UINT64_MAX,
                              .deletes = 3,
                              .range_tombstones = 4,
                              .raw_key_bytes = 5u << 30,
                              .raw_value_bytes = 6,
                              .large_count = 7,
                              .large_bytes = 1ull << 40,
                              .min_sequence = 9,
                              .max_sequence = SEQNO_MAX,
                              .min_expiry = 11,
                              .max_expiry = 12,
                              .keyspace = UINT32_MAX,
                              .filter_bits_per_key = 14};
}

TEST(properties, round_trip_and_skip_unknown_names) {
    table_properties in = properties_test_make(), out = {0};
    slice comparator;
    block_builder b;
    block_builder_init(&b, 1);
    block_builder_add(&b, slice_from_string("a.name.of.later"), 0, slice_from_string("??"));
    properties_encode(&in, "some.order", &b);
    block_builder_add(&b, slice_from_string("zzz"), 0, slice_from_string(""));
    ASSERT_OK(properties_test_decode(&b, &out, &comparator));
    assert_memory_equal(&in, &out, sizeof in);
    assert_true(slice_equal(comparator, slice_from_string("some.order")));
}

TEST(properties, a_prefix_rule_of_a_later_build_is_left_alone) {
    table_properties in = properties_test_make(), out = {0};
    slice comparator;
    for (int i = 0; i < 3; i++) {
        block_builder b;
        block_builder_init(&b, 1);
        in.prefix = i == 0 ? 0 : i == 1 ? 17 : PREFIX_UNTIL + 0xfe;
        properties_encode(&in, "some.order", &b);
        ASSERT_OK(properties_test_decode(&b, &out, &comparator));
        assert_int_equal(out.prefix, in.prefix);
    }
    block_builder b;
    block_builder_init(&b, 1);
    in.prefix = 0;
    properties_encode(&in, "some.order", &b);
    block_builder_add(&b, slice_from_string("prefix"), 0, slice_from_string("third-word"));
    ASSERT_OK(properties_test_decode(&b, &out, &comparator));
    assert_int_equal(out.prefix, 0);
}

TEST(properties, are_stored_in_the_order_of_their_names) {
    table_properties in = properties_test_make();
    block_builder b;
    slice raw, name, value, previous = SLICE_UNSET;
    block_view view;
    int count = 0;
    block_builder_init(&b, 1);
    in.prefix = 1;
    properties_encode(&in, "some.order", &b);
    ASSERT_OK(block_builder_finish(&b, &raw));
    assert_true(block_view_init(&view, raw));
    block_cursor cursor = block_cursor_first(&view);
    for (;;) {
        ASSERT_OK(block_cursor_next(&cursor, properties_test_place, &name, &value));
        if (!slice_is_set(name))
            break;
        assert_true(!slice_is_set(previous) || slice_compare(previous, name) < 0);
        previous = name;
        count++;
    }
    assert_int_equal(count, 16);
    block_builder_deinit(&b);
}

TEST(properties, missing_or_malformed_ones_are_corruption) {
    table_properties in = properties_test_make(), out;
    slice comparator;
    block_builder b;
    block_builder_init(&b, 1);
    block_builder_add(&b, slice_from_string("comparator"), 0, slice_from_string("x"));
    ASSERT_CODE(properties_test_decode(&b, &out, &comparator), FIRN_CORRUPTION);
    assert_non_null(strstr(error_detail_get(), "missing"));
    static const slice bad[] = {{(const uint8_t *)"", 0},
                                {(const uint8_t *)"\1\1", 2},
                                {(const uint8_t *)"\xff", 1},
                                {(const uint8_t *)"\xff\xff\xff\xff\xff\1", 6}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        block_builder_init(&b, 1);
        properties_encode(&in, "some.order", &b);
        block_builder_add(&b, slice_from_string("keyspace"), 0, bad[i]);
        ASSERT_CODE(properties_test_decode(&b, &out, &comparator), FIRN_CORRUPTION);
        assert_non_null(strstr(error_detail_get(), "malformed"));
    }
}

static int properties_test_line(void *context, const char *line) {
    int *left = context;
    assert_true(strlen(line) > 10);
    return --*left == 0;
}

TEST(properties, print_until_told_to_stop) {
    table_properties in = properties_test_make();
    int left = 100;
    assert_true(properties_print(&in, properties_test_line, &left));
    assert_int_equal(left, 86);
    left = 3;
    assert_false(properties_print(&in, properties_test_line, &left));
    assert_int_equal(left, 0);
}

TEST_MAIN(RUN(properties, round_trip_and_skip_unknown_names),
          RUN(properties, a_prefix_rule_of_a_later_build_is_left_alone),
          RUN(properties, are_stored_in_the_order_of_their_names),
          RUN(properties, missing_or_malformed_ones_are_corruption),
          RUN(properties, print_until_told_to_stop))
