/* The log alone: batches appended to segments in a directory of /tmp, both ways of writing them. */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/batch.h"
#include "micro.h"
#include "micro_keys.h"
#include "wal/wal_writer.h"

enum { LOG_VALUE_BYTES = 100, LOG_TOTAL_BYTES = 256 << 20 };

static void log_check(status st, const char *what) {
    if (status_is_ok(st))
        return;
    fprintf(stderr, "firn-micro: %s failed\n", what);
    exit(1);
}

static int log_remove(const char *path, const struct stat *st, int kind, struct FTW *where) {
    (void)st, (void)kind, (void)where;
    return remove(path);
}

static void log_fill(firn_batch *batch, uint64_t bytes) {
    uint8_t key[MICRO_KEY_BYTES], value[LOG_VALUE_BYTES];
    memset(value, 'v', sizeof value);
    batch_init(batch);
    for (uint64_t i = 0; batch->bytes < bytes; i++) {
        micro_key(MICRO_BINARY, i, key);
        log_check(batch_put(batch, 0, slice_of(key, sizeof key), slice_of(value, sizeof value),
                            false),
                  "filling a batch");
    }
}

static void log_append(const char *name, uint64_t batch_bytes, wal_io io, const char *who) {
    char directory[] = "/tmp/firn-micro-XXXXXX", what[64];
    firn_batch batch;
    wal_writer *writer;
    slice ops;
    if (!mkdtemp(directory))
        log_check(status_of(FIRN_IO_ERROR, "mkdtemp"), "a directory in /tmp");
    log_fill(&batch, batch_bytes);
    batch_view view = batch_get_view(&batch);
    log_check(wal_writer_new(&(wal_writer_args){.vfs = firn_vfs_default(),
                                                .directory = directory,
                                                .next_segment = 1,
                                                .next_sequence = 1,
                                                .io = io,
                                                .spares_max = 2},
                             &writer),
              "a log");
    seqno next = 1;
    uint64_t bytes = 0, started = micro_cpu_ns();
    for (; bytes < LOG_TOTAL_BYTES; bytes += batch.bytes, next += batch.count)
        log_check(wal_writer_append(writer, next, &view, 1, &ops), "appending to a log");
    snprintf(what, sizeof what, "log append, %s batches: bytes", name);
    micro_note(what, who, (double)bytes, micro_cpu_ns() - started);
    wal_writer_free(writer);
    batch_deinit(&batch);
    nftw(directory, log_remove, 16, FTW_PHYS | FTW_DEPTH);
}

void micro_log(const micro_config *config) {
    if (!micro_wants(config, "log"))
        return;
    log_append("1 MiB", 1 << 20, WAL_IO_PWRITE, "pwrite");
    log_append("1 MiB", 1 << 20, WAL_IO_MAPPED, "mapped");
    log_append("12 KiB", 12 << 10, WAL_IO_PWRITE, "pwrite");
    log_append("12 KiB", 12 << 10, WAL_IO_MAPPED, "mapped");
}
