/* table/table_iter.h - the iterator over a table as a value, for who has a place for it.
 *
 * Purpose:    one iterator serves table after table, and a place for iterators serves reader after
 *             reader: the memory that blocks are decoded into stays.
 * Invariants: as in iter/iter.h. {0} is attached to nothing.
 * Threads:    none.
 * Lifetime:   table_iter_deinit frees its memory; table_iter_detach lets go of table and block. */
#ifndef FIRN_TABLE_TABLE_ITER_H
#define FIRN_TABLE_TABLE_ITER_H

#include "table/block_file.h"
#include "table/index_ref.h"
#include "table/table.h"

/* Memory that only grows, followed by BLOCK_SLACK_BYTES. */
typedef struct table_scratch {
    uint8_t *data;
    size_t capacity;
} table_scratch;

/* How far an announced seek has come. */
typedef enum table_iter_stage {
    TABLE_ITER_NOTHING_SOUGHT = 0,
    TABLE_ITER_BLOCK_FOUND, /* its position; what a search of the block touches is on its way */
    TABLE_ITER_PIECE_FOUND  /* the block is held and the piece is on its way */
} table_iter_stage;

/* What an iterator has charged: its own memory, and the block it pins in the cache. */
typedef struct table_iter_charge {
    memory_budget *budget; /* NULL: never attached, or nobody counts */
    memory_kind kind;      /* of `own` */
    uint64_t own, pinned;
} table_iter_charge;

typedef struct table_iter {
    iter base;
    table *t; /* a reference; NULL: attached to nothing */
    table_read_args args;
    bool windowed;
    uint32_t position; /* data block of the current run, or of `ref` */
    index_ref part;    /* of the index, which has `position` */
    block_run run;
    block_piece piece; /* of the block: what the run holds. It begins at a restart point unless it
                          was sought, and ends at one unless it lies in front of a sought one */
    bool is_sought, ends_inside;
    block_ref ref; /* not windowed: the block at `position`, if there is one */

    struct { /* a seek that was announced */
        table_iter_stage stage;
        uint32_t position;
        block_piece piece;
    } sought;

    table_scratch window; /* file bytes from window_offset on */
    uint64_t window_offset;
    size_t window_bytes;
    size_t window_step;
    table_scratch expanded; /* windowed: the current block if it is compressed */

    uint64_t ahead_end; /* the file system was told up to here */
    size_t ahead_step;
    table_iter_charge charge;
} table_iter;

/* Makes it an unpositioned iterator over `t`, whose reference it takes. It must be attached to
 * nothing. */
FIRN_INTERNAL void table_iter_attach(table_iter *it, table *t, const table_read_args *args);
/* Twice is fine. */
FIRN_INTERNAL void table_iter_detach(table_iter *it);
FIRN_INTERNAL void table_iter_deinit(table_iter *it);
/* What it keeps when it is detached. */
FIRN_INTERNAL uint64_t table_iter_memory_bytes(const table_iter *it);
#endif
