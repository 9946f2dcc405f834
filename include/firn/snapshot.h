/* firn/snapshot.h - a moment of the database to read from.
 *
 * A snapshot is a sequence number in a registry: taking one costs next to nothing and pins no
 * memory by itself, but while it is held the versions it can see are kept on disk. Its clock stands
 * still: values that had not expired when it was taken do not expire for who reads through it.
 *
 * Thread safety: any thread may read through a snapshot; release it once, when nobody does. */
#ifndef FIRN_SNAPSHOT_H
#define FIRN_SNAPSHOT_H

#include "firn/db.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Gives a snapshot of everything visible now. Release it before firn_close(). NO_MEMORY. */
FIRN_API firn_status firn_snapshot_new(firn_db *db, const firn_snapshot **out);

/* The same with a few words about who holds it, for the ledger below; what is longer than 63 bytes
 * is cut. */
FIRN_API firn_status firn_snapshot_new_for(firn_db *db, const char *label,
                                           const firn_snapshot **out);

/* One line of the ledger: who keeps old versions on disk, since when, and about how much. */
typedef struct firn_snapshot_info {
    uint64_t sequence;
    uint64_t created_ms;   /* milliseconds since 1970 */
    uint64_t held_ms;      /* until now */
    uint64_t pinned_bytes; /* an estimate: what tables hold of versions that newer ones hide and
                              that this snapshot may see, in tables written since the open. Several
                              may pin the same bytes */
    const char *label;     /* "" when none was given; valid during the call */
} firn_snapshot_info;

/* Return non-zero to stop. Must not take or release snapshots. */
typedef int (*firn_snapshot_callback)(void *context, const firn_snapshot_info *info);

/* Lists the snapshots that are held, oldest first. */
FIRN_API firn_status firn_snapshot_list(firn_db *db, firn_snapshot_callback each, void *context);

/* NULL is fine. */
FIRN_API void firn_snapshot_release(firn_db *db, const firn_snapshot *snapshot);

/* Its sequence number: writes with a higher one are not seen. */
FIRN_API uint64_t firn_snapshot_sequence(const firn_snapshot *snapshot);

#ifdef __cplusplus
}
#endif
#endif
