/* Any bytes as the block of range tombstones of a table: what decodes, ascends, is not empty, and
 * makes fragments that cover what the tombstones cover. */
#include <stddef.h>
#include <stdint.h>

#include "platform/memory.h"
#include "table/range_block.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void range_fuzz_check(const range_list *list, const range_fragments *f) {
    for (uint32_t i = 0; i < list->count; i++) {
        const range_tombstone *t = &list->items[i];
        CHECK(slice_compare(t->begin.s, t->end.s) < 0);
        CHECK(i == 0 || slice_compare(list->items[i - 1].begin.s, t->begin.s) <= 0);
        CHECK(range_fragments_cover(f, t->begin, t->sequence) == t->sequence);
        CHECK(range_fragments_cover(f, t->begin, SEQNO_MAX) >= t->sequence);
    }
    for (uint32_t i = 1; i < f->count; i++)
        CHECK(slice_compare(f->list[i - 1].end.s, f->list[i].begin.s) <= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    block_view view;
    range_list list = {0};
    range_fragments *f = NULL;
    const block_place at = {"fuzz", 0};
    key_order order = {NULL};
    if (!block_view_init(&view, slice_of(data, size)))
        return 0;
    status st = range_block_decode(&view, at, order, &list);
    CHECK(status_is_ok(st) || status_is(st, FIRN_CORRUPTION) || status_is(st, FIRN_NO_MEMORY));
    if (status_is_ok(st) && list.count > 0 && list.count < 2000) {
        st = range_fragments_build(order, list.items, list.count, &(range_select){.at = SEQNO_MAX},
                                   &f);
        CHECK(status_is_ok(st) || status_is(st, FIRN_NO_MEMORY));
        if (f)
            range_fuzz_check(&list, f);
    }
    memory_free(f);
    range_list_deinit(&list);
    return 0;
}
