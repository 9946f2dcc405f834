#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "firn/vfs.h"
#include "lib/test.h"
#include "platform/memory.h"

static char *dir;

static int fresh_dir(void **state) {
    (void)state;
    dir = test_dir_new();
    return 0;
}

static int drop_dir(void **state) {
    (void)state;
    test_dir_remove(dir);
    return 0;
}

static firn_file *open_file(const char *name, int flags) {
    firn_file *file = NULL;
    const firn_vfs *vfs = firn_vfs_default();
    assert_int_equal(vfs->open(vfs, test_path(dir, name), flags, &file), 0);
    assert_non_null(file);
    return file;
}

static firn_file *create_file(const char *name) {
    return open_file(name, FIRN_VFS_WRITE | FIRN_VFS_CREATE);
}

static void close_file(firn_file *file) {
    assert_int_equal(file->methods->close(file), 0);
}

static uint64_t size_of(firn_file *file) {
    uint64_t bytes = 0;
    assert_int_equal(file->methods->get_size(file, &bytes), 0);
    return bytes;
}

TEST(vfs_posix, reads_back_what_was_written_and_stops_at_the_end) {
    firn_file *file = create_file("a");
    char text[16] = {0};
    size_t got = 99;
    assert_int_equal(file->methods->write_at(file, 3, "firn", 4), 0);
    assert_int_equal(file->methods->sync(file), 0);
    assert_int_equal(file->methods->read_at(file, 0, text, sizeof text, &got), 0);
    assert_int_equal(got, 7);
    assert_memory_equal(text, "\0\0\0firn", 7);
    assert_int_equal(file->methods->read_at(file, 7, text, 1, &got), 0);
    assert_int_equal(got, 0);
    assert_int_equal(file->methods->read_at(file, UINT64_MAX, text, 1, &got), EOVERFLOW);
    assert_int_equal(file->methods->write_at(file, UINT64_MAX, text, 1), EFBIG);
    close_file(file);
}

TEST(vfs_posix, open_flags_mean_what_they_say) {
    const firn_vfs *vfs = firn_vfs_default();
    firn_file *file = NULL;
    const char *path = test_path(dir, "a");
    assert_int_equal(vfs->open(vfs, path, FIRN_VFS_READ, &file), ENOENT);
    assert_null(file);
    assert_int_equal(vfs->open(vfs, path, FIRN_VFS_WRITE, &file), ENOENT);
    file = create_file("a");
    assert_int_equal(file->methods->write_at(file, 0, "x", 1), 0);
    close_file(file);
    assert_int_equal(vfs->open(vfs, path, FIRN_VFS_WRITE | FIRN_VFS_CREATE | FIRN_VFS_EXCLUSIVE,
                               &file),
                     EEXIST);
    file = open_file("a", FIRN_VFS_READ);
    assert_int_equal(file->methods->write_at(file, 0, "y", 1), EBADF);
    close_file(file);
    file = create_file("a");
    assert_int_equal(size_of(file), 1);
    close_file(file);
    file = open_file("a", FIRN_VFS_WRITE | FIRN_VFS_TRUNCATE);
    assert_int_equal(size_of(file), 0);
    close_file(file);
}

TEST(vfs_posix, open_without_memory_answers_enomem) {
    const firn_vfs *vfs = firn_vfs_default();
    firn_file *file = NULL;
    memory_fail_after(1, false);
    assert_int_equal(vfs->open(vfs, test_path(dir, "a"), FIRN_VFS_CREATE, &file), ENOMEM);
    memory_fail_after(0, false);
    assert_null(file);
}

TEST(vfs_posix, reserve_extends_with_zeros_and_never_shrinks) {
    firn_file *file = create_file("a");
    uint8_t bytes[4] = {1, 1, 1, 1};
    size_t got = 0;
    assert_int_equal(file->methods->write_at(file, 0, "ab", 2), 0);
    assert_int_equal(file->methods->reserve(file, 0, 100000), 0);
    assert_int_equal(size_of(file), 100000);
    assert_int_equal(file->methods->reserve(file, 10, 20), 0);
    assert_int_equal(size_of(file), 100000);
    assert_int_equal(file->methods->read_at(file, 0, bytes, 4, &got), 0);
    assert_memory_equal(bytes, "ab\0\0", 4);
    assert_int_equal(file->methods->reserve(file, 0, 0), 0);
    assert_int_equal(file->methods->reserve(file, 100005, 0), 0);
    assert_int_equal(size_of(file), 100005);
    assert_int_equal(file->methods->reserve(file, UINT64_MAX, 2), EFBIG);
    assert_int_equal(file->methods->truncate(file, 5), 0);
    assert_int_equal(size_of(file), 5);
    close_file(file);
}

TEST(vfs_posix, maps_unaligned_ranges_shared_with_the_file) {
    firn_file *file = create_file("a");
    void *map = NULL;
    char text[8] = {0};
    size_t got = 0;
    assert_int_equal(file->methods->reserve(file, 0, 20000), 0);
    for (uint64_t offset = 0; offset < 9000; offset += 4099) {
        assert_int_equal(file->methods->map(file, offset, 8000, 1, &map), 0);
        memcpy((char *)map + 7990, "mapped", 6);
        assert_int_equal(file->methods->read_at(file, offset + 7990, text, 6, &got), 0);
        assert_memory_equal(text, "mapped", 6);
        assert_int_equal(file->methods->unmap(file, map, 8000), 0);
    }
    file->methods->will_read(file, 0, 100);
    file->methods->will_sync(file, 0, 100);
    file->methods->will_sync(file, 16 << 20, 1 << 20); /* past the end: it is a hint */
    file->methods->will_sync(file, UINT64_MAX, 1);
    assert_int_equal(file->methods->map(file, 0, 0, 0, &map), EINVAL);
    assert_null(map);
    close_file(file);
}

