#include "platform/vfs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/test.h"
#include "platform/memory.h"
#include "platform/vfs_fault.h"
#include "platform/vfs_mem.h"

/* Every test: a simulated disk with a directory "db", under a file system that can fail. */
static vfs_mem *disk;
static vfs_fault *fault;
static const firn_vfs *vfs;

static int fresh_disk(void **state) {
    (void)state;
    ASSERT_OK(vfs_mem_new(&disk));
    ASSERT_OK(vfs_fault_new(vfs_mem_vfs(disk), &fault));
    vfs = vfs_fault_vfs(fault);
    ASSERT_OK(vfs_make_dir(vfs, "db"));
    ASSERT_OK(vfs_sync_dir(vfs, "/"));
    return 0;
}

static int drop_disk(void **state) {
    (void)state;
    vfs_fault_free(fault);
    vfs_mem_free(disk);
    return 0;
}

static void fail_all(uint32_t kinds, int error) {
    vfs_fault_set(fault, &(vfs_fault_rule){.kinds = kinds, .count = UINT64_MAX, .error = error});
}

static vfs_file *create(const char *path) {
    vfs_file *file = NULL;
    ASSERT_OK(vfs_open(vfs, path, FIRN_VFS_WRITE | FIRN_VFS_CREATE, &file));
    assert_string_equal(file->path, path);
    return file;
}

TEST(vfs, errors_become_codes_with_a_sentence) {
    const struct {
        int error;
        firn_status code;
        const char *detail;
    } cases[] = {
        {ENOSPC, FIRN_NO_SPACE,
         "cannot write 'db/a' at offset 7: No space left on device (errno 28)"},
        {EDQUOT, FIRN_NO_SPACE, "cannot write 'db/a' at offset 7: Disk quota exceeded (errno 122)"},
        {ENOMEM, FIRN_NO_MEMORY,
         "cannot write 'db/a' at offset 7: Cannot allocate memory (errno 12)"},
        {EIO, FIRN_IO_ERROR, "cannot write 'db/a' at offset 7: Input/output error (errno 5)"},
        {EROFS, FIRN_IO_ERROR, "cannot write 'db/a' at offset 7: Read-only file system (errno 30)"},
    };
    vfs_file *file = create("db/a");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fail_all(VFS_FAULT_WRITE, cases[i].error);
        status st = vfs_write(file, 7, "x", 1);
        ASSERT_CODE(st, cases[i].code);
        assert_int_equal(st.os_errno, cases[i].error);
        assert_string_equal(error_detail_get(), cases[i].detail);
    }
    ASSERT_OK(vfs_close(file));
}

TEST(vfs, absence_leaves_the_detail_untouched) {
    vfs_file *file = (vfs_file *)(uintptr_t)1;
    uint64_t bytes = 1;
    bool is_directory = true;
    error_detail_set("from before");
    ASSERT_CODE(vfs_open(vfs, "db/none", FIRN_VFS_READ, &file), FIRN_NOT_FOUND);
    assert_null(file);
    ASSERT_CODE(vfs_stat(vfs, "db/none", &bytes, &is_directory), FIRN_NOT_FOUND);
    ASSERT_CODE(vfs_remove(vfs, "db/none"), FIRN_NOT_FOUND);
    ASSERT_CODE(vfs_rename(vfs, "db/none", "db/b"), FIRN_NOT_FOUND);
    assert_string_equal(error_detail_get(), "from before");
}

static void assert_refused(status st, const char *tried) {
    char expected[256];
    ASSERT_CODE(st, FIRN_IO_ERROR);
    snprintf(expected, sizeof expected, "cannot %s: Input/output error (errno 5)", tried);
    assert_string_equal(error_detail_get(), expected);
}

static int never_called(void *context, const char *name) {
    (void)context;
    (void)name;
    fail();
    return 0;
}

