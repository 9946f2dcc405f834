/* LevelDB through its C API. */
#include <leveldb/c.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engines.h"

typedef struct leveldb_engine {
    leveldb_t *db;
    leveldb_options_t *options;
    leveldb_cache_t *cache;
    leveldb_filterpolicy_t *filter;
    leveldb_readoptions_t *read_options;
    leveldb_writeoptions_t *write_options[2]; /* [1] syncs */
    engine_settings settings;
    uint64_t file_bytes;
} leveldb_engine;

typedef struct leveldb_session {
    leveldb_engine *engine;
    leveldb_writebatch_t *batch;
    char *value; /* of the last get; ours to free */
} leveldb_session;

static void leveldb_engine_check(char *error, const char *what) {
    if (error)
        bench_fail("leveldb: %s: %s", what, error);
}

static void leveldb_engine_version(char *text, size_t size) {
    snprintf(text, size, "%d.%d", leveldb_major_version(), leveldb_minor_version());
}

static void leveldb_engine_set(void *context, const char *name, const char *value) {
    leveldb_engine *e = context;
    if (strcmp(name, "max_file_size") == 0) {
        e->file_bytes = strtoull(value, NULL, 10);
        leveldb_options_set_max_file_size(e->options, e->file_bytes);
    } else if (strcmp(name, "max_open_files") == 0) {
        leveldb_options_set_max_open_files(e->options, atoi(value));
    } else {
        bench_fail("leveldb: only max_file_size and max_open_files can be set, not \"%s\"", name);
    }
}

static void *leveldb_engine_open(const engine_settings *settings) {
    leveldb_engine *e = bench_alloc(sizeof *e);
    char *error = NULL;
    e->settings = *settings;
    e->file_bytes = 2 << 20; /* its default */
    e->options = leveldb_options_create();
    leveldb_options_set_create_if_missing(e->options, 1);
    leveldb_options_set_write_buffer_size(e->options, settings->memtable_bytes);
    leveldb_options_set_block_size(e->options, settings->block_bytes);
    /* Without a cache of our own it would make one of 8 MiB. */
    e->cache = leveldb_cache_create_lru(settings->cache_bytes);
    leveldb_options_set_cache(e->options, e->cache);
    if (settings->filter_bits) {
        e->filter = leveldb_filterpolicy_create_bloom((int)settings->filter_bits);
        leveldb_options_set_filter_policy(e->options, e->filter);
    }
    if (strcmp(settings->compression, "none") == 0)
        leveldb_options_set_compression(e->options, leveldb_no_compression);
    else if (strcmp(settings->compression, "snappy") == 0)
        leveldb_options_set_compression(e->options, leveldb_snappy_compression);
    else
        bench_fail("leveldb has no compression \"%s\"", settings->compression);
    engine_extra_options(settings, "leveldb", leveldb_engine_set, e);
    e->db = leveldb_open(e->options, settings->path, &error);
    leveldb_engine_check(error, "open");

    e->read_options = leveldb_readoptions_create();
    /* Off by default, unlike in the other engines: a block read from a file is checked once. */
    leveldb_readoptions_set_verify_checksums(e->read_options, 1);
    for (int sync = 0; sync < 2; sync++) {
        e->write_options[sync] = leveldb_writeoptions_create();
        leveldb_writeoptions_set_sync(e->write_options[sync], (uint8_t)sync);
    }
    return e;
}

static void leveldb_engine_close(void *db) {
    leveldb_engine *e = db;
    leveldb_close(e->db);
    leveldb_readoptions_destroy(e->read_options);
    leveldb_writeoptions_destroy(e->write_options[0]);
    leveldb_writeoptions_destroy(e->write_options[1]);
    leveldb_options_destroy(e->options);
    leveldb_cache_destroy(e->cache);
    if (e->filter)
        leveldb_filterpolicy_destroy(e->filter);
    free(e);
}

