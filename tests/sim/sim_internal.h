/* tests/sim/sim_internal.h - the state of a simulated life. */
#ifndef FIRN_TESTS_SIM_INTERNAL_H
#define FIRN_TESTS_SIM_INTERNAL_H

#include "db/db.h"
#include "db/db_internal.h"
#include "platform/error_detail.h"
#include "platform/vfs_fault.h"
#include "sim/sim.h"
#include "util/rng.h"

#define SIM_DIRECTORY "/db"

enum { SIM_KEYSPACES = 3, SIM_KEYS = 240, SIM_KEY_BYTES = 400, SIM_READERS = 6 };

/* The number of each key's value; 0: none. A value's bytes, and when it expires, follow from its
 * number; it stays in the state when it has. */
typedef uint64_t sim_state[SIM_KEYSPACES][SIM_KEYS];

typedef struct sim_undo {
    size_t write;
    uint32_t keyspace, key;
    uint64_t before;
    uint32_t puts_before;
} sim_undo;

typedef struct sim_reader {
    const firn_snapshot *snapshot; /* of these two one, or none */
    firn_iter *it;
    uint32_t keyspace; /* of the iterator */
    uint32_t at;       /* SIM_KEYS: not on an entry */
    uint64_t at_ms;    /* what has expired by then it does not see */
    sim_state seen;
} sim_reader;

typedef struct sim {
    const sim_options *options;
    sim_result *result;
    uint64_t step;
    rng random; /* of this step */

    vfs_mem *disk;
    vfs_fault *faults;
    bool is_strained; /* calls may fail: a rule is set, or the disk is small */
    bool sync_failed; /* since the last reopen, and may have dropped what was not synced */
    time_source clock;
    uint64_t now_ns;
    int64_t wall_shift_ms;
    uint64_t wall_ms; /* stands still within a step, and runs back only when the process dies */
    uint64_t most_ms; /* the latest that any process saw */
    db_config config;
    firn_db *db;
    uint32_t keyspaces; /* made so far */

    char keys[SIM_KEYS][SIM_KEY_BYTES]; /* sorted */
    sim_state model;
    uint32_t puts[SIM_KEYSPACES][SIM_KEYS]; /* since it was removed as firn_single_delete() says */
    uint64_t next_value;
    size_t count, acknowledged, durable; /* writes since everything was durable */
    sim_undo *undo;
    size_t undo_count, undo_capacity;
    sim_reader readers[SIM_READERS];
    uint8_t *scratch; /* room for a value */
} sim;

/* Records the first failure. Always false. */
bool sim_fail(sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sim_note(sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* OK, or a failure that the strain explains. */
bool sim_tolerates(sim *s, status st, const char *what);

/* --- sim_model.c --- */
void sim_make_keys(sim *s);
slice sim_key(const sim *s, uint32_t key);
size_t sim_value_bytes(uint64_t number);
/* A new value's number; `ttl_ms` 0: it never expires. */
uint64_t sim_new_number(sim *s, uint64_t ttl_ms);
uint64_t sim_expiry_ms(uint64_t number);
/* Whether it is there at that time. */
bool sim_is_alive(uint64_t number, uint64_t now_ms);
/* The bytes of a value, in s->scratch. */
slice sim_value(sim *s, uint64_t number);
/* Which value these bytes are; UINT64_MAX: none that could have been written. */
uint64_t sim_number_of(sim *s, slice value, uint64_t expiry_ms);
void sim_change(sim *s, uint32_t keyspace, uint32_t key, uint64_t number, uint32_t puts);
/* The last write never happened. */
void sim_take_back(sim *s);
void sim_all_durable(sim *s);
/* True: `found`, seen now, is not the model; where. */
bool sim_find_difference(const sim *s, sim_state found, uint32_t *keyspace, uint32_t *key);
/* The wall clock goes on: within a process never back, between two as it likes. */
void sim_set_wall(sim *s, bool process_is_new);
/* `found` must be the model, or an older state from `least` writes on, which it then becomes. */
bool sim_settle(sim *s, sim_state found, size_t least);

/* --- sim_read.c --- */
bool sim_get(sim *s);
bool sim_read_all(sim *s, firn_db *db, sim_state found);
bool sim_open_reader(sim *s);
bool sim_use_reader(sim *s);
void sim_close_readers(sim *s);

/* --- sim_life.c --- */
bool sim_begin(sim *s);
void sim_end(sim *s);
bool sim_reopen(sim *s);
bool sim_crash(sim *s);
bool sim_strain(sim *s);
bool sim_relax(sim *s);
bool sim_beside(sim *s);
bool sim_verify(sim *s);

#endif
