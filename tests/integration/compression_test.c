/* The compression option through the public API: what it does to tables, and that databases whose
 * tables were written with different codecs read as one. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/codec.h"
#include "integration/db_fixture.h"

static const firn_compression every_compression[] = {FIRN_COMPRESSION_LZ4, FIRN_COMPRESSION_ZSTD,
                                                     FIRN_COMPRESSION_SNAPPY,
                                                     FIRN_COMPRESSION_NONE};
enum { COMPRESSIONS = sizeof every_compression / sizeof *every_compression };

static const char *word_of(firn_compression c) {
    static const char *const words[] = {"default", "none", "lz4", "zstd", "snappy"};
    return words[c];
}

static bool is_in_this_build(firn_compression c) {
    return codec_is_available((uint8_t)(c - FIRN_COMPRESSION_NONE));
}

static firn_options options_with(firn_compression c) {
    firn_options options = small_options();
    options.compression = c;
    return options;
}

/* A record of some 240 bytes, most of which are the same in every record. */
static const char *record_text(uint64_t number, uint64_t version) {
    static __thread char text[320];
    snprintf(text, sizeof text,
             "{\"station\": %llu, \"revision\": %llu, \"unit\": \"centimetres of snow\", "
             "\"instrument\": \"ultrasonic depth sensor\", \"quality\": \"checked by hand\", "
             "\"remark\": \"measured in the morning, before the wind comes up from the valley\"}",
             (unsigned long long)number, (unsigned long long)version);
    return text;
}

static void put_records(firn_db *db, uint64_t first, uint64_t last, uint64_t version) {
    for (uint64_t i = first; i < last; i++)
        put_text(db, numbered_key(i), record_text(i, version));
}

static void expect_records(firn_db *db, uint64_t first, uint64_t last, uint64_t version) {
    for (uint64_t i = first; i < last; i++)
        expect_text(db, NULL, numbered_key(i), record_text(i, version));
}

/* The same by iterator, forwards and backwards. */
static void expect_scan(firn_db *db, uint64_t count, uint64_t version) {
    firn_iter *it;
    uint64_t i = 0;
    ASSERT_FIRN_OK(firn_iter_new(db, NULL, &it));
    for (firn_iter_seek_first(it); firn_iter_valid(it); firn_iter_next(it), i++) {
        firn_slice value = firn_iter_value(it);
        assert_int_equal(value.size, strlen(record_text(i, version)));
        assert_memory_equal(value.data, record_text(i, version), value.size);
    }
    assert_int_equal(i, count);
    for (firn_iter_seek_last(it); firn_iter_valid(it); firn_iter_prev(it))
        i--;
    assert_int_equal(i, 0);
    ASSERT_FIRN_OK(firn_iter_status(it));
    firn_iter_free(it);
}

static int note_codec(void *context, const char *line) {
    uint32_t *seen = context;
    for (int id = CODEC_NONE; id <= CODEC_LAST; id++) {
        char words[32];
        snprintf(words, sizeof words, ", %s, raw ", codec_name((uint8_t)id));
        if (strstr(line, words))
            *seen |= 1u << id;
    }
    return 0;
}

/* A bit for each codec that any block of any table has. */
static uint32_t codecs_on_disk(const char *dir) {
    uint32_t seen = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        size_t length = strlen(e->d_name);
        if (length > 4 && strcmp(e->d_name + length - 4, ".sst") == 0)
            ASSERT_FIRN_OK(firn_inspect_file(NULL, test_path(dir, e->d_name), note_codec, &seen));
    }
    closedir(d);
    return seen;
}

/* The option reaches the tables, and tables with a dictionary, without one and uncompressed read as
 * one database. */
