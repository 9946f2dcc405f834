#include "iter/iter.h"

#include "platform/memory.h"

#include "base/poison.h"

FIRN_INTERNAL void iter_seek_for_prev(iter *it, internal_key target, key_order order) {
    iter_seek(it, target);
    if (!iter_valid(it)) {
        if (!status_is_ok(it->st))
            return;
        iter_seek_last(it);
    }
    /* More than one step only where entries were added beyond the target since the seek. */
    while (iter_valid(it) && key_order_compare(order, iter_key(it), target) > 0)
        iter_prev(it);
}

/* An iterator over nothing keeps its status through every seek. */
typedef struct empty_iter {
    iter base;
    status st; /* set at birth */
} empty_iter;

static void empty_iter_move(iter *base) {
    empty_iter *it = (empty_iter *)base;
    iter_set_end(base, it->st);
}

static void empty_iter_seek(iter *base, internal_key target) {
    (void)target;
    empty_iter_move(base);
}

static void empty_iter_release(iter *base) {
    memory_free(base);
}

static const iter_methods empty_iter_methods = {
    .seek_first = empty_iter_move,
    .seek_last = empty_iter_move,
    .seek = empty_iter_seek,
    .next_run = empty_iter_move,
    .prev_run = empty_iter_move,
    .release = empty_iter_release,
};

FIRN_INTERNAL status iter_new_empty(status st, iter **out) {
    *out = NULL;
    empty_iter *it = memory_new_zeroed(sizeof *it);
    if (!it)
        return status_of(FIRN_NO_MEMORY, "making an iterator");
    it->base.methods = &empty_iter_methods;
    it->st = st;
    iter_set_end(&it->base, st);
    *out = &it->base;
    return STATUS_OK;
}
