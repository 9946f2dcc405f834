/* platform/vfs.h - file operations as the engine calls them: status in, detail written.
 *
 * Purpose:   wraps a public firn_vfs / firn_file (firn/vfs.h). Every wrapper turns an errno into a
 *            status (ENOSPC, EDQUOT -> NO_SPACE; ENOENT -> NOT_FOUND; ENOMEM -> NO_MEMORY; else
 *            IO_ERROR) and, NOT_FOUND apart, leaves a detail naming operation, path and offset.
 * Threads:   all functions may be called at once; vfs_file_close when nobody else uses the file.
 * Lifetime:  a vfs_file owns a copy of its path and the firn_file. */
#ifndef FIRN_PLATFORM_VFS_H
#define FIRN_PLATFORM_VFS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/status.h"
#include "firn/vfs.h"

typedef struct vfs_file {
    firn_file *handle;
    char *path; /* for messages */
} vfs_file;

/* A part of a file as memory. A fault of one of its pages (firn/vfs.h says when) does not end the
 * process: bytes that cannot be had read as zeros, stores to them go nowhere, and vfs_map_check
 * says so from then on. So whatever was read through a mapping counts only if vfs_map_check is OK
 * afterwards. */
typedef struct vfs_mapping {
    vfs_file *file; /* NULL: nothing is mapped */
    uint8_t *data;
    size_t bytes;
    uint64_t offset;
    struct fault_guard *guard;
} vfs_mapping;

/* `flags` as in firn/vfs.h. Gives *out; NULL on failure. */
FIRN_INTERNAL NODISCARD status vfs_open(const firn_vfs *vfs, const char *path, int flags,
                                        vfs_file **out);
/* Reads exactly `count` bytes: CORRUPTION "unexpected end of file" when the file is shorter. */
FIRN_INTERNAL NODISCARD status vfs_read_exact(vfs_file *file, uint64_t offset, void *data,
                                              size_t count);
/* Reads up to `count`; *got < count only at the end of the file. */
FIRN_INTERNAL NODISCARD status vfs_read(vfs_file *file, uint64_t offset, void *data, size_t count,
                                        size_t *got);
/* Reads exactly `count` bytes without waiting for the device; WOULD_BLOCK if that cannot be. */
FIRN_INTERNAL NODISCARD status vfs_read_cached(vfs_file *file, uint64_t offset, void *data,
                                               size_t count);
FIRN_INTERNAL NODISCARD status vfs_write(vfs_file *file, uint64_t offset, const void *data,
                                         size_t count);
FIRN_INTERNAL NODISCARD status vfs_sync(vfs_file *file);
FIRN_INTERNAL NODISCARD status vfs_truncate(vfs_file *file, uint64_t bytes);
FIRN_INTERNAL NODISCARD status vfs_reserve(vfs_file *file, uint64_t offset, uint64_t bytes);
FIRN_INTERNAL NODISCARD status vfs_get_size(vfs_file *file, uint64_t *bytes);
/* Keeps `file` until vfs_unmap. */
FIRN_INTERNAL NODISCARD status vfs_map(vfs_file *file, uint64_t offset, size_t bytes, bool writable,
                                       vfs_mapping *out);
/* Reads will be here and there: reading ahead of them is wasted. */
FIRN_INTERNAL void vfs_map_is_random(const vfs_mapping *mapping);
/* Empties *mapping; an empty one is fine. */
FIRN_INTERNAL void vfs_unmap(vfs_mapping *mapping);
/* OK, or IO_ERROR naming the file: some page of the mapping could not be had since it was made. Two
 * loads. */
FIRN_INTERNAL NODISCARD status vfs_map_check(const vfs_mapping *mapping);
/* The same for bytes of whatever mapping, or of none. Costs a look at every mapping there is. */
FIRN_INTERNAL NODISCARD status vfs_map_check_bytes(slice bytes);
/* Reports stores into a writable mapping to the file system; free where nobody listens. */
FIRN_INTERNAL void vfs_stored(vfs_file *file, uint64_t offset, size_t bytes);
FIRN_INTERNAL void vfs_will_read(vfs_file *file, uint64_t offset, uint64_t bytes);
FIRN_INTERNAL void vfs_will_sync(vfs_file *file, uint64_t offset, uint64_t bytes);
/* Closes and frees; NULL is fine. The status matters only after writes that were not synced. */
FIRN_INTERNAL status vfs_close(vfs_file *file);

FIRN_INTERNAL NODISCARD status vfs_remove(const firn_vfs *vfs, const char *path);
FIRN_INTERNAL NODISCARD status vfs_rename(const firn_vfs *vfs, const char *from, const char *to);
FIRN_INTERNAL NODISCARD status vfs_make_dir(const firn_vfs *vfs,
                                            const char *path); /* BUSY: there */
FIRN_INTERNAL NODISCARD status vfs_sync_dir(const firn_vfs *vfs, const char *path);
FIRN_INTERNAL NODISCARD status vfs_list(const firn_vfs *vfs, const char *path,
                                        firn_vfs_list_callback each, void *context);
FIRN_INTERNAL NODISCARD status vfs_stat(const firn_vfs *vfs, const char *path, uint64_t *bytes,
                                        bool *is_directory);
/* Renames `file`'s name, which the handle outlives, and takes the new one for its messages. */
FIRN_INTERNAL NODISCARD status vfs_rename_open(const firn_vfs *vfs, vfs_file *file, const char *to);
/* Whether stores into mapped and reserved files below `path` cannot fail for lack of space. */
FIRN_INTERNAL bool vfs_reserves_truly(const firn_vfs *vfs, const char *path);
/* LOCKED: held; *holder_pid is the holder, 0 if unknown. */
FIRN_INTERNAL NODISCARD status vfs_lock(const firn_vfs *vfs, const char *path, void **lock,
                                        int64_t *holder_pid);
FIRN_INTERNAL void vfs_unlock(const firn_vfs *vfs, void *lock);
FIRN_INTERNAL NODISCARD status vfs_free_bytes(const firn_vfs *vfs, const char *path,
                                              uint64_t *bytes);

/* Writes `content` to `path` so that after OK it is there completely even after a power cut, and
 * before that the old content is: temporary file, sync, rename, directory sync. */
FIRN_INTERNAL NODISCARD status vfs_replace_file(const firn_vfs *vfs, const char *directory,
                                                const char *path, slice content);
#endif
