/* Every kind of file is damaged in every way, and repaired. Then the database opens, verifies and
 * takes writes; keys outside of what was reported lost have their right values, and no key has a
 * value it never had. A repair that dies at any moment can be run again. */
#include <stdio.h>
#include <stdlib.h>

#include "db/inspect.h"
#include "db/repair.h"
#include "integration/fault_fixture.h"
#include "lib/test.h"
#include "platform/thread.h"
#include "platform/vfs.h"

enum { REPAIR_FILES_MAX = 64, REPAIR_HISTORY_MAX = 64, REPAIR_LOSSES_MAX = 256 };

typedef struct repair_base {
    fault_fixture f;
    char files[REPAIR_FILES_MAX][32];
    size_t file_count;
    /* Every value a key ever had. */
    uint64_t history[SHADOW_KEYSPACES][SHADOW_KEYS][REPAIR_HISTORY_MAX];
    size_t history_count[SHADOW_KEYSPACES][SHADOW_KEYS];
    uint64_t cases, repaired, untouched, exact;
} repair_base;

typedef struct repair_range {
    char from[70000], to[70000];
    size_t from_size, to_size;
    bool has_from, has_to;
} repair_range;

/* What a repair said. */
typedef struct repair_report {
    uint64_t problems, losses, actions;
    bool lost_log; /* or something whose keys nobody knows */
    repair_range *ranges;
    size_t range_count;
    uint64_t stop_after; /* steps; 0: never */
    char last[512];
} repair_report;

static int repair_on_step(void *context, const firn_repair_step *step) {
    repair_report *r = context;
    r->problems += step->kind == FIRN_REPAIR_PROBLEM;
    r->losses += step->kind == FIRN_REPAIR_LOSS;
    r->actions += step->kind == FIRN_REPAIR_ACTION;
    assert_int_equal(step->size, sizeof *step);
    assert_non_null(step->file);
    assert_non_null(strstr(step->text, FAULT_DIRECTORY));
    snprintf(r->last, sizeof r->last, "%s", step->text);
    if (step->kind == FIRN_REPAIR_LOSS) {
        bool is_log = strstr(step->file, ".wal") != NULL;
        r->lost_log |= is_log;
        if (!is_log) {
            assert_true(r->range_count < REPAIR_LOSSES_MAX);
            repair_range *range = &r->ranges[r->range_count++];
            range->has_from = step->from.data != NULL;
            range->has_to = step->to.data != NULL;
            range->from_size = step->from.size;
            range->to_size = step->to.size;
            if (range->has_from)
                memcpy(range->from, step->from.data, step->from.size);
            if (range->has_to)
                memcpy(range->to, step->to.data, step->to.size);
        }
    }
    return r->stop_after > 0 && r->problems + r->losses + r->actions >= r->stop_after;
}

static void repair_report_init(repair_report *r) {
    *r = (repair_report){.ranges = calloc(REPAIR_LOSSES_MAX, sizeof(repair_range))};
    assert_non_null(r->ranges);
}

static bool repair_is_in_a_lost_range(const repair_report *r, slice key) {
    for (size_t i = 0; i < r->range_count; i++) {
        const repair_range *range = &r->ranges[i];
        bool above =
            !range->has_from || slice_compare(key, slice_of(range->from, range->from_size)) >= 0;
        bool below = !range->has_to || slice_compare(key, slice_of(range->to, range->to_size)) <= 0;
        if (above && below)
            return true;
    }
    return false;
}

/* --- the database --- */

static void repair_note_history(repair_base *b) {
    for (uint32_t k = 0; k < SHADOW_KEYSPACES; k++) {
        for (uint32_t key = 0; key < SHADOW_KEYS; key++) {
            uint64_t now = b->f.shadow.entries[k][key];
            size_t *count = &b->history_count[k][key];
            if (*count > 0 && b->history[k][key][*count - 1] == now)
                continue;
            assert_true(*count < REPAIR_HISTORY_MAX);
            b->history[k][key][(*count)++] = now;
        }
    }
}

static bool repair_was_a_value(const repair_base *b, uint32_t k, uint32_t key, uint64_t hash) {
    for (size_t i = 0; i < b->history_count[k][key]; i++) {
        if (b->history[k][key][i] == hash)
            return true;
    }
    return false;
}

