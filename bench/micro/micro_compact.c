/* Flush and compaction through the public API: entries of 16-byte keys and 100-byte values, in four
 * tables whose keys interleave, merged into one run by the calling thread. */
#include <firn/firn.h>

#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "micro.h"
#include "micro_keys.h"

enum { COMPACT_VALUE_BYTES = 100, COMPACT_TABLES = 4 };

static void compact_check(firn_status st, const char *what) {
    if (st == FIRN_OK)
        return;
    fprintf(stderr, "firn-micro: %s: %s\n", what, firn_error_detail());
    exit(1);
}

static int compact_remove(const char *path, const struct stat *st, int type, struct FTW *at) {
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

static uint64_t compact_user_ns(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)usage.ru_utime.tv_sec * 1000000000 + (uint64_t)usage.ru_utime.tv_usec * 1000;
}

/* Half of each value can be compressed away. */
static void compact_value(uint64_t index, uint8_t out[COMPACT_VALUE_BYTES]) {
    memset(out, 'v', COMPACT_VALUE_BYTES);
    for (size_t i = 0; i < COMPACT_VALUE_BYTES / 2; i += 8) {
        uint64_t word = (index + i) * 0x9e3779b97f4a7c15u;
        memcpy(out + i, &word, COMPACT_VALUE_BYTES / 2 - i < 8 ? 2 : 8);
    }
}

/* Which table a key goes to, as if it had been written at random. */
static uint64_t compact_table_of(uint64_t index) {
    uint64_t mixed = index * 0x9e3779b97f4a7c15u;
    mixed = (mixed ^ mixed >> 32) * 0xd6e8feb86659fd93u;
    return (mixed >> 33) * COMPACT_TABLES >> 31;
}

/* Each table gets its share of the keys, or if `overwrite` all of them. Answers how many entries.
 */
static uint64_t compact_fill(firn_db *db, const micro_config *config, micro_shape shape,
                             bool overwrite) {
    uint8_t key[MICRO_KEY_BYTES], value[COMPACT_VALUE_BYTES];
    uint64_t count = 0, keys = overwrite ? config->count / COMPACT_TABLES : config->count;
    for (uint64_t t = 0; t < COMPACT_TABLES; t++) {
        for (uint64_t index = 0; index < keys; index++) {
            if (!overwrite && compact_table_of(index) != t)
                continue;
            count++;
            micro_key(shape, index, key);
            compact_value(index + t, value);
            compact_check(firn_put(db, NULL, (firn_slice){key, sizeof key},
                                   (firn_slice){value, sizeof value}),
                          "put");
        }
        compact_check(firn_flush(db), "flush");
    }
    return count;
}

static void compact_one(const micro_config *config, micro_shape shape, firn_compression codec,
                        bool overwrite) {
    char path[] = "/tmp/firn-micro-XXXXXX", what[64];
    snprintf(what, sizeof what, "compact %s, %s, %s", micro_shape_name(shape),
             overwrite ? "overwritten" : "interleaved",
             codec == FIRN_COMPRESSION_NONE ? "no codec" : "LZ4");
    firn_db *db = NULL;
    firn_options options = FIRN_OPTIONS_INIT;
    options.threads = 1;
    options.memtable_bytes = 1u << 30;
    options.memory_bytes = 2ull << 30;
    options.compression = codec;
    options.table_io = FIRN_TABLE_IO_PREAD;
    if (!mkdtemp(path)) {
        fprintf(stderr, "firn-micro: no directory in /tmp\n");
        exit(1);
    }
    compact_check(firn_open(path, &options, &db), "open");
    compact_check(firn_pause_compactions(db), "pause");
    uint64_t count = compact_fill(db, config, shape, overwrite);
    firn_slice all = {NULL, 0};
    uint64_t user = compact_user_ns(), both = micro_cpu_ns();
    compact_check(firn_compact_range(db, all, all), "compact_range");
    both = micro_cpu_ns() - both;
    user = compact_user_ns() - user;
    micro_note(what, "all cpu", (double)count, both);
    micro_note(what, "user cpu", (double)count, user);
    compact_check(firn_close(db), "close");
    (void)nftw(path, compact_remove, 16, FTW_DEPTH | FTW_PHYS);
}

void micro_compact(const micro_config *config) {
    if (!micro_wants(config, "compact"))
        return;
    compact_one(config, MICRO_BINARY, FIRN_COMPRESSION_NONE, false);
    compact_one(config, MICRO_BINARY, FIRN_COMPRESSION_LZ4, false);
    compact_one(config, MICRO_BINARY, FIRN_COMPRESSION_NONE, true);
    compact_one(config, MICRO_DECIMAL, FIRN_COMPRESSION_NONE, false);
    compact_one(config, MICRO_USER, FIRN_COMPRESSION_NONE, false);
}
