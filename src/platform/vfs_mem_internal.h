/* platform/vfs_mem_internal.h - what the three parts of the simulated disk share.
 *
 * Parts:      vfs_mem.c (the disk and its operations on names), vfs_mem_tree.c (directories and
 *             paths), vfs_mem_file.c (handles), vfs_mem_inode.c (the bytes of one file),
 *             vfs_mem_crash.c (the disk after a power cut).
 * Invariants: bytes of `live` at and beyond live_bytes are zero. A page with `before` has there
 *             what the disk holds for it; a page without is on the disk as it is in `live`. So the
 *             durable state costs memory only where it differs, and a sync costs what is dirty.
 * Threads:    everything is guarded by the disk's mutex, except stores into mappings, which run
 *             beside us and are copied by vfs_mem_copy_shared().
 * Memory:     the disk's contents come straight from malloc and mmap: they stand for another device
 *             and must neither fail nor count with the library's own allocations. What a caller
 *             holds (file handles, mappings) comes from platform/memory.h. */
#ifndef FIRN_PLATFORM_VFS_MEM_INTERNAL_H
#define FIRN_PLATFORM_VFS_MEM_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform/thread.h"
#include "platform/vfs_mem.h"

enum {
    VFS_MEM_NAME_BYTES = 256, /* with the terminator */
    VFS_MEM_PAGE_BYTES = 4096,
    VFS_MEM_PAGE_DIRTY = 1,   /* changed since the last sync, which will make it durable */
    VFS_MEM_PAGE_WATCHED = 2, /* mapped writable: `before` was saved ahead of any store */
    VFS_MEM_PAGE_DROPPED = 4  /* a failed sync gave it up: visible, clean, and not on the disk */
};

typedef struct mem_inode mem_inode;

typedef struct mem_page {
    uint8_t *before; /* NULL exactly when flags == 0 */
    uint8_t flags;
} mem_page;

/* One name of a directory: what it leads to now, and after a crash that keeps only what was
 * synced. Either may be NULL, not both. */
typedef struct mem_entry {
    char *name;
    mem_inode *live;
    mem_inode *durable;
} mem_entry;

typedef struct mem_mapping {
    struct mem_mapping *next;
    const void *address;
    bool writable;
} mem_mapping;

struct mem_inode {
    mem_inode *next; /* all inodes of the disk */
    mem_inode *previous;
    uint32_t refs;  /* names, live and durable, and open handles */
    uint32_t users; /* live names and open handles: it takes up space while there are any */
    uint64_t charged_bytes;
    bool is_directory;
    bool is_locked;

    /* directories */
    mem_entry *entries;
    size_t entry_count;
    size_t entry_capacity;

    /* files */
    uint8_t *live; /* mapped with room to grow, so that mappings of it stay where they are */
    size_t live_room_bytes;
    uint64_t live_bytes;
    uint64_t durable_bytes;
    mem_page *pages;
    size_t page_count;
    size_t dirty_begin; /* every dirty page is in [dirty_begin, dirty_end) */
    size_t dirty_end;
    mem_mapping *mappings;
    uint32_t writable_mapping_count;
    uint64_t hash;
    bool hash_is_known;
    bool is_exposed; /* vfs_mem_contents() gave the bytes away: they may change unseen */

    mem_inode *twin; /* its copy while a crash clone is being made */
};

struct vfs_mem {
    firn_vfs vfs;
    mutex mutex;
    mem_inode *inodes;
    mem_inode *root;
    uint64_t operation_count;
    uint64_t capacity_bytes;
    uint64_t used_bytes;
    uint64_t open_count;
    vfs_mem_observer observer;
    void *observer_context;
};

static inline uint64_t vfs_mem_round_to_pages(uint64_t bytes) {
    return (bytes + VFS_MEM_PAGE_BYTES - 1) / VFS_MEM_PAGE_BYTES * VFS_MEM_PAGE_BYTES;
}

/* Copies bytes that another thread may be storing into, as the kernel's write-back does: each
 * aligned 8 bytes come over whole, old or new. Both ends of `from` are 8-byte aligned. */
FIRN_INTERNAL void vfs_mem_copy_shared(void *to, const void *from, size_t bytes);
/* The same comparison with zero. */
FIRN_INTERNAL bool vfs_mem_is_zero(const void *at, size_t bytes);

/* vfs_mem_inode.c. All under the disk's mutex; an int is 0 or an errno. */

/* A new inode without names; NULL without memory. */
FIRN_INTERNAL mem_inode *mem_inode_new(vfs_mem *disk, bool is_directory);
/* Frees one without names, whatever it still holds. */
FIRN_INTERNAL void mem_inode_free(vfs_mem *disk, mem_inode *inode);
/* Makes room for `bytes` of content; EFBIG when it would have to move under a mapping. */
FIRN_INTERNAL int mem_inode_make_room(mem_inode *inode, uint64_t bytes);
FIRN_INTERNAL void mem_inode_read(const mem_inode *inode, uint64_t offset, void *data, size_t count,
                                  size_t *got);
