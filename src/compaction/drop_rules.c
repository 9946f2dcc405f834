#include "compaction/drop_rules.h"

#include "base/poison.h"

/* Index of the first reader that sees `sequence`; reader_count if none does yet. */
static size_t drop_rules_stratum(const drop_rules *r, seqno sequence) {
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

FIRN_INTERNAL bool drop_rules_may_drop(drop_rules *r, seqno sequence, op_kind kind,
                                       bool (*bottom)(void *context), void *context) {
    size_t stratum = drop_rules_stratum(r, sequence);
    if (stratum == r->reader_count)
        return false;
    bool hidden = stratum == r->last_stratum;
    r->last_stratum = stratum;
    if (hidden)
        return true;
    return kind == OP_DELETE && stratum == 0 && bottom(context);
}
