#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

step_result *result_list_add(result_list *list) {
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? 2 * list->capacity : 64;
        list->items = realloc(list->items, list->capacity * sizeof *list->items);
        if (!list->items)
            bench_fail("out of memory");
    }
    return list->items[list->count++] = bench_alloc(sizeof **list->items);
}

void result_list_drop_last(result_list *list) {
    free(list->items[--list->count]);
}

void result_list_deinit(result_list *list) {
    while (list->count)
        result_list_drop_last(list);
    free(list->items);
}

double result_rate(const step_result *r) {
    return r->seconds > 0 ? (double)r->operations / r->seconds : 0;
}

double result_write_amplification(const step_result *r) {
    return r->sums.user_bytes_written
               ? (double)r->and_drain.write_bytes / (double)r->sums.user_bytes_written
               : 0;
}

void report_heading(FILE *to) {
    fprintf(to, "%-5s %-18s %-10s %10s %7s %7s %7s %7s %9s %6s %6s %6s %6s  %s\n", "round",
            "benchmark", "engine", "ops/s", "cpu us", "p50 us", "p99", "p99.9", "max", "w-amp",
            "drain", "disk", "anon", "checksum");
}

void report_line(FILE *to, const step_result *r) {
    histogram all = r->sums.latency[0];
    histogram_merge(&all, &r->sums.latency[1]);
    fprintf(to,
            "%-5u %-18s %-10s %10.*f %7.2f %7.2f %7.2f %7.1f %9.0f %6.2f %5.1fs %5.0fM %5.0fM  "
            "%016" PRIx64 "\n",
            r->round, r->step, r->engine, result_rate(r) < 100 ? 2 : 0, result_rate(r),
            r->operations ? (double)r->sums.cpu_ns / 1e3 / (double)r->operations : 0,
            (double)histogram_quantile(&all, 0.5) / 1e3,
            (double)histogram_quantile(&all, 0.99) / 1e3,
            (double)histogram_quantile(&all, 0.999) / 1e3, (double)all.max / 1e3,
            result_write_amplification(r), r->drain_seconds, (double)r->disk_bytes / 1048576,
            (double)r->rss_anon_peak / 1048576, r->sums.checksum);
    fflush(to);
}

/* --- the summary --- */

static int summary_compare(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double summary_median(double *values, size_t count) {
    if (count == 0)
        return 0;
    qsort(values, count, sizeof *values, summary_compare);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

/* The result of one engine in one round; the same step may stand in the list several times, so its
 * position counts. */
static const step_result *summary_find(const result_list *list, const char *engine,
                                       const bench_config *config, size_t step, uint32_t round) {
    size_t wanted = 0;
    for (size_t i = 0; i < step; i++)
        wanted += strcmp(config->steps[i].name, config->steps[step].name) == 0;
    for (size_t i = 0; i < list->count; i++) {
        const step_result *r = list->items[i];
        if (strcmp(r->engine, engine) == 0 && r->round == round &&
            strcmp(r->step, config->steps[step].name) == 0 && wanted-- == 0)
            return r;
    }
    return NULL;
}

/* Whether both did the same: only then a ratio says something. Runs ended by time are compared
 * too, each having been verified value by value. */
static bool summary_same(const step_result *a, const step_result *b) {
    if (a->free_running && b->free_running)
        return true;
    return a->operations == b->operations && a->sums.found == b->sums.found &&
           a->sums.checksum == b->sums.checksum;
}

static void summary_cell(FILE *to, const bench_config *config, const result_list *list, size_t step,
                         const engine_methods *engine) {
    double rates[256], ratios[256];
    size_t rate_count = 0, ratio_count = 0;
    bool differ = false;
    for (uint32_t round = 1; round <= config->rounds && rate_count < 256; round++) {
        const step_result *mine = summary_find(list, engine->name, config, step, round);
        const step_result *base = summary_find(list, config->baseline->name, config, step, round);
        if (!mine)
            continue;
        rates[rate_count++] = result_rate(mine);
        if (base && base != mine && result_rate(base) > 0) {
            if (summary_same(mine, base))
                ratios[ratio_count++] = result_rate(mine) / result_rate(base);
            else
                differ = true;
        }
    }
    if (rate_count == 0) {
        fprintf(to, " %11s %20s", "-", "");
        return;
    }
    double rate = summary_median(rates, rate_count);
    fprintf(to, " %11.*f", rate < 100 ? 2 : 0, rate);
    if (differ) {
        fprintf(to, " %20s", "values differ");
    } else if (ratio_count == 0) {
        fprintf(to, " %20s", "");
    } else {
        double median = summary_median(ratios, ratio_count);
        char text[32];
        snprintf(text, sizeof text, "%.2fx (%.2f-%.2f)", median, ratios[0],
                 ratios[ratio_count - 1]);
        fprintf(to, " %20s", text);
    }
}

void report_summary(FILE *to, const bench_config *config, const result_list *list) {
    fprintf(to, "\nMedians of %u round(s): operations per second; x %s, with the range\n",
            config->rounds, config->baseline->name);
    fprintf(to, "%-20s", "");
    for (size_t e = 0; e < config->engine_count; e++)
        fprintf(to, " %11s %20s", config->engines[e]->name, "");
    fputc('\n', to);
    for (size_t step = 0; step < config->step_count; step++) {
        fprintf(to, "%-20s", config->steps[step].name);
        for (size_t e = 0; e < config->engine_count; e++)
            summary_cell(to, config, list, step, config->engines[e]);
        fputc('\n', to);
    }
}
