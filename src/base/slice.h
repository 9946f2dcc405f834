/* base/slice.h - a borrowed run of bytes; `slice` is the public firn_slice.
 *
 * Invariants: {NULL, 0} means "unset" where a bound is optional; {"", 0} is the empty string.
 * Lifetime:   never owns; whoever hands one out says how long its bytes live.
 * It is not:  a buffer (util/buf.h owns and grows). */
#ifndef FIRN_BASE_SLICE_H
#define FIRN_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "firn/slice.h"

typedef firn_slice slice;

#define SLICE_UNSET ((slice){NULL, 0})

static inline slice slice_of(const void *data, size_t size) {
    return (slice){(const uint8_t *)data, size};
}
static inline slice slice_from_string(const char *text) {
    return slice_of(text, strlen(text));
}
static inline bool slice_is_set(slice s) {
    return s.data != NULL;
}
/* Bytewise order; a prefix sorts before what it begins. */
static inline int slice_compare(slice a, slice b) {
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common ? memcmp(a.data, b.data, common) : 0;
    if (order != 0)
        return order;
    return (a.size > b.size) - (a.size < b.size);
}
static inline bool slice_equal(slice a, slice b) {
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}
static inline bool slice_starts_with(slice s, slice prefix) {
    return s.size >= prefix.size && (prefix.size == 0 || !memcmp(s.data, prefix.data, prefix.size));
}
/* Drops the first `count` bytes; `count` must not exceed the size. */
static inline slice slice_skip(slice s, size_t count) {
    DCHECK(count <= s.size);
    return slice_of(s.data + count, s.size - count);
}
/* memcpy that accepts an empty source, whose data may be NULL. */
static inline void slice_copy_to(slice s, void *destination) {
    if (s.size)
        memcpy(destination, s.data, s.size);
}

#endif
