/* Whole tables written with each codec. */
#include "table_fixture.h"

#include <stdio.h>
#include <string.h>

#include "platform/error_detail.h"
#include "platform/memory.h"
#include "table/table_internal.h"

static const codec_id codec_test_ids[] = {CODEC_NONE, CODEC_LZ4, CODEC_ZSTD, CODEC_SNAPPY};
enum { CODEC_TEST_IDS = sizeof codec_test_ids / sizeof *codec_test_ids };

/* Text that compresses, with a number in it. */
static void codec_test_fill(fixture *f, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        char key[32], value[128];
        int key_bytes = snprintf(key, sizeof key, "station/%06u", i);
        int value_bytes =
            snprintf(value, sizeof value,
                     "{\"snow_cm\": %u, \"wind\": \"north\", \"sky\": \"clear\"}", i % 97);
        fixture_add(f, slice_of(key, (size_t)key_bytes), i + 1, OP_PUT,
                    slice_of(value, (size_t)value_bytes));
    }
}

/* How many data blocks of the table have that codec. */
static uint32_t codec_test_count(table *t, codec_id id) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < t->index.count; i++) {
        table_block *b;
        ASSERT_OK(block_load(&t->source, table_index_handle(&t->index, i), &b));
        count += b->codec == id;
        block_free(b);
    }
    return count;
}

static void codec_test_check(const fixture *f, table *t) {
    const table_read_args reads[] = {{.fill_cache = true},
                                     {.fill_cache = false},
                                     {.fill_cache = false, .read_ahead = true}};
    for (size_t i = 0; i < sizeof reads / sizeof *reads; i++) {
        fixture_check_scan(f, t, &reads[i]);
        for (uint32_t e = 0; e < f->count; e += 7)
            fixture_check_get(f, t, internal_key_user(fixture_key(f, e)).s, SEQNO_MAX, &reads[i],
                              false);
    }
    ASSERT_OK(table_verify(t, NULL, NULL));
}

TEST(table_codec, every_read_of_a_compressed_table_gives_what_was_added) {
    for (int i = 0; i < CODEC_TEST_IDS; i++) {
        fixture f;
        rng r;
        rng_init(&r, test_seed());
        if (!codec_is_available((uint8_t)codec_test_ids[i]))
            continue;
        for (unsigned shape = 0; shape <= FIXTURE_SHAPES; shape++) {
            fixture_init(&f);
            table_builder_args args = fixture_args();
            args.codec = codec_test_ids[i];
            args.block_bytes = 1024;
            if (shape == FIXTURE_SHAPES)
                codec_test_fill(&f, 2000);
            else
                fixture_fill(&f, &r, shape, shape == 4 ? 40 : 700);
            fixture_sort(&f, args.order);
            fixture_build(&f, &args);
            for (int mapped = 0; mapped < 2; mapped++) {
                f.is_mapped = mapped != 0;
                table *t = fixture_open(&f, NULL);
                codec_test_check(&f, t);
                table_unref(t);
            }
            fixture_deinit(&f);
        }
    }
}

TEST(table_codec, blocks_that_shrink_are_compressed_and_the_table_is_smaller) {
    uint64_t plain = 0;
    for (int i = 0; i < CODEC_TEST_IDS; i++) {
        fixture f;
        uint64_t bytes;
        if (!codec_is_available((uint8_t)codec_test_ids[i]))
            continue;
        fixture_init(&f);
        codec_test_fill(&f, 3000);
        table_builder_args args = fixture_args();
        args.codec = codec_test_ids[i];
        args.block_bytes = 4096;
        fixture_build(&f, &args);
        fixture_bytes(&f, &bytes);
        table *t = fixture_open(&f, NULL);
        assert_int_equal(codec_test_count(t, codec_test_ids[i]), t->index.count);
        if (codec_test_ids[i] == CODEC_NONE)
            plain = bytes;
        else
            assert_in_range(bytes, plain / 10, plain / 2);
        table_unref(t);
        fixture_deinit(&f);
    }
}

TEST(table_codec, noise_is_stored_as_it_is) {
    for (int i = 1; i < CODEC_TEST_IDS; i++) {
        fixture f;
        rng r;
        rng_init(&r, test_seed());
        if (!codec_is_available((uint8_t)codec_test_ids[i]))
            continue;
        fixture_init(&f);
        for (uint32_t e = 0; e < 200; e++) {
            uint8_t key[4] = {0, 0, (uint8_t)(e >> 8), (uint8_t)e}, value[400];
            for (size_t b = 0; b < sizeof value; b++)
                value[b] = (uint8_t)rng_next(&r);
            fixture_add(&f, slice_of(key, sizeof key), 1, OP_PUT, slice_of(value, sizeof value));
        }
        table_builder_args args = fixture_args();
        args.codec = codec_test_ids[i];
        fixture_build(&f, &args);
        table *t = fixture_open(&f, NULL);
        assert_int_equal(codec_test_count(t, CODEC_NONE), t->index.count);
        codec_test_check(&f, t);
        table_unref(t);
        fixture_deinit(&f);
    }
}

