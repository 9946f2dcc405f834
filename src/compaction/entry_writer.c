#include "compaction/entry_writer.h"

#include "format/expiry.h"
#include "platform/error_detail.h"
#include "table/table.h"
#include "util/buf.h"
#include "wal/wal_large.h"

#include "base/poison.h"

/* Between looks at `cancelled` and requests to the limiter: entries are weighed by their bytes and
 * the work they are. */
#define ENTRY_PAUSE_WEIGHT (1u << 20)
#define ENTRY_WEIGHT_LEAST 128

typedef struct entry_cursor {
    entry_writer *writer;
    drop_rules rules;
    drop_bottom bottom;
    bool is_simple;  /* puts are kept without a look at range tombstones or a filter */
    user_key last;   /* of the entry before, in its run or in `left`; unset: there is none */
    buf left;        /* the last user key of a run that was left */
    uint64_t weight; /* of the entries since the last pause */
    buf changed;     /* scratch: a key, or a value, that the filter changed */
    buf deleted;     /* scratch: the key of a value that became a delete */
    buf held;        /* the key of a single-delete that waits for the version behind it */
    bool has_held;   /* counted as dropped until it is written */
} entry_cursor;

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

static status entry_add_large(entry_cursor *c, table_builder *builder, const iter *in) {
    status st = STATUS_OK;
    const entry_writer *w = c->writer;
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
    c->weight += origin.ref.bytes;
out:
    wal_large_close(log);
    return st;
}

/* --- one entry after the other --- */

static bool entry_cursor_is_bottom(void *context) {
    entry_cursor *c = context;
    return c->writer->is_bottom(c->writer->context, c->last);
}

static status entry_cursor_add_delete(entry_cursor *c, slice key) {
    status st = STATUS_OK;
    table_builder *builder;
    TRY(table_output_builder(c->writer->output, &builder));
    TRY(table_builder_add(builder, (internal_key){key}, slice_of("", 0)));
out:
    return st;
}

/* Before anything behind it is written, and before the table is cut. */
static status entry_cursor_write_held(entry_cursor *c) {
    if (!c->has_held)
        return STATUS_OK;
    c->has_held = false;
    c->writer->entries_dropped--;
    return entry_cursor_add_delete(c, buf_slice(&c->held));
}

static status entry_cursor_hold(entry_cursor *c, internal_key key) {
    buf_clear(&c->held);
    buf_append_slice(&c->held, key.s);
    c->has_held = true;
    c->writer->entries_dropped++;
    return buf_status(&c->held);
}

static inline bool entry_has_user_key(slice a, slice b) {
    if (a.size != b.size)
        return false;
    /* By words, from the end: neighbours begin alike. */
    size_t left = a.size;
    for (; left >= 8; left -= 8) {
        if (decode_fixed64(a.data + left - 8) != decode_fixed64(b.data + left - 8))
            return false;
    }
    while (left > 0 && a.data[left - 1] == b.data[left - 1])
        left--;
    return left == 0;
}

static COLD status entry_cursor_cut(entry_cursor *c, slice before) {
    status st = STATUS_OK;
    entry_writer *w = c->writer;
    if (!table_output_is_open(w->output))
        return STATUS_OK;
    if (w->ranges)
        TRY(range_drop_write(w->ranges, w->output, before));
    TRY(table_output_cut(w->output));
out:
    return st;
}

/* Moves on to a new user key; cuts the table in front of it where that is due: versions of one key
 * never stand in two tables of a level, for reads look into one only. */
static inline status entry_cursor_enter_key(entry_cursor *c, internal_key key) {
    status st = STATUS_OK;
    output_cut *cut = c->writer->cut;
    if (UNLIKELY(c->has_held))
        TRY(entry_cursor_write_held(c));
    uint64_t bytes = table_output_open_bytes(c->writer->output);
    if (cut && UNLIKELY(output_cut_may_be_due(cut, key, bytes)) &&
        output_cut_is_due(cut, key, bytes))
        TRY(entry_cursor_cut(c, internal_key_user(key).s));
out:
    return st;
}

/* A value that is a delete to every reader is written as one. */
static status entry_cursor_add_as_delete(entry_cursor *c, internal_key key) {
    buf_clear(&c->deleted);
    internal_key_append(&c->deleted, internal_key_user(key), internal_key_sequence(key), OP_DELETE);
    status st = buf_status(&c->deleted);
    return status_is_ok(st) ? entry_cursor_add_delete(c, buf_slice(&c->deleted)) : st;
}

static inline status entry_cursor_add(entry_cursor *c, const iter *in, op_kind kind) {
    status st = STATUS_OK;
    table_builder *builder;
    TRY(table_output_builder(c->writer->output, &builder));
    if (UNLIKELY(kind == OP_PUT_LARGE))
        TRY(entry_add_large(c, builder, in));
    else
        TRY(table_builder_add(builder, iter_key(in), iter_value(in)));
out:
    return st;
}

