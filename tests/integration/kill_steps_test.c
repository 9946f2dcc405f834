/* kill -9 in the middle of a flush, of a compaction and of the installation of either: at a file
 * operation drawn at random, before it or with half of it done. What was acknowledged is there,
 * nothing is left over, and the next round goes on with the same directory.
 *
 * FIRN_KILL_ROUNDS: kills of each kind (4). */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "integration/db_fixture.h"
#include "util/rng.h"

enum { STEPS_KEYS = 500, STEPS_VALUE_BYTES = 300 };

typedef enum step_kind { STEP_FLUSH, STEP_COMPACTION, STEP_INSTALL } step_kind;

/* Shared with the child; written by it. */
typedef struct steps_state {
    uint64_t seen; /* operations of the kind that shall be hit */
} steps_state;

static steps_state *steps_shared;
static step_kind steps_wanted, steps_now; /* of the child */
static uint64_t steps_fatal;              /* the operation it does not survive */
static bool steps_half;                   /* which is done by half */
static firn_vfs steps_vfs;
static firn_file_methods steps_table_methods, steps_manifest_methods, steps_methods;

/* Whether this operation is the one. Tables are written under temporary names by flushes and by
 * compactions; the main thread does one at a time, and says which. */
static bool steps_is_fatal(bool is_table, bool is_manifest) {
    bool counts =
        steps_wanted == STEP_INSTALL ? is_manifest : is_table && steps_now == steps_wanted;
    return counts && steps_shared->seen++ == steps_fatal;
}

static void steps_die(void) {
    kill(getpid(), SIGKILL);
    pause();
}

static int steps_write(firn_file *file, uint64_t offset, const void *data, size_t count) {
    if (steps_is_fatal(file->methods == &steps_table_methods,
                       file->methods == &steps_manifest_methods)) {
        if (steps_half)
            (void)!steps_methods.write_at(file, offset, data, count / 2);
        steps_die();
    }
    return steps_methods.write_at(file, offset, data, count);
}

static int steps_sync(firn_file *file) {
    if (steps_is_fatal(file->methods == &steps_table_methods,
                       file->methods == &steps_manifest_methods)) {
        if (steps_half)
            (void)!steps_methods.sync(file);
        steps_die();
    }
    return steps_methods.sync(file);
}

static int steps_rename(const firn_vfs *vfs, const char *from, const char *to) {
    bool is_table = strstr(from, ".sst.tmp") != NULL;
    const firn_vfs *under = firn_vfs_default();
    (void)vfs;
    if (steps_is_fatal(is_table, !is_table)) {
        if (steps_half)
            (void)!under->rename(under, from, to);
        steps_die();
    }
    return under->rename(under, from, to);
}

static int steps_open(const firn_vfs *vfs, const char *path, int flags, firn_file **out) {
    const firn_vfs *under = firn_vfs_default();
    (void)vfs;
    int error = under->open(under, path, flags, out);
    if (error)
        return error;
    steps_methods = *(*out)->methods;
    if (strstr(path, ".sst.tmp")) {
        steps_table_methods = steps_methods;
        steps_table_methods.write_at = steps_write;
        steps_table_methods.sync = steps_sync;
        (*out)->methods = &steps_table_methods;
    } else if (strstr(path, "MANIFEST") || strstr(path, "CURRENT")) {
        steps_manifest_methods = steps_methods;
        steps_manifest_methods.write_at = steps_write;
        steps_manifest_methods.sync = steps_sync;
        (*out)->methods = &steps_manifest_methods;
    }
    return 0;
}

static firn_options steps_options(void) {
    firn_options options = small_options();
    options.memtable_bytes = 4 << 20; /* flushed when asked for */
    options.threads = 1;
    return options;
}

