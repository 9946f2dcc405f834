#include <inttypes.h>
#include <string.h>

#include "process.h"
#include "report.h"
#include "values.h"

static void json_text(FILE *to, const char *text) {
    fputc('"', to);
    for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
        if (*at == '"' || *at == '\\')
            fprintf(to, "\\%c", *at);
        else if (*at == '\n')
            fputs("\\n", to);
        else if (*at < 0x20)
            fprintf(to, "\\u%04x", *at);
        else
            fputc(*at, to);
    }
    fputc('"', to);
}

/* Quantiles, and the whole distribution as [ns, share of operations not slower], at most about
 * 200 points. */
static void json_latency(FILE *to, const histogram *h) {
    static const struct {
        const char *name;
        double fraction;
    } quantiles[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}, {"p9999", 0.9999}};
    fprintf(to, "{\"count\": %" PRIu64 ", \"mean_ns\": %.1f", h->count, histogram_mean(h));
    for (size_t i = 0; i < sizeof quantiles / sizeof quantiles[0]; i++)
        fprintf(to, ", \"%s_ns\": %" PRIu64, quantiles[i].name,
                histogram_quantile(h, quantiles[i].fraction));
    fprintf(to, ", \"max_ns\": %" PRIu64 ", \"cdf\": [", h->max);
    uint64_t seen = 0;
    double last_share = -1;
    uint64_t last_top = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        if (!h->buckets[i])
            continue;
        seen += h->buckets[i];
        double share = (double)seen / (double)h->count;
        uint64_t top = histogram_bucket_top(i);
        /* A point where the share or the time has moved, and the last one. */
        if (share - last_share < 0.01 && (double)top < 1.15 * (double)last_top && seen != h->count)
            continue;
        fprintf(to, "%s[%" PRIu64 ", %.6f]", last_share < 0 ? "" : ", ", top, share);
        last_share = share;
        last_top = top;
    }
    fputs("]}", to);
}

static void json_usage(FILE *to, const usage *u) {
    fprintf(to,
            "{\"write_bytes\": %" PRIu64 ", \"read_bytes\": %" PRIu64 ", \"write_calls\": %" PRIu64
            ", \"read_calls\": %" PRIu64 ", \"minor_faults\": %" PRIu64
            ", \"major_faults\": %" PRIu64 ", \"waits\": %" PRIu64 ", \"preemptions\": %" PRIu64
            ", \"cpu_user_ns\": %" PRIu64 ", \"cpu_system_ns\": %" PRIu64 "}",
            u->write_bytes, u->read_bytes, u->write_calls, u->read_calls, u->minor_faults,
            u->major_faults, u->waits, u->preemptions, u->cpu_user_ns, u->cpu_system_ns);
}

static void json_result(FILE *to, const step_result *r, uint64_t trace_ms, unsigned position) {
    fprintf(to, "{\"round\": %u, \"engine\": \"%s\", \"position\": %u, \"benchmark\": \"%s\"",
            r->round, r->engine, position, r->step);
    fprintf(to,
            ", \"threads\": %u, \"operations\": %" PRIu64 ", \"seconds\": %.6f"
            ", \"ops_per_second\": %.1f, \"drain_seconds\": %.3f, \"free_running\": %s",
            r->threads, r->operations, r->seconds, result_rate(r), r->drain_seconds,
            r->free_running ? "true" : "false");
    fprintf(to,
            ", \"found\": %" PRIu64 ", \"checksum\": \"%016" PRIx64
            "\", \"user_bytes_written\": %" PRIu64 ", \"user_bytes_read\": %" PRIu64
            ", \"worker_cpu_ns\": %" PRIu64,
            r->sums.found, r->sums.checksum, r->sums.user_bytes_written, r->sums.user_bytes_read,
            r->sums.cpu_ns);
    fprintf(to,
            ", \"write_amplification\": %.3f, \"rss_anon_peak\": %" PRIu64
            ", \"disk_bytes\": %" PRIu64 ", \"table_bytes\": %" PRIu64 ", \"live_bytes\": %" PRIu64
            ", \"debt_bytes\": %" PRIu64 ", \"debt_after_bytes\": %" PRIu64,
            result_write_amplification(r), r->rss_anon_peak, r->disk_bytes, r->table_bytes,
            r->live_bytes, r->debt_bytes, r->debt_after_bytes);
    if (r->device.page_ns)
        fprintf(to, ", \"device_page_ns\": %" PRIu64 ", \"device_bytes_per_second\": %.0f",
                r->device.page_ns, r->device.bytes_per_second);
    fputs(", \"usage\": ", to);
    json_usage(to, &r->during);
    fputs(", \"usage_and_drain\": ", to);
    json_usage(to, &r->and_drain);
    for (int kind = 0; kind < 2; kind++) {
        if (r->sums.latency[kind].count) {
            fprintf(to, ", \"%s_latency\": ", kind ? "write" : "read");
            json_latency(to, &r->sums.latency[kind]);
        }
    }
    fprintf(to, ", \"trace_ms\": %" PRIu64 ", \"trace\": [", trace_ms);
    for (uint32_t i = 0; i < r->trace_count; i++)
        fprintf(to, "%s%" PRIu64, i ? ", " : "", r->trace[i] - (i ? r->trace[i - 1] : 0));
    fputs("], \"trace_slowest_ns\": [", to);
    for (uint32_t i = 0; i < r->trace_count; i++)
        fprintf(to, "%s%" PRIu64, i ? ", " : "", r->trace_slowest_ns[i]);
    fprintf(to, "], \"counters\": {%s}}", r->counters);
}

