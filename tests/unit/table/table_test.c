#include "table_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/memory.h"
#include "table/footer.h"
#include "table/table_internal.h"
#include "util/hash.h"

static const table_read_args test_read_args = {.fill_cache = true};

/* Lookups of every entry's user key just at, above and below its sequence, and of keys that are
 * not there. */
static void table_test_all_gets(fixture *f, table *t, rng *r, uint32_t step) {
    for (uint32_t i = 0; i < f->count; i += step) {
        internal_key key = fixture_key(f, i);
        slice user = internal_key_user(key).s;
        seqno sequence = internal_key_sequence(key);
        fixture_check_get(f, t, user, sequence, &test_read_args, false);
        fixture_check_get(f, t, user, SEQNO_MAX, &test_read_args, false);
        fixture_check_get(f, t, user, sequence - 1, &test_read_args, false);
        if (user.size) {
            fixture_check_get(f, t, slice_of(user.data, user.size - 1), SEQNO_MAX, &test_read_args,
                              false);
            uint8_t *other = malloc(user.size);
            memcpy(other, user.data, user.size);
            other[rng_below(r, user.size)]++;
            fixture_check_get(f, t, slice_of(other, user.size), SEQNO_MAX, &test_read_args, false);
            free(other);
        }
    }
}

TEST(table, agrees_with_a_sorted_array_for_every_shape_of_keys_and_blocks) {
    rng r;
    rng_init(&r, test_seed());
    static const uint32_t block_bytes[] = {256, 512, 4096, 70000};
    static const uint32_t intervals[] = {1, 2, 16, 1024};
    for (unsigned round = 0; round < test_scaled(FIXTURE_SHAPES * 8); round++) {
        fixture f;
        cache *blocks = NULL;
        unsigned shape = round % FIXTURE_SHAPES;
        fixture_init(&f);
        table_builder_args args = fixture_args();
        args.block_bytes = block_bytes[rng_below(&r, 4)];
        args.restart_interval = intervals[rng_below(&r, 4)];
        args.filter_bits_per_key = rng_below(&r, 3) ? 10 : 0;
        args.order.custom = rng_below(&r, 4) ? NULL : &fixture_reverse;
        fixture_pick_index(&f, &r, &args);
        f.is_mapped = round / FIXTURE_SHAPES % 2 != 0;
        if (rng_below(&r, 4))
            ASSERT_OK(cache_new(20000, 1, &blocks));
        fixture_fill(&f, &r, shape, shape == 4 ? 40 : 1 + (uint32_t)rng_below(&r, 1500));
        fixture_sort(&f, args.order);
        fixture_build(&f, &args);
        table *t = fixture_open(&f, blocks);
        table_test_all_gets(&f, t, &r, shape == 4 ? 1 : 3);
        fixture_check_scan(&f, t, &test_read_args);
        ASSERT_OK(table_verify(t, NULL, NULL));
        table_unref(t);
        cache_free(blocks);
        fixture_deinit(&f);
    }
}

TEST(table, without_entries_answers_nothing_and_verifies) {
    fixture f;
    fixture_init(&f);
    table_builder_args args = fixture_args();
    fixture_build(&f, &args);
    table *t = fixture_open(&f, NULL);
    fixture_check_get(&f, t, slice_from_string("a"), 5, &test_read_args, false);
    fixture_check_scan(&f, t, &test_read_args);
    ASSERT_OK(table_verify(t, NULL, NULL));
    assert_int_equal(table_get_properties(t)->data_blocks, 0);
    assert_int_equal(table_get_properties(t)->min_sequence, 0);
    seek_key seek;
    ASSERT_OK(seek_key_init(&seek, user_key_of(slice_from_string("a")), 1));
    assert_int_equal(table_approximate_offset(t, seek.key), 0);
    table_unref(t);
    fixture_deinit(&f);
}

