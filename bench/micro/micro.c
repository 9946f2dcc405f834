#include "micro.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct micro_row {
    char what[64];
    char who[24];
    uint32_t baseline; /* the row ratios are relative to */
    uint32_t rounds;
    double per_second[MICRO_ROUNDS_MAX];
} micro_row;

static micro_row micro_rows[MICRO_ROWS_MAX];
static uint32_t micro_row_count;

bool micro_wants(const micro_config *config, const char *name) {
    size_t size = strlen(name);
    for (const char *at = config->only; at; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, name, size) == 0 && (at[size] == ',' || at[size] == '\0'))
            return true;
    }
    return !config->only;
}

static micro_row *micro_row_of(const char *what, const char *who) {
    uint32_t baseline = micro_row_count;
    for (uint32_t i = 0; i < micro_row_count; i++) {
        if (strcmp(micro_rows[i].what, what) != 0)
            continue;
        if (strcmp(micro_rows[i].who, who) == 0)
            return &micro_rows[i];
        if (baseline == micro_row_count)
            baseline = i;
    }
    if (micro_row_count == MICRO_ROWS_MAX) {
        fprintf(stderr, "firn-micro: too many rows\n");
        exit(1);
    }
    micro_row *row = &micro_rows[micro_row_count++];
    snprintf(row->what, sizeof row->what, "%s", what);
    snprintf(row->who, sizeof row->who, "%s", who);
    row->baseline = baseline;
    return row;
}

void micro_note(const char *what, const char *who, double amount, uint64_t ns) {
    micro_row *row = micro_row_of(what, who);
    if (row->rounds < MICRO_ROUNDS_MAX)
        row->per_second[row->rounds++] = amount * 1e9 / (double)(ns ? ns : 1);
}

static int micro_compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double micro_median(const double *values, uint32_t count) {
    double sorted[MICRO_ROUNDS_MAX];
    memcpy(sorted, values, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, micro_compare);
    return count % 2 ? sorted[count / 2] : (sorted[count / 2 - 1] + sorted[count / 2]) / 2;
}

static void micro_print(void) {
    if (micro_row_count == 0)
        return;
    printf("%-34s %-12s %12s %8s %8s\n", "what", "who", "per second", "ns each", "ratio");
    for (uint32_t i = 0; i < micro_row_count; i++) {
        const micro_row *row = &micro_rows[i], *baseline = &micro_rows[row->baseline];
        double ratios[MICRO_ROUNDS_MAX], median = micro_median(row->per_second, row->rounds);
        for (uint32_t r = 0; r < row->rounds; r++)
            ratios[r] = row->per_second[r] / baseline->per_second[r];
        printf("%-34s %-12s %12.3g %8.3g %8.2f\n", row->what, row->who, median, 1e9 / median,
               micro_median(ratios, row->rounds));
    }
}

static void micro_write_json(const char *path) {
    FILE *to = fopen(path, "w");
    if (!to) {
        fprintf(stderr, "firn-micro: cannot write %s\n", path);
        exit(1);
    }
    fprintf(to, "{\"format\": 1,\n\"parts\": [");
    for (uint32_t i = 0; i < micro_row_count; i++) {
        const micro_row *row = &micro_rows[i];
        fprintf(to, "%s\n  {\"what\": \"%s\", \"who\": \"%s\", \"per_second\": [", i ? "," : "",
                row->what, row->who);
        for (uint32_t r = 0; r < row->rounds; r++)
            fprintf(to, "%s%.6g", r ? ", " : "", row->per_second[r]);
        fprintf(to, "]}");
    }
    fprintf(to, "\n]}\n");
    if (fclose(to) != 0) {
        fprintf(stderr, "firn-micro: cannot write %s\n", path);
        exit(1);
    }
}

static void micro_usage(void) {
    printf("firn-micro [--OPTION=VALUE ...]: parts of the engine alone, beside their peers.\n\n"
           "  --num       keys in a sorted structure (1000000)\n"
           "  --rounds    how often; figures are medians (3)\n"
           "  --threads   of the inserts by many (8)\n"
           "  --only      of binary, decimal, user, bytes, table, compact, log, prefix (all);\n"
           "              codec: a table of ratios\n"
           "  --order     random or sequential (both)\n"
           "  --json      a file for the figures\n");
}

static uint64_t micro_number(const char *text, uint64_t least, uint64_t most) {
    char *end;
    unsigned long long value = strtoull(text, &end, 10);
    if (*end || value < least || value > most) {
        fprintf(stderr, "firn-micro: %s is not between %llu and %llu\n", text,
                (unsigned long long)least, (unsigned long long)most);
        exit(2);
    }
    return value;
}

int main(int argc, char **argv) {
    const char *json = NULL;
    micro_config config = {.count = 1000000, .rounds = 3, .threads = 8};
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--num=", 6) == 0) {
            config.count = micro_number(argv[i] + 6, 1000, 100000000);
        } else if (strncmp(argv[i], "--rounds=", 9) == 0) {
            config.rounds = (uint32_t)micro_number(argv[i] + 9, 1, MICRO_ROUNDS_MAX);
        } else if (strncmp(argv[i], "--threads=", 10) == 0) {
            config.threads = (uint32_t)micro_number(argv[i] + 10, 1, 64);
        } else if (strncmp(argv[i], "--only=", 7) == 0) {
            config.only = argv[i] + 7;
        } else if (strncmp(argv[i], "--order=", 8) == 0) {
            config.order = argv[i] + 8;
        } else if (strncmp(argv[i], "--json=", 7) == 0) {
            json = argv[i] + 7;
        } else {
            micro_usage();
            return strcmp(argv[i], "--help") == 0 ? 0 : 2;
        }
    }
    for (uint32_t round = 0; round < config.rounds; round++) {
        micro_bytes(&config);
        micro_table(&config);
        micro_compact(&config);
        micro_log(&config);
        micro_sorted(&config);
        micro_prefix(&config);
    }
    micro_prefix_end();
    micro_codec(&config);
    micro_print();
    if (json)
        micro_write_json(json);
    return 0;
}
