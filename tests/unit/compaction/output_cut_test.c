#include "compaction/output_cut.h"

#include <stdio.h>

#include "lib/test.h"
#include "unit/compaction/tree_text.h"

/* Keys a, b, c ... of 10 kB each go to L5 above `tree`; "ab|c" is a cut in front of c. */
static void expect_cuts(const char *tree, const char *keys, const char *expected) {
    char text[64];
    size_t used = 0;
    uint64_t bytes = 0;
    version *v = tree_from_text(tree);
    output_cut cut = output_cut_new(v, 5, 40000);
    for (const char *k = keys; *k; k++) {
        buf key = {0};
        internal_key_append(&key, user_key_of(slice_of(k, 1)), 9, OP_PUT);
        if (output_cut_is_due(&cut, (internal_key){buf_slice(&key)}, bytes)) {
            text[used++] = '|';
            bytes = 0;
        }
        text[used++] = *k;
        bytes += 10000;
        buf_deinit(&key);
    }
    text[used] = 0;
    print_message("%s over %s\n", keys, tree);
    assert_string_equal(text, expected);
    version_unref(v);
}

TEST(output_cut, ends_tables_at_the_wanted_size) {
    expect_cuts("", "abcdefghij", "abcd|efgh|ij");
}

TEST(output_cut, prefers_a_border_of_the_level_below) {
    expect_cuts("L6: 1:a-c:10 2:d-z:10", "abcdefghij", "abc|defg|hij");
    expect_cuts("L6: 1:a-b:10 2:c-z:10", "abcdefghij", "abcd|efgh|ij"); /* too small there */
    expect_cuts("L6: 1:a-c:10 2:d-f:10 3:g-k:10", "abcdefghij", "abc|def|ghij");
}

TEST(output_cut, never_spans_too_much_of_the_level_below) {
    expect_cuts("L6: 1:a-a:401 2:b-b:401 3:c-d:200 4:e-e:201 5:f-f:1", "abcdef", "a|b|cde|f");
    expect_cuts("L6: 1:a-a:401", "g", "g"); /* no table is cut before its first key */
}

TEST(output_cut, keeps_l0_in_one_piece) {
    version *v = tree_from_text("L1: 1:a-b:9000 2:c-d:9000");
    output_cut cut = output_cut_new(v, 0, 1000);
    buf key = {0};
    internal_key_append(&key, user_key_of(slice_from_string("x")), 9, OP_PUT);
    assert_false(output_cut_is_due(&cut, (internal_key){buf_slice(&key)}, 1000000));
    buf_deinit(&key);
    version_unref(v);
}

TEST_MAIN(RUN(output_cut, ends_tables_at_the_wanted_size),
          RUN(output_cut, prefers_a_border_of_the_level_below),
          RUN(output_cut, never_spans_too_much_of_the_level_below),
          RUN(output_cut, keeps_l0_in_one_piece))
