/* No engine but a file: a put overwrites the next page of one whose space is already there, and a
 * synced one waits for the device. It finds nothing again. What an engine adds to this is its own
 * doing. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engines.h"

enum { BARE_PAGE_BYTES = 4096, BARE_PAGES = 4096 };

typedef struct bare_file {
    int descriptor;
    _Atomic uint64_t next; /* page to be written, modulo BARE_PAGES */
    uint8_t page[BARE_PAGE_BYTES];
} bare_file;

static void bare_write_page(bare_file *file, uint64_t number) {
    off_t offset = (off_t)(number % BARE_PAGES) * BARE_PAGE_BYTES;
    if (pwrite(file->descriptor, file->page, BARE_PAGE_BYTES, offset) != BARE_PAGE_BYTES)
        bench_fail("bare: cannot write: %s", strerror(errno));
}

static void bare_sync(const bare_file *file) {
    if (fdatasync(file->descriptor) != 0)
        bench_fail("bare: cannot sync: %s", strerror(errno));
}

static void bare_version(char *text, size_t size) {
    snprintf(text, size, "-");
}

static void *bare_open(const engine_settings *settings) {
    char path[600];
    bare_file *file = bench_alloc(sizeof *file);
    snprintf(path, sizeof path, "%s/pages", settings->path);
    file->descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (file->descriptor < 0)
        bench_fail("bare: cannot make %s: %s", path, strerror(errno));
    for (uint64_t i = 0; i < BARE_PAGES; i++)
        bare_write_page(file, i);
    bare_sync(file);
    return file;
}

static void bare_close(void *db) {
    bare_file *file = db;
    close(file->descriptor);
    free(file);
}

static void *bare_child(void *parent) {
    return parent;
}

static void bare_ignore(void *it) {
    (void)it;
}

static void bare_change(void *session, bool sync) {
    bare_file *file = session;
    bare_write_page(file, atomic_fetch_add(&file->next, 1));
    if (sync)
        bare_sync(file);
}

static void bare_put(void *session, firn_slice key, firn_slice value, bool sync) {
    (void)key, (void)value;
    bare_change(session, sync);
}

static void bare_remove(void *session, firn_slice key, bool sync) {
    (void)key;
    bare_change(session, sync);
}

static void bare_batch_put(void *session, firn_slice key, firn_slice value) {
    (void)session, (void)key, (void)value;
}

static bool bare_get(void *session, firn_slice key, firn_slice *value) {
    (void)session, (void)key, (void)value;
    return false;
}

static bool bare_step(void *iter, engine_entry *out) {
    (void)iter, (void)out;
    return false;
}

static bool bare_seek(void *iter, firn_slice key, engine_entry *out) {
    (void)iter, (void)key, (void)out;
    return false;
}

static void bare_describe(void *db, FILE *to) {
    (void)db;
    fprintf(to, "pages of %d bytes are overwritten in place; nothing is found again\n",
            BARE_PAGE_BYTES);
}

const engine_methods engine_bare = {
    .name = "bare",
    .stores = false,
    .version = bare_version,
    .open = bare_open,
    .close = bare_close,
    .session_new = bare_child,
    .session_free = bare_ignore,
    .put = bare_put,
    .remove = bare_remove,
    .batch_put = bare_batch_put,
    .batch_commit = bare_change,
    .get = bare_get,
    .iter_new = bare_child,
    .iter_free = bare_ignore,
    .iter_first = bare_step,
    .iter_last = bare_step,
    .iter_seek = bare_seek,
    .iter_next = bare_step,
    .iter_prev = bare_step,
    .describe = bare_describe,
};
