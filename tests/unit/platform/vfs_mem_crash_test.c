#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/test.h"
#include "platform/vfs_mem.h"

enum { PAGE = 4096 };

static vfs_mem *disk;
static const firn_vfs *vfs;

static int fresh_disk(void **state) {
    (void)state;
    ASSERT_OK(vfs_mem_new(&disk));
    vfs = vfs_mem_vfs(disk);
    return 0;
}

static int drop_disk(void **state) {
    (void)state;
    vfs_mem_free(disk);
    return 0;
}

static firn_file *create(const char *path) {
    firn_file *file = NULL;
    assert_int_equal(vfs->open(vfs, path, FIRN_VFS_WRITE | FIRN_VFS_CREATE, &file), 0);
    return file;
}

static void close_file(firn_file *file) {
    assert_int_equal(file->methods->close(file), 0);
}

static void write_fill(firn_file *file, uint64_t offset, char fill, size_t bytes) {
    char *data = malloc(bytes);
    assert_non_null(data);
    memset(data, fill, bytes);
    assert_int_equal(file->methods->write_at(file, offset, data, bytes), 0);
    free(data);
}

static void sync_file(firn_file *file) {
    assert_int_equal(file->methods->sync(file), 0);
}

static void sync_root(void) {
    assert_int_equal(vfs->sync_dir(vfs, "/"), 0);
}

/* A file with durable name and content. */
static firn_file *create_synced(const char *path, char fill, size_t bytes) {
    firn_file *file = create(path);
    write_fill(file, 0, fill, bytes);
    sync_file(file);
    sync_root();
    return file;
}

static vfs_mem *crash(vfs_mem_crash mode, uint64_t seed) {
    vfs_mem *clone = NULL;
    ASSERT_OK(vfs_mem_crash_clone(disk, mode, seed, &clone));
    return clone;
}

static bool is_there(vfs_mem *on, const char *path) {
    uint64_t bytes = 0;
    int is_directory = 0;
    int error = vfs_mem_vfs(on)->stat(vfs_mem_vfs(on), path, &bytes, &is_directory);
    assert_true(error == 0 || error == ENOENT);
    return error == 0;
}

/* Checks that the file has this size, and only this byte. */
static void assert_filled(vfs_mem *on, const char *path, char fill, uint64_t expected_bytes) {
    uint64_t bytes = 0;
    const uint8_t *content = vfs_mem_contents(on, path, &bytes);
    assert_non_null(content);
    assert_int_equal(bytes, expected_bytes);
    for (uint64_t i = 0; i < bytes; i++)
        assert_int_equal(content[i], fill);
}

TEST(vfs_mem_crash, what_was_synced_survives_every_crash) {
    uint64_t seed = test_seed();
    firn_file *file = create_synced("a", 's', 3 * PAGE + 17);
    for (uint64_t i = 0; i < 20 * VFS_MEM_CRASH_COUNT; i++) {
        vfs_mem *clone = crash((vfs_mem_crash)(i % VFS_MEM_CRASH_COUNT), seed + i);
        assert_filled(clone, "a", 's', 3 * PAGE + 17);
        assert_int_equal(vfs_mem_hash(clone), vfs_mem_hash(disk));
        vfs_mem_free(clone);
    }
    close_file(file);
}

TEST(vfs_mem_crash, a_killed_process_loses_nothing_it_wrote_stored_or_renamed) {
    void *map = NULL;
    firn_file *file = create("a");
    write_fill(file, 0, 'w', PAGE);
    assert_int_equal(file->methods->map(file, 0, PAGE, 1, &map), 0);
    memset(map, 'm', 100); /* not even reported yet */
    assert_int_equal(vfs->rename(vfs, "a", "b"), 0);
    vfs_mem *clone = crash(VFS_MEM_KILL, 1);
    uint64_t bytes = 0;
    assert_false(is_there(clone, "a"));
    const uint8_t *content = vfs_mem_contents(clone, "b", &bytes);
    assert_non_null(content);
    assert_int_equal(bytes, PAGE);
    assert_int_equal(content[99], 'm');
    assert_int_equal(content[100], 'w');
    vfs_mem_free(clone);
    assert_int_equal(file->methods->unmap(file, map, PAGE), 0);
    close_file(file);
}

