/* WiredTiger: its B-tree and its log-structured merge tree. What the others spend on memtables and
 * cache together is its cache. The log is written at every commit, synced only when asked. */
#include <stdlib.h>
#include <string.h>
#include <wiredtiger.h>

#include "engines.h"

#define WT_TABLE "table:bench"

typedef struct wiredtiger_engine {
    WT_CONNECTION *connection;
    WT_SESSION *session;
    char configuration[1200];
    char table[800];
} wiredtiger_engine;

typedef struct wiredtiger_session {
    WT_SESSION *session;
    WT_CURSOR *writer;
    WT_CURSOR *reader;
    bool in_batch;
} wiredtiger_session;

static void wiredtiger_check(int error, const char *what) {
    if (error)
        bench_fail("wiredtiger: %s: %s", what, wiredtiger_strerror(error));
}

static void wiredtiger_engine_version(char *text, size_t size) {
    int major, minor, patch;
    (void)wiredtiger_version(&major, &minor, &patch);
    snprintf(text, size, "%d.%d.%d", major, minor, patch);
}

static void wiredtiger_append(void *context, const char *name, const char *value) {
    wiredtiger_engine *e = context;
    size_t used = strlen(e->configuration);
    snprintf(e->configuration + used, sizeof e->configuration - used, ",%s=%s", name, value);
}

static void *wiredtiger_open_as(const engine_settings *settings, bool lsm) {
    wiredtiger_engine *e = bench_alloc(sizeof *e);
    if (strcmp(settings->compression, "none") != 0)
        bench_fail("wiredtiger: compression \"%s\" is not in the common package",
                   settings->compression);
    snprintf(e->configuration, sizeof e->configuration,
             "create,cache_size=%llu,session_max=200,log=(enabled=true,file_max=64MB),"
             "transaction_sync=(enabled=true,method=none),checkpoint=(log_size=256MB),"
             "eviction=(threads_min=1,threads_max=%u)",
             (unsigned long long)settings->cache_bytes + 2ull * settings->memtable_bytes,
             settings->background_threads);
    engine_extra_options(settings, "wiredtiger", wiredtiger_append, e);
    wiredtiger_check(wiredtiger_open(settings->path, NULL, e->configuration, &e->connection),
                     "open");
    wiredtiger_check(e->connection->open_session(e->connection, NULL, NULL, &e->session),
                     "open session");
    const uint64_t chunk_most = (uint64_t)500 << 20;
    uint64_t chunk = settings->memtable_bytes < chunk_most ? settings->memtable_bytes : chunk_most;
    size_t used = (size_t)snprintf(e->table, sizeof e->table,
                                   "key_format=u,value_format=u,leaf_page_max=%u%s",
                                   settings->block_bytes, lsm ? ",type=lsm" : "");
    if (lsm)
        snprintf(e->table + used, sizeof e->table - used,
                 ",lsm=(chunk_size=%llu,bloom=%s,bloom_bit_count=%u,bloom_hash_count=%u)",
                 (unsigned long long)chunk, settings->filter_bits ? "true" : "false",
                 settings->filter_bits > 2 ? settings->filter_bits : 2,
                 settings->filter_bits > 2 ? settings->filter_bits * 7 / 10 : 2);
    wiredtiger_check(e->session->create(e->session, WT_TABLE, e->table), "create");
    return e;
}

static void *wiredtiger_open_btree(const engine_settings *settings) {
    return wiredtiger_open_as(settings, false);
}

static void *wiredtiger_open_lsm(const engine_settings *settings) {
    return wiredtiger_open_as(settings, true);
}

static void wiredtiger_engine_close(void *db) {
    wiredtiger_engine *e = db;
    wiredtiger_check(e->connection->close(e->connection, NULL), "close");
    free(e);
}

static void *wiredtiger_session_new(void *db) {
    wiredtiger_engine *e = db;
    wiredtiger_session *s = bench_alloc(sizeof *s);
    wiredtiger_check(e->connection->open_session(e->connection, NULL, NULL, &s->session),
                     "open session");
    wiredtiger_check(s->session->open_cursor(s->session, WT_TABLE, NULL, NULL, &s->reader),
                     "open cursor");
    wiredtiger_check(s->session->open_cursor(s->session, WT_TABLE, NULL, NULL, &s->writer),
                     "open cursor");
    return s;
}

static void wiredtiger_session_free(void *session) {
    wiredtiger_session *s = session;
    wiredtiger_check(s->session->close(s->session, NULL), "close session");
    free(s);
}

static WT_ITEM wiredtiger_item(firn_slice slice) {
    WT_ITEM item;
    memset(&item, 0, sizeof item);
    item.data = slice.data;
    item.size = slice.size;
    return item;
}

/* One write of its own; a conflict with another thread's is tried again. */
static void wiredtiger_write(wiredtiger_session *s, firn_slice key, const firn_slice *value,
                             bool sync) {
    WT_CURSOR *c = s->writer;
    WT_ITEM k = wiredtiger_item(key);
    WT_ITEM v = wiredtiger_item(value ? *value : key);
    int error;
    do {
        c->set_key(c, &k);
        if (value)
            c->set_value(c, &v);
        error = value ? c->insert(c) : c->remove(c);
    } while (error == WT_ROLLBACK);
    if (error != WT_NOTFOUND)
        wiredtiger_check(error, value ? "insert" : "remove");
    if (sync)
        wiredtiger_check(s->session->log_flush(s->session, "sync=on"), "flush the log");
}

static void wiredtiger_put(void *session, firn_slice key, firn_slice value, bool sync) {
    wiredtiger_write(session, key, &value, sync);
}

