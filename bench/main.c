/* firn-bench: the same workloads on several key-value engines, side by side. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "child.h"
#include "clock.h"
#include "process.h"
#include "report.h"

/* Runs all steps once on every engine. In round r the r-th engine begins, so that no engine always
 * has the same neighbour. Gives how many engines failed. */
static unsigned main_round(const bench_config *config, uint32_t round, result_list *list) {
    child *children[ENGINES_MAX] = {NULL};
    unsigned failures = 0;
    for (size_t e = 0; e < config->engine_count; e++)
        children[e] = child_new(config, config->engines[e], round);
    for (uint32_t step = 0; step < config->step_count; step++) {
        for (size_t turn = 0; turn < config->engine_count; turn++) {
            size_t e = (turn + round - 1) % config->engine_count;
            step_result *result = result_list_add(list);
            /* No operation: the engine has nothing of the kind. */
            if (!child_run(children[e], step, result) || result->operations == 0) {
                result_list_drop_last(list);
                continue;
            }
            result->position = step;
            if (!config->quiet)
                report_line(stdout, result);
        }
    }
    for (size_t e = 0; e < config->engine_count; e++) {
        if (!child_free(children[e])) {
            fprintf(stderr, "firn-bench: %s failed in round %u\n", config->engines[e]->name, round);
            failures++;
        }
    }
    return failures;
}

static void main_write_json(const bench_config *config, const result_list *list) {
    FILE *to = fopen(config->json_path, "w");
    if (!to)
        bench_fail("cannot write %s: %s", config->json_path, strerror(errno));
    report_json(to, config, list);
    if (fclose(to) != 0)
        bench_fail("cannot write %s: %s", config->json_path, strerror(errno));
}

int main(int argc, char **argv) {
    static bench_config config;
    result_list list = {0};
    unsigned failures = 0;
    config_parse(&config, argc, argv);
    clock_start();
    if (mkdir(config.directory, 0777) != 0 && errno != EEXIST)
        bench_fail("cannot make %s: %s", config.directory, strerror(errno));
    if (!config.quiet)
        report_heading(stdout);
    for (uint32_t round = 1; round <= config.rounds; round++)
        failures += main_round(&config, round, &list);
    if (!config.quiet && (config.engine_count > 1 || config.rounds > 1))
        report_summary(stdout, &config, &list);
    if (config.json_path)
        main_write_json(&config, &list);
    for (size_t e = 0; !config.keep && e < config.engine_count; e++) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", config.directory, config.engines[e]->name);
        directory_remove(path);
    }
    if (!config.keep)
        remove(config.directory); /* fails when something else is in it: fine */
    result_list_deinit(&list);
    return failures ? 1 : 0;
}
