/* The disk a power cut leaves behind: a walk over the live and durable names, choosing for each
 * name which of the two survives, and for each file reached which of its unsynced bytes do. */
#include "platform/vfs_mem.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "platform/error_detail.h"
#include "platform/vfs_mem_internal.h"

typedef struct mem_crash {
    vfs_mem *from;
    vfs_mem *to;
    vfs_mem_crash mode;
    uint64_t random; /* state of the generator */
} mem_crash;

/* splitmix64 */
static uint64_t mem_crash_random(mem_crash *crash) {
    uint64_t z = crash->random += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

/* True in `sixteenths` of 16 cases. */
static bool mem_crash_chance(mem_crash *crash, unsigned sixteenths) {
    return mem_crash_random(crash) >> 60 < sixteenths;
}

/* Which target of a name survives; NULL: the name does not. */
static mem_inode *mem_crash_pick_name(mem_crash *crash, const mem_entry *entry) {
    if (entry->live == entry->durable)
        return entry->live;
    switch (crash->mode) {
    case VFS_MEM_KILL:
    case VFS_MEM_NAMES_BEFORE_DATA:
        return entry->live;
    case VFS_MEM_LOSE_UNSYNCED:
    case VFS_MEM_DATA_BEFORE_NAMES:
        return entry->durable;
    default:
        return mem_crash_chance(crash, 8) ? entry->live : entry->durable;
    }
}

/* Bytes that survive or not as one. */
static size_t mem_crash_unit_bytes(vfs_mem_crash mode) {
    switch (mode) {
    case VFS_MEM_TORN_SECTORS:
        return 512;
    case VFS_MEM_TORN_WORDS:
        return 8;
    default:
        return VFS_MEM_PAGE_BYTES;
    }
}

/* The old size, the new one, or one that write-back had reached on the way. */
static uint64_t mem_crash_pick_size(mem_crash *crash, const mem_inode *inode) {
    uint64_t low = inode->durable_bytes;
    uint64_t high = inode->live_bytes;
    if (low == high)
        return low;
    switch (mem_crash_random(crash) % 3) {
    case 0:
        return inode->durable_bytes;
    case 1:
        return inode->live_bytes;
    default:
        break;
    }
    if (low > high)
        return high; /* a truncation is done or not */
    uint64_t unit = mem_crash_unit_bytes(crash->mode);
    uint64_t reached = low + mem_crash_random(crash) % (high - low);
    reached = reached / unit * unit;
    return reached < low ? low : reached;
}

/* Chances, in sixteenths, that an unsynced unit survives: one is drawn per file, so that nearly
 * all, about half and nearly nothing are met equally often. */
static unsigned mem_crash_pick_survival(mem_crash *crash) {
    static const unsigned survival[] = {1, 4, 8, 12, 15};
    return survival[mem_crash_random(crash) % (sizeof survival / sizeof survival[0])];
}

typedef struct mem_survival {
    uint64_t bytes;      /* the file's size */
    unsigned sixteenths; /* of the unsynced units; 0 none, 16 all */
} mem_survival;

static mem_survival mem_crash_pick_file(mem_crash *crash, const mem_inode *inode) {
    const mem_survival all = {inode->live_bytes, 16};
    const mem_survival none = {inode->durable_bytes, 0};
    switch (crash->mode) {
    case VFS_MEM_KILL:
    case VFS_MEM_DATA_BEFORE_NAMES:
        return all;
    case VFS_MEM_LOSE_UNSYNCED:
    case VFS_MEM_NAMES_BEFORE_DATA:
        return none;
    case VFS_MEM_REORDERED_FILES:
        return mem_crash_chance(crash, 8) ? all : none;
    default:
        break;
    }
    uint64_t bytes = mem_crash_pick_size(crash, inode);
    return (mem_survival){bytes, mem_crash_pick_survival(crash)};
}

/* The surviving content of a page whose durable content differs from its live one. */
static void mem_crash_mix_page(mem_crash *crash, const mem_page *page, const uint8_t *live,
                               unsigned sixteenths, uint8_t *out) {
    uint8_t now[VFS_MEM_PAGE_BYTES] __attribute__((aligned(8)));
    memcpy(out, page->before, VFS_MEM_PAGE_BYTES);
    /* A page not dirty was dropped by a failed sync, or stored to without being reported: the disk
     * never hears of it. Only the process's death keeps it. */
    if (crash->mode != VFS_MEM_KILL && !(page->flags & VFS_MEM_PAGE_DIRTY))
        return;
    vfs_mem_copy_shared(now, live, sizeof now);
    size_t unit = mem_crash_unit_bytes(crash->mode);
    for (size_t at = 0; at < sizeof now; at += unit) {
        if (sixteenths == 16 || (sixteenths > 0 && mem_crash_chance(crash, sixteenths)))
            memcpy(out + at, now + at, unit);
    }
}

static int mem_crash_copy_file(mem_crash *crash, mem_inode *inode, mem_inode *twin) {
    mem_survival keep = mem_crash_pick_file(crash, inode);
    int error = mem_inode_make_room(twin, keep.bytes);
    if (error)
        return error;
    bool identical = keep.bytes == inode->live_bytes && inode->writable_mapping_count == 0;
    size_t count = (size_t)(vfs_mem_round_to_pages(keep.bytes) / VFS_MEM_PAGE_BYTES);
    for (size_t i = 0; i < count; i++) {
        uint8_t *out = twin->live + i * VFS_MEM_PAGE_BYTES;
        if (i < inode->page_count && inode->pages[i].before) {
            mem_crash_mix_page(crash, &inode->pages[i], inode->live + i * VFS_MEM_PAGE_BYTES,
                               keep.sixteenths, out);
            identical = false;
            continue;
        }
        if (i * VFS_MEM_PAGE_BYTES >= inode->live_room_bytes)
            continue;
        /* Writing zeros would cost the twin a page of memory. */
        const uint8_t *live = inode->live + i * VFS_MEM_PAGE_BYTES;
        if (!vfs_mem_is_zero(live, VFS_MEM_PAGE_BYTES))
            vfs_mem_copy_shared(out, live, VFS_MEM_PAGE_BYTES);
    }
    if (keep.bytes % VFS_MEM_PAGE_BYTES != 0)
        memset(twin->live + keep.bytes, 0,
               VFS_MEM_PAGE_BYTES - (size_t)(keep.bytes % VFS_MEM_PAGE_BYTES));
    twin->live_bytes = twin->durable_bytes = keep.bytes;
    twin->hash = inode->hash;
    twin->hash_is_known = identical && inode->hash_is_known && !inode->is_exposed;
    return 0;
}

static int mem_crash_copy_directory(mem_crash *crash, mem_inode *inode, mem_inode *twin);

/* Gives *out: the twin of `inode`, made at its first mention: two names may lead to one file. NULL
 * for a directory met a second time, which no file system would allow. */
static int mem_crash_twin(mem_crash *crash, mem_inode *inode, mem_inode **out) {
    *out = inode->is_directory ? NULL : inode->twin;
    if (inode->twin)
        return 0;
    *out = mem_inode_new(crash->to, inode->is_directory);
    if (!*out)
        return ENOMEM;
    inode->twin = *out;
    return inode->is_directory ? mem_crash_copy_directory(crash, inode, *out)
                               : mem_crash_copy_file(crash, inode, *out);
}

static int mem_crash_copy_directory(mem_crash *crash, mem_inode *inode, mem_inode *twin) {
    for (size_t i = 0; i < inode->entry_count; i++) {
        mem_inode *target = NULL;
        mem_inode *chosen = mem_crash_pick_name(crash, &inode->entries[i]);
        int error = chosen ? mem_crash_twin(crash, chosen, &target) : 0;
        if (error)
            return error;
        if (!target)
            continue;
        mem_entry *entry = mem_directory_add(twin, inode->entries[i].name);
        if (!entry)
            return ENOMEM;
        mem_entry_set_live(crash->to, entry, target);
        mem_entry_set_durable(crash->to, entry, target);
    }
    return 0;
}

FIRN_INTERNAL status vfs_mem_crash_clone(vfs_mem *disk, vfs_mem_crash mode, uint64_t seed,
                                         vfs_mem **out) {
    DCHECK(mode < VFS_MEM_CRASH_COUNT);
    status st = STATUS_OK;
    mem_crash crash = {.from = disk, .mode = mode, .random = seed};
    *out = NULL;
    TRY(vfs_mem_new(&crash.to));
    mutex_lock(&disk->mutex);
    for (mem_inode *inode = disk->inodes; inode; inode = inode->next)
        inode->twin = NULL;
    int error = mem_crash_copy_directory(&crash, disk->root, crash.to->root);
    crash.to->capacity_bytes = disk->capacity_bytes;
    mutex_unlock(&disk->mutex);
    if (error)
        st = error_status(FIRN_NO_MEMORY, "cannot clone a simulated disk: no memory");
out:
    if (status_is_ok(st))
        *out = crash.to;
    else
        vfs_mem_free(crash.to);
    return st;
}
