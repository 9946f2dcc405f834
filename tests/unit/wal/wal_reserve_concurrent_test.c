/* Records that are filled abreast: room is taken in order, filled in any order. */
#include <stdlib.h>

#include "platform/thread.h"
#include "wal_fixture.h"

enum { RESERVE_MAX = 64 };

/* A log whose current segment is mapped and has room. */
typedef struct reserve_fixture {
    vfs_mem *disk;
    wal_writer *w;
    log_entries *model;
    rng random;
    firn_batch batches[RESERVE_MAX];
    wal_reservation rooms[RESERVE_MAX];
    size_t count;
} reserve_fixture;

static void reserve_setup(reserve_fixture *f) {
    *f = (reserve_fixture){.disk = log_disk_new(), .model = log_entries_new()};
    wal_writer_args args = log_writer_args(vfs_mem_vfs(f->disk));
    args.io = WAL_IO_MAPPED;
    args.segment_bytes_first = args.segment_bytes_max = 1 << 20;
    f->w = log_writer_new(&args);
    rng_init(&f->random, test_seed());
    firn_batch first;
    batch_init(&first);
    log_batch_put(&first, "first", 100, 1);
    ASSERT_OK(log_append(f->w, &first, f->model));
    batch_deinit(&first);
}

static void reserve_teardown(reserve_fixture *f) {
    for (size_t i = 0; i < f->count; i++)
        batch_deinit(&f->batches[i]);
    wal_writer_free(f->w);
    free(f->model);
    vfs_mem_free(f->disk);
}

/* Takes room for one more batch. */
static void reserve_next(reserve_fixture *f) {
    firn_batch *b = &f->batches[f->count];
    batch_init(b);
    log_batch_fill(b, &f->random, 1 + (uint32_t)rng_below(&f->random, 4), 200);
    batch_view view = batch_get_view(b);
    seqno first = log_next_sequence(f->model);
    wal_reservation *room = &f->rooms[f->count++];
    assert_true(wal_writer_reserve(f->w, first, &view, 1, room));
    f->model->at[f->model->count] = log_entry_of(b, first);
    f->model->at[f->model->count++].position = room->position;
}

static void reserve_fill(reserve_fixture *f, size_t i) {
    batch_view view = batch_get_view(&f->batches[i]);
    ASSERT_OK(wal_writer_fill(f->w, &f->rooms[i], &view, 1));
}

/* What a process that dies now leaves. */
static void reserve_recover(reserve_fixture *f, log_entries *found, wal_recovery *r) {
    vfs_mem *clone = NULL;
    ASSERT_OK(vfs_mem_crash_clone(f->disk, VFS_MEM_KILL, 1, &clone));
    log_recover(vfs_mem_vfs(clone), found, r);
    log_assert_prefix(found, f->model);
    vfs_mem_free(clone);
}

TEST(wal_reserve, records_filled_in_any_order_are_read_in_theirs) {
    reserve_fixture f;
    reserve_setup(&f);
    size_t order[RESERVE_MAX];
    for (size_t i = 0; i < RESERVE_MAX; i++) {
        reserve_next(&f);
        order[i] = i;
    }
    for (size_t i = RESERVE_MAX; i > 1; i--) {
        size_t j = rng_below(&f.random, i), other = order[j];
        order[j] = order[i - 1];
        order[i - 1] = other;
    }
    for (size_t i = 0; i < RESERVE_MAX; i++)
        reserve_fill(&f, order[i]);
    for (size_t i = 0; i < RESERVE_MAX; i++) {
        assert_int_equal(wal_writer_end(f.w), f.rooms[i].position);
        wal_writer_publish(f.w, &f.rooms[i]);
    }
    log_entries *found = log_entries_new();
    wal_recovery r;
    reserve_recover(&f, found, &r);
    log_assert_equal(found, f.model);
    assert_int_equal(r.end_position, wal_writer_end(f.w));
    assert_int_equal(r.torn_bytes, 0);
    wal_recovery_deinit(&r);
    free(found);
    reserve_teardown(&f);
}

TEST(wal_reserve, what_was_not_filled_is_a_torn_tail_with_all_behind_it) {
    reserve_fixture f;
    reserve_setup(&f);
    size_t hole = 1 + rng_below(&f.random, 8);
    for (size_t i = 0; i < 10; i++)
        reserve_next(&f);
    for (size_t i = 0; i < 10; i++) {
        if (i != hole)
            reserve_fill(&f, i);
    }
    for (size_t i = 0; i < hole; i++)
        wal_writer_publish(f.w, &f.rooms[i]);
    /* A sync claims nothing of what is not published; else the hole would be damage. */
    ASSERT_OK(wal_writer_sync(f.w));
    assert_int_equal(wal_writer_synced(f.w), f.rooms[hole].position);
    log_entries *found = log_entries_new();
    wal_recovery r;
    reserve_recover(&f, found, &r);
    assert_int_equal(found->count, 1 + hole);
    assert_int_equal(r.end_position, f.rooms[hole].position);
    wal_recovery_deinit(&r);
    free(found);
    reserve_teardown(&f);
}

