#include "format/prefix.h"

#include <string.h>

#include "lib/test.h"
#include "util/rng.h"

static void prefix_expect(prefix_rule rule, const char *key, const char *expected) {
    slice found = prefix_of(rule, slice_from_string(key));
    assert_int_equal(slice_is_set(found), expected != NULL);
    if (expected)
        assert_true(slice_equal(found, slice_from_string(expected)));
}

TEST(prefix, is_what_the_rule_says_or_nothing) {
    prefix_expect(3, "abcdef", "abc");
    prefix_expect(3, "abc", "abc");
    prefix_expect(3, "ab", NULL);
    prefix_expect(0, "abc", NULL);
    prefix_expect(PREFIX_UNTIL + '/', "user/1/2", "user/");
    prefix_expect(PREFIX_UNTIL + '/', "/", "/");
    prefix_expect(PREFIX_UNTIL + '/', "user", NULL);
    prefix_expect(PREFIX_UNTIL + '/', "", NULL);
    prefix_expect(PREFIX_UNTIL + 0xff, "a\xff", "a\xff");
    assert_false(slice_is_set(prefix_of(PREFIX_UNTIL, SLICE_UNSET)));
    assert_false(slice_is_set(prefix_of(1, SLICE_UNSET)));
}

/* What filters of prefixes rest on: whatever follows, the prefix stays. */
TEST(prefix, of_a_key_is_that_of_all_keys_that_begin_with_it) {
    rng r;
    rng_init(&r, test_seed());
    for (uint64_t round = 0; round < test_scaled(20000); round++) {
        uint8_t key[20];
        size_t size = rng_below(&r, sizeof key);
        for (size_t i = 0; i < size; i++)
            key[i] = (uint8_t)("ab/\0"[rng_below(&r, 4)]);
        prefix_rule rule =
            (prefix_rule)(rng_below(&r, 2) ? 1 + rng_below(&r, 8) : PREFIX_UNTIL + '/');
        slice whole = prefix_of(rule, slice_of(key, size));
        slice part = prefix_of(rule, slice_of(key, rng_below(&r, size + 1)));
        if (slice_is_set(part))
            assert_true(slice_equal(whole, part));
    }
}

TEST(prefix, rules_have_one_name_each) {
    for (prefix_rule rule = 1; rule <= PREFIX_RULE_MAX; rule++) {
        char name[PREFIX_NAME_BYTES];
        prefix_rule parsed;
        if (rule == PREFIX_UNTIL + '/')
            assert_string_equal(prefix_rule_name(rule, name), "until:2f");
        if (rule == 8)
            assert_string_equal(prefix_rule_name(rule, name), "first:8");
        assert_true(prefix_rule_parse(slice_from_string(prefix_rule_name(rule, name)), &parsed));
        assert_int_equal(parsed, rule);
    }
    static const char *const wrong[] = {"",         "first:",    "first:0", "first:01", "first:256",
                                        "first:1x", "first:999", "until:",  "until:1",  "until:2F",
                                        "until:2g", "until:123", "none",    "last:1",   "first:-1"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        prefix_rule parsed = 99;
        assert_false(prefix_rule_parse(slice_from_string(wrong[i]), &parsed));
        assert_int_equal(parsed, 0);
    }
    assert_true(prefix_rule_is_sound(0) && prefix_rule_is_sound(PREFIX_RULE_MAX));
    assert_false(prefix_rule_is_sound(PREFIX_RULE_MAX + 1));
}

TEST_MAIN(RUN(prefix, is_what_the_rule_says_or_nothing),
          RUN(prefix, of_a_key_is_that_of_all_keys_that_begin_with_it),
          RUN(prefix, rules_have_one_name_each))
