#include "platform/vfs_mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "platform/error_detail.h"
#include "platform/memory.h"
#include "platform/vfs_mem_internal.h"

static vfs_mem *mem_disk_of(const firn_vfs *vfs) {
    return vfs->context;
}

FIRN_INTERNAL void vfs_mem_announce(vfs_mem *disk, const char *kind, const char *path) {
    mutex_lock(&disk->mutex);
    uint64_t operation = ++disk->operation_count;
    vfs_mem_observer observer = disk->observer;
    void *context = disk->observer_context;
    mutex_unlock(&disk->mutex);
    if (observer)
        observer(context, operation, kind, path);
}

static int mem_remove_locked(vfs_mem *disk, const char *path, bool really) {
    mem_place place;
    int error = mem_walk(disk, path, &place);
    if (error)
        return error;
    if (!place.inode)
        return ENOENT;
    if (!place.directory)
        return EBUSY;
    if (place.inode->is_directory && !mem_directory_is_empty(place.inode))
        return ENOTEMPTY;
    if (really) {
        mem_entry_set_live(disk, place.entry, NULL);
        mem_directory_prune(place.directory);
    }
    return 0;
}

static int mem_vfs_remove(const firn_vfs *vfs, const char *path) {
    vfs_mem *disk = mem_disk_of(vfs);
    mutex_lock(&disk->mutex);
    int error = mem_remove_locked(disk, path, false);
    mutex_unlock(&disk->mutex);
    if (error)
        return error;
    vfs_mem_announce(disk, "remove", path);
    mutex_lock(&disk->mutex);
    error = mem_remove_locked(disk, path, true);
    mutex_unlock(&disk->mutex);
    return error;
}

static int mem_rename_check(const mem_place *source, const mem_place *target) {
    if (!source->inode)
        return ENOENT;
    if (!source->directory || !target->directory)
        return EBUSY;
    if (source->inode->is_directory && mem_directory_contains(source->inode, target->directory))
        return EINVAL;
    if (!target->inode || target->inode == source->inode)
        return 0;
    if (target->inode->is_directory != source->inode->is_directory)
        return target->inode->is_directory ? EISDIR : ENOTDIR;
    if (target->inode->is_directory && !mem_directory_is_empty(target->inode))
        return ENOTEMPTY;
    return 0;
}

static int mem_rename_locked(vfs_mem *disk, const char *from, const char *to, bool really) {
    mem_place source;
    mem_place target;
    int error = mem_walk(disk, from, &source);
    if (!error)
        error = mem_walk(disk, to, &target);
    if (!error)
        error = mem_rename_check(&source, &target);
    if (error || !really || source.inode == target.inode)
        return error;
    mem_entry *entry = mem_place_entry(&target);
    if (!entry)
        return ENOMEM;
    mem_entry_set_live(disk, entry, source.inode);
    /* Adding the target may have moved the entries. */
    mem_entry_set_live(disk, mem_directory_find(source.directory, source.name), NULL);
    mem_directory_prune(source.directory);
    return 0;
}

static int mem_vfs_rename(const firn_vfs *vfs, const char *from, const char *to) {
    vfs_mem *disk = mem_disk_of(vfs);
    mutex_lock(&disk->mutex);
    int error = mem_rename_locked(disk, from, to, false);
    mutex_unlock(&disk->mutex);
    if (error)
        return error;
    vfs_mem_announce(disk, "rename", to);
    mutex_lock(&disk->mutex);
    error = mem_rename_locked(disk, from, to, true);
    mutex_unlock(&disk->mutex);
    return error;
}

static int mem_make_dir_locked(vfs_mem *disk, const char *path, bool really) {
    mem_place place;
    int error = mem_walk(disk, path, &place);
    if (!error && place.inode)
        error = EEXIST;
    return error || !really ? error : mem_place_create(disk, &place, true);
}

