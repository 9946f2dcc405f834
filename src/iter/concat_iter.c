/* One child at a time is open: `child` is source `position`. Its runs are handed on as they are.
 * The child is freed before the next one is opened, which is when the run before may go; so a level
 * of any number of tables costs the memory of one. */
#include "iter/concat_iter.h"

#include "platform/memory.h"

#include "base/poison.h"

typedef struct concat_iter {
    iter base;
    concat_source source; /* set at birth; owns source.context */
    iter *child;          /* NULL: none open */
    size_t position;      /* of the child; < source.count while there is one */
} concat_iter;

static void concat_iter_drop_child(concat_iter *it) {
    iter_free(it->child);
    it->child = NULL;
}

/* Hands on the run the child stands on. False: the child is exhausted, and another source may
 * follow. */
static bool concat_iter_publish(concat_iter *it) {
    const iter *child = it->child;
    if (iter_valid(child)) {
        it->base.run = child->run;
        it->base.count = child->count;
        it->base.index = child->index;
        it->base.plain = child->plain;
        it->base.max_sequence = child->max_sequence;
        it->base.st = STATUS_OK;
        return true;
    }
    if (status_is_ok(child->st))
        return false;
    iter_set_end(&it->base, child->st);
    return true;
}

/* Makes source `position` the child. False: it cannot be opened and the iterator has ended with the
 * reason. */
static bool concat_iter_open(concat_iter *it, size_t position) {
    if (it->child && it->position == position)
        return true;
    /* What the child's run pointed to goes with it. */
    iter_set_end(&it->base, STATUS_OK);
    concat_iter_drop_child(it);
    it->position = position;
    status st = it->source.open(it->source.context, position, &it->child);
    if (status_is_ok(st))
        return true;
    it->child = NULL;
    iter_set_end(&it->base, st);
    return false;
}

/* To the first entry of the first source from `position` on that has one. */
static void concat_iter_first_from(concat_iter *it, size_t position) {
    for (; position < it->source.count; position++) {
        if (!concat_iter_open(it, position))
            return;
        iter_seek_first(it->child);
        if (concat_iter_publish(it))
            return;
    }
    iter_set_end(&it->base, STATUS_OK);
}

/* To the last entry of the last source before `end` that has one. */
static void concat_iter_last_before(concat_iter *it, size_t end) {
    while (end > 0) {
        end--;
        if (!concat_iter_open(it, end))
            return;
        iter_seek_last(it->child);
        if (concat_iter_publish(it))
            return;
    }
    iter_set_end(&it->base, STATUS_OK);
}

static void concat_iter_seek_first(iter *base) {
    concat_iter_first_from((concat_iter *)base, 0);
}

static void concat_iter_seek_last(iter *base) {
    concat_iter *it = (concat_iter *)base;
    concat_iter_last_before(it, it->source.count);
}

static void concat_iter_seek(iter *base, internal_key target) {
    concat_iter *it = (concat_iter *)base;
    size_t position = it->source.find(it->source.context, target);
    DCHECK(position <= it->source.count);
    if (position >= it->source.count) {
        iter_set_end(base, STATUS_OK);
        return;
    }
    if (!concat_iter_open(it, position))
        return;
    iter_seek(it->child, target);
    if (!concat_iter_publish(it))
        concat_iter_first_from(it, position + 1);
}

static void concat_iter_next_run(iter *base) {
    concat_iter *it = (concat_iter *)base;
    DCHECK(it->child && base->count > 0);
    it->child->methods->next_run(it->child);
    if (!concat_iter_publish(it))
        concat_iter_first_from(it, it->position + 1);
}

static void concat_iter_prev_run(iter *base) {
    concat_iter *it = (concat_iter *)base;
    DCHECK(it->child && base->count > 0);
    it->child->methods->prev_run(it->child);
    if (!concat_iter_publish(it))
        concat_iter_last_before(it, it->position);
}

static void concat_iter_release(iter *base) {
    concat_iter *it = (concat_iter *)base;
    concat_iter_drop_child(it);
    it->source.release(it->source.context);
    memory_free(it);
}

static void *concat_iter_origin(const iter *base) {
    return iter_origin(((const concat_iter *)base)->child);
}

static const iter_methods concat_iter_methods = {
    .seek_first = concat_iter_seek_first,
    .seek_last = concat_iter_seek_last,
    .seek = concat_iter_seek,
    .next_run = concat_iter_next_run,
    .prev_run = concat_iter_prev_run,
    .origin = concat_iter_origin,
    .release = concat_iter_release,
};

FIRN_INTERNAL status concat_iter_new(const concat_source *source, iter **out) {
    *out = NULL;
    concat_iter *it = memory_new_zeroed(sizeof *it);
    if (!it) {
        source->release(source->context);
        return status_of(FIRN_NO_MEMORY, "making an iterator");
    }
    it->base.methods = &concat_iter_methods;
    it->source = *source;
    iter_set_end(&it->base, STATUS_OK);
    *out = &it->base;
    return STATUS_OK;
}
