/* wal/wal_large.h - reads large values where the log holds them.
 *
 * Threads: safe. A value's segment lives at least as long as the memtable that refers to it: the
 * writer sees to that for its own, wal_large_files for those of a read-only database. */
#ifndef FIRN_WAL_WAL_LARGE_H
#define FIRN_WAL_WAL_LARGE_H

#include "format/large_ref.h"
#include "platform/vfs.h"

/* Segments held open, for readers beside a writer: it deletes segments when their values are in
 * tables, but never reuses the file of one that holds large values, so an open descriptor keeps the
 * bytes. Counted; filled by one thread, then read by any. */
typedef struct wal_large_files wal_large_files;
/* Keeps `vfs` and `directory`. Of more than `count_max` segments only the oldest are held, which go
 * first. Gives *out. */
FIRN_INTERNAL NODISCARD status wal_large_files_new(const firn_vfs *vfs, const char *directory,
                                                   uint32_t count_max, wal_large_files **out);
FIRN_INTERNAL void wal_large_files_ref(wal_large_files *files);
FIRN_INTERNAL void wal_large_files_unref(void *files); /* NULL is fine */
/* In ascending order of numbers; twice the same is fine. CORRUPTION: it is gone. */
FIRN_INTERNAL NODISCARD status wal_large_files_hold(wal_large_files *files, uint64_t number);
FIRN_INTERNAL bool wal_large_files_any(const wal_large_files *files);
/* As wal_large_map, from a held segment or else from the directory. */
FIRN_INTERNAL NODISCARD status wal_large_files_map(wal_large_files *files, const large_ref *ref,
                                                   slice *value, void **pin,
                                                   void (**unpin)(void *pin));

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