static int repair_note_file(void *context, const char *name) {
    repair_base *b = context;
    if (strcmp(name, "LOCK") != 0) {
        assert_true(b->file_count < REPAIR_FILES_MAX);
        snprintf(b->files[b->file_count++], sizeof b->files[0], "%s", name);
    }
    return 0;
}

static void repair_do_not_wait(void *context) {
    (void)context;
}

static void repair_base_init(repair_base *b, bool closed, bool large, uint64_t seed) {
    fault_fixture *f = &b->f;
    memset(b, 0, sizeof *b);
    thread_set_wait_hook(repair_do_not_wait, NULL);
    fault_fixture_init(f, seed);
    fault_fixture_create(f);
    repair_note_history(b);
    for (int i = 0; i < 240; i++) {
        ASSERT_OK(fault_fixture_try_write(f, 3, i % 10 == 0 ? FIRN_YES : FIRN_NO));
        repair_note_history(b);
        if (i == 40 || i == 80 || i == 120 || i == 150 || i == 180 || i == 200)
            ASSERT_OK(db_flush(f->db));
        if (i == 121)
            ASSERT_OK(db_compact_range(f->db, SLICE_UNSET, SLICE_UNSET));
        if (large && i == 130) {
            shadow_put(&f->shadow, 1, 5, 1, LARGE_VALUE_BYTES + 10);
            batch_view view = shadow_commit(&f->shadow);
            ASSERT_OK(db_write(f->db, &view, FIRN_YES));
            repair_note_history(b);
        }
    }
    while (db_step(f->db)) {
    }
    for (int i = 0; i < 20; i++) {
        ASSERT_OK(fault_fixture_try_write(f, 3, i % 4 == 0 ? FIRN_YES : FIRN_NO));
        repair_note_history(b);
    }
    if (closed) {
        fault_fixture_close(f);
    } else {
        vfs_mem *killed = NULL;
        ASSERT_OK(vfs_mem_crash_clone(f->disk, VFS_MEM_KILL, 0, &killed));
        fault_fixture_close(f);
        vfs_mem_free(f->disk);
        f->disk = killed;
    }
    const firn_vfs *vfs = vfs_mem_vfs(f->disk);
    assert_int_equal(vfs->list(vfs, FAULT_DIRECTORY, repair_note_file, b), 0);
    assert_true(b->file_count >= 6);
}

static void repair_base_deinit(repair_base *b) {
    print_message("%llu cases: %llu repaired, %llu with nothing wrong, %llu without any loss\n",
                  (unsigned long long)b->cases, (unsigned long long)b->repaired,
                  (unsigned long long)b->untouched, (unsigned long long)b->exact);
    fault_fixture_deinit(&b->f);
}

/* --- damage --- */

static const char *repair_path(const char *name) {
    return test_path(FAULT_DIRECTORY, name);
}

static void repair_set_contents(vfs_mem *disk, const char *name, const uint8_t *bytes,
                                size_t size) {
    vfs_file *file;
    ASSERT_OK(vfs_open(vfs_mem_vfs(disk), repair_path(name),
                       FIRN_VFS_WRITE | FIRN_VFS_CREATE | FIRN_VFS_TRUNCATE, &file));
    ASSERT_OK(vfs_write(file, 0, bytes, size));
    ASSERT_OK(vfs_sync(file));
    ASSERT_OK(vfs_close(file));
}

static void repair_truncate(vfs_mem *disk, const char *name, uint64_t bytes) {
    vfs_file *file;
    ASSERT_OK(vfs_open(vfs_mem_vfs(disk), repair_path(name), FIRN_VFS_WRITE, &file));
    ASSERT_OK(vfs_truncate(file, bytes));
    ASSERT_OK(vfs_sync(file));
    ASSERT_OK(vfs_close(file));
}

static void repair_exchange(vfs_mem *disk, const char *a, const char *b) {
    uint64_t a_bytes, b_bytes;
    const uint8_t *from_a = vfs_mem_contents(disk, repair_path(a), &a_bytes);
    const uint8_t *from_b = vfs_mem_contents(disk, repair_path(b), &b_bytes);
    uint8_t *copy_a = malloc(a_bytes + 1), *copy_b = malloc(b_bytes + 1);
    assert_true(copy_a && copy_b && from_a && from_b);
    memcpy(copy_a, from_a, a_bytes);
    memcpy(copy_b, from_b, b_bytes);
    repair_set_contents(disk, a, copy_b, b_bytes);
    repair_set_contents(disk, b, copy_a, a_bytes);
    free(copy_a);
    free(copy_b);
}

