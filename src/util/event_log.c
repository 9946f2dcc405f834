#include "util/event_log.h"

#include <inttypes.h>

#include "base/atomic.h"
#include "platform/error_detail.h"
#include "platform/memory.h"
#include "platform/thread.h"
#include "platform/vfs.h"
#include "util/text.h"

#include "base/poison.h"

enum { EVENT_LOG_ROTATE_BYTES = 1 << 20 };

struct event_log {
    /* set at birth */
    const firn_vfs *vfs;
    const time_source *clock;
    firn_event_callback callback;
    void *callback_context;
    char *path; /* NULL: no file */
    char *old_path;
    /* lines lost since the last one that was written and said so */
    atomic_u64 dropped;
    /* guarded by mutex */
    mutex mutex;
    vfs_file *file; /* NULL: not open now, tried again at the next line */
    uint64_t offset;
};

static char *event_log_join(const char *directory, const char *name) {
    buf path = {0};
    buf_printf(&path, "%s/%s", directory, name);
    buf_append_zeros(&path, 1);
    if (!status_is_ok(buf_status(&path))) {
        buf_deinit(&path);
        return NULL;
    }
    return (char *)path.data;
}

/* A process that died in the middle of a line left no newline: the first line of this one must not
 * be glued to it. */
static status event_log_end_torn_line(vfs_file *file, uint64_t *bytes) {
    status st = STATUS_OK;
    char last = 0;
    if (*bytes == 0)
        goto out;
    TRY(vfs_read_exact(file, *bytes - 1, &last, 1));
    if (last == '\n')
        goto out;
    TRY(vfs_write(file, *bytes, "\n", 1));
    *bytes += 1;
out:
    return st;
}

static status event_log_open_locked(event_log *log, int flags) {
    status st = STATUS_OK;
    vfs_file *file = NULL;
    uint64_t bytes = 0;
    TRY(vfs_open(log->vfs, log->path, FIRN_VFS_WRITE | FIRN_VFS_CREATE | flags, &file));
    TRY(vfs_get_size(file, &bytes));
    TRY(event_log_end_torn_line(file, &bytes));
    log->file = file;
    log->offset = bytes;
    file = NULL;
out:
    (void)vfs_close(file);
    return st;
}

/* If the old file cannot be put aside it is emptied instead: a disk in trouble is no reason to
 * grow without bound. */
static status event_log_rotate_locked(event_log *log) {
    (void)vfs_close(log->file);
    log->file = NULL;
    status renamed = vfs_rename(log->vfs, log->path, log->old_path);
    return event_log_open_locked(log, status_is_ok(renamed) ? 0 : FIRN_VFS_TRUNCATE);
}

static status event_log_write_locked(event_log *log, slice line) {
    status st = STATUS_OK;
    if (!log->file)
        TRY(event_log_open_locked(log, 0));
    if (log->offset > 0 && log->offset + line.size > EVENT_LOG_ROTATE_BYTES)
        TRY(event_log_rotate_locked(log));
    st = vfs_write(log->file, log->offset, line.data, line.size);
    if (status_is_ok(st)) {
        log->offset += line.size;
    } else {
        /* The next line overwrites what got through of this one; a shorter one would leave its
         * end behind. */
        status cut = vfs_truncate(log->file, log->offset);
        (void)cut;
    }
out:
    return st;
}

FIRN_INTERNAL status event_log_new(const event_log_args *args, event_log **out) {
    status st = STATUS_OK;
    *out = NULL;
    event_log *log = memory_new_zeroed(sizeof *log);
    if (!log)
        return status_of(FIRN_NO_MEMORY, "opening the event log");
    log->vfs = args->vfs;
    log->clock = args->clock;
    log->callback = args->callback;
    log->callback_context = args->callback_context;
    atomic_u64_init(&log->dropped, 0);
    mutex_init(&log->mutex);
    if (!args->callback && args->directory) {
        log->path = event_log_join(args->directory, "events.log");
        log->old_path = event_log_join(args->directory, "events.log.old");
        if (!log->path || !log->old_path) {
            st = status_of(FIRN_NO_MEMORY, "opening the event log");
            goto out;
        }
        mutex_lock(&log->mutex);
        /* The first line tries again, and is the one counted if that fails too. */
        status opened = event_log_open_locked(log, 0);
        (void)opened;
        mutex_unlock(&log->mutex);
    }
    *out = log;
    log = NULL;
out:
    event_log_free(log);
    return st;
}

