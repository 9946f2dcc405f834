#include "format/batch.h"

#include "lib/test.h"
#include "platform/memory.h"
#include "util/rng.h"

static slice text(const char *s) {
    return slice_from_string(s);
}

static void check_view_bytes(const firn_batch *b, const uint8_t *golden, size_t size) {
    batch_view view = batch_get_view(b);
    assert_int_equal(view.ops.size, size);
    assert_memory_equal(view.ops.data, golden, size);
}

TEST(batch, operations_have_the_bytes_of_the_format) {
    static const uint8_t golden[] = {0x01, 0x00, 0x05, 0x03, 0x61, 0x70, 0x70,
                                     0x6c, 0x65, 0x72, 0x65, 0x64, 0x00, 0xac,
                                     0x02, 0x04, 0x00, 0x70, 0x65, 0x61, 0x72};
    firn_batch b;
    batch_init(&b);
    ASSERT_OK(batch_put(&b, 0, text("apple"), text("red"), true));
    ASSERT_OK(batch_delete(&b, 300, text("pear")));
    check_view_bytes(&b, golden, sizeof golden);
    batch_view view = batch_get_view(&b);
    assert_int_equal(view.count, 2);
    assert_int_equal(view.large_count, 0);
    assert_int_equal(view.user_bytes, 12);
    assert_int_equal(b.bytes, sizeof golden);
    batch_deinit(&b);
}

TEST(batch, large_value_becomes_a_reference_and_counts_its_extent) {
    static const uint8_t golden[] = {0x06, 0x00, 0x04, 0x1a, 0x66, 0x69, 0x6c, 0x6d, 0x01,
                                     0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                                     0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xc0,
                                     0xc6, 0x2d, 0x00, 0x00, 0x00, 0x00, 0x00};
    uint8_t *value = memory_new_zeroed(3000000);
    assert_non_null(value);
    for (int copy = 0; copy < 2; copy++) {
        firn_batch b;
        batch_init(&b);
        ASSERT_OK(batch_put(&b, 0, text("film"), slice_of(value, 3000000), copy));
        check_view_bytes(&b, golden, sizeof golden);
        batch_view view = batch_get_view(&b);
        assert_int_equal(view.large_count, 1);
        assert_int_equal(view.large[0].ref_offset, 8);
        assert_int_equal(view.large[0].value.size, 3000000);
        assert_int_equal(view.large[0].value.data != value, copy);
        assert_int_equal(view.user_bytes, 3000004);
        assert_int_equal(b.bytes, sizeof golden + 3000000 + 3 * 4);
        batch_deinit(&b);
    }
    memory_free(value);
}

TEST(batch, values_are_large_from_one_mebibyte_on) {
    uint8_t *value = memory_new_zeroed(LARGE_VALUE_BYTES);
    assert_non_null(value);
    firn_batch b;
    batch_init(&b);
    ASSERT_OK(batch_put(&b, 0, text("k"), slice_of(value, LARGE_VALUE_BYTES - 1), true));
    assert_int_equal(b.large_count, 0);
    ASSERT_OK(batch_put(&b, 0, text("k"), slice_of(value, LARGE_VALUE_BYTES), true));
    assert_int_equal(b.large_count, 1);
    batch_deinit(&b);
    memory_free(value);
}

static void check_unchanged(firn_batch *b, const firn_batch *before, status st, firn_status code) {
    ASSERT_CODE(st, code);
    assert_true(strlen(error_detail_get()) > 0);
    assert_int_equal(b->ops.size, before->ops.size);
    assert_int_equal(b->count, before->count);
    assert_int_equal(b->large_count, before->large_count);
    assert_int_equal(b->bytes, before->bytes);
    assert_int_equal(b->user_bytes, before->user_bytes);
    ASSERT_OK(buf_status(&b->ops));
}

