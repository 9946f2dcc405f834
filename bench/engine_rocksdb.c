/* RocksDB through its C API. Reads use pinned slices, its cheapest way. */
#include <dirent.h>
#include <rocksdb/c.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engines.h"

typedef struct rocksdb_engine {
    rocksdb_t *db;
    rocksdb_options_t *options;
    rocksdb_block_based_table_options_t *table_options;
    rocksdb_cache_t *cache;
    rocksdb_readoptions_t *read_options;
    rocksdb_writeoptions_t *write_options[2]; /* [1] syncs */
    char path[512];
} rocksdb_engine;

typedef struct rocksdb_session {
    rocksdb_engine *engine;
    rocksdb_writebatch_t *batch;
    rocksdb_pinnableslice_t *pinned;
    char *many[ENGINE_MANY];
} rocksdb_session;

static void rocksdb_engine_check(char *error, const char *what) {
    if (error)
        bench_fail("rocksdb: %s: %s", what, error);
}

static void rocksdb_engine_version(char *text, size_t size) {
    /* The C API does not tell; the library's file name does. */
    ssize_t got = -1;
    char name[256];
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];
    while (maps && fgets(line, sizeof line, maps)) {
        char *at = strstr(line, "librocksdb.so");
        if (at) {
            got = snprintf(name, sizeof name, "%s", at + strlen("librocksdb.so"));
            break;
        }
    }
    if (maps)
        fclose(maps);
    if (got > 1 && name[0] == '.') {
        name[strcspn(name, "\n")] = '\0';
        snprintf(text, size, "%s", name + 1);
    } else {
        snprintf(text, size, "?");
    }
}

static int rocksdb_engine_codec(const char *name) {
    static const char *const names[] = {"none", "snappy", "zlib",   "bz2",
                                        "lz4",  "lz4hc",  "xpress", "zstd"};
    for (int i = 0; i < 8; i++) {
        if (strcmp(name, names[i]) == 0)
            return i;
    }
    bench_fail("rocksdb has no compression \"%s\"", name);
}

static void rocksdb_engine_set(void *context, const char *name, const char *value) {
    rocksdb_engine *e = context;
    char text[256];
    char *error = NULL;
    snprintf(text, sizeof text, "%s=%s", name, value);
    rocksdb_options_t *changed = rocksdb_options_create();
    rocksdb_get_options_from_string(e->options, text, changed, &error);
    rocksdb_engine_check(error, text);
    rocksdb_options_destroy(e->options);
    e->options = changed;
}

static void rocksdb_engine_configure(rocksdb_engine *e, const engine_settings *settings) {
    e->options = rocksdb_options_create();
    rocksdb_options_set_create_if_missing(e->options, 1);
    rocksdb_options_set_write_buffer_size(e->options, settings->memtable_bytes);
    rocksdb_options_set_max_background_jobs(e->options, (int)settings->background_threads);
    rocksdb_options_set_compression(e->options, rocksdb_engine_codec(settings->compression));

    e->table_options = rocksdb_block_based_options_create();
    rocksdb_block_based_options_set_block_size(e->table_options, settings->block_bytes);
    if (settings->cache_bytes) {
        e->cache = rocksdb_cache_create_lru(settings->cache_bytes);
        rocksdb_block_based_options_set_block_cache(e->table_options, e->cache);
    } else {
        rocksdb_block_based_options_set_no_block_cache(e->table_options, 1);
    }
    /* The table options take over the filter policy. */
    if (settings->filter_bits)
        rocksdb_block_based_options_set_filter_policy(e->table_options,
                                                      rocksdb_filterpolicy_create_bloom_full(
                                                          settings->filter_bits));
    rocksdb_options_set_block_based_table_factory(e->options, e->table_options);
    engine_extra_options(settings, "rocksdb", rocksdb_engine_set, e);
}

