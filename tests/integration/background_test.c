/* Background work as its user steers it: strategies, pausing, cancelling, limits, progress. */
#include "db/db_internal.h"
#include "integration/db_fixture.h"

TEST(background, paused_compactions_leave_l0_alone_until_resumed) {
    char *dir = test_dir_new();
    firn_options options = small_options();
    firn_db *db = open_db(dir, &options);
    ASSERT_FIRN_OK(firn_pause_compactions(db));
    ASSERT_FIRN_OK(firn_pause_compactions(db)); /* pauses are counted */
    for (uint64_t i = 0; i < 6; i++) {
        put_range(db, 0, 100, 100, i);
        ASSERT_FIRN_OK(firn_flush(db));
    }
    ASSERT_FIRN_OK(firn_wait_idle(db));
    assert_int_equal(stats_of(db).levels[0].files, 6);
    ASSERT_FIRN_OK(firn_resume_compactions(db));
    ASSERT_FIRN_OK(firn_wait_idle(db));
    assert_int_equal(stats_of(db).levels[0].files, 6);
    ASSERT_FIRN_OK(firn_resume_compactions(db));
    ASSERT_FIRN_OK(firn_wait_idle(db));
    assert_true(stats_of(db).levels[0].files < 4);
    ASSERT_FIRN(firn_resume_compactions(db), FIRN_INVALID_ARGUMENT);
    expect_range(db, NULL, 0, 100, 100, 5);
    close_db(db);
    test_dir_remove(dir);
}

TEST(background, a_request_works_while_the_rest_is_paused) {
    char *dir = test_dir_new();
    firn_options options = small_options();
    firn_db *db = open_db(dir, &options);
    ASSERT_FIRN_OK(firn_pause_compactions(db));
    put_range(db, 0, 100, 100, 1);
    ASSERT_FIRN_OK(firn_compact_range(db, (firn_slice){0}, (firn_slice){0}));
    assert_int_equal(stats_of(db).levels[0].files, 0);
    ASSERT_FIRN_OK(firn_resume_compactions(db));
    close_db(db);
    test_dir_remove(dir);
}

typedef struct canceller {
    firn_db *db;
    atomic_u32 done;
} canceller;

static void cancel_until_done(void *context) {
    canceller *c = context;
    while (!atomic_u32_load(&c->done, memory_order_acquire)) { /* pairs with the release below */
        ASSERT_FIRN_OK(firn_cancel_compact_range(c->db));
        thread_sleep_ns(200000);
    }
}

TEST(background, a_requested_compaction_is_cancelled_and_works_later) {
    char *dir = test_dir_new();
    firn_options options = small_options();
    firn_db *db = open_db(dir, &options);
    ASSERT_FIRN_OK(firn_cancel_compact_range(db)); /* nothing to cancel */
    put_range(db, 0, 20000, 100, 1);
    thread other;
    canceller c = {.db = db};
    ASSERT_OK(thread_start(&other, "canceller", cancel_until_done, &c));
    firn_status code = FIRN_OK;
    for (uint64_t round = 2; round < 500 && code == FIRN_OK; round++) {
        put_range(db, 0, 2000, 100, round);
        code = firn_compact_range(db, (firn_slice){0}, (firn_slice){0});
    }
    assert_int_equal(code, FIRN_ABORTED);
    atomic_u32_store(&c.done, 1, memory_order_release); /* pairs with the acquire above */
    thread_join(&other);
    ASSERT_FIRN_OK(firn_compact_range(db, (firn_slice){0}, (firn_slice){0}));
    assert_int_equal(stats_of(db).levels[0].files, 0);
    expect_range(db, NULL, 2000, 20000, 100, 1);
    close_db(db);
    test_dir_remove(dir);
}

TEST(background, fifo_lets_the_oldest_go_and_says_so_to_old_snapshots) {
    char *dir = test_dir_new();
    firn_options options = small_options();
    options.strategy = FIRN_STRATEGY_FIFO;
    options.fifo_bytes = 300 << 10;
    firn_db *db = open_db(dir, &options);
    const firn_snapshot *old, *young;
    firn_value value;
    firn_iter *it;
    put_range(db, 0, 100, 100, 1);
    ASSERT_FIRN_OK(firn_snapshot_new(db, &old));
    for (uint64_t i = 1; i < 100; i++)
        put_range(db, 100 * i, 100 * (i + 1), 100, 1);
    ASSERT_FIRN_OK(firn_flush(db));
    ASSERT_FIRN_OK(firn_wait_idle(db));
    assert_true(stats_of(db).table_bytes <= 300 << 10);
    expect_text(db, NULL, numbered_key(0), NULL);
    expect_range(db, NULL, 9900, 10000, 100, 1);
    firn_read_options read = {.snapshot = old};
    ASSERT_FIRN(firn_get(db, &read, FIRN_STR(numbered_key(0)), &value), FIRN_SNAPSHOT_TOO_OLD);
    ASSERT_FIRN(firn_iter_new(db, &read, &it), FIRN_SNAPSHOT_TOO_OLD);
    ASSERT_FIRN_OK(firn_snapshot_new(db, &young));
    expect_range(db, young, 9900, 10000, 100, 1);
    firn_snapshot_release(db, old);
    firn_snapshot_release(db, young);
    close_db(db);
    test_dir_remove(dir);
}

