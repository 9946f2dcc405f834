/* One line per operation; printed only when a schedule fails. */
#include "explore/engine.h"

#include <stdio.h>
#include <string.h>

#include "explore/atomics.h"

enum { TRACE_LINES_MAX = ENGINE_STEPS_MAX * 2, TRACE_PRINTED_MAX = 120 };

typedef struct trace_line {
    uint32_t thread, step;
    const char *operation, *note, *file;
    const void *address;
    uint64_t value;
    int line;
} trace_line;

static struct {
    trace_line lines[TRACE_LINES_MAX];
    uint32_t count;
    const char *file[ENGINE_THREADS_MAX]; /* where each thread is */
    int line[ENGINE_THREADS_MAX];
} trace;

void trace_reset(void) {
    trace.count = 0;
    memset(trace.file, 0, sizeof trace.file);
}

void explore_here(const char *file, int line) {
    trace.file[engine.current] = file;
    trace.line[engine.current] = line;
}

void trace_add(const char *operation, const void *address, uint64_t value, const char *note) {
    if (!engine.running || trace.count == TRACE_LINES_MAX)
        return;
    trace.lines[trace.count++] = (trace_line){engine.current,
                                              engine.steps,
                                              operation,
                                              note,
                                              trace.file[engine.current],
                                              address,
                                              value,
                                              trace.line[engine.current]};
}

static const char *trace_base_name(const char *path) {
    const char *slash = path ? strrchr(path, '/') : NULL;
    return slash ? slash + 1 : path ? path : "?";
}

static void trace_print_line(const trace_line *l) {
    char value[32];
    bool is_address = memory_model_location((const void *)(uintptr_t)l->value) != NULL;
    snprintf(value, sizeof value, is_address ? "0x%llx" : "%llu", (unsigned long long)l->value);
    printf("  %5u  T%u%*s %-10s %-24s %-12s %-8s %s:%d\n", l->step, l->thread, (int)(l->thread * 2),
           "", l->operation, l->address ? memory_model_describe(l->address) : "",
           l->address
               ? is_address ? memory_model_describe((const void *)(uintptr_t)l->value) : value
               : "",
           l->note ? l->note : "", trace_base_name(l->file), l->line);
}

void trace_print(void) {
    uint32_t first = trace.count > TRACE_PRINTED_MAX ? trace.count - TRACE_PRINTED_MAX : 0;
    printf("   step  thread     operation  where                    value        order    line\n");
    for (uint32_t i = first; i < trace.count; i++)
        trace_print_line(&trace.lines[i]);
    for (uint32_t t = 1; t <= engine.thread_count; t++)
        printf("         T%u stopped after %s:%d\n", t, trace_base_name(trace.file[t]),
               trace.line[t]);
}
