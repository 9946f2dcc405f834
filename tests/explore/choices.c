/* Depth-first search over all choices with a bound on preemptions (Musuvathi and Qadeer, "Iterative
 * Context Bounding", PLDI 2007). A state met again with no larger budget is not searched again; a
 * state is told by what every thread did and saw, in the order of happens-before, so that
 * schedules which differ only in the order of independent operations become one (their
 * "happens-before" caching; the effect that Flanagan and Godefroid reach by persistent sets, POPL
 * 2005). States form no cycles: histories only grow, so one met again has been searched to its
 * end. */
#include "explore/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHOICES_DEPTH_MAX = 1 << 15,
    CHOICES_NOTED_MAX = 512,
    CHOICES_BUDGET_BITS = 8,
    CHOICES_BUDGET_HALF = 15
};

engine_counts engine_counted;

typedef struct choices_level {
    uint8_t taken, count;
} choices_level;

/* A choice other than the first: all that a replay needs. */
typedef struct choices_note {
    uint32_t step;
    engine_branch branch;
    uint32_t taken;
} choices_note;

static struct {
    engine_strategy strategy;
    uint32_t preemptions_max;
    uint64_t random;
    uint32_t boldness; /* at random: one in so many steps switches threads */

    choices_level levels[CHOICES_DEPTH_MAX];
    uint32_t depth, replayed; /* levels in all, and passed in this schedule */

    choices_note notes[CHOICES_NOTED_MAX];
    uint32_t note_count;
    choices_note script[CHOICES_NOTED_MAX]; /* of a replay */
    uint32_t script_count;

    uint64_t *states; /* hash with the budget it was searched with in the low bits; 0: free */
    uint64_t states_capacity;
} choices;

/* --- states searched --- */

static uint64_t *choices_state_slot(uint64_t *states, uint64_t capacity, uint64_t key) {
    uint64_t i = key >> CHOICES_BUDGET_BITS & (capacity - 1);
    while (states[i] && states[i] >> CHOICES_BUDGET_BITS != key >> CHOICES_BUDGET_BITS)
        i = (i + 1) & (capacity - 1);
    return &states[i];
}

static void choices_states_resize(uint64_t capacity) {
    uint64_t *larger = calloc(capacity, sizeof *larger);
    if (!larger) {
        fprintf(stderr, "explore: no memory for %llu states\n", (unsigned long long)capacity);
        exit(2);
    }
    for (uint64_t i = 0; i < choices.states_capacity; i++) {
        if (choices.states[i])
            *choices_state_slot(larger, capacity, choices.states[i]) = choices.states[i];
    }
    free(choices.states);
    choices.states = larger;
    choices.states_capacity = capacity;
}

/* What is left of the bounds, plus 1 each: preemptions in the low half, old reads in the high one.
 */
static uint64_t choices_budget(void) {
    uint64_t old_reads = engine.old_reads_max - engine.old_reads;
    return (choices.preemptions_max - engine.preemptions + 1) |
           (old_reads < CHOICES_BUDGET_HALF ? old_reads + 1 : CHOICES_BUDGET_HALF)
               << CHOICES_BUDGET_BITS / 2;
}

/* Whether everything from this branch on has been searched with this budget or a larger one. */
static bool choices_is_known(engine_branch branch) {
    uint64_t budget = choices_budget();
    uint64_t key = engine_mix(engine_mix(threads_fingerprint(), engine.current), branch);
    key &= ~(((uint64_t)1 << CHOICES_BUDGET_BITS) - 1);
    uint64_t *slot = choices_state_slot(choices.states, choices.states_capacity, key);
    if (*slot && (*slot & CHOICES_BUDGET_HALF) >= (budget & CHOICES_BUDGET_HALF) &&
        (*slot >> CHOICES_BUDGET_BITS / 2 & CHOICES_BUDGET_HALF) >= budget >>
            CHOICES_BUDGET_BITS / 2)
        return true;
    if (!*slot && ++engine_counted.states * 2 > choices.states_capacity) {
        choices_states_resize(choices.states_capacity * 2);
        slot = choices_state_slot(choices.states, choices.states_capacity, key);
    }
    *slot = key | budget;
    return false;
}

/* --- beginning --- */

void choices_restart(void) {
    choices.depth = 0;
    engine_counted.states = 0;
    memset(choices.states, 0, choices.states_capacity * sizeof *choices.states);
}

void choices_begin_search(uint32_t preemptions_max) {
    choices.strategy = STRATEGY_ALL;
    choices.preemptions_max = preemptions_max;
    if (!choices.states)
        choices_states_resize(1 << 16);
    choices_restart();
}

