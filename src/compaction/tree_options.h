/* compaction/tree_options.h - the numbers that give the tree its shape; derived by db/config.c. */
#ifndef FIRN_COMPACTION_TREE_OPTIONS_H
#define FIRN_COMPACTION_TREE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "codec/codec.h"
#include "version/version.h"

typedef enum tree_strategy {
    TREE_LEVELED, /* few places to look, little space; most written */
    TREE_TIERED,  /* least written; more places to look, more space */
    TREE_FIFO     /* nothing rewritten: the oldest tables go by size and age */
} tree_strategy;

typedef struct tree_options {
    tree_strategy strategy;
    uint64_t level_base_bytes; /* most that the first level below L0 aims at */
    uint32_t level_fanout;
    uint64_t file_bytes; /* table size aimed at */
    uint32_t pieces;     /* that a compaction is cut into where it can be; 0: as threads are idle */
    uint32_t l0_trigger, l0_slowdown, l0_stop; /* L0 tables; tiered: sorted runs */
    uint32_t tombstone_percent;    /* tables with that many deletes move down early; 0: never */
    uint32_t tiered_space_percent; /* garbage that starts a full merge, in percent of the data */
    uint64_t fifo_bytes;           /* 0: no limit */
    uint64_t fifo_ttl_ms;          /* 0: tables do not age */
    uint64_t purge_age_ms;         /* leveled: garbage goes about that old; 0: as it happens */
    uint32_t block_bytes, restart_interval;
    uint32_t filter_bits_per_key;      /* 0: no filters; or TREE_FILTER_BY_LEVEL */
    codec_id codec;                    /* of tables below L0 */
    uint8_t level_codecs[LEVEL_COUNT]; /* 0: as `codec` says; else a codec_id and 1 */
    int codec_level;                   /* of Zstd; 0: its default */
    uint32_t dictionary_bytes;         /* of Zstd, for each table; 0: none */
    prefix_rule prefix;                /* of the tables' filter of prefixes; 0: none */
    bool has_filter;                   /* a compaction filter wants to see what is merged */
} tree_options;

#define TREE_FILTER_BY_LEVEL UINT32_MAX

static inline const char *tree_strategy_name(tree_strategy strategy) {
    static const char *const names[] = {"leveled", "tiered", "fifo"};
    return names[strategy];
}
/* L0 stays as it is: flushes have to keep up with writers, and its tables are rewritten soon. */
static inline codec_id tree_options_codec(const tree_options *o, uint32_t level) {
    if (o->level_codecs[level])
        return (codec_id)(o->level_codecs[level] - 1);
    return level == 0 ? CODEC_NONE : o->codec;
}
/* A read of a missing key asks every table of L0 and one of each level below, so a bit is worth
 * most where there are many tables for few keys, and least in the last level, which has nearly all.
 */
static inline uint32_t tree_options_filter_bits(const tree_options *o, uint32_t level) {
    if (o->filter_bits_per_key != TREE_FILTER_BY_LEVEL)
        return o->filter_bits_per_key;
    return level == 0 ? 16 : level + 1 < LEVEL_COUNT ? 12 : 8;
}
#endif
