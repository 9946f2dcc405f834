/* The full check of a table: every byte is read from the file, nothing from memory or cache. */
#include <inttypes.h>
#include <stdio.h>

#include "format/expiry.h"
#include "platform/error_detail.h"
#include "platform/memory.h"
#include "table/index_ref.h"
#include "table/table.h"
#include "util/hash.h"

#include "base/poison.h"

typedef struct table_verifier {
    table *t;
    int (*progress)(void *context, uint64_t bytes);
    void *context;
    uint64_t bytes_done;
    table_properties seen; /* what was counted */
    expiry_range expiry;
    block_run run;
    buf last_key;  /* of the block before; empty at first */
    buf separator; /* of the block before; empty at first */
    uint8_t *chunk;
} table_verifier;

static status table_verifier_advance(table_verifier *v, uint64_t bytes) {
    v->bytes_done += bytes;
    if (v->progress && v->progress(v->context, v->bytes_done))
        return error_status(FIRN_ABORTED, "%s: the check was stopped", v->t->file->path);
    return STATUS_OK;
}

/* Ascending within the block, after the block before, and between the two separators. */
static status table_verifier_order(table_verifier *v, internal_key separator, block_place at) {
    const block_run *run = &v->run;
    key_order order = v->t->order;
    internal_key last = {buf_slice(&v->last_key)};
    if (run->count == 0)
        return error_corruption_at(at.path, at.offset, "a data block is empty");
    for (uint32_t i = 0; i < run->count; i++) {
        internal_key key = {slice_of(run->entries[i].key, run->entries[i].key_bytes)};
        if (last.s.size && key_order_compare(order, last, key) >= 0)
            return error_corruption_at(at.path, at.offset, "keys are out of order in the block");
        last = key;
    }
    internal_key first = {slice_of(run->entries[0].key, run->entries[0].key_bytes)};
    internal_key before = {buf_slice(&v->separator)};
    if (key_order_compare(order, separator, last) < 0 ||
        (before.s.size && key_order_compare(order, before, first) >= 0))
        return error_corruption_at(at.path, at.offset,
                                   "the index does not separate the keys of the block");
    buf_clear(&v->last_key);
    buf_append_slice(&v->last_key, last.s);
    buf_clear(&v->separator);
    buf_append_slice(&v->separator, separator.s);
    return status_first(buf_status(&v->last_key), buf_status(&v->separator));
}

static status table_verifier_large(table_verifier *v, block_place at, slice value) {
    status st = STATUS_OK;
    large_ref ref;
    size_t bytes;
    TRY(table_large_decode(v->t, at, value, &ref));
    if (!v->chunk && !(v->chunk = memory_new(EXTENT_CHUNK_BYTES))) {
        st = error_status(FIRN_NO_MEMORY, "%s: no memory to check a large value", at.path);
        goto out;
    }
    for (uint64_t i = 0; i < extent_chunk_count(ref.bytes); i++) {
        TRY(table_large_read_chunk(v->t, &ref, i, v->chunk, &bytes));
        TRY(table_verifier_advance(v, bytes + 4));
    }
    v->seen.large_count++;
    v->seen.large_bytes += ref.bytes;
out:
    return st;
}

static status table_verifier_entry(table_verifier *v, block_place at, const iter_entry *e) {
    table_properties *seen = &v->seen;
    internal_key key = {slice_of(e->key, e->key_bytes)};
    slice user = internal_key_user(key).s;
    uint64_t sequence = internal_key_sequence(key);
    const filter_view *filter = &v->t->filter;
    if (filter->lines && !filter_may_contain(filter, hash64(user.data, user.size)))
        return error_corruption_at(at.path, at.offset, "the filter denies a key of the block");
    if (!table_may_have_prefix(v->t, user))
        return error_corruption_at(at.path, at.offset,
                                   "the filter of prefixes denies a key of the block");
    seen->deletes += op_kind_is_delete(internal_key_kind(key));
    expiry_range_note(&v->expiry, internal_key_kind(key), slice_of(e->value, e->value_bytes));
    seen->raw_key_bytes += e->key_bytes;
    seen->raw_value_bytes += e->value_bytes;
    if (seen->entries++ == 0 || sequence < seen->min_sequence)
        seen->min_sequence = sequence;
    if (sequence > seen->max_sequence)
        seen->max_sequence = sequence;
    if (internal_key_kind(key) == OP_PUT_LARGE)
        return table_verifier_large(v, at, slice_of(e->value, e->value_bytes));
    return STATUS_OK;
}

static status table_verifier_data_block(table_verifier *v, const table_index *index,
                                        uint32_t position) {
    status st = STATUS_OK;
    table_block *b = NULL;
    block_handle handle = table_index_handle(index, position);
    block_place at = table_place(v->t, handle.offset);
    TRY(block_load(&v->t->source, handle, &b));
    TRY(block_run_decode(&v->run, &b->view, block_piece_whole(&b->view), at));
    TRY(table_verifier_order(v, table_index_separator(index, position), at));
    for (uint32_t i = 0; i < v->run.count; i++)
        TRY(table_verifier_entry(v, at, &v->run.entries[i]));
    v->seen.data_blocks++;
    TRY(table_verifier_advance(v, handle.bytes + BLOCK_TRAILER_BYTES));
out:
    block_free(b);
    return st;
}

