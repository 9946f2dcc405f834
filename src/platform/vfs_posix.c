#include "platform/vfs_posix_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/check.h"
#include "platform/memory.h"

typedef struct posix_file {
    firn_file base;
    int fd;
} posix_file;

/* One system call moves at most 2 GiB less a page; staying below keeps every count in range. */
static const size_t posix_transfer_max = (size_t)1 << 30;

static int posix_fd(const firn_file *file) {
    return ((const posix_file *)(const void *)file)->fd;
}

/* False when the range leaves what off_t can say. */
static bool posix_range_fits(uint64_t offset, uint64_t bytes) {
    return offset <= INT64_MAX && bytes <= INT64_MAX - offset;
}

static int posix_read_at(firn_file *file, uint64_t offset, void *data, size_t count, size_t *got) {
    uint8_t *to = data;
    *got = 0;
    if (!posix_range_fits(offset, count))
        return EOVERFLOW;
    while (*got < count) {
        size_t want = count - *got < posix_transfer_max ? count - *got : posix_transfer_max;
        ssize_t moved = pread(posix_fd(file), to + *got, want, (off_t)(offset + *got));
        if (moved > 0)
            *got += (size_t)moved;
        else if (moved == 0)
            break;
        else if (errno != EINTR)
            return errno;
    }
    return 0;
}

static int posix_write_at(firn_file *file, uint64_t offset, const void *data, size_t count) {
    const uint8_t *from = data;
    size_t done = 0;
    if (!posix_range_fits(offset, count))
        return EFBIG;
    while (done < count) {
        size_t want = count - done < posix_transfer_max ? count - done : posix_transfer_max;
        ssize_t moved = pwrite(posix_fd(file), from + done, want, (off_t)(offset + done));
        if (moved > 0)
            done += (size_t)moved;
        else if (moved == 0)
            return EIO; /* no progress and no reason: do not spin on it */
        else if (errno != EINTR)
            return errno;
    }
    return 0;
}

/* RWF_NOWAIT asks and reads in one: a look at what is resident (mincore) could be out of date by
 * the time of the read. File systems that do not know it refuse, which is EAGAIN too. */
#ifdef RWF_NOWAIT
static int posix_read_cached_at(firn_file *file, uint64_t offset, void *data, size_t count) {
    struct iovec part = {data, count};
    if (!posix_range_fits(offset, count))
        return EFBIG;
    ssize_t got = preadv2(posix_fd(file), &part, 1, (off_t)offset, RWF_NOWAIT);
    return got == (ssize_t)count ? 0 : EAGAIN;
}
#else
static int posix_read_cached_at(MAYBE_UNUSED firn_file *file, MAYBE_UNUSED uint64_t offset,
                                MAYBE_UNUSED void *data, MAYBE_UNUSED size_t count) {
    return EAGAIN;
}
#endif

static int posix_sync(firn_file *file) {
    /* fdatasync covers the size where it is needed to read the data back. It covers stores into
     * mappings as well: on Linux the first store to a clean page of a shared mapping faults, which
     * marks the page dirty in the page cache that fdatasync writes, and write-back protects the
     * page again so that the next store is noticed too. (POSIX asks for msync; on systems without
     * one cache for both it would be needed here.) */
    while (fdatasync(posix_fd(file)) != 0) {
        if (errno != EINTR)
            return errno;
    }
    return 0;
}

static int posix_truncate(firn_file *file, uint64_t bytes) {
    if (!posix_range_fits(bytes, 0))
        return EFBIG;
    while (ftruncate(posix_fd(file), (off_t)bytes) != 0) {
        if (errno != EINTR)
            return errno;
    }
    return 0;
}

static int posix_get_size(firn_file *file, uint64_t *bytes) {
    struct stat info;
    if (fstat(posix_fd(file), &info) != 0)
        return errno;
    *bytes = (uint64_t)info.st_size;
    return 0;
}

/* Where the file system cannot reserve: zeros from the present end on take the space as well. What
 * is already inside the file is left alone. */
static int posix_reserve_by_writing(firn_file *file, uint64_t end) {
    static const uint8_t zeros[64 << 10];
    uint64_t at = 0;
    int error = posix_get_size(file, &at);
    while (error == 0 && at < end) {
        size_t part = end - at < sizeof zeros ? (size_t)(end - at) : sizeof zeros;
        error = posix_write_at(file, at, zeros, part);
        at += part;
    }
    return error;
}

