/* version/version_set.h - the state of the database: keyspaces, their memtables and tables, the
 * manifest.
 *
 * Purpose:    the one owner of read views. Three things change them: sealing a memtable, installing
 *             an edit (flush or compaction), creating a keyspace.
 * Invariants: a new state is visible to readers only after the edit that makes it is durable. Edits
 *             are installed one at a time. Flushes of a keyspace are installed oldest memtable
 *             first.
 * Threads:    safe. Lock order: install mutex, then state mutex (docs/locking.md).
 * Crash:      version_set_install's manifest append is the commit point. */
#ifndef FIRN_VERSION_VERSION_SET_H
#define FIRN_VERSION_VERSION_SET_H

#include "platform/clock.h"
#include "util/event_log.h"
#include "version/manifest.h"
#include "version/read_view.h"

typedef struct version_set version_set;

#define KEYSPACE_DEFAULT 0u

typedef struct version_set_args {
    const firn_vfs *vfs;
    const char *directory; /* borrowed for its life */
    key_order order;       /* of keyspace 0, and of those whose comparator has that name */
    uint64_t memtable_bytes;
    memory_budget *memory; /* kept: memtables are charged to it; may be NULL */
    graveyard *grave;      /* borrowed for its life: receives tables nobody can reach */
    epoch *readers;        /* borrowed for its life, and longer by what still waits in it */
} version_set_args;

FIRN_INTERNAL NODISCARD status version_set_new(const version_set_args *args, version_set **out);
/* Counted: with the last reference it drops everything it holds; views in use keep what they name.
 * NULL is fine for version_set_unref. */
FIRN_INTERNAL void version_set_ref(version_set *vs);
FIRN_INTERNAL void version_set_unref(version_set *vs);

/* Reads CURRENT and the manifest. NOT_FOUND: no database here. INVALID_ARGUMENT: other comparator.
 */
FIRN_INTERNAL NODISCARD status version_set_recover(version_set *vs);
/* Makes durable what version_set_recover read. */
FIRN_INTERNAL NODISCARD status version_set_write_back(version_set *vs);
/* A new database: identity, keyspace 0, empty. Writes the first manifest and CURRENT. */
FIRN_INTERNAL NODISCARD status version_set_create(version_set *vs);

/* --- reading --- */

/* For point reads: the current view of a keyspace, held by staying inside until
 * version_set_leave(*slot). NULL, without being inside: no such keyspace. A thread is inside once
 * at a time. */
FIRN_INTERNAL const read_view *version_set_enter(version_set *vs, uint32_t keyspace,
                                                 uint64_t *slot);
FIRN_INTERNAL void version_set_leave(version_set *vs, uint64_t slot);
/* Drops replaced views that no reader is inside with any more; how many still wait. `now_ns` is of
 * one clock, as in version_set_get_memory. */
FIRN_INTERNAL uint64_t version_set_collect(version_set *vs, uint64_t now_ns);
/* A reference on the current view of a keyspace, or NULL if there is none of that id. */
FIRN_INTERNAL read_view *version_set_view(version_set *vs, uint32_t keyspace);
/* How often live data was dropped from any keyspace, since the open. A view whose last_drop is
 * higher lacks what was there at the time of the call. */
FIRN_INTERNAL uint64_t version_set_drops(version_set *vs);
/* The ids of all keyspaces, ascending; at most `capacity`. Returns how many there are. */
FIRN_INTERNAL uint32_t version_set_keyspaces(version_set *vs, uint32_t *ids, uint32_t capacity);

/* --- memtables; seal and the active table are for the holder of the commit lock --- */

/* The memtable that takes writes; borrowed until the next seal. NULL: no such keyspace. */
FIRN_INTERNAL memtable *version_set_active(version_set *vs, uint32_t keyspace);
/* Says at which log position the active memtable's first record stands, and the monotonic time;
 * call before inserting into an empty one. */
FIRN_INTERNAL void version_set_note_first_write(version_set *vs, uint32_t keyspace,
                                                uint64_t position, uint64_t now_ns);
/* The keyspace whose active memtable got its first write longest ago; false if all are empty. */
FIRN_INTERNAL bool version_set_oldest_active(version_set *vs, uint32_t *keyspace,
                                             uint64_t *first_write_ns);
/* Replaces the active memtable by an empty one and queues it for flushing. BUSY: too many are
 * waiting. Sealing an empty one does nothing. */
FIRN_INTERNAL NODISCARD status version_set_seal(version_set *vs, uint32_t keyspace);
FIRN_INTERNAL uint32_t version_set_sealed_count(version_set *vs, uint32_t keyspace);
/* Whether any sealed memtable still holds entries with sequences <= `sequence`. */
FIRN_INTERNAL bool version_set_has_sealed(version_set *vs, seqno sequence);
/* The keyspace whose unflushed memtables begin lowest in the log; false if none has any. */
FIRN_INTERNAL bool version_set_oldest_unflushed(version_set *vs, uint32_t *keyspace,
                                                uint64_t *position);
