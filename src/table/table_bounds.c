#include "platform/error_detail.h"
#include "table/table.h"
#include "table/table_internal.h"

#include "base/poison.h"

/* Makes *bound the key if that is further out; `direction` is -1 for the smallest, 1 for the
 * largest. */
static void table_bounds_widen(key_order order, internal_key key, int direction, buf *bound) {
    internal_key now = {buf_slice(bound)};
    if (bound->size > 0 && key_order_compare(order, key, now) * direction <= 0)
        return;
    buf_clear(bound);
    buf_append_slice(bound, key.s);
}

static status table_bounds_of_ranges(const table *t, buf *smallest, buf *largest) {
    buf key = {0};
    const range_fragments *f = t->ranges;
    const range_fragment *first = &f->list[0], *last = &f->list[f->count - 1];
    internal_key_append(&key, first->begin, range_fragment_sequences(f, first)[0], OP_RANGE_DELETE);
    table_bounds_widen(t->order, (internal_key){buf_slice(&key)}, -1, smallest);
    buf_clear(&key);
    internal_key_append(&key, last->end, SEQNO_MAX, OP_SEEK);
    table_bounds_widen(t->order, (internal_key){buf_slice(&key)}, 1, largest);
    status st = buf_status(&key);
    buf_deinit(&key);
    return st;
}

FIRN_INTERNAL status table_read_bounds(table *t, buf *smallest, buf *largest) {
    status st = STATUS_OK;
    iter *it = NULL;
    table_read_args args = {.fill_cache = false};
    buf_clear(smallest);
    buf_clear(largest);
    TRY(table_iter_new(t, &args, &it));
    iter_seek_first(it);
    if (iter_valid(it))
        buf_append_slice(smallest, iter_key(it).s);
    TRY(it->st);
    iter_seek_last(it);
    if (iter_valid(it))
        buf_append_slice(largest, iter_key(it).s);
    TRY(it->st);
    if (t->ranges)
        TRY(table_bounds_of_ranges(t, smallest, largest));
    TRY(buf_status(smallest));
    TRY(buf_status(largest));
out:
    iter_free(it);
    return st;
}
