#include "sim/tree_sim.h"

#include <stdlib.h>
#include <string.h>

#include "compaction/level_targets.h"
#include "compaction/output_cut.h"
#include "lib/test.h"

/* --- tables --- */

static void sim_key_bytes(uint32_t key, uint32_t sequence, buf *out) {
    uint8_t bytes[4] = {(uint8_t)(key >> 24), (uint8_t)(key >> 16), (uint8_t)(key >> 8),
                        (uint8_t)key};
    internal_key_append(out, user_key_of(slice_of(bytes, sizeof bytes)), sequence & ~SIM_DELETE,
                        sequence & SIM_DELETE ? OP_DELETE : OP_PUT);
}

/* Takes `entries`, ascending by key. */
static table_meta *sim_table_new(tree_sim *s, sim_entry *entries, uint64_t count) {
    buf small = {0}, large = {0};
    table_meta fields = {.entries = count, .min_sequence = UINT64_MAX}, *made;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t sequence = entries[i].sequence & ~SIM_DELETE;
        fields.deletes += (entries[i].sequence & SIM_DELETE) != 0;
        if (sequence < fields.min_sequence)
            fields.min_sequence = sequence;
        if (sequence > fields.max_sequence)
            fields.max_sequence = sequence;
    }
    sim_key_bytes(entries[0].key, entries[0].sequence, &small);
    sim_key_bytes(entries[count - 1].key, entries[count - 1].sequence, &large);
    fields.smallest.s = buf_slice(&small);
    fields.largest.s = buf_slice(&large);
    fields.where.number = s->next_number++;
    fields.where.file_bytes = count * SIM_ENTRY_BYTES;
    if (fields.where.number >= s->table_capacity) {
        s->table_capacity = s->table_capacity ? 2 * s->table_capacity : 1024;
        s->tables = realloc(s->tables, s->table_capacity * sizeof *s->tables);
        s->table_entries = realloc(s->table_entries, s->table_capacity * sizeof(uint64_t));
        assert_non_null(s->tables);
        assert_non_null(s->table_entries);
    }
    s->tables[fields.where.number] = entries;
    s->table_entries[fields.where.number] = count;
    ASSERT_OK(table_meta_new(&fields, &made));
    buf_deinit(&small);
    buf_deinit(&large);
    return made;
}

static void sim_install(tree_sim *s, version_edit *edit) {
    version *next;
    ASSERT_OK(version_new_edited(s->now, edit, 0, NULL, &next)); /* checks that levels are sorted */
    version_unref(s->now);
    s->now = next;
    version_edit_deinit(edit);
}

/* --- merging --- */

typedef struct sim_merge {
    tree_sim *sim;
    const compaction_plan *plan;
    sim_entry *all;
    uint64_t count;
} sim_merge;

static int sim_compare_entries(const void *a, const void *b) {
    const sim_entry *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    uint32_t left = x->sequence & ~SIM_DELETE, right = y->sequence & ~SIM_DELETE;
    return left > right ? -1 : left < right;
}

static bool sim_table_holds(const table_meta *t, user_key key) {
    return slice_compare(internal_key_user(t->smallest).s, key.s) <= 0 &&
           slice_compare(internal_key_user(t->largest).s, key.s) >= 0;
}

/* As compaction_job.c judges it: nothing older below the output, nor in older tables of L0. */
static bool sim_is_bottom(const compaction_plan *plan, user_key key) {
    const version *v = plan->version;
    if (version_overlaps_below(v, plan->to_level + 1, key, key))
        return false;
    bool passed = false;
    for (uint32_t i = 0; plan->to_level == 0 && i < v->levels[0].count; i++) {
        const table_meta *t = v->levels[0].tables[i];
        if (passed && sim_table_holds(t, key))
            return false;
        passed |= t == plan->inputs[0][plan->input_count[0] - 1];
    }
    return true;
}

