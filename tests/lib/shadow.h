/* tests/lib/shadow.h - what a small database should hold after each of its writes.
 *
 * Every write is first told to the shadow, then done. The shadow keeps one hash per write: that of
 * all entries the database holds after it. The hash of a set of entries does not depend on their
 * order, so what a reopened database holds is compared with every state it may be in by comparing
 * one number, and "the survivors are a prefix of the commit order, batches whole" is: the number is
 * one of those of the writes that may be the last survivor.
 *
 * Values may expire. The wall clock of shadow_config() stands still until shadow_pass_time() moves
 * it; then what has expired leaves every state it was in. A second hash per write is that of what
 * never expires, for looks from the end of time.
 *
 * Threads: none. */
#ifndef FIRN_TESTS_SHADOW_H
#define FIRN_TESTS_SHADOW_H

#include <stdbool.h>
#include <stdint.h>

#include "db/db.h"
#include "util/rng.h"

enum {
    SHADOW_KEYSPACES = 3,
    SHADOW_KEYS = 64,
    SHADOW_KEY_LAST = SHADOW_KEYS - 4,       /* of those that are like any other */
    SHADOW_KEY_LONG_FIRST = SHADOW_KEYS - 3, /* almost as long as a key may be, sorts first */
    SHADOW_KEY_LONG_LAST = SHADOW_KEYS - 2,  /* the same, sorts last */
    SHADOW_KEY_EXTRA = SHADOW_KEYS - 1       /* never written by a workload: for checks */
};

/* A put that expires: from which write on, and up to which other one, its entry is there. */
typedef struct shadow_life {
    uint32_t keyspace, key;
    uint64_t hash, expiry_ms;
    size_t first, end; /* end: SIZE_MAX while nothing has replaced it */
} shadow_life;

/* What is known of a key. */
typedef struct shadow_entry {
    size_t life;   /* index of its life, where the entry expires; SIZE_MAX: it does not */
    uint32_t puts; /* since it was made or last removed, as firn_single_delete() counts them */
} shadow_entry;

typedef struct shadow_change {
    uint32_t keyspace, key;
    uint64_t hash; /* of the entry that stood there before */
    shadow_entry before;
} shadow_change;

typedef struct shadow_value {
    uint64_t seed; /* its bytes follow from it */
    size_t bytes;
    uint64_t expiry_ms; /* 0: never */
} shadow_value;

typedef struct shadow {
    uint64_t entries[SHADOW_KEYSPACES][SHADOW_KEYS]; /* hash of each; 0: no such key */
    shadow_entry known[SHADOW_KEYSPACES][SHADOW_KEYS];
    uint32_t ids[SHADOW_KEYSPACES]; /* of the database's keyspaces; ids[0] is the default */
    uint32_t id_count;
    uint32_t certain_ids; /* those behind may be missing, and are empty then */
    uint64_t *states;     /* states[i]: after i writes, seen now */
    uint64_t *late;       /* the same, seen when everything that expires has */
    size_t count;         /* writes so far */
    size_t capacity;
    uint64_t present; /* hash of all entries */
    uint64_t lasting; /* of those that do not expire */
    shadow_life *lives;
    size_t life_count, life_capacity;
    firn_batch batch;       /* the write being put together, or the last one */
    shadow_change *changes; /* what it did, in order */
    size_t change_count, change_capacity;
    bool is_committed, is_final; /* final: time has passed since, it cannot be taken back */
} shadow;

void shadow_init(shadow *s);
void shadow_deinit(shadow *s);

/* Adds an operation to the write being put together; the value's bytes follow from `seed`. */
void shadow_put(shadow *s, uint32_t keyspace, uint32_t key, uint64_t seed, size_t bytes);
void shadow_put_value(shadow *s, uint32_t keyspace, uint32_t key, shadow_value value);
void shadow_delete(shadow *s, uint32_t keyspace, uint32_t key);
/* Whether the key was put so that a single-delete is allowed. */
bool shadow_may_single_delete(const shadow *s, uint32_t keyspace, uint32_t key);
void shadow_single_delete(shadow *s, uint32_t keyspace, uint32_t key);
/* Of all keys from the name of `begin` on, up to and without that of `end`. */
void shadow_delete_range(shadow *s, uint32_t keyspace, uint32_t begin, uint32_t end);
/* One operation of any kind. Every third key is put once and removed by single-deletes, mostly; a
 * quarter of the values expires within 80 ms, a few have when they are written. */
typedef struct shadow_mix {
    rng *random;
    uint32_t
        puts_percent;  /* the rest are deletes of all kinds, where keys have something to delete */
    size_t bytes_most; /* of a value; now and then ten times that */
    bool lasts;        /* nothing expires: for databases with a wall clock of their own */
} shadow_mix;
void shadow_draw(shadow *s, uint32_t keyspace, const shadow_mix *mix);
/* Counts the write as done: call it before db_write, so that a crash in the middle knows it. The
 * view is valid until the next shadow_put or shadow_delete. */
batch_view shadow_commit(shadow *s);
/* The last write failed and left no trace. Only right after shadow_commit. */
void shadow_take_back(shadow *s);

/* What the wall clock says, in all databases of shadow_config(). */
uint64_t shadow_now_ms(void);
/* Moves it on. */
void shadow_pass_time(shadow *s, uint64_t ms);
/* Shows databases that are opened from now on the end of time, where everything that expires has,
 * and compares them with that; or ends that. No database of the workload may look meanwhile. */
void shadow_end_of_time(bool begins);

/* The key's name: keys of different lengths, some the beginnings of others. */
slice shadow_key(uint32_t key, char out[64]);
/* Hash of an entry. */
uint64_t shadow_hash_of(uint32_t keyspace, uint32_t key, slice value, uint64_t expiry_ms);

/* Reads the whole database: by iterator forward and backward, and each key of the shadow by itself.
 * *hash is that of what the iterator found. A status that is not OK, or *problem (a literal) that
 * is not NULL, says what is wrong. */
status shadow_read(const shadow *s, firn_db *db, uint64_t *hash, const char **problem);
/* Prints which entries differ from those after the last write. */
void shadow_print_difference(const shadow *s, firn_db *db);
/* The newest of the states `least`..`most` that has this hash; SIZE_MAX: none. */
size_t shadow_find(const shadow *s, uint64_t hash, size_t least, size_t most);

/* A database so small that logs, memtables and tables turn over all the time, whose background work
 * is stepped by hand, whose monotonic clock runs 1 ms per look, and which syncs only when it is
 * asked to. */
void shadow_config(const firn_vfs *vfs, db_config *config);
/* Makes those of the shadow's keyspaces that are not there yet. */
status shadow_make_keyspaces(shadow *s, firn_db *db);

#endif
