/* bench/child.h - every engine in a process of its own, so that none inherits another's memory.
 *
 * The parent starts the children of a round and lets them take turns: each runs one step, answers
 * with its result and waits. So the engines' measurements of one workload stand side by side in
 * time. A child that fails has printed why; it takes no part in the rest of the round. */
#ifndef FIRN_BENCH_CHILD_H
#define FIRN_BENCH_CHILD_H

#include "config.h"
#include "result.h"

typedef struct child child;

/* Starts the child for `engine`. */
child *child_new(const bench_config *config, const engine_methods *engine, uint32_t round);

/* Lets it run step `index`. False when it has died, now or before. */
bool child_run(child *c, uint32_t index, step_result *out);

/* Lets it close its database and end. False when it had died or could not. */
bool child_free(child *c);

#endif