TEST(wal_reserve, an_append_goes_on_behind_what_was_published) {
    reserve_fixture f;
    reserve_setup(&f);
    firn_batch b;
    batch_init(&b);
    for (size_t i = 0; i < 20; i++) {
        reserve_next(&f);
        reserve_fill(&f, f.count - 1);
        wal_writer_publish(f.w, &f.rooms[f.count - 1]);
        log_batch_fill(&b, &f.random, 2, i % 4 == 3 ? 80000 : 300); /* large ones are written */
        ASSERT_OK(log_append(f.w, &b, f.model));
    }
    batch_deinit(&b);
    log_entries *found = log_entries_new();
    wal_recovery r;
    reserve_recover(&f, found, &r);
    log_assert_equal(found, f.model);
    wal_recovery_deinit(&r);
    free(found);
    reserve_teardown(&f);
}

static bool reserve_one(wal_writer *w, const firn_batch *b, seqno first) {
    wal_reservation room;
    batch_view view = batch_get_view(b);
    return wal_writer_reserve(w, first, &view, 1, &room);
}

TEST(wal_reserve, there_is_no_room_where_stores_do_not_suffice) {
    reserve_fixture f;
    reserve_setup(&f);
    firn_batch small, stored, large;
    batch_init(&small);
    batch_init(&stored);
    batch_init(&large);
    log_batch_put(&small, "k", 10, 1);
    log_batch_put(&stored, "k", 100000, 1); /* written, whatever the mode */
    log_batch_put(&large, "k", 2 << 20, 1);
    seqno next = log_next_sequence(f.model);
    uint64_t end = wal_writer_end(f.w);
    assert_false(reserve_one(f.w, &stored, next));
    assert_false(reserve_one(f.w, &large, next));
    assert_int_equal(wal_writer_end(f.w), end);
    /* Up to the segment's end, and not beyond. */
    size_t rounds = 0;
    wal_reservation room;
    batch_view view = batch_get_view(&small);
    while (wal_writer_reserve(f.w, next, &view, 1, &room)) {
        ASSERT_OK(wal_writer_fill(f.w, &room, &view, 1));
        wal_writer_publish(f.w, &room);
        next++;
        assert_true(++rounds < 1000000);
    }
    slice ops;
    ASSERT_OK(wal_writer_append(f.w, next, &view, 1, &ops));
    wal_writer_args args = log_writer_args(vfs_mem_vfs(f.disk));
    args.io = WAL_IO_PWRITE;
    args.next_segment = 1000;
    wal_writer *written = log_writer_new(&args);
    assert_false(reserve_one(written, &small, 1)); /* no segment yet */
    ASSERT_OK(wal_writer_append(written, 1, &view, 1, &ops));
    assert_false(reserve_one(written, &small, 2));
    wal_writer_free(written);
    batch_deinit(&small);
    batch_deinit(&stored);
    batch_deinit(&large);
    reserve_teardown(&f);
}

typedef struct filler {
    reserve_fixture *f;
    size_t first;
    thread handle;
} filler;

static void fill_every_third(void *context) {
    filler *m = context;
    for (size_t i = m->first; i < m->f->count; i += 3) {
        batch_view view = batch_get_view(&m->f->batches[i]);
        CHECK(status_is_ok(wal_writer_fill(m->f->w, &m->f->rooms[i], &view, 1)));
    }
}

static void sync_meanwhile(void *context) {
    for (int i = 0; i < 20; i++)
        CHECK(status_is_ok(wal_writer_sync(context)));
}

TEST(wal_reserve, threads_fill_side_by_side_and_beside_syncs) {
    reserve_fixture f;
    reserve_setup(&f);
    filler fillers[3];
    thread syncer;
    for (size_t i = 0; i < RESERVE_MAX; i++)
        reserve_next(&f);
    ASSERT_OK(thread_start(&syncer, "sync", sync_meanwhile, f.w));
    for (size_t i = 0; i < 3; i++) {
        fillers[i] = (filler){.f = &f, .first = i};
        ASSERT_OK(thread_start(&fillers[i].handle, "fill", fill_every_third, &fillers[i]));
    }
    for (size_t i = 0; i < 3; i++)
        thread_join(&fillers[i].handle);
    thread_join(&syncer);
    for (size_t i = 0; i < RESERVE_MAX; i++)
        wal_writer_publish(f.w, &f.rooms[i]);
    log_entries *found = log_entries_new();
    wal_recovery r;
    reserve_recover(&f, found, &r);
    log_assert_equal(found, f.model);
    wal_recovery_deinit(&r);
    free(found);
    reserve_teardown(&f);
}

TEST_MAIN(RUN(wal_reserve, records_filled_in_any_order_are_read_in_theirs),
          RUN(wal_reserve, what_was_not_filled_is_a_torn_tail_with_all_behind_it),
          RUN(wal_reserve, an_append_goes_on_behind_what_was_published),
          RUN(wal_reserve, there_is_no_room_where_stores_do_not_suffice),
          RUN(wal_reserve, threads_fill_side_by_side_and_beside_syncs))