static void json_config(FILE *to, const bench_config *c) {
    const engine_settings *s = &c->settings;
    fprintf(to,
            "{\"keys\": %" PRIu64 ", \"operations\": %" PRIu64
            ", \"seconds\": %g, \"warmup\": %" PRIu64
            ", \"rate\": %g, \"rounds\": %u, \"threads\": %u, \"key_shape\": \"%s\", "
            "\"key_bytes\": %zu, \"value_bytes\": %" PRIu64 ", \"compressible\": %g, ",
            c->keys, c->operations, c->seconds, c->warmup, c->rate, c->rounds, c->threads,
            key_shape_name(c->key.shape), c->key.bytes, c->value_bytes, c->compressible_to);
    fprintf(to,
            "\"big_bytes\": %" PRIu64 ", \"recovery_bytes\": %" PRIu64
            ", \"memtable_bytes\": %" PRIu64 ", \"cache_bytes\": %" PRIu64
            ", \"block_bytes\": %u, \"filter_bits\": %u, "
            "\"compression\": \"%s\", \"background_threads\": %u, \"seed\": %" PRIu64
            ", \"baseline\": \"%s\", \"benchmarks\": [",
            c->big_bytes, c->recovery_bytes, s->memtable_bytes, s->cache_bytes, s->block_bytes,
            s->filter_bits, s->compression, s->background_threads, c->seed, c->baseline->name);
    for (size_t i = 0; i < c->step_count; i++)
        fprintf(to, "%s\"%s\"", i ? ", " : "", c->steps[i].name);
    fputs("]}", to);
}

/* The options as the engine saw them when it ran a workload of normal size. */
static void json_engine(FILE *to, const char *name, const result_list *list) {
    const step_result *last = NULL;
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i]->engine, name) == 0 && (list->items[i]->options[0] || !last))
            last = list->items[i];
    }
    fprintf(to, "\"%s\": {\"version\": ", name);
    json_text(to, last ? last->version : "?");
    fputs(", \"options\": ", to);
    json_text(to, last ? last->options : "");
    fputc('}', to);
}

void report_json(FILE *to, const bench_config *config, const result_list *list) {
    fputs("{\"format\": 1,\n\"machine\": {", to);
    machine_describe(config->directory, to);
    fputs("},\n\"config\": ", to);
    json_config(to, config);
    fputs(",\n\"engines\": {", to);
    for (size_t e = 0; e < config->engine_count; e++) {
        fputs(e ? ",\n  " : "\n  ", to);
        json_engine(to, config->engines[e]->name, list);
    }
    fputs("},\n\"results\": [", to);
    for (size_t i = 0; i < list->count; i++) {
        fputs(i ? ",\n  " : "\n  ", to);
        json_result(to, list->items[i], config->trace_ms, list->items[i]->position);
    }
    fputs("\n]}\n", to);
}
