#include "compaction/drop_rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/test.h"

static bool answer_bottom(void *context) {
    return *(bool *)context;
}

/* Versions newest first, "9p 7d 5s 3x150": put at 9, delete at 7, single-delete at 5, put at 3 that
 * expires at 150. What is written is printed; an expired value that became a delete as one. */
typedef struct drop_case {
    const char *readers; /* ascending, with clocks after @; the last is the newest visible */
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
    /* an expired value is a delete: it stays as one until nothing lies below, and hides */
    {"10@200", "9x200", false, "9d"},
    {"10@200", "9x201", false, "9x201"},
    {"10@200", "9x201", true, "9x201"},
    {"10@200", "9x200", true, ""},
    {"10@200", "9x200 7p", false, "9d"},
    {"10@200", "9x200 7p", true, ""},
    {"10@200", "9p 7x200", false, "9p"},
    {"10@200", "9x150 8x300", false, "9d"},
    /* a snapshot's clock stands still: for its reader nothing has expired since */
    {"6@100 10@200", "5x150", true, "5x150"},
    {"6@100 10@200", "5x100", true, ""},
    {"6@100 10@200", "5x100", false, "5d"},
    {"6@100 10@200", "9x150", true, "9d"},
    {"6@100 10@200", "9x150 5p", true, "9d 5p"},
    {"6@100 10@200", "9p 5x150", true, "9p 5x150"},
    {"6@100 10@200", "9p 5x90 3p", true, "9p"},
    /* what nobody sees yet is left alone */
    {"10@200", "12x150", true, "12x150"},
    /* a single-delete and the put it is for go together */
    {"10", "9s 7p", false, ""},
    {"10", "9s 7x5", false, ""},
    {"10", "9s", false, "9s"},
    {"10", "9s", true, ""},
    {"10", "9s 7p", true, ""},
    {"10", "9p 8s 7p", false, "9p"},
    {"10", "9p 8s", false, "9p 8s"},
    {"10", "9p 8s", true, "9p"},
    {"6 10", "9s 8p 7s 5p", false, "7s 5p"},
    {"6 10", "9p 7s 5p", false, "9p 7s 5p"},
    {"10", "9s 8s 7p", false, ""},
    {"10", "9s 8s", false, "9s"},
    {"10", "9s 8d 7p", false, "8d"},
    {"10", "9s 8d 7p", true, ""},
    {"10", "9d 8s 7p", false, "9d"},
    {"6 10", "9s 5p", false, "9s 5p"},
    {"6 10", "9s 7p 5p", false, "5p"},
    {"6 10", "9s 5s 4p", false, "9s"},
    {"6 10", "9s 5d", true, "9s"},
    {"10", "12s 11p", false, "12s 11p"},
    {"10", "12s 9p", false, "12s 9p"},
    /* put twice since it was deleted: not what a single-delete is for, and the rest is hidden */
    {"10", "9s 8p 7p", false, ""},
};

typedef struct drop_text {
    char kept[128], held[32];
} drop_text;

static void drop_print(drop_text *t, const char *text) {
    sprintf(t->kept + strlen(t->kept), "%s%s", *t->kept ? " " : "", text);
}

static void drop_one(drop_rules *rules, const char *text, bool bottom, drop_text *out) {
    char *at, became[32];
    drop_held held;
    drop_bottom ask = {answer_bottom, &bottom};
    drop_version v = {.sequence = strtoull(text, &at, 10)};
    switch (*at) {
    case 'd':
        v.kind = OP_DELETE;
        break;
    case 's':
        v.kind = OP_SINGLE_DELETE;
        break;
    case 'x':
        v.kind = OP_PUT_EXPIRY;
        v.expiry_ms = strtoull(at + 1, NULL, 10);
        break;
    default:
        v.kind = OP_PUT;
    }
    drop_verdict verdict = drop_rules_judge(rules, &v, &ask, &held);
    if (held == DROP_HELD_WRITE)
        drop_print(out, out->held);
    if (held != DROP_HELD_WAITS)
        *out->held = 0;
    snprintf(became, sizeof became, "%llud", (unsigned long long)v.sequence);
    if (verdict == DROP_KEEP)
        drop_print(out, text);
    else if (verdict == DROP_TO_DELETE)
        drop_print(out, became);
    else if (verdict == DROP_HOLD)
        snprintf(out->held, sizeof out->held, "%s", text);
}

static void run_case(const drop_case *c) {
    seqno readers[8];
    uint64_t clocks[8] = {0};
    size_t count = 0;
    char versions[128], *at, *rest;
    drop_rules rules;
    drop_text out = {"", ""};
    for (const char *p = c->readers; *p; p = *at ? at + 1 : at, count++) {
        readers[count] = strtoull(p, &at, 10);
        if (*at == '@')
            clocks[count] = strtoull(at + 1, &at, 10);
    }
    drop_rules_init(&rules, readers, strchr(c->readers, '@') ? clocks : NULL, count);
    drop_rules_next_key(&rules);
    snprintf(versions, sizeof versions, "%s", c->versions);
    for (char *v = strtok_r(versions, " ", &rest); v; v = strtok_r(NULL, " ", &rest))
        drop_one(&rules, v, c->bottom, &out);
    if (*out.held)
        drop_print(&out, out.held);
    print_message("readers %s, versions %s, %s\n", c->readers, c->versions,
                  c->bottom ? "bottom" : "not bottom");
    assert_string_equal(out.kept, c->kept);
}

TEST(drop_rules, keep_what_somebody_can_see_and_nothing_else) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        run_case(&cases[i]);
}

TEST(drop_rules, a_new_key_starts_afresh) {
    seqno reader = 10;
    bool bottom = false;
    drop_rules rules;
    drop_held held;
    drop_bottom ask = {answer_bottom, &bottom};
    drop_rules_init(&rules, &reader, NULL, 1);
    drop_rules_next_key(&rules);
    const drop_version versions[] = {{9, OP_PUT, 0}, {8, OP_PUT, 0}, {7, OP_PUT, 0}};
    assert_int_equal(drop_rules_judge(&rules, &versions[0], &ask, &held), DROP_KEEP);
    assert_int_equal(drop_rules_judge(&rules, &versions[1], &ask, &held), DROP_AWAY);
    drop_rules_next_key(&rules);
    assert_int_equal(drop_rules_judge(&rules, &versions[2], &ask, &held), DROP_KEEP);
}

TEST_MAIN(RUN(drop_rules, keep_what_somebody_can_see_and_nothing_else),
          RUN(drop_rules, a_new_key_starts_afresh))