static int posix_reserve(firn_file *file, uint64_t offset, uint64_t bytes) {
    if (!posix_range_fits(offset, bytes))
        return EFBIG;
    if (bytes == 0) {
        if (offset == 0)
            return 0;
        offset--; /* fallocate refuses an empty range; its last byte extends the file as well */
        bytes = 1;
    }
    while (fallocate(posix_fd(file), 0, (off_t)offset, (off_t)bytes) != 0) {
        if (errno == EOPNOTSUPP || errno == ENOSYS)
            return posix_reserve_by_writing(file, offset + bytes);
        if (errno != EINTR)
            return errno;
    }
    return 0;
}

static size_t posix_page_bytes(void) {
    return (size_t)sysconf(_SC_PAGESIZE);
}

static int posix_map(firn_file *file, uint64_t offset, size_t bytes, int writable, void **address) {
    size_t before = (size_t)(offset & (posix_page_bytes() - 1));
    *address = NULL;
    if (!posix_range_fits(offset, bytes) || bytes > SIZE_MAX - before)
        return EOVERFLOW;
    void *base = mmap(NULL, bytes + before, writable ? PROT_READ | PROT_WRITE : PROT_READ,
                      MAP_SHARED, posix_fd(file), (off_t)(offset - before));
    if (base == MAP_FAILED)
        return errno;
    *address = (uint8_t *)base + before;
    return 0;
}

static int posix_unmap(MAYBE_UNUSED firn_file *file, void *address, size_t bytes) {
    /* Mappings begin on pages, so the address itself tells how far map() rounded down. */
    size_t before = (size_t)((uintptr_t)address & (posix_page_bytes() - 1));
    return munmap((uint8_t *)address - before, bytes + before) == 0 ? 0 : errno;
}

static void posix_map_is_random(MAYBE_UNUSED firn_file *file, void *address, size_t bytes) {
    size_t before = (size_t)((uintptr_t)address & (posix_page_bytes() - 1));
    (void)madvise((uint8_t *)address - before, bytes + before, MADV_RANDOM);
}

static void posix_will_read(firn_file *file, uint64_t offset, uint64_t bytes) {
    if (posix_range_fits(offset, bytes))
        (void)posix_fadvise(posix_fd(file), (off_t)offset, (off_t)bytes, POSIX_FADV_WILLNEED);
}

/* Linux begins to write the range and returns; then what was begun POSIX_SYNC_BEHIND bytes before
 * is waited for. So the sync at the end finds little left to do, and at no time does more than that
 * much of a file stand in the device's queue before what somebody in the foreground wants of it. */
#if defined(__linux__)
enum { POSIX_SYNC_BEHIND = 8 << 20 };

static void posix_will_sync(firn_file *file, uint64_t offset, uint64_t bytes) {
    int fd = posix_fd(file);
    if (!posix_range_fits(offset, bytes))
        return;
    (void)sync_file_range(fd, (off_t)offset, (off_t)bytes, SYNC_FILE_RANGE_WRITE);
    if (offset >= POSIX_SYNC_BEHIND)
        (void)sync_file_range(fd, (off_t)(offset - POSIX_SYNC_BEHIND), (off_t)bytes,
                              SYNC_FILE_RANGE_WAIT_BEFORE);
}
#else
static void posix_will_sync(MAYBE_UNUSED firn_file *file, MAYBE_UNUSED uint64_t offset,
                            MAYBE_UNUSED uint64_t bytes) {
}
#endif

static int posix_close(firn_file *file) {
    int fd = posix_fd(file);
    memory_free(file);
    /* On Linux the descriptor is gone even after EINTR: a second try could close a stranger's. */
    return close(fd) == 0 || errno == EINTR ? 0 : errno;
}

static const firn_file_methods posix_file_methods = {
    .size = sizeof(firn_file_methods),
    .read_at = posix_read_at,
    .write_at = posix_write_at,
    .sync = posix_sync,
    .truncate = posix_truncate,
    .reserve = posix_reserve,
    .get_size = posix_get_size,
    .map = posix_map,
    .unmap = posix_unmap,
    .stored = NULL,
    .will_read = posix_will_read,
    .close = posix_close,
    .map_is_random = posix_map_is_random,
    .will_sync = posix_will_sync,
    .read_cached_at = posix_read_cached_at,
};

