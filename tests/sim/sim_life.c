/* Opening, dying, failing disks. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "db/inspect.h"
#include "lib/shadow.h"
#include "platform/thread.h"
#include "sim/sim_internal.h"

static uint64_t sim_clock_ns(void *context) {
    sim *s = context;
    return s->now_ns += 20000;
}

static uint64_t sim_clock_ms(void *context) {
    sim *s = context;
    return s->wall_ms;
}

static void sim_do_not_wait(void *context) {
    sim *s = context;
    s->now_ns += 1000000;
}

static bool sim_use_disk(sim *s, vfs_mem *disk) {
    s->disk = disk;
    if (!status_is_ok(vfs_fault_new(vfs_mem_vfs(disk), &s->faults)))
        return sim_fail(s, "no memory for the simulation");
    s->config.vfs = vfs_fault_vfs(s->faults);
    return true;
}

/* Another durability each time. */
static void sim_draw_durability(sim *s) {
    static const firn_durability modes[] = {FIRN_SYNC_MANUAL, FIRN_SYNC_MANUAL,
                                            FIRN_SYNC_EVERY_COMMIT, FIRN_SYNC_EVERY_BYTES,
                                            FIRN_SYNC_EVERY_COMMITS};
    s->config.durability = modes[rng_below(&s->random, 5)];
    s->config.sync_bytes = 4096;
    s->config.sync_commits = 1 + rng_below(&s->random, 20);
}

static bool sim_make_keyspaces(sim *s) {
    static const char *const names[SIM_KEYSPACES] = {"default", "second", "third"};
    for (uint32_t i = 1; i < SIM_KEYSPACES; i++) {
        uint32_t id;
        status st = db_keyspace_create(s->db, names[i], &id);
        if (!status_is_ok(st) || id != i)
            return sim_fail(s, "cannot make keyspace %u: %s", i, error_detail_get());
    }
    return true;
}

bool sim_begin(sim *s) {
    vfs_mem *disk;
    s->clock = (time_source){s, sim_clock_ns, sim_clock_ms};
    s->next_value = 1;
    thread_set_wait_hook(sim_do_not_wait, s);
    sim_set_wall(s, true);
    sim_make_keys(s);
    rng_init(&s->random, s->options->seed);
    if (!status_is_ok(vfs_mem_new(&disk)))
        return sim_fail(s, "no memory for the simulation");
    shadow_config(vfs_mem_vfs(disk), &s->config);
    s->config.clock = &s->clock;
    if (!sim_use_disk(s, disk))
        return false;
    if (!status_is_ok(db_open(SIM_DIRECTORY, &s->config, &s->db)))
        return sim_fail(s, "cannot be created: %s", error_detail_get());
    return sim_make_keyspaces(s);
}

static void sim_clear_faults(sim *s) {
    s->result->failed_calls += vfs_fault_failed(s->faults);
    vfs_fault_set(s->faults, NULL);
    vfs_mem_set_capacity(s->disk, UINT64_MAX);
    s->is_strained = false;
}

/* Frees what the process held; nothing reaches the disk any more. */
static void sim_kill(sim *s) {
    static const vfs_fault_rule death = {.kinds = VFS_FAULT_ANY, .count = UINT64_MAX, .error = EIO};
    sim_close_readers(s);
    vfs_fault_set(s->faults, &death);
    if (s->db)
        (void)!status_is_ok(db_close(s->db));
    s->db = NULL;
}

static void sim_free_disk(sim *s) {
    vfs_fault_free(s->faults);
    vfs_mem_free(s->disk);
}

void sim_end(sim *s) {
    sim_kill(s);
    sim_free_disk(s);
    free(s->undo);
    free(s->scratch);
    thread_set_wait_hook(NULL, NULL);
}

/* Opens, first under strain if there is one, and compares. */
static bool sim_open(sim *s, size_t least) {
    sim_state found;
    status st = db_open(SIM_DIRECTORY, &s->config, &s->db);
    if (!status_is_ok(st)) {
        if (!sim_tolerates(s, st, "open"))
            return false;
        sim_note(s, "  under strain it does not open: %s", error_detail_get());
        sim_clear_faults(s);
        st = db_open(SIM_DIRECTORY, &s->config, &s->db);
        if (!status_is_ok(st))
            return sim_fail(s, "does not open: %s: %s", firn_status_name(st.code),
                            error_detail_get());
    }
    sim_clear_faults(s);
    s->sync_failed = false;
    s->result->reopens++;
    return sim_read_all(s, s->db, found) && sim_settle(s, found, least);
}

bool sim_reopen(sim *s) {
    sim_note(s, "reopen");
    sim_close_readers(s);
    status st = db_close(s->db);
    s->db = NULL;
    if (!sim_tolerates(s, st, "close"))
        return false;
    sim_draw_durability(s);
    return sim_open(s, s->sync_failed ? s->durable : s->acknowledged);
}

