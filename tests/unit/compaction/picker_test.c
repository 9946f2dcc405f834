#include "compaction/picker.h"

#include "lib/test.h"
#include "unit/compaction/tree_text.h"

static void expect_pick(const char *tree, const char *expected) {
    tree_options options = tree_test_options();
    version *v = tree_from_text(tree);
    compaction_plan plan;
    bool found;
    print_message("%s\n", tree);
    ASSERT_OK(picker_pick(v, 0, &options, &found, &plan));
    assert_string_equal(plan_to_text(found, &plan), expected);
    compaction_plan_deinit(&plan);
    version_unref(v);
}

TEST(picker, leaves_a_tree_alone_that_is_in_shape) {
    expect_pick("", "none");
    expect_pick("L0: 1:a-z:100 2:a-z:100 3:a-z:100", "none");
    expect_pick("L0: 3:a-z:100 L5: 1:a-m:100 2:n-z:100 L6: 4:a-k:500 5:l-z:500", "none");
}

TEST(picker, takes_all_of_l0_and_what_it_overlaps) {
    expect_pick("L0: 4:a-c:100 3:b-d:100 2:c-e:100 1:d-f:100", "L0->L6: 4 3 2 1");
    expect_pick("L0: 9:d-f:9 8:d-f:9 7:e-g:9 6:f-g:9 L6: 1:a-c:90 2:d-e:90 3:f-k:90 4:l-z:90",
                "L0->L6: 9 8 7 6 + 2 3");
}

TEST(picker, moves_l0_tables_that_share_no_key_and_meet_nothing) {
    expect_pick("L0: 4:a-c:100 3:d-f:100 2:g-i:100 1:j-l:100 L6: 9:m-z:100",
                "L0->L6: 4 3 2 1 (move)");
    expect_pick("L0: 4:a-c:100 3:c-f:100 2:g-i:100 1:j-l:100", "L0->L6: 4 3 2 1");
}

TEST(picker, sends_l0_above_a_large_last_level) {
    expect_pick("L0: 4:a-z:9 3:a-z:9 2:a-z:9 1:a-z:9 L6: 8:a-m:600 9:n-z:600", "L0->L5: 4 3 2 1");
}

TEST(picker, waits_for_a_running_l0_compaction) {
    expect_pick("L0: 5:a-c:9 4:a-c:9! 3:b-d:9! 2:c-e:9! 1:d-f:9! L6: 7:a-z:90!", "none");
    expect_pick("L0: 4:a-c:9 3:b-d:9 2:c-e:9 1:d-f:9 L6: 7:a-z:90!", "none");
}

TEST(picker, drains_a_level_by_the_cheapest_table) {
    /* L5 aims at 1200 / 4 = 300, at least the base of 400. */
    expect_pick("L5: 1:a-c:200 2:d-f:200 3:g-k:200 L6: 4:a-b:400 5:d-e:100 6:g-h:700",
                "L5->L6: 2 + 5");
    expect_pick("L5: 1:a-c:200 2:d-f:200! 3:g-k:200 L6: 4:a-b:900 5:d-e:100! 6:g-h:200",
                "none"); /* what is leaving counts no more */
    expect_pick("L5: 1:a-c:300 2:d-f:200! 3:g-k:300 L6: 4:a-b:900 5:d-e:100! 6:g-h:200",
                "L5->L6: 3 + 6");
}

TEST(picker, moves_a_table_that_meets_nothing_below) {
    expect_pick("L5: 1:a-c:300 2:d-f:300 L6: 4:a-b:400 5:x-z:800", "L5->L6: 2 (move)");
}

TEST(picker, a_move_that_would_cost_much_later_is_a_compaction) {
    /* Below L5, table 1 meets 1200 kB: more than ten files. */
    expect_pick("L4: 1:a-k:900 L6: 4:a-k:600 5:l-z:600", "L4->L5: 1 (move)");
    expect_pick("L4: 1:a-z:900 L6: 4:a-k:600 5:l-z:600", "L4->L5: 1");
}

