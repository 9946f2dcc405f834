#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/check.h"
#include "platform/vfs_mem_internal.h"

/* Address space each file gets at first. Never touched pages of it cost nothing. */
static const size_t mem_inode_first_room_bytes = (size_t)256 << 20;

#if defined(__clang__)
#define VFS_MEM_UNCHECKED __attribute__((no_sanitize("thread"), noinline))
#else
#define VFS_MEM_UNCHECKED __attribute__((no_sanitize_thread, noinline))
#endif

FIRN_INTERNAL VFS_MEM_UNCHECKED void vfs_mem_copy_shared(void *to, const void *from, size_t bytes) {
    const volatile uint64_t *source = from;
    uint64_t *target = to;
    DCHECK(bytes % 8 == 0 && (uintptr_t)from % 8 == 0 && (uintptr_t)to % 8 == 0);
    for (size_t i = 0; i < bytes / 8; i++)
        target[i] = source[i];
}

FIRN_INTERNAL VFS_MEM_UNCHECKED bool vfs_mem_is_zero(const void *at, size_t bytes) {
    const volatile uint64_t *words = at;
    DCHECK(bytes % 8 == 0 && (uintptr_t)at % 8 == 0);
    for (size_t i = 0; i < bytes / 8; i++) {
        if (words[i] != 0)
            return false;
    }
    return true;
}

static VFS_MEM_UNCHECKED uint64_t mem_inode_hash_words(const uint8_t *at, size_t words) {
    const volatile uint64_t *source = (const volatile uint64_t *)(const void *)at;
    uint64_t hash = 0x243F6A8885A308D3u;
    for (size_t i = 0; i < words; i++) {
        hash = (hash ^ source[i]) * 0x9E3779B97F4A7C15u;
        hash ^= hash >> 29;
    }
    return hash;
}

#undef VFS_MEM_UNCHECKED

FIRN_INTERNAL mem_inode *mem_inode_new(vfs_mem *disk, bool is_directory) {
    mem_inode *inode = calloc(1, sizeof *inode);
    if (!inode)
        return NULL;
    inode->is_directory = is_directory;
    inode->next = disk->inodes;
    if (disk->inodes)
        disk->inodes->previous = inode;
    disk->inodes = inode;
    return inode;
}

FIRN_INTERNAL void mem_inode_free(vfs_mem *disk, mem_inode *inode) {
    DCHECK(!inode->mappings);
    if (inode->previous)
        inode->previous->next = inode->next;
    else
        disk->inodes = inode->next;
    if (inode->next)
        inode->next->previous = inode->previous;
    disk->used_bytes -= inode->charged_bytes;
    for (size_t i = 0; i < inode->page_count; i++)
        free(inode->pages[i].before);
    free(inode->pages);
    for (size_t i = 0; i < inode->entry_count; i++)
        free(inode->entries[i].name);
    free(inode->entries);
    if (inode->live)
        CHECK(munmap(inode->live, inode->live_room_bytes) == 0);
    free(inode);
}

FIRN_INTERNAL void mem_inode_recharge(vfs_mem *disk, mem_inode *inode) {
    uint64_t bytes = inode->users ? vfs_mem_round_to_pages(inode->live_bytes) : 0;
    disk->used_bytes += bytes - inode->charged_bytes;
    inode->charged_bytes = bytes;
}

static int mem_inode_make_pages(mem_inode *inode, size_t count) {
    if (count <= inode->page_count)
        return 0;
    size_t grown = inode->page_count * 2 > count ? inode->page_count * 2 : count;
    mem_page *pages = realloc(inode->pages, grown * sizeof *pages);
    if (!pages)
        return ENOMEM;
    memset(pages + inode->page_count, 0, (grown - inode->page_count) * sizeof *pages);
    inode->pages = pages;
    inode->page_count = grown;
    return 0;
}