TEST(table, properties_say_what_was_built) {
    fixture f;
    rng r;
    rng_init(&r, 3);
    fixture_init(&f);
    table_builder_args args = fixture_args();
    fixture_fill(&f, &r, 1, 500);
    fixture_sort(&f, args.order);
    fixture_build(&f, &args);
    table *t = fixture_open(&f, NULL);
    const table_properties *p = table_get_properties(t);
    assert_memory_equal(p, &f.built, sizeof *p);
    assert_memory_equal(p->identity, args.identity, 16);
    uint64_t file_bytes = 0, deletes = 0, key_bytes = 0, value_bytes = 0;
    fixture_bytes(&f, &file_bytes);
    for (uint32_t i = 0; i < f.count; i++) {
        deletes += internal_key_kind(fixture_key(&f, i)) == OP_DELETE;
        key_bytes += f.entries[i].key_bytes;
        value_bytes += f.entries[i].value_bytes;
    }
    assert_int_equal(p->file_bytes, file_bytes);
    assert_int_equal(p->entries, f.count);
    assert_int_equal(p->deletes, deletes);
    assert_int_equal(p->raw_key_bytes, key_bytes);
    assert_int_equal(p->raw_value_bytes, value_bytes);
    assert_int_equal(p->keyspace, 7);
    assert_int_equal(p->filter_bits_per_key, 10);
    assert_true(p->min_sequence >= 1 && p->max_sequence <= 3);
    assert_true(table_memory_bytes(t) > f.count * 10 / 8);
    table_unref(t);
    fixture_deinit(&f);
}

static int table_test_discard(void *context, const char *line) {
    (void)context;
    (void)line;
    return 0;
}

/* Everything a reader can ask of a damaged table: the right answer or a failure. With a cache a
 * partitioned index is read by partition. */
static void table_test_read_damaged(fixture *f, bool has_cache) {
    table *t = NULL;
    cache *blocks = NULL;
    if (has_cache)
        ASSERT_OK(cache_new(1000, 1, &blocks));
    status st = fixture_try_open(f, blocks, &t);
    if (!status_is_ok(st)) {
        assert_null(t);
        cache_free(blocks);
        assert_true(status_is(st, FIRN_CORRUPTION) || status_is(st, FIRN_NOT_SUPPORTED));
        return;
    }
    for (uint32_t i = 0; i < f->count; i += 5)
        fixture_check_get(f, t, internal_key_user(fixture_key(f, i)).s, SEQNO_MAX, &test_read_args,
                          true);
    iter *it = NULL;
    table_read_args scan = {.read_ahead = true, .fill_cache = f->is_mapped};
    ASSERT_OK(table_iter_new(t, &scan, &it));
    uint32_t i = 0;
    for (iter_seek_first(it); iter_valid(it); iter_next(it))
        assert_true(fixture_stands_on(f, it, i++));
    assert_true(i == f->count || !status_is_ok(it->st));
    iter_free(it);
    assert_false(status_is_ok(table_verify(t, NULL, NULL)));
    status described = table_describe(t, table_test_discard, NULL);
    assert_true(status_is_ok(described) || status_is(described, FIRN_CORRUPTION));
    table_unref(t);
    cache_free(blocks);
}

static void table_test_small_indexed(fixture *f, table_builder_args *args,
                                     uint32_t partition_bytes) {
    rng r;
    rng_init(&r, 11);
    fixture_init(f);
    *args = fixture_args();
    args->block_bytes = 256;
    args->index_partition_bytes = partition_bytes;
    args->prefix = partition_bytes ? 26 : 0; /* of 27 bytes */
    fixture_fill(f, &r, 1, 40);
    static uint8_t large[1100];
    memset(large, 'L', sizeof large);
    fixture_add(f, slice_from_string("user/z"), 9, OP_PUT_LARGE, slice_of(large, sizeof large));
    fixture_sort(f, args->order);
    fixture_build(f, args);
}