static void sim_gather(sim_merge *m) {
    uint64_t count = 0;
    for (uint32_t level = 0; level < LEVEL_COUNT; level++) {
        for (uint32_t i = 0; i < m->plan->input_count[level]; i++)
            count += m->plan->inputs[level][i]->entries;
    }
    m->all = malloc(count * sizeof *m->all);
    assert_non_null(m->all);
    for (uint32_t level = 0; level < LEVEL_COUNT; level++) {
        for (uint32_t i = 0; i < m->plan->input_count[level]; i++) {
            const table_meta *t = m->plan->inputs[level][i];
            memcpy(m->all + m->count, m->sim->tables[t->where.number], t->entries * sizeof *m->all);
            m->count += t->entries;
        }
    }
    qsort(m->all, m->count, sizeof *m->all, sim_compare_entries);
}

static void sim_end_table(sim_merge *m, sim_entry **entries, uint64_t *count, version_edit *edit) {
    if (*count == 0)
        return;
    sim_entry *kept = realloc(*entries, *count * sizeof **entries);
    table_meta *made = sim_table_new(m->sim, kept ? kept : *entries, *count);
    ASSERT_OK(version_edit_add_table(edit, m->plan->to_level, made));
    table_meta_unref(made);
    m->sim->compacted += (double)*count;
    *entries = NULL;
    *count = 0;
}

static void sim_write(sim_merge *m, version_edit *edit) {
    output_cut cut =
        output_cut_new(m->plan->version, m->plan->to_level, m->sim->options.file_bytes);
    sim_entry *out = NULL;
    uint64_t out_count = 0;
    buf key = {0};
    for (uint64_t i = 0; i < m->count; i++) {
        const sim_entry *e = &m->all[i];
        if (i > 0 && m->all[i - 1].key == e->key)
            continue; /* hidden: nobody reads at an older sequence here */
        buf_clear(&key);
        sim_key_bytes(e->key, e->sequence, &key);
        internal_key internal = {buf_slice(&key)};
        if (output_cut_is_due(&cut, internal, out_count * SIM_ENTRY_BYTES))
            sim_end_table(m, &out, &out_count, edit);
        if ((e->sequence & SIM_DELETE) && sim_is_bottom(m->plan, internal_key_user(internal)))
            continue;
        if (!out)
            out = malloc((m->count - i) * sizeof *out);
        assert_non_null(out);
        out[out_count++] = *e;
    }
    sim_end_table(m, &out, &out_count, edit);
    free(out);
    buf_deinit(&key);
}

/* --- jobs --- */

static void sim_finish(tree_sim *s, sim_job *job) {
    version_edit edit = {0};
    const compaction_plan *plan = &job->plan;
    for (uint32_t level = 0; level < LEVEL_COUNT; level++) {
        for (uint32_t i = 0; i < plan->input_count[level]; i++) {
            table_meta *t = plan->inputs[level][i];
            t->compacting = false;
            if (plan->kind == PLAN_MOVE && level == plan->to_level)
                continue;
            ASSERT_OK(version_edit_remove_table(&edit, 0, level, t->where.number));
            if (plan->kind == PLAN_MOVE)
                ASSERT_OK(version_edit_add_table(&edit, plan->to_level, t));
        }
    }
    sim_merge merge = {.sim = s, .plan = plan};
    if (plan->kind == PLAN_MERGE) {
        sim_gather(&merge);
        sim_write(&merge, &edit);
    }
    s->moved += plan->kind == PLAN_MOVE;
    s->dropped += plan->kind == PLAN_DROP;
    sim_install(s, &edit);
    if (plan->kind != PLAN_MOVE) {
        for (uint32_t level = 0; level < LEVEL_COUNT; level++) {
            for (uint32_t i = 0; i < plan->input_count[level]; i++) {
                uint64_t number = plan->inputs[level][i]->where.number;
                free(s->tables[number]);
                s->tables[number] = NULL;
            }
        }
    }
    free(merge.all);
    compaction_plan_deinit(&job->plan);
    job->running = false;
}

/* Starts a job if one is due. */
static bool sim_start(tree_sim *s, sim_job *job) {
    bool found;
    picker_view view = {.version = s->now, .options = &s->options, .now_ms = 1};
    ASSERT_OK(picker_pick(&view, &found, &job->plan));
    if (!found)
        return false;
    uint64_t cost = job->plan.kind == PLAN_MERGE ? 0 : 1;
    for (uint32_t level = 0; level < LEVEL_COUNT; level++) {
        for (uint32_t i = 0; i < job->plan.input_count[level]; i++) {
            assert_false(job->plan.inputs[level][i]->compacting);
            job->plan.inputs[level][i]->compacting = true;
            cost += job->plan.kind == PLAN_MERGE ? job->plan.inputs[level][i]->entries : 0;
        }
    }
    job->running = true;
    job->ends = s->clock + (double)cost / s->speed;
    return true;
}

