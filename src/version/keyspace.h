/* version/keyspace.h - one keyspace inside the version set: its memtables, tables and published
 * view.
 *
 * Threads: every function is called with the version set's state mutex held. */
#ifndef FIRN_VERSION_KEYSPACE_H
#define FIRN_VERSION_KEYSPACE_H

#include "version/read_view.h"

/* A memtable, where in the log its first record stands and when that was written. */
typedef struct memtable_slot {
    memtable *table;
    uint64_t log_start, first_write_ns; /* meaningless while the memtable is empty */
} memtable_slot;

typedef struct keyspace {
    uint32_t id;
    char *name;
    key_order order;
    seqno flushed_through;
    memtable_slot active;
    memtable_slot sealed[SEALED_MEMTABLES_MAX]; /* oldest first */
    uint32_t sealed_count;
    version *version;
    uint64_t last_drop; /* which of the drops of live data was the last here; 0: none was */
    atomic_ptr view;    /* read_view: what readers get; one reference */
} keyspace;

/* A keyspace with an empty memtable from `pool` and no tables, its first view published. Gives
 * *out.
 */
FIRN_INTERNAL NODISCARD status keyspace_new(uint32_t id, const char *name, key_order order,
                                            uint64_t memtable_bytes, arena_pool *pool,
                                            keyspace **out);
FIRN_INTERNAL void keyspace_free(keyspace *k); /* NULL is fine */

/* Memory for a view to come, so that publishing itself cannot fail. */
FIRN_INTERNAL NODISCARD status keyspace_prepare_view(read_view **out);
/* Fills `prepared` from the current state and makes it the view; takes it. The old view is given to
 * the caller, to be retired when no lock is held. */
FIRN_INTERNAL read_view *keyspace_publish(keyspace *k, read_view *prepared);

/* Moves the active memtable to the sealed ones and puts `fresh` (taken) in its place. */
FIRN_INTERNAL void keyspace_seal(keyspace *k, memtable *fresh);
/* Removes the oldest sealed memtable, which must be `m`; its reference is given to the caller. */
FIRN_INTERNAL memtable *keyspace_drop_oldest_sealed(keyspace *k, const memtable *m);
/* The lowest log position that a memtable other than `except` needs; UINT64_MAX: none. */
FIRN_INTERNAL uint64_t keyspace_log_start(const keyspace *k, const memtable *except);
#endif
