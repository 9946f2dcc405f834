/* compaction/table_output.h - writes new tables of a job: names, cuts, syncs, renames.
 *
 * Invariants: a table gets its final name only when it is complete and synced; table_output_finish
 * syncs the directory, so after it returns every table survives a power cut. Threads:    none.
 * Crash:      what is not installed is an orphan, removed at the next open. */
#ifndef FIRN_COMPACTION_TABLE_OUTPUT_H
#define FIRN_COMPACTION_TABLE_OUTPUT_H

#include "compaction/tree_options.h"
#include "table/table_builder.h"
#include "version/version_set.h"

typedef struct table_output_args {
    const firn_vfs *vfs;
    const char *directory;
    version_set *versions; /* gives file numbers */
    const tree_options *options;
    key_order order;
    uint32_t keyspace;
    uint32_t level;                 /* where the tables will be */
    uint64_t newest_ms, written_ms; /* as table_meta has them */
} table_output_args;

typedef struct table_output {
    table_output_args args;
    vfs_file *file; /* of the table being built; NULL between tables */
    table_builder *builder;
    uint64_t number;
    table_meta **done; /* finished tables; owned, referenced */
    uint32_t done_count;
    uint64_t bytes_written;
} table_output;

FIRN_INTERNAL void table_output_init(table_output *o, const table_output_args *args);
/* Drops an unfinished table and its temporary file; finished files stay. */
FIRN_INTERNAL void table_output_deinit(table_output *o);
/* Deletes the finished files as well: only when no edit that names them was ever written. */
FIRN_INTERNAL void table_output_discard(table_output *o);
/* The builder of the current table, opened if there is none. */
FIRN_INTERNAL NODISCARD status table_output_open(table_output *o);
static inline NODISCARD status table_output_builder(table_output *o, table_builder **out) {
    status st = LIKELY(o->builder != NULL) ? STATUS_OK : table_output_open(o);
    *out = o->builder;
    return st;
}
static inline bool table_output_is_open(const table_output *o) {
    return o->builder != NULL;
}
/* Of the current table. */
static inline uint64_t table_output_open_bytes(const table_output *o) {
    return o->builder ? table_builder_file_bytes(o->builder) : 0;
}
/* Of all tables, the current one included. */
static inline uint64_t table_output_bytes(const table_output *o) {
    return o->bytes_written + table_output_open_bytes(o);
}
/* Finishes the current table, if one is open. */
FIRN_INTERNAL NODISCARD status table_output_cut(table_output *o);
/* Cuts and makes all names durable. */
FIRN_INTERNAL NODISCARD status table_output_finish(table_output *o);
#endif
