#include "compaction/entry_writer.h"

#include "platform/error_detail.h"
#include "table/table.h"
#include "util/buf.h"
#include "wal/wal_large.h"

#include "base/poison.h"

#define ENTRY_CANCEL_INTERVAL 4096 /* entries between looks at `cancelled` */

/* --- large values: streamed from their log segment or table into the new table --- */

typedef struct entry_table_source {
    table *origin;
    large_ref ref;
} entry_table_source;

static status entry_read_table_chunk(void *context, uint64_t index, uint8_t *out, size_t *bytes) {
    entry_table_source *s = context;
    return table_large_read_chunk(s->origin, &s->ref, index, out, bytes);
}

static status entry_read_log_chunk(void *context, uint64_t index, uint8_t *out, size_t *bytes) {
    return wal_large_read_chunk(context, index, out, bytes);
}

static status entry_add_large(entry_writer *w, table_builder *builder, const iter *in) {
    status st = STATUS_OK;
    wal_large_reader *log = NULL;
    entry_table_source origin = {.origin = iter_origin(in)};
    if (!large_ref_decode(iter_value(in), &origin.ref) ||
        (origin.ref.place == LARGE_IN_TABLE) != (origin.origin != NULL)) {
        st =
            error_status(FIRN_CORRUPTION, "%s: malformed reference to a large value", w->directory);
        goto out;
    }
    large_source source = {&origin, entry_read_table_chunk};
    if (!origin.origin) {
        TRY(wal_large_open(w->vfs, w->directory, &origin.ref, &log));
        source = (large_source){log, entry_read_log_chunk};
    }
    TRY(table_builder_add_large(builder, iter_key(in), &origin.ref, &source));
out:
    wal_large_close(log);
    return st;
}

/* --- one entry after the other --- */

typedef struct entry_cursor {
    entry_writer *writer;
    drop_rules rules;
    buf user_key; /* of the entry before */
    bool has_user_key;
} entry_cursor;

static bool entry_cursor_is_bottom(void *context) {
    entry_cursor *c = context;
    return c->writer->is_bottom(c->writer->context, user_key_of(buf_slice(&c->user_key)));
}

/* Moves on to the entry's user key; cuts the table in front of a new one where that is due. */
static status entry_cursor_enter_key(entry_cursor *c, internal_key key) {
    entry_writer *w = c->writer;
    slice user = internal_key_user(key).s;
    if (c->has_user_key && slice_equal(user, buf_slice(&c->user_key)))
        return STATUS_OK;
    buf_clear(&c->user_key);
    buf_append_slice(&c->user_key, user);
    c->has_user_key = true;
    drop_rules_next_key(&c->rules);
    status st = buf_status(&c->user_key);
    if (!status_is_ok(st))
        return st;
    /* Versions of one key never stand in two tables of a level: reads look into one only. */
    bool cut = w->should_cut && w->should_cut(w->context, key);
    if (table_output_is_open(w->output) &&
        (cut || table_builder_file_bytes(w->output->builder) >= w->file_bytes))
        st = table_output_cut(w->output);
    return st;
}

static status entry_cursor_take(entry_cursor *c, const iter *in) {
    status st = STATUS_OK;
    entry_writer *w = c->writer;
    table_builder *builder;
    internal_key key = iter_key(in);
    uint64_t trailer = internal_key_trailer(key);
    op_kind kind = (op_kind)(trailer & 0xff);
    w->entries_read++;
    TRY(entry_cursor_enter_key(c, key));
    if (drop_rules_may_drop(&c->rules, trailer >> 8, kind, entry_cursor_is_bottom, c)) {
        w->entries_dropped++;
        goto out;
    }
    TRY(table_output_builder(w->output, &builder));
    if (UNLIKELY(kind == OP_PUT_LARGE))
        TRY(entry_add_large(w, builder, in));
    else
        TRY(table_builder_add(builder, key, iter_value(in)));
out:
    return st;
}

FIRN_INTERNAL status entry_writer_run(entry_writer *w, iter *in) {
    status st = STATUS_OK;
    entry_cursor c = {.writer = w};
    drop_rules_init(&c.rules, w->readers, w->reader_count);
    for (iter_seek_first(in); iter_valid(in); iter_next(in)) {
        TRY(entry_cursor_take(&c, in));
        if (w->entries_read % ENTRY_CANCEL_INTERVAL == 0 && w->cancelled(w->context)) {
            st = error_status(FIRN_ABORTED, "%s: the database is closing", w->directory);
            goto out;
        }
    }
    TRY(in->st);
out:
    buf_deinit(&c.user_key);
    return st;
}

#undef ENTRY_CANCEL_INTERVAL
