/* Iteration over a table: a run is a data block, decoded into an array that is used again for the
 * next one. After a seek it is only the piece between two restart points where the target lies: a
 * merge of many tables needs few entries of most; the rest follows as the next run, or the one
 * before. What lies before the target is skipped without being decoded.
 *
 * Blocks come from one of two places. Ordinary iterators pin them in the block cache. Those that
 * scan without filling the cache (compaction) read the file through a window of their own: one
 * read of up to 256 KiB instead of one per block, and blocks that are not compressed are decoded
 * where they were read. Both tell the file system in growing steps what they will want next. */
#include "table/table_iter.h"

#include "codec/codec.h"
#include "platform/error_detail.h"
#include "platform/memory.h"
#include "table/table_internal.h"

#include "base/poison.h"

enum {
    TABLE_WINDOW_BYTES_MIN = 64 << 10,
    TABLE_WINDOW_BYTES_MAX = 256 << 10,
    TABLE_AHEAD_BYTES_MIN = 64 << 10,
    TABLE_AHEAD_BYTES_MAX = 2 << 20
};

/* Whole pages of its own: the heap would keep a window of each job for good. */
static void table_scratch_deinit(table_scratch *s) {
    if (s->data)
        memory_unmap_pages(s->data, s->capacity + BLOCK_SLACK_BYTES);
    *s = (table_scratch){0};
}

static status table_scratch_reserve(table_iter *it, table_scratch *s, size_t bytes) {
    if (LIKELY(bytes <= s->capacity))
        return STATUS_OK;
    uint8_t *data = memory_map_pages(bytes + BLOCK_SLACK_BYTES);
    if (!data)
        return error_status(FIRN_NO_MEMORY, "%s: no memory to read %zu bytes ahead",
                            it->t->file->path, bytes);
    table_scratch_deinit(s);
    *s = (table_scratch){data, bytes};
    return STATUS_OK;
}

/* Keeps the hints between half a step and a step in front of `end`, where reading stands. */
static void table_iter_hint(table_iter *it, uint64_t end) {
    uint64_t limit = it->t->data_end;
    if (end + it->ahead_step / 2 <= it->ahead_end || it->ahead_end >= limit)
        return;
    uint64_t from = it->ahead_end > end ? it->ahead_end : end;
    uint64_t to = limit - from < it->ahead_step ? limit : from + it->ahead_step;
    if (to > from)
        vfs_will_read(it->t->file, from, to - from);
    it->ahead_end = to;
    if (it->ahead_step < TABLE_AHEAD_BYTES_MAX)
        it->ahead_step *= 2;
}

/* A seek: nothing is known about what comes next. */
static void table_iter_forget_pace(table_iter *it) {
    it->ahead_end = 0;
    it->ahead_step = TABLE_AHEAD_BYTES_MIN;
    it->window_step = TABLE_WINDOW_BYTES_MIN;
}

/* Reads a window that begins with the block; backwards it holds just the block. */
static status table_window_fill(table_iter *it, block_handle handle, bool forward) {
    status st = STATUS_OK;
    size_t needed = handle.bytes + BLOCK_TRAILER_BYTES;
    uint64_t left = it->t->data_end - handle.offset;
    size_t bytes = forward && it->window_step > needed ? it->window_step : needed;
    if (bytes > left)
        bytes = left;
    it->window_bytes = 0;
    if (forward) /* so that growing steps do not mean growing memory */
        TRY(table_scratch_reserve(it, &it->window,
                                  left < TABLE_WINDOW_BYTES_MAX ? left : TABLE_WINDOW_BYTES_MAX));
    TRY(table_scratch_reserve(it, &it->window, bytes));
    TRY(vfs_read_exact(it->t->file, handle.offset, it->window.data, bytes));
    if (forward)
        table_iter_hint(it, handle.offset + bytes);
    it->window_offset = handle.offset;
    it->window_bytes = bytes;
    if (forward && it->window_step < TABLE_WINDOW_BYTES_MAX)
        it->window_step *= 2;
out:
    return st;
}

