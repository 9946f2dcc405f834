/* format/expiry.h - values with a time after which they count as deleted.
 *
 * Format:     docs/format/keys.md: OP_PUT_EXPIRY holds u64 ms since 1970 and then the value; a
 *             large value has the time in its reference.
 * Invariants: an expired version is a delete in every respect but its bytes: it hides what is
 *             older. Nothing expires at 0, which says "never", nor at EXPIRY_NEVER.
 * Threads:    pure functions. */
#ifndef FIRN_FORMAT_EXPIRY_H
#define FIRN_FORMAT_EXPIRY_H

#include "format/key.h"
#include "format/large_ref.h"

#define EXPIRY_BYTES 8
#define EXPIRY_NEVER UINT64_MAX

/* When the stored version expires; 0: never. Bytes too short to hold a time have none. */
static inline uint64_t expiry_of_version(op_kind kind, slice value) {
    if (kind == OP_PUT_EXPIRY && value.size >= EXPIRY_BYTES)
        return decode_fixed64(value.data);
    if (kind == OP_PUT_LARGE && value.size == LARGE_REF_BYTES_MAX)
        return decode_fixed64(value.data + LARGE_REF_BYTES);
    return 0;
}
static inline bool expiry_is_past(uint64_t expiry_ms, uint64_t now_ms) {
    return expiry_ms != 0 && expiry_ms <= now_ms;
}
/* Whether the version, of whatever kind, shows no value at that time. */
static inline bool expiry_hides_version(op_kind kind, slice value, uint64_t now_ms) {
    return kind != OP_PUT && (op_kind_is_delete(kind) || kind == OP_RANGE_DELETE ||
                              expiry_is_past(expiry_of_version(kind, value), now_ms));
}
/* What the user gave, without what is stored in front of it. */
static inline slice expiry_strip(op_kind kind, slice value) {
    return kind == OP_PUT_EXPIRY && value.size >= EXPIRY_BYTES ? slice_skip(value, EXPIRY_BYTES)
                                                               : value;
}

/* The expiry of a whole table, built up entry by entry. */
typedef struct expiry_range {
    uint64_t least_ms, most_ms; /* of what expires; 0 and 0: nothing does */
    bool some_stay;             /* a value that never expires */
} expiry_range;

static inline void expiry_range_note(expiry_range *r, op_kind kind, slice value) {
    if (LIKELY(kind == OP_PUT)) {
        r->some_stay = true;
        return;
    }
    uint64_t expiry_ms = expiry_of_version(kind, value);
    if (expiry_ms == 0) {
        r->some_stay = r->some_stay || kind == OP_PUT_LARGE;
        return;
    }
    if (r->least_ms == 0 || expiry_ms < r->least_ms)
        r->least_ms = expiry_ms;
    if (expiry_ms > r->most_ms)
        r->most_ms = expiry_ms;
}
/* The time from which on the table shows no value at all: EXPIRY_NEVER if some stay, 0 if nothing
 * in it expires. */
static inline uint64_t expiry_range_end(const expiry_range *r) {
    return r->least_ms != 0 && r->some_stay ? EXPIRY_NEVER : r->most_ms;
}
#endif
