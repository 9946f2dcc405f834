/* firn/iterator.h - ordered scans, forward and backward.
 *
 *   firn_iter *it;
 *   firn_iter_new(db, &(firn_read_options){.prefix = FIRN_STR("user/")}, &it);
 *   for (firn_iter_seek_first(it); firn_iter_valid(it); firn_iter_next(it))
 *       use(firn_iter_key(it), firn_iter_value(it));
 *   if (firn_iter_status(it) != FIRN_OK) ...
 *   firn_iter_free(it);
 *
 * An iterator sees the database as it was when it was created, refreshed, or its snapshot taken;
 * later writes do not disturb it, and its clock stands still: what had expired by then is not
 * shown, the rest stays. It starts unpositioned (not valid).
 *
 * Thread safety: one thread at a time; it may move between threads. Free it before firn_close().
 * Cost: it keeps the files and memtables it started with alive; refresh or free long-lived ones.
 * Errors: an iterator that meets one becomes invalid and stays so; its status is sticky until the
 * next seek. Always look at firn_iter_status() when it becomes invalid. */
#ifndef FIRN_ITERATOR_H
#define FIRN_ITERATOR_H

#include "firn/db.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct firn_iter firn_iter;

/* Gives an iterator over the keys that `options` admits (NULL: all, now). Bounds and prefix are
 * borrowed until it is freed. INVALID_ARGUMENT: prefix with a custom comparator. NO_MEMORY. */
FIRN_API firn_status firn_iter_new(firn_db *db, const firn_read_options *options, firn_iter **out);

/* NULL is fine. */
FIRN_API void firn_iter_free(firn_iter *it);

/* Positioning. Afterwards the iterator is valid if such a key exists within its bounds. */
FIRN_API void firn_iter_seek_first(firn_iter *it);
FIRN_API void firn_iter_seek_last(firn_iter *it);
FIRN_API void firn_iter_seek(firn_iter *it, firn_slice key);          /* first key >= `key` */
FIRN_API void firn_iter_seek_for_prev(firn_iter *it, firn_slice key); /* last key <= `key` */

/* One step. On an iterator that is not valid these do nothing. */
FIRN_API void firn_iter_next(firn_iter *it);
FIRN_API void firn_iter_prev(firn_iter *it);

/* Whether the iterator stands on an entry: 0 or 1. */
FIRN_API int firn_iter_valid(const firn_iter *it);

/* The entry it stands on; valid until it is moved or freed. On an invalid iterator: {NULL, 0}. A
 * value of 1 MiB or more is mapped or read when first asked for; if that fails the iterator turns
 * invalid. */
FIRN_API firn_slice firn_iter_key(const firn_iter *it);
FIRN_API firn_slice firn_iter_value(firn_iter *it);

/* When the entry it stands on expires, in milliseconds since 1970; 0: never. */
FIRN_API uint64_t firn_iter_expiry_ms(const firn_iter *it);

/* OK, or what stopped it; or IO_ERROR where the large value it stands on lies in a file that failed
 * under the mapping while it was used (firn_value_check in db.h). */
FIRN_API firn_status firn_iter_status(const firn_iter *it);

/* Moves an unpinned iterator (no snapshot) to the present and leaves it unpositioned. */
FIRN_API firn_status firn_iter_refresh(firn_iter *it);

#ifdef __cplusplus
}
#endif
#endif