/* The block's view, from the window or expanded from there. */
static status table_window_view(table_iter *it, block_handle handle, bool forward,
                                block_view *view) {
    status st = STATUS_OK;
    const block_source *source = &it->t->source;
    block_trailer trailer;
    uint64_t skip = handle.offset - it->window_offset;
    size_t needed = handle.bytes + BLOCK_TRAILER_BYTES;
    if (handle.offset < it->window_offset || skip > it->window_bytes ||
        it->window_bytes - skip < needed) {
        TRY(table_window_fill(it, handle, forward));
        skip = 0;
    }
    uint8_t *disk = it->window.data + skip;
    if (UNLIKELY(!block_trailer_decode(source->identity, handle, disk, &trailer)))
        TRY(block_read_checked(source, handle, disk, &trailer));
    TRY(block_trailer_check(source, handle, &trailer));
    if (trailer.codec != CODEC_NONE) {
        TRY(table_scratch_reserve(it, &it->expanded, trailer.raw_bytes));
        TRY(block_decompress(source, handle, &trailer, disk, it->expanded.data));
        disk = it->expanded.data;
    }
    if (UNLIKELY(!block_view_init(view, slice_of(disk, trailer.raw_bytes))))
        st = error_corruption_at(source->file->path, handle.offset, "malformed block");
out:
    return st;
}

/* Makes a piece of the block at hand the run, or with a target what of it lies from there on; the
 * caller sets the index. */
static status table_iter_decode(table_iter *it, const block_view *view, block_piece piece,
                                const internal_key *target) {
    status st = STATUS_OK;
    block_handle handle = index_ref_handle(&it->part, it->position);
    block_place at = table_place(it->t, handle.offset);
    if (target) {
        block_target sought = {it->t->order, *target, at};
        TRY(block_run_seek(&it->run, view, &piece, &sought));
    } else {
        TRY(block_run_decode(&it->run, view, piece, at));
    }
    it->piece = piece;
    it->is_sought = target != NULL;
    it->ends_inside = false;
    it->base.run = it->run.entries;
    it->base.count = it->run.count;
    it->base.index = 0;
    it->base.plain = it->run.plain;
    it->base.max_sequence = it->t->properties.max_sequence;
out:
    return st;
}

/* Makes `ref` data block `position`, which `part` has. */
static status table_iter_hold(table_iter *it, uint32_t position, bool forward, bool again) {
    status st = STATUS_OK;
    bool fill = it->args.fill_cache;
    block_handle handle = index_ref_handle(&it->part, position);
    if (!again && it->ref.view.data && it->position == position)
        return STATUS_OK;
    block_ref_release(&it->ref);
    if (it->args.cached_only)
        TRY(block_ref_fetch_cached(&it->t->source, handle, it->t->blocks, fill, &it->ref));
    else
        TRY(again ? table_fetch_block_again(it->t, handle, fill, &it->ref)
                  : table_fetch_block(it->t, position, handle, fill, &it->ref));
    it->position = position;
    /* Blocks in the cache need no help from the file system. */
    if (it->args.read_ahead && forward && it->ref.was_read)
        table_iter_hint(it, handle.offset + handle.bytes + BLOCK_TRAILER_BYTES);
out:
    return st;
}

/* Charges what the iterator holds where that is more than before. Jobs are not refused: without
 * them no memory becomes free. */
static status table_iter_pay(table_iter *it) {
    status st = STATUS_OK;
    table_iter_charge *c = &it->charge;
    uint64_t block = it->ref.block ? block_memory_bytes(it->ref.block) : 0;
    uint64_t part = UNLIKELY(it->part.partition != NULL) ? index_ref_memory_bytes(&it->part) : 0;
    uint64_t own =
        table_iter_memory_bytes(it) + (it->ref.handle ? 0 : block) + (it->part.handle ? 0 : part);
    uint64_t pinned = (it->ref.handle ? block : 0) + (it->part.handle ? part : 0);
    if (UNLIKELY(own > c->own)) {
        if (c->kind == MEMORY_JOBS)
            memory_budget_charge(c->budget, MEMORY_JOBS, own - c->own);
        else
            TRY(memory_budget_try_charge(c->budget, MEMORY_READERS, own - c->own));
        c->own = own;
    }
    if (UNLIKELY(pinned > c->pinned)) {
        if (c->kind == MEMORY_JOBS)
            memory_budget_charge(c->budget, MEMORY_PINS, pinned - c->pinned);
        else
            TRY(memory_budget_try_charge(c->budget, MEMORY_PINS, pinned - c->pinned));
        c->pinned = pinned;
    }
out:
    return st;
}

