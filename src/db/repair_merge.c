/* Merges tables that cannot be put in an order: unlike in a compaction, the same entry may stand in
 * several of them (a compaction's inputs beside its outputs). A binary heap of iterators, one entry
 * at a time. */
#include "compaction/entry_writer.h"
#include "db/repair_internal.h"
#include "platform/error_detail.h"
#include "platform/memory.h"
#include "util/buf.h"

#include "base/poison.h"

typedef struct repair_iter {
    iter base;
    key_order order;
    iter **children; /* owned */
    size_t count;
    iter **heap; /* those with entries left, least key first */
    size_t heap_count;
    buf shown;         /* the entry shown last: its copies in other tables are skipped */
    range_list ranges; /* of all children; keys lie in their tables */
} repair_iter;

static bool repair_iter_less(const repair_iter *m, const iter *a, const iter *b) {
    return key_order_compare(m->order, iter_key(a), iter_key(b)) < 0;
}

static void repair_iter_sink(repair_iter *m, size_t at) {
    for (;;) {
        size_t least = at, left = 2 * at + 1, right = left + 1;
        if (left < m->heap_count && repair_iter_less(m, m->heap[left], m->heap[least]))
            least = left;
        if (right < m->heap_count && repair_iter_less(m, m->heap[right], m->heap[least]))
            least = right;
        if (least == at)
            return;
        iter *moved = m->heap[at];
        m->heap[at] = m->heap[least];
        m->heap[least] = moved;
        at = least;
    }
}

/* The run is the least child's current entry. */
static void repair_iter_show(repair_iter *m) {
    m->base.index = 0;
    m->base.count = m->heap_count > 0 && status_is_ok(m->base.st);
    if (m->base.count)
        m->base.run = &m->heap[0]->run[m->heap[0]->index];
}

static void repair_iter_seek_first(iter *base) {
    repair_iter *m = (repair_iter *)base;
    m->heap_count = 0;
    for (size_t i = 0; i < m->count; i++) {
        iter_seek_first(m->children[i]);
        m->base.st = status_first(m->base.st, m->children[i]->st);
        if (iter_valid(m->children[i]))
            m->heap[m->heap_count++] = m->children[i];
    }
    for (size_t i = m->heap_count / 2; i > 0; i--)
        repair_iter_sink(m, i - 1);
    repair_iter_show(m);
}

static void repair_iter_advance(repair_iter *m) {
    iter *first = m->heap[0];
    iter_next(first);
    m->base.st = status_first(m->base.st, first->st);
    if (!iter_valid(first))
        m->heap[0] = m->heap[--m->heap_count];
    repair_iter_sink(m, 0);
}

static void repair_iter_next_run(iter *base) {
    repair_iter *m = (repair_iter *)base;
    buf_clear(&m->shown);
    buf_append_slice(&m->shown, iter_key(m->heap[0]).s);
    m->base.st = status_first(m->base.st, buf_status(&m->shown));
    /* A copy is no older version: a single-delete must not take one and leave the other. */
    do
        repair_iter_advance(m);
    while (m->heap_count > 0 && status_is_ok(m->base.st) &&
           slice_equal(iter_key(m->heap[0]).s, buf_slice(&m->shown)));
    repair_iter_show(m);
}

static void *repair_iter_origin(const iter *base) {
    const repair_iter *m = (const repair_iter *)base;
    return iter_origin(m->heap[0]);
}

static void repair_iter_release(iter *base) {
    repair_iter *m = (repair_iter *)base;
    for (size_t i = 0; i < m->count; i++)
        iter_free(m->children[i]);
    memory_free(m->children);
    memory_free(m->heap);
    buf_deinit(&m->shown);
    range_list_deinit(&m->ranges);
    memory_free(m);
}

static const iter_methods repair_iter_methods = {.seek_first = repair_iter_seek_first,
                                                 .next_run = repair_iter_next_run,
                                                 .origin = repair_iter_origin,
                                                 .release = repair_iter_release};

static status repair_iter_new(size_t capacity, key_order order, repair_iter **out) {
    repair_iter *m = memory_new_zeroed(sizeof *m);
    *out = m;
    if (m) {
        m->base.methods = &repair_iter_methods;
        m->order = order;
        m->children = memory_new_zeroed(capacity * sizeof *m->children);
        m->heap = memory_new_zeroed(capacity * sizeof *m->heap);
    }
    if (m && m->children && m->heap)
        return STATUS_OK;
    if (m)
        repair_iter_release(&m->base);
    *out = NULL;
    return error_status(FIRN_NO_MEMORY, "no memory to merge tables");
}