static void *rocksdb_engine_open(const engine_settings *settings) {
    rocksdb_engine *e = bench_alloc(sizeof *e);
    char *error = NULL;
    snprintf(e->path, sizeof e->path, "%s", settings->path);
    rocksdb_engine_configure(e, settings);
    e->db = rocksdb_open(e->options, settings->path, &error);
    rocksdb_engine_check(error, "open");
    e->read_options = rocksdb_readoptions_create();
    for (int sync = 0; sync < 2; sync++) {
        e->write_options[sync] = rocksdb_writeoptions_create();
        rocksdb_writeoptions_set_sync(e->write_options[sync], (unsigned char)sync);
    }
    return e;
}

static void rocksdb_engine_close(void *db) {
    rocksdb_engine *e = db;
    rocksdb_close(e->db);
    rocksdb_readoptions_destroy(e->read_options);
    rocksdb_writeoptions_destroy(e->write_options[0]);
    rocksdb_writeoptions_destroy(e->write_options[1]);
    rocksdb_block_based_options_destroy(e->table_options);
    rocksdb_options_destroy(e->options);
    if (e->cache)
        rocksdb_cache_destroy(e->cache);
    free(e);
}

static void *rocksdb_engine_session_new(void *db) {
    rocksdb_session *s = bench_alloc(sizeof *s);
    s->engine = db;
    s->batch = rocksdb_writebatch_create();
    return s;
}

static void rocksdb_engine_release_many(rocksdb_session *s) {
    for (size_t i = 0; i < ENGINE_MANY; i++) {
        if (s->many[i])
            rocksdb_free(s->many[i]);
        s->many[i] = NULL;
    }
}

static void rocksdb_engine_session_free(void *session) {
    rocksdb_session *s = session;
    rocksdb_engine_release_many(s);
    if (s->pinned)
        rocksdb_pinnableslice_destroy(s->pinned);
    rocksdb_writebatch_destroy(s->batch);
    free(s);
}

static void rocksdb_engine_put(void *session, firn_slice key, firn_slice value, bool sync) {
    rocksdb_session *s = session;
    char *error = NULL;
    rocksdb_put(s->engine->db, s->engine->write_options[sync], (const char *)key.data, key.size,
                (const char *)value.data, value.size, &error);
    rocksdb_engine_check(error, "put");
}

static void rocksdb_engine_remove(void *session, firn_slice key, bool sync) {
    rocksdb_session *s = session;
    char *error = NULL;
    rocksdb_delete(s->engine->db, s->engine->write_options[sync], (const char *)key.data, key.size,
                   &error);
    rocksdb_engine_check(error, "delete");
}

static void rocksdb_engine_batch_put(void *session, firn_slice key, firn_slice value) {
    rocksdb_session *s = session;
    rocksdb_writebatch_put(s->batch, (const char *)key.data, key.size, (const char *)value.data,
                           value.size);
}

static void rocksdb_engine_batch_commit(void *session, bool sync) {
    rocksdb_session *s = session;
    char *error = NULL;
    rocksdb_write(s->engine->db, s->engine->write_options[sync], s->batch, &error);
    rocksdb_engine_check(error, "write");
    rocksdb_writebatch_clear(s->batch);
}

static bool rocksdb_engine_get(void *session, firn_slice key, firn_slice *value) {
    rocksdb_session *s = session;
    char *error = NULL;
    if (s->pinned)
        rocksdb_pinnableslice_destroy(s->pinned);
    s->pinned = rocksdb_get_pinned(s->engine->db, s->engine->read_options, (const char *)key.data,
                                   key.size, &error);
    rocksdb_engine_check(error, "get");
    if (!s->pinned)
        return false;
    size_t size;
    const char *data = rocksdb_pinnableslice_value(s->pinned, &size);
    *value = firn_slice_of(data, size);
    return true;
}