/* Makes data block `position` the run, or with a target only what lies from there on to the next
 * restart point. */
static status table_iter_try_load(table_iter *it, uint32_t position, bool forward,
                                  const internal_key *target, bool again) {
    status st = STATUS_OK;
    block_view view;
    it->base.st = STATUS_OK;
    TRY(index_ref_reach(it->t, position, &it->args, &it->part));
    block_handle handle = index_ref_handle(&it->part, position);
    if (it->windowed) {
        TRY(table_window_view(it, handle, forward, &view));
        it->position = position;
        TRY(table_iter_decode(it, &view, block_piece_whole(&view), NULL));
        st = table_iter_pay(it);
        goto out;
    }
    TRY(table_iter_hold(it, position, forward, again));
    view = it->ref.view;
    block_piece piece = block_piece_whole(&view);
    if (target && it->sought.stage == TABLE_ITER_PIECE_FOUND && !again) {
        piece = it->sought.piece;
    } else if (target && UNLIKELY(!block_piece_around(&view, it->t->order, *target, &piece))) {
        st = error_corruption_at(it->t->file->path, handle.offset,
                                 "malformed restart point in the data block");
        goto out;
    }
    TRY(table_iter_decode(it, &view, piece, target));
    st = table_iter_pay(it);
out:
    return st;
}

/* The same; a block in place that failed meanwhile is read from the file. */
static status table_iter_load(table_iter *it, uint32_t position, bool forward,
                              const internal_key *target) {
    status st = table_iter_try_load(it, position, forward, target, false);
    if (it->windowed || LIKELY(table_in_place_is_good(it->t, &it->ref)))
        return st;
    return table_iter_try_load(it, position, forward, target, true);
}

/* Whether the run that is left was what the file holds. False: it ends here. */
static bool table_iter_leave(table_iter *it) {
    if (!block_ref_is_in_place(&it->ref) ||
        LIKELY(table_in_place_holds(it->t, index_ref_handle(&it->part, it->position))))
        return true;
    iter_set_end(&it->base, vfs_map_check(&it->t->mapping));
    return false;
}

/* Loads the first block from `position` on that has entries, and stands on its first. */
static void table_iter_load_forward(table_iter *it, uint32_t position) {
    for (; position < it->t->block_count; position++) {
        status st = table_iter_load(it, position, true, NULL);
        if (!status_is_ok(st)) {
            iter_set_end(&it->base, st);
            return;
        }
        if (LIKELY(it->base.count > 0))
            return;
    }
    iter_set_end(&it->base, STATUS_OK);
}

/* Loads the last block before `position` that has entries, and stands on its last. */
static void table_iter_load_backward(table_iter *it, uint32_t position) {
    while (position-- > 0) {
        status st = table_iter_load(it, position, false, NULL);
        if (!status_is_ok(st)) {
            iter_set_end(&it->base, st);
            return;
        }
        if (LIKELY(it->base.count > 0)) {
            it->base.index = it->base.count - 1;
            return;
        }
    }
    iter_set_end(&it->base, STATUS_OK);
}

/* Whether all entries behind the current block lie above the upper bound: they are not below its
 * separator. */
static bool table_iter_is_done_forward(const table_iter *it) {
    const iter_bounds *bounds = it->args.bounds;
    if (!bounds || !slice_is_set(bounds->upper) || !index_ref_has(&it->part, it->position))
        return false;
    user_key separator = internal_key_user(index_ref_separator(&it->part, it->position));
    return key_order_compare_user(it->t->order, separator, user_key_of(bounds->upper)) > 0;
}

