/* firn/slice.h - a borrowed run of bytes: how keys and values are handed to Firn.
 *
 * A slice never owns its bytes. Functions that take one borrow it for the call, unless they say
 * otherwise. Keys and values may hold any bytes, zero included.
 *
 * {NULL, 0} is "not set" where a bound is optional; {"", 0} is the empty key. */
#ifndef FIRN_SLICE_H
#define FIRN_SLICE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct firn_slice {
    const uint8_t *data;
    size_t size; /* bytes */
} firn_slice;

/* A slice over `size` bytes at `data`. */
static inline firn_slice firn_slice_of(const void *data, size_t size) {
    firn_slice s;
    s.data = (const uint8_t *)data;
    s.size = size;
    return s;
}

/* A slice over a zero-terminated string, without the zero. */
static inline firn_slice firn_slice_str(const char *text) {
    return firn_slice_of(text, strlen(text));
}

/* The same as an expression: FIRN_STR("key"). */
#define FIRN_STR(text) (firn_slice_str(text))

#ifdef __cplusplus
}
#endif
#endif
