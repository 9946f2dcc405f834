/* Which engines this program was built with, and what all of them share. */
#include "engines.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const engine_methods *const engines_built_in[] = {
    &engine_firn,
#if FIRN_BENCH_ROCKSDB
    &engine_rocksdb,
#endif
#if FIRN_BENCH_LEVELDB
    &engine_leveldb,
#endif
#if FIRN_BENCH_LMDB
    &engine_lmdb,
#endif
#if FIRN_BENCH_WIREDTIGER
    &engine_wiredtiger, &engine_wiredtiger_lsm,
#endif
#if FIRN_BENCH_SQLITE
    &engine_sqlite,
#endif
    &engine_bare,       &engine_none,           NULL,
};

const engine_methods *const *engine_list(void) {
    return engines_built_in;
}

const engine_methods *engine_find(const char *name) {
    for (size_t i = 0; engines_built_in[i]; i++) {
        if (strcmp(engines_built_in[i]->name, name) == 0)
            return engines_built_in[i];
    }
    return NULL;
}

void engine_extra_options(const engine_settings *settings, const char *engine,
                          void (*apply)(void *context, const char *name, const char *value),
                          void *context) {
    size_t engine_size = strlen(engine);
    for (size_t i = 0; i < settings->extra_option_count; i++) {
        const char *option = settings->extra_options[i];
        if (strncmp(option, engine, engine_size) != 0 || option[engine_size] != ':')
            continue;
        char name[64];
        const char *start = option + engine_size + 1;
        const char *equals = strchr(start, '=');
        if (!equals || (size_t)(equals - start) >= sizeof name)
            bench_fail("\"%s\" is not of the form engine:name=value", option);
        memcpy(name, start, (size_t)(equals - start));
        name[equals - start] = '\0';
        apply(context, name, equals + 1);
    }
}

void bench_fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("firn-bench: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    /* Not exit(): the databases' own handlers would run on a state nobody knows. */
    fflush(stderr);
    _Exit(1);
}

void *bench_alloc(size_t bytes) {
    void *memory = calloc(1, bytes ? bytes : 1);
    if (!memory)
        bench_fail("out of memory (%zu bytes)", bytes);
    return memory;
}
