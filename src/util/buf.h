/* util/buf.h - a growing byte string that owns its memory.
 *
 * Purpose:    encoders append to it. Running out of memory sets a sticky flag instead of returning
 *             at each append; whoever uses the result asks buf_status() once.
 * Invariants: {0} is an empty buf. After a failed append later appends do nothing.
 * Threads:    none. */
#ifndef FIRN_UTIL_BUF_H
#define FIRN_UTIL_BUF_H

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "base/slice.h"
#include "base/status.h"

typedef struct buf {
    uint8_t *data;
    size_t size;
    size_t capacity;
    bool out_of_memory;
} buf;

FIRN_INTERNAL void buf_deinit(buf *b);
FIRN_INTERNAL void buf_clear(buf *b); /* keeps the memory */
/* Room for `extra` more bytes at data + size; NULL (and the flag) if there is none. */
FIRN_INTERNAL uint8_t *buf_grow(buf *b, size_t extra); /* its rarer half */
static inline uint8_t *buf_reserve(buf *b, size_t extra) {
    DCHECK(b->size <= b->capacity);
    if (LIKELY(b->data && b->capacity - b->size >= extra && !b->out_of_memory))
        return b->data + b->size;
    return buf_grow(b, extra);
}
FIRN_INTERNAL void buf_append(buf *b, const void *data, size_t size);
FIRN_INTERNAL void buf_append_zeros(buf *b, size_t size);
FIRN_INTERNAL PRINTF_LIKE(2, 3) void buf_printf(buf *b, const char *format, ...);
/* NO_MEMORY if any append failed. */
FIRN_INTERNAL NODISCARD status buf_status(const buf *b);
static inline void buf_append_slice(buf *b, slice s) {
    buf_append(b, s.data, s.size);
}
static inline slice buf_slice(const buf *b) {
    return slice_of(b->data ? (const void *)b->data : "", b->size);
}
#endif