static void table_test_small(fixture *f, table_builder_args *args) {
    table_test_small_indexed(f, args, 0);
}

/* Each byte in turn, with one bit changed and with all bits set; blocks in place and read. With
 * `behind_data` only what lies behind the data blocks. */
static void table_test_flip_all(uint32_t partition_bytes, bool has_cache, bool behind_data) {
    fixture f;
    table_builder_args args;
    table_test_small_indexed(&f, &args, partition_bytes);
    uint64_t bytes = 0;
    fixture_bytes(&f, &bytes);
    table *whole = fixture_open(&f, NULL);
    uint64_t first = behind_data ? whole->data_end : 0;
    table_unref(whole);
    for (uint64_t i = first; i < bytes; i++) {
        uint8_t *data = fixture_bytes(&f, &bytes);
        uint8_t before = data[i];
        for (int mapped = 0; mapped < 2; mapped++) {
            f.is_mapped = mapped != 0;
            data[i] = before ^ (uint8_t)(1u << (i % 8));
            table_test_read_damaged(&f, has_cache);
            data[i] = 0xff;
            if (before != 0xff)
                table_test_read_damaged(&f, has_cache);
        }
        data[i] = before;
    }
    table *t = fixture_open(&f, NULL);
    ASSERT_OK(table_verify(t, NULL, NULL));
    table_unref(t);
    fixture_deinit(&f);
}

TEST(table, any_flipped_byte_is_noticed_and_no_answer_is_wrong) {
    table_test_flip_all(0, false, false);
    table_test_flip_all(20, false, true); /* partitioned, joined at open */
    table_test_flip_all(20, true, true);  /* read by partition */
}

TEST(table, any_truncation_is_refused_at_open) {
    fixture f;
    table_builder_args args;
    table_test_small(&f, &args);
    uint64_t bytes = 0;
    uint8_t *data = fixture_bytes(&f, &bytes);
    uint8_t *copy = malloc(bytes);
    memcpy(copy, data, bytes);
    for (uint64_t kept = 0; kept < bytes; kept++) {
        table *t = NULL;
        fixture_write(&f, copy, kept);
        ASSERT_CODE(fixture_try_open(&f, NULL, &t), FIRN_CORRUPTION);
        assert_null(t);
    }
    free(copy);
    fixture_deinit(&f);
}

TEST(table, open_checks_what_the_caller_expects) {
    fixture f;
    table_builder_args args;
    table *t = NULL;
    table_test_small(&f, &args);
    uint64_t bytes = 0;
    fixture_bytes(&f, &bytes);
    table_open_args open = {.vfs = vfs_mem_vfs(f.disk),
                            .path = FIXTURE_PATH,
                            .expected_bytes = bytes,
                            .expected_identity = args.identity};
    ASSERT_OK(table_open(&open, &t));
    table_unref(t);
    open.expected_bytes = bytes + 1;
    ASSERT_CODE(table_open(&open, &t), FIRN_CORRUPTION);
    open.expected_bytes = bytes;
    open.expected_identity = (const uint8_t[16]){9};
    ASSERT_CODE(table_open(&open, &t), FIRN_CORRUPTION);
    open.expected_identity = NULL;
    open.order.custom = &fixture_reverse;
    ASSERT_CODE(table_open(&open, &t), FIRN_INVALID_ARGUMENT);
    open.order.custom = NULL;
    open.path = "/000002.sst";
    ASSERT_CODE(table_open(&open, &t), FIRN_NOT_FOUND);
    assert_null(t);
    fixture_deinit(&f);
}

TEST(table, newer_format_is_not_supported_by_name) {
    fixture f;
    table_builder_args args;
    table *t = NULL;
    table_test_small(&f, &args);
    uint64_t bytes = 0;
    uint8_t *data = fixture_bytes(&f, &bytes);
    data[bytes - 12] = TABLE_FORMAT + 1;
    ASSERT_CODE(fixture_try_open(&f, NULL, &t), FIRN_NOT_SUPPORTED);
    assert_non_null(strstr(error_detail_get(), "format 4"));
    fixture_deinit(&f);
}

