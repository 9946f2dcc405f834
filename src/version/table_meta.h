/* version/table_meta.h - what the manifest knows about one table.
 *
 * Invariants: immutable once it is in a version, but for `compacting`, `obsolete` and `open`.
 * Threads:    counted with atomics; any thread may drop the last reference.
 * Lifetime:   versions hold references; so do compaction plans. When the last reference to a table
 * that was marked obsolete goes, the file is handed to the graveyard, which deletes it later. */
#ifndef FIRN_VERSION_TABLE_META_H
#define FIRN_VERSION_TABLE_META_H

#include "base/atomic.h"
#include "format/key.h"
#include "table/table_builder.h"
#include "table/table_cache.h"

/* Receives tables nobody can reach any more; its mutex is a leaf of the lock order. */
typedef struct graveyard graveyard;

typedef struct table_meta {
    atomic_u32 references;
    atomic_u32 obsolete; /* set once, when an edit removed it for good */
    graveyard *grave;    /* NULL: nothing to do at the end */
    struct table_meta *next_dead;

    table_locator where; /* number, size, identity */
    table_slot open;     /* leads to the open table */
    uint32_t keyspace;
    uint64_t entries, deletes, range_tombstones;
    uint64_t raw_key_bytes, raw_value_bytes;
    seqno min_sequence, max_sequence;
    uint64_t min_expiry, max_expiry;
    internal_key smallest, largest; /* owned, one block after the struct */
    /* By the wall clock: when the newest entry reached a table, and when this table was written. 0:
     * not recorded, by a build that did not; opening then says "now" (table_meta_date). */
    uint64_t newest_ms, written_ms;
    uint64_t hidden_versions; /* that only readers of the time it was written needed */
    /* How many entries expire, and when each eighth of them has; 0, 0: nothing expires, or it was
     * not recorded. */
    uint64_t expiring, expiry_parts[EXPIRY_PARTS];

    bool compacting; /* an input of a running job; guarded by the version set's mutex */
} table_meta;

/* Copies `fields` (its keys too) into a new counted object with one reference. */
FIRN_INTERNAL NODISCARD status table_meta_new(const table_meta *fields, table_meta **out);
FIRN_INTERNAL void table_meta_ref(table_meta *m);
FIRN_INTERNAL void table_meta_unref(table_meta *m); /* NULL is fine */

/* Gives a table without a recorded age that of `now_ms`; only while nobody else knows it. */
FIRN_INTERNAL void table_meta_date(table_meta *m, uint64_t now_ms);
/* Fields as the builder's summary gives them; keys borrowed from the summary. */
FIRN_INTERNAL table_meta table_meta_from_summary(const table_summary *summary, uint64_t number,
                                                 uint32_t keyspace);

/* The graveyard: a list of dead tables and a callback that asks for a visit. */
struct graveyard {
    atomic_ptr head; /* table_meta, linked by next_dead */
    void (*wake)(void *context);
    void *context;
};
/* Takes the whole list; the caller deletes the files and calls table_meta_bury on each. */
FIRN_INTERNAL table_meta *graveyard_take(graveyard *g);
FIRN_INTERNAL void table_meta_bury(table_meta *m);
#endif
