/* sim --seed N --steps N [--trace] [--no-shrink]: a simulated life; what fails is replayed and
 * shrunk.
 *
 * Lives run in child processes, so that a crash or a hang of the engine is a failure like others.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sim/sim.h"

enum { SIM_HANG_SECONDS = 120, SIM_STEPS_PER_SECOND = 5000, SIM_TRIALS_MAX = 400 };

/* Runs a life in a child. False: it failed, or died. */
static bool sim_try(const sim_options *options, sim_result *shared) {
    int state = 0;
    fflush(NULL);
    memset(shared, 0, sizeof *shared);
    pid_t child = fork();
    if (child < 0) {
        perror("fork");
        exit(2);
    }
    if (child == 0) {
        alarm((unsigned)(SIM_HANG_SECONDS + options->steps / SIM_STEPS_PER_SECOND));
        bool good = sim_run(options, shared);
        fflush(NULL);
        _exit(good ? 0 : 1);
    }
    while (waitpid(child, &state, 0) != child) {
    }
    if (WIFEXITED(state) && WEXITSTATUS(state) == 0)
        return true;
    if (!shared->problem[0])
        snprintf(shared->problem, sizeof shared->problem, "ended by %s",
                 WIFSIGNALED(state) ? strsignal(WTERMSIG(state)) : "an exit of its own");
    return false;
}

/* Leaves out ever smaller pieces as long as it goes on failing. */
static uint64_t sim_shrink(sim_options *options, uint8_t *skipped, sim_result *shared) {
    uint64_t trials = 0, left = options->steps;
    options->skipped = skipped;
    for (uint64_t piece = (options->steps + 1) / 2; piece > 0 && trials < SIM_TRIALS_MAX;
         piece /= 2) {
        for (uint64_t at = 0; at < options->steps && trials < SIM_TRIALS_MAX; at += piece) {
            uint64_t end = at + piece < options->steps ? at + piece : options->steps, count = 0;
            for (uint64_t i = at; i < end; i++)
                count += !skipped[i];
            if (count == 0)
                continue;
            uint8_t *saved = malloc(end - at);
            if (!saved)
                exit(2);
            memcpy(saved, skipped + at, end - at);
            memset(skipped + at, 1, end - at);
            trials++;
            if (sim_try(options, shared))
                memcpy(skipped + at, saved, end - at);
            else
                left -= count;
            free(saved);
        }
    }
    return left;
}

static void sim_report(const sim_options *options, const sim_result *r, double seconds) {
    uint64_t crashes = 0;
    for (int i = 0; i < VFS_MEM_CRASH_COUNT; i++)
        crashes += r->crashes[i];
    printf("{\"seed\": %llu, \"steps\": %llu, \"operations\": %llu, \"writes\": %llu, \"reads\": "
           "%llu, \"syncs\": %llu, \"flushes\": %llu, \"compactions\": %llu, \"background\": %llu, "
           "\"reopens\": %llu, \"crashes\": %llu, \"faults\": %llu, \"failed_calls\": %llu, "
           "\"full_disks\": %llu, \"clock_jumps\": %llu, \"readers_beside\": %llu, "
           "\"verifications\": %llu, \"simulated_seconds\": %llu, \"seconds\": %.1f, "
           "\"expiring\": %llu, \"single_deletes\": %llu, \"range_deletes\": %llu, "
           "\"operations_per_second\": %.0f}\n",
           (unsigned long long)options->seed, (unsigned long long)r->steps,
           (unsigned long long)r->operations, (unsigned long long)r->writes,
           (unsigned long long)r->reads, (unsigned long long)r->syncs,
           (unsigned long long)r->flushes, (unsigned long long)r->compactions,
           (unsigned long long)r->background, (unsigned long long)r->reopens,
           (unsigned long long)crashes, (unsigned long long)r->faults,
           (unsigned long long)r->failed_calls, (unsigned long long)r->full_disks,
           (unsigned long long)r->clock_jumps, (unsigned long long)r->readers_beside,
           (unsigned long long)r->verifications, (unsigned long long)r->simulated_seconds, seconds,
           (unsigned long long)r->expiring, (unsigned long long)r->single_deletes,
           (unsigned long long)r->range_deletes, seconds > 0 ? (double)r->operations / seconds : 0);
}

static int sim_explain(sim_options *options, sim_result *shared, bool shrinks) {
    fprintf(stderr, "sim: seed %llu FAILED: %s\n", (unsigned long long)options->seed,
            shared->problem);
    if (shared->steps > 0 && shared->steps < options->steps)
        options->steps = shared->steps + 1;
    uint8_t *skipped = calloc(options->steps + 1, 1);
    if (!skipped)
        return 2;
    if (shrinks) {
        uint64_t left = sim_shrink(options, skipped, shared);
        options->skipped = skipped;
        fprintf(stderr, "sim: shrunk to %llu steps of %llu:\n", (unsigned long long)left,
                (unsigned long long)options->steps);
        options->trace = stderr;
        (void)sim_try(options, shared);
        fprintf(stderr, "sim: %s\n", shared->problem);
    }
    fprintf(stderr, "sim: again with --seed %llu --steps %llu\n", (unsigned long long)options->seed,
            (unsigned long long)options->steps);
    free(skipped);
    return 1;
}

int main(int count, char **words) {
    sim_options options = {.seed = 1, .steps = 1000000};
    bool shrinks = true;
    for (int i = 1; i < count; i++) {
        if (strcmp(words[i], "--seed") == 0 && i + 1 < count)
            options.seed = strtoull(words[++i], NULL, 0);
        else if (strcmp(words[i], "--steps") == 0 && i + 1 < count)
            options.steps = strtoull(words[++i], NULL, 0);
        else if (strcmp(words[i], "--trace") == 0)
            options.trace = stderr;
        else if (strcmp(words[i], "--no-shrink") == 0)
            shrinks = false;
        else {
            fprintf(stderr, "usage: sim [--seed N] [--steps N] [--trace] [--no-shrink]\n");
            return 2;
        }
    }
    sim_result *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return 2;
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    if (!sim_try(&options, shared))
        return sim_explain(&options, shared, shrinks);
    clock_gettime(CLOCK_MONOTONIC, &end);
    sim_report(&options, shared,
               (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9);
    return 0;
}