static op_kind table_test_kind_of(table *t, const char *key, seqno at) {
    lookup found;
    seek_key seek;
    table_get_trace trace;
    table_read_args args = {.fill_cache = false};
    slice user = slice_from_string(key);
    ASSERT_OK(seek_key_init(&seek, user_key_of(user), at));
    ASSERT_OK(table_get(t, seek.key, hash64(user.data, user.size), &args, &trace, &found));
    op_kind kind = found.found ? found.kind : OP_SEEK;
    lookup_release(&found);
    seek_key_deinit(&seek);
    return kind;
}

static int table_test_count_ranges(void *context, const char *line) {
    *(int *)context += strstr(line, "range delete: \"c\" .. \"x\" @5") != NULL;
    return 0;
}

TEST(table, range_tombstones_hide_what_is_older_and_widen_the_bounds) {
    fixture f;
    vfs_file *file = NULL;
    table_builder *b = NULL;
    table_summary summary;
    table *t = NULL;
    buf start = {0}, point = {0};
    fixture_init(&f);
    f.args = fixture_args();
    ASSERT_OK(vfs_open(vfs_mem_vfs(f.disk), FIXTURE_PATH, FIRN_VFS_WRITE | FIRN_VFS_CREATE, &file));
    f.args.file = file;
    ASSERT_OK(table_builder_new(&f.args, &b));
    internal_key_append(&point, user_key_of(slice_from_string("m")), 3, OP_PUT);
    ASSERT_OK(table_builder_add(b, (internal_key){buf_slice(&point)}, slice_from_string("v")));
    internal_key_append(&start, user_key_of(slice_from_string("c")), 5, OP_RANGE_DELETE);
    ASSERT_OK(table_builder_add_range_tombstone(b, (internal_key){buf_slice(&start)},
                                                user_key_of(slice_from_string("x"))));
    ASSERT_OK(table_builder_finish(b, &summary));
    assert_true(slice_equal(summary.smallest.s, buf_slice(&start)));
    assert_true(slice_equal(internal_key_user(summary.largest).s, slice_from_string("x")));
    assert_int_equal(internal_key_trailer(summary.largest), UINT64_MAX);
    assert_int_equal(summary.properties.range_tombstones, 1);
    assert_int_equal(summary.properties.max_sequence, 5);
    table_builder_free(b);
    ASSERT_OK(vfs_close(file));
    ASSERT_OK(fixture_try_open(&f, NULL, &t));
    assert_int_equal(table_ranges(t)->count, 1);
    assert_int_equal(table_test_kind_of(t, "m", 9), OP_RANGE_DELETE);
    assert_int_equal(table_test_kind_of(t, "m", 4), OP_PUT);
    assert_int_equal(table_test_kind_of(t, "c", 5), OP_RANGE_DELETE);
    assert_int_equal(table_test_kind_of(t, "c", 4), OP_SEEK);
    assert_int_equal(table_test_kind_of(t, "x", 9), OP_SEEK);
    assert_int_equal(table_test_kind_of(t, "b", 9), OP_SEEK);
    ASSERT_OK(table_verify(t, NULL, NULL));
    int ranges = 0;
    ASSERT_OK(table_describe(t, table_test_count_ranges, &ranges));
    assert_int_equal(ranges, 1);
    table_unref(t);
    buf_deinit(&start);
    buf_deinit(&point);
    fixture_deinit(&f);
}

/* Whether the table may have keys that begin with what the text is. */
static bool table_test_has(const table *t, const char *prefix) {
    return table_may_have_prefix(t, slice_from_string(prefix));
}

