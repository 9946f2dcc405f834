/* bench/engine.h - what the driver needs of a key-value engine, so that the same workload code
 * drives every one of them.
 *
 * An engine has no way of failing softly: a benchmark in which a call failed has measured nothing.
 * So every function either does its job or ends the process through bench_fail().
 *
 * Threads: one database, opened by one thread; each worker has its own session. Everything else
 * belongs to the thread of its session. Slices handed in are borrowed for the call; slices handed
 * out are valid until the next call on the same session or iterator. */
#ifndef FIRN_BENCH_ENGINE_H
#define FIRN_BENCH_ENGINE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "firn/slice.h"

/* The same for every engine; one that cannot do what is asked says so and ends. */
typedef struct engine_settings {
    const char *path; /* a directory, made by the driver */
    uint64_t memtable_bytes;
    uint64_t cache_bytes;
    uint64_t map_bytes; /* engines that map one file need its largest size */
    uint32_t block_bytes;
    uint32_t filter_bits; /* 0: none */
    uint32_t background_threads;
    bool sync; /* most writes will be synced: for engines that fix this when they open */
    const char *compression;          /* "none", "lz4", "snappy", "zstd" */
    const char *const *extra_options; /* "engine:name=value"; those of other engines are skipped */
    size_t extra_option_count;
} engine_settings;

enum { ENGINE_MANY = 32 };

typedef struct engine_entry {
    firn_slice key;
    firn_slice value;
} engine_entry;

typedef struct engine_methods {
    const char *name;
    /* False: keeps nothing and finds nothing. It shows what the driver itself costs. */
    bool stores;
    /* Lets `text` (of `size`) name the version of the library that runs. */
    void (*version)(char *text, size_t size);

    void *(*open)(const engine_settings *settings);
    void (*close)(void *db);
    void *(*session_new)(void *db);
    void (*session_free)(void *session);

    void (*put)(void *session, firn_slice key, firn_slice value, bool sync);
    void (*remove)(void *session, firn_slice key, bool sync);
    /* Collects; nothing is visible before the commit. */
    void (*batch_put)(void *session, firn_slice key, firn_slice value);
    void (*batch_commit)(void *session, bool sync);
    bool (*get)(void *session, firn_slice key, firn_slice *value);
    /* Reads up to ENGINE_MANY keys at once; the value of one that is not there is {NULL, 0}. NULL:
     * the engine has no such call, and keys are read one by one. */
    void (*get_many)(void *session, const firn_slice *keys, firn_slice *values, size_t count);

    /* At most one iterator per session, seeing what was there when it was made. Each step gives the
       entry it arrived at, or false past the end. Direction changes only by a new positioning. */
    void *(*iter_new)(void *session);
    void (*iter_free)(void *iter);
    bool (*iter_first)(void *iter, engine_entry *out);
    bool (*iter_last)(void *iter, engine_entry *out);
    bool (*iter_seek)(void *iter, firn_slice key, engine_entry *out);
    bool (*iter_next)(void *iter, engine_entry *out);
    bool (*iter_prev)(void *iter, engine_entry *out);

    /* Empties the memtables into files. NULL where there are none. */
    void (*flush)(void *db);
    /* Rewrites everything into its final form. NULL where there is nothing to rewrite. */
    void (*compact)(void *db);
    /* Waits until no background work is running or due. NULL: the driver watches the threads. */
    void (*wait_idle)(void *db);
    /* Bytes of background work that are due. NULL: there is no such thing. */
    uint64_t (*debt_bytes)(void *db);
    /* Options in effect, as "name=value" lines. */
    void (*describe)(void *db, FILE *to);
    /* The engine's own counters since it was opened, as members of a JSON object. NULL: none. */
    void (*counters)(void *db, FILE *to);
} engine_methods;

/* The engine of that name, or NULL if it is unknown or was not there when this was built. */
const engine_methods *engine_find(const char *name);

/* All that are built in, ended by NULL. */
const engine_methods *const *engine_list(void);

/* Calls `apply` for each extra option meant for `engine`. */
void engine_extra_options(const engine_settings *settings, const char *engine,
                          void (*apply)(void *context, const char *name, const char *value),
                          void *context);

/* Prints one line to standard error and ends the process with status 1. */
__attribute__((noreturn, format(printf, 1, 2))) void bench_fail(const char *format, ...);

/* malloc that cannot fail; zeroed. */
void *bench_alloc(size_t bytes);

#endif
