/* Options: ranges, names, and that the less common ones do what they say. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "integration/db_fixture.h"

TEST(options, out_of_range_values_are_named) {
    static const struct {
        const char *name, *value;
    } bad[] = {{"memory_bytes", "1000"},        {"threads", "65"},
               {"memtable_bytes", "1K"},        {"memtable_bytes", "2G"},
               {"block_bytes", "100"},          {"restart_interval", "1025"},
               {"filter_bits_per_key", "33"},   {"file_bytes", "5G"},
               {"level_fanout", "1"},           {"level_fanout", "101"},
               {"level_base_bytes", "1K"},      {"l0_compaction_trigger", "1001"},
               {"l0_slowdown_trigger", "1"},    {"l0_stop_trigger", "2"},
               {"sync_interval_ms", "3600001"}, {"sync_bytes", "100"}};
    char *dir = test_dir_new();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        firn_options options = FIRN_OPTIONS_INIT;
        firn_db *db;
        ASSERT_FIRN_OK(firn_options_set(&options, bad[i].name, bad[i].value));
        ASSERT_FIRN(firn_open(dir, &options, &db), FIRN_INVALID_ARGUMENT);
        EXPECT_DETAIL(bad[i].name);
        assert_null(db);
    }
    test_dir_remove(dir);
}

TEST(options, enums_and_sizes_out_of_range_are_refused) {
    char *dir = test_dir_new();
    firn_db *db;
    firn_options options = FIRN_OPTIONS_INIT;
    options.durability = (firn_durability)6;
    ASSERT_FIRN(firn_open(dir, &options, &db), FIRN_INVALID_ARGUMENT);
    EXPECT_DETAIL("durability");
    options = (firn_options)FIRN_OPTIONS_INIT;
    options.recovery = (firn_recovery)4;
    ASSERT_FIRN(firn_open(dir, &options, &db), FIRN_INVALID_ARGUMENT);
    options = (firn_options)FIRN_OPTIONS_INIT;
    options.log_io = (firn_log_io)4;
    ASSERT_FIRN(firn_open(dir, &options, &db), FIRN_INVALID_ARGUMENT);
    EXPECT_DETAIL("log_io");
    options = (firn_options)FIRN_OPTIONS_INIT;
    options.read_only = (firn_choice)3;
    ASSERT_FIRN(firn_open(dir, &options, &db), FIRN_INVALID_ARGUMENT);
    EXPECT_DETAIL("read_only");
    options = (firn_options){0};
    ASSERT_FIRN(firn_open(dir, &options, &db), FIRN_INVALID_ARGUMENT);
    EXPECT_DETAIL("FIRN_OPTIONS_INIT");
    options.size = sizeof options + 8;
    ASSERT_FIRN(firn_open(dir, &options, &db), FIRN_INVALID_ARGUMENT);
    options.size = offsetof(firn_options, threads); /* a caller built with fewer fields */
    options.threads = 1000;
    db = open_db(dir, &options);
    close_db(db);
    test_dir_remove(dir);
}

TEST(options, each_is_listed_and_takes_a_value) {
    firn_option_info info;
    size_t count = 0;
    for (; firn_option_at(count, &info); count++) {
        firn_options options = FIRN_OPTIONS_INIT;
        assert_true(strlen(info.name) && strlen(info.type) && strlen(info.default_value));
        assert_true(strlen(info.effect) > 10);
        ASSERT_FIRN(firn_options_set(&options, info.name, "rubbish!"), FIRN_INVALID_ARGUMENT);
        EXPECT_DETAIL(info.name);
        ASSERT_FIRN(firn_options_set(&options, info.name, ""), FIRN_INVALID_ARGUMENT);
    }
    assert_true(count >= 22);
    firn_options options = FIRN_OPTIONS_INIT;
    ASSERT_FIRN(firn_options_set(&options, "no_such", "1"), FIRN_INVALID_ARGUMENT);
    EXPECT_DETAIL("no_such");
    ASSERT_FIRN(firn_options_set(NULL, "threads", "1"), FIRN_INVALID_ARGUMENT);
}

static int count_event(const char *json, size_t size, const char *name) {
    char quoted[64];
    snprintf(quoted, sizeof quoted, "\"%s\"", name);
    return memmem(json, size, quoted, strlen(quoted)) != NULL;
}

static void note_event(void *context, const char *json, size_t size) {
    int *counts = context;
    counts[0] += count_event(json, size, "open");
    counts[1] += count_event(json, size, "flush");
    counts[2] += count_event(json, size, "close");
}

TEST(options, events_go_to_the_callback) {
    char *dir = test_dir_new();
    int counts[3] = {0};
    firn_options options = FIRN_OPTIONS_INIT;
    options.on_event = note_event;
    options.on_event_context = counts;
    firn_db *db = open_db(dir, &options);
    put_text(db, "a", "1");
    ASSERT_FIRN_OK(firn_flush(db));
    close_db(db);
    assert_true(counts[0] > 0);
    assert_true(counts[1] > 0);
    assert_true(counts[2] > 0);
    test_dir_remove(dir);
}

TEST(options, the_disk_limit_stops_writes_and_not_reads) {
    char *dir = test_dir_new();
    firn_options options = small_options();
    options.disk_limit_bytes = 3 << 20;
    firn_db *db = open_db(dir, &options);
    char value[2000];
    firn_status st = FIRN_OK;
    uint64_t i = 0;
    fill_bytes(1, value, sizeof value);
    for (; st == FIRN_OK && i < 10000; i++)
        st = firn_put(db, NULL, FIRN_STR(numbered_key(i)), firn_slice_of(value, sizeof value));
    ASSERT_FIRN(st, FIRN_NO_SPACE);
    EXPECT_DETAIL("disk_limit_bytes");
    assert_true(i > 100);
    firn_value read;
    ASSERT_FIRN_OK(firn_get(db, NULL, FIRN_STR(numbered_key(0)), &read));
    firn_value_release(&read);
    close_db(db);
    options.disk_limit_bytes = FIRN_NONE;
    db = open_db(dir, &options);
    put_text(db, "more", "1");
    close_db(db);
    test_dir_remove(dir);
}

TEST(options, filters_and_cache_can_be_switched_off) {
    char *dir = test_dir_new();
    firn_options options = small_options();
    options.filter_bits_per_key = UINT32_MAX;
    options.cache_bytes = FIRN_NONE;
    firn_db *db = open_db(dir, &options);
    put_range(db, 0, 1000, 100, 1);
    ASSERT_FIRN_OK(firn_flush(db));
    expect_range(db, NULL, 0, 1000, 100, 1);
    firn_stats s = stats_of(db);
    assert_int_equal(s.filter_checked, 0);
    assert_int_equal(s.cache_capacity_bytes, 0);
    assert_int_equal(s.cache_hits, 0);
    close_db(db);
    test_dir_remove(dir);
}

TEST_MAIN(RUN(options, out_of_range_values_are_named),
          RUN(options, enums_and_sizes_out_of_range_are_refused),
          RUN(options, each_is_listed_and_takes_a_value), RUN(options, events_go_to_the_callback),
          RUN(options, the_disk_limit_stops_writes_and_not_reads),
          RUN(options, filters_and_cache_can_be_switched_off))
