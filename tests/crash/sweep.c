#include "crash/sweep.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/test.h"
#include "util/hash.h"

enum {
    SWEEP_CELL_LEAST = 8,    /* the quick sweep fills every cell at least so far */
    SWEEP_REUSE_ONE_IN = 4,  /* recovered states that are written to and reopened */
    SWEEP_SECOND_ONE_IN = 6, /* recovered states whose recovery is crashed again */
    SWEEP_READER_ONE_IN = 6, /* recovered states that are first opened read-only */
    SWEEP_LATE_ONE_IN = 4,   /* recovered states that are opened when all that expires has */
    SWEEP_SECOND_POINTS = 6, /* about so many second crashes per recovery */
    SWEEP_EXTRA_BYTES = 300
};

static const char *const sweep_mode_names[VFS_MEM_CRASH_COUNT] = {"kill",   "lose",  "pages",
                                                                  "sector", "words", "files",
                                                                  "names",  "data"};

const char *sweep_mode_name(vfs_mem_crash mode) {
    return sweep_mode_names[mode];
}

/* --- one crashed disk --- */

/* What a recovered database may hold. */
typedef struct sweep_expected {
    const sweep *sweep;
    size_t least, most; /* writes */
    const char *kind;   /* of the operation before the crash */
    vfs_mem_crash mode;
    uint64_t operation, seed;
} sweep_expected;

static void sweep_explain(const sweep_expected *e, const char *what) {
    print_error("%s: crash after operation %llu (%s), mode %s, clone seed %#llx: %s\n",
                e->sweep->name, (unsigned long long)e->operation, e->kind,
                sweep_mode_names[e->mode], (unsigned long long)e->seed, what);
    print_error("  writes %zu to %zu may be the last survivor, %zu were made\n", e->least, e->most,
                e->sweep->shadow.count);
}

/* Ends the program: unwinding through the database under test would only bury the message. */
static _Noreturn void sweep_give_up(void) {
    print_error("FAILED\n");
    fflush(NULL);
    _exit(EXIT_FAILURE);
}

static void sweep_check_ok(const sweep_expected *e, status st, const char *what) {
    if (status_is_ok(st))
        return;
    sweep_explain(e, what);
    print_error("  %s: %s\n", firn_status_name(st.code), error_detail_get());
    sweep_give_up();
}

static uint64_t sweep_read(const sweep_expected *e, firn_db *db) {
    const char *problem;
    uint64_t hash;
    sweep_check_ok(e, shadow_read(&e->sweep->shadow, db, &hash, &problem), "cannot be read");
    if (problem) {
        sweep_explain(e, problem);
        sweep_give_up();
    }
    return hash;
}

static void sweep_check_state(const sweep_expected *e, firn_db *db, uint64_t hash) {
    const shadow *shadow = &e->sweep->shadow;
    if (shadow_find(shadow, hash, e->least, e->most) != SIZE_MAX)
        return;
    size_t other = shadow_find(shadow, hash, 0, shadow->count);
    if (other == SIZE_MAX)
        sweep_explain(e, "holds a state that never was: a batch cut in two, something invented, "
                         "resurrected, or lost from the middle");
    else
        sweep_explain(e, other < e->least ? "acknowledged and synced writes are lost"
                                          : "writes survive that were not made yet");
    if (other != SIZE_MAX)
        print_error("  it holds what there was after write %zu\n", other);
    print_error("  against the last write:\n");
    shadow_print_difference(shadow, db);
    sweep_give_up();
}

/* A recovery that is crashed again: where it is, and what it may leave. */
typedef struct sweep_second {
    const sweep_expected *expected;
    vfs_mem *disk;
    rng random;
    unsigned one_in;
    uint64_t allowed[2]; /* hashes; equal where there is no choice */
    bool is_known;       /* `allowed` is set: before, any state of `expected`, always the same */
    uint64_t crashes;
} sweep_second;

