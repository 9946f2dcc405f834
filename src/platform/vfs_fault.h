/* platform/vfs_fault.h - a firn_vfs over another that fails on purpose.
 *
 * Purpose:   make the Nth call of a kind fail, come up short, or return flipped bits.
 * Threads:   safe.
 * Lifetime:  keeps the underlying vfs. */
#ifndef FIRN_PLATFORM_VFS_FAULT_H
#define FIRN_PLATFORM_VFS_FAULT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "firn/vfs.h"

typedef struct vfs_fault vfs_fault;

/* Kinds of call, as bits so that a rule can cover several. */
enum {
    VFS_FAULT_OPEN = 1,
    VFS_FAULT_READ = 2,
    VFS_FAULT_WRITE = 4,
    VFS_FAULT_SYNC = 8,
    VFS_FAULT_TRUNCATE = 16,
    VFS_FAULT_RESERVE = 32,
    VFS_FAULT_RENAME = 64,
    VFS_FAULT_REMOVE = 128,
    VFS_FAULT_SYNC_DIR = 256,
    VFS_FAULT_MAP = 512,
    VFS_FAULT_LIST = 1024,
    VFS_FAULT_ANY = 2047
};

typedef struct vfs_fault_rule {
    uint32_t kinds;          /* VFS_FAULT_* bits */
    const char *path_suffix; /* NULL: any path; else only paths that end so, e.g. ".wal" */
    uint64_t after;          /* this many matching calls succeed first */
    uint64_t count;          /* then this many fail; UINT64_MAX: all until cleared */
    int error;               /* errno to answer; 0 with flip_bit */
    bool partial;            /* a failing write writes its first half; a failing sync drops the
                                unsynced data where the underlying disk can */
    bool flip_bit;           /* a read succeeds with one bit wrong */
    uint64_t flip_seed;      /* which one; the next failure's is another */
} vfs_fault_rule;

FIRN_INTERNAL NODISCARD status vfs_fault_new(const firn_vfs *under, vfs_fault **out);
FIRN_INTERNAL void vfs_fault_free(vfs_fault *fault);
FIRN_INTERNAL const firn_vfs *vfs_fault_vfs(vfs_fault *fault);
/* Replaces the rule; NULL: no faults. */
FIRN_INTERNAL void vfs_fault_set(vfs_fault *fault, const vfs_fault_rule *rule);
/* Calls that matched the rule, and that failed by it, since it was set. */
FIRN_INTERNAL uint64_t vfs_fault_matched(const vfs_fault *fault);
FIRN_INTERNAL uint64_t vfs_fault_failed(const vfs_fault *fault);
#endif