TEST(vfs_mem_crash, losing_the_unsynced_restores_bytes_sizes_and_names) {
    firn_file *file = create_synced("a", 'o', PAGE);
    firn_file *cut = create_synced("cut", 'c', 2 * PAGE);
    firn_file *gone = create_synced("gone", 'g', 10);
    firn_file *fresh = create("fresh");
    write_fill(file, 100, 'n', 2 * PAGE);
    assert_int_equal(cut->methods->truncate(cut, 10), 0);
    assert_int_equal(cut->methods->reserve(cut, 0, PAGE), 0);
    assert_int_equal(vfs->remove(vfs, "gone"), 0);
    vfs_mem *clone = crash(VFS_MEM_LOSE_UNSYNCED, 1);
    assert_filled(clone, "a", 'o', PAGE);
    assert_filled(clone, "cut", 'c', 2 * PAGE);
    assert_filled(clone, "gone", 'g', 10);
    assert_false(is_there(clone, "fresh"));
    vfs_mem_free(clone);
    close_file(file);
    close_file(cut);
    close_file(gone);
    close_file(fresh);
    /* Nor does closing change what the disk holds. */
    clone = crash(VFS_MEM_LOSE_UNSYNCED, 1);
    assert_filled(clone, "a", 'o', PAGE);
    assert_filled(clone, "gone", 'g', 10);
    vfs_mem_free(clone);
}

/* Overwrites half of eight pages, then crashes often: every unit is wholly old or wholly new, and
 * both happen. */
static void check_torn_units(vfs_mem_crash mode, size_t unit) {
    uint64_t seed = test_seed();
    uint64_t kept = 0;
    uint64_t lost = 0;
    uint64_t split = 0; /* neighbours with different fates */
    firn_file *file = create_synced("a", 'o', 16 * PAGE);
    write_fill(file, 4 * PAGE, 'n', 8 * PAGE);
    for (uint64_t i = 0; i < 40; i++) {
        uint64_t bytes = 0;
        vfs_mem *clone = crash(mode, seed + i);
        const uint8_t *content = vfs_mem_contents(clone, "a", &bytes);
        assert_int_equal(bytes, 16 * PAGE);
        uint8_t previous = 0;
        for (size_t at = 0; at < bytes; at += unit) {
            bool unsynced = at >= 4 * PAGE && at < 12 * PAGE;
            assert_true(content[at] == 'o' || (unsynced && content[at] == 'n'));
            for (size_t j = 1; j < unit; j++)
                assert_int_equal(content[at + j], content[at]);
            if (!unsynced)
                continue;
            *(content[at] == 'n' ? &kept : &lost) += 1;
            split += at % PAGE != 0 && content[at] != previous;
            previous = content[at];
        }
        vfs_mem_free(clone);
    }
    assert_true(kept > 0);
    assert_true(lost > 0);
    assert_int_equal(split > 0, unit < PAGE);
    close_file(file);
}

TEST(vfs_mem_crash, random_pages_survive_whole) {
    check_torn_units(VFS_MEM_RANDOM_PAGES, PAGE);
}

TEST(vfs_mem_crash, torn_sectors_survive_whole) {
    check_torn_units(VFS_MEM_TORN_SECTORS, 512);
}

TEST(vfs_mem_crash, torn_words_survive_whole) {
    check_torn_units(VFS_MEM_TORN_WORDS, 8);
}

