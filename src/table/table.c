#include "table/table.h"

#include <inttypes.h>

#include "platform/error_detail.h"
#include "platform/memory.h"
#include "table/index_ref.h"
#include "table/properties.h"
#include "table/table_internal.h"
#include "util/hash.h"

#include "base/poison.h"

FIRN_INTERNAL status table_read_footer(const block_source *source, table_footer *out) {
    status st = STATUS_OK;
    uint8_t bytes[TABLE_FOOTER_BYTES];
    for (int attempt = 0; attempt < 2; attempt++) {
        st = vfs_read_exact(source->file, source->end, bytes, sizeof bytes);
        if (!status_is_ok(st))
            return st;
        st = table_footer_decode(bytes, block_source_place(source, source->end), out);
        if (status_is_ok(st))
            return st;
    }
    return st;
}

FIRN_INTERNAL status table_read_meta(const block_source *source, block_handle handle,
                                     table_meta_index *out) {
    status st = STATUS_OK;
    table_block *b = NULL;
    block_place at = block_source_place(source, handle.offset);
    *out = (table_meta_index){0};
    TRY(block_load(source, handle, &b));
    block_cursor cursor = block_cursor_first(&b->view);
    for (;;) {
        slice name, value;
        TRY(block_cursor_next(&cursor, at, &name, &value));
        if (!slice_is_set(name))
            break;
        block_handle *to = NULL;
        if (slice_equal(name, slice_from_string(TABLE_META_DICTIONARY)))
            to = &out->dictionary;
        else if (slice_equal(name, slice_from_string(TABLE_META_FILTER)))
            to = &out->filter;
        else if (slice_equal(name, slice_from_string(TABLE_META_PREFIX_FILTER)))
            to = &out->prefix_filter;
        else if (slice_equal(name, slice_from_string(TABLE_META_PROPERTIES)))
            to = &out->properties;
        else if (slice_equal(name, slice_from_string(TABLE_META_RANGE_TOMBSTONES)))
            to = &out->range_tombstones;
        if (to && (!block_handle_decode(value, to) || to->bytes == 0)) {
            st = error_corruption_at(at.path, at.offset, "malformed handle in the meta-index");
            goto out;
        }
    }
    if (out->properties.bytes == 0)
        st = error_corruption_at(at.path, at.offset, "the meta-index names no properties");
out:
    block_free(b);
    return st;
}

/* Opens the file and reads its footer; the size must be the expected one, if one is. */
static status table_open_file(table *t, const table_open_args *args) {
    status st = STATUS_OK;
    uint64_t bytes = 0;
    TRY(vfs_open(args->vfs, args->path, FIRN_VFS_READ, &t->file));
    TRY(vfs_get_size(t->file, &bytes));
    if (args->expected_bytes && bytes != args->expected_bytes) {
        st =
            error_status(FIRN_CORRUPTION, "%s: the table has %" PRIu64 " bytes instead of %" PRIu64,
                         args->path, bytes, args->expected_bytes);
        goto out;
    }
    if (bytes < TABLE_FOOTER_BYTES) {
        st = error_corruption_at(args->path, bytes, "the file is too short to be a table");
        goto out;
    }
    t->source.file = t->file;
    t->source.end = bytes - TABLE_FOOTER_BYTES;
    TRY(table_read_footer(&t->source, &t->footer));
    memcpy(t->source.identity, t->footer.identity, sizeof t->source.identity);
    t->properties.file_bytes = bytes;
    memcpy(t->properties.identity, t->footer.identity, sizeof t->properties.identity);
    if (args->expected_identity &&
        memcmp(args->expected_identity, t->footer.identity, sizeof t->footer.identity) != 0)
        st = error_corruption_at(args->path, t->source.end,
                                 "this is another table: unexpected identity");
out:
    return st;
}

static status table_open_properties(table *t) {
    status st = STATUS_OK;
    table_block *b = NULL;
    slice comparator;
    TRY(block_load(&t->source, t->meta.properties, &b));
    TRY(properties_decode(&b->view, table_place(t, t->meta.properties.offset), &t->properties,
                          &comparator));
    if (!slice_equal(comparator, slice_from_string(key_order_name(t->order)))) {
        int shown = comparator.size < 255 ? (int)comparator.size : 255;
        st =
            error_status(FIRN_INVALID_ARGUMENT,
                         "%s: the table's keys are in the order '%.*s', not in '%s'", t->file->path,
                         shown, (const char *)comparator.data, key_order_name(t->order));
    }
out:
    block_free(b);
    return st;
}