enum { DAMAGE_FLIP, DAMAGE_ZERO, DAMAGE_CUT, DAMAGE_REMOVE, DAMAGE_EXCHANGE, DAMAGE_KINDS };
static const char *const repair_damages[] = {"flip", "zero", "cut", "remove", "exchange"};

/* Where most bytes of a file are padding, damage where it matters too. */
static uint64_t repair_pick_offset(rng *random, uint64_t bytes) {
    switch (rng_below(random, 4)) {
    case 0:
        return rng_below(random, bytes < 128 ? bytes : 128);
    case 1:
        return bytes - 1 - rng_below(random, bytes < 400 ? bytes : 400);
    default:
        return rng_below(random, bytes);
    }
}

static void repair_damage(const repair_base *b, vfs_mem *disk, const char *name, int kind,
                          rng *random, char what[96]) {
    uint64_t bytes, offset = 0;
    uint8_t *contents = vfs_mem_contents(disk, repair_path(name), &bytes);
    assert_true(contents || bytes == 0);
    if (bytes > 0)
        offset = repair_pick_offset(random, bytes);
    snprintf(what, 96, "%s: %s at %llu", name, repair_damages[kind], (unsigned long long)offset);
    switch (kind) {
    case DAMAGE_FLIP:
        if (bytes > 0)
            contents[offset] ^= (uint8_t)(1u << rng_below(random, 8));
        break;
    case DAMAGE_ZERO:
        for (uint64_t i = offset; i < bytes && i < offset + 512; i++)
            contents[i] = 0;
        break;
    case DAMAGE_CUT:
        repair_truncate(disk, name, offset);
        break;
    case DAMAGE_REMOVE:
        ASSERT_OK(vfs_remove(vfs_mem_vfs(disk), repair_path(name)));
        break;
    default: {
        const char *other = b->files[rng_below(random, b->file_count)];
        snprintf(what, 96, "%s: exchanged with %s", name, other);
        if (strcmp(other, name) != 0)
            repair_exchange(disk, name, other);
        break;
    }
    }
}

/* --- one case --- */

typedef struct repair_case {
    repair_base *base;
    vfs_mem *disk;
    db_config config;
    char what[96];
} repair_case;

static void repair_fail(const repair_case *c, const char *problem) {
    print_error("%s: %s\n  detail: %s\n", c->what, problem, error_detail_get());
    fflush(NULL);
    fail();
}

static void repair_check(const repair_case *c, status st, const char *what) {
    if (!status_is_ok(st)) {
        print_error("%s\n", firn_status_name(st.code));
        repair_fail(c, what);
    }
}

/* Each key against what it may hold. `is_strict`: nothing went missing unseen. */
static bool repair_check_keys(const repair_case *c, firn_db *db, const repair_report *report,
                              bool is_strict) {
    const repair_base *b = c->base;
    char name[64];
    bool exact = true;
    for (uint32_t k = 0; k < SHADOW_KEYSPACES; k++) {
        for (uint32_t key = 0; key < SHADOW_KEYS; key++) {
            firn_value value;
            uint64_t hash = 0;
            slice text = shadow_key(key, name);
            status st = db_get(db, k, NULL, text, &value);
            if (status_is_ok(st))
                hash = shadow_hash_of(k, key, slice_of(value.data, value.size), value.expiry_ms);
            db_value_release(&value);
            if (!status_is_ok(st) && st.code != FIRN_NOT_FOUND)
                repair_fail(c, "a get fails after the repair");
            if (hash == b->f.shadow.entries[k][key])
                continue;
            exact = false;
            if (!repair_was_a_value(b, k, key, hash))
                repair_fail(c, "a key has a value it never had");
            if (is_strict && !report->lost_log && !repair_is_in_a_lost_range(report, text)) {
                print_error("keyspace %u key %u\n", k, key);
                repair_fail(c, "a key outside of what was reported lost has changed");
            }
        }
    }
    return exact;
}