TEST(vfs_mem_crash, an_appended_tail_is_kept_lost_or_full_of_zeros_but_never_garbage) {
    uint64_t seed = test_seed();
    uint64_t old_size = 0;
    uint64_t new_size = 0;
    uint64_t between = 0;
    uint64_t holes = 0;
    firn_file *file = create_synced("a", 'o', 100);
    write_fill(file, 100, 'n', 6 * PAGE);
    const uint64_t full = 100 + 6 * PAGE;
    for (uint64_t i = 0; i < 200; i++) {
        uint64_t bytes = 0;
        vfs_mem *clone = crash(VFS_MEM_RANDOM_PAGES, seed + i);
        const uint8_t *content = vfs_mem_contents(clone, "a", &bytes);
        assert_in_range(bytes, 100, full);
        for (uint64_t at = 0; at < 100; at++)
            assert_int_equal(content[at], 'o');
        bool hole = false;
        for (uint64_t at = 100; at < bytes; at++) {
            assert_true(content[at] == 'n' || content[at] == 0);
            hole |= content[at] == 0;
        }
        for (uint64_t at = bytes; at % PAGE != 0; at++)
            assert_int_equal(content[at], 0);
        old_size += bytes == 100;
        new_size += bytes == full;
        between += bytes > 100 && bytes < full;
        holes += hole;
        vfs_mem_free(clone);
    }
    assert_true(old_size > 0);
    assert_true(new_size > 0);
    assert_true(between > 0);
    assert_true(holes > 0);
    close_file(file);
}

TEST(vfs_mem_crash, a_truncation_is_done_or_not) {
    uint64_t seed = test_seed();
    uint64_t done = 0;
    uint64_t undone = 0;
    firn_file *file = create_synced("a", 'o', 3 * PAGE);
    assert_int_equal(file->methods->truncate(file, 10), 0);
    for (uint64_t i = 0; i < 100; i++) {
        uint64_t bytes = 0;
        vfs_mem *clone = crash(VFS_MEM_TORN_SECTORS, seed + i);
        const uint8_t *content = vfs_mem_contents(clone, "a", &bytes);
        assert_true(bytes == 10 || bytes == 3 * PAGE);
        for (uint64_t at = 0; at < 10; at++)
            assert_int_equal(content[at], 'o');
        for (uint64_t at = 10; at < bytes; at++)
            assert_true(content[at] == 'o' || content[at] == 0);
        *(bytes == 10 ? &done : &undone) += 1;
        vfs_mem_free(clone);
    }
    assert_true(done > 0 && undone > 0);
    close_file(file);
}

TEST(vfs_mem_crash, files_are_kept_and_lost_independently) {
    uint64_t seed = test_seed();
    int combinations = 0;
    firn_file *a = create_synced("a", 'o', 2 * PAGE);
    firn_file *b = create_synced("b", 'o', 2 * PAGE);
    write_fill(a, 0, 'n', 3 * PAGE);
    write_fill(b, 0, 'n', 3 * PAGE);
    for (uint64_t i = 0; i < 100; i++) {
        vfs_mem *clone = crash(VFS_MEM_REORDERED_FILES, seed + i);
        int kept = 0;
        for (int file = 0; file < 2; file++) {
            uint64_t bytes = 0;
            const char *path = file == 0 ? "a" : "b";
            bool is_new = vfs_mem_contents(clone, path, &bytes)[0] == 'n';
            assert_filled(clone, path, is_new ? 'n' : 'o', (is_new ? 3 : 2) * PAGE);
            kept |= is_new << file;
        }
        combinations |= 1 << kept;
        vfs_mem_free(clone);
    }
    assert_int_equal(combinations, 15);
    close_file(a);
    close_file(b);
}

