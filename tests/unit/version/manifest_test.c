#include "version/manifest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/test.h"
#include "platform/vfs_fault.h"
#include "platform/vfs_mem.h"
#include "record/record.h"
#include "unit/version/version_fixture.h"

/* A simulated disk with a directory, under a layer that can fail. */
typedef struct place {
    vfs_mem *disk;
    vfs_fault *fault;
    const firn_vfs *vfs;
    manifest m;
} place;

static void place_init(place *p) {
    ASSERT_OK(vfs_mem_new(&p->disk));
    ASSERT_OK(vfs_fault_new(vfs_mem_vfs(p->disk), &p->fault));
    p->vfs = vfs_fault_vfs(p->fault);
    ASSERT_OK(vfs_make_dir(p->vfs, "/db"));
    manifest_init(&p->m, p->vfs, "/db");
}

static void place_deinit(place *p) {
    manifest_deinit(&p->m);
    vfs_fault_free(p->fault);
    vfs_mem_free(p->disk);
}

static void start_file(place *p, uint64_t number, uint64_t value) {
    version_edit snapshot = {.has_next_file = true, .next_file = value};
    ASSERT_OK(manifest_start_file(&p->m, number, &snapshot));
}

static status append_value(place *p, uint64_t value) {
    version_edit e = {.has_next_file = true, .next_file = value};
    return manifest_append(&p->m, &e);
}

typedef struct seen {
    uint64_t values[64];
    uint32_t count;
    firn_status answer;
} seen;

static status note_edit(void *context, const version_edit *e) {
    seen *s = context;
    assert_true(s->count < 64);
    s->values[s->count++] = e->next_file;
    return s->answer == FIRN_OK ? STATUS_OK : status_of(s->answer, "test");
}

static status recover(const firn_vfs *vfs, seen *s) {
    manifest m;
    manifest_init(&m, vfs, "/db");
    s->count = 0;
    status st = manifest_recover(&m, note_edit, s);
    assert_int_equal(m.health, MANIFEST_NEEDS_NEW_FILE);
    manifest_deinit(&m);
    return st;
}

static void expect_values(const firn_vfs *vfs, const uint64_t *values, uint32_t count) {
    seen s = {0};
    ASSERT_OK(recover(vfs, &s));
    assert_int_equal(s.count, count);
    assert_memory_equal(s.values, values, count * sizeof *values);
}

TEST(manifest, gives_back_every_edit_in_order) {
    place p;
    seen s = {0};
    place_init(&p);
    ASSERT_CODE(recover(p.vfs, &s), FIRN_NOT_FOUND);
    start_file(&p, 1, 100);
    expect_values(p.vfs, (uint64_t[]){100}, 1);
    for (uint64_t i = 101; i < 110; i++)
        ASSERT_OK(append_value(&p, i));
    expect_values(p.vfs, (uint64_t[]){100, 101, 102, 103, 104, 105, 106, 107, 108, 109}, 10);
    place_deinit(&p);
}

TEST(manifest, edits_survive_every_power_cut_once_appended) {
    place p;
    place_init(&p);
    ASSERT_OK(vfs_sync_dir(p.vfs, "/"));
    start_file(&p, 1, 100);
    for (uint64_t i = 1; i <= 5; i++) {
        ASSERT_OK(append_value(&p, 100 + i));
        for (int how = 0; how < VFS_MEM_CRASH_COUNT; how++) {
            vfs_mem *after;
            ASSERT_OK(vfs_mem_crash_clone(p.disk, (vfs_mem_crash)how, i, &after));
            expect_values(vfs_mem_vfs(after), (uint64_t[]){100, 101, 102, 103, 104, 105},
                          (uint32_t)i + 1);
            vfs_mem_free(after);
        }
    }
    place_deinit(&p);
}

TEST(manifest, a_torn_tail_is_cut) {
    place p;
    uint64_t bytes;
    place_init(&p);
    start_file(&p, 1, 100);
    ASSERT_OK(append_value(&p, 101));
    uint64_t second_end = p.m.end;
    ASSERT_OK(append_value(&p, 102));
    uint8_t *data = vfs_mem_contents(p.disk, "/db/MANIFEST-000001", &bytes);
    for (uint64_t at = second_end; at < p.m.end; at++) {
        uint8_t was = data[at];
        data[at] ^= 0x55;
        seen s = {0};
        ASSERT_OK(recover(p.vfs, &s));
        assert_in_range(s.count, 2, 3); /* padding is not covered by the checksum */
        data[at] = was;
    }
    place_deinit(&p);
}