static void *leveldb_engine_session_new(void *db) {
    leveldb_session *s = bench_alloc(sizeof *s);
    s->engine = db;
    s->batch = leveldb_writebatch_create();
    return s;
}

static void leveldb_engine_session_free(void *session) {
    leveldb_session *s = session;
    leveldb_free(s->value);
    leveldb_writebatch_destroy(s->batch);
    free(s);
}

static void leveldb_engine_put(void *session, firn_slice key, firn_slice value, bool sync) {
    leveldb_session *s = session;
    char *error = NULL;
    leveldb_put(s->engine->db, s->engine->write_options[sync], (const char *)key.data, key.size,
                (const char *)value.data, value.size, &error);
    leveldb_engine_check(error, "put");
}

static void leveldb_engine_remove(void *session, firn_slice key, bool sync) {
    leveldb_session *s = session;
    char *error = NULL;
    leveldb_delete(s->engine->db, s->engine->write_options[sync], (const char *)key.data, key.size,
                   &error);
    leveldb_engine_check(error, "delete");
}

static void leveldb_engine_batch_put(void *session, firn_slice key, firn_slice value) {
    leveldb_session *s = session;
    leveldb_writebatch_put(s->batch, (const char *)key.data, key.size, (const char *)value.data,
                           value.size);
}

static void leveldb_engine_batch_commit(void *session, bool sync) {
    leveldb_session *s = session;
    char *error = NULL;
    leveldb_write(s->engine->db, s->engine->write_options[sync], s->batch, &error);
    leveldb_engine_check(error, "write");
    leveldb_writebatch_clear(s->batch);
}

static bool leveldb_engine_get(void *session, firn_slice key, firn_slice *value) {
    leveldb_session *s = session;
    char *error = NULL;
    size_t size = 0;
    leveldb_free(s->value);
    s->value = leveldb_get(s->engine->db, s->engine->read_options, (const char *)key.data, key.size,
                           &size, &error);
    leveldb_engine_check(error, "get");
    if (!s->value)
        return false;
    *value = firn_slice_of(s->value, size);
    return true;
}

static void *leveldb_engine_iter_new(void *session) {
    leveldb_session *s = session;
    return leveldb_create_iterator(s->engine->db, s->engine->read_options);
}

static void leveldb_engine_iter_free(void *iter) {
    leveldb_iter_destroy(iter);
}

static bool leveldb_engine_iter_entry(leveldb_iterator_t *it, engine_entry *out) {
    if (!leveldb_iter_valid(it)) {
        char *error = NULL;
        leveldb_iter_get_error(it, &error);
        leveldb_engine_check(error, "iterate");
        return false;
    }
    size_t size;
    const char *data = leveldb_iter_key(it, &size);
    out->key = firn_slice_of(data, size);
    data = leveldb_iter_value(it, &size);
    out->value = firn_slice_of(data, size);
    return true;
}

static bool leveldb_engine_iter_first(void *iter, engine_entry *out) {
    leveldb_iter_seek_to_first(iter);
    return leveldb_engine_iter_entry(iter, out);
}

static bool leveldb_engine_iter_last(void *iter, engine_entry *out) {
    leveldb_iter_seek_to_last(iter);
    return leveldb_engine_iter_entry(iter, out);
}

static bool leveldb_engine_iter_seek(void *iter, firn_slice key, engine_entry *out) {
    leveldb_iter_seek(iter, (const char *)key.data, key.size);
    return leveldb_engine_iter_entry(iter, out);
}

static bool leveldb_engine_iter_next(void *iter, engine_entry *out) {
    leveldb_iter_next(iter);
    return leveldb_engine_iter_entry(iter, out);
}

static bool leveldb_engine_iter_prev(void *iter, engine_entry *out) {
    leveldb_iter_prev(iter);
    return leveldb_engine_iter_entry(iter, out);
}

