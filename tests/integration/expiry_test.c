/* Values that expire, on a clock the test sets, with background work stepped by hand. */
#include <stdio.h>
#include <stdlib.h>

#include "db/db_internal.h"
#include "lib/test.h"
#include "platform/vfs_mem.h"

typedef struct expiry_fixture {
    vfs_mem *disk;
    time_source clock;
    uint64_t now_ms;
    db_config config;
    firn_db *db;
} expiry_fixture;

static uint64_t expiry_now(void *context) {
    return ((expiry_fixture *)context)->now_ms;
}

static uint64_t expiry_monotonic(void *context) {
    (void)context;
    return 0;
}

static void expiry_begin(expiry_fixture *f) {
    firn_options options = FIRN_OPTIONS_INIT;
    *f = (expiry_fixture){.now_ms = 1000};
    f->clock = (time_source){f, expiry_monotonic, expiry_now};
    ASSERT_OK(vfs_mem_new(&f->disk));
    options.memory_bytes = 8 << 20;
    options.memtable_bytes = 64 << 10;
    options.file_bytes = 64 << 10;
    options.level_base_bytes = 64 << 10;
    ASSERT_OK(db_config_derive(&options, &f->config));
    f->config.vfs = vfs_mem_vfs(f->disk);
    f->config.clock = &f->clock;
    f->config.threads = 0;
    ASSERT_OK(db_open("/db", &f->config, &f->db));
}

static void expiry_end(expiry_fixture *f) {
    ASSERT_OK(db_close(f->db));
    vfs_mem_free(f->disk);
}

static void expiry_reopen(expiry_fixture *f) {
    ASSERT_OK(db_close(f->db));
    ASSERT_OK(db_open("/db", &f->config, &f->db));
}

static void expiry_put(expiry_fixture *f, const char *key, const char *value, uint64_t until) {
    firn_write_options options = FIRN_WRITE_OPTIONS_INIT;
    options.expires_at_ms = until;
    assert_int_equal(firn_put(f->db, &options, FIRN_STR(key), FIRN_STR(value)), FIRN_OK);
}

/* By get and by iterators both ways; NULL: nothing there. */
static void expiry_expect(expiry_fixture *f, const firn_snapshot *s, const char *key,
                          const char *expected) {
    firn_value value;
    firn_iter *it;
    firn_read_options options = {.snapshot = s};
    slice k = slice_from_string(key);
    status st = db_get(f->db, 0, &options, k, &value);
    assert_int_equal(st.code, expected ? FIRN_OK : FIRN_NOT_FOUND);
    if (expected)
        assert_true(slice_equal(slice_of(value.data, value.size), slice_from_string(expected)));
    db_value_release(&value);
    ASSERT_OK(db_iter_new(f->db, 0, &options, &it));
    for (int back = 0; back < 2; back++) {
        if (back)
            db_iter_seek_for_prev(it, k);
        else
            db_iter_seek(it, k);
        bool there = db_iter_valid(it) && slice_equal(db_iter_key(it), k);
        assert_int_equal(there, expected != NULL);
        if (there)
            assert_true(slice_equal(db_iter_value(it), slice_from_string(expected)));
    }
    db_iter_free(it);
}

/* In the memtable, in L0, and at the bottom. */
static void expiry_move(expiry_fixture *f, int place) {
    if (place == 1)
        ASSERT_OK(db_flush(f->db));
    if (place == 2)
        ASSERT_OK(db_compact_range(f->db, SLICE_UNSET, SLICE_UNSET));
    if (place == 3)
        expiry_reopen(f);
}

TEST(expiry, ends_a_value_on_the_millisecond_wherever_it_lies) {
    for (int place = 0; place < 4; place++) {
        expiry_fixture f;
        expiry_begin(&f);
        expiry_put(&f, "a", "mortal", 2000);
        expiry_put(&f, "b", "lasting", 0);
        expiry_put(&f, "c", "never", FIRN_NONE);
        expiry_move(&f, place);
        expiry_expect(&f, NULL, "a", "mortal");
        f.now_ms = 1999;
        expiry_expect(&f, NULL, "a", "mortal");
        f.now_ms = 2000;
        expiry_expect(&f, NULL, "a", NULL);
        expiry_expect(&f, NULL, "b", "lasting");
        expiry_expect(&f, NULL, "c", "never");
        expiry_move(&f, place);
        expiry_expect(&f, NULL, "a", NULL);
        expiry_end(&f);
    }
}

