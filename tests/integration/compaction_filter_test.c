/* A compaction filter of the user's. */
#include <stdio.h>
#include <stdlib.h>

#include "integration/db_fixture.h"
#include "lib/test.h"

typedef struct filter_state {
    uint32_t shown, fails;
    char changed[64];
} filter_state;

static const firn_slice everywhere = {0};

/* By the value's first letter: r goes, c becomes upper case, f fails for a while, others stay. */
static firn_filter_verdict filter_decide(void *context, const firn_filter_entry *e,
                                         firn_slice *changed) {
    filter_state *s = context;
    s->shown++;
    if (e->value.size == 0 || !e->value.data)
        return FIRN_FILTER_KEEP;
    switch (e->value.data[0]) {
    case 'r':
        return FIRN_FILTER_REMOVE;
    case 'c':
        snprintf(s->changed, sizeof s->changed, "C%.*s", (int)e->value.size - 1,
                 (const char *)e->value.data + 1);
        *changed = firn_slice_str(s->changed);
        return FIRN_FILTER_CHANGE;
    case 'f':
        if (s->fails == 0)
            return FIRN_FILTER_KEEP;
        s->fails--;
        return FIRN_FILTER_FAIL;
    default:
        return FIRN_FILTER_KEEP;
    }
}

static firn_status compact_all(firn_db *db) {
    return firn_compact_range(db, everywhere, everywhere);
}

TEST(compaction_filter, keeps_removes_and_changes) {
    filter_state seen = {0};
    firn_compaction_filter filter = {"test", &seen, filter_decide};
    char *dir = test_dir_new();
    firn_options options = small_options();
    firn_db *db = open_db(dir, &options);
    put_text(db, "a", "remove, an older version");
    put_text(db, "b", "remove");
    assert_int_equal(compact_all(db), FIRN_OK);
    close_db(db);
    options.compaction_filter = &filter;
    db = open_db(dir, &options);
    firn_write_options until = FIRN_WRITE_OPTIONS_INIT;
    until.ttl_ms = 1000000;
    put_text(db, "a", "keep");
    put_text(db, "c", "change");
    delete_text(db, "d");
    assert_int_equal(firn_put(db, &until, FIRN_STR("e"), FIRN_STR("cut")), FIRN_OK);
    assert_int_equal(firn_flush(db), FIRN_OK);
    assert_int_equal(seen.shown, 0); /* flushes do not ask */
    expect_text(db, NULL, "b", "remove");
    assert_int_equal(compact_all(db), FIRN_OK);
    assert_int_equal(seen.shown, 4);
    for (int i = 0; i < 2; i++) {
        firn_value value;
        expect_text(db, NULL, "a", "keep");
        expect_text(db, NULL, "b", NULL);
        expect_text(db, NULL, "c", "Change");
        assert_int_equal(firn_get(db, NULL, FIRN_STR("e"), &value), FIRN_OK);
        assert_true(value.expiry_ms > firn_now_ms(db));
        assert_int_equal(value.data[0], 'C');
        firn_value_release(&value);
        close_db(db);
        db = open_db(dir, &options);
    }
    /* A manual compaction asks again, though there is nothing else to do. */
    seen.shown = 0;
    assert_int_equal(compact_all(db), FIRN_OK);
    assert_int_equal(seen.shown, 3);
    close_db(db);
    test_dir_remove(dir);
}

TEST(compaction_filter, leaves_alone_what_a_snapshot_sees) {
    filter_state seen = {0};
    firn_compaction_filter filter = {"test", &seen, filter_decide};
    char *dir = test_dir_new();
    firn_options options = small_options();
    options.compaction_filter = &filter;
    firn_db *db = open_db(dir, &options);
    const firn_snapshot *s;
    put_text(db, "a", "remove");
    assert_int_equal(firn_snapshot_new(db, &s), FIRN_OK);
    assert_int_equal(compact_all(db), FIRN_OK);
    assert_int_equal(seen.shown, 0);
    put_text(db, "b", "remove");
    assert_int_equal(compact_all(db), FIRN_OK);
    assert_int_equal(seen.shown, 1);
    expect_text(db, s, "a", "remove");
    expect_text(db, NULL, "b", NULL);
    firn_snapshot_release(db, s);
    assert_int_equal(compact_all(db), FIRN_OK);
    expect_text(db, NULL, "a", NULL);
    close_db(db);
    test_dir_remove(dir);
}

TEST(compaction_filter, that_fails_fails_the_compaction_and_loses_nothing) {
    filter_state seen = {.fails = 1};
    firn_compaction_filter filter = {"test", &seen, filter_decide};
    char *dir = test_dir_new();
    firn_options options = small_options();
    options.compaction_filter = &filter;
    firn_db *db = open_db(dir, &options);
    put_text(db, "a", "fail");
    put_text(db, "b", "remove");
    assert_int_equal(compact_all(db), FIRN_INVALID_ARGUMENT);
    EXPECT_DETAIL("compaction filter 'test'");
    expect_text(db, NULL, "a", "fail");
    assert_int_equal(compact_all(db), FIRN_OK);
    expect_text(db, NULL, "a", "fail");
    expect_text(db, NULL, "b", NULL);
    close_db(db);
    filter.decide = NULL;
    assert_int_equal(firn_open(dir, &options, &db), FIRN_INVALID_ARGUMENT);
    EXPECT_DETAIL("compaction_filter");
    test_dir_remove(dir);
}

TEST_MAIN(RUN(compaction_filter, keeps_removes_and_changes),
          RUN(compaction_filter, leaves_alone_what_a_snapshot_sees),
          RUN(compaction_filter, that_fails_fails_the_compaction_and_loses_nothing))