static int mem_vfs_make_dir(const firn_vfs *vfs, const char *path) {
    vfs_mem *disk = mem_disk_of(vfs);
    mutex_lock(&disk->mutex);
    int error = mem_make_dir_locked(disk, path, false);
    mutex_unlock(&disk->mutex);
    if (error)
        return error;
    vfs_mem_announce(disk, "make_dir", path);
    mutex_lock(&disk->mutex);
    error = mem_make_dir_locked(disk, path, true);
    mutex_unlock(&disk->mutex);
    return error;
}

/* Finds the directory `path` names. */
static int mem_find_directory(vfs_mem *disk, const char *path, mem_inode **out) {
    mem_place place;
    int error = mem_walk(disk, path, &place);
    if (error)
        return error;
    *out = place.inode;
    if (!place.inode)
        return ENOENT;
    return place.inode->is_directory ? 0 : ENOTDIR;
}

static int mem_vfs_sync_dir(const firn_vfs *vfs, const char *path) {
    vfs_mem *disk = mem_disk_of(vfs);
    mem_inode *directory = NULL;
    mutex_lock(&disk->mutex);
    int error = mem_find_directory(disk, path, &directory);
    mutex_unlock(&disk->mutex);
    if (error)
        return error;
    vfs_mem_announce(disk, "sync_dir", path);
    mutex_lock(&disk->mutex);
    error = mem_find_directory(disk, path, &directory);
    if (!error) {
        for (size_t i = 0; i < directory->entry_count; i++)
            mem_entry_set_durable(disk, &directory->entries[i], directory->entries[i].live);
        mem_directory_prune(directory);
    }
    mutex_unlock(&disk->mutex);
    return error;
}

/* The live names, each with its terminator, one after the other: gives *out. */
static int mem_list_locked(vfs_mem *disk, const char *path, char **out, size_t *out_bytes) {
    mem_inode *directory = NULL;
    size_t bytes = 0;
    int error = mem_find_directory(disk, path, &directory);
    if (error)
        return error;
    for (size_t i = 0; i < directory->entry_count; i++)
        bytes += strlen(directory->entries[i].name) + 1;
    *out = memory_new(bytes);
    if (!*out)
        return ENOMEM;
    *out_bytes = 0;
    for (size_t i = 0; i < directory->entry_count; i++) {
        const char *name = directory->entries[i].name;
        if (!directory->entries[i].live)
            continue;
        memcpy(*out + *out_bytes, name, strlen(name) + 1);
        *out_bytes += strlen(name) + 1;
    }
    return 0;
}

static int mem_vfs_list(const firn_vfs *vfs, const char *path, firn_vfs_list_callback each,
                        void *context) {
    vfs_mem *disk = mem_disk_of(vfs);
    char *names = NULL;
    size_t bytes = 0;
    mutex_lock(&disk->mutex);
    int error = mem_list_locked(disk, path, &names, &bytes);
    mutex_unlock(&disk->mutex);
    /* The callback may use the disk, so it runs on a copy. */
    for (size_t at = 0; at < bytes; at += strlen(names + at) + 1) {
        if (each(context, names + at))
            break;
    }
    memory_free(names);
    return error;
}

static int mem_vfs_stat(const firn_vfs *vfs, const char *path, uint64_t *bytes, int *is_directory) {
    vfs_mem *disk = mem_disk_of(vfs);
    mem_place place;
    mutex_lock(&disk->mutex);
    int error = mem_walk(disk, path, &place);
    if (!error && !place.inode)
        error = ENOENT;
    if (!error) {
        *bytes = place.inode->live_bytes;
        *is_directory = place.inode->is_directory;
    }
    mutex_unlock(&disk->mutex);
    return error;
}

static int mem_vfs_reserves_truly(MAYBE_UNUSED const firn_vfs *vfs, MAYBE_UNUSED const char *path) {
    return 1;
}

