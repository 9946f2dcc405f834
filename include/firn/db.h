/* firn/db.h - open a database, write, read, close.
 *
 * A firn_db is a directory of files, ordered by key, owned by one process at a time (readers beside
 * it open with read_only). All functions here are thread-safe and may be called at once from any
 * number of threads, except where a handle is freed: nobody may be using it then.
 *
 * Limits: key 0..65,535 bytes, value 0..1 GiB, batch 2 GiB.
 *
 * Visibility: when a write returns FIRN_OK every later read, in any thread, sees it. A write that
 * was asked to sync becomes visible only once it is durable.
 *
 * After fork() the child must not use a database its parent opened: calls answer
 * FIRN_INVALID_ARGUMENT there. */
#ifndef FIRN_DB_H
#define FIRN_DB_H

#include "firn/batch.h"
#include "firn/options.h"
#include "firn/slice.h"
#include "firn/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct firn_db firn_db;

/* Opens the database in directory `path`, creating it where create_if_missing allows. `options` may
 * be NULL (all defaults) and is borrowed; what it points to (comparator, vfs, contexts) is kept.
 * On OK gives *out; on failure *out is NULL and nothing in the directory was changed that matters.
 *
 * NOT_FOUND: nothing there and create_if_missing is NO. INVALID_ARGUMENT: an option out of range,
 * a wrong comparator, or a path that holds something else (it is never overwritten). LOCKED: held
 * by another process, or twice by this one. CORRUPTION: a file is damaged or missing; detail names
 * it. NOT_SUPPORTED: written by a newer Firn. IO_ERROR, NO_SPACE, NO_MEMORY. */
FIRN_API firn_status firn_open(const char *path, const firn_options *options, firn_db **out);

/* Makes everything durable, stops background work and frees `db`. BUSY, with nothing closed, while
 * iterators, snapshots or pinned values are alive. Any other status: the database is closed and
 * freed all the same, and the status says what could not be made durable. NULL is fine. */
FIRN_API firn_status firn_close(firn_db *db);

/* --- writing: `options` may be NULL; key and value are borrowed --- */

/* Sets `key` to `value`, replacing what was there. With options->ttl_ms or expires_at_ms the value
 * expires: from that time on the key is as if deleted (an older value does not come back), and what
 * it takes on disk is given up by flushes and compactions. */
FIRN_API firn_status firn_put(firn_db *db, const firn_write_options *options, firn_slice key,
                              firn_slice value);

/* The database's time in milliseconds since 1970, which never runs backwards in a process: what
 * expiry is judged by, and what to add to for firn_batch_put_expiring(). 0 for NULL. */
FIRN_API uint64_t firn_now_ms(firn_db *db);

/* Removes `key`. OK whether or not it was there. */
FIRN_API firn_status firn_delete(firn_db *db, const firn_write_options *options, firn_slice key);

/* Removes `key`, which was put exactly once since it was created or last removed by this function
 * or by firn_delete_range(). To readers this is firn_delete(); but as soon as a flush or compaction
 * meets both, the put and this delete vanish together, where an ordinary delete has to sink to the
 * last level first. For queues and indexes.
 *
 * A key that was put more than once since, or that firn_delete() removed in between (a value that
 * expired does not count as removed): it reads as deleted at first, and after some flush or
 * compaction an older one of its values may read again, until firn_delete() removes the key for
 * good. Other keys are never affected. A key that was not there: as firn_delete(). */
FIRN_API firn_status firn_single_delete(firn_db *db, const firn_write_options *options,
                                        firn_slice key);

/* Removes every key in [begin, end): one small write, however many keys there are. `begin` unset is
 * the empty key; `end` must be set. A range whose end is not behind its begin removes nothing.
 * Reads and scans skip what is covered without reading it, and compactions give up whole tables of
 * it unread. Costs nothing to databases that do not use it; with many thousand ranges at once in
 * memory reads get slower: for single keys use firn_delete(). */
FIRN_API firn_status firn_delete_range(firn_db *db, const firn_write_options *options,
                                       firn_slice begin, firn_slice end);

/* Applies all of `batch`, in order and atomically: after a crash all of it is there or none. The
 * batch is borrowed and unchanged; it may be written again. An empty batch is OK (and, with sync,
 * behaves as firn_sync). */
