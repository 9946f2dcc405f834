#include "memtable/memtable.h"

#include <stdlib.h>

#include "base/atomic.h"
#include "base/check.h"
#include "lib/test.h"
#include "platform/thread.h"
#include "util/rng.h"

/* Threads other than the first use CHECK: a failed assert of the test library would jump out of
 * another thread's stack. */

enum { CONCURRENT_WRITERS = 4, CONCURRENT_READERS = 2, CONCURRENT_KEY_BYTES = 12 };

typedef enum concurrent_shape {
    CONCURRENT_NEIGHBOURS, /* ascending, writers between each other's keys */
    CONCURRENT_RANGES,     /* ascending, a range per writer */
    CONCURRENT_SCATTERED,  /* random order */
    CONCURRENT_VERSIONS,   /* few user keys, many versions of each */
    CONCURRENT_DESCENDING,
    CONCURRENT_SHAPES
} concurrent_shape;

typedef struct concurrent_test {
    memtable *table;
    concurrent_shape shape;
    uint64_t per_writer;
    uint64_t seed;
    atomic_u64 started;
    atomic_u64 done[CONCURRENT_WRITERS]; /* adds that have returned; stored with release */
    atomic_u64 writers_left;
} concurrent_test;

typedef struct concurrent_actor {
    concurrent_test *test;
    uint64_t number;
    thread thread;
} concurrent_actor;

static seqno concurrent_sequence(uint64_t writer, uint64_t i) {
    return i * CONCURRENT_WRITERS + writer + 1;
}

/* The key is a function of (writer, i), so that readers know what must be there. The last bytes
 * differ where the head ties. */
static slice concurrent_key(const concurrent_test *t, uint64_t writer, uint64_t i,
                            uint8_t key[CONCURRENT_KEY_BYTES]) {
    uint64_t number = 0;
    switch (t->shape) {
    case CONCURRENT_NEIGHBOURS:
        number = i * CONCURRENT_WRITERS + writer;
        break;
    case CONCURRENT_RANGES:
        number = writer << 40 | i;
        break;
    case CONCURRENT_SCATTERED:
        number = (i * CONCURRENT_WRITERS + writer + 1) * 0x9e3779b97f4a7c15u;
        break;
    case CONCURRENT_VERSIONS:
        number = i % 20;
        break;
    default:
        number = UINT64_MAX - i * CONCURRENT_WRITERS - writer;
        break;
    }
    for (int b = 0; b < 8; b++)
        key[4 + b] = (uint8_t)(number >> (56 - 8 * b));
    memset(key, 'k', 4);
    return slice_of(key, CONCURRENT_KEY_BYTES);
}

static void concurrent_wait_for_all(concurrent_test *t) {
    (void)atomic_u64_add(&t->started, 1, memory_order_seq_cst);
    while (atomic_u64_load(&t->started, memory_order_seq_cst) <
           CONCURRENT_WRITERS + CONCURRENT_READERS)
        continue;
}

static void concurrent_write(void *context) {
    concurrent_actor *actor = context;
    concurrent_test *t = actor->test;
    concurrent_wait_for_all(t);
    for (uint64_t i = 0; i < t->per_writer; i++) {
        uint8_t key[CONCURRENT_KEY_BYTES];
        seqno sequence = concurrent_sequence(actor->number, i);
        uint8_t value[8];
        encode_fixed64(value, sequence);
        status st =
            memtable_add(t->table, sequence, OP_PUT,
                         user_key_of(concurrent_key(t, actor->number, i, key)), slice_of(value, 8));
        CHECK(status_is_ok(st));
        /* release: pairs with the acquire in the readers. */
        atomic_u64_store(&t->done[actor->number], i + 1, memory_order_release);
    }
    (void)atomic_u64_sub(&t->writers_left, 1, memory_order_seq_cst);
}

/* What had been added before the look must be found. */
static void concurrent_look_up(concurrent_test *t, rng *r) {
    uint64_t writer = rng_below(r, CONCURRENT_WRITERS);
    /* acquire: pairs with the release in concurrent_write(). */
    uint64_t done = atomic_u64_load(&t->done[writer], memory_order_acquire);
    if (done == 0)
        return;
    uint64_t i = rng_below(r, done);
    uint8_t key[CONCURRENT_KEY_BYTES];
    seek_key seek;
    seqno sequence = concurrent_sequence(writer, i);
    CHECK(status_is_ok(
        seek_key_init(&seek, user_key_of(concurrent_key(t, writer, i, key)), sequence)));
    lookup found;
    memtable_get(t->table, seek.key, &found);
    CHECK(found.found && found.sequence == sequence && found.kind == OP_PUT);
    CHECK(found.value.size == 8 && decode_fixed64(found.value.data) == sequence);
    seek_key_deinit(&seek);
}

