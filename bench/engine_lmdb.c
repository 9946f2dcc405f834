/* LMDB: a copy-on-write B-tree in one mapped file. Its map is written to directly and synced only
 * when asked, which survives the death of the process as the logs of the others do (but not, unlike
 * theirs, a power cut). Memtable, cache, filter and block settings have no counterpart. */
#include <lmdb.h>
#include <stdlib.h>
#include <string.h>

#include "engines.h"

typedef struct lmdb_engine {
    MDB_env *env;
    MDB_dbi dbi;
    uint64_t map_bytes;
} lmdb_engine;

typedef struct lmdb_session {
    lmdb_engine *engine;
    MDB_txn *reader; /* reset between reads, renewed for each, as LMDB advises */
    MDB_cursor *cursor;
    MDB_txn *batch;
} lmdb_session;

static void lmdb_engine_check(int error, const char *what) {
    if (error)
        bench_fail("lmdb: %s: %s", what, mdb_strerror(error));
}

static void lmdb_engine_version(char *text, size_t size) {
    int major, minor, patch;
    mdb_version(&major, &minor, &patch);
    snprintf(text, size, "%d.%d.%d", major, minor, patch);
}

static void lmdb_engine_set(void *context, const char *name, const char *value) {
    (void)context, (void)value;
    bench_fail("lmdb: no option \"%s\" can be set", name);
}

static void *lmdb_engine_open(const engine_settings *settings) {
    lmdb_engine *e = bench_alloc(sizeof *e);
    MDB_txn *txn;
    if (strcmp(settings->compression, "none") != 0)
        bench_fail("lmdb has no compression");
    engine_extra_options(settings, "lmdb", lmdb_engine_set, e);
    e->map_bytes = settings->map_bytes;
    lmdb_engine_check(mdb_env_create(&e->env), "create environment");
    lmdb_engine_check(mdb_env_set_mapsize(e->env, e->map_bytes), "set map size");
    lmdb_engine_check(mdb_env_open(e->env, settings->path,
                                   MDB_WRITEMAP | MDB_NOSYNC | MDB_NOTLS | MDB_NORDAHEAD, 0644),
                      "open");
    lmdb_engine_check(mdb_txn_begin(e->env, NULL, 0, &txn), "begin");
    lmdb_engine_check(mdb_dbi_open(txn, NULL, 0, &e->dbi), "open database");
    lmdb_engine_check(mdb_txn_commit(txn), "commit");
    return e;
}

static void lmdb_engine_close(void *db) {
    lmdb_engine *e = db;
    lmdb_engine_check(mdb_env_sync(e->env, 1), "sync");
    mdb_env_close(e->env);
    free(e);
}

static void *lmdb_engine_session_new(void *db) {
    lmdb_session *s = bench_alloc(sizeof *s);
    s->engine = db;
    lmdb_engine_check(mdb_txn_begin(s->engine->env, NULL, MDB_RDONLY, &s->reader), "begin read");
    lmdb_engine_check(mdb_cursor_open(s->reader, s->engine->dbi, &s->cursor), "open cursor");
    mdb_txn_reset(s->reader);
    return s;
}

static void lmdb_engine_session_free(void *session) {
    lmdb_session *s = session;
    mdb_cursor_close(s->cursor);
    mdb_txn_abort(s->reader);
    free(s);
}

static MDB_val lmdb_engine_val(firn_slice slice) {
    return (MDB_val){.mv_size = slice.size, .mv_data = (void *)(uintptr_t)slice.data};
}

static void lmdb_engine_commit(lmdb_session *s, MDB_txn *txn, bool sync) {
    lmdb_engine_check(mdb_txn_commit(txn), "commit");
    if (sync)
        lmdb_engine_check(mdb_env_sync(s->engine->env, 1), "sync");
}

static void lmdb_engine_put(void *session, firn_slice key, firn_slice value, bool sync) {
    lmdb_session *s = session;
    MDB_txn *txn;
    MDB_val k = lmdb_engine_val(key);
    MDB_val v = lmdb_engine_val(value);
    lmdb_engine_check(mdb_txn_begin(s->engine->env, NULL, 0, &txn), "begin");
    lmdb_engine_check(mdb_put(txn, s->engine->dbi, &k, &v, 0), "put");
    lmdb_engine_commit(s, txn, sync);
}

static void lmdb_engine_remove(void *session, firn_slice key, bool sync) {
    lmdb_session *s = session;
    MDB_txn *txn;
    MDB_val k = lmdb_engine_val(key);
    lmdb_engine_check(mdb_txn_begin(s->engine->env, NULL, 0, &txn), "begin");
    int error = mdb_del(txn, s->engine->dbi, &k, NULL);
    if (error != MDB_NOTFOUND)
        lmdb_engine_check(error, "delete");
    lmdb_engine_commit(s, txn, sync);
}

