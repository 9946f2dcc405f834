/* The runs of the other iterator are handed out in pieces of changing length, copied: one entry, a
 * few, or all that is left. Two copies are kept: the one at hand, and the one before, which nobody
 * may look at any more. */
#include "iter/checked_iter.h"

#include "platform/memory.h"

#include "base/poison.h"

enum { CHECKED_TRASH = 0xdb };

/* One allocation, the bytes of keys and values behind the entries. */
typedef struct checked_run {
    size_t bytes; /* of `entries` and what lies behind */
    uint32_t count;
    iter_entry entries[];
} checked_run;

typedef struct checked_iter {
    iter base;
    iter *inner;
    checked_iter_args args; /* set at birth */
    checked_run *now;       /* NULL: ended, or not positioned */
    checked_run *left;      /* trashed */
    uint32_t begin;         /* of `now` in inner's run */
    uint32_t loads;         /* chooses the length of the next one */
} checked_iter;

static inline internal_key checked_key(const iter_entry *e) {
    return (internal_key){slice_of(e->key, e->key_bytes)};
}

static void checked_broken(checked_iter *it, const char *what) {
    if (!it->args.report)
        check_failed(__FILE__, __LINE__, what);
    it->args.report(it->args.context, what);
    iter_set_end(&it->base, status_of(FIRN_CORRUPTION, what));
}

/* --- copies --- */

static void checked_free_left(checked_iter *it) {
    if (it->left)
        memory_allow(it->left->entries, it->left->bytes);
    memory_free(it->left);
    it->left = NULL;
}

/* The run at hand is over. */
static void checked_leave(checked_iter *it) {
    if (it->now) {
        checked_free_left(it);
        it->left = it->now;
        memset(it->left->entries, CHECKED_TRASH, it->left->bytes);
        memory_forbid(it->left->entries, it->left->bytes);
    }
    it->now = NULL;
    iter_set_end(&it->base, STATUS_OK);
}

static uint8_t *checked_put(uint8_t *to, const uint8_t *from, uint32_t bytes) {
    if (bytes)
        memcpy(to, from, bytes);
    return to + bytes;
}

static checked_run *checked_copy(const iter_entry *entries, uint32_t count) {
    size_t bytes = count * sizeof *entries;
    for (uint32_t i = 0; i < count; i++)
        bytes += (size_t)entries[i].key_bytes + entries[i].value_bytes;
    checked_run *run = memory_new(sizeof *run + bytes);
    if (!run)
        return NULL;
    run->bytes = bytes;
    run->count = count;
    uint8_t *to = (uint8_t *)(run->entries + count);
    for (uint32_t i = 0; i < count; i++) {
        const iter_entry *e = &entries[i];
        run->entries[i] = (iter_entry){to, to + e->key_bytes, e->key_bytes, e->value_bytes};
        to = checked_put(to, e->key, e->key_bytes);
        to = checked_put(to, e->value, e->value_bytes);
    }
    return run;
}

static uint32_t checked_length(checked_iter *it, uint32_t most) {
    static const uint32_t lengths[] = {1, 24, 3, UINT32_MAX};
    uint32_t length = lengths[it->loads++ % (sizeof lengths / sizeof *lengths)];
    return length < most ? length : most;
}

/* --- checks --- */

/* What is wrong with inner's end or run; NULL: nothing. */
static const char *checked_find_fault(const checked_iter *it) {
    const iter *inner = it->inner;
    if (inner->count == 0)
        return inner->index == 0 ? NULL : "an iterator that has ended stands on an entry";
    if (!iter_valid(inner))
        return "an iterator that has moved stands behind its run";
    if (!status_is_ok(inner->st))
        return "an iterator that has failed goes on";
    for (uint32_t i = 0; i < inner->count; i++) {
        if (inner->run[i].key_bytes < KEY_TRAILER_BYTES)
            return "an entry's key is no internal key";
        if (i > 0 && key_order_compare(it->args.order, checked_key(&inner->run[i - 1]),
                                       checked_key(&inner->run[i])) >= 0)
            return "the keys of a run do not ascend";
    }
    return NULL;
}

/* Whether a move out of the run at hand has led to its other side. */
static bool checked_moved_right(const checked_iter *it, bool forward) {
    internal_key reached = iter_key(it->inner);
    const iter_entry *first = it->now->entries, *last = first + it->now->count - 1;
    if (forward)
        return key_order_compare(it->args.order, checked_key(last), reached) < 0;
    return key_order_compare(it->args.order, reached, checked_key(first)) < 0;
}

/* Whether inner stands on the first entry of its run that is not before the target. */
static bool checked_landed_right(const checked_iter *it, internal_key target) {
    const iter *inner = it->inner;
    return key_order_compare(it->args.order, iter_key(inner), target) >= 0 &&
           (inner->index == 0 ||
            key_order_compare(it->args.order, checked_key(&inner->run[inner->index - 1]), target) <
                0);
}