/* All of a database as one number; keyspaces may be missing. */
static uint64_t repair_read_all(const repair_case *c, vfs_mem *disk) {
    char name[64];
    uint64_t hash = 0;
    db_config config = c->config;
    firn_db *db = NULL;
    config.vfs = vfs_mem_vfs(disk);
    repair_check(c, db_open(FAULT_DIRECTORY, &config, &db), "does not open");
    for (uint32_t k = 0; k < SHADOW_KEYSPACES; k++) {
        for (uint32_t key = 0; key < SHADOW_KEYS; key++) {
            firn_value value;
            status st = db_get(db, k, NULL, shadow_key(key, name), &value);
            if (status_is_ok(st))
                hash ^= shadow_hash_of(k, key, slice_of(value.data, value.size), value.expiry_ms);
            db_value_release(&value);
        }
    }
    repair_check(c, db_close(db), "does not close");
    return hash;
}

static status repair_run(const repair_case *c, vfs_mem *disk, bool plan, repair_report *report) {
    db_config config = c->config;
    config.vfs = vfs_mem_vfs(disk);
    return repair_database(&config, FAULT_DIRECTORY, plan, repair_on_step, report);
}

/* Writes, flushes, compacts, reopens: the database goes on. */
static void repair_check_usable(const repair_case *c) {
    static const uint8_t value[100] = {7};
    char name[64];
    firn_value got;
    firn_db *db = NULL;
    firn_batch batch;
    slice key = shadow_key(SHADOW_KEY_EXTRA, name);
    repair_check(c, db_open(FAULT_DIRECTORY, &c->config, &db), "does not open to be used");
    batch_init(&batch);
    ASSERT_OK(batch_put(&batch, 0, key, slice_of(value, sizeof value), true));
    batch_view view = batch_get_view(&batch);
    repair_check(c, db_write(db, &view, FIRN_YES), "takes no writes");
    repair_check(c, db_compact_range(db, SLICE_UNSET, SLICE_UNSET), "does not compact");
    repair_check(c, db_close(db), "does not close");
    repair_check(c, db_open(FAULT_DIRECTORY, &c->config, &db), "does not open again");
    repair_check(c, db_get(db, 0, NULL, key, &got), "lost what was written after the repair");
    assert_int_equal(got.size, sizeof value);
    db_value_release(&got);
    repair_check(c, db_close(db), "does not close again");
    batch_deinit(&batch);
}

static void repair_check_case(repair_case *c, bool is_strict) {
    repair_report plan, report, again;
    firn_db *db = NULL;
    repair_report_init(&plan);
    repair_report_init(&report);
    repair_report_init(&again);
    uint64_t before = vfs_mem_hash(c->disk);
    repair_check(c, repair_run(c, c->disk, true, &plan), "cannot be planned");
    if (vfs_mem_hash(c->disk) != before)
        repair_fail(c, "a plan changes the disk");
    repair_check(c, repair_run(c, c->disk, false, &report), "cannot be repaired");
    if (plan.problems != report.problems || plan.losses != report.losses)
        repair_fail(c, "the plan said something else than the repair");
    c->base->cases++;
    c->base->repaired += report.problems > 0;
    c->base->untouched += report.problems == 0;
    if (report.problems == 0 && vfs_mem_hash(c->disk) != before)
        repair_fail(c, "nothing is wrong, but something was changed");
    repair_check(c, verify_database(&c->config, FAULT_DIRECTORY, NULL, NULL), "does not verify");
    repair_check(c, db_open(FAULT_DIRECTORY, &c->config, &db), "does not open");
    c->base->exact += repair_check_keys(c, db, &report, is_strict);
    repair_check(c, db_close(db), "does not close");
    repair_check(c, repair_run(c, c->disk, false, &again), "cannot be repaired again");
    if (again.problems)
        repair_fail(c, again.last);
    repair_check_usable(c);
    free(plan.ranges);
    free(report.ranges);
    free(again.ranges);
}

static void repair_start_case(repair_case *c, repair_base *b, uint64_t seed) {
    *c = (repair_case){.base = b, .config = b->f.config};
    ASSERT_OK(vfs_mem_crash_clone(b->f.disk, VFS_MEM_KILL, seed, &c->disk));
    c->config.vfs = vfs_mem_vfs(c->disk);
}

