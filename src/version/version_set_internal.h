/* version/version_set_internal.h - the version set's state and what its files share; for this
 * folder.
 *
 * version_set.c has life, recovery and questions; version_set_memtables.c sealing and flush order;
 * version_set_install.c the commit point. */
#ifndef FIRN_VERSION_VERSION_SET_INTERNAL_H
#define FIRN_VERSION_VERSION_SET_INTERNAL_H

#include "platform/thread.h"
#include "version/keyspace.h"
#include "version/version_set.h"

enum { KEYSPACES_MAX = 64 };

/* A flushed memtable that a reader may still hold, while its large values lie in the log. */
typedef struct retired_memtable {
    memtable *table; /* one reference */
    uint64_t log_start;
    struct retired_memtable *next;
} retired_memtable;

struct version_set {
    atomic_u32 references;

    /* set at birth */
    const firn_vfs *vfs;
    const char *directory;
    key_order order;
    uint64_t memtable_bytes;
    memory_budget *memory;       /* NULL: nobody counts */
    arena_pool *memtable_memory; /* one reference; outlives the version set while readers hold any
                                  * memtable */
    graveyard *grave;

    epoch *readers; /* inside: point reads, and whoever takes a reference on a view */

    /* Serialises edits; held across the manifest's I/O; taken before `guard`. */
    mutex install_guard;
    manifest manifest; /* guarded by install_guard */

    mutex guard;                        /* all below; never held across I/O */
    keyspace *keyspaces[KEYSPACES_MAX]; /* ascending by id */
    uint32_t keyspace_count;
    uint64_t next_file;
    uint32_t next_keyspace;
    seqno last_sequence;
    uint64_t log_floor_segment, log_floor_position, clean_end;
    uint64_t manifest_number;
    uint8_t database[16];
    bool poisoned;
    retired_memtable *retired;
    uint64_t drops; /* edits that dropped live data, of all keyspaces */
};

/* The keyspace of that id, or NULL; `guard` is held, as in all `_locked` functions here. */
FIRN_INTERNAL keyspace *version_set_find_locked(version_set *vs, uint32_t id);
FIRN_INTERNAL NODISCARD status version_set_apply_keyspace_locked(version_set *vs,
                                                                 const edit_keyspace *change);
FIRN_INTERNAL void version_set_apply_scalars_locked(version_set *vs, const version_edit *edit);
/* Memory to retire `m` with, so that this cannot fail later; NULL where there is no need. */
FIRN_INTERNAL NODISCARD status version_set_prepare_retired(const memtable *m,
                                                           retired_memtable **out);
/* Gives the sealed memtable's reference to the caller, or to *retired if there is one, which it
 * takes. */
FIRN_INTERNAL memtable *version_set_drop_flushed_locked(version_set *vs,
                                                        const flushed_memtable *flushed,
                                                        retired_memtable **retired);
FIRN_INTERNAL void version_set_free_retired(retired_memtable *list);
/* Copies what others may ask of the manifest to where they may look; install_guard is held. */
FIRN_INTERNAL void version_set_note_manifest(version_set *vs);
#endif
