/* Every kind of file is damaged in every way: bytes flipped, zeroed, cut off, files gone or
 * exchanged. Opening, reading and verifying then report it and name the file, or give the right
 * answers; never a wrong one. */
#include <stdio.h>
#include <stdlib.h>

#include "db/inspect.h"
#include "integration/fault_fixture.h"
#include "lib/test.h"
#include "platform/thread.h"
#include "platform/vfs.h"

enum { DAMAGE_FILES_MAX = 64, DAMAGE_NAME_BYTES = 32 };

typedef struct damage_file {
    char name[DAMAGE_NAME_BYTES];
    uint64_t bytes;
} damage_file;

/* An undamaged database and what it holds. */
typedef struct damage_base {
    fault_fixture f;
    damage_file files[DAMAGE_FILES_MAX];
    size_t file_count;
    bool was_closed; /* cleanly: then nothing may be missing */
    uint64_t cases, refused, reported, harmless, verified;
} damage_base;

typedef struct damage_case {
    damage_base *base;
    vfs_mem *disk; /* damaged clone */
    const char *name;
    char what[96];
} damage_case;

/* --- the database --- */

static int damage_note_file(void *context, const char *name) {
    damage_base *b = context;
    char path[64];
    if (strcmp(name, "LOCK") == 0 || strcmp(name, "RESERVE") == 0)
        return 0;
    assert_true(b->file_count < DAMAGE_FILES_MAX && strlen(name) < DAMAGE_NAME_BYTES);
    damage_file *file = &b->files[b->file_count++];
    snprintf(file->name, sizeof file->name, "%s", name);
    snprintf(path, sizeof path, "%s/%s", FAULT_DIRECTORY, name);
    assert_non_null(vfs_mem_contents(b->f.disk, path, &file->bytes));
    return 0;
}

/* Read-only opens wait a little before they look again at what seems damaged: nothing will change.
 */
static void damage_do_not_wait(void *context) {
    (void)context;
}

/* Tables on several levels, a manifest of several edits, and a log of several segments whose end is
 * not in tables. */
static void damage_make_base(damage_base *b, bool closed, bool large) {
    fault_fixture *f = &b->f;
    *b = (damage_base){.was_closed = closed};
    thread_set_wait_hook(damage_do_not_wait, NULL);
    fault_fixture_init(f, 21);
    fault_fixture_create(f);
    for (int i = 0; i < 240; i++) {
        ASSERT_OK(fault_fixture_try_write(f, 3, i % 10 == 0 ? FIRN_YES : FIRN_NO));
        if (i == 60 || i == 120 || i == 150 || i == 180)
            ASSERT_OK(db_flush(f->db));
        if (i == 121)
            ASSERT_OK(db_compact_range(f->db, SLICE_UNSET, SLICE_UNSET));
    }
    for (uint32_t i = 0; large && i < 2; i++) {
        shadow_put(&f->shadow, 1, 5 + i, 1, LARGE_VALUE_BYTES + 10);
        batch_view view = shadow_commit(&f->shadow);
        ASSERT_OK(db_write(f->db, &view, FIRN_YES));
        if (i == 0)
            ASSERT_OK(db_flush(f->db));
    }
    ASSERT_OK(fault_fixture_try_write(f, 3, FIRN_NO));
    while (db_step(f->db)) { /* so that no file is left that is not needed */
    }
    ASSERT_OK(fault_fixture_try_write(f, 3, FIRN_YES));
    ASSERT_OK(fault_fixture_try_write(f, 3, FIRN_NO));
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
    assert_int_equal(vfs->list(vfs, FAULT_DIRECTORY, damage_note_file, b), 0);
    assert_true(b->file_count >= 8);
}

static void damage_free_base(damage_base *b) {
    print_message("%llu cases: %llu refused at open, %llu reported by reads, %llu harmless; verify "
                  "reported %llu\n",
                  (unsigned long long)b->cases, (unsigned long long)b->refused,
                  (unsigned long long)b->reported, (unsigned long long)b->harmless,
                  (unsigned long long)b->verified);
    fault_fixture_deinit(&b->f);
}

/* --- one damaged disk --- */

static void damage_fail(const damage_case *c, const char *problem) {
    print_error("%s, %s: %s\n  detail: %s\n", c->name, c->what, problem, error_detail_get());
    fflush(NULL);
    fail();
}

/* Whether a text says which file it is about. A manifest that lost its last edits is noticed by
 * what no longer fits to it. */
