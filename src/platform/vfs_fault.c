#include "platform/vfs_fault.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "platform/error_detail.h"
#include "platform/memory.h"
#include "platform/thread.h"
#include "platform/vfs.h"
#include "platform/vfs_mem_internal.h"

enum { FAULT_SUFFIX_BYTES = 256 };

struct vfs_fault {
    firn_vfs vfs;
    const firn_vfs *under;
    mutex mutex;
    struct {
        bool is_set;
        vfs_fault_rule rule;
        char suffix[FAULT_SUFFIX_BYTES]; /* what rule.path_suffix points to */
    } guarded;                           /* by mutex */
    atomic_u64 matched;                  /* added to under mutex */
    atomic_u64 failed;
};

typedef struct fault_file {
    firn_file base;
    vfs_fault *fault;
    firn_file *under;
    char *path;
} fault_file;

/* What is to happen to one call. */
typedef struct fault_verdict {
    int error; /* 0: let it pass */
    bool partial;
    bool flip_bit;
    uint64_t ordinal; /* picks the bit to flip */
} fault_verdict;

static vfs_fault *fault_of(const firn_vfs *vfs) {
    return vfs->context;
}

static fault_file *fault_file_of(firn_file *file) {
    return (fault_file *)(void *)file;
}

static bool fault_path_matches(const char *path, const char *suffix) {
    size_t path_bytes = strlen(path);
    size_t suffix_bytes = strlen(suffix);
    return path_bytes >= suffix_bytes &&
           memcmp(path + path_bytes - suffix_bytes, suffix, suffix_bytes) == 0;
}

static bool fault_matches_locked(const vfs_fault *fault, uint32_t kind, const char *path,
                                 const char *other_path) {
    const vfs_fault_rule *rule = &fault->guarded.rule;
    if (!fault->guarded.is_set || !(rule->kinds & kind))
        return false;
    if (rule->flip_bit && kind != VFS_FAULT_READ)
        return false; /* only a read returns bytes to flip */
    if (!rule->path_suffix || fault_path_matches(path, rule->path_suffix))
        return true;
    return other_path && fault_path_matches(other_path, rule->path_suffix);
}

/* Counts the call and decides about it. `other_path` is the second name of a rename. */
static fault_verdict fault_judge(vfs_fault *fault, uint32_t kind, const char *path,
                                 const char *other_path) {
    fault_verdict verdict = {0};
    mutex_lock(&fault->mutex);
    if (fault_matches_locked(fault, kind, path, other_path)) {
        const vfs_fault_rule *rule = &fault->guarded.rule;
        /* relaxed: the mutex orders the counters; readers outside it want a number only. */
        uint64_t number = atomic_u64_add(&fault->matched, 1, memory_order_relaxed);
        if (number >= rule->after && number - rule->after < rule->count) {
            /* relaxed: as above. */
            verdict.ordinal =
                rule->flip_seed + atomic_u64_add(&fault->failed, 1, memory_order_relaxed);
            verdict.flip_bit = rule->flip_bit;
            verdict.partial = rule->partial;
            if (!rule->flip_bit)
                verdict.error = rule->error ? rule->error : EIO;
        }
    }
    mutex_unlock(&fault->mutex);
    return verdict;
}

static fault_verdict fault_judge_file(fault_file *file, uint32_t kind) {
    return fault_judge(file->fault, kind, file->path, NULL);
}

static int fault_file_read_at(firn_file *file, uint64_t offset, void *data, size_t count,
                              size_t *got) {
    fault_file *f = fault_file_of(file);
    *got = 0;
    fault_verdict verdict = fault_judge_file(f, VFS_FAULT_READ);
    if (verdict.error)
        return verdict.error;
    int error = f->under->methods->read_at(f->under, offset, data, count, got);
    if (error == 0 && verdict.flip_bit && *got > 0) {
        /* A prime step visits distant bytes in turn, the first one first. */
        size_t at = (size_t)(verdict.ordinal * 7919 % *got);
        ((uint8_t *)data)[at] ^= (uint8_t)(1u << verdict.ordinal % 8);
    }
    return error;
}

static int fault_file_write_at(firn_file *file, uint64_t offset, const void *data, size_t count) {
    fault_file *f = fault_file_of(file);
    fault_verdict verdict = fault_judge_file(f, VFS_FAULT_WRITE);
    if (verdict.error == 0)
        return f->under->methods->write_at(f->under, offset, data, count);
    if (verdict.partial)
        (void)f->under->methods->write_at(f->under, offset, data, count / 2);
    return verdict.error;
}

static int fault_file_sync(firn_file *file) {
    fault_file *f = fault_file_of(file);
    fault_verdict verdict = fault_judge_file(f, VFS_FAULT_SYNC);
    if (verdict.error == 0)
        return f->under->methods->sync(f->under);
    if (verdict.partial)
        vfs_mem_drop_unsynced(f->under);
    return verdict.error;
}