/* Whether all entries before the current block lie below the lower bound. */
static bool table_iter_is_done_backward(const table_iter *it) {
    const iter_bounds *bounds = it->args.bounds;
    if (!bounds || !slice_is_set(bounds->lower) || it->position == 0)
        return false;
    user_key separator =
        internal_key_user(index_ref_separator_before(it->t, &it->part, it->position));
    return key_order_compare_user(it->t->order, separator, user_key_of(bounds->lower)) < 0;
}

/* What a seek left out of the block at hand, in front of its piece or behind it. False: nothing. */
static bool table_iter_load_rest(table_iter *it, block_piece rest) {
    if (rest.begin == rest.end)
        return false;
    status st = table_iter_decode(it, &it->ref.view, rest, NULL);
    if (!status_is_ok(st))
        iter_set_end(&it->base, st);
    return true;
}

/* The run is what lies in front of a sought piece, from the block's first entry on: what follows
 * cannot be decoded without it. */
static void table_iter_go_on_inside(table_iter *it) {
    uint32_t passed = it->base.count;
    status st = table_iter_decode(it, &it->ref.view, block_piece_whole(&it->ref.view), NULL);
    if (status_is_ok(st))
        it->base.index = passed;
    else
        iter_set_end(&it->base, st);
}

/* The rest of the block at hand, or else the next one if `may_leave` it. */
static void table_iter_go_on(table_iter *it, bool may_leave) {
    if (UNLIKELY(it->ends_inside)) {
        table_iter_go_on_inside(it);
        return;
    }
    if (!it->windowed &&
        table_iter_load_rest(it, (block_piece){it->piece.end, it->ref.view.entries_bytes}))
        return;
    if (LIKELY(may_leave))
        table_iter_load_forward(it, it->position + 1);
    else
        iter_set_end(&it->base, STATUS_OK);
}

static void table_iter_next_run(iter *base) {
    table_iter *it = (table_iter *)base;
    if (table_iter_leave(it))
        table_iter_go_on(it, !table_iter_is_done_forward(it));
}

static void table_iter_prev_run(iter *base) {
    table_iter *it = (table_iter *)base;
    if (!table_iter_leave(it))
        return;
    bool is_sought = it->is_sought;
    if (!it->windowed && table_iter_load_rest(it, (block_piece){0, it->piece.begin})) {
        it->ends_inside = is_sought;
        if (base->count > 0)
            base->index = base->count - 1;
        return;
    }
    if (UNLIKELY(table_iter_is_done_backward(it)))
        iter_set_end(base, STATUS_OK);
    else
        table_iter_load_backward(it, it->position);
}

static void table_iter_seek_first(iter *base) {
    table_iter *it = (table_iter *)base;
    table_iter_forget_pace(it);
    table_iter_load_forward(it, 0);
}

static void table_iter_seek_last(iter *base) {
    table_iter *it = (table_iter *)base;
    table_iter_forget_pace(it);
    table_iter_load_backward(it, it->t->block_count);
}

/* Nothing is reported here: the seek meets the same errors. */
static void table_iter_announce_seek(iter *base, internal_key target) {
    table_iter *it = (table_iter *)base;
    uint32_t *position = &it->sought.position;
    if (it->windowed)
        return;
    if (it->sought.stage == TABLE_ITER_NOTHING_SOUGHT) {
        if (!status_is_ok(index_ref_find(it->t, target, &it->args, &it->part, position)))
            return;
        it->sought.stage = TABLE_ITER_BLOCK_FOUND;
        if (*position < it->t->block_count)
            table_announce_block(it->t, index_ref_handle(&it->part, *position));
    } else if (*position < it->t->block_count &&
               status_is_ok(table_iter_hold(it, *position, true, false)) &&
               block_piece_around(&it->ref.view, it->t->order, target, &it->sought.piece)) {
        it->sought.stage = TABLE_ITER_PIECE_FOUND;
        block_fetch_piece(&it->ref.view, it->sought.piece);
    }
}

