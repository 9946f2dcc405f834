#include "compaction/compaction_merge.h"

#include <stdio.h>

#include "compaction/bottom.h"
#include "compaction/entry_writer.h"
#include "compaction/level_iter.h"
#include "compaction/range_gather.h"
#include "iter/merging_iter.h"
#include "platform/memory.h"

#include "base/poison.h"

/* One piece. */
typedef struct compaction_context {
    const compaction_merge *merge;
    const job_env *env;
    const compaction_plan *plan;
    bottom_cursor bottom;
    output_cut cut;
    range_gather gathered; /* of the inputs */
    range_drop ranges;
    iter_bounds bounds; /* its keys; unset: open */
} compaction_context;

static bool compaction_is_cancelled(void *context) {
    const compaction_context *c = context;
    /* relaxed: no partner; the result is read when all pieces are over. */
    return atomic_u32_load(&c->merge->failed, memory_order_relaxed) ||
           c->env->cancelled(c->env->context);
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

/* Whether a table of L0 has nothing for this piece. */
static bool compaction_is_outside(const compaction_context *c, const table_meta *t) {
    key_order order = c->plan->version->order;
    return (slice_is_set(c->bounds.lower) &&
            key_order_compare_user(order, internal_key_user(t->largest),
                                   user_key_of(c->bounds.lower)) < 0) ||
           (slice_is_set(c->bounds.upper) &&
            key_order_compare_user(order, internal_key_user(t->smallest),
                                   user_key_of(c->bounds.upper)) >= 0);
}

static status compaction_open_inputs(compaction_context *c, iter **out) {
    status st = STATUS_OK;
    const compaction_plan *plan = c->plan;
    uint32_t count = 0, singles = plan->input_count[0];
    bool bounded = slice_is_set(c->bounds.lower) || slice_is_set(c->bounds.upper);
    level_iter_args args = {.tables = c->env->tables,
                            .order = plan->version->order,
                            .version = plan->version,
                            .read = {.fill_cache = false,
                                     .read_ahead = true,
                                     .bounds = bounded ? &c->bounds : NULL}};
    if (c->ranges.fragments) {
        args.skip = compaction_skips_table;
        args.skip_context = c;
    }
    iter **children = memory_new_zeroed(((size_t)singles + LEVEL_COUNT) * sizeof(iter *));
    *out = NULL;
    if (!children)
        return error_status(FIRN_NO_MEMORY, "no memory for a compaction's inputs");
    for (uint32_t i = 0; i < singles; i++) {
        if (compaction_is_outside(c, plan->inputs[0][i]))
            continue;
        TRY(level_iter_new_table(&args, plan->inputs[0][i], &children[count]));
        count++;
    }
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

static status compaction_merge_piece(compaction_merge *m, uint32_t index) {
    status st = STATUS_OK;
    iter *in = NULL;
    const job_env *env = m->env;
    const compaction_plan *plan = m->plan;
    compaction_context context = {.merge = m, .env = env, .plan = plan};
    if (index > 0)
        context.bounds.lower = m->borders[index - 1].s;
    if (index + 1 < m->count)
        context.bounds.upper = m->borders[index].s;
    context.bottom = bottom_cursor_of_plan(plan);
    context.cut = output_cut_new(plan->version, plan->to_level, env->options->file_bytes);
    TRY(compaction_open_ranges(&context, &m->readers));
    TRY(compaction_open_inputs(&context, &in));
    entry_writer writer = {.output = &m->outputs[index],
                           .order = plan->version->order,
                           .vfs = env->vfs,
                           .directory = env->directory,
                           .readers = &m->readers,
                           .cut = &context.cut,
                           .is_bottom = compaction_is_bottom,
                           .lower = context.bounds.lower,
                           .upper = context.bounds.upper,
                           .filter = env->filter,
                           .ranges = &context.ranges,
                           .cancelled = compaction_is_cancelled,
                           .context = &context,
                           .limiter = env->limiter,
                           .class = RATE_COMPACTION,
                           .entries_done = m->progress ? &m->progress->entries_done : NULL};
    TRY(entry_writer_run(&writer, in));
    TRY(table_output_finish(&m->outputs[index]));
out:
    iter_free(in);
    range_drop_deinit(&context.ranges);
    range_gather_deinit(&context.gathered);
    return st;
}

static void compaction_merge_one(void *context, uint32_t index) {
    compaction_merge *m = context;
    status st = compaction_merge_piece(m, index);
    m->results[index].st = st;
    if (status_is_ok(st))
        return;
    snprintf(m->results[index].detail, ERROR_DETAIL_BYTES, "%s", error_detail_get());
    atomic_u32_store(&m->failed, 1, memory_order_relaxed); /* no partner: a hint to hurry */
}

/* The failure that made the others give up, in this thread's name. */
static status compaction_merge_result(const compaction_merge *m) {
    uint32_t worst = 0;
    for (uint32_t i = 0; i < m->count; i++) {
        status st = m->results[i].st;
        if (!status_is_ok(st) &&
            (status_is_ok(m->results[worst].st) || status_is(m->results[worst].st, FIRN_ABORTED)))
            worst = i;
    }
    if (!status_is_ok(m->results[worst].st))
        error_detail_set("%s", m->results[worst].detail);
    return m->results[worst].st;
}

FIRN_INTERNAL void compaction_merge_init(compaction_merge *m, const job_env *env,
                                         const compaction_plan *plan, job_progress *progress,
                                         const table_output_args *output) {
    memset(m, 0, sizeof *m);
    m->env = env;
    m->plan = plan;
    m->progress = progress;
    m->output = *output;
    atomic_u32_init(&m->failed, 0);
}

/* Decides on pieces. Tables begin in the right places nearly always: only else are indexes looked
 * into. */
static status compaction_merge_split(compaction_merge *m, uint32_t wanted) {
    status st = STATUS_OK;
    uint32_t pieces = job_split_pieces(m->plan, wanted, m->env->options->file_bytes), cuts = 0;
    if (pieces > 1) {
        cuts = job_split(m->plan, pieces, m->borders);
        if (cuts == 0) {
            TRY(job_anchors_gather(&m->anchors, m->plan, m->env->tables));
            cuts = job_split_by_anchors(&m->anchors, m->plan->version->order, pieces, m->borders);
        }
    }
    m->count = 1 + cuts;
out:
    return st;
}

FIRN_INTERNAL status compaction_merge_run(compaction_merge *m) {
    status st = STATUS_OK;
    const job_env *env = m->env;
    workers *helpers = env->helpers ? *env->helpers : NULL;
    if (m->progress) /* relaxed: no partner; for people. */
        atomic_u64_store(&m->progress->entries_total, compaction_input_entries(m->plan),
                         memory_order_relaxed);
    /* After the plan pinned its version: whoever reads later reads at these sequences or newer
     * ones. */
    TRY(snapshot_registry_list(env->snapshots, &m->readers));
    uint32_t wanted = env->options->pieces;
    if (wanted == 0)
        wanted = helpers ? workers_idle(helpers) + 1 : 1;
    TRY(compaction_merge_split(m, wanted));
    for (uint32_t i = 0; i < m->count; i++)
        table_output_init(&m->outputs[i], &m->output);
    if (helpers && m->count > 1) {
        workers_share(helpers, m->count, compaction_merge_one, m);
    } else {
        for (uint32_t i = 0; i < m->count; i++)
            compaction_merge_one(m, i);
    }
    st = compaction_merge_result(m);
out:
    return st;
}

FIRN_INTERNAL void compaction_merge_discard(compaction_merge *m) {
    for (uint32_t i = 0; i < m->count; i++)
        table_output_discard(&m->outputs[i]);
}

FIRN_INTERNAL void compaction_merge_deinit(compaction_merge *m) {
    for (uint32_t i = 0; i < m->count; i++)
        table_output_deinit(&m->outputs[i]);
    job_anchors_deinit(&m->anchors);
    snapshot_list_deinit(&m->readers);
}
