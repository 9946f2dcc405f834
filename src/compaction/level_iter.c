/* One table at a time is in use, and its runs are handed on as they are. It is let go of before the
 * next one is opened, which is when the run before may go; so a level of any number of tables costs
 * the memory of one. */
#include "compaction/level_iter.h"

#include "platform/error_detail.h"
#include "platform/memory.h"

#include "base/poison.h"

/* Hands on the run the table's iterator stands on. False: the table is exhausted, and another one
 * may follow. */
static bool level_iter_publish(level_iter *it) {
    const iter *current = &it->current.base;
    if (iter_valid(current)) {
        it->base.run = current->run;
        it->base.count = current->count;
        it->base.index = current->index;
        it->base.plain = current->plain;
        it->base.max_sequence = current->max_sequence;
        it->base.st = STATUS_OK;
        return true;
    }
    if (status_is_ok(current->st))
        return false;
    iter_set_end(&it->base, current->st);
    return true;
}

/* Whether nothing of a table is wanted, or the mask hides all of it: then it is not opened. */
static bool level_iter_skips(const level_iter_args *args, const table_meta *meta) {
    if (UNLIKELY(args->skip != NULL) && args->skip(args->skip_context, meta))
        return true;
    return UNLIKELY(args->mask != NULL) &&
           range_fragments_cover_all(args->mask, internal_key_user(meta->smallest),
                                     internal_key_user(meta->largest)) > meta->max_sequence;
}

/* Makes table `position` the one in use; of one that is ruled out nothing is read. False: it cannot
 * be opened and the iterator has ended with the reason. */
static bool level_iter_open(level_iter *it, size_t position) {
    if (it->current.t && it->position == position)
        return true;
    /* What the run pointed to goes with the table. */
    iter_set_end(&it->base, STATUS_OK);
    table_iter_detach(&it->current);
    table_meta *meta = it->metas[position];
    table *t = NULL;
    status st = STATUS_OK;
    if (!it->args.read.cached_only)
        st = table_cache_get(it->args.tables, &meta->where, &meta->open, it->args.order, &t);
    else if ((t = table_cache_get_open(it->args.tables, &meta->open)) == NULL)
        st = status_of(FIRN_WOULD_BLOCK, "the table is not open");
    if (!status_is_ok(st)) {
        iter_set_end(&it->base, st);
        return false;
    }
    it->position = position;
    it->is_ruled_out = !table_may_have_prefix(t, it->args.read.prefix);
    table_iter_attach(&it->current, t, &it->args.read);
    return true;
}

/* To the first entry of the first table from `position` on that has one. */
static void level_iter_first_from(level_iter *it, size_t position) {
    for (; position < it->count; position++) {
        if (level_iter_skips(&it->args, it->metas[position]))
            continue;
        if (!level_iter_open(it, position))
            return;
        if (it->is_ruled_out)
            continue;
        iter_seek_first(&it->current.base);
        if (level_iter_publish(it))
            return;
    }
    iter_set_end(&it->base, STATUS_OK);
}

/* To the last entry of the last table before `end` that has one. */
static void level_iter_last_before(level_iter *it, size_t end) {
    while (end > 0) {
        end--;
        if (level_iter_skips(&it->args, it->metas[end]))
            continue;
        if (!level_iter_open(it, end))
            return;
        if (it->is_ruled_out)
            continue;
        iter_seek_last(&it->current.base);
        if (level_iter_publish(it))
            return;
    }
    iter_set_end(&it->base, STATUS_OK);
}

static void level_iter_seek_first(iter *base) {
    level_iter_first_from((level_iter *)base, 0);
}

static void level_iter_seek_last(iter *base) {
    level_iter *it = (level_iter *)base;
    level_iter_last_before(it, it->count);
}