TEST(vfs_mem_crash, names_may_come_before_data_and_data_before_names) {
    firn_file *fresh = create("fresh");
    write_fill(fresh, 0, 'f', PAGE);
    firn_file *moved = create_synced("old-name", 'm', PAGE);
    write_fill(moved, 0, 'M', PAGE);
    assert_int_equal(vfs->rename(vfs, "old-name", "new-name"), 0);
    assert_int_equal(vfs->remove(vfs, "fresh"), 0);
    sync_root();
    close_file(fresh);
    assert_int_equal(vfs->rename(vfs, "new-name", "third-name"), 0);
    fresh = create("fresh");
    write_fill(fresh, 0, 'f', PAGE);

    vfs_mem *clone = crash(VFS_MEM_NAMES_BEFORE_DATA, 1);
    assert_filled(clone, "fresh", 0, 0);
    assert_filled(clone, "third-name", 'm', PAGE);
    assert_false(is_there(clone, "new-name"));
    assert_false(is_there(clone, "old-name"));
    vfs_mem_free(clone);

    clone = crash(VFS_MEM_DATA_BEFORE_NAMES, 1);
    assert_false(is_there(clone, "fresh"));
    assert_false(is_there(clone, "third-name"));
    assert_filled(clone, "new-name", 'M', PAGE);
    vfs_mem_free(clone);
    close_file(fresh);
    close_file(moved);
}

TEST(vfs_mem_crash, an_unsynced_rename_happens_or_not_and_never_loses_the_target) {
    uint64_t seed = test_seed();
    int outcomes = 0;
    firn_file *target = create_synced("CURRENT", 'o', 3);
    firn_file *source = create_synced("CURRENT.tmp", 'n', 3);
    assert_int_equal(vfs->rename(vfs, "CURRENT.tmp", "CURRENT"), 0);
    for (uint64_t i = 0; i < 100; i++) {
        uint64_t bytes = 0;
        vfs_mem *clone = crash(VFS_MEM_RANDOM_PAGES, seed + i);
        const uint8_t *content = vfs_mem_contents(clone, "CURRENT", &bytes);
        assert_non_null(content);
        bool is_new = content[0] == 'n';
        assert_filled(clone, "CURRENT", is_new ? 'n' : 'o', 3);
        outcomes |= 1 << (is_new + 2 * is_there(clone, "CURRENT.tmp"));
        vfs_mem_free(clone);
    }
    assert_int_equal(outcomes, 15);
    sync_root();
    for (uint64_t i = 0; i < VFS_MEM_CRASH_COUNT; i++) {
        vfs_mem *clone = crash((vfs_mem_crash)i, seed + i);
        assert_filled(clone, "CURRENT", 'n', 3);
        assert_false(is_there(clone, "CURRENT.tmp"));
        vfs_mem_free(clone);
    }
    close_file(target);
    close_file(source);
}

TEST(vfs_mem_crash, a_name_needs_its_directory_synced_and_that_ones_too) {
    assert_int_equal(vfs->make_dir(vfs, "db"), 0);
    firn_file *file = create("db/a");
    write_fill(file, 0, 'x', 5);
    sync_file(file);
    assert_int_equal(vfs->sync_dir(vfs, "db"), 0);
    vfs_mem *clone = crash(VFS_MEM_LOSE_UNSYNCED, 1);
    assert_false(is_there(clone, "db"));
    vfs_mem_free(clone);
    sync_root();
    clone = crash(VFS_MEM_LOSE_UNSYNCED, 1);
    assert_filled(clone, "db/a", 'x', 5);
    vfs_mem_free(clone);
    close_file(file);
}

TEST(vfs_mem_crash, a_removed_name_comes_back_unless_its_directory_was_synced) {
    close_file(create_synced("a", 'x', 5));
    assert_int_equal(vfs->remove(vfs, "a"), 0);
    vfs_mem *clone = crash(VFS_MEM_LOSE_UNSYNCED, 1);
    assert_filled(clone, "a", 'x', 5);
    vfs_mem_free(clone);
    sync_root();
    clone = crash(VFS_MEM_LOSE_UNSYNCED, 1);
    assert_false(is_there(clone, "a"));
    vfs_mem_free(clone);
}

