#include "platform/vfs_mem.h"

#include <errno.h>
#include <string.h>

#include "lib/test.h"
#include "platform/memory.h"
#include "platform/thread.h"

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

static firn_file *open_file(const char *path, int flags) {
    firn_file *file = NULL;
    assert_int_equal(vfs->open(vfs, path, flags, &file), 0);
    return file;
}

static firn_file *create(const char *path) {
    return open_file(path, FIRN_VFS_WRITE | FIRN_VFS_CREATE);
}

static void write_text(firn_file *file, uint64_t offset, const char *text) {
    assert_int_equal(file->methods->write_at(file, offset, text, strlen(text)), 0);
}

static void close_file(firn_file *file) {
    assert_int_equal(file->methods->close(file), 0);
}

static uint64_t size_of(firn_file *file) {
    uint64_t bytes = 0;
    assert_int_equal(file->methods->get_size(file, &bytes), 0);
    return bytes;
}

static void assert_read(firn_file *file, uint64_t offset, const char *expected, size_t count) {
    char bytes[64];
    size_t got = 0;
    assert_int_equal(file->methods->read_at(file, offset, bytes, count, &got), 0);
    assert_int_equal(got, count);
    assert_memory_equal(bytes, expected, count);
}

static int stat_path(const char *path, uint64_t *bytes) {
    int is_directory = 0;
    *bytes = 0;
    return vfs->stat(vfs, path, bytes, &is_directory);
}

TEST(vfs_mem, files_read_back_what_was_written) {
    firn_file *file = create("a");
    size_t got = 9;
    char byte = 0;
    write_text(file, 5000, "firn");
    assert_int_equal(size_of(file), 5004);
    assert_read(file, 5000, "firn", 4);
    assert_read(file, 4998, "\0\0fi", 4);
    assert_int_equal(file->methods->read_at(file, 5004, &byte, 1, &got), 0);
    assert_int_equal(got, 0);
    close_file(file);
    file = open_file("a", FIRN_VFS_READ);
    assert_int_equal(file->methods->write_at(file, 0, "x", 1), EBADF);
    assert_int_equal(file->methods->truncate(file, 0), EINVAL);
    assert_read(file, 5000, "firn", 4);
    close_file(file);
}

TEST(vfs_mem, cut_bytes_come_back_as_zeros) {
    firn_file *file = create("a");
    write_text(file, 0, "abcdefgh");
    write_text(file, 9000, "far");
    assert_int_equal(file->methods->truncate(file, 3), 0);
    assert_int_equal(file->methods->truncate(file, 9003), 0);
    assert_read(file, 0, "abc\0\0\0\0\0", 8);
    assert_read(file, 9000, "\0\0\0", 3);
    assert_int_equal(file->methods->reserve(file, 100, 10000), 0);
    assert_int_equal(size_of(file), 10100);
    assert_int_equal(file->methods->reserve(file, 0, 5), 0);
    assert_int_equal(size_of(file), 10100);
    close_file(file);
}