TEST(vfs, every_operation_names_itself_in_the_detail) {
    vfs_file *file = create("db/a");
    vfs_file *other = NULL;
    char byte = 0;
    size_t got = 9;
    vfs_mapping map = {.file = file};
    void *lock = &byte;
    int64_t holder = 9;
    uint64_t bytes = 9;
    bool is_directory = true;
    fail_all(VFS_FAULT_ANY, EIO);
    assert_refused(vfs_open(vfs, "db/b", FIRN_VFS_READ, &other), "open 'db/b'");
    assert_refused(vfs_read(file, 5, &byte, 1, &got), "read 'db/a' at offset 5");
    assert_int_equal(got, 0);
    assert_refused(vfs_read_exact(file, 5, &byte, 1), "read 'db/a' at offset 5");
    assert_refused(vfs_sync(file), "sync 'db/a'");
    assert_refused(vfs_truncate(file, 3), "truncate 'db/a' to 3 bytes");
    assert_refused(vfs_reserve(file, 1, 2), "reserve 2 bytes of 'db/a' at offset 1");
    assert_refused(vfs_map(file, 1, 2, true, &map), "map 2 bytes of 'db/a' at offset 1");
    assert_null(map.file);
    assert_refused(vfs_remove(vfs, "db/a"), "remove 'db/a'");
    assert_refused(vfs_rename(vfs, "db/a", "db/b"), "rename 'db/a' to 'db/b'");
    assert_refused(vfs_make_dir(vfs, "db/d"), "make directory 'db/d'");
    assert_refused(vfs_sync_dir(vfs, "db"), "sync directory 'db'");
    assert_refused(vfs_list(vfs, "db", never_called, NULL), "list directory 'db'");
    assert_refused(vfs_stat(vfs, "db/a", &bytes, &is_directory), "look at 'db/a'");
    assert_refused(vfs_lock(vfs, "db/LOCK", &lock, &holder), "lock 'db/LOCK'");
    assert_null(lock);
    vfs_fault_set(fault, NULL);
    ASSERT_OK(vfs_close(file));
    ASSERT_OK(vfs_close(NULL));
}

TEST(vfs, a_short_file_is_corruption_where_it_ends) {
    vfs_file *file = create("db/a");
    char bytes[8];
    size_t got = 0;
    ASSERT_OK(vfs_write(file, 0, "abcde", 5));
    ASSERT_OK(vfs_read_exact(file, 0, bytes, 5));
    assert_memory_equal(bytes, "abcde", 5);
    ASSERT_OK(vfs_read(file, 3, bytes, 8, &got));
    assert_int_equal(got, 2);
    ASSERT_CODE(vfs_read_exact(file, 3, bytes, 8), FIRN_CORRUPTION);
    assert_string_equal(error_detail_get(), "db/a: unexpected end of file at offset 5");
    ASSERT_OK(vfs_close(file));
}

TEST(vfs, a_directory_already_there_is_busy) {
    ASSERT_CODE(vfs_make_dir(vfs, "db"), FIRN_BUSY);
    assert_string_equal(error_detail_get(), "cannot make directory 'db': File exists (errno 17)");
}

TEST(vfs, a_lock_held_names_its_holder) {
    void *lock = NULL;
    void *second = NULL;
    int64_t holder = 0;
    char expected[128];
    ASSERT_OK(vfs_lock(vfs, "db/LOCK", &lock, &holder));
    ASSERT_CODE(vfs_lock(vfs, "db/LOCK", &second, &holder), FIRN_LOCKED);
    snprintf(expected, sizeof expected, "'db/LOCK' is locked by process %lld", (long long)holder);
    assert_string_equal(error_detail_get(), expected);
    vfs_unlock(vfs, lock);
    vfs_unlock(vfs, NULL);
    fail_all(VFS_FAULT_OPEN, EWOULDBLOCK);
    ASSERT_CODE(vfs_lock(vfs, "db/LOCK", &lock, &holder), FIRN_LOCKED);
    assert_string_equal(error_detail_get(), "'db/LOCK' is locked by another process");
    assert_null(lock);
}

static void assert_content(vfs_mem *on, const char *path, const char *expected) {
    uint64_t bytes = 0;
    const uint8_t *content = vfs_mem_contents(on, path, &bytes);
    assert_non_null(content);
    assert_int_equal(bytes, strlen(expected));
    assert_memory_equal(content, expected, bytes);
}

static void note_rename(void *context, uint64_t operation, const char *kind, const char *path) {
    (void)operation;
    (void)path;
    if (strcmp(kind, "rename") == 0)
        *(bool *)context = true;
}

typedef struct replace_watch {
    bool after_return;
    uint64_t clones;
} replace_watch;

