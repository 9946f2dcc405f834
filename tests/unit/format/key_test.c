#include "format/key.h"

#include "lib/test.h"
#include "platform/memory.h"
#include "util/rng.h"

static const key_order bytewise = {NULL};

static int compare_reversed(void *context, firn_slice a, firn_slice b) {
    (void)context;
    return slice_compare(b, a);
}
static const firn_comparator reversed_comparator = {"test.reversed", NULL, compare_reversed};
static const key_order reversed = {&reversed_comparator};

static internal_key key_in(const buf *b) {
    return (internal_key){buf_slice(b)};
}

/* Short keys of few letters, so that prefixes, runs of 0xff and equal keys are common. */
static slice random_key(rng *r, uint8_t out[8]) {
    static const uint8_t letters[] = {0x00, 0x01, 'a', 'b', 0xfe, 0xff, 0xff};
    size_t size = rng_below(r, 8);
    for (size_t i = 0; i < size; i++)
        out[i] = letters[rng_below(r, sizeof letters)];
    return slice_of(out, size);
}

TEST(internal_key, has_the_bytes_of_the_format) {
    static const uint8_t golden[] = {0x61, 0x70, 0x70, 0x6c, 0x65, 0x01, 0x03,
                                     0x02, 0x01, 0x00, 0x00, 0x00, 0x00};
    buf b = {0};
    internal_key_append(&b, user_key_of(slice_from_string("apple")), 0x010203, OP_PUT);
    assert_int_equal(b.size, sizeof golden);
    assert_memory_equal(b.data, golden, sizeof golden);
    internal_key key = key_in(&b);
    assert_true(slice_equal(internal_key_user(key).s, slice_from_string("apple")));
    assert_int_equal(internal_key_sequence(key), 0x010203);
    assert_int_equal(internal_key_kind(key), OP_PUT);
    buf_deinit(&b);
}

TEST(internal_key, append_out_of_memory_is_remembered_by_the_buf) {
    buf b = {0};
    memory_fail_after(1, false);
    internal_key_append(&b, user_key_of(slice_from_string("apple")), 1, OP_PUT);
    memory_fail_after(0, false);
    ASSERT_CODE(buf_status(&b), FIRN_NO_MEMORY);
    assert_int_equal(b.size, 0);
    buf_deinit(&b);
}

TEST(key_order, puts_newer_versions_of_a_key_first_and_prefixes_before_longer_keys) {
    static const struct {
        const char *key;
        seqno sequence;
        op_kind kind;
    } ordered[] = {{"", SEQNO_MAX, OP_SEEK}, {"", 5, OP_PUT},     {"a", 9, OP_PUT},
                   {"a", 9, OP_DELETE},      {"a", 8, OP_SEEK},   {"a", 8, OP_PUT},
                   {"a", 1, OP_PUT},         {"ab", 100, OP_PUT}, {"ab", 2, OP_DELETE},
                   {"b", 300, OP_PUT},       {"\xff", 7, OP_PUT}, {"\xff\xff", 9, OP_PUT}};
    enum { COUNT = sizeof ordered / sizeof *ordered };
    buf keys[COUNT] = {{0}};
    for (size_t i = 0; i < COUNT; i++)
        internal_key_append(&keys[i], user_key_of(slice_from_string(ordered[i].key)),
                            ordered[i].sequence, ordered[i].kind);
    for (size_t i = 0; i < COUNT; i++)
        for (size_t j = 0; j < COUNT; j++) {
            int order = key_order_compare(bytewise, key_in(&keys[i]), key_in(&keys[j]));
            assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
        }
    for (size_t i = 0; i < COUNT; i++)
        buf_deinit(&keys[i]);
}

TEST(key_order, head_never_contradicts_the_order_of_keys) {
    rng r;
    rng_init(&r, test_seed());
    for (uint64_t i = test_scaled(100000); i > 0; i--) {
        uint8_t a_bytes[8], b_bytes[8];
        slice a = random_key(&r, a_bytes), b = random_key(&r, b_bytes);
        if (key_head(a) < key_head(b))
            assert_true(slice_compare(a, b) < 0);
    }
    assert_true(key_head(slice_from_string("ab")) == 0x6162000000000000u);
    assert_true(key_head(SLICE_UNSET) == 0);
}

