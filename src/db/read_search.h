/* db/read_search.h - the parts of a point read, for those who read one key, many, or want to see
 * how it is done.
 *
 * Purpose:    one search (a moment, a view) serves any number of keys: read_begin, for each key
 *             read_key_init .. read_key_deinit, read_end.
 * Invariants: the first version found with a sequence the reader may see is the answer, for newer
 *             ones lie in front of older: active memtable, sealed ones newest first, then the
 *             tables that version_walk names, in its order.
 * Threads:    one. Inside the epoch until a table must be opened, so nothing may wait in between
 *             but for the disk.
 * Lifetime:   a key's lookup is valid until read_key_deinit; that comes before read_end. */
#ifndef FIRN_DB_READ_SEARCH_H
#define FIRN_DB_READ_SEARCH_H

#include "db/db_internal.h"

/* How a point read keeps what it looks at: inside the epoch, which touches no shared line; with a
 * counted view where the state itself may be replaced (read-only databases), and from the moment
 * the read must open a file: nothing waits for the disk inside the epoch. */
typedef struct read_hold {
    const read_view *view;
    read_view *counted; /* NULL: the epoch holds it */
    bool inside;        /* the epoch, at `slot` */
    uint64_t slot;
} read_hold;

typedef struct read_search {
    firn_db *db;
    const firn_snapshot *snapshot;
    seqno sequence;
    read_hold hold;
    table_read_args args;
    bool keeps_found; /* lookups are used after another one, which may leave the epoch */
} read_search;

typedef struct read_key {
    seek_key seek;
    uint64_t hash; /* of the user key */
    lookup found;
    table *origin; /* of a large value; referenced */
} read_key;

/* Takes the view, then the moment. On failure there is nothing to end. */
FIRN_INTERNAL NODISCARD status read_begin(read_search *s, firn_db *db, uint32_t keyspace,
                                          const firn_read_options *options);
FIRN_INTERNAL void read_end(read_search *s);
/* From here on the view is counted and tables are referenced one by one: for reads that take long.
 * Twice is fine. */
FIRN_INTERNAL void read_leave_epoch(read_search *s);

FIRN_INTERNAL NODISCARD status read_key_init(const read_search *s, slice key, read_key *out);
FIRN_INTERNAL void read_key_deinit(read_key *k);

/* Asks all memtables; k->found. */
FIRN_INTERNAL void read_memtables(const read_search *s, read_key *k);
/* Asks one table, opening it if need be. */
FIRN_INTERNAL NODISCARD status read_table(read_search *s, read_key *k, table_meta *meta,
                                          table_get_trace *trace);
/* Whether what was found shows no value: a delete, or expired. A snapshot's clock stands still. */
FIRN_INTERNAL bool read_has_expired(const read_search *s, const read_key *k);
/* What the key's lookup comes to: a value, or NOT_FOUND. */
FIRN_INTERNAL NODISCARD status read_answer(read_search *s, read_key *k, firn_value *out);
FIRN_INTERNAL void read_value_clear(firn_value *out);
#endif
