/* Whole tables with each codec, by sizes of keys and values: how much smaller they become, and how
 * fast they are built and scanned. The file is in memory, so that only the codec's work counts. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/codec_dictionary.h"
#include "micro.h"
#include "platform/error_detail.h"
#include "platform/vfs_mem.h"
#include "table/table_builder.h"

enum { CODEC_TABLE_BYTES = 16 << 20, CODEC_DICTIONARY_BYTES = 16 << 10 };

typedef struct codec_way {
    const char *name;
    codec_id codec;
    uint32_t dictionary_bytes;
} codec_way;

static const codec_way codec_ways[] = {{"none", CODEC_NONE, 0},
                                       {"lz4", CODEC_LZ4, 0},
                                       {"snappy", CODEC_SNAPPY, 0},
                                       {"zstd", CODEC_ZSTD, 0},
                                       {"zstd+dict", CODEC_ZSTD, CODEC_DICTIONARY_BYTES}};
enum { CODEC_WAYS = sizeof codec_ways / sizeof *codec_ways };

typedef struct codec_data {
    const char *shape;
    uint32_t key_bytes, value_bytes;
} codec_data;

static void codec_must(status st) {
    if (status_is_ok(st))
        return;
    fprintf(stderr, "firn-micro: %s\n", error_detail_get());
    exit(1);
}

static uint64_t codec_random(uint64_t i) {
    i = (i + 0x9e3779b97f4a7c15u) * 0xbf58476d1ce4e5b9u;
    i = (i ^ i >> 27) * 0x94d049bb133111ebu;
    return i ^ i >> 31;
}

/* Records as programs write them: names that come again, numbers that do not. */
static void codec_fill_record(uint64_t i, uint8_t *out, uint32_t bytes) {
    static const char *const words[] = {"north", "south", "ridge", "glacier",
                                        "cloud", "clear", "storm", "powder"};
    for (uint32_t at = 0, field = 0; at < bytes; field++) {
        char text[64];
        uint64_t r = codec_random(i * 64 + field);
        int size = snprintf(text, sizeof text, "\"%s_%u\":%s%u\",", words[field % 8], field / 8,
                            r & 1 ? words[r >> 8 & 7] : "", (unsigned)(r >> 32) % 100000);
        uint32_t count = bytes - at < (uint32_t)size ? bytes - at : (uint32_t)size;
        memcpy(out + at, text, count);
        at += count;
    }
}

/* Half of the bytes random, the others the same in every value. */
static void codec_fill_half(uint64_t i, uint8_t *out, uint32_t bytes) {
    memset(out, '-', bytes);
    for (uint32_t at = 0; at < bytes / 2; at++)
        out[at] = (uint8_t)(codec_random(i * 8192 + at / 8) >> at % 8 * 8);
}

static void codec_key(const codec_data *d, uint64_t i, uint8_t *out) {
    char text[32];
    memset(out, 'k', d->key_bytes);
    int size = snprintf(text, sizeof text, "%012llu", (unsigned long long)i * 7);
    memcpy(out + d->key_bytes - (uint32_t)size, text, (size_t)size);
}

/* Gives the bytes of keys and values. */
static uint64_t codec_build(const codec_data *d, const codec_way *way, vfs_mem *disk,
                            table_summary *summary) {
    vfs_file *file = NULL;
    table_builder *b = NULL;
    buf key = {0};
    uint64_t raw = 0;
    uint8_t *user = malloc(d->key_bytes), *value = malloc(d->value_bytes);
    if (!user || !value)
        exit(1);
    codec_must(vfs_open(vfs_mem_vfs(disk), "/1.sst",
                        FIRN_VFS_WRITE | FIRN_VFS_CREATE | FIRN_VFS_TRUNCATE, &file));
    table_builder_args args = {.file = file,
                               .block_bytes = 4096,
                               .restart_interval = 16,
                               .codec = way->codec,
                               .dictionary_bytes = way->dictionary_bytes};
    codec_must(table_builder_new(&args, &b));
    for (uint64_t i = 0; raw < CODEC_TABLE_BYTES; i++) {
        codec_key(d, i, user);
        if (d->shape[0] == 'r')
            codec_fill_record(i, value, d->value_bytes);
        else
            codec_fill_half(i, value, d->value_bytes);
        buf_clear(&key);
        internal_key_append(&key, user_key_of(slice_of(user, d->key_bytes)), i + 1, OP_PUT);
        codec_must(
            table_builder_add(b, (internal_key){buf_slice(&key)}, slice_of(value, d->value_bytes)));
        raw += d->key_bytes + d->value_bytes;
    }
    codec_must(table_builder_finish(b, summary));
    table_builder_free(b);
    codec_must(vfs_close(file));
    buf_deinit(&key);
    free(user);
    free(value);
    return raw;
}