static void wiredtiger_remove(void *session, firn_slice key, bool sync) {
    wiredtiger_write(session, key, NULL, sync);
}

static void wiredtiger_batch_put(void *session, firn_slice key, firn_slice value) {
    wiredtiger_session *s = session;
    if (!s->in_batch)
        wiredtiger_check(s->session->begin_transaction(s->session, NULL), "begin");
    s->in_batch = true;
    WT_ITEM k = wiredtiger_item(key);
    WT_ITEM v = wiredtiger_item(value);
    s->writer->set_key(s->writer, &k);
    s->writer->set_value(s->writer, &v);
    wiredtiger_check(s->writer->insert(s->writer), "insert");
}

static void wiredtiger_batch_commit(void *session, bool sync) {
    wiredtiger_session *s = session;
    if (s->in_batch)
        wiredtiger_check(s->session->commit_transaction(s->session, NULL), "commit");
    if (sync)
        wiredtiger_check(s->session->log_flush(s->session, "sync=on"), "flush the log");
    s->in_batch = false;
}

static bool wiredtiger_get(void *session, firn_slice key, firn_slice *value) {
    wiredtiger_session *s = session;
    WT_CURSOR *c = s->reader;
    WT_ITEM k = wiredtiger_item(key);
    /* The value stays valid while the cursor stands on it: it is reset only now. */
    wiredtiger_check(c->reset(c), "reset");
    c->set_key(c, &k);
    int error = c->search(c);
    if (error == WT_NOTFOUND)
        return false;
    wiredtiger_check(error, "search");
    WT_ITEM v;
    wiredtiger_check(c->get_value(c, &v), "get value");
    *value = firn_slice_of(v.data, v.size);
    return true;
}

static void *wiredtiger_iter_new(void *session) {
    wiredtiger_session *s = session;
    wiredtiger_check(s->reader->reset(s->reader), "reset");
    return s->reader;
}

static void wiredtiger_iter_free(void *iter) {
    WT_CURSOR *c = iter;
    wiredtiger_check(c->reset(c), "reset");
}

static bool wiredtiger_iter_entry(WT_CURSOR *c, int error, engine_entry *out) {
    if (error == WT_NOTFOUND)
        return false;
    wiredtiger_check(error, "iterate");
    WT_ITEM k, v;
    wiredtiger_check(c->get_key(c, &k), "get key");
    wiredtiger_check(c->get_value(c, &v), "get value");
    out->key = firn_slice_of(k.data, k.size);
    out->value = firn_slice_of(v.data, v.size);
    return true;
}

static bool wiredtiger_iter_next(void *iter, engine_entry *out) {
    WT_CURSOR *c = iter;
    return wiredtiger_iter_entry(c, c->next(c), out);
}

static bool wiredtiger_iter_prev(void *iter, engine_entry *out) {
    WT_CURSOR *c = iter;
    return wiredtiger_iter_entry(c, c->prev(c), out);
}

static bool wiredtiger_iter_first(void *iter, engine_entry *out) {
    wiredtiger_iter_free(iter);
    return wiredtiger_iter_next(iter, out);
}

static bool wiredtiger_iter_last(void *iter, engine_entry *out) {
    wiredtiger_iter_free(iter);
    return wiredtiger_iter_prev(iter, out);
}

static bool wiredtiger_iter_seek(void *iter, firn_slice key, engine_entry *out) {
    WT_CURSOR *c = iter;
    WT_ITEM k = wiredtiger_item(key);
    int side = 0;
    c->set_key(c, &k);
    int error = c->search_near(c, &side);
    if (error == 0 && side < 0)
        error = c->next(c);
    return wiredtiger_iter_entry(c, error, out);
}

static void wiredtiger_flush(void *db) {
    wiredtiger_engine *e = db;
    wiredtiger_check(e->session->checkpoint(e->session, NULL), "checkpoint");
}

static void wiredtiger_compact(void *db) {
    wiredtiger_engine *e = db;
    wiredtiger_flush(db);
    wiredtiger_check(e->session->compact(e->session, WT_TABLE, "timeout=0"), "compact");
}

static void wiredtiger_describe(void *db, FILE *to) {
    const wiredtiger_engine *e = db;
    fprintf(to, "connection=%s\ntable=%s\n", e->configuration, e->table);
}

/* clang-format off */
#define WIREDTIGER_METHODS(engine_name, opener)                                                    \
    {.name = engine_name, .stores = true, .version = wiredtiger_engine_version, .open = opener,    \
     .close = wiredtiger_engine_close, .session_new = wiredtiger_session_new,                      \
     .session_free = wiredtiger_session_free, .put = wiredtiger_put, .remove = wiredtiger_remove,  \
     .batch_put = wiredtiger_batch_put, .batch_commit = wiredtiger_batch_commit,                   \
     .get = wiredtiger_get, .iter_new = wiredtiger_iter_new, .iter_free = wiredtiger_iter_free,    \
     .iter_first = wiredtiger_iter_first, .iter_last = wiredtiger_iter_last,                       \
     .iter_seek = wiredtiger_iter_seek, .iter_next = wiredtiger_iter_next,                         \
     .iter_prev = wiredtiger_iter_prev, .flush = wiredtiger_flush, .compact = wiredtiger_compact,  \
     .describe = wiredtiger_describe}
/* clang-format on */

const engine_methods engine_wiredtiger = WIREDTIGER_METHODS("wiredtiger", wiredtiger_open_btree);
const engine_methods engine_wiredtiger_lsm =
    WIREDTIGER_METHODS("wiredtiger-lsm", wiredtiger_open_lsm);
