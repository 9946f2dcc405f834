/* A table as text: one line per block and extent, damage named where it is met. */
#include <inttypes.h>
#include <stdio.h>

#include "codec/codec.h"
#include "platform/error_detail.h"
#include "table/index_ref.h"
#include "table/properties.h"
#include "table/table.h"
#include "util/text.h"

#include "base/poison.h"

enum { TABLE_DESCRIBE_KEY_BYTES = 64 };

typedef struct table_describer {
    table *t;
    firn_line_callback print;
    void *context;
    bool stopped; /* print wanted no more lines */
    buf line;
    block_run run;
    status first_problem;
} table_describer;

static const char *table_describe_kind(op_kind kind) {
    switch (kind) {
    case OP_DELETE:
        return "delete";
    case OP_PUT:
        return "put";
    case OP_PUT_LARGE:
        return "large put";
    case OP_SINGLE_DELETE:
        return "single delete";
    case OP_PUT_EXPIRY:
        return "put with expiry";
    case OP_RANGE_DELETE:
        return "range delete";
    default:
        return "?";
    }
}

/* Hands d->line on and empties it. */
static status table_describe_print(table_describer *d) {
    put_u8(&d->line, 0);
    status st = buf_status(&d->line);
    if (!status_is_ok(st))
        return error_status(FIRN_NO_MEMORY, "%s: no memory to describe it", d->t->file->path);
    if (!d->stopped)
        d->stopped = d->print(d->context, (const char *)d->line.data) != 0;
    buf_clear(&d->line);
    return st;
}

static void table_describe_key(table_describer *d, const iter_entry *e) {
    internal_key key = {slice_of(e->key, e->key_bytes)};
    buf_printf(&d->line, "\"");
    text_append_escaped(&d->line, internal_key_user(key).s, TABLE_DESCRIBE_KEY_BYTES);
    buf_printf(&d->line, "\" @%" PRIu64 " %s", internal_key_sequence(key),
               table_describe_kind(internal_key_kind(key)));
}

static status table_describe_place(table_describer *d, const char *what, block_handle handle) {
    if (handle.bytes == 0)
        buf_printf(&d->line, "  %-18s none", what);
    else
        buf_printf(&d->line, "  %-18s offset %" PRIu64 ", %" PRIu64 " bytes", what, handle.offset,
                   handle.bytes);
    return table_describe_print(d);
}

static status table_describe_filter(table_describer *d, const char *what, block_handle handle,
                                    const filter_view *view) {
    status st = table_describe_place(d, what, handle);
    if (!status_is_ok(st) || !view->lines)
        return st;
    buf_printf(&d->line, "  %-18s %" PRIu32 " lines of 64 bytes, %" PRIu32 " probes", "",
               view->line_count, view->probes);
    return table_describe_print(d);
}

static status table_describe_footer(table_describer *d) {
    status st = STATUS_OK;
    const table *t = d->t;
    buf_printf(&d->line, "table %s: format %d, %" PRIu64 " bytes, identity ", t->file->path,
               (int)t->footer.format, t->properties.file_bytes);
    for (size_t i = 0; i < sizeof t->footer.identity; i++)
        buf_printf(&d->line, "%02x", t->footer.identity[i]);
    TRY(table_describe_print(d));
    buf_printf(&d->line, "footer at offset %" PRIu64, t->source.end);
    TRY(table_describe_print(d));
    TRY(table_describe_place(d, "meta-index", t->footer.meta_index));
    TRY(table_describe_place(d, t->top.firsts ? "top of the index" : "index", t->footer.index));
    TRY(table_describe_place(d, "properties", t->meta.properties));
    TRY(table_describe_place(d, "range tombstones", t->meta.range_tombstones));
    if (t->meta.dictionary.bytes)
        TRY(table_describe_place(d, "dictionary", t->meta.dictionary));
    TRY(table_describe_filter(d, "filter", t->meta.filter, &t->filter));
    if (t->meta.prefix_filter.bytes)
        TRY(table_describe_filter(d, "filter of prefixes", t->meta.prefix_filter,
                                  &t->prefix_filter));
    buf_printf(&d->line, "properties");
    TRY(table_describe_print(d));
    buf_printf(&d->line, "  %-20s %s", "comparator", key_order_name(t->order));
    TRY(table_describe_print(d));
    if (t->properties.prefix) {
        char rule[PREFIX_NAME_BYTES];
        buf_printf(&d->line, "  %-20s %s", "prefix", prefix_rule_name(t->properties.prefix, rule));
        TRY(table_describe_print(d));
    }
    if (!d->stopped)
        d->stopped = !properties_print(&t->properties, d->print, d->context);
out:
    return st;
}

static status table_describe_extent(table_describer *d, block_place at, const iter_entry *e) {
    large_ref ref;
    status st = table_large_decode(d->t, at, slice_of(e->value, e->value_bytes), &ref);
    if (!status_is_ok(st))
        return st;
    buf_printf(&d->line, "  extent: offset %" PRIu64 ", %" PRIu64 " bytes in %" PRIu64 " chunks, ",
               ref.offset, ref.bytes, extent_chunk_count(ref.bytes));
    table_describe_key(d, e);
    return table_describe_print(d);
}