static sim_job *sim_next_to_end(tree_sim *s) {
    sim_job *next = NULL;
    for (uint32_t i = 0; i < s->workers; i++) {
        if (s->jobs[i].running && (!next || s->jobs[i].ends < next->ends))
            next = &s->jobs[i];
    }
    return next;
}

static void sim_start_all(tree_sim *s) {
    for (uint32_t i = 0; i < s->workers; i++) {
        if (!s->jobs[i].running && !sim_start(s, &s->jobs[i]))
            return;
    }
}

/* Lets the workers work until `until`. */
static void sim_work(tree_sim *s, double until) {
    double start = s->clock;
    sim_start_all(s);
    for (sim_job *job = sim_next_to_end(s); job && job->ends <= until; job = sim_next_to_end(s)) {
        s->clock = job->ends;
        sim_finish(s, job);
        sim_start_all(s);
    }
    s->clock = until > start ? until : start;
}

/* --- the user --- */

static uint32_t sim_runs(const version *v) {
    uint32_t runs = v->levels[0].count;
    for (uint32_t level = 1; level < LEVEL_COUNT; level++)
        runs += v->levels[level].count > 0;
    return runs;
}

double tree_sim_space(const tree_sim *s) {
    return (double)version_total_bytes(s->now) / SIM_ENTRY_BYTES / (s->alive > 0 ? s->alive : 1);
}

static void sim_take_point(const tree_sim *s) {
    sim_trace *t = s->trace;
    if (t->count == t->capacity) {
        t->capacity = t->capacity ? 2 * t->capacity : 256;
        t->points = realloc(t->points, t->capacity * sizeof *t->points);
        assert_non_null(t->points);
    }
    t->points[t->count++] =
        (sim_point){.clock = s->clock,
                    .user = s->user_entries,
                    .written = s->flushed + s->compacted,
                    .kept =
                        (double)version_total_bytes(s->now) / SIM_ENTRY_BYTES + s->touched_count,
                    .alive = s->alive,
                    .debt = (double)level_debt_bytes(s->now, &s->options) / SIM_ENTRY_BYTES,
                    .runs = sim_runs(s->now)};
}