/* Puts keys first .. last - 1 into a keyspace and lets the background come to rest. */
static void fifo_fill(firn_db *db, uint32_t keyspace, uint64_t first, uint64_t last) {
    uint8_t bytes[100];
    firn_batch b;
    batch_init(&b);
    for (uint64_t i = first; i < last; i++) {
        const char *key = numbered_key(i);
        fill_bytes(i, bytes, sizeof bytes);
        batch_clear(&b);
        ASSERT_OK(batch_put(&b, keyspace, slice_of(key, strlen(key)), slice_of(bytes, sizeof bytes),
                            true));
        batch_view view = batch_get_view(&b);
        ASSERT_OK(db_write(db, &view, FIRN_NO));
    }
    batch_deinit(&b);
    ASSERT_OK(db_flush(db));
    ASSERT_OK(db_wait_idle(db));
}

/* What a get and an iterator through a snapshot answer: FIRN_OK, and both find the key. */
static void fifo_expect(firn_db *db, uint32_t keyspace, const firn_snapshot *snapshot, uint64_t i,
                        firn_status code) {
    firn_read_options read = {.snapshot = snapshot};
    firn_value value;
    firn_iter *it;
    uint8_t bytes[100];
    slice key = slice_of(numbered_key(i), strlen(numbered_key(i)));
    assert_int_equal(db_get(db, keyspace, &read, key, &value).code, code);
    assert_int_equal(db_iter_new(db, keyspace, &read, &it).code, code);
    if (code == FIRN_OK) {
        fill_bytes(i, bytes, sizeof bytes);
        assert_int_equal(value.size, sizeof bytes);
        assert_memory_equal(value.data, bytes, sizeof bytes);
        db_iter_seek(it, key);
        assert_true(db_iter_valid(it) && slice_equal(db_iter_key(it), key));
        db_iter_free(it);
    }
    db_value_release(&value);
}

TEST(background, fifo_makes_snapshots_too_old_only_for_the_keyspace_it_dropped_from) {
    char *dir = test_dir_new();
    firn_options options = small_options();
    options.strategy = FIRN_STRATEGY_FIFO;
    options.fifo_bytes = 300 << 10;
    firn_db *db = open_db(dir, &options);
    const firn_snapshot *old, *middle, *young;
    uint32_t other;
    ASSERT_OK(db_keyspace_create(db, "other", &other));
    fifo_fill(db, KEYSPACE_DEFAULT, 0, 100);
    fifo_fill(db, other, 0, 100);
    ASSERT_OK(db_snapshot_new(db, NULL, &old));
    fifo_fill(db, KEYSPACE_DEFAULT, 100, 10000);
    fifo_expect(db, KEYSPACE_DEFAULT, old, 0, FIRN_SNAPSHOT_TOO_OLD);
    fifo_expect(db, other, old, 0, FIRN_OK);
    ASSERT_OK(db_snapshot_new(db, NULL, &middle));
    fifo_expect(db, KEYSPACE_DEFAULT, middle, 9999, FIRN_OK);
    fifo_fill(db, other, 100, 10000);
    fifo_expect(db, other, old, 0, FIRN_SNAPSHOT_TOO_OLD);
    fifo_expect(db, other, middle, 0, FIRN_SNAPSHOT_TOO_OLD);
    fifo_expect(db, KEYSPACE_DEFAULT, middle, 9999, FIRN_OK);
    ASSERT_OK(db_snapshot_new(db, NULL, &young));
    fifo_expect(db, KEYSPACE_DEFAULT, young, 9999, FIRN_OK);
    fifo_expect(db, other, young, 9999, FIRN_OK);
    db_snapshot_release(db, old);
    db_snapshot_release(db, middle);
    db_snapshot_release(db, young);
    close_db(db);
    db = open_db(dir, &options);
    ASSERT_OK(db_snapshot_new(db, NULL, &old));
    fifo_expect(db, KEYSPACE_DEFAULT, old, 9999, FIRN_OK);
    fifo_expect(db, other, old, 9999, FIRN_OK);
    fifo_fill(db, other, 10000, 20000);
    fifo_expect(db, KEYSPACE_DEFAULT, old, 9999, FIRN_OK);
    fifo_expect(db, other, old, 9999, FIRN_SNAPSHOT_TOO_OLD);
    db_snapshot_release(db, old);
    close_db(db);
    test_dir_remove(dir);
}