TEST(compression, a_dictionary_makes_tables_smaller_where_it_is_asked_for) {
    enum { RECORDS = 4000 };
    char *dir = test_dir_new();
    uint64_t plain_bytes = 0;
    firn_options options = options_with(FIRN_COMPRESSION_ZSTD);
    if (!is_in_this_build(FIRN_COMPRESSION_ZSTD)) {
        firn_db *db;
        options.compression = FIRN_COMPRESSION_NONE;
        options.zstd_dictionary_bytes = 1024;
        assert_int_equal(firn_open(dir, &options, &db), FIRN_NOT_SUPPORTED);
        EXPECT_DETAIL("zstd_dictionary_bytes");
        test_dir_remove(dir);
        return;
    }
    options.file_bytes = 1 << 20; /* enough blocks to learn from */
    for (uint64_t version = 1; version < 3; version++) {
        options.zstd_dictionary_bytes = version == 2 ? 1024 : 0;
        firn_db *db = open_db(dir, &options);
        put_records(db, 0, RECORDS, version);
        ASSERT_FIRN_OK(firn_compact_range(db, FIRN_STR(""), (firn_slice){NULL, 0}));
        put_records(db, 0, 100, version);
        ASSERT_FIRN_OK(firn_flush(db));
        expect_records(db, 0, RECORDS, version);
        expect_scan(db, RECORDS, version);
        if (version == 1)
            plain_bytes = stats_of(db).table_bytes;
        else
            assert_true(stats_of(db).table_bytes * 10 < plain_bytes * 9);
        close_db(db);
        assert_int_equal((codecs_on_disk(dir) >> CODEC_ZSTD_DICTIONARY) & 1, version == 2);
        ASSERT_FIRN_OK(firn_verify(dir, &options, NULL, NULL));
    }
    test_dir_remove(dir);
}

TEST(compression, each_codec_makes_tables_smaller_and_reads_back) {
    enum { RECORDS = 4000 };
    uint64_t bytes[FIRN_COMPRESSION_SNAPPY + 1] = {0};
    for (int c = 0; c < COMPRESSIONS; c++) {
        if (!is_in_this_build(every_compression[c]))
            continue;
        char *dir = test_dir_new();
        firn_options options = small_options();
        ASSERT_FIRN_OK(firn_options_set(&options, "compression", word_of(every_compression[c])));
        assert_int_equal(options.compression, every_compression[c]);
        firn_db *db = open_db(dir, &options);
        put_records(db, 0, RECORDS, 1);
        put_records(db, 0, RECORDS, 2);
        ASSERT_FIRN_OK(firn_compact_range(db, FIRN_STR(""), (firn_slice){NULL, 0}));
        bytes[every_compression[c]] = stats_of(db).table_bytes;
        expect_records(db, 0, RECORDS, 2);
        expect_scan(db, RECORDS, 2);
        close_db(db);
        ASSERT_FIRN_OK(firn_verify(dir, NULL, NULL, NULL));
        db = open_db(dir, &options);
        expect_records(db, 0, RECORDS, 2);
        close_db(db);
        test_dir_remove(dir);
    }
    for (int c = FIRN_COMPRESSION_LZ4; c <= FIRN_COMPRESSION_SNAPPY; c++)
        assert_true(bytes[c] < bytes[FIRN_COMPRESSION_NONE] / 3);
    if (is_in_this_build(FIRN_COMPRESSION_ZSTD))
        assert_true(bytes[FIRN_COMPRESSION_ZSTD] < bytes[FIRN_COMPRESSION_LZ4]);
}

TEST(compression, tables_of_different_codecs_read_as_one) {
    enum { RECORDS = 2000 };
    char *dir = test_dir_new();
    uint32_t expected = 0;
    for (int c = 0; c < COMPRESSIONS; c++) {
        if (!is_in_this_build(every_compression[c]))
            continue;
        /* A range of its own each, so that no compaction rewrites what came before. */
        uint64_t first = (uint64_t)c * RECORDS;
        firn_options options = options_with(every_compression[c]);
        firn_db *db = open_db(dir, &options);
        put_records(db, first, first + RECORDS, 1);
        ASSERT_FIRN_OK(firn_compact_range(db, FIRN_STR(numbered_key(first)),
                                          FIRN_STR(numbered_key(first + RECORDS))));
        close_db(db);
        expected |= 1u << (every_compression[c] - FIRN_COMPRESSION_NONE);
    }
    assert_int_equal(codecs_on_disk(dir) & expected, expected);
    firn_db *db = open_db(dir, NULL);
    for (int c = 0; c < COMPRESSIONS; c++) {
        if (is_in_this_build(every_compression[c]))
            expect_records(db, (uint64_t)c * RECORDS, ((uint64_t)c + 1) * RECORDS, 1);
    }
    close_db(db);
    ASSERT_FIRN_OK(firn_verify(dir, NULL, NULL, NULL));
    test_dir_remove(dir);
}

