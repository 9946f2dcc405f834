/* The recovery workload: how long a database takes to open whose process died with a long log.
 *
 * Another process of this program fills a database with memtables large enough that nothing is
 * flushed, and leaves without closing it, as kill -9 would. Then the open is timed. */
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process.h"
#include "run.h"

static uint64_t recovery_memtable_bytes(const bench_config *c) {
    const uint64_t most = (uint64_t)1 << 30;
    uint64_t wanted = 4 * c->recovery_bytes;
    if (wanted < c->settings.memtable_bytes)
        wanted = c->settings.memtable_bytes;
    return wanted < most ? wanted : most;
}

/* Fills `path` in a process that ends without closing. */
static void recovery_fill(const bench *b, const char *path, uint64_t keys) {
    const bench_config *c = b->config;
    char engine[64], num[64], dir[600], memtable[64], key_shape[64], key_bytes[64], value_bytes[64];
    snprintf(engine, sizeof engine, "--engine=%s", b->engine->name);
    snprintf(num, sizeof num, "--num=%llu", (unsigned long long)keys);
    snprintf(dir, sizeof dir, "--dir=%s", path);
    snprintf(memtable, sizeof memtable, "--memtable=%llu",
             (unsigned long long)recovery_memtable_bytes(c));
    snprintf(key_shape, sizeof key_shape, "--key-shape=%s", key_shape_name(c->key.shape));
    snprintf(key_bytes, sizeof key_bytes, "--key-bytes=%zu", c->key.bytes);
    snprintf(value_bytes, sizeof value_bytes, "--value-bytes=%llu",
             (unsigned long long)c->value_bytes);
    char *arguments[20 + 2 * EXTRA_OPTIONS_MAX] = {"firn-bench",
                                                   engine,
                                                   num,
                                                   dir,
                                                   memtable,
                                                   key_shape,
                                                   key_bytes,
                                                   value_bytes,
                                                   "--quiet",
                                                   "--keep",
                                                   "--exit-without-close",
                                                   "--benchmarks=fillrandom"};
    int count = 12;
    for (size_t i = 0; i < c->settings.extra_option_count; i++) {
        arguments[count++] = "--option";
        arguments[count++] = (char *)(uintptr_t)c->extra_options[i];
    }
    pid_t pid;
    int state;
    if (posix_spawn(&pid, "/proc/self/exe", NULL, NULL, arguments, environ) != 0 ||
        waitpid(pid, &state, 0) != pid || state != 0)
        bench_fail("%s: the process that fills the log failed", b->engine->name);
}

/* A sample of the keys must be there, with their values. */
static uint64_t recovery_check(const bench *b, void *db, uint64_t keys, step_result *out) {
    enum { SAMPLES = 1000 };
    value_source values;
    uint8_t buffer[KEY_BUFFER_BYTES];
    void *session = b->engine->session_new(db);
    if (!value_source_init(&values, b->config->value_bytes, b->config->compressible_to))
        bench_fail("out of memory");
    for (uint64_t i = 0; b->engine->stores && i < SAMPLES; i++) {
        firn_slice value;
        firn_slice key = key_make(&b->config->key, i * (keys - 1) / (SAMPLES - 1), buffer);
        if (!b->engine->get(session, key, &value))
            bench_fail("%s: recovery: LOST: a key that was acknowledged", b->engine->name);
        if (!value_belongs(&values, value, key_hash(key)) || !value_is_whole(&values, value))
            bench_fail("%s: recovery: WRONG VALUE", b->engine->name);
        out->sums.checksum += key_hash(key) + value_touch(value);
        out->sums.found++;
    }
    value_source_deinit(&values);
    b->engine->session_free(session);
    return SAMPLES;
}

void bench_recover(bench *b, const bench_step *step, step_result *out) {
    const bench_config *c = b->config;
    uint64_t keys = c->recovery_bytes / (c->key.bytes + c->value_bytes);
    char parent[560], path[640];
    (void)step;
    bench_close(b);
    snprintf(parent, sizeof parent, "%s-recovery", b->path);
    directory_remove(parent);
    directory_make(parent);
    recovery_fill(b, parent, keys ? keys : 1);
    snprintf(path, sizeof path, "%s/%s", parent, b->engine->name);
    directory_sync(parent);

    engine_settings settings = c->settings;
    settings.path = path;
    settings.memtable_bytes = recovery_memtable_bytes(c);
    usage before, after;
    process_usage(&before);
    uint64_t start_ns = clock_ns();
    void *db = b->engine->open(&settings);
    out->seconds = (double)(clock_ns() - start_ns) / 1e9;
    process_usage(&after);
    out->during = out->and_drain = usage_since(&after, &before);
    out->sums.cpu_ns = out->during.cpu_user_ns + out->during.cpu_system_ns;
    out->operations = keys ? keys : 1;
    out->rss_anon_peak = process_rss_anon();
    recovery_check(b, db, keys ? keys : 1, out);
    b->engine->version(out->version, sizeof out->version);
    b->engine->close(db);
    directory_remove(parent);
}
