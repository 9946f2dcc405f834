/* firn-guard: does each hot path a fixed number of times and says what an operation cost.
 *
 * Instructions are counted from outside (callgrind, collecting only inside the functions called
 * guard_path_...); this program itself counts allocations, by standing in front of the C library's,
 * and read and write calls, as the kernel counts them. guard.py runs it and compares. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <firn/firn.h>

enum {
    GUARD_KEYS = 50000,
    GUARD_KEY_BYTES = 16,
    GUARD_VALUE_BYTES = 100,
    GUARD_BATCH = 100,
    GUARD_MANY = 32
};

/* --- counting --- */

static uint64_t guard_allocations;

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *memory, size_t bytes);

/* Background threads are idle while a path runs, so a plain count is exact. */
void *malloc(size_t bytes) {
    guard_allocations++;
    return __libc_malloc(bytes);
}
void *calloc(size_t count, size_t bytes) {
    guard_allocations++;
    return __libc_calloc(count, bytes);
}
void *realloc(void *memory, size_t bytes) {
    guard_allocations++;
    return __libc_realloc(memory, bytes);
}

/* Reads and writes of this process by system call, so far; mapped files make none. */
static uint64_t guard_io_calls(void) {
    uint64_t calls = 0, value;
    char line[128];
    FILE *io = fopen("/proc/self/io", "r");
    while (io && fgets(line, sizeof line, io)) {
        if (sscanf(line, "syscr: %" SCNu64, &value) == 1 ||
            sscanf(line, "syscw: %" SCNu64, &value) == 1)
            calls += value;
    }
    if (io)
        fclose(io);
    return calls;
}

/* --- the database --- */

static void guard_must(firn_status st, const char *what) {
    if (st == FIRN_OK)
        return;
    fprintf(stderr, "firn-guard: %s: %s: %s\n", what, firn_status_name(st), firn_error_detail());
    exit(1);
}

#define MUST(call) guard_must((call), #call)

typedef struct guard {
    firn_db *db;
    firn_batch *batch;
    firn_iter *it;
    uint32_t next; /* of a walk that comes to every number below GUARD_KEYS once */
    uint64_t found;
} guard;

/* Keys as people write them: zero-padded decimal numbers. Odd ones are never there. */
static firn_slice guard_key(char *key, uint32_t number, bool missing) {
    for (int i = GUARD_KEY_BYTES - 1; i >= 0; i--) {
        key[i] = (char)('0' + number % 10);
        number /= 10;
    }
    key[GUARD_KEY_BYTES - 1] = missing ? 'x' : key[GUARD_KEY_BYTES - 1];
    return firn_slice_of(key, GUARD_KEY_BYTES);
}

static uint32_t guard_walk(guard *g) {
    g->next = (g->next + 30011) % GUARD_KEYS; /* a prime that does not divide it */
    return g->next;
}

static char guard_value[GUARD_VALUE_BYTES];

/* --- the paths; each does one operation --- */

#define PATH __attribute__((noinline)) static void

PATH guard_path_put_random(guard *g) {
    char key[GUARD_KEY_BYTES];
    MUST(firn_put(g->db, NULL, guard_key(key, guard_walk(g), false),
                  firn_slice_of(guard_value, sizeof guard_value)));
}
PATH guard_path_put_sequential(guard *g) {
    char key[GUARD_KEY_BYTES];
    MUST(firn_put(g->db, NULL, guard_key(key, g->next++, false),
                  firn_slice_of(guard_value, sizeof guard_value)));
}
PATH guard_path_batch_of_100(guard *g) {
    char key[GUARD_KEY_BYTES];
    firn_batch_clear(g->batch);
    for (int i = 0; i < GUARD_BATCH; i++)
        MUST(firn_batch_put(g->batch, guard_key(key, guard_walk(g), false),
                            firn_slice_of(guard_value, sizeof guard_value)));
    MUST(firn_write(g->db, NULL, g->batch));
}
PATH guard_path_delete(guard *g) {
    char key[GUARD_KEY_BYTES];
    MUST(firn_delete(g->db, NULL, guard_key(key, guard_walk(g), false)));
}
PATH guard_path_get(guard *g) {
    char key[GUARD_KEY_BYTES];
    firn_value value;
    MUST(firn_get(g->db, NULL, guard_key(key, guard_walk(g), false), &value));
    g->found++;
    firn_value_release(&value);
}
PATH guard_path_get_missing(guard *g) {
    char key[GUARD_KEY_BYTES];
    firn_value value;
    if (firn_get(g->db, NULL, guard_key(key, guard_walk(g), true), &value) != FIRN_NOT_FOUND)
        exit(1);
}
/* Not named as a path: one within another would not be counted. */
static void guard_seek_and_10_next(guard *g) {
    char key[GUARD_KEY_BYTES];
    firn_iter_seek(g->it, guard_key(key, guard_walk(g), false));
    for (int i = 0; i < 10 && firn_iter_valid(g->it); i++) {
        g->found += firn_iter_value(g->it).size;
        firn_iter_next(g->it);
    }
}
PATH guard_path_seek_and_10_next(guard *g) {
    guard_seek_and_10_next(g);
}
/* With an iterator of its own, as a request makes one. */
PATH guard_path_scan_of_10(guard *g) {
    MUST(firn_iter_new(g->db, NULL, &g->it));
    guard_seek_and_10_next(g);
    firn_iter_free(g->it);
}
PATH guard_path_multi_get_of_32(guard *g) {
    char keys[GUARD_MANY][GUARD_KEY_BYTES];
    firn_slice slices[GUARD_MANY];
    firn_value values[GUARD_MANY];
    firn_status statuses[GUARD_MANY];
    for (int i = 0; i < GUARD_MANY; i++)
        slices[i] = guard_key(keys[i], guard_walk(g), false);
    MUST(firn_multi_get(g->db, NULL, GUARD_MANY, slices, values, statuses));
    for (int i = 0; i < GUARD_MANY; i++)
        firn_value_release(&values[i]);
}
PATH guard_path_next(guard *g) {
    g->found += firn_iter_value(g->it).size;
    firn_iter_next(g->it);
    if (!firn_iter_valid(g->it))
        firn_iter_seek_first(g->it);
}
PATH guard_path_prev(guard *g) {
    g->found += firn_iter_value(g->it).size;
    firn_iter_prev(g->it);
    if (!firn_iter_valid(g->it))
        firn_iter_seek_last(g->it);
}

