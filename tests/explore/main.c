/* The command line, the search with growing bounds, the report. */
#include "explore/engine.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct main_options {
    uint32_t preemptions;
    double search_seconds; /* for the exhaustive part of one scenario */
    double random_seconds; /* for random schedules of all scenarios after it */
    uint64_t seed;
    const char *scenario, *replay;
} main_options;

enum { MAIN_DESCRIPTION_BYTES = 1 << 14, MAIN_SCENARIOS_MAX = 16, MAIN_WARM_UP_SCHEDULES = 500 };

static double main_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void main_usage(const char *program) {
    fprintf(stderr,
            "usage: %s [--preemptions N] [--search-seconds S] [--random-seconds S] [--seed N]\n"
            "       [--scenario NAME] [--replay CHOICES]\n",
            program);
    exit(2);
}

static main_options main_parse(int count, char **arguments) {
    main_options o = {.preemptions = 3, .search_seconds = 600, .seed = (uint64_t)time(NULL)};
    for (int i = 1; i < count; i += 2) {
        const char *name = arguments[i], *value = i + 1 < count ? arguments[i + 1] : NULL;
        if (!value)
            main_usage(arguments[0]);
        else if (strcmp(name, "--preemptions") == 0)
            o.preemptions = (uint32_t)strtoul(value, NULL, 10) % 14;
        else if (strcmp(name, "--search-seconds") == 0)
            o.search_seconds = strtod(value, NULL);
        else if (strcmp(name, "--random-seconds") == 0)
            o.random_seconds = strtod(value, NULL);
        else if (strcmp(name, "--seed") == 0)
            o.seed = strtoull(value, NULL, 10);
        else if (strcmp(name, "--scenario") == 0)
            o.scenario = value;
        else if (strcmp(name, "--replay") == 0)
            o.replay = value;
        else
            main_usage(arguments[0]);
    }
    return o;
}

static void main_report_failure(const explore_scenario *scenario) {
    static char choices[MAIN_DESCRIPTION_BYTES];
    choices_describe(choices, sizeof choices);
    printf("%s: FAILED: %s\n", scenario->name, threads_failure());
    trace_print();
    printf("replay: --scenario %s --replay \"%s\"\n", scenario->name, choices);
}

/* What the search has done with one scenario. */
typedef struct main_progress {
    uint32_t bound; /* the last one begun */
    bool complete;
    engine_counts counts; /* schedules of all bounds, states of the last */
    double seconds;
} main_progress;

/* All schedules with up to `bound` preemptions, or those there is time for. False: one failed. */
static bool main_search(const explore_scenario *scenario, uint32_t bound, double seconds_max,
                        main_progress *p) {
    double began = main_now();
    bool clean = true;
    p->bound = bound;
    p->complete = false;
    choices_begin_search(bound);
    do {
        p->counts.schedules++;
        clean = threads_run(scenario);
        /* Choices were left out where nobody was known to look: again, with them. */
        if (memory_model_sharing_grew())
            choices_restart();
        else if (!choices_next_schedule())
            p->complete = true;
    } while (clean && !p->complete && main_now() - began + p->seconds < seconds_max);
    p->counts.states = engine_counted.states;
    p->seconds += main_now() - began;
    if (!clean)
        main_report_failure(scenario);
    return clean;
}

static void main_report(const explore_scenario *scenario, const main_progress *p) {
    uint32_t threads = 0;
    while (threads < EXPLORE_SCENARIO_THREADS_MAX && scenario->threads[threads])
        threads++;
    char old_reads[16] = "any";
    if (scenario->old_reads_max)
        snprintf(old_reads, sizeof old_reads, "%u", scenario->old_reads_max);
    printf("%s: threads=%u preemptions=%u old-reads=%s schedules=%" PRIu64 " states=%" PRIu64
           " complete=%s seconds=%.1f\n",
           scenario->name, threads, p->bound, old_reads, p->counts.schedules, p->counts.states,
           p->complete ? "yes" : "no", p->seconds);
}

static bool main_try_random(const explore_scenario *scenario, const main_options *o,
                            double seconds) {
    double began = main_now();
    uint64_t tried = 0;
    do {
        choices_begin_random(o->seed + tried++);
        if (!threads_run(scenario)) {
            printf("seed=%" PRIu64 "\n", o->seed + tried - 1);
            main_report_failure(scenario);
            return false;
        }
    } while (main_now() < began + seconds);
    printf("%s: random=%" PRIu64 " seed=%" PRIu64 " seconds=%.1f\n", scenario->name, tried, o->seed,
           main_now() - began);
    return true;
}

static bool main_replay(const explore_scenario *scenario, const main_options *o) {
    if (!choices_begin_replay(o->replay)) {
        fprintf(stderr, "--replay: not a list of choices: %s\n", o->replay);
        exit(2);
    }
    bool clean = threads_run(scenario);
    if (!clean)
        main_report_failure(scenario);
    else
        trace_print();
    return clean;
}

static bool main_is_wanted(const explore_scenario *scenario, const main_options *o) {
    return !o->scenario || strcmp(o->scenario, scenario->name) == 0;
}

/* Random schedules teach what is shared, so that the search need not begin again so often. What
 * they may find, the search will find with a shorter trace. */
static void main_warm_up(const explore_scenario *scenario) {
    for (uint64_t seed = 0; seed < MAIN_WARM_UP_SCHEDULES; seed++) {
        choices_begin_random(seed);
        if (!threads_run(scenario))
            break;
    }
    (void)memory_model_sharing_grew();
}

/* Small bounds of all scenarios come before large ones of any: the simplest failure is found first.
 */
static bool main_search_all(const explore_scenario *scenarios, size_t count,
                            const main_options *o) {
    main_progress progress[MAIN_SCENARIOS_MAX] = {{0}};
    for (uint32_t bound = 0; bound <= o->preemptions; bound++) {
        for (size_t i = 0; i < count; i++) {
            bool goes_on = bound == 0 || progress[i].complete;
            if (!main_is_wanted(&scenarios[i], o) || !goes_on)
                continue;
            if (!memory_model_begin_scenario((uint32_t)i))
                return false;
            if (bound == 0)
                main_warm_up(&scenarios[i]);
            if (!main_search(&scenarios[i], bound, o->search_seconds, &progress[i]))
                return false;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (main_is_wanted(&scenarios[i], o))
            main_report(&scenarios[i], &progress[i]);
    }
    return true;
}

int explore_main(int count, char **arguments, const explore_scenario *scenarios,
                 size_t scenario_count) {
    main_options o = main_parse(count, arguments);
    bool clean = scenario_count <= MAIN_SCENARIOS_MAX;
    setvbuf(stdout, NULL, _IOLBF, 0);
    threads_catch_crashes();
    if (!o.replay)
        clean = clean && main_search_all(scenarios, scenario_count, &o);
    for (size_t i = 0; i < scenario_count && clean; i++) {
        if (!main_is_wanted(&scenarios[i], &o))
            continue;
        clean = memory_model_begin_scenario((uint32_t)i);
        if (o.replay)
            clean = main_replay(&scenarios[i], &o);
        else if (o.random_seconds > 0)
            clean = main_try_random(&scenarios[i], &o,
                                    o.scenario ? o.random_seconds
                                               : o.random_seconds / (double)scenario_count);
    }
    return clean ? 0 : 1;
}
