/* budget WAY - whether a database stays within memory_bytes, by what the system says (RssAnon, ten
 * thousand times a second at most), above the level before the open and less what this program
 * holds itself. WAY is how it is used: mapped, pread, lz4, iterators, large. Linux. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "firn/firn.h"

#define MIB (1ull << 20)

/* The contract: memory_bytes, and beside it what does not grow with the data: stacks of threads,
 * the lists of files, the allocator's own, and what jobs take for a moment that come while readers
 * hold all they may. Peaks of 71 MiB have been seen, of 88 to 104 with a charge left out. */
#define BUDGET   (64 * MIB)
#define CONSTANT (16 * MIB)

enum { KEY_BYTES = 16, VALUE_BYTES = 240, KEYS = 600000, PINNED_VALUE_BYTES = 3000 };

#define REQUIRE(condition)                                                    \
    do {                                                                      \
        if (!(condition)) {                                                   \
            fprintf(stderr, "line %d: %s failed: %s\n", __LINE__, #condition, \
                    firn_error_detail());                                     \
            exit(1);                                                          \
        }                                                                     \
    } while (0)

/* --- measuring --- */

static uint64_t anonymous_bytes(void) {
    char line[256];
    unsigned long long kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    if (!file)
        exit(77);
    while (fgets(line, sizeof line, file))
        (void)sscanf(line, "RssAnon: %llu kB", &kib);
    fclose(file);
    return kib << 10;
}

static atomic_ullong peak;
static atomic_int stopped;

