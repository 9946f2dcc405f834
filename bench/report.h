/* bench/report.h - results as lines for people, as a summary of ratios, and as JSON. */
#ifndef FIRN_BENCH_REPORT_H
#define FIRN_BENCH_REPORT_H

#include <stdio.h>

#include "config.h"
#include "result.h"

/* All results of a run, in the order they came. */
typedef struct result_list {
    step_result **items;
    size_t count;
    size_t capacity;
} result_list;

/* Gives a zeroed result at the end of the list. */
step_result *result_list_add(result_list *list);
/* Takes the last one away again. */
void result_list_drop_last(result_list *list);
void result_list_deinit(result_list *list);

/* The figures the reports share. */
double result_rate(const step_result *r);                /* operations per second */
double result_write_amplification(const step_result *r); /* 0: nothing was written */

/* A line per result, and the headings above them. "cpu us" is the time on a processor per
 * operation of the workers alone; "drain" what background work took after they had ended. */
void report_heading(FILE *to);
void report_line(FILE *to, const step_result *r);

/* Medians over the rounds, and medians of the ratios to the baseline with their range. A ratio is
 * printed only where both engines read the same values in the same number. */
void report_summary(FILE *to, const bench_config *config, const result_list *list);

void report_json(FILE *to, const bench_config *config, const result_list *list);

#endif
