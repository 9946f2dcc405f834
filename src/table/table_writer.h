/* table/table_writer.h - the file a table is written to, front to back, through one buffer.
 *
 * Invariants: the file is written in pieces of one size at multiples of it, but for the
 *             last piece and around extents, and each is announced to be synced (vfs_will_sync),
 *             so that the sync at the end is short and the device's queue too.
 * Threads:    none.
 * Lifetime:   keeps `file`, does not close it. */
#ifndef FIRN_TABLE_TABLE_WRITER_H
#define FIRN_TABLE_TABLE_WRITER_H

#include "codec/codec.h"
#include "codec/codec_dictionary.h"
#include "table/block_file.h"

/* A huge page: systems that keep a file in pieces as large as it was written in map it by such
 * pages too, and a read of a mapped table then misses the processor's page tables less often. */
#define TABLE_WRITER_BYTES_MAX (2u << 20)

typedef struct table_writer {
    vfs_file *file;
    uint8_t identity[16];
    uint8_t *buffer;
    size_t piece_bytes; /* of the buffer */
    size_t used;
    uint64_t written;                   /* file bytes in front of the buffer */
    int codec_level;                    /* 0: the codec's default */
    const codec_dictionary *dictionary; /* for CODEC_ZSTD_DICTIONARY */
    uint8_t *packed;                    /* room to compress into */
    size_t packed_capacity;
} table_writer;

FIRN_INTERNAL NODISCARD status table_writer_init(table_writer *o, vfs_file *file,
                                                 const uint8_t identity[16], size_t piece_bytes);
FIRN_INTERNAL void table_writer_deinit(table_writer *o);
static inline uint64_t table_writer_bytes(const table_writer *o) {
    return o->written + o->used;
}
FIRN_INTERNAL NODISCARD status table_writer_append(table_writer *o, slice bytes);
FIRN_INTERNAL NODISCARD status table_writer_flush(table_writer *o);
/* Appends contents, compressed where that pays, and trailer. */
FIRN_INTERNAL NODISCARD status table_writer_block(table_writer *o, slice contents, codec_id codec,
                                                  block_handle *out);
#endif