TEST(background, fifo_keeps_the_tables_of_an_open_iterator) {
    char *dir = test_dir_new();
    firn_options options = small_options();
    options.strategy = FIRN_STRATEGY_FIFO;
    options.fifo_bytes = 200 << 10;
    firn_db *db = open_db(dir, &options);
    firn_iter *it;
    uint64_t seen = 0;
    put_range(db, 0, 1000, 100, 1);
    ASSERT_FIRN_OK(firn_flush(db));
    ASSERT_FIRN_OK(firn_iter_new(db, NULL, &it));
    put_range(db, 1000, 10000, 100, 1);
    ASSERT_FIRN_OK(firn_flush(db));
    ASSERT_FIRN_OK(firn_wait_idle(db));
    expect_text(db, NULL, numbered_key(0), NULL);
    for (firn_iter_seek_first(it); firn_iter_valid(it); firn_iter_next(it))
        seen++;
    ASSERT_FIRN_OK(firn_iter_status(it));
    assert_int_equal(seen, 1000);
    firn_iter_free(it);
    close_db(db);
    test_dir_remove(dir);
}

TEST(background, a_database_goes_from_one_strategy_to_another) {
    static const firn_strategy strategies[] = {FIRN_STRATEGY_LEVELED, FIRN_STRATEGY_TIERED,
                                               FIRN_STRATEGY_LEVELED, FIRN_STRATEGY_FIFO,
                                               FIRN_STRATEGY_TIERED};
    char *dir = test_dir_new();
    for (uint64_t i = 0; i < sizeof strategies / sizeof *strategies; i++) {
        firn_options options = small_options();
        options.strategy = strategies[i];
        firn_db *db = open_db(dir, &options);
        for (uint64_t j = 0; j < i; j++) /* each round's tail is left by the next */
            expect_range(db, NULL, 4000 - 500 * (j + 1), 4000 - 500 * j, 100, j);
        put_range(db, 0, 4000 - 500 * i, 100, i);
        ASSERT_FIRN_OK(firn_flush(db));
        ASSERT_FIRN_OK(firn_wait_idle(db));
        expect_range(db, NULL, 0, 4000 - 500 * i, 100, i);
        close_db(db);
    }
    ASSERT_FIRN_OK(firn_verify(dir, NULL, NULL, NULL));
    test_dir_remove(dir);
}

TEST(background, a_released_snapshot_frees_its_versions_by_request) {
    char *dir = test_dir_new();
    firn_options options = small_options();
    firn_db *db = open_db(dir, &options);
    const firn_snapshot *snapshot;
    put_range(db, 0, 1000, 100, 1);
    ASSERT_FIRN_OK(firn_snapshot_new(db, &snapshot));
    put_range(db, 0, 1000, 100, 2);
    ASSERT_FIRN_OK(firn_compact_range(db, (firn_slice){0}, (firn_slice){0}));
    uint64_t both = stats_of(db).table_bytes;
    expect_range(db, snapshot, 0, 1000, 100, 1);
    firn_snapshot_release(db, snapshot);
    ASSERT_FIRN_OK(firn_compact_range(db, (firn_slice){0}, (firn_slice){0}));
    assert_true(stats_of(db).table_bytes < both * 6 / 10);
    expect_range(db, NULL, 0, 1000, 100, 2);
    close_db(db);
    test_dir_remove(dir);
}

TEST(background, the_rate_is_an_option_that_can_change) {
    char *dir = test_dir_new();
    firn_options options = small_options();
    options.background_rate_bytes = 1000;
    firn_db *db;
    ASSERT_FIRN(firn_open(dir, &options, &db), FIRN_INVALID_ARGUMENT);
    EXPECT_DETAIL("background_rate_bytes");
    options.background_rate_bytes = 1 << 20;
    db = open_db(dir, &options);
    put_range(db, 0, 1000, 100, 1);
    ASSERT_FIRN_OK(firn_set_option(db, "background_rate_bytes", "none"));
    put_range(db, 1000, 2000, 100, 1);
    ASSERT_FIRN_OK(firn_set_option(db, "background_rate_bytes", "100M"));
    ASSERT_FIRN(firn_set_option(db, "background_rate_bytes", "fast"), FIRN_INVALID_ARGUMENT);
    ASSERT_FIRN(firn_set_option(db, "block_bytes", "8K"), FIRN_INVALID_ARGUMENT);
    EXPECT_DETAIL("while the database is open");
    ASSERT_FIRN_OK(firn_flush(db));
    expect_range(db, NULL, 0, 2000, 100, 1);
    close_db(db);
    test_dir_remove(dir);
}

TEST_MAIN(RUN(background, paused_compactions_leave_l0_alone_until_resumed),
          RUN(background, a_request_works_while_the_rest_is_paused),
          RUN(background, a_requested_compaction_is_cancelled_and_works_later),
          RUN(background, fifo_lets_the_oldest_go_and_says_so_to_old_snapshots),
          RUN(background, fifo_makes_snapshots_too_old_only_for_the_keyspace_it_dropped_from),
          RUN(background, fifo_keeps_the_tables_of_an_open_iterator),
          RUN(background, a_database_goes_from_one_strategy_to_another),
          RUN(background, a_released_snapshot_frees_its_versions_by_request),
          RUN(background, the_rate_is_an_option_that_can_change))
