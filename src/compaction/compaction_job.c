#include "compaction/bottom.h"
#include "compaction/entry_writer.h"
#include "compaction/jobs.h"
#include "compaction/level_iter.h"
#include "compaction/range_gather.h"
#include "iter/merging_iter.h"
#include "platform/error_detail.h"
#include "platform/memory.h"

#include "base/poison.h"

typedef struct compaction_context {
    const job_env *env;
    const compaction_plan *plan;
    bottom_cursor bottom;
    output_cut cut;
    range_gather gathered; /* of the inputs */
    range_drop ranges;
} compaction_context;

static bool compaction_is_cancelled(void *context) {
    const compaction_context *c = context;
    return c->env->cancelled(c->env->context);
}

static bool compaction_is_bottom(void *context, user_key key) {
    compaction_context *c = context;
    return bottom_cursor_has_nothing_older(&c->bottom, key);
}

static bool compaction_is_range_bottom(void *context, user_key begin, user_key end) {
    const compaction_context *c = context;
    /* What stays in L0 has older tables of L0 below it. */
    return c->plan->to_level > 0 &&
           !version_overlaps_below(c->plan->version, c->plan->to_level + 1, begin, end);
}

static bool compaction_skips_table(void *context, const table_meta *meta) {
    const compaction_context *c = context;
    return range_drop_covers_table(&c->ranges, meta);
}

static status compaction_open_ranges(compaction_context *c, const snapshot_list *readers) {
    status st = STATUS_OK;
    const compaction_plan *plan = c->plan;
    for (uint32_t level = 0; plan->version->has_range_tombstones && level < LEVEL_COUNT; level++)
        TRY(range_gather_tables(&c->gathered, c->env->tables, plan->version->order,
                                plan->inputs[level], plan->input_count[level]));
    TRY(range_drop_init(&c->ranges, plan->version->order, &c->gathered.list, readers));
    c->ranges.is_bottom = compaction_is_range_bottom;
    c->ranges.context = c;
out:
    return st;
}

/* --- inputs --- */

static status compaction_open_inputs(compaction_context *c, iter **out) {
    status st = STATUS_OK;
    const compaction_plan *plan = c->plan;
    uint32_t count = 0, singles = plan->input_count[0];
    level_iter_args args = {.tables = c->env->tables,
                            .order = plan->version->order,
                            .version = plan->version,
                            .read = {.fill_cache = false, .read_ahead = true}};
    if (c->ranges.fragments) {
        args.skip = compaction_skips_table;
        args.skip_context = c;
    }
    iter **children = memory_new_zeroed(((size_t)singles + LEVEL_COUNT) * sizeof(iter *));
    *out = NULL;
    if (!children)
        return error_status(FIRN_NO_MEMORY, "no memory for a compaction's inputs");
    for (; count < singles; count++)
        TRY(level_iter_new_table(&args, plan->inputs[0][count], &children[count]));
    for (uint32_t level = 1; level < LEVEL_COUNT; level++) {
        if (plan->input_count[level] == 0)
            continue;
        TRY(level_iter_new_sorted(&args, plan->inputs[level], plan->input_count[level],
                                  &children[count]));
        count++;
    }
    uint32_t taken = count;
    count = 0;
    TRY(merging_iter_new(plan->version->order, children, taken, out));
out:
    for (uint32_t i = 0; i < count; i++)
        iter_free(children[i]);
    memory_free(children);
    return st;
}

static uint64_t compaction_input_entries(const compaction_plan *plan) {
    uint64_t entries = 0;
    for (uint32_t level = 0; level < LEVEL_COUNT; level++) {
        for (uint32_t i = 0; i < plan->input_count[level]; i++)
            entries += plan->inputs[level][i]->entries;
    }
    return entries;
}

