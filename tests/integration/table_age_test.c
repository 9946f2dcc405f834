/* Tables by their age, on a clock the test sets, with background work stepped by hand: what they
 * recorded of themselves counts after a reopen as before it. */
#include <stdio.h>

#include "db/db_internal.h"
#include "lib/test.h"
#include "platform/vfs_mem.h"

typedef struct age_fixture {
    vfs_mem *disk;
    time_source clock;
    uint64_t now_ms;
    db_config config;
    firn_db *db;
} age_fixture;

static uint64_t age_now(void *context) {
    return ((age_fixture *)context)->now_ms;
}

static uint64_t age_monotonic(void *context) {
    (void)context;
    return 0;
}

static void age_begin(age_fixture *f, const firn_options *options) {
    *f = (age_fixture){.now_ms = 1000000};
    f->clock = (time_source){f, age_monotonic, age_now};
    ASSERT_OK(vfs_mem_new(&f->disk));
    ASSERT_OK(db_config_derive(options, &f->config));
    f->config.vfs = vfs_mem_vfs(f->disk);
    f->config.clock = &f->clock;
    f->config.threads = 0;
    ASSERT_OK(db_open("/db", &f->config, &f->db));
}

static void age_reopen(age_fixture *f) {
    ASSERT_OK(db_close(f->db));
    ASSERT_OK(db_open("/db", &f->config, &f->db));
}

static void age_end(age_fixture *f) {
    ASSERT_OK(db_close(f->db));
    vfs_mem_free(f->disk);
}

static void age_put(age_fixture *f, const char *key, const char *value) {
    assert_int_equal(firn_put(f->db, NULL, FIRN_STR(key), FIRN_STR(value)), FIRN_OK);
}

static firn_stats age_stats(age_fixture *f) {
    firn_stats s = {.size = sizeof s};
    db_get_stats(f->db, &s);
    return s;
}

TEST(table_age, of_fifo_goes_on_through_a_reopen) {
    age_fixture f;
    firn_options options = FIRN_OPTIONS_INIT;
    options.strategy = FIRN_STRATEGY_FIFO;
    options.fifo_ttl_ms = 10000;
    age_begin(&f, &options);
    age_put(&f, "old", "1");
    ASSERT_OK(db_flush(f.db));
    f.now_ms += 6000;
    age_put(&f, "new", "2");
    ASSERT_OK(db_flush(f.db));
    age_reopen(&f);
    f.now_ms += 4001; /* the older one is past its time, the newer one is not */
    ASSERT_OK(db_wait_idle(f.db));
    assert_int_equal(age_stats(&f).table_files, 1);
    age_reopen(&f);
    f.now_ms += 6000;
    ASSERT_OK(db_wait_idle(f.db));
    assert_int_equal(age_stats(&f).table_files, 0);
    age_end(&f);
}

/* What a snapshot kept is known to be there after it went, and after a reopen. */
TEST(table_age, a_compaction_by_request_takes_what_an_earlier_snapshot_needed) {
    age_fixture f;
    firn_options options = FIRN_OPTIONS_INIT;
    const firn_snapshot *s;
    char key[16];
    age_begin(&f, &options);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 2000; i++) {
            snprintf(key, sizeof key, "%05d", i);
            age_put(&f, key, round ? "a newer value of some length" : "the older one");
        }
        if (round == 0)
            ASSERT_OK(db_snapshot_new(f.db, "reader", &s));
    }
    ASSERT_OK(db_compact_range(f.db, SLICE_UNSET, SLICE_UNSET));
    uint64_t both = age_stats(&f).table_bytes;
    db_snapshot_release(f.db, s);
    age_reopen(&f);
    ASSERT_OK(db_compact_range(f.db, SLICE_UNSET, SLICE_UNSET));
    assert_true(age_stats(&f).table_bytes < both / 10 * 8);
    uint64_t read = age_stats(&f).compaction_bytes_read;
    ASSERT_OK(db_compact_range(f.db, SLICE_UNSET, SLICE_UNSET)); /* nothing is left to gain */
    assert_int_equal(age_stats(&f).compaction_bytes_read, read);
    age_end(&f);
}

/* Far too little to fill a level; but it has been there too long. */
TEST(table_age, what_was_deleted_leaves_the_disk_in_time) {
    age_fixture f;
    firn_options options = FIRN_OPTIONS_INIT;
    options.purge_age_ms = 60000;
    age_begin(&f, &options);
    age_put(&f, "a secret", "that has to go");
    age_put(&f, "another", "that stays");
    ASSERT_OK(db_compact_range(f.db, SLICE_UNSET, SLICE_UNSET));
    f.now_ms += 1000;
    assert_int_equal(firn_delete(f.db, NULL, FIRN_STR("a secret")), FIRN_OK);
    ASSERT_OK(db_flush(f.db));
    f.now_ms += 59999;
    ASSERT_OK(db_wait_idle(f.db));
    assert_int_equal(age_stats(&f).table_files, 2);
    age_reopen(&f);
    f.now_ms += 1;
    ASSERT_OK(db_wait_idle(f.db));
    assert_int_equal(age_stats(&f).table_files, 1);
    uint64_t written = age_stats(&f).compaction_bytes_written;
    f.now_ms += 1000000; /* once: there is nothing more to give up */
    ASSERT_OK(db_wait_idle(f.db));
    assert_int_equal(age_stats(&f).compaction_bytes_written, written);
    age_end(&f);
}

TEST(table_age, an_option_that_makes_no_sense_is_refused) {
    db_config config;
    firn_options options = FIRN_OPTIONS_INIT;
    options.purge_age_ms = 999;
    ASSERT_CODE(db_config_derive(&options, &config), FIRN_INVALID_ARGUMENT);
    options.purge_age_ms = 1000;
    ASSERT_OK(db_config_derive(&options, &config));
    options.strategy = FIRN_STRATEGY_TIERED;
    ASSERT_CODE(db_config_derive(&options, &config), FIRN_INVALID_ARGUMENT);
}

TEST_MAIN(RUN(table_age, of_fifo_goes_on_through_a_reopen),
          RUN(table_age, a_compaction_by_request_takes_what_an_earlier_snapshot_needed),
          RUN(table_age, what_was_deleted_leaves_the_disk_in_time),
          RUN(table_age, an_option_that_makes_no_sense_is_refused))