static void repair_damage_everything(bool closed, bool large, uint64_t seed, uint64_t rounds) {
    repair_base *b = malloc(sizeof *b);
    rng random;
    assert_non_null(b);
    rng_init(&random, seed);
    repair_base_init(b, closed, large, seed);
    for (size_t i = 0; i < b->file_count; i++) {
        for (int kind = 0; kind < DAMAGE_KINDS; kind++) {
            for (uint64_t round = 0; round < (kind == DAMAGE_REMOVE ? 1 : rounds); round++) {
                repair_case c;
                repair_start_case(&c, b, round);
                repair_damage(b, c.disk, b->files[i], kind, &random, c.what);
                /* After a kill nobody can tell lost writes of the log's end from a power cut. */
                repair_check_case(&c, closed);
                vfs_mem_free(c.disk);
            }
        }
    }
    repair_base_deinit(b);
    free(b);
}

TEST(repair, whatever_is_undamaged_comes_back_after_a_clean_close) {
    uint64_t seed = test_seed();
    repair_damage_everything(true, false, seed, test_scaled(2));
    repair_damage_everything(true, true, seed + 1, 1);
}

TEST(repair, no_key_gets_a_value_it_never_had_after_a_kill) {
    repair_damage_everything(false, false, test_seed(), test_scaled(2));
}

/* --- several files at once --- */

TEST(repair, damage_in_many_files_at_once_is_repaired) {
    uint64_t seed = test_seed();
    repair_base *b = malloc(sizeof *b);
    rng random;
    assert_non_null(b);
    rng_init(&random, seed);
    repair_base_init(b, true, false, seed);
    for (uint64_t round = 0; round < test_scaled(20); round++) {
        repair_case c;
        char all[96] = "";
        bool knows_the_end = true; /* of the log: the manifest does */
        repair_start_case(&c, b, round);
        for (size_t i = 0; i < b->file_count; i++) {
            int kind = (int)rng_below(&random, DAMAGE_REMOVE);
            if (rng_below(&random, 3) != 0)
                continue;
            repair_damage(b, c.disk, b->files[i], kind, &random, all);
            knows_the_end &= strncmp(b->files[i], "MANIFEST", 8) != 0;
        }
        snprintf(c.what, sizeof c.what, "round %llu", (unsigned long long)round);
        repair_check_case(&c, knows_the_end);
        vfs_mem_free(c.disk);
    }
    repair_base_deinit(b);
    free(b);
}

/* --- the repair dies --- */

typedef struct repair_death {
    const repair_case *c;
    rng random;
    uint64_t expected, crashes;
} repair_death;

static void repair_observe(void *context, uint64_t operation, const char *kind, const char *path) {
    repair_death *d = context;
    vfs_mem *clone = NULL;
    repair_report report;
    (void)operation;
    (void)kind;
    (void)path;
    if (rng_below(&d->random, 3) != 0)
        return;
    repair_report_init(&report);
    vfs_mem_crash mode = (vfs_mem_crash)rng_below(&d->random, VFS_MEM_CRASH_COUNT);
    ASSERT_OK(vfs_mem_crash_clone(d->c->disk, mode, rng_next(&d->random), &clone));
    repair_check(d->c, repair_run(d->c, clone, false, &report),
                 "a repair that died cannot be repeated");
    if (repair_read_all(d->c, clone) != d->expected)
        repair_fail(d->c, "a repair that died and was repeated gives something else");
    vfs_mem_free(clone);
    free(report.ranges);
    d->crashes++;
}