static void sweep_second_check(sweep_second *second, const sweep_expected *e, vfs_mem *clone) {
    db_config config = e->sweep->config;
    firn_db *db = NULL;
    config.vfs = vfs_mem_vfs(clone);
    sweep_check_ok(e, db_open(SWEEP_DIRECTORY, &config, &db), "second crash: does not open");
    uint64_t hash = sweep_read(e, db);
    if (!second->is_known) {
        sweep_check_state(e, db, hash);
        second->is_known = true;
        second->allowed[0] = second->allowed[1] = hash;
    } else if (hash != second->allowed[0] && hash != second->allowed[1]) {
        sweep_explain(e, "a second crash changed what the first one had left");
        sweep_give_up();
    }
    sweep_check_ok(e, db_close(db), "second crash: does not close");
}

static void sweep_second_observe(void *context, uint64_t operation, const char *kind,
                                 const char *path) {
    sweep_second *second = context;
    vfs_mem *clone = NULL;
    (void)operation;
    (void)kind;
    (void)path;
    if (rng_below(&second->random, second->one_in) != 0)
        return;
    vfs_mem_crash mode = (vfs_mem_crash)rng_below(&second->random, VFS_MEM_CRASH_COUNT);
    assert_true(
        status_is_ok(vfs_mem_crash_clone(second->disk, mode, rng_next(&second->random), &clone)));
    sweep_second_check(second, second->expected, clone);
    vfs_mem_free(clone);
    second->crashes++;
}

/* Writes one more entry and reopens: the database goes on as if nothing had happened. */
static void sweep_reuse(const sweep_expected *e, const db_config *config, firn_db **db,
                        uint64_t hash, sweep_second *second) {
    char name[64];
    firn_batch batch;
    uint8_t value[SWEEP_EXTRA_BYTES] = {0};
    (void)config;
    batch_init(&batch);
    for (uint32_t i = 0; i < e->sweep->shadow.certain_ids; i++) {
        assert_true(status_is_ok(batch_put(&batch, e->sweep->shadow.ids[i],
                                           shadow_key(SHADOW_KEY_EXTRA, name),
                                           slice_of(value, sizeof value), true)));
        hash ^= shadow_hash_of(i, SHADOW_KEY_EXTRA, slice_of(value, sizeof value), 0);
    }
    batch_view view = batch_get_view(&batch);
    second->allowed[1] = hash;
    sweep_check_ok(e, db_write(*db, &view, FIRN_YES), "takes no writes after recovery");
    second->allowed[0] = hash;
    if (e->seed % 2)
        sweep_check_ok(e, db_flush(*db), "does not flush after recovery");
    while (e->seed % 2 && db_step(*db)) {
    }
    sweep_check_ok(e, db_close(*db), "does not close after recovery");
    sweep_check_ok(e, db_open(SWEEP_DIRECTORY, config, db), "does not open again");
    if (sweep_read(e, *db) != hash) {
        sweep_explain(e, "what was written after recovery is not what a reopen finds");
        sweep_give_up();
    }
    batch_deinit(&batch);
}

static void sweep_check_read_only(const sweep_expected *e, vfs_mem *clone) {
    db_config config = e->sweep->config;
    firn_db *db = NULL;
    uint64_t before = vfs_mem_hash(clone);
    config.vfs = vfs_mem_vfs(clone);
    config.read_only = true;
    status st = db_open(SWEEP_DIRECTORY, &config, &db);
    if (status_is(st, FIRN_NOT_FOUND) && e->least == 0)
        return; /* the database had not been made yet */
    sweep_check_ok(e, st, "does not open read-only");
    sweep_check_state(e, db, sweep_read(e, db));
    sweep_check_ok(e, db_close(db), "does not close read-only");
    if (vfs_mem_hash(clone) != before) {
        sweep_explain(e, "a read-only open changed the disk");
        sweep_give_up();
    }
}