static void *sample(void *unused) {
    (void)unused;
    while (!atomic_load(&stopped)) {
        unsigned long long now = anonymous_bytes();
        if (now > atomic_load(&peak))
            atomic_store(&peak, now);
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    return NULL;
}

static uint64_t base;
static int failures;

/* Ends a phase: `own` is what this program has come to hold since the base was taken. */
static void phase(firn_db *db, const char *name, uint64_t own) {
    firn_stats stats = {.size = sizeof stats};
    REQUIRE(firn_get_stats(db, &stats) == FIRN_OK);
    uint64_t most = atomic_exchange(&peak, 0), held = most > base + own ? most - base - own : 0;
    int good = held <= BUDGET + CONSTANT;
    failures += !good;
    printf("%-28s %6.1f MiB of %llu, now %6.1f charged:", name, (double)held / MIB,
           (unsigned long long)(BUDGET / MIB), (double)stats.memory_charged_bytes / MIB);
    for (uint32_t i = 0; i < stats.memory_count; i++)
        if (stats.memory[i].bytes >= MIB / 10)
            printf(" %s %.1f", stats.memory[i].kind, (double)stats.memory[i].bytes / MIB);
    printf("%s\n", good ? "" : "  TOO MUCH");
    fflush(stdout);
}

/* --- the work --- */

static uint64_t random_state = 88172645463325252ull;

static uint64_t random_next(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    return random_state ^= random_state << 17;
}

static firn_slice key_of(uint64_t number, char key[KEY_BYTES + 1]) {
    snprintf(key, KEY_BYTES + 1, "%016llu", (unsigned long long)number);
    return firn_slice_of(key, KEY_BYTES);
}

/* Half of it is noise, so that it compresses to about that. */
static firn_slice value_of(uint8_t *value, size_t bytes) {
    memset(value, 'v', bytes);
    for (size_t i = 0; i + 8 <= bytes; i += 16) {
        uint64_t noise = random_next();
        memcpy(value + i, &noise, sizeof noise);
    }
    return firn_slice_of(value, bytes);
}

static void fill(firn_db *db, uint64_t puts, size_t value_bytes) {
    uint8_t *value = malloc(value_bytes);
    char key[KEY_BYTES + 1];
    for (uint64_t i = 0; i < puts; i++)
        REQUIRE(firn_put(db, NULL, key_of(random_next() % KEYS, key),
                         value_of(value, value_bytes)) == FIRN_OK);
    free(value);
}

static void read_randomly(firn_db *db, uint64_t gets) {
    char key[KEY_BYTES + 1];
    firn_value value;
    for (uint64_t i = 0; i < gets; i++) {
        firn_status st = firn_get(db, NULL, key_of(random_next() % KEYS, key), &value);
        REQUIRE(st == FIRN_OK || st == FIRN_NOT_FOUND);
        if (st == FIRN_OK)
            firn_value_release(&value);
    }
}

static void scan(firn_db *db, int backward) {
    firn_iter *it;
    REQUIRE(firn_iter_new(db, NULL, &it) == FIRN_OK);
    if (backward)
        for (firn_iter_seek_last(it); firn_iter_valid(it); firn_iter_prev(it))
            (void)firn_iter_value(it);
    else
        for (firn_iter_seek_first(it); firn_iter_valid(it); firn_iter_next(it))
            (void)firn_iter_value(it);
    REQUIRE(firn_iter_status(it) == FIRN_OK);
    firn_iter_free(it);
}

static void compact(firn_db *db) {
    REQUIRE(firn_compact_range(db, (firn_slice){0}, (firn_slice){0}) == FIRN_OK);
}

static void use_in_every_way(firn_db *db) {
    fill(db, KEYS, VALUE_BYTES);
    phase(db, "fill", 0);
    read_randomly(db, KEYS);
    phase(db, "random reads", 0);
    scan(db, 0);
    scan(db, 1);
    phase(db, "scans", 0);
    fill(db, KEYS / 2, VALUE_BYTES);
    phase(db, "fill with a full cache", 0);
    compact(db);
    phase(db, "compaction with a full cache", 0);
    read_randomly(db, KEYS);
    phase(db, "random reads again", 0);
}

/* --- readers that hold on to things --- */

enum { ITERATORS = 1000, VALUES = 40000 };

static void hold_iterators(firn_db *db) {
    static firn_iter *held[ITERATORS];
    char key[KEY_BYTES + 1];
    int refused = 0;
    for (int i = 0; i < ITERATORS; i++) {
        firn_status st = firn_iter_new(db, NULL, &held[i]);
        if (st == FIRN_OK) {
            firn_iter_seek(held[i], key_of(random_next() % KEYS, key));
            for (int j = 0; j < 40 && firn_iter_valid(held[i]); j++)
                firn_iter_next(held[i]);
            st = firn_iter_status(held[i]);
        }
        REQUIRE(st == FIRN_OK || st == FIRN_NO_MEMORY);
        refused += st == FIRN_NO_MEMORY;
    }
    printf("%d iterators, %d refused\n", ITERATORS, refused);
    phase(db, "1000 iterators", 0);
    /* Whatever they hold, what the database needs to go on is there. */
    uint8_t value[VALUE_BYTES];
    uint64_t written = 0;
    firn_status st = FIRN_OK;
    for (uint64_t i = 0; i < KEYS && st == FIRN_OK; i++, written++)
        st = firn_put(db, NULL, key_of(random_next() % KEYS, key), value_of(value, VALUE_BYTES));
    REQUIRE(st == FIRN_OK || st == FIRN_NO_MEMORY);
    if (st == FIRN_NO_MEMORY)
        REQUIRE(strstr(firn_error_detail(), "free or refresh iterators"));
    REQUIRE(firn_flush(db) == FIRN_OK);
    printf("%llu puts beside them\n", (unsigned long long)written);
    phase(db, "writes beside 1000 iterators", 0);
    for (int i = 0; i < ITERATORS; i++)
        firn_iter_free(held[i]);
    fill(db, 1000, VALUE_BYTES);
    scan(db, 0);
    phase(db, "after the iterators", 0);
}

static void hold_views(firn_db *db) {
    firn_iter *held[ITERATORS];
    int count = 0;
    char key[KEY_BYTES + 1];
    uint8_t value[VALUE_BYTES];
    firn_status st = FIRN_OK;
    /* Each keeps another memtable alive. */
    while (st == FIRN_OK && count < ITERATORS) {
        st = firn_iter_new(db, NULL, &held[count]);
        count += st == FIRN_OK;
        for (int i = 0; i < 20000 && st == FIRN_OK; i++)
            st =
                firn_put(db, NULL, key_of(random_next() % KEYS, key), value_of(value, VALUE_BYTES));
    }
    REQUIRE(st == FIRN_NO_MEMORY);
    REQUIRE(strstr(firn_error_detail(), "iterators keep flushed ones alive"));
    phase(db, "iterators that hold memtables", 0);
    for (int i = 0; i < count; i++)
        firn_iter_free(held[i]);
    fill(db, 1000, VALUE_BYTES);
    phase(db, "after them", 0);
}

static void hold_values(firn_db *db) {
    firn_value *held = calloc(VALUES, sizeof *held);
    memset(held, 1, VALUES * sizeof *held);
    uint64_t count = 0, tries = 0;
    char key[KEY_BYTES + 1];
    firn_status st = FIRN_OK;
    while (count < VALUES && tries++ < 10 * VALUES) {
        st = firn_get(db, NULL, key_of(random_next() % KEYS, key), &held[count]);
        REQUIRE(st == FIRN_OK || st == FIRN_NOT_FOUND || st == FIRN_NO_MEMORY);
        if (st == FIRN_NO_MEMORY)
            break;
        count += st == FIRN_OK;
    }
    REQUIRE(st == FIRN_NO_MEMORY);
    REQUIRE(strstr(firn_error_detail(), "release values"));
    printf("%llu values pinned, then refused\n", (unsigned long long)count);
    phase(db, "pinned values", VALUES * sizeof *held);
    for (uint64_t i = 0; i < count; i++)
        firn_value_release(&held[i]);
    free(held);
    read_randomly(db, 10000);
    phase(db, "after the values", 0);
}

static void use_large_values(firn_db *db) {
    size_t bytes = (size_t)1 << 30;
    FILE *file = tmpfile(); /* mapped, so that the caller's own memory does not count either */
    REQUIRE(file && ftruncate(fileno(file), (off_t)bytes) == 0);
    uint8_t *source = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);
    REQUIRE(source != MAP_FAILED);
    for (size_t i = 0; i < bytes; i += 4096)
        source[i] = (uint8_t)(i >> 12);
    firn_value value;
    REQUIRE(firn_put(db, NULL, FIRN_STR("large"), firn_slice_of(source, bytes)) == FIRN_OK);
    phase(db, "put of 1 GiB", 0);
    REQUIRE(firn_get(db, NULL, FIRN_STR("large"), &value) == FIRN_OK);
    REQUIRE(value.size == bytes && memcmp(value.data, source, bytes) == 0);
    phase(db, "get of 1 GiB from the log", 0);
    firn_value_release(&value);
    REQUIRE(firn_flush(db) == FIRN_OK);
    phase(db, "flush of 1 GiB", 0);
    REQUIRE(firn_get(db, NULL, FIRN_STR("large"), &value) == FIRN_OK);
    REQUIRE(value.size == bytes && memcmp(value.data, source, bytes) == 0);
    firn_value_release(&value);
    phase(db, "get of 1 GiB from a table", 0);
    munmap(source, bytes);
    fclose(file);
}

