#include "db/config.h"

#include "lib/test.h"

static db_config derived(const firn_options *o) {
    db_config c;
    ASSERT_OK(db_config_derive(o, &c));
    return c;
}

TEST(config, defaults_follow_from_the_memory_budget) {
    firn_options o = FIRN_OPTIONS_INIT;
    o.memory_bytes = 256 << 20;
    db_config c = derived(&o);
    assert_int_equal(c.memtable_bytes, 32 << 20);
    assert_int_equal(c.cache_bytes, 256 << 20);
    assert_int_equal(c.tree.level_base_bytes, 128 << 20);
    o.memory_bytes = 2 << 20; /* both ends of the clamp */
    assert_int_equal(derived(&o).memtable_bytes, 1 << 20);
    o.memory_bytes = 1ull << 40;
    assert_int_equal(derived(&o).memtable_bytes, 64 << 20);
    c = derived(NULL);
    assert_true(c.memory_bytes >= 64 << 20);
    assert_true(c.threads >= 2);
    assert_true(c.create_if_missing);
    assert_false(c.read_only);
    assert_false(c.error_if_exists);
    assert_false(c.last_good);
    assert_int_equal(c.durability, FIRN_SYNC_INTERVAL);
    assert_int_equal(c.sync_interval_ms, 1000);
    assert_int_equal(c.tree.l0_trigger, 4);
    assert_int_equal(c.tree.l0_slowdown, 8);
    assert_int_equal(c.tree.l0_stop, 16);
    assert_int_equal(c.tree.filter_bits_per_key, TREE_FILTER_BY_LEVEL);
    assert_true(c.disk_limit_bytes == FIRN_NONE);
    assert_ptr_equal(c.vfs, firn_vfs_default());
    assert_string_equal(key_order_name(c.order), "firn.bytewise");
}

TEST(config, triggers_follow_from_each_other) {
    firn_options o = FIRN_OPTIONS_INIT;
    o.l0_compaction_trigger = 10;
    db_config c = derived(&o);
    assert_int_equal(c.tree.l0_slowdown, 20);
    assert_int_equal(c.tree.l0_stop, 40);
    o.l0_slowdown_trigger = 10;
    o.l0_stop_trigger = 11;
    c = derived(&o);
    assert_int_equal(c.tree.l0_slowdown, 10);
    assert_int_equal(c.tree.l0_stop, 11);
    o.l0_stop_trigger = 10; /* writes would stop before they are slowed down */
    ASSERT_CODE(db_config_derive(&o, &c), FIRN_INVALID_ARGUMENT);
}

TEST(config, none_switches_off) {
    firn_options o = FIRN_OPTIONS_INIT;
    o.cache_bytes = FIRN_NONE;
    o.filter_bits_per_key = UINT32_MAX;
    o.disk_limit_bytes = FIRN_NONE;
    db_config c = derived(&o);
    assert_int_equal(c.cache_bytes, 0);
    assert_int_equal(c.tree.filter_bits_per_key, 0);
    assert_true(c.disk_limit_bytes == FIRN_NONE);
}

TEST(config, what_is_written_at_once_is_a_small_part_of_a_limited_disk) {
    firn_options o = FIRN_OPTIONS_INIT;
    o.disk_limit_bytes = 64u << 20;
    db_config c = derived(&o);
    assert_int_equal(c.log_segment_max, 1 << 20);
    assert_int_equal(c.memtable_bytes, 1 << 20);
    assert_int_equal(c.tree.file_bytes, 1 << 20);
    assert_int_equal(c.limit_reserve_bytes, 5 << 20);
    o.memtable_bytes = 64u << 20; /* given is given; most of the disk is for data nevertheless */
    c = derived(&o);
    assert_int_equal(c.memtable_bytes, 64 << 20);
    assert_int_equal(c.limit_reserve_bytes, 16 << 20);
    o = (firn_options)FIRN_OPTIONS_INIT;
    o.disk_limit_bytes = 1ull << 50;
    o.memory_bytes = 1ull << 30;
    c = derived(&o);
    assert_int_equal(c.log_segment_first, 1 << 20);
    assert_int_equal(c.log_segment_max, 16 << 20);
    assert_int_equal(c.tree.file_bytes, 64 << 20);
}

TEST(config, a_log_segment_takes_no_more_than_an_eighth_of_the_memory) {
    firn_options o = FIRN_OPTIONS_INIT;
    o.memory_bytes = 64u << 20;
    db_config c = derived(&o);
    assert_int_equal(c.log_segment_max, 8 << 20);
    assert_int_equal(c.log_segment_first, 1 << 20);
    o.memtable_bytes = 64 << 10;
    o.memory_bytes = 1u << 20;
    c = derived(&o);
    assert_int_equal(c.log_segment_max, 128 << 10);
    assert_int_equal(c.log_segment_first, 128 << 10);
    o.memory_bytes = 1ull << 30;
    assert_int_equal(derived(&o).log_segment_max, 16 << 20);
}