static void repair_crash_case(repair_base *b, const char *name, int kind, rng *random,
                              uint64_t *crashes) {
    repair_case c;
    repair_report report;
    vfs_mem *whole = NULL;
    repair_start_case(&c, b, 1);
    repair_damage(b, c.disk, name, kind, random, c.what);
    ASSERT_OK(vfs_mem_crash_clone(c.disk, VFS_MEM_KILL, 1, &whole));
    vfs_mem_free(c.disk);
    /* The damage itself is durable. */
    ASSERT_OK(vfs_mem_crash_clone(whole, VFS_MEM_KILL, 1, &c.disk));
    c.config.vfs = vfs_mem_vfs(c.disk);
    repair_report_init(&report);
    repair_check(&c, repair_run(&c, whole, false, &report), "cannot be repaired");
    repair_death d = {.c = &c, .expected = repair_read_all(&c, whole)};
    rng_init(&d.random, rng_next(random));
    vfs_mem_observe(c.disk, repair_observe, &d);
    repair_check(&c, repair_run(&c, c.disk, false, &report), "cannot be repaired under crashes");
    vfs_mem_observe(c.disk, NULL, NULL);
    assert_true(repair_read_all(&c, c.disk) == d.expected);
    *crashes += d.crashes;
    vfs_mem_free(whole);
    vfs_mem_free(c.disk);
    free(report.ranges);
}

TEST(repair, dies_at_any_moment_and_is_run_again) {
    uint64_t seed = test_seed(), crashes = 0;
    repair_base *b = malloc(sizeof *b);
    rng random;
    assert_non_null(b);
    rng_init(&random, seed);
    repair_base_init(b, true, false, seed);
    for (size_t i = 0; i < b->file_count; i++) {
        for (int kind = DAMAGE_ZERO; kind <= DAMAGE_REMOVE; kind++)
            repair_crash_case(b, b->files[i], kind, &random, &crashes);
    }
    print_message("%llu repairs died\n", (unsigned long long)crashes);
    assert_true(crashes > 50);
    repair_base_deinit(b);
    free(b);
}

/* --- when it does nothing --- */

TEST(repair, refuses_while_the_database_is_open) {
    repair_base *b = malloc(sizeof *b);
    repair_case c;
    repair_report report;
    firn_db *db;
    assert_non_null(b);
    repair_base_init(b, true, false, 1);
    repair_start_case(&c, b, 1);
    repair_report_init(&report);
    ASSERT_OK(db_open(FAULT_DIRECTORY, &c.config, &db));
    ASSERT_CODE(repair_run(&c, c.disk, false, &report), FIRN_LOCKED);
    ASSERT_CODE(repair_run(&c, c.disk, true, &report), FIRN_LOCKED);
    ASSERT_OK(db_close(db));
    ASSERT_OK(repair_run(&c, c.disk, false, &report));
    assert_int_equal(report.problems + report.losses + report.actions, 0);
    free(report.ranges);
    vfs_mem_free(c.disk);
    repair_base_deinit(b);
    free(b);
}

TEST(repair, finds_no_database_where_there_is_none) {
    vfs_mem *disk;
    db_config config;
    ASSERT_OK(vfs_mem_new(&disk));
    shadow_config(vfs_mem_vfs(disk), &config);
    ASSERT_CODE(repair_database(&config, "/nothing", false, NULL, NULL), FIRN_NOT_FOUND);
    ASSERT_OK(vfs_make_dir(config.vfs, "/empty"));
    ASSERT_CODE(repair_database(&config, "/empty", false, NULL, NULL), FIRN_NOT_FOUND);
    vfs_mem_free(disk);
}

TEST(repair, stops_when_it_is_told_to) {
    repair_base *b = malloc(sizeof *b);
    repair_case c;
    repair_report report;
    assert_non_null(b);
    repair_base_init(b, true, false, 1);
    repair_start_case(&c, b, 1);
    repair_report_init(&report);
    ASSERT_OK(vfs_remove(c.config.vfs, repair_path("CURRENT")));
    uint64_t before = vfs_mem_hash(c.disk);
    report.stop_after = 1;
    ASSERT_CODE(repair_run(&c, c.disk, false, &report), FIRN_ABORTED);
    assert_true(vfs_mem_hash(c.disk) == before);
    free(report.ranges);
    vfs_mem_free(c.disk);
    repair_base_deinit(b);
    free(b);
}

TEST_MAIN(RUN(repair, whatever_is_undamaged_comes_back_after_a_clean_close),
          RUN(repair, no_key_gets_a_value_it_never_had_after_a_kill),
          RUN(repair, damage_in_many_files_at_once_is_repaired),
          RUN(repair, dies_at_any_moment_and_is_run_again),
          RUN(repair, refuses_while_the_database_is_open),
          RUN(repair, finds_no_database_where_there_is_none), RUN(repair, stops_when_it_is_told_to))