TEST(vfs_mem_crash, mapped_stores_are_events_and_only_synced_ones_are_safe) {
    void *map = NULL;
    firn_file *file = create_synced("log", 'o', 4 * PAGE);
    assert_int_equal(file->methods->map(file, 0, 4 * PAGE, 1, &map), 0);
    memset(map, 'n', PAGE);
    file->methods->stored(file, 0, PAGE);
    sync_file(file);
    memset((char *)map + PAGE, 'n', PAGE);
    file->methods->stored(file, PAGE, PAGE);
    memset((char *)map + 2 * PAGE, 'n', PAGE); /* never reported: as good as never stored */
    uint64_t bytes = 0;

    vfs_mem *clone = crash(VFS_MEM_LOSE_UNSYNCED, 1);
    const uint8_t *content = vfs_mem_contents(clone, "log", &bytes);
    assert_int_equal(content[0], 'n');
    assert_int_equal(content[PAGE], 'o');
    vfs_mem_free(clone);
    clone = crash(VFS_MEM_DATA_BEFORE_NAMES, 1);
    content = vfs_mem_contents(clone, "log", &bytes);
    assert_int_equal(content[2 * PAGE - 1], 'n');
    assert_int_equal(content[2 * PAGE], 'o');
    vfs_mem_free(clone);
    sync_file(file);
    clone = crash(VFS_MEM_LOSE_UNSYNCED, 1);
    content = vfs_mem_contents(clone, "log", &bytes);
    assert_int_equal(content[2 * PAGE - 1], 'n');
    assert_int_equal(content[2 * PAGE], 'o');
    vfs_mem_free(clone);
    assert_int_equal(file->methods->unmap(file, map, 4 * PAGE), 0);
    close_file(file);
}

TEST(vfs_mem_crash, a_clone_is_durable_and_on_its_own) {
    firn_file *file = create("a");
    write_fill(file, 0, 'x', 2 * PAGE);
    vfs_mem *first = crash(VFS_MEM_KILL, 1);
    write_fill(file, 0, 'y', 2 * PAGE);
    assert_int_equal(vfs->remove(vfs, "a"), 0);
    vfs_mem *second = NULL;
    ASSERT_OK(vfs_mem_crash_clone(first, VFS_MEM_LOSE_UNSYNCED, 2, &second));
    assert_filled(first, "a", 'x', 2 * PAGE);
    assert_filled(second, "a", 'x', 2 * PAGE);
    assert_int_equal(vfs_mem_operation_count(second), 0);
    vfs_mem_free(first);
    vfs_mem_free(second);
    close_file(file);
}

TEST(vfs_mem_crash, equal_seeds_give_equal_disks_and_others_differ) {
    uint64_t seed = test_seed();
    uint64_t different = 0;
    firn_file *file = create_synced("a", 'o', 8 * PAGE);
    write_fill(file, 0, 'n', 12 * PAGE);
    (void)vfs_mem_hash(disk); /* known from here on, and not to be taken for the clones' */
    for (uint64_t i = 0; i < 20; i++) {
        vfs_mem *one = crash(VFS_MEM_TORN_WORDS, seed + i);
        vfs_mem *same = crash(VFS_MEM_TORN_WORDS, seed + i);
        vfs_mem *other = crash(VFS_MEM_TORN_WORDS, seed + i + 1);
        assert_int_equal(vfs_mem_hash(one), vfs_mem_hash(same));
        different += vfs_mem_hash(one) != vfs_mem_hash(other);
        vfs_mem_free(one);
        vfs_mem_free(same);
        vfs_mem_free(other);
    }
    assert_true(different > 0);
    close_file(file);
}

/* Random files, writes, cuts and syncs, against a plain model of which bytes each may hold. */
enum { MODEL_BYTES = 5 * PAGE };

