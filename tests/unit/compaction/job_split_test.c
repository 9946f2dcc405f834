#include "compaction/job_split.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/test.h"
#include "unit/compaction/tree_text.h"

/* A plan of all tables of `from` and `to`, cut into `pieces` worth 100 kB at least. */
static void expect_split(const char *tree, uint32_t from, uint32_t to, uint32_t pieces,
                         const char *expected) {
    version *v = tree_from_text(tree);
    compaction_plan plan = {.from_level = from, .to_level = to, .version = v};
    user_key borders[JOB_PIECES_MAX - 1];
    char text[64] = "";
    version_ref(v);
    ASSERT_OK(compaction_plan_add(&plan, from, v->levels[from].tables, v->levels[from].count));
    if (to != from)
        ASSERT_OK(compaction_plan_add(&plan, to, v->levels[to].tables, v->levels[to].count));
    uint32_t count = job_split_pieces(&plan, pieces, 100000);
    count = count > 1 ? job_split(&plan, count, borders) : 0;
    for (uint32_t i = 0; i < count; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%.*s|", (int)borders[i].s.size,
                 (const char *)borders[i].s.data);
    print_message("%s\n", tree);
    assert_string_equal(text, expected);
    compaction_plan_deinit(&plan);
    version_unref(v);
}

TEST(job_split, cuts_where_tables_of_the_output_level_begin) {
    const char *tree = "L0: 9:a-z:90 8:a-z:90 L6: 1:a-c:100 2:d-f:100 3:g-i:100 4:j-l:100";
    expect_split(tree, 0, 6, 2, "g|");
    expect_split(tree, 0, 6, 4, "d|g|j|");
    expect_split(tree, 0, 6, 99, "d|g|j|");
    expect_split(tree, 0, 6, 3, "g|j|");
    expect_split(tree, 0, 6, 1, "");
    expect_split("L0: 9:a-z:90 L6: 1:a-c:10 2:d-f:300 3:g-i:10", 0, 6, 2, "g|");
}

TEST(job_split, takes_the_borders_of_other_levels_where_the_output_level_has_none) {
    expect_split("L4: 1:a-c:200 2:d-f:200 L6: 9:a-z:900", 4, 5, 2, "d|");
    expect_split("L0: 1:c-k:900 L6: 2:a-b:100 3:c-d:100 4:e-f:100 5:l-m:100", 0, 5, 2, "e|");
    expect_split("L0: 1:c-k:900", 0, 6, 4, "");
    expect_split("L0: 1:c-k:900 L6: 2:a-z:900", 0, 6, 4, "");
}

TEST(job_split, leaves_small_jobs_and_l0_alone) {
    expect_split("L5: 1:a-c:50 2:d-f:50 L6: 3:a-c:50 4:d-f:40", 5, 6, 4, "");
    expect_split("L5: 1:a-c:50 2:d-f:50 L6: 3:a-c:50 4:d-f:50", 5, 6, 4, "d|");
    expect_split("L0: 3:a-c:500 2:d-f:500 1:g-i:500", 0, 0, 4, "");
}

/* One key and how much is before it, "a100 b50 ...", cut into pieces. */
static void expect_anchor_split(const char *text, uint32_t pieces, const char *expected) {
    job_anchor list[16];
    job_anchors anchors = {.list = list};
    user_key borders[JOB_PIECES_MAX - 1];
    char found[64] = "";
    for (const char *at = text; at; at = strchr(at, ' ') ? strchr(at, ' ') + 1 : NULL)
        list[anchors.count++] =
            (job_anchor){user_key_of(slice_of(at, 1)), strtoull(at + 1, NULL, 10)};
    uint32_t count = job_split_by_anchors(&anchors, (key_order){NULL}, pieces, borders);
    for (uint32_t i = 0; i < count; i++)
        snprintf(found + strlen(found), sizeof found - strlen(found), "%.*s|",
                 (int)borders[i].s.size, (const char *)borders[i].s.data);
    assert_string_equal(found, expected);
}

TEST(job_split, by_anchors_makes_even_pieces_and_no_empty_ones) {
    expect_anchor_split("c10 f10 i10 l10", 2, "f|");
    expect_anchor_split("c10 f10 i10 l10", 4, "c|f|i|");
    expect_anchor_split("c10 f10 i10 l10", 3, "f|i|");
    expect_anchor_split("c10 d90 e90 f10", 2, "d|");
    expect_anchor_split("c10 c10 c10 d10", 4, "c|d|"); /* many versions of one key */
    expect_anchor_split("c10 f10", 1, "");
}

TEST_MAIN(RUN(job_split, cuts_where_tables_of_the_output_level_begin),
          RUN(job_split, takes_the_borders_of_other_levels_where_the_output_level_has_none),
          RUN(job_split, leaves_small_jobs_and_l0_alone),
          RUN(job_split, by_anchors_makes_even_pieces_and_no_empty_ones))