/* The oldest sealed memtable that is not being flushed, marked as being flushed, with a reference;
 * false if there is none. Give it back with version_set_flush_failed or by installing it. */
FIRN_INTERNAL bool version_set_take_flush(version_set *vs, uint32_t *keyspace, memtable **out);
FIRN_INTERNAL void version_set_flush_failed(version_set *vs, uint32_t keyspace, memtable *m);
/* Whether another keyspace has unflushed entries: then the log must be synced before a flush is
 * installed, or a batch over both could be halved. Sequences do not tell which batches those are:
 * of one batch, this keyspace may hold the first entries and the other one those behind. */
FIRN_INTERNAL bool version_set_log_is_shared(version_set *vs, uint32_t keyspace);
/* Nothing in the log below this position is needed once memtable `flushed` (may be NULL) is in
 * tables. `applied` is a position below which every record is in its memtable, read before the
 * call. */
FIRN_INTERNAL uint64_t version_set_log_floor(version_set *vs, const memtable *flushed,
                                             uint64_t applied);
/* Readers may still look for large values of flushed memtables in the log from this position on;
 * UINT64_MAX: none do. */
FIRN_INTERNAL uint64_t version_set_log_pinned(version_set *vs);
typedef struct version_set_memory {
    uint64_t bytes;       /* of active and sealed memtables: the exact charge */
    uint64_t entries;     /* in them */
    uint64_t sealed;      /* memtables that wait for their flush, or are being flushed */
    uint64_t spare_bytes; /* arena blocks kept for memtables to come */
    uint64_t held_bytes;  /* of flushed memtables that readers keep alive */
    epoch_stats readers;  /* those inside, and what they hold up */
} version_set_memory;
FIRN_INTERNAL void version_set_get_memory(version_set *vs, uint64_t now_ns,
                                          version_set_memory *out);
/* Bytes of sealed memtables, and of active ones; cheap enough to pace writers by. */
FIRN_INTERNAL uint64_t version_set_sealed_bytes(version_set *vs, uint64_t *active);
/* Of all memtables, with the large values they refer to in the log: what their tables may take. */
FIRN_INTERNAL uint64_t version_set_unflushed_bytes(version_set *vs);

/* --- changing --- */

FIRN_INTERNAL uint64_t version_set_new_file_number(version_set *vs);
/* A memtable that version_set_take_flush gave, and whose tables are in the edit. */
typedef struct flushed_memtable {
    uint32_t keyspace;
    memtable *table;
} flushed_memtable;
/* Completes `edit` (next file, last sequence, database), makes it durable, then publishes it.
 * `flushed` (may be NULL) is the sealed memtable that the edit's tables replace. NO_SPACE: nothing
 * changed and it may be tried again. Tables the edit adds must stay on disk until the next open if
 * edit->may_stand says that a crash may bring it back. */
FIRN_INTERNAL NODISCARD status version_set_install(version_set *vs, version_edit *edit,
                                                   const flushed_memtable *flushed);
/* For tests until keyspaces get their API. BUSY: the name is taken. */
FIRN_INTERNAL NODISCARD status version_set_create_keyspace(version_set *vs, const char *name,
                                                           uint32_t *id);
/* Marks or clears the inputs of a job. Marking fails (false) if one is taken already. */
FIRN_INTERNAL bool version_set_mark_compacting(version_set *vs, table_meta *const *tables,
                                               uint32_t count, bool compacting);
/* Runs `look` with the state locked and the keyspace's version of that moment: pickers read
 * `compacting` of its tables there. An older version would not do: tables that have left since are
 * no longer marked. */
FIRN_INTERNAL void version_set_with_state(version_set *vs, uint32_t keyspace,
                                          void (*look)(void *context, version *now), void *context);

/* Gives spare arenas back to the system. */
FIRN_INTERNAL void version_set_trim_memory(version_set *vs);
/* The account that was given at birth. */
FIRN_INTERNAL memory_budget *version_set_memory_budget(const version_set *vs);

/* --- facts from the manifest --- */

typedef struct version_set_facts {
    uint8_t database[16];
    uint64_t log_floor_segment, log_floor_position, clean_end;
    seqno last_sequence;
    uint64_t next_file, manifest_number;
    bool poisoned;
} version_set_facts;
FIRN_INTERNAL void version_set_get_facts(version_set *vs, version_set_facts *out);
/* Sequence through which a keyspace is in tables. */
FIRN_INTERNAL seqno version_set_flushed_through(version_set *vs, uint32_t keyspace);
/* Raises the last sequence, e.g. to what the log held. */
FIRN_INTERNAL void version_set_note_sequence(version_set *vs, seqno sequence);
/* File numbers seen in the directory must never be given out again. */
FIRN_INTERNAL void version_set_note_file_number(version_set *vs, uint64_t number);
#endif
