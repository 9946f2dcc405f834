#include "table/index.h"

#include "platform/error_detail.h"
#include "platform/memory.h"

#include "base/poison.h"

/* Entry `position` of an index whose entries were checked: no bounds are needed any more. */
static block_entry table_index_entry(const table_index *index, uint32_t position) {
    const block_view *view = &index->contents->view;
    const uint8_t *restarts = view->data + view->entries_bytes;
    block_entry e = {0};
    const uint8_t *next =
        block_entry_decode(view->data + decode_fixed32(restarts + (size_t)position * 4), restarts,
                           &e);
    DCHECK(next != NULL);
    (void)next;
    return e;
}

/* What an entry leads to. Of a top each entry also says how many data blocks its partition has. */
static bool table_index_decode_value(const table_index *index, const block_entry *e,
                                     block_handle *handle, uint32_t *blocks) {
    slice value = slice_of(e->suffix + e->unshared, e->value_bytes);
    *blocks = 1;
    if (!index->firsts)
        return block_handle_decode(value, handle);
    return get_varint64(&value, &handle->offset) && get_varint64(&value, &handle->bytes) &&
           get_varint32(&value, blocks) && *blocks > 0 && value.size == 0;
}

FIRN_INTERNAL internal_key table_index_separator(const table_index *index, uint32_t position) {
    DCHECK(position < index->count);
    block_entry e = table_index_entry(index, position);
    return (internal_key){slice_of(e.suffix, e.unshared)};
}

FIRN_INTERNAL block_handle table_index_handle_slow(const table_index *index, uint32_t position) {
    DCHECK(position < index->count);
    block_entry e = table_index_entry(index, position);
    block_handle handle;
    uint32_t blocks;
    bool sound = table_index_decode_value(index, &e, &handle, &blocks);
    DCHECK(sound);
    (void)sound;
    return handle;
}

FIRN_INTERNAL void table_index_copy_entry(const table_index *index, uint32_t position,
                                          block_builder *to) {
    block_entry e = table_index_entry(index, position);
    block_builder_add(to, slice_of(e.suffix, e.unshared), 0,
                      slice_of(e.suffix + e.unshared, e.value_bytes));
}

/* Walks the entries once: each must be a restart point with an internal key and a handle, and the
 * handles must ascend, apart from each other and below `limit`. */
static bool table_index_check(table_index *index, uint64_t limit) {
    const block_view *view = &index->contents->view;
    const uint8_t *p = view->data, *end = p + view->entries_bytes;
    uint64_t data_end = 0, blocks_before = 0;
    for (uint32_t i = 0; i < view->restart_count; i++) {
        block_entry e;
        block_handle handle;
        uint32_t blocks;
        if (decode_fixed32(end + (size_t)i * 4) != (uint64_t)(p - view->data))
            return false;
        p = block_entry_decode(p, end, &e);
        if (!p || e.shared != 0 || e.unshared < KEY_TRAILER_BYTES ||
            e.unshared > BLOCK_KEY_BYTES_MAX)
            return false;
        if (!table_index_decode_value(index, &e, &handle, &blocks))
            return false;
        if (handle.offset < data_end || handle.bytes > BLOCK_RAW_BYTES_MAX ||
            handle.offset > limit || limit - handle.offset < handle.bytes + BLOCK_TRAILER_BYTES)
            return false;
        data_end = handle.offset + handle.bytes + BLOCK_TRAILER_BYTES;
        blocks_before += blocks;
        if (blocks_before >= UINT32_MAX)
            return false;
        if (index->firsts)
            index->firsts[i + 1] = (uint32_t)blocks_before;
    }
    index->count = view->restart_count;
    index->data_end = data_end;
    return p == end;
}

/* 0 for what does not fit; no handle is 0, for a block has bytes. */
static uint64_t table_index_pack(block_handle handle) {
    if (handle.bytes >> TABLE_INDEX_BYTES_BITS || handle.offset >> (64 - TABLE_INDEX_BYTES_BITS))
        return 0;
    return handle.offset << TABLE_INDEX_BYTES_BITS | handle.bytes;
}

static void table_index_fill_handles(table_index *index) {
    for (uint32_t i = 0; i < index->count; i++)
        index->places[i] =
            (table_index_place){.handle = table_index_pack(table_index_handle_slow(index, i))};
}

/* False: the separators do not ascend; found here because all must begin with what the first and
 * the last have in common. */
