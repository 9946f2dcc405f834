#include "table/table_salvage.h"

#include <stdio.h>
#include <string.h>

#include "table/footer.h"
#include "table/table_internal.h"
#include "table_fixture.h"

/* What a salvage handed out, against the array. */
typedef struct salvage_test {
    fixture f;
    uint32_t at;      /* of the array */
    uint32_t skipped; /* entries that were not handed out */
    uint64_t holes, ranges;
} salvage_test;

static status salvage_test_entry(void *context, table *origin, internal_key key, slice value) {
    salvage_test *t = context;
    assert_non_null(origin);
    while (t->at < t->f.count && !slice_equal(fixture_key(&t->f, t->at).s, key.s)) {
        t->at++;
        t->skipped++;
    }
    assert_true(t->at < t->f.count); /* never a key that was not there, nor one twice */
    const fixture_entry *e = &t->f.entries[t->at];
    if (internal_key_kind(key) != OP_PUT_LARGE)
        assert_true(slice_equal(value, slice_of(e->value, e->value_bytes)));
    t->at++;
    return STATUS_OK;
}

static status salvage_test_range(void *context, const range_tombstone *range) {
    salvage_test *t = context;
    assert_true(slice_compare(range->begin.s, range->end.s) < 0);
    t->ranges++;
    return STATUS_OK;
}

static status salvage_test_hole(void *context, const table_salvage_hole *hole) {
    salvage_test *t = context;
    assert_non_null(hole->problem);
    if (slice_is_set(hole->after) && slice_is_set(hole->before))
        assert_true(slice_compare(hole->after, hole->before) <= 0);
    t->holes++;
    return STATUS_OK;
}

static void salvage_test_init_indexed(salvage_test *t, codec_id codec, unsigned shape,
                                      uint32_t partition_bytes) {
    rng r;
    rng_init(&r, 40 + shape);
    memset(t, 0, sizeof *t);
    fixture_init(&t->f);
    table_builder_args args = fixture_args();
    args.codec = codec;
    args.index_partition_bytes = partition_bytes;
    fixture_fill(&t->f, &r, shape, 400);
    fixture_sort(&t->f, args.order);
    fixture_build(&t->f, &args);
}

static void salvage_test_init(salvage_test *t, codec_id codec, unsigned shape) {
    salvage_test_init_indexed(t, codec, shape, 0);
}

static status salvage_test_run(salvage_test *t, const uint8_t *identity, table_salvage *out) {
    table_salvage_args args = {.vfs = vfs_mem_vfs(t->f.disk),
                               .path = FIXTURE_PATH,
                               .order = t->f.args.order,
                               .identity = identity,
                               .on_entry = salvage_test_entry,
                               .on_range = salvage_test_range,
                               .on_hole = salvage_test_hole,
                               .context = t};
    t->at = t->skipped = 0;
    t->holes = t->ranges = 0;
    status st = table_salvage_run(&args, out);
    t->skipped += t->f.count - t->at;
    return st;
}

static table_footer salvage_test_footer(salvage_test *t) {
    uint64_t bytes;
    const uint8_t *data = fixture_bytes(&t->f, &bytes);
    table_footer footer;
    block_place at = {FIXTURE_PATH, bytes - TABLE_FOOTER_BYTES};
    ASSERT_OK(table_footer_decode(data + bytes - TABLE_FOOTER_BYTES, at, &footer));
    return footer;
}

static void salvage_test_flip(salvage_test *t, uint64_t offset) {
    uint64_t bytes;
    fixture_bytes(&t->f, &bytes)[offset] ^= 0x10;
}

TEST(table_salvage, a_whole_table_comes_whole) {
    for (unsigned shape = 0; shape < FIXTURE_SHAPES; shape++) {
        salvage_test t;
        table_salvage out;
        salvage_test_init(&t, CODEC_NONE, shape);
        ASSERT_OK(salvage_test_run(&t, NULL, &out));
        assert_int_equal(t.skipped, 0);
        assert_int_equal(t.holes, 0);
        assert_int_equal(out.entries, t.f.count);
        assert_true(out.has_properties);
        fixture_deinit(&t.f);
    }
}

TEST(table_salvage, a_damaged_block_costs_its_keys_only) {
    salvage_test t;
    table_salvage out;
    salvage_test_init(&t, CODEC_NONE, 1);
    salvage_test_flip(&t, 5);
    ASSERT_OK(salvage_test_run(&t, NULL, &out));
    assert_int_equal(t.holes, 1);
    assert_true(t.skipped > 0 && t.skipped < t.f.count / 4);
    fixture_deinit(&t.f);
}

