/* tests/model/reference.h - what a database should hold: sorted slots with all versions, in memory.
 *
 * The keys of a run are known beforehand and sorted once; every keyspace has one slot per key. Time
 * is a clock that rises with each operation; a reader looks at the newest version not newer than
 * its time. Values are not kept but made again from a seed. */
#ifndef FIRN_TESTS_MODEL_REFERENCE_H
#define FIRN_TESTS_MODEL_REFERENCE_H

#include "format/key.h"

#define REFERENCE_KEYSPACES 3
#define REFERENCE_PINS_MAX  64

typedef struct reference_version {
    uint64_t clock;
    uint64_t seed;
    uint32_t bytes;
    bool deleted;
} reference_version;

typedef struct reference_slot {
    reference_version *versions; /* oldest first */
    uint32_t count, capacity;
} reference_slot;

typedef struct reference {
    key_order order;
    slice *keys; /* sorted, distinct; borrowed */
    size_t key_count;
    reference_slot *slots[REFERENCE_KEYSPACES];
    uint64_t clock;
    uint64_t pins[REFERENCE_PINS_MAX]; /* times that somebody reads at */
    size_t pin_count;
} reference;

/* Sorts `keys` in place and drops repeated ones. */
void reference_init(reference *r, key_order order, slice *keys, size_t key_count);
void reference_deinit(reference *r);

void reference_put(reference *r, uint32_t keyspace, size_t key, uint64_t seed, uint32_t bytes);
void reference_delete(reference *r, uint32_t keyspace, size_t key);

/* Keeps the present readable until it is unpinned; gives its time. */
uint64_t reference_pin(reference *r);
void reference_unpin(reference *r, uint64_t clock);

/* The version visible at `clock`; NULL: none. */
const reference_version *reference_get(const reference *r, uint32_t keyspace, size_t key,
                                       uint64_t clock);
/* Position of the first key >= `key`; key_count if there is none. */
size_t reference_lower_bound(const reference *r, slice key);
/* The first visible key at `from` or behind it / at `from` or before it. SIZE_MAX: none. */
size_t reference_next(const reference *r, uint32_t keyspace, size_t from, uint64_t clock);
size_t reference_previous(const reference *r, uint32_t keyspace, size_t from, uint64_t clock);

/* The bytes of a value. */
void reference_fill(uint64_t seed, uint8_t *out, size_t bytes);
bool reference_matches(const reference_version *v, slice value);
#endif
