/* compaction/drop_rules.h - what a flush or compaction may leave out: the one place that decides.
 *
 * Rules, for the versions of one user key, newest first:
 *  1. A version is hidden, and dropped, when a newer version lies in the same stratum: the same gap
 * between two sequences that somebody reads at. No reader can see it.
 *  2. A delete is dropped when it lies in the oldest stratum (every reader sees it as a delete or
 * not at all) and nothing below the output level can hold an older version. It still hides what is
 * older.
 *  3. Versions newer than every known reader's sequence are kept: a reader may still come between
 * them. Threads: pure; one object per job. */
#ifndef FIRN_COMPACTION_DROP_RULES_H
#define FIRN_COMPACTION_DROP_RULES_H

#include "format/key.h"

typedef struct drop_rules {
    const seqno *readers; /* ascending, at least one; the last is the newest visible sequence */
    size_t reader_count;
    size_t last_stratum; /* of the previous version of the same key; SIZE_MAX: none */
} drop_rules;

static inline void drop_rules_init(drop_rules *r, const seqno *readers, size_t count) {
    *r = (drop_rules){readers, count, SIZE_MAX};
}
/* Call before the first version of each user key. */
static inline void drop_rules_next_key(drop_rules *r) {
    r->last_stratum = SIZE_MAX;
}
/* Whether this version, the next older one of the key, may be left out. `bottom` (asked only for
 * deletes) says that nothing below the output can hold the key. */
FIRN_INTERNAL bool drop_rules_may_drop(drop_rules *r, seqno sequence, op_kind kind,
                                       bool (*bottom)(void *context), void *context);
#endif
