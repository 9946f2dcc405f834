/* format/batch.h - the operations of a write, encoded as they stand in the log.
 *
 * Format:     docs/format/keys.md, "Operations of a batch".
 * Invariants: values of LARGE_VALUE_BYTES and more are not in `ops`: their operation holds a
 *             reference with offset 0 that the log writer patches in its own copy, and `large`
 * lists the bytes. Threads:    none. */
#ifndef FIRN_FORMAT_BATCH_H
#define FIRN_FORMAT_BATCH_H

#include "firn/batch.h"
#include "format/key.h"
#include "format/large_ref.h"
#include "util/buf.h"

typedef struct batch_large {
    size_t ref_offset; /* of the reference's first byte in `ops` */
    slice value;       /* owned by the firn_batch, or borrowed from the caller of a single put */
    bool owned;
} batch_large;

/* One decoded operation; slices point into the batch. */
typedef struct batch_op {
    op_kind kind;
    uint32_t keyspace;
    user_key key;
    slice value; /* for OP_PUT_LARGE: the encoded large_ref */
} batch_op;

/* What the write path takes: borrowed parts. */
typedef struct batch_view {
    slice ops;
    uint32_t count;
    const batch_large *large;
    uint32_t large_count;
    uint64_t user_bytes;  /* keys and values */
    bool names_keyspaces; /* others than the default one */
    const batch_op
        *only; /* the one operation in `ops`, decoded, where the caller has it; or NULL */
} batch_view;

struct firn_batch {
    buf ops;
    uint32_t count;
    batch_large *large;
    uint32_t large_count, large_capacity;
    uint64_t bytes; /* in the log: ops and large values */
    uint64_t user_bytes;
    bool names_keyspaces;
};

FIRN_INTERNAL void batch_init(firn_batch *b);
FIRN_INTERNAL void batch_deinit(firn_batch *b);
FIRN_INTERNAL void batch_clear(firn_batch *b);
/* Checks the limits (TOO_LARGE with detail), then appends; on failure the batch is unchanged. Large
 * values are copied when `copy_large`, else borrowed. */
FIRN_INTERNAL NODISCARD status batch_put(firn_batch *b, uint32_t keyspace, slice key, slice value,
                                         bool copy_large);
/* The same for a value that counts as deleted from `expiry_ms` on; 0 or EXPIRY_NEVER: never. */
typedef struct batch_expiring {
    slice key, value;
    uint64_t expiry_ms;
} batch_expiring;
FIRN_INTERNAL NODISCARD status batch_put_expiring(firn_batch *b, uint32_t keyspace,
                                                  const batch_expiring *put, bool copy_large);
FIRN_INTERNAL NODISCARD status batch_delete(firn_batch *b, uint32_t keyspace, slice key);
/* For a key that was put once since it was last deleted; see firn_single_delete(). */
FIRN_INTERNAL NODISCARD status batch_single_delete(firn_batch *b, uint32_t keyspace, slice key);
/* Deletes all keys in [begin, end); nothing, where `end` is not behind `begin` in the keyspace's
 * order, which a batch does not know. */
FIRN_INTERNAL NODISCARD status batch_delete_range(firn_batch *b, uint32_t keyspace, slice begin,
                                                  slice end);
FIRN_INTERNAL batch_view batch_get_view(const firn_batch *b);

/* For single operations without a heap: bytes an operation takes, and its encoding. The value must
 * be smaller than LARGE_VALUE_BYTES. Returns the end. */
FIRN_INTERNAL size_t batch_op_bytes(uint32_t keyspace, slice key, slice value);
FIRN_INTERNAL uint8_t *batch_op_encode(uint8_t *p, op_kind kind, uint32_t keyspace, slice key,
                                       slice value);
/* TOO_LARGE, with detail, when key or value is over the limit. */
FIRN_INTERNAL NODISCARD status batch_check_limits(slice key, slice value);

/* Takes the next operation off *ops. False: the bytes are not a valid operation (limits included),
 * and *ops stays. Operations of kinds this build lacks are taken off too: before it uses one, the
 * caller asks op_kind_is_supported() and answers NOT_SUPPORTED. */
FIRN_INTERNAL NODISCARD bool batch_op_decode(slice *ops, batch_op *out);
#endif
