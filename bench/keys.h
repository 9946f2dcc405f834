/* bench/keys.h - which keys there are, and in which order and how often they are used.
 *
 * A workload thinks in indexes 0, 1, 2 ...; a key is the text of an index in one of three shapes:
 *
 *   binary   the index as 8 big-endian bytes, then '0' bytes: index order is key order
 *   decimal  the index in decimal, zero-padded on the left: index order is key order
 *   user     "user" + 12 hex digits of a bijective hash of the index, then '0' bytes: scattered
 *
 * Everything here is read-only after init, so threads share it. */
#ifndef FIRN_BENCH_KEYS_H
#define FIRN_BENCH_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "firn/slice.h"
#include "random.h"

enum {
    KEY_BYTES_MIN = 16,
    KEY_BYTES_MAX = 1024,
    KEY_BUFFER_BYTES = KEY_BYTES_MAX + 1 /* keys that are surely missing are one byte longer */
};

typedef enum key_shape { KEY_BINARY, KEY_DECIMAL, KEY_USER } key_shape;

typedef struct key_maker {
    key_shape shape;
    size_t bytes;
} key_maker;

/* Whether `name` is a shape; *out is it. */
bool key_shape_parse(const char *name, key_shape *out);
const char *key_shape_name(key_shape shape);

/* Writes the key of `index` into `out` (KEY_BUFFER_BYTES long) and gives a slice over it. */
firn_slice key_make(const key_maker *maker, uint64_t index, uint8_t *out);

/* A key no workload ever writes, which sorts right behind that of `index`. */
firn_slice key_make_missing(const key_maker *maker, uint64_t index, uint8_t *out);

/* What a value says about the key it belongs to. */
static inline uint64_t key_hash(firn_slice key) {
    uint64_t hash = key.size;
    size_t at = 0;
    for (; at + 8 <= key.size; at += 8) {
        uint64_t word;
        memcpy(&word, key.data + at, 8);
        hash = (hash ^ word) * 0x9fb21c651e98df25u;
        hash ^= hash >> 32;
    }
    for (; at < key.size; at++)
        hash = (hash ^ key.data[at]) * 0x9fb21c651e98df25u;
    return hash ^ (hash >> 29);
}

/* 0 .. count - 1, each once, in an order that looks random. */
typedef struct permutation {
    uint64_t count;
    uint64_t mask; /* the power of two above count, less 1 */
    uint64_t multiplier[3];
    unsigned shift;
} permutation;

void permutation_init(permutation *p, uint64_t count, uint64_t seed);

static inline uint64_t permutation_at(const permutation *p, uint64_t position) {
    uint64_t x = position;
    /* Each step is a bijection of [0, mask]; walking on until the result is below count makes it
       one of [0, count). Fewer than two walks are expected. */
    do {
        for (int i = 0; i < 3; i++) {
            x = (x * p->multiplier[i] + 1) & p->mask;
            x ^= x >> p->shift;
        }
    } while (x >= p->count);
    return x;
}

/* Ranks 0 .. count - 1 with Zipf's distribution, constant 0.99 (as YCSB): 0 is the commonest.
 * The inverse of the distribution is tabulated at 2^14 points and interpolated: no powers are taken
 * per sample. The construction is Gray et al., "Quickly generating billion-record synthetic
 * databases" (SIGMOD 1994). */
typedef struct zipfian zipfian;

/* NULL: no memory. */
zipfian *zipfian_new(uint64_t count);
void zipfian_free(zipfian *z);
uint64_t zipfian_next(const zipfian *z, uint64_t *random_state);

#endif
