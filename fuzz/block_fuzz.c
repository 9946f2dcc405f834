/* Any bytes as a data block: its first byte says how long a search key follows it, the rest is the
 * block. Nothing may crash, loop or allocate without bound, and what decodes must be in bounds. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "table/block.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int block_fuzz_reverse(void *context, firn_slice a, firn_slice b) {
    (void)context;
    return slice_compare(b, a);
}

static void block_fuzz_check_run(const block_run *run, const block_view *view) {
    for (uint32_t i = 0; i < run->count; i++) {
        const iter_entry *e = &run->entries[i];
        const uint8_t *end = view->data + view->entries_bytes;
        if (e->key_bytes < KEY_TRAILER_BYTES || e->value < view->data || e->value > end ||
            (size_t)(end - e->value) < e->value_bytes)
            abort();
        /* Each byte is there. */
        volatile uint8_t sum = 0;
        for (uint32_t b = 0; b < e->key_bytes; b++)
            sum = (uint8_t)(sum + e->key[b]);
    }
}

static void block_fuzz_use(const block_view *view, internal_key target) {
    static const firn_comparator reverse = {"fuzz.reverse", NULL, block_fuzz_reverse};
    const block_place at = {"fuzz", 0};
    const key_order orders[] = {{NULL}, {&reverse}};
    block_run run = {0};
    status decoded = block_run_decode(&run, view, block_piece_whole(view), at);
    if (status_is_ok(decoded))
        block_fuzz_check_run(&run, view);
    for (int i = 0; i < 2; i++) {
        block_hit hit;
        status st = block_search(view, at, orders[i], target, &hit);
        if (!status_is_ok(st) && hit.same_user_key)
            abort();
        if (status_is_ok(decoded) && block_run_find(&run, orders[i], target) > run.count)
            abort();
    }
    slice key, value;
    block_cursor cursor = block_cursor_first(view);
    while (status_is_ok(block_cursor_next(&cursor, at, &key, &value)) && slice_is_set(key)) {
    }
    block_run_deinit(&run);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1)
        return 0;
    uint8_t seek[64] = {0};
    size_t seek_bytes = data[0] % (sizeof seek - KEY_TRAILER_BYTES);
    slice rest = slice_of(data + 1, size - 1);
    if (seek_bytes > rest.size)
        seek_bytes = rest.size;
    slice_copy_to(slice_of(rest.data, seek_bytes), seek);
    encode_fixed64(seek + seek_bytes, key_trailer_pack(5, OP_SEEK));
    rest = slice_skip(rest, seek_bytes);
    uint8_t *block = calloc(1, rest.size + BLOCK_SLACK_BYTES);
    if (!block)
        return 0;
    slice_copy_to(rest, block);
    block_view view;
    if (block_view_init(&view, slice_of(block, rest.size)))
        block_fuzz_use(&view, (internal_key){slice_of(seek, seek_bytes + KEY_TRAILER_BYTES)});
    free(block);
    return 0;
}