static void sweep_check_clone(sweep *s, const sweep_expected *e, vfs_mem *clone) {
    rng dice;
    db_config config = s->config;
    firn_db *db = NULL;
    rng_init(&dice, e->seed);
    bool reuses = rng_below(&dice, SWEEP_REUSE_ONE_IN) == 0;
    bool crashes_again = rng_below(&dice, SWEEP_SECOND_ONE_IN) == 0;
    bool is_late = rng_below(&dice, SWEEP_LATE_ONE_IN) == 0;
    sweep_second second = {.expected = e, .disk = clone, .random = dice};
    shadow_end_of_time(is_late);
    if (rng_below(&dice, SWEEP_READER_ONE_IN) == 0) {
        sweep_check_read_only(e, clone);
        s->read_only_opens++;
    }
    if (crashes_again) {
        second.one_in = (reuses ? 60 : 20) / SWEEP_SECOND_POINTS;
        vfs_mem_observe(clone, sweep_second_observe, &second);
    }
    config.vfs = vfs_mem_vfs(clone);
    sweep_check_ok(e, db_open(SWEEP_DIRECTORY, &config, &db),
                   "does not open, but a power cut is no corruption");
    uint64_t hash = sweep_read(e, db);
    sweep_check_state(e, db, hash);
    if (second.is_known && hash != second.allowed[0]) {
        sweep_explain(e, "a second crash lost something that the first one had left");
        sweep_give_up();
    }
    second.is_known = true;
    second.allowed[0] = second.allowed[1] = hash;
    if (reuses)
        sweep_reuse(e, &config, &db, hash, &second);
    sweep_check_ok(e, db_close(db), "does not close");
    shadow_end_of_time(false);
    s->recoveries++;
    s->reuses += reuses;
    s->late_opens += is_late;
    s->second_crashes += second.crashes;
}

/* --- which crashes --- */

/* Adds to the set; false if it was there. */
static bool sweep_see(sweep *s, uint64_t hash) {
    if (2 * (s->seen_count + 1) > s->seen_capacity) {
        uint64_t *old = s->seen;
        size_t old_capacity = s->seen_capacity;
        s->seen_capacity = old_capacity ? 2 * old_capacity : 1024;
        s->seen = calloc(s->seen_capacity, sizeof *s->seen);
        s->seen_count = 0;
        for (size_t i = 0; i < old_capacity; i++) {
            if (old[i])
                (void)sweep_see(s, old[i]);
        }
        free(old);
    }
    hash |= 1;
    size_t at = (size_t)(hash >> 8) & (s->seen_capacity - 1);
    while (s->seen[at] && s->seen[at] != hash)
        at = (at + 1) & (s->seen_capacity - 1);
    if (s->seen[at])
        return false;
    s->seen[at] = hash;
    s->seen_count++;
    return true;
}

static void sweep_crash(sweep *s, uint64_t operation, vfs_mem_crash mode) {
    vfs_mem *clone = NULL;
    sweep_expected e = {.sweep = s,
                        .least = mode == VFS_MEM_KILL ? s->acknowledged : s->durable,
                        .most = s->shadow.count,
                        .kind = s->last->name,
                        .mode = mode,
                        .operation = operation,
                        .seed = rng_next(&s->random)};
    sweep_cell *cell = &s->last->cells[mode];
    assert_true(status_is_ok(vfs_mem_crash_clone(s->disk, mode, e.seed, &clone)));
    cell->tried++;
    /* The same disk is worth another look when more has to be on it. */
    const uint64_t identity[] = {vfs_mem_hash(clone), e.least, s->shadow.certain_ids};
    if (sweep_see(s, hash64(identity, sizeof identity))) {
        cell->distinct++;
        sweep_check_clone(s, &e, clone);
    }
    vfs_mem_free(clone);
}