bool sim_crash(sim *s) {
    vfs_mem *clone;
    vfs_mem_crash mode = (vfs_mem_crash)rng_below(&s->random, VFS_MEM_CRASH_COUNT);
    size_t least = mode == VFS_MEM_KILL && !s->sync_failed ? s->acknowledged : s->durable;
    sim_note(s, "crash in mode %d", (int)mode);
    if (!status_is_ok(vfs_mem_crash_clone(s->disk, mode, rng_next(&s->random), &clone)))
        return sim_fail(s, "no memory for a crash");
    s->result->crashes[mode]++;
    sim_kill(s);
    sim_free_disk(s); /* a full disk stays full */
    if (!sim_use_disk(s, clone))
        return false;
    sim_draw_durability(s);
    sim_set_wall(s, true);
    return sim_open(s, least);
}

/* --- strain --- */

bool sim_strain(sim *s) {
    static const uint32_t kinds[] = {VFS_FAULT_WRITE,  VFS_FAULT_SYNC,     VFS_FAULT_READ,
                                     VFS_FAULT_OPEN,   VFS_FAULT_RESERVE,  VFS_FAULT_RENAME,
                                     VFS_FAULT_REMOVE, VFS_FAULT_SYNC_DIR, VFS_FAULT_TRUNCATE,
                                     VFS_FAULT_MAP,    VFS_FAULT_ANY};
    static const char *const suffixes[] = {NULL, NULL, ".wal", ".sst", ".tmp", "CURRENT"};
    sim_clear_faults(s);
    s->is_strained = true;
    if (rng_below(&s->random, 5) == 0) {
        uint64_t spare = rng_below(&s->random, 200000);
        s->result->full_disks++;
        sim_note(s, "the disk is full but for %llu bytes", (unsigned long long)spare);
        vfs_mem_set_capacity(s->disk, vfs_mem_used_bytes(s->disk) + spare);
        return true;
    }
    vfs_fault_rule rule = {.kinds = kinds[rng_below(&s->random, 11)],
                           .path_suffix = suffixes[rng_below(&s->random, 6)],
                           .after = rng_below(&s->random, 60),
                           .count = rng_below(&s->random, 4) ? 1 : 1 + rng_below(&s->random, 30),
                           .error = rng_below(&s->random, 2) ? EIO : ENOSPC,
                           .partial = rng_below(&s->random, 2)};
    if (rule.kinds == VFS_FAULT_READ && rng_below(&s->random, 2)) {
        rule.flip_bit = true;
        rule.flip_seed = rng_next(&s->random);
        rule.error = 0;
        rule.count = 1;
    }
    s->result->faults++;
    sim_note(s, "faults: kinds %#x, of '%s', %llu after %llu, errno %d%s%s", rule.kinds,
             rule.path_suffix ? rule.path_suffix : "", (unsigned long long)rule.count,
             (unsigned long long)rule.after, rule.error, rule.partial ? ", partial" : "",
             rule.flip_bit ? ", a flipped bit" : "");
    vfs_fault_set(s->faults, &rule);
    return true;
}

/* The cause is gone: the database must go on by itself, unless a sync or a log write failed. */
bool sim_relax(sim *s) {
    bool was_strained = s->is_strained;
    sim_clear_faults(s);
    s->now_ns += 1000000000;
    if (!was_strained)
        return true;
    sim_note(s, "the disk is well again");
    /* What the threads would do by now: try again. */
    while (db_step(s->db)) {
    }
    if (!status_is_ok(commit_check_writable(s->db)))
        return sim_reopen(s);
    status st = db_flush(s->db);
    if (!status_is_ok(st) && !status_is_ok(commit_check_writable(s->db)))
        return sim_reopen(s); /* what it had to make durable first could not be */
    if (!status_is_ok(st))
        return sim_fail(s, "does not go on when the disk is well again: %s: %s",
                        firn_status_name(st.code), error_detail_get());
    sim_all_durable(s);
    return true;
}

/* --- others --- */

bool sim_beside(sim *s) {
    sim_state found;
    uint32_t keyspace, key;
    firn_db *reader = NULL;
    db_config config = s->config;
    if (s->is_strained)
        return true;
    config.read_only = true;
    sim_note(s, "a reader beside");
    s->result->readers_beside++;
    status st = db_open(SIM_DIRECTORY, &config, &reader);
    if (!status_is_ok(st))
        return sim_fail(s, "a reader beside the writer does not open: %s", error_detail_get());
    bool good = sim_read_all(s, reader, found);
    st = db_close(reader);
    if (good && (!status_is_ok(st) || sim_find_difference(s, found, &keyspace, &key)))
        return sim_fail(s, "a reader beside the writer sees something else");
    return good;
}

bool sim_verify(sim *s) {
    if (s->is_strained)
        return true;
    sim_note(s, "verify");
    s->result->verifications++;
    status st = verify_database(&s->config, SIM_DIRECTORY, NULL, NULL);
    return status_is_ok(st) || sim_fail(s, "does not verify: %s", error_detail_get());
}
