/* wal/wal_chain.h - which log segments a directory holds, and which of them follow each other.
 *
 * Format:  docs/format/log.md, "Which segments belong together".
 * Threads: none. */
#ifndef FIRN_WAL_WAL_CHAIN_H
#define FIRN_WAL_WAL_CHAIN_H

#include "record/record.h"
#include "wal/wal_reader.h"
#include "wal/wal_recovery.h"

typedef struct wal_chain_segment {
    uint64_t number;
    uint64_t file_bytes;
    segment_header header; /* if is_valid */
    bool is_valid;         /* at or above the floor, with a header that belongs there */
    bool is_damaged;       /* salvage only: it has a header, which does not validate */
    bool is_used;          /* set by the reader of the chain: its records count */
} wal_chain_segment;

typedef struct wal_chain {
    wal_chain_segment *segments; /* by number */
    size_t count, capacity;
} wal_chain;

/* Lists the directory and reads the headers of all segments from `floor` on. CORRUPTION: a segment
 * of another database; NOT_SUPPORTED: a newer format; ABORTED: a file went away meanwhile. */
FIRN_INTERNAL NODISCARD status wal_chain_load(const wal_recovery_args *args, wal_reader *reader,
                                              wal_chain *out);
FIRN_INTERNAL void wal_chain_deinit(wal_chain *chain);

/* The valid segment of that number; NULL: none. */
FIRN_INTERNAL wal_chain_segment *wal_chain_find(const wal_chain *chain, uint64_t number);
/* The highest-numbered valid segment whose header names `number` as its predecessor; NULL: none. */
FIRN_INTERNAL wal_chain_segment *wal_chain_successor(const wal_chain *chain, uint64_t number);
#endif
