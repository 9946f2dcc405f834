/* db/iterator_internal.h - the user's iterator: its state, for iterator.c, which moves it, and
 * iterator_life.c, which makes, refreshes and keeps it.
 *
 * Invariants: `at` is NULL, or an entry to show: of merged's run, or `copy`. Of `ahead` and
 *             `behind` one is 0.
 * Threads:    none; the idle ones are handed over by atomic exchange. */
#ifndef FIRN_DB_ITERATOR_INTERNAL_H
#define FIRN_DB_ITERATOR_INTERNAL_H

#include "db/db_internal.h"
#include "db/masked_tree.h"
#include "db/read_tree.h"
#include "util/buf.h"

struct firn_iter {
    const iter_entry *at;   /* NULL: nowhere. Merged's entry, or `copy` */
    uint32_t ahead, behind; /* plain entries after and before `at`; one of the two is 0 */
    op_kind kind;           /* of *at */

    /* set at birth; view, sequence and merged again at refresh */
    firn_db *db;
    uint32_t keyspace;
    const firn_snapshot *snapshot;
    table_read_args read;
    iter_bounds bounds;
    bool lower_exclusive, upper_inclusive;
    buf prefix_end; /* what bounds.upper points to in prefix mode */
    read_view *view;
    seqno sequence;
    uint64_t clock_ms; /* what has expired by then is not shown */
    read_tree tree;
    masked_tree masked; /* instead, when the view has range deletes */
    iter *merged;       /* of one of them; NULL: a refresh failed */

    status st;
    iter_entry copy; /* in key and value */
    buf key;         /* of the copy, internal; forward, a user key kept across runs */
    buf value;
    uint64_t charged;          /* for the struct, key and value */
    table *origin;             /* of the copy, if it is a large value: its table, referenced */
    uint64_t skipped, reseeks; /* since counted last */

    void *large_pin; /* the current large value, mapped */
    void (*large_unpin)(void *pin);
    slice large_value;
};

/* Stands nowhere, with that status. */
static inline void cursor_end(firn_iter *it, status st) {
    it->at = NULL;
    it->ahead = it->behind = 0;
    it->st = st;
}

/* Lets go of the current large value. */
FIRN_INTERNAL void cursor_drop_large(firn_iter *it);
/* Charges key and value where they have grown. */
FIRN_INTERNAL NODISCARD status cursor_pay(firn_iter *it);
/* Adds what was skipped since to the database's counters. */
FIRN_INTERNAL void cursor_count(firn_iter *it);
#endif