TEST(table, knows_the_prefixes_of_its_keys_by_its_own_rule) {
    fixture f;
    for (int by_byte = 0; by_byte < 2; by_byte++) {
        char key[32];
        fixture_init(&f);
        table_builder_args args = fixture_args();
        args.prefix = by_byte ? PREFIX_UNTIL + '/' : 4;
        args.filter_bits_per_key = by_byte ? 0 : 20;
        for (int i = 0; i < 600; i++) {
            snprintf(key, sizeof key, "%03d/%d", i / 3 * 2, i % 3);
            fixture_add(&f, slice_from_string(key), 2, OP_PUT, slice_from_string("v"));
            fixture_add(&f, slice_from_string(key), 1, OP_PUT, slice_from_string("older"));
        }
        fixture_add(&f, slice_from_string("x"), 1, OP_PUT, slice_from_string("v"));
        fixture_sort(&f, args.order);
        fixture_build(&f, &args);
        table *t = fixture_open(&f, NULL);
        assert_int_equal(t->footer.format, 3);
        assert_int_equal(table_get_properties(t)->prefix, args.prefix);
        assert_int_equal(t->prefix_filter.line_count, (200 * (by_byte ? 10 : 20) + 511) / 512);
        int wrong = 0;
        for (int i = 0; i < 400; i++) {
            snprintf(key, sizeof key, "%03d/", i);
            bool has = table_test_has(t, key);
            assert_true(has || i % 2);
            wrong += has && i % 2;
            snprintf(key, sizeof key, "%03d/2 and so on", i);
            assert_int_equal(table_test_has(t, key), has);
        }
        assert_in_range(wrong, 0, 10); /* of 200 */
        /* What has no prefix itself says nothing. */
        assert_true(table_test_has(t, "77") && table_test_has(t, "") && table_test_has(t, "777"));
        assert_true(table_may_have_prefix(t, SLICE_UNSET));
        ASSERT_OK(table_verify(t, NULL, NULL));
        /* A filter that denies a key is found. */
        memset((uint8_t *)(uintptr_t)t->prefix_filter.lines, 0,
               t->prefix_filter.line_count * FILTER_LINE_BYTES);
        ASSERT_CODE(table_verify(t, NULL, NULL), FIRN_CORRUPTION);
        assert_non_null(strstr(error_detail_get(), "filter of prefixes"));
        table_unref(t);
        fixture_deinit(&f);
    }
}

TEST(table, a_pinned_value_outlives_eviction_and_the_table) {
    fixture f;
    table_builder_args args;
    cache *blocks = NULL;
    table_test_small(&f, &args);
    ASSERT_OK(cache_new(0, 1, &blocks));
    table *t = fixture_open(&f, blocks);
    lookup found[2];
    table_get_trace trace;
    for (int i = 0; i < 2; i++) {
        slice user = internal_key_user(fixture_key(&f, i ? 30 : 0)).s;
        seek_key seek;
        ASSERT_OK(seek_key_init(&seek, user_key_of(user), SEQNO_MAX));
        ASSERT_OK(table_get(t, seek.key, hash64(user.data, user.size),
                            &(table_read_args){.fill_cache = i == 0}, &trace, &found[i]));
        assert_true(found[i].found);
    }
    table_unref(t);
    assert_true(
        slice_equal(found[0].value, slice_of(f.entries[0].value, f.entries[0].value_bytes)));
    assert_true(
        slice_equal(found[1].value, slice_of(f.entries[30].value, f.entries[30].value_bytes)));
    lookup_release(&found[0]);
    lookup_release(&found[1]);
    cache_stats stats;
    cache_get_stats(blocks, &stats);
    assert_int_equal(stats.entries, 0);
    cache_free(blocks);
    fixture_deinit(&f);
}