static void sweep_crash_all_modes(sweep *s, uint64_t operation) {
    if (!s->last || s->is_paused)
        return;
    s->last->operations++;
    for (int mode = 0; mode < VFS_MEM_CRASH_COUNT; mode++) {
        bool drawn = rng_below(&s->random, 1000) < s->per_mille;
        if (s->is_full || drawn || s->last->cells[mode].tried < SWEEP_CELL_LEAST)
            sweep_crash(s, operation, (vfs_mem_crash)mode);
    }
}

/* "write log": what the operation does, to which kind of file. */
static sweep_kind *sweep_find_kind(sweep *s, const char *kind, const char *path) {
    static const struct {
        const char *part, *name;
    } files[] = {{".wal", "log"},        {".sst", "table"}, {"MANIFEST", "manifest"},
                 {"CURRENT", "CURRENT"}, {"LOCK", "LOCK"},  {"RESERVE", "RESERVE"}};
    char name[SWEEP_KIND_BYTES];
    const char *file = "directory";
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if (strstr(path, files[i].part))
            file = files[i].name;
    }
    snprintf(name, sizeof name, "%s %s", kind, file);
    for (size_t i = 0; i < s->kind_count; i++) {
        if (strcmp(s->kinds[i].name, name) == 0)
            return &s->kinds[i];
    }
    assert_true(s->kind_count < SWEEP_KINDS_MAX);
    memcpy(s->kinds[s->kind_count].name, name, sizeof name);
    return &s->kinds[s->kind_count++];
}

/* The operation that was announced still happens; it was let through before. */
static void sweep_count_down(sweep *s) {
    static const vfs_fault_rule death = {.kinds = VFS_FAULT_ANY, .count = UINT64_MAX, .error = EIO};
    if (s->death_count == 0 || (s->death_kind && strcmp(s->last->name, s->death_kind) != 0))
        return;
    if (--s->death_count == 0) {
        s->is_dead = true;
        vfs_fault_set(s->process, &death);
    }
}

static void sweep_observe(void *context, uint64_t operation, const char *kind, const char *path) {
    sweep *s = context;
    /* What is read below must not clobber what the caller has to say. */
    char *detail = strdup(error_detail_get());
    sweep_crash_all_modes(s, operation - 1);
    error_detail_set("%s", detail);
    free(detail);
    s->last = sweep_find_kind(s, kind, path);
    sweep_count_down(s);
    s->log_segments += strcmp(s->last->name, "create log") == 0;
    s->log_recycles += strcmp(s->last->name, "rename log") == 0;
    s->manifests += strcmp(s->last->name, "create manifest") == 0;
}

/* --- the workload's calls --- */

/* False: the process is dead. */
static bool sweep_did(sweep *s, status st, const char *what) {
    if (status_is_ok(st))
        return true;
    if (vfs_fault_failed(s->process) > 0) {
        s->is_dead = true;
        return false;
    }
    print_error("%s: %s after %zu writes: %s: %s\n", s->name, what, s->shadow.count,
                firn_status_name(st.code), error_detail_get());
    sweep_give_up();
}

static void sweep_make_disk(sweep *s) {
    shadow_init(&s->shadow);
    s->acknowledged = s->durable = 0;
    s->last = NULL;
    s->is_dead = false;
    s->death_count = 0;
    ASSERT_OK(vfs_mem_new(&s->disk));
    ASSERT_OK(vfs_fault_new(vfs_mem_vfs(s->disk), &s->process));
    shadow_config(vfs_fault_vfs(s->process), &s->config);
    s->config.log_io = s->log_io;
    vfs_mem_observe(s->disk, sweep_observe, s);
}

static void sweep_free_disk(sweep *s) {
    vfs_mem_observe(s->disk, NULL, NULL);
    vfs_fault_free(s->process);
    vfs_mem_free(s->disk);
    shadow_deinit(&s->shadow);
}

void sweep_init(sweep *s, const char *name, firn_log_io log_io, uint64_t seed, unsigned per_mille) {
    memset(s, 0, sizeof *s);
    s->log_io = log_io;
    const char *full = getenv("FIRN_CRASH_FULL");
    s->name = name;
    s->is_full = full && *full && strcmp(full, "0") != 0;
    s->per_mille = per_mille;
    rng_init(&s->random, seed);
    sweep_make_disk(s);
}

