#include "table_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "platform/memory.h"
#include "table/block.h"
#include "table/block_builder.h"

static const block_place block_test_place = {"test", 42};

/* A copy of exactly the bytes a view may touch, so that AddressSanitizer sees one too many. */
static uint8_t *block_test_copy(slice raw) {
    uint8_t *copy = calloc(1, raw.size + BLOCK_SLACK_BYTES);
    assert_non_null(copy);
    slice_copy_to(raw, copy);
    return copy;
}

static uint8_t *block_test_build(const fixture *f, uint32_t interval, block_view *view) {
    block_builder b;
    slice raw;
    block_builder_init(&b, interval);
    for (uint32_t i = 0; i < f->count; i++) {
        const fixture_entry *e = &f->entries[i];
        uint32_t shared = 0;
        if (i > 0) {
            const fixture_entry *last = &f->entries[i - 1];
            uint32_t limit = e->key_bytes < last->key_bytes ? e->key_bytes : last->key_bytes;
            shared = block_common_prefix(last->key, e->key, limit);
        }
        block_builder_add(&b, fixture_key(f, i).s, shared, slice_of(e->value, e->value_bytes));
    }
    size_t expected = block_builder_bytes(&b);
    ASSERT_OK(block_builder_finish(&b, &raw));
    assert_int_equal(raw.size, expected);
    uint8_t *copy = block_test_copy(raw);
    assert_true(block_view_init(view, slice_of(copy, raw.size)));
    assert_int_equal(view->restart_count, (f->count + interval - 1) / interval);
    block_builder_deinit(&b);
    return copy;
}

/* Every key there is, at every sequence around its own, and prefixes and extensions of it. */
static void block_test_searches(const fixture *f, const block_view *view, key_order order) {
    for (uint32_t i = 0; i < f->count; i++) {
        internal_key key = fixture_key(f, i);
        slice user = internal_key_user(key).s;
        uint8_t *bytes = malloc(user.size + 1 + KEY_TRAILER_BYTES);
        for (int variant = 0; variant < 9; variant++) {
            size_t size = user.size;
            slice_copy_to(user, bytes);
            if (variant >= 3 && variant < 6)
                bytes[size++] = (uint8_t)variant;
            else if (variant >= 6 && size > 0)
                size--;
            seqno sequence = internal_key_sequence(key) + (uint64_t)(variant % 3) - 1;
            encode_fixed64(bytes + size, key_trailer_pack(sequence, OP_SEEK));
            internal_key target = {slice_of(bytes, size + KEY_TRAILER_BYTES)};
            uint32_t at = fixture_find(f, order, target);
            bool expected = at < f->count && slice_equal(internal_key_user(fixture_key(f, at)).s,
                                                         internal_key_user(target).s);
            block_hit hit;
            ASSERT_OK(block_search(view, block_test_place, order, target, &hit));
            assert_int_equal(hit.same_user_key, expected);
            if (expected) {
                assert_true(hit.trailer == internal_key_trailer(fixture_key(f, at)));
                assert_true(slice_equal(hit.value, slice_of(f->entries[at].value,
                                                            f->entries[at].value_bytes)));
            }
        }
        free(bytes);
    }
}

TEST(block, decodes_and_finds_what_was_built_for_every_shape) {
    rng r;
    rng_init(&r, test_seed());
    static const uint32_t intervals[] = {1, 2, 3, 16, 100000};
    block_run run = {0};
    for (unsigned round = 0; round < test_scaled(FIXTURE_SHAPES * 10); round++) {
        fixture f;
        block_view view;
        unsigned shape = round % FIXTURE_SHAPES;
        key_order order = {rng_below(&r, 3) ? NULL : &fixture_reverse};
        fixture_init(&f);
        fixture_fill(&f, &r, shape, shape == 4 ? 20 : (uint32_t)rng_below(&r, 200));
        fixture_sort(&f, order);
        uint8_t *bytes = block_test_build(&f, intervals[rng_below(&r, 5)], &view);
        ASSERT_OK(block_run_decode(&run, &view, block_piece_whole(&view), block_test_place));
        assert_int_equal(run.count, f.count);
        for (uint32_t i = 0; i < f.count; i++) {
            const iter_entry *e = &run.entries[i];
            assert_true(slice_equal(slice_of(e->key, e->key_bytes), fixture_key(&f, i).s));
            assert_true(slice_equal(slice_of(e->value, e->value_bytes),
                                    slice_of(f.entries[i].value, f.entries[i].value_bytes)));
            assert_int_equal(block_run_find(&run, order, fixture_key(&f, i)), i);
        }
        block_test_searches(&f, &view, order);
        free(bytes);
        fixture_deinit(&f);
    }
    block_run_deinit(&run);
}