void choices_begin_random(uint64_t seed) {
    choices.strategy = STRATEGY_RANDOM;
    choices.random = engine_mix(seed, 0x5eed) | 1;
    choices.boldness = 2u << (seed % 5);
}

bool choices_begin_replay(const char *text) {
    choices.strategy = STRATEGY_REPLAY;
    choices.script_count = 0;
    while (*text) {
        choices_note *note = &choices.script[choices.script_count];
        char branch;
        int length = 0;
        if (choices.script_count == CHOICES_NOTED_MAX ||
            sscanf(text, "%u%c%u%n", &note->step, &branch, &note->taken, &length) != 3 ||
            !strchr(">~?", branch))
            return false;
        note->branch = (engine_branch)branch;
        choices.script_count++;
        text += length;
        text += *text == ',';
    }
    return true;
}

void choices_begin_schedule(void) {
    choices.replayed = 0;
    choices.note_count = 0;
}

bool choices_next_schedule(void) {
    while (choices.depth > 0) {
        choices_level *last = &choices.levels[choices.depth - 1];
        if (++last->taken < last->count)
            return true;
        choices.depth--;
    }
    return false;
}

/* --- choosing --- */

static uint32_t choices_random_below(uint32_t count) {
    choices.random ^= choices.random << 13;
    choices.random ^= choices.random >> 7;
    choices.random ^= choices.random << 17;
    return (uint32_t)(choices.random >> 33) % count;
}

static void choices_note_down(engine_branch branch, uint32_t taken) {
    if (choices.note_count < CHOICES_NOTED_MAX)
        choices.notes[choices.note_count++] = (choices_note){engine.steps, branch, taken};
}

static uint32_t choices_scripted(engine_branch branch, uint32_t otherwise) {
    for (uint32_t i = 0; i < choices.script_count; i++) {
        if (choices.script[i].step == engine.steps && choices.script[i].branch == branch)
            return choices.script[i].taken;
    }
    return otherwise;
}

static uint32_t choices_search(engine_branch branch, uint32_t count) {
    if (choices.replayed == choices.depth) {
        if (choices_is_known(branch))
            threads_abandon();
        if (choices.depth == CHOICES_DEPTH_MAX)
            explore_fail("too many choices in one schedule");
        choices.levels[choices.depth++] = (choices_level){0, (uint8_t)count};
    }
    choices_level *level = &choices.levels[choices.replayed++];
    if (level->count != count)
        explore_fail("the scenario is not deterministic: %u ways where there were %u", count,
                     level->count);
    return level->taken;
}

uint32_t choices_pick(engine_branch branch, uint32_t count) {
    uint32_t taken = 0;
    if (count == 1)
        return 0;
    if (choices.strategy == STRATEGY_ALL)
        taken = choices_search(branch, count);
    else if (choices.strategy == STRATEGY_REPLAY)
        taken = choices_scripted(branch, 0);
    else if (choices_random_below(2))
        taken = choices_random_below(count);
    if (taken >= count)
        explore_fail("the replay does not fit: no way %u at step %u", taken, engine.steps);
    if (taken)
        choices_note_down(branch, taken);
    return taken;
}

static uint32_t choices_pick_thread_scripted(const uint32_t *options, uint32_t count) {
    uint32_t thread = choices_scripted(BRANCH_THREAD, options[0]);
    for (uint32_t i = 0; i < count; i++) {
        if (options[i] == thread)
            return i;
    }
    explore_fail("the replay does not fit: thread %u cannot run at step %u", thread, engine.steps);
}

uint32_t choices_pick_thread(const uint32_t *options, uint32_t count, bool staying) {
    uint32_t taken = 0;
    if (choices.strategy == STRATEGY_ALL) {
        if (staying && engine.preemptions == choices.preemptions_max)
            count = 1;
        if (count == 1)
            return options[0];
        taken = choices_search(BRANCH_THREAD, count);
    } else if (choices.strategy == STRATEGY_REPLAY) {
        taken = choices_pick_thread_scripted(options, count);
    } else if (!staying || choices_random_below(choices.boldness) == 0) {
        taken = choices_random_below(count);
    }
    if (taken)
        choices_note_down(BRANCH_THREAD, options[taken]);
    return options[taken];
}

void choices_describe(char *out, size_t capacity) {
    size_t used = 0;
    out[0] = 0;
    for (uint32_t i = 0; i < choices.note_count && used < capacity; i++) {
        const choices_note *note = &choices.notes[i];
        int written = snprintf(out + used, capacity - used, "%s%u%c%u", i ? "," : "", note->step,
                               (char)note->branch, note->taken);
        used += written > 0 ? (size_t)written : 0;
    }
}