static int fault_file_truncate(firn_file *file, uint64_t bytes) {
    fault_file *f = fault_file_of(file);
    fault_verdict verdict = fault_judge_file(f, VFS_FAULT_TRUNCATE);
    return verdict.error ? verdict.error : f->under->methods->truncate(f->under, bytes);
}

static int fault_file_reserve(firn_file *file, uint64_t offset, uint64_t bytes) {
    fault_file *f = fault_file_of(file);
    fault_verdict verdict = fault_judge_file(f, VFS_FAULT_RESERVE);
    return verdict.error ? verdict.error : f->under->methods->reserve(f->under, offset, bytes);
}

static int fault_file_get_size(firn_file *file, uint64_t *bytes) {
    fault_file *f = fault_file_of(file);
    return f->under->methods->get_size(f->under, bytes);
}

/* What fails is not in memory either. */
static int fault_file_read_cached_at(firn_file *file, uint64_t offset, void *data, size_t count) {
    fault_file *f = fault_file_of(file);
    const firn_file_methods *under = f->under->methods;
    fault_verdict verdict = fault_judge_file(f, VFS_FAULT_READ);
    if (verdict.error || verdict.flip_bit || !under->read_cached_at)
        return EAGAIN;
    return under->read_cached_at(f->under, offset, data, count);
}

static int fault_file_map(firn_file *file, uint64_t offset, size_t bytes, int writable,
                          void **address) {
    fault_file *f = fault_file_of(file);
    *address = NULL;
    fault_verdict verdict = fault_judge_file(f, VFS_FAULT_MAP);
    if (verdict.error)
        return verdict.error;
    return f->under->methods->map(f->under, offset, bytes, writable, address);
}

static int fault_file_unmap(firn_file *file, void *address, size_t bytes) {
    fault_file *f = fault_file_of(file);
    return f->under->methods->unmap(f->under, address, bytes);
}

static void fault_file_stored(firn_file *file, uint64_t offset, size_t bytes) {
    fault_file *f = fault_file_of(file);
    if (f->under->methods->stored)
        f->under->methods->stored(f->under, offset, bytes);
}

static void fault_file_will_read(firn_file *file, uint64_t offset, uint64_t bytes) {
    fault_file *f = fault_file_of(file);
    if (f->under->methods->will_read)
        f->under->methods->will_read(f->under, offset, bytes);
}

static void fault_file_will_sync(firn_file *file, uint64_t offset, uint64_t bytes) {
    fault_file *f = fault_file_of(file);
    if (f->under->methods->will_sync)
        f->under->methods->will_sync(f->under, offset, bytes);
}

static int fault_file_close(firn_file *file) {
    fault_file *f = fault_file_of(file);
    int error = f->under->methods->close(f->under);
    memory_free(f->path);
    memory_free(f);
    return error;
}

static const firn_file_methods fault_file_methods = {
    .size = sizeof(firn_file_methods),
    .read_at = fault_file_read_at,
    .write_at = fault_file_write_at,
    .sync = fault_file_sync,
    .truncate = fault_file_truncate,
    .reserve = fault_file_reserve,
    .get_size = fault_file_get_size,
    .read_cached_at = fault_file_read_cached_at,
    .map = fault_file_map,
    .unmap = fault_file_unmap,
    .stored = fault_file_stored,
    .will_read = fault_file_will_read,
    .close = fault_file_close,
    .will_sync = fault_file_will_sync,
};

static int fault_vfs_open(const firn_vfs *vfs, const char *path, int flags, firn_file **out) {
    vfs_fault *fault = fault_of(vfs);
    *out = NULL;
    fault_verdict verdict = fault_judge(fault, VFS_FAULT_OPEN, path, NULL);
    if (verdict.error)
        return verdict.error;
    int error = ENOMEM;
    fault_file *file = memory_new_zeroed(sizeof *file);
    if (!file || !(file->path = memory_copy_string(path)))
        goto out;
    file->base.methods = &fault_file_methods;
    file->fault = fault;
    error = fault->under->open(fault->under, path, flags, &file->under);
    if (error)
        goto out;
    *out = &file->base;
    return 0;
out:
    if (file)
        memory_free(file->path);
    memory_free(file);
    return error;
}

static int fault_vfs_remove(const firn_vfs *vfs, const char *path) {
    vfs_fault *fault = fault_of(vfs);
    fault_verdict verdict = fault_judge(fault, VFS_FAULT_REMOVE, path, NULL);
    return verdict.error ? verdict.error : fault->under->remove(fault->under, path);
}

static int fault_vfs_rename(const firn_vfs *vfs, const char *from, const char *to) {
    vfs_fault *fault = fault_of(vfs);
    fault_verdict verdict = fault_judge(fault, VFS_FAULT_RENAME, from, to);
    return verdict.error ? verdict.error : fault->under->rename(fault->under, from, to);
}