static bool damage_is_named(const damage_case *c, const char *text) {
    return strstr(text, strncmp(c->name, "MANIFEST", 8) == 0 ? FAULT_DIRECTORY "/" : c->name);
}

/* A failure must be one of damage. */
static void damage_check_report(const damage_case *c, status st, const char *when) {
    if (st.code != FIRN_CORRUPTION && st.code != FIRN_NOT_SUPPORTED)
        damage_fail(c, firn_status_name(st.code));
    if (!damage_is_named(c, error_detail_get()))
        damage_fail(c, when);
}

static bool damage_state_is_right(const damage_case *c, uint64_t hash) {
    const shadow *s = &c->base->f.shadow;
    if (c->base->was_closed)
        return hash == s->present;
    /* Damage to the newest writes cannot be told from what a power cut leaves of them. */
    return shadow_find(s, hash, 0, s->count) != SIZE_MAX;
}

/* Each key by itself: undamaged parts stay readable, and none gives a wrong value. */
static bool damage_check_gets(const damage_case *c, firn_db *db) {
    const shadow *s = &c->base->f.shadow;
    char name[64];
    bool reported = false;
    for (uint32_t i = 0; i < SHADOW_KEYSPACES; i++) {
        for (uint32_t key = 0; key < SHADOW_KEYS; key++) {
            firn_value value;
            uint64_t hash = 0;
            status st = db_get(db, s->ids[i], NULL, shadow_key(key, name), &value);
            if (status_is_ok(st))
                hash = shadow_hash_of(i, key, slice_of(value.data, value.size), value.expiry_ms);
            db_value_release(&value);
            if (!status_is_ok(st) && st.code != FIRN_NOT_FOUND) {
                damage_check_report(c, st, "a get fails without naming the file");
                reported = true;
            } else if (c->base->was_closed && hash != s->entries[i][key]) {
                damage_fail(c, "a get gives a wrong answer");
            }
        }
    }
    return reported;
}

static void damage_check_open(damage_case *c, bool compact) {
    damage_base *b = c->base;
    db_config config = b->f.config;
    firn_db *db = NULL;
    uint64_t hash;
    const char *problem = NULL;
    config.vfs = vfs_mem_vfs(c->disk);
    status st = db_open(FAULT_DIRECTORY, &config, &db);
    if (!status_is_ok(st)) {
        damage_check_report(c, st, "open fails without naming the file");
        b->refused++;
        return;
    }
    st = shadow_read(&b->f.shadow, db, &hash, &problem);
    if (!status_is_ok(st))
        damage_check_report(c, st, "a read fails without naming the file");
    else if (problem || !damage_state_is_right(c, hash))
        damage_fail(c, problem ? problem : "opens with wrong contents");
    bool reported = damage_check_gets(c, db) || !status_is_ok(st);
    if (compact) {
        st = db_compact_range(db, SLICE_UNSET, SLICE_UNSET);
        if (!status_is_ok(st))
            damage_check_report(c, st, "a compaction fails without naming the file");
        (void)damage_check_gets(c, db);
    }
    b->reported += reported;
    b->harmless += !reported;
    (void)!status_is_ok(db_close(db));
}

static int damage_on_verify(void *context, const firn_verify_progress *progress) {
    const damage_case *c = context;
    if (progress->problem && damage_is_named(c, progress->problem))
        c->base->verified++;
    return 0;
}

static int damage_ignore_line(void *context, const char *line) {
    (void)context;
    (void)line;
    return 0;
}

static void damage_check(damage_case *c) {
    char path[64];
    damage_base *b = c->base;
    db_config config = b->f.config;
    config.vfs = vfs_mem_vfs(c->disk);
    uint64_t verified = b->verified, refused = b->refused, reported = b->reported;
    status st = verify_database(&config, FAULT_DIRECTORY, damage_on_verify, c);
    bool verify_says = b->verified > verified;
    if (!verify_says && !status_is_ok(st))
        damage_check_report(c, st, "verify fails without naming the file");
    snprintf(path, sizeof path, "%s/%s", FAULT_DIRECTORY, c->name);
    st = inspect_file(&config, path, damage_ignore_line, NULL);
    if (!status_is_ok(st) && st.code != FIRN_NOT_FOUND)
        damage_check_report(c, st, "inspect fails without naming the file");
    damage_check_open(c, b->cases % 8 == 0);
    if (!verify_says && status_is_ok(st) && (b->refused > refused || b->reported > reported))
        damage_fail(c, "open or reads report what verify did not");
    b->cases++;
    vfs_mem_free(c->disk);
    c->disk = NULL;
}

