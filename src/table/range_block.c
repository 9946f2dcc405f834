#include "table/range_block.h"

#include "platform/error_detail.h"

#include "base/poison.h"

static bool range_block_entry_is_good(key_order order, internal_key before, slice key, slice end) {
    internal_key start = {key};
    if (key.size < KEY_TRAILER_BYTES || end.size > KEY_BYTES_MAX)
        return false;
    return internal_key_kind(start) == OP_RANGE_DELETE && internal_key_sequence(start) > 0 &&
           key_order_compare_user(order, internal_key_user(start), user_key_of(end)) < 0 &&
           (!slice_is_set(before.s) || key_order_compare(order, before, start) < 0);
}

FIRN_INTERNAL status range_block_decode(const block_view *view, block_place at, key_order order,
                                        range_list *out) {
    status st = STATUS_OK;
    slice key, end;
    internal_key before = {SLICE_UNSET};
    block_cursor cursor = block_cursor_first(view);
    for (;;) {
        TRY(block_cursor_next(&cursor, at, &key, &end));
        if (!slice_is_set(key))
            break;
        if (!range_block_entry_is_good(order, before, key, end)) {
            st = error_corruption_at(at.path, at.offset, "malformed range tombstone");
            goto out;
        }
        before.s = key;
        range_list_push(out, internal_key_user(before), user_key_of(end),
                        internal_key_sequence(before));
    }
    TRY(range_list_status(out));
out:
    return st;
}