/* Making a directory and taking the lock count as opens, looking at a name as listing. */
static int fault_vfs_make_dir(const firn_vfs *vfs, const char *path) {
    vfs_fault *fault = fault_of(vfs);
    fault_verdict verdict = fault_judge(fault, VFS_FAULT_OPEN, path, NULL);
    return verdict.error ? verdict.error : fault->under->make_dir(fault->under, path);
}

static int fault_vfs_sync_dir(const firn_vfs *vfs, const char *path) {
    vfs_fault *fault = fault_of(vfs);
    fault_verdict verdict = fault_judge(fault, VFS_FAULT_SYNC_DIR, path, NULL);
    return verdict.error ? verdict.error : fault->under->sync_dir(fault->under, path);
}

static int fault_vfs_list(const firn_vfs *vfs, const char *path, firn_vfs_list_callback each,
                          void *context) {
    vfs_fault *fault = fault_of(vfs);
    fault_verdict verdict = fault_judge(fault, VFS_FAULT_LIST, path, NULL);
    return verdict.error ? verdict.error : fault->under->list(fault->under, path, each, context);
}

static int fault_vfs_stat(const firn_vfs *vfs, const char *path, uint64_t *bytes,
                          int *is_directory) {
    vfs_fault *fault = fault_of(vfs);
    fault_verdict verdict = fault_judge(fault, VFS_FAULT_LIST, path, NULL);
    return verdict.error ? verdict.error
                         : fault->under->stat(fault->under, path, bytes, is_directory);
}

static int fault_vfs_lock(const firn_vfs *vfs, const char *path, void **lock, int64_t *holder_pid) {
    vfs_fault *fault = fault_of(vfs);
    *lock = NULL;
    *holder_pid = 0;
    fault_verdict verdict = fault_judge(fault, VFS_FAULT_OPEN, path, NULL);
    return verdict.error ? verdict.error : fault->under->lock(fault->under, path, lock, holder_pid);
}

static int fault_vfs_unlock(const firn_vfs *vfs, void *lock) {
    return fault_of(vfs)->under->unlock(fault_of(vfs)->under, lock);
}

static int fault_vfs_reserves_truly(const firn_vfs *vfs, const char *path) {
    return vfs_reserves_truly(fault_of(vfs)->under, path);
}

static int fault_vfs_free_bytes(const firn_vfs *vfs, const char *path, uint64_t *bytes) {
    return fault_of(vfs)->under->free_bytes(fault_of(vfs)->under, path, bytes);
}

FIRN_INTERNAL status vfs_fault_new(const firn_vfs *under, vfs_fault **out) {
    *out = NULL;
    vfs_fault *fault = memory_new_zeroed(sizeof *fault);
    if (!fault)
        return error_status(FIRN_NO_MEMORY, "cannot make a failing file system: no memory");
    mutex_init(&fault->mutex);
    fault->under = under;
    fault->vfs = (firn_vfs){
        .size = sizeof(firn_vfs),
        .name = "fault",
        .context = fault,
        .open = fault_vfs_open,
        .remove = fault_vfs_remove,
        .rename = fault_vfs_rename,
        .make_dir = fault_vfs_make_dir,
        .sync_dir = fault_vfs_sync_dir,
        .list = fault_vfs_list,
        .stat = fault_vfs_stat,
        .lock = fault_vfs_lock,
        .unlock = fault_vfs_unlock,
        .free_bytes = fault_vfs_free_bytes,
        .reserves_truly = fault_vfs_reserves_truly,
    };
    *out = fault;
    return STATUS_OK;
}

FIRN_INTERNAL void vfs_fault_free(vfs_fault *fault) {
    if (!fault)
        return;
    mutex_deinit(&fault->mutex);
    memory_free(fault);
}

FIRN_INTERNAL const firn_vfs *vfs_fault_vfs(vfs_fault *fault) {
    return &fault->vfs;
}

FIRN_INTERNAL void vfs_fault_set(vfs_fault *fault, const vfs_fault_rule *rule) {
    mutex_lock(&fault->mutex);
    fault->guarded.is_set = rule != NULL;
    if (rule) {
        fault->guarded.rule = *rule;
        if (rule->path_suffix) {
            size_t bytes = strlen(rule->path_suffix) + 1;
            CHECK(bytes <= sizeof fault->guarded.suffix);
            memcpy(fault->guarded.suffix, rule->path_suffix, bytes);
            fault->guarded.rule.path_suffix = fault->guarded.suffix;
        }
    }
    /* relaxed: as in fault_judge(). */
    atomic_u64_store(&fault->matched, 0, memory_order_relaxed);
    atomic_u64_store(&fault->failed, 0, memory_order_relaxed); /* relaxed: as above */
    mutex_unlock(&fault->mutex);
}

FIRN_INTERNAL uint64_t vfs_fault_matched(const vfs_fault *fault) {
    return atomic_u64_load(&fault->matched, memory_order_relaxed); /* relaxed: a statistic */
}

FIRN_INTERNAL uint64_t vfs_fault_failed(const vfs_fault *fault) {
    return atomic_u64_load(&fault->failed, memory_order_relaxed); /* relaxed: a statistic */
}
