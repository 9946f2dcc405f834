/* SQLite: a B-tree keyed by blob, in write-ahead-log mode. Each session is a connection. The cache
 * is split among connections as SQLite does; filters and memtables have no counterpart. */
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "engines.h"

typedef struct sqlite_engine {
    char path[600];
    engine_settings settings;
    sqlite3 *db; /* keeps the log open between sessions, and answers describe */
} sqlite_engine;

enum sqlite_statement {
    SQLITE_PUT,
    SQLITE_REMOVE,
    SQLITE_GET,
    SQLITE_SEEK,
    SQLITE_FIRST,
    SQLITE_LAST,
    SQLITE_BEGIN,
    SQLITE_COMMIT,
    SQLITE_STATEMENTS
};

static const char *const sqlite_texts[SQLITE_STATEMENTS] = {
    [SQLITE_PUT] = "INSERT OR REPLACE INTO kv VALUES (?1, ?2)",
    [SQLITE_REMOVE] = "DELETE FROM kv WHERE k = ?1",
    [SQLITE_GET] = "SELECT v FROM kv WHERE k = ?1",
    [SQLITE_SEEK] = "SELECT k, v FROM kv WHERE k >= ?1 ORDER BY k",
    [SQLITE_FIRST] = "SELECT k, v FROM kv ORDER BY k",
    [SQLITE_LAST] = "SELECT k, v FROM kv ORDER BY k DESC",
    [SQLITE_BEGIN] = "BEGIN IMMEDIATE",
    [SQLITE_COMMIT] = "COMMIT",
};

typedef struct sqlite_session {
    sqlite_engine *engine;
    sqlite3 *db;
    sqlite3_stmt *statements[SQLITE_STATEMENTS];
    sqlite3_stmt *position; /* the iterator's */
    bool syncs;             /* how this connection is set now */
    bool in_batch;
} sqlite_session;

static void sqlite_check(sqlite3 *db, bool good, const char *what) {
    if (!good)
        bench_fail("sqlite: %s: %s", what, sqlite3_errmsg(db));
}

static void sqlite_run(sqlite3 *db, const char *text) {
    sqlite_check(db, sqlite3_exec(db, text, NULL, NULL, NULL) == SQLITE_OK, text);
}

static void sqlite_version(char *text, size_t size) {
    snprintf(text, size, "%s", sqlite3_libversion());
}

static void sqlite_set_pragma(void *context, const char *name, const char *value) {
    char text[256];
    snprintf(text, sizeof text, "PRAGMA %s=%s", name, value);
    sqlite_run(context, text);
}

static sqlite3 *sqlite_connect(const sqlite_engine *e) {
    sqlite3 *db;
    char text[128];
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(e->path, &db, flags, NULL) != SQLITE_OK)
        bench_fail("sqlite: open %s: %s", e->path, sqlite3_errmsg(db));
    sqlite3_busy_timeout(db, 60000);
    snprintf(text, sizeof text, "PRAGMA page_size=%u", e->settings.block_bytes);
    sqlite_run(db, text);
    sqlite_run(db, "PRAGMA journal_mode=WAL");
    sqlite_run(db, "PRAGMA synchronous=NORMAL");
    snprintf(text, sizeof text, "PRAGMA cache_size=-%llu",
             (unsigned long long)(e->settings.cache_bytes >> 10));
    sqlite_run(db, text);
    /* The log may grow to what a memtable would hold before it is moved into the tree. */
    snprintf(text, sizeof text, "PRAGMA wal_autocheckpoint=%llu",
             (unsigned long long)(e->settings.memtable_bytes / e->settings.block_bytes));
    sqlite_run(db, text);
    engine_extra_options(&e->settings, "sqlite", sqlite_set_pragma, db);
    return db;
}