void sweep_restart(sweep *s) {
    sweep_free_disk(s);
    sweep_make_disk(s);
}

void sweep_die_after(sweep *s, const char *kind, uint64_t count) {
    s->death_kind = kind;
    s->death_count = count;
}

void sweep_revive(sweep *s) {
    const char *problem;
    uint64_t hash;
    if (s->db)
        (void)!status_is_ok(db_close(s->db)); /* frees what a dead process's memory would be */
    s->db = NULL;
    s->is_dead = false;
    s->death_count = 0;
    vfs_fault_set(s->process, NULL);
    sweep_open(s);
    ASSERT_OK(shadow_read(&s->shadow, s->db, &hash, &problem));
    assert_null(problem);
    size_t last = shadow_find(&s->shadow, hash, s->acknowledged, s->shadow.count);
    if (last == SIZE_MAX)
        fail_msg("%s: the death of the process took acknowledged writes", s->name);
    if (last < s->shadow.count)
        shadow_take_back(&s->shadow);
    assert_int_equal(last, s->shadow.count); /* only the last write was under way */
    /* What recovery shows it has made durable. */
    s->acknowledged = s->durable = s->shadow.count;
}

void sweep_open(sweep *s) {
    if (s->is_dead)
        return;
    if (sweep_did(s, db_open(SWEEP_DIRECTORY, &s->config, &s->db), "open") &&
        s->shadow.certain_ids < SHADOW_KEYSPACES)
        (void)sweep_did(s, shadow_make_keyspaces(&s->shadow, s->db), "make keyspaces");
}

/* What no crash took must be there, too. */
static void sweep_check_present(sweep *s) {
    const char *problem;
    uint64_t hash;
    if (!sweep_did(s, shadow_read(&s->shadow, s->db, &hash, &problem), "read"))
        return;
    if (!problem && hash != s->shadow.present)
        problem = "holds something else than what was written";
    if (!problem)
        return;
    print_error("%s: after %zu writes the database %s\n", s->name, s->shadow.count, problem);
    shadow_print_difference(&s->shadow, s->db);
    sweep_give_up();
}

void sweep_close(sweep *s) {
    firn_stats stats = {.size = sizeof stats};
    if (s->is_dead)
        return;
    sweep_check_present(s);
    if (s->is_dead)
        return;
    db_get_stats(s->db, &stats);
    s->flushes += stats.flushes;
    s->compactions += stats.compactions + stats.trivial_moves;
    bool did = sweep_did(s, db_close(s->db), "close");
    s->db = NULL;
    if (did)
        s->durable = s->acknowledged;
}

void sweep_write(sweep *s, bool sync) {
    if (s->is_dead)
        return;
    batch_view view = shadow_commit(&s->shadow);
    if (!sweep_did(s, db_write(s->db, &view, sync ? FIRN_YES : FIRN_NO), "write"))
        return;
    s->acknowledged = s->shadow.count;
    if (sync)
        s->durable = s->acknowledged;
}

void sweep_write_refused(sweep *s) {
    /* Full for good, or so nearly that a smaller segment still fits. */
    bool is_full = s->shadow.count % 2;
    const vfs_fault_rule full = {.kinds = VFS_FAULT_WRITE | VFS_FAULT_RESERVE,
                                 .path_suffix = ".wal",
                                 .count = is_full ? UINT64_MAX : 1,
                                 .error = ENOSPC,
                                 .partial = true};
    if (s->is_dead || s->death_count > 0) { /* one rule at a time */
        sweep_write(s, false);
        return;
    }
    batch_view view = shadow_commit(&s->shadow);
    vfs_fault_set(s->process, &full);
    status st = db_write(s->db, &view, FIRN_NO);
    vfs_fault_set(s->process, NULL);
    for (int i = 0; i < 100;
         i++) /* milliseconds, until it is found out that there is space again */
        (void)time_monotonic_ns(s->config.clock);
    if (status_is_ok(st) && (s->log_io == FIRN_LOG_IO_MAPPED || !is_full)) {
        s->acknowledged = s->shadow.count;
        return;
    }
    if (!status_is(st, FIRN_NO_SPACE))
        fail_msg("%s: a write to a full disk answers %s", s->name, firn_status_name(st.code));
    shadow_take_back(&s->shadow);
}