static status table_describe_run(table_describer *d, uint32_t position, block_handle handle,
                                 const table_block *b) {
    status st = STATUS_OK;
    const block_run *run = &d->run;
    uint32_t deletes = 0;
    for (uint32_t i = 0; i < run->count; i++) {
        const iter_entry *e = &run->entries[i];
        deletes +=
            op_kind_is_delete(internal_key_kind((internal_key){slice_of(e->key, e->key_bytes)}));
    }
    buf_printf(&d->line,
               "block %" PRIu32 ": offset %" PRIu64 ", %" PRIu64 " bytes, %s, raw %" PRIu32
               ", %" PRIu32 " entries, %" PRIu32 " deletes",
               position, handle.offset, handle.bytes, codec_name(b->codec), b->raw_bytes,
               run->count, deletes);
    if (run->count) {
        buf_printf(&d->line, ", ");
        table_describe_key(d, &run->entries[0]);
        buf_printf(&d->line, " .. ");
        table_describe_key(d, &run->entries[run->count - 1]);
    }
    TRY(table_describe_print(d));
    for (uint32_t i = 0; i < run->count && !d->stopped; i++) {
        const iter_entry *e = &run->entries[i];
        if (internal_key_kind((internal_key){slice_of(e->key, e->key_bytes)}) == OP_PUT_LARGE)
            TRY(table_describe_extent(d, table_place(d->t, handle.offset), e));
    }
out:
    return st;
}

/* What is damaged becomes a line that says so; what lies behind it is still described. */
static status table_describe_damage(table_describer *d, const char *what, uint32_t position,
                                    block_handle handle, status problem) {
    if (!status_is(problem, FIRN_CORRUPTION))
        return problem;
    d->first_problem = status_first(d->first_problem, problem);
    buf_printf(&d->line, "%s %" PRIu32 ": offset %" PRIu64 ", %" PRIu64 " bytes, DAMAGED: %s", what,
               position, handle.offset, handle.bytes, error_detail_get());
    return table_describe_print(d);
}

static status table_describe_block(table_describer *d, uint32_t position, block_handle handle) {
    status st = STATUS_OK;
    table_block *b = NULL;
    TRY(block_load(&d->t->source, handle, &b));
    TRY(block_run_decode(&d->run, &b->view, block_piece_whole(&b->view),
                         table_place(d->t, handle.offset)));
    TRY(table_describe_run(d, position, handle, b));
out:
    block_free(b);
    return table_describe_damage(d, "block", position, handle, st);
}

static status table_describe_data(table_describer *d, const table_index *index, uint32_t first) {
    status st = STATUS_OK;
    for (uint32_t i = 0; i < index->count && !d->stopped; i++)
        TRY(table_describe_block(d, first + i, table_index_handle(index, i)));
out:
    return st;
}

static status table_describe_partition(table_describer *d, uint32_t i) {
    status st = STATUS_OK;
    table_index part = {0};
    block_handle handle = table_index_handle(&d->t->top, i);
    st = index_partition_read(d->t, i, &part);
    if (!status_is_ok(st))
        return table_describe_damage(d, "partition", i, handle, st);
    buf_printf(&d->line,
               "partition %" PRIu32 " of the index: offset %" PRIu64 ", %" PRIu64 " bytes, %" PRIu32
               " blocks",
               i, handle.offset, handle.bytes, part.count);
    TRY(table_describe_print(d));
    TRY(table_describe_data(d, &part, d->t->top.firsts[i]));
out:
    table_index_deinit(&part);
    return st;
}

static status table_describe_ranges(table_describer *d) {
    status st = STATUS_OK;
    range_list list = {0};
    range_fragments_list(d->t->ranges, &list);
    TRY(range_list_status(&list));
    for (uint32_t i = 0; i < list.count && !d->stopped; i++) {
        const range_tombstone *t = &list.items[i];
        buf_printf(&d->line, "range delete: \"");
        text_append_escaped(&d->line, t->begin.s, TABLE_DESCRIBE_KEY_BYTES);
        buf_printf(&d->line, "\" .. \"");
        text_append_escaped(&d->line, t->end.s, TABLE_DESCRIBE_KEY_BYTES);
        buf_printf(&d->line, "\" @%" PRIu64, t->sequence);
        TRY(table_describe_print(d));
    }
out:
    range_list_deinit(&list);
    return st;
}

FIRN_INTERNAL status table_describe(table *t, firn_line_callback print, void *context) {
    status st = STATUS_OK;
    table_describer d = {.t = t, .print = print, .context = context, .first_problem = STATUS_OK};
    TRY(table_describe_footer(&d));
    for (uint32_t i = 0; i < t->top.count && !d.stopped; i++)
        TRY(table_describe_partition(&d, i));
    if (!t->top.firsts)
        TRY(table_describe_data(&d, &t->index, 0));
    TRY(table_describe_ranges(&d));
    st = d.first_problem;
out:
    buf_deinit(&d.line);
    block_run_deinit(&d.run);
    return st;
}