static void codec_test_dictionary_table(fixture *f, uint32_t count, uint32_t dictionary_bytes) {
    fixture_init(f);
    codec_test_fill(f, count);
    fixture_add(f, slice_from_string("station/000100/photograph"), 1, OP_PUT_LARGE,
                slice_from_string("a large value lies between the blocks that wait"));
    table_builder_args args = fixture_args();
    args.codec = CODEC_ZSTD;
    args.block_bytes = 1024;
    args.dictionary_bytes = dictionary_bytes;
    fixture_sort(f, args.order);
    fixture_build(f, &args);
}

TEST(table_codec, a_dictionary_is_trained_stored_and_used_where_it_pays) {
    fixture f;
    uint64_t plain, with;
    if (!codec_dictionary_is_available())
        return;
    codec_test_dictionary_table(&f, 6000, 0);
    fixture_bytes(&f, &plain);
    fixture_deinit(&f);
    codec_test_dictionary_table(&f, 6000, 2048);
    fixture_bytes(&f, &with);
    print_message("%llu bytes, with a dictionary %llu\n", (unsigned long long)plain,
                  (unsigned long long)with);
    assert_true(with * 10 < plain * 9);
    for (int mapped = 0; mapped < 2; mapped++) {
        f.is_mapped = mapped != 0;
        table *t = fixture_open(&f, NULL);
        assert_int_equal(t->footer.format, 3);
        assert_in_range(t->meta.dictionary.bytes, 256, 2048);
        assert_int_equal(codec_test_count(t, CODEC_ZSTD_DICTIONARY), t->index.count);
        codec_test_check(&f, t);
        table_unref(t);
    }
    fixture_deinit(&f);
    /* Too few blocks to learn from. */
    codec_test_dictionary_table(&f, 100, 2048);
    table *t = fixture_open(&f, NULL);
    assert_int_equal(t->meta.dictionary.bytes, 0);
    assert_int_equal(t->footer.format, 1);
    assert_int_equal(codec_test_count(t, CODEC_ZSTD), t->index.count);
    codec_test_check(&f, t);
    table_unref(t);
    fixture_deinit(&f);
}

TEST(table_codec, noise_gets_no_dictionary) {
    fixture f;
    rng r;
    rng_init(&r, test_seed());
    if (!codec_dictionary_is_available())
        return;
    fixture_init(&f);
    for (uint32_t i = 0; i < 3000; i++) {
        uint8_t noise[100];
        uint8_t key[4] = {0, 0, (uint8_t)(i >> 8), (uint8_t)i};
        for (size_t b = 0; b < sizeof noise; b++)
            noise[b] = (uint8_t)rng_next(&r);
        fixture_add(&f, slice_of(key, 4), 1, OP_PUT, slice_of(noise, sizeof noise));
    }
    table_builder_args args = fixture_args();
    args.codec = CODEC_ZSTD;
    args.dictionary_bytes = 1024;
    fixture_build(&f, &args);
    table *t = fixture_open(&f, NULL);
    assert_int_equal(t->meta.dictionary.bytes, 0);
    codec_test_check(&f, t);
    table_unref(t);
    fixture_deinit(&f);
}

TEST(table_codec, a_damaged_or_missing_dictionary_is_corruption) {
    fixture f;
    table *t;
    uint64_t bytes;
    if (!codec_dictionary_is_available())
        return;
    codec_test_dictionary_table(&f, 4000, 1024);
    t = fixture_open(&f, NULL);
    block_handle dictionary = t->meta.dictionary, first = table_index_handle(&t->index, 0);
    assert_true(dictionary.bytes > 0);
    /* A block that needs one, of a table that has none. */
    block_source without = t->source;
    without.dictionary = NULL;
    table_block *b;
    ASSERT_CODE(block_load(&without, first, &b), FIRN_CORRUPTION);
    table_unref(t);
    uint8_t *file = fixture_bytes(&f, &bytes);
    file[dictionary.offset + 9]++;
    ASSERT_CODE(fixture_try_open(&f, NULL, &t), FIRN_CORRUPTION);
    file[dictionary.offset + 9]--;
    file[dictionary.offset]++; /* no dictionary any more, and sealed so */
    block_trailer trailer = {CODEC_NONE, (uint32_t)dictionary.bytes};
    block_trailer_encode(f.args.identity, dictionary.offset,
                         slice_of(file + dictionary.offset, dictionary.bytes), &trailer,
                         file + dictionary.offset + dictionary.bytes);
    ASSERT_CODE(fixture_try_open(&f, NULL, &t), FIRN_CORRUPTION);
    assert_non_null(strstr(error_detail_get(), "malformed dictionary"));
    fixture_deinit(&f);
}

