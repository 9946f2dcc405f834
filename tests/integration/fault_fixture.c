#include "integration/fault_fixture.h"

#include "lib/test.h"

void fault_fixture_init(fault_fixture *f, uint64_t seed) {
    *f = (fault_fixture){0};
    rng_init(&f->random, seed);
    shadow_init(&f->shadow);
    ASSERT_OK(vfs_mem_new(&f->disk));
    ASSERT_OK(vfs_fault_new(vfs_mem_vfs(f->disk), &f->faults));
    shadow_config(vfs_fault_vfs(f->faults), &f->config);
}

void fault_fixture_deinit(fault_fixture *f) {
    if (f->db)
        fault_fixture_close(f);
    shadow_deinit(&f->shadow);
    vfs_fault_free(f->faults);
    vfs_mem_free(f->disk);
}

void fault_fixture_open(fault_fixture *f) {
    ASSERT_OK(db_open(FAULT_DIRECTORY, &f->config, &f->db));
}

void fault_fixture_create(fault_fixture *f) {
    fault_fixture_open(f);
    ASSERT_OK(shadow_make_keyspaces(&f->shadow, f->db));
}

void fault_fixture_close(fault_fixture *f) {
    status st = db_close(f->db);
    f->db = NULL;
    ASSERT_OK(st);
}

void fault_fixture_compose(fault_fixture *f, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        uint32_t keyspace = (uint32_t)rng_below(&f->random, f->shadow.certain_ids);
        const shadow_mix mix = {.random = &f->random,
                                .puts_percent = 70,
                                .bytes_most = 260,
                                .lasts = f->lasts};
        shadow_draw(&f->shadow, keyspace, &mix);
    }
}

status fault_fixture_try_write(fault_fixture *f, unsigned count, firn_choice sync) {
    fault_fixture_compose(f, count);
    batch_view view = shadow_commit(&f->shadow);
    status st = db_write(f->db, &view, sync);
    if (!status_is_ok(st)) {
        f->uncertain = f->shadow.present;
        shadow_take_back(&f->shadow);
        f->refused++;
        return st;
    }
    f->uncertain = 0;
    if (sync == FIRN_YES)
        f->durable = f->shadow.count;
    return st;
}

/* The hash of all that is there; fails where it is neither `hash` nor, if that is not 0, `other`.
 */
static uint64_t fault_fixture_read(fault_fixture *f, firn_db *db, uint64_t hash, uint64_t other) {
    uint64_t found;
    const char *problem;
    ASSERT_OK(shadow_read(&f->shadow, db, &found, &problem));
    if (!problem && found != hash && (other == 0 || found != other)) {
        problem = "not what was acknowledged";
        shadow_print_difference(&f->shadow, db);
    }
    if (problem)
        fail_msg("after %zu writes: %s", f->shadow.count, problem);
    return found;
}

void fault_fixture_check(fault_fixture *f) {
    (void)fault_fixture_read(f, f->db, f->shadow.present, 0);
}

uint64_t fault_fixture_check_reopened(fault_fixture *f) {
    return fault_fixture_read(f, f->db, f->shadow.present, f->uncertain);
}

static firn_db *fault_fixture_open_clone(fault_fixture *f, vfs_mem_crash mode, vfs_mem **clone) {
    firn_db *db = NULL;
    db_config config = f->config;
    ASSERT_OK(vfs_mem_crash_clone(f->disk, mode, rng_next(&f->random), clone));
    vfs_mem_set_capacity(*clone, UINT64_MAX);
    config.vfs = vfs_mem_vfs(*clone);
    ASSERT_OK(db_open(FAULT_DIRECTORY, &config, &db));
    return db;
}

void fault_fixture_check_crash(fault_fixture *f, vfs_mem_crash mode, size_t least) {
    vfs_mem *clone = NULL;
    uint64_t hash;
    const char *problem;
    firn_db *db = fault_fixture_open_clone(f, mode, &clone);
    ASSERT_OK(shadow_read(&f->shadow, db, &hash, &problem));
    if (!problem && (f->uncertain == 0 || hash != f->uncertain) &&
        shadow_find(&f->shadow, hash, least, f->shadow.count) == SIZE_MAX) {
        problem = "holds no state that it may";
        shadow_print_difference(&f->shadow, db);
    }
    if (problem)
        fail_msg("crash of mode %d after %zu writes, %zu of them synced: %s", (int)mode,
                 f->shadow.count, least, problem);
    ASSERT_OK(db_close(db));
    vfs_mem_free(clone);
}

void fault_fixture_check_usable(fault_fixture *f, uint64_t hash) {
    char name[64];
    vfs_mem *clone = NULL;
    firn_batch batch;
    firn_db *db = fault_fixture_open_clone(f, VFS_MEM_LOSE_UNSYNCED, &clone);
    (void)fault_fixture_read(f, db, hash, 0);
    ASSERT_OK(db_close(db));
    vfs_mem_free(clone);
    batch_init(&batch);
    ASSERT_OK(batch_put(&batch, f->shadow.ids[0], shadow_key(SHADOW_KEY_EXTRA, name),
                        slice_from_string("extra"), true));
    hash ^= shadow_hash_of(0, SHADOW_KEY_EXTRA, slice_from_string("extra"), 0);
    batch_view view = batch_get_view(&batch);
    ASSERT_OK(db_write(f->db, &view, FIRN_YES));
    ASSERT_OK(db_flush(f->db));
    (void)fault_fixture_read(f, f->db, hash, 0);
    fault_fixture_close(f);
    fault_fixture_open(f);
    (void)fault_fixture_read(f, f->db, hash, 0);
    batch_deinit(&batch);
}