static void check_separator(const char *last, const char *next, const char *expected) {
    buf a = {0}, b = {0}, s = {0};
    internal_key_append(&a, user_key_of(slice_from_string(last)), 7, OP_PUT);
    internal_key_append(&b, user_key_of(slice_from_string(next)), 9, OP_PUT);
    internal_key_append_separator(bytewise, key_in(&a), key_in(&b), &s);
    if (expected) {
        assert_true(slice_equal(internal_key_user(key_in(&s)).s, slice_from_string(expected)));
        assert_true(internal_key_trailer(key_in(&s)) == key_trailer_pack(SEQNO_MAX, OP_SEEK));
    } else {
        assert_true(slice_equal(buf_slice(&s), buf_slice(&a)));
    }
    buf_deinit(&a);
    buf_deinit(&b);
    buf_deinit(&s);
}

TEST(separator, is_the_shortest_key_between_where_it_is_shorter_than_the_last) {
    check_separator("apple", "cherry", "b");
    check_separator("apple", "b", "aq");
    check_separator("apple", "banana", "b");
    check_separator("ab\xff\xff", "ac", NULL);
    check_separator("ab\xff"
                    "cd",
                    "ac",
                    "ab\xff"
                    "d");
    check_separator("user0001", "user0002", NULL);
    check_separator("user0001", "user00020", NULL);
    check_separator("user00010", "user0002", NULL);
    check_separator("user000100", "user0002", "user00011");
    check_separator("a", "ab", NULL);
    check_separator("", "x", NULL);
    check_separator("\xff\xff", "\xff\xff\xff", NULL);
}

