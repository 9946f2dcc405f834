/* soak [--seconds N] [--threads N] [--keys N] [--directory DIR]: the real system under steady load.
 *
 * Threads write, read and scan keys of their own and know what each must be. The database is
 * reopened after every interval. Memory, descriptors and latency are looked at then, one line of
 * JSON each: over the whole run they must stay as they were in its first third. */
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "firn/firn.h"
#include "lib/test.h"
#include "util/hash.h"
#include "util/rng.h"

enum {
    SOAK_INTERVALS = 30,
    SOAK_THREADS_MAX = 16,
    SOAK_VALUE_BYTES_MAX = 1200,
    SOAK_BUCKETS = 64 * 8,
    SOAK_SCAN = 50,
    SOAK_FILES_SPARE = 24
};
#define SOAK_MEMORY_BYTES       (64ull << 20)
#define SOAK_MEMORY_SPARE_BYTES (16ull << 20)
#define SOAK_LATENCY_FACTOR     5

/* Eight buckets for each power of two of nanoseconds. */
typedef struct soak_times {
    uint64_t counts[SOAK_BUCKETS];
    uint64_t total, most;
} soak_times;

typedef struct soak_sample {
    uint64_t memory_bytes, files, operations, read_p99_ns, write_p99_ns, most_ns;
} soak_sample;

typedef struct soak soak;

typedef struct soak_thread {
    soak *s;
    unsigned number;
    pthread_t handle;
    rng random;
    uint32_t *versions; /* of this thread's keys; 0: deleted */
    soak_times reads, writes;
} soak_thread;

struct soak {
    firn_db *db;
    firn_options options;
    const char *path;
    uint64_t keys;
    unsigned threads;
    _Atomic int stops;
    soak_thread workers[SOAK_THREADS_MAX];
    soak_sample samples[SOAK_INTERVALS];
};

static _Noreturn void soak_fail(const char *what, uint64_t key) {
    fprintf(stderr, "soak: %s (key %llu): %s\n", what, (unsigned long long)key,
            firn_error_detail());
    exit(1);
}

static uint64_t soak_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* --- times --- */

static void soak_note_time(soak_times *t, uint64_t ns) {
    unsigned power = ns ? 63 - (unsigned)__builtin_clzll(ns) : 0;
    unsigned eighth = power >= 3 ? (unsigned)(ns >> (power - 3)) & 7 : 0;
    t->counts[power * 8 + eighth]++;
    t->total++;
    if (ns > t->most)
        t->most = ns;
}

static void soak_add_times(soak_times *to, const soak_times *from) {
    for (int i = 0; i < SOAK_BUCKETS; i++)
        to->counts[i] += from->counts[i];
    to->total += from->total;
    if (from->most > to->most)
        to->most = from->most;
}

static uint64_t soak_percentile(const soak_times *t, double share) {
    uint64_t seen = 0, wanted = (uint64_t)((double)t->total * share);
    for (unsigned i = 0; i < SOAK_BUCKETS; i++) {
        seen += t->counts[i];
        if (seen > wanted)
            return (1ull << (i / 8)) + ((uint64_t)(i % 8 + 1) << (i / 8)) / 8;
    }
    return t->most;
}

/* --- keys and values --- */

static size_t soak_key(unsigned thread, uint64_t key, char out[32]) {
    return (size_t)snprintf(out, 32, "user%02u%08llu", thread, (unsigned long long)key);
}

static size_t soak_value(unsigned thread, uint64_t key, uint32_t version, uint8_t *out) {
    const uint64_t words[] = {thread, key, version};
    uint64_t seed = hash64(words, sizeof words);
    size_t bytes = 16 + seed % (SOAK_VALUE_BYTES_MAX - 16);
    for (size_t at = 0; at < bytes; at += 8) {
        memcpy(out + at, &seed, bytes - at < 8 ? bytes - at : 8);
        seed = seed * 6364136223846793005u + 1442695040888963407u;
    }
    return bytes;
}

static void soak_check(soak_thread *t, uint64_t key, const uint8_t *data, size_t size) {
    uint8_t right[SOAK_VALUE_BYTES_MAX + 8];
    size_t bytes = soak_value(t->number, key, t->versions[key], right);
    if (size != bytes || memcmp(data, right, bytes) != 0)
        soak_fail("a wrong value", key);
}

/* --- what a thread does --- */

