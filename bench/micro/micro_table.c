/* Blocks, tables, filters, the codec and merges of sorted sources, each alone and in memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "codec/codec.h"
#include "format/filter.h"
#include "iter/merging_iter.h"
#include "micro.h"
#include "micro_keys.h"
#include "table/block.h"
#include "table/block_builder.h"
#include "table/table_builder.h"
#include "util/hash.h"

enum {
    TABLE_VALUE_BYTES = 100,
    TABLE_ENTRIES = 500000,
    TABLE_KEY_BYTES = MICRO_KEY_BYTES + KEY_TRAILER_BYTES,
    BLOCK_BYTES = 4096,
    BLOCK_ROUNDS = 200000,
    FILTER_KEYS = 20000, /* 25 KiB of filter: a core's own cache holds it */
    MERGE_ENTRIES = 200000,
    MERGE_RUN_ENTRIES = 36 /* as in a block */
};

static volatile uint64_t table_sink;

static void table_check(status st, const char *what) {
    if (status_is_ok(st))
        return;
    fprintf(stderr, "firn-micro: %s failed\n", what);
    exit(1);
}

static void *table_alloc(size_t bytes) {
    void *memory = malloc(bytes);
    if (!memory) {
        fprintf(stderr, "firn-micro: no memory\n");
        exit(1);
    }
    return memory;
}

/* The internal key of `index`: decimal, every second number, so that there is room between. */
static internal_key table_key(uint64_t index, uint8_t bytes[TABLE_KEY_BYTES]) {
    micro_key(MICRO_DECIMAL, 2 * index, bytes);
    encode_fixed64(bytes + MICRO_KEY_BYTES, key_trailer_pack(index + 1, OP_PUT));
    return (internal_key){slice_of(bytes, TABLE_KEY_BYTES)};
}

/* Half of each value can be compressed away. */
static slice table_value(uint64_t index, uint8_t bytes[TABLE_VALUE_BYTES]) {
    for (size_t i = 0; i < TABLE_VALUE_BYTES / 2; i++) {
        index = index * 6364136223846793005u + 1442695040888963407u;
        bytes[i] = bytes[TABLE_VALUE_BYTES / 2 + i] = (uint8_t)(' ' + (index >> 57) % 95);
    }
    return slice_of(bytes, TABLE_VALUE_BYTES);
}

/* --- one block --- */

/* Gives how many entries went into the block; *raw is followed by the slack that readers want. */
static uint32_t block_make(uint8_t *raw, size_t *raw_bytes) {
    block_builder builder;
    uint8_t key[TABLE_KEY_BYTES], last[TABLE_KEY_BYTES] = {0}, value[TABLE_VALUE_BYTES];
    uint32_t entries = 0;
    slice contents;
    block_builder_init(&builder, 16);
    while (block_builder_bytes(&builder) < BLOCK_BYTES) {
        internal_key k = table_key(entries, key);
        uint32_t shared = block_common_prefix(last, key, TABLE_KEY_BYTES);
        block_builder_add(&builder, k.s, entries ? shared : 0, table_value(entries, value));
        memcpy(last, key, sizeof last);
        entries++;
    }
    table_check(block_builder_finish(&builder, &contents), "building a block");
    memcpy(raw, contents.data, contents.size);
    memset(raw + contents.size, 0, BLOCK_SLACK_BYTES);
    *raw_bytes = contents.size;
    block_builder_deinit(&builder);
    return entries;
}

