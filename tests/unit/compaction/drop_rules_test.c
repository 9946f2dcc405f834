#include "compaction/drop_rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/test.h"

static bool answer_bottom(void *context) {
    return *(bool *)context;
}

/* Versions newest first, "9p 7d": put at 9, delete at 7. Kept ones are printed. */
typedef struct drop_case {
    const char *readers; /* ascending; the last is the newest visible sequence */
    const char *versions;
    bool bottom;
    const char *kept;
} drop_case;

static const drop_case cases[] = {
    /* without snapshots the newest version stays */
    {"10", "9p", false, "9p"},
    {"10", "9p 7p 5p", false, "9p"},
    {"10", "10p 7p", false, "10p"},
    {"10", "9p 7d 5p", false, "9p"},
    /* a delete stays until nothing lies below, and hides what is older either way */
    {"10", "9d 7p 5p", false, "9d"},
    {"10", "9d 7p 5p", true, ""},
    {"10", "9d", false, "9d"},
    {"10", "9d", true, ""},
    {"10", "9d 8d 7d", true, ""},
    {"10", "9p 8d 7p", true, "9p"},
    /* each snapshot keeps what it sees */
    {"6 10", "9p 7p 5p 3p", false, "9p 5p"},
    {"6 10", "9p 6p 5p", false, "9p 6p"},
    {"6 10", "9p 7p", false, "9p"},
    {"6 10", "5p 3p", false, "5p"},
    {"2 4 6 10", "9p 5p 3p 1p", false, "9p 5p 3p 1p"},
    {"2 4 6 10", "9p 8p 5p 3p", false, "9p 5p 3p"},
    {"1 2 3 10", "9p 8p 7p 6p", false, "9p"},
    /* a delete above a snapshot must keep hiding what the snapshot sees */
    {"6 10", "9d 5p", true, "9d 5p"},
    {"6 10", "9d 7p 5p", true, "9d 5p"},
    {"6 10", "9p 5d 3p", true, "9p"},
    {"6 10", "9p 5d 3p", false, "9p 5d"},
    {"6 10", "9d 5d 3p", true, "9d"}, /* 9d goes the next time, when it is alone */
    {"6 10", "5d", true, ""},
    /* what nobody sees yet stays: a reader may still come between */
    {"10", "12p 11p 9p 8p", false, "12p 11p 9p"},
    {"10", "12d 9p", true, "12d 9p"},
    {"10", "12d 11p 9d 5p", true, "12d 11p"},
    {"0", "3p 2d 1p", true, "3p 2d 1p"},
};

static void run_case(const drop_case *c) {
    seqno readers[8];
    size_t count = 0;
    char kept[64] = "", *at;
    drop_rules rules;
    bool bottom = c->bottom;
    for (const char *p = c->readers; *p; p = *at ? at + 1 : at)
        readers[count++] = strtoull(p, &at, 10);
    drop_rules_init(&rules, readers, count);
    drop_rules_next_key(&rules);
    for (const char *p = c->versions; *p; p = at[1] ? at + 2 : at + 1) {
        seqno sequence = strtoull(p, &at, 10);
        op_kind kind = *at == 'd' ? OP_DELETE : OP_PUT;
        if (!drop_rules_may_drop(&rules, sequence, kind, answer_bottom, &bottom))
            sprintf(kept + strlen(kept), "%s%llu%c", *kept ? " " : "", (unsigned long long)sequence,
                    *at);
    }
    print_message("readers %s, versions %s, %s\n", c->readers, c->versions,
                  c->bottom ? "bottom" : "not bottom");
    assert_string_equal(kept, c->kept);
}

TEST(drop_rules, keep_what_somebody_can_see_and_nothing_else) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        run_case(&cases[i]);
}

TEST(drop_rules, a_new_key_starts_afresh) {
    seqno reader = 10;
    bool bottom = false;
    drop_rules rules;
    drop_rules_init(&rules, &reader, 1);
    drop_rules_next_key(&rules);
    assert_false(drop_rules_may_drop(&rules, 9, OP_PUT, answer_bottom, &bottom));
    assert_true(drop_rules_may_drop(&rules, 8, OP_PUT, answer_bottom, &bottom));
    drop_rules_next_key(&rules);
    assert_false(drop_rules_may_drop(&rules, 7, OP_PUT, answer_bottom, &bottom));
}

TEST_MAIN(RUN(drop_rules, keep_what_somebody_can_see_and_nothing_else),
          RUN(drop_rules, a_new_key_starts_afresh))