static void soak_write(soak_thread *t) {
    uint8_t value[SOAK_VALUE_BYTES_MAX + 8];
    char name[32];
    unsigned count = rng_below(&t->random, 10) ? 1 : 10;
    firn_batch *batch;
    if (firn_batch_new(&batch) != FIRN_OK)
        soak_fail("no batch", 0);
    uint64_t first = rng_below(&t->random, t->s->keys - count);
    uint32_t versions[10];
    for (unsigned i = 0; i < count; i++) {
        uint64_t key = first + i;
        firn_slice slice = firn_slice_of(name, soak_key(t->number, key, name));
        firn_status st;
        versions[i] = rng_below(&t->random, 8) ? (uint32_t)rng_next(&t->random) | 1 : 0;
        if (versions[i])
            st = firn_batch_put(batch, slice,
                                firn_slice_of(value,
                                              soak_value(t->number, key, versions[i], value)));
        else
            st = firn_batch_delete(batch, slice);
        if (st != FIRN_OK)
            soak_fail("a batch does not grow", key);
    }
    uint64_t started = soak_now_ns();
    if (firn_write(t->s->db, NULL, batch) != FIRN_OK)
        soak_fail("a write fails", first);
    soak_note_time(&t->writes, soak_now_ns() - started);
    memcpy(t->versions + first, versions, count * sizeof versions[0]);
    firn_batch_free(batch);
}

static void soak_get(soak_thread *t) {
    char name[32];
    firn_value value;
    uint64_t key = rng_below(&t->random, t->s->keys);
    uint64_t started = soak_now_ns();
    firn_status st =
        firn_get(t->s->db, NULL, firn_slice_of(name, soak_key(t->number, key, name)), &value);
    soak_note_time(&t->reads, soak_now_ns() - started);
    if (st == FIRN_OK && t->versions[key])
        soak_check(t, key, value.data, value.size);
    else if (st != FIRN_NOT_FOUND || t->versions[key])
        soak_fail("a read is wrong", key);
    firn_value_release(&value);
}

static void soak_scan(soak_thread *t) {
    char name[32];
    firn_iter *it;
    uint64_t key = rng_below(&t->random, t->s->keys);
    if (firn_iter_new(t->s->db, NULL, &it) != FIRN_OK)
        soak_fail("no iterator", key);
    firn_iter_seek(it, firn_slice_of(name, soak_key(t->number, key, name)));
    for (int i = 0; i < SOAK_SCAN && firn_iter_valid(it); i++, firn_iter_next(it)) {
        while (key < t->s->keys && !t->versions[key])
            key++;
        if (key == t->s->keys)
            break;
        firn_slice found = firn_iter_key(it);
        size_t size = soak_key(t->number, key, name);
        if (found.size != size || memcmp(found.data, name, size) != 0)
            soak_fail("a scan gives another key", key);
        firn_slice value = firn_iter_value(it);
        soak_check(t, key, value.data, value.size);
        key++;
    }
    if (firn_iter_status(it) != FIRN_OK)
        soak_fail("a scan fails", key);
    firn_iter_free(it);
}

static void *soak_run(void *context) {
    soak_thread *t = context;
    while (!t->s->stops) {
        uint64_t dice = rng_below(&t->random, 100);
        if (dice < 45)
            soak_write(t);
        else if (dice < 97)
            soak_get(t);
        else
            soak_scan(t);
    }
    return NULL;
}

/* --- samples --- */

static uint64_t soak_memory_bytes(void) {
    char line[128];
    unsigned long long kilobytes = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file)) {
        if (sscanf(line, "RssAnon: %llu", &kilobytes) == 1)
            break;
    }
    if (file)
        fclose(file);
    return kilobytes * 1024;
}

static uint64_t soak_files(void) {
    uint64_t count = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (dir && readdir(dir))
        count++;
    if (dir)
        closedir(dir);
    return count;
}

static void soak_sample_now(soak *s, soak_sample *out) {
    soak_times reads = {0}, writes = {0};
    out->memory_bytes = soak_memory_bytes();
    out->files = soak_files();
    for (unsigned i = 0; i < s->threads; i++) {
        soak_add_times(&reads, &s->workers[i].reads);
        soak_add_times(&writes, &s->workers[i].writes);
        memset(&s->workers[i].reads, 0, sizeof reads);
        memset(&s->workers[i].writes, 0, sizeof writes);
    }
    out->operations = reads.total + writes.total;
    out->read_p99_ns = soak_percentile(&reads, 0.99);
    out->write_p99_ns = soak_percentile(&writes, 0.99);
    out->most_ns = reads.most > writes.most ? reads.most : writes.most;
    printf("{\"memory_bytes\": %llu, \"files\": %llu, \"operations\": %llu, \"read_p99_ns\": %llu, "
           "\"write_p99_ns\": %llu, \"most_ns\": %llu}\n",
           (unsigned long long)out->memory_bytes, (unsigned long long)out->files,
           (unsigned long long)out->operations, (unsigned long long)out->read_p99_ns,
           (unsigned long long)out->write_p99_ns, (unsigned long long)out->most_ns);
    fflush(stdout);
}

static void soak_interval(soak *s, double seconds, soak_sample *out) {
    struct timespec pause = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    if (firn_open(s->path, &s->options, &s->db) != FIRN_OK)
        soak_fail("does not open", 0);
    s->stops = 0;
    for (unsigned i = 0; i < s->threads; i++) {
        if (pthread_create(&s->workers[i].handle, NULL, soak_run, &s->workers[i]) != 0)
            soak_fail("no thread", i);
    }
    nanosleep(&pause, NULL);
    s->stops = 1;
    for (unsigned i = 0; i < s->threads; i++)
        pthread_join(s->workers[i].handle, NULL);
    soak_sample_now(s, out); /* with the database open */
    if (firn_close(s->db) != FIRN_OK)
        soak_fail("does not close", 0);
}

