/* The simulated disk's file handles, mappings and locks. */
#include "platform/vfs_mem_internal.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "platform/memory.h"

typedef struct mem_file {
    firn_file base;
    vfs_mem *disk;
    mem_inode *inode;
    bool is_writable;
    char *path; /* as it was opened, for the observer */
} mem_file;

static mem_file *mem_file_of(firn_file *file) {
    return (mem_file *)(void *)file;
}

static int mem_file_read_at(firn_file *file, uint64_t offset, void *data, size_t count,
                            size_t *got) {
    mem_file *f = mem_file_of(file);
    mutex_lock(&f->disk->mutex);
    mem_inode_read(f->inode, offset, data, count, got);
    mutex_unlock(&f->disk->mutex);
    return 0;
}

static int mem_file_write_at(firn_file *file, uint64_t offset, const void *data, size_t count) {
    mem_file *f = mem_file_of(file);
    if (!f->is_writable)
        return EBADF;
    if (count == 0)
        return 0;
    vfs_mem_announce(f->disk, "write", f->path);
    mutex_lock(&f->disk->mutex);
    int error = mem_inode_write(f->disk, f->inode, offset, data, count);
    mutex_unlock(&f->disk->mutex);
    return error;
}

static int mem_file_sync(firn_file *file) {
    mem_file *f = mem_file_of(file);
    vfs_mem_announce(f->disk, "sync", f->path);
    mutex_lock(&f->disk->mutex);
    mem_inode_sync(f->inode);
    mutex_unlock(&f->disk->mutex);
    return 0;
}

static int mem_file_truncate(firn_file *file, uint64_t bytes) {
    mem_file *f = mem_file_of(file);
    if (!f->is_writable)
        return EINVAL;
    vfs_mem_announce(f->disk, "truncate", f->path);
    mutex_lock(&f->disk->mutex);
    int error = mem_inode_resize(f->disk, f->inode, bytes);
    mutex_unlock(&f->disk->mutex);
    return error;
}

static int mem_file_reserve(firn_file *file, uint64_t offset, uint64_t bytes) {
    mem_file *f = mem_file_of(file);
    if (!f->is_writable)
        return EBADF;
    if (offset > INT64_MAX || bytes > INT64_MAX - offset)
        return EFBIG;
    vfs_mem_announce(f->disk, "reserve", f->path);
    mutex_lock(&f->disk->mutex);
    int error = 0;
    if (offset + bytes > f->inode->live_bytes)
        error = mem_inode_resize(f->disk, f->inode, offset + bytes);
    mutex_unlock(&f->disk->mutex);
    return error;
}

static int mem_file_get_size(firn_file *file, uint64_t *bytes) {
    mem_file *f = mem_file_of(file);
    mutex_lock(&f->disk->mutex);
    *bytes = f->inode->live_bytes;
    mutex_unlock(&f->disk->mutex);
    return 0;
}

static int mem_file_map(firn_file *file, uint64_t offset, size_t bytes, int writable,
                        void **address) {
    mem_file *f = mem_file_of(file);
    *address = NULL;
    if (bytes == 0 || offset > INT64_MAX || bytes > INT64_MAX - offset)
        return EINVAL;
    if (writable && !f->is_writable)
        return EACCES;
    mem_mapping *mapping = memory_new(sizeof *mapping);
    if (!mapping)
        return ENOMEM;
    mutex_lock(&f->disk->mutex);
    int error = mem_inode_make_room(f->inode, offset + bytes);
    if (!error && writable)
        error = mem_inode_watch(f->inode, offset, bytes);
    if (!error) {
        *address = f->inode->live + offset;
        *mapping = (mem_mapping){f->inode->mappings, *address, writable != 0};
        f->inode->mappings = mapping;
        mapping = NULL;
    }
    mutex_unlock(&f->disk->mutex);
    memory_free(mapping);
    return error;
}

static int mem_file_unmap(firn_file *file, void *address, MAYBE_UNUSED size_t bytes) {
    mem_file *f = mem_file_of(file);
    mutex_lock(&f->disk->mutex);
    mem_mapping **link = &f->inode->mappings;
    while (*link && (*link)->address != address)
        link = &(*link)->next;
    mem_mapping *mapping = *link;
    if (mapping) {
        *link = mapping->next;
        if (mapping->writable)
            mem_inode_unwatch(f->inode);
    }
    mutex_unlock(&f->disk->mutex);
    memory_free(mapping);
    return mapping ? 0 : EINVAL;
}

static void mem_file_stored(firn_file *file, uint64_t offset, size_t bytes) {
    mem_file *f = mem_file_of(file);
    if (bytes == 0)
        return;
    vfs_mem_announce(f->disk, "store", f->path);
    mutex_lock(&f->disk->mutex);
    mem_inode_stored(f->inode, offset, bytes);
    mutex_unlock(&f->disk->mutex);
}

