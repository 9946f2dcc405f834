/* platform/vfs_posix_internal.h - the lock half of the operating system's firn_vfs.
 *
 * Purpose:   vfs_posix.c has files and directories, vfs_posix_lock.c the database lock.
 * Threads:   safe.
 * Lifetime:  a lock lives until posix_unlock, or as long as the process. A forked child neither
 *            holds nor prolongs its parent's locks. */
#ifndef FIRN_PLATFORM_VFS_POSIX_INTERNAL_H
#define FIRN_PLATFORM_VFS_POSIX_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "firn/vfs.h"

/* open(2) that never returns EINTR nor the standard descriptors 0, 1, 2; a negative errno on
 * failure. */
FIRN_INTERNAL int posix_open(const char *path, int flags);
/* As the member functions of firn_vfs. */
FIRN_INTERNAL int posix_lock(const firn_vfs *vfs, const char *path, void **lock,
                             int64_t *holder_pid);
FIRN_INTERNAL int posix_unlock(const firn_vfs *vfs, void *lock);
#endif
