#include "version/snapshot_registry.h"

#include "lib/test.h"
#include "platform/memory.h"

static void set_visible(atomic_u64 *visible, uint64_t sequence) {
    atomic_u64_store(visible, sequence, memory_order_relaxed); /* relaxed: one thread */
}

static void expect_list(snapshot_registry *r, const seqno *expected, size_t count) {
    snapshot_list list;
    ASSERT_OK(snapshot_registry_list(r, &list));
    assert_int_equal(list.count, count);
    assert_memory_equal(list.sequences, expected, count * sizeof *expected);
    snapshot_list_deinit(&list);
}

static uint64_t registry_clock_ms;

static uint64_t registry_now(void *context) {
    (void)context;
    return registry_clock_ms;
}

static const time_source registry_clock = {NULL, registry_now, registry_now};

TEST(snapshot_registry, lists_what_is_read_at_and_what_is_visible) {
    atomic_u64 visible;
    snapshot_registry r;
    struct firn_snapshot *a, *b, *c;
    seqno oldest;
    atomic_u64_init(&visible, 5);
    snapshot_registry_init(&r, &visible, &registry_clock);
    expect_list(&r, (seqno[]){5}, 1);
    ASSERT_OK(snapshot_take(&r, NULL, &a));
    expect_list(&r, (seqno[]){5}, 1);
    set_visible(&visible, 7);
    expect_list(&r, (seqno[]){5, 7}, 2);
    ASSERT_OK(snapshot_take(&r, NULL, &b));
    ASSERT_OK(snapshot_take(&r, NULL, &c)); /* two at one sequence */
    set_visible(&visible, 9);
    expect_list(&r, (seqno[]){5, 7, 9}, 3);
    assert_int_equal(snapshot_registry_count(&r, &oldest), 3);
    assert_int_equal(oldest, 5);
    snapshot_drop(&r, b);
    expect_list(&r, (seqno[]){5, 7, 9}, 3);
    snapshot_drop(&r, a);
    expect_list(&r, (seqno[]){7, 9}, 2);
    snapshot_drop(&r, c);
    expect_list(&r, (seqno[]){9}, 1);
    assert_int_equal(snapshot_registry_count(&r, &oldest), 0);
    assert_int_equal(oldest, 0);
    snapshot_registry_deinit(&r);
}

TEST(snapshot_registry, gives_each_sequence_the_earliest_clock_that_reads_there) {
    atomic_u64 visible;
    snapshot_registry r;
    struct firn_snapshot *a, *b, *c;
    snapshot_list list;
    atomic_u64_init(&visible, 5);
    registry_clock_ms = 100;
    snapshot_registry_init(&r, &visible, &registry_clock);
    ASSERT_OK(snapshot_take(&r, "first", &a));
    assert_string_equal(a->label, "first");
    registry_clock_ms = 200;
    ASSERT_OK(snapshot_take(&r, NULL, &b));
    ASSERT_OK(snapshot_registry_list(&r, &list));
    assert_int_equal(list.count, 1);
    assert_int_equal(list.clocks_ms[0], 100);
    assert_true(list.newest_is_held);
    snapshot_list_deinit(&list);
    set_visible(&visible, 7);
    ASSERT_OK(snapshot_take(&r, NULL, &c));
    snapshot_drop(&r, a);
    registry_clock_ms = 300;
    set_visible(&visible, 8);
    ASSERT_OK(snapshot_registry_list(&r, &list));
    assert_int_equal(list.count, 3);
    assert_int_equal(list.clocks_ms[0], 200);
    assert_int_equal(list.clocks_ms[1], 200);
    assert_int_equal(list.clocks_ms[2], 300);
    assert_false(list.newest_is_held);
    snapshot_list_deinit(&list);
    snapshot_drop(&r, b);
    snapshot_drop(&r, c);
    snapshot_registry_deinit(&r);
}

TEST(snapshot_registry, says_when_memory_is_short) {
    atomic_u64 visible;
    snapshot_registry r;
    struct firn_snapshot *s;
    snapshot_list list;
    atomic_u64_init(&visible, 5);
    snapshot_registry_init(&r, &visible, &registry_clock);
    memory_fail_after(1, false);
    ASSERT_CODE(snapshot_take(&r, NULL, &s), FIRN_NO_MEMORY);
    assert_null(s);
    memory_fail_after(1, false);
    ASSERT_CODE(snapshot_registry_list(&r, &list), FIRN_NO_MEMORY);
    memory_fail_after(0, false);
    snapshot_registry_deinit(&r);
}

TEST_MAIN(RUN(snapshot_registry, lists_what_is_read_at_and_what_is_visible),
          RUN(snapshot_registry, gives_each_sequence_the_earliest_clock_that_reads_there),
          RUN(snapshot_registry, says_when_memory_is_short))
