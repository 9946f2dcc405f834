#include "lib/test.h"

#include <string.h>

#include "table/footer.h"
#include "util/coding.h"
#include "util/crc32c.h"

static const block_place footer_test_place = {"test", 1000};

static void footer_test_make(uint8_t out[TABLE_FOOTER_BYTES]) {
    table_footer footer = {{0x1122334455, 77}, {0x99, 1u << 20}, {1, 2, 3}, TABLE_FORMAT, false};
    footer.identity[15] = 0xee;
    table_footer_encode(&footer, out);
}

/* With the checksum its bytes deserve. */
static void footer_test_reseal(uint8_t *bytes) {
    uint32_t crc = crc32c_extend(crc32c_extend(0, bytes, 56), bytes + 60, 12);
    encode_fixed32(bytes + 56, crc);
}

TEST(footer, round_trips_and_ends_with_the_magic) {
    uint8_t bytes[TABLE_FOOTER_BYTES];
    table_footer footer;
    footer_test_make(bytes);
    assert_memory_equal(bytes + 64, "FIRN-SST", 8);
    assert_int_equal(decode_fixed32(bytes + 60), TABLE_FORMAT);
    ASSERT_OK(table_footer_decode(bytes, footer_test_place, &footer));
    assert_int_equal(footer.meta_index.offset, 0x1122334455);
    assert_int_equal(footer.meta_index.bytes, 77);
    assert_int_equal(footer.index.offset, 0x99);
    assert_int_equal(footer.index.bytes, 1u << 20);
    assert_int_equal(footer.identity[0], 1);
    assert_int_equal(footer.identity[15], 0xee);
    assert_int_equal(footer.format, TABLE_FORMAT);
    footer.format = TABLE_FORMAT_FIRST;
    table_footer_encode(&footer, bytes);
    assert_int_equal(decode_fixed32(bytes + 60), 1);
    ASSERT_OK(table_footer_decode(bytes, footer_test_place, &footer));
    assert_int_equal(footer.format, 1);
}

TEST(footer, every_flipped_bit_is_refused) {
    uint8_t bytes[TABLE_FOOTER_BYTES];
    table_footer footer;
    footer_test_make(bytes);
    for (int i = 0; i < TABLE_FOOTER_BYTES * 8; i++) {
        bytes[i / 8] ^= (uint8_t)(1 << i % 8);
        status st = table_footer_decode(bytes, footer_test_place, &footer);
        assert_true(status_is(st, FIRN_CORRUPTION) || status_is(st, FIRN_NOT_SUPPORTED));
        assert_int_equal(footer.index.bytes, 0);
        bytes[i / 8] ^= (uint8_t)(1 << i % 8);
    }
}

TEST(footer, a_partitioned_index_begins_with_format_3) {
    uint8_t bytes[TABLE_FOOTER_BYTES];
    table_footer footer;
    footer_test_make(bytes);
    ASSERT_OK(table_footer_decode(bytes, footer_test_place, &footer));
    assert_false(footer.is_partitioned);
    footer.is_partitioned = true;
    table_footer_encode(&footer, bytes);
    assert_int_equal(decode_fixed32(bytes + 48), 2);
    ASSERT_OK(table_footer_decode(bytes, footer_test_place, &footer));
    assert_true(footer.is_partitioned);
    encode_fixed32(bytes + 60, 2);
    footer_test_reseal(bytes);
    ASSERT_CODE(table_footer_decode(bytes, footer_test_place, &footer), FIRN_NOT_SUPPORTED);
    assert_non_null(strstr(error_detail_get(), "an index (kind 2"));
}

TEST(footer, features_of_later_builds_are_not_supported) {
    const struct {
        int place;
        const char *said;
    } features[] = {{48, "index"}, {52, "features"}, {60, "format"}};
    for (int i = 0; i < 3; i++) {
        uint8_t bytes[TABLE_FOOTER_BYTES];
        table_footer footer;
        footer_test_make(bytes);
        bytes[features[i].place] += 2;
        footer_test_reseal(bytes);
        ASSERT_CODE(table_footer_decode(bytes, footer_test_place, &footer), FIRN_NOT_SUPPORTED);
        assert_non_null(strstr(error_detail_get(), features[i].said));
    }
}

TEST_MAIN(RUN(footer, round_trips_and_ends_with_the_magic),
          RUN(footer, every_flipped_bit_is_refused),
          RUN(footer, a_partitioned_index_begins_with_format_3),
          RUN(footer, features_of_later_builds_are_not_supported))