TEST(vfs_mem, open_answers_like_the_system) {
    firn_file *file = NULL;
    assert_int_equal(vfs->make_dir(vfs, "/db/"), 0);
    assert_int_equal(vfs->open(vfs, "db/a", FIRN_VFS_READ, &file), ENOENT);
    assert_int_equal(vfs->open(vfs, "none/a", FIRN_VFS_WRITE | FIRN_VFS_CREATE, &file), ENOENT);
    close_file(create("db/a"));
    const int exclusive = FIRN_VFS_WRITE | FIRN_VFS_CREATE | FIRN_VFS_EXCLUSIVE;
    assert_int_equal(vfs->open(vfs, "./db//a", exclusive, &file), EEXIST);
    assert_int_equal(vfs->open(vfs, "db", FIRN_VFS_READ, &file), EISDIR);
    assert_int_equal(vfs->open(vfs, "/", FIRN_VFS_READ, &file), EISDIR);
    assert_int_equal(vfs->open(vfs, "db/a/b", FIRN_VFS_READ, &file), ENOTDIR);
    char longest[400];
    memset(longest, 'n', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(vfs->open(vfs, longest, exclusive, &file), ENAMETOOLONG);
    assert_null(file);
    file = create("db/a");
    write_text(file, 0, "text");
    close_file(file);
    file = open_file("db/a", FIRN_VFS_WRITE | FIRN_VFS_TRUNCATE);
    assert_int_equal(size_of(file), 0);
    close_file(file);
}

static int collect_name(void *context, const char *name) {
    uint64_t bytes = 0;
    strcat(context, name);
    strcat(context, " ");
    /* The disk may be used from here. */
    assert_int_equal(stat_path("db", &bytes), 0);
    return strcmp(name, "stop") == 0;
}

TEST(vfs_mem, names_answer_like_the_system) {
    uint64_t bytes = 0;
    char all[64] = "";
    assert_int_equal(vfs->make_dir(vfs, "db"), 0);
    assert_int_equal(vfs->make_dir(vfs, "db"), EEXIST);
    assert_int_equal(vfs->make_dir(vfs, "/"), EEXIST);
    assert_int_equal(vfs->make_dir(vfs, "x/y"), ENOENT);
    firn_file *file = create("db/a");
    write_text(file, 0, "abc");
    close_file(file);
    close_file(create("db/b"));
    assert_int_equal(vfs->rename(vfs, "db/none", "db/c"), ENOENT);
    assert_int_equal(vfs->rename(vfs, "db/a", "db/a"), 0);
    assert_int_equal(vfs->rename(vfs, "db/a", "db/b"), 0);
    assert_int_equal(stat_path("db/a", &bytes), ENOENT);
    assert_int_equal(stat_path("db/b", &bytes), 0);
    assert_int_equal(bytes, 3);
    assert_int_equal(vfs->rename(vfs, "db/b", "db"), EISDIR);
    assert_int_equal(vfs->rename(vfs, "db", "db/b/c"), ENOTDIR);
    assert_int_equal(vfs->rename(vfs, "db", "db/c"), EINVAL);
    assert_int_equal(vfs->rename(vfs, "/", "c"), EBUSY);
    assert_int_equal(vfs->remove(vfs, "db"), ENOTEMPTY);
    close_file(create("db/stop"));
    close_file(create("db/unseen"));
    assert_int_equal(vfs->list(vfs, "db", collect_name, all), 0);
    assert_string_equal(all, "b stop ");
    assert_int_equal(vfs->list(vfs, "db/b", collect_name, all), ENOTDIR);
    assert_int_equal(vfs->sync_dir(vfs, "none"), ENOENT);
    assert_int_equal(vfs->rename(vfs, "db", "moved"), 0);
    assert_int_equal(stat_path("moved/b", &bytes), 0);
    assert_int_equal(vfs->remove(vfs, "moved/b"), 0);
    assert_int_equal(vfs->remove(vfs, "moved/b"), ENOENT);
    assert_int_equal(vfs->remove(vfs, "/"), EBUSY);
}

TEST(vfs_mem, an_open_file_outlives_its_name) {
    firn_file *file = create("a");
    write_text(file, 0, "still here");
    assert_int_equal(vfs->remove(vfs, "a"), 0);
    assert_read(file, 0, "still here", 10);
    firn_file *other = create("a");
    assert_int_equal(size_of(other), 0);
    close_file(other);
    close_file(file);
}

TEST(vfs_mem, mappings_share_the_files_bytes_and_stay_where_they_are) {
    firn_file *file = create("a");
    void *map = NULL;
    void *second = NULL;
    assert_int_equal(file->methods->map(file, 0, 0, 1, &map), EINVAL);
    assert_int_equal(file->methods->reserve(file, 0, 8192), 0);
    assert_int_equal(file->methods->map(file, 100, 8000, 1, &map), 0);
    assert_int_equal(file->methods->map(file, 0, 8192, 0, &second), 0);
    memcpy(map, "stored", 6);
    file->methods->stored(file, 100, 6);
    file->methods->stored(file, 100, 0);
    assert_read(file, 100, "stored", 6);
    assert_memory_equal((char *)second + 100, "stored", 6);
    write_text(file, (uint64_t)32 << 20, "growth"); /* with the mappings in place */
    write_text(file, 200, "written");
    assert_memory_equal((char *)map + 100, "written", 7);
    assert_int_equal(file->methods->unmap(file, map, 8000), 0);
    assert_int_equal(file->methods->unmap(file, map, 8000), EINVAL);
    assert_int_equal(file->methods->unmap(file, second, 8192), 0);
    close_file(file);
    file = open_file("a", FIRN_VFS_READ);
    assert_int_equal(file->methods->map(file, 0, 10, 1, &map), EACCES);
    close_file(file);
}

TEST(vfs_mem, files_grow_beyond_their_first_room) {
    firn_file *file = create("a");
    const uint64_t far = ((uint64_t)300 << 20) + 5;
    write_text(file, 7, "near");
    write_text(file, far, "far");
    assert_read(file, 7, "near", 4);
    assert_read(file, far, "far", 3);
    assert_int_equal(file->methods->write_at(file, UINT64_MAX, "x", 1), EFBIG);
    assert_int_equal(file->methods->truncate(file, UINT64_MAX), EFBIG);
    close_file(file);
}

TEST(vfs_mem, a_lock_has_one_holder) {
    void *lock = NULL;
    void *second = NULL;
    int64_t holder = 0;
    assert_int_equal(vfs->lock(vfs, "LOCK", &lock, &holder), 0);
    assert_int_equal(vfs->lock(vfs, "LOCK", &second, &holder), EWOULDBLOCK);
    assert_int_equal(holder, process_id());
    assert_null(second);
    /* On the disk as it is after a crash nobody holds it. */
    vfs_mem *clone = NULL;
    ASSERT_OK(vfs_mem_crash_clone(disk, VFS_MEM_KILL, 1, &clone));
    assert_int_equal(vfs_mem_vfs(clone)->lock(vfs_mem_vfs(clone), "LOCK", &second, &holder), 0);
    assert_int_equal(vfs_mem_vfs(clone)->unlock(vfs_mem_vfs(clone), second), 0);
    vfs_mem_free(clone);
    assert_int_equal(vfs->unlock(vfs, lock), 0);
    assert_int_equal(vfs->lock(vfs, "LOCK", &lock, &holder), 0);
    assert_int_equal(vfs->unlock(vfs, lock), 0);
}

TEST(vfs_mem, a_full_disk_takes_what_fits_and_recovers) {
    uint64_t bytes = 0;
    char page[4096];
    memset(page, 'p', sizeof page);
    vfs_mem_set_capacity(disk, 3 * 4096);
    firn_file *file = create("a");
    firn_file *other = create("b");
    assert_int_equal(file->methods->write_at(file, 0, page, 4096), 0);
    assert_int_equal(vfs->free_bytes(vfs, "/", &bytes), 0);
    assert_int_equal(bytes, 2 * 4096);
    assert_int_equal(other->methods->reserve(other, 0, 2 * 4096), 0);
    assert_int_equal(file->methods->write_at(file, 4000, page, 4096), ENOSPC);
    assert_int_equal(size_of(file), 4096);
    assert_read(file, 4090, "pppppp", 6);
    assert_int_equal(file->methods->reserve(file, 0, 4097), ENOSPC);
    assert_int_equal(file->methods->truncate(file, 4097), ENOSPC);
    /* What is there may still be overwritten. */
    assert_int_equal(file->methods->write_at(file, 10, page, 100), 0);
    /* Removing frees only when nobody has it open. */
    assert_int_equal(vfs->remove(vfs, "b"), 0);
    assert_int_equal(file->methods->write_at(file, 4096, page, 1), ENOSPC);
    close_file(other);
    assert_int_equal(file->methods->write_at(file, 4096, page, 1), 0);
    assert_int_equal(vfs->free_bytes(vfs, "none", &bytes), ENOENT);
    close_file(file);
}

typedef struct operation_log {
    char text[512];
    uint64_t last;
} operation_log;

static void log_operation(void *context, uint64_t operation, const char *kind, const char *path) {
    operation_log *log = context;
    assert_int_equal(operation, log->last + 1);
    assert_int_equal(vfs_mem_operation_count(disk), operation); /* the mutex is free */
    log->last = operation;
    strcat(log->text, kind);
    strcat(log->text, ":");
    strcat(log->text, path);
    strcat(log->text, " ");
}

TEST(vfs_mem, the_observer_sees_every_change_and_nothing_else) {
    operation_log log = {.last = 0};
    void *map = NULL;
    uint64_t bytes = 0;
    vfs_mem_observe(disk, log_operation, &log);
    assert_int_equal(vfs->make_dir(vfs, "d"), 0);
    assert_int_equal(vfs->make_dir(vfs, "d"), EEXIST);
    firn_file *file = create("d/a");
    write_text(file, 0, "abc");
    write_text(file, 0, "");
    assert_int_equal(file->methods->reserve(file, 0, 100), 0);
    assert_int_equal(file->methods->map(file, 0, 100, 1, &map), 0);
    file->methods->stored(file, 0, 1);
    assert_int_equal(file->methods->unmap(file, map, 100), 0);
    assert_int_equal(file->methods->truncate(file, 50), 0);
    assert_int_equal(file->methods->sync(file), 0);
    close_file(file);
    close_file(open_file("d/a", FIRN_VFS_READ));
    close_file(create("d/a"));
    close_file(open_file("d/a", FIRN_VFS_WRITE | FIRN_VFS_TRUNCATE));
    assert_int_equal(vfs->rename(vfs, "d/a", "d/b"), 0);
    assert_int_equal(vfs->rename(vfs, "d/a", "d/b"), ENOENT);
    assert_int_equal(vfs->sync_dir(vfs, "d"), 0);
    assert_int_equal(vfs->remove(vfs, "d/b"), 0);
    assert_int_equal(vfs->remove(vfs, "d/b"), ENOENT);
    assert_int_equal(stat_path("d", &bytes), 0);
    assert_string_equal(log.text, "make_dir:d create:d/a write:d/a reserve:d/a store:d/a "
                                  "truncate:d/a sync:d/a truncate:d/a rename:d/b sync_dir:d "
                                  "remove:d/b ");
    assert_int_equal(vfs_mem_operation_count(disk), 11);
}

TEST(vfs_mem, the_hash_follows_names_and_contents_whatever_the_order) {
    vfs_mem *other = NULL;
    uint64_t bytes = 0;
    ASSERT_OK(vfs_mem_new(&other));
    const firn_vfs *other_vfs = vfs_mem_vfs(other);
    assert_int_equal(vfs_mem_hash(disk), vfs_mem_hash(other));
    firn_file *a = create("a");
    firn_file *b = create("b");
    write_text(a, 0, "one");
    assert_int_not_equal(vfs_mem_hash(disk), vfs_mem_hash(other));
    firn_file *other_b = NULL;
    firn_file *other_a = NULL;
    const int flags = FIRN_VFS_WRITE | FIRN_VFS_CREATE;
    assert_int_equal(other_vfs->open(other_vfs, "b", flags, &other_b), 0);
    assert_int_equal(other_vfs->open(other_vfs, "a", flags, &other_a), 0);
    write_text(other_a, 0, "one");
    assert_int_equal(vfs_mem_hash(disk), vfs_mem_hash(other));
    uint64_t before = vfs_mem_hash(disk);
    write_text(a, 1, "N");
    assert_int_not_equal(vfs_mem_hash(disk), before);
    write_text(a, 1, "n");
    assert_int_equal(vfs_mem_hash(disk), before);
    assert_int_equal(b->methods->truncate(b, 1), 0);
    assert_int_not_equal(vfs_mem_hash(disk), before);
    assert_int_equal(b->methods->truncate(b, 0), 0);
    assert_int_equal(vfs->rename(vfs, "b", "c"), 0);
    assert_int_not_equal(vfs_mem_hash(disk), before);
    assert_int_equal(vfs->rename(vfs, "c", "b"), 0);
    assert_int_equal(vfs_mem_hash(disk), before);
    vfs_mem_contents(disk, "a", &bytes)[2] ^= 1;
    assert_int_not_equal(vfs_mem_hash(disk), before);
    close_file(a);
    close_file(b);
    close_file(other_a);
    close_file(other_b);
    vfs_mem_free(other);
}

TEST(vfs_mem, contents_are_the_file_itself) {
    uint64_t bytes = 9;
    firn_file *file = create("a");
    assert_null(vfs_mem_contents(disk, "none", &bytes));
    assert_null(vfs_mem_contents(disk, "/", &bytes));
    assert_non_null(vfs_mem_contents(disk, "a", &bytes));
    assert_int_equal(bytes, 0);
    write_text(file, 0, "abc");
    uint8_t *contents = vfs_mem_contents(disk, "a", &bytes);
    assert_int_equal(bytes, 3);
    contents[1] = 'X';
    assert_read(file, 0, "aXc", 3);
    close_file(file);
}

TEST(vfs_mem, a_handle_without_memory_is_refused) {
    firn_file *file = NULL;
    for (uint64_t countdown = 1; countdown <= 2; countdown++) {
        memory_fail_after(countdown, false);
        assert_int_equal(vfs->open(vfs, "a", FIRN_VFS_WRITE | FIRN_VFS_CREATE, &file), ENOMEM);
        assert_null(file);
    }
    memory_fail_after(0, false);
    assert_int_equal(vfs_mem_operation_count(disk), 0);
}

#define RUN_ON_DISK(group, behaviour) \
    { #group ": " #behaviour, test_##group##_##behaviour, fresh_disk, drop_disk, NULL }

TEST_MAIN(RUN_ON_DISK(vfs_mem, files_read_back_what_was_written),
          RUN_ON_DISK(vfs_mem, cut_bytes_come_back_as_zeros),
          RUN_ON_DISK(vfs_mem, open_answers_like_the_system),
          RUN_ON_DISK(vfs_mem, names_answer_like_the_system),
          RUN_ON_DISK(vfs_mem, an_open_file_outlives_its_name),
          RUN_ON_DISK(vfs_mem, mappings_share_the_files_bytes_and_stay_where_they_are),
          RUN_ON_DISK(vfs_mem, files_grow_beyond_their_first_room),
          RUN_ON_DISK(vfs_mem, a_lock_has_one_holder),
          RUN_ON_DISK(vfs_mem, a_full_disk_takes_what_fits_and_recovers),
          RUN_ON_DISK(vfs_mem, the_observer_sees_every_change_and_nothing_else),
          RUN_ON_DISK(vfs_mem, the_hash_follows_names_and_contents_whatever_the_order),
          RUN_ON_DISK(vfs_mem, contents_are_the_file_itself),
          RUN_ON_DISK(vfs_mem, a_handle_without_memory_is_refused))
