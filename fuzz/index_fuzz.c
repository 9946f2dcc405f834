/* Any bytes as an index block, or as the top of a partitioned index. The first byte's lowest bits
 * say which, and whether the order is the user's own. What is accepted must lead to blocks that
 * ascend, apart from each other and below the limit; every search must end at the right place of
 * separators that ascend. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "table/index.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INDEX_FUZZ_TOP = 1, INDEX_FUZZ_REVERSE = 2, INDEX_FUZZ_LIMIT = 1 << 20 };

static int index_fuzz_compare(void *context, firn_slice a, firn_slice b) {
    (void)context;
    return slice_compare(b, a);
}

static void index_fuzz_check_blocks(const table_index *index) {
    uint64_t end = 0;
    for (uint32_t i = 0; i < index->count; i++) {
        block_handle handle = table_index_handle(index, i);
        block_handle slow = table_index_handle_slow(index, i);
        CHECK(handle.offset == slow.offset && handle.bytes == slow.bytes);
        CHECK(handle.offset >= end);
        end = handle.offset + handle.bytes + BLOCK_TRAILER_BYTES;
        CHECK(!index->firsts || index->firsts[i] < index->firsts[i + 1]);
    }
    CHECK(end == index->data_end && end <= INDEX_FUZZ_LIMIT);
}

static bool index_fuzz_ascends(const table_index *index) {
    for (uint32_t i = 1; i < index->count; i++)
        if (key_order_compare(index->order, table_index_separator(index, i - 1),
                              table_index_separator(index, i)) >= 0)
            return false;
    return true;
}

static void index_fuzz_search(const table_index *index, internal_key target, bool ascends) {
    uint32_t found = table_index_find(index, target);
    CHECK(found <= index->count);
    if (!ascends)
        return;
    if (found < index->count)
        CHECK(key_order_compare(index->order, table_index_separator(index, found), target) >= 0);
    if (found > 0)
        CHECK(key_order_compare(index->order, table_index_separator(index, found - 1), target) < 0);
}

static void index_fuzz_use(const table_index *index, slice seed) {
    bool ascends = index_fuzz_ascends(index);
    index_fuzz_check_blocks(index);
    CHECK(table_index_memory_bytes(index) > 0);
    for (uint32_t i = 0; i < index->count; i++)
        index_fuzz_search(index, table_index_separator(index, i), ascends);
    for (size_t bytes = KEY_TRAILER_BYTES; bytes <= seed.size && bytes < 60; bytes++)
        index_fuzz_search(index, (internal_key){slice_of(seed.data, bytes)}, ascends);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const firn_comparator reverse = {"fuzz.reverse", NULL, index_fuzz_compare};
    const block_place at = {"fuzz", INDEX_FUZZ_LIMIT};
    table_block *block = NULL;
    table_index index;
    if (size < 1)
        return 0;
    key_order order = {data[0] & INDEX_FUZZ_REVERSE ? &reverse : NULL};
    slice raw = slice_of(data + 1, size - 1);
    if (!status_is_ok(block_from_raw(raw, &block)))
        return 0;
    status st = data[0] & INDEX_FUZZ_TOP
                    ? table_index_init_top(&index, block, order, at)
                    : table_index_init(&index, block, order, at, INDEX_FUZZ_LIMIT);
    CHECK(status_is_ok(st) || status_is(st, FIRN_CORRUPTION) || status_is(st, FIRN_NO_MEMORY));
    if (status_is_ok(st)) {
        index_fuzz_use(&index, raw);
        table_index_deinit(&index);
    } else {
        block_free(block);
    }
    return 0;
}