FIRN_INTERNAL status table_open_dictionary(table *t) {
    status st = STATUS_OK;
    table_block *b = NULL;
    if (t->meta.dictionary.bytes == 0)
        return STATUS_OK;
    TRY(block_load_raw(&t->source, t->meta.dictionary, &b));
    st = codec_dictionary_new(block_raw(b), &t->dictionary);
    t->source.dictionary = t->dictionary;
    if (status_is(st, FIRN_CORRUPTION))
        st = error_corruption_at(t->file->path, t->meta.dictionary.offset, "malformed dictionary");
    else if (status_is(st, FIRN_NOT_SUPPORTED))
        st =
            error_status(FIRN_NOT_SUPPORTED,
                         "%s: the table's blocks are compressed with a dictionary, for Zstd, which "
                         "is not part of this build",
                         t->file->path);
out:
    block_free(b);
    return st;
}

/* Copies a filter to where its lines are lines of the processor's cache as well. */
static status table_open_filter(table *t, block_handle handle, uint8_t **memory,
                                filter_view *view) {
    status st = STATUS_OK;
    table_block *b = NULL;
    if (handle.bytes == 0)
        return STATUS_OK;
    TRY(block_load_raw(&t->source, handle, &b));
    size_t lead = CACHE_LINE_BYTES - FILTER_HEADER_BYTES, bytes = lead + b->raw_bytes;
    *memory = memory_new_aligned(CACHE_LINE_BYTES, bytes);
    if (!*memory) {
        st = error_status(FIRN_NO_MEMORY, "%s: no memory for the filter", t->file->path);
        goto out;
    }
    t->filter_memory_bytes += bytes;
    slice_copy_to(block_raw(b), *memory + lead);
    if (!filter_view_init(view, slice_of(*memory + lead, b->raw_bytes)))
        st = error_corruption_at(t->file->path, handle.offset, "malformed filter");
out:
    block_free(b);
    return st;
}

static status table_open_ranges(table *t) {
    status st = STATUS_OK;
    range_list list = {0};
    block_handle handle = t->meta.range_tombstones;
    if (handle.bytes != 0) {
        TRY(block_load(&t->source, handle, &t->range_block));
        TRY(range_block_decode(&t->range_block->view, table_place(t, handle.offset), t->order,
                               &list));
        TRY(range_fragments_build(t->order, list.items, list.count,
                                  &(range_select){.at = SEQNO_MAX}, &t->ranges));
    }
    if (list.count != t->properties.range_tombstones)
        st = error_corruption_at(t->file->path, handle.offset,
                                 "the properties say another number of range tombstones");
out:
    range_list_deinit(&list);
    return st;
}

/* Data ends where the first of the other parts begins. */
static uint64_t table_end_of_data(const table *t) {
    uint64_t end = t->footer.index.offset;
    const block_handle parts[] = {t->meta.dictionary, t->meta.filter, t->meta.prefix_filter,
                                  t->meta.range_tombstones, t->meta.properties};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (parts[i].bytes && parts[i].offset < end)
            end = parts[i].offset;
    if (t->top.count && table_index_handle(&t->top, 0).offset < end)
        end = table_index_handle(&t->top, 0).offset;
    return end;
}

/* Takes *b on success. */
static status table_open_partitions(table *t, table_block **b, const table_open_args *args) {
    status st = table_index_init_top(&t->top, *b, t->order, table_place(t, t->footer.index.offset));
    if (!status_is_ok(st))
        return st;
    *b = NULL;
    t->block_count = t->top.firsts[t->top.count];
    t->data_end = table_end_of_data(t);
    t->is_by_partition = true;
    if (t->blocks && index_partitions_memory_bytes(t) > args->index_memory_max)
        return STATUS_OK;
    return index_partitions_join(t);
}

static status table_open_index(table *t, const table_open_args *args) {
    status st = STATUS_OK;
    table_block *b = NULL;
    uint64_t offset = t->footer.index.offset;
    TRY(block_load(&t->source, t->footer.index, &b));
    if (t->footer.is_partitioned) {
        TRY(table_open_partitions(t, &b, args));
    } else {
        TRY(table_index_init(&t->index, b, t->order, table_place(t, offset), offset));
        b = NULL;
        t->block_count = t->index.count;
        t->data_end = t->index.data_end;
    }
    if (t->block_count != t->properties.data_blocks)
        st = error_corruption_at(t->file->path, t->footer.index.offset,
                                 "the index and the properties disagree on the data blocks");
out:
    block_free(b);
    return st;
}

static void table_free(table *t) {
    table_index_deinit(&t->index);
    table_index_deinit(&t->top);
    memory_free(t->filter_memory);
    memory_free(t->prefix_filter_memory);
    codec_dictionary_free(t->dictionary);
    table_unmap_file(t);
    memory_free(t->ranges);
    block_free(t->range_block);
    vfs_close(t->file);
    memory_budget_release(t->memory, MEMORY_TABLES, t->charged);
    memory_free(t);
}