TEST(batch, too_large_keys_values_and_batches_are_refused_and_change_nothing) {
    /* Borrowed large values are never read, so a gigabyte need not exist. */
    static uint8_t bytes[KEY_BYTES_MAX + 1];
    slice long_key = slice_of(bytes, sizeof bytes), gigabyte = slice_of(bytes, VALUE_BYTES_MAX);
    slice over = slice_of(bytes, (size_t)VALUE_BYTES_MAX + 1);
    firn_batch b;
    batch_init(&b);
    ASSERT_OK(batch_put(&b, 0, slice_of(bytes, KEY_BYTES_MAX), text("v"), false));
    ASSERT_OK(batch_delete(&b, 0, slice_of(bytes, KEY_BYTES_MAX)));
    firn_batch before = b;
    check_unchanged(&b, &before, batch_put(&b, 0, long_key, text("v"), false), FIRN_TOO_LARGE);
    check_unchanged(&b, &before, batch_delete(&b, 0, long_key), FIRN_TOO_LARGE);
    check_unchanged(&b, &before, batch_put(&b, 0, text("k"), over, false), FIRN_TOO_LARGE);

    ASSERT_OK(batch_put(&b, 0, text("k"), gigabyte, false));
    before = b;
    check_unchanged(&b, &before, batch_put(&b, 0, text("k"), gigabyte, false), FIRN_TOO_LARGE);

    /* Fill up to the last byte: 34 bytes of operation, and 1,024 checksums less one chunk's. */
    uint64_t left = BATCH_BYTES_MAX - b.bytes - (4 + 1 + LARGE_REF_BYTES);
    uint64_t value_bytes = left - 4 * 1024;
    while (extent_disk_bytes(value_bytes) > left)
        value_bytes--;
    while (extent_disk_bytes(value_bytes + 1) <= left)
        value_bytes++;
    check_unchanged(&b, &before,
                    batch_put(&b, 0, text("k"), slice_of(bytes, value_bytes + 1), false),
                    FIRN_TOO_LARGE);
    ASSERT_OK(batch_put(&b, 0, text("k"), slice_of(bytes, value_bytes), false));
    assert_int_equal(b.bytes, BATCH_BYTES_MAX);
    before = b;
    check_unchanged(&b, &before, batch_delete(&b, 0, text("")), FIRN_TOO_LARGE);
    batch_deinit(&b);
}

TEST(batch, failed_allocation_changes_nothing_and_a_retry_works) {
    uint64_t live = memory_live_count();
    uint8_t *value = memory_new_zeroed(LARGE_VALUE_BYTES);
    assert_non_null(value);
    uint64_t failures = 0;
    for (bool done = false; !done;) {
        firn_batch b;
        batch_init(&b);
        firn_batch before = b;
        memory_fail_after(failures + 1, false);
        status st = batch_put(&b, 0, text("key"), slice_of(value, LARGE_VALUE_BYTES), true);
        memory_fail_after(0, false);
        done = status_is_ok(st);
        if (!done) {
            failures++;
            check_unchanged(&b, &before, st, FIRN_NO_MEMORY);
            ASSERT_OK(batch_put(&b, 0, text("key"), slice_of(value, LARGE_VALUE_BYTES), true));
        }
        assert_int_equal(b.count, 1);
        batch_deinit(&b);
    }
    assert_int_equal(failures, 3); /* list, copy, operations */
    memory_free(value);
    assert_int_equal(memory_live_count(), live);
}

TEST(batch, clear_empties_and_frees_owned_values_but_keeps_memory) {
    uint64_t live = memory_live_count();
    uint8_t *value = memory_new_zeroed(LARGE_VALUE_BYTES);
    assert_non_null(value);
    firn_batch b;
    batch_init(&b);
    assert_true(slice_is_set(batch_get_view(&b).ops));
    for (int i = 0; i < 9; i++)
        ASSERT_OK(batch_put(&b, 0, text("k"), slice_of(value, LARGE_VALUE_BYTES), i % 2 == 0));
    size_t capacity = b.ops.capacity;
    batch_clear(&b);
    assert_int_equal(memory_live_count(), live + 3); /* value, ops, list */
    assert_int_equal(b.count + b.large_count + b.bytes + b.user_bytes + b.ops.size, 0);
    assert_int_equal(b.ops.capacity, capacity);
    ASSERT_OK(batch_put(&b, 0, text("k"), text("v"), true));
    assert_int_equal(b.count, 1);
    batch_deinit(&b);
    memory_free(value);
    assert_int_equal(memory_live_count(), live);
}

TEST(batch_op, random_operations_come_back_as_they_were) {
    rng r;
    rng_init(&r, test_seed());
    uint8_t bytes[600];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)rng_next(&r);
    for (uint64_t round = test_scaled(200); round > 0; round--) {
        enum { COUNT = 50 };
        batch_op made[COUNT];
        firn_batch b;
        batch_init(&b);
        for (int i = 0; i < COUNT; i++) {
            uint32_t keyspace = (uint32_t)(rng_next(&r) >> rng_below(&r, 64));
            slice key = slice_of(bytes + rng_below(&r, 300), rng_below(&r, 300));
            slice value = slice_of(bytes + rng_below(&r, 300), rng_below(&r, 300));
            bool is_put = rng_below(&r, 3) > 0;
            made[i] = (batch_op){is_put ? OP_PUT : OP_DELETE, keyspace, user_key_of(key),
                                 is_put ? value : slice_of("", 0)};
            size_t before = b.ops.size;
            ASSERT_OK(is_put ? batch_put(&b, keyspace, key, value, true)
                             : batch_delete(&b, keyspace, key));
            assert_int_equal(b.ops.size - before, batch_op_bytes(keyspace, key, made[i].value));
        }
        slice ops = batch_get_view(&b).ops;
        for (int i = 0; i < COUNT; i++) {
            batch_op op;
            assert_true(batch_op_decode(&ops, &op));
            assert_int_equal(op.kind, made[i].kind);
            assert_int_equal(op.keyspace, made[i].keyspace);
            assert_true(slice_equal(op.key.s, made[i].key.s));
            assert_true(slice_equal(op.value, made[i].value));
        }
        assert_int_equal(ops.size, 0);
        batch_deinit(&b);
    }
}