/* --- the filter --- */

/* Writes the entry with another value, as a plain put or one that expires. */
static status entry_cursor_change(entry_cursor *c, internal_key key, uint64_t expiry_ms,
                                  slice value) {
    status st = STATUS_OK;
    table_builder *builder;
    buf *stored = &c->changed;
    if (value.size + EXPIRY_BYTES >= LARGE_VALUE_BYTES)
        return error_status(FIRN_TOO_LARGE,
                            "%s: compaction filter '%s' made a value of %zu bytes; it may make "
                            "less than %u",
                            c->writer->directory, c->writer->filter->name, value.size,
                            LARGE_VALUE_BYTES - EXPIRY_BYTES);
    buf_clear(stored);
    buf_clear(&c->deleted);
    if (expiry_ms)
        put_fixed64(stored, expiry_ms);
    buf_append_slice(stored, value);
    internal_key_append(&c->deleted, internal_key_user(key), internal_key_sequence(key),
                        expiry_ms ? OP_PUT_EXPIRY : OP_PUT);
    TRY(buf_status(stored));
    TRY(buf_status(&c->deleted));
    TRY(table_output_builder(c->writer->output, &builder));
    TRY(table_builder_add(builder, (internal_key){buf_slice(&c->deleted)}, buf_slice(stored)));
out:
    return st;
}

static firn_filter_entry entry_cursor_show(const entry_cursor *c, const iter *in,
                                           const drop_version *v) {
    large_ref ref;
    slice value = expiry_strip(v->kind, iter_value(in));
    if (v->kind == OP_PUT_LARGE)
        value = slice_of(NULL, large_ref_decode(value, &ref) ? ref.bytes : 0);
    return (firn_filter_entry){.keyspace = c->writer->output->args.keyspace,
                               .level = c->writer->output->args.level,
                               .key = internal_key_user(iter_key(in)).s,
                               .value = value,
                               .expiry_ms = v->expiry_ms};
}

/* A version that the rules keep. Only one that no snapshot can see is shown to the filter. */
static status entry_cursor_keep(entry_cursor *c, const iter *in, const drop_version *v) {
    const firn_compaction_filter *filter = c->writer->filter;
    slice changed = SLICE_UNSET;
    if (LIKELY(!filter) || op_kind_is_delete(v->kind) || c->writer->readers->newest_is_held ||
        drop_rules_stratum(&c->rules, v->sequence) + 1 != c->rules.reader_count)
        return entry_cursor_add(c, in, v->kind);
    firn_filter_entry entry = entry_cursor_show(c, in, v);
    switch (filter->decide(filter->context, &entry, &changed)) {
    case FIRN_FILTER_KEEP:
        return entry_cursor_add(c, in, v->kind);
    case FIRN_FILTER_CHANGE:
        return entry_cursor_change(c, iter_key(in), v->expiry_ms, changed);
    case FIRN_FILTER_REMOVE:
        if (drop_rules_remove(&c->rules, v->sequence, &c->bottom) == DROP_TO_DELETE)
            return entry_cursor_add_as_delete(c, iter_key(in));
        c->writer->entries_dropped++;
        return STATUS_OK;
    default:
        return error_status(FIRN_INVALID_ARGUMENT, "%s: compaction filter '%s' failed",
                            c->writer->directory, filter->name);
    }
}

/* Any entry, as the rules say. */
static status entry_cursor_judge(entry_cursor *c, const iter *in, drop_version version) {
    status st = STATUS_OK;
    internal_key key = iter_key(in);
    drop_held held;
    if (version.kind != OP_PUT)
        version.expiry_ms = expiry_of_version(version.kind, iter_value(in));
    if (c->writer->ranges &&
        range_drop_covers(c->writer->ranges, internal_key_user(key), version.sequence)) {
        c->writer->entries_dropped++;
        goto out;
    }
    drop_verdict verdict = drop_rules_judge(&c->rules, &version, &c->bottom, &held);
    if (UNLIKELY(held == DROP_HELD_WRITE))
        TRY(entry_cursor_write_held(c));
    else if (UNLIKELY(held == DROP_HELD_FORGET))
        c->has_held = false;
    switch (verdict) {
    case DROP_KEEP:
        TRY(entry_cursor_keep(c, in, &version));
        break;
    case DROP_AWAY:
        c->writer->entries_dropped++;
        break;
    case DROP_TO_DELETE:
        TRY(entry_cursor_add_as_delete(c, key));
        break;
    case DROP_HOLD:
        TRY(entry_cursor_hold(c, key));
        break;
    }
out:
    return st;
}