TEST(config, filters_and_codecs_may_differ_by_level) {
    firn_options o = FIRN_OPTIONS_INIT;
    db_config c = derived(&o);
    assert_int_equal(tree_options_filter_bits(&c.tree, 0), 16);
    assert_int_equal(tree_options_filter_bits(&c.tree, 1), 12);
    assert_int_equal(tree_options_filter_bits(&c.tree, LEVEL_COUNT - 1), 8);
    assert_int_equal(tree_options_codec(&c.tree, LEVEL_COUNT - 1), CODEC_NONE);
    o.filter_bits_per_key = 10;
    o.compression = FIRN_COMPRESSION_LZ4;
    o.compression_by_level[1] = FIRN_COMPRESSION_NONE;
    c = derived(&o);
    for (uint32_t level = 0; level < LEVEL_COUNT; level++) {
        assert_int_equal(tree_options_filter_bits(&c.tree, level), 10);
        assert_int_equal(tree_options_codec(&c.tree, level), level < 2 ? CODEC_NONE : CODEC_LZ4);
    }
    o.compression_by_level[0] = FIRN_COMPRESSION_LZ4;
    c = derived(&o);
    assert_int_equal(tree_options_codec(&c.tree, 0), CODEC_LZ4);
    o.compression_by_level[6] = (firn_compression)99;
    ASSERT_CODE(db_config_derive(&o, &c), FIRN_INVALID_ARGUMENT);
    o.compression_by_level[6] = FIRN_COMPRESSION_DEFAULT;
    o.zstd_level = 20;
    ASSERT_CODE(db_config_derive(&o, &c), FIRN_INVALID_ARGUMENT);
}

/* Between the two borders a database stays as it is. */
TEST(config, tables_are_mapped_by_their_share_of_the_memory) {
    firn_options o = FIRN_OPTIONS_INIT;
    db_config c = derived(&o);
    assert_true(db_config_maps_tables(&c, 0, false));
    assert_true(db_config_maps_tables(&c, c.ram_bytes / 2, true));
    assert_false(db_config_maps_tables(&c, c.ram_bytes / 2, false));
    assert_false(db_config_maps_tables(&c, c.ram_bytes / 2 + 1, true));
    assert_true(db_config_maps_tables(&c, c.ram_bytes / 3, false));
    o.table_io = FIRN_TABLE_IO_MAPPED;
    c = derived(&o);
    assert_true(db_config_maps_tables(&c, UINT64_MAX, false));
    o.table_io = FIRN_TABLE_IO_PREAD;
    c = derived(&o);
    assert_false(db_config_maps_tables(&c, 0, true));
    o.table_io = (firn_table_io)9;
    ASSERT_CODE(db_config_derive(&o, &c), FIRN_INVALID_ARGUMENT);
}

TEST(config, an_older_callers_struct_is_shorter) {
    firn_options o = FIRN_OPTIONS_INIT;
    db_config c;
    o.memory_bytes = 100 << 20;
    o.threads = 7;
    o.size = offsetof(firn_options, threads);
    c = derived(&o);
    assert_int_equal(c.memory_bytes, 100 << 20);
    assert_int_not_equal(c.threads, 7);
    o.size = 0;
    ASSERT_CODE(db_config_derive(&o, &c), FIRN_INVALID_ARGUMENT);
    o.size = sizeof o + 1;
    ASSERT_CODE(db_config_derive(&o, &c), FIRN_INVALID_ARGUMENT);
}

static int compare_keys(void *context, firn_slice a, firn_slice b) {
    (void)context;
    return slice_compare(a, b);
}

TEST(config, a_comparator_needs_a_name_and_a_function) {
    firn_options o = FIRN_OPTIONS_INIT;
    db_config c;
    char long_name[300];
    memset(long_name, 'n', sizeof long_name);
    long_name[256] = 0;
    firn_comparator order = {NULL, NULL, compare_keys};
    o.comparator = &order;
    ASSERT_CODE(db_config_derive(&o, &c), FIRN_INVALID_ARGUMENT);
    order.name = "";
    ASSERT_CODE(db_config_derive(&o, &c), FIRN_INVALID_ARGUMENT);
    order.name = long_name;
    ASSERT_CODE(db_config_derive(&o, &c), FIRN_INVALID_ARGUMENT);
    long_name[255] = 0;
    ASSERT_OK(db_config_derive(&o, &c));
    order.compare = NULL;
    ASSERT_CODE(db_config_derive(&o, &c), FIRN_INVALID_ARGUMENT);
}

TEST_MAIN(RUN(config, defaults_follow_from_the_memory_budget),
          RUN(config, triggers_follow_from_each_other), RUN(config, none_switches_off),
          RUN(config, a_log_segment_takes_no_more_than_an_eighth_of_the_memory),
          RUN(config, what_is_written_at_once_is_a_small_part_of_a_limited_disk),
          RUN(config, filters_and_codecs_may_differ_by_level),
          RUN(config, tables_are_mapped_by_their_share_of_the_memory),
          RUN(config, an_older_callers_struct_is_shorter),
          RUN(config, a_comparator_needs_a_name_and_a_function))