TEST(batch_op, every_cut_is_refused_and_takes_nothing) {
    uint8_t bytes[64];
    uint8_t *end = batch_op_encode(bytes, OP_PUT, 300, text("apple"), text("red"));
    size_t size = (size_t)(end - bytes);
    for (size_t cut = 0; cut < size; cut++) {
        /* On the heap, so that reading beyond the cut is caught. */
        uint8_t *copy = memory_copy(bytes, cut);
        assert_non_null(copy);
        slice ops = slice_of(copy, cut);
        batch_op op;
        assert_false(batch_op_decode(&ops, &op));
        assert_int_equal(ops.size, cut);
        memory_free(copy);
    }
}

static bool decodes(const void *bytes, size_t size) {
    slice ops = slice_of(bytes, size);
    batch_op op;
    return batch_op_decode(&ops, &op);
}

TEST(batch_op, invalid_operations_are_refused) {
    assert_true(decodes("\x01\x00\x00\x00", 4));
    assert_true(decodes("\x00\x00\x01\x00k", 5));
    assert_false(decodes("\x00\x00\x01\x01kv", 6));               /* a delete with a value */
    assert_false(decodes("\x03\x00\x01\x01kv", 6));               /* the same, single */
    assert_false(decodes("\xff\x00\x01\x01kv", 6));               /* a kind never stored */
    assert_false(decodes("\x01\xff\xff\xff\xff\x7f\x00\x00", 8)); /* keyspace over 32 bits */
    assert_false(decodes("\x06\x00\x01\x01kv", 6));               /* not a reference */

    uint8_t *big = memory_new_zeroed(LARGE_VALUE_BYTES + 16);
    assert_non_null(big);
    memcpy(big, "\x00\x00\x80\x80\x04\x00", 6); /* key of 65,536 bytes */
    assert_false(decodes(big, KEY_BYTES_MAX + 16));
    memcpy(big, "\x00\x00\xff\xff\x03\x00", 6); /* key of 65,535 bytes */
    assert_true(decodes(big, KEY_BYTES_MAX + 16));
    memcpy(big, "\x01\x00\x00\x80\x80\x40", 6); /* value of 1 MiB in the operation */
    assert_false(decodes(big, LARGE_VALUE_BYTES + 16));
    memcpy(big, "\x01\x00\x00\xff\xff\x3f", 6);
    assert_true(decodes(big, LARGE_VALUE_BYTES + 16));
    memory_free(big);
}

TEST(batch_op, reference_in_a_batch_must_point_into_a_log) {
    uint8_t ref_bytes[LARGE_REF_BYTES_MAX], bytes[64];
    for (uint8_t place = LARGE_IN_TABLE; place <= LARGE_IN_LOG; place++) {
        large_ref ref = {.place = place, .offset = 8, .bytes = LARGE_VALUE_BYTES};
        uint8_t *ref_end = large_ref_encode(&ref, ref_bytes);
        slice value = slice_of(ref_bytes, (size_t)(ref_end - ref_bytes));
        uint8_t *end = batch_op_encode(bytes, OP_PUT_LARGE, 0, text("k"), value);
        assert_int_equal(decodes(bytes, (size_t)(end - bytes)), place == LARGE_IN_LOG);
    }
}

TEST(batch_op, kinds_of_later_builds_are_taken_off_for_the_caller_to_name) {
    slice ops = slice_of("\x2a\x00\x01\x02kvv\x01\x00\x00\x00", 11);
    batch_op op;
    assert_true(batch_op_decode(&ops, &op));
    assert_int_equal(op.kind, 42);
    assert_false(op_kind_is_supported((uint8_t)op.kind));
    assert_true(batch_op_decode(&ops, &op));
    assert_int_equal(op.kind, OP_PUT);
    assert_int_equal(ops.size, 0);
}

TEST_MAIN(RUN(batch, operations_have_the_bytes_of_the_format),
          RUN(batch, large_value_becomes_a_reference_and_counts_its_extent),
          RUN(batch, values_are_large_from_one_mebibyte_on),
          RUN(batch, too_large_keys_values_and_batches_are_refused_and_change_nothing),
          RUN(batch, failed_allocation_changes_nothing_and_a_retry_works),
          RUN(batch, clear_empties_and_frees_owned_values_but_keeps_memory),
          RUN(batch_op, random_operations_come_back_as_they_were),
          RUN(batch_op, every_cut_is_refused_and_takes_nothing),
          RUN(batch_op, invalid_operations_are_refused),
          RUN(batch_op, reference_in_a_batch_must_point_into_a_log),
          RUN(batch_op, kinds_of_later_builds_are_taken_off_for_the_caller_to_name))
