#include "compaction/output_cut.h"

#include "base/poison.h"

#define OUTPUT_CUT_GRANDPARENTS_MAX 10 /* file sizes of the level below under one table */

FIRN_INTERNAL output_cut output_cut_new(const version *v, uint32_t level, uint64_t file_bytes) {
    return (output_cut){.version = v, .level = level, .file_bytes = file_bytes};
}

FIRN_INTERNAL bool output_cut_is_due(output_cut *c, internal_key key, uint64_t bytes) {
    bool at_border = false;
    if (c->level == 0) /* one table, whatever its size: L0 counts tables */
        return false;
    if (c->level + 1 < LEVEL_COUNT) {
        const version_level *below = &c->version->levels[c->level + 1];
        while (c->next < below->count &&
               key_order_compare_user(c->version->order,
                                      internal_key_user(below->tables[c->next]->largest),
                                      internal_key_user(key)) < 0) {
            c->passed_bytes += below->tables[c->next++]->where.file_bytes;
            at_border = true;
        }
    }
    bool due = bytes >= c->file_bytes || (at_border && bytes >= c->file_bytes / 4 * 3) ||
               c->passed_bytes > OUTPUT_CUT_GRANDPARENTS_MAX * c->file_bytes;
    if (due)
        c->passed_bytes = 0;
    return due && bytes > 0;
}

#undef OUTPUT_CUT_GRANDPARENTS_MAX