static int sim_compare_keys(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void sim_flush(tree_sim *s) {
    version_edit edit = {0};
    if (s->touched_count == 0)
        return;
    /* A writer that finds L0 full waits for the next job. */
    while (level_backlog_tables(s->now, &s->options) >= s->options.l0_stop) {
        const sim_job *next = sim_next_to_end(s);
        assert_non_null(next); /* or nothing would ever make room */
        double ends = next->ends;
        s->stalled += ends - s->clock;
        sim_work(s, ends);
    }
    qsort(s->touched, s->touched_count, sizeof *s->touched, sim_compare_keys);
    sim_entry *entries = malloc(s->touched_count * sizeof *entries);
    assert_non_null(entries);
    for (uint32_t i = 0; i < s->touched_count; i++) {
        entries[i] = (sim_entry){s->touched[i], s->memtable[s->touched[i]]};
        s->memtable[s->touched[i]] = 0;
    }
    table_meta *made = sim_table_new(s, entries, s->touched_count);
    made->newest_ms = 1;
    ASSERT_OK(version_edit_add_table(&edit, 0, made));
    table_meta_unref(made);
    sim_install(s, &edit);
    s->flushed += s->touched_count;
    s->touched_count = 0;
    uint32_t runs = sim_runs(s->now), l0 = s->now->levels[0].count;
    s->read_sum += runs;
    s->samples++;
    s->read_most = runs > s->read_most ? runs : s->read_most;
    s->l0_most = l0 > s->l0_most ? l0 : s->l0_most;
    sim_work(s, s->clock);
}

static bool sim_is_alive(uint32_t stored) {
    return stored && !(stored & SIM_DELETE);
}

static void sim_apply(tree_sim *s, uint32_t key, uint32_t flags) {
    assert_true(key < s->keys);
    uint32_t stored = ++s->sequence | flags;
    if (s->memtable[key] == 0)
        s->touched[s->touched_count++] = key;
    s->memtable[key] = stored;
    s->alive += sim_is_alive(stored);
    s->alive -= sim_is_alive(s->model[key]);
    s->model[key] = stored;
    s->user_entries++;
    sim_work(s, s->clock + 1);
    if (s->touched_count >= s->memtable_entries)
        sim_flush(s);
    if (s->trace && s->sequence % s->trace->every == 0)
        sim_take_point(s);
}

void tree_sim_put(tree_sim *s, uint32_t key) {
    sim_apply(s, key, 0);
}

void tree_sim_delete(tree_sim *s, uint32_t key) {
    sim_apply(s, key, SIM_DELETE);
}

void tree_sim_settle(tree_sim *s) {
    sim_flush(s);
    sim_start_all(s);
    for (sim_job *job = sim_next_to_end(s); job; job = sim_next_to_end(s)) {
        sim_work(s, job->ends);
        sim_start_all(s);
    }
}

/* --- checking --- */

static void sim_check_table(const tree_sim *s, const table_meta *t, uint32_t *seen) {
    const sim_entry *entries = s->tables[t->where.number];
    for (uint64_t i = 0; i < t->entries; i++) {
        /* Newer places are looked into first: whatever is found first must be the newest. */
        if (seen[entries[i].key] == 0)
            seen[entries[i].key] = entries[i].sequence;
        else
            assert_true((seen[entries[i].key] & ~SIM_DELETE) > (entries[i].sequence & ~SIM_DELETE));
    }
}

void tree_sim_check(const tree_sim *s) {
    uint32_t *seen = calloc(s->keys, sizeof *seen);
    assert_non_null(seen);
    memcpy(seen, s->memtable, s->keys * sizeof *seen);
    for (uint32_t level = 0; level < LEVEL_COUNT; level++) {
        for (uint32_t i = 0; i < s->now->levels[level].count; i++)
            sim_check_table(s, s->now->levels[level].tables[i], seen);
    }
    for (uint32_t key = 0; key < s->keys; key++) {
        if (sim_is_alive(s->model[key]) || sim_is_alive(seen[key]))
            assert_int_equal(seen[key], s->model[key]);
    }
    free(seen);
}

/* --- life --- */

void tree_sim_init(tree_sim *s, const sim_setup *setup) {
    uint32_t memtable = 4096;
    *s = (tree_sim){.keys = setup->keys,
                    .memtable_entries = memtable,
                    .workers = setup->workers,
                    .speed = setup->speed,
                    .trace = setup->trace,
                    .next_number = 1};
    uint64_t bytes = (uint64_t)memtable * SIM_ENTRY_BYTES;
    s->options = (tree_options){.strategy = setup->strategy,
                                .level_base_bytes = 4 * bytes,
                                .level_fanout = 10,
                                .file_bytes = bytes,
                                .l0_trigger = 4,
                                .l0_slowdown = 8,
                                .l0_stop = 16,
                                .tombstone_percent = 50,
                                .tiered_space_percent = 200,
                                .fifo_bytes = setup->strategy == TREE_FIFO ? 64 * bytes : 0};
    s->memtable = calloc(setup->keys, sizeof *s->memtable);
    s->touched = calloc(setup->keys, sizeof *s->touched);
    s->model = calloc(setup->keys, sizeof *s->model);
    assert_true(s->memtable && s->touched && s->model);
    ASSERT_OK(version_new_empty((key_order){NULL}, &s->now));
}

void tree_sim_deinit(tree_sim *s) {
    for (uint32_t i = 0; i < s->workers; i++)
        compaction_plan_deinit(&s->jobs[i].plan);
    for (uint64_t i = 1; i < s->next_number; i++)
        free(s->tables[i]);
    version_unref(s->now);
    free(s->tables);
    free(s->table_entries);
    free(s->memtable);
    free(s->touched);
    free(s->model);
}
