/* bench/values.h - values that say which key they belong to and when they were written.
 *
 *   bytes 0..7   the key's hash, its low 16 bits replaced by the generation (which benchmark of
 *                the run wrote it)
 *   bytes 8..    a piece of a fixed pool, at a place that follows from those eight bytes
 *
 * So every value read can be proved to be a value that was written under that key. The pool's bytes
 * are compressible to the share asked for, in pieces of 100 bytes (as db_bench).
 *
 * Making a value costs the same at any size: it lies in the pool and only its first eight bytes are
 * exchanged, and put back when the next one is made. Owned by one thread. */
#ifndef FIRN_BENCH_VALUES_H
#define FIRN_BENCH_VALUES_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "firn/slice.h"
#include "random.h"

enum { VALUE_BYTES_MIN = 16, VALUE_BYTES_MAX = 64 << 20, VALUE_HEADER_BYTES = 8 };

typedef struct value_source {
    uint8_t *pool;
    uint64_t offset_mask;
    size_t value_bytes;
    uint64_t saved; /* what the header in the pool covers */
    uint8_t *saved_at;
} value_source;

/* False: no memory. `compressible_to`: the share of a value's bytes that is random, 0..1. */
bool value_source_init(value_source *v, size_t value_bytes, double compressible_to);
void value_source_deinit(value_source *v);

static inline uint8_t *value_body_of(const value_source *v, uint64_t header) {
    return v->pool + (random_mix(header) & v->offset_mask);
}

/* Valid until the next call on `v`. */
static inline firn_slice value_make(value_source *v, uint64_t key_hash, unsigned generation) {
    uint64_t header = (key_hash & ~(uint64_t)0xffff) | (generation & 0xffff);
    memcpy(v->saved_at, &v->saved, 8);
    uint8_t *at = value_body_of(v, header);
    memcpy(&v->saved, at, 8);
    memcpy(at, &header, 8);
    v->saved_at = at;
    return firn_slice_of(at, v->value_bytes);
}

/* What the value says about itself, or 0 if it is too short to say anything. */
static inline uint64_t value_header(firn_slice value) {
    uint64_t header = 0;
    if (value.size >= VALUE_HEADER_BYTES)
        memcpy(&header, value.data, VALUE_HEADER_BYTES);
    return header;
}

/* Whether `value` could have been written under the key with that hash, by its first bytes. */
static inline bool value_belongs(const value_source *v, firn_slice value, uint64_t key_hash) {
    return value.size == v->value_bytes && ((value_header(value) ^ key_hash) >> 16) == 0;
}

/* Whether every byte is as it was written. */
bool value_is_whole(value_source *v, firn_slice value);

/* A sum that depends on the value's ends and, in large ones, a word of every page: reading it makes
 * sure that the engine has really brought the value. */
static inline uint64_t value_touch(firn_slice value) {
    uint64_t sum = value_header(value) + value.size;
    uint64_t word;
    for (size_t at = 4096; at + 8 <= value.size; at += 4096) {
        memcpy(&word, value.data + at, 8);
        sum += word;
    }
    if (value.size >= 8) {
        memcpy(&word, value.data + value.size - 8, 8);
        sum += word;
    }
    return sum;
}

#endif
