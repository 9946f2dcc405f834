/* firn sync, firn flush, firn compact, and in the shell pause, resume and wait. */
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "args.h"
#include "progress.h"
#include "util/text.h"
#include "verbs.h"

/* Opens for writing, runs one engine call without arguments, closes. */
static int maintain_run(cli_call *call, firn_status (*step)(firn_db *db)) {
    firn_db *db;
    int code = cli_open(call, CLI_WRITE, &db);
    if (code != CLI_OK)
        return code;
    firn_status st = step(db);
    if (st != FIRN_OK)
        code = cli_engine_error(call, st);
    return cli_close(call, db, code);
}

int verb_sync(cli_call *call) {
    return maintain_run(call, firn_sync);
}

int verb_flush(cli_call *call) {
    return maintain_run(call, firn_flush);
}

/* For the time of one call a pause would be none. */
static int maintain_in_shell(cli_call *call, firn_status (*step)(firn_db *db)) {
    if (!call->session)
        return cli_usage_error(call, "only in firn shell, where the database stays open");
    return maintain_run(call, step);
}

int verb_pause(cli_call *call) {
    return maintain_in_shell(call, firn_pause_compactions);
}

int verb_resume(cli_call *call) {
    return maintain_in_shell(call, firn_resume_compactions);
}

int verb_wait(cli_call *call) {
    return maintain_in_shell(call, firn_wait_idle);
}

/* A thread that draws how far a compaction is, for firn_compact_range says nothing until done. */
typedef struct compact_watch {
    firn_db *db;
    progress bar;
    uint64_t bytes_before; /* read by compactions before this one */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool done; /* guarded by mutex */
} compact_watch;

static bool compact_watch_pause(compact_watch *watch) {
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 200 * 1000 * 1000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    (void)pthread_mutex_lock(&watch->mutex);
    if (!watch->done)
        (void)pthread_cond_timedwait(&watch->changed, &watch->mutex, &until);
    bool done = watch->done;
    (void)pthread_mutex_unlock(&watch->mutex);
    return done;
}

static void *compact_watch_main(void *context) {
    compact_watch *watch = context;
    firn_stats stats = {.size = sizeof stats};
    while (!compact_watch_pause(watch))
        if (firn_get_stats(watch->db, &stats) == FIRN_OK)
            progress_update(&watch->bar, 0, stats.compaction_bytes_read - watch->bytes_before);
    progress_end(&watch->bar);
    return NULL;
}

/* The engine call with the watcher beside it, if there is a terminal to draw on. */
static firn_status compact_watched(firn_db *db, const firn_read_options *range,
                                   const firn_stats *before) {
    compact_watch watch = {.db = db, .bytes_before = before->compaction_bytes_read};
    pthread_t thread;
    progress_start(&watch.bar, true, NULL, before->table_bytes + before->memtable_bytes);
    (void)pthread_mutex_init(&watch.mutex, NULL);
    (void)pthread_cond_init(&watch.changed, NULL);
    bool watched =
        watch.bar.shown && pthread_create(&thread, NULL, compact_watch_main, &watch) == 0;
    firn_status st = firn_compact_range(db, range->lower, range->upper);
    if (watched) {
        (void)pthread_mutex_lock(&watch.mutex);
        watch.done = true;
        (void)pthread_cond_signal(&watch.changed);
        (void)pthread_mutex_unlock(&watch.mutex);
        (void)pthread_join(thread, NULL);
    }
    (void)pthread_cond_destroy(&watch.changed);
    (void)pthread_mutex_destroy(&watch.mutex);
    return st;
}

static int compact_database(cli_call *call, firn_db *db, const firn_read_options *range) {
    char before_bytes[16], after_bytes[16], before_files[32], after_files[32];
    firn_stats before = {.size = sizeof before}, after = {.size = sizeof after};
    firn_status st = firn_flush(db);
    if (st == FIRN_OK)
        st = firn_get_stats(db, &before);
    if (st == FIRN_OK)
        st = compact_watched(db, range, &before);
    if (st == FIRN_OK)
        st = firn_get_stats(db, &after);
    if (st != FIRN_OK)
        return cli_engine_error(call, st);
    if (!args_given(call, "quiet"))
        cli_message(call, "%s in %s table%s, before %s in %s",
                    text_bytes(after.table_bytes, after_bytes),
                    cli_count(after.table_files, after_files), cli_plural(after.table_files),
                    text_bytes(before.table_bytes, before_bytes),
                    cli_count(before.table_files, before_files));
    return CLI_OK;
}

int verb_compact(cli_call *call) {
    firn_read_options bounds = FIRN_READ_OPTIONS_INIT;
    args_range range = {0};
    firn_db *db = NULL;
    int code = args_range_read(call, &range, &bounds);
    if (code == CLI_OK)
        code = cli_open(call, CLI_WRITE, &db);
    if (code == CLI_OK)
        code = compact_database(call, db, &bounds);
    code = cli_close(call, db, code);
    args_range_deinit(&range);
    return code;
}
