/* compaction/drop_rules.h - what a flush or compaction may leave out: the one place that decides.
 *
 * Rules, for the versions of one user key, newest first:
 *  1. A version is hidden, and dropped, when a newer version lies in the same stratum: the same gap
 * between two sequences that somebody reads at. No reader can see it.
 *  2. A delete is dropped when it lies in the oldest stratum (every reader sees it as a delete or
 * not at all) and nothing below the output level can hold an older version. It still hides what is
 * older.
 *  3. Versions newer than every known reader's sequence are kept: a reader may still come between
 * them.
 *  4. A value that has expired on the clock of every reader that can see it is a delete: it is
 * written as one, and rules 1 and 2 hold for it.
 *  5. A single-delete waits for the next older version. A put of its stratum goes with it, for no
 * older one is promised to exist; a delete of its stratum takes its place; another single-delete
 * of its stratum is dropped. Otherwise it stays, also where rule 1 would drop it: what hides it
 * may vanish by this rule and uncover the put it is for.
 *
 * Threads: pure; one object per job. */
#ifndef FIRN_COMPACTION_DROP_RULES_H
#define FIRN_COMPACTION_DROP_RULES_H

#include "format/key.h"

typedef enum drop_verdict {
    DROP_KEEP,
    DROP_AWAY,
    DROP_TO_DELETE, /* write a delete with its sequence in its place */
    DROP_HOLD       /* a single-delete: keep it back until `held` says what becomes of it */
} drop_verdict;

/* What becomes of the single-delete that was held back, once the next version was judged. */
typedef enum drop_held {
    DROP_HELD_WAITS, /* or there is none */
    DROP_HELD_WRITE,
    DROP_HELD_FORGET
} drop_held;

typedef struct drop_rules {
    const seqno *readers; /* ascending, at least one; the last is the newest visible sequence */
    const uint64_t *clocks_ms; /* when each reads, ascending; NULL: nothing expires */
    size_t reader_count;
    size_t last_stratum; /* of the previous version of the same key; SIZE_MAX: none */
    size_t held_stratum; /* of the single-delete that waits; SIZE_MAX: none */
} drop_rules;

typedef struct drop_version {
    seqno sequence;
    op_kind kind;
    uint64_t expiry_ms; /* 0: never */
} drop_version;

/* Whether nothing below the output can hold the key; asked only when it matters. */
typedef struct drop_bottom {
    bool (*ask)(void *context);
    void *context;
} drop_bottom;

static inline void drop_rules_init(drop_rules *r, const seqno *readers, const uint64_t *clocks_ms,
                                   size_t count) {
    *r = (drop_rules){readers, clocks_ms, count, SIZE_MAX, SIZE_MAX};
}
/* Call before the first version of each user key; a single-delete that still waits is to be
 * written. */
static inline void drop_rules_next_key(drop_rules *r) {
    r->last_stratum = SIZE_MAX;
    r->held_stratum = SIZE_MAX;
}
/* Index of the first reader that sees `sequence`; reader_count if none does yet. */
FIRN_INTERNAL size_t drop_rules_stratum_of_many(const drop_rules *r, seqno sequence);
static inline size_t drop_rules_stratum(const drop_rules *r, seqno sequence) {
    return LIKELY(r->reader_count == 1) ? sequence > r->readers[0]
                                        : drop_rules_stratum_of_many(r, sequence);
}
/* What becomes of this version, the next older one of the key. */
FIRN_INTERNAL drop_verdict drop_rules_judge(drop_rules *r, const drop_version *v,
                                            const drop_bottom *bottom, drop_held *held);
/* The same, and drop_rules_next_key before it, for the case that nearly all entries are: the first
 * version of its key is a put that never expires. No rule leaves that out; it hides what is older.
 */
static inline void drop_rules_keep_first_put(drop_rules *r, seqno sequence) {
    size_t stratum = drop_rules_stratum(r, sequence);
    r->last_stratum = stratum < r->reader_count ? stratum : SIZE_MAX;
    r->held_stratum = SIZE_MAX;
}
/* The same for a version that was judged DROP_KEEP and shall be removed nevertheless. */
FIRN_INTERNAL drop_verdict drop_rules_remove(const drop_rules *r, seqno sequence,
                                             const drop_bottom *bottom);
#endif