/* --- the ways to damage --- */

static damage_case damage_new_case(damage_base *b, const damage_file *file) {
    damage_case c = {.base = b, .name = file->name};
    ASSERT_OK(vfs_mem_crash_clone(b->f.disk, VFS_MEM_KILL, 0, &c.disk));
    return c;
}

static uint8_t *damage_bytes(const damage_case *c, const char *name) {
    char path[64];
    uint64_t bytes;
    snprintf(path, sizeof path, "%s/%s", FAULT_DIRECTORY, name);
    uint8_t *data = vfs_mem_contents(c->disk, path, &bytes);
    assert_non_null(data);
    return data;
}

static void damage_flip(damage_base *b, const damage_file *file, uint64_t offset) {
    damage_case c = damage_new_case(b, file);
    unsigned bit = (unsigned)(offset % 8);
    snprintf(c.what, sizeof c.what, "bit %u of byte %llu flipped", bit, (unsigned long long)offset);
    damage_bytes(&c, file->name)[offset] ^= (uint8_t)(1u << bit);
    damage_check(&c);
}

static void damage_zero(damage_base *b, const damage_file *file, uint64_t offset) {
    damage_case c = damage_new_case(b, file);
    uint64_t bytes = 1 + rng_below(&b->f.random, 600);
    if (bytes > file->bytes - offset)
        bytes = file->bytes - offset;
    snprintf(c.what, sizeof c.what, "%llu bytes from %llu on zeroed", (unsigned long long)bytes,
             (unsigned long long)offset);
    memset(damage_bytes(&c, file->name) + offset, 0, (size_t)bytes);
    damage_check(&c);
}

static void damage_cut(damage_base *b, const damage_file *file, uint64_t bytes) {
    char path[64];
    vfs_file *handle = NULL;
    damage_case c = damage_new_case(b, file);
    snprintf(c.what, sizeof c.what, "cut to %llu of %llu bytes", (unsigned long long)bytes,
             (unsigned long long)file->bytes);
    snprintf(path, sizeof path, "%s/%s", FAULT_DIRECTORY, file->name);
    ASSERT_OK(vfs_open(vfs_mem_vfs(c.disk), path, FIRN_VFS_WRITE, &handle));
    ASSERT_OK(vfs_truncate(handle, bytes));
    ASSERT_OK(vfs_close(handle));
    damage_check(&c);
}

/* Calls `damage` at `count` places of the file: its ends, and evenly between them. */
static void damage_spread(damage_base *b, const damage_file *file, uint64_t count,
                          void (*damage)(damage_base *b, const damage_file *file, uint64_t at)) {
    uint64_t step = file->bytes / test_scaled(count) + 1;
    for (uint64_t at = 0; at < file->bytes; at += step)
        damage(b, file, at + rng_below(&b->f.random, step) % (file->bytes - at));
    damage(b, file, file->bytes - 1);
}

static void damage_every_file(bool closed, bool large, uint64_t count,
                              void (*damage)(damage_base *b, const damage_file *file,
                                             uint64_t at)) {
    damage_base *b = calloc(1, sizeof *b);
    damage_make_base(b, closed, large);
    for (size_t i = 0; i < b->file_count; i++)
        damage_spread(b, &b->files[i], count, damage);
    assert_true(b->cases > b->file_count && b->refused > 0);
    damage_free_base(b);
    free(b);
}

TEST(crash_corruption, flipped_bits_are_reported_or_do_not_matter) {
    damage_every_file(true, false, 40, damage_flip);
}

TEST(crash_corruption, flipped_bits_after_a_crash_are_reported_or_cost_only_the_newest_writes) {
    damage_every_file(false, false, 20, damage_flip);
}

TEST(crash_corruption, zeroed_bytes_are_reported_or_do_not_matter) {
    damage_every_file(true, false, 12, damage_zero);
}

TEST(crash_corruption, truncated_files_are_reported) {
    damage_every_file(true, false, 12, damage_cut);
}

TEST(crash_corruption, damage_beside_and_in_large_values_is_reported) {
    damage_every_file(true, true, 6, damage_flip);
    damage_every_file(false, true, 2, damage_cut);
}