FIRN_INTERNAL int mem_inode_write(vfs_mem *disk, mem_inode *inode, uint64_t offset,
                                  const void *data, size_t count);
FIRN_INTERNAL int mem_inode_resize(vfs_mem *disk, mem_inode *inode, uint64_t bytes);
FIRN_INTERNAL void mem_inode_sync(mem_inode *inode);
/* What a failed fsync leaves: the unsynced pages are clean, so no later sync writes them. */
FIRN_INTERNAL void mem_inode_drop_unsynced(mem_inode *inode);
/* Saves the pages of a range about to be mapped writable; the last unwatch lets go of them. */
FIRN_INTERNAL int mem_inode_watch(mem_inode *inode, uint64_t offset, uint64_t bytes);
FIRN_INTERNAL void mem_inode_unwatch(mem_inode *inode);
FIRN_INTERNAL void mem_inode_stored(mem_inode *inode, uint64_t offset, uint64_t bytes);
/* Brings the disk's used bytes up to date with the inode's size and users. */
FIRN_INTERNAL void mem_inode_recharge(vfs_mem *disk, mem_inode *inode);
FIRN_INTERNAL uint64_t mem_inode_hash(mem_inode *inode);

/* vfs_mem_tree.c. All under the disk's mutex. */

/* Where a path leads. */
typedef struct mem_place {
    mem_inode *directory; /* the one that holds, or would hold, the name; NULL for the root */
    char name[VFS_MEM_NAME_BYTES]; /* the last component */
    mem_entry *entry;              /* valid until a name is added to or pruned from `directory` */
    mem_inode *inode;              /* NULL if nothing is there now */
} mem_place;

/* A user is a live name or an open handle; what has neither users nor durable names is freed. */
FIRN_INTERNAL void mem_inode_add_user(vfs_mem *disk, mem_inode *inode);
FIRN_INTERNAL void mem_inode_drop_user(vfs_mem *disk, mem_inode *inode);
/* Points one side of a name elsewhere; NULL: nowhere. */
FIRN_INTERNAL void mem_entry_set_live(vfs_mem *disk, mem_entry *entry, mem_inode *inode);
FIRN_INTERNAL void mem_entry_set_durable(vfs_mem *disk, mem_entry *entry, mem_inode *inode);
/* Adds `name` with no target yet; NULL without memory. */
FIRN_INTERNAL mem_entry *mem_directory_add(mem_inode *directory, const char *name);
/* Forgets names that lead nowhere any more. Keeps the order, on which the random choices of a crash
 * clone depend. */
FIRN_INTERNAL void mem_directory_prune(mem_inode *directory);
FIRN_INTERNAL mem_entry *mem_directory_find(const mem_inode *directory, const char *name);
FIRN_INTERNAL bool mem_directory_is_empty(const mem_inode *directory);
/* True if `inode` is `directory` or somewhere below it. */
FIRN_INTERNAL bool mem_directory_contains(const mem_inode *directory, const mem_inode *inode);
/* 0 also where the last component does not exist: then place->inode is NULL. Relative and absolute
 * paths start at the same root; ".." is not followed. */
FIRN_INTERNAL int mem_walk(vfs_mem *disk, const char *path, mem_place *place);
/* The entry for the place's name, added if there is none; NULL without memory. */
FIRN_INTERNAL mem_entry *mem_place_entry(const mem_place *place);
/* Makes what the place names. */
FIRN_INTERNAL int mem_place_create(vfs_mem *disk, mem_place *place, bool is_directory);
FIRN_INTERNAL uint64_t mem_hash_tree(mem_inode *inode);

/* vfs_mem_file.c. Members of firn_vfs, without the mutex. */

FIRN_INTERNAL int mem_vfs_open(const firn_vfs *vfs, const char *path, int flags, firn_file **out);
FIRN_INTERNAL int mem_vfs_lock(const firn_vfs *vfs, const char *path, void **lock,
                               int64_t *holder_pid);
FIRN_INTERNAL int mem_vfs_unlock(const firn_vfs *vfs, void *lock);
/* For vfs_fault: mem_inode_drop_unsynced, if `file` is one of a simulated disk. */
FIRN_INTERNAL void vfs_mem_drop_unsynced(firn_file *file);

/* vfs_mem.c. */

/* Counts the change about to be made and tells the observer, who may clone the disk and therefore
 * must find the mutex free. The first operation has number 1. */
FIRN_INTERNAL void vfs_mem_announce(vfs_mem *disk, const char *kind, const char *path);
#endif
