#include "compaction/entry_writer.h"
#include "compaction/jobs.h"
#include "compaction/level_iter.h"
#include "compaction/output_cut.h"
#include "iter/merging_iter.h"
#include "platform/error_detail.h"
#include "platform/memory.h"

#include "base/poison.h"

typedef struct compaction_context {
    const job_env *env;
    const compaction_plan *plan;
    table_output *output;
    /* Per level below the output: the first table not wholly in front of the current key. */
    uint32_t below[LEVEL_COUNT];
    output_cut cut;
} compaction_context;

static bool compaction_is_cancelled(void *context) {
    const compaction_context *c = context;
    return c->env->cancelled(c->env->context);
}

/* Whether a table of L0 that is older than the inputs may hold the key. Only outputs that stay in
 * L0 have such. */
static bool compaction_is_in_older_l0(const compaction_plan *plan, user_key key) {
    const version *v = plan->version;
    const version_level *l0 = &v->levels[0];
    uint32_t i = plan->to_level == 0 ? 0 : l0->count;
    while (i < l0->count && l0->tables[i] != plan->inputs[0][plan->input_count[0] - 1])
        i++;
    for (i++; i < l0->count; i++) {
        if (key_order_compare_user(v->order, internal_key_user(l0->tables[i]->smallest), key) <=
                0 &&
            key_order_compare_user(v->order, internal_key_user(l0->tables[i]->largest), key) >= 0)
            return true;
    }
    return false;
}

/* Keys ascend, so each level's cursor only moves forward: linear over the whole job. */
static bool compaction_is_bottom(void *context, user_key key) {
    compaction_context *c = context;
    const version *v = c->plan->version;
    if (compaction_is_in_older_l0(c->plan, key))
        return false;
    for (uint32_t level = c->plan->to_level + 1; level < LEVEL_COUNT; level++) {
        const version_level *l = &v->levels[level];
        uint32_t *i = &c->below[level];
        while (*i < l->count &&
               key_order_compare_user(v->order, internal_key_user(l->tables[*i]->largest), key) < 0)
            ++*i;
        if (*i < l->count &&
            key_order_compare_user(v->order, internal_key_user(l->tables[*i]->smallest), key) <= 0)
            return false;
    }
    return true;
}

static bool compaction_should_cut(void *context, internal_key key) {
    compaction_context *c = context;
    uint64_t bytes =
        table_output_is_open(c->output) ? table_builder_file_bytes(c->output->builder) : 0;
    return output_cut_is_due(&c->cut, key, bytes);
}

/* --- inputs --- */

static status compaction_open_inputs(const job_env *env, const compaction_plan *plan, iter **out) {
    status st = STATUS_OK;
    uint32_t count = 0, singles = plan->input_count[0];
    level_iter_args args = {.tables = env->tables,
                            .order = plan->version->order,
                            .version = plan->version,
                            .read = {.fill_cache = false, .read_ahead = true}};
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

static status compaction_merge(const job_env *env, const compaction_plan *plan,
                               table_output *output) {
    status st = STATUS_OK;
    iter *in = NULL;
    snapshot_list readers = {0};
    compaction_context context = {.env = env, .plan = plan, .output = output};
    context.cut = output_cut_new(plan->version, plan->to_level, env->options->file_bytes);
    /* After the plan pinned its version: whoever reads later reads at these sequences or newer
     * ones. */
    TRY(snapshot_registry_list(env->snapshots, &readers));
    TRY(compaction_open_inputs(env, plan, &in));
    entry_writer writer = {.output = output,
                           .order = plan->version->order,
                           .vfs = env->vfs,
                           .directory = env->directory,
                           .readers = &readers,
                           .file_bytes = UINT64_MAX, /* output_cut knows better */
                           .is_bottom = compaction_is_bottom,
                           .should_cut = compaction_should_cut,
                           .cancelled = compaction_is_cancelled,
                           .context = &context};
    TRY(entry_writer_run(&writer, in));
    TRY(table_output_finish(output));
out:
    iter_free(in);
    snapshot_list_deinit(&readers);
    return st;
}

/* --- the edit --- */

static status compaction_build_edit(const compaction_plan *plan, table_meta *const *outputs,
                                    uint32_t output_count, version_edit *edit) {
    status st = STATUS_OK;
    for (uint32_t level = 0; level < LEVEL_COUNT; level++) {
        for (uint32_t i = 0; i < plan->input_count[level]; i++)
            TRY(version_edit_remove_table(edit, plan->keyspace, level,
                                          plan->inputs[level][i]->where.number));
    }
    for (uint32_t i = 0; i < output_count; i++)
        TRY(version_edit_add_table(edit, plan->to_level, outputs[i]));
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

/* The age of a table is that of its newest data; unknown as soon as one input's is. */
static uint64_t compaction_newest_ms(const compaction_plan *plan) {
    uint64_t newest = 0;
    for (uint32_t level = 0; level < LEVEL_COUNT; level++) {
        for (uint32_t i = 0; i < plan->input_count[level]; i++) {
            uint64_t one = plan->inputs[level][i]->newest_ms;
            if (one == 0)
                return 0;
            newest = one > newest ? one : newest;
        }
    }
    return newest;
}

FIRN_INTERNAL status compaction_job_run(const job_env *env, const compaction_plan *plan,
                                        job_result *result) {
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
                              .newest_ms = compaction_newest_ms(plan)};
    table_output_init(&output, &args);
    if (plan->kind == PLAN_MERGE) {
        result->bytes_read = compaction_plan_input_bytes(plan);
        st = compaction_merge(env, plan, &output);
    }
    if (status_is_ok(st))
        st = plan->kind == PLAN_MOVE
                 ? compaction_build_edit(plan, plan->inputs[plan->from_level],
                                         plan->input_count[plan->from_level], &edit)
                 : compaction_build_edit(plan, output.done, output.done_count, &edit);
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
