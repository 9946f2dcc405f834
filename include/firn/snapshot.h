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

/* NULL is fine. */
FIRN_API void firn_snapshot_release(firn_db *db, const firn_snapshot *snapshot);

/* Its sequence number: writes with a higher one are not seen. */
FIRN_API uint64_t firn_snapshot_sequence(const firn_snapshot *snapshot);

#ifdef __cplusplus
}
#endif
#endif