FIRN_INTERNAL void event_log_free(event_log *log) {
    if (!log)
        return;
    (void)vfs_close(log->file);
    mutex_deinit(&log->mutex);
    memory_free(log->path);
    memory_free(log->old_path);
    memory_free(log);
}

FIRN_INTERNAL event event_begin(event_log *log, const char *name) {
    event e = {0};
    if (!log || (!log->callback && !log->path))
        return e;
    e.log = log;
    buf_printf(&e.line, "{\"ts_ms\":%" PRIu64 ",\"event\":\"", time_wall_ms(log->clock));
    text_append_json(&e.line, slice_from_string(name));
    buf_append(&e.line, "\"", 1);
    return e;
}

static void event_append_name(event *e, const char *field) {
    buf_append(&e->line, ",\"", 2);
    text_append_json(&e->line, slice_from_string(field));
    buf_append(&e->line, "\":", 2);
}

FIRN_INTERNAL void event_u64(event *e, const char *field, uint64_t value) {
    if (!e->log)
        return;
    event_append_name(e, field);
    buf_printf(&e->line, "%" PRIu64, value);
}

FIRN_INTERNAL void event_i64(event *e, const char *field, int64_t value) {
    if (!e->log)
        return;
    event_append_name(e, field);
    buf_printf(&e->line, "%" PRId64, value);
}

FIRN_INTERNAL void event_string(event *e, const char *field, const char *value) {
    if (!e->log)
        return;
    event_append_name(e, field);
    buf_append(&e->line, "\"", 1);
    text_append_json(&e->line, slice_from_string(value));
    buf_append(&e->line, "\"", 1);
}

/* First as text a person can type back in, then that text as a JSON string. */
FIRN_INTERNAL void event_bytes(event *e, const char *field, slice value) {
    enum { EVENT_BYTES_SHOWN = 64 };
    if (!e->log)
        return;
    buf escaped = {0};
    text_append_escaped(&escaped, value, EVENT_BYTES_SHOWN);
    event_append_name(e, field);
    buf_append(&e->line, "\"", 1);
    text_append_json(&e->line, buf_slice(&escaped));
    buf_append(&e->line, "\"", 1);
    if (!status_is_ok(buf_status(&escaped)))
        e->line.out_of_memory = true;
    buf_deinit(&escaped);
}

static status event_write(event_log *log, slice line) {
    mutex_lock(&log->mutex);
    status st = event_log_write_locked(log, line);
    mutex_unlock(&log->mutex);
    return st;
}

FIRN_INTERNAL void event_end(event *e) {
    event_log *log = e->log;
    if (!log)
        return;
    /* relaxed: a counter that orders nothing. Taken out here, so that only one line reports it. */
    uint64_t dropped = atomic_u64_exchange(&log->dropped, 0, memory_order_relaxed);
    if (dropped > 0)
        event_u64(e, "dropped_events", dropped);
    buf_append(&e->line, "}\n", 2);
    status st = buf_status(&e->line);
    if (status_is_ok(st) && log->callback) {
        /* The newline becomes a terminator, for callbacks that forget the size. */
        e->line.data[--e->line.size] = '\0';
        log->callback(log->callback_context, (const char *)e->line.data, e->line.size);
    } else if (status_is_ok(st)) {
        /* Events are often about a failure whose detail the caller has yet to read. */
        char detail[ERROR_DETAIL_BYTES];
        size_t length = strlen(error_detail_get());
        CHECK(length < sizeof detail);
        memcpy(detail, error_detail_get(), length + 1);
        st = event_write(log, buf_slice(&e->line));
        if (!status_is_ok(st))
            error_detail_set("%s", detail);
    }
    /* relaxed: as above. */
    if (!status_is_ok(st))
        (void)atomic_u64_add(&log->dropped, dropped + 1, memory_order_relaxed);
    buf_deinit(&e->line);
    *e = (event){0};
}