static int collect_name(void *context, const char *name) {
    char *all = context;
    strcat(all, name);
    strcat(all, " ");
    return strcmp(name, "stop") == 0;
}

TEST(vfs_posix, names_can_be_made_moved_listed_and_removed) {
    const firn_vfs *vfs = firn_vfs_default();
    uint64_t bytes = 0;
    int is_directory = 0;
    char all[256] = "";
    const char *sub = test_path(dir, "sub");
    assert_int_equal(vfs->make_dir(vfs, sub), 0);
    assert_int_equal(vfs->make_dir(vfs, sub), EEXIST);
    firn_file *file = create_file("a");
    assert_int_equal(file->methods->write_at(file, 0, "abc", 3), 0);
    close_file(file);
    close_file(create_file("b"));
    assert_int_equal(vfs->rename(vfs, test_path(dir, "a"), test_path(dir, "b")), 0);
    assert_int_equal(vfs->stat(vfs, test_path(dir, "a"), &bytes, &is_directory), ENOENT);
    assert_int_equal(vfs->stat(vfs, test_path(dir, "b"), &bytes, &is_directory), 0);
    assert_int_equal(bytes, 3);
    assert_false(is_directory);
    assert_int_equal(vfs->stat(vfs, sub, &bytes, &is_directory), 0);
    assert_true(is_directory);
    assert_int_equal(vfs->list(vfs, dir, collect_name, all), 0);
    assert_true(strcmp(all, "sub b ") == 0 || strcmp(all, "b sub ") == 0);
    assert_int_equal(vfs->list(vfs, test_path(dir, "none"), collect_name, all), ENOENT);
    assert_int_equal(vfs->sync_dir(vfs, dir), 0);
    assert_int_equal(vfs->sync_dir(vfs, test_path(dir, "b")), ENOTDIR);
    assert_int_equal(vfs->remove(vfs, test_path(dir, "b")), 0);
    assert_int_equal(vfs->remove(vfs, test_path(dir, "b")), ENOENT);
    assert_int_equal(vfs->free_bytes(vfs, dir, &bytes), 0);
    assert_true(bytes > 0);
}

TEST(vfs_posix, a_callback_ends_the_listing) {
    const firn_vfs *vfs = firn_vfs_default();
    char all[256] = "";
    close_file(create_file("stop"));
    assert_int_equal(vfs->list(vfs, dir, collect_name, all), 0);
    assert_string_equal(all, "stop ");
}

enum { DESCRIPTORS = 128 };

/* For each descriptor: -1 closed, else its flags. */
static void look_at_descriptors(int flags[DESCRIPTORS]) {
    for (int fd = 0; fd < DESCRIPTORS; fd++)
        flags[fd] = fcntl(fd, F_GETFD);
}

/* Opens a file: exactly one more descriptor, closed on exec, and gone after closing. */
static void check_new_descriptor(int during[DESCRIPTORS]) {
    int before[DESCRIPTORS];
    int after[DESCRIPTORS];
    int fresh = 0;
    look_at_descriptors(before);
    firn_file *file = create_file("a");
    look_at_descriptors(during);
    close_file(file);
    look_at_descriptors(after);
    for (int fd = 0; fd < DESCRIPTORS; fd++) {
        if (during[fd] == before[fd])
            continue;
        assert_int_equal(during[fd], FD_CLOEXEC);
        fresh++;
    }
    assert_int_equal(fresh, 1);
    assert_memory_equal(before, after, sizeof before);
}

TEST(vfs_posix, files_never_become_a_standard_stream_nor_survive_exec) {
    int during[DESCRIPTORS];
    check_new_descriptor(during);
    int saved = dup(STDIN_FILENO);
    if (saved < 0)
        skip();
    close(STDIN_FILENO);
    check_new_descriptor(during);
    dup2(saved, STDIN_FILENO);
    close(saved);
    assert_int_equal(during[STDIN_FILENO], -1);
}

#define RUN_IN_DIR(group, behaviour) \
    { #group ": " #behaviour, test_##group##_##behaviour, fresh_dir, drop_dir, NULL }

TEST_MAIN(RUN_IN_DIR(vfs_posix, reads_back_what_was_written_and_stops_at_the_end),
          RUN_IN_DIR(vfs_posix, open_flags_mean_what_they_say),
          RUN_IN_DIR(vfs_posix, open_without_memory_answers_enomem),
          RUN_IN_DIR(vfs_posix, reserve_extends_with_zeros_and_never_shrinks),
          RUN_IN_DIR(vfs_posix, maps_unaligned_ranges_shared_with_the_file),
          RUN_IN_DIR(vfs_posix, names_can_be_made_moved_listed_and_removed),
          RUN_IN_DIR(vfs_posix, a_callback_ends_the_listing),
          RUN_IN_DIR(vfs_posix, files_never_become_a_standard_stream_nor_survive_exec))
