/* firn stats: the numbers, and a picture of the levels. */
#include <stddef.h>
#include <stdio.h>

#include "args.h"
#include "util/text.h"
#include "verbs.h"

/* Every number of firn_stats, in the order in which it is printed. */
typedef struct stats_field {
    const char *name;
    size_t offset;
    enum { STATS_GAUGE, STATS_COUNTER } kind;
} stats_field;

#define STATS_G(field) \
    { #field, offsetof(firn_stats, field), STATS_GAUGE }
#define STATS_C(field) \
    { #field, offsetof(firn_stats, field), STATS_COUNTER }

static const stats_field stats_fields[] = {
    STATS_G(last_sequence),
    STATS_G(memtable_bytes),
    STATS_G(memtable_entries),
    STATS_G(sealed_memtables),
    STATS_G(log_files),
    STATS_G(log_bytes),
    STATS_G(table_files),
    STATS_G(table_bytes),
    STATS_G(cache_bytes),
    STATS_G(cache_capacity_bytes),
    STATS_G(snapshots),
    STATS_G(iterators),
    STATS_G(oldest_snapshot_sequence),
    STATS_G(pending_compaction_bytes),
    STATS_C(puts),
    STATS_C(deletes),
    STATS_C(batches),
    STATS_C(gets),
    STATS_C(gets_found),
    STATS_C(seeks),
    STATS_C(iter_skipped),
    STATS_C(iter_reseeks),
    STATS_C(user_bytes_written),
    STATS_C(log_bytes_written),
    STATS_C(log_syncs),
    STATS_C(commit_groups),
    STATS_C(flushes),
    STATS_C(flush_bytes),
    STATS_C(compactions),
    STATS_C(compaction_bytes_read),
    STATS_C(compaction_bytes_written),
    STATS_C(trivial_moves),
    STATS_C(cache_hits),
    STATS_C(cache_misses),
    STATS_C(filter_checked),
    STATS_C(filter_useful),
    STATS_C(recovered_records),
    STATS_C(recovered_bytes),
    STATS_C(torn_bytes_cut),
    STATS_G(memtable_spare_bytes),
    STATS_G(memtable_held_bytes),
    STATS_G(readers_inside),
    STATS_G(reader_oldest_ns),
    STATS_G(retired_waiting),
    STATS_G(write_rate_allowed),
    STATS_G(flush_rate),
    STATS_G(drain_rate),
    STATS_G(memory_limit_bytes),
    STATS_G(memory_charged_bytes),
    STATS_C(memory_refusals),
    STATS_G(cache_entries),
    STATS_G(cache_hot_bytes),
    STATS_G(cache_pinned_bytes),
    STATS_C(cache_inserts),
    STATS_C(cache_evictions),
    STATS_G(tables_open),
    STATS_G(tables_memory_bytes),
    STATS_C(tables_opened),
    STATS_C(tables_closed),
    STATS_G(disk_reserve_bytes),
    STATS_G(disk_is_short),
};

#undef STATS_G
#undef STATS_C

enum { STATS_FIELD_COUNT = sizeof stats_fields / sizeof stats_fields[0], STATS_BAR_WIDTH = 24 };

static uint64_t stats_value(const firn_stats *stats, const stats_field *field) {
    return *(const uint64_t *)(const void *)((const char *)stats + field->offset);
}

static void stats_print_waits_json(output *out, const firn_stats *stats) {
    (void)output_text(out, "\"waits\":[");
    for (uint32_t i = 0; i < stats->wait_count; i++) {
        const firn_wait_stats *w = &stats->waits[i];
        (void)output_printf(out,
                            "%s{\"cause\":\"%s\",\"count\":%llu,\"total_ns\":%llu,"
                            "\"p50_ns\":%llu,\"p99_ns\":%llu,\"max_ns\":%llu}",
                            i > 0 ? "," : "", w->cause, (unsigned long long)w->count,
                            (unsigned long long)w->total_ns, (unsigned long long)w->p50_ns,
                            (unsigned long long)w->p99_ns, (unsigned long long)w->max_ns);
    }
    (void)output_text(out, "],");
}

static void stats_print_jobs_json(output *out, const firn_stats *stats) {
    (void)output_text(out, "\"jobs\":[");
    for (uint32_t i = 0; i < stats->job_count; i++) {
        const firn_job_stats *job = &stats->jobs[i];
        (void)output_printf(out,
                            "%s{\"name\":\"%s\",\"from_level\":%u,\"to_level\":%u,"
                            "\"bytes_done\":%llu,\"bytes_total\":%llu,\"elapsed_ns\":%llu,"
                            "\"left_ns\":%llu}",
                            i > 0 ? "," : "", job->name, job->from_level, job->to_level,
                            (unsigned long long)job->bytes_done,
                            (unsigned long long)job->bytes_total,
                            (unsigned long long)job->elapsed_ns, (unsigned long long)job->left_ns);
    }
    (void)output_text(out, "],");
}

static void stats_print_memory_json(output *out, const firn_stats *stats) {
    (void)output_text(out, "\"memory\":[");
    for (uint32_t i = 0; i < stats->memory_count; i++)
        (void)output_printf(out, "%s{\"kind\":\"%s\",\"bytes\":%llu}", i > 0 ? "," : "",
                            stats->memory[i].kind, (unsigned long long)stats->memory[i].bytes);
    (void)output_text(out, "],");
}

/* Snapshots as they are told, one after the other. */
typedef struct stats_snapshots {
    output *out;
    bool has_some;
} stats_snapshots;

static int stats_print_snapshot_json(void *context, const firn_snapshot_info *info) {
    stats_snapshots *s = context;
    buf label = {0};
    text_append_json(&label, slice_from_string(info->label));
    (void)output_printf(s->out,
                        "%s{\"sequence\":%llu,\"held_ms\":%llu,\"pinned_bytes\":%llu,"
                        "\"label\":\"%.*s\"}",
                        s->has_some ? "," : "", (unsigned long long)info->sequence,
                        (unsigned long long)info->held_ms, (unsigned long long)info->pinned_bytes,
                        (int)label.size, label.data ? (const char *)label.data : "");
    buf_deinit(&label);
    s->has_some = true;
    return 0;
}

static firn_status stats_print_json(output *out, firn_db *db, const firn_stats *stats) {
    stats_snapshots snapshots = {.out = out};
    (void)output_text(out, "{");
    for (size_t i = 0; i < STATS_FIELD_COUNT; i++)
        (void)output_printf(out, "\"%s\":%llu,", stats_fields[i].name,
                            (unsigned long long)stats_value(stats, &stats_fields[i]));
    stats_print_waits_json(out, stats);
    stats_print_jobs_json(out, stats);
    stats_print_memory_json(out, stats);
    (void)output_text(out, "\"snapshot_list\":[");
    firn_status st = firn_snapshot_list(db, stats_print_snapshot_json, &snapshots);
    (void)output_text(out, "],\"levels\":[");
    for (uint32_t i = 0; i < stats->level_count; i++) {
        const firn_level_stats *level = &stats->levels[i];
        (void)output_printf(out,
                            "%s{\"level\":%u,\"files\":%llu,\"bytes\":%llu,\"entries\":%llu,"
                            "\"tombstones\":%llu,\"target_bytes\":%llu}",
                            i > 0 ? "," : "", i, (unsigned long long)level->files,
                            (unsigned long long)level->bytes, (unsigned long long)level->entries,
                            (unsigned long long)level->tombstones,
                            (unsigned long long)level->target_bytes);
    }
    (void)output_text(out, "]}\n");
    return st;
}

static void stats_print_summary(output *out, const firn_stats *stats) {
    char count[32], bytes[16], other[16];
    (void)output_printf(out, "  last sequence  %s\n", cli_count(stats->last_sequence, count));
    (void)output_printf(out, "  memtable       %s", text_bytes(stats->memtable_bytes, bytes));
    (void)output_printf(out, ", %s entr%s", cli_count(stats->memtable_entries, count),
                        stats->memtable_entries == 1 ? "y" : "ies");
    if (stats->sealed_memtables > 0)
        (void)output_printf(out, ", %s sealed", cli_count(stats->sealed_memtables, count));
    if (stats->memtable_spare_bytes > 0)
        (void)output_printf(out, ", %s spare", text_bytes(stats->memtable_spare_bytes, bytes));
    if (stats->memtable_held_bytes > 0)
        (void)output_printf(out, ", %s held by readers",
                            text_bytes(stats->memtable_held_bytes, bytes));
    (void)output_printf(out, "\n  log            %s", text_bytes(stats->log_bytes, bytes));
    (void)output_printf(out, " in %s file%s\n", cli_count(stats->log_files, count),
                        cli_plural(stats->log_files));
    (void)output_printf(out, "  tables         %s", text_bytes(stats->table_bytes, bytes));
    (void)output_printf(out, " in %s file%s\n", cli_count(stats->table_files, count),
                        cli_plural(stats->table_files));
    (void)output_printf(out, "  cache          %s of %s\n", text_bytes(stats->cache_bytes, bytes),
                        text_bytes(stats->cache_capacity_bytes, other));
    if (stats->pending_compaction_bytes > 0)
        (void)output_printf(out, "  to compact     about %s\n",
                            text_bytes(stats->pending_compaction_bytes, bytes));
}

static void stats_print_memory(output *out, const firn_stats *stats) {
    char bytes[16], other[16];
    (void)output_printf(out, "  memory         %s of %s\n",
                        text_bytes(stats->memory_charged_bytes, bytes),
                        text_bytes(stats->memory_limit_bytes, other));
    for (uint32_t i = 0; i < stats->memory_count; i++)
        if (stats->memory[i].bytes > 0)
            (void)output_printf(out, "    %-20s %10s\n", stats->memory[i].kind,
                                text_bytes(stats->memory[i].bytes, bytes));
}

/* One '#' for each twenty-fourth part of the largest level, at least one if there is anything. */
static void stats_print_level(output *out, uint32_t number, const firn_level_stats *level,
                              uint64_t largest) {
    char files[32], bytes[16], entries[32], target[16], deletes[32];
    int width = 0;
    if (level->files > 0 && largest > 0)
        width = (int)((double)level->bytes / (double)largest * STATS_BAR_WIDTH);
    if (level->files > 0 && width == 0)
        width = 1;
    (void)output_printf(out, "  L%u %-*.*s", number, STATS_BAR_WIDTH, width,
                        "########################");
    if (level->files == 0) {
        (void)output_text(out, "  empty\n");
        return;
    }
    (void)output_printf(out, " %10s in %s file%s, %s entr%s", text_bytes(level->bytes, bytes),
                        cli_count(level->files, files), cli_plural(level->files),
                        cli_count(level->entries, entries), level->entries == 1 ? "y" : "ies");
    if (level->tombstones > 0)
        (void)output_printf(out, ", %s delete%s", cli_count(level->tombstones, deletes),
                            cli_plural(level->tombstones));
    if (level->target_bytes > 0)
        (void)output_printf(out, ", target %s", text_bytes(level->target_bytes, target));
    (void)output_text(out, "\n");
}

static void stats_print_levels(output *out, const firn_stats *stats) {
    uint64_t largest = 0;
    uint32_t used = 0;
    for (uint32_t i = 0; i < stats->level_count && i < FIRN_LEVELS_MAX; i++) {
        if (stats->levels[i].bytes > largest)
            largest = stats->levels[i].bytes;
        if (stats->levels[i].files > 0)
            used = i + 1;
    }
    (void)output_text(out, used > 0 ? "levels, newest first\n" : "levels: all empty\n");
    /* Levels that are not in use yet, or not any more, are left out of the picture. */
    for (uint32_t i = 0; i < used; i++)
        if (i == 0 || stats->levels[i].files > 0 || stats->levels[i].target_bytes > 0)
            stats_print_level(out, i, &stats->levels[i], largest);
}

static void stats_print_counters(output *out, const firn_stats *stats) {
    char number[32];
    bool first = true;
    for (size_t i = 0; i < STATS_FIELD_COUNT; i++) {
        uint64_t value = stats_value(stats, &stats_fields[i]);
        if (stats_fields[i].kind != STATS_COUNTER || value == 0)
            continue;
        if (first)
            (void)output_text(out, "since the open\n");
        first = false;
        (void)output_printf(out, "  %-26s %20s\n", stats_fields[i].name, cli_count(value, number));
    }
}

static void stats_print_waits(output *out, const firn_stats *stats) {
    char count[32], total[32];
    bool first = true;
    for (uint32_t i = 0; i < stats->wait_count; i++) {
        const firn_wait_stats *w = &stats->waits[i];
        if (w->count == 0)
            continue;
        if (first)
            (void)output_text(out, "writers waited for\n");
        first = false;
        (void)output_printf(out, "  %-26s %20s times, %s us in all, p99 %llu us, max %llu us\n",
                            w->cause, cli_count(w->count, count),
                            cli_count(w->total_ns / 1000, total),
                            (unsigned long long)(w->p99_ns / 1000),
                            (unsigned long long)(w->max_ns / 1000));
    }
}

static void stats_print_jobs(output *out, const firn_stats *stats) {
    char done[16], total[16], rate[16];
    if (stats->write_rate_allowed != UINT64_MAX)
        (void)output_printf(out, "writers are slowed down to %s/s\n",
                            text_bytes(stats->write_rate_allowed, rate));
    if (stats->job_count > 0)
        (void)output_text(out, "at work\n");
    for (uint32_t i = 0; i < stats->job_count; i++) {
        const firn_job_stats *job = &stats->jobs[i];
        (void)output_printf(out, "  %-10s L%u to L%u  %s of %s, for %.1f s", job->name,
                            job->from_level, job->to_level, text_bytes(job->bytes_done, done),
                            text_bytes(job->bytes_total, total), (double)job->elapsed_ns / 1e9);
        if (job->left_ns > 0)
            (void)output_printf(out, ", about %.1f s left", (double)job->left_ns / 1e9);
        (void)output_text(out, "\n");
    }
}

static int stats_print_snapshot(void *context, const firn_snapshot_info *info) {
    char bytes[16];
    output *out = context;
    (void)output_printf(out, "  snapshot at %llu, held for %llu.%03llu s, pins about %s%s%s\n",
                        (unsigned long long)info->sequence,
                        (unsigned long long)(info->held_ms / 1000),
                        (unsigned long long)(info->held_ms % 1000),
                        text_bytes(info->pinned_bytes, bytes), *info->label ? ": " : "",
                        info->label);
    return 0;
}

int verb_stats(cli_call *call) {
    firn_stats stats = {.size = sizeof stats};
    firn_db *db;
    int code = cli_open(call, CLI_READ, &db);
    if (code != CLI_OK)
        return code;
    firn_status st = firn_get_stats(db, &stats);
    if (st != FIRN_OK) {
        code = cli_engine_error(call, st);
    } else if (args_given(call, "json")) {
        st = stats_print_json(call->out, db, &stats);
        if (st != FIRN_OK)
            code = cli_engine_error(call, st);
    } else {
        (void)output_printf(call->out, "%s\n", call->positional[0]);
        stats_print_summary(call->out, &stats);
        stats_print_memory(call->out, &stats);
        stats_print_levels(call->out, &stats);
        stats_print_counters(call->out, &stats);
        stats_print_waits(call->out, &stats);
        stats_print_jobs(call->out, &stats);
        st = firn_snapshot_list(db, stats_print_snapshot, call->out);
        if (st != FIRN_OK)
            code = cli_engine_error(call, st);
    }
    return cli_close(call, db, code);
}