TEST(crash_corruption, every_byte_of_current_counts) {
    damage_base *b = calloc(1, sizeof *b);
    damage_make_base(b, true, false);
    for (size_t i = 0; i < b->file_count; i++) {
        if (strcmp(b->files[i].name, "CURRENT") != 0)
            continue;
        for (uint64_t at = 0; at < b->files[i].bytes; at++) {
            damage_flip(b, &b->files[i], at);
            damage_cut(b, &b->files[i], at);
        }
        assert_int_equal(b->refused, 2 * b->files[i].bytes);
    }
    damage_free_base(b);
    free(b);
}

TEST(crash_corruption, files_that_are_gone_are_named) {
    damage_base *b = calloc(1, sizeof *b);
    char path[64];
    damage_make_base(b, true, false);
    for (size_t i = 0; i < b->file_count; i++) {
        damage_case c = damage_new_case(b, &b->files[i]);
        snprintf(c.what, sizeof c.what, "removed");
        snprintf(path, sizeof path, "%s/%s", FAULT_DIRECTORY, c.name);
        ASSERT_OK(vfs_remove(vfs_mem_vfs(c.disk), path));
        damage_check(&c);
    }
    assert_int_equal(b->refused, b->file_count);
    damage_free_base(b);
    free(b);
}

/* None holds anything that a database is made of. */
TEST(crash_corruption, damage_of_files_that_hold_nothing_changes_nothing) {
    static const char *const names[] = {FAULT_DIRECTORY "/LOCK", FAULT_DIRECTORY "/events.log",
                                        FAULT_DIRECTORY "/RESERVE"};
    fault_fixture f;
    fault_fixture_init(&f, 22);
    f.config.on_event = NULL; /* to the file */
    fault_fixture_create(&f);
    for (int i = 0; i < 40; i++)
        ASSERT_OK(fault_fixture_try_write(&f, 3, FIRN_NO));
    fault_fixture_close(&f);
    for (int i = 0; i < 60; i++) {
        const char *name = names[i % 3];
        uint64_t garbage[32];
        vfs_file *file = NULL;
        for (size_t word = 0; word < 32; word++)
            garbage[word] = i % 4 ? rng_next(&f.random) : 0;
        ASSERT_OK(vfs_open(f.config.vfs, name, FIRN_VFS_WRITE | FIRN_VFS_CREATE, &file));
        ASSERT_OK(vfs_write(file, rng_below(&f.random, 300), garbage, sizeof garbage));
        ASSERT_OK(vfs_close(file));
        if (i % 10 >= 8)
            ASSERT_OK(vfs_remove(f.config.vfs, name));
        ASSERT_OK(verify_database(&f.config, FAULT_DIRECTORY, NULL, NULL));
        fault_fixture_open(&f);
        fault_fixture_check(&f);
        ASSERT_OK(fault_fixture_try_write(&f, 3, FIRN_NO));
        fault_fixture_close(&f);
    }
    fault_fixture_deinit(&f);
}

/* Every file gets the contents of another one of its kind: all checksums fit, but not there. */
TEST(crash_corruption, files_that_changed_places_are_noticed) {
    damage_base *b = calloc(1, sizeof *b);
    damage_make_base(b, true, false);
    for (size_t i = 0; i < b->file_count; i++) {
        for (size_t j = 0; j < b->file_count; j++) {
            const damage_file *to = &b->files[i], *from = &b->files[j];
            const char *kind = strrchr(to->name, '.');
            if (i == j || !kind || !strstr(from->name, kind) || from->bytes < to->bytes)
                continue;
            damage_case c = damage_new_case(b, to);
            snprintf(c.what, sizeof c.what, "replaced by %s", from->name);
            memcpy(damage_bytes(&c, to->name), damage_bytes(&c, from->name), (size_t)to->bytes);
            damage_check(&c);
        }
    }
    assert_true(b->cases > 0);
    assert_int_equal(b->harmless, 0);
    damage_free_base(b);
    free(b);
}

TEST_MAIN(RUN(crash_corruption, flipped_bits_are_reported_or_do_not_matter),
          RUN(crash_corruption,
              flipped_bits_after_a_crash_are_reported_or_cost_only_the_newest_writes),
          RUN(crash_corruption, zeroed_bytes_are_reported_or_do_not_matter),
          RUN(crash_corruption, truncated_files_are_reported),
          RUN(crash_corruption, damage_beside_and_in_large_values_is_reported),
          RUN(crash_corruption, every_byte_of_current_counts),
          RUN(crash_corruption, files_that_are_gone_are_named),
          RUN(crash_corruption, damage_of_files_that_hold_nothing_changes_nothing),
          RUN(crash_corruption, files_that_changed_places_are_noticed))
