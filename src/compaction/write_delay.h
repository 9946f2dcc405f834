/* compaction/write_delay.h - how much writers are slowed down while L0 grows: a pure function.
 *
 * Purpose: from l0_slowdown tables on, writes are admitted at a byte rate that falls evenly to
 *          l0_stop, so that ingest meets what compaction drains without a cliff. */
#ifndef FIRN_COMPACTION_WRITE_DELAY_H
#define FIRN_COMPACTION_WRITE_DELAY_H

#include "compaction/tree_options.h"

#define WRITE_DELAY_RATE_MOST  (64ull << 20) /* bytes per second at l0_slowdown */
#define WRITE_DELAY_RATE_LEAST (4ull << 20)  /* just below l0_stop */

/* Nanoseconds that writing `bytes` should cost with `l0_tables` in L0; 0 below l0_slowdown. */
static inline uint64_t write_delay_ns(const tree_options *options, uint32_t l0_tables,
                                      uint64_t bytes) {
    if (l0_tables < options->l0_slowdown)
        return 0;
    uint64_t steps = options->l0_stop - options->l0_slowdown;
    uint64_t above = l0_tables - options->l0_slowdown;
    if (above > steps)
        above = steps;
    uint64_t rate = WRITE_DELAY_RATE_MOST -
                    (WRITE_DELAY_RATE_MOST - WRITE_DELAY_RATE_LEAST) * above / (steps ? steps : 1);
    return bytes * 1000000000ull / rate;
}
#endif
