/* wal/wal_reader.h - reads the records of one log or manifest segment through a window.
 *
 * Invariants: memory is one window of WAL_READER_WINDOW_BYTES, more only while a larger record
 *             whose checksum matched is looked at.
 * Threads:    none.
 * Lifetime:   {0} is a reader with nothing open; wal_reader_deinit frees. One reader opens one
 *             segment after the other and reuses its memory. */
#ifndef FIRN_WAL_WAL_READER_H
#define FIRN_WAL_WAL_READER_H

#include "format/batch.h"
#include "platform/vfs.h"
#include "record/record.h"

#define WAL_READER_WINDOW_BYTES (1u << 20)

typedef struct wal_reader {
    vfs_file *file; /* NULL: nothing open */
    uint64_t file_bytes;
    segment_header header;
    uint8_t *window;
    size_t window_capacity;
    uint64_t window_offset; /* in the file, of window[0] */
    size_t window_bytes;    /* loaded */
    uint8_t *chunk;         /* EXTENT_CHUNK_BYTES for what is only checked; NULL until needed */
} wal_reader;

/* Opens `path` and reads its header. NOT_FOUND: no such file, or no valid header in it (then
 * *missing is false); NOT_SUPPORTED, with detail: a newer format. */
FIRN_INTERNAL NODISCARD status wal_reader_open(wal_reader *r, const firn_vfs *vfs, const char *path,
                                               bool *missing);
FIRN_INTERNAL void wal_reader_close(wal_reader *r);
FIRN_INTERNAL void wal_reader_deinit(wal_reader *r);
/* Reads the header again: false when it is not the one that was opened any more. */
FIRN_INTERNAL NODISCARD status wal_reader_is_unchanged(wal_reader *r, bool *unchanged);
/* Drops what is loaded and asks for the size anew: the file may have changed. */
FIRN_INTERNAL NODISCARD status wal_reader_refresh(wal_reader *r);

/* Judges the record at `offset`; never CUT_OFF. On VALID *checked is valid until the next call. */
FIRN_INTERNAL NODISCARD status wal_reader_judge(wal_reader *r, uint64_t offset, record_head *head,
                                                slice *checked, record_verdict *verdict);

/* What the checked payload of a batch record says. */
typedef struct wal_batch {
    seqno first_sequence;
    uint32_t count;
    slice ops;
} wal_batch;

/* Takes a valid record apart and checks every operation. CORRUPTION or NOT_SUPPORTED (an operation
 * kind this build lacks), with detail naming file and offset. */
FIRN_INTERNAL NODISCARD status wal_reader_batch(wal_reader *r, uint64_t offset,
                                                const record_head *head, slice checked,
                                                wal_batch *batch);
/* Checks the extents of a large batch chunk by chunk. `ops` stays valid. *intact false: a chunk is
 * not what was written, *bad_offset is where. */
FIRN_INTERNAL NODISCARD status wal_reader_check_extents(wal_reader *r, uint64_t offset,
                                                        const record_head *head, slice ops,
                                                        bool *intact, uint64_t *bad_offset);

/* The log position of an offset in the open segment. */
static inline uint64_t wal_reader_position(const wal_reader *r, uint64_t offset) {
    return r->header.position + (offset - SEGMENT_HEADER_BYTES);
}

/* What lies behind the last good record. */
typedef struct wal_scan {
    uint64_t synced;       /* in, out: highest log position known to have been durable */
    uint64_t proof_offset; /* of the last record that raised `synced`; 0: none did */
    uint64_t content_end;  /* file offset behind the last byte that is not zero */
    uint64_t budget;       /* in, out: bytes of checksums still worth computing */
} wal_scan;

#define WAL_SCAN_BUDGET_BYTES (4ull << 30)

/* Looks in [from, end of file) for records that prove more to have been durable than scan->synced
 * says; every multiple of 8 could be the start of one. */
FIRN_INTERNAL NODISCARD status wal_reader_scan(wal_reader *r, uint64_t from, wal_scan *scan);
#endif