FIRN_INTERNAL status table_open(const table_open_args *args, table **out) {
    status st = STATUS_OK;
    *out = NULL;
    table *t = memory_new_zeroed(sizeof *t);
    if (!t)
        return error_status(FIRN_NO_MEMORY, "cannot open '%s': no memory", args->path);
    t->order = args->order;
    t->blocks = args->blocks;
    t->memory = args->memory;
    atomic_u32_init(&t->references, 1);
    TRY(table_open_file(t, args));
    TRY(table_read_meta(&t->source, t->footer.meta_index, &t->meta));
    TRY(table_open_properties(t));
    TRY(table_open_dictionary(t));
    TRY(table_open_index(t, args));
    TRY(table_open_filter(t, t->meta.filter, &t->filter_memory, &t->filter));
    if (t->properties.prefix)
        TRY(table_open_filter(t, t->meta.prefix_filter, &t->prefix_filter_memory,
                              &t->prefix_filter));
    TRY(table_open_ranges(t));
    t->verifies_reads = args->verifies_reads;
    if (args->is_mapped)
        table_map_file(t);
    t->charged = table_memory_bytes(t);
    memory_budget_charge(t->memory, MEMORY_TABLES, t->charged);
    *out = t;
    return STATUS_OK;
out:
    table_free(t);
    return st;
}

FIRN_INTERNAL void table_ref(table *t) {
    /* relaxed: the caller holds a reference already, so nothing has to be ordered. */
    atomic_u32_add(&t->references, 1, memory_order_relaxed);
}

FIRN_INTERNAL void table_unref(table *t) {
    if (!t)
        return;
    /* acq_rel: the release pairs with the acquire of whoever drops the last reference, so all uses
     * of the table come before its end. */
    uint32_t before = atomic_u32_sub(&t->references, 1, memory_order_acq_rel);
    DCHECK(before > 0);
    if (before == 1)
        table_free(t);
}

FIRN_INTERNAL const table_properties *table_get_properties(const table *t) {
    return &t->properties;
}

FIRN_INTERNAL bool table_may_have_prefix(const table *t, slice prefix) {
    if (LIKELY(!t->prefix_filter.lines))
        return true;
    slice known = prefix_of(t->properties.prefix, prefix);
    return !slice_is_set(known) ||
           filter_may_contain(&t->prefix_filter, hash64(known.data, known.size));
}

FIRN_INTERNAL uint64_t table_memory_bytes(const table *t) {
    return sizeof *t + table_index_memory_bytes(&t->index) + table_index_memory_bytes(&t->top) +
           t->filter_memory_bytes + codec_dictionary_memory_bytes(t->dictionary) +
           (t->ranges ? t->ranges->bytes + t->range_block->raw_bytes : 0) + table_states_bytes(t);
}

/* Whether the key sought may begin the block after `position` although the separator of `position`
 * is not below it: when the separator is exactly that user key, shortened. */
static bool table_spills_over(const table *t, const index_ref *part, uint32_t position,
                              internal_key seek) {
    return position + 1 < t->block_count &&
           slice_equal(internal_key_user(index_ref_separator(part, position)).s,
                       internal_key_user(seek).s);
}

static void table_unpin(void *pin) {
    table_unref(pin);
}

FIRN_INTERNAL void table_pin_lookup(table *t, lookup *found) {
    DCHECK(found->in_place && !found->unpin);
    table_ref(t);
    found->pin = t;
    found->unpin = table_unpin;
}

/* Where a search stands. The references are let go of by table_search_end. */
typedef struct table_search {
    uint32_t position;
    index_ref part;
    block_ref block;
} table_search;

static void table_search_end(table_search *s) {
    block_ref_release(&s->block);
    if (UNLIKELY(s->part.partition != NULL))
        index_ref_release(&s->part);
}

/* Searches the block at hand. */
static status table_search_block(table *t, table_search *s, internal_key seek,
                                 const table_read_args *args, block_hit *hit) {
    status st = STATUS_OK;
    block_ref *ref = &s->block;
    block_handle handle = index_ref_handle(&s->part, s->position);
    block_place at = table_place(t, handle.offset);
    TRY(args->cached_only
            ? block_ref_fetch_cached(&t->source, handle, t->blocks, args->fill_cache, ref)
            : table_fetch_block(t, s->position, handle, args->fill_cache, ref));
    st = block_search(&ref->view, at, t->order, seek, hit);
    if (table_in_place_is_good(t, ref))
        goto out;
    TRY(table_fetch_block_again(t, handle, args->fill_cache, ref));
    TRY(block_search(&ref->view, at, t->order, seek, hit));
out:
    return st;
}