FIRN_INTERNAL int posix_open(const char *path, int flags) {
    int fd;
    do {
        fd = open(path, flags | O_CLOEXEC, 0644);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return -errno;
    if (fd > STDERR_FILENO)
        return fd;
    /* The program closed its standard streams. Whatever it prints must not land in a table. */
    int higher = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    int error = errno;
    close(fd);
    return higher >= 0 ? higher : -error;
}

static int posix_vfs_open(MAYBE_UNUSED const firn_vfs *vfs, const char *path, int flags,
                          firn_file **out) {
    int how = flags & FIRN_VFS_WRITE ? O_RDWR : O_RDONLY;
    *out = NULL;
    if (flags & FIRN_VFS_CREATE)
        how |= flags & FIRN_VFS_EXCLUSIVE ? O_CREAT | O_EXCL : O_CREAT;
    if (flags & FIRN_VFS_TRUNCATE)
        how |= O_TRUNC;
    posix_file *file = memory_new(sizeof *file);
    if (!file)
        return ENOMEM;
    file->base.methods = &posix_file_methods;
    file->fd = posix_open(path, how);
    if (file->fd < 0) {
        int error = -file->fd;
        memory_free(file);
        return error;
    }
    *out = &file->base;
    return 0;
}

static int posix_vfs_remove(MAYBE_UNUSED const firn_vfs *vfs, const char *path) {
    return remove(path) == 0 ? 0 : errno;
}

static int posix_vfs_rename(MAYBE_UNUSED const firn_vfs *vfs, const char *from, const char *to) {
    return rename(from, to) == 0 ? 0 : errno;
}

static int posix_vfs_make_dir(MAYBE_UNUSED const firn_vfs *vfs, const char *path) {
    return mkdir(path, 0755) == 0 ? 0 : errno;
}

static int posix_vfs_sync_dir(MAYBE_UNUSED const firn_vfs *vfs, const char *path) {
    int fd = posix_open(path, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return -fd;
    int error = 0;
    while (fsync(fd) != 0) {
        if (errno == EINTR)
            continue;
        /* EINVAL: this file system has no sync for directories and keeps names in order its own
         * way. Every other error counts. */
        error = errno == EINVAL ? 0 : errno;
        break;
    }
    close(fd);
    return error;
}

static int posix_vfs_list(MAYBE_UNUSED const firn_vfs *vfs, const char *path,
                          firn_vfs_list_callback each, void *context) {
    DIR *directory = opendir(path);
    if (!directory)
        return errno;
    int error = 0;
    for (;;) {
        errno = 0; /* the end and an error look alike but for errno */
        const struct dirent *entry = readdir(directory);
        if (!entry) {
            error = errno;
            break;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (each(context, entry->d_name))
            break;
    }
    closedir(directory);
    return error;
}

static int posix_vfs_stat(MAYBE_UNUSED const firn_vfs *vfs, const char *path, uint64_t *bytes,
                          int *is_directory) {
    struct stat info;
    if (stat(path, &info) != 0)
        return errno;
    *bytes = (uint64_t)info.st_size;
    *is_directory = S_ISDIR(info.st_mode);
    return 0;
}

static int posix_vfs_free_bytes(MAYBE_UNUSED const firn_vfs *vfs, const char *path,
                                uint64_t *bytes) {
    struct statvfs info;
    while (statvfs(path, &info) != 0) {
        if (errno != EINTR)
            return errno;
    }
    *bytes = (uint64_t)info.f_bavail * (uint64_t)info.f_frsize;
    return 0;
}

/* Known to take the blocks at fallocate and to write later stores in place. What copies on write
 * (btrfs, zfs, bcachefs) may find no room for a stored page long after the store; of network and
 * user-space file systems nothing is known. */
static int posix_vfs_reserves_truly(MAYBE_UNUSED const firn_vfs *vfs, const char *path) {
    enum { EXT4 = 0xEF53, XFS = 0x58465342, TMPFS = 0x01021994 };
    struct statfs info;
    while (statfs(path, &info) != 0) {
        if (errno != EINTR)
            return 0;
    }
    return info.f_type == EXT4 || info.f_type == XFS || info.f_type == TMPFS;
}

FIRN_API const firn_vfs *firn_vfs_default(void) {
    static const firn_vfs posix_vfs = {
        .size = sizeof(firn_vfs),
        .name = "posix",
        .context = NULL,
        .open = posix_vfs_open,
        .remove = posix_vfs_remove,
        .rename = posix_vfs_rename,
        .make_dir = posix_vfs_make_dir,
        .sync_dir = posix_vfs_sync_dir,
        .list = posix_vfs_list,
        .stat = posix_vfs_stat,
        .lock = posix_lock,
        .unlock = posix_unlock,
        .free_bytes = posix_vfs_free_bytes,
        .reserves_truly = posix_vfs_reserves_truly,
    };
    return &posix_vfs;
}