TEST(expiry, never_uncovers_an_older_value) {
    for (int old = 0; old < 3; old++) {
        for (int place = 0; place < 4; place++) {
            expiry_fixture f;
            expiry_begin(&f);
            expiry_put(&f, "k", "old", 0);
            expiry_move(&f, old);
            expiry_put(&f, "k", "new", 2000);
            expiry_move(&f, place == 2 ? 1 : place);
            f.now_ms = 3000;
            expiry_expect(&f, NULL, "k", NULL);
            expiry_move(&f, place);
            expiry_expect(&f, NULL, "k", NULL);
            ASSERT_OK(db_wait_idle(f.db));
            expiry_reopen(&f);
            expiry_expect(&f, NULL, "k", NULL);
            expiry_end(&f);
        }
    }
}

TEST(expiry, a_snapshot_and_an_iterator_keep_their_time) {
    expiry_fixture f;
    const firn_snapshot *s;
    firn_iter *it;
    expiry_begin(&f);
    expiry_put(&f, "k", "value", 2000);
    ASSERT_OK(db_snapshot_new(f.db, NULL, &s));
    ASSERT_OK(db_iter_new(f.db, 0, NULL, &it));
    f.now_ms = 5000;
    expiry_expect(&f, NULL, "k", NULL);
    expiry_expect(&f, s, "k", "value");
    ASSERT_OK(db_flush(f.db));
    ASSERT_OK(db_compact_range(f.db, SLICE_UNSET, SLICE_UNSET));
    expiry_expect(&f, NULL, "k", NULL);
    expiry_expect(&f, s, "k", "value");
    db_iter_seek_first(it);
    assert_true(db_iter_valid(it));
    assert_int_equal(db_iter_expiry_ms(it), 2000);
    ASSERT_OK(db_iter_refresh(it));
    db_iter_seek_first(it);
    assert_false(db_iter_valid(it));
    db_iter_free(it);
    db_snapshot_release(f.db, s);
    expiry_end(&f);
}

TEST(expiry, is_given_back_by_reads_and_kept_for_values_of_all_sizes) {
    static const size_t sizes[] = {0,
                                   1,
                                   127,
                                   129,
                                   70000,
                                   LARGE_VALUE_BYTES - 9,
                                   LARGE_VALUE_BYTES - 8,
                                   LARGE_VALUE_BYTES - 1,
                                   LARGE_VALUE_BYTES,
                                   2 * LARGE_VALUE_BYTES + 5};
    uint8_t *bytes = malloc(3 * LARGE_VALUE_BYTES);
    memset(bytes, 'v', 3 * LARGE_VALUE_BYTES);
    for (int place = 0; place < 4; place++) {
        expiry_fixture f;
        expiry_begin(&f);
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            firn_value value;
            firn_write_options options = FIRN_WRITE_OPTIONS_INIT;
            options.ttl_ms = 500 + i;
            f.now_ms = 1000;
            assert_int_equal(firn_put(f.db, &options, FIRN_STR("k"),
                                      firn_slice_of(bytes, sizes[i])),
                             FIRN_OK);
            expiry_move(&f, place);
            assert_int_equal(firn_get(f.db, NULL, FIRN_STR("k"), &value), FIRN_OK);
            assert_int_equal(value.size, sizes[i]);
            assert_memory_equal(value.data, bytes, sizes[i]);
            assert_int_equal(value.expiry_ms, 1500 + i);
            firn_value_release(&value);
            f.now_ms = 1500 + i;
            assert_int_equal(firn_get(f.db, NULL, FIRN_STR("k"), &value), FIRN_NOT_FOUND);
        }
        expiry_end(&f);
    }
    free(bytes);
}

/* Bytes that compactions read since the open. */
static uint64_t expiry_read(expiry_fixture *f) {
    firn_stats s = {.size = sizeof s};
    db_get_stats(f->db, &s);
    return s.compaction_bytes_read;
}

