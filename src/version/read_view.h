/* version/read_view.h - what a reader of one keyspace holds on to: memtables and a version.
 *
 * Invariants: immutable once published; sealed memtables are ordered newest first.
 * Threads:    counted with atomics; any thread may drop the last reference.
 * Lifetime:   holds a reference on everything it names. Iterators pin a view for their life, point
 * reads for the call. */
#ifndef FIRN_VERSION_READ_VIEW_H
#define FIRN_VERSION_READ_VIEW_H

#include "memtable/memtable.h"
#include "util/epoch.h"
#include "version/version.h"

#define SEALED_MEMTABLES_MAX 8

typedef struct read_view {
    epoch_item retirement; /* first; used once, when another view takes its place */
    atomic_u32 references;
    uint32_t keyspace;
    key_order order;
    memtable *active;
    uint32_t sealed_count;
    memtable *sealed[SEALED_MEMTABLES_MAX];
    version *version;
    uint64_t last_drop; /* the last drop of live data that it knows of; see version_set_drops() */
} read_view;

FIRN_INTERNAL void read_view_ref(read_view *view);
FIRN_INTERNAL void read_view_unref(read_view *view); /* NULL is fine */
/* Drops a view's published reference once no reader inside `readers` can hold it; NULL is fine. */
FIRN_INTERNAL void read_view_retire(read_view *view, epoch *readers);
#endif