/* In each read in turn, each of many bits: also those of the last edit, which looks torn then. */
TEST(manifest, a_bit_that_flips_on_its_way_from_the_disk_costs_no_edit) {
    place p;
    uint64_t flips = 0;
    place_init(&p);
    start_file(&p, 1, 100);
    ASSERT_OK(append_value(&p, 101));
    ASSERT_OK(append_value(&p, 102));
    for (uint64_t after = 0; after < 3; after++) {
        for (uint64_t i = 0; i < 200; i++) {
            vfs_fault_rule flip = {.kinds = VFS_FAULT_READ,
                                   .after = after,
                                   .count = 1,
                                   .flip_bit = true,
                                   .flip_seed = i};
            vfs_fault_set(p.fault, &flip);
            expect_values(p.vfs, (uint64_t[]){100, 101, 102}, 3);
            flips += vfs_fault_failed(p.fault);
        }
    }
    assert_true(flips >= 400);
    vfs_fault_set(p.fault, NULL);
    place_deinit(&p);
}

TEST(manifest, damage_in_front_of_a_valid_edit_is_corruption_with_its_offset) {
    place p;
    uint64_t bytes;
    char offset[64];
    seen s = {0};
    place_init(&p);
    start_file(&p, 1, 100);
    uint64_t first_end = p.m.end;
    ASSERT_OK(append_value(&p, 101));
    ASSERT_OK(append_value(&p, 102));
    uint8_t *data = vfs_mem_contents(p.disk, "/db/MANIFEST-000001", &bytes);
    data[first_end + RECORD_HEADER_BYTES] ^= 1;
    ASSERT_CODE(recover(p.vfs, &s), FIRN_CORRUPTION);
    snprintf(offset, sizeof offset, "offset %llu", (unsigned long long)first_end);
    assert_non_null(strstr(error_detail_get(), offset));
    assert_non_null(strstr(error_detail_get(), "/db/MANIFEST-000001"));
    data[first_end + RECORD_HEADER_BYTES] ^= 1;
    data[SEGMENT_HEADER_BYTES + RECORD_HEADER_BYTES] ^= 1; /* the snapshot: nothing without it */
    ASSERT_CODE(recover(p.vfs, &s), FIRN_CORRUPTION);
    data[SEGMENT_HEADER_BYTES + RECORD_HEADER_BYTES] ^= 1;
    s.answer = FIRN_CORRUPTION; /* an edit that does not fit the others */
    ASSERT_CODE(recover(p.vfs, &s), FIRN_CORRUPTION);
    assert_non_null(strstr(error_detail_get(), "offset 4096"));
    s.answer = FIRN_OK;
    ASSERT_OK(recover(p.vfs, &s));
    place_deinit(&p);
}

TEST(manifest, rolls_over_when_the_tail_outgrows_the_snapshot) {
    place p;
    place_init(&p);
    start_file(&p, 1, 100);
    assert_false(manifest_wants_new_file(&p.m));
    uint64_t appended = 0;
    for (; !manifest_wants_new_file(&p.m); appended++)
        ASSERT_OK(append_value(&p, 101));
    assert_in_range(p.m.end, 1 << 20, 3 << 20);
    start_file(&p, 2, 200);
    assert_false(manifest_wants_new_file(&p.m));
    ASSERT_OK(append_value(&p, 201));
    expect_values(p.vfs, (uint64_t[]){200, 201}, 2);
    uint64_t bytes;
    assert_null(vfs_mem_contents(p.disk, "/db/MANIFEST-000001", &bytes)); /* removed */
    place_deinit(&p);
}

TEST(manifest, damage_of_current_is_told_apart) {
    static const struct {
        const char *text;
        firn_status expected;
    } cases[] = {
        {"", FIRN_CORRUPTION},
        {"firn", FIRN_CORRUPTION},
        {"fern 1 MANIFEST-000001 00000000\n", FIRN_CORRUPTION},
        {"firn 2 MANIFEST-000001 00000000\n", FIRN_NOT_SUPPORTED},
        {"firn 1 MANIFEST-000001 00000000\n", FIRN_CORRUPTION},
        {"firn 1 MANIFEST-000001", FIRN_CORRUPTION},
        {"firn 1", FIRN_CORRUPTION},
        {"firn 1 \n", FIRN_CORRUPTION},
    };
    place p;
    seen s = {0};
    place_init(&p);
    start_file(&p, 1, 100);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ASSERT_OK(vfs_replace_file(p.vfs, "/db", "/db/CURRENT", slice_from_string(cases[i].text)));
        print_message("'%s'\n", cases[i].text);
        ASSERT_CODE(recover(p.vfs, &s), cases[i].expected);
        assert_non_null(strstr(error_detail_get(), "/db/CURRENT"));
    }
    place_deinit(&p);
}