/* --- the verdict --- */

static int soak_compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

enum { SOAK_MEMORY, SOAK_FILES, SOAK_READ, SOAK_WRITE };

/* The most of a third of the run, or its median. */
static uint64_t soak_third(const soak *s, int third, int what, bool median) {
    uint64_t values[SOAK_INTERVALS / 3];
    enum { COUNT = SOAK_INTERVALS / 3 };
    for (int i = 0; i < COUNT; i++) {
        const soak_sample *sample = &s->samples[third * COUNT + i];
        values[i] = what == SOAK_MEMORY  ? sample->memory_bytes
                    : what == SOAK_FILES ? sample->files
                    : what == SOAK_READ  ? sample->read_p99_ns
                                         : sample->write_p99_ns;
    }
    qsort(values, COUNT, sizeof values[0], soak_compare);
    return values[median ? COUNT / 2 : COUNT - 1];
}

static bool soak_is_flat(const char *name, uint64_t first, uint64_t last, uint64_t most) {
    bool flat = last <= most;
    fprintf(stderr, "soak: %-12s first third %llu, last third %llu, at most %llu: %s\n", name,
            (unsigned long long)first, (unsigned long long)last, (unsigned long long)most,
            flat ? "flat" : "GROWS");
    return flat;
}

static bool soak_judge(const soak *s) {
    uint64_t memory = soak_third(s, 0, SOAK_MEMORY, false);
    uint64_t files = soak_third(s, 0, SOAK_FILES, false);
    uint64_t reads = soak_third(s, 0, SOAK_READ, true), writes = soak_third(s, 0, SOAK_WRITE, true);
    bool good = soak_is_flat("memory", memory, soak_third(s, 2, SOAK_MEMORY, false),
                             memory + memory / 8 + SOAK_MEMORY_SPARE_BYTES);
    good &= soak_is_flat("descriptors", files, soak_third(s, 2, SOAK_FILES, false),
                         files + SOAK_FILES_SPARE);
    good &= soak_is_flat("read p99", reads, soak_third(s, 2, SOAK_READ, true),
                         reads * SOAK_LATENCY_FACTOR);
    good &= soak_is_flat("write p99", writes, soak_third(s, 2, SOAK_WRITE, true),
                         writes * SOAK_LATENCY_FACTOR);
    return good;
}

static bool soak_arguments(int count, char **words, soak *s, double *seconds) {
    for (int i = 1; i < count; i += 2) {
        if (i + 1 == count)
            return false;
        if (strcmp(words[i], "--seconds") == 0)
            *seconds = strtod(words[i + 1], NULL);
        else if (strcmp(words[i], "--threads") == 0)
            s->threads = (unsigned)strtoul(words[i + 1], NULL, 10);
        else if (strcmp(words[i], "--keys") == 0)
            s->keys = strtoull(words[i + 1], NULL, 10);
        else if (strcmp(words[i], "--directory") == 0)
            s->path = words[i + 1];
        else
            return false;
    }
    return *seconds > 0 && s->threads >= 1 && s->threads <= SOAK_THREADS_MAX && s->keys > 20;
}

int main(int count, char **words) {
    static soak s = {.keys = 50000, .threads = 4};
    double seconds = 60;
    if (!soak_arguments(count, words, &s, &seconds)) {
        fprintf(stderr, "usage: soak [--seconds N] [--threads 1..16] [--keys N] [--directory D]\n");
        return 2;
    }
    char *scratch = NULL;
    if (!s.path) {
        scratch = test_dir_new();
        s.path = strdup(test_path(scratch, "db"));
    }
    s.options = (firn_options)FIRN_OPTIONS_INIT;
    s.options.memory_bytes = SOAK_MEMORY_BYTES;
    s.options.memtable_bytes = 4u << 20;
    for (unsigned i = 0; i < s.threads; i++) {
        soak_thread *t = &s.workers[i];
        *t = (soak_thread){.s = &s, .number = i};
        rng_init(&t->random, i + 1);
        t->versions = calloc(s.keys, sizeof *t->versions);
        if (!t->versions)
            soak_fail("no memory", i);
    }
    for (int i = 0; i < SOAK_INTERVALS; i++)
        soak_interval(&s, seconds / SOAK_INTERVALS, &s.samples[i]);
    bool good = soak_judge(&s);
    if (firn_verify(s.path, &s.options, NULL, NULL) != FIRN_OK)
        soak_fail("does not verify", 0);
    for (unsigned i = 0; i < s.threads; i++)
        free(s.workers[i].versions);
    if (scratch)
        test_dir_remove(scratch);
    return good ? 0 : 1;
}