/* At every step, in every kind of crash, the file holds all of the old or all of the new. */
static void clone_and_look(void *context, uint64_t operation, const char *kind, const char *path) {
    replace_watch *watch = context;
    (void)kind;
    (void)path;
    for (uint64_t seed = 0; seed < 8; seed++) {
        for (int mode = 0; mode < VFS_MEM_CRASH_COUNT; mode++) {
            vfs_mem *clone = NULL;
            uint64_t bytes = 0;
            ASSERT_OK(
                vfs_mem_crash_clone(disk, (vfs_mem_crash)mode, operation * 64 + seed, &clone));
            const uint8_t *content = vfs_mem_contents(clone, "db/CURRENT", &bytes);
            assert_non_null(content);
            assert_int_equal(bytes, 3);
            bool is_new = memcmp(content, "new", 3) == 0;
            assert_true(is_new || (!watch->after_return && memcmp(content, "old", 3) == 0));
            vfs_mem_free(clone);
            watch->clones++;
        }
    }
}

TEST(vfs, replacing_a_file_is_all_or_nothing_in_every_crash) {
    replace_watch watch = {0};
    ASSERT_OK(vfs_replace_file(vfs, "db", "db/CURRENT", slice_from_string("old")));
    vfs_mem_observe(disk, clone_and_look, &watch);
    ASSERT_OK(vfs_replace_file(vfs, "db", "db/CURRENT", slice_from_string("new")));
    watch.after_return = true;
    clone_and_look(&watch, 1000, "", "");
    vfs_mem_observe(disk, NULL, NULL);
    assert_true(watch.clones >= 5 * VFS_MEM_CRASH_COUNT);
    assert_content(disk, "db/CURRENT", "new");
}

TEST(vfs, replacing_a_file_fails_without_a_trace_at_every_call) {
    ASSERT_OK(vfs_replace_file(vfs, "db", "db/CURRENT", slice_from_string("old")));
    for (uint64_t after = 0;; after++) {
        const uint32_t kinds = VFS_FAULT_ANY & ~(uint32_t)VFS_FAULT_REMOVE;
        bool renamed = false;
        uint64_t bytes = 0;
        bool is_directory = false;
        vfs_mem_observe(disk, note_rename, &renamed);
        vfs_fault_set(fault,
                      &(vfs_fault_rule){.kinds = kinds, .after = after, .count = 1, .error = EIO});
        status st = vfs_replace_file(vfs, "db", "db/CURRENT", slice_from_string("new"));
        vfs_mem_observe(disk, NULL, NULL);
        vfs_fault_set(fault, NULL);
        ASSERT_CODE(vfs_stat(vfs, "db/CURRENT.tmp", &bytes, &is_directory), FIRN_NOT_FOUND);
        if (status_is_ok(st)) {
            assert_true(after >= 5);
            break;
        }
        ASSERT_CODE(st, FIRN_IO_ERROR);
        assert_memory_equal(error_detail_get(), "cannot ", 7);
        assert_content(disk, "db/CURRENT", renamed ? "new" : "old");
        ASSERT_OK(vfs_replace_file(vfs, "db", "db/CURRENT", slice_from_string("old")));
    }
}

TEST(vfs, every_allocation_may_fail) {
    uint64_t failures = 0;
    for (uint64_t countdown = 1;; countdown++) {
        memory_fail_after(countdown, false);
        status st = vfs_replace_file(vfs, "db", "db/CURRENT", slice_from_string("text"));
        memory_fail_after(0, false);
        if (status_is_ok(st))
            break;
        ASSERT_CODE(st, FIRN_NO_MEMORY);
        failures++;
    }
    assert_true(failures >= 3);
    assert_content(disk, "db/CURRENT", "text");
}

#define RUN_ON_DISK(group, behaviour) \
    { #group ": " #behaviour, test_##group##_##behaviour, fresh_disk, drop_disk, NULL }

TEST_MAIN(RUN_ON_DISK(vfs, errors_become_codes_with_a_sentence),
          RUN_ON_DISK(vfs, absence_leaves_the_detail_untouched),
          RUN_ON_DISK(vfs, every_operation_names_itself_in_the_detail),
          RUN_ON_DISK(vfs, a_short_file_is_corruption_where_it_ends),
          RUN_ON_DISK(vfs, a_directory_already_there_is_busy),
          RUN_ON_DISK(vfs, a_lock_held_names_its_holder),
          RUN_ON_DISK(vfs, replacing_a_file_is_all_or_nothing_in_every_crash),
          RUN_ON_DISK(vfs, replacing_a_file_fails_without_a_trace_at_every_call),
          RUN_ON_DISK(vfs, every_allocation_may_fail))
