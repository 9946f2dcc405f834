#include "values.h"

#include <stdlib.h>

enum { VALUE_PIECE_BYTES = 100, VALUE_POOL_BYTES_MIN = 256 << 10 };

/* Each piece starts with random bytes and repeats them to its end. */
static void value_pool_fill(uint8_t *pool, size_t bytes, double compressible_to) {
    uint64_t random = 301;
    size_t fresh = (size_t)(VALUE_PIECE_BYTES * compressible_to + 0.5);
    if (fresh < 1)
        fresh = 1;
    for (size_t start = 0; start < bytes; start += VALUE_PIECE_BYTES) {
        size_t end = start + VALUE_PIECE_BYTES < bytes ? start + VALUE_PIECE_BYTES : bytes;
        for (size_t at = start; at < end; at++) {
            if (at - start < fresh)
                pool[at] = (uint8_t)(' ' + random_below(&random, 95));
            else
                pool[at] = pool[at - fresh];
        }
    }
}

bool value_source_init(value_source *v, size_t value_bytes, double compressible_to) {
    size_t span = VALUE_POOL_BYTES_MIN;
    while (span < 2 * value_bytes)
        span *= 2;
    size_t bytes = span + value_bytes;
    memset(v, 0, sizeof *v);
    v->pool = malloc(bytes);
    if (!v->pool)
        return false;
    value_pool_fill(v->pool, bytes, compressible_to);
    /* Multiples of 8 below span. */
    v->offset_mask = (uint64_t)(span - 1) & ~(uint64_t)7;
    v->value_bytes = value_bytes;
    v->saved_at = v->pool;
    memcpy(&v->saved, v->pool, 8);
    return true;
}

void value_source_deinit(value_source *v) {
    free(v->pool);
    memset(v, 0, sizeof *v);
}

bool value_is_whole(value_source *v, firn_slice value) {
    if (value.size != v->value_bytes)
        return false;
    /* The value made last may still cover eight bytes of the body. */
    memcpy(v->saved_at, &v->saved, 8);
    const uint8_t *body = value_body_of(v, value_header(value));
    return memcmp(value.data + VALUE_HEADER_BYTES, body + VALUE_HEADER_BYTES,
                  value.size - VALUE_HEADER_BYTES) == 0;
}
