/* table/index_ref.h - the part of a table's index that a reader needs: all of it, or a partition.
 *
 * Format:     docs/format/table.md, "Index".
 * Purpose:    a table whose index is one block holds it decoded. One whose index is partitioned
 *             holds the top, and reaches a partition through the block cache, which decodes it once
 *             and charges it; or, where there is memory for all of it, the partitions joined into
 *             one index when the table was opened.
 *             Data blocks have positions that run through all partitions, so that nobody else has
 *             to know the difference.
 * Threads:    a reference is its user's own.
 * Lifetime:   index_ref_release before the table goes. {0} refers to nothing. */
#ifndef FIRN_TABLE_INDEX_REF_H
#define FIRN_TABLE_INDEX_REF_H

#include "table/table_internal.h"

typedef struct index_partition index_partition;

typedef struct index_ref {
    const table_index *index;   /* NULL: nothing */
    uint32_t first;             /* the position of its first data block */
    bool was_read;              /* from the file, by the last call */
    index_partition *partition; /* NULL: the whole index, which the table holds */
    cache_handle *handle;       /* NULL: not in a cache */
} index_ref;

/* The whole index if the table holds it, or else nothing. */
static inline index_ref index_ref_whole(const table *t) {
    return (index_ref){.index = t->is_by_partition ? NULL : &t->index};
}
static inline bool index_ref_has(const index_ref *ref, uint32_t position) {
    return ref->index && position >= ref->first && position - ref->first < ref->index->count;
}
FIRN_INTERNAL NODISCARD status index_ref_find_partitioned(table *t, internal_key target,
                                                          const table_read_args *args,
                                                          index_ref *ref, uint32_t *position);
/* *position is the first data block whose separator is >= target, and `ref` the part that has it;
 * t->block_count if there is none. WOULD_BLOCK with args->cached_only. */
static inline status index_ref_find(table *t, internal_key target, const table_read_args *args,
                                    index_ref *ref, uint32_t *position) {
    if (UNLIKELY(t->is_by_partition))
        return index_ref_find_partitioned(t, target, args, ref, position);
    ref->index = &t->index;
    *position = table_index_find(&t->index, target);
    return STATUS_OK;
}
FIRN_INTERNAL NODISCARD status index_ref_load(table *t, uint32_t position,
                                              const table_read_args *args, index_ref *ref);
/* Makes `ref` the part that has data block `position` < t->block_count. */
static inline status index_ref_reach(table *t, uint32_t position, const table_read_args *args,
                                     index_ref *ref) {
    return LIKELY(index_ref_has(ref, position)) ? STATUS_OK
                                                : index_ref_load(t, position, args, ref);
}
static inline block_handle index_ref_handle(const index_ref *ref, uint32_t position) {
    return table_index_handle(ref->index, position - ref->first);
}
static inline internal_key index_ref_separator(const index_ref *ref, uint32_t position) {
    return table_index_separator(ref->index, position - ref->first);
}
/* The separator of the block before `position`, which is not 0. */
FIRN_INTERNAL internal_key index_ref_separator_before(const table *t, const index_ref *ref,
                                                      uint32_t position);
FIRN_INTERNAL void index_ref_release(index_ref *ref);
/* Memory of the partition it refers to; 0 if it refers to none. */
FIRN_INTERNAL uint64_t index_ref_memory_bytes(const index_ref *ref);

/* Reads and checks partition `i` < t->top.count, from the file. The index is the caller's. */
FIRN_INTERNAL NODISCARD status index_partition_read(table *t, uint32_t i, table_index *out);
/* Reads all partitions into t->index; from then on the table holds its whole index. */
FIRN_INTERNAL NODISCARD status index_partitions_join(table *t);
/* What t->index would take then. */
FIRN_INTERNAL uint64_t index_partitions_memory_bytes(const table *t);
#endif