int main(int argc, char **argv) {
    REQUIRE(argc == 2);
    const char *way = argv[1];
    firn_options options = FIRN_OPTIONS_INIT;
    pthread_t sampler;
    firn_db *db;
    options.memory_bytes = BUDGET;
    options.table_io = strcmp(way, "mapped") == 0 ? FIRN_TABLE_IO_MAPPED : FIRN_TABLE_IO_PREAD;
    if (strcmp(way, "lz4") == 0)
        options.compression = FIRN_COMPRESSION_LZ4;
    base = anonymous_bytes();
    REQUIRE(pthread_create(&sampler, NULL, sample, NULL) == 0);
    REQUIRE(firn_open("db", &options, &db) == FIRN_OK);
    if (strcmp(way, "large") == 0) {
        use_large_values(db);
    } else if (strcmp(way, "iterators") == 0) {
        fill(db, KEYS / 2, VALUE_BYTES);
        read_randomly(db, KEYS / 2);
        hold_iterators(db);
        hold_views(db);
        fill(db, 20000, PINNED_VALUE_BYTES);
        compact(db);
        hold_values(db);
    } else {
        use_in_every_way(db);
    }
    REQUIRE(firn_close(db) == FIRN_OK);
    atomic_store(&stopped, 1);
    pthread_join(sampler, NULL);
    return failures > 0;
}