TEST(manifest, no_space_is_retried_in_a_new_file) {
    place p;
    place_init(&p);
    start_file(&p, 1, 100);
    vfs_fault_rule rule = {.kinds = VFS_FAULT_WRITE | VFS_FAULT_RESERVE,
                           .path_suffix = "MANIFEST-000001",
                           .count = 1,
                           .error = ENOSPC,
                           .partial = true};
    vfs_fault_set(p.fault, &rule);
    ASSERT_CODE(append_value(&p, 101), FIRN_NO_SPACE);
    vfs_fault_set(p.fault, NULL);
    /* Half of the edit was written: the file is left behind. */
    assert_true(manifest_wants_new_file(&p.m));
    expect_values(p.vfs, (uint64_t[]){100}, 1);
    start_file(&p, 2, 101);
    ASSERT_OK(append_value(&p, 102));
    expect_values(p.vfs, (uint64_t[]){101, 102}, 2);
    place_deinit(&p);
}

TEST(manifest, a_new_file_that_fails_leaves_the_old_one_in_force) {
    static const uint32_t kinds[] = {VFS_FAULT_OPEN, VFS_FAULT_WRITE, VFS_FAULT_RESERVE,
                                     VFS_FAULT_SYNC, VFS_FAULT_SYNC_DIR};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        place p;
        place_init(&p);
        start_file(&p, 1, 100);
        version_edit snapshot = {.has_next_file = true, .next_file = 200};
        /* Reserving is tried again with less. */
        vfs_fault_rule rule = {.kinds = kinds[i],
                               .count = kinds[i] == VFS_FAULT_RESERVE ? 2 : 1,
                               .error = ENOSPC};
        vfs_fault_set(p.fault, &rule);
        ASSERT_CODE(manifest_start_file(&p.m, 2, &snapshot), FIRN_NO_SPACE);
        vfs_fault_set(p.fault, NULL);
        expect_values(p.vfs, (uint64_t[]){100}, 1);
        start_file(&p, 3, 300);
        expect_values(p.vfs, (uint64_t[]){300}, 1);
        place_deinit(&p);
    }
}

TEST(manifest, a_failed_sync_poisons_it) {
    place p;
    place_init(&p);
    start_file(&p, 1, 100);
    vfs_fault_rule rule = {.kinds = VFS_FAULT_SYNC, .count = 1, .error = EIO};
    vfs_fault_set(p.fault, &rule);
    ASSERT_CODE(append_value(&p, 101), FIRN_IO_ERROR);
    vfs_fault_set(p.fault, NULL);
    assert_int_equal(p.m.health, MANIFEST_POISONED);
    version_edit snapshot = {.has_next_file = true, .next_file = 200};
    ASSERT_CODE(manifest_start_file(&p.m, 2, &snapshot), FIRN_IO_ERROR);
    seen s = {0};
    ASSERT_OK(recover(p.vfs, &s));
    assert_in_range(s.count, 1, 2); /* nobody knows */
    place_deinit(&p);
}

TEST_MAIN(RUN(manifest, gives_back_every_edit_in_order),
          RUN(manifest, edits_survive_every_power_cut_once_appended),
          RUN(manifest, a_torn_tail_is_cut),
          RUN(manifest, a_bit_that_flips_on_its_way_from_the_disk_costs_no_edit),
          RUN(manifest, damage_in_front_of_a_valid_edit_is_corruption_with_its_offset),
          RUN(manifest, rolls_over_when_the_tail_outgrows_the_snapshot),
          RUN(manifest, damage_of_current_is_told_apart),
          RUN(manifest, no_space_is_retried_in_a_new_file),
          RUN(manifest, a_new_file_that_fails_leaves_the_old_one_in_force),
          RUN(manifest, a_failed_sync_poisons_it))
