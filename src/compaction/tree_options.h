/* compaction/tree_options.h - the numbers that give the tree its shape; derived by db/config.c. */
#ifndef FIRN_COMPACTION_TREE_OPTIONS_H
#define FIRN_COMPACTION_TREE_OPTIONS_H

#include <stdint.h>

#include "codec/codec.h"

typedef enum tree_strategy {
    TREE_LEVELED, /* few places to look, little space; most written */
    TREE_TIERED,  /* least written; more places to look, more space */
    TREE_FIFO     /* nothing rewritten: the oldest tables go by size and age */
} tree_strategy;

typedef struct tree_options {
    tree_strategy strategy;
    uint64_t level_base_bytes; /* most that the first level below L0 aims at */
    uint32_t level_fanout;
    uint64_t file_bytes;                       /* table size aimed at */
    uint32_t l0_trigger, l0_slowdown, l0_stop; /* L0 tables; tiered: sorted runs */
    uint32_t tombstone_percent;    /* tables with that many deletes move down early; 0: never */
    uint32_t tiered_space_percent; /* garbage that starts a full merge, in percent of the data */
    uint64_t fifo_bytes;           /* 0: no limit */
    uint64_t fifo_ttl_ms;          /* 0: tables do not age */
    uint32_t block_bytes, restart_interval, filter_bits_per_key;
    codec_id codec; /* of tables below L0 */
} tree_options;

static inline const char *tree_strategy_name(tree_strategy strategy) {
    static const char *const names[] = {"leveled", "tiered", "fifo"};
    return names[strategy];
}
/* L0 stays as it is: flushes have to keep up with writers, and its tables are rewritten soon. */
static inline codec_id tree_options_codec(const tree_options *o, uint32_t level) {
    return level == 0 ? CODEC_NONE : o->codec;
}
#endif
