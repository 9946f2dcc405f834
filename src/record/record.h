/* record/record.h - framed, seeded records and the header page of the files they live in.
 *
 * Purpose: the bytes that logs and manifests share (docs/format/log.md). No I/O.
 * Threads: pure functions. */
#ifndef FIRN_RECORD_RECORD_H
#define FIRN_RECORD_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/status.h"
#include "format/key.h"

#define SEGMENT_HEADER_BYTES 4096
#define SEGMENT_FORMAT       1
#define RECORD_HEADER_BYTES  17
#define RECORD_ALIGNMENT     8
/* From so many bytes a record's size and checked part can be told. */
#define RECORD_PEEK_BYTES 21

/* On disk: never renumber. */
typedef enum record_type { RECORD_BATCH = 1, RECORD_LARGE_BATCH = 2, RECORD_EDIT = 3 } record_type;
typedef enum segment_kind { SEGMENT_LOG, SEGMENT_MANIFEST } segment_kind;

typedef struct segment_header {
    segment_kind kind;
    uint64_t number, epoch, position;
    seqno sequence;
    uint64_t predecessor, predecessor_cut;
    uint8_t boot_id[16];
    uint8_t database[16];
} segment_header;

FIRN_INTERNAL void segment_header_encode(const segment_header *h,
                                         uint8_t page[SEGMENT_HEADER_BYTES]);
/* OK; NOT_FOUND: no valid header here (all zero, torn, wrong magic); NOT_SUPPORTED: a newer format.
 * The caller compares kind and number and writes details. */
FIRN_INTERNAL NODISCARD status segment_header_decode(const uint8_t page[SEGMENT_HEADER_BYTES],
                                                     segment_header *out);

/* Whether a page that NOT_SUPPORTED was said of is a damaged one of a format this build knows: with
 * that format in its place the checksum matches. */
FIRN_INTERNAL bool segment_header_has_bad_format(const uint8_t page[SEGMENT_HEADER_BYTES]);

typedef struct record_head {
    uint32_t bytes; /* payload */
    uint32_t sequence_delta;
    uint32_t synced_distance; /* in units of 8 bytes */
    uint8_t type;
} record_head;

static inline uint64_t record_padded_bytes(uint64_t payload_bytes) {
    return (RECORD_HEADER_BYTES + payload_bytes + RECORD_ALIGNMENT - 1) / RECORD_ALIGNMENT *
           RECORD_ALIGNMENT;
}
/* Writes the 17 header bytes in front of `checked_bytes` of payload that already stand at
 * p + RECORD_HEADER_BYTES, checksum included. `offset` is the record's in the file. */
FIRN_INTERNAL void record_seal(const segment_header *segment, uint64_t offset,
                               const record_head *head, size_t checked_bytes, uint8_t *p);

typedef enum record_verdict {
    RECORD_VALID,
    RECORD_END,     /* zero length, or no room for a header */
    RECORD_INVALID, /* implausible or wrong checksum */
    RECORD_CUT_OFF  /* plausible, but `data` ends before its checked part: read more and retry */
} record_verdict;

/* Judges a record without its checksum: VALID only means plausible here. `data` begins with the
 * record and has RECORD_PEEK_BYTES, or all that the file has; `room` is what the file has from
 * there. */
FIRN_INTERNAL record_verdict record_peek(slice data, uint64_t room, record_head *head,
                                         uint64_t *checked_bytes);

/* Judges the bytes at `offset` of the file. `data` holds what is loaded from there (`data.size`
 * bytes); `file_bytes` is the file's size. On VALID *head and *checked (the checked payload) are
 * set; extents of a large batch are not looked at. On CUT_OFF *need is how many bytes from `offset`
 * are wanted. */
FIRN_INTERNAL record_verdict record_judge(const segment_header *segment, uint64_t offset,
                                          slice data, uint64_t file_bytes, record_head *head,
                                          slice *checked, uint64_t *need);
#endif
