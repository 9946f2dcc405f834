/* table/block_file.h - blocks in a table's file: handles, trailers, checked reads.
 *
 * Format:   docs/format/table.md, "Block".
 * Threads:  all functions may be called at once.
 * Lifetime: a block owns its bytes and outlives the table it came from; in the block cache it is
 *           shared by everyone who pins it. */
#ifndef FIRN_TABLE_BLOCK_FILE_H
#define FIRN_TABLE_BLOCK_FILE_H

#include "base/slice.h"
#include "base/status.h"
#include "cache/cache.h"
#include "codec/codec_dictionary.h"
#include "platform/vfs.h"
#include "table/block.h"
#include "util/coding.h"

#define BLOCK_TRAILER_BYTES 9

/* Where a block's contents lie; the trailer follows them. */
typedef struct block_handle {
    uint64_t offset, bytes;
} block_handle;

/* Writes at most BLOCK_HANDLE_BYTES_MAX to `p`; returns the end. */
#define BLOCK_HANDLE_BYTES_MAX (2 * VARINT64_BYTES_MAX)
FIRN_INTERNAL uint8_t *block_handle_encode(block_handle handle, uint8_t *p);
/* False: not exactly a handle. */
FIRN_INTERNAL NODISCARD bool block_handle_decode(slice in, block_handle *out);

/* What reading a block needs to know about its file. */
typedef struct block_source {
    vfs_file *file;
    uint8_t identity[16];
    uint64_t end;                       /* no block reaches beyond: where the footer begins */
    const codec_dictionary *dictionary; /* of the table; NULL: it has none */
} block_source;

static inline block_place block_source_place(const block_source *source, uint64_t offset) {
    return (block_place){source->file->path, offset};
}

/* CORRUPTION when the handle does not lie in the file or is larger than a block can be. */
FIRN_INTERNAL NODISCARD status block_handle_check(const block_source *source, block_handle handle);

typedef struct block_trailer {
    uint8_t codec;
    uint32_t raw_bytes;
} block_trailer;
/* `disk` is contents and trailer. False: the checksum does not match. */
FIRN_INTERNAL NODISCARD bool block_trailer_decode(const uint8_t identity[16], block_handle handle,
                                                  const uint8_t *disk, block_trailer *out);
FIRN_INTERNAL void block_trailer_encode(const uint8_t identity[16], uint64_t offset, slice contents,
                                        const block_trailer *trailer,
                                        uint8_t out[BLOCK_TRAILER_BYTES]);
/* Reads contents and trailer into `disk` (handle.bytes + BLOCK_TRAILER_BYTES of room) and checks
 * them; a mismatch is read once more before it is reported, for the bus may have lied. */
FIRN_INTERNAL NODISCARD status block_read_checked(const block_source *source, block_handle handle,
                                                  uint8_t *disk, block_trailer *out);
/* Whether the raw size the trailer claims can be; CORRUPTION otherwise. */
FIRN_INTERNAL NODISCARD status block_trailer_check(const block_source *source, block_handle handle,
                                                   const block_trailer *trailer);
/* Fills trailer->raw_bytes at `out` from compressed contents. */
FIRN_INTERNAL NODISCARD status block_decompress(const block_source *source, block_handle handle,
                                                const block_trailer *trailer,
                                                const uint8_t *contents, uint8_t *out);

/* A block in memory. */
typedef struct table_block {
    cache *owner; /* the cache that holds it, or NULL */
    uint32_t raw_bytes;
    uint8_t codec;
    block_view view; /* all zero for contents that are not entries */
    uint8_t bytes[]; /* raw contents, then at least BLOCK_SLACK_BYTES */
} table_block;

static inline slice block_raw(const table_block *b) {
    return slice_of(b->bytes, b->raw_bytes);
}
static inline uint64_t block_memory_bytes(const table_block *b) {
    return sizeof *b + b->raw_bytes + BLOCK_SLACK_BYTES;
}
/* Reads, checks and expands. Gives *out: contents of any kind. */
FIRN_INTERNAL NODISCARD status block_load_raw(const block_source *source, block_handle handle,
                                              table_block **out);
/* The same for a block of entries: its view is ready. */
FIRN_INTERNAL NODISCARD status block_load(const block_source *source, block_handle handle,
                                          table_block **out);
/* A block of entries that were not read but built. CORRUPTION: they are none. */
FIRN_INTERNAL NODISCARD status block_from_raw(slice raw, table_block **out);
FIRN_INTERNAL void block_free(table_block *b); /* NULL is fine */

/* A block in use: pinned in a cache, or the user's own, or in place in the mapped file, which the
 * user keeps mapped. {0}: none. */
typedef struct block_ref {
    block_view view;
    table_block *block;   /* NULL: in place */
    cache_handle *handle; /* NULL: not in a cache */
    bool was_read;        /* from the file, just now */
} block_ref;

static inline bool block_ref_is_in_place(const block_ref *ref) {
    return ref->view.data && !ref->block;
}

/* From the cache, or else from the file; put into the cache when `fill`. `blocks` may be NULL. */
FIRN_INTERNAL NODISCARD status block_ref_fetch(const block_source *source, block_handle handle,
                                               cache *blocks, bool fill, block_ref *out);
/* The same from memory alone, be it the cache's or the system's; WOULD_BLOCK when neither has it.
 */
FIRN_INTERNAL NODISCARD status block_ref_fetch_cached(const block_source *source,
                                                      block_handle handle, cache *blocks, bool fill,
                                                      block_ref *out);
FIRN_INTERNAL void block_ref_release(block_ref *ref);
/* What such a pin as block_ref_to_pin makes holds; 0 for others. */
FIRN_INTERNAL uint64_t block_pin_bytes(void *pin, void (*unpin)(void *pin), bool *is_cached);
/* Turns the reference into a pin in the form lookups carry; *ref is emptied. */
FIRN_INTERNAL void block_ref_to_pin(block_ref *ref, void **pin, void (**unpin)(void *pin));
#endif