static uint64_t codec_scan(vfs_mem *disk) {
    table *t;
    iter *it;
    uint64_t entries = 0;
    table_open_args args = {.vfs = vfs_mem_vfs(disk), .path = "/1.sst"};
    codec_must(table_open(&args, &t));
    codec_must(table_iter_new(t, &(table_read_args){.read_ahead = true}, &it));
    for (iter_seek_first(it); iter_valid(it); iter_next(it))
        entries++;
    codec_must(it->st);
    if (entries != table_get_properties(t)->entries)
        exit(1);
    iter_free(it);
    table_unref(t);
    return entries;
}

typedef struct codec_times {
    uint64_t raw, built_ns, scanned_ns; /* the least of all rounds */
} codec_times;

static codec_times codec_measure(const codec_data *d, const codec_way *way, uint32_t rounds,
                                 vfs_mem *disk, table_summary *summary) {
    codec_times least = {0, UINT64_MAX, UINT64_MAX};
    for (uint32_t i = 0; i < rounds; i++) {
        uint64_t started = micro_cpu_ns();
        least.raw = codec_build(d, way, disk, summary);
        uint64_t built = micro_cpu_ns();
        (void)codec_scan(disk);
        uint64_t scanned = micro_cpu_ns() - built;
        built -= started;
        least.built_ns = built < least.built_ns ? built : least.built_ns;
        least.scanned_ns = scanned < least.scanned_ns ? scanned : least.scanned_ns;
    }
    return least;
}

static double codec_speed(uint64_t bytes, uint64_t ns) {
    return (double)bytes * 1e3 / (double)ns;
}

/* What making keys and values alone costs is taken off: it is what building without a codec takes.
 * Where the machine was too busy to tell there is no speed. */
static void codec_row(const codec_data *d, uint32_t rounds) {
    uint64_t plain_ns = 0;
    printf("| %s | %u | %u |", d->shape, d->key_bytes, d->value_bytes);
    for (int i = 0; i < CODEC_WAYS; i++) {
        const codec_way *way = &codec_ways[i];
        vfs_mem *disk = NULL;
        table_summary summary = {0};
        if (!codec_is_available((uint8_t)way->codec) ||
            (way->dictionary_bytes && !codec_dictionary_is_available())) {
            printf(" - |");
            continue;
        }
        codec_must(vfs_mem_new(&disk));
        codec_times times = codec_measure(d, way, rounds, disk, &summary);
        printf(" %s%.2f%s,", way->codec == CODEC_NONE ? "" : "**",
               (double)times.raw / (double)summary.properties.file_bytes,
               way->codec == CODEC_NONE ? "" : "**");
        if (way->codec == CODEC_NONE)
            plain_ns = times.built_ns;
        else if (times.built_ns > plain_ns)
            printf(" %.0f,", codec_speed(times.raw, times.built_ns - plain_ns));
        else
            printf(" ?,");
        printf(" %.0f |", codec_speed(times.raw, times.scanned_ns));
        vfs_mem_free(disk);
    }
    printf("\n");
    fflush(stdout);
}

void micro_codec(const micro_config *config) {
    static const codec_data rows[] = {
        {"records", 16, 16},       {"records", 16, 100},     {"records", 16, 400},
        {"records", 16, 1000},     {"records", 16, 8000},    {"records", 64, 100},
        {"half random", 16, 16},   {"half random", 16, 100}, {"half random", 16, 400},
        {"half random", 16, 1000},
    };
    if (!config->only || strcmp(config->only, "codec") != 0)
        return;
    printf("Bytes of keys and values over bytes of the table; MB/s of compressing alone; MB/s of "
           "scanning (keys and values).\n\n| values | key | value |");
    for (int i = 0; i < CODEC_WAYS; i++)
        printf(" %s |", codec_ways[i].name);
    printf("\n|---|---|---|");
    for (int i = 0; i < CODEC_WAYS; i++)
        printf("---|");
    printf("\n");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        codec_row(&rows[i], config->rounds);
}