static void block_round(void) {
    const block_place place = {"a block in memory", 0};
    const key_order order = {NULL};
    uint8_t *raw = table_alloc(2 * BLOCK_BYTES);
    uint8_t key[TABLE_KEY_BYTES];
    size_t raw_bytes;
    block_view view;
    block_run run = {0};
    uint32_t entries = block_make(raw, &raw_bytes);
    if (!block_view_init(&view, slice_of(raw, raw_bytes)))
        table_check(status_of(FIRN_CORRUPTION, "block"), "opening a block");
    uint64_t found = 0, bytes = 0, started = micro_cpu_ns();
    for (uint64_t i = 0; i < BLOCK_ROUNDS; i++) {
        block_hit hit;
        table_check(block_search(&view, place, order, table_key(i * 17 % entries, key), &hit),
                    "a search");
        found += hit.same_user_key;
    }
    micro_note("block: look up", "block", BLOCK_ROUNDS, micro_cpu_ns() - started);
    if (found != BLOCK_ROUNDS)
        table_check(status_of(FIRN_CORRUPTION, "block"), "a search");
    started = micro_cpu_ns();
    for (uint64_t i = 0; i < BLOCK_ROUNDS / 16; i++) {
        table_check(block_run_decode(&run, &view, block_piece_whole(&view), place), "a walk");
        for (uint32_t at = 0; at < run.count; at++)
            bytes += run.entries[at].key[0] + run.entries[at].value_bytes;
    }
    micro_note("block: entries", "block", (double)(BLOCK_ROUNDS / 16) * entries,
               micro_cpu_ns() - started);
    table_sink += bytes;
    block_run_deinit(&run);
    free(raw);
}

/* --- a table --- */

static void table_round(void) {
    char path[] = "/tmp/firn-micro-XXXXXX";
    uint8_t key[TABLE_KEY_BYTES], value[TABLE_VALUE_BYTES];
    table_builder *builder;
    table_summary summary;
    vfs_file *file;
    int made = mkstemp(path);
    if (made < 0)
        table_check(status_of(FIRN_IO_ERROR, "mkstemp"), "a file in /tmp");
    close(made);
    table_check(vfs_open(firn_vfs_default(), path, FIRN_VFS_WRITE, &file),
                "opening a file in /tmp");
    table_value(7, value);
    uint64_t started = micro_cpu_ns();
    table_check(table_builder_new(&(table_builder_args){.file = file,
                                                        .block_bytes = BLOCK_BYTES,
                                                        .restart_interval = 16,
                                                        .filter_bits_per_key = 10,
                                                        .codec = CODEC_NONE},
                                  &builder),
                "a table builder");
    for (uint64_t i = 0; i < TABLE_ENTRIES; i++)
        table_check(table_builder_add(builder, table_key(i, key),
                                      slice_of(value, TABLE_VALUE_BYTES)),
                    "adding to a table");
    table_check(table_builder_finish(builder, &summary), "finishing a table");
    micro_note("table build: bytes", "builder",
               (double)TABLE_ENTRIES * (MICRO_KEY_BYTES + TABLE_VALUE_BYTES),
               micro_cpu_ns() - started);
    table_builder_free(builder);
    table_check(vfs_close(file), "closing a file");
    table_check(vfs_remove(firn_vfs_default(), path), "removing a file");
}

/* --- the filter --- */

static void filter_round(void) {
    size_t bytes = filter_bytes(FILTER_KEYS, 10);
    uint8_t *memory = table_alloc(bytes + FILTER_LINE_BYTES);
    uint64_t *hashes = table_alloc(2 * FILTER_KEYS * sizeof *hashes);
    /* Its lines on cache lines, as in a table's memory. */
    uint8_t *contents =
        memory + (FILTER_LINE_BYTES - FILTER_HEADER_BYTES - (uintptr_t)memory % FILTER_LINE_BYTES) %
                     FILTER_LINE_BYTES;
    filter_view view;
    for (uint64_t i = 0; i < 2 * FILTER_KEYS; i++)
        hashes[i] = hash64(&i, sizeof i);
    filter_build(hashes, FILTER_KEYS, 10, contents);
    if (!filter_view_init(&view, slice_of(contents, bytes)))
        table_check(status_of(FIRN_CORRUPTION, "filter"), "opening a filter");
    uint64_t maybe = 0, asked = 0, started = micro_cpu_ns();
    for (uint32_t round = 0; round < 100; round++) {
        for (uint64_t i = 0; i < 2 * FILTER_KEYS; i++)
            maybe += filter_may_contain(&view, hashes[i]); /* half of them are there */
        asked += 2 * FILTER_KEYS;
    }
    micro_note("filter: probe, 10 bits", "filter", (double)asked, micro_cpu_ns() - started);
    table_sink += maybe;
    free(hashes);
    free(memory);
}

/* --- the codec --- */

