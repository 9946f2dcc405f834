/* A log on a simulated disk, and a model of what was appended to it. */
#ifndef FIRN_TESTS_WAL_FIXTURE_H
#define FIRN_TESTS_WAL_FIXTURE_H

#include "lib/test.h"
#include "platform/vfs_mem.h"
#include "util/rng.h"
#include "wal/wal_recovery.h"
#include "wal/wal_writer.h"

#define WAL_DIRECTORY   "/db"
#define WAL_BATCHES_MAX 4096

/* One batch, by what it says: large values count with their bytes, not with where they lie. */
typedef struct log_entry {
    seqno first_sequence;
    uint32_t count;
    uint64_t digest;
    uint64_t position; /* where recovery found it */
} log_entry;

typedef struct log_entries {
    log_entry at[WAL_BATCHES_MAX];
    size_t count;
    const firn_vfs *vfs; /* to read large values */
    const char *directory;
    status answer; /* what on_batch returns */
} log_entries;

/* A disk with an empty, durable directory WAL_DIRECTORY. */
vfs_mem *log_disk_new(void);
char *log_path(uint64_t number, char out[64]);

/* How the writers of log_writer_args write. LOG_TEST_MAIN runs all tests both ways. */
extern wal_io log_fixture_io;
#define LOG_TEST_MAIN(...)                                                        \
    int main(void) {                                                              \
        const struct CMUnitTest tests[] = {__VA_ARGS__};                          \
        log_fixture_io = WAL_IO_PWRITE;                                           \
        int failed = cmocka_run_group_tests_name("pwrite", tests, NULL, NULL);    \
        log_fixture_io = WAL_IO_MAPPED;                                           \
        return failed + cmocka_run_group_tests_name("mapped", tests, NULL, NULL); \
    }

wal_writer_args log_writer_args(const firn_vfs *vfs);
wal_writer *log_writer_new(const wal_writer_args *args);
/* The writer a database would go on with. */
wal_writer *log_writer_after(const firn_vfs *vfs, const wal_recovery *r);

wal_recovery_args log_recovery_args(const firn_vfs *vfs, log_entries *into);
/* Recovers strictly, must succeed. */
void log_recover(const firn_vfs *vfs, log_entries *into, wal_recovery *out);

/* A batch of `operations` with values up to `value_max`; deterministic in `r`. */
void log_batch_fill(firn_batch *b, rng *r, uint32_t operations, size_t value_max);
/* A batch with one put of `value_bytes`. */
void log_batch_put(firn_batch *b, const char *key, size_t value_bytes, uint8_t fill);
/* What recovery must find for `b`. */
log_entry log_entry_of(const firn_batch *b, seqno first_sequence);
/* Appends one batch; on OK adds it to `model`. */
status log_append(wal_writer *w, const firn_batch *b, log_entries *model);
/* The next sequence of a model. */
seqno log_next_sequence(const log_entries *model);
/* `found` must be the first `found->count` entries of `model`. */
void log_assert_prefix(const log_entries *found, const log_entries *model);
void log_assert_equal(const log_entries *found, const log_entries *model);
log_entries *log_entries_new(void);

#endif
