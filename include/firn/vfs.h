/* firn/vfs.h - the file system, as Firn uses it: implement it to put a database anywhere.
 *
 * All functions are called from many threads at once; calls on one file may overlap. Each returns 0
 * or an errno value (never -1), and never returns EINTR. Structs start with their size so that
 * later versions can add functions at the end. Paths are those the caller of firn_open() gave, with
 * "/name" appended; sync_dir() also gets that path's parent when a database is created.
 *
 * What durability rests on: after sync() returns 0 the file's bytes and size survive a power cut;
 * after sync_dir() returns 0 so do the names created, renamed and removed in it before. Anything
 * else may survive or not, in any order. */
#ifndef FIRN_VFS_H
#define FIRN_VFS_H

#include <stddef.h>
#include <stdint.h>

#include "firn/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct firn_vfs firn_vfs;
typedef struct firn_file firn_file;

enum {
    FIRN_VFS_READ = 1,      /* open for reading */
    FIRN_VFS_WRITE = 2,     /* open for writing (and reading) */
    FIRN_VFS_CREATE = 4,    /* create if missing */
    FIRN_VFS_EXCLUSIVE = 8, /* with CREATE: EEXIST if there */
    FIRN_VFS_TRUNCATE = 16  /* empty it */
};

typedef struct firn_file_methods {
    size_t size; /* sizeof(firn_file_methods) */
    /* Reads up to `count` bytes; *got < count only at the end of the file. */
    int (*read_at)(firn_file *file, uint64_t offset, void *data, size_t count, size_t *got);
    /* Writes all `count` bytes, extending the file as needed. On error any part may be written. */
    int (*write_at)(firn_file *file, uint64_t offset, const void *data, size_t count);
    /* Data and size to stable storage. After an error the file's unsynced bytes are undefined. */
    int (*sync)(firn_file *file);
    int (*truncate)(firn_file *file, uint64_t bytes);
    /* Reserves space and extends the file with zeros to at least offset + bytes. */
    int (*reserve)(firn_file *file, uint64_t offset, uint64_t bytes);
    int (*get_size)(firn_file *file, uint64_t *bytes);
    /* Maps a range; `offset` need not be page-aligned. Shared: stores reach the file. Where a page
       cannot be had later (the file was cut short, the device failed) the access may raise SIGBUS:
       the library catches it and answers IO_ERROR. */
    int (*map)(firn_file *file, uint64_t offset, size_t bytes, int writable, void **address);
    int (*unmap)(firn_file *file, void *address, size_t bytes);
    /* NULL, or told after each store into a writable mapping, before it is relied on: so that a
       simulated disk sees what a real one would find in the page cache. */
    void (*stored)(firn_file *file, uint64_t offset, size_t bytes);
    /* NULL, or a hint that the range will be read soon. */
    void (*will_read)(firn_file *file, uint64_t offset, uint64_t bytes);
    /* Frees `file` in every case. */
    int (*close)(firn_file *file);
    /* NULL, or a hint that a mapping will be read here and there: what is read ahead of a page is
       wasted. */
    void (*map_is_random)(firn_file *file, void *address, size_t bytes);
    /* NULL, or a hint that the range, written just now, will be synced: it may be on its way to the
       device already when sync() comes. Called as a file grows, front to back. Waiting here for
       what was announced well before keeps one writer from filling the device's queue. It promises
       nothing. */
    void (*will_sync)(firn_file *file, uint64_t offset, uint64_t bytes);
    /* NULL, or reads all `count` bytes if that takes no wait for the device, for cached-only reads;
       EAGAIN if it would, or if that cannot be told. */
    int (*read_cached_at)(firn_file *file, uint64_t offset, void *data, size_t count);
} firn_file_methods;

struct firn_file {
    const firn_file_methods *methods;
    /* the implementation's fields follow */
};

/* One name in a directory. Return non-zero to stop the listing. */
typedef int (*firn_vfs_list_callback)(void *context, const char *name);

struct firn_vfs {
    size_t size; /* sizeof(firn_vfs) */
    const char *name;
    void *context;
    int (*open)(const firn_vfs *vfs, const char *path, int flags, firn_file **out);
    int (*remove)(const firn_vfs *vfs, const char *path);
    /* Atomic; replaces `to`. */
    int (*rename)(const firn_vfs *vfs, const char *from, const char *to);
    int (*make_dir)(const firn_vfs *vfs, const char *path); /* EEXIST if there */
    int (*sync_dir)(const firn_vfs *vfs, const char *path);
    int (*list)(const firn_vfs *vfs, const char *path, firn_vfs_list_callback each, void *context);
    /* Size and kind of what `path` names; ENOENT if nothing. */
    int (*stat)(const firn_vfs *vfs, const char *path, uint64_t *bytes, int *is_directory);
    /* Takes the database lock on file `path`, creating it. EWOULDBLOCK: held; *holder_pid is the
       holder (0 if unknown). The lock goes with the process. */
    int (*lock)(const firn_vfs *vfs, const char *path, void **lock, int64_t *holder_pid);
    int (*unlock)(const firn_vfs *vfs, void *lock);
    /* Bytes an ordinary user can still write on the file system of `path`. */
    int (*free_bytes)(const firn_vfs *vfs, const char *path, uint64_t *bytes);
    /* NULL, or non-zero if what reserve() gave a file below `path` can be stored to through a
       mapping without ever running out of space, and is seen by everybody at once even if the
       process dies: then the log may be written that way (option log_io). Where a file system
       copies on write, it is not so. */
    int (*reserves_truly)(const firn_vfs *vfs, const char *path);
};

/* The operating system's files. Static; never freed. */
FIRN_API const firn_vfs *firn_vfs_default(void);

#ifdef __cplusplus
}
#endif
#endif