static void codec_round(void) {
    uint8_t *raw = table_alloc(2 * BLOCK_BYTES), *packed = table_alloc(4 * BLOCK_BYTES);
    size_t raw_bytes, packed_bytes = 0;
    block_make(raw, &raw_bytes);
    const uint64_t rounds = BLOCK_ROUNDS / 8;
    uint64_t started = micro_cpu_ns();
    for (uint64_t i = 0; i < rounds; i++)
        table_check(codec_compress(CODEC_LZ4, slice_of(raw, raw_bytes), packed, &packed_bytes),
                    "compressing");
    micro_note("LZ4: bytes in", "lz4", (double)rounds * (double)raw_bytes,
               micro_cpu_ns() - started);
    if (packed_bytes == 0)
        table_check(status_of(FIRN_CORRUPTION, "codec"), "compressing");
    started = micro_cpu_ns();
    for (uint64_t i = 0; i < rounds; i++)
        table_check(codec_decompress(CODEC_LZ4, slice_of(packed, packed_bytes), raw, raw_bytes),
                    "expanding");
    micro_note("LZ4: bytes out", "lz4", (double)rounds * (double)raw_bytes,
               micro_cpu_ns() - started);
    free(raw);
    free(packed);
}

/* --- merging --- */

/* Entries in memory as a source that hands out runs as long as blocks are. */
typedef struct merge_source {
    iter base;
    iter_entry *entries;
    uint32_t count, next; /* entries in all; the run after the current one begins there */
} merge_source;

static void merge_source_load(iter *base) {
    merge_source *s = (merge_source *)base;
    uint32_t left = s->count - s->next;
    base->run = s->entries + s->next;
    base->count = left < MERGE_RUN_ENTRIES ? left : MERGE_RUN_ENTRIES;
    base->index = 0;
    s->next += base->count;
}

static void merge_source_first(iter *base) {
    ((merge_source *)base)->next = 0;
    merge_source_load(base);
}

static void merge_source_release(iter *base) {
    free(((merge_source *)base)->entries);
    free(base);
}

static const iter_methods merge_source_methods = {.seek_first = merge_source_first,
                                                  .next_run = merge_source_load,
                                                  .release = merge_source_release};

/* Every entry goes to one of the sources, in an order that looks random. */
static void merge_round(uint32_t inputs) {
    iter *children[100], *merged;
    char what[64];
    uint8_t *keys = table_alloc((size_t)MERGE_ENTRIES * TABLE_KEY_BYTES);
    uint8_t value[TABLE_VALUE_BYTES] = {0};
    for (uint32_t i = 0; i < inputs; i++) {
        merge_source *s = table_alloc(sizeof *s);
        *s = (merge_source){.base.methods = &merge_source_methods};
        s->entries = table_alloc(MERGE_ENTRIES * sizeof *s->entries);
        children[i] = &s->base;
    }
    for (uint64_t i = 0; i < MERGE_ENTRIES; i++) {
        merge_source *s = (merge_source *)children[hash64(&i, sizeof i) % inputs];
        internal_key key = table_key(i, keys + i * TABLE_KEY_BYTES);
        s->entries[s->count++] =
            (iter_entry){key.s.data, value, TABLE_KEY_BYTES, TABLE_VALUE_BYTES};
    }
    table_check(merging_iter_new((key_order){NULL}, children, inputs, &merged), "a merge");
    uint64_t seen = 0, bytes = 0, started = micro_cpu_ns();
    for (iter_seek_first(merged); iter_valid(merged); iter_next(merged), seen++)
        bytes += iter_key(merged).s.data[MICRO_KEY_BYTES - 1];
    snprintf(what, sizeof what, "merge of %u: entries", inputs);
    micro_note(what, "merge", (double)seen, micro_cpu_ns() - started);
    if (seen != MERGE_ENTRIES)
        table_check(status_of(FIRN_CORRUPTION, "merge"), "a merge");
    table_sink += bytes;
    iter_free(merged);
    free(keys);
}

void micro_table(const micro_config *config) {
    if (!micro_wants(config, "table"))
        return;
    block_round();
    table_round();
    filter_round();
    codec_round();
    merge_round(2);
    merge_round(10);
    merge_round(50);
    merge_round(100);
}
