#include "compaction/picker.h"

#include <stdio.h>

#include "lib/test.h"
#include "unit/compaction/tree_text.h"

static void expect_view(const char *tree, const char *expected, const picker_view *as) {
    tree_options options = as->options ? *as->options : tree_test_options();
    version *v = tree_from_text(tree);
    compaction_plan plan;
    bool found;
    print_message("%s\n", tree);
    picker_view now = {.version = v,
                       .options = &options,
                       .now_ms = 1000,
                       .expired_ms = 1000,
                       .wants_room = as->wants_room};
    ASSERT_OK(picker_pick(&now, &found, &plan));
    assert_string_equal(plan_to_text(found, &plan), expected);
    compaction_plan_deinit(&plan);
    version_unref(v);
}

static void expect_pick(const char *tree, const char *expected) {
    expect_view(tree, expected, &(picker_view){0});
}

/* Where garbage has to go when it is 100 ms old. */
static void expect_aged(const char *tree, const char *expected) {
    tree_options options = tree_test_options();
    options.purge_age_ms = 100;
    expect_view(tree, expected, &(picker_view){.options = &options});
}

TEST(picker, leaves_a_tree_alone_that_is_in_shape) {
    expect_pick("", "none");
    expect_pick("L0: 1:a-z:100 2:a-z:100 3:a-z:100", "none");
    expect_pick("L0: 3:a-z:100 L5: 1:a-m:100 2:n-z:100 L6: 4:a-k:500 5:l-z:500", "none");
}

TEST(picker, drops_a_table_unread_when_all_has_expired_and_nothing_lies_below) {
    expect_pick("L5: 2:a-c:100x5-1000 3:d-f:100x5-1001", "L5->L5: 2 (drop)");
    expect_pick("L6: 2:a-c:100x5-1000!", "none");
    expect_pick("L0: 3:a-c:100 2:b-d:100x5-9", "L0->L0: 2 (drop)"); /* newer ones do not matter */
    expect_pick("L0: 3:b-d:100x5-9 2:a-c:100", "none");             /* older ones would come back */
    expect_pick("L0: 3:b-d:100x5-9 2:e-f:100", "L0->L0: 3 (drop)");
    expect_pick("L0: 3:b-d:100x5-9 L6: 2:c-e:100", "none");
}

TEST(picker, rewrites_a_table_when_half_of_what_expires_has) {
    expect_pick("L5: 3:b-d:100x5-9 L6: 2:c-e:100", "L5->L6: 3 + 2");
    expect_pick("L5: 3:b-d:100x900-1100 L6: 2:x-z:100", "L5->L6: 3");
    expect_pick("L6: 3:b-d:100x900-1100", "L6->L6: 3");
    expect_pick("L6: 3:b-d:100x900-1102", "none");
    expect_pick("L6: 3:b-d:100x5-", "none");
}

TEST(picker, rewrites_a_table_when_enough_of_it_has_expired) {
    /* An eighth of those that expire is gone every 10 ms, the clock is at 1000. */
    expect_pick("L6: 3:b-d:100x930-e10", "L6->L6: 3"); /* 7 of 10 */
    expect_pick("L6: 3:b-d:100x960-e10", "L6->L6: 3"); /* 5 */
    expect_pick("L6: 3:b-d:100x961-e10", "none");      /* 3.75 */
    expect_pick("L6: 3:b-d:100x920-e5", "L6->L6: 3");  /* all 5 */
    expect_pick("L6: 3:b-d:100x921-e5", "none");
    expect_pick("L6: 3:b-d:100x920-e2",
                "L6->L6: 3"); /* never half of the table, but all there is */
    expect_pick("L6: 3:b-d:100x921-e2", "none");
    expect_pick("L5: 3:b-d:100x960-e10 L6: 2:c-e:100", "L5->L6: 3 + 2");
    expect_pick("L5: 3:b-d:100x960-e8 L6: 2:c-e:100", "none");           /* 4 */
    expect_pick("L5: 3:b-d:100dx960-e8 L6: 2:c-e:100", "L5->L6: 3 + 2"); /* and a delete */
}

