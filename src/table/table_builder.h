/* table/table_builder.h - writes a sorted table front to back.
 *
 * Format:     docs/format/table.md.
 * Invariants: keys are added in strictly ascending internal-key order (CHECKed). Memory: one 1 MiB
 *             write buffer, the block being built, index and filter hashes.
 * Threads:    none.
 * Lifetime:   keeps `file` until table_builder_free, which does not close it.
 * Crash:      nothing counts until table_builder_finish returned and the caller synced and renamed
 *             the file. After a failed call only table_builder_free is allowed. */
#ifndef FIRN_TABLE_TABLE_BUILDER_H
#define FIRN_TABLE_TABLE_BUILDER_H

#include "codec/codec.h"
#include "format/expiry_spread.h"
#include "format/key.h"
#include "format/large_ref.h"
#include "platform/vfs.h"
#include "table/table.h"

typedef struct table_builder table_builder;

typedef struct table_builder_args {
    vfs_file *file;        /* empty */
    memory_budget *memory; /* kept; may be NULL */
    key_order order;
    uint32_t keyspace;
    uint8_t identity[16];
    uint32_t block_bytes; /* target, raw */
    uint32_t restart_interval;
    uint32_t filter_bits_per_key;   /* 0: none */
    prefix_rule prefix;             /* 0: no filter of prefixes; needs the bytewise order. It takes
                                       filter_bits_per_key per prefix, or 10 */
    uint32_t index_partition_bytes; /* raw, of a partition of the index; 0: 8 KiB. An index of less
                                       than eight times that is one block */
    codec_id codec;
    int codec_level;           /* 0: the codec's default */
    uint32_t dictionary_bytes; /* with CODEC_ZSTD: of a dictionary trained on the first blocks,
                                  which wait for it in memory, where it pays; 0: none */
} table_builder_args;

FIRN_INTERNAL NODISCARD status table_builder_new(const table_builder_args *args,
                                                 table_builder **out);
FIRN_INTERNAL void table_builder_free(table_builder *b); /* NULL is fine */

/* Borrows key and value. Not for OP_PUT_LARGE. */
FIRN_INTERNAL NODISCARD status table_builder_add(table_builder *b, internal_key key, slice value);

/* Streams a large value into an extent: read_chunk fills `out` with chunk `index` (all chunks are
 * EXTENT_CHUNK_BYTES but the last). `key` has kind OP_PUT_LARGE; ref gives bytes and expiry. */
typedef struct large_source {
    void *context;
    NODISCARD status (*read_chunk)(void *context, uint64_t index, uint8_t *out, size_t *bytes);
} large_source;
FIRN_INTERNAL NODISCARD status table_builder_add_large(table_builder *b, internal_key key,
                                                       const large_ref *ref,
                                                       const large_source *source);
/* Adds a range tombstone [start.user, end); any time, ascending by start. */
FIRN_INTERNAL NODISCARD status table_builder_add_range_tombstone(table_builder *b,
                                                                 internal_key start, user_key end);

/* File bytes so far, the buffered part included. */
FIRN_INTERNAL uint64_t table_builder_file_bytes(const table_builder *b);
FIRN_INTERNAL uint64_t table_builder_entries(const table_builder *b);

/* Writes the rest (not synced). Smallest and largest internal key are borrowed from the builder
 * until it is freed; properties as in the file. */
typedef struct table_summary {
    table_properties properties;
    internal_key smallest, largest;
    /* Not in the file: entries behind a newer one of their key, entries that expire, and when each
     * eighth of those has. */
    uint64_t hidden_versions, expiring;
    uint64_t expiry_parts[EXPIRY_PARTS];
} table_summary;
FIRN_INTERNAL NODISCARD status table_builder_finish(table_builder *b, table_summary *out);
#endif