/* --- moving --- */

/* Takes the entry inner stands on, and some behind it (backwards: before it). */
static void checked_load(checked_iter *it, bool forward) {
    const iter *inner = it->inner;
    const char *fault = checked_find_fault(it);
    if (fault) {
        checked_broken(it, fault);
        return;
    }
    if (inner->count == 0) {
        iter_set_end(&it->base, inner->st);
        return;
    }
    uint32_t index = inner->index;
    uint32_t length = checked_length(it, forward ? inner->count - index : index + 1);
    it->begin = forward ? index : index + 1 - length;
    it->now = checked_copy(inner->run + it->begin, length);
    if (!it->now) {
        iter_set_end(&it->base, status_of(FIRN_NO_MEMORY, "checking an iterator"));
        return;
    }
    it->base.run = it->now->entries;
    it->base.count = length;
    it->base.index = forward ? 0 : length - 1;
    it->base.plain = inner->plain;
    it->base.max_sequence = inner->max_sequence;
}

static void checked_go_on(checked_iter *it, bool forward) {
    bool right = !iter_valid(it->inner) || checked_moved_right(it, forward);
    checked_leave(it);
    if (right)
        checked_load(it, forward);
    else
        checked_broken(it, forward ? "a move forward has not led forward"
                                   : "a move backward has not led backward");
}

static void checked_next_run(iter *base) {
    checked_iter *it = (checked_iter *)base;
    CHECK(it->now && base->count > 0);
    it->inner->index = it->begin + base->count - 1;
    iter_next(it->inner);
    checked_go_on(it, true);
}

static void checked_prev_run(iter *base) {
    checked_iter *it = (checked_iter *)base;
    CHECK(it->now && base->count > 0);
    it->inner->index = it->begin;
    iter_prev(it->inner);
    checked_go_on(it, false);
}

static void checked_seek_first(iter *base) {
    checked_iter *it = (checked_iter *)base;
    checked_leave(it);
    iter_seek_first(it->inner);
    if (iter_valid(it->inner) && it->inner->index > 0)
        checked_broken(it, "a seek to the first entry has not led there");
    else
        checked_load(it, true);
}

static void checked_seek_last(iter *base) {
    checked_iter *it = (checked_iter *)base;
    checked_leave(it);
    iter_seek_last(it->inner);
    if (iter_valid(it->inner) && it->inner->index + 1 < it->inner->count)
        checked_broken(it, "a seek to the last entry has not led there");
    else
        checked_load(it, false);
}

static void checked_announce_seek(iter *base, internal_key target) {
    checked_iter *it = (checked_iter *)base;
    checked_leave(it);
    iter_announce_seek(it->inner, target);
}

static void checked_seek(iter *base, internal_key target) {
    checked_iter *it = (checked_iter *)base;
    checked_leave(it);
    iter_seek(it->inner, target);
    if (iter_valid(it->inner) && !checked_landed_right(it, target))
        checked_broken(it, "a seek has not led to the first entry from its target on");
    else
        checked_load(it, true);
}

static void *checked_origin(const iter *base) {
    const checked_iter *it = (const checked_iter *)base;
    it->inner->index = it->begin + base->index;
    return iter_origin(it->inner);
}

static void checked_release(iter *base) {
    checked_iter *it = (checked_iter *)base;
    checked_leave(it);
    checked_free_left(it);
    if (it->args.owns)
        iter_free(it->inner);
    memory_free(it);
}

static const iter_methods checked_iter_methods = {
    .seek_first = checked_seek_first,
    .seek_last = checked_seek_last,
    .seek = checked_seek,
    .announce_seek = checked_announce_seek,
    .next_run = checked_next_run,
    .prev_run = checked_prev_run,
    .origin = checked_origin,
    .release = checked_release,
};

FIRN_INTERNAL status checked_iter_new(iter *inner, const checked_iter_args *args, iter **out) {
    *out = NULL;
    checked_iter *it = memory_new_zeroed(sizeof *it);
    if (!it)
        return status_of(FIRN_NO_MEMORY, "checking an iterator");
    it->base.methods = &checked_iter_methods;
    iter_set_end(&it->base, STATUS_OK);
    it->inner = inner;
    it->args = *args;
    *out = &it->base;
    return STATUS_OK;
}

#ifndef NDEBUG
FIRN_INTERNAL status checked_iter_wrap(iter **it, key_order order, bool owns) {
    checked_iter_args args = {.order = order, .owns = owns};
    iter *checked;
    status st = checked_iter_new(*it, &args, &checked);
    if (status_is_ok(st))
        *it = checked;
    return st;
}

FIRN_INTERNAL void checked_iter_drop(iter *it) {
    if (it && it->methods == &checked_iter_methods)
        iter_free(it);
}
#endif
