/* tests/integration/db_fixture.h - what tests of a whole database share: small shapes, checked
 * puts and gets, child processes. */
#ifndef FIRN_TESTS_DB_FIXTURE_H
#define FIRN_TESTS_DB_FIXTURE_H

#include <sys/types.h>

#include "firn/firn.h"
#include "lib/test.h"

/* 64 KiB memtables and tables, so that flushes and compactions happen early. */
firn_options small_options(void);

firn_db *open_db(const char *path, const firn_options *options);
void close_db(firn_db *db);

/* "key-000042" in a rotating set of buffers. */
const char *numbered_key(uint64_t number);
void put_text(firn_db *db, const char *key, const char *value);
void delete_text(firn_db *db, const char *key);
/* The value must be `expected`; NULL: there must be none. */
void expect_text(firn_db *db, const firn_snapshot *snapshot, const char *key, const char *expected);
/* Puts key-first .. key-(last - 1), each with `bytes` of a value made from its number and
 * `version`; and checks them. */
void put_range(firn_db *db, uint64_t first, uint64_t last, size_t bytes, uint64_t version);
void expect_range(firn_db *db, const firn_snapshot *snapshot, uint64_t first, uint64_t last,
                  size_t bytes, uint64_t version);
/* Bytes that follow from a seed. */
void fill_bytes(uint64_t seed, void *out, size_t bytes);
firn_stats stats_of(firn_db *db);

/* Text must be part of firn_error_detail(). */
#define EXPECT_DETAIL(text) expect_detail((text), __FILE__, __LINE__)
void expect_detail(const char *text, const char *file, int line);

/* Whole files; the result of read_file is malloc'd. */
uint8_t *read_file(const char *path, size_t *bytes);
void write_file(const char *path, const void *data, size_t bytes);
void copy_directory(const char *from, const char *to);
/* The first file of the directory whose name ends so, "dir/name", in a rotating buffer; fails the
 * test if there is none. */
const char *find_file(const char *directory, const char *suffix);

/* fork() without sharing buffered output. The child must end with _exit(). */
pid_t fork_child(void);
/* The child must have ended with exit code 0. */
void expect_child_succeeded(pid_t child);
#endif
