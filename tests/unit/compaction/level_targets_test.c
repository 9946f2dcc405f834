#include "compaction/level_targets.h"

#include <stdio.h>

#include "lib/test.h"
#include "unit/compaction/tree_text.h"

/* "base 5: 0 0 0 0 0 400 900", in kB from L0 on. */
static void expect_targets(const char *tree, const char *expected) {
    char text[256];
    tree_options options = tree_test_options();
    version *v = tree_from_text(tree);
    level_targets t = level_targets_of(v, &options);
    int used = snprintf(text, sizeof text, "base %u:", t.base_level);
    for (uint32_t level = 0; level < LEVEL_COUNT; level++)
        used += snprintf(text + used, sizeof text - (size_t)used, " %llu",
                         (unsigned long long)t.bytes[level] / 1000);
    print_message("%s\n", tree);
    assert_string_equal(text, expected);
    version_unref(v);
}

TEST(level_targets, a_small_tree_has_one_level) {
    expect_targets("", "base 6: 0 0 0 0 0 0 400");
    expect_targets("L0: 1:a-z:9000", "base 6: 0 0 0 0 0 0 400");
    expect_targets("L6: 1:a-z:400", "base 6: 0 0 0 0 0 0 400");
}

TEST(level_targets, levels_open_upward_as_the_last_one_grows) {
    expect_targets("L6: 1:a-z:401", "base 5: 0 0 0 0 0 400 401");
    expect_targets("L6: 1:a-z:1600", "base 5: 0 0 0 0 0 400 1600");
    expect_targets("L6: 1:a-z:6400", "base 4: 0 0 0 0 400 1600 6400");
    expect_targets("L6: 1:a-z:25600", "base 3: 0 0 0 400 1600 6400 25600");
    expect_targets("L6: 1:a-z:409600", "base 1: 0 400 1600 6400 25600 102400 409600");
}

TEST(level_targets, the_top_level_takes_the_base_when_all_are_open) {
    expect_targets("L6: 1:a-z:4096000", "base 1: 0 400 1600 6400 25600 102400 409600");
}

TEST(level_targets, a_level_with_data_is_never_above_the_base) {
    expect_targets("L4: 1:a-z:10 L6: 2:a-z:100", "base 4: 0 0 0 0 400 400 1600");
}

TEST(level_targets, debt_counts_what_is_over) {
    tree_options options = tree_test_options();
    version *v = tree_from_text("L0: 1:a-b:10 2:a-b:10 3:a-b:10 4:a-b:10");
    assert_int_equal(level_debt_bytes(v, &options), 0);
    version_unref(v);
    v = tree_from_text("L0: 1:a-b:10 2:a-b:10 3:a-b:10 4:a-b:10 5:a-b:10");
    assert_int_equal(level_debt_bytes(v, &options), 50000);
    version_unref(v);
    v = tree_from_text("L5: 1:a-b:450 L6: 2:a-b:1600");
    assert_int_equal(level_debt_bytes(v, &options), 50000);
    version_unref(v);
}

TEST_MAIN(RUN(level_targets, a_small_tree_has_one_level),
          RUN(level_targets, levels_open_upward_as_the_last_one_grows),
          RUN(level_targets, the_top_level_takes_the_base_when_all_are_open),
          RUN(level_targets, a_level_with_data_is_never_above_the_base),
          RUN(level_targets, debt_counts_what_is_over))