static void concurrent_check_entry(const iter_entry *e) {
    internal_key key = {slice_of(e->key, e->key_bytes)};
    CHECK(e->key_bytes == CONCURRENT_KEY_BYTES + 8 && e->value_bytes == 8);
    CHECK(decode_fixed64(e->value) == internal_key_sequence(key));
}

/* Once through the table: strictly in order, and nothing missing that was there before. */
static void concurrent_scan(concurrent_test *t, bool forward) {
    uint64_t at_least = 0, met = 0;
    for (uint64_t w = 0; w < CONCURRENT_WRITERS; w++)
        /* acquire: as above. */
        at_least += atomic_u64_load(&t->done[w], memory_order_acquire);
    iter *it = NULL;
    CHECK(status_is_ok(memtable_iter_new(t->table, &it)));
    internal_key last = {SLICE_UNSET};
    key_order order = {NULL};
    if (forward)
        iter_seek_first(it);
    else
        iter_seek_last(it);
    while (iter_valid(it)) {
        internal_key key = iter_key(it);
        concurrent_check_entry(&it->run[it->index]);
        if (slice_is_set(last.s))
            CHECK(forward ? key_order_compare(order, last, key) < 0
                          : key_order_compare(order, last, key) > 0);
        last = key; /* the bytes stay where they are as long as the table */
        met++;
        if (forward)
            iter_next(it);
        else
            iter_prev(it);
    }
    CHECK(status_is_ok(it->st));
    CHECK(met >= at_least);
    iter_free(it);
}

static void concurrent_read(void *context) {
    concurrent_actor *actor = context;
    concurrent_test *t = actor->test;
    rng r;
    rng_init(&r, t->seed + actor->number);
    concurrent_wait_for_all(t);
    while (atomic_u64_load(&t->writers_left, memory_order_seq_cst) > 0) {
        for (int i = 0; i < 200; i++)
            concurrent_look_up(t, &r);
        concurrent_scan(t, rng_below(&r, 2));
    }
}

static void concurrent_run(concurrent_shape shape, uint64_t per_writer, uint64_t seed) {
    concurrent_test t = {.shape = shape, .per_writer = per_writer, .seed = seed};
    atomic_u64_init(&t.writers_left, CONCURRENT_WRITERS);
    ASSERT_OK(memtable_new((key_order){NULL}, 1 << 20, &t.table));
    concurrent_actor actors[CONCURRENT_WRITERS + CONCURRENT_READERS];
    for (uint64_t i = 0; i < CONCURRENT_WRITERS + CONCURRENT_READERS; i++) {
        actors[i] = (concurrent_actor){.test = &t, .number = i};
        ASSERT_OK(thread_start(&actors[i].thread, "memtable test",
                               i < CONCURRENT_WRITERS ? concurrent_write : concurrent_read,
                               &actors[i]));
    }
    for (uint64_t i = 0; i < CONCURRENT_WRITERS + CONCURRENT_READERS; i++)
        thread_join(&actors[i].thread);
    uint64_t all = per_writer * CONCURRENT_WRITERS;
    assert_int_equal(memtable_entries(t.table), all);
    assert_int_equal(memtable_first_sequence(t.table), 1);
    assert_int_equal(memtable_last_sequence(t.table), all);
    concurrent_scan(&t, true);
    concurrent_scan(&t, false);
    rng r;
    rng_init(&r, seed);
    for (uint64_t i = 0; i < all; i++)
        concurrent_look_up(&t, &r);
    memtable_unref(t.table);
}

TEST(memtable_concurrent, four_writers_and_readers_keep_order_and_lose_nothing) {
    uint64_t seed = test_seed();
    for (int shape = 0; shape < CONCURRENT_SHAPES; shape++)
        concurrent_run((concurrent_shape)shape, test_scaled(2000), seed);
}

/* Short tables: contention on the first links, the height and the hint. */
TEST(memtable_concurrent, many_small_tables_survive_the_start) {
    uint64_t seed = test_seed();
    for (uint64_t round = 0; round < test_scaled(100); round++)
        concurrent_run((concurrent_shape)(round % CONCURRENT_SHAPES), 20, seed + round);
}

TEST_MAIN(RUN(memtable_concurrent, four_writers_and_readers_keep_order_and_lose_nothing),
          RUN(memtable_concurrent, many_small_tables_survive_the_start))
