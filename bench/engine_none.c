/* No engine at all: takes everything, keeps nothing. What a workload costs with it is what the
 * driver costs. */
#include <string.h>

#include "engines.h"

static int none_nothing; /* something to point to */

static void none_version(char *text, size_t size) {
    snprintf(text, size, "-");
}

static void *none_open(const engine_settings *settings) {
    (void)settings;
    return &none_nothing;
}

static void *none_child(void *parent) {
    return parent;
}

static void none_ignore(void *it) {
    (void)it;
}

static void none_put(void *session, firn_slice key, firn_slice value, bool sync) {
    (void)session, (void)key, (void)value, (void)sync;
}

static void none_remove(void *session, firn_slice key, bool sync) {
    (void)session, (void)key, (void)sync;
}

static void none_batch_put(void *session, firn_slice key, firn_slice value) {
    (void)session, (void)key, (void)value;
}

static void none_batch_commit(void *session, bool sync) {
    (void)session, (void)sync;
}

static bool none_get(void *session, firn_slice key, firn_slice *value) {
    (void)session, (void)key, (void)value;
    return false;
}

static bool none_step(void *iter, engine_entry *out) {
    (void)iter, (void)out;
    return false;
}

static bool none_seek(void *iter, firn_slice key, engine_entry *out) {
    (void)iter, (void)key, (void)out;
    return false;
}

static void none_describe(void *db, FILE *to) {
    (void)db;
    fprintf(to, "nothing is stored\n");
}

const engine_methods engine_none = {
    .name = "none",
    .stores = false,
    .version = none_version,
    .open = none_open,
    .close = none_ignore,
    .session_new = none_child,
    .session_free = none_ignore,
    .put = none_put,
    .remove = none_remove,
    .batch_put = none_batch_put,
    .batch_commit = none_batch_commit,
    .get = none_get,
    .iter_new = none_child,
    .iter_free = none_ignore,
    .iter_first = none_step,
    .iter_last = none_step,
    .iter_seek = none_seek,
    .iter_next = none_step,
    .iter_prev = none_step,
    .describe = none_describe,
};