/* Compressed or not: without an index the blocks are found by their checksums. */
TEST(table_salvage, without_an_index_every_block_is_found) {
    static const codec_id codecs[] = {CODEC_NONE, CODEC_LZ4};
    for (int i = 0; i < 2; i++) {
        salvage_test t;
        table_salvage out;
        salvage_test_init(&t, codecs[i], 1);
        salvage_test_flip(&t, salvage_test_footer(&t).index.offset + 3);
        ASSERT_OK(salvage_test_run(&t, NULL, &out));
        assert_int_equal(t.skipped, 0);
        assert_true(out.has_properties);
        fixture_deinit(&t.f);
    }
}

/* Its partitions lead to the data as one block does; when one of them, or their top, is damaged,
 * the data are found by search. */
TEST(table_salvage, a_partitioned_index_leads_to_all_data_and_so_does_a_damaged_one) {
    static const codec_id codecs[] = {CODEC_NONE, CODEC_LZ4};
    for (int i = 0; i < 6; i++) {
        salvage_test t;
        table_salvage out;
        salvage_test_init_indexed(&t, codecs[i % 2], 1, 100);
        table_footer footer = salvage_test_footer(&t);
        assert_true(footer.is_partitioned);
        if (i / 2 == 1)
            salvage_test_flip(&t, footer.index.offset + 3);
        if (i / 2 == 2)
            salvage_test_flip(&t, footer.index.offset - 30); /* in the last partition */
        ASSERT_OK(salvage_test_run(&t, NULL, &out));
        assert_int_equal(t.skipped, 0);
        assert_int_equal(t.holes, 0);
        assert_true(out.has_properties);
        fixture_deinit(&t.f);
    }
}

/* Data blocks that need the table's dictionary come out as long as the meta-index names it. */
TEST(table_salvage, a_dictionary_is_used_with_an_index_and_without) {
    for (int i = 0; i < 2 && codec_dictionary_is_available(); i++) {
        salvage_test t;
        table_salvage out;
        memset(&t, 0, sizeof t);
        fixture_init(&t.f);
        table_builder_args args = fixture_args();
        args.codec = CODEC_ZSTD;
        args.dictionary_bytes = 1024;
        for (unsigned k = 0; k < 3000; k++) {
            char key[32], value[64];
            snprintf(key, sizeof key, "hut/%05u", k);
            snprintf(value, sizeof value, "{\"beds\": %u, \"stove\": \"wood\"}", k * 7919 % 1000);
            fixture_add(&t.f, slice_from_string(key), 1, OP_PUT, slice_from_string(value));
        }
        fixture_build(&t.f, &args);
        table *whole = fixture_open(&t.f, NULL);
        assert_true(whole->meta.dictionary.bytes > 0);
        table_unref(whole);
        if (i)
            salvage_test_flip(&t, salvage_test_footer(&t).index.offset + 3);
        ASSERT_OK(salvage_test_run(&t, NULL, &out));
        assert_int_equal(t.skipped, 0);
        assert_int_equal(t.holes, 0);
        fixture_deinit(&t.f);
    }
}

TEST(table_salvage, without_a_footer_the_identity_finds_the_blocks) {
    salvage_test t;
    table_salvage out;
    salvage_test_init(&t, CODEC_NONE, 1);
    table_footer footer = salvage_test_footer(&t);
    uint64_t bytes;
    (void)fixture_bytes(&t.f, &bytes);
    salvage_test_flip(&t, bytes - 1);
    ASSERT_CODE(salvage_test_run(&t, NULL, &out), FIRN_CORRUPTION);
    ASSERT_OK(salvage_test_run(&t, footer.identity, &out));
    assert_int_equal(t.skipped, 0);
    fixture_deinit(&t.f);
}