/* --- running them --- */

typedef void (*guard_path)(guard *g);

/* By its name the profiler knows where one path ends and the next begins. */
__attribute__((noinline)) static void guard_measure(guard *g, const char *name, guard_path path,
                                                    uint32_t operations) {
    g->next = 0;
    uint64_t io = guard_io_calls();
    uint64_t allocations = guard_allocations;
    for (uint32_t i = 0; i < operations; i++)
        path(g);
    allocations = guard_allocations - allocations;
    io = guard_io_calls() - io;
    printf("%s %" PRIu32 " %" PRIu64 " %" PRIu64 "\n", name, operations, allocations, io);
}

static void guard_open(guard *g, const char *directory, const char *name) {
    char path[4096];
    firn_options options = FIRN_OPTIONS_INIT;
    options.memtable_bytes = 64 << 20;
    options.cache_bytes = 64 << 20;
    snprintf(path, sizeof path, "%s/%s", directory, name);
    MUST(firn_open(path, &options, &g->db));
}

static void guard_writes(guard *g, const char *directory) {
    guard_open(g, directory, "random");
    MUST(firn_batch_new(&g->batch));
    guard_measure(g, "put_random", guard_path_put_random, GUARD_KEYS);
    guard_measure(g, "get_from_memtable", guard_path_get, GUARD_KEYS);
    guard_measure(g, "delete", guard_path_delete, GUARD_KEYS / 5);
    MUST(firn_close(g->db));
    guard_open(g, directory, "sequential");
    guard_measure(g, "put_sequential", guard_path_put_sequential, GUARD_KEYS);
    MUST(firn_close(g->db));
    guard_open(g, directory, "batches");
    guard_measure(g, "batch_of_100", guard_path_batch_of_100, GUARD_KEYS / GUARD_BATCH);
}

/* Into the caches, outside any path. */
static void guard_warm_up(guard *g) {
    char key[GUARD_KEY_BYTES];
    firn_value value;
    for (uint32_t i = 0; i < GUARD_KEYS; i++) {
        MUST(firn_get(g->db, NULL, guard_key(key, i, false), &value));
        firn_value_release(&value);
    }
}

static void guard_reads(guard *g) {
    MUST(firn_flush(g->db));
    MUST(firn_compact_range(g->db, (firn_slice){0}, (firn_slice){0}));
    guard_warm_up(g);
    guard_measure(g, "get_from_tables", guard_path_get, GUARD_KEYS);
    guard_measure(g, "get_missing", guard_path_get_missing, GUARD_KEYS);
    guard_measure(g, "multi_get_of_32", guard_path_multi_get_of_32, GUARD_KEYS / GUARD_MANY);
    guard_measure(g, "scan_of_10", guard_path_scan_of_10, GUARD_KEYS / 10);
    MUST(firn_iter_new(g->db, NULL, &g->it));
    guard_measure(g, "seek_and_10_next", guard_path_seek_and_10_next, GUARD_KEYS / 10);
    firn_iter_seek_first(g->it);
    guard_measure(g, "next", guard_path_next, GUARD_KEYS);
    firn_iter_seek_last(g->it);
    guard_measure(g, "prev", guard_path_prev, GUARD_KEYS);
    firn_iter_free(g->it);
}

int main(int argc, char **argv) {
    guard g = {0};
    if (argc != 2) {
        fprintf(stderr, "usage: firn-guard EMPTY-DIRECTORY\n");
        return 2;
    }
    for (size_t i = 0; i < sizeof guard_value; i++)
        guard_value[i] = (char)('a' + i * 7 % 26);
    guard_writes(&g, argv[1]);
    guard_reads(&g);
    firn_batch_free(g.batch);
    MUST(firn_close(g.db));
    return 0;
}
