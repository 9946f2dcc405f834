#include "compaction/entry_writer.h"
#include "compaction/jobs.h"
#include "compaction/level_iter.h"
#include "iter/merging_iter.h"
#include "platform/error_detail.h"
#include "platform/memory.h"

#include "base/poison.h"

/* A table is cut before it would overlap more than this many file sizes of the level below its own.
 */
#define COMPACTION_GRANDPARENT_FILES_MAX 10

typedef struct compaction_context {
    const job_env *env;
    const compaction_plan *plan;
    /* Per level below the output: the first table not wholly in front of the current key. */
    uint32_t below[LEVEL_COUNT];
    uint32_t grandparent;
    uint64_t grandparent_bytes;
} compaction_context;

static bool compaction_is_cancelled(void *context) {
    const compaction_context *c = context;
    return c->env->cancelled(c->env->context);
}

/* Keys ascend, so each level's cursor only moves forward: linear over the whole job. */
static bool compaction_is_bottom(void *context, user_key key) {
    compaction_context *c = context;
    const version *v = c->plan->version;
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
    const version *v = c->plan->version;
    if (c->plan->to_level + 1 >= LEVEL_COUNT)
        return false;
    const version_level *l = &v->levels[c->plan->to_level + 1];
    while (c->grandparent < l->count &&
           key_order_compare(v->order, l->tables[c->grandparent]->largest, key) < 0)
        c->grandparent_bytes += l->tables[c->grandparent++]->where.file_bytes;
    if (c->grandparent_bytes <= COMPACTION_GRANDPARENT_FILES_MAX * c->env->options->file_bytes)
        return false;
    c->grandparent_bytes = 0;
    return true;
}

/* --- inputs --- */

static status compaction_open_inputs(const job_env *env, const compaction_plan *plan, iter **out) {
    status st = STATUS_OK;
    uint32_t count = 0, singles = plan->from_level == 0 ? plan->input_count[0] : 0;
    level_iter_args args = {.tables = env->tables,
                            .order = plan->version->order,
                            .version = plan->version,
                            .read = {.fill_cache = false, .read_ahead = true}};
    iter **children = memory_new_zeroed(((size_t)singles + 2) * sizeof(iter *));
    *out = NULL;
    if (!children)
        return error_status(FIRN_NO_MEMORY, "no memory for a compaction's inputs");
    for (; count < singles; count++)
        TRY(level_iter_new_table(&args, plan->inputs[0][count], &children[count]));
    for (int side = plan->from_level == 0; side < 2; side++) {
        if (plan->input_count[side] == 0)
            continue;
        TRY(level_iter_new_sorted(&args, plan->inputs[side], plan->input_count[side],
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
    seqno *readers = NULL;
    size_t reader_count;
    compaction_context context = {.env = env, .plan = plan};
    /* After the plan pinned its version: whoever reads later reads at these sequences or newer
     * ones. */
    TRY(snapshot_registry_list(env->snapshots, &readers, &reader_count));
    TRY(compaction_open_inputs(env, plan, &in));
    entry_writer writer = {.output = output,
                           .order = plan->version->order,
                           .vfs = env->vfs,
                           .directory = env->directory,
                           .readers = readers,
                           .reader_count = reader_count,
                           .file_bytes = env->options->file_bytes,
                           .is_bottom = compaction_is_bottom,
                           .should_cut = compaction_should_cut,
                           .cancelled = compaction_is_cancelled,
                           .context = &context};
    TRY(entry_writer_run(&writer, in));
    TRY(table_output_finish(output));
out:
    iter_free(in);
    memory_free(readers);
    return st;
}

/* --- the edit --- */

static status compaction_build_edit(const compaction_plan *plan, table_meta *const *outputs,
                                    uint32_t output_count, version_edit *edit) {
    status st = STATUS_OK;
    for (int side = 0; side < 2; side++) {
        uint32_t level = side == 0 ? plan->from_level : plan->to_level;
        for (uint32_t i = 0; i < plan->input_count[side]; i++)
            TRY(version_edit_remove_table(edit, plan->keyspace, level,
                                          plan->inputs[side][i]->where.number));
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
    event_u64(&e, "inputs", plan->input_count[0] + plan->input_count[1]);
    event_u64(&e, "moved", result->was_move);
    event_u64(&e, "bytes_read", result->bytes_read);
    event_u64(&e, "bytes_written", result->bytes_written);
    event_u64(&e, "outputs", result->tables_written);
    event_u64(&e, "micros", (time_monotonic_ns(env->clock) - started_ns) / 1000);
    event_end(&e);
}

FIRN_INTERNAL status compaction_job_run(const job_env *env, const compaction_plan *plan,
                                        job_result *result) {
    status st = STATUS_OK;
    version_edit edit = {0};
    uint64_t started_ns = time_monotonic_ns(env->clock);
    *result = (job_result){.was_move = plan->is_move};
    table_output output;
    table_output_args args = {.vfs = env->vfs,
                              .directory = env->directory,
                              .versions = env->versions,
                              .options = env->options,
                              .order = plan->version->order,
                              .keyspace = plan->keyspace,
                              .level = plan->to_level};
    table_output_init(&output, &args);
    if (!plan->is_move) {
        result->bytes_read = compaction_plan_input_bytes(plan);
        st = compaction_merge(env, plan, &output);
    }
    if (status_is_ok(st))
        st = plan->is_move
                 ? compaction_build_edit(plan, plan->inputs[0], plan->input_count[0], &edit)
                 : compaction_build_edit(plan, output.done, output.done_count, &edit);
    if (!status_is_ok(st)) {
        table_output_discard(&output);
        goto out;
    }
    TRY(version_set_install(env->versions, &edit, NULL));
    result->bytes_written = output.bytes_written;
    result->tables_written = plan->is_move ? plan->input_count[0] : output.done_count;
    compaction_report(env, plan, started_ns, result);
out:
    table_output_deinit(&output);
    version_edit_deinit(&edit);
    return st;
}

#undef COMPACTION_GRANDPARENT_FILES_MAX