TEST(compression, each_reopen_may_choose_another_codec_over_the_same_keys) {
    enum { RECORDS = 1500 };
    char *dir = test_dir_new();
    for (uint64_t round = 0; round < 8; round++) {
        firn_compression c = every_compression[round % COMPRESSIONS];
        if (!is_in_this_build(c))
            c = FIRN_COMPRESSION_LZ4;
        firn_options options = options_with(c);
        firn_db *db = open_db(dir, &options);
        if (round > 0)
            expect_records(db, 0, RECORDS, round - 1);
        put_records(db, 0, RECORDS, round);
        if (round % 3 == 0)
            ASSERT_FIRN_OK(firn_flush(db));
        expect_scan(db, RECORDS, round);
        close_db(db);
        ASSERT_FIRN_OK(firn_verify(dir, NULL, NULL, NULL));
    }
    test_dir_remove(dir);
}

TEST(compression, tables_of_l0_are_written_as_they_are) {
    char *dir = test_dir_new();
    firn_options options = options_with(FIRN_COMPRESSION_LZ4);
    options.memtable_bytes = 1 << 20;
    firn_db *db = open_db(dir, &options);
    put_records(db, 0, 1000, 1);
    ASSERT_FIRN_OK(firn_flush(db));
    firn_stats stats = stats_of(db);
    assert_int_equal(stats.levels[0].files, 1);
    assert_true(stats.levels[0].bytes > 1000 * strlen(record_text(0, 1)));
    close_db(db);
    test_dir_remove(dir);
}

/* Keys that only ascend would be moved from level to level without being written again. */
TEST(compression, data_that_arrives_in_order_is_compressed_below_l0) {
    char *dir = test_dir_new();
    firn_options options = options_with(FIRN_COMPRESSION_LZ4);
    firn_db *db = open_db(dir, &options);
    put_records(db, 0, 6000, 1);
    ASSERT_FIRN_OK(firn_flush(db));
    ASSERT_FIRN_OK(firn_wait_idle(db));
    firn_stats stats = stats_of(db);
    uint64_t entries = 0, bytes = 0;
    for (uint32_t level = 1; level < stats.level_count; level++) {
        entries += stats.levels[level].entries;
        bytes += stats.levels[level].bytes;
    }
    assert_true(entries > 3000);
    assert_true(bytes < entries * strlen(record_text(0, 1)) / 3);
    expect_records(db, 0, 6000, 1);
    close_db(db);
    test_dir_remove(dir);
}

TEST(compression, values_that_do_not_shrink_come_back_as_they_were) {
    char *dir = test_dir_new();
    firn_options options = options_with(FIRN_COMPRESSION_LZ4);
    firn_db *db = open_db(dir, &options);
    put_range(db, 0, 1500, 300, 1); /* noise */
    put_records(db, 1500, 2500, 1);
    ASSERT_FIRN_OK(firn_compact_range(db, FIRN_STR(""), (firn_slice){NULL, 0}));
    expect_range(db, NULL, 0, 1500, 300, 1);
    expect_records(db, 1500, 2500, 1);
    close_db(db);
    assert_int_equal(codecs_on_disk(dir), 1u << CODEC_NONE | 1u << CODEC_LZ4);
    test_dir_remove(dir);
}

TEST(compression, unknown_and_missing_codecs_are_named) {
    char *dir = test_dir_new();
    const char *path = test_path(dir, "db");
    firn_db *db;
    firn_options options = options_with((firn_compression)5);
    ASSERT_FIRN(firn_open(path, &options, &db), FIRN_INVALID_ARGUMENT);
    EXPECT_DETAIL("option compression");
    assert_null(db);
    ASSERT_FIRN(firn_options_set(&options, "compression", "lzma"), FIRN_INVALID_ARGUMENT);
    EXPECT_DETAIL("none|lz4|zstd|snappy");
    for (int c = 0; c < COMPRESSIONS; c++) {
        if (is_in_this_build(every_compression[c]))
            continue;
        options = options_with(every_compression[c]);
        ASSERT_FIRN(firn_open(path, &options, &db), FIRN_NOT_SUPPORTED);
        EXPECT_DETAIL(word_of(every_compression[c]));
        assert_null(db);
    }
    test_dir_remove(dir);
}

TEST_MAIN(RUN(compression, a_dictionary_makes_tables_smaller_where_it_is_asked_for),
          RUN(compression, each_codec_makes_tables_smaller_and_reads_back),
          RUN(compression, tables_of_different_codecs_read_as_one),
          RUN(compression, each_reopen_may_choose_another_codec_over_the_same_keys),
          RUN(compression, tables_of_l0_are_written_as_they_are),
          RUN(compression, data_that_arrives_in_order_is_compressed_below_l0),
          RUN(compression, values_that_do_not_shrink_come_back_as_they_were),
          RUN(compression, unknown_and_missing_codecs_are_named))
