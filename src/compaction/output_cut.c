#include "compaction/output_cut.h"

#include "base/poison.h"

#define OUTPUT_CUT_GRANDPARENTS_MAX 10 /* file sizes of the level below under one table */

/* The tables whose borders matter; NULL: there are none. */
static const version_level *output_cut_grandparents(const output_cut *c) {
    return c->version && c->level > 0 && c->level + 1 < LEVEL_COUNT
               ? &c->version->levels[c->level + 1]
               : NULL;
}

static void output_cut_note_border(output_cut *c) {
    const version_level *below = output_cut_grandparents(c);
    if (!below || c->next == below->count)
        c->border_head = UINT64_MAX;
    else if (c->version->order.custom)
        c->border_head = 0; /* heads say nothing about that order */
    else
        c->border_head = key_head(internal_key_user(below->tables[c->next]->largest).s);
}

FIRN_INTERNAL output_cut output_cut_new(const version *v, uint32_t level, uint64_t file_bytes) {
    output_cut c = {.version = v, .level = level, .file_bytes = file_bytes};
    output_cut_note_border(&c);
    return c;
}

FIRN_INTERNAL bool output_cut_is_due(output_cut *c, internal_key key, uint64_t bytes) {
    bool at_border = false;
    if (c->level == 0) /* one table, whatever its size: L0 counts tables */
        return false;
    const version_level *below = output_cut_grandparents(c);
    while (below && c->next < below->count &&
           key_order_compare_user(c->version->order,
                                  internal_key_user(below->tables[c->next]->largest),
                                  internal_key_user(key)) < 0) {
        c->passed_bytes += below->tables[c->next++]->where.file_bytes;
        at_border = true;
    }
    if (at_border)
        output_cut_note_border(c);
    bool due = bytes >= c->file_bytes || (at_border && bytes >= c->file_bytes / 4 * 3) ||
               c->passed_bytes > OUTPUT_CUT_GRANDPARENTS_MAX * c->file_bytes;
    if (due)
        c->passed_bytes = 0;
    return due && bytes > 0;
}

#undef OUTPUT_CUT_GRANDPARENTS_MAX
