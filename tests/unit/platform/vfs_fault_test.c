#include "platform/vfs_fault.h"

#include <errno.h>
#include <string.h>

#include "lib/test.h"
#include "platform/memory.h"
#include "platform/vfs_mem.h"

static vfs_mem *disk;
static vfs_fault *fault;
static const firn_vfs *vfs;

static int fresh_disk(void **state) {
    (void)state;
    ASSERT_OK(vfs_mem_new(&disk));
    ASSERT_OK(vfs_fault_new(vfs_mem_vfs(disk), &fault));
    vfs = vfs_fault_vfs(fault);
    return 0;
}

static int drop_disk(void **state) {
    (void)state;
    vfs_fault_free(fault);
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

static int write_text(firn_file *file, const char *text) {
    return file->methods->write_at(file, 0, text, strlen(text));
}

static int ignore_name(void *context, const char *name) {
    (void)context;
    (void)name;
    return 0;
}

/* Makes one call of every kind; the bits of those that failed. */
static uint32_t try_everything(firn_file *file) {
    uint32_t failed = 0;
    firn_file *other = NULL;
    void *map = NULL;
    char byte = 0;
    size_t got = 0;
    const firn_file_methods *m = file->methods;
    if (vfs->open(vfs, "other", FIRN_VFS_WRITE | FIRN_VFS_CREATE, &other))
        failed |= VFS_FAULT_OPEN;
    else
        close_file(other);
    failed |= m->write_at(file, 0, "x", 1) ? VFS_FAULT_WRITE : 0;
    failed |= m->read_at(file, 0, &byte, 1, &got) ? VFS_FAULT_READ : 0;
    failed |= m->sync(file) ? VFS_FAULT_SYNC : 0;
    failed |= m->reserve(file, 0, 100) ? VFS_FAULT_RESERVE : 0;
    failed |= m->truncate(file, 50) ? VFS_FAULT_TRUNCATE : 0;
    if (m->map(file, 0, 10, 0, &map))
        failed |= VFS_FAULT_MAP;
    else
        assert_int_equal(m->unmap(file, map, 10), 0);
    failed |= vfs->rename(vfs, "from", "to") ? VFS_FAULT_RENAME : 0;
    failed |= vfs->rename(vfs, "to", "from") ? VFS_FAULT_RENAME : 0;
    failed |= vfs->remove(vfs, "gone") ? VFS_FAULT_REMOVE : 0;
    failed |= vfs->sync_dir(vfs, "/") ? VFS_FAULT_SYNC_DIR : 0;
    failed |= vfs->list(vfs, "/", ignore_name, NULL) ? VFS_FAULT_LIST : 0;
    return failed;
}

TEST(vfs_fault, each_kind_fails_by_its_bit_alone) {
    firn_file *file = create("file");
    close_file(create("from"));
    for (uint32_t kind = 1; kind < VFS_FAULT_ANY; kind *= 2) {
        vfs_fault_set(fault, NULL);
        close_file(create("gone"));
        vfs_fault_set(fault, &(vfs_fault_rule){.kinds = kind, .count = UINT64_MAX, .error = EIO});
        assert_int_equal(try_everything(file), kind);
        assert_true(vfs_fault_failed(fault) >= 1);
        assert_int_equal(vfs_fault_failed(fault), vfs_fault_matched(fault));
    }
    vfs_fault_set(fault, NULL);
    close_file(create("gone"));
    assert_int_equal(try_everything(file), 0);
    assert_int_equal(vfs_fault_matched(fault), 0);
    close_file(file);
}

TEST(vfs_fault, a_rule_lets_some_calls_pass_and_ends_by_itself) {
    firn_file *file = create("file");
    vfs_fault_set(fault, &(vfs_fault_rule){
                             .kinds = VFS_FAULT_WRITE, .after = 2, .count = 3, .error = ENOSPC});
    int expected[] = {0, 0, ENOSPC, ENOSPC, ENOSPC, 0, 0};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        assert_int_equal(write_text(file, "x"), expected[i]);
    assert_int_equal(vfs_fault_matched(fault), 7);
    assert_int_equal(vfs_fault_failed(fault), 3);
    vfs_fault_set(fault, &(vfs_fault_rule){.kinds = VFS_FAULT_WRITE, .count = 1});
    assert_int_equal(vfs_fault_matched(fault), 0);
    assert_int_equal(write_text(file, "x"), EIO); /* an error not named is EIO */
    close_file(file);
}

TEST(vfs_fault, a_suffix_picks_the_files) {
    char suffix[] = ".wal";
    firn_file *log = create("1.wal");
    firn_file *table = create("1.sst");
    vfs_fault_set(fault, &(vfs_fault_rule){.kinds = VFS_FAULT_ANY,
                                           .path_suffix = suffix,
                                           .count = UINT64_MAX,
                                           .error = EIO});
    memset(suffix, '?', 4); /* the rule keeps its own copy */
    assert_int_equal(write_text(log, "x"), EIO);
    assert_int_equal(write_text(table, "x"), 0);
    assert_int_equal(vfs->rename(vfs, "1.sst", "2.wal"), EIO);
    assert_int_equal(vfs->rename(vfs, "1.wal", "2.sst"), EIO);
    assert_int_equal(vfs->rename(vfs, "1.sst", "2.sst"), 0);
    assert_int_equal(vfs->remove(vfs, "al"), ENOENT); /* shorter than the suffix */
    close_file(log);
    close_file(table);
}

TEST(vfs_fault, a_partial_write_leaves_its_first_half) {
    uint64_t bytes = 0;
    firn_file *file = create("file");
    vfs_fault_set(fault, &(vfs_fault_rule){
                             .kinds = VFS_FAULT_WRITE, .count = 1, .error = EIO, .partial = true});
    assert_int_equal(write_text(file, "abcdef"), EIO);
    assert_memory_equal(vfs_mem_contents(disk, "file", &bytes), "abc", 3);
    assert_int_equal(bytes, 3);
    close_file(file);
}

static void assert_durable(const char *path, const char *expected) {
    vfs_mem *clone = NULL;
    uint64_t bytes = 0;
    ASSERT_OK(vfs_mem_crash_clone(disk, VFS_MEM_LOSE_UNSYNCED, 1, &clone));
    const uint8_t *content = vfs_mem_contents(clone, path, &bytes);
    assert_non_null(content);
    assert_int_equal(bytes, strlen(expected));
    assert_memory_equal(content, expected, bytes);
    vfs_mem_free(clone);
}

TEST(vfs_fault, after_a_failed_sync_the_next_one_writes_nothing_of_what_was_dropped) {
    firn_file *file = create("file");
    char bytes[4];
    size_t got = 0;
    assert_int_equal(write_text(file, "old!"), 0);
    assert_int_equal(file->methods->sync(file), 0);
    assert_int_equal(vfs->sync_dir(vfs, "/"), 0);
    assert_int_equal(write_text(file, "new!"), 0);
    vfs_fault_set(fault, &(vfs_fault_rule){
                             .kinds = VFS_FAULT_SYNC, .count = 1, .error = EIO, .partial = true});
    assert_int_equal(file->methods->sync(file), EIO);
    /* Still to be read, never to be written, whatever happens to mappings meanwhile. */
    void *map = NULL;
    assert_int_equal(file->methods->map(file, 0, 4, 1, &map), 0);
    assert_int_equal(file->methods->unmap(file, map, 4), 0);
    assert_int_equal(file->methods->read_at(file, 0, bytes, 4, &got), 0);
    assert_memory_equal(bytes, "new!", 4);
    assert_int_equal(file->methods->sync(file), 0);
    assert_durable("file", "old!");
    assert_int_equal(write_text(file, "new!"), 0);
    assert_int_equal(file->methods->sync(file), 0);
    assert_durable("file", "new!");
    close_file(file);
}

TEST(vfs_fault, an_ordinary_failed_sync_can_be_made_good) {
    firn_file *file = create("file");
    assert_int_equal(vfs->sync_dir(vfs, "/"), 0);
    assert_int_equal(write_text(file, "text"), 0);
    vfs_fault_set(fault, &(vfs_fault_rule){.kinds = VFS_FAULT_SYNC, .count = 1, .error = EIO});
    assert_int_equal(file->methods->sync(file), EIO);
    assert_durable("file", "");
    assert_int_equal(file->methods->sync(file), 0);
    assert_durable("file", "text");
    close_file(file);
}

TEST(vfs_fault, a_flipped_read_differs_in_one_bit) {
    firn_file *file = create("file");
    size_t got = 0;
    assert_int_equal(write_text(file, "abcdefgh"), 0);
    vfs_fault_set(fault,
                  &(vfs_fault_rule){.kinds = VFS_FAULT_ANY, .count = UINT64_MAX, .flip_bit = true});
    int places = 0;
    for (int i = 0; i < 16; i++) {
        char bytes[8];
        int wrong = 0;
        assert_int_equal(file->methods->read_at(file, 0, bytes, 8, &got), 0);
        assert_int_equal(got, 8);
        for (int j = 0; j < 8; j++) {
            int difference = __builtin_popcount((unsigned)(bytes[j] ^ "abcdefgh"[j]) & 0xFF);
            wrong += difference;
            places |= difference << j;
        }
        assert_int_equal(wrong, 1);
    }
    assert_true(__builtin_popcount((unsigned)places) > 1);
    assert_int_equal(file->methods->read_at(file, 100, &got, 8, &got), 0); /* nothing to flip */
    assert_int_equal(write_text(file, "abcdefgh"), 0);
    close_file(file);
}

TEST(vfs_fault, passes_everything_else_on) {
    void *lock = NULL;
    void *map = NULL;
    int64_t holder = 0;
    uint64_t bytes = 0;
    int is_directory = 0;
    vfs_mem_set_capacity(disk, 8192);
    assert_int_equal(vfs->make_dir(vfs, "db"), 0);
    assert_int_equal(vfs->stat(vfs, "db", &bytes, &is_directory), 0);
    assert_true(is_directory);
    assert_int_equal(vfs->lock(vfs, "db/LOCK", &lock, &holder), 0);
    assert_int_equal(vfs->unlock(vfs, lock), 0);
    assert_int_equal(vfs->free_bytes(vfs, "db", &bytes), 0);
    assert_int_equal(bytes, 8192);
    firn_file *file = create("db/a");
    assert_int_equal(file->methods->reserve(file, 0, 4096), 0);
    assert_int_equal(file->methods->get_size(file, &bytes), 0);
    assert_int_equal(bytes, 4096);
    assert_int_equal(file->methods->map(file, 0, 4096, 1, &map), 0);
    memcpy(map, "x", 1);
    uint64_t before = vfs_mem_operation_count(disk);
    file->methods->stored(file, 0, 1);
    assert_int_equal(vfs_mem_operation_count(disk), before + 1);
    file->methods->will_read(file, 0, 1);
    file->methods->will_sync(file, 0, 1);
    assert_int_equal(file->methods->unmap(file, map, 4096), 0);
    close_file(file);
}

TEST(vfs_fault, open_without_memory_leaves_nothing_behind) {
    firn_file *file = NULL;
    uint64_t failures = 0;
    for (uint64_t countdown = 1;; countdown++) {
        memory_fail_after(countdown, false);
        int error = vfs->open(vfs, "file", FIRN_VFS_WRITE | FIRN_VFS_CREATE, &file);
        memory_fail_after(0, false);
        if (error == 0)
            break;
        assert_int_equal(error, ENOMEM);
        assert_null(file);
        failures++;
    }
    assert_int_equal(failures, 4);
    close_file(file);
}

#define RUN_ON_DISK(group, behaviour) \
    { #group ": " #behaviour, test_##group##_##behaviour, fresh_disk, drop_disk, NULL }

TEST_MAIN(RUN_ON_DISK(vfs_fault, each_kind_fails_by_its_bit_alone),
          RUN_ON_DISK(vfs_fault, a_rule_lets_some_calls_pass_and_ends_by_itself),
          RUN_ON_DISK(vfs_fault, a_suffix_picks_the_files),
          RUN_ON_DISK(vfs_fault, a_partial_write_leaves_its_first_half),
          RUN_ON_DISK(vfs_fault,
                      after_a_failed_sync_the_next_one_writes_nothing_of_what_was_dropped),
          RUN_ON_DISK(vfs_fault, an_ordinary_failed_sync_can_be_made_good),
          RUN_ON_DISK(vfs_fault, a_flipped_read_differs_in_one_bit),
          RUN_ON_DISK(vfs_fault, passes_everything_else_on),
          RUN_ON_DISK(vfs_fault, open_without_memory_leaves_nothing_behind))
