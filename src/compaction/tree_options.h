/* compaction/tree_options.h - the numbers that give the tree its shape; derived by db/options.c. */
#ifndef FIRN_COMPACTION_TREE_OPTIONS_H
#define FIRN_COMPACTION_TREE_OPTIONS_H

#include <stdint.h>

#include "codec/codec.h"

typedef struct tree_options {
    uint64_t level_base_bytes; /* most that the first level below L0 aims at */
    uint32_t level_fanout;
    uint64_t file_bytes;                       /* table size aimed at */
    uint32_t l0_trigger, l0_slowdown, l0_stop; /* L0 tables */
    uint32_t block_bytes, restart_interval, filter_bits_per_key;
    codec_id codec; /* of tables below L0 */
} tree_options;

/* L0 stays as it is: flushes have to keep up with writers, and its tables are rewritten soon. */
static inline codec_id tree_options_codec(const tree_options *o, uint32_t level) {
    return level == 0 ? CODEC_NONE : o->codec;
}
#endif
