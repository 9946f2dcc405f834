#include "version/snapshot_registry.h"

#include "lib/test.h"
#include "platform/memory.h"

static void set_visible(atomic_u64 *visible, uint64_t sequence) {
    atomic_u64_store(visible, sequence, memory_order_relaxed); /* relaxed: one thread */
}

static void expect_list(snapshot_registry *r, const seqno *expected, size_t count) {
    seqno *list;
    size_t got;
    ASSERT_OK(snapshot_registry_list(r, &list, &got));
    assert_int_equal(got, count);
    assert_memory_equal(list, expected, count * sizeof *list);
    memory_free(list);
}

TEST(snapshot_registry, lists_what_is_read_at_and_what_is_visible) {
    atomic_u64 visible;
    snapshot_registry r;
    struct firn_snapshot *a, *b, *c;
    seqno oldest;
    atomic_u64_init(&visible, 5);
    snapshot_registry_init(&r, &visible);
    expect_list(&r, (seqno[]){5}, 1);
    ASSERT_OK(snapshot_take(&r, 1, &a));
    expect_list(&r, (seqno[]){5}, 1);
    set_visible(&visible, 7);
    expect_list(&r, (seqno[]){5, 7}, 2);
    ASSERT_OK(snapshot_take(&r, 2, &b));
    ASSERT_OK(snapshot_take(&r, 3, &c)); /* two at one sequence */
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

TEST(snapshot_registry, says_when_memory_is_short) {
    atomic_u64 visible;
    snapshot_registry r;
    struct firn_snapshot *s;
    seqno *list;
    size_t count;
    atomic_u64_init(&visible, 5);
    snapshot_registry_init(&r, &visible);
    memory_fail_after(1, false);
    ASSERT_CODE(snapshot_take(&r, 1, &s), FIRN_NO_MEMORY);
    assert_null(s);
    memory_fail_after(1, false);
    ASSERT_CODE(snapshot_registry_list(&r, &list, &count), FIRN_NO_MEMORY);
    memory_fail_after(0, false);
    snapshot_registry_deinit(&r);
}

TEST_MAIN(RUN(snapshot_registry, lists_what_is_read_at_and_what_is_visible),
          RUN(snapshot_registry, says_when_memory_is_short))
