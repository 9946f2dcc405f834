#include "platform/memory.h"

#include <string.h>

#include "lib/test.h"

TEST(memory, gives_usable_blocks_of_every_kind) {
    char *plain = memory_new(10);
    uint8_t *zeroed = memory_new_zeroed(100);
    void *aligned = memory_new_aligned(64, 10);
    char *text = memory_copy_string("snow");
    uint8_t *copy = memory_copy("\x01\x02", 2);
    assert_non_null(plain);
    memset(plain, 1, 10);
    for (int i = 0; i < 100; i++)
        assert_int_equal(zeroed[i], 0);
    assert_int_equal((uintptr_t)aligned % 64, 0);
    assert_string_equal(text, "snow");
    assert_memory_equal(copy, "\x01\x02", 2);
    plain = memory_resize(plain, 1000);
    assert_int_equal(plain[9], 1);
    memory_free(plain);
    memory_free(zeroed);
    memory_free(aligned);
    memory_free(text);
    memory_free(copy);
    memory_free(NULL);
}

TEST(memory, zero_bytes_give_distinct_blocks) {
    void *one = memory_new(0);
    void *two = memory_new_zeroed(0);
    void *three = memory_resize(NULL, 0);
    assert_non_null(one);
    assert_non_null(two);
    assert_non_null(three);
    assert_ptr_not_equal(one, two);
    one = memory_resize(one, 0);
    assert_non_null(one);
    memory_free(one);
    memory_free(two);
    memory_free(three);
}

TEST(memory, fails_the_chosen_allocation_once) {
    memory_fail_after(2, false);
    void *first = memory_new(1);
    void *second = memory_new(1);
    void *third = memory_new(1);
    assert_non_null(first);
    assert_null(second);
    assert_non_null(third);
    memory_free(first);
    memory_free(third);
}

TEST(memory, sticky_failure_lasts_until_turned_off) {
    char *old = memory_copy_string("kept");
    memory_fail_after(1, true);
    assert_null(memory_new(1));
    assert_null(memory_new_zeroed(1));
    assert_null(memory_new_aligned(64, 1));
    assert_null(memory_copy("x", 1));
    assert_null(memory_map_pages(4096));
    assert_null(memory_resize(old, 100));
    assert_string_equal(old, "kept");
    memory_fail_after(0, false);
    void *again = memory_new(1);
    assert_non_null(again);
    memory_free(again);
    memory_free(old);
}

TEST(memory, counts_live_blocks_and_allocations) {
#ifdef NDEBUG
    skip();
#endif
    uint64_t live = memory_live_count();
    uint64_t made = memory_allocation_count();
    void *block = memory_new(1);
    void *pages = memory_map_pages(8192);
    assert_int_equal(memory_live_count(), live + 2);
    block = memory_resize(block, 100);
    assert_int_equal(memory_live_count(), live + 2);
    assert_int_equal(memory_allocation_count(), made + 2);
    memory_free(block);
    memory_unmap_pages(pages, 8192);
    assert_int_equal(memory_live_count(), live);
}

TEST(memory, maps_zeroed_pages_small_and_huge) {
    const size_t sizes[] = {1, 4096, (size_t)4 << 20, ((size_t)3 << 20) + 1};
    for (size_t i = 0; i < 4; i++) {
        uint8_t *pages = memory_map_pages(sizes[i]);
        assert_non_null(pages);
        assert_int_equal((uintptr_t)pages % (sizes[i] < 2 << 20 ? 4096 : 2 << 20), 0);
        assert_int_equal(pages[0] | pages[sizes[i] - 1], 0);
        pages[sizes[i] - 1] = 1;
        memory_unmap_pages(pages, sizes[i]);
    }
    memory_unmap_pages(NULL, 4096);
}

TEST(memory, knows_the_size_of_the_machine) {
    assert_true(memory_total_bytes() >= (uint64_t)1 << 20);
    assert_true(memory_total_bytes() < (uint64_t)1 << 50);
    assert_in_range(memory_cpu_count(), 1, 100000);
}

TEST_MAIN(RUN(memory, gives_usable_blocks_of_every_kind),
          RUN(memory, zero_bytes_give_distinct_blocks),
          RUN(memory, fails_the_chosen_allocation_once),
          RUN(memory, sticky_failure_lasts_until_turned_off),
          RUN(memory, counts_live_blocks_and_allocations),
          RUN(memory, maps_zeroed_pages_small_and_huge), RUN(memory, knows_the_size_of_the_machine))
