#include "table/index_ref.h"

#include "platform/error_detail.h"
#include "platform/memory.h"

#include "base/poison.h"

/* An entry of the block cache. Its offset is that of no data block: those lie in front of all
 * partitions. */
struct index_partition {
    cache *owner; /* the cache that holds it, or NULL */
    table_index index;
};

static void index_partition_free(void *value) {
    index_partition *p = value;
    table_index_deinit(&p->index);
    memory_free(p);
}

/* What the top says of it must be so: then what is found in the top is found in the partition. */
static bool index_partition_is_as_said(const table *t, uint32_t i, const table_index *index) {
    return index->count == t->top.firsts[i + 1] - t->top.firsts[i] &&
           slice_equal(table_index_separator(index, index->count - 1).s,
                       table_index_separator(&t->top, i).s);
}

FIRN_INTERNAL status index_partition_read(table *t, uint32_t i, table_index *out) {
    status st = STATUS_OK;
    table_block *b = NULL;
    block_handle handle = table_index_handle(&t->top, i);
    block_place at = table_place(t, handle.offset);
    *out = (table_index){0};
    TRY(block_load(&t->source, handle, &b));
    TRY(table_index_init(out, b, t->order, at, t->data_end));
    b = NULL;
    if (!index_partition_is_as_said(t, i, out)) {
        table_index_deinit(out);
        st = error_corruption_at(at.path, at.offset,
                                 "a partition of the index is not what the top of the index says");
    }
out:
    block_free(b);
    return st;
}

static uint64_t index_partition_memory_bytes(const index_partition *p) {
    return sizeof *p + table_index_memory_bytes(&p->index);
}

static cache_key index_partition_key(const table *t, block_handle handle) {
    const uint8_t *identity = t->source.identity;
    return (cache_key){{decode_fixed64(identity), decode_fixed64(identity + 8)}, handle.offset};
}

/* Reads the partition, and puts it into the cache if `fill`. Without memory for the cache's entry
 * it serves this one reader. */
static status index_ref_read(table *t, uint32_t i, bool fill, index_ref *ref) {
    status st = STATUS_OK;
    index_partition *p = memory_new_zeroed(sizeof *p);
    if (!p)
        return error_status(FIRN_NO_MEMORY, "%s: no memory for a part of the index", t->file->path);
    ref->was_read = true;
    TRY(index_partition_read(t, i, &p->index));
    if (t->blocks && fill) {
        cache_key key = index_partition_key(t, table_index_handle(&t->top, i));
        p->owner = t->blocks;
        if (!status_is_ok(cache_insert(t->blocks, &key, p,
                                       index_partition_memory_bytes(p) + CACHE_ENTRY_BYTES,
                                       index_partition_free, &ref->handle))) {
            p->owner = NULL;
            ref->handle = NULL;
        }
    }
    ref->partition = p;
    p = NULL;
out:
    if (p)
        index_partition_free(p);
    return st;
}

/* Makes `ref` partition `i`. */
static status index_ref_enter(table *t, uint32_t i, const table_read_args *args, index_ref *ref) {
    status st = STATUS_OK;
    if (ref->partition && ref->first == t->top.firsts[i])
        return STATUS_OK;
    index_ref_release(ref);
    cache_key key = index_partition_key(t, table_index_handle(&t->top, i));
    if (t->blocks && (ref->handle = cache_lookup(t->blocks, &key)) != NULL)
        ref->partition = cache_handle_value(ref->handle);
    else if (args->cached_only)
        st = status_of(FIRN_WOULD_BLOCK, "a part of the index is not in the cache");
    else
        st = index_ref_read(t, i, args->fill_cache, ref);
    if (!status_is_ok(st))
        return st;
    ref->index = &ref->partition->index;
    ref->first = t->top.firsts[i];
    return STATUS_OK;
}

FIRN_INTERNAL status index_ref_find_partitioned(table *t, internal_key target,
                                                const table_read_args *args, index_ref *ref,
                                                uint32_t *position) {
    uint32_t i = table_index_find(&t->top, target);
    *position = t->block_count;
    ref->was_read = false;
    if (i == t->top.count)
        return STATUS_OK;
    status st = index_ref_enter(t, i, args, ref);
    if (status_is_ok(st))
        *position = ref->first + table_index_find(ref->index, target);
    return st;
}

/* The partition that has data block `position`. */
static uint32_t index_partition_of(const table *t, uint32_t position) {
    uint32_t low = 0, high = t->top.count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (t->top.firsts[middle] <= position)
            low = middle;
        else
            high = middle;
    }
    return low;
}

FIRN_INTERNAL status index_ref_load(table *t, uint32_t position, const table_read_args *args,
                                    index_ref *ref) {
    DCHECK(position < t->block_count);
    ref->was_read = false;
    if (t->is_by_partition)
        return index_ref_enter(t, index_partition_of(t, position), args, ref);
    *ref = index_ref_whole(t);
    return STATUS_OK;
}

FIRN_INTERNAL internal_key index_ref_separator_before(const table *t, const index_ref *ref,
                                                      uint32_t position) {
    DCHECK(position > 0);
    if (position > ref->first)
        return index_ref_separator(ref, position - 1);
    /* The top has the last separator of each partition. */
    return table_index_separator(&t->top, index_partition_of(t, position - 1));
}

FIRN_INTERNAL uint64_t index_ref_memory_bytes(const index_ref *ref) {
    return ref->partition ? index_partition_memory_bytes(ref->partition) : 0;
}

FIRN_INTERNAL void index_ref_release(index_ref *ref) {
    if (ref->handle)
        cache_release(ref->partition->owner, ref->handle);
    else if (ref->partition)
        index_partition_free(ref->partition);
    *ref = (index_ref){0};
}

FIRN_INTERNAL status index_partitions_join(table *t) {
    status st = STATUS_OK;
    table_index part = {0};
    table_block *b = NULL;
    block_builder all;
    slice raw;
    block_builder_init(&all, 1);
    for (uint32_t i = 0; i < t->top.count; i++) {
        TRY(index_partition_read(t, i, &part));
        for (uint32_t k = 0; k < part.count; k++)
            table_index_copy_entry(&part, k, &all);
        table_index_deinit(&part);
    }
    TRY(block_builder_finish(&all, &raw));
    TRY(block_from_raw(raw, &b));
    TRY(table_index_init(&t->index, b, t->order, table_place(t, t->footer.index.offset),
                         t->data_end));
    b = NULL;
    t->is_by_partition = false;
out:
    table_index_deinit(&part);
    block_builder_deinit(&all);
    block_free(b);
    return st;
}

FIRN_INTERNAL uint64_t index_partitions_memory_bytes(const table *t) {
    uint64_t bytes = (uint64_t)t->block_count * sizeof(table_index_place);
    for (uint32_t i = 0; i < t->top.count; i++)
        bytes += table_index_handle(&t->top, i).bytes;
    return bytes;
}
