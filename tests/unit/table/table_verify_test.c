#include "table_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "platform/memory.h"
#include "table/block_file.h"
#include "table/table_internal.h"

static void verify_test_table(fixture *f) {
    rng r;
    rng_init(&r, 21);
    fixture_init(f);
    table_builder_args args = fixture_args();
    fixture_fill(f, &r, 1, 300);
    fixture_sort(f, args.order);
    fixture_build(f, &args);
}

/* Gives the block at `handle` the checksum its present bytes deserve: damage only a person, or an
 * error in the builder, can make. */
static void verify_test_reseal(fixture *f, block_handle handle) {
    uint64_t bytes;
    uint8_t *data = fixture_bytes(f, &bytes);
    uint8_t *trailer = data + handle.offset + handle.bytes;
    block_trailer t = {trailer[0], decode_fixed32(trailer + 1)};
    block_trailer_encode(f->args.identity, handle.offset,
                         slice_of(data + handle.offset, handle.bytes), &t, trailer);
}

static status verify_test_run(fixture *f) {
    table *t = NULL;
    status st = fixture_try_open(f, NULL, &t);
    if (status_is_ok(st))
        st = table_verify(t, NULL, NULL);
    table_unref(t);
    return st;
}

TEST(table_verify, keys_out_of_order_are_found_though_the_checksum_fits) {
    fixture f;
    fixture_init(&f);
    table_builder_args args = fixture_args();
    const char *const names[] = {"a", "c", "e"};
    for (seqno i = 0; i < 3; i++)
        fixture_add(&f, slice_from_string(names[i]), i + 1, OP_PUT, slice_from_string("value"));
    fixture_build(&f, &args);
    table *t = fixture_open(&f, NULL);
    block_handle handle = table_index_handle(&t->index, 0);
    table_unref(t);
    uint64_t bytes;
    uint8_t *data = fixture_bytes(&f, &bytes);
    uint8_t *middle = memchr(data, 'c', handle.bytes);
    assert_non_null(middle);
    const struct {
        uint8_t key;
        firn_status expected;
    } changes[] = {{'z', FIRN_CORRUPTION}, {'A', FIRN_CORRUPTION}, {'c', FIRN_OK}};
    for (int i = 0; i < 3; i++) {
        *middle = changes[i].key;
        verify_test_reseal(&f, handle);
        ASSERT_CODE(verify_test_run(&f), changes[i].expected);
        assert_non_null(strstr(error_detail_get(), "keys are out of order"));
    }
    fixture_deinit(&f);
}

TEST(table_verify, a_filter_that_denies_a_key_is_found) {
    fixture f;
    verify_test_table(&f);
    table *t = fixture_open(&f, NULL);
    block_handle handle = t->meta.filter;
    table_unref(t);
    uint64_t bytes;
    memset(fixture_bytes(&f, &bytes) + handle.offset + FILTER_HEADER_BYTES, 0,
           handle.bytes - FILTER_HEADER_BYTES);
    verify_test_reseal(&f, handle);
    ASSERT_CODE(verify_test_run(&f), FIRN_CORRUPTION);
    assert_non_null(strstr(error_detail_get(), "filter denies"));
    fixture_deinit(&f);
}

TEST(table_verify, counts_that_are_not_so_are_found) {
    fixture f;
    verify_test_table(&f);
    table *t = fixture_open(&f, NULL);
    block_handle handle = t->meta.properties;
    table_unref(t);
    uint64_t bytes;
    uint8_t *data = fixture_bytes(&f, &bytes) + handle.offset;
    uint8_t *name = memmem(data, handle.bytes, "entries.delete", 14);
    assert_non_null(name);
    name[14]++;
    verify_test_reseal(&f, handle);
    ASSERT_CODE(verify_test_run(&f), FIRN_CORRUPTION);
    assert_non_null(strstr(error_detail_get(), "deletes"));
    fixture_deinit(&f);
}

TEST(table_verify, an_unknown_codec_is_not_supported_by_name) {
    fixture f;
    verify_test_table(&f);
    table *t = fixture_open(&f, NULL);
    block_handle handle = table_index_handle(&t->index, 0);
    table_unref(t);
    uint64_t bytes;
    fixture_bytes(&f, &bytes)[handle.offset + handle.bytes] = 99;
    verify_test_reseal(&f, handle);
    ASSERT_CODE(verify_test_run(&f), FIRN_NOT_SUPPORTED);
    assert_non_null(strstr(error_detail_get(), "codec unknown (99)"));
    fixture_deinit(&f);
}

TEST(table_verify, an_impossible_raw_size_is_corruption_before_any_allocation) {
    fixture f;
    verify_test_table(&f);
    table *t = fixture_open(&f, NULL);
    block_handle handle = table_index_handle(&t->index, 0);
    table_unref(t);
    uint64_t bytes;
    uint8_t *trailer = fixture_bytes(&f, &bytes) + handle.offset + handle.bytes;
    const struct {
        uint8_t codec;
        uint32_t raw_bytes;
    } lies[] = {{CODEC_NONE, 5}, {CODEC_LZ4, UINT32_MAX}};
    for (int i = 0; i < 2; i++) {
        trailer[0] = lies[i].codec;
        encode_fixed32(trailer + 1, lies[i].raw_bytes);
        verify_test_reseal(&f, handle);
        ASSERT_CODE(verify_test_run(&f), FIRN_CORRUPTION);
        assert_non_null(strstr(error_detail_get(), "raw size"));
    }
    fixture_deinit(&f);
}

typedef struct verify_test_progress {
    uint64_t last, stop_at;
} verify_test_progress;

static int verify_test_advance(void *context, uint64_t bytes) {
    verify_test_progress *p = context;
    assert_true(bytes > p->last);
    p->last = bytes;
    return bytes >= p->stop_at;
}

TEST(table_verify, progress_reaches_the_file_size_and_can_stop_it) {
    fixture f;
    verify_test_table(&f);
    table *t = fixture_open(&f, NULL);
    verify_test_progress p = {.stop_at = UINT64_MAX};
    ASSERT_OK(table_verify(t, verify_test_advance, &p));
    assert_int_equal(p.last, table_get_properties(t)->file_bytes);
    p = (verify_test_progress){.stop_at = 1000};
    ASSERT_CODE(table_verify(t, verify_test_advance, &p), FIRN_ABORTED);
    assert_in_range(p.last, 1000, 2500);
    table_unref(t);
    fixture_deinit(&f);
}

TEST_MAIN(RUN(table_verify, keys_out_of_order_are_found_though_the_checksum_fits),
          RUN(table_verify, a_filter_that_denies_a_key_is_found),
          RUN(table_verify, counts_that_are_not_so_are_found),
          RUN(table_verify, an_unknown_codec_is_not_supported_by_name),
          RUN(table_verify, an_impossible_raw_size_is_corruption_before_any_allocation),
          RUN(table_verify, progress_reaches_the_file_size_and_can_stop_it))
