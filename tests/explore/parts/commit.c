/* The commit queue: one leader at a time, everybody told once, nobody left asleep. And the order in
 * which groups abreast become visible: each once, complete, none behind a gap or a failure. */
#include "explore/explore.h"
#include "platform/memory.h"

#include "db/commit_queue.c"

#include "db/commit_order.c"

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

/* --- abreast --- */

enum { ABREAST_MAX = 3 };

/* What groups write, and what is published of them: plain, so that an order that does not hold is a
 * race. */
typedef struct abreast_state {
    commit_queue queue;
    commit_order order;
    atomic_u64 visible;
    uint64_t last;                  /* owned by the leader */
    uint64_t work[ABREAST_MAX + 1]; /* by sequence */
    uint64_t published;             /* owned by whoever publishes */
} abreast_state;

static abreast_state *abreast;

/* In order, and their work is there to be seen. */
static void abreast_publish(void *context, commit_flight *flight) {
    abreast_state *a = context;
    EXPLORE_EXPECT(flight->first == a->published + 1 && !flight->failed);
    EXPLORE_EXPECT(a->work[flight->first] == flight->first);
    a->published = flight->last;
}

static void abreast_setup(void) {
    abreast = memory_new_aligned(CACHE_LINE_BYTES, sizeof *abreast);
    memset(abreast, 0, sizeof *abreast);
    commit_queue_init(&abreast->queue);
    atomic_u64_init(&abreast->visible, 0);
    commit_order_init(&abreast->order, &abreast->visible, abreast_publish, abreast);
    abreast->last = ABREAST_MAX;
    explore_name(abreast, sizeof *abreast, "abreast");
    explore_name(&abreast->visible, sizeof abreast->visible, "visible");
    explore_name(&abreast->order.parked, sizeof abreast->order.parked, "parked");
    explore_name(&abreast->order.guard, sizeof abreast->order.guard, "guard");
    explore_name(&abreast->queue.word, sizeof abreast->queue.word, "queue");
}
static void abreast_setup_empty(void) {
    abreast_setup();
    abreast->last = 0;
}
static void abreast_setup_two(void) {
    abreast_setup();
    abreast->last = 2;
}

/* The flight is freed at once, so that whoever touches it later is caught. */
static void abreast_fly(uint64_t sequence, bool fails) {
    commit_flight *flight = memory_new_zeroed(sizeof *flight);
    explore_name(flight, sizeof *flight, "flight");
    flight->first = flight->last = sequence;
    flight->failed = fails;
    abreast->work[sequence] = sequence;
    bool is_visible = commit_order_try_finish(&abreast->order, flight) ||
                      commit_order_finish(&abreast->order, flight);
    EXPLORE_EXPECT(!is_visible || !fails);
    if (is_visible) { /* and all in front of it */
        for (uint64_t s = 1; s <= sequence; s++)
            EXPLORE_EXPECT(abreast->work[s] == s);
    }
    memory_free(flight);
}
static void abreast_fly_1(void) {
    abreast_fly(1, false);
}
static void abreast_fly_2(void) {
    abreast_fly(2, false);
}
static void abreast_fly_3(void) {
    abreast_fly(3, false);
}
static void abreast_fail_1(void) {
    abreast_fly(1, true);
}
static void abreast_fail_2(void) {
    abreast_fly(2, true);
}

static void abreast_drain(void) {
    if (!commit_order_drain(&abreast->order, abreast->last))
        return;
    EXPLORE_EXPECT(abreast->published == abreast->last);
    for (uint64_t s = 1; s <= abreast->last; s++)
        EXPLORE_EXPECT(abreast->work[s] == s);
}

/* As db/commit.c does it: takes the next sequence while it leads. */
static void abreast_lead_and_fly(void) {
    commit_waiter *w = memory_new_zeroed(sizeof *w);
    if (!commit_queue_try_enter(&abreast->queue))
        EXPLORE_EXPECT(commit_queue_wait(&abreast->queue, w));
    uint64_t sequence = ++abreast->last;
    commit_queue_leave(&abreast->queue);
    memory_free(w);
    abreast_fly(sequence, false);
}

static void abreast_finish_with(uint64_t published) {
    EXPLORE_EXPECT(abreast->published == published && !abreast->order.line);
    commit_order_deinit(&abreast->order);
    memory_free(abreast);
    EXPLORE_EXPECT(memory_live_count() == 0);
}
static void abreast_finish_2(void) {
    abreast_finish_with(2);
}
static void abreast_finish_3(void) {
    abreast_finish_with(3);
}
static void abreast_finish_0(void) {
    abreast_finish_with(0);
}
/* The one in front of the failed one may have been told of it before its own turn came. */
static void abreast_finish_failed(void) {
    abreast_finish_with(abreast->published < 1 ? 0 : 1);
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
        {"abreast-two", abreast_setup_two, {abreast_fly_1, abreast_fly_2}, abreast_finish_2, 0, 0},
        {"abreast-three",
         abreast_setup,
         {abreast_fly_1, abreast_fly_2, abreast_fly_3},
         abreast_finish_3,
         0,
         0},
        {"abreast-drain",
         abreast_setup_two,
         {abreast_fly_1, abreast_fly_2, abreast_drain},
         abreast_finish_2,
         0,
         0},
        {"abreast-first-fails",
         abreast_setup,
         {abreast_fail_1, abreast_fly_2, abreast_fly_3},
         abreast_finish_0,
         0,
         0},
        {"abreast-fails",
         abreast_setup,
         {abreast_fly_1, abreast_fail_2, abreast_fly_3},
         abreast_finish_failed,
         0,
         0},
        {"abreast-fails-drain",
         abreast_setup_two,
         {abreast_fly_1, abreast_fail_2, abreast_drain},
         abreast_finish_failed,
         0,
         0},
        {"abreast-lead",
         abreast_setup_empty,
         {abreast_lead_and_fly, abreast_lead_and_fly},
         abreast_finish_2,
         0,
         0},
    };
    return explore_main(count, arguments, scenarios, sizeof scenarios / sizeof *scenarios);
}
