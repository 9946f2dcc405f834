/* What a sweep did, as one line of JSON for tools: see tools/crash.py. */
#include <stdio.h>
#include <stdlib.h>

#include "crash/sweep.h"
#include "lib/test.h"

static void sweep_report_kind(FILE *out, const sweep_kind *kind, bool is_first) {
    fprintf(out, "%s\"%s\": {\"operations\": %llu", is_first ? "" : ", ", kind->name,
            (unsigned long long)kind->operations);
    for (int mode = 0; mode < VFS_MEM_CRASH_COUNT; mode++)
        fprintf(out, ", \"%s\": [%llu, %llu]", sweep_mode_name((vfs_mem_crash)mode),
                (unsigned long long)kind->cells[mode].tried,
                (unsigned long long)kind->cells[mode].distinct);
    fputs("}", out);
}

static void sweep_report_counts(FILE *out, const sweep *s) {
    const struct {
        const char *name;
        uint64_t count;
    } counts[] = {{"batches", s->shadow.count},
                  {"log_segments", s->log_segments},
                  {"log_recycles", s->log_recycles},
                  {"manifests", s->manifests},
                  {"flushes", s->flushes},
                  {"compactions", s->compactions},
                  {"recoveries", s->recoveries},
                  {"reused", s->reuses},
                  {"read_only_opens", s->read_only_opens},
                  {"late_opens", s->late_opens},
                  {"second_crashes", s->second_crashes}};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        fprintf(out, ", \"%s\": %llu", counts[i].name, (unsigned long long)counts[i].count);
}

void sweep_report(const sweep *s) {
    const char *path = getenv("FIRN_CRASH_REPORT");
    bool is_first = true;
    if (!path || !*path)
        return;
    FILE *out = fopen(path, "a");
    assert_non_null(out);
    fprintf(out, "{\"workload\": \"%s\", \"full\": %s", s->name, s->is_full ? "true" : "false");
    sweep_report_counts(out, s);
    fputs(", \"kinds\": {", out);
    for (size_t i = 0; i < s->kind_count; i++) {
        if (s->kinds[i].operations == 0)
            continue;
        sweep_report_kind(out, &s->kinds[i], is_first);
        is_first = false;
    }
    fputs("}}\n", out);
    assert_int_equal(fclose(out), 0);
}
