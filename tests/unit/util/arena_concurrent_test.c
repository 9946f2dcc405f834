#include "util/arena.h"

#include <string.h>

#include "base/atomic.h"
#include "lib/test.h"
#include "platform/thread.h"
#include "util/rng.h"

enum { THREADS = 4, PIECES = 20000, PIECE_BYTES_MAX = 96 };

typedef struct worker {
    arena *arena;
    uint64_t seed;
    uint8_t mark;
    uint8_t *pieces[PIECES];
    size_t sizes[PIECES];
    atomic_u64 done; /* pieces the neighbour may look at */
    struct worker *neighbour;
} worker;

static worker workers[THREADS];
static uint64_t pieces_each;

/* Fills its pieces with its mark, and meanwhile checks what its neighbour has published. */
static void work(void *context) {
    worker *w = context;
    rng r;
    rng_init(&r, w->seed);
    for (uint64_t i = 0; i < pieces_each; i++) {
        size_t size = 1 + rng_below(&r, PIECE_BYTES_MAX);
        if (rng_below(&r, 500) == 0)
            size += 2000; /* gets a block of its own */
        uint8_t *piece = arena_allocate(w->arena, size);
        assert_non_null(piece);
        memset(piece, w->mark, size);
        w->pieces[i] = piece;
        w->sizes[i] = size;
        /* release: pairs with the acquire below in the neighbour's neighbour. */
        atomic_u64_store(&w->done, i + 1, memory_order_release);
        uint64_t others = atomic_u64_load(&w->neighbour->done, memory_order_acquire);
        if (others > 0) {
            uint64_t pick = rng_below(&r, others);
            assert_int_equal(w->neighbour->pieces[pick][0], w->neighbour->mark);
            assert_int_equal(w->neighbour->pieces[pick][w->neighbour->sizes[pick] - 1],
                             w->neighbour->mark);
        }
        if (i % 64 == 0)
            assert_true(arena_bytes(w->arena) >= size);
    }
}

static void run_with_block_bytes(size_t block_bytes) {
    arena *a = arena_new(block_bytes);
    assert_non_null(a);
    uint64_t seed = test_seed();
    thread threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        workers[i].arena = a;
        workers[i].seed = seed + (uint64_t)i;
        workers[i].mark = (uint8_t)(i + 1);
        workers[i].neighbour = &workers[(i + 1) % THREADS];
        atomic_u64_init(&workers[i].done, 0);
    }
    for (int i = 0; i < THREADS; i++)
        ASSERT_OK(thread_start(&threads[i], "worker", work, &workers[i]));
    for (int i = 0; i < THREADS; i++)
        thread_join(&threads[i]);
    uint64_t total = 0;
    for (int i = 0; i < THREADS; i++) {
        for (uint64_t p = 0; p < pieces_each; p++) {
            for (size_t j = 0; j < workers[i].sizes[p]; j++)
                assert_int_equal(workers[i].pieces[p][j], workers[i].mark);
            total += workers[i].sizes[p];
        }
    }
    assert_true(arena_bytes(a) >= total);
    arena_free(a);
}

TEST(arena_concurrent, pieces_of_many_threads_never_overlap_in_small_blocks) {
    pieces_each = test_scaled(PIECES / 4);
    if (pieces_each > PIECES)
        pieces_each = PIECES;
    run_with_block_bytes(1024);
}

TEST(arena_concurrent, pieces_of_many_threads_never_overlap_in_large_blocks) {
    pieces_each = test_scaled(PIECES);
    if (pieces_each > PIECES)
        pieces_each = PIECES;
    run_with_block_bytes((size_t)64 << 10);
}

TEST_MAIN(RUN(arena_concurrent, pieces_of_many_threads_never_overlap_in_small_blocks),
          RUN(arena_concurrent, pieces_of_many_threads_never_overlap_in_large_blocks))