void sweep_pass_time(sweep *s, uint64_t ms) {
    if (!s->is_dead)
        shadow_pass_time(&s->shadow, ms);
}

void sweep_sync(sweep *s) {
    if (!s->is_dead && sweep_did(s, db_sync(s->db), "sync"))
        s->durable = s->acknowledged;
}

void sweep_flush(sweep *s) {
    if (!s->is_dead && sweep_did(s, db_flush(s->db), "flush"))
        s->durable = s->acknowledged;
}

void sweep_compact(sweep *s) {
    if (!s->is_dead && sweep_did(s, db_compact_range(s->db, SLICE_UNSET, SLICE_UNSET), "compact"))
        s->durable = s->acknowledged;
}

void sweep_step(sweep *s, unsigned count) {
    while (!s->is_dead && count > 0 && db_step(s->db))
        count--;
}

/* --- the report --- */

static void sweep_print(const sweep *s) {
    uint64_t tried = 0, distinct = 0;
    print_message("%s: states tried / distinct, by the operation before the crash and by mode\n",
                  s->name);
    print_message("%-19s %6s", "operation", "done");
    for (int mode = 0; mode < VFS_MEM_CRASH_COUNT; mode++)
        print_message(" %11s", sweep_mode_names[mode]);
    print_message("\n");
    for (size_t i = 0; i < s->kind_count; i++) {
        const sweep_kind *k = &s->kinds[i];
        if (k->operations == 0)
            continue;
        print_message("%-19s %6llu", k->name, (unsigned long long)k->operations);
        for (int mode = 0; mode < VFS_MEM_CRASH_COUNT; mode++) {
            print_message(" %5llu/%-5llu", (unsigned long long)k->cells[mode].tried,
                          (unsigned long long)k->cells[mode].distinct);
            tried += k->cells[mode].tried;
            distinct += k->cells[mode].distinct;
        }
        print_message("\n");
    }
    print_message("%llu states tried, %llu distinct; %llu recoveries, %llu reused, %llu opened "
                  "read-only, %llu when all had expired, %llu second crashes\n",
                  (unsigned long long)tried, (unsigned long long)distinct,
                  (unsigned long long)s->recoveries, (unsigned long long)s->reuses,
                  (unsigned long long)s->read_only_opens, (unsigned long long)s->late_opens,
                  (unsigned long long)s->second_crashes);
    print_message("workload: %zu batches, %llu log segments, %llu recycled, %llu manifests, %llu "
                  "flushes, %llu "
                  "compactions\n",
                  s->shadow.count, (unsigned long long)s->log_segments,
                  (unsigned long long)s->log_recycles, (unsigned long long)s->manifests,
                  (unsigned long long)s->flushes, (unsigned long long)s->compactions);
}

void sweep_finish(sweep *s) {
    sweep_crash_all_modes(s, vfs_mem_operation_count(s->disk));
    sweep_print(s);
    sweep_report(s);
    for (size_t i = 0; i < s->kind_count; i++) {
        for (int mode = 0; mode < VFS_MEM_CRASH_COUNT; mode++) {
            if (s->kinds[i].operations > 0 && s->kinds[i].cells[mode].tried == 0)
                fail_msg("no crash of mode %s after '%s'", sweep_mode_names[mode],
                         s->kinds[i].name);
        }
    }
    sweep_free_disk(s);
    free(s->seen);
}