static void table_test_cached_gets(uint32_t partition_bytes) {
    fixture f;
    table_builder_args args;
    cache *blocks = NULL;
    table_test_small_indexed(&f, &args, partition_bytes);
    ASSERT_OK(cache_new(1 << 20, 1, &blocks));
    table *t = fixture_open(&f, blocks);
    for (uint32_t i = 0; i < f.count; i++)
        fixture_check_get(&f, t, internal_key_user(fixture_key(&f, i)).s, SEQNO_MAX,
                          &test_read_args, false);
    uint64_t allocations = memory_allocation_count();
    for (uint32_t i = 0; i < f.count; i++)
        fixture_check_get(&f, t, internal_key_user(fixture_key(&f, i)).s, SEQNO_MAX,
                          &test_read_args, false);
    assert_int_equal(memory_allocation_count(), allocations);
    cache_stats stats;
    cache_get_stats(blocks, &stats);
    assert_int_equal(stats.misses, table_get_properties(t)->data_blocks + t->top.count);
    assert_int_equal(stats.pinned_usage, 0);
    table_unref(t);
    cache_free(blocks);
    fixture_deinit(&f);
}

TEST(table, cached_gets_neither_read_nor_allocate) {
    table_test_cached_gets(0);
    table_test_cached_gets(20);
}

TEST(table, reading_without_filling_leaves_the_cache_alone) {
    fixture f;
    table_builder_args args;
    cache *blocks = NULL;
    table_test_small(&f, &args);
    ASSERT_OK(cache_new(1 << 20, 1, &blocks));
    table *t = fixture_open(&f, blocks);
    table_read_args no_fill = {.fill_cache = false};
    fixture_check_get(&f, t, internal_key_user(fixture_key(&f, 3)).s, SEQNO_MAX, &no_fill, false);
    fixture_check_scan(&f, t, &no_fill);
    cache_stats stats;
    cache_get_stats(blocks, &stats);
    assert_int_equal(stats.entries, 0);
    table_unref(t);
    cache_free(blocks);
    fixture_deinit(&f);
}

TEST(table, approximate_offsets_ascend_to_the_end_of_the_data) {
    fixture f;
    table_builder_args args;
    table_test_small(&f, &args);
    table *t = fixture_open(&f, NULL);
    uint64_t previous = 0;
    for (uint32_t i = 0; i < f.count; i++) {
        uint64_t offset = table_approximate_offset(t, fixture_key(&f, i));
        assert_true(offset >= previous);
        previous = offset;
    }
    seek_key end;
    ASSERT_OK(seek_key_init(&end, user_key_of(slice_from_string("zzz")), 1));
    assert_true(table_approximate_offset(t, end.key) > previous);
    table_unref(t);
    fixture_deinit(&f);
}

TEST(table, anchors_cut_the_data_into_even_parts) {
    fixture f;
    table_builder_args args;
    table_test_small(&f, &args);
    table *t = fixture_open(&f, NULL);
    user_key keys[2];
    seek_key last;
    uint64_t previous = 0;
    ASSERT_OK(seek_key_init(&last, internal_key_user(fixture_key(&f, f.count - 1)), 0));
    uint64_t bytes = table_approximate_offset(t, last.key);
    assert_int_equal(table_anchors(t, 1, keys), 0);
    assert_int_equal(table_anchors(t, 3, keys), 2);
    for (uint32_t i = 0; i < 2; i++) {
        seek_key seek;
        ASSERT_OK(seek_key_init(&seek, keys[i], 0)); /* behind all versions of the key */
        uint64_t offset = table_approximate_offset(t, seek.key);
        assert_in_range(offset - previous, bytes / 5, bytes / 2);
        previous = offset;
        if (i > 0)
            assert_true(slice_compare(keys[i - 1].s, keys[i].s) < 0);
    }
    table_unref(t);
    fixture_deinit(&f);
}