TEST(picker, prefers_the_level_that_is_furthest_over) {
    expect_pick("L4: 1:a-m:500 L5: 2:a-m:1300 3:n-z:1300 L6: 4:a-z:3000", "L5->L6: 2 + 4");
    expect_pick("L4: 1:a-m:2500 L5: 2:a-m:500 3:n-z:500 L6: 4:a-z:3000", "L4->L5: 1 + 2");
}

TEST(picker, a_busy_level_lets_the_next_best_work) {
    expect_pick("L4: 1:a-c:700 L5: 2:a-m:900! 3:n-z:900 L6: 4:a-m:3000! 5:n-z:100",
                "L5->L6: 3 + 5");
}

static void expect_manual(const char *tree, const char *lower, const char *upper,
                          uint64_t first_new, const char *expected) {
    tree_options options = tree_test_options();
    version *v = tree_from_text(tree);
    compaction_plan plan;
    bool found;
    manual_range range = {lower ? slice_from_string(lower) : SLICE_UNSET,
                          upper ? slice_from_string(upper) : SLICE_UNSET, first_new};
    print_message("[%s, %s) of %s\n", lower ? lower : "", upper ? upper : "", tree);
    ASSERT_OK(picker_pick_manual(v, 0, &options, &range, &found, &plan));
    assert_string_equal(plan_to_text(found, &plan), expected);
    compaction_plan_deinit(&plan);
    version_unref(v);
}

TEST(picker, by_request_goes_down_level_by_level) {
    expect_manual("", NULL, NULL, 100, "none");
    expect_manual("L0: 2:a-c:9 1:d-f:9 L6: 3:a-z:9", NULL, NULL, 100, "L0->L6: 2 1 + 3");
    expect_manual("L4: 1:a-c:9 L5: 2:b-d:9 L6: 3:a-z:9", NULL, NULL, 100, "L4->L5: 1 + 2");
    expect_manual("L5: 2:b-d:9 L6: 3:a-z:9", NULL, NULL, 100, "L5->L6: 2 + 3");
    expect_manual("L5: 2:b-d:9 L6: 3:e-z:9", NULL, NULL, 100, "L5->L6: 2 (move)");
    expect_manual("L6: 3:a-z:9", NULL, NULL, 100, "none");
}

TEST(picker, by_request_minds_the_bounds) {
    const char *tree = "L5: 1:a-c:9 2:d-f:9 3:g-i:9 L6: 9:x-z:9";
    expect_manual(tree, "d", "e", 100, "L5->L6: 2 (move)");
    expect_manual(tree, "c", "d", 100, "L5->L6: 1 (move)");
    expect_manual(tree, "j", NULL, 100, "none");
    expect_manual(tree, NULL, "a", 100, "none");
    expect_manual(tree, "ca", "d", 100, "none");
    expect_manual(tree, "g", NULL, 100, "L5->L6: 3 (move)");
}

TEST(picker, by_request_rewrites_old_deletes_of_the_last_level_once) {
    expect_manual("L6: 3:a-c:9 4:d-f:9d 5:g-i:9", NULL, NULL, 100, "L6->L6: 4");
    expect_manual("L6: 3:a-c:9 100:d-f:9d 5:g-i:9", NULL, NULL, 100, "none");
    expect_manual("L5: 2:b-d:9d L6: 3:e-z:9", NULL, NULL, 100, "L5->L6: 2"); /* no move */
}

TEST_MAIN(RUN(picker, leaves_a_tree_alone_that_is_in_shape),
          RUN(picker, takes_all_of_l0_and_what_it_overlaps),
          RUN(picker, moves_l0_tables_that_share_no_key_and_meet_nothing),
          RUN(picker, sends_l0_above_a_large_last_level),
          RUN(picker, waits_for_a_running_l0_compaction),
          RUN(picker, drains_a_level_by_the_cheapest_table),
          RUN(picker, moves_a_table_that_meets_nothing_below),
          RUN(picker, a_move_that_would_cost_much_later_is_a_compaction),
          RUN(picker, prefers_the_level_that_is_furthest_over),
          RUN(picker, a_busy_level_lets_the_next_best_work),
          RUN(picker, by_request_goes_down_level_by_level),
          RUN(picker, by_request_minds_the_bounds),
          RUN(picker, by_request_rewrites_old_deletes_of_the_last_level_once))
