#include "compaction/drop_rules.h"

#include "base/poison.h"

FIRN_INTERNAL size_t drop_rules_stratum_of_many(const drop_rules *r, seqno sequence) {
    size_t low = 0, high = r->reader_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (r->readers[middle] < sequence)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* A delete is dropped at the bottom; what became one is otherwise written as one. */
static drop_verdict drop_rules_judge_delete(size_t stratum, const drop_bottom *bottom,
                                            drop_verdict otherwise) {
    return stratum == 0 && bottom->ask(bottom->context) ? DROP_AWAY : otherwise;
}

static bool drop_rules_has_expired(const drop_rules *r, size_t stratum, uint64_t expiry_ms) {
    /* Clocks ascend with the readers: the first who sees the version has the earliest. */
    return expiry_ms != 0 && r->clocks_ms && expiry_ms <= r->clocks_ms[stratum];
}

/* The version right behind a single-delete that waits. True: *out is its verdict. */
static bool drop_rules_judge_behind_held(drop_rules *r, size_t stratum, op_kind kind,
                                         drop_verdict *out, drop_held *held) {
    *out = DROP_AWAY;
    if (stratum == r->held_stratum && kind == OP_SINGLE_DELETE)
        return true;
    *held = stratum == r->held_stratum ? DROP_HELD_FORGET : DROP_HELD_WRITE;
    /* A delete in its place hides the rest; it is judged as if it were the first of its stratum. */
    bool in_place = stratum == r->held_stratum && kind == OP_DELETE;
    if (in_place)
        r->last_stratum = SIZE_MAX;
    bool pair = stratum == r->held_stratum && !in_place;
    r->held_stratum = SIZE_MAX;
    return pair;
}

FIRN_INTERNAL drop_verdict drop_rules_judge(drop_rules *r, const drop_version *v,
                                            const drop_bottom *bottom, drop_held *held) {
    drop_verdict verdict;
    size_t stratum = drop_rules_stratum(r, v->sequence);
    *held = DROP_HELD_WAITS;
    if (stratum == r->reader_count)
        return DROP_KEEP;
    if (UNLIKELY(r->held_stratum != SIZE_MAX) &&
        drop_rules_judge_behind_held(r, stratum, v->kind, &verdict, held))
        return verdict;
    bool hidden = stratum == r->last_stratum;
    r->last_stratum = stratum;
    if (v->kind == OP_SINGLE_DELETE) {
        /* Hidden or not: the version that hides it may itself vanish with its single-delete, and
         * what this one is for would come to light. */
        verdict = drop_rules_judge_delete(stratum, bottom, DROP_HOLD);
        if (verdict == DROP_HOLD)
            r->held_stratum = stratum;
        return verdict;
    }
    if (hidden)
        return DROP_AWAY;
    if (LIKELY(v->kind == OP_PUT))
        return DROP_KEEP;
    if (v->kind == OP_DELETE)
        return drop_rules_judge_delete(stratum, bottom, DROP_KEEP);
    return drop_rules_has_expired(r, stratum, v->expiry_ms)
               ? drop_rules_judge_delete(stratum, bottom, DROP_TO_DELETE)
               : DROP_KEEP;
}

FIRN_INTERNAL drop_verdict drop_rules_remove(const drop_rules *r, seqno sequence,
                                             const drop_bottom *bottom) {
    return drop_rules_judge_delete(drop_rules_stratum(r, sequence), bottom, DROP_TO_DELETE);
}
