#include "platform/vfs.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "platform/error_detail.h"
#include "platform/fault_guard.h"
#include "platform/memory.h"

static firn_status vfs_code_of(int error) {
    switch (error) {
    case ENOSPC:
    case EDQUOT:
        return FIRN_NO_SPACE;
    case ENOENT:
        return FIRN_NOT_FOUND;
    case ENOMEM:
        return FIRN_NO_MEMORY;
    default:
        return FIRN_IO_ERROR;
    }
}

/* A status for errno `error`, whose detail is "cannot <what was tried>: <system's text>". Absence
 * is an answer, not a failure, and leaves the detail alone. */
static COLD PRINTF_LIKE(2, 3) status vfs_failure(int error, const char *format, ...) {
    firn_status code = vfs_code_of(error);
    if (code == FIRN_NOT_FOUND)
        return (status){FIRN_NOT_FOUND, error, "NOT_FOUND"};
    char tried[ERROR_DETAIL_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(tried, sizeof tried, format, arguments);
    va_end(arguments);
    char text[128];
    status st = error_status(code, "cannot %s: %s (errno %d)", tried,
                             strerror_r(error, text, sizeof text), error);
    st.os_errno = error;
    return st;
}

FIRN_INTERNAL status vfs_open(const firn_vfs *vfs, const char *path, int flags, vfs_file **out) {
    status st = STATUS_OK;
    *out = NULL;
    vfs_file *file = memory_new_zeroed(sizeof *file);
    if (!file || !(file->path = memory_copy_string(path))) {
        st = error_status(FIRN_NO_MEMORY, "cannot open '%s': no memory", path);
        goto out;
    }
    int error = vfs->open(vfs, path, flags, &file->handle);
    if (error) {
        st = vfs_failure(error, "open '%s'", path);
        goto out;
    }
    *out = file;
    return STATUS_OK;
out:
    if (file)
        memory_free(file->path);
    memory_free(file);
    return st;
}

FIRN_INTERNAL status vfs_read(vfs_file *file, uint64_t offset, void *data, size_t count,
                              size_t *got) {
    *got = 0;
    int error = file->handle->methods->read_at(file->handle, offset, data, count, got);
    if (UNLIKELY(error))
        return vfs_failure(error, "read '%s' at offset %" PRIu64, file->path, offset);
    return STATUS_OK;
}

FIRN_INTERNAL status vfs_read_exact(vfs_file *file, uint64_t offset, void *data, size_t count) {
    size_t got = 0;
    status st = vfs_read(file, offset, data, count, &got);
    if (LIKELY(status_is_ok(st)) && UNLIKELY(got < count))
        return error_corruption_at(file->path, offset + got, "unexpected end of file");
    return st;
}

FIRN_INTERNAL status vfs_read_cached(vfs_file *file, uint64_t offset, void *data, size_t count) {
    const firn_file_methods *methods = file->handle->methods;
    bool has_it = methods->size >= offsetof(firn_file_methods, read_cached_at) + sizeof(void *);
    if (has_it && methods->read_cached_at &&
        methods->read_cached_at(file->handle, offset, data, count) == 0)
        return STATUS_OK;
    return status_of(FIRN_WOULD_BLOCK, "the bytes are not in memory");
}

FIRN_INTERNAL status vfs_write(vfs_file *file, uint64_t offset, const void *data, size_t count) {
    int error = file->handle->methods->write_at(file->handle, offset, data, count);
    if (UNLIKELY(error))
        return vfs_failure(error, "write '%s' at offset %" PRIu64, file->path, offset);
    return STATUS_OK;
}

FIRN_INTERNAL status vfs_sync(vfs_file *file) {
    int error = file->handle->methods->sync(file->handle);
    return UNLIKELY(error) ? vfs_failure(error, "sync '%s'", file->path) : STATUS_OK;
}

FIRN_INTERNAL status vfs_truncate(vfs_file *file, uint64_t bytes) {
    int error = file->handle->methods->truncate(file->handle, bytes);
    if (UNLIKELY(error))
        return vfs_failure(error, "truncate '%s' to %" PRIu64 " bytes", file->path, bytes);
    return STATUS_OK;
}

FIRN_INTERNAL status vfs_reserve(vfs_file *file, uint64_t offset, uint64_t bytes) {
    int error = file->handle->methods->reserve(file->handle, offset, bytes);
    if (UNLIKELY(error))
        return vfs_failure(error, "reserve %" PRIu64 " bytes of '%s' at offset %" PRIu64, bytes,
                           file->path, offset);
    return STATUS_OK;
}

FIRN_INTERNAL status vfs_get_size(vfs_file *file, uint64_t *bytes) {
    *bytes = 0;
    int error = file->handle->methods->get_size(file->handle, bytes);
    return UNLIKELY(error) ? vfs_failure(error, "ask for the size of '%s'", file->path) : STATUS_OK;
}

FIRN_INTERNAL status vfs_map(vfs_file *file, uint64_t offset, size_t bytes, bool writable,
                             vfs_mapping *out) {
    void *address = NULL;
    *out = (vfs_mapping){0};
    int error = file->handle->methods->map(file->handle, offset, bytes, writable, &address);
    if (UNLIKELY(error))
        return vfs_failure(error, "map %zu bytes of '%s' at offset %" PRIu64, bytes, file->path,
                           offset);
    vfs_mapping mapping = {.file = file, .data = address, .bytes = bytes, .offset = offset};
    status st = fault_guard_add(address, bytes, writable, &file->path, &mapping.guard);
    if (UNLIKELY(!status_is_ok(st))) {
        vfs_unmap(&mapping);
        return st;
    }
    *out = mapping;
    return STATUS_OK;
}

FIRN_INTERNAL void vfs_map_is_random(const vfs_mapping *mapping) {
    const firn_file_methods *methods = mapping->file->handle->methods;
    bool has_it = methods->size >= offsetof(firn_file_methods, map_is_random) + sizeof(void *);
    if (has_it && methods->map_is_random)
        methods->map_is_random(mapping->file->handle, mapping->data, mapping->bytes);
}

FIRN_INTERNAL void vfs_unmap(vfs_mapping *mapping) {
    if (!mapping->file)
        return;
    fault_guard_remove(mapping->guard);
    firn_file *handle = mapping->file->handle;
    int error = handle->methods->unmap(handle, mapping->data, mapping->bytes);
    CHECK(error == 0); /* only a range that was never mapped can fail */
    *mapping = (vfs_mapping){0};
}

FIRN_INTERNAL status vfs_map_check(const vfs_mapping *mapping) {
    size_t distance;
    if (LIKELY(!fault_guard_has_faulted(mapping->guard, &distance)))
        return STATUS_OK;
    return error_status(FIRN_IO_ERROR,
                        "cannot use '%s' through its mapping near offset %" PRIu64
                        ": the file was cut short or its device failed",
                        mapping->file->path, mapping->offset + distance);
}

FIRN_INTERNAL status vfs_map_check_bytes(slice bytes) {
    return fault_guard_check(bytes.data, bytes.size);
}

FIRN_INTERNAL bool vfs_reserves_truly(const firn_vfs *vfs, const char *path) {
    return vfs->size > offsetof(firn_vfs, reserves_truly) && vfs->reserves_truly &&
           vfs->reserves_truly(vfs, path) != 0;
}

FIRN_INTERNAL void vfs_stored(vfs_file *file, uint64_t offset, size_t bytes) {
    if (UNLIKELY(file->handle->methods->stored != NULL))
        file->handle->methods->stored(file->handle, offset, bytes);
}

FIRN_INTERNAL void vfs_will_read(vfs_file *file, uint64_t offset, uint64_t bytes) {
    if (file->handle->methods->will_read)
        file->handle->methods->will_read(file->handle, offset, bytes);
}

FIRN_INTERNAL void vfs_will_sync(vfs_file *file, uint64_t offset, uint64_t bytes) {
    const firn_file_methods *methods = file->handle->methods;
    bool has_it = methods->size >= offsetof(firn_file_methods, will_sync) + sizeof(void *);
    if (has_it && methods->will_sync)
        methods->will_sync(file->handle, offset, bytes);
}

FIRN_INTERNAL status vfs_close(vfs_file *file) {
    if (!file)
        return STATUS_OK;
    int error = file->handle->methods->close(file->handle);
    status st = UNLIKELY(error) ? vfs_failure(error, "close '%s'", file->path) : STATUS_OK;
    memory_free(file->path);
    memory_free(file);
    return st;
}

FIRN_INTERNAL status vfs_remove(const firn_vfs *vfs, const char *path) {
    int error = vfs->remove(vfs, path);
    return UNLIKELY(error) ? vfs_failure(error, "remove '%s'", path) : STATUS_OK;
}

FIRN_INTERNAL status vfs_rename(const firn_vfs *vfs, const char *from, const char *to) {
    int error = vfs->rename(vfs, from, to);
    return UNLIKELY(error) ? vfs_failure(error, "rename '%s' to '%s'", from, to) : STATUS_OK;
}

FIRN_INTERNAL status vfs_rename_open(const firn_vfs *vfs, vfs_file *file, const char *to) {
    char *path = memory_copy_string(to);
    if (!path)
        return error_status(FIRN_NO_MEMORY, "cannot rename '%s': no memory", file->path);
    status st = vfs_rename(vfs, file->path, to);
    if (status_is_ok(st)) {
        char *old = file->path;
        file->path = path;
        path = old;
    }
    memory_free(path);
    return st;
}

FIRN_INTERNAL status vfs_make_dir(const firn_vfs *vfs, const char *path) {
    int error = vfs->make_dir(vfs, path);
    if (LIKELY(error == 0))
        return STATUS_OK;
    status st = vfs_failure(error, "make directory '%s'", path);
    if (error == EEXIST) {
        st.code = FIRN_BUSY;
        st.what = "BUSY";
    }
    return st;
}

FIRN_INTERNAL status vfs_sync_dir(const firn_vfs *vfs, const char *path) {
    int error = vfs->sync_dir(vfs, path);
    return UNLIKELY(error) ? vfs_failure(error, "sync directory '%s'", path) : STATUS_OK;
}

FIRN_INTERNAL status vfs_list(const firn_vfs *vfs, const char *path, firn_vfs_list_callback each,
                              void *context) {
    int error = vfs->list(vfs, path, each, context);
    return UNLIKELY(error) ? vfs_failure(error, "list directory '%s'", path) : STATUS_OK;
}

FIRN_INTERNAL status vfs_stat(const firn_vfs *vfs, const char *path, uint64_t *bytes,
                              bool *is_directory) {
    int directory = 0;
    *bytes = 0;
    *is_directory = false;
    int error = vfs->stat(vfs, path, bytes, &directory);
    if (UNLIKELY(error))
        return vfs_failure(error, "look at '%s'", path);
    *is_directory = directory != 0;
    return STATUS_OK;
}

FIRN_INTERNAL status vfs_lock(const firn_vfs *vfs, const char *path, void **lock,
                              int64_t *holder_pid) {
    *lock = NULL;
    *holder_pid = 0;
    int error = vfs->lock(vfs, path, lock, holder_pid);
    if (LIKELY(error == 0))
        return STATUS_OK;
    if (error != EWOULDBLOCK)
        return vfs_failure(error, "lock '%s'", path);
    status st = *holder_pid ? error_status(FIRN_LOCKED, "'%s' is locked by process %" PRId64, path,
                                           *holder_pid)
                            : error_status(FIRN_LOCKED, "'%s' is locked by another process", path);
    st.os_errno = error;
    return st;
}

FIRN_INTERNAL void vfs_unlock(const firn_vfs *vfs, void *lock) {
    /* A release that fails leaves nothing to do: the lock goes with the process at the latest. */
    if (lock)
        (void)vfs->unlock(vfs, lock);
}

FIRN_INTERNAL status vfs_free_bytes(const firn_vfs *vfs, const char *path, uint64_t *bytes) {
    *bytes = 0;
    int error = vfs->free_bytes(vfs, path, bytes);
    return UNLIKELY(error) ? vfs_failure(error, "ask for the free space at '%s'", path) : STATUS_OK;
}

FIRN_INTERNAL status vfs_replace_file(const firn_vfs *vfs, const char *directory, const char *path,
                                      slice content) {
    status st = STATUS_OK;
    vfs_file *file = NULL;
    bool leftover = false;
    size_t temporary_bytes = strlen(path) + sizeof ".tmp";
    char *temporary = memory_new(temporary_bytes);
    if (!temporary)
        return error_status(FIRN_NO_MEMORY, "cannot replace '%s': no memory", path);
    snprintf(temporary, temporary_bytes, "%s.tmp", path);
    leftover = true;
    TRY(vfs_open(vfs, temporary, FIRN_VFS_WRITE | FIRN_VFS_CREATE | FIRN_VFS_TRUNCATE, &file));
    DCHECK(file);
    TRY(vfs_write(file, 0, content.data, content.size));
    /* Before the rename: else the new name could survive a power cut with none of its bytes. */
    TRY(vfs_sync(file));
    TRY(vfs_rename(vfs, temporary, path));
    leftover = false;
    TRY(vfs_sync_dir(vfs, directory));
out:
    (void)vfs_close(file); /* all its bytes are synced, or given up */
    /* Straight to the vtable: the detail of the failure that brought us here must stay. */
    if (leftover)
        (void)vfs->remove(vfs, temporary);
    memory_free(temporary);
    return st;
}