static int mem_file_close(firn_file *file) {
    mem_file *f = mem_file_of(file);
    mutex_lock(&f->disk->mutex);
    f->disk->open_count--;
    mem_inode_drop_user(f->disk, f->inode);
    mutex_unlock(&f->disk->mutex);
    memory_free(f->path);
    memory_free(f);
    return 0;
}

static const firn_file_methods mem_file_methods = {
    .size = sizeof(firn_file_methods),
    .read_at = mem_file_read_at,
    .write_at = mem_file_write_at,
    .sync = mem_file_sync,
    .truncate = mem_file_truncate,
    .reserve = mem_file_reserve,
    .get_size = mem_file_get_size,
    .map = mem_file_map,
    .unmap = mem_file_unmap,
    .stored = mem_file_stored,
    .will_read = NULL,
    .close = mem_file_close,
};

FIRN_INTERNAL void vfs_mem_drop_unsynced(firn_file *file) {
    if (file->methods != &mem_file_methods)
        return;
    mem_file *f = mem_file_of(file);
    mutex_lock(&f->disk->mutex);
    mem_inode_drop_unsynced(f->inode);
    mutex_unlock(&f->disk->mutex);
}

/* What opening `path` so would change, as a literal for the observer; NULL: nothing. */
static int mem_open_kind_locked(vfs_mem *disk, const char *path, int flags, const char **kind) {
    mem_place place;
    int error = mem_walk(disk, path, &place);
    *kind = NULL;
    if (error)
        return error;
    if (!place.inode) {
        *kind = "create";
        return flags & FIRN_VFS_CREATE ? 0 : ENOENT;
    }
    if (flags & FIRN_VFS_CREATE && flags & FIRN_VFS_EXCLUSIVE)
        return EEXIST;
    if (place.inode->is_directory)
        return EISDIR;
    if (flags & FIRN_VFS_TRUNCATE && place.inode->live_bytes > 0)
        *kind = "truncate";
    return 0;
}

static int mem_open_locked(vfs_mem *disk, mem_file *file, int flags) {
    mem_place place;
    const char *kind = NULL;
    int error = mem_open_kind_locked(disk, file->path, flags, &kind);
    if (error)
        return error;
    error = mem_walk(disk, file->path, &place);
    if (!error && !place.inode)
        error = mem_place_create(disk, &place, false);
    else if (!error && kind)
        error = mem_inode_resize(disk, place.inode, 0);
    if (error)
        return error;
    file->inode = place.inode;
    mem_inode_add_user(disk, place.inode);
    disk->open_count++;
    return 0;
}

FIRN_INTERNAL int mem_vfs_open(const firn_vfs *vfs, const char *path, int flags, firn_file **out) {
    vfs_mem *disk = vfs->context;
    const char *kind = NULL;
    *out = NULL;
    mem_file *file = memory_new_zeroed(sizeof *file);
    if (!file || !(file->path = memory_copy_string(path))) {
        memory_free(file);
        return ENOMEM;
    }
    file->base.methods = &mem_file_methods;
    file->disk = disk;
    file->is_writable = (flags & FIRN_VFS_WRITE) != 0;
    mutex_lock(&disk->mutex);
    int error = mem_open_kind_locked(disk, path, flags, &kind);
    mutex_unlock(&disk->mutex);
    if (!error && kind)
        vfs_mem_announce(disk, kind, path);
    if (!error) {
        mutex_lock(&disk->mutex);
        error = mem_open_locked(disk, file, flags);
        mutex_unlock(&disk->mutex);
    }
    if (error) {
        memory_free(file->path);
        memory_free(file);
        return error;
    }
    *out = &file->base;
    return 0;
}

FIRN_INTERNAL int mem_vfs_lock(const firn_vfs *vfs, const char *path, void **lock,
                               int64_t *holder_pid) {
    vfs_mem *disk = vfs->context;
    firn_file *file = NULL;
    *lock = NULL;
    *holder_pid = 0;
    int error = mem_vfs_open(vfs, path, FIRN_VFS_WRITE | FIRN_VFS_CREATE, &file);
    if (error)
        return error;
    mutex_lock(&disk->mutex);
    mem_inode *inode = mem_file_of(file)->inode;
    if (inode->is_locked)
        error = EWOULDBLOCK;
    else
        inode->is_locked = true;
    mutex_unlock(&disk->mutex);
    if (error) {
        *holder_pid = process_id();
        (void)mem_file_close(file);
        return error;
    }
    *lock = file;
    return 0;
}

FIRN_INTERNAL int mem_vfs_unlock(const firn_vfs *vfs, void *lock) {
    vfs_mem *disk = vfs->context;
    mutex_lock(&disk->mutex);
    mem_file_of(lock)->inode->is_locked = false;
    mutex_unlock(&disk->mutex);
    return mem_file_close(lock);
}
