#include "db/commit_queue.h"
#include "lib/test.h"
#include "platform/thread.h"

enum { QUEUE_THREADS = 6, QUEUE_ROUNDS = 4000 };

typedef struct queue_request {
    commit_waiter waiter; /* first */
    uint64_t ticket;      /* plain: stored by whoever serves it */
} queue_request;

/* Everything but the word is plain memory: only the lead orders it. */
typedef struct queue_fixture {
    commit_queue queue;
    uint64_t served, leads; /* owned by the leader */
    bool led;
} queue_fixture;

typedef struct queue_client {
    queue_fixture *shared;
    thread handle;
    bool finishes_others;
} queue_client;

static void queue_serve(queue_fixture *f, queue_request *r) {
    r->ticket = ++f->served;
}

static void queue_lead(queue_client *c, queue_request *own) {
    queue_fixture *f = c->shared;
    assert_false(f->led);
    f->led = true;
    f->leads++;
    queue_serve(f, own);
    if (c->finishes_others) {
        uint32_t waiting = commit_queue_collect(&f->queue);
        for (uint32_t i = 0; i < waiting && i < 3; i++) {
            queue_serve(f, (queue_request *)f->queue.first);
            commit_queue_finish_first(&f->queue);
        }
    }
    f->led = false;
    commit_queue_leave(&f->queue);
}

static void queue_run(void *context) {
    queue_client *c = context;
    uint64_t last = 0;
    for (int i = 0; i < QUEUE_ROUNDS; i++) {
        queue_request r = {.ticket = 0};
        if (commit_queue_try_enter(&c->shared->queue) ||
            commit_queue_wait(&c->shared->queue, &r.waiter))
            queue_lead(c, &r);
        assert_true(r.ticket > last);
        last = r.ticket;
    }
}

static void queue_race(bool finishes_others) {
    queue_fixture f;
    queue_client clients[QUEUE_THREADS];
    commit_queue_init(&f.queue);
    f.served = f.leads = 0;
    f.led = false;
    for (int i = 0; i < QUEUE_THREADS; i++) {
        clients[i] = (queue_client){.shared = &f, .finishes_others = finishes_others && i % 2};
        ASSERT_OK(thread_start(&clients[i].handle, "client", queue_run, &clients[i]));
    }
    for (int i = 0; i < QUEUE_THREADS; i++)
        thread_join(&clients[i].handle);
    assert_int_equal(f.served, (uint64_t)QUEUE_THREADS * QUEUE_ROUNDS);
    assert_true(commit_queue_try_enter(&f.queue)); /* nobody was left behind */
    assert_null(f.queue.first);
    assert_null(f.queue.last);
    assert_int_equal(f.queue.length, 0);
}

TEST(commit_queue, hands_the_lead_from_writer_to_writer) {
    queue_race(false);
}

TEST(commit_queue, a_leader_may_finish_the_work_of_others) {
    queue_race(true);
}

TEST(commit_queue, alone_it_is_entered_and_left_again_and_again) {
    commit_queue q;
    commit_queue_init(&q);
    for (int i = 0; i < 3; i++) {
        assert_true(commit_queue_try_enter(&q));
        assert_false(commit_queue_try_enter(&q));
        assert_int_equal(commit_queue_collect(&q), 0);
        commit_queue_leave(&q);
    }
}

typedef struct queue_late {
    commit_queue *queue;
    atomic_u32 arrived;
    atomic_u64 order;
    uint64_t place[2];
    int number;
} queue_late;

typedef struct queue_sleeper {
    queue_late *shared;
    thread handle;
    uint32_t number;
} queue_sleeper;

static void queue_sleep_in_line(void *context) {
    queue_sleeper *s = context;
    queue_request r = {.ticket = 0};
    while (atomic_u32_load(&s->shared->arrived, memory_order_seq_cst) != s->number)
        thread_sleep_ns(100000);
    atomic_u32_add(&s->shared->arrived, 1, memory_order_seq_cst);
    assert_true(commit_queue_wait(s->shared->queue, &r.waiter));
    s->shared->place[s->number] = atomic_u64_add(&s->shared->order, 1, memory_order_seq_cst);
    commit_queue_leave(s->shared->queue);
}

TEST(commit_queue, sleepers_are_woken_in_the_order_they_came) {
    commit_queue q;
    queue_late shared = {.queue = &q};
    queue_sleeper sleepers[2];
    commit_queue_init(&q);
    atomic_u32_init(&shared.arrived, 0);
    atomic_u64_init(&shared.order, 0);
    assert_true(commit_queue_try_enter(&q));
    for (uint32_t i = 0; i < 2; i++) {
        sleepers[i] = (queue_sleeper){.shared = &shared, .number = i};
        ASSERT_OK(thread_start(&sleepers[i].handle, "sleeper", queue_sleep_in_line, &sleepers[i]));
        while (commit_queue_collect(&q) != i + 1)
            thread_sleep_ns(100000);
    }
    thread_sleep_ns(20000000); /* by now they sleep, most likely; nothing depends on it */
    commit_queue_leave(&q);
    for (int i = 0; i < 2; i++)
        thread_join(&sleepers[i].handle);
    assert_int_equal(shared.place[0], 0);
    assert_int_equal(shared.place[1], 1);
}

TEST_MAIN(RUN(commit_queue, hands_the_lead_from_writer_to_writer),
          RUN(commit_queue, a_leader_may_finish_the_work_of_others),
          RUN(commit_queue, alone_it_is_entered_and_left_again_and_again),
          RUN(commit_queue, sleepers_are_woken_in_the_order_they_came))
