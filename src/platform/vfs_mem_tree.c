/* The simulated disk's directories: references, names and paths. Everything here runs with the
 * disk's mutex held. */
#include "platform/vfs_mem_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

static void mem_inode_unref(vfs_mem *disk, mem_inode *inode) {
    DCHECK(inode->refs > 0);
    if (--inode->refs > 0)
        return;
    for (size_t i = 0; i < inode->entry_count; i++) {
        mem_entry_set_live(disk, &inode->entries[i], NULL);
        mem_entry_set_durable(disk, &inode->entries[i], NULL);
    }
    mem_inode_free(disk, inode);
}

FIRN_INTERNAL void mem_inode_add_user(vfs_mem *disk, mem_inode *inode) {
    inode->refs++;
    inode->users++;
    mem_inode_recharge(disk, inode);
}

FIRN_INTERNAL void mem_inode_drop_user(vfs_mem *disk, mem_inode *inode) {
    DCHECK(inode->users > 0);
    inode->users--;
    mem_inode_recharge(disk, inode);
    mem_inode_unref(disk, inode);
}

FIRN_INTERNAL void mem_entry_set_live(vfs_mem *disk, mem_entry *entry, mem_inode *inode) {
    mem_inode *old = entry->live;
    if (inode)
        mem_inode_add_user(disk, inode);
    entry->live = inode;
    if (old)
        mem_inode_drop_user(disk, old);
}

FIRN_INTERNAL void mem_entry_set_durable(vfs_mem *disk, mem_entry *entry, mem_inode *inode) {
    mem_inode *old = entry->durable;
    if (inode)
        inode->refs++;
    entry->durable = inode;
    if (old)
        mem_inode_unref(disk, old);
}

FIRN_INTERNAL mem_entry *mem_directory_add(mem_inode *directory, const char *name) {
    if (directory->entry_count == directory->entry_capacity) {
        size_t capacity = directory->entry_capacity ? directory->entry_capacity * 2 : 8;
        mem_entry *entries = realloc(directory->entries, capacity * sizeof *entries);
        if (!entries)
            return NULL;
        directory->entries = entries;
        directory->entry_capacity = capacity;
    }
    mem_entry *entry = &directory->entries[directory->entry_count];
    *entry = (mem_entry){.name = strdup(name)};
    if (!entry->name)
        return NULL;
    directory->entry_count++;
    return entry;
}

FIRN_INTERNAL void mem_directory_prune(mem_inode *directory) {
    size_t kept = 0;
    for (size_t i = 0; i < directory->entry_count; i++) {
        mem_entry *entry = &directory->entries[i];
        if (entry->live || entry->durable)
            directory->entries[kept++] = *entry;
        else
            free(entry->name);
    }
    directory->entry_count = kept;
}

FIRN_INTERNAL mem_entry *mem_directory_find(const mem_inode *directory, const char *name) {
    for (size_t i = 0; i < directory->entry_count; i++) {
        if (strcmp(directory->entries[i].name, name) == 0)
            return &directory->entries[i];
    }
    return NULL;
}

FIRN_INTERNAL bool mem_directory_is_empty(const mem_inode *directory) {
    for (size_t i = 0; i < directory->entry_count; i++) {
        if (directory->entries[i].live)
            return false;
    }
    return true;
}

FIRN_INTERNAL bool mem_directory_contains(const mem_inode *directory, const mem_inode *inode) {
    if (directory == inode)
        return true;
    for (size_t i = 0; i < directory->entry_count; i++) {
        const mem_inode *below = directory->entries[i].live;
        if (below && below->is_directory && mem_directory_contains(below, inode))
            return true;
    }
    return false;
}

FIRN_INTERNAL mem_entry *mem_place_entry(const mem_place *place) {
    mem_entry *entry = mem_directory_find(place->directory, place->name);
    return entry ? entry : mem_directory_add(place->directory, place->name);
}

FIRN_INTERNAL int mem_walk(vfs_mem *disk, const char *path, mem_place *place) {
    *place = (mem_place){.inode = disk->root};
    for (;;) {
        path += strspn(path, "/");
        size_t bytes = strcspn(path, "/");
        if (bytes == 0)
            return 0;
        if (bytes == 1 && path[0] == '.') {
            path++;
            continue;
        }
        if (!place->inode)
            return ENOENT;
        if (!place->inode->is_directory)
            return ENOTDIR;
        if (bytes >= VFS_MEM_NAME_BYTES)
            return ENAMETOOLONG;
        memcpy(place->name, path, bytes);
        place->name[bytes] = '\0';
        place->directory = place->inode;
        place->entry = mem_directory_find(place->directory, place->name);
        place->inode = place->entry ? place->entry->live : NULL;
        path += bytes;
    }
}

FIRN_INTERNAL int mem_place_create(vfs_mem *disk, mem_place *place, bool is_directory) {
    if (!place->directory)
        return EEXIST; /* the root */
    mem_entry *entry = mem_place_entry(place);
    if (!entry)
        return ENOMEM;
    mem_inode *inode = mem_inode_new(disk, is_directory);
    if (!inode) {
        mem_directory_prune(place->directory);
        return ENOMEM;
    }
    mem_entry_set_live(disk, entry, inode);
    place->entry = entry;
    place->inode = inode;
    return 0;
}

static uint64_t mem_mix(uint64_t value) {
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9u;
    value = (value ^ value >> 27) * 0x94D049BB133111EBu;
    return value ^ value >> 31;
}

/* Names are summed up, so that their order does not matter. */
FIRN_INTERNAL uint64_t mem_hash_tree(mem_inode *inode) {
    if (!inode->is_directory)
        return mem_inode_hash(inode);
    uint64_t sum = 1;
    for (size_t i = 0; i < inode->entry_count; i++) {
        const mem_entry *entry = &inode->entries[i];
        if (!entry->live)
            continue;
        uint64_t hash = 0xCBF29CE484222325u;
        for (const char *c = entry->name; *c; c++)
            hash = (hash ^ (uint8_t)*c) * 0x100000001B3u;
        sum += mem_mix(hash ^ mem_mix(mem_hash_tree(entry->live) + entry->live->is_directory));
    }
    return mem_mix(sum);
}
