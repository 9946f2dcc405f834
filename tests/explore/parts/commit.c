/* The commit queue: one leader at a time, everybody told once, nobody left asleep. */
#include "explore/explore.h"
#include "platform/memory.h"

#include "db/commit_queue.c"

typedef struct commit_request {
    commit_waiter waiter;
    uint64_t amount;
    uint64_t result; /* the total with this request in it */
} commit_request;

/* What the leader owns: plain, so that two leaders at once are a race. */
typedef struct commit_state {
    commit_queue queue;
    uint64_t total;
    uint64_t commits;
} commit_state;

static commit_state *state;

static void setup(void) {
    state = memory_new_zeroed(sizeof *state);
    commit_queue_init(&state->queue);
    explore_name(state, sizeof *state, "state");
    explore_name(&state->queue.word, sizeof state->queue.word, "queue");
}

static void apply(commit_request *r) {
    state->total += r->amount;
    state->commits++;
    r->result = state->total;
}

/* The waiter comes first, as in db/commit.c. */
static commit_request *request_of(commit_waiter *w) {
    return (commit_request *)w;
}

/* Commits its own request and, of those in line, as many as `most`; hands on the rest. */
static void lead(commit_request *own, uint32_t most) {
    apply(own);
    for (uint32_t left = commit_queue_collect(&state->queue); left > 0 && most > 0;
         left--, most--) {
        apply(request_of(state->queue.first));
        commit_queue_finish_first(&state->queue);
    }
    commit_queue_leave(&state->queue);
}

/* The request is freed at once, so that whoever touches it later is caught. */
static void commit(uint64_t amount, uint32_t most) {
    commit_request *r = memory_new_zeroed(sizeof *r);
    explore_name(r, sizeof *r, "request");
    r->amount = amount;
    if (commit_queue_try_enter(&state->queue) || commit_queue_wait(&state->queue, &r->waiter))
        lead(r, most);
    EXPLORE_EXPECT(r->result >= amount);
    memory_free(r);
}

static void commit_1(void) {
    commit(1, 4);
}
static void commit_10(void) {
    commit(10, 4);
}
static void commit_100(void) {
    commit(100, 4);
}
static void commit_1_alone(void) {
    commit(1, 0);
}
static void commit_10_alone(void) {
    commit(10, 0);
}
static void commit_100_alone(void) {
    commit(100, 0);
}
static void commit_twice(void) {
    commit(1, 4);
    commit(100, 0);
}

static void finish_with(uint64_t total, uint64_t commits) {
    EXPLORE_EXPECT(state->total == total && state->commits == commits);
    EXPLORE_EXPECT(state->queue.length == 0 && !state->queue.first && !state->queue.last);
    EXPLORE_EXPECT(commit_queue_try_enter(&state->queue)); /* nobody leads */
    memory_free(state);
    EXPLORE_EXPECT(memory_live_count() == 0);
}
static void finish_two(void) {
    finish_with(11, 2);
}
static void finish_three(void) {
    finish_with(111, 3);
}

int main(int count, char **arguments) {
    static const explore_scenario scenarios[] = {
        {"two-combining", setup, {commit_1, commit_10}, finish_two, 0, 0},
        {"two-handing-on", setup, {commit_1_alone, commit_10_alone}, finish_two, 0, 0},
        {"again", setup, {commit_twice, commit_10}, finish_three, 0, 0},
        {"combining", setup, {commit_1, commit_10, commit_100}, finish_three, 0, 0},
        {"handing-on",
         setup,
         {commit_1_alone, commit_10_alone, commit_100_alone},
         finish_three,
         0,
         0},
        {"mixed", setup, {commit_1, commit_10_alone, commit_100}, finish_three, 0, 0},
    };
    return explore_main(count, arguments, scenarios, sizeof scenarios / sizeof *scenarios);
}