static void lmdb_engine_batch_put(void *session, firn_slice key, firn_slice value) {
    lmdb_session *s = session;
    MDB_val k = lmdb_engine_val(key);
    MDB_val v = lmdb_engine_val(value);
    if (!s->batch)
        lmdb_engine_check(mdb_txn_begin(s->engine->env, NULL, 0, &s->batch), "begin");
    lmdb_engine_check(mdb_put(s->batch, s->engine->dbi, &k, &v, 0), "put");
}

static void lmdb_engine_batch_commit(void *session, bool sync) {
    lmdb_session *s = session;
    if (s->batch)
        lmdb_engine_commit(s, s->batch, sync);
    s->batch = NULL;
}

static bool lmdb_engine_get(void *session, firn_slice key, firn_slice *value) {
    lmdb_session *s = session;
    MDB_val k = lmdb_engine_val(key);
    MDB_val v;
    /* The value points into the map until the next call: the reader is reset only then. */
    mdb_txn_reset(s->reader);
    lmdb_engine_check(mdb_txn_renew(s->reader), "renew");
    int error = mdb_get(s->reader, s->engine->dbi, &k, &v);
    if (error == MDB_NOTFOUND)
        return false;
    lmdb_engine_check(error, "get");
    *value = firn_slice_of(v.mv_data, v.mv_size);
    return true;
}

static void *lmdb_engine_iter_new(void *session) {
    lmdb_session *s = session;
    mdb_txn_reset(s->reader);
    lmdb_engine_check(mdb_txn_renew(s->reader), "renew");
    lmdb_engine_check(mdb_cursor_renew(s->reader, s->cursor), "renew cursor");
    return s;
}

static void lmdb_engine_iter_free(void *iter) {
    lmdb_session *s = iter;
    mdb_txn_reset(s->reader);
}

static bool lmdb_engine_iter_move(lmdb_session *s, MDB_val k, MDB_cursor_op move,
                                  engine_entry *out) {
    MDB_val v;
    int error = mdb_cursor_get(s->cursor, &k, &v, move);
    if (error == MDB_NOTFOUND)
        return false;
    lmdb_engine_check(error, "iterate");
    out->key = firn_slice_of(k.mv_data, k.mv_size);
    out->value = firn_slice_of(v.mv_data, v.mv_size);
    return true;
}

static bool lmdb_engine_iter_first(void *iter, engine_entry *out) {
    return lmdb_engine_iter_move(iter, (MDB_val){0}, MDB_FIRST, out);
}

static bool lmdb_engine_iter_last(void *iter, engine_entry *out) {
    return lmdb_engine_iter_move(iter, (MDB_val){0}, MDB_LAST, out);
}

static bool lmdb_engine_iter_seek(void *iter, firn_slice key, engine_entry *out) {
    return lmdb_engine_iter_move(iter, lmdb_engine_val(key), MDB_SET_RANGE, out);
}

static bool lmdb_engine_iter_next(void *iter, engine_entry *out) {
    return lmdb_engine_iter_move(iter, (MDB_val){0}, MDB_NEXT, out);
}

static bool lmdb_engine_iter_prev(void *iter, engine_entry *out) {
    return lmdb_engine_iter_move(iter, (MDB_val){0}, MDB_PREV, out);
}

static void lmdb_engine_describe(void *db, FILE *to) {
    const lmdb_engine *e = db;
    fprintf(to,
            "flags=WRITEMAP|NOSYNC|NOTLS|NORDAHEAD (written to the map, not synced)\n"
            "mapsize=%llu\nmemtable, cache, filter: none (the page cache)\n",
            (unsigned long long)e->map_bytes);
}

const engine_methods engine_lmdb = {
    .name = "lmdb",
    .stores = true,
    .version = lmdb_engine_version,
    .open = lmdb_engine_open,
    .close = lmdb_engine_close,
    .session_new = lmdb_engine_session_new,
    .session_free = lmdb_engine_session_free,
    .put = lmdb_engine_put,
    .remove = lmdb_engine_remove,
    .batch_put = lmdb_engine_batch_put,
    .batch_commit = lmdb_engine_batch_commit,
    .get = lmdb_engine_get,
    .iter_new = lmdb_engine_iter_new,
    .iter_free = lmdb_engine_iter_free,
    .iter_first = lmdb_engine_iter_first,
    .iter_last = lmdb_engine_iter_last,
    .iter_seek = lmdb_engine_iter_seek,
    .iter_next = lmdb_engine_iter_next,
    .iter_prev = lmdb_engine_iter_prev,
    .describe = lmdb_engine_describe,
};
