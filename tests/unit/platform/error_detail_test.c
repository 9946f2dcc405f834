#include "platform/error_detail.h"

#include <pthread.h>
#include <string.h>

#include "lib/test.h"

TEST(error_detail, set_replaces_and_append_adds) {
    error_detail_set("first %d", 1);
    error_detail_set("second %s", "one");
    error_detail_append("; try %s", "again");
    assert_string_equal(error_detail_get(), "second one; try again");
}

TEST(error_detail, may_quote_itself) {
    error_detail_set("inner");
    error_detail_set("outer: %s", error_detail_get());
    assert_string_equal(error_detail_get(), "outer: inner");
    error_detail_append(" / %s", error_detail_get());
    assert_string_equal(error_detail_get(), "outer: inner / outer: inner");
}

TEST(error_detail, a_long_text_is_cut_between_characters) {
    char text[2 * ERROR_DETAIL_BYTES];
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = '\0';
    memcpy(text + ERROR_DETAIL_BYTES - 2, "\xC3\xA4", 2); /* only its first byte fits */
    error_detail_set("%s", text);
    assert_int_equal(strlen(error_detail_get()), ERROR_DETAIL_BYTES - 1);
    assert_int_equal(error_detail_get()[ERROR_DETAIL_BYTES - 2], '?');
    error_detail_append("more");
    assert_int_equal(strlen(error_detail_get()), ERROR_DETAIL_BYTES - 1);
    /* The same at the end of an append. */
    text[ERROR_DETAIL_BYTES - 2] = '\0';
    error_detail_set("%s", text);
    error_detail_append("\xC3\xA4");
    assert_int_equal(error_detail_get()[ERROR_DETAIL_BYTES - 2], '?');
}

TEST(error_detail, is_one_line_of_utf8_whatever_the_path_holds) {
    error_detail_set("a\nb\x7F"
                     "c\xFF\xC3(\xE2\x82\xAC\xED\xA0\x80 \xF0\x9F\x8F\x94 \xC0\x80");
    assert_string_equal(error_detail_get(), "a?b?c?"
                                            "?(\xE2\x82\xAC?"
                                            "?"
                                            "? \xF0\x9F\x8F\x94 ?"
                                            "?");
}

TEST(error_detail, statuses_carry_a_literal_for_their_code) {
    status st = error_status(FIRN_LOCKED, "held by %d", 7);
    assert_int_equal(st.code, FIRN_LOCKED);
    assert_int_equal(st.os_errno, 0);
    assert_string_equal(st.what, "LOCKED");
    assert_string_equal(error_detail_get(), "held by 7");
    for (int code = FIRN_OK; code <= FIRN_WOULD_BLOCK; code++)
        assert_string_not_equal(error_status((firn_status)code, "x").what, "UNKNOWN");
}

TEST(error_detail, corruption_names_file_problem_and_offset) {
    ASSERT_CODE(error_corruption_at("db/000012.wal", 4096, "bad checksum"), FIRN_CORRUPTION);
    assert_string_equal(error_detail_get(), "db/000012.wal: bad checksum at offset 4096");
}

static void *other_thread(void *context) {
    *(bool *)context = error_detail_get()[0] == '\0';
    error_detail_set("theirs");
    return NULL;
}

TEST(error_detail, belongs_to_its_thread) {
    bool was_empty = false;
    pthread_t thread;
    error_detail_set("mine");
    assert_int_equal(pthread_create(&thread, NULL, other_thread, &was_empty), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(was_empty);
    assert_string_equal(error_detail_get(), "mine");
}

TEST_MAIN(RUN(error_detail, set_replaces_and_append_adds), RUN(error_detail, may_quote_itself),
          RUN(error_detail, a_long_text_is_cut_between_characters),
          RUN(error_detail, is_one_line_of_utf8_whatever_the_path_holds),
          RUN(error_detail, statuses_carry_a_literal_for_their_code),
          RUN(error_detail, corruption_names_file_problem_and_offset),
          RUN(error_detail, belongs_to_its_thread))