/* With an index, without, and without a footer; and when it is their own block that is damaged. */
TEST(table_salvage, range_deletes_come_where_their_block_is_whole) {
    enum { RANGES = 5 };
    for (int damage = 0; damage < 4; damage++) {
        salvage_test t;
        table_salvage out;
        table *opened;
        salvage_test_init(&t, CODEC_NONE, 1);
        t.f.ranges = RANGES;
        table_builder_args args = t.f.args;
        fixture_build(&t.f, &args);
        table_footer footer = salvage_test_footer(&t);
        opened = fixture_open(&t.f, NULL);
        uint64_t ranges = opened->meta.range_tombstones.offset, bytes;
        table_unref(opened);
        (void)fixture_bytes(&t.f, &bytes);
        const uint64_t offsets[] = {5, footer.index.offset + 3, bytes - 1, ranges + 2};
        salvage_test_flip(&t, offsets[damage]);
        ASSERT_OK(salvage_test_run(&t, footer.identity, &out));
        assert_int_equal(t.ranges, damage == 3 ? 0 : RANGES);
        assert_int_equal(out.range_tombstones, t.ranges);
        assert_int_equal(out.properties.range_tombstones, RANGES);
        assert_true(damage == 0 ? t.skipped > 0 : t.skipped == 0);
        fixture_deinit(&t.f);
    }
}

TEST(table_salvage, a_damaged_format_number_is_no_newer_format) {
    salvage_test t;
    table_salvage out;
    salvage_test_init(&t, CODEC_NONE, 1);
    table_footer footer = salvage_test_footer(&t);
    uint64_t bytes;
    (void)fixture_bytes(&t.f, &bytes);
    salvage_test_flip(&t, bytes - 12); /* the format */
    ASSERT_OK(salvage_test_run(&t, footer.identity, &out));
    assert_int_equal(t.skipped, 0);
    fixture_deinit(&t.f);
}

TEST(table_salvage, behind_damage_without_an_index_plain_blocks_are_found_again) {
    salvage_test t;
    table_salvage out;
    salvage_test_init(&t, CODEC_NONE, 1);
    salvage_test_flip(&t, 5);
    salvage_test_flip(&t, salvage_test_footer(&t).index.offset + 3);
    ASSERT_OK(salvage_test_run(&t, NULL, &out));
    assert_true(t.skipped > 0 && t.skipped < t.f.count / 4);
    assert_true(t.holes >= 1);
    fixture_deinit(&t.f);
}

TEST(table_salvage, another_table_is_refused) {
    static const uint8_t other[16] = {1};
    salvage_test t;
    table_salvage out;
    salvage_test_init(&t, CODEC_NONE, 1);
    ASSERT_CODE(salvage_test_run(&t, other, &out), FIRN_CORRUPTION);
    assert_int_equal(out.entries, 0);
    fixture_deinit(&t.f);
}

/* Any damage anywhere: what is handed out was there, in order, each once. */
TEST(table_salvage, random_damage_never_invents_an_entry) {
    rng r;
    rng_init(&r, test_seed());
    for (uint64_t round = 0; round < test_scaled(60); round++) {
        salvage_test t;
        table_salvage out;
        salvage_test_init_indexed(&t, round % 2 ? CODEC_LZ4 : CODEC_NONE,
                                  (unsigned)round % FIXTURE_SHAPES, rng_below(&r, 2) ? 60 : 0);
        table_footer footer = salvage_test_footer(&t);
        uint64_t bytes;
        (void)fixture_bytes(&t.f, &bytes);
        for (uint64_t i = 0; i < 1 + round % 6; i++)
            salvage_test_flip(&t, rng_below(&r, bytes));
        status st = salvage_test_run(&t, footer.identity, &out);
        if (!status_is_ok(st))
            assert_true(status_is(st, FIRN_CORRUPTION) || status_is(st, FIRN_NOT_SUPPORTED));
        if (!(t.skipped == 0 || t.holes > 0 || !status_is_ok(st)))
            fail_msg("round %llu: %u entries are lost and nothing was told",
                     (unsigned long long)round, t.skipped);
        fixture_deinit(&t.f);
    }
}

TEST_MAIN(RUN(table_salvage, a_whole_table_comes_whole),
          RUN(table_salvage, a_damaged_block_costs_its_keys_only),
          RUN(table_salvage, without_an_index_every_block_is_found),
          RUN(table_salvage, a_partitioned_index_leads_to_all_data_and_so_does_a_damaged_one),
          RUN(table_salvage, a_dictionary_is_used_with_an_index_and_without),
          RUN(table_salvage, without_a_footer_the_identity_finds_the_blocks),
          RUN(table_salvage, range_deletes_come_where_their_block_is_whole),
          RUN(table_salvage, a_damaged_format_number_is_no_newer_format),
          RUN(table_salvage, behind_damage_without_an_index_plain_blocks_are_found_again),
          RUN(table_salvage, another_table_is_refused),
          RUN(table_salvage, random_damage_never_invents_an_entry))
