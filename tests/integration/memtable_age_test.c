/* Memtables sealed by age, on a clock the test sets, with background work stepped by hand. */
#include "db/db_internal.h"
#include "lib/test.h"
#include "platform/vfs_mem.h"

typedef struct age_fixture {
    vfs_mem *disk;
    time_source clock;
    uint64_t now_ns;
    firn_db *db;
} age_fixture;

static uint64_t age_monotonic(void *context) {
    return ((age_fixture *)context)->now_ns;
}

static uint64_t age_now(void *context) {
    return ((age_fixture *)context)->now_ns / 1000000;
}

static void age_begin(age_fixture *f, uint64_t age_ms) {
    firn_options options = FIRN_OPTIONS_INIT;
    db_config config;
    *f = (age_fixture){.now_ns = 5000000000};
    f->clock = (time_source){f, age_monotonic, age_now};
    ASSERT_OK(vfs_mem_new(&f->disk));
    options.memtable_age_ms = age_ms;
    ASSERT_OK(db_config_derive(&options, &config));
    config.vfs = vfs_mem_vfs(f->disk);
    config.clock = &f->clock;
    config.threads = 0;
    ASSERT_OK(db_open("/db", &config, &f->db));
}

static void age_end(age_fixture *f) {
    ASSERT_OK(db_close(f->db));
    vfs_mem_free(f->disk);
}

static void age_put(age_fixture *f, const char *key) {
    assert_int_equal(firn_put(f->db, NULL, FIRN_STR(key), FIRN_STR("v")), FIRN_OK);
}

/* Tables after all due work at `ms` after the start. */
static uint64_t age_tables_at(age_fixture *f, uint64_t ms) {
    firn_stats stats = {.size = sizeof stats};
    f->now_ns = 5000000000 + ms * 1000000;
    while (db_step(f->db)) {
    }
    db_get_stats(f->db, &stats);
    return stats.table_files;
}

TEST(memtable_age, a_memtable_is_flushed_when_its_first_write_is_that_old) {
    age_fixture f;
    age_begin(&f, 60000);
    assert_int_equal(age_tables_at(&f, 100000), 0); /* empty ones do not age */
    age_put(&f, "a");
    assert_int_equal(age_tables_at(&f, 150000), 0);
    age_put(&f, "b"); /* a later write does not make it younger */
    assert_int_equal(age_tables_at(&f, 159999), 0);
    assert_int_equal(age_tables_at(&f, 160000), 1);
    age_put(&f, "c");
    assert_int_equal(age_tables_at(&f, 200000), 1);
    assert_int_equal(age_tables_at(&f, 220000), 2);
    age_end(&f);
}

TEST(memtable_age, without_the_option_size_alone_decides) {
    age_fixture f;
    age_begin(&f, FIRN_NONE);
    age_put(&f, "a");
    assert_int_equal(age_tables_at(&f, 1000000000), 0);
    age_end(&f);
}

TEST(memtable_age, a_commit_under_way_is_not_waited_for) {
    age_fixture f;
    age_begin(&f, 1000);
    age_put(&f, "a");
    assert_true(commit_queue_try_enter(&f.db->commit.queue));
    assert_int_equal(age_tables_at(&f, 5000), 0);
    commit_queue_leave(&f.db->commit.queue);
    assert_int_equal(age_tables_at(&f, 5000), 1);
    age_end(&f);
}

TEST_MAIN(RUN(memtable_age, a_memtable_is_flushed_when_its_first_write_is_that_old),
          RUN(memtable_age, without_the_option_size_alone_decides),
          RUN(memtable_age, a_commit_under_way_is_not_waited_for))
