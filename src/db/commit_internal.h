/* db/commit_internal.h - the parts of a commit: room (commit_room.c), then log, memtables and
 * visibility (commit.c). Everything here is for the leader. */
#ifndef FIRN_DB_COMMIT_INTERNAL_H
#define FIRN_DB_COMMIT_INTERNAL_H

#include "db/db_internal.h"

/* The memtable that takes a keyspace's writes; NULL: no such keyspace. */
FIRN_INTERNAL memtable *commit_find_target(firn_db *db, uint32_t keyspace);
FIRN_INTERNAL bool commit_only_deletes(const batch_view *batch);
/* Makes the next group possible: not poisoned, below the disk limit, the owed delay slept off, a
 * memtable with room. Waits for background work where it must. */
FIRN_INTERNAL NODISCARD status commit_make_room(firn_db *db, const batch_view *first);
/* Whether commit_make_room would return at once. */
FIRN_INTERNAL bool commit_has_room(firn_db *db);
/* Waits until no group is in flight; fails if one of them has poisoned the database. */
FIRN_INTERNAL NODISCARD status commit_drain(firn_db *db);
FIRN_INTERNAL NODISCARD status commit_seal_every_keyspace(firn_db *db);
#endif