TEST(expiry, drops_tables_unread_once_all_in_them_has_expired) {
    expiry_fixture f;
    char key[16];
    expiry_begin(&f);
    for (int i = 0; i < 3000; i++) {
        snprintf(key, sizeof key, "a%05d", i);
        expiry_put(&f, key, "a session that will be forgotten", 2000);
    }
    ASSERT_OK(db_flush(f.db));
    ASSERT_OK(db_compact_range(f.db, SLICE_UNSET, SLICE_UNSET));
    const firn_snapshot *s;
    ASSERT_OK(db_snapshot_new(f.db, "reader", &s));
    uint64_t before = expiry_read(&f);
    f.now_ms = 3000;
    ASSERT_OK(db_wait_idle(f.db));
    firn_stats stats = {.size = sizeof stats};
    db_get_stats(f.db, &stats);
    assert_true(stats.table_files > 0); /* the snapshot's clock has not come so far */
    expiry_expect(&f, s, "a00007", "a session that will be forgotten");
    db_snapshot_release(f.db, s);
    ASSERT_OK(db_wait_idle(f.db));
    stats = (firn_stats){.size = sizeof stats};
    db_get_stats(f.db, &stats);
    assert_int_equal(stats.table_files, 0);
    assert_int_equal(expiry_read(&f), before);
    expiry_reopen(&f);
    expiry_expect(&f, NULL, "a00007", NULL);
    expiry_end(&f);
}

static uint64_t expiry_table_bytes(expiry_fixture *f) {
    firn_stats s = {.size = sizeof s};
    db_get_stats(f->db, &s);
    return s.table_bytes;
}

/* Two of three entries expire, one a millisecond; the others stay. What the tables say of that
 * outlives a reopen. */
TEST(expiry, gives_back_the_space_of_what_expired_among_what_stays) {
    enum { KEYS = 3000 };
    expiry_fixture f;
    char key[16];
    expiry_begin(&f);
    for (uint64_t i = 0; i < KEYS; i++) {
        snprintf(key, sizeof key, "a%05d", (int)i);
        expiry_put(&f, key, "a session among accounts", i % 3 ? 2000 + i : 0);
    }
    ASSERT_OK(db_compact_range(f.db, SLICE_UNSET, SLICE_UNSET));
    expiry_reopen(&f);
    uint64_t full = expiry_table_bytes(&f), read = expiry_read(&f);
    f.now_ms = 2000 + KEYS / 4;
    ASSERT_OK(db_wait_idle(f.db));
    assert_true(expiry_table_bytes(&f) > full / 10 * 7);
    f.now_ms = 2000 + KEYS * 2; /* all that will */
    ASSERT_OK(db_wait_idle(f.db));
    assert_true(expiry_table_bytes(&f) < full / 10 * 4);
    assert_true(expiry_read(&f) - read <= 3 * full); /* few times, not once for every key */
    expiry_expect(&f, NULL, "a00003", "a session among accounts");
    expiry_expect(&f, NULL, "a00004", NULL);
    expiry_end(&f);
}

TEST(expiry, refuses_two_times_at_once) {
    expiry_fixture f;
    firn_write_options options = FIRN_WRITE_OPTIONS_INIT;
    expiry_begin(&f);
    options.ttl_ms = 1;
    options.expires_at_ms = 5000;
    assert_int_equal(firn_put(f.db, &options, FIRN_STR("k"), FIRN_STR("v")), FIRN_INVALID_ARGUMENT);
    assert_int_equal(firn_now_ms(f.db), 1000);
    expiry_end(&f);
}

TEST(expiry, batches_expire_too) {
    expiry_fixture f;
    firn_batch *b;
    expiry_begin(&f);
    assert_int_equal(firn_batch_new(&b), FIRN_OK);
    assert_int_equal(firn_batch_put_expiring(b, FIRN_STR("a"), FIRN_STR("1"), 1500), FIRN_OK);
    assert_int_equal(firn_batch_put_expiring(b, FIRN_STR("b"), FIRN_STR("2"), 0), FIRN_OK);
    assert_int_equal(firn_write(f.db, NULL, b), FIRN_OK);
    firn_batch_free(b);
    expiry_expect(&f, NULL, "a", "1");
    f.now_ms = 1500;
    expiry_expect(&f, NULL, "a", NULL);
    expiry_expect(&f, NULL, "b", "2");
    expiry_end(&f);
}

TEST_MAIN(RUN(expiry, ends_a_value_on_the_millisecond_wherever_it_lies),
          RUN(expiry, never_uncovers_an_older_value),
          RUN(expiry, a_snapshot_and_an_iterator_keep_their_time),
          RUN(expiry, is_given_back_by_reads_and_kept_for_values_of_all_sizes),
          RUN(expiry, drops_tables_unread_once_all_in_them_has_expired),
          RUN(expiry, gives_back_the_space_of_what_expired_among_what_stays),
          RUN(expiry, refuses_two_times_at_once), RUN(expiry, batches_expire_too))