static void *sqlite_open(const engine_settings *settings) {
    sqlite_engine *e = bench_alloc(sizeof *e);
    if (strcmp(settings->compression, "none") != 0)
        bench_fail("sqlite has no compression");
    e->settings = *settings;
    snprintf(e->path, sizeof e->path, "%s/bench.db", settings->path);
    e->db = sqlite_connect(e);
    sqlite_run(e->db, "CREATE TABLE IF NOT EXISTS kv (k BLOB PRIMARY KEY, v BLOB) WITHOUT ROWID");
    return e;
}

static void sqlite_close(void *db) {
    sqlite_engine *e = db;
    sqlite_check(e->db, sqlite3_close(e->db) == SQLITE_OK, "close");
    free(e);
}

static void *sqlite_session_new(void *db) {
    sqlite_session *s = bench_alloc(sizeof *s);
    s->engine = db;
    s->db = sqlite_connect(s->engine);
    for (int i = 0; i < SQLITE_STATEMENTS; i++)
        sqlite_check(s->db,
                     sqlite3_prepare_v3(s->db, sqlite_texts[i], -1, SQLITE_PREPARE_PERSISTENT,
                                        &s->statements[i], NULL) == SQLITE_OK,
                     sqlite_texts[i]);
    return s;
}

static void sqlite_session_free(void *session) {
    sqlite_session *s = session;
    for (int i = 0; i < SQLITE_STATEMENTS; i++)
        sqlite3_finalize(s->statements[i]);
    sqlite_check(s->db, sqlite3_close(s->db) == SQLITE_OK, "close");
    free(s);
}