static status compaction_merge(const job_env *env, const compaction_plan *plan,
                               job_progress *progress, table_output *output) {
    status st = STATUS_OK;
    iter *in = NULL;
    snapshot_list readers = {0};
    compaction_context context = {.env = env, .plan = plan};
    context.bottom = bottom_cursor_of_plan(plan);
    context.cut = output_cut_new(plan->version, plan->to_level, env->options->file_bytes);
    /* After the plan pinned its version: whoever reads later reads at these sequences or newer
     * ones. */
    TRY(snapshot_registry_list(env->snapshots, &readers));
    TRY(compaction_open_ranges(&context, &readers));
    TRY(compaction_open_inputs(&context, &in));
    entry_writer writer = {.output = output,
                           .order = plan->version->order,
                           .vfs = env->vfs,
                           .directory = env->directory,
                           .readers = &readers,
                           .cut = &context.cut,
                           .is_bottom = compaction_is_bottom,
                           .filter = env->filter,
                           .ranges = &context.ranges,
                           .cancelled = compaction_is_cancelled,
                           .context = &context,
                           .limiter = env->limiter,
                           .class = RATE_COMPACTION,
                           .entries_done = progress ? &progress->entries_done : NULL};
    if (progress) /* relaxed: no partner; for people. */
        atomic_u64_store(&progress->entries_total, compaction_input_entries(plan),
                         memory_order_relaxed);
    TRY(entry_writer_run(&writer, in));
    TRY(table_output_finish(output));
out:
    iter_free(in);
    range_drop_deinit(&context.ranges);
    range_gather_deinit(&context.gathered);
    snapshot_list_deinit(&readers);
    return st;
}

/* --- the edit --- */

static status compaction_build_edit(const compaction_plan *plan, const table_output *output,
                                    version_edit *edit) {
    status st = STATUS_OK;
    for (uint32_t level = 0; level < LEVEL_COUNT; level++) {
        for (uint32_t i = 0; i < plan->input_count[level]; i++) {
            table_meta *input = plan->inputs[level][i];
            if (plan->kind == PLAN_MOVE && level == plan->to_level)
                continue; /* it stays where it is */
            TRY(version_edit_remove_table(edit, plan->keyspace, level, input->where.number));
            if (plan->kind == PLAN_MOVE)
                TRY(version_edit_add_table(edit, plan->to_level, input));
        }
    }
    for (uint32_t i = 0; i < output->done_count; i++)
        TRY(version_edit_add_table(edit, plan->to_level, output->done[i]));
out:
    return st;
}

static void compaction_report(const job_env *env, const compaction_plan *plan, uint64_t started_ns,
                              const job_result *result) {
    event e = event_begin(env->events, "compaction");
    event_u64(&e, "keyspace", plan->keyspace);
    event_string(&e, "reason", plan->reason);
    event_u64(&e, "from_level", plan->from_level);
    event_u64(&e, "to_level", plan->to_level);
    event_u64(&e, "inputs", compaction_plan_input_tables(plan));
    event_u64(&e, "moved", result->was_move);
    event_u64(&e, "dropped", plan->kind == PLAN_DROP);
    event_u64(&e, "bytes_read", result->bytes_read);
    event_u64(&e, "bytes_written", result->bytes_written);
    event_u64(&e, "outputs", result->tables_written);
    event_u64(&e, "micros", (time_monotonic_ns(env->clock) - started_ns) / 1000);
    event_end(&e);
}

/* The age of a table is that of its newest data. */
static uint64_t compaction_newest_ms(const compaction_plan *plan) {
    uint64_t newest = 0;
    for (uint32_t level = 0; level < LEVEL_COUNT; level++) {
        for (uint32_t i = 0; i < plan->input_count[level]; i++) {
            uint64_t one = plan->inputs[level][i]->newest_ms;
            newest = one > newest ? one : newest;
        }
    }
    return newest;
}

FIRN_INTERNAL status compaction_job_run(const job_env *env, const compaction_plan *plan,
                                        job_progress *progress, job_result *result) {
    status st = STATUS_OK;
    version_edit edit = {0};
    uint64_t started_ns = time_monotonic_ns(env->clock);
    *result = (job_result){.was_move = plan->kind == PLAN_MOVE};
    table_output output;
    table_output_args args = {.vfs = env->vfs,
                              .directory = env->directory,
                              .versions = env->versions,
                              .options = env->options,
                              .order = plan->version->order,
                              .keyspace = plan->keyspace,
                              .level = plan->to_level,
                              .newest_ms = compaction_newest_ms(plan),
                              .written_ms = time_wall_ms(env->clock)};
    table_output_init(&output, &args);
    if (plan->kind == PLAN_MERGE) {
        result->bytes_read = compaction_plan_input_bytes(plan);
        st = compaction_merge(env, plan, progress, &output);
    }
    if (status_is_ok(st))
        st = compaction_build_edit(plan, &output, &edit);
    if (!status_is_ok(st)) {
        table_output_discard(&output);
        goto out;
    }
    TRY(version_set_install(env->versions, &edit, NULL));
    result->bytes_written = output.bytes_written;
    result->tables_written =
        plan->kind == PLAN_MOVE ? compaction_plan_input_tables(plan) : output.done_count;
    compaction_report(env, plan, started_ns, result);
out:
    table_output_deinit(&output);
    version_edit_deinit(&edit);
    return st;
}
