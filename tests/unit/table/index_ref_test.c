#include "table_fixture.h"

#include <string.h>

#include "platform/error_detail.h"
#include "table/index_ref.h"
#include "util/hash.h"

static const table_read_args partitioned_fill = {.fill_cache = true};

/* A table of some thousand keys whose index has many partitions, and a cache. */
static void partitioned_test_init(fixture *f, cache **blocks, uint64_t capacity) {
    rng r;
    rng_init(&r, 21);
    fixture_init(f);
    table_builder_args args = fixture_args();
    args.index_partition_bytes = 200;
    fixture_fill(f, &r, 1, 3000);
    fixture_sort(f, args.order);
    fixture_build(f, &args);
    ASSERT_OK(cache_new(capacity, 1, blocks));
}

static status partitioned_test_get(fixture *f, table *t, uint32_t i, const table_read_args *args,
                                   table_get_trace *trace) {
    seek_key seek;
    lookup found;
    slice user = internal_key_user(fixture_key(f, i)).s;
    ASSERT_OK(seek_key_init(&seek, user_key_of(user), SEQNO_MAX));
    status st = table_get(t, seek.key, hash64(user.data, user.size), args, trace, &found);
    seek_key_deinit(&seek);
    if (status_is_ok(st))
        assert_true(found.found);
    lookup_release(&found);
    return st;
}

TEST(index_ref, partitions_are_read_when_needed_and_shared_through_the_cache) {
    fixture f;
    cache *blocks = NULL;
    cache_stats stats;
    table_get_trace trace;
    partitioned_test_init(&f, &blocks, 1 << 20);
    table *t = fixture_open(&f, blocks);
    assert_true(t->is_by_partition);
    assert_true(t->top.count > 20);
    assert_int_equal(t->block_count, table_get_properties(t)->data_blocks);
    cache_get_stats(blocks, &stats);
    assert_int_equal(stats.entries, 0);
    ASSERT_OK(partitioned_test_get(&f, t, 0, &partitioned_fill, &trace));
    assert_int_equal(trace.blocks_read, 2); /* a partition, and a block */
    ASSERT_OK(partitioned_test_get(&f, t, 0, &partitioned_fill, &trace));
    assert_int_equal(trace.blocks_cached, 2);
    assert_int_equal(trace.blocks_read, 0);
    cache_get_stats(blocks, &stats);
    assert_int_equal(stats.entries, 2);
    assert_int_equal(stats.pinned_usage, 0);
    table_unref(t);
    cache_free(blocks);
    fixture_deinit(&f);
}

/* Without them no memory would become free. */
TEST(index_ref, jobs_have_partitions_however_much_readers_hold) {
    enum { LIMIT = 8 << 20 };
    fixture f;
    cache *blocks = NULL;
    memory_budget memory;
    iter *reader = NULL, *job = NULL;
    table_read_args scan = {.read_ahead = true};
    size_t entries = 0;
    memory_budget_init(&memory, LIMIT, 0, NULL, NULL);
    partitioned_test_init(&f, &blocks, 1 << 20);
    f.memory = &memory;
    table *t = fixture_open(&f, blocks);
    assert_true(t->is_by_partition);
    ASSERT_OK(table_iter_new(t, &partitioned_fill, &reader));
    ASSERT_OK(table_iter_new(t, &scan, &job));
    memory_budget_charge(&memory, MEMORY_READERS, LIMIT);
    iter_seek_first(reader);
    assert_false(iter_valid(reader));
    assert_int_equal(reader->st.code, FIRN_NO_MEMORY);
    for (iter_seek_first(job); iter_valid(job); iter_next(job))
        entries++;
    ASSERT_OK(job->st);
    assert_int_equal(entries, table_get_properties(t)->entries);
    assert_true(memory_budget_charged(&memory, MEMORY_PINS) > 0);
    iter_free(job);
    iter_free(reader);
    assert_int_equal(memory_budget_charged(&memory, MEMORY_PINS), 0);
    memory_budget_release(&memory, MEMORY_READERS, LIMIT);
    table_unref(t);
    memory_budget_deinit(&memory);
    cache_free(blocks);
    fixture_deinit(&f);
}

