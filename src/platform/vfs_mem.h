/* platform/vfs_mem.h - a simulated disk in memory that remembers what was synced.
 *
 * Purpose:   a firn_vfs whose whole state can be cloned as the disk a power cut would have left at
 *            any operation, in every way a file system may: see enum vfs_mem_crash. File contents
 * and directory entries are tracked apart: a file's bytes are durable after its sync, its name (and
 * a rename's or removal's effect) after sync_dir of its directory. Threads:   safe; one mutex.
 * Lifetime:  vfs_mem_free when no file of it is open. */
#ifndef FIRN_PLATFORM_VFS_MEM_H
#define FIRN_PLATFORM_VFS_MEM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "firn/vfs.h"

typedef struct vfs_mem vfs_mem;

typedef enum vfs_mem_crash {
    VFS_MEM_KILL = 0,          /* process death: everything written is kept, names too */
    VFS_MEM_LOSE_UNSYNCED,     /* all unsynced bytes, sizes and names are lost */
    VFS_MEM_RANDOM_PAGES,      /* a random subset of unsynced 4 KiB pages survives, any order */
    VFS_MEM_TORN_SECTORS,      /* as above by 512-byte sectors */
    VFS_MEM_TORN_WORDS,        /* as above by 8-byte words */
    VFS_MEM_REORDERED_FILES,   /* each file wholly kept or wholly lost, at random */
    VFS_MEM_NAMES_BEFORE_DATA, /* names and renames survive, unsynced data does not */
    VFS_MEM_DATA_BEFORE_NAMES, /* data survives, unsynced names do not */
    VFS_MEM_CRASH_COUNT
} vfs_mem_crash;

FIRN_INTERNAL NODISCARD status vfs_mem_new(vfs_mem **out);
FIRN_INTERNAL void vfs_mem_free(vfs_mem *disk);
/* Lives as long as `disk`. */
FIRN_INTERNAL const firn_vfs *vfs_mem_vfs(vfs_mem *disk);

/* A new disk: what `disk` would hold after a crash right now. Random choices follow `seed`.
 * Everything on the clone is durable; locks are gone. */
FIRN_INTERNAL NODISCARD status vfs_mem_crash_clone(vfs_mem *disk, vfs_mem_crash mode, uint64_t seed,
                                                   vfs_mem **out);
/* Hash over names and contents: equal disks, equal hash. */
FIRN_INTERNAL uint64_t vfs_mem_hash(vfs_mem *disk);
/* Operations that changed anything so far (writes, stores, syncs, renames, ...). */
FIRN_INTERNAL uint64_t vfs_mem_operation_count(vfs_mem *disk);
/* Called before (and with the number of) each changing operation, no lock held; kind is a literal
 * such as "write", "sync", "rename", "store". */
typedef void (*vfs_mem_observer)(void *context, uint64_t operation, const char *kind,
                                 const char *path);
FIRN_INTERNAL void vfs_mem_observe(vfs_mem *disk, vfs_mem_observer observer, void *context);
/* Disk size; writes beyond it answer ENOSPC. UINT64_MAX: unlimited. */
FIRN_INTERNAL void vfs_mem_set_capacity(vfs_mem *disk, uint64_t bytes);
FIRN_INTERNAL uint64_t vfs_mem_used_bytes(vfs_mem *disk);
/* Direct access for corruption tests: the file's current bytes; NULL if there is none. */
FIRN_INTERNAL uint8_t *vfs_mem_contents(vfs_mem *disk, const char *path, uint64_t *bytes);
#endif