/* Memory runs out at every place of the build in turn. */
TEST(table_codec, a_build_with_a_dictionary_survives_failed_allocations) {
    fixture f;
    if (!codec_dictionary_is_available())
        return;
    codec_test_dictionary_table(&f, 2500, 1024);
    uint64_t live = memory_live_count();
    bool done = false;
    for (uint64_t countdown = 1; !done; countdown++) {
        table_builder_args args = f.args;
        memory_fail_after(countdown, false);
        status built = fixture_try_build(&f, &args);
        memory_fail_after(0, false);
        assert_int_equal(memory_live_count(), live);
        done = status_is_ok(built);
        if (!done)
            ASSERT_CODE(built, FIRN_NO_MEMORY);
    }
    table *t = fixture_open(&f, NULL);
    codec_test_check(&f, t);
    table_unref(t);
    fixture_deinit(&f);
}

/* Gives block 0 a valid checksum over whatever it holds now. */
static void codec_test_reseal(const fixture *f, uint8_t *file, block_handle handle) {
    uint8_t *trailer = file + handle.offset + handle.bytes;
    block_trailer fields = {trailer[0], decode_fixed32(trailer + 1)};
    block_trailer_encode(f->args.identity, handle.offset,
                         slice_of(file + handle.offset, handle.bytes), &fields, trailer);
}

/* Behind a checksum that matches, whatever the block holds is an error or entries, never a crash:
 * through the cache's path and through the window's. */
TEST(table_codec, damage_behind_a_good_checksum_is_corruption) {
    for (int i = 1; i < CODEC_TEST_IDS; i++) {
        fixture f;
        rng r;
        uint64_t bytes;
        rng_init(&r, test_seed());
        if (!codec_is_available((uint8_t)codec_test_ids[i]))
            continue;
        fixture_init(&f);
        codec_test_fill(&f, 60);
        table_builder_args args = fixture_args();
        args.codec = codec_test_ids[i];
        args.block_bytes = 1024;
        fixture_build(&f, &args);
        table *t = fixture_open(&f, NULL);
        block_handle handle = table_index_handle(&t->index, 0);
        uint8_t *file = fixture_bytes(&f, &bytes), *trailer = file + handle.offset + handle.bytes;
        uint32_t raw_bytes = decode_fixed32(trailer + 1);
        for (int delta = -1; delta <= 1; delta += 2) {
            encode_fixed32(trailer + 1, raw_bytes + (uint32_t)delta);
            codec_test_reseal(&f, file, handle);
            fixture_check_get(&f, t, internal_key_user(fixture_key(&f, 0)).s, SEQNO_MAX,
                              &(table_read_args){0}, true);
            ASSERT_CODE(table_verify(t, NULL, NULL), FIRN_CORRUPTION);
            assert_non_null(strstr(error_detail_get(), "does not decompress at offset 0"));
        }
        encode_fixed32(trailer + 1, raw_bytes);
        for (uint64_t round = test_scaled(2000); round > 0; round--) {
            uint8_t *at = file + handle.offset + rng_below(&r, handle.bytes), before = *at;
            *at = (uint8_t)rng_next(&r);
            codec_test_reseal(&f, file, handle);
            for (int ahead = 0; ahead < 2; ahead++) {
                iter *it = NULL;
                ASSERT_OK(table_iter_new(t, &(table_read_args){.read_ahead = ahead != 0}, &it));
                iter_seek_first(it);
                if (!iter_valid(it) && !status_is(it->st, FIRN_NOT_SUPPORTED))
                    ASSERT_CODE(it->st, FIRN_CORRUPTION); /* or an operation of a later kind */
                iter_free(it);
            }
            *at = before;
        }
        codec_test_reseal(&f, file, handle);
        codec_test_check(&f, t);
        table_unref(t);
        fixture_deinit(&f);
    }
}

TEST_MAIN(RUN(table_codec, a_dictionary_is_trained_stored_and_used_where_it_pays),
          RUN(table_codec, noise_gets_no_dictionary),
          RUN(table_codec, a_damaged_or_missing_dictionary_is_corruption),
          RUN(table_codec, a_build_with_a_dictionary_survives_failed_allocations),
          RUN(table_codec, every_read_of_a_compressed_table_gives_what_was_added),
          RUN(table_codec, blocks_that_shrink_are_compressed_and_the_table_is_smaller),
          RUN(table_codec, noise_is_stored_as_it_is),
          RUN(table_codec, damage_behind_a_good_checksum_is_corruption))