/* Writes every key anew, flushes, compacts; killed on the way, or _exit(0). */
static void steps_child(const char *dir, uint64_t version) {
    firn_db *db;
    firn_slice all = {NULL, 0};
    firn_options options = steps_options();
    steps_vfs = *firn_vfs_default();
    steps_vfs.open = steps_open;
    steps_vfs.rename = steps_rename;
    options.vfs = &steps_vfs;
    uint64_t fatal = steps_fatal;
    steps_fatal = UINT64_MAX; /* opening is tested elsewhere */
    if (firn_open(dir, &options, &db) || firn_pause_compactions(db))
        _exit(2);
    put_range(db, 0, STEPS_KEYS, STEPS_VALUE_BYTES, version);
    steps_shared->seen = 0;
    steps_fatal = fatal;
    steps_now = STEP_FLUSH;
    if (firn_flush(db))
        _exit(3);
    steps_now = STEP_COMPACTION;
    if (firn_compact_range(db, all, all))
        _exit(4);
    _exit(0);
}

static unsigned steps_count_files(const char *dir, const char *suffix) {
    unsigned count = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        size_t bytes = strlen(e->d_name), end = strlen(suffix);
        count += bytes >= end && strcmp(e->d_name + bytes - end, suffix) == 0;
    }
    closedir(d);
    return count;
}

/* All is there, in tables that the manifest lists, and no other. */
static void steps_check(const char *dir, uint64_t version) {
    firn_options options = steps_options();
    firn_db *db = open_db(dir, &options);
    ASSERT_FIRN_OK(firn_pause_compactions(db));
    assert_int_equal(steps_count_files(dir, ".tmp"), 0);
    assert_int_equal(steps_count_files(dir, ".sst"), stats_of(db).table_files);
    expect_range(db, NULL, 0, STEPS_KEYS, STEPS_VALUE_BYTES, version);
    ASSERT_FIRN_OK(firn_resume_compactions(db)); /* or L0 would fill up, kill by kill */
    ASSERT_FIRN_OK(firn_wait_idle(db));
    close_db(db);
    ASSERT_FIRN_OK(firn_verify(dir, &options, NULL, NULL));
}

static void kill_in(step_kind kind) {
    char *dir = test_dir_new();
    const char *given = getenv("FIRN_KILL_ROUNDS");
    uint64_t rounds = given ? strtoull(given, NULL, 10) : 4, kills = 0, version = 0, limit = 30;
    rng random;
    rng_init(&random, test_seed() + (uint64_t)kind);
    steps_shared =
        mmap(NULL, sizeof *steps_shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(steps_shared != MAP_FAILED);
    steps_wanted = kind;
    while (kills < rounds) {
        int result;
        version++;
        steps_fatal = rng_below(&random, limit);
        steps_half = rng_below(&random, 2);
        pid_t child = fork_child();
        if (child == 0)
            steps_child(dir, version);
        assert_int_equal(waitpid(child, &result, 0), child);
        if (WIFSIGNALED(result)) {
            assert_int_equal(WTERMSIG(result), SIGKILL);
            kills++;
        } else {
            assert_int_equal(WEXITSTATUS(result), 0);
            assert_true(steps_shared->seen > 0); /* there is something to hit */
            limit = steps_shared->seen;
        }
        steps_check(dir, version);
    }
    munmap(steps_shared, sizeof *steps_shared);
    test_dir_remove(dir);
}

TEST(kill_steps, in_a_flush_loses_nothing_and_leaves_nothing) {
    kill_in(STEP_FLUSH);
}

TEST(kill_steps, in_a_compaction_loses_nothing_and_leaves_nothing) {
    kill_in(STEP_COMPACTION);
}

TEST(kill_steps, in_an_installation_loses_nothing_and_leaves_nothing) {
    kill_in(STEP_INSTALL);
}

TEST_MAIN(RUN(kill_steps, in_a_flush_loses_nothing_and_leaves_nothing),
          RUN(kill_steps, in_a_compaction_loses_nothing_and_leaves_nothing),
          RUN(kill_steps, in_an_installation_loses_nothing_and_leaves_nothing))