/* One pass over everything that allocates while reading; NO_MEMORY or success. */
static status table_test_read_pass(fixture *f) {
    status st = STATUS_OK;
    table *t = NULL;
    cache *blocks = NULL;
    iter *it = NULL;
    TRY(cache_new(1 << 20, 1, &blocks));
    TRY(fixture_try_open(f, blocks, &t));
    for (uint32_t i = 0; i < f->count; i += 7) {
        slice user = internal_key_user(fixture_key(f, i)).s;
        seek_key seek;
        lookup found;
        table_get_trace trace;
        TRY(seek_key_init(&seek, user_key_of(user), SEQNO_MAX));
        TRY(table_get(t, seek.key, hash64(user.data, user.size), &test_read_args, &trace, &found));
        assert_true(found.found);
        lookup_release(&found);
    }
    for (int mode = 0; mode < 2; mode++) {
        TRY(table_iter_new(t, &(table_read_args){.fill_cache = mode, .read_ahead = true}, &it));
        uint32_t i = 0;
        for (iter_seek_first(it); iter_valid(it); iter_next(it))
            assert_true(fixture_stands_on(f, it, i++));
        TRY(it->st);
        assert_int_equal(i, f->count);
        iter_free(it);
        it = NULL;
    }
    TRY(table_verify(t, NULL, NULL));
    TRY(table_describe(t, table_test_discard, NULL));
out:
    iter_free(it);
    table_unref(t);
    cache_free(blocks);
    return st;
}

static void table_test_fail_allocations(uint32_t partition_bytes) {
    fixture f;
    table_builder_args args;
    table_test_small_indexed(&f, &args, partition_bytes);
    uint64_t live = memory_live_count();
    for (int sticky = 0; sticky < 2; sticky++) {
        bool done = false;
        for (uint64_t countdown = 1; !done; countdown++) {
            memory_fail_after(countdown, sticky);
            status built = fixture_try_build(&f, &args);
            memory_fail_after(0, false);
            assert_int_equal(memory_live_count(), live);
            if (status_is_ok(built)) {
                table *t = fixture_open(&f, NULL);
                ASSERT_OK(table_verify(t, NULL, NULL));
                assert_int_equal(table_get_properties(t)->entries, f.count);
                table_unref(t);
                done = true;
            } else {
                ASSERT_CODE(built, FIRN_NO_MEMORY);
            }
        }
        done = false;
        for (uint64_t countdown = 1; !done; countdown++) {
            memory_fail_after(countdown, sticky);
            status read = table_test_read_pass(&f);
            memory_fail_after(0, false);
            assert_int_equal(memory_live_count(), live);
            if (!status_is_ok(read))
                ASSERT_CODE(read, FIRN_NO_MEMORY);
            /* A cache that cannot grow is not a failure of the read: look for a run of luck. */
            done = status_is_ok(read) && countdown > 600;
        }
    }
    fixture_deinit(&f);
}

TEST(table, every_failed_allocation_is_reported_and_nothing_leaks) {
    table_test_fail_allocations(0);
    table_test_fail_allocations(20);
}

TEST_MAIN(RUN(table, agrees_with_a_sorted_array_for_every_shape_of_keys_and_blocks),
          RUN(table, without_entries_answers_nothing_and_verifies),
          RUN(table, properties_say_what_was_built),
          RUN(table, any_flipped_byte_is_noticed_and_no_answer_is_wrong),
          RUN(table, any_truncation_is_refused_at_open),
          RUN(table, open_checks_what_the_caller_expects),
          RUN(table, newer_format_is_not_supported_by_name),
          RUN(table, range_tombstones_hide_what_is_older_and_widen_the_bounds),
          RUN(table, knows_the_prefixes_of_its_keys_by_its_own_rule),
          RUN(table, a_pinned_value_outlives_eviction_and_the_table),
          RUN(table, cached_gets_neither_read_nor_allocate),
          RUN(table, reading_without_filling_leaves_the_cache_alone),
          RUN(table, approximate_offsets_ascend_to_the_end_of_the_data),
          RUN(table, anchors_cut_the_data_into_even_parts),
          RUN(table, every_failed_allocation_is_reported_and_nothing_leaks))
