/* wal/wal_large.h - reads large values where the log holds them.
 *
 * Threads: safe. A value's segment lives at least as long as the memtable that refers to it. */
#ifndef FIRN_WAL_WAL_LARGE_H
#define FIRN_WAL_WAL_LARGE_H

#include "format/large_ref.h"
#include "platform/vfs.h"

/* Maps the value, all chunks checked; release by calling *unpin(*pin). */
FIRN_INTERNAL NODISCARD status wal_large_map(const firn_vfs *vfs, const char *directory,
                                             const large_ref *ref, slice *value, void **pin,
                                             void (**unpin)(void *pin));

/* The same chunk by chunk, for flushes: open once, read chunks of EXTENT_CHUNK_BYTES. */
typedef struct wal_large_reader wal_large_reader;
FIRN_INTERNAL NODISCARD status wal_large_open(const firn_vfs *vfs, const char *directory,
                                              const large_ref *ref, wal_large_reader **out);
FIRN_INTERNAL NODISCARD status wal_large_read_chunk(wal_large_reader *r, uint64_t index,
                                                    uint8_t *out, size_t *bytes);
FIRN_INTERNAL void wal_large_close(wal_large_reader *r); /* NULL is fine */
#endif