static void table_iter_seek(iter *base, internal_key target) {
    table_iter *it = (table_iter *)base;
    table_iter_forget_pace(it);
    status st = STATUS_OK;
    iter_set_end(base, STATUS_OK);
    if (it->sought.stage == TABLE_ITER_NOTHING_SOUGHT)
        st = index_ref_find(it->t, target, &it->args, &it->part, &it->sought.position);
    uint32_t position = it->sought.position;
    bool has_block = status_is_ok(st) && position < it->t->block_count;
    if (has_block)
        st = table_iter_load(it, position, true, &target);
    it->sought.stage = TABLE_ITER_NOTHING_SOUGHT;
    if (UNLIKELY(!status_is_ok(st)))
        iter_set_end(base, st);
    else if (has_block && base->count == 0)
        table_iter_go_on(it, true);
    while (iter_valid(base)) {
        base->index = block_run_find(&it->run, it->t->order, target);
        if (LIKELY(base->index < base->count))
            return;
        /* The target lies behind the piece, or between the block's last key and its separator. A
         * seek knows no bounds. */
        table_iter_go_on(it, true);
    }
}

static void *table_iter_origin(const iter *base) {
    return ((const table_iter *)base)->t;
}

FIRN_INTERNAL void table_iter_detach(table_iter *it) {
    table_iter_charge *c = &it->charge;
    block_ref_release(&it->ref);
    index_ref_release(&it->part);
    memory_budget_release(c->budget, MEMORY_PINS, c->pinned);
    c->pinned = 0;
    table_unref(it->t);
    it->t = NULL;
    it->window_bytes = 0;
    iter_set_end(&it->base, STATUS_OK);
}

FIRN_INTERNAL void table_iter_deinit(table_iter *it) {
    table_iter_detach(it);
    block_run_deinit(&it->run);
    table_scratch_deinit(&it->window);
    table_scratch_deinit(&it->expanded);
    memory_budget_release(it->charge.budget, it->charge.kind, it->charge.own);
    it->charge.own = 0;
}

FIRN_INTERNAL uint64_t table_iter_memory_bytes(const table_iter *it) {
    return it->run.capacity * sizeof *it->run.entries + it->run.keys_capacity +
           it->window.capacity + it->expanded.capacity;
}

static void table_iter_release(iter *base) {
    table_iter_deinit((table_iter *)base);
    memory_free(base);
}

static const iter_methods table_iter_methods = {
    .seek_first = table_iter_seek_first,
    .seek_last = table_iter_seek_last,
    .seek = table_iter_seek,
    .announce_seek = table_iter_announce_seek,
    .next_run = table_iter_next_run,
    .prev_run = table_iter_prev_run,
    .origin = table_iter_origin,
    .release = table_iter_release,
};

FIRN_INTERNAL void table_iter_attach(table_iter *it, table *t, const table_read_args *args) {
    DCHECK(!it->t && !it->ref.block);
    it->base.methods = &table_iter_methods;
    iter_set_end(&it->base, STATUS_OK);
    it->t = t;
    it->args = *args;
    it->windowed = args->read_ahead && !args->fill_cache;
    it->sought.stage = TABLE_ITER_NOTHING_SOUGHT;
    memory_kind kind = it->windowed ? MEMORY_JOBS : MEMORY_READERS;
    if (it->charge.own > 0 && it->charge.kind != kind)
        memory_budget_move(it->charge.budget, it->charge.kind, kind, it->charge.own);
    it->charge.budget = t->memory;
    it->charge.kind = kind;
    table_iter_forget_pace(it);
}

FIRN_INTERNAL status table_iter_new(table *t, const table_read_args *args, iter **out) {
    *out = NULL;
    table_iter *it = memory_new_zeroed(sizeof *it);
    if (!it)
        return error_status(FIRN_NO_MEMORY, "%s: no memory for an iterator", t->file->path);
    table_ref(t);
    table_iter_attach(it, t, args);
    *out = &it->base;
    return STATUS_OK;
}