/* The C API's call for many keys copies each value. */
static void rocksdb_engine_get_many(void *session, const firn_slice *keys, firn_slice *values,
                                    size_t count) {
    rocksdb_session *s = session;
    const char *bytes[ENGINE_MANY];
    size_t sizes[ENGINE_MANY], value_sizes[ENGINE_MANY];
    char *errors[ENGINE_MANY];
    rocksdb_engine_release_many(s);
    for (size_t i = 0; i < count; i++) {
        bytes[i] = (const char *)keys[i].data;
        sizes[i] = keys[i].size;
    }
    rocksdb_multi_get(s->engine->db, s->engine->read_options, count, bytes, sizes, s->many,
                      value_sizes, errors);
    for (size_t i = 0; i < count; i++) {
        rocksdb_engine_check(errors[i], "multi get");
        values[i] = firn_slice_of(s->many[i], s->many[i] ? value_sizes[i] : 0);
    }
}

static void *rocksdb_engine_iter_new(void *session) {
    rocksdb_session *s = session;
    return rocksdb_create_iterator(s->engine->db, s->engine->read_options);
}

static void rocksdb_engine_iter_free(void *iter) {
    rocksdb_iter_destroy(iter);
}

static bool rocksdb_engine_iter_entry(rocksdb_iterator_t *it, engine_entry *out) {
    if (!rocksdb_iter_valid(it)) {
        char *error = NULL;
        rocksdb_iter_get_error(it, &error);
        rocksdb_engine_check(error, "iterate");
        return false;
    }
    size_t size;
    const char *data = rocksdb_iter_key(it, &size);
    out->key = firn_slice_of(data, size);
    data = rocksdb_iter_value(it, &size);
    out->value = firn_slice_of(data, size);
    return true;
}

static bool rocksdb_engine_iter_first(void *iter, engine_entry *out) {
    rocksdb_iter_seek_to_first(iter);
    return rocksdb_engine_iter_entry(iter, out);
}

static bool rocksdb_engine_iter_last(void *iter, engine_entry *out) {
    rocksdb_iter_seek_to_last(iter);
    return rocksdb_engine_iter_entry(iter, out);
}

static bool rocksdb_engine_iter_seek(void *iter, firn_slice key, engine_entry *out) {
    rocksdb_iter_seek(iter, (const char *)key.data, key.size);
    return rocksdb_engine_iter_entry(iter, out);
}

static bool rocksdb_engine_iter_next(void *iter, engine_entry *out) {
    rocksdb_iter_next(iter);
    return rocksdb_engine_iter_entry(iter, out);
}

static bool rocksdb_engine_iter_prev(void *iter, engine_entry *out) {
    rocksdb_iter_prev(iter);
    return rocksdb_engine_iter_entry(iter, out);
}

static void rocksdb_engine_flush(void *db) {
    rocksdb_engine *e = db;
    char *error = NULL;
    rocksdb_flushoptions_t *options = rocksdb_flushoptions_create();
    rocksdb_flushoptions_set_wait(options, 1);
    rocksdb_flush(e->db, options, &error);
    rocksdb_flushoptions_destroy(options);
    rocksdb_engine_check(error, "flush");
}

static void rocksdb_engine_compact(void *db) {
    rocksdb_engine *e = db;
    rocksdb_compact_range(e->db, NULL, 0, NULL, 0);
}

static uint64_t rocksdb_engine_property(void *db, const char *name) {
    rocksdb_engine *e = db;
    uint64_t value;
    if (rocksdb_property_int(e->db, name, &value) != 0)
        bench_fail("rocksdb: no property %s", name);
    return value;
}

static void rocksdb_engine_wait_idle(void *db) {
    while (rocksdb_engine_property(db, "rocksdb.mem-table-flush-pending") ||
           rocksdb_engine_property(db, "rocksdb.num-running-flushes") ||
           rocksdb_engine_property(db, "rocksdb.compaction-pending") ||
           rocksdb_engine_property(db, "rocksdb.num-running-compactions"))
        usleep(1000);
}

static uint64_t rocksdb_engine_debt_bytes(void *db) {
    return rocksdb_engine_property(db, "rocksdb.estimate-pending-compaction-bytes");
}

