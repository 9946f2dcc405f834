/* tests/unit/table/table_fixture.h - a simulated disk with one table on it, and the sorted array
 * the table must agree with. */
#ifndef FIRN_TESTS_TABLE_FIXTURE_H
#define FIRN_TESTS_TABLE_FIXTURE_H

#include "lib/test.h"

#include "platform/vfs_mem.h"
#include "table/table_builder.h"
#include "util/rng.h"

#define FIXTURE_PATH "/000001.sst"

typedef struct fixture_entry {
    uint8_t *key; /* internal */
    uint32_t key_bytes;
    uint8_t *value; /* OP_PUT_LARGE: the whole value */
    uint32_t value_bytes;
} fixture_entry;

typedef struct fixture {
    vfs_mem *disk;
    fixture_entry *entries;
    uint32_t count, capacity;
    table_builder_args args; /* as the last build used them */
    table_properties built;  /* what the builder said */
    uint32_t ranges;         /* range deletes to build, each from one of the keys to the last */
    bool is_mapped;          /* tables are opened so */
    bool joins_index;        /* a partitioned index is held whole though there is a cache */
    memory_budget *memory;   /* of tables that are opened; NULL: no account */
} fixture;

void fixture_init(fixture *f);
void fixture_deinit(fixture *f);
void fixture_add(fixture *f, slice user, seqno sequence, op_kind kind, slice value);
/* Sorts what was added and drops equal internal keys. */
void fixture_sort(fixture *f, key_order order);
/* A key and a value of a shape that `shape` (0 to FIXTURE_SHAPES - 1) picks. */
enum { FIXTURE_SHAPES = 6 };
void fixture_fill(fixture *f, rng *r, unsigned shape, uint32_t count);

table_builder_args fixture_args(void); /* small blocks, bytewise, filter */
/* Builds the table from the array, replacing the file. */
void fixture_build(fixture *f, const table_builder_args *args);
/* The same, but hands a failure on. */
status fixture_try_build(fixture *f, const table_builder_args *args);
status fixture_try_open(fixture *f, cache *blocks, table **out);
table *fixture_open(fixture *f, cache *blocks);
uint8_t *fixture_bytes(fixture *f, uint64_t *bytes);
/* Replaces the file's contents. */
void fixture_write(fixture *f, const uint8_t *data, uint64_t bytes);

internal_key fixture_key(const fixture *f, uint32_t i);
/* First entry >= target; count if none. */
uint32_t fixture_find(const fixture *f, key_order order, internal_key target);

/* What a lookup of `user` at `sequence` must say, against what the table says. The table may also
 * fail when `may_fail`. */
void fixture_check_get(const fixture *f, table *t, slice user, seqno sequence,
                       const table_read_args *args, bool may_fail);
/* Whether the iterator stands on entry `i` (on none if i == count); large values by reference. */
bool fixture_stands_on(const fixture *f, iter *it, uint32_t i);
/* Partitions of the index from one block on, or one block for all of it; held either way. */
void fixture_pick_index(fixture *f, rng *r, table_builder_args *args);
/* Every entry forwards and backwards. */
void fixture_check_scan(const fixture *f, table *t, const table_read_args *args);

/* Orders bytes the other way round. */
extern const firn_comparator fixture_reverse;

#endif