FIRN_API firn_status firn_write(firn_db *db, const firn_write_options *options,
                                const firn_batch *batch);

/* Returns once everything that returned before this call is on stable storage. */
FIRN_API firn_status firn_sync(firn_db *db);

/* --- reading --- */

/* A value that was read. Small ones are held inline, larger ones point into memory that the value
 * pins: call firn_value_release() either way, before firn_close(). */
typedef struct firn_value {
    const uint8_t *data; /* valid until released */
    size_t size;
    void *pin; /* private */
    void (*unpin)(void *pin);
    firn_db *owner;
    uint64_t expiry_ms; /* when it expires, milliseconds since 1970; 0: never */
    uint8_t inline_bytes[128];
} firn_value;

/* The newest value of `key` visible to `options` (NULL: now). NOT_FOUND when there is none. *out is
 * written in every case and safe to release in every case. A firn_value must not be copied by
 * assignment: `data` may point into it. */
FIRN_API firn_status firn_get(firn_db *db, const firn_read_options *options, firn_slice key,
                              firn_value *out);

/* OK, or IO_ERROR: a part of `value` could not be had while it was in use, and zeros were read in
 * its place. That needs a value of 1 MiB or more, which lies in a mapped file, and somebody who cut
 * that file short or a device that failed after firn_get() checked it. Ask after using the bytes,
 * before releasing them, where that matters; it is cheap beside the bytes. */
FIRN_API firn_status firn_value_check(const firn_value *value);

/* Reads `count` keys at one moment: as if a snapshot had been taken and each key read with it, but
 * faster: tables, blocks and cache misses are shared among neighbours. Keys may come in any order
 * and more than once. values[i] and statuses[i] are written for each key, as firn_get() would have:
 * OK, NOT_FOUND, or what went wrong with this key alone. Every value is safe to release and must be
 * released. Returns OK when all statuses are OK or NOT_FOUND, else the first other one met.
 *
 * Values of up to 128 bytes are copied; each larger one may pin its block: ask for as many at once
 * as the block cache has room for. INVALID_ARGUMENT, with nothing read: an argument is NULL, a key
 * has a size and no data, or `count` is above 1,000,000. */
FIRN_API firn_status firn_multi_get(firn_db *db, const firn_read_options *options, size_t count,
                                    const firn_slice *keys, firn_value *values,
                                    firn_status *statuses);

/* Lets go of what `value` pins and empties it. Releasing an empty value is fine. */
FIRN_API void firn_value_release(firn_value *value);

/* --- maintenance --- */

/* Writes all memtables to tables; returns when they are on stable storage. */
FIRN_API firn_status firn_flush(firn_db *db);

/* Flushes, then compacts all tables that overlap [lower, upper) down to the last level, dropping
 * what deletes and overwrites left behind. Unset bounds are open. Blocks until done. */
FIRN_API firn_status firn_compact_range(firn_db *db, firn_slice lower, firn_slice upper);

/* Makes firn_compact_range calls that are under way, in any thread, answer ABORTED soon. What they
 * have done so far stays done. */
FIRN_API firn_status firn_cancel_compact_range(firn_db *db);

/* Starts no more compactions by itself, after those that run have ended, until each pause is
 * resumed. Flushes go on, and so do compactions by request; writers are slowed down when L0 fills.
 * Resuming what is not paused is INVALID_ARGUMENT. */
FIRN_API firn_status firn_pause_compactions(firn_db *db);
FIRN_API firn_status firn_resume_compactions(firn_db *db);

/* Changes an option of an open database, by name and from text as firn_options_set does. So far:
 * background_rate_bytes. INVALID_ARGUMENT: no such option, or one that is fixed at the open. */
FIRN_API firn_status firn_set_option(firn_db *db, const char *name, const char *value);

/* Read-only databases: moves on to what the writer has acknowledged by now. Existing iterators and
 * snapshots keep what they see. INVALID_ARGUMENT on a database opened for writing. */
FIRN_API firn_status firn_refresh(firn_db *db);

/* Waits until no flush or compaction is running or due (paused ones are not waited for). For tests,
 * benchmarks and tools. */
FIRN_API firn_status firn_wait_idle(firn_db *db);

#ifdef __cplusplus
}
#endif
#endif
