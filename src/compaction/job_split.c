#include "compaction/job_split.h"

#include "base/poison.h"

/* Tables in a row that ascend. */
typedef struct split_row {
    table_meta *const *tables;
    uint32_t count;
    uint64_t bytes;
} split_row;

static split_row split_row_of(table_meta *const *tables, uint32_t count) {
    split_row row = {tables, count, 0};
    for (uint32_t i = 0; i < count; i++)
        row.bytes += tables[i]->where.file_bytes;
    return row;
}

/* Tables of `level` that begin among the keys of the inputs. */
static split_row split_row_below(const compaction_plan *plan, uint32_t level) {
    const version *v = plan->version;
    const version_level *l = &v->levels[level];
    user_key largest = {SLICE_UNSET}, smallest = {SLICE_UNSET};
    for (uint32_t from = 0; from < LEVEL_COUNT; from++) {
        for (uint32_t i = 0; i < plan->input_count[from]; i++) {
            user_key small = internal_key_user(plan->inputs[from][i]->smallest);
            user_key large = internal_key_user(plan->inputs[from][i]->largest);
            if (!slice_is_set(smallest.s) || key_order_compare_user(v->order, small, smallest) < 0)
                smallest = small;
            if (!slice_is_set(largest.s) || key_order_compare_user(v->order, large, largest) > 0)
                largest = large;
        }
    }
    uint32_t first = 0, end = 0;
    while (first < l->count &&
           key_order_compare_user(v->order, internal_key_user(l->tables[first]->largest),
                                  smallest) < 0)
        first++;
    for (end = first; end < l->count; end++) {
        if (key_order_compare_user(v->order, internal_key_user(l->tables[end]->smallest), largest) >
            0)
            break;
    }
    return split_row_of(l->tables + first, end - first);
}

/* The row whose borders matter most: what the outputs take the place of, else what they come from,
 * else what lies below them. */
static split_row split_choose_row(const compaction_plan *plan) {
    split_row row = split_row_of(plan->inputs[plan->to_level], plan->input_count[plan->to_level]);
    for (uint32_t level = plan->to_level; level-- > 1 && row.count < 2;)
        row = split_row_of(plan->inputs[level], plan->input_count[level]);
    if (row.count < 2 && plan->to_level + 1 < LEVEL_COUNT)
        row = split_row_below(plan, plan->to_level + 1);
    return row;
}

FIRN_INTERNAL uint32_t job_split_pieces(const compaction_plan *plan, uint32_t wanted,
                                        uint64_t least_bytes) {
    uint64_t worth = compaction_plan_input_bytes(plan) / (least_bytes ? least_bytes : 1);
    if (wanted > worth)
        wanted = (uint32_t)worth;
    if (wanted > JOB_PIECES_MAX)
        wanted = JOB_PIECES_MAX;
    return wanted < 2 || plan->to_level == 0 ? 1 : wanted;
}

/* Whether the next piece begins behind `passed` of `bytes`, when there are `count` borders. */
static bool split_is_due(uint64_t passed, uint64_t bytes, uint32_t count, uint32_t pieces) {
    return (double)passed * pieces >= (double)bytes * (count + 1);
}

FIRN_INTERNAL uint32_t job_split(const compaction_plan *plan, uint32_t pieces,
                                 user_key borders[JOB_PIECES_MAX - 1]) {
    uint32_t count = 0;
    uint64_t passed = 0;
    split_row row = split_choose_row(plan);
    for (uint32_t i = 1; i < row.count && count + 1 < pieces; i++) {
        passed += row.tables[i - 1]->where.file_bytes;
        if (split_is_due(passed, row.bytes, count, pieces))
            borders[count++] = internal_key_user(row.tables[i]->smallest);
    }
    return count;
}

FIRN_INTERNAL uint32_t job_split_by_anchors(const job_anchors *anchors, key_order order,
                                            uint32_t pieces, user_key borders[JOB_PIECES_MAX - 1]) {
    uint32_t count = 0;
    uint64_t passed = 0, bytes = 0;
    for (uint32_t i = 0; i < anchors->count; i++)
        bytes += anchors->list[i].bytes;
    for (uint32_t i = 0; i < anchors->count && count + 1 < pieces; i++) {
        passed += anchors->list[i].bytes;
        user_key key = anchors->list[i].key;
        if (split_is_due(passed, bytes, count, pieces) &&
            (count == 0 || key_order_compare_user(order, borders[count - 1], key) < 0))
            borders[count++] = key;
    }
    return count;
}