static inline status entry_cursor_take(entry_cursor *c, const iter *in) {
    status st = STATUS_OK;
    internal_key key = iter_key(in);
    user_key user = internal_key_user(key);
    uint64_t trailer = internal_key_trailer(key);
    drop_version version = {trailer >> 8, (op_kind)(trailer & 0xff), 0};
    bool is_first = !entry_has_user_key(user.s, c->last.s) || !slice_is_set(c->last.s);
    if (LIKELY(is_first))
        TRY(entry_cursor_enter_key(c, key));
    c->last = user;
    c->weight += ENTRY_WEIGHT_LEAST + key.s.size + iter_value(in).size;
    if (LIKELY(is_first && version.kind == OP_PUT && c->is_simple)) {
        drop_rules_keep_first_put(&c->rules, version.sequence);
        TRY(entry_cursor_add(c, in, OP_PUT));
    } else {
        if (is_first)
            drop_rules_next_key(&c->rules);
        TRY(entry_cursor_judge(c, in, version));
    }
out:
    return st;
}

/* Where in its run, from where `in` stands on, the entries below the upper bound end. */
static uint32_t entry_writer_run_end(const entry_writer *w, const iter *in) {
    uint32_t low = in->index, high = in->count;
    if (LIKELY(!slice_is_set(w->upper)))
        return high;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        internal_key key = {slice_of(in->run[middle].key, in->run[middle].key_bytes)};
        if (key_order_compare_user(w->order, internal_key_user(key), user_key_of(w->upper)) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return high;
}

/* The rest of the run that `in` stands in, up to `end`; then on to the next one. */
static status entry_cursor_take_run(entry_cursor *c, iter *in, uint32_t end) {
    status st = STATUS_OK;
    c->writer->entries_read += end - in->index;
    for (;; in->index++) {
        TRY(entry_cursor_take(c, in));
        if (in->index + 1 == end)
            break;
    }
    /* What it points to goes with the run. */
    c->left.size = 0;
    uint8_t *left = buf_reserve(&c->left, c->last.s.size);
    TRY(buf_status(&c->left));
    slice_copy_to(c->last.s, left);
    c->last.s.data = left;
    iter_next(in);
out:
    return st;
}

/* Now and then: tells how far it is, waits for its share of the device, asks whether to go on. */
static status entry_writer_pause(entry_writer *w, uint64_t *charged, uint64_t *told) {
    if (w->entries_done) /* relaxed: no partner; progress for people and pacing. */
        atomic_u64_add(w->entries_done, w->entries_read - *told, memory_order_relaxed);
    *told = w->entries_read;
    uint64_t written = table_output_bytes(w->output);
    if (w->limiter && written > *charged)
        rate_limiter_request(w->limiter, w->class, written - *charged);
    *charged = written;
    if (w->cancelled(w->context))
        return error_status(FIRN_ABORTED, "%s: cancelled, or the database is closing",
                            w->directory);
    return STATUS_OK;
}

static status entry_writer_begin(const entry_writer *w, iter *in) {
    status st = STATUS_OK;
    buf first = {0};
    if (!slice_is_set(w->lower)) {
        iter_seek_first(in);
        return STATUS_OK;
    }
    internal_key_append(&first, user_key_of(w->lower), SEQNO_MAX, OP_SEEK);
    TRY(buf_status(&first));
    iter_seek(in, (internal_key){buf_slice(&first)});
    if (w->ranges)
        TRY(range_drop_begin_at(w->ranges, user_key_of(w->lower)));
out:
    buf_deinit(&first);
    return st;
}

FIRN_INTERNAL status entry_writer_run(entry_writer *w, iter *in) {
    status st = STATUS_OK;
    const snapshot_list *readers = w->readers;
    entry_cursor c = {.writer = w, .bottom = {entry_cursor_is_bottom, &c}};
    uint64_t charged = 0, told = 0;
    uint32_t end;
    c.is_simple = !w->filter && !(w->ranges && w->ranges->fragments);
    drop_rules_init(&c.rules, readers->sequences, readers->clocks_ms, readers->count);
    TRY(entry_writer_begin(w, in));
    while (iter_valid(in) && (end = entry_writer_run_end(w, in)) > in->index) {
        TRY(entry_cursor_take_run(&c, in, end));
        if (UNLIKELY(c.weight >= ENTRY_PAUSE_WEIGHT)) {
            c.weight = 0;
            TRY(entry_writer_pause(w, &charged, &told));
        }
    }
    TRY(in->st);
    TRY(entry_cursor_write_held(&c));
    if (w->ranges)
        TRY(range_drop_write(w->ranges, w->output, w->upper));
out:
    buf_deinit(&c.left);
    buf_deinit(&c.changed);
    buf_deinit(&c.deleted);
    buf_deinit(&c.held);
    return st;
}

#undef ENTRY_PAUSE_WEIGHT
#undef ENTRY_WEIGHT_LEAST