static bool table_index_fill_heads(table_index *index) {
    slice first = internal_key_user(table_index_separator(index, 0)).s;
    slice last = internal_key_user(table_index_separator(index, index->count - 1)).s;
    size_t limit = first.size < last.size ? first.size : last.size;
    index->prefix =
        slice_of(first.data, block_common_prefix(first.data, last.data, (uint32_t)limit));
    uint64_t previous = 0;
    for (uint32_t i = 0; i < index->count; i++) {
        slice key = internal_key_user(table_index_separator(index, i)).s;
        if (!slice_starts_with(key, index->prefix))
            return false;
        index->places[i].head = key_head(slice_skip(key, index->prefix.size));
        if (index->places[i].head < previous)
            return false;
        previous = index->places[i].head;
    }
    return true;
}

static COLD status table_index_no_memory(block_place at) {
    return error_status(FIRN_NO_MEMORY, "%s: no memory for the index", at.path);
}

/* Everything but `contents` is set on success; `firsts` was, if there is one. */
static status table_index_fill(table_index *index, block_place at, uint64_t limit) {
    if (!table_index_check(index, limit))
        return error_corruption_at(at.path, at.offset, "malformed index block");
    if (index->count == 0)
        return STATUS_OK;
    index->places = memory_new((size_t)index->count * sizeof *index->places);
    if (!index->places)
        return table_index_no_memory(at);
    table_index_fill_handles(index);
    if (!index->has_heads || table_index_fill_heads(index))
        return STATUS_OK;
    return error_corruption_at(at.path, at.offset, "the index's keys are not in order");
}

/* On failure `contents` stays the caller's. */
static status table_index_finish_init(table_index *index, block_place at, uint64_t limit) {
    status st = table_index_fill(index, at, limit);
    if (!status_is_ok(st)) {
        index->contents = NULL;
        table_index_deinit(index);
    }
    return st;
}

FIRN_INTERNAL status table_index_init(table_index *index, table_block *contents, key_order order,
                                      block_place at, uint64_t limit) {
    *index = (table_index){.order = order, .contents = contents, .has_heads = !order.custom};
    return table_index_finish_init(index, at, limit);
}

FIRN_INTERNAL status table_index_init_top(table_index *index, table_block *contents,
                                          key_order order, block_place at) {
    uint32_t *firsts = memory_new(((size_t)contents->view.restart_count + 1) * sizeof *firsts);
    *index = (table_index){0};
    if (!firsts)
        return table_index_no_memory(at);
    firsts[0] = 0;
    *index = (table_index){.order = order,
                           .contents = contents,
                           .has_heads = !order.custom,
                           .firsts = firsts};
    return table_index_finish_init(index, at, at.offset);
}

FIRN_INTERNAL void table_index_deinit(table_index *index) {
    block_free(index->contents);
    memory_free(index->places);
    memory_free(index->firsts);
    *index = (table_index){0};
}

/* First position in [low, high) whose separator is >= target, by whole keys. */
static uint32_t table_index_find_whole(const table_index *index, uint32_t low, uint32_t high,
                                       internal_key target) {
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        internal_key separator = table_index_separator(index, middle);
        if (key_order_compare(index->order, separator, target) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* First position whose head is >= `head`. The loop's length depends on count alone and its body
 * becomes a conditional move: no branch to mispredict. */
static uint32_t table_index_find_head(const table_index *index, uint64_t head) {
    const table_index_place *base = index->places;
    uint32_t count = index->count;
    while (count > 1) {
        uint32_t half = count / 2;
        base += base[half - 1].head < head ? half : 0;
        count -= half;
    }
    return (uint32_t)(base - index->places) + (base[0].head < head);
}

FIRN_INTERNAL uint32_t table_index_find(const table_index *index, internal_key target) {
    if (!index->has_heads || index->count == 0)
        return table_index_find_whole(index, 0, index->count, target);
    slice user = internal_key_user(target).s;
    slice prefix = index->prefix;
    if (!slice_starts_with(user, prefix))
        return slice_compare(user, prefix) < 0 ? 0 : index->count;
    uint64_t head = key_head(slice_skip(user, prefix.size));
    uint32_t low = table_index_find_head(index, head);
    if (low == index->count || index->places[low].head != head)
        return low;
    uint32_t high = head == UINT64_MAX ? index->count : table_index_find_head(index, head + 1);
    return table_index_find_whole(index, low, high, target);
}

FIRN_INTERNAL uint64_t table_index_memory_bytes(const table_index *index) {
    uint64_t places = (uint64_t)index->count * sizeof *index->places;
    if (index->firsts)
        places += ((uint64_t)index->count + 1) * sizeof *index->firsts;
    return places + (index->contents ? block_memory_bytes(index->contents) : 0);
}
