#include "unit/compaction/tree_text.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/test.h"

tree_options tree_test_options(void) {
    return (tree_options){.level_base_bytes = 400000,
                          .level_fanout = 4,
                          .file_bytes = 100000,
                          .l0_trigger = 4,
                          .l0_slowdown = 8,
                          .tombstone_percent = 50,
                          .tiered_space_percent = 200,
                          .l0_stop = 16};
}

static slice tree_word(const char **text, const char *ends) {
    size_t size = strcspn(*text, ends);
    slice word = slice_of(*text, size);
    *text += size + ((*text)[size] != 0);
    return word;
}

/* In L0 the later table in the text is the older one. */
static void tree_add_table(version_edit *edit, uint32_t level, const char **text, seqno sequence) {
    buf small = {0}, large = {0};
    table_meta fields = {.entries = 10}, *made;
    fields.where.number = strtoull(*text, NULL, 10);
    (void)tree_word(text, ":");
    fields.min_sequence = fields.max_sequence = sequence;
    internal_key_append(&small, user_key_of(tree_word(text, "-")), sequence, OP_PUT);
    internal_key_append(&large, user_key_of(tree_word(text, ":")), sequence, OP_PUT);
    fields.smallest.s = buf_slice(&small);
    fields.largest.s = buf_slice(&large);
    slice last = tree_word(text, " ");
    fields.where.file_bytes = strtoull((const char *)last.data, NULL, 10) * 1000;
    fields.deletes = memchr(last.data, 'd', last.size) ? 1 : 0;
    if (memchr(last.data, 'D', last.size))
        fields.deletes = fields.entries;
    fields.hidden_versions = memchr(last.data, 'h', last.size) != NULL;
    const char *expiry = memchr(last.data, 'x', last.size);
    if (expiry) {
        char *rest;
        fields.min_expiry = strtoull(expiry + 1, &rest, 10);
        fields.max_expiry =
            isdigit((unsigned char)rest[1]) ? strtoull(rest + 1, NULL, 10) : UINT64_MAX;
    }
    const char *part = memchr(last.data, 'e', last.size); /* that many of ten, evenly */
    fields.expiring = part ? strtoull(part + 1, NULL, 10) : 0;
    for (uint64_t i = 0; part && i < EXPIRY_PARTS; i++)
        fields.expiry_parts[i] = fields.min_expiry + 10 * (i + 1);
    fields.range_tombstones = memchr(last.data, 'r', last.size) != NULL;
    ASSERT_OK(table_meta_new(&fields, &made));
    const char *age = memchr(last.data, '@', last.size);
    made->newest_ms = made->written_ms = age ? strtoull(age + 1, NULL, 10) : 0;
    made->compacting = memchr(last.data, '!', last.size) != NULL;
    ASSERT_OK(version_edit_add_table(edit, level, made));
    table_meta_unref(made);
    buf_deinit(&small);
    buf_deinit(&large);
}

version *tree_from_text(const char *text) {
    version *empty, *tree;
    version_edit edit = {0};
    uint32_t level = 0;
    seqno sequence = 1000;
    while (*text) {
        if (*text == ' ') {
            text++;
        } else if (*text == 'L') {
            level = (uint32_t)strtoul(text + 1, NULL, 10);
            (void)tree_word(&text, ":");
        } else {
            assert_true(isdigit((unsigned char)*text));
            tree_add_table(&edit, level, &text, sequence--);
        }
    }
    ASSERT_OK(version_new_empty((key_order){NULL}, &empty));
    ASSERT_OK(version_new_edited(empty, &edit, 0, NULL, &tree));
    version_unref(empty);
    version_edit_deinit(&edit);
    return tree;
}

const char *plan_to_text(bool found, const compaction_plan *plan) {
    static char text[256];
    if (!found)
        return "none";
    int used = snprintf(text, sizeof text, "L%u->L%u:", plan->from_level, plan->to_level);
    for (uint32_t level = plan->from_level; level < LEVEL_COUNT; level++) {
        if (level > plan->from_level && plan->input_count[level])
            used += snprintf(text + used, sizeof text - (size_t)used, " +");
        for (uint32_t i = 0; i < plan->input_count[level]; i++)
            used += snprintf(text + used, sizeof text - (size_t)used, " %llu",
                             (unsigned long long)plan->inputs[level][i]->where.number);
    }
    if (plan->kind != PLAN_MERGE)
        snprintf(text + used, sizeof text - (size_t)used,
                 plan->kind == PLAN_MOVE ? " (move)" : " (drop)");
    return text;
}
