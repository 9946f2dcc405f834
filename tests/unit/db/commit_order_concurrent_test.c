#include <stdlib.h>
#include <string.h>

#include "db/commit_order.h"
#include "db/commit_queue.h"
#include "lib/test.h"
#include "platform/clock.h"
#include "util/rng.h"

enum { ORDER_THREADS = 6, ORDER_ROUNDS = 3000 };

/* Sequences are given out under the lead; what publishing does is plain memory. */
typedef struct order_fixture {
    commit_queue queue;
    commit_order order;
    atomic_u64 visible;
    seqno last;          /* owned by the leader */
    uint64_t *done;      /* by sequence: stored by its own thread before it finishes */
    seqno published;     /* owned by whoever publishes */
    uint64_t flights;    /* the same */
    seqno fails_at;      /* 0: none */
    bool published_gaps; /* the same */
} order_fixture;

typedef struct order_client {
    order_fixture *shared;
    thread handle;
    uint64_t seed;
    uint64_t visible, invisible; /* how its flights ended */
} order_client;

static void order_publish(void *context, commit_flight *flight) {
    order_fixture *f = context;
    f->published_gaps |= flight->first != f->published + 1;
    for (seqno s = flight->first; s <= flight->last; s++)
        f->published_gaps |= f->done[s] != s;
    f->published = flight->last;
    f->flights++;
}

static void order_init(order_fixture *f) {
    memset(f, 0, sizeof *f);
    commit_queue_init(&f->queue);
    atomic_u64_init(&f->visible, 0);
    commit_order_init(&f->order, &f->visible, order_publish, f);
    f->done = calloc(ORDER_THREADS * ORDER_ROUNDS * 4 + 1, sizeof *f->done);
    assert_non_null(f->done);
}

static void order_deinit(order_fixture *f) {
    commit_order_deinit(&f->order);
    free(f->done);
}

static commit_flight order_begin(order_fixture *f, uint32_t count) {
    commit_flight flight = {.first = f->last + 1, .last = f->last + count};
    f->last = flight.last;
    flight.failed = f->fails_at && flight.first <= f->fails_at && f->fails_at <= flight.last;
    return flight;
}

static bool order_end(order_fixture *f, commit_flight *flight) {
    return commit_order_try_finish(&f->order, flight) || commit_order_finish(&f->order, flight);
}

static void order_run(void *context) {
    order_client *c = context;
    order_fixture *f = c->shared;
    rng random;
    rng_init(&random, c->seed);
    for (int i = 0; i < ORDER_ROUNDS; i++) {
        commit_waiter waiter;
        if (!commit_queue_try_enter(&f->queue) && !commit_queue_wait(&f->queue, &waiter))
            fail_msg("%s", "nobody finishes others here");
        if (rng_next(&random) % 64 == 0) {
            bool drained = commit_order_drain(&f->order, f->last);
            assert_true(drained || f->fails_at);
            if (drained)
                assert_int_equal(f->published, f->last);
        }
        commit_flight flight = order_begin(f, 1 + (uint32_t)(rng_next(&random) % 4));
        commit_queue_leave(&f->queue);
        if (rng_next(&random) % 128 == 0)
            thread_sleep_ns(200000); /* long enough for those behind to stand in line */
        for (seqno s = flight.first; s <= flight.last; s++)
            f->done[s] = s;
        bool visible = order_end(f, &flight);
        if (visible)
            assert_true(atomic_u64_load(&f->visible, memory_order_acquire) >= flight.last);
        c->visible += visible;
        c->invisible += !visible;
    }
}

static void order_race(order_fixture *f, order_client *clients) {
    uint64_t seed = test_seed();
    for (int i = 0; i < ORDER_THREADS; i++) {
        clients[i] = (order_client){.shared = f, .seed = seed + (uint64_t)i};
        ASSERT_OK(thread_start(&clients[i].handle, "client", order_run, &clients[i]));
    }
    for (int i = 0; i < ORDER_THREADS; i++)
        thread_join(&clients[i].handle);
    assert_false(f->published_gaps);
}

TEST(commit_order, groups_become_visible_in_order_and_complete) {
    order_fixture f;
    order_client clients[ORDER_THREADS];
    order_init(&f);
    order_race(&f, clients);
    assert_int_equal(f.flights, ORDER_THREADS * ORDER_ROUNDS);
    assert_int_equal(f.published, f.last);
    assert_true(commit_order_is_idle(&f.order, f.last));
    order_deinit(&f);
}

TEST(commit_order, nothing_behind_a_failed_group_becomes_visible) {
    order_fixture f;
    order_client clients[ORDER_THREADS];
    uint64_t visible = 0, invisible = 0;
    order_init(&f);
    f.fails_at = ORDER_THREADS * ORDER_ROUNDS;
    order_race(&f, clients);
    for (int i = 0; i < ORDER_THREADS; i++) {
        visible += clients[i].visible;
        invisible += clients[i].invisible;
    }
    assert_true(f.published < f.fails_at);
    assert_int_equal(f.flights, visible);
    assert_true(invisible > 0);
    assert_false(commit_order_drain(&f.order, f.last));
    order_deinit(&f);
}

typedef struct order_late {
    order_fixture *shared;
    commit_flight flight;
    thread handle;
    atomic_u32 ended;
} order_late;

static void order_end_late(void *context) {
    order_late *l = context;
    assert_true(order_end(l->shared, &l->flight));
    atomic_u32_store(&l->ended, 1, memory_order_seq_cst);
}

TEST(commit_order, who_comes_first_publishes_those_that_stand_in_line) {
    order_fixture f;
    order_late late[3];
    order_init(&f);
    commit_flight first = order_begin(&f, 2);
    for (int i = 0; i < 3; i++) {
        late[i] = (order_late){.shared = &f, .flight = order_begin(&f, 1)};
        f.done[late[i].flight.first] = late[i].flight.first;
        atomic_u32_init(&late[i].ended, 0);
    }
    for (int i = 2; i >= 0; i--)
        ASSERT_OK(thread_start(&late[i].handle, "late", order_end_late, &late[i]));
    while (atomic_u32_load(&f.order.parked, memory_order_seq_cst) < 3)
        thread_sleep_ns(100000);
    for (int i = 0; i < 3; i++)
        assert_int_equal(atomic_u32_load(&late[i].ended, memory_order_seq_cst), 0);
    assert_false(commit_order_is_idle(&f.order, f.last));
    f.done[1] = 1;
    f.done[2] = 2;
    assert_true(commit_order_try_finish(&f.order, &first));
    /* Not by their own threads, which may sleep for a while yet. */
    assert_int_equal(atomic_u64_load(&f.visible, memory_order_seq_cst), 5);
    for (int i = 0; i < 3; i++)
        thread_join(&late[i].handle);
    assert_int_equal(f.flights, 4);
    assert_false(f.published_gaps);
    order_deinit(&f);
}

TEST_MAIN(RUN(commit_order, groups_become_visible_in_order_and_complete),
          RUN(commit_order, nothing_behind_a_failed_group_becomes_visible),
          RUN(commit_order, who_comes_first_publishes_those_that_stand_in_line))
