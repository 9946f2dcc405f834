/* tests/integration/fault_fixture.h - a small database over a failing vfs over a simulated disk. */
#ifndef FIRN_TESTS_FAULT_FIXTURE_H
#define FIRN_TESTS_FAULT_FIXTURE_H

#include "lib/shadow.h"
#include "platform/vfs_fault.h"
#include "platform/vfs_mem.h"
#include "util/rng.h"

#define FAULT_DIRECTORY "/db"

typedef struct fault_fixture {
    vfs_mem *disk;
    vfs_fault *faults;
    db_config config;
    firn_db *db; /* NULL: not open */
    shadow shadow;
    rng random;
    uint64_t refused; /* writes that failed */
    size_t durable;   /* writes before the last sync that returned OK */
    uint64_t
        uncertain; /* hash with the last write that failed, which a reopen may bring; 0: none */
    bool lasts;    /* no write of it expires */
} fault_fixture;

/* A new disk; opens nothing. */
void fault_fixture_init(fault_fixture *f, uint64_t seed);
void fault_fixture_deinit(fault_fixture *f);
void fault_fixture_open(fault_fixture *f);
/* Opens and makes the shadow's keyspaces. */
void fault_fixture_create(fault_fixture *f);
void fault_fixture_close(fault_fixture *f);

/* Puts a write of `count` random operations together, in f->shadow. */
void fault_fixture_compose(fault_fixture *f, unsigned count);
/* Does it: OK, or the failure after the shadow took it back. Once a write works again, it is
 * certain that the one that failed left no trace. */
status fault_fixture_try_write(fault_fixture *f, unsigned count, firn_choice sync);

/* The database holds exactly what the shadow says. */
void fault_fixture_check(fault_fixture *f);
/* The same of what a reopen finds, where the last write is uncertain; gives its hash. */
uint64_t fault_fixture_check_reopened(fault_fixture *f);
/* After a crash right now it would hold the first `least` writes, and of the others a prefix. */
void fault_fixture_check_crash(fault_fixture *f, vfs_mem_crash mode, size_t least);
/* What it holds (`hash`) survives a power cut, and so does one more write, over a reopen. Leaves it
 * open. */
void fault_fixture_check_usable(fault_fixture *f, uint64_t hash);

#endif