static status repair_iter_add(repair *r, repair_iter *m, const table_meta *meta) {
    status st = STATUS_OK;
    table *t = NULL;
    char path[FILE_PATH_BYTES];
    table_read_args read = {.fill_cache = false, .read_ahead = true};
    table_open_args args = {.vfs = r->config->vfs,
                            .path = file_path(path, r->directory, FILE_TABLE, meta->where.number),
                            .order = m->order,
                            .expected_identity = meta->where.identity};
    TRY(table_open(&args, &t));
    TRY(table_iter_new(t, &read, &m->children[m->count]));
    m->count++;
    range_fragments_list(table_ranges(t), &m->ranges);
out:
    table_unref(t);
    return st;
}

static bool repair_never(void *context) {
    (void)context;
    return false;
}

/* Deletes stay: what they hide may lie in tables of another group. */
static bool repair_never_bottom(void *context, user_key key) {
    (void)context;
    (void)key;
    return false;
}

static bool repair_never_range_bottom(void *context, user_key begin, user_key end) {
    (void)context;
    (void)begin;
    (void)end;
    return false;
}

FIRN_INTERNAL status repair_write_sorted(repair *r, const repair_source *source,
                                         table_output *output) {
    status st = STATUS_OK;
    range_drop ranges = {0};
    /* One reader who sees everything, at no time: of each key the newest version stays, and nothing
     * expires here. */
    seqno everything[] = {SEQNO_MAX};
    const snapshot_list readers = {.sequences = everything, .count = 1};
    output_cut cut = output_cut_new(NULL, LEVEL_COUNT - 1, source->file_bytes);
    entry_writer writer = {.output = output,
                           .order = source->order,
                           .vfs = r->config->vfs,
                           .directory = r->directory,
                           .readers = &readers,
                           .cut = &cut,
                           .ranges = &ranges,
                           .is_bottom = repair_never_bottom,
                           .cancelled = repair_never};
    TRY(range_drop_init(&ranges, source->order, source->ranges, &readers));
    ranges.is_bottom = repair_never_range_bottom;
    TRY(entry_writer_run(&writer, source->in));
    TRY(table_output_finish(output));
out:
    range_drop_deinit(&ranges);
    return st;
}

FIRN_INTERNAL void repair_start_output(repair *r, const repair_keyspace *k, uint32_t level,
                                       table_output *output) {
    table_output_args args = {.vfs = r->config->vfs,
                              .directory = r->directory,
                              .versions = r->numbers,
                              .options = &r->config->tree,
                              .order = k->order,
                              .keyspace = k->id,
                              .level = level < LEVEL_COUNT ? level : 1};
    table_output_init(output, &args);
}

FIRN_INTERNAL status repair_take_output(repair *r, const table_output *output, uint32_t level,
                                        uint32_t group) {
    for (uint32_t i = 0; i < output->done_count; i++) {
        repair_table t = {.number = output->done[i]->where.number,
                          .source = output->done[i]->where.number,
                          .level = level,
                          .group = group,
                          .meta = output->done[i]};
        table_meta_ref(t.meta);
        status st = repair_add_table(r, &t);
        if (!status_is_ok(st))
            return st;
    }
    return STATUS_OK;
}

FIRN_INTERNAL status repair_merge_group(repair *r, const repair_keyspace *k, uint32_t group) {
    status st = STATUS_OK;
    repair_iter *in = NULL;
    table_output output;
    size_t count = r->table_count;
    repair_start_output(r, k, LEVEL_COUNT, &output);
    TRY(repair_iter_new(count, k->order, &in));
    for (size_t i = 0; i < count; i++) {
        if (r->tables[i].group == group && r->tables[i].fate == REPAIR_KEEP)
            TRY(repair_iter_add(r, in, r->tables[i].meta));
    }
    repair_source source = {&in->base, &in->ranges, k->order, r->config->tree.file_bytes};
    TRY(repair_write_sorted(r, &source, &output));
    TRY(repair_take_output(r, &output, LEVEL_COUNT, group));
    for (size_t i = 0; i < count; i++) {
        if (r->tables[i].group == group && r->tables[i].fate == REPAIR_KEEP)
            r->tables[i].fate = REPAIR_DROP;
    }
out:
    if (in)
        iter_free(&in->base);
    table_output_deinit(&output);
    return st;
}
