/* compaction/output_cut.h - where a compaction ends one output table and begins the next.
 *
 * Purpose: a table that ends where a table of the level below ends (its grandparents) meets one
 *          neighbour less when it is compacted itself. So a table that is nearly as large as wanted
 *          ends at the next border, and none grows over more of the level below than a compaction
 *          should drag along.
 * Threads: pure; one object per output, keys ascend. */
#ifndef FIRN_COMPACTION_OUTPUT_CUT_H
#define FIRN_COMPACTION_OUTPUT_CUT_H

#include "version/version.h"

typedef struct output_cut {
    const version *version; /* NULL: there are no grandparents */
    uint32_t level;         /* of the outputs */
    uint64_t file_bytes;
    uint32_t next;         /* the first grandparent not wholly in front of the key */
    uint64_t passed_bytes; /* of grandparents since the last cut */
    uint64_t border_head;  /* no key with a lower head is behind the end of that grandparent */
} output_cut;

FIRN_INTERNAL output_cut output_cut_new(const version *v, uint32_t level, uint64_t file_bytes);
/* Whether the table, of `bytes` so far, should end before `key`, which begins a new user key. It
 * need not be asked for keys for which the second, much cheaper question is answered no. */
FIRN_INTERNAL bool output_cut_is_due(output_cut *c, internal_key key, uint64_t bytes);
static inline bool output_cut_may_be_due(const output_cut *c, internal_key key, uint64_t bytes) {
    return bytes >= c->file_bytes || key_head(internal_key_user(key).s) >= c->border_head;
}
#endif
