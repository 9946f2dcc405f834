/* version/manifest.h - the log of version edits, and the file CURRENT that names it.
 *
 * Format:     docs/format/manifest.md.
 * Invariants: an edit is written and synced before manifest_append returns OK. Space is reserved
 *             first, so that a full disk is found out before anything is written.
 * Threads:    none; the version set serialises.
 * Crash:      until manifest_append returns, the edit may or may not be durable; see `health`. */
#ifndef FIRN_VERSION_MANIFEST_H
#define FIRN_VERSION_MANIFEST_H

#include "platform/vfs.h"
#include "version/version_edit.h"

/* What the next edit can rely on. */
typedef enum manifest_health {
    MANIFEST_GOOD,
    /* No file yet, or a write failed half-way: the next edit goes to a new file that starts with a
     * complete snapshot. Until CURRENT names that one, the failed edit may come back after a crash,
     * so the files it adds must stay. */
    MANIFEST_NEEDS_NEW_FILE,
    /* A sync failed: nobody knows what is durable. Nothing may be written or deleted any more. */
    MANIFEST_POISONED
} manifest_health;

typedef struct manifest {
    const firn_vfs *vfs;
    const char *directory; /* borrowed */
    uint8_t database[16];
    manifest_health health;
    bool is_unsettled; /* the last edit failed, and may be found after a crash all the same */
    vfs_file *file;
    uint64_t number; /* of the file CURRENT names; 0: none yet */
    uint64_t epoch;
    uint64_t end, reserved; /* offsets in file */
    uint64_t snapshot_bytes;
    uint32_t records;
} manifest;

FIRN_INTERNAL void manifest_init(manifest *m, const firn_vfs *vfs, const char *directory);
FIRN_INTERNAL void manifest_deinit(manifest *m);

/* Reads CURRENT and hands every complete edit to `apply`, oldest first. NOT_FOUND: no CURRENT.
 * CORRUPTION names file and offset. Leaves health at NEEDS_NEW_FILE: a recovered file is never
 * appended to. */
FIRN_INTERNAL NODISCARD status manifest_recover(
    manifest *m, status (*apply)(void *context, const version_edit *edit), void *context);
/* Writes what was read back in place and syncs it: a process that was killed, or whose sync failed,
 * may have left edits in the page cache that the disk lacks. Before anything is built upon them,
 * above all before a file they do not need is deleted. */
FIRN_INTERNAL NODISCARD status manifest_write_back(manifest *m);
/* Whether the file in use has outgrown its snapshot (or there is none). */
FIRN_INTERNAL bool manifest_wants_new_file(const manifest *m);
/* Writes `snapshot`, the complete state, into manifest file `number`, syncs it and makes CURRENT
 * name it. The old file is removed afterwards. On failure the old one stays in force. */
FIRN_INTERNAL NODISCARD status manifest_start_file(manifest *m, uint64_t number,
                                                   const version_edit *snapshot);
/* Appends and syncs one edit; health must be GOOD. */
FIRN_INTERNAL NODISCARD status manifest_append(manifest *m, const version_edit *edit);
/* Checks a manifest file by itself; used by verify. */
FIRN_INTERNAL NODISCARD status manifest_read_current(const firn_vfs *vfs, const char *directory,
                                                     uint64_t *number);
#endif