TEST(picker, sinks_what_is_too_old) {
    expect_aged("L6: 3:b-d:100h@900", "L6->L6: 3");
    expect_aged("L6: 3:b-d:100h@901", "none");
    expect_aged("L6: 3:b-d:100@1", "none"); /* nothing to give up */
    expect_aged("L6: 3:b-d:100h", "none");  /* age unknown */
    expect_aged("L5: 3:b-d:100@900 L6: 2:c-e:100@1", "L5->L6: 3 + 2");
    expect_aged("L5: 3:b-d:100@900 L6: 2:x-z:100@1", "L5->L6: 3 (move)");
    expect_aged("L0: 3:b-d:100@990 2:b-d:100@900 L6: 1:c-e:100@1", "L0->L6: 3 2 + 1");
    expect_aged("L0: 3:b-d:100@990 2:b-d:100@901 L6: 1:c-e:100@1", "none");
    expect_aged("L5: 3:b-d:100@900 L6: 2:c-e:100@1!", "none");
    expect_pick("L6: 3:b-d:100h@1", "none"); /* without the option */
}

TEST(picker, sinks_range_tombstones) {
    expect_pick("L4: 3:b-d:9r L6: 2:c-e:100", "L4->L5: 3 (move)");
    expect_pick("L5: 3:b-d:9r L6: 2:c-e:100", "L5->L6: 3 + 2");
    expect_pick("L6: 3:b-d:9r", "none");
}