/* Position of the first table whose largest key is >= target; count if none. */
static size_t level_iter_find(const level_iter *it, internal_key target) {
    size_t low = 0, high = it->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (key_order_compare(it->args.order, it->metas[middle]->largest, target) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* A table that cannot be opened or is not wanted is the seek's business. */
static void level_iter_announce_seek(iter *base, internal_key target) {
    level_iter *it = (level_iter *)base;
    if (!it->announced) {
        it->sought = level_iter_find(it, target);
        it->announced = true;
    }
    if (it->sought < it->count && !level_iter_skips(&it->args, it->metas[it->sought]) &&
        level_iter_open(it, it->sought) && !it->is_ruled_out)
        iter_announce_seek(&it->current.base, target);
}

static void level_iter_seek(iter *base, internal_key target) {
    level_iter *it = (level_iter *)base;
    size_t position = it->announced ? it->sought : level_iter_find(it, target);
    it->announced = false;
    if (position >= it->count) {
        iter_set_end(base, STATUS_OK);
        return;
    }
    if (level_iter_skips(&it->args, it->metas[position])) {
        level_iter_first_from(it, position + 1);
        return;
    }
    if (!level_iter_open(it, position))
        return;
    if (LIKELY(!it->is_ruled_out)) {
        iter_seek(&it->current.base, target);
        if (level_iter_publish(it))
            return;
    }
    level_iter_first_from(it, position + 1);
}

/* Whether nothing from that table on (forward), or up to it, lies within the bounds. */
static bool level_iter_is_beyond(const level_iter *it, size_t position, bool forward) {
    const iter_bounds *bounds = it->args.read.bounds;
    if (!bounds)
        return false;
    const table_meta *meta = it->metas[position];
    if (forward)
        return slice_is_set(bounds->upper) &&
               key_order_compare_user(it->args.order, internal_key_user(meta->smallest),
                                      user_key_of(bounds->upper)) > 0;
    return slice_is_set(bounds->lower) &&
           key_order_compare_user(it->args.order, internal_key_user(meta->largest),
                                  user_key_of(bounds->lower)) < 0;
}

static void level_iter_next_run(iter *base) {
    level_iter *it = (level_iter *)base;
    DCHECK(it->current.t && base->count > 0);
    it->current.base.methods->next_run(&it->current.base);
    if (level_iter_publish(it))
        return;
    if (it->position + 1 < it->count && level_iter_is_beyond(it, it->position + 1, true))
        iter_set_end(base, STATUS_OK);
    else
        level_iter_first_from(it, it->position + 1);
}

static void level_iter_prev_run(iter *base) {
    level_iter *it = (level_iter *)base;
    DCHECK(it->current.t && base->count > 0);
    it->current.base.methods->prev_run(&it->current.base);
    if (level_iter_publish(it))
        return;
    if (it->position > 0 && level_iter_is_beyond(it, it->position - 1, false))
        iter_set_end(base, STATUS_OK);
    else
        level_iter_last_before(it, it->position);
}

static void *level_iter_origin(const iter *base) {
    return ((const level_iter *)base)->current.t;
}

FIRN_INTERNAL void level_iter_detach(level_iter *it) {
    table_iter_detach(&it->current);
    it->metas = NULL;
    it->count = 0;
    iter_set_end(&it->base, STATUS_OK);
}

FIRN_INTERNAL void level_iter_deinit(level_iter *it) {
    level_iter_detach(it);
    table_iter_deinit(&it->current);
}

static void level_iter_release(iter *base) {
    level_iter *it = (level_iter *)base;
    level_iter_deinit(it);
    if (it->owned)
        version_unref(it->args.version);
    memory_free(it);
}

static const iter_methods level_iter_methods = {
    .seek_first = level_iter_seek_first,
    .seek_last = level_iter_seek_last,
    .seek = level_iter_seek,
    .announce_seek = level_iter_announce_seek,
    .next_run = level_iter_next_run,
    .prev_run = level_iter_prev_run,
    .origin = level_iter_origin,
    .release = level_iter_release,
};

FIRN_INTERNAL void level_iter_attach(level_iter *it, const level_iter_args *args,
                                     table_meta *const *metas, size_t count) {
    DCHECK(!it->current.t);
    it->base.methods = &level_iter_methods;
    iter_set_end(&it->base, STATUS_OK);
    it->args = *args;
    it->metas = metas;
    it->count = count;
    it->position = 0;
    it->announced = false;
    it->owned = false;
}

FIRN_INTERNAL status level_iter_new_sorted(const level_iter_args *args, table_meta *const *metas,
                                           size_t count, iter **out) {
    *out = NULL;
    level_iter *it = memory_new_zeroed(sizeof *it);
    if (!it)
        return error_status(FIRN_NO_MEMORY, "no memory for a level iterator");
    level_iter_attach(it, args, metas, count);
    it->owned = true;
    version_ref(args->version);
    *out = &it->base;
    if (LIKELY(!args->mask))
        return STATUS_OK;
    seqno newest = 0;
    for (size_t i = 0; i < count; i++) {
        if (metas[i]->max_sequence > newest && !level_iter_skips(args, metas[i]))
            newest = metas[i]->max_sequence;
    }
    return mask_iter_new(&it->base, args->mask, newest, out);
}

FIRN_INTERNAL status level_iter_new_table(const level_iter_args *args, table_meta *meta,
                                          iter **out) {
    status st = STATUS_OK;
    table *t = NULL;
    *out = NULL;
    if (level_iter_skips(args, meta))
        return iter_new_empty(STATUS_OK, out);
    TRY(table_cache_get(args->tables, &meta->where, &meta->open, args->order, &t));
    TRY(table_iter_new(t, &args->read, out));
    if (UNLIKELY(args->mask != NULL)) {
        iter *bare = *out;
        st = mask_iter_new(bare, args->mask, meta->max_sequence, out);
    }
out:
    table_unref(t);
    return st;
}
