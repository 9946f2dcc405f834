/* explore/explore.h - what a scenario says to the interleaving explorer.
 *
 * Purpose:    a scenario sets up production objects, runs two or three model threads over them and
 *             checks the outcome. The explorer runs it again and again, once for each schedule and
 *             for each store a load may legally return (README.md has the model).
 * Invariants: a scenario is deterministic apart from those choices. What threads share lives in the
 *             explorer's heap (memory_new and friends); file-scope variables are set by `setup` and
 *             only read afterwards, or belong to one thread.
 * Threads:    all model threads run in one thread of the system.
 * It is not:  for code that blocks outside mutexes, conditions and sleeps of platform/thread.h. */
#ifndef FIRN_EXPLORE_EXPLORE_H
#define FIRN_EXPLORE_EXPLORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { EXPLORE_SCENARIO_THREADS_MAX = 3 };

typedef struct explore_scenario {
    const char *name;
    void (*setup)(void); /* alone, no choices */
    void (*threads[EXPLORE_SCENARIO_THREADS_MAX])(void);
    void (*finish)(void);   /* alone, after all of them; may be NULL */
    uint32_t number_offset; /* thread_number() counts from this plus 1 */
    uint32_t old_reads_max; /* in one schedule, of loads that return an old store; 0: no bound */
} explore_scenario;

/* Runs the scenarios as the command line says; what main() returns: 0 clean, 1 a bug was found. */
int explore_main(int count, char **arguments, const explore_scenario *scenarios,
                 size_t scenario_count);

/* Ends the schedule as failed unless the condition holds. */
#define EXPLORE_EXPECT(condition)                                               \
    do {                                                                        \
        if (!(condition))                                                       \
            explore_fail("%s:%d: expected %s", __FILE__, __LINE__, #condition); \
    } while (0)
__attribute__((noreturn, format(printf, 1, 2))) void explore_fail(const char *format, ...);

/* What traces call these bytes; `name` is kept. */
void explore_name(const void *memory, size_t bytes, const char *name);

/* For pools that hand out the same bytes again: from retire to reuse nobody may touch them, and
 * whoever did before must be ordered before. The allocator does this by itself. */
void explore_retire(const void *memory, size_t bytes);
void explore_reuse(const void *memory, size_t bytes);

#endif