static uint64_t next_random(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

TEST(vfs_mem_crash, random_overwrites_always_leave_each_byte_old_or_new) {
    uint64_t random = test_seed();
    static uint8_t old[MODEL_BYTES];
    static uint8_t now[MODEL_BYTES];
    memset(old, 0, sizeof old);
    memset(now, 0, sizeof now);
    firn_file *file = create_synced("a", 0, MODEL_BYTES);
    for (uint64_t step = 0; step < test_scaled(300); step++) {
        uint64_t at = next_random(&random) % MODEL_BYTES;
        uint64_t bytes = next_random(&random) % (MODEL_BYTES - at) % 6000 + 1;
        uint8_t fill = (uint8_t)(step + 1);
        if (at + bytes > MODEL_BYTES)
            bytes = MODEL_BYTES - at;
        if (next_random(&random) % 4 == 0) {
            sync_file(file);
            memcpy(old, now, sizeof old);
            continue;
        }
        /* The model knows two values per byte, so a byte changes once between syncs. */
        bool clash = false;
        for (uint64_t i = at; i < at + bytes; i++)
            clash |= old[i] != now[i];
        if (clash)
            continue;
        write_fill(file, at, (char)fill, (size_t)bytes);
        memset(now + at, fill, (size_t)bytes);
        vfs_mem_crash mode = (vfs_mem_crash)(next_random(&random) % VFS_MEM_CRASH_COUNT);
        vfs_mem *clone = crash(mode, next_random(&random));
        uint64_t size = 0;
        const uint8_t *content = vfs_mem_contents(clone, "a", &size);
        assert_int_equal(size, MODEL_BYTES);
        for (uint64_t i = 0; i < MODEL_BYTES; i++)
            assert_true(content[i] == old[i] || content[i] == now[i]);
        vfs_mem_free(clone);
    }
    close_file(file);
}

#define RUN_ON_DISK(group, behaviour) \
    { #group ": " #behaviour, test_##group##_##behaviour, fresh_disk, drop_disk, NULL }

TEST_MAIN(RUN_ON_DISK(vfs_mem_crash, what_was_synced_survives_every_crash),
          RUN_ON_DISK(vfs_mem_crash, a_killed_process_loses_nothing_it_wrote_stored_or_renamed),
          RUN_ON_DISK(vfs_mem_crash, losing_the_unsynced_restores_bytes_sizes_and_names),
          RUN_ON_DISK(vfs_mem_crash, random_pages_survive_whole),
          RUN_ON_DISK(vfs_mem_crash, torn_sectors_survive_whole),
          RUN_ON_DISK(vfs_mem_crash, torn_words_survive_whole),
          RUN_ON_DISK(vfs_mem_crash,
                      an_appended_tail_is_kept_lost_or_full_of_zeros_but_never_garbage),
          RUN_ON_DISK(vfs_mem_crash, a_truncation_is_done_or_not),
          RUN_ON_DISK(vfs_mem_crash, files_are_kept_and_lost_independently),
          RUN_ON_DISK(vfs_mem_crash, names_may_come_before_data_and_data_before_names),
          RUN_ON_DISK(vfs_mem_crash, an_unsynced_rename_happens_or_not_and_never_loses_the_target),
          RUN_ON_DISK(vfs_mem_crash, a_name_needs_its_directory_synced_and_that_ones_too),
          RUN_ON_DISK(vfs_mem_crash, a_removed_name_comes_back_unless_its_directory_was_synced),
          RUN_ON_DISK(vfs_mem_crash, mapped_stores_are_events_and_only_synced_ones_are_safe),
          RUN_ON_DISK(vfs_mem_crash, a_clone_is_durable_and_on_its_own),
          RUN_ON_DISK(vfs_mem_crash, equal_seeds_give_equal_disks_and_others_differ),
          RUN_ON_DISK(vfs_mem_crash, random_overwrites_always_leave_each_byte_old_or_new))
