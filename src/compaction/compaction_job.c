#include "compaction/compaction_merge.h"
#include "compaction/jobs.h"
#include "platform/error_detail.h"
#include "platform/memory.h"

#include "base/poison.h"

static status compaction_build_edit(const compaction_plan *plan, const compaction_merge *merge,
                                    version_edit *edit) {
    status st = STATUS_OK;
    edit->drops_live = plan->drops_live;
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
    for (uint32_t piece = 0; piece < merge->count; piece++) {
        const table_output *output = &merge->outputs[piece];
        for (uint32_t i = 0; i < output->done_count; i++)
            TRY(version_edit_add_table(edit, plan->to_level, output->done[i]));
    }
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
    event_u64(&e, "pieces", result->pieces);
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

static void compaction_sum_up(const compaction_plan *plan, const compaction_merge *merge,
                              job_result *result) {
    result->pieces = merge->count;
    for (uint32_t i = 0; i < merge->count; i++) {
        result->bytes_written += merge->outputs[i].bytes_written;
        result->tables_written += merge->outputs[i].done_count;
    }
    if (plan->kind == PLAN_MOVE)
        result->tables_written = compaction_plan_input_tables(plan);
}

FIRN_INTERNAL status compaction_job_run(const job_env *env, const compaction_plan *plan,
                                        job_progress *progress, job_result *result) {
    status st = STATUS_OK;
    version_edit edit = {0};
    uint64_t started_ns = time_monotonic_ns(env->clock);
    *result = (job_result){.was_move = plan->kind == PLAN_MOVE};
    compaction_merge *merge = memory_new(sizeof *merge);
    if (!merge)
        return error_status(FIRN_NO_MEMORY, "%s: no memory for a compaction", env->directory);
    table_output_args args = {.vfs = env->vfs,
                              .directory = env->directory,
                              .versions = env->versions,
                              .options = env->options,
                              .order = plan->version->order,
                              .keyspace = plan->keyspace,
                              .level = plan->to_level,
                              .newest_ms = compaction_newest_ms(plan),
                              .written_ms = time_wall_ms(env->clock)};
    compaction_merge_init(merge, env, plan, progress, &args);
    if (plan->kind == PLAN_MERGE) {
        result->bytes_read = compaction_plan_input_bytes(plan);
        st = compaction_merge_run(merge);
    }
    if (status_is_ok(st))
        st = compaction_build_edit(plan, merge, &edit);
    if (!status_is_ok(st)) {
        compaction_merge_discard(merge);
        goto out;
    }
    st = version_set_install(env->versions, &edit, NULL);
    if (!status_is_ok(st)) {
        if (!edit.may_stand)
            compaction_merge_discard(merge);
        goto out;
    }
    compaction_sum_up(plan, merge, result);
    compaction_report(env, plan, started_ns, result);
out:
    compaction_merge_deinit(merge);
    memory_free(merge);
    version_edit_deinit(&edit);
    return st;
}
