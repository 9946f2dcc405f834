/* firn/batch.h - a list of writes that takes effect atomically.
 *
 *   firn_batch *b;
 *   firn_batch_new(&b);
 *   firn_batch_put(b, FIRN_STR("from"), FIRN_STR("70"));
 *   firn_batch_delete(b, FIRN_STR("old"));
 *   firn_write(db, NULL, b);
 *   firn_batch_free(b);
 *
 * Thread safety: none; one thread at a time. Keys and values are copied into the batch, so the
 * caller's bytes may go right away. Later operations on a key win over earlier ones. */
#ifndef FIRN_BATCH_H
#define FIRN_BATCH_H

#include "firn/slice.h"
#include "firn/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct firn_batch firn_batch;

/* Gives an empty batch. NO_MEMORY. */
FIRN_API firn_status firn_batch_new(firn_batch **out);

/* NULL is fine. */
FIRN_API void firn_batch_free(firn_batch *batch);

/* Append one operation. TOO_LARGE (key over 65,535 bytes, value over 1 GiB, batch over 2 GiB) and
 * NO_MEMORY leave the batch as it was. */
FIRN_API firn_status firn_batch_put(firn_batch *batch, firn_slice key, firn_slice value);
/* As firn_batch_put; from `expires_at_ms` on (milliseconds since 1970; 0 or FIRN_NONE: never) the
 * key counts as deleted. For "in 30 seconds" add to firn_now_ms(). */
FIRN_API firn_status firn_batch_put_expiring(firn_batch *batch, firn_slice key, firn_slice value,
                                             uint64_t expires_at_ms);
FIRN_API firn_status firn_batch_delete(firn_batch *batch, firn_slice key);
/* As firn_single_delete(), firn/db.h. */
FIRN_API firn_status firn_batch_single_delete(firn_batch *batch, firn_slice key);
/* As firn_delete_range(), firn/db.h; of what the batch itself puts, what stands before it. */
FIRN_API firn_status firn_batch_delete_range(firn_batch *batch, firn_slice begin, firn_slice end);

/* Empties the batch, keeping its memory for reuse. */
FIRN_API void firn_batch_clear(firn_batch *batch);

/* Operations in the batch, and the bytes they will take in the log. */
FIRN_API uint32_t firn_batch_count(const firn_batch *batch);
FIRN_API uint64_t firn_batch_bytes(const firn_batch *batch);

#ifdef __cplusplus
}
#endif
#endif