static int mem_vfs_free_bytes(const firn_vfs *vfs, const char *path, uint64_t *bytes) {
    enum { MEM_UNLIMITED_GIB = 1024 };
    vfs_mem *disk = mem_disk_of(vfs);
    mem_place place;
    mutex_lock(&disk->mutex);
    int error = mem_walk(disk, path, &place);
    if (!error && !place.inode)
        error = ENOENT;
    if (disk->capacity_bytes == UINT64_MAX)
        *bytes = (uint64_t)MEM_UNLIMITED_GIB << 30;
    else
        *bytes =
            disk->capacity_bytes > disk->used_bytes ? disk->capacity_bytes - disk->used_bytes : 0;
    mutex_unlock(&disk->mutex);
    return error;
}

FIRN_INTERNAL status vfs_mem_new(vfs_mem **out) {
    *out = NULL;
    vfs_mem *disk = calloc(1, sizeof *disk);
    mem_inode *root = disk ? mem_inode_new(disk, true) : NULL;
    if (!root) {
        free(disk);
        return error_status(FIRN_NO_MEMORY, "cannot make a simulated disk: no memory");
    }
    root->refs = root->users = 1;
    mutex_init(&disk->mutex);
    disk->root = root;
    disk->capacity_bytes = UINT64_MAX;
    disk->vfs = (firn_vfs){
        .size = sizeof(firn_vfs),
        .name = "memory",
        .context = disk,
        .open = mem_vfs_open,
        .remove = mem_vfs_remove,
        .rename = mem_vfs_rename,
        .make_dir = mem_vfs_make_dir,
        .sync_dir = mem_vfs_sync_dir,
        .list = mem_vfs_list,
        .stat = mem_vfs_stat,
        .lock = mem_vfs_lock,
        .unlock = mem_vfs_unlock,
        .free_bytes = mem_vfs_free_bytes,
        .reserves_truly = mem_vfs_reserves_truly,
    };
    *out = disk;
    return STATUS_OK;
}

FIRN_INTERNAL void vfs_mem_free(vfs_mem *disk) {
    if (!disk)
        return;
    CHECK(disk->open_count == 0); /* a handle left behind would write into freed memory */
    while (disk->inodes)
        mem_inode_free(disk, disk->inodes);
    mutex_deinit(&disk->mutex);
    free(disk);
}

FIRN_INTERNAL const firn_vfs *vfs_mem_vfs(vfs_mem *disk) {
    return &disk->vfs;
}

FIRN_INTERNAL uint64_t vfs_mem_operation_count(vfs_mem *disk) {
    mutex_lock(&disk->mutex);
    uint64_t count = disk->operation_count;
    mutex_unlock(&disk->mutex);
    return count;
}

FIRN_INTERNAL void vfs_mem_observe(vfs_mem *disk, vfs_mem_observer observer, void *context) {
    mutex_lock(&disk->mutex);
    disk->observer = observer;
    disk->observer_context = context;
    mutex_unlock(&disk->mutex);
}

FIRN_INTERNAL void vfs_mem_set_capacity(vfs_mem *disk, uint64_t bytes) {
    mutex_lock(&disk->mutex);
    disk->capacity_bytes = bytes;
    mutex_unlock(&disk->mutex);
}

FIRN_INTERNAL uint64_t vfs_mem_used_bytes(vfs_mem *disk) {
    mutex_lock(&disk->mutex);
    uint64_t bytes = disk->used_bytes;
    mutex_unlock(&disk->mutex);
    return bytes;
}

FIRN_INTERNAL uint8_t *vfs_mem_contents(vfs_mem *disk, const char *path, uint64_t *bytes) {
    mem_place place;
    uint8_t *contents = NULL;
    *bytes = 0;
    mutex_lock(&disk->mutex);
    if (mem_walk(disk, path, &place) == 0 && place.inode && !place.inode->is_directory &&
        mem_inode_make_room(place.inode, place.inode->live_bytes + 1) == 0) {
        place.inode->is_exposed = true;
        contents = place.inode->live;
        *bytes = place.inode->live_bytes;
    }
    mutex_unlock(&disk->mutex);
    return contents;
}

FIRN_INTERNAL uint64_t vfs_mem_hash(vfs_mem *disk) {
    mutex_lock(&disk->mutex);
    uint64_t hash = mem_hash_tree(disk->root);
    mutex_unlock(&disk->mutex);
    return hash;
}
