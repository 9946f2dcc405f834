#include "table_fixture.h"

#include <string.h>

#include "platform/thread.h"
#include "table/table_cache.h"

enum { CONCURRENT_THREADS = 4 };

typedef struct concurrent_reader {
    fixture *f;
    table_cache *tables;
    table_locator where;
    epoch *readers;
    table_slot *slot; /* of all readers */
    uint64_t seed;
    uint64_t rounds;
} concurrent_reader;

/* A few lookups inside the epoch, while others close the table. */
static void concurrent_peek(concurrent_reader *reader, rng *r) {
    uint64_t inside = epoch_enter(reader->readers);
    table *t = table_slot_peek(reader->slot);
    table_read_args args = {.fill_cache = true};
    for (int i = 0; t && i < 20; i++) {
        internal_key key = fixture_key(reader->f, (uint32_t)rng_below(r, reader->f->count));
        fixture_check_get(reader->f, t, internal_key_user(key).s, SEQNO_MAX, &args, false);
    }
    epoch_leave(reader->readers, inside);
}

static void concurrent_run(void *context) {
    concurrent_reader *reader = context;
    rng r;
    rng_init(&r, reader->seed);
    for (uint64_t round = 0; round < reader->rounds; round++) {
        table *t = NULL;
        concurrent_peek(reader, &r);
        ASSERT_OK(
            table_cache_get(reader->tables, &reader->where, reader->slot, (key_order){NULL}, &t));
        table_read_args args = {.fill_cache = rng_below(&r, 4) != 0,
                                .read_ahead = rng_below(&r, 2) != 0};
        for (int i = 0; i < 50; i++) {
            internal_key key = fixture_key(reader->f, (uint32_t)rng_below(&r, reader->f->count));
            fixture_check_get(reader->f, t, internal_key_user(key).s, SEQNO_MAX, &args, false);
        }
        iter *it = NULL;
        uint32_t at = (uint32_t)rng_below(&r, reader->f->count);
        ASSERT_OK(table_iter_new(t, &args, &it));
        table_unref(t);
        iter_seek(it, fixture_key(reader->f, at));
        for (int i = 0; i < 200 && iter_valid(it); i++, at++) {
            assert_true(fixture_stands_on(reader->f, it, at));
            iter_next(it);
        }
        iter_free(it);
        if (rng_below(&r, 8) == 0)
            table_cache_forget(reader->tables, &reader->where);
    }
}

TEST(table_concurrent, readers_share_tables_and_blocks_while_both_are_evicted) {
    fixture f;
    rng r;
    cache *blocks = NULL;
    table_cache *tables = NULL;
    static epoch inside;
    table_slot slot;
    thread threads[CONCURRENT_THREADS];
    concurrent_reader readers[CONCURRENT_THREADS];
    uint64_t seed = test_seed();
    rng_init(&r, seed);
    epoch_init(&inside);
    table_slot_init(&slot);
    fixture_init(&f);
    table_builder_args args = fixture_args();
    fixture_fill(&f, &r, 1, 3000);
    fixture_sort(&f, args.order);
    fixture_build(&f, &args);
    ASSERT_OK(cache_new(8000, 2, &blocks)); /* a few blocks: eviction all the time */
    ASSERT_OK(table_cache_new(&(table_cache_args){.vfs = vfs_mem_vfs(f.disk),
                                                  .directory = "",
                                                  .blocks = blocks,
                                                  .readers = &inside,
                                                  .tables_max = 1},
                              &tables));
    for (int i = 0; i < CONCURRENT_THREADS; i++) {
        readers[i] = (concurrent_reader){.f = &f,
                                         .tables = tables,
                                         .readers = &inside,
                                         .slot = &slot,
                                         .where = {.number = 1, .file_bytes = f.built.file_bytes},
                                         .seed = seed + (uint64_t)i,
                                         .rounds = test_scaled(60)};
        memcpy(readers[i].where.identity, args.identity, 16);
        ASSERT_OK(thread_start(&threads[i], "reader", concurrent_run, &readers[i]));
    }
    for (int i = 0; i < CONCURRENT_THREADS; i++)
        thread_join(&threads[i]);
    table_slot_close(&slot);
    table_cache_free(tables);
    epoch_deinit(&inside);
    cache_free(blocks);
    fixture_deinit(&f);
}

TEST_MAIN(RUN(table_concurrent, readers_share_tables_and_blocks_while_both_are_evicted))