static status table_verifier_data(table_verifier *v, const table_index *index) {
    status st = STATUS_OK;
    for (uint32_t i = 0; i < index->count; i++)
        TRY(table_verifier_data_block(v, index, i));
out:
    return st;
}

/* The data by way of the partitions as they are in the file. */
static status table_verifier_partitions(table_verifier *v) {
    status st = STATUS_OK;
    table_index part = {0};
    for (uint32_t i = 0; i < v->t->top.count; i++) {
        TRY(index_partition_read(v->t, i, &part));
        TRY(table_verifier_advance(v,
                                   table_index_handle(&v->t->top, i).bytes + BLOCK_TRAILER_BYTES));
        TRY(table_verifier_data(v, &part));
        table_index_deinit(&part);
    }
out:
    table_index_deinit(&part);
    return st;
}

/* Reads again what was read at open: it may have gone bad since. */
static status table_verifier_meta(table_verifier *v) {
    status st = STATUS_OK;
    const block_source *source = &v->t->source;
    table_block *b = NULL;
    table_footer footer;
    table_meta_index meta;
    TRY(table_read_footer(source, &footer));
    TRY(table_read_meta(source, footer.meta_index, &meta));
    TRY(table_verifier_advance(v, TABLE_FOOTER_BYTES));
    const block_handle handles[] = {footer.meta_index,    footer.index, meta.properties,
                                    meta.dictionary,      meta.filter,  meta.prefix_filter,
                                    meta.range_tombstones};
    for (size_t i = 0; i < sizeof handles / sizeof handles[0]; i++) {
        if (handles[i].bytes == 0)
            continue;
        TRY(block_load_raw(source, handles[i], &b));
        block_free(b);
        b = NULL;
        TRY(table_verifier_advance(v, handles[i].bytes + BLOCK_TRAILER_BYTES));
    }
out:
    block_free(b);
    return st;
}

/* The range tombstones as they are in the file; the table has only their fragments. */
static status table_verifier_ranges(table_verifier *v) {
    status st = STATUS_OK;
    table_block *b = NULL;
    range_list list = {0};
    table_properties *seen = &v->seen;
    block_handle handle = v->t->meta.range_tombstones;
    if (handle.bytes == 0)
        return STATUS_OK;
    TRY(block_load(&v->t->source, handle, &b));
    TRY(range_block_decode(&b->view, table_place(v->t, handle.offset), v->t->order, &list));
    for (uint32_t i = 0; i < list.count; i++) {
        const range_tombstone *t = &list.items[i];
        if (seen->min_sequence == 0 || t->sequence < seen->min_sequence)
            seen->min_sequence = t->sequence;
        if (t->sequence > seen->max_sequence)
            seen->max_sequence = t->sequence;
        seen->range_tombstones++;
        seen->raw_key_bytes += t->begin.s.size + KEY_TRAILER_BYTES;
        seen->raw_value_bytes += t->end.s.size;
    }
out:
    range_list_deinit(&list);
    block_free(b);
    return st;
}

static status table_verifier_counts(table_verifier *v) {
    const table_properties *seen = &v->seen, *said = &v->t->properties;
    const struct {
        const char *name;
        uint64_t seen, said;
    } counts[] = {
        {"data blocks", seen->data_blocks, said->data_blocks},
        {"entries", seen->entries, said->entries},
        {"deletes", seen->deletes, said->deletes},
        {"range tombstones", seen->range_tombstones, said->range_tombstones},
        {"key bytes", seen->raw_key_bytes, said->raw_key_bytes},
        {"value bytes", seen->raw_value_bytes, said->raw_value_bytes},
        {"large values", seen->large_count, said->large_count},
        {"bytes of large values", seen->large_bytes, said->large_bytes},
        {"as smallest sequence", seen->min_sequence, said->min_sequence},
        {"as largest sequence", seen->max_sequence, said->max_sequence},
        {"as earliest expiry", v->expiry.least_ms, said->min_expiry},
        {"as end of its values", expiry_range_end(&v->expiry), said->max_expiry},
        {"bytes in blocks, extents and footer", v->bytes_done, said->file_bytes},
    };
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        if (counts[i].seen != counts[i].said)
            return error_status(FIRN_CORRUPTION,
                                "%s: the table says it has %" PRIu64 " %s, but it has %" PRIu64,
                                v->t->file->path, counts[i].said, counts[i].name, counts[i].seen);
    }
    return STATUS_OK;
}

FIRN_INTERNAL status table_verify(table *t, int (*progress)(void *context, uint64_t bytes),
                                  void *context) {
    status st = STATUS_OK;
    table_verifier v = {.t = t, .progress = progress, .context = context};
    TRY(t->top.firsts ? table_verifier_partitions(&v) : table_verifier_data(&v, &t->index));
    TRY(table_verifier_meta(&v));
    TRY(table_verifier_ranges(&v));
    TRY(table_verifier_counts(&v));
out:
    block_run_deinit(&v.run);
    buf_deinit(&v.last_key);
    buf_deinit(&v.separator);
    memory_free(v.chunk);
    return st;
}
