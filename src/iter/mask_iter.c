/* What is handed out is a piece of the child's run: entries [low, high) of it. */
#include "iter/mask_iter.h"

#include "platform/memory.h"

#include "base/poison.h"

typedef struct mask_iter {
    iter base;
    iter *child;
    const range_fragments *mask;
    seqno newest;
    uint32_t low, high; /* of the child's run */
} mask_iter;

static user_key mask_entry_user(const iter_entry *e) {
    return user_key_of(slice_of(e->key, e->key_bytes - KEY_TRAILER_BYTES));
}

static seqno mask_entry_sequence(const iter_entry *e) {
    return internal_key_sequence((internal_key){slice_of(e->key, e->key_bytes)});
}

/* Where an entry stands in the mask. */
typedef struct mask_place {
    const range_fragment *fragment; /* the first that ends behind it; NULL: none */
    seqno sequence;                 /* that covers it; 0: none does */
} mask_place;

static mask_place mask_find(const mask_iter *it, user_key key) {
    const range_fragments *m = it->mask;
    uint32_t i = range_fragments_find(m, key);
    if (i == m->count)
        return (mask_place){NULL, 0};
    const range_fragment *f = &m->list[i];
    bool inside = key_order_compare_user(m->order, f->begin, key) <= 0;
    return (mask_place){f, inside ? range_fragment_sequences(m, f)[0] : 0};
}

static bool mask_hides(const mask_iter *it, const iter_entry *e) {
    return mask_find(it, mask_entry_user(e)).sequence > mask_entry_sequence(e);
}

static void mask_publish(mask_iter *it, uint32_t low, uint32_t high, uint32_t at) {
    it->low = low;
    it->high = high;
    it->base.run = it->child->run + low;
    it->base.count = high - low;
    it->base.index = at - low;
    it->base.plain = it->child->plain;
    it->base.max_sequence = it->child->max_sequence;
    it->base.st = STATUS_OK;
}

/* Puts the child on the first entry of user key >= `key`. */
static status mask_seek_child(mask_iter *it, user_key key) {
    seek_key target;
    status st = seek_key_init(&target, key, SEQNO_MAX);
    if (!status_is_ok(st))
        return st;
    iter_seek(it->child, target.key);
    seek_key_deinit(&target);
    return STATUS_OK;
}

/* The end of the piece that begins with the child's current entry, which is shown. */
static uint32_t mask_piece_end(const mask_iter *it, const mask_place *place) {
    const iter *child = it->child;
    if (!place->fragment)
        return child->count;
    const iter_entry *last = &child->run[child->count - 1];
    if (place->sequence == 0 &&
        key_order_compare_user(it->mask->order, mask_entry_user(last), place->fragment->begin) < 0)
        return child->count;
    uint32_t end = child->index + 1;
    while (end < child->count && !mask_hides(it, &child->run[end]))
        end++;
    return end;
}

/* From the child's current entry forward to one that is shown. */
static void mask_find_forward(mask_iter *it) {
    iter *child = it->child;
    while (iter_valid(child)) {
        const iter_entry *e = &child->run[child->index];
        mask_place place = mask_find(it, mask_entry_user(e));
        if (place.sequence <= mask_entry_sequence(e)) {
            mask_publish(it, child->index, mask_piece_end(it, &place), child->index);
            return;
        }
        if (it->newest >= place.sequence) {
            iter_next(child);
            continue;
        }
        status st = mask_seek_child(it, place.fragment->end);
        if (!status_is_ok(st)) {
            iter_set_end(&it->base, st);
            return;
        }
    }
    iter_set_end(&it->base, child->st);
}

/* The same backward. */
static void mask_find_backward(mask_iter *it) {
    iter *child = it->child;
    while (iter_valid(child)) {
        const iter_entry *e = &child->run[child->index];
        mask_place place = mask_find(it, mask_entry_user(e));
        if (place.sequence <= mask_entry_sequence(e)) {
            uint32_t low = child->index;
            while (low > 0 && !mask_hides(it, &child->run[low - 1]))
                low--;
            mask_publish(it, low, child->index + 1, child->index);
            return;
        }
        if (it->newest >= place.sequence) {
            iter_prev(child);
            continue;
        }
        status st = mask_seek_child(it, place.fragment->begin);
        if (status_is_ok(st) && !iter_valid(child))
            st = child->st;
        if (!status_is_ok(st)) {
            iter_set_end(&it->base, st);
            return;
        }
        /* It is valid: the covered entry, at least, lies behind. */
        iter_prev(child);
    }
    iter_set_end(&it->base, child->st);
}

static void mask_iter_seek_first(iter *base) {
    mask_iter *it = (mask_iter *)base;
    iter_seek_first(it->child);
    mask_find_forward(it);
}

static void mask_iter_seek_last(iter *base) {
    mask_iter *it = (mask_iter *)base;
    iter_seek_last(it->child);
    mask_find_backward(it);
}

static void mask_iter_seek(iter *base, internal_key target) {
    mask_iter *it = (mask_iter *)base;
    iter_seek(it->child, target);
    mask_find_forward(it);
}

static void mask_iter_next_run(iter *base) {
    mask_iter *it = (mask_iter *)base;
    DCHECK(base->count > 0);
    it->child->index = it->high - 1;
    iter_next(it->child);
    mask_find_forward(it);
}

static void mask_iter_prev_run(iter *base) {
    mask_iter *it = (mask_iter *)base;
    DCHECK(base->count > 0);
    it->child->index = it->low;
    iter_prev(it->child);
    mask_find_backward(it);
}

static void *mask_iter_origin(const iter *base) {
    return iter_origin(((const mask_iter *)base)->child);
}

static void mask_iter_release(iter *base) {
    mask_iter *it = (mask_iter *)base;
    iter_free(it->child);
    memory_free(it);
}

static const iter_methods mask_iter_methods = {
    .seek_first = mask_iter_seek_first,
    .seek_last = mask_iter_seek_last,
    .seek = mask_iter_seek,
    .next_run = mask_iter_next_run,
    .prev_run = mask_iter_prev_run,
    .origin = mask_iter_origin,
    .release = mask_iter_release,
};

FIRN_INTERNAL status mask_iter_new(iter *child, const range_fragments *mask, seqno newest,
                                   iter **out) {
    *out = NULL;
    mask_iter *it = memory_new_zeroed(sizeof *it);
    if (!it) {
        iter_free(child);
        return status_of(FIRN_NO_MEMORY, "making an iterator");
    }
    it->base.methods = &mask_iter_methods;
    it->child = child;
    it->mask = mask;
    it->newest = newest;
    iter_set_end(&it->base, STATUS_OK);
    *out = &it->base;
    return STATUS_OK;
}
