#include "compaction/bottom.h"
#include "compaction/entry_writer.h"
#include "compaction/jobs.h"
#include "platform/error_detail.h"
#include "platform/memory.h"

#include "base/poison.h"

typedef struct flush_context {
    const job_env *env;
    bool is_oldest; /* no other memtable is older than this one: all that is older is in tables */
    bottom_cursor bottom;
} flush_context;

/* A delete of what was put after the last flush need not reach a table at all: the life of a queue.
 */
static bool flush_is_bottom(void *context, user_key key) {
    flush_context *c = context;
    return c->is_oldest && bottom_cursor_has_nothing_older(&c->bottom, key);
}

static bool flush_is_range_bottom(void *context, user_key begin, user_key end) {
    (void)context;
    (void)begin;
    (void)end;
    return false;
}

static bool flush_is_cancelled(void *context) {
    const flush_context *c = context;
    return c->env->cancelled(c->env->context);
}

static status flush_write_table(flush_context *context, const flushed_memtable *flushed,
                                job_progress *progress, table_output *output) {
    status st = STATUS_OK;
    const job_env *env = context->env;
    iter *in = NULL;
    snapshot_list readers = {0};
    range_list list = {0};
    range_drop ranges = {0};
    TRY(snapshot_registry_list(env->snapshots, &readers));
    memtable_list_ranges(flushed->table, &list);
    TRY(range_drop_init(&ranges, output->args.order, &list, &readers));
    ranges.is_bottom = flush_is_range_bottom;
    TRY(memtable_iter_new(flushed->table, &in));
    entry_writer writer = {.output = output,
                           .order = output->args.order,
                           .vfs = env->vfs,
                           .directory = env->directory,
                           .readers = &readers,
                           .is_bottom = flush_is_bottom,
                           .ranges = &ranges,
                           .cancelled = flush_is_cancelled,
                           .context = context,
                           .limiter = env->limiter,
                           .class = RATE_FLUSH,
                           .entries_done = progress ? &progress->entries_done : NULL};
    if (progress) /* relaxed: no partner; for people. */
        atomic_u64_store(&progress->entries_total, memtable_entries(flushed->table),
                         memory_order_relaxed);
    TRY(entry_writer_run(&writer, in));
    TRY(table_output_finish(output));
out:
    iter_free(in);
    range_drop_deinit(&ranges);
    range_list_deinit(&list);
    snapshot_list_deinit(&readers);
    return st;
}

/* What of the log nobody needs once this memtable is in tables. */
static void flush_set_log_floor(const job_env *env, const flushed_memtable *flushed,
                                version_edit *edit) {
    /* acquire: pairs with the commit leader's release store after its inserts. Read first: every
     * record below it is in a memtable that version_set_log_floor then sees. */
    uint64_t applied = atomic_u64_load(env->applied, memory_order_acquire);
    edit->log_floor_position = version_set_log_floor(env->versions, flushed->table, applied);
    edit->log_floor_segment = wal_writer_floor_segment(env->log, edit->log_floor_position);
    edit->has_log_floor = true;
}

static status flush_install(const job_env *env, const flushed_memtable *flushed,
                            table_output *output, version_edit *edit) {
    status st = STATUS_OK;
    seqno last = memtable_last_sequence(flushed->table);
    for (uint32_t i = 0; i < output->done_count; i++)
        TRY(version_edit_add_table(edit, 0, output->done[i]));
    TRY(version_edit_set_flushed(edit, flushed->keyspace, last));
    edit->has_last_sequence = true;
    edit->last_sequence = last;
    if (env->log) {
        /* A batch over two keyspaces must not be half in a table and half in lost log. */
        if (version_set_log_is_shared(env->versions, flushed->keyspace))
            TRY(wal_writer_sync(env->log));
        flush_set_log_floor(env, flushed, edit);
    }
out:
    return st;
}

/* Log files that nobody needs after a crash are deleted, but for those in which readers of flushed
 * memtables may still look for large values: they go at a later flush, or at the next open. */
static void flush_release_log(const job_env *env, const version_edit *edit) {
    uint64_t pinned = version_set_log_pinned(env->versions);
    wal_writer_release(env->log, pinned < edit->log_floor_position
                                     ? wal_writer_floor_segment(env->log, pinned)
                                     : edit->log_floor_segment);
}

static void flush_report(const job_env *env, const flushed_memtable *flushed, uint64_t started_ns,
                         const job_result *result) {
    event e = event_begin(env->events, "flush");
    event_u64(&e, "keyspace", flushed->keyspace);
    event_u64(&e, "bytes", result->bytes_written);
    event_u64(&e, "tables", result->tables_written);
    event_u64(&e, "micros", (time_monotonic_ns(env->clock) - started_ns) / 1000);
    event_end(&e);
}

FIRN_INTERNAL status flush_job_run(const job_env *env, const flushed_memtable *flushed,
                                   job_progress *progress, job_result *result) {
    status st = STATUS_OK;
    version_edit edit = {0};
    uint64_t started_ns = time_monotonic_ns(env->clock), now_ms = time_wall_ms(env->clock);
    read_view *view = version_set_view(env->versions, flushed->keyspace);
    CHECK(view != NULL);
    *result = (job_result){0};
    table_output output;
    table_output_args args = {.vfs = env->vfs,
                              .directory = env->directory,
                              .versions = env->versions,
                              .options = env->options,
                              .order = view->order,
                              .keyspace = flushed->keyspace,
                              .level = 0,
                              .newest_ms = now_ms,
                              .written_ms = now_ms};
    table_output_init(&output, &args);
    flush_context context = {.env = env, .bottom = bottom_cursor_above(view->version)};
    context.is_oldest =
        view->sealed_count > 0 && view->sealed[view->sealed_count - 1] == flushed->table;
    st = flush_write_table(&context, flushed, progress, &output);
    if (status_is_ok(st))
        st = flush_install(env, flushed, &output, &edit);
    if (!status_is_ok(st)) {
        table_output_discard(&output);
        goto out;
    }
    st = version_set_install(env->versions, &edit, flushed);
    if (!status_is_ok(st)) {
        if (!edit.may_stand)
            table_output_discard(&output);
        goto out;
    }
    result->bytes_written = output.bytes_written;
    result->tables_written = output.done_count;
    if (env->log)
        flush_release_log(env, &edit);
    flush_report(env, flushed, started_ns, result);
out:
    table_output_deinit(&output);
    version_edit_deinit(&edit);
    read_view_unref(view);
    return st;
}
