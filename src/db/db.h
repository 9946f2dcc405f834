/* db/db.h - the engine: what the public API calls, with status instead of firn_status.
 *
 * Threads:  as in firn/db.h.
 * It is not: responsible for fork checks and argument checks; src/api does those. */
#ifndef FIRN_DB_DB_H
#define FIRN_DB_DB_H

#include "db/config.h"
#include "firn/db.h"
#include "firn/inspect.h"
#include "firn/iterator.h"
#include "firn/snapshot.h"
#include "firn/stats.h"
#include "format/batch.h"

/* The keyspace behind the public API. */
#define KEYSPACE_DEFAULT_ID 0u

/* --- life (open.c, close.c) --- */
FIRN_INTERNAL NODISCARD status db_open(const char *path, const db_config *config, firn_db **out);
/* BUSY: handles are alive and nothing was closed. Otherwise `db` is gone. */
FIRN_INTERNAL NODISCARD status db_close(firn_db *db);
FIRN_INTERNAL NODISCARD status db_refresh(firn_db *db);
/* False in a forked child. */
FIRN_INTERNAL bool db_belongs_to_this_process(const firn_db *db);

/* --- writing (commit.c) --- */
/* The time that expiry is judged by. */
FIRN_INTERNAL uint64_t db_now_ms(const firn_db *db);
FIRN_INTERNAL NODISCARD status db_write(firn_db *db, const batch_view *batch, firn_choice sync);
FIRN_INTERNAL NODISCARD status db_sync(firn_db *db);
/* For the statistics: a single put or delete. */
FIRN_INTERNAL void db_count_operation(firn_db *db, op_kind kind);

/* --- reading (read.c, iterator.c) --- */
FIRN_INTERNAL NODISCARD status db_get(firn_db *db, uint32_t keyspace,
                                      const firn_read_options *options, slice key, firn_value *out);
FIRN_INTERNAL status db_value_check(const firn_value *value);
/* Each key's value and status, as db_get would have given them at one moment; the first status that
 * is neither OK nor NOT_FOUND. */
typedef struct multi_get_args {
    size_t count; /* below UINT32_MAX */
    const slice *keys;
    firn_value *values;
    firn_status *statuses;
} multi_get_args;
FIRN_INTERNAL NODISCARD status db_multi_get(firn_db *db, uint32_t keyspace,
                                            const firn_read_options *options,
                                            const multi_get_args *args);
FIRN_INTERNAL NODISCARD status db_explain_get(firn_db *db, const firn_read_options *options,
                                              slice key, firn_explain_callback explain,
                                              void *context);
FIRN_INTERNAL void db_value_release(firn_value *value);
FIRN_INTERNAL NODISCARD status db_iter_new(firn_db *db, uint32_t keyspace,
                                           const firn_read_options *options, firn_iter **out);
/* `label` may be NULL: who holds it, for the ledger. */
FIRN_INTERNAL NODISCARD status db_snapshot_new(firn_db *db, const char *label,
                                               const firn_snapshot **out);
FIRN_INTERNAL NODISCARD status db_snapshot_list(firn_db *db, firn_snapshot_callback each,
                                                void *context);
FIRN_INTERNAL uint64_t db_snapshot_sequence(const firn_snapshot *snapshot);
FIRN_INTERNAL void db_snapshot_release(firn_db *db, const firn_snapshot *snapshot);

/* --- iterators (iterator.c) --- */
FIRN_INTERNAL void db_iter_free(firn_iter *it);
FIRN_INTERNAL NODISCARD status db_iter_refresh(firn_iter *it);
FIRN_INTERNAL void db_iter_seek_first(firn_iter *it);
FIRN_INTERNAL void db_iter_seek_last(firn_iter *it);
FIRN_INTERNAL void db_iter_seek(firn_iter *it, slice key);
FIRN_INTERNAL void db_iter_seek_for_prev(firn_iter *it, slice key);
FIRN_INTERNAL void db_iter_next(firn_iter *it);
FIRN_INTERNAL void db_iter_prev(firn_iter *it);
FIRN_INTERNAL bool db_iter_valid(const firn_iter *it);
FIRN_INTERNAL slice db_iter_key(const firn_iter *it);
FIRN_INTERNAL slice db_iter_value(firn_iter *it);
/* When the current value expires; 0: never. */
FIRN_INTERNAL uint64_t db_iter_expiry_ms(const firn_iter *it);
FIRN_INTERNAL status db_iter_status(const firn_iter *it);

/* --- maintenance (background.c, maintenance.c) --- */
FIRN_INTERNAL NODISCARD status db_flush(firn_db *db);
FIRN_INTERNAL NODISCARD status db_compact_range(firn_db *db, slice lower, slice upper);
FIRN_INTERNAL NODISCARD status db_wait_idle(firn_db *db);
FIRN_INTERNAL void db_cancel_compact_range(firn_db *db);
FIRN_INTERNAL NODISCARD status db_pause_compactions(firn_db *db);
FIRN_INTERNAL NODISCARD status db_resume_compactions(firn_db *db);
FIRN_INTERNAL NODISCARD status db_set_option(firn_db *db, const char *name, const char *value);
FIRN_INTERNAL void db_get_stats(firn_db *db, firn_stats *out);

/* --- for tests until they get an API --- */
FIRN_INTERNAL NODISCARD status db_keyspace_create(firn_db *db, const char *name, uint32_t *id);
/* One piece of background work on this thread; false if there was none. */
FIRN_INTERNAL bool db_step(firn_db *db);
#endif
