/* table/table_internal.h - the inside of an open table, for this folder and its tests. */
#ifndef FIRN_TABLE_TABLE_INTERNAL_H
#define FIRN_TABLE_TABLE_INTERNAL_H

#include "base/atomic.h"
#include "format/filter.h"
#include "table/block_file.h"
#include "table/footer.h"
#include "table/index.h"
#include "table/range_block.h"
#include "table/table.h"
#include "table/table_cache.h"

/* The meta-index: where the blocks that are not data lie; bytes == 0: absent. */
typedef struct table_meta_index {
    block_handle dictionary, filter, prefix_filter, properties, range_tombstones;
} table_meta_index;

struct table {
    epoch_item retirement; /* first; used once, when the table cache closes it */
    atomic_u32 references;

    struct { /* of the table cache; guarded by its mutex */
        uint64_t number;
        table *chain, *newer, *older;
        table_slot *slots; /* that lead here */
    } cached;

    /* set at open, never changes */
    vfs_file *file; /* owned */
    block_source source;
    key_order order;
    cache *blocks; /* NULL: none */
    memory_budget *memory;
    uint64_t charged; /* to it */
    table_footer footer;
    table_meta_index meta;
    table_properties properties;
    table_index index;         /* all of it, unless it is read by partition */
    table_index top;           /* of a partitioned index; firsts == NULL: the index is one block */
    bool is_by_partition;      /* partitions are in the block cache, not in `index` */
    uint32_t block_count;      /* data blocks */
    uint64_t data_end;         /* no data block reaches beyond */
    filter_view filter;        /* of user keys */
    filter_view prefix_filter; /* of their prefixes, by properties.prefix */
    uint8_t *filter_memory, *prefix_filter_memory; /* NULL: no such filter */
    size_t filter_memory_bytes;                    /* both */
    codec_dictionary *dictionary; /* that data blocks were compressed with; NULL: none */
    range_fragments *ranges;      /* NULL: no range tombstones */
    table_block *range_block;     /* that their keys lie in */

    vfs_mapping mapping; /* of the whole file; no file: blocks are read */
    bool verifies_reads;
    atomic_u64 *states; /* two bits per data block: table_block_state */
    /* Bytes from one restart point of a block to the next, as some block had it; 0: none was used
     * yet. Where the next block's restart points probably are. */
    atomic_u32 restart_stride;
};

/* Names in the meta-index. */
#define TABLE_META_DICTIONARY       "dictionary"
#define TABLE_META_FILTER           "filter.bloom"
#define TABLE_META_PREFIX_FILTER    "filter.prefix"
#define TABLE_META_PROPERTIES       "properties"
#define TABLE_META_RANGE_TOMBSTONES "range_tombstones"

/* The footer and the meta-index as they are in the file now. */
FIRN_INTERNAL NODISCARD status table_read_footer(const block_source *source, table_footer *out);
/* Loads the dictionary the meta-index names, if any, into the table and its source. */
FIRN_INTERNAL NODISCARD status table_open_dictionary(table *t);
FIRN_INTERNAL NODISCARD status table_read_meta(const block_source *source, block_handle handle,
                                               table_meta_index *out);

static inline block_place table_place(const table *t, uint64_t offset) {
    return block_source_place(&t->source, offset);
}

/* Decodes the reference that an entry of the block at `at` holds and checks that its extent lies in
 * this file. */
FIRN_INTERNAL NODISCARD status table_large_decode(const table *t, block_place at, slice value,
                                                  large_ref *out);
/* Asks the processor for what a search of a block in place touches first. */
FIRN_INTERNAL void table_announce_block(const table *t, block_handle handle);
/* Data block `position`, whose handle that is, in place or else as block_ref_fetch gives it. What
 * was made of a block in place counts only if table_in_place_is_good afterwards. */
FIRN_INTERNAL NODISCARD status table_fetch_block(table *t, uint32_t position, block_handle handle,
                                                 bool fill, block_ref *out);
/* After a page of the mapping failed: the block read from the file. IO_ERROR where that fails too.
 */
FIRN_INTERNAL NODISCARD status table_fetch_block_again(table *t, block_handle handle, bool fill,
                                                       block_ref *out);
/* Whether what was read from the block in place is what the file holds. */
FIRN_INTERNAL bool table_in_place_holds(const table *t, block_handle handle);
static inline bool table_in_place_is_good(const table *t, const block_ref *ref) {
    return !block_ref_is_in_place(ref) || LIKELY(status_is_ok(vfs_map_check(&t->mapping)));
}
FIRN_INTERNAL void table_map_file(table *t);
/* What the mapped table remembers of its blocks. */
FIRN_INTERNAL size_t table_states_bytes(const table *t);
FIRN_INTERNAL void table_unmap_file(table *t);
#endif
