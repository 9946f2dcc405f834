/* version/version.h - an immutable set of tables by level, for one keyspace.
 *
 * Invariants: level 0 is ordered newest first (by max sequence); its tables may overlap. Levels
 * below are ordered by smallest key and do not overlap by user key. Threads:    immutable and
 * counted. Lifetime:   holds a reference on each of its tables. */
#ifndef FIRN_VERSION_VERSION_H
#define FIRN_VERSION_VERSION_H

#include "version/table_meta.h"
#include "version/version_edit.h"

#define LEVEL_COUNT 7

typedef struct version_level {
    table_meta **tables;
    uint32_t count;
    uint64_t bytes;
} version_level;

typedef struct version {
    atomic_u32 references;
    key_order order;
    version_level levels[LEVEL_COUNT];
    bool has_range_tombstones; /* some table does */
} version;

/* A version without tables. */
FIRN_INTERNAL NODISCARD status version_new_empty(key_order order, version **out);
/* `base` with the table changes of `edit` that concern `keyspace`. CORRUPTION: the edit removes a
 * table that is not there or adds one that is, or tables of a level would overlap. `grave` is given
 * to tables that are new. */
FIRN_INTERNAL NODISCARD status version_new_edited(const version *base, const version_edit *edit,
                                                  uint32_t keyspace, graveyard *grave,
                                                  version **out);
FIRN_INTERNAL void version_ref(version *v);
FIRN_INTERNAL void version_unref(version *v); /* NULL is fine */

/* Position in a level below 0 of the first table whose largest key is >= target; count if none. */
FIRN_INTERNAL uint32_t version_level_find(const version *v, uint32_t level, internal_key target);

/* The tables a point read of one user key has to ask, in the order in which to ask them. */
typedef struct version_walk {
    const version *v;
    internal_key seek;
    uint32_t level, position; /* where it goes on */
} version_walk;
static inline version_walk version_walk_begin(const version *v, internal_key seek) {
    return (version_walk){v, seek, 0, 0};
}
/* Fills `out` with the next ones; fewer than `capacity` when there are no more. */
FIRN_INTERNAL uint32_t version_walk_next(version_walk *walk, table_meta **out, uint32_t capacity);

FIRN_INTERNAL uint64_t version_total_bytes(const version *v);
FIRN_INTERNAL uint64_t version_total_tables(const version *v);
/* The table with that number on that level, or NULL. */
FIRN_INTERNAL table_meta *version_find_table(const version *v, uint32_t level, uint64_t number);
/* Whether any table from `level` down overlaps [smallest, largest] by user key. */
FIRN_INTERNAL bool version_overlaps_below(const version *v, uint32_t level, user_key smallest,
                                          user_key largest);
#endif