/* One entry after the other, for blocks no builder would make. */
static void block_test_entry(buf *b, uint32_t shared, slice suffix, slice value) {
    put_varint32(b, shared);
    put_varint32(b, (uint32_t)suffix.size);
    put_varint32(b, (uint32_t)value.size);
    buf_append_slice(b, suffix);
    buf_append_slice(b, value);
}

/* What decoding and searching the bytes as a block with one restart point answer. */
static firn_status block_test_judge(buf *b, uint32_t restart) {
    put_fixed32(b, restart);
    put_fixed32(b, 1);
    block_view view;
    block_run run = {0};
    block_hit hit;
    uint8_t *copy = block_test_copy(buf_slice(b));
    assert_true(block_view_init(&view, slice_of(copy, b->size)));
    status decoded = block_run_decode(&run, &view, block_piece_whole(&view), block_test_place);
    static const uint8_t seek[] = {'z', 'z', 0xff, 1, 0, 0, 0, 0, 0, 0};
    internal_key target = {slice_of(seek, sizeof seek)};
    status found = block_search(&view, block_test_place, (key_order){NULL}, target, &hit);
    /* A search decodes no more than it must, so it need not meet the damage. */
    if (status_is(found, FIRN_CORRUPTION) && restart < view.entries_bytes)
        assert_true(status_is(decoded, FIRN_CORRUPTION));
    block_run_deinit(&run);
    free(copy);
    buf_deinit(b);
    return restart < view.entries_bytes ? decoded.code : found.code;
}

static const uint8_t block_test_key[] = {'a', 'b', 1, 5, 0, 0, 0, 0, 0, 0};

TEST(block, malformed_entries_are_corruption) {
    slice key = slice_of(block_test_key, sizeof block_test_key);
    slice value = slice_from_string("v");
    buf b = {0};
    block_test_entry(&b, 0, key, value);
    assert_int_equal(block_test_judge(&b, 0), FIRN_OK);
    /* Shares more than there is. */
    block_test_entry(&b, 1, key, value);
    assert_int_equal(block_test_judge(&b, 0), FIRN_CORRUPTION);
    block_test_entry(&b, 0, key, value);
    block_test_entry(&b, 11, key, value);
    assert_int_equal(block_test_judge(&b, 0), FIRN_CORRUPTION);
    /* No room for a trailer. */
    block_test_entry(&b, 0, slice_of(block_test_key, 7), value);
    assert_int_equal(block_test_judge(&b, 0), FIRN_CORRUPTION);
    /* Too long. */
    uint8_t *longest = calloc(1, BLOCK_KEY_BYTES_MAX + 1);
    block_test_entry(&b, 0, slice_of(longest, BLOCK_KEY_BYTES_MAX), value);
    assert_int_equal(block_test_judge(&b, 0), FIRN_OK);
    block_test_entry(&b, 0, slice_of(longest, BLOCK_KEY_BYTES_MAX + 1), value);
    assert_int_equal(block_test_judge(&b, 0), FIRN_CORRUPTION);
    block_test_entry(&b, 0, slice_of(longest, BLOCK_KEY_BYTES_MAX), value);
    block_test_entry(&b, BLOCK_KEY_BYTES_MAX, slice_of(longest, 1), value);
    assert_int_equal(block_test_judge(&b, 0), FIRN_CORRUPTION);
    free(longest);
    /* Runs past the end of the entries. */
    put_varint32(&b, 0);
    put_varint32(&b, 10);
    put_varint32(&b, 2);
    buf_append_slice(&b, key);
    assert_int_equal(block_test_judge(&b, 0), FIRN_CORRUPTION);
    put_varint32(&b, 0);
    put_varint32(&b, UINT32_MAX);
    put_varint32(&b, UINT32_MAX);
    assert_int_equal(block_test_judge(&b, 0), FIRN_CORRUPTION);
    /* A varint that never ends. */
    buf_append(&b, "\xff\xff\xff\xff\xff\xff", 6);
    assert_int_equal(block_test_judge(&b, 0), FIRN_CORRUPTION);
    /* A restart point outside the entries. */
    block_test_entry(&b, 0, key, value);
    assert_int_equal(block_test_judge(&b, 14), FIRN_CORRUPTION);
    block_test_entry(&b, 0, key, value);
    assert_int_equal(block_test_judge(&b, UINT32_MAX), FIRN_CORRUPTION);
}

