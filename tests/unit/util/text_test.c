#include "util/text.h"

#include <stdio.h>
#include <string.h>

#include "lib/test.h"
#include "util/rng.h"

static void assert_escaped(slice bytes, size_t limit, const char *expected) {
    buf b = {0};
    text_append_escaped(&b, bytes, limit);
    assert_true(slice_equal(buf_slice(&b), slice_from_string(expected)));
    buf_deinit(&b);
}

static void assert_json(slice bytes, const char *expected) {
    buf b = {0};
    text_append_json(&b, bytes);
    if (!slice_equal(buf_slice(&b), slice_from_string(expected))) {
        buf_append_zeros(&b, 1);
        fail_msg("got %s, expected %s", (const char *)b.data, expected);
    }
    buf_deinit(&b);
}

TEST(text, escaped_form_can_be_read) {
    assert_escaped(slice_from_string("plain key"), 100, "plain key");
    assert_escaped(slice_of("a\\b\t\n\r\0z", 8), 100, "a\\\\b\\t\\n\\r\\0z");
    assert_escaped(slice_of("\x01\x7f\x80\xff", 4), 100, "\\x01\\x7f\\x80\\xff");
    assert_escaped(slice_of(NULL, 0), 100, "");
}

TEST(text, escaped_form_is_cut_at_the_limit) {
    assert_escaped(slice_from_string("abcdef"), 6, "abcdef");
    assert_escaped(slice_from_string("abcdef"), 5, "abcde...");
    assert_escaped(slice_from_string("abcdef"), 0, "...");
}

/* Reads the escaped form back: it must be unambiguous for any bytes. */
TEST(text, escaped_form_round_trips) {
    rng r;
    rng_init(&r, test_seed());
    for (uint64_t round = test_scaled(2000); round > 0; round--) {
        uint8_t bytes[40];
        size_t size = rng_below(&r, sizeof bytes + 1);
        for (size_t i = 0; i < size; i++)
            bytes[i] =
                rng_below(&r, 2) ? (uint8_t)rng_next(&r) : (uint8_t) "\\x0nrt12"[rng_below(&r, 8)];
        buf b = {0};
        text_append_escaped(&b, slice_of(bytes, size), size);
        buf_append_zeros(&b, 1);
        size_t at = 0;
        for (const char *p = (const char *)b.data; *p; at++) {
            unsigned byte = (uint8_t)*p++;
            if (byte == '\\') {
                char letter = *p++;
                if (letter == 'x') {
                    assert_int_equal(sscanf(p, "%2x", &byte), 1);
                    p += 2;
                } else {
                    byte = letter == 't'   ? '\t'
                           : letter == 'n' ? '\n'
                           : letter == 'r' ? '\r'
                           : letter == '0' ? '\0'
                                           : (unsigned)letter;
                }
            }
            assert_true(at < size);
            assert_int_equal(byte, bytes[at]);
        }
        assert_int_equal(at, size);
        buf_deinit(&b);
    }
}

TEST(text, json_keeps_valid_utf8_and_escapes_the_rest) {
    assert_json(slice_from_string("say \"hi\" \\ /"), "say \\\"hi\\\" \\\\ /");
    assert_json(slice_of("\t\n\r\0\x1f\x7f", 6), "\\t\\n\\r\\u0000\\u001f\\u007f");
    assert_json(slice_from_string("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"),
                "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
    assert_json(slice_from_string("\xc0\x80"), "\\u00c0\\u0080");            /* overlong */
    assert_json(slice_from_string("\xe0\x9f\xbf"), "\\u00e0\\u009f\\u00bf"); /* overlong */
    assert_json(slice_from_string("\xed\xa0\x80"), "\\u00ed\\u00a0\\u0080"); /* surrogate */
    assert_json(slice_from_string("\xf4\x90\x80\x80"), "\\u00f4\\u0090\\u0080\\u0080");
    assert_json(slice_from_string("\xf0\x8f\xbf\xbf"), "\\u00f0\\u008f\\u00bf\\u00bf");
    assert_json(slice_from_string("\xe2\x82"), "\\u00e2\\u0082"); /* cut short */
    assert_json(slice_from_string("\xe2\x82z"), "\\u00e2\\u0082z");
    assert_json(slice_from_string("\xff\xf5"), "\\u00ff\\u00f5");
    assert_json(slice_from_string("\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf"),
                "\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf");
}

TEST(text, sizes_are_rounded_to_one_decimal) {
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {{0, "0 B"},
                 {1023, "1023 B"},
                 {1024, "1.0 KiB"},
                 {1536, "1.5 KiB"},
                 {12897485, "12.3 MiB"},
                 {1024 * 1024 - 1, "1.0 MiB"},
                 {1023 * 1024, "1023.0 KiB"},
                 {(uint64_t)1 << 30, "1.0 GiB"},
                 {((uint64_t)1 << 60) - 1, "1.0 EiB"},
                 {UINT64_MAX, "16.0 EiB"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char out[16];
        assert_ptr_equal(text_bytes(cases[i].bytes, out), out);
        assert_string_equal(out, cases[i].text);
    }
}

TEST_MAIN(RUN(text, escaped_form_can_be_read), RUN(text, escaped_form_is_cut_at_the_limit),
          RUN(text, escaped_form_round_trips),
          RUN(text, json_keeps_valid_utf8_and_escapes_the_rest),
          RUN(text, sizes_are_rounded_to_one_decimal))