FIRN_INTERNAL int mem_inode_make_room(mem_inode *inode, uint64_t bytes) {
    if (bytes > SIZE_MAX / 4)
        return EFBIG;
    int error =
        mem_inode_make_pages(inode, (size_t)(vfs_mem_round_to_pages(bytes) / VFS_MEM_PAGE_BYTES));
    if (error || bytes <= inode->live_room_bytes)
        return error;
    if (inode->mappings)
        return EFBIG;
    size_t room = mem_inode_first_room_bytes;
    while (room < bytes)
        room *= 2;
    void *live = mmap(NULL, room, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (live == MAP_FAILED)
        return ENOMEM;
    /* Else a file of ten bytes would be given 2 MiB. */
    (void)madvise(live, room, MADV_NOHUGEPAGE);
    if (inode->live) {
        memcpy(live, inode->live, (size_t)inode->live_bytes);
        CHECK(munmap(inode->live, inode->live_room_bytes) == 0);
    }
    inode->live = live;
    inode->live_room_bytes = room;
    return 0;
}

/* Keeps what the disk has for this page before it changes. */
static int mem_page_save(mem_inode *inode, size_t index) {
    mem_page *page = &inode->pages[index];
    if (page->before)
        return 0;
    page->before = malloc(VFS_MEM_PAGE_BYTES);
    if (!page->before)
        return ENOMEM;
    vfs_mem_copy_shared(page->before, inode->live + index * VFS_MEM_PAGE_BYTES, VFS_MEM_PAGE_BYTES);
    return 0;
}

static void mem_page_set_dirty(mem_inode *inode, size_t index) {
    inode->pages[index].flags |= VFS_MEM_PAGE_DIRTY;
    if (inode->dirty_begin == inode->dirty_end) {
        inode->dirty_begin = index;
        inode->dirty_end = index + 1;
    }
    if (index < inode->dirty_begin)
        inode->dirty_begin = index;
    if (index >= inode->dirty_end)
        inode->dirty_end = index + 1;
}

/* Saves and marks every page of a range that is about to change. */
static int mem_inode_touch(mem_inode *inode, uint64_t offset, uint64_t bytes) {
    size_t end = (size_t)(vfs_mem_round_to_pages(offset + bytes) / VFS_MEM_PAGE_BYTES);
    inode->hash_is_known = false;
    for (size_t i = (size_t)(offset / VFS_MEM_PAGE_BYTES); i < end; i++) {
        int error = mem_page_save(inode, i);
        if (error)
            return error;
        mem_page_set_dirty(inode, i);
    }
    return 0;
}

FIRN_INTERNAL void mem_inode_read(const mem_inode *inode, uint64_t offset, void *data, size_t count,
                                  size_t *got) {
    *got = 0;
    if (offset >= inode->live_bytes)
        return;
    uint64_t left = inode->live_bytes - offset;
    *got = count < left ? count : (size_t)left;
    memcpy(data, inode->live + offset, *got);
}

/* The largest size up to `wanted` that the disk still has room for. */
static uint64_t mem_inode_size_that_fits(const vfs_mem *disk, const mem_inode *inode,
                                         uint64_t wanted) {
    uint64_t others = disk->used_bytes - inode->charged_bytes;
    uint64_t room = disk->capacity_bytes > others ? disk->capacity_bytes - others : 0;
    if (vfs_mem_round_to_pages(wanted) <= room || wanted <= inode->live_bytes)
        return wanted;
    room = room / VFS_MEM_PAGE_BYTES * VFS_MEM_PAGE_BYTES;
    return room > inode->live_bytes ? room : inode->live_bytes;
}

FIRN_INTERNAL int mem_inode_write(vfs_mem *disk, mem_inode *inode, uint64_t offset,
                                  const void *data, size_t count) {
    if (offset > INT64_MAX || count > INT64_MAX - offset)
        return EFBIG;
    /* A full disk takes what still fits, as real ones do, and then refuses. */
    uint64_t end = mem_inode_size_that_fits(disk, inode, offset + count);
    size_t fitting = end > offset ? (size_t)(end - offset) : 0;
    if (fitting > 0) {
        int error = mem_inode_make_room(inode, end);
        if (!error)
            error = mem_inode_touch(inode, offset, fitting);
        if (error)
            return error;
        memcpy(inode->live + offset, data, fitting);
        if (end > inode->live_bytes)
            inode->live_bytes = end;
        mem_inode_recharge(disk, inode);
    }
    return fitting == count ? 0 : ENOSPC;
}

/* Zeroes what a truncation cuts off, remembering what of it is on the disk. */
static int mem_inode_cut(mem_inode *inode, uint64_t bytes) {
    uint64_t at = bytes;
    while (at < inode->live_bytes) {
        uint64_t page_end = at / VFS_MEM_PAGE_BYTES * VFS_MEM_PAGE_BYTES + VFS_MEM_PAGE_BYTES;
        uint64_t end = page_end < inode->live_bytes ? page_end : inode->live_bytes;
        const uint8_t *page = inode->live + (page_end - VFS_MEM_PAGE_BYTES);
        if (!vfs_mem_is_zero(page, VFS_MEM_PAGE_BYTES)) {
            int error = mem_inode_touch(inode, at, end - at);
            if (error)
                return error;
            memset(inode->live + at, 0, (size_t)(end - at));
        }
        at = end;
    }
    return 0;
}

FIRN_INTERNAL int mem_inode_resize(vfs_mem *disk, mem_inode *inode, uint64_t bytes) {
    if (bytes > INT64_MAX)
        return EFBIG;
    if (mem_inode_size_that_fits(disk, inode, bytes) < bytes)
        return ENOSPC;
    int error = mem_inode_make_room(inode, bytes);
    if (!error)
        error = mem_inode_cut(inode, bytes);
    if (error)
        return error;
    inode->hash_is_known = false;
    inode->live_bytes = bytes;
    mem_inode_recharge(disk, inode);
    return 0;
}

/* Lets go of a saved page that nothing needs any more. */
static void mem_page_settle(mem_page *page) {
    if (page->flags == 0) {
        free(page->before);
        page->before = NULL;
    }
}

FIRN_INTERNAL void mem_inode_sync(mem_inode *inode) {
    for (size_t i = inode->dirty_begin; i < inode->dirty_end; i++) {
        mem_page *page = &inode->pages[i];
        if (!(page->flags & VFS_MEM_PAGE_DIRTY))
            continue;
        page->flags &= VFS_MEM_PAGE_WATCHED;
        if (page->flags)
            vfs_mem_copy_shared(page->before, inode->live + i * VFS_MEM_PAGE_BYTES,
                                VFS_MEM_PAGE_BYTES);
        mem_page_settle(page);
    }
    inode->dirty_begin = inode->dirty_end = 0;
    inode->durable_bytes = inode->live_bytes;
}

FIRN_INTERNAL void mem_inode_drop_unsynced(mem_inode *inode) {
    for (size_t i = inode->dirty_begin; i < inode->dirty_end; i++) {
        mem_page *page = &inode->pages[i];
        if (!(page->flags & VFS_MEM_PAGE_DIRTY))
            continue;
        page->flags &= VFS_MEM_PAGE_WATCHED;
        page->flags |= VFS_MEM_PAGE_DROPPED;
    }
    inode->dirty_begin = inode->dirty_end = 0;
}

FIRN_INTERNAL int mem_inode_watch(mem_inode *inode, uint64_t offset, uint64_t bytes) {
    size_t end = (size_t)(vfs_mem_round_to_pages(offset + bytes) / VFS_MEM_PAGE_BYTES);
    for (size_t i = (size_t)(offset / VFS_MEM_PAGE_BYTES); i < end; i++) {
        int error = mem_page_save(inode, i);
        if (error)
            return error; /* pages watched so far are let go with the others */
        inode->pages[i].flags |= VFS_MEM_PAGE_WATCHED;
    }
    inode->writable_mapping_count++;
    return 0;
}

FIRN_INTERNAL void mem_inode_unwatch(mem_inode *inode) {
    DCHECK(inode->writable_mapping_count > 0);
    if (--inode->writable_mapping_count > 0)
        return;
    inode->hash_is_known = false;
    for (size_t i = 0; i < inode->page_count; i++) {
        inode->pages[i].flags &= (uint8_t)~VFS_MEM_PAGE_WATCHED;
        mem_page_settle(&inode->pages[i]);
    }
}

FIRN_INTERNAL void mem_inode_stored(mem_inode *inode, uint64_t offset, uint64_t bytes) {
    size_t end = (size_t)(vfs_mem_round_to_pages(offset + bytes) / VFS_MEM_PAGE_BYTES);
    inode->hash_is_known = false;
    for (size_t i = (size_t)(offset / VFS_MEM_PAGE_BYTES); i < end; i++) {
        /* A store outside every writable mapping, or beyond the end of the file, is the caller's
         * mistake: on a real disk it would be a crash or lost bytes. */
        CHECK(i < inode->page_count && (inode->pages[i].flags & VFS_MEM_PAGE_WATCHED));
        mem_page_set_dirty(inode, i);
    }
    CHECK(offset + bytes <= inode->live_bytes);
}

FIRN_INTERNAL uint64_t mem_inode_hash(mem_inode *inode) {
    if (inode->hash_is_known && !inode->is_exposed && inode->writable_mapping_count == 0)
        return inode->hash;
    /* Bytes beyond the end are zero, so whole words can be taken. */
    size_t words = (size_t)((inode->live_bytes + 7) / 8);
    inode->hash = mem_inode_hash_words(inode->live, words) ^ inode->live_bytes;
    inode->hash_is_known = true;
    return inode->hash;
}
