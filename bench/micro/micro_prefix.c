/* Iterations over prefixes, with tables that know their prefixes by a filter and without: two
 * databases with the same keys, in groups of twenty that begin alike, filled at random. */
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "firn/firn.h"
#include "micro.h"

enum { PREFIX_MEMBERS = 20, PREFIX_SCANS = 50000, PREFIX_STRIDE = 625341587 };

typedef struct prefix_side {
    const char *name;
    uint32_t rule;
    firn_db *db;
    char directory[128];
} prefix_side;

static prefix_side prefix_sides[] = {{.name = "no filter"},
                                     {.name = "filter", .rule = FIRN_PREFIX_UNTIL('/')}};

static void prefix_must(firn_status st) {
    if (st == FIRN_OK)
        return;
    fprintf(stderr, "firn-micro: %s\n", firn_error_detail());
    exit(1);
}

/* Groups have even numbers. */
static firn_slice prefix_key(uint64_t group, uint64_t member, char key[48]) {
    int size = snprintf(key, 48, "%010llu/%04llu", (unsigned long long)group * 2,
                        (unsigned long long)member);
    return firn_slice_of(key, (size_t)size);
}

static void prefix_fill(prefix_side *side, uint64_t count) {
    const char *parent = getenv("TMPDIR");
    char key[48], value[100];
    firn_options options = FIRN_OPTIONS_INIT;
    options.prefix_filter = side->rule;
    options.memtable_bytes = 8 << 20; /* so that there are several levels */
    options.file_bytes = 8 << 20;
    snprintf(side->directory, sizeof side->directory, "%s/firn-micro-XXXXXX",
             parent ? parent : "/tmp");
    if (!mkdtemp(side->directory)) {
        fprintf(stderr, "firn-micro: cannot make a directory %s\n", side->directory);
        exit(1);
    }
    prefix_must(firn_open(side->directory, &options, &side->db));
    memset(value, 'v', sizeof value);
    uint64_t groups = count / PREFIX_MEMBERS;
    for (uint64_t i = 0; i < groups * PREFIX_MEMBERS; i++) {
        uint64_t place = i * PREFIX_STRIDE % (groups * PREFIX_MEMBERS);
        prefix_must(firn_put(side->db, NULL, prefix_key(place % groups, place / groups, key),
                             firn_slice_of(value, sizeof value)));
    }
    prefix_must(firn_flush(side->db));
    prefix_must(firn_wait_idle(side->db));
}

/* Each scan takes a group whole; the number of keys is checked. */
static uint64_t prefix_scan(const prefix_side *side, uint64_t groups, bool present) {
    uint64_t found = 0, started = micro_cpu_ns();
    for (uint64_t i = 0; i < PREFIX_SCANS; i++) {
        char key[48];
        firn_iter *it;
        prefix_key(i * PREFIX_STRIDE % groups, 0, key);
        key[9] = (char)(key[9] + !present); /* an odd number: between two groups */
        firn_read_options options = {.prefix = firn_slice_of(key, 11)};
        prefix_must(firn_iter_new(side->db, &options, &it));
        for (firn_iter_seek_first(it); firn_iter_valid(it); firn_iter_next(it))
            found++;
        prefix_must(firn_iter_status(it));
        firn_iter_free(it);
    }
    uint64_t ns = micro_cpu_ns() - started;
    if (found != (present ? (uint64_t)PREFIX_SCANS * PREFIX_MEMBERS : 0)) {
        fprintf(stderr, "firn-micro: %llu keys found\n", (unsigned long long)found);
        exit(1);
    }
    return ns;
}

void micro_prefix(const micro_config *config) {
    if (!micro_wants(config, "prefix"))
        return;
    for (int present = 0; present < 2; present++) {
        for (size_t i = 0; i < 2; i++) {
            prefix_side *side = &prefix_sides[i];
            if (!side->db)
                prefix_fill(side, config->count);
            micro_note(present ? "scan a prefix of 20 keys" : "scan an absent prefix", side->name,
                       PREFIX_SCANS,
                       prefix_scan(side, config->count / PREFIX_MEMBERS, present != 0));
        }
    }
}

static void prefix_remove(const char *directory) {
    char path[512];
    DIR *entries = opendir(directory);
    for (struct dirent *e; entries && (e = readdir(entries)) != NULL;) {
        snprintf(path, sizeof path, "%s/%s", directory, e->d_name);
        (void)unlink(path); /* fails for . and .. */
    }
    if (entries)
        (void)closedir(entries);
    (void)rmdir(directory);
}

void micro_prefix_end(void) {
    for (size_t i = 0; i < 2; i++) {
        if (!prefix_sides[i].db)
            continue;
        prefix_must(firn_close(prefix_sides[i].db));
        prefix_remove(prefix_sides[i].directory);
    }
}