FIRN_INTERNAL void table_prefetch_filter(const table *t, uint64_t hash) {
    filter_prefetch(&t->filter, hash);
}

static inline void table_trace_block(table_get_trace *trace, const block_ref *ref) {
    trace->blocks_mapped += block_ref_is_in_place(ref);
    trace->blocks_read += ref->was_read;
    trace->blocks_cached += !ref->was_read && !block_ref_is_in_place(ref);
    trace->block_bytes += ref->view.entries_bytes;
}

/* To the first block that may have the key. */
static status table_search_begin(table *t, table_search *s, internal_key seek,
                                 const table_read_args *args, table_get_trace *trace) {
    status st = index_ref_find(t, seek, args, &s->part, &s->position);
    if (UNLIKELY(s->part.partition != NULL)) {
        trace->blocks_read += s->part.was_read;
        trace->blocks_cached += !s->part.was_read;
        trace->block_bytes += s->part.index->contents->raw_bytes;
    }
    return st;
}

FIRN_INTERNAL const range_fragments *table_ranges(const table *t) {
    return t->ranges;
}

static status table_get_point(table *t, internal_key seek, uint64_t hash,
                              const table_read_args *args, table_get_trace *trace, lookup *out) {
    status st = STATUS_OK;
    table_search s = {.part = index_ref_whole(t)};
    bool searches_first = args->is_last && LIKELY(s.part.index != NULL);
    *out = (lookup){0};
    *trace = (table_get_trace){0};
    /* A search of the index takes as long as a line of the filter is under way: where the key is
     * likely here, the two overlap; elsewhere the filter saves the search. */
    if (searches_first)
        s.position = table_index_find(s.part.index, seek);
    if (t->filter.lines) {
        trace->filter_checked = true;
        trace->filter_negative = !filter_may_contain(&t->filter, hash);
        if (trace->filter_negative)
            return STATUS_OK;
    }
    if (!searches_first)
        TRY(table_search_begin(t, &s, seek, args, trace));
    for (; s.position < t->block_count; s.position++) {
        block_hit hit;
        TRY(index_ref_reach(t, s.position, args, &s.part));
        TRY(table_search_block(t, &s, seek, args, &hit));
        table_trace_block(trace, &s.block);
        if (hit.same_user_key) {
            *out = (lookup){.found = true,
                            .kind = (op_kind)(hit.trailer & 0xff),
                            .sequence = hit.trailer >> 8,
                            .value = hit.value,
                            .in_place = !s.block.block};
            if (s.block.block)
                block_ref_to_pin(&s.block, &out->pin, &out->unpin);
            goto out; /* with the block pinned, its reference is empty */
        }
        block_ref_release(&s.block);
        if (LIKELY(!table_spills_over(t, &s.part, s.position, seek)))
            break;
    }
out:
    table_search_end(&s);
    return st;
}

FIRN_INTERNAL status table_get(table *t, internal_key seek, uint64_t hash,
                               const table_read_args *args, table_get_trace *trace, lookup *out) {
    status st = table_get_point(t, seek, hash, args, trace, out);
    if (LIKELY(!t->ranges) || !status_is_ok(st))
        return st;
    seqno cover =
        range_fragments_cover(t->ranges, internal_key_user(seek), internal_key_sequence(seek));
    if (cover > out->sequence) {
        lookup_release(out);
        *out = (lookup){.found = true, .kind = OP_RANGE_DELETE, .sequence = cover};
    }
    return st;
}

FIRN_INTERNAL uint64_t table_approximate_offset(table *t, internal_key key) {
    const table_read_args args = {.cached_only = true};
    index_ref part = {0};
    uint32_t position;
    uint64_t offset = t->data_end;
    if (status_is_ok(index_ref_find(t, key, &args, &part, &position))) {
        if (position < t->block_count)
            offset = index_ref_handle(&part, position).offset;
        index_ref_release(&part);
        return offset;
    }
    /* Not in the cache: as many blocks are before the partition as the top says. */
    uint32_t before = t->top.firsts[table_index_find(&t->top, key)];
    return (uint64_t)((double)t->data_end * before / t->block_count);
}

FIRN_INTERNAL uint32_t table_anchors(const table *t, uint32_t parts, user_key *keys) {
    const table_index *index = t->is_by_partition ? &t->top : &t->index;
    uint32_t count = 0;
    for (uint32_t part = 1; part < parts; part++) {
        uint32_t end = (uint32_t)((uint64_t)index->count * part / parts);
        user_key key;
        if (end == 0)
            continue;
        key = internal_key_user(table_index_separator(index, end - 1));
        if (count == 0 || key_order_compare_user(index->order, keys[count - 1], key) < 0)
            keys[count++] = key;
    }
    return count;
}
