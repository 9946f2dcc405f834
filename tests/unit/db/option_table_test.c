#include "db/option_table.h"

#include "lib/test.h"

TEST(option_table, reads_numbers_with_suffixes) {
    static const struct {
        const char *text;
        uint64_t value; /* 0: refused */
    } cases[] = {
        {"1", 1},
        {"4096", 4096},
        {"64K", 64 << 10},
        {"64k", 64 << 10},
        {"3M", 3 << 20},
        {"2G", 2ull << 30},
        {"1T", 1ull << 40},
        {"5MB", 5 << 20},
        {"5MiB", 5 << 20},
        {"none", FIRN_NONE},
        {"18446744073709551614", UINT64_MAX - 1},
        {"18446744073709551616", 0},
        {"99999999T", 0},
        {"", 0},
        {"-1", 0},
        {"+1", 0},
        {" 1", 0},
        {"1 ", 0},
        {"1X", 0},
        {"1MBB", 0},
        {"0x10", 0},
        {"1.5G", 0},
        {"M", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        firn_options o = FIRN_OPTIONS_INIT;
        status st = option_table_set(&o, "memory_bytes", cases[i].text);
        print_message("'%s'\n", cases[i].text);
        ASSERT_CODE(st, cases[i].value ? FIRN_OK : FIRN_INVALID_ARGUMENT);
        assert_true(o.memory_bytes == cases[i].value);
    }
}

TEST(option_table, narrow_numbers_do_not_wrap) {
    firn_options o = FIRN_OPTIONS_INIT;
    ASSERT_CODE(option_table_set(&o, "threads", "4294967297"), FIRN_INVALID_ARGUMENT);
    ASSERT_CODE(option_table_set(&o, "threads", "4294967295"), FIRN_INVALID_ARGUMENT);
    assert_int_equal(o.threads, 0);
    ASSERT_OK(option_table_set(&o, "threads", "3"));
    assert_int_equal(o.threads, 3);
    ASSERT_OK(option_table_set(&o, "filter_bits_per_key", "none"));
    assert_int_equal(o.filter_bits_per_key, UINT32_MAX);
}

TEST(option_table, reads_prefix_rules) {
    firn_options o = FIRN_OPTIONS_INIT;
    ASSERT_OK(option_table_set(&o, "prefix_filter", "first:12"));
    assert_int_equal(o.prefix_filter, FIRN_PREFIX_FIRST(12));
    ASSERT_OK(option_table_set(&o, "prefix_filter", "until:/"));
    assert_int_equal(o.prefix_filter, FIRN_PREFIX_UNTIL('/'));
    ASSERT_OK(option_table_set(&o, "prefix_filter", "until:ff"));
    assert_int_equal(o.prefix_filter, FIRN_PREFIX_UNTIL('\xff'));
    ASSERT_CODE(option_table_set(&o, "prefix_filter", "first:256"), FIRN_INVALID_ARGUMENT);
    ASSERT_CODE(option_table_set(&o, "prefix_filter", "until:"), FIRN_INVALID_ARGUMENT);
    ASSERT_CODE(option_table_set(&o, "prefix_filter", "8"), FIRN_INVALID_ARGUMENT);
    assert_int_equal(o.prefix_filter, FIRN_PREFIX_UNTIL('\xff'));
    ASSERT_OK(option_table_set(&o, "prefix_filter", "none"));
    assert_int_equal(o.prefix_filter, 0);
}

TEST(option_table, reads_words) {
    firn_options o = FIRN_OPTIONS_INIT;
    ASSERT_OK(option_table_set(&o, "durability", "every-commit"));
    assert_int_equal(o.durability, FIRN_SYNC_EVERY_COMMIT);
    ASSERT_OK(option_table_set(&o, "durability", "manual"));
    assert_int_equal(o.durability, FIRN_SYNC_MANUAL);
    ASSERT_CODE(option_table_set(&o, "durability", "sometimes"), FIRN_INVALID_ARGUMENT);
    assert_non_null(strstr(error_detail_get(), "every-commit"));
    assert_int_equal(o.durability, FIRN_SYNC_MANUAL); /* unchanged */
    ASSERT_OK(option_table_set(&o, "recovery", "last-good"));
    assert_int_equal(o.recovery, FIRN_RECOVERY_LAST_GOOD);
    ASSERT_OK(option_table_set(&o, "read_only", "yes"));
    assert_int_equal(o.read_only, FIRN_YES);
    ASSERT_OK(option_table_set(&o, "read_only", "no"));
    assert_int_equal(o.read_only, FIRN_NO);
    ASSERT_CODE(option_table_set(&o, "read_only", "1"), FIRN_INVALID_ARGUMENT);
}

TEST(option_table, reads_a_codec_for_each_level) {
    static const struct {
        const char *text;
        firn_compression first, third, last;
    } good[] = {
        {"lz4", FIRN_COMPRESSION_LZ4, FIRN_COMPRESSION_LZ4, FIRN_COMPRESSION_LZ4},
        {"none,none,lz4", FIRN_COMPRESSION_NONE, FIRN_COMPRESSION_LZ4, FIRN_COMPRESSION_LZ4},
        {"none,default,lz4,lz4,lz4,lz4,zstd", FIRN_COMPRESSION_NONE, FIRN_COMPRESSION_LZ4,
         FIRN_COMPRESSION_ZSTD},
    };
    static const char *const bad[] = {"",
                                      ",",
                                      "none,",
                                      "none,,lz4",
                                      "brotli",
                                      "none;lz4",
                                      "lz4,lz4,lz4,lz4,lz4,lz4,lz4,lz4",
                                      "a-word-that-is-longer-than-any-codec"};
    firn_options o = FIRN_OPTIONS_INIT;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        ASSERT_OK(option_table_set(&o, "compression_by_level", good[i].text));
        assert_int_equal(o.compression_by_level[0], good[i].first);
        assert_int_equal(o.compression_by_level[2], good[i].third);
        assert_int_equal(o.compression_by_level[6], good[i].last);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        print_message("'%s'\n", bad[i]);
        ASSERT_CODE(option_table_set(&o, "compression_by_level", bad[i]), FIRN_INVALID_ARGUMENT);
        assert_int_equal(o.compression_by_level[6], FIRN_COMPRESSION_ZSTD); /* unchanged */
    }
    ASSERT_OK(option_table_set(&o, "table_io", "pread"));
    assert_int_equal(o.table_io, FIRN_TABLE_IO_PREAD);
}

TEST(option_table, names_are_distinct_and_complete) {
    firn_option_info a, b;
    size_t count = 0;
    while (option_table_at(count, &a)) {
        for (size_t i = 0; i < count; i++) {
            assert_true(option_table_at(i, &b));
            assert_string_not_equal(a.name, b.name);
        }
        count++;
    }
    assert_false(option_table_at(count, &a));
    assert_false(option_table_at(SIZE_MAX, &a));
    firn_options o = FIRN_OPTIONS_INIT;
    ASSERT_CODE(option_table_set(&o, "size", "3"), FIRN_INVALID_ARGUMENT);
    ASSERT_CODE(option_table_set(&o, "", "3"), FIRN_INVALID_ARGUMENT);
}

TEST_MAIN(RUN(option_table, reads_numbers_with_suffixes),
          RUN(option_table, narrow_numbers_do_not_wrap), RUN(option_table, reads_prefix_rules),
          RUN(option_table, reads_words), RUN(option_table, reads_a_codec_for_each_level),
          RUN(option_table, names_are_distinct_and_complete))