TEST(block, kinds_of_later_builds_are_not_supported_by_number) {
    buf b = {0};
    uint8_t key[] = {'a', 'b', OP_MERGE, 5, 0, 0, 0, 0, 0, 0};
    block_test_entry(&b, 0, slice_of(key, sizeof key), slice_from_string("v"));
    assert_int_equal(block_test_judge(&b, 0), FIRN_NOT_SUPPORTED);
    assert_non_null(strstr(error_detail_get(), "kind 2"));
    key[2] = 77;
    block_test_entry(&b, 0, slice_of(key, sizeof key), slice_from_string("v"));
    put_fixed32(&b, 0);
    put_fixed32(&b, 1);
    uint8_t *copy = block_test_copy(buf_slice(&b));
    block_view view;
    block_hit hit;
    assert_true(block_view_init(&view, slice_of(copy, b.size)));
    static const uint8_t seek[] = {'a', 'b', 0xff, 9, 0, 0, 0, 0, 0, 0};
    ASSERT_CODE(block_search(&view, block_test_place, (key_order){NULL},
                             (internal_key){slice_of(seek, sizeof seek)}, &hit),
                FIRN_NOT_SUPPORTED);
    assert_false(hit.same_user_key);
    free(copy);
    buf_deinit(&b);
}

TEST(block, impossible_restart_arrays_are_refused) {
    block_view view;
    uint8_t bytes[16] = {0};
    assert_false(block_view_init(&view, slice_of(bytes, 0)));
    assert_false(block_view_init(&view, slice_of(bytes, 3)));
    assert_true(block_view_init(&view, slice_of(bytes, 4)));
    assert_int_equal(view.entries_bytes, 0);
    assert_false(block_view_init(&view, slice_of(bytes, 8))); /* entries, no restart */
    bytes[4] = 1;
    assert_false(block_view_init(&view, slice_of(bytes, 8))); /* a restart, no entries */
    bytes[4] = 2;
    assert_false(block_view_init(&view, slice_of(bytes, 8)));
    memset(bytes, 0xff, sizeof bytes);
    assert_false(block_view_init(&view, slice_of(bytes, 16)));
}

TEST(block, keys_that_expand_without_bound_are_refused) {
    buf b = {0};
    uint8_t *key = calloc(1, BLOCK_KEY_BYTES_MAX);
    assert_non_null(key);
    key[BLOCK_KEY_BYTES_MAX - KEY_TRAILER_BYTES] = OP_PUT;
    block_test_entry(&b, 0, slice_of(key, BLOCK_KEY_BYTES_MAX), slice_from_string(""));
    for (int i = 0; i < 400; i++)
        block_test_entry(&b, BLOCK_KEY_BYTES_MAX, slice_from_string(""), slice_from_string(""));
    assert_int_equal(block_test_judge(&b, 0), FIRN_CORRUPTION);
    assert_non_null(strstr(error_detail_get(), "expand"));
    free(key);
}

TEST(block, random_bytes_never_crash) {
    rng r;
    rng_init(&r, test_seed());
    block_run run = {0};
    for (uint64_t round = 0; round < test_scaled(20000); round++) {
        uint8_t bytes[64];
        size_t size = 4 + rng_below(&r, sizeof bytes - 4);
        for (size_t i = 0; i < size; i++)
            bytes[i] = (uint8_t)(rng_below(&r, 2) ? rng_below(&r, 12) : rng_next(&r));
        encode_fixed32(bytes + size - 4, (uint32_t)rng_below(&r, 4));
        block_view view;
        block_hit hit;
        uint8_t *copy = block_test_copy(slice_of(bytes, size));
        if (block_view_init(&view, slice_of(copy, size))) {
            static const uint8_t seek[] = {3, 2, 0xff, 1, 0, 0, 0, 0, 0, 0};
            internal_key target = {slice_of(seek, sizeof seek)};
            status st = block_search(&view, block_test_place, (key_order){NULL}, target, &hit);
            assert_true(status_is_ok(st) || !hit.same_user_key);
            st = block_run_decode(&run, &view, block_piece_whole(&view), block_test_place);
            if (status_is_ok(st))
                (void)block_run_find(&run, (key_order){NULL}, target);
        }
        free(copy);
    }
    block_run_deinit(&run);
}

TEST_MAIN(RUN(block, decodes_and_finds_what_was_built_for_every_shape),
          RUN(block, malformed_entries_are_corruption),
          RUN(block, kinds_of_later_builds_are_not_supported_by_number),
          RUN(block, impossible_restart_arrays_are_refused),
          RUN(block, keys_that_expand_without_bound_are_refused),
          RUN(block, random_bytes_never_crash))