/* RocksDB writes what is in effect into a file of its own; the lines that matter here. */
static void rocksdb_engine_describe(void *db, FILE *to) {
    static const char *const wanted[] = {"write_buffer_size=",
                                         "max_write_buffer_number=",
                                         "max_background_jobs=",
                                         "compression=",
                                         "level0_",
                                         "max_bytes_for_level_base=",
                                         "target_file_size_base=",
                                         "block_size=",
                                         "filter_policy=",
                                         "format_version=",
                                         "checksum=",
                                         "allow_mmap_reads=",
                                         "block_restart_interval=",
                                         "wal_bytes_per_sync=",
                                         "compaction_style=",
                                         "enable_pipelined_write=",
                                         NULL};
    rocksdb_engine *e = db;
    char path[1024] = "";
    DIR *directory = opendir(e->path);
    for (struct dirent *d; directory && (d = readdir(directory));) {
        if (strncmp(d->d_name, "OPTIONS-", 8) == 0)
            snprintf(path, sizeof path, "%s/%s", e->path, d->d_name);
    }
    if (directory)
        closedir(directory);
    FILE *from = fopen(path, "r");
    char line[1024];
    while (from && fgets(line, sizeof line, from)) {
        const char *text = line + strspn(line, " ");
        for (int i = 0; wanted[i]; i++) {
            if (strncmp(text, wanted[i], strlen(wanted[i])) == 0)
                fputs(text, to);
        }
    }
    if (from)
        fclose(from);
    fprintf(to, "block_cache=%zu (LRU)\nsync=false (log written, not synced)\n",
            e->cache ? rocksdb_cache_get_capacity(e->cache) : 0);
}

static void rocksdb_engine_counters(void *db, FILE *to) {
    rocksdb_engine *e = db;
    unsigned hours = 0, minutes = 0;
    double seconds = 0;
    char *stats = rocksdb_property_value(e->db, "rocksdb.dbstats");
    const char *stall = stats ? strstr(stats, "Cumulative stall: ") : NULL;
    if (stall)
        sscanf(stall, "Cumulative stall: %u:%u:%lf", &hours, &minutes, &seconds);
    rocksdb_free(stats);
    fprintf(to, "\"stall_ns\": %.0f, \"table_bytes\": %llu, \"l0_files\": ",
            (hours * 3600 + minutes * 60 + seconds) * 1e9,
            (unsigned long long)rocksdb_engine_property(db, "rocksdb.total-sst-files-size"));
    char *l0 = rocksdb_property_value(e->db, "rocksdb.num-files-at-level0");
    fprintf(to, "%s", l0 ? l0 : "0");
    rocksdb_free(l0);
}

const engine_methods engine_rocksdb = {
    .name = "rocksdb",
    .stores = true,
    .version = rocksdb_engine_version,
    .open = rocksdb_engine_open,
    .close = rocksdb_engine_close,
    .session_new = rocksdb_engine_session_new,
    .session_free = rocksdb_engine_session_free,
    .put = rocksdb_engine_put,
    .remove = rocksdb_engine_remove,
    .batch_put = rocksdb_engine_batch_put,
    .batch_commit = rocksdb_engine_batch_commit,
    .get = rocksdb_engine_get,
    .get_many = rocksdb_engine_get_many,
    .iter_new = rocksdb_engine_iter_new,
    .iter_free = rocksdb_engine_iter_free,
    .iter_first = rocksdb_engine_iter_first,
    .iter_last = rocksdb_engine_iter_last,
    .iter_seek = rocksdb_engine_iter_seek,
    .iter_next = rocksdb_engine_iter_next,
    .iter_prev = rocksdb_engine_iter_prev,
    .flush = rocksdb_engine_flush,
    .compact = rocksdb_engine_compact,
    .wait_idle = rocksdb_engine_wait_idle,
    .debt_bytes = rocksdb_engine_debt_bytes,
    .describe = rocksdb_engine_describe,
    .counters = rocksdb_engine_counters,
};
