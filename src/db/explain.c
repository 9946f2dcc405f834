/* A point read that reports each place it asks. */
#include "compaction/level_iter.h"
#include "db/read_search.h"
#include "firn/inspect.h"
#include "format/expiry.h"
#include "format/large_ref.h"

#include "base/poison.h"

typedef struct explained_read {
    read_search search;
    read_key key;
    firn_explain_callback explain;
    void *context;
    const time_source *clock;
    uint64_t step_start_ns, step_end_ns;
} explained_read;

/* A large value's place holds a reference to it. */
static uint64_t explain_value_bytes(const lookup *found) {
    large_ref ref;
    if (found->kind == OP_PUT_LARGE && large_ref_decode(found->value, &ref))
        return ref.bytes;
    return expiry_strip(found->kind, found->value).size;
}

static void explain_report(explained_read *e, firn_explain_step *step, status st) {
    const lookup *found = &e->key.found;
    step->size = sizeof *step;
    step->nanoseconds = e->step_end_ns - e->step_start_ns;
    if (!status_is_ok(st)) {
        step->verdict = FIRN_EXPLAIN_FAILED;
    } else if (!found->found) {
        step->verdict = step->filter == 0 ? FIRN_EXPLAIN_FILTERED : FIRN_EXPLAIN_ABSENT;
    } else {
        step->sequence = found->sequence;
        step->verdict = FIRN_EXPLAIN_VALUE;
        step->value_bytes = explain_value_bytes(found);
        if (read_has_expired(&e->search, &e->key)) {
            step->verdict =
                found->kind == OP_PUT_EXPIRY ? FIRN_EXPLAIN_EXPIRED : FIRN_EXPLAIN_DELETED;
            step->value_bytes = 0;
        }
    }
    e->explain(e->context, step);
}

/* Counts the versions of the key in the place that `it` reads (takes it; NULL: none) and that the
 * read did not give: those after its moment, and those that what it found hides. */
static void explain_count_versions(const explained_read *e, iter *it, firn_explain_step *step) {
    const lookup *found = &e->key.found;
    user_key user = internal_key_user(e->key.seek.key);
    seek_key newest = {0};
    if (!it || !status_is_ok(seek_key_init(&newest, user, SEQNO_MAX)))
        goto out;
    for (iter_seek(it, newest.key); iter_valid(it); iter_next(it)) {
        internal_key key = iter_key(it);
        if (!user_key_equal(internal_key_user(key), user))
            break;
        seqno sequence = internal_key_sequence(key);
        bool is_newer = sequence > e->search.sequence;
        bool is_older = found->found && sequence < found->sequence;
        step->newer_skipped += is_newer;
        step->older_skipped += is_older;
        step->tombstones_skipped +=
            (is_newer || is_older) && op_kind_is_delete(internal_key_kind(key));
    }
out:
    seek_key_deinit(&newest);
    iter_free(it);
}

/* Without memory for it, or for reading on, fewer are counted: the read itself went well. */
static iter *explain_open_memtable(memtable *m) {
    iter *it;
    return status_is_ok(memtable_iter_new(m, &it)) ? it : NULL;
}

static iter *explain_open_table(const explained_read *e, table_meta *meta) {
    const read_view *view = e->search.hold.view;
    level_iter_args args = {.tables = e->search.db->tables,
                            .order = view->order,
                            .version = view->version,
                            .read = {.cached_only = e->search.args.cached_only}};
    iter *it;
    return status_is_ok(level_iter_new_table(&args, meta, &it)) ? it : NULL;
}

static void explain_memtable(explained_read *e, memtable *m, uint64_t newer) {
    firn_explain_step step = {.level = -1, .file = newer, .bytes = memtable_bytes(m), .filter = -1};
    e->step_start_ns = time_monotonic_ns(e->clock);
    memtable_get_hashed(m, e->key.seek.key, e->key.hash, &e->key.found);
    e->step_end_ns = time_monotonic_ns(e->clock);
    explain_count_versions(e, explain_open_memtable(m), &step);
    explain_report(e, &step, STATUS_OK);
}

static status explain_table(explained_read *e, table_meta *meta, uint32_t level) {
    table_get_trace trace;
    e->step_start_ns = time_monotonic_ns(e->clock);
    status st = read_table(&e->search, &e->key, meta, &trace);
    e->step_end_ns = time_monotonic_ns(e->clock);
    firn_explain_step step = {.level = (int)level,
                              .file = meta->where.number,
                              .bytes = meta->where.file_bytes,
                              .filter = trace.filter_checked ? !trace.filter_negative : -1,
                              .blocks_cached = trace.blocks_cached,
                              .blocks_read = trace.blocks_read,
                              .blocks_mapped = trace.blocks_mapped,
                              .block_bytes = trace.block_bytes};
    if (status_is_ok(st) && !trace.filter_negative)
        explain_count_versions(e, explain_open_table(e, meta), &step);
    explain_report(e, &step, st);
    return st;
}

static uint32_t explain_level(const version *v, const table_meta *meta) {
    uint32_t level = 0;
    while (level + 1 < LEVEL_COUNT && version_find_table(v, level, meta->where.number) != meta)
        level++;
    return level;
}

static status explain_search(explained_read *e) {
    const read_view *view = e->search.hold.view;
    explain_memtable(e, view->active, 0);
    for (uint32_t i = 0; i < view->sealed_count && !e->key.found.found; i++)
        explain_memtable(e, view->sealed[i], i + 1);
    version_walk walk = version_walk_begin(view->version, e->key.seek.key);
    table_meta *meta;
    while (!e->key.found.found && version_walk_next(&walk, &meta, 1) == 1) {
        status st = explain_table(e, meta, explain_level(view->version, meta));
        if (!status_is_ok(st))
            return st;
    }
    if (!e->key.found.found || read_has_expired(&e->search, &e->key))
        return status_of(FIRN_NOT_FOUND, "key");
    return STATUS_OK;
}

FIRN_INTERNAL status db_explain_get(firn_db *db, const firn_read_options *options, slice key,
                                    firn_explain_callback explain, void *context) {
    explained_read e = {.explain = explain, .context = context, .clock = db->config.clock};
    status st = read_begin(&e.search, db, KEYSPACE_DEFAULT_ID, options);
    if (!status_is_ok(st))
        return st;
    read_leave_epoch(&e.search); /* the callback may take its time */
    TRY(read_key_init(&e.search, key, &e.key));
    st = explain_search(&e);
out:
    read_key_deinit(&e.key);
    read_end(&e.search);
    return st;
}