TEST(picker, takes_all_of_l0_and_what_it_overlaps) {
    expect_pick("L0: 4:a-c:100 3:b-d:100 2:c-e:100 1:d-f:100", "L0->L6: 4 3 2 1");
    expect_pick("L0: 9:d-f:20 8:d-f:20 7:e-g:20 6:f-g:20 L6: 1:a-c:90 2:d-e:90 3:f-k:90 4:l-z:90",
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

/* However far a level below is over its target. */
TEST(picker, drains_l0_first_when_writers_are_about_to_wait_for_it) {
    const char *below = "L5: 11:a-c:800 12:d-f:800 L6: 4:a-b:1400 5:d-e:100";
    char tree[256];
    snprintf(tree, sizeof tree, "L0: 9:a-b:99 8:a-b:99 7:a-b:99 6:a-b:99 3:a-b:99 2:a-b:99 %s",
             below);
    expect_pick(tree, "L5->L6: 12 + 5");
    snprintf(tree, sizeof tree,
             "L0: 10:a-b:99 9:a-b:99 8:a-b:99 7:a-b:99 6:a-b:99 3:a-b:99 2:a-b:99 %s", below);
    expect_pick(tree, "L0->L5: 10 9 8 7 6 3 2 + 11");
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
    picker_view now = {.version = v, .options = &options};
    ASSERT_OK(picker_pick_manual(&now, &range, &found, &plan));
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

TEST(picker, by_request_rewrites_what_released_readers_needed) {
    expect_manual("L6: 3:a-c:9 4:d-f:9h 5:g-i:9", NULL, NULL, 100, "L6->L6: 4");
    expect_manual("L6: 100:d-f:9h", NULL, NULL, 100, "none");
    expect_manual("L5: 2:b-d:9h L6: 3:e-z:9", NULL, NULL, 100, "L5->L6: 2"); /* no move */
}

TEST(picker, merges_within_l0_while_a_compaction_out_of_it_runs) {
    /* Four wait: small ones at once, large ones only when writers are about to be slowed. */
    expect_pick("L0: 9:a-z:9 8:a-z:9 7:a-z:9 6:a-z:9 5:a-z:9! 4:a-z:9! L6: 1:a-z:90!",
                "L0->L0: 9 8 7 6");
    expect_pick("L0: 9:a-z:90 8:a-z:90 7:a-z:90 6:a-z:90 5:a-z:9! 4:a-z:9! L6: 1:a-z:90!", "none");
    expect_pick("L0: 9:a-z:90 8:a-z:90 7:a-z:90 6:a-z:90 5:a-z:9! 4:a-z:9! 3:a-z:9! 2:a-z:9! "
                "L6: 1:a-z:90!",
                "L0->L0: 9 8 7 6");
    expect_pick("L0: 9:a-z:9 8:a-z:9 7:a-z:9 5:a-z:9! L6: 1:a-z:90!", "none");
}

TEST(picker, merges_small_l0_tables_rather_than_dragging_the_base_along) {
    expect_pick("L0: 9:a-z:1 8:a-z:1 7:a-z:1 6:a-z:1 L6: 1:a-z:300", "L0->L0: 9 8 7 6");
    expect_pick("L0: 9:a-z:1 8:a-z:1 7:a-z:4 6:a-z:40 L6: 1:a-z:300", "L0->L0: 9 8");
    /* Nothing of similar size in front: the base has to come along. */
    expect_pick("L0: 9:a-z:1 8:a-z:4 7:a-z:16 6:a-z:40 L6: 1:a-z:300", "L0->L6: 9 8 7 6 + 1");
    expect_pick("L0: 9:a-c:1 8:a-c:1 7:a-c:1 6:a-c:1 L6: 1:a-c:4 2:d-z:300", "L0->L6: 9 8 7 6 + 1");
}

TEST(picker, takes_along_what_drags_nothing_new) {
    expect_pick("L5: 1:a-b:100 2:c-d:100 3:e-f:100 4:g-k:200 L6: 5:a-f:100 6:g-k:900",
                "L5->L6: 1 2 3 + 5");
    expect_pick("L5: 1:a-b:100 2:c-d:100! 3:e-f:100 4:g-k:500 L6: 5:a-f:90 6:g-k:900",
                "L5->L6: 1 + 5");
}

TEST(picker, moves_as_many_tables_as_are_over) {
    expect_pick("L5: 1:a-b:300 2:c-d:300 3:e-f:300 L6: 9:x-z:800", "L5->L6: 1 2 (move)");
    expect_pick("L5: 1:a-b:100 2:c-d:300 3:e-f:100 L6: 9:x-z:800", "L5->L6: 1 (move)");
}

TEST(picker, sends_tables_full_of_deletes_down_early) {
    expect_pick("L4: 1:a-b:10 L5: 2:c-d:10D L6: 3:a-k:300", "L5->L6: 2 + 3");
    expect_pick("L4: 1:a-b:10 L5: 2:c-d:10d L6: 3:a-k:300", "none"); /* one of ten */
    expect_pick("L5: 2:c-d:10D L6: 3:a-k:300!", "none");
    expect_pick("L6: 3:a-k:300D", "none"); /* they would still be needed there, or be gone */
}

TEST(picker, merges_all_that_may_free_room_when_it_is_wanted) {
    tree_options tiered = tree_test_options();
    tiered.strategy = TREE_TIERED;
    const picker_view room = {.wants_room = true}, tiers = {.options = &tiered, .wants_room = true};
    expect_view("L0: 3:a-c:10 L6: 2:a-k:300", "L0->L6: 3 + 2", &room);
    expect_view("L4: 1:a-b:10 L5: 2:c-d:10d L6: 3:a-k:300", "L5->L6: 2 + 3", &room);
    expect_view("L5: 2:c-d:10 L6: 3:a-k:300", "L5->L6: 2 + 3", &room);
    expect_view("L5: 2:c-d:10 L6: 3:e-k:300", "none", &room);
    expect_view("L6: 3:a-k:300D", "none", &room);
    expect_view("L0: 3:a-c:9 L6: 2:a-k:300", "L0->L6: 3 + 2", &tiers);
    expect_view("L6: 2:a-k:300", "none", &tiers);
}

/* --- tiered --- */

static void expect_strategy(tree_strategy strategy, const char *tree, const char *expected) {
    tree_options options = tree_test_options();
    options.strategy = strategy;
    options.fifo_bytes = 1000000;
    options.fifo_ttl_ms = 100;
    version *v = tree_from_text(tree);
    compaction_plan plan;
    bool found;
    picker_view now = {.version = v, .options = &options, .now_ms = 1000};
    print_message("%s: %s\n", tree_strategy_name(strategy), tree);
    ASSERT_OK(picker_pick(&now, &found, &plan));
    assert_string_equal(plan_to_text(found, &plan), expected);
    compaction_plan_deinit(&plan);
    version_unref(v);
}

TEST(picker, tiered_waits_for_enough_runs) {
    expect_strategy(TREE_TIERED, "", "none");
    expect_strategy(TREE_TIERED, "L0: 3:a-z:9 2:a-z:9 1:a-z:9", "none");
    expect_strategy(TREE_TIERED, "L0: 3:a-z:9 2:a-z:9 L6: 1:a-z:90", "none");
}

TEST(picker, tiered_merges_runs_of_similar_size_above_the_next_older) {
    expect_strategy(TREE_TIERED, "L0: 4:a-z:9 3:a-z:9 2:a-z:9 1:a-z:9", "L0->L6: 4 3 2 1");
    expect_strategy(TREE_TIERED, "L0: 4:a-z:9 3:a-z:9 2:a-z:9 L6: 1:a-z:300", "L0->L5: 4 3 2");
    expect_strategy(TREE_TIERED, "L0: 5:a-z:9 4:a-z:9 3:a-z:300 L6: 1:a-z:600", "L0->L0: 5 4");
    expect_strategy(TREE_TIERED, "L0: 9:a-z:9 8:a-z:9 L5: 2:a-f:9 3:g-z:9 L6: 1:a-z:600",
                    "L0->L5: 9 8 + 2 3");
}

TEST(picker, tiered_moves_runs_that_share_no_key) {
    expect_strategy(TREE_TIERED, "L0: 4:m-n:9 3:k-l:9 2:i-j:9 1:a-c:9", "L0->L6: 4 3 2 1 (move)");
    expect_strategy(TREE_TIERED, "L0: 4:m-n:9 3:k-l:9 L5: 2:e-f:3 5:g-h:3 L6: 1:a-c:300",
                    "L0->L5: 4 3 + 2 5 (move)");
    expect_strategy(TREE_TIERED, "L0: 4:m-n:9 3:k-l:9 2:k-k:9 1:a-c:9", "L0->L6: 4 3 2 1");
    expect_strategy(TREE_TIERED, "L0: 5:z-z:9 4:y-y:9 3:m-n:300 1:a-c:900", "L0->L0: 5 4");
}

TEST(picker, tiered_merges_everything_when_garbage_may_be_twice_the_data) {
    expect_strategy(TREE_TIERED, "L0: 4:a-z:10 3:a-z:50 2:a-z:140 L6: 1:a-z:100",
                    "L0->L6: 4 3 2 + 1");
    expect_strategy(TREE_TIERED, "L0: 4:a-z:10! 3:a-z:50! 2:a-z:140 L6: 1:a-z:600!", "none");
}

TEST(picker, tiered_bounds_the_number_of_runs) {
    expect_strategy(TREE_TIERED, "L0: 5:a-z:10 4:a-z:30 3:a-z:90 2:a-z:270 L6: 1:a-z:810",
                    "L0->L0: 5 4 3");
}

TEST(picker, tiered_leaves_busy_runs_and_their_place_alone) {
    expect_strategy(TREE_TIERED, "L0: 6:a-z:9 5:a-z:9 4:a-z:9! 3:a-z:9! L6: 1:a-z:900",
                    "L0->L0: 6 5");
    expect_strategy(TREE_TIERED, "L0: 6:a-z:9 5:a-z:9 L3: 4:a-z:90! L4: 3:a-z:90! L6: 1:a-z:900",
                    "L0->L2: 6 5");
}

/* --- FIFO --- */

TEST(picker, fifo_drops_the_oldest_beyond_the_limit) {
    expect_strategy(TREE_FIFO, "L0: 3:a-z:400 2:a-z:400 1:a-z:100", "none");
    expect_strategy(TREE_FIFO, "L0: 3:a-z:500 2:a-z:400 1:a-z:200", "L0->L0: 1 (drop)");
    expect_strategy(TREE_FIFO, "L0: 3:a-z:500 2:a-z:400 1:a-z:200!", "none");
}

TEST(picker, fifo_drops_what_is_too_old) {
    expect_strategy(TREE_FIFO, "L0: 3:a-z:9@990 2:a-z:9@950 1:a-z:9@899", "L0->L0: 1 (drop)");
    expect_strategy(TREE_FIFO, "L0: 3:a-z:9@990 2:a-z:9@950 1:a-z:9@900", "none");
    expect_strategy(TREE_FIFO, "L0: 3:a-z:9@990 1:a-z:9", "none");       /* age unknown */
    expect_strategy(TREE_FIFO, "L0: 3:a-z:9@1 2:a-z:9@999 ", "none");    /* in order only */
    expect_strategy(TREE_FIFO, "L0: 2:a-z:9@2000 1:a-z:9@2000", "none"); /* the clock jumped */
}

TEST(picker, fifo_drops_deeper_levels_first) {
    expect_strategy(TREE_FIFO, "L0: 9:a-z:500 L5: 1:a-c:400 2:d-f:400 L6: 3:a-c:1 4:d-f:1",
                    "L6->L6: 4 (drop)");
}

TEST(picker, fifo_merges_small_neighbours) {
    expect_strategy(TREE_FIFO, "L0: 5:a-z:9 4:a-z:9 3:a-z:9 2:a-z:9 1:a-z:90", "L0->L0: 5 4 3 2");
    expect_strategy(TREE_FIFO, "L0: 6:a-z:90 5:a-z:9 4:a-z:9 3:a-z:9 2:a-z:9", "L0->L0: 5 4 3 2");
    expect_strategy(TREE_FIFO, "L0: 4:a-z:90 3:a-z:90 2:a-z:90 1:a-z:90", "none");
}

TEST_MAIN(
    RUN(picker, leaves_a_tree_alone_that_is_in_shape),
    RUN(picker, drops_a_table_unread_when_all_has_expired_and_nothing_lies_below),
    RUN(picker, rewrites_a_table_when_half_of_what_expires_has),
    RUN(picker, rewrites_a_table_when_enough_of_it_has_expired), RUN(picker, sinks_what_is_too_old),
    RUN(picker, sinks_range_tombstones), RUN(picker, takes_all_of_l0_and_what_it_overlaps),
    RUN(picker, moves_l0_tables_that_share_no_key_and_meet_nothing),
    RUN(picker, sends_l0_above_a_large_last_level), RUN(picker, waits_for_a_running_l0_compaction),
    RUN(picker, drains_l0_first_when_writers_are_about_to_wait_for_it),
    RUN(picker, drains_a_level_by_the_cheapest_table),
    RUN(picker, moves_a_table_that_meets_nothing_below),
    RUN(picker, a_move_that_would_cost_much_later_is_a_compaction),
    RUN(picker, prefers_the_level_that_is_furthest_over),
    RUN(picker, a_busy_level_lets_the_next_best_work),
    RUN(picker, by_request_goes_down_level_by_level), RUN(picker, by_request_minds_the_bounds),
    RUN(picker, by_request_rewrites_old_deletes_of_the_last_level_once),
    RUN(picker, by_request_rewrites_what_released_readers_needed),
    RUN(picker, merges_within_l0_while_a_compaction_out_of_it_runs),
    RUN(picker, merges_small_l0_tables_rather_than_dragging_the_base_along),
    RUN(picker, takes_along_what_drags_nothing_new), RUN(picker, moves_as_many_tables_as_are_over),
    RUN(picker, sends_tables_full_of_deletes_down_early), RUN(picker, tiered_waits_for_enough_runs),
    RUN(picker, tiered_merges_runs_of_similar_size_above_the_next_older),
    RUN(picker, tiered_merges_everything_when_garbage_may_be_twice_the_data),
    RUN(picker, merges_all_that_may_free_room_when_it_is_wanted),
    RUN(picker, tiered_moves_runs_that_share_no_key), RUN(picker, tiered_bounds_the_number_of_runs),
    RUN(picker, tiered_leaves_busy_runs_and_their_place_alone),
    RUN(picker, fifo_drops_the_oldest_beyond_the_limit), RUN(picker, fifo_drops_what_is_too_old),
    RUN(picker, fifo_drops_deeper_levels_first), RUN(picker, fifo_merges_small_neighbours))
