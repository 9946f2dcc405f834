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

struct version_set {
    /* set at birth */
    const firn_vfs *vfs;
    const char *directory;
    key_order order;
    uint64_t memtable_bytes;
    graveyard *grave;

    mutex
        install_guard; /* serialises edits; held across the manifest's I/O; taken before `guard` */
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
};

/* The keyspace of that id, or NULL; `guard` is held, as in all `_locked` functions here. */
FIRN_INTERNAL keyspace *version_set_find_locked(version_set *vs, uint32_t id);
FIRN_INTERNAL NODISCARD status version_set_apply_keyspace_locked(version_set *vs,
                                                                 const edit_keyspace *change);
FIRN_INTERNAL void version_set_apply_scalars_locked(version_set *vs, const version_edit *edit);
/* Copies what others may ask of the manifest to where they may look; install_guard is held. */
FIRN_INTERNAL void version_set_note_manifest(version_set *vs);
#endif
