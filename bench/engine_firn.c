/* Firn through its public API. */
#include <stdlib.h>
#include <string.h>

#include "engines.h"
#include "firn/firn.h"

enum { FIRN_EVENTS_KEPT_BYTES = 3000 };

typedef struct firn_engine {
    firn_db *db;
    firn_options options;
    bool opening; /* events are kept only until the open returns */
    size_t events_bytes;
    char events[FIRN_EVENTS_KEPT_BYTES]; /* what the open said of the options it derived */
} firn_engine;

typedef struct firn_session {
    firn_db *db;
    firn_batch *batch;
    firn_value value;
    firn_value many[ENGINE_MANY];
} firn_session;

static void firn_engine_check(firn_status st, const char *what) {
    if (st != FIRN_OK)
        bench_fail("firn: %s: %s: %s", what, firn_status_name(st), firn_error_detail());
}

static void firn_engine_version(char *text, size_t size) {
    snprintf(text, size, "%s", firn_version());
}

static void firn_engine_on_event(void *context, const char *json, size_t size) {
    firn_engine *e = context;
    if (!e->opening || !strstr(json, "option") ||
        e->events_bytes + size + 2 > FIRN_EVENTS_KEPT_BYTES)
        return;
    memcpy(e->events + e->events_bytes, json, size);
    e->events_bytes += size;
    e->events[e->events_bytes++] = '\n';
}

static void firn_engine_set(void *context, const char *name, const char *value) {
    firn_engine_check(firn_options_set(context, name, value), name);
}

static void *firn_engine_open(const engine_settings *settings) {
    firn_engine *e = bench_alloc(sizeof *e);
    firn_options *o = &e->options;
    *o = (firn_options)FIRN_OPTIONS_INIT;
    o->durability = FIRN_SYNC_MANUAL;
    o->memtable_bytes = settings->memtable_bytes;
    o->cache_bytes = settings->cache_bytes ? settings->cache_bytes : FIRN_NONE;
    o->block_bytes = settings->block_bytes;
    o->filter_bits_per_key = settings->filter_bits ? settings->filter_bits : UINT32_MAX;
    o->threads = settings->background_threads;
    o->on_event = firn_engine_on_event;
    o->on_event_context = e;
    if (strcmp(settings->compression, "none") != 0)
        firn_engine_set(o, "compression", settings->compression);
    engine_extra_options(settings, "firn", firn_engine_set, o);
    e->opening = true;
    firn_engine_check(firn_open(settings->path, o, &e->db), "open");
    e->opening = false;
    return e;
}

static void firn_engine_close(void *db) {
    firn_engine *e = db;
    firn_engine_check(firn_close(e->db), "close");
    free(e);
}

static void *firn_engine_session_new(void *db) {
    firn_engine *e = db;
    firn_session *s = bench_alloc(sizeof *s);
    s->db = e->db;
    firn_engine_check(firn_batch_new(&s->batch), "new batch");
    return s;
}

static void firn_engine_session_free(void *session) {
    firn_session *s = session;
    firn_value_release(&s->value);
    for (size_t i = 0; i < ENGINE_MANY; i++)
        firn_value_release(&s->many[i]);
    firn_batch_free(s->batch);
    free(s);
}

static const firn_write_options *firn_engine_write_options(bool sync) {
    static const firn_write_options synced = {.size = sizeof synced, .sync = FIRN_YES};
    return sync ? &synced : NULL;
}

static void firn_engine_put(void *session, firn_slice key, firn_slice value, bool sync) {
    firn_session *s = session;
    firn_status st = firn_put(s->db, firn_engine_write_options(sync), key, value);
    if (st != FIRN_OK)
        firn_engine_check(st, "put");
}

static void firn_engine_remove(void *session, firn_slice key, bool sync) {
    firn_session *s = session;
    firn_engine_check(firn_delete(s->db, firn_engine_write_options(sync), key), "delete");
}

static void firn_engine_batch_put(void *session, firn_slice key, firn_slice value) {
    firn_session *s = session;
    firn_engine_check(firn_batch_put(s->batch, key, value), "batch put");
}

static void firn_engine_batch_commit(void *session, bool sync) {
    firn_session *s = session;
    firn_engine_check(firn_write(s->db, firn_engine_write_options(sync), s->batch), "write");
    firn_batch_clear(s->batch);
}

static bool firn_engine_get(void *session, firn_slice key, firn_slice *value) {
    firn_session *s = session;
    firn_value_release(&s->value);
    firn_status st = firn_get(s->db, NULL, key, &s->value);
    if (st == FIRN_NOT_FOUND)
        return false;
    firn_engine_check(st, "get");
    *value = firn_slice_of(s->value.data, s->value.size);
    return true;
}

static void firn_engine_get_many(void *session, const firn_slice *keys, firn_slice *values,
                                 size_t count) {
    firn_session *s = session;
    firn_status statuses[ENGINE_MANY];
    for (size_t i = 0; i < ENGINE_MANY; i++)
        firn_value_release(&s->many[i]);
    firn_engine_check(firn_multi_get(s->db, NULL, count, keys, s->many, statuses), "multi get");
    for (size_t i = 0; i < count; i++)
        values[i] = statuses[i] == FIRN_OK ? firn_slice_of(s->many[i].data, s->many[i].size)
                                           : firn_slice_of(NULL, 0);
}

static void *firn_engine_iter_new(void *session) {
    firn_session *s = session;
    firn_iter *it;
    firn_engine_check(firn_iter_new(s->db, NULL, &it), "new iterator");
    return it;
}

