/* compaction/level_targets.h - how large each level should be (dynamic level sizes).
 *
 * Purpose: sizes are derived upward from the last level's actual size, each level a fanout smaller
 * than the one below it, so that the upper levels never hold more than 1/(fanout-1) of the data and
 * space amplification stays near 1.11 at fanout 10. Levels that would be under level_base_bytes /
 * fanout stay empty: L0 is compacted past them, into `base_level`. Source:  Dong et al.,
 * "Optimizing Space Amplification in RocksDB" (CIDR 2017). Threads: pure function. */
#ifndef FIRN_COMPACTION_LEVEL_TARGETS_H
#define FIRN_COMPACTION_LEVEL_TARGETS_H

#include "compaction/tree_options.h"
#include "version/version.h"

typedef struct level_targets {
    uint32_t base_level;         /* where L0 goes: 1..LEVEL_COUNT-1 */
    uint64_t bytes[LEVEL_COUNT]; /* 0 for L0 and for levels above base_level */
} level_targets;

FIRN_INTERNAL level_targets level_targets_of(const version *v, const tree_options *options);
/* Bytes that sit above their level's target, L0 beyond its trigger included: the debt. */
FIRN_INTERNAL uint64_t level_debt_bytes(const version *v, const tree_options *options);
/* Tables of L0 that count against writers: all of them, but none where they are meant to stay. */
FIRN_INTERNAL uint32_t level_backlog_tables(const version *v, const tree_options *options);
#endif
