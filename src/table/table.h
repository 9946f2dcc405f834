/* table/table.h - an open sorted table: point lookups, iteration, large values.
 *
 * Format:    docs/format/table.md.
 * Threads:   all functions may be called at once, except table_close.
 * Lifetime:  counted; the cache of open tables (table/table_cache.h) holds one reference, every
 * user one more. Blocks returned are pinned in the block cache. */
#ifndef FIRN_TABLE_TABLE_H
#define FIRN_TABLE_TABLE_H

#include "cache/cache.h"
#include "firn/inspect.h"
#include "format/key.h"
#include "format/large_ref.h"
#include "format/lookup.h"
#include "format/prefix.h"
#include "format/range_tombstone.h"
#include "iter/iter.h"
#include "platform/vfs.h"
#include "util/memory_budget.h"

typedef struct table table;

typedef struct table_open_args {
    const firn_vfs *vfs;
    const char *path;
    key_order order;
    cache *blocks;           /* kept; NULL: blocks are read each time */
    memory_budget *memory;   /* kept; may be NULL: index, filter and iterators are charged to it */
    uint64_t expected_bytes; /* 0: unknown. Other sizes are CORRUPTION */
    const uint8_t *expected_identity; /* NULL: unknown */
    uint64_t index_memory_max; /* a partitioned index is held decoded as a whole if it takes no
                                  more; a table without a cache holds it always */
    bool is_mapped;      /* blocks that are not compressed are used where the system keeps the file;
                            where it cannot be mapped, and once a page of it failed, it is read */
    bool verifies_reads; /* mapped: check a block's checksum at each use, not at the first only */
} table_open_args;

/* Opens, checks footer, meta-index, properties and index (of a partitioned one the top), and loads
 * the filter. NOT_SUPPORTED: newer format or a feature this build lacks. NOT_FOUND: no file. */
FIRN_INTERNAL NODISCARD status table_open(const table_open_args *args, table **out);
FIRN_INTERNAL void table_ref(table *t);
FIRN_INTERNAL void table_unref(table *t); /* NULL is fine */

typedef struct table_properties {
    uint8_t identity[16];
    uint64_t file_bytes, data_blocks, entries, deletes, range_tombstones;
    uint64_t raw_key_bytes, raw_value_bytes, large_count, large_bytes;
    uint64_t min_sequence, max_sequence, min_expiry, max_expiry;
    uint32_t keyspace;
    uint32_t filter_bits_per_key; /* 0: no filter */
    prefix_rule prefix;           /* that the filter of prefixes follows; 0: none, or one of a rule
                                     this build does not know */
} table_properties;
FIRN_INTERNAL const table_properties *table_get_properties(const table *t);
/* Whether blocks are used in place. */
FIRN_INTERNAL bool table_is_mapped(const table *t);
/* Memory the open table holds besides cached blocks: index, filter. */
FIRN_INTERNAL uint64_t table_memory_bytes(const table *t);

typedef struct table_read_args {
    bool fill_cache;
    bool cached_only; /* WOULD_BLOCK instead of waiting for a block that is not in memory */
    bool read_ahead;  /* iterators: the caller will scan (compaction, long scans) */
    const iter_bounds *bounds; /* iterators: borrowed for their life; NULL: none */
    slice prefix; /* iterators over several tables: only keys that begin so are wanted; borrowed for
                     their life. Unset: any */
    bool is_last; /* lookups: no other table will be asked, so the key is likely here */
} table_read_args;

/* The table's range deletes, which table_get() knows of and iterators do not show; NULL: it has
 * none. They live as long as the table is open. */
FIRN_INTERNAL const range_fragments *table_ranges(const table *t);

/* False: no key of the table begins with `prefix`; its filter of prefixes says so. */
FIRN_INTERNAL bool table_may_have_prefix(const table *t, slice prefix);

/* What one call did, for statistics and for those who ask. */
typedef struct table_get_trace {
    bool filter_checked, filter_negative;
    uint32_t blocks_cached, blocks_read; /* found in the cache, read from the file; partitions of
                                            the index among them */
    uint32_t blocks_mapped;              /* used where the mapped file holds them */
    uint64_t block_bytes;                /* of all, expanded */
} table_get_trace;

/* Asks the processor for the line of the filter that a lookup of `hash` will want. */
FIRN_INTERNAL void table_prefetch_filter(const table *t, uint64_t hash);
/* The newest version of the user key of `seek` with a sequence <= seek's. `hash` is hash64 of that
 * user key. *out->found is false when this table has none. With out->in_place the value lies in the
 * mapped table and has no pin: who keeps it takes one. */
FIRN_INTERNAL NODISCARD status table_get(table *t, internal_key seek, uint64_t hash,
                                         const table_read_args *args, table_get_trace *trace,
                                         lookup *out);
/* Pins the table a value lies in. */
FIRN_INTERNAL void table_pin_lookup(table *t, lookup *found);
/* Keeps a reference for the iterator's life. A run is a whole data block. */
FIRN_INTERNAL NODISCARD status table_iter_new(table *t, const table_read_args *args, iter **out);
/* Reads the smallest and the largest internal key, range deletes included, as the builder gave
 * them; both empty for an empty table. */
FIRN_INTERNAL NODISCARD status table_read_bounds(table *t, buf *smallest, buf *largest);
/* Bytes of data in front of `key`, for progress and splitting; as exact as a partition of the index
 * where that would have to be read. */
FIRN_INTERNAL uint64_t table_approximate_offset(table *t, internal_key key);

/* Fills `keys` with user keys that cut the table's data into `parts` of about the same size, and
 * answers how many: fewer than `parts`. They are separators of the index: they ascend, need not be
 * keys of the table, and live as long as the table is open. Reads nothing. */
FIRN_INTERNAL uint32_t table_anchors(const table *t, uint32_t parts, user_key *keys);

/* Reads up to EXTENT_CHUNK_BYTES of a large value, chunk by chunk (chunk_index from 0), checked. */
FIRN_INTERNAL NODISCARD status table_large_read_chunk(table *t, const large_ref *ref,
                                                      uint64_t chunk_index, uint8_t *out,
                                                      size_t *bytes);
/* Maps a large value, all chunks checked. Pins the table until the lookup-style pin is released:
 * *pin and *unpin are set for the caller. */
FIRN_INTERNAL NODISCARD status table_large_map(table *t, const large_ref *ref, slice *value,
                                               void **pin, void (**unpin)(void *pin));

/* Reads every byte, checks every checksum, key order, counts, filter (no false negatives), extents.
 * `progress` (may be NULL) gets bytes done; non-zero stops with ABORTED. */
FIRN_INTERNAL NODISCARD status table_verify(table *t,
                                            int (*progress)(void *context, uint64_t bytes),
                                            void *context);
/* Describes the file line by line for a person: footer, properties, blocks, keys. */
FIRN_INTERNAL NODISCARD status table_describe(table *t, firn_line_callback print, void *context);
#endif