static void sqlite_set_sync(sqlite_session *s, bool sync) {
    if (s->syncs == sync)
        return;
    sqlite_run(s->db, sync ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL");
    s->syncs = sync;
}

static void sqlite_bind(sqlite_session *s, sqlite3_stmt *statement, int position,
                        firn_slice bytes) {
    sqlite_check(s->db,
                 sqlite3_bind_blob64(statement, position, bytes.data, bytes.size, SQLITE_STATIC) ==
                     SQLITE_OK,
                 "bind");
}

static void sqlite_do(sqlite_session *s, enum sqlite_statement which) {
    int result = sqlite3_step(s->statements[which]);
    sqlite_check(s->db, result == SQLITE_DONE, sqlite_texts[which]);
    sqlite3_reset(s->statements[which]);
}

static void sqlite_put(void *session, firn_slice key, firn_slice value, bool sync) {
    sqlite_session *s = session;
    sqlite_set_sync(s, sync);
    sqlite_bind(s, s->statements[SQLITE_PUT], 1, key);
    sqlite_bind(s, s->statements[SQLITE_PUT], 2, value);
    sqlite_do(s, SQLITE_PUT);
}

static void sqlite_remove(void *session, firn_slice key, bool sync) {
    sqlite_session *s = session;
    sqlite_set_sync(s, sync);
    sqlite_bind(s, s->statements[SQLITE_REMOVE], 1, key);
    sqlite_do(s, SQLITE_REMOVE);
}

static void sqlite_batch_put(void *session, firn_slice key, firn_slice value) {
    sqlite_session *s = session;
    if (!s->in_batch)
        sqlite_do(s, SQLITE_BEGIN);
    s->in_batch = true;
    sqlite_bind(s, s->statements[SQLITE_PUT], 1, key);
    sqlite_bind(s, s->statements[SQLITE_PUT], 2, value);
    sqlite_do(s, SQLITE_PUT);
}

static void sqlite_batch_commit(void *session, bool sync) {
    sqlite_session *s = session;
    (void)sync; /* cannot change inside a transaction; no workload syncs batches */
    if (s->in_batch)
        sqlite_do(s, SQLITE_COMMIT);
    s->in_batch = false;
}

static bool sqlite_get(void *session, firn_slice key, firn_slice *value) {
    sqlite_session *s = session;
    sqlite3_stmt *get = s->statements[SQLITE_GET];
    sqlite3_reset(get);
    sqlite_bind(s, get, 1, key);
    int result = sqlite3_step(get);
    if (result == SQLITE_DONE) {
        sqlite3_reset(get);
        return false;
    }
    sqlite_check(s->db, result == SQLITE_ROW, "get");
    *value = firn_slice_of(sqlite3_column_blob(get, 0), (size_t)sqlite3_column_bytes(get, 0));
    return true;
}

static void *sqlite_iter_new(void *session) {
    sqlite_session *s = session;
    sqlite3_reset(s->statements[SQLITE_GET]);
    s->position = NULL;
    return s;
}

static void sqlite_iter_free(void *iter) {
    sqlite_session *s = iter;
    if (s->position)
        sqlite3_reset(s->position);
}

static bool sqlite_iter_step(void *iter, engine_entry *out) {
    sqlite_session *s = iter;
    sqlite3_stmt *p = s->position;
    int result = sqlite3_step(p);
    if (result == SQLITE_DONE)
        return false;
    sqlite_check(s->db, result == SQLITE_ROW, "iterate");
    out->key = firn_slice_of(sqlite3_column_blob(p, 0), (size_t)sqlite3_column_bytes(p, 0));
    out->value = firn_slice_of(sqlite3_column_blob(p, 1), (size_t)sqlite3_column_bytes(p, 1));
    return true;
}

static bool sqlite_iter_first(void *iter, engine_entry *out) {
    sqlite_session *s = iter;
    s->position = s->statements[SQLITE_FIRST];
    return sqlite_iter_step(s, out);
}

static bool sqlite_iter_last(void *iter, engine_entry *out) {
    sqlite_session *s = iter;
    s->position = s->statements[SQLITE_LAST];
    return sqlite_iter_step(s, out);
}

static bool sqlite_iter_seek(void *iter, firn_slice key, engine_entry *out) {
    sqlite_session *s = iter;
    s->position = s->statements[SQLITE_SEEK];
    sqlite3_reset(s->position);
    sqlite_bind(s, s->position, 1, key);
    return sqlite_iter_step(s, out);
}

static void sqlite_compact(void *db) {
    sqlite_engine *e = db;
    sqlite_run(e->db, "PRAGMA wal_checkpoint(TRUNCATE)");
    sqlite_run(e->db, "VACUUM");
}

static void sqlite_flush(void *db) {
    sqlite_run(((sqlite_engine *)db)->db, "PRAGMA wal_checkpoint(TRUNCATE)");
}

static void sqlite_describe(void *db, FILE *to) {
    static const char *const names[] = {"page_size",          "journal_mode", "synchronous",
                                        "wal_autocheckpoint", "cache_size",   "mmap_size"};
    const sqlite_engine *e = db;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char text[64];
        sqlite3_stmt *statement;
        snprintf(text, sizeof text, "PRAGMA %s", names[i]);
        if (sqlite3_prepare_v2(e->db, text, -1, &statement, NULL) == SQLITE_OK &&
            sqlite3_step(statement) == SQLITE_ROW)
            fprintf(to, "%s=%s\n", names[i], (const char *)sqlite3_column_text(statement, 0));
        sqlite3_finalize(statement);
    }
}

const engine_methods engine_sqlite = {
    .name = "sqlite",
    .stores = true,
    .version = sqlite_version,
    .open = sqlite_open,
    .close = sqlite_close,
    .session_new = sqlite_session_new,
    .session_free = sqlite_session_free,
    .put = sqlite_put,
    .remove = sqlite_remove,
    .batch_put = sqlite_batch_put,
    .batch_commit = sqlite_batch_commit,
    .get = sqlite_get,
    .iter_new = sqlite_iter_new,
    .iter_free = sqlite_iter_free,
    .iter_first = sqlite_iter_first,
    .iter_last = sqlite_iter_last,
    .iter_seek = sqlite_iter_seek,
    .iter_next = sqlite_iter_step,
    .iter_prev = sqlite_iter_step, /* of the descending statement */
    .flush = sqlite_flush,
    .compact = sqlite_compact,
    .describe = sqlite_describe,
};
