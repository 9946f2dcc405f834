/* format/large_ref.h - where a large value lies, and the checksums of its extent.
 *
 * Format:  docs/format/keys.md, "Large values".
 * Threads: pure functions. */
#ifndef FIRN_FORMAT_LARGE_REF_H
#define FIRN_FORMAT_LARGE_REF_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/status.h"
#include "util/buf.h"

#define LARGE_REF_BYTES     26
#define LARGE_REF_BYTES_MAX 34
#define EXTENT_CHUNK_BYTES  (1u << 20)

/* On disk: never renumber. */
enum { LARGE_IN_TABLE = 0, LARGE_IN_LOG = 1 };

typedef struct large_ref {
    uint8_t place;
    bool has_expiry;
    uint64_t file;
    uint64_t offset;
    uint64_t bytes;
    uint64_t expiry_ms;
} large_ref;

/* Writes LARGE_REF_BYTES (or _MAX with expiry) to `p`; returns the end. */
FIRN_INTERNAL uint8_t *large_ref_encode(const large_ref *ref, uint8_t *p);
/* False: not a reference this build understands. */
FIRN_INTERNAL NODISCARD bool large_ref_decode(slice in, large_ref *out);

static inline uint64_t extent_chunk_count(uint64_t value_bytes) {
    return (value_bytes + EXTENT_CHUNK_BYTES - 1) / EXTENT_CHUNK_BYTES;
}
/* Value and checksums. */
static inline uint64_t extent_disk_bytes(uint64_t value_bytes) {
    return value_bytes + 4 * extent_chunk_count(value_bytes);
}
/* Where a chunk's checksum starts from; `offset` is the chunk's in its file. */
typedef struct extent_seed {
    bool in_table;
    uint8_t identity[16];   /* table */
    uint64_t epoch, number; /* log segment */
} extent_seed;
FIRN_INTERNAL uint32_t extent_chunk_crc(const extent_seed *seed, uint64_t offset, slice chunk);
/* Checks `value` (all of an extent's bytes, at `offset` of its file) against `crcs` (4 bytes per
 * chunk). False: *bad_offset is the file offset of the first chunk that does not match. */
FIRN_INTERNAL NODISCARD bool extent_verify(const extent_seed *seed, uint64_t offset, slice value,
                                           const uint8_t *crcs, uint64_t *bad_offset);
#endif
