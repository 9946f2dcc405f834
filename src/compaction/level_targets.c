#include "compaction/level_targets.h"

#include "base/poison.h"

static uint64_t level_saturating_multiply(uint64_t a, uint64_t b) {
    uint64_t product;
    return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

FIRN_INTERNAL level_targets level_targets_of(const version *v, const tree_options *options) {
    level_targets t = {.base_level = LEVEL_COUNT - 1};
    uint32_t highest = LEVEL_COUNT - 1; /* first non-empty level below L0 */
    uint64_t largest = 0;
    for (uint32_t level = LEVEL_COUNT - 1; level >= 1; level--) {
        if (v->levels[level].bytes == 0)
            continue;
        highest = level;
        if (v->levels[level].bytes > largest)
            largest = v->levels[level].bytes;
    }
    /* Walk up from the last level until a level would be no larger than the base. A level that
     * holds data already keeps its place: it drains downward. */
    uint64_t size = largest;
    uint32_t level = LEVEL_COUNT - 1;
    while (level > 1 && (size > options->level_base_bytes || level > highest)) {
        size /= options->level_fanout;
        level--;
    }
    t.base_level = level;
    uint64_t base = size < options->level_base_bytes ? size : options->level_base_bytes;
    uint64_t least = options->level_base_bytes / options->level_fanout;
    size = base > least ? base : least;
    for (; level < LEVEL_COUNT; level++) {
        /* A level is never squeezed below the base: small trees need no fine steps. */
        t.bytes[level] = size > options->level_base_bytes ? size : options->level_base_bytes;
        size = level_saturating_multiply(size, options->level_fanout);
    }
    return t;
}

FIRN_INTERNAL uint64_t level_debt_bytes(const version *v, const tree_options *options) {
    level_targets t = level_targets_of(v, options);
    if (options->strategy == TREE_FIFO)
        return 0;
    uint64_t debt = v->levels[0].count > options->l0_trigger ? v->levels[0].bytes : 0;
    for (uint32_t level = 1; options->strategy == TREE_LEVELED && level + 1 < LEVEL_COUNT;
         level++) {
        if (v->levels[level].bytes > t.bytes[level])
            debt += v->levels[level].bytes - t.bytes[level];
    }
    return debt;
}

FIRN_INTERNAL uint32_t level_backlog_tables(const version *v, const tree_options *options) {
    return options->strategy == TREE_FIFO ? 0 : v->levels[0].count;
}