static void firn_engine_iter_free(void *iter) {
    firn_iter_free(iter);
}

static bool firn_engine_iter_entry(firn_iter *it, engine_entry *out) {
    if (!firn_iter_valid(it)) {
        firn_engine_check(firn_iter_status(it), "iterate");
        return false;
    }
    out->key = firn_iter_key(it);
    out->value = firn_iter_value(it);
    return true;
}

static bool firn_engine_iter_first(void *iter, engine_entry *out) {
    firn_iter_seek_first(iter);
    return firn_engine_iter_entry(iter, out);
}

static bool firn_engine_iter_last(void *iter, engine_entry *out) {
    firn_iter_seek_last(iter);
    return firn_engine_iter_entry(iter, out);
}

static bool firn_engine_iter_seek(void *iter, firn_slice key, engine_entry *out) {
    firn_iter_seek(iter, key);
    return firn_engine_iter_entry(iter, out);
}

static bool firn_engine_iter_next(void *iter, engine_entry *out) {
    firn_iter_next(iter);
    return firn_engine_iter_entry(iter, out);
}

static bool firn_engine_iter_prev(void *iter, engine_entry *out) {
    firn_iter_prev(iter);
    return firn_engine_iter_entry(iter, out);
}

static void firn_engine_flush(void *db) {
    firn_engine_check(firn_flush(((firn_engine *)db)->db), "flush");
}

static void firn_engine_compact(void *db) {
    firn_slice open_bound = {NULL, 0};
    firn_engine_check(firn_compact_range(((firn_engine *)db)->db, open_bound, open_bound),
                      "compact");
}

static void firn_engine_wait_idle(void *db) {
    firn_engine_check(firn_wait_idle(((firn_engine *)db)->db), "wait until idle");
}

static void firn_engine_stats(void *db, firn_stats *out) {
    memset(out, 0, sizeof *out);
    out->size = sizeof *out;
    firn_engine_check(firn_get_stats(((firn_engine *)db)->db, out), "stats");
}

static uint64_t firn_engine_debt_bytes(void *db) {
    firn_stats stats;
    firn_engine_stats(db, &stats);
    return stats.pending_compaction_bytes;
}

static void firn_engine_describe(void *db, FILE *to) {
    const firn_engine *e = db;
    const firn_options *o = &e->options;
    fprintf(to, "durability=manual (log written, not synced)\n");
    fprintf(to, "memtable_bytes=%llu\n", (unsigned long long)o->memtable_bytes);
    fprintf(to, "cache_bytes=%llu\n", (unsigned long long)o->cache_bytes);
    fprintf(to, "block_bytes=%u\n", o->block_bytes);
    fprintf(to, "filter_bits_per_key=%u\n", o->filter_bits_per_key);
    fprintf(to, "threads=%u\n", o->threads);
    fwrite(e->events, 1, e->events_bytes, to);
}

static void firn_engine_counters(void *db, FILE *to) {
    firn_stats s;
    firn_engine_stats(db, &s);
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        {"log_bytes_written", s.log_bytes_written},
        {"log_syncs", s.log_syncs},
        {"commit_groups", s.commit_groups},
        {"flushes", s.flushes},
        {"flush_bytes", s.flush_bytes},
        {"compactions", s.compactions},
        {"compaction_bytes_read", s.compaction_bytes_read},
        {"compaction_bytes_written", s.compaction_bytes_written},
        {"trivial_moves", s.trivial_moves},
        {"cache_hits", s.cache_hits},
        {"cache_misses", s.cache_misses},
        {"filter_checked", s.filter_checked},
        {"filter_useful", s.filter_useful},
        {"recovered_bytes", s.recovered_bytes},
        {"table_files", s.table_files},
        {"table_bytes", s.table_bytes},
        {"log_bytes", s.log_bytes},
        {"l0_files", s.levels[0].files},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        fprintf(to, "%s\"%s\": %llu", i ? ", " : "", rows[i].name,
                (unsigned long long)rows[i].value);
    for (uint32_t i = 0; i < s.wait_count; i++)
        fprintf(to, ", \"waits: %s\": {\"count\": %llu, \"ns\": %llu, \"max_ns\": %llu}",
                s.waits[i].cause, (unsigned long long)s.waits[i].count,
                (unsigned long long)s.waits[i].total_ns, (unsigned long long)s.waits[i].max_ns);
}

const engine_methods engine_firn = {
    .name = "firn",
    .stores = true,
    .version = firn_engine_version,
    .open = firn_engine_open,
    .close = firn_engine_close,
    .session_new = firn_engine_session_new,
    .session_free = firn_engine_session_free,
    .put = firn_engine_put,
    .remove = firn_engine_remove,
    .batch_put = firn_engine_batch_put,
    .batch_commit = firn_engine_batch_commit,
    .get = firn_engine_get,
    .get_many = firn_engine_get_many,
    .iter_new = firn_engine_iter_new,
    .iter_free = firn_engine_iter_free,
    .iter_first = firn_engine_iter_first,
    .iter_last = firn_engine_iter_last,
    .iter_seek = firn_engine_iter_seek,
    .iter_next = firn_engine_iter_next,
    .iter_prev = firn_engine_iter_prev,
    .flush = firn_engine_flush,
    .compact = firn_engine_compact,
    .wait_idle = firn_engine_wait_idle,
    .debt_bytes = firn_engine_debt_bytes,
    .describe = firn_engine_describe,
    .counters = firn_engine_counters,
};
