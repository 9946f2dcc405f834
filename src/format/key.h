/* format/key.h - user keys, internal keys, kinds, sequence numbers, and the order of keys.
 *
 * Format:     docs/format/keys.md.
 * Invariants: user keys and internal keys are different types: comparing one as the other does not
 *             compile. An internal_key handed around is at least 8 bytes; decoders check.
 * Threads:    pure functions. */
#ifndef FIRN_FORMAT_KEY_H
#define FIRN_FORMAT_KEY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/status.h"
#include "firn/comparator.h"
#include "util/buf.h"
#include "util/coding.h"

#define KEY_BYTES_MAX   65535u
#define VALUE_BYTES_MAX (1u << 30)
/* Values from this size on live in extents, outside batches, memtables and blocks. */
#define LARGE_VALUE_BYTES (1u << 20)
#define BATCH_BYTES_MAX   (1ull << 31)
#define KEY_TRAILER_BYTES 8

typedef uint64_t seqno;
#define SEQNO_MAX ((1ull << 56) - 1)

/* On disk: never renumber. */
typedef enum op_kind {
    OP_DELETE = 0,
    OP_PUT = 1,
    OP_MERGE = 2,
    OP_SINGLE_DELETE = 3,
    OP_RANGE_DELETE = 4,
    OP_PUT_EXPIRY = 5,
    OP_PUT_LARGE = 6,
    OP_SEEK = 255 /* never stored */
} op_kind;

/* Whether this build reads and writes operations of that kind. */
static inline bool op_kind_is_supported(uint8_t kind) {
    return kind <= OP_PUT_LARGE && kind != OP_MERGE;
}
/* Whether it has been there from the first format on; tables with others have a newer one. */
static inline bool op_kind_is_first_format(uint8_t kind) {
    return kind == OP_DELETE || kind == OP_PUT || kind == OP_PUT_LARGE;
}
/* Kinds that hide one key without a value of their own. */
static inline bool op_kind_is_delete(op_kind kind) {
    return kind == OP_DELETE || kind == OP_SINGLE_DELETE;
}

typedef struct user_key {
    slice s;
} user_key;
typedef struct internal_key {
    slice s; /* user key, then 8 bytes of trailer */
} internal_key;

static inline user_key user_key_of(slice s) {
    return (user_key){s};
}
static inline uint64_t key_trailer_pack(seqno sequence, op_kind kind) {
    return sequence << 8 | (uint64_t)kind;
}
static inline user_key internal_key_user(internal_key key) {
    return (user_key){slice_of(key.s.data, key.s.size - KEY_TRAILER_BYTES)};
}
static inline uint64_t internal_key_trailer(internal_key key) {
    return decode_fixed64(key.s.data + key.s.size - KEY_TRAILER_BYTES);
}
static inline seqno internal_key_sequence(internal_key key) {
    return internal_key_trailer(key) >> 8;
}
static inline op_kind internal_key_kind(internal_key key) {
    return (op_kind)(internal_key_trailer(key) & 0xff);
}
/* The largest key of a table whose last range tombstone ends there: no version has that trailer. */
static inline bool internal_key_is_range_end(internal_key key) {
    return internal_key_trailer(key) == key_trailer_pack(SEQNO_MAX, OP_SEEK);
}
/* Appends the internal key to `out`. */
FIRN_INTERNAL void internal_key_append(buf *out, user_key key, seqno sequence, op_kind kind);

/* The order of a keyspace. NULL comparator: bytewise. Passed by value. */
typedef struct key_order {
    const firn_comparator *custom;
} key_order;

#define KEY_ORDER_BYTEWISE_NAME "firn.bytewise"
static inline const char *key_order_name(key_order order) {
    return order.custom ? order.custom->name : KEY_ORDER_BYTEWISE_NAME;
}
static inline int key_order_compare_user(key_order order, user_key a, user_key b) {
    if (UNLIKELY(order.custom != NULL))
        return order.custom->compare(order.custom->context, a.s, b.s);
    return slice_compare(a.s, b.s);
}
/* User key up, then trailer down. */
static inline int key_order_compare(key_order order, internal_key a, internal_key b) {
    int user = key_order_compare_user(order, internal_key_user(a), internal_key_user(b));
    if (user != 0)
        return user;
    uint64_t ta = internal_key_trailer(a), tb = internal_key_trailer(b);
    return (ta < tb) - (ta > tb);
}
/* Whether they are the same. Neighbours in order mostly differ near either end. */
static inline bool user_key_equal(user_key a, user_key b) {
    size_t bytes = a.s.size;
    if (bytes != b.s.size)
        return false;
    if (UNLIKELY(bytes < 8))
        return slice_equal(a.s, b.s);
    const uint8_t *a_tail = a.s.data + bytes - 8, *b_tail = b.s.data + bytes - 8;
    if (LIKELY((decode_fixed64(a.s.data) ^ decode_fixed64(b.s.data)) |
               (decode_fixed64(a_tail) ^ decode_fixed64(b_tail))))
        return false;
    return bytes <= 16 || slice_equal(a.s, b.s);
}
/* The first 8 bytes, big-endian, zero-padded: for bytewise order, a.head < b.head implies a < b. */
static inline uint64_t key_head(slice key) {
    if (LIKELY(key.size >= 8))
        return __builtin_bswap64(decode_fixed64(key.data));
    uint8_t bytes[8] = {0};
    memcpy(bytes, key.size ? (const void *)key.data : "", key.size < 8 ? key.size : 8);
    uint64_t head = 0;
    for (int i = 0; i < 8; i++)
        head = head << 8 | bytes[i];
    return head;
}

/* Appends a short internal key >= `last` and < `next`, for index blocks; both must be in order. Any
 * version of next's user key sorts behind it, so a search for that key never stops at `last`. */
FIRN_INTERNAL void internal_key_append_separator(key_order order, internal_key last,
                                                 internal_key next, buf *out);
/* The smallest byte string greater than all that begin with `prefix`; unset (NULL) when there is
 * none (prefix empty or all 0xff). Appends to `storage`, which the result borrows; out of memory
 * the result is unset too, so ask buf_status(storage) before relying on it. */
FIRN_INTERNAL slice key_prefix_successor(slice prefix, buf *storage);

/* An internal key built for seeking, on the stack when short. `key` points into the struct itself:
 * do not copy it. */
typedef struct seek_key {
    internal_key key;
    uint8_t inline_bytes[128];
    uint8_t *heap;
} seek_key;
/* Sorts before every version of `key` with a sequence <= `sequence`, after all newer ones. */
FIRN_INTERNAL NODISCARD status seek_key_init(seek_key *k, user_key key, seqno sequence);
FIRN_INTERNAL void seek_key_deinit(seek_key *k);
#endif