static void leveldb_engine_compact(void *db) {
    leveldb_engine *e = db;
    leveldb_compact_range(e->db, NULL, 0, NULL, 0);
}

/* Files and MiB of each level, from the text that is LevelDB's only way to tell. */
static void leveldb_engine_levels(leveldb_engine *e, unsigned files[7], double mib[7]) {
    memset(files, 0, 7 * sizeof *files);
    memset(mib, 0, 7 * sizeof *mib);
    char *stats = leveldb_property_value(e->db, "leveldb.stats");
    char *rest = stats;
    for (char *line; (line = strsep(&rest, "\n"));) {
        unsigned level, count;
        double size;
        if (sscanf(line, "%u %u %lf", &level, &count, &size) == 3 && level < 7) {
            files[level] = count;
            mib[level] = size;
        }
    }
    leveldb_free(stats);
}

/* LevelDB compacts when L0 has 4 files or a level exceeds 10 MiB times 10 per level. */
static uint64_t leveldb_engine_debt_bytes(void *db) {
    leveldb_engine *e = db;
    unsigned files[7];
    double mib[7];
    leveldb_engine_levels(e, files, mib);
    double debt_mib = files[0] >= 4 ? mib[0] : 0;
    double limit_mib = 10;
    for (int level = 1; level < 6; level++, limit_mib *= 10) {
        if (mib[level] > limit_mib)
            debt_mib += mib[level] - limit_mib;
    }
    return (uint64_t)(debt_mib * 1048576);
}

static void leveldb_engine_wait_idle(void *db) {
    while (leveldb_engine_debt_bytes(db) > 1 << 20) /* the text is rounded to whole MiB */
        usleep(10000);
}

static void leveldb_engine_describe(void *db, FILE *to) {
    const leveldb_engine *e = db;
    const engine_settings *s = &e->settings;
    fprintf(to, "write_buffer_size=%llu\nblock_cache=%llu (LRU)\nblock_size=%u\n",
            (unsigned long long)s->memtable_bytes, (unsigned long long)s->cache_bytes,
            s->block_bytes);
    fprintf(to, "filter_policy=bloom(%u)\ncompression=%s\nmax_file_size=%llu\n", s->filter_bits,
            s->compression, (unsigned long long)e->file_bytes);
    fprintf(to, "background_threads=1 (fixed)\nverify_checksums=true\n"
                "sync=false (log written, not synced)\n");
}

static void leveldb_engine_counters(void *db, FILE *to) {
    unsigned files[7];
    double mib[7];
    leveldb_engine_levels(db, files, mib);
    fprintf(to, "\"l0_files\": %u", files[0]);
    for (int level = 0; level < 7; level++)
        fprintf(to, ", \"l%d_mib\": %.0f", level, mib[level]);
}

const engine_methods engine_leveldb = {
    .name = "leveldb",
    .stores = true,
    .version = leveldb_engine_version,
    .open = leveldb_engine_open,
    .close = leveldb_engine_close,
    .session_new = leveldb_engine_session_new,
    .session_free = leveldb_engine_session_free,
    .put = leveldb_engine_put,
    .remove = leveldb_engine_remove,
    .batch_put = leveldb_engine_batch_put,
    .batch_commit = leveldb_engine_batch_commit,
    .get = leveldb_engine_get,
    .iter_new = leveldb_engine_iter_new,
    .iter_free = leveldb_engine_iter_free,
    .iter_first = leveldb_engine_iter_first,
    .iter_last = leveldb_engine_iter_last,
    .iter_seek = leveldb_engine_iter_seek,
    .iter_next = leveldb_engine_iter_next,
    .iter_prev = leveldb_engine_iter_prev,
    .compact = leveldb_engine_compact,
    .wait_idle = leveldb_engine_wait_idle,
    .debt_bytes = leveldb_engine_debt_bytes,
    .describe = leveldb_engine_describe,
    .counters = leveldb_engine_counters,
};