TEST(index_ref, a_table_by_partition_holds_a_fraction_of_the_index) {
    fixture f;
    cache *blocks = NULL;
    partitioned_test_init(&f, &blocks, 1 << 20);
    table *by_partition = fixture_open(&f, blocks);
    f.joins_index = true;
    table *joined = fixture_open(&f, blocks);
    table *without_cache = fixture_open(&f, NULL);
    uint64_t whole = table_index_memory_bytes(&joined->index);
    assert_true(by_partition->is_by_partition);
    assert_true(!joined->is_by_partition && !without_cache->is_by_partition);
    assert_int_equal(joined->index.count, by_partition->block_count);
    assert_int_equal(table_memory_bytes(joined) - table_memory_bytes(by_partition), whole);
    assert_true(table_index_memory_bytes(&by_partition->top) < whole / 3);
    assert_in_range(index_partitions_memory_bytes(by_partition), whole * 19 / 20, whole * 21 / 20);
    table_unref(by_partition);
    table_unref(joined);
    table_unref(without_cache);
    cache_free(blocks);
    fixture_deinit(&f);
}

TEST(index_ref, cached_only_does_not_read_a_partition) {
    fixture f;
    cache *blocks = NULL;
    iter *it = NULL;
    table_get_trace trace;
    const table_read_args cached = {.cached_only = true};
    partitioned_test_init(&f, &blocks, 1 << 20);
    table *t = fixture_open(&f, blocks);
    ASSERT_CODE(partitioned_test_get(&f, t, 7, &cached, &trace), FIRN_WOULD_BLOCK);
    ASSERT_OK(table_iter_new(t, &cached, &it));
    iter_seek(it, fixture_key(&f, 7));
    assert_false(iter_valid(it));
    assert_true(status_is(it->st, FIRN_WOULD_BLOCK));
    ASSERT_OK(partitioned_test_get(&f, t, 7, &partitioned_fill, &trace));
    ASSERT_OK(partitioned_test_get(&f, t, 7, &cached, &trace));
    iter_seek(it, fixture_key(&f, 7));
    assert_true(fixture_stands_on(&f, it, 7));
    /* As far as the block goes, and then it says so. */
    uint32_t i = 7;
    for (; iter_valid(it); iter_next(it))
        assert_true(fixture_stands_on(&f, it, i++));
    assert_true(status_is(it->st, FIRN_WOULD_BLOCK));
    iter_free(it);
    table_unref(t);
    cache_free(blocks);
    fixture_deinit(&f);
}

TEST(index_ref, iterators_pin_one_partition_and_let_go_of_it) {
    fixture f;
    cache *blocks = NULL;
    cache_stats stats;
    iter *it = NULL;
    partitioned_test_init(&f, &blocks, 0); /* what is not pinned goes at once */
    table *t = fixture_open(&f, blocks);
    ASSERT_OK(table_iter_new(t, &partitioned_fill, &it));
    uint32_t i = 0;
    for (iter_seek_first(it); iter_valid(it); iter_next(it)) {
        assert_true(fixture_stands_on(&f, it, i++));
        cache_get_stats(blocks, &stats);
        assert_int_equal(stats.entries, 2); /* a partition, and a block */
    }
    assert_int_equal(i, f.count);
    iter_free(it);
    cache_get_stats(blocks, &stats);
    assert_int_equal(stats.usage, 0);
    table_unref(t);
    cache_free(blocks);
    fixture_deinit(&f);
}

/* The bytes of partition 1, changed and sealed again. */
static status partitioned_test_damage(fixture *f, uint64_t at, uint8_t value, table **out,
                                      cache *blocks) {
    uint64_t bytes;
    table *good = fixture_open(f, blocks);
    block_handle handle = table_index_handle(&good->top, 1);
    table_unref(good);
    uint8_t *data = fixture_bytes(f, &bytes);
    data[handle.offset + at] = value;
    block_trailer trailer = {CODEC_NONE, (uint32_t)handle.bytes};
    block_trailer_encode(f->args.identity, handle.offset,
                         slice_of(data + handle.offset, handle.bytes), &trailer,
                         data + handle.offset + handle.bytes);
    return fixture_try_open(f, blocks, out);
}

