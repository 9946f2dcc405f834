#include "table_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "platform/memory.h"
#include "table/block_builder.h"
#include "table/index.h"

static const block_place index_test_place = {"test", 1u << 20};

/* An index block in memory; the caller or the index frees it. */
static table_block *index_test_block(block_builder *b) {
    slice raw;
    ASSERT_OK(block_builder_finish(b, &raw));
    table_block *block = memory_new_zeroed(sizeof *block + raw.size + BLOCK_SLACK_BYTES);
    assert_non_null(block);
    block->raw_bytes = (uint32_t)raw.size;
    slice_copy_to(raw, block->bytes);
    assert_true(block_view_init(&block->view, block_raw(block)));
    block_builder_deinit(b);
    return block;
}

static void index_test_add(block_builder *b, slice key, uint64_t offset, uint64_t bytes) {
    uint8_t handle[BLOCK_HANDLE_BYTES_MAX];
    uint8_t *end = block_handle_encode((block_handle){offset, bytes}, handle);
    block_builder_add(b, key, 0, slice_of(handle, (size_t)(end - handle)));
}

TEST(index, finds_as_a_linear_search_does) {
    rng r;
    rng_init(&r, test_seed());
    for (unsigned round = 0; round < test_scaled(FIXTURE_SHAPES * 20); round++) {
        fixture f;
        block_builder b;
        table_index index;
        key_order order = {rng_below(&r, 4) ? NULL : &fixture_reverse};
        fixture_init(&f);
        unsigned shape = round % FIXTURE_SHAPES;
        fixture_fill(&f, &r, shape, shape == 4 ? 20 : (uint32_t)rng_below(&r, 100));
        fixture_sort(&f, order);
        block_builder_init(&b, 1);
        for (uint32_t i = 0; i < f.count; i++)
            index_test_add(&b, fixture_key(&f, i).s, i * 1000, 900);
        ASSERT_OK(table_index_init(&index, index_test_block(&b), order, index_test_place,
                                   index_test_place.offset));
        assert_int_equal(index.count, f.count);
        assert_int_equal(index.has_heads, !order.custom);
        for (uint32_t i = 0; i < f.count; i++) {
            assert_int_equal(table_index_handle(&index, i).offset, i * 1000);
            for (int below = 0; below < 2; below++) {
                seek_key seek;
                internal_key key = fixture_key(&f, i);
                ASSERT_OK(seek_key_init(&seek, internal_key_user(key),
                                        internal_key_sequence(key) - (uint64_t)below));
                assert_int_equal(table_index_find(&index, seek.key),
                                 fixture_find(&f, order, seek.key));
                seek_key_deinit(&seek);
            }
        }
        for (int i = 0; i < 200; i++) {
            uint8_t user[30];
            size_t size = rng_below(&r, sizeof user);
            memcpy(user, "user/profile/0000000000", size < 23 ? size : 23);
            for (size_t at = 0; at < size; at++)
                user[at] = rng_below(&r, 9) && at < 23 ? user[at] : (uint8_t)rng_next(&r);
            seek_key seek;
            ASSERT_OK(seek_key_init(&seek, user_key_of(slice_of(user, size)), 2));
            assert_int_equal(table_index_find(&index, seek.key), fixture_find(&f, order, seek.key));
        }
        table_index_deinit(&index);
        fixture_deinit(&f);
    }
}

static firn_status index_test_init(block_builder *b) {
    table_index index;
    table_block *block = index_test_block(b);
    status st = table_index_init(&index, block, (key_order){NULL}, index_test_place,
                                 index_test_place.offset);
    if (status_is_ok(st))
        table_index_deinit(&index);
    else
        block_free(block);
    return st.code;
}

TEST(index, handles_of_any_size_come_back) {
    static const block_handle handles[] = {
        {0, 1},           {10, (1u << 24) - 1},  {1u << 25, 1u << 24}, {(1ull << 40) - 100, 5},
        {1ull << 40, 77}, {1ull << 50, 1u << 29}};
    enum { HANDLES = sizeof handles / sizeof *handles };
    block_builder b;
    table_index index;
    buf key = {0};
    block_builder_init(&b, 1);
    for (int i = 0; i < HANDLES; i++) {
        uint8_t name = (uint8_t)('a' + i);
        buf_clear(&key);
        internal_key_append(&key, user_key_of(slice_of(&name, 1)), 1, OP_PUT);
        index_test_add(&b, buf_slice(&key), handles[i].offset, handles[i].bytes);
    }
    block_place far = {"test", 1ull << 60};
    ASSERT_OK(table_index_init(&index, index_test_block(&b), (key_order){NULL}, far, far.offset));
    for (uint32_t i = 0; i < HANDLES; i++) {
        assert_int_equal(table_index_handle(&index, i).offset, handles[i].offset);
        assert_int_equal(table_index_handle(&index, i).bytes, handles[i].bytes);
    }
    table_index_deinit(&index);
    buf_deinit(&key);
}

TEST(index, impossible_entries_are_corruption) {
    static const uint8_t a[] = {'a', 1, 1, 0, 0, 0, 0, 0, 0}, z[] = {'z', 1, 1, 0, 0, 0, 0, 0, 0};
    slice first = slice_of(a, sizeof a), second = slice_of(z, sizeof z);
    const struct {
        slice key;
        uint64_t offset, bytes;
        firn_status expected;
    } seconds[] = {
        {second, 109, 50, FIRN_OK},
        {second, 108, 50, FIRN_CORRUPTION},               /* overlaps the first */
        {second, 0, 50, FIRN_CORRUPTION},                 /* goes back */
        {second, UINT64_MAX, 50, FIRN_CORRUPTION},        /* outside */
        {second, 109, UINT64_MAX - 100, FIRN_CORRUPTION}, /* overflows */
        {second, (1u << 20) - 58, 50, FIRN_CORRUPTION},   /* trailer in the index block */
        {second, (1u << 20) - 59, 50, FIRN_OK},           /* just fits */
        {slice_of(a, 7), 109, 50, FIRN_CORRUPTION},       /* no internal key */
    };
    block_builder b;
    for (size_t i = 0; i < sizeof seconds / sizeof seconds[0]; i++) {
        block_builder_init(&b, 1);
        index_test_add(&b, first, 0, 100);
        index_test_add(&b, seconds[i].key, seconds[i].offset, seconds[i].bytes);
        assert_int_equal(index_test_init(&b), seconds[i].expected);
    }
    /* Keys that descend. */
    block_builder_init(&b, 1);
    index_test_add(&b, second, 0, 100);
    index_test_add(&b, first, 109, 100);
    assert_int_equal(index_test_init(&b), FIRN_CORRUPTION);
    /* Not every entry a restart point. */
    block_builder_init(&b, 2);
    index_test_add(&b, first, 0, 100);
    index_test_add(&b, second, 109, 100);
    assert_int_equal(index_test_init(&b), FIRN_CORRUPTION);
    /* A value that is more than a handle. */
    block_builder_init(&b, 1);
    block_builder_add(&b, first, 0, slice_of("\0\1\0", 3));
    assert_int_equal(index_test_init(&b), FIRN_CORRUPTION);
}

TEST_MAIN(RUN(index, finds_as_a_linear_search_does), RUN(index, handles_of_any_size_come_back),
          RUN(index, impossible_entries_are_corruption))
