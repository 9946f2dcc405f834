/* version/version_edit.h - a change of which files make up the database.
 *
 * Format:   docs/format/manifest.md.
 * Threads:  none.
 * Lifetime: a decoded or built edit owns its arrays and the tables in them (one reference each). */
#ifndef FIRN_VERSION_VERSION_EDIT_H
#define FIRN_VERSION_VERSION_EDIT_H

#include "firn/inspect.h"
#include "util/buf.h"
#include "version/table_meta.h"

typedef struct edit_added {
    uint32_t level;
    table_meta *table;
} edit_added;
typedef struct edit_removed {
    uint32_t keyspace, level;
    uint64_t number;
} edit_removed;
typedef struct edit_flushed {
    uint32_t keyspace;
    seqno sequence;
} edit_flushed;
typedef struct edit_keyspace {
    uint32_t id;
    bool dropped;
    char *name;       /* owned; NULL when dropped */
    char *comparator; /* owned; NULL when dropped */
} edit_keyspace;

typedef struct version_edit {
    bool has_database, has_next_file, has_last_sequence, has_log_floor, has_clean_end;
    uint8_t database[16];
    uint64_t next_file;
    seqno last_sequence;
    uint64_t log_floor_segment, log_floor_position;
    uint64_t clean_end;
    /* not on disk */
    bool drops_live; /* what readers might still see goes with the tables removed */
    bool may_stand;  /* installing it failed, and yet a crash may bring it back: files that it adds
                        have to stay */
    edit_added *added;
    edit_removed *removed;
    edit_flushed *flushed;
    edit_keyspace *keyspaces;
    uint32_t added_count, removed_count, flushed_count, keyspace_count;
} version_edit;

FIRN_INTERNAL void version_edit_deinit(version_edit *e);
/* Keeps a reference of its own on `table`. */
FIRN_INTERNAL NODISCARD status version_edit_add_table(version_edit *e, uint32_t level,
                                                      table_meta *table);
FIRN_INTERNAL NODISCARD status version_edit_remove_table(version_edit *e, uint32_t keyspace,
                                                         uint32_t level, uint64_t number);
FIRN_INTERNAL NODISCARD status version_edit_set_flushed(version_edit *e, uint32_t keyspace,
                                                        seqno sequence);
FIRN_INTERNAL NODISCARD status version_edit_create_keyspace(version_edit *e, uint32_t id,
                                                            const char *name,
                                                            const char *comparator);
FIRN_INTERNAL NODISCARD status version_edit_drop_keyspace(version_edit *e, uint32_t id);

FIRN_INTERNAL void version_edit_encode(const version_edit *e, buf *out);
/* CORRUPTION (no detail: the caller knows file and offset), NOT_SUPPORTED (unknown tag, with
 * detail), NO_MEMORY. *out is to be deinitialised in every case. */
FIRN_INTERNAL NODISCARD status version_edit_decode(slice payload, version_edit *out);
/* One line per field, for people. */
FIRN_INTERNAL NODISCARD status version_edit_describe(slice payload, firn_line_callback print,
                                                     void *context);
#endif
