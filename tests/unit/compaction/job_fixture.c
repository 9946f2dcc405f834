#include "unit/compaction/job_fixture.h"

#include <stdio.h>

#include "compaction/level_iter.h"
#include "lib/test.h"
#include "unit/compaction/tree_text.h"

static void job_ignore_wake(void *context) {
    (void)context;
}

static bool job_is_cancelled(void *context) {
    const job_fixture *f = context;
    return f->cancelled;
}

void job_fixture_init(job_fixture *f) {
    *f = (job_fixture){.grave = {.wake = job_ignore_wake}, .options = tree_test_options()};
    f->options.block_bytes = 4096;
    f->options.restart_interval = 16;
    f->options.filter_bits_per_key = 10;
    epoch_init(&f->readers);
    ASSERT_OK(vfs_mem_new(&f->disk));
    ASSERT_OK(vfs_fault_new(vfs_mem_vfs(f->disk), &f->fault));
    const firn_vfs *vfs = vfs_fault_vfs(f->fault);
    ASSERT_OK(vfs_make_dir(vfs, "/db"));
    version_set_args args = {.vfs = vfs,
                             .directory = "/db",
                             .memtable_bytes = 1 << 20,
                             .grave = &f->grave,
                             .readers = &f->readers};
    ASSERT_OK(version_set_new(&args, &f->versions));
    ASSERT_OK(version_set_create(f->versions));
    snapshot_registry_init(&f->snapshots, &f->visible, time_source_system());
    table_cache_args cache = {.vfs = vfs,
                              .directory = "/db",
                              .readers = &f->readers,
                              .tables_max = 100};
    ASSERT_OK(table_cache_new(&cache, &f->tables));
    f->env = (job_env){.vfs = vfs,
                       .directory = "/db",
                       .clock = time_source_system(),
                       .versions = f->versions,
                       .snapshots = &f->snapshots,
                       .tables = f->tables,
                       .options = &f->options,
                       .applied = &f->applied,
                       .cancelled = job_is_cancelled,
                       .context = f};
}

void job_fixture_deinit(job_fixture *f) {
    version_set_unref(f->versions);
    for (table_meta *dead = graveyard_take(&f->grave), *next; dead; dead = next) {
        next = dead->next_dead;
        table_meta_bury(dead);
    }
    table_cache_free(f->tables);
    epoch_deinit(&f->readers);
    snapshot_registry_deinit(&f->snapshots);
    vfs_fault_free(f->fault);
    vfs_mem_free(f->disk);
}

void job_put(job_fixture *f, const char *key, const char *value) {
    memtable *active = version_set_active(f->versions, 0);
    version_set_note_first_write(f->versions, 0, f->last, 0);
    ASSERT_OK(memtable_add(active, ++f->last, value ? OP_PUT : OP_DELETE,
                           user_key_of(slice_from_string(key)),
                           slice_from_string(value ? value : "")));
    version_set_note_sequence(f->versions, f->last);
    atomic_u64_store(&f->visible, f->last, memory_order_relaxed); /* relaxed: one thread */
}

status job_flush(job_fixture *f, job_result *result) {
    flushed_memtable flushed;
    ASSERT_OK(version_set_seal(f->versions, 0));
    assert_true(version_set_take_flush(f->versions, &flushed.keyspace, &flushed.table));
    status st = flush_job_run(&f->env, &flushed, NULL, result);
    if (!status_is_ok(st))
        version_set_flush_failed(f->versions, flushed.keyspace, flushed.table);
    return st;
}

status job_compact(job_fixture *f, bool *found, job_result *result) {
    compaction_plan plan;
    manual_range range = {SLICE_UNSET, SLICE_UNSET, f->first_new ? f->first_new : UINT64_MAX};
    read_view *view = version_set_view(f->versions, 0);
    picker_view now = {.version = view->version, .options = &f->options};
    ASSERT_OK(picker_pick_manual(&now, &range, found, &plan));
    read_view_unref(view);
    status st = *found ? compaction_job_run(&f->env, &plan, NULL, result) : STATUS_OK;
    compaction_plan_deinit(&plan);
    return st;
}

const char *job_level_text(job_fixture *f, uint32_t level) {
    static char text[1024];
    int used = 0;
    read_view *view = version_set_view(f->versions, 0);
    level_iter_args args = {.tables = f->tables, .order = view->order, .version = view->version};
    const version_level *l = &view->version->levels[level];
    text[0] = 0;
    for (uint32_t i = 0; i < l->count; i++) {
        iter *it;
        ASSERT_OK(level_iter_new_table(&args, l->tables[i], &it));
        if (i > 0)
            used += snprintf(text + used, sizeof text - (size_t)used, "| ");
        for (iter_seek_first(it); iter_valid(it); iter_next(it)) {
            slice key = internal_key_user(iter_key(it)).s, value = iter_value(it);
            bool is_put = internal_key_kind(iter_key(it)) == OP_PUT;
            used += snprintf(text + used, sizeof text - (size_t)used, "%.*s%s%.*s ", (int)key.size,
                             (const char *)key.data, is_put ? "=" : "-", (int)value.size,
                             (const char *)value.data);
        }
        ASSERT_OK(it->st);
        iter_free(it);
    }
    read_view_unref(view);
    if (used > 0)
        text[used - 1] = 0;
    return text;
}

typedef struct job_file_count {
    const char *suffix;
    unsigned count;
} job_file_count;

static int job_count_name(void *context, const char *name) {
    job_file_count *c = context;
    size_t size = strlen(name), end = strlen(c->suffix);
    c->count += size >= end && strcmp(name + size - end, c->suffix) == 0;
    return 0;
}

unsigned job_count_files(job_fixture *f, const char *suffix) {
    job_file_count c = {suffix, 0};
    ASSERT_OK(vfs_list(vfs_mem_vfs(f->disk), "/db", job_count_name, &c));
    return c.count;
}
