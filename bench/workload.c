#include "workload.h"

#include <stddef.h>
#include <string.h>

#include "engine.h"

#include "run.h"

static bool workload_compact(bench *b) {
    if (b->engine->compact)
        b->engine->compact(b->db);
    return b->engine->compact != NULL;
}

static bool workload_flush(bench *b) {
    if (b->engine->flush)
        b->engine->flush(b->db);
    return b->engine->flush != NULL;
}

/* What is measured is the drain that follows. */
static bool workload_drain(bench *b) {
    return b->engine->debt_bytes != NULL;
}

enum { FILL = WORKLOAD_FRESH | WORKLOAD_WRITES };

/* clang-format off */
const workload workloads[] = {
    {.name = "fillseq", .does = "write every key once, in ascending order, into an empty database",
     .flags = FILL, .order = ORDER_SEQUENTIAL, .body = workload_fill},
    {.name = "fillrandom", .does = "write every key once, in random order, into an empty database",
     .flags = FILL, .order = ORDER_SHUFFLED, .body = workload_fill},
    {.name = "fillseqbatch", .does = "fillseq in atomic batches of 100",
     .flags = FILL, .order = ORDER_SEQUENTIAL, .body = workload_fill_batch, .batch = 100},
    {.name = "fillrandombatch", .does = "fillrandom in atomic batches of 100",
     .flags = FILL, .order = ORDER_SHUFFLED, .body = workload_fill_batch, .batch = 100},
    {.name = "fillsync", .does = "fillrandom of a thousandth of the keys, each write synced",
     .flags = FILL, .order = ORDER_SHUFFLED, .body = workload_fill, .operations_divisor = 1000,
     .sync = true},
    {.name = "overwrite", .does = "write random keys again",
     .flags = WORKLOAD_WRITES, .order = ORDER_UNIFORM, .body = workload_overwrite},
    {.name = "deleterandom", .does = "delete every key once, in random order",
     .flags = WORKLOAD_WRITES, .order = ORDER_SHUFFLED, .body = workload_delete},
    {.name = "readrandom", .does = "read random keys that are there",
     .flags = WORKLOAD_READS, .order = ORDER_UNIFORM, .body = workload_read},
    {.name = "readmissing", .does = "read random keys that are not there",
     .flags = WORKLOAD_READS, .order = ORDER_UNIFORM, .body = workload_read, .missing = true},
    {.name = "readmulti", .does = "read random keys that are there, 32 at a time",
     .flags = WORKLOAD_READS, .order = ORDER_UNIFORM, .body = workload_read_many,
     .batch = ENGINE_MANY},
    {.name = "readhot", .does = "read random keys among 1 % of all",
     .flags = WORKLOAD_READS, .order = ORDER_HOT, .body = workload_read},
    {.name = "readseq", .does = "scan everything, forward",
     .flags = 0, .order = ORDER_SEQUENTIAL, .body = workload_scan_all},
    {.name = "readreverse", .does = "scan everything, backward",
     .flags = 0, .order = ORDER_SEQUENTIAL, .body = workload_scan_all, .backward = true},
    {.name = "seekrandom", .does = "seek a random key and step 50 entries on",
     .flags = WORKLOAD_READS, .order = ORDER_UNIFORM, .body = workload_seek,
     .operations_divisor = 20, .scan_steps = 50},
    {.name = "scanshort", .does = "seek a random key and step 10 entries on",
     .flags = WORKLOAD_READS, .order = ORDER_UNIFORM, .body = workload_seek,
     .operations_divisor = 10, .scan_steps = 10},
    {.name = "readcold", .does = "read random keys that are there, nothing of them in memory",
     .flags = WORKLOAD_COLD, .order = ORDER_UNIFORM, .body = workload_read,
     .operations_divisor = 1000},
    {.name = "scancold", .does = "scan everything, forward, nothing of it in memory",
     .flags = WORKLOAD_COLD, .order = ORDER_SEQUENTIAL, .body = workload_scan_all},
    {.name = "readwhilewriting", .does = "readrandom while one more thread overwrites",
     .flags = WORKLOAD_READS | WORKLOAD_WRITES, .order = ORDER_UNIFORM,
     .body = workload_read_beside_writer, .writer_beside = true},
    {.name = "delete99", .does = "delete 99 of every 100 neighbouring keys",
     .flags = WORKLOAD_WRITES, .order = ORDER_SEQUENTIAL, .body = workload_delete_most},
    {.name = "deletemiddle", .does = "delete all keys but the first and the last, in ascending order",
     .flags = WORKLOAD_WRITES, .order = ORDER_SEQUENTIAL, .body = workload_delete_middle},
    {.name = "scandeleted", .does = "after delete99: seek a random key and step 10 entries on",
     .flags = WORKLOAD_READS, .order = ORDER_UNIFORM, .body = workload_seek,
     .operations_divisor = 200, .scan_steps = 10},
    {.name = "queue", .does = "put at the tail, find the first key, delete it; 100 in between",
     .flags = WORKLOAD_FRESH | WORKLOAD_WRITES, .order = ORDER_SEQUENTIAL, .body = workload_queue},
    {.name = "ycsb-a", .does = "50 % reads, 50 % updates, Zipf's distribution",
     .flags = WORKLOAD_READS | WORKLOAD_WRITES, .order = ORDER_ZIPFIAN, .body = workload_mix,
     .updates = 50},
    {.name = "ycsb-b", .does = "95 % reads, 5 % updates, Zipf's distribution",
     .flags = WORKLOAD_READS | WORKLOAD_WRITES, .order = ORDER_ZIPFIAN, .body = workload_mix,
     .updates = 5},
    {.name = "ycsb-c", .does = "reads, Zipf's distribution",
     .flags = WORKLOAD_READS, .order = ORDER_ZIPFIAN, .body = workload_mix},
    {.name = "ycsb-d", .does = "95 % reads of the latest, 5 % inserts",
     .flags = WORKLOAD_READS | WORKLOAD_WRITES, .order = ORDER_LATEST, .body = workload_mix,
     .inserts = 5},
    {.name = "ycsb-e", .does = "95 % scans of 1 to 100 entries, 5 % inserts, Zipf's distribution",
     .flags = WORKLOAD_READS | WORKLOAD_WRITES, .order = ORDER_ZIPFIAN, .body = workload_mix,
     .operations_divisor = 20, .inserts = 5, .scans = 95},
    {.name = "ycsb-f", .does = "50 % reads, 50 % read-modify-writes, Zipf's distribution",
     .flags = WORKLOAD_READS | WORKLOAD_WRITES, .order = ORDER_ZIPFIAN, .body = workload_mix,
     .modifies = 50},
    {.name = "fill4k", .does = "fillrandom of values of 4 KiB, --big-bytes altogether",
     .flags = FILL, .order = ORDER_SHUFFLED, .body = workload_fill, .value_bytes = 4096},
    {.name = "fill64k", .does = "fillrandom of values of 64 KiB, --big-bytes altogether",
     .flags = FILL, .order = ORDER_SHUFFLED, .body = workload_fill, .value_bytes = 65536},
    {.name = "flush", .does = "empty the memtables into files",
     .flags = WORKLOAD_MAINTAIN | WORKLOAD_WRITES, .maintain = workload_flush},
    {.name = "compact", .does = "rewrite everything into its final form",
     .flags = WORKLOAD_MAINTAIN | WORKLOAD_WRITES, .maintain = workload_compact},
    {.name = "drain", .does = "wait until no background work is left",
     .flags = WORKLOAD_MAINTAIN | WORKLOAD_WRITES, .maintain = workload_drain},
    {.name = "recovery", .does = "open a database whose process died with --recovery-bytes in its log",
     .flags = WORKLOAD_MAINTAIN},
    {.name = NULL},
};
/* clang-format on */

static const struct {
    const char *name;
    const char *steps;
} workload_groups[] = {
    {"fillbatch", "fillseqbatch"},
    {"bigvalues", "fill4k,readrandom,fill64k,readrandom"},
    {"ycsb", "fillrandom,ycsb-a,ycsb-b,ycsb-c,ycsb-d,ycsb-e,ycsb-f"},
    {"ycsba", "ycsb-a"},
    {"ycsbb", "ycsb-b"},
    {"ycsbc", "ycsb-c"},
    {"ycsbd", "ycsb-d"},
    {"ycsbe", "ycsb-e"},
    {"ycsbf", "ycsb-f"},
};

bool workload_deletes(const workload *w) {
    return w->body == workload_delete || w->body == workload_delete_most ||
           w->body == workload_delete_middle;
}

const workload *workload_find(const char *name) {
    for (const workload *w = workloads; w->name; w++) {
        if (strcmp(w->name, name) == 0)
            return w;
    }
    return NULL;
}

const char *workload_group(const char *name) {
    for (size_t i = 0; i < sizeof workload_groups / sizeof workload_groups[0]; i++) {
        if (strcmp(workload_groups[i].name, name) == 0)
            return workload_groups[i].steps;
    }
    return NULL;
}