TEST(separator, has_the_bytes_of_the_format) {
    static const uint8_t golden[] = {0x62, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    buf a = {0}, b = {0}, s = {0};
    internal_key_append(&a, user_key_of(slice_from_string("apple")), 66051, OP_PUT);
    internal_key_append(&b, user_key_of(slice_from_string("cherry")), 5, OP_PUT);
    internal_key_append_separator(bytewise, key_in(&a), key_in(&b), &s);
    assert_int_equal(s.size, sizeof golden);
    assert_memory_equal(s.data, golden, sizeof golden);
    buf_deinit(&a);
    buf_deinit(&b);
    buf_deinit(&s);
}

TEST(separator, lies_at_or_after_the_last_key_and_before_every_version_of_the_next) {
    rng r;
    rng_init(&r, test_seed());
    buf a = {0}, b = {0}, s = {0}, newest = {0};
    for (uint64_t i = test_scaled(200000); i > 0; i--) {
        uint8_t a_bytes[8], b_bytes[8];
        key_order order = rng_below(&r, 4) ? bytewise : reversed;
        slice a_user = random_key(&r, a_bytes), b_user = random_key(&r, b_bytes);
        buf_clear(&a);
        buf_clear(&b);
        buf_clear(&newest);
        internal_key_append(&a, user_key_of(a_user), 1 + rng_below(&r, 4), OP_PUT);
        internal_key_append(&b, user_key_of(b_user), 1 + rng_below(&r, 4), OP_PUT);
        if (key_order_compare(order, key_in(&a), key_in(&b)) >= 0)
            continue;
        buf_clear(&s);
        buf_append(&s, "xyz", 3); /* what stands in the buf must stay */
        internal_key_append_separator(order, key_in(&a), key_in(&b), &s);
        ASSERT_OK(buf_status(&s));
        assert_memory_equal(s.data, "xyz", 3);
        internal_key separator = {slice_skip(buf_slice(&s), 3)};
        assert_true(separator.s.size >= KEY_TRAILER_BYTES && separator.s.size <= a.size);
        assert_true(key_order_compare(order, key_in(&a), separator) <= 0);
        assert_true(key_order_compare(order, separator, key_in(&b)) < 0);
        if (!slice_equal(a_user, b_user)) {
            internal_key_append(&newest, user_key_of(b_user), SEQNO_MAX, OP_SEEK);
            assert_true(key_order_compare(order, separator, key_in(&newest)) < 0);
        }
        if (order.custom)
            assert_true(slice_equal(separator.s, buf_slice(&a)));
    }
    buf_deinit(&a);
    buf_deinit(&b);
    buf_deinit(&s);
    buf_deinit(&newest);
}

TEST(prefix_successor, is_the_smallest_string_above_all_that_begin_with_the_prefix) {
    buf storage = {0};
    slice s = key_prefix_successor(slice_from_string("user:"), &storage);
    assert_true(slice_equal(s, slice_from_string("user;")));
    buf_clear(&storage);
    s = key_prefix_successor(slice_from_string("a\xff\xff"), &storage);
    assert_true(slice_equal(s, slice_from_string("b")));
    assert_false(slice_is_set(key_prefix_successor(slice_from_string("\xff\xff"), &storage)));
    assert_false(slice_is_set(key_prefix_successor(slice_from_string(""), &storage)));

    rng r;
    rng_init(&r, test_seed());
    for (uint64_t i = test_scaled(100000); i > 0; i--) {
        uint8_t prefix_bytes[8], key_bytes[8];
        slice prefix = random_key(&r, prefix_bytes), key = random_key(&r, key_bytes);
        buf_clear(&storage);
        slice above = key_prefix_successor(prefix, &storage);
        if (!slice_is_set(above))
            continue;
        assert_true(slice_compare(prefix, above) < 0);
        /* What lies between begins with the prefix; what begins with it lies between. */
        bool between = slice_compare(key, prefix) >= 0 && slice_compare(key, above) < 0;
        assert_int_equal(between, slice_starts_with(key, prefix));
    }
    buf_deinit(&storage);
}

TEST(prefix_successor, out_of_memory_is_remembered_by_the_buf) {
    buf storage = {0};
    memory_fail_after(1, false);
    slice s = key_prefix_successor(slice_from_string("a"), &storage);
    memory_fail_after(0, false);
    assert_false(slice_is_set(s));
    ASSERT_CODE(buf_status(&storage), FIRN_NO_MEMORY);
    buf_deinit(&storage);
}

TEST(seek_key, sorts_between_newer_and_older_versions_at_every_size) {
    static uint8_t bytes[KEY_BYTES_MAX];
    memset(bytes, 'k', sizeof bytes);
    static const size_t sizes[] = {0, 1, 119, 120, 121, 1000, KEY_BYTES_MAX};
    buf newer = {0}, same = {0};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        user_key user = user_key_of(slice_of(bytes, sizes[i]));
        seek_key k;
        ASSERT_OK(seek_key_init(&k, user, 50));
        assert_int_equal(k.heap != NULL, sizes[i] > 120);
        buf_clear(&newer);
        buf_clear(&same);
        internal_key_append(&newer, user, 51, OP_DELETE);
        internal_key_append(&same, user, 50, OP_PUT_LARGE);
        assert_true(key_order_compare(bytewise, key_in(&newer), k.key) < 0);
        assert_true(key_order_compare(bytewise, k.key, key_in(&same)) < 0);
        seek_key_deinit(&k);
    }
    buf_deinit(&newer);
    buf_deinit(&same);
}

TEST(seek_key, long_key_without_memory_gives_no_memory) {
    static uint8_t bytes[500];
    seek_key k;
    memory_fail_after(1, false);
    status st = seek_key_init(&k, user_key_of(slice_of(bytes, sizeof bytes)), 1);
    memory_fail_after(0, false);
    ASSERT_CODE(st, FIRN_NO_MEMORY);
    seek_key_deinit(&k);
}

TEST_MAIN(RUN(internal_key, has_the_bytes_of_the_format),
          RUN(internal_key, append_out_of_memory_is_remembered_by_the_buf),
          RUN(key_order, puts_newer_versions_of_a_key_first_and_prefixes_before_longer_keys),
          RUN(key_order, head_never_contradicts_the_order_of_keys),
          RUN(separator, is_the_shortest_key_between_where_it_is_shorter_than_the_last),
          RUN(separator, has_the_bytes_of_the_format),
          RUN(separator, lies_at_or_after_the_last_key_and_before_every_version_of_the_next),
          RUN(prefix_successor, is_the_smallest_string_above_all_that_begin_with_the_prefix),
          RUN(prefix_successor, out_of_memory_is_remembered_by_the_buf),
          RUN(seek_key, sorts_between_newer_and_older_versions_at_every_size),
          RUN(seek_key, long_key_without_memory_gives_no_memory))