TEST(index_ref, a_partition_that_is_not_what_its_top_says_is_corruption) {
    static const struct {
        int at; /* from the end of the partition if negative */
        uint8_t value;
    } damages[] = {{3, 'v'}, {-4, 1}, {-1, 0x7f}, {1, 200}};
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        fixture f;
        cache *blocks = NULL;
        table *t = NULL;
        table_get_trace trace;
        partitioned_test_init(&f, &blocks, 1 << 20);
        table *good = fixture_open(&f, blocks);
        uint64_t partition_bytes = table_index_handle(&good->top, 1).bytes;
        uint32_t block = good->top.firsts[1];
        table_unref(good);
        uint64_t at = damages[i].at < 0 ? partition_bytes - (uint64_t)-damages[i].at
                                        : (uint64_t)damages[i].at;
        ASSERT_OK(partitioned_test_damage(&f, at, damages[i].value, &t, blocks));
        index_ref ref = {0};
        ASSERT_CODE(index_ref_reach(t, block, &partitioned_fill, &ref), FIRN_CORRUPTION);
        assert_null(ref.index);
        ASSERT_OK(index_ref_reach(t, 0, &partitioned_fill, &ref));
        index_ref_release(&ref);
        ASSERT_OK(partitioned_test_get(&f, t, 0, &partitioned_fill, &trace));
        ASSERT_CODE(table_verify(t, NULL, NULL), FIRN_CORRUPTION);
        assert_non_null(strstr(error_detail_get(), FIXTURE_PATH));
        table_unref(t);
        ASSERT_CODE(fixture_try_open(&f, NULL, &t), FIRN_CORRUPTION);
        cache_free(blocks);
        fixture_deinit(&f);
    }
}

/* Positions run through all partitions: what leads to a block does not depend on the kind. */
TEST(index_ref, says_of_each_block_what_an_index_of_one_block_says) {
    fixture f;
    cache *blocks = NULL;
    index_ref ref = {0};
    partitioned_test_init(&f, &blocks, 1 << 20);
    table *t = fixture_open(&f, blocks);
    f.joins_index = true;
    table *whole = fixture_open(&f, blocks);
    for (uint32_t step = 1; step < 8; step += 3) {
        for (uint32_t i = 0; i < t->block_count; i += step) {
            uint32_t position = step == 7 ? t->block_count - 1 - i : i;
            ASSERT_OK(index_ref_reach(t, position, &partitioned_fill, &ref));
            assert_int_equal(index_ref_handle(&ref, position).offset,
                             table_index_handle(&whole->index, position).offset);
            assert_true(slice_equal(index_ref_separator(&ref, position).s,
                                    table_index_separator(&whole->index, position).s));
            if (position > 0)
                assert_true(slice_equal(index_ref_separator_before(t, &ref, position).s,
                                        table_index_separator(&whole->index, position - 1).s));
        }
    }
    index_ref_release(&ref);
    assert_true(t->data_end >= whole->index.data_end);
    uint64_t exact = table_approximate_offset(whole, fixture_key(&f, f.count / 2));
    uint64_t cached = table_approximate_offset(t, fixture_key(&f, f.count / 2));
    assert_int_equal(exact, cached);
    cache_set_capacity(blocks, 0);
    uint64_t estimate = table_approximate_offset(t, fixture_key(&f, f.count / 2));
    assert_in_range(estimate, exact - t->data_end / 10, exact + t->data_end / 10);
    user_key anchor; /* by the top alone */
    seek_key seek;
    assert_int_equal(table_anchors(t, 2, &anchor), 1);
    ASSERT_OK(seek_key_init(&seek, anchor, SEQNO_MAX));
    estimate = table_approximate_offset(whole, seek.key);
    assert_in_range(estimate, t->data_end / 3, t->data_end / 3 * 2);
    table_unref(t);
    table_unref(whole);
    cache_free(blocks);
    fixture_deinit(&f);
}

TEST_MAIN(RUN(index_ref, partitions_are_read_when_needed_and_shared_through_the_cache),
          RUN(index_ref, jobs_have_partitions_however_much_readers_hold),
          RUN(index_ref, a_table_by_partition_holds_a_fraction_of_the_index),
          RUN(index_ref, cached_only_does_not_read_a_partition),
          RUN(index_ref, iterators_pin_one_partition_and_let_go_of_it),
          RUN(index_ref, a_partition_that_is_not_what_its_top_says_is_corruption),
          RUN(index_ref, says_of_each_block_what_an_index_of_one_block_says))
