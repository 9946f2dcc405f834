/* db/background_internal.h - what background work by itself and by request share; for this folder.
 */
#ifndef FIRN_DB_BACKGROUND_INTERNAL_H
#define FIRN_DB_BACKGROUND_INTERNAL_H

#include "db/db_internal.h"

#define BACKGROUND_KEYSPACES_MAX 64

typedef struct background_pick {
    firn_db *db;
    uint32_t keyspace;
    bool only_asks; /* whether there is something to do: nothing is marked */
    bool found;
    compaction_plan plan;
    status st;
} background_pick;

/* What the pickers look at; under the version set's state lock. */
FIRN_INTERNAL picker_view background_view(firn_db *db, uint32_t keyspace, version *now);
/* Runs a plan, counts it and clears the marks of its inputs. */
FIRN_INTERNAL NODISCARD status background_run_plan(firn_db *db, const job_env *env,
                                                   const compaction_plan *plan);
/* One job of `*running` is over. A failure is remembered until a later job succeeds: writers that
 * have to wait report it instead. */
FIRN_INTERNAL void background_end(firn_db *db, uint32_t *running, status st, const char *what);
/* Whether a worker would find a flush or a compaction to do. */
FIRN_INTERNAL bool background_work_is_due(firn_db *db);
#endif
