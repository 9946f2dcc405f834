#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "firn/vfs.h"
#include "lib/test.h"

static char *dir;
static char lock_path[1024];

static int fresh_dir(void **state) {
    (void)state;
    dir = test_dir_new();
    snprintf(lock_path, sizeof lock_path, "%s", test_path(dir, "LOCK"));
    return 0;
}

static int drop_dir(void **state) {
    (void)state;
    test_dir_remove(dir);
    return 0;
}

static int take(void **lock, int64_t *holder) {
    const firn_vfs *vfs = firn_vfs_default();
    return vfs->lock(vfs, lock_path, lock, holder);
}

static void release(void *lock) {
    const firn_vfs *vfs = firn_vfs_default();
    assert_int_equal(vfs->unlock(vfs, lock), 0);
}

TEST(vfs_posix_lock, is_refused_twice_within_the_process) {
    void *lock = NULL;
    void *second = NULL;
    int64_t holder = 0;
    assert_int_equal(take(&lock, &holder), 0);
    assert_int_equal(take(&second, &holder), EWOULDBLOCK);
    assert_null(second);
    assert_int_equal(holder, getpid());
    release(lock);
    assert_int_equal(take(&lock, &holder), 0);
    release(lock);
}

TEST(vfs_posix_lock, survives_closing_another_descriptor_of_the_file) {
    void *lock = NULL;
    int64_t holder = 0;
    assert_int_equal(take(&lock, &holder), 0);
    int fd = open(lock_path, O_RDWR);
    assert_true(fd >= 0);
    close(fd);
    pid_t child = fork();
    if (child == 0) {
        void *theirs = NULL;
        _exit(take(&theirs, &holder) == EWOULDBLOCK ? 0 : 1);
    }
    int how = 0;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_int_equal(how, 0);
    release(lock);
}

TEST(vfs_posix_lock, names_the_process_that_holds_it) {
    int ready[2];
    int finish[2];
    char byte = 0;
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(finish), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        void *lock = NULL;
        int64_t holder = 0;
        close(finish[1]);
        byte = take(&lock, &holder) == 0;
        if (write(ready[1], &byte, 1) != 1)
            _exit(1);
        (void)!read(finish[0], &byte, 1);
        _exit(0); /* without unlocking: the lock goes with the process */
    }
    void *lock = NULL;
    int64_t holder = 0;
    close(finish[0]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 1);
    int refused = take(&lock, &holder);
    close(finish[1]);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(refused, EWOULDBLOCK);
    assert_int_equal(holder, child);
    assert_int_equal(take(&lock, &holder), 0);
    release(lock);
    close(ready[0]);
    close(ready[1]);
}

TEST(vfs_posix_lock, a_forked_child_neither_holds_nor_releases_nor_prolongs_it) {
    int finish[2];
    int told[2];
    char byte = 0;
    void *lock = NULL;
    int64_t holder = 0;
    assert_int_equal(pipe(finish), 0);
    assert_int_equal(pipe(told), 0);
    assert_int_equal(take(&lock, &holder), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        void *theirs = NULL;
        const firn_vfs *vfs = firn_vfs_default();
        close(finish[1]);
        byte = take(&theirs, &holder) == EWOULDBLOCK && holder == getppid() &&
               vfs->unlock(vfs, lock) == 0 && take(&theirs, &holder) == EWOULDBLOCK;
        (void)!write(told[1], &byte, 1);
        (void)!read(finish[0], &byte, 1);
        _exit(0);
    }
    close(finish[0]);
    assert_int_equal(read(told[0], &byte, 1), 1);
    assert_int_equal(byte, 1);
    release(lock);
    /* The child still lives. */
    assert_int_equal(take(&lock, &holder), 0);
    release(lock);
    close(finish[1]);
    assert_int_equal(waitpid(child, NULL, 0), child);
    close(told[0]);
    close(told[1]);
}

TEST(vfs_posix_lock, holds_on_the_file_the_path_names) {
    void *old = NULL;
    void *lock = NULL;
    int64_t holder = 0;
    assert_int_equal(take(&old, &holder), 0);
    assert_int_equal(unlink(lock_path), 0);
    /* Another file, so another lock. */
    assert_int_equal(take(&lock, &holder), 0);
    release(old);
    assert_int_equal(take(&old, &holder), EWOULDBLOCK);
    release(lock);
}

TEST(vfs_posix_lock, text_is_the_holders_pid) {
    void *lock = NULL;
    int64_t holder = 0;
    char text[64] = "";
    FILE *file = fopen(lock_path, "w");
    assert_non_null(file);
    fputs("999999999999 and more, left by somebody else\n", file);
    fclose(file);
    assert_int_equal(take(&lock, &holder), 0);
    file = fopen(lock_path, "r");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof text, file));
    assert_null(fgets(text + 32, 32, file));
    fclose(file);
    assert_int_equal(strtoll(text, NULL, 10), getpid());
    release(lock);
}

TEST(vfs_posix_lock, a_missing_directory_is_an_ordinary_error) {
    void *lock = NULL;
    int64_t holder = 0;
    const firn_vfs *vfs = firn_vfs_default();
    assert_int_equal(vfs->lock(vfs, test_path(dir, "none/LOCK"), &lock, &holder), ENOENT);
    assert_null(lock);
}

#define RUN_IN_DIR(group, behaviour) \
    { #group ": " #behaviour, test_##group##_##behaviour, fresh_dir, drop_dir, NULL }

TEST_MAIN(RUN_IN_DIR(vfs_posix_lock, is_refused_twice_within_the_process),
          RUN_IN_DIR(vfs_posix_lock, survives_closing_another_descriptor_of_the_file),
          RUN_IN_DIR(vfs_posix_lock, names_the_process_that_holds_it),
          RUN_IN_DIR(vfs_posix_lock, a_forked_child_neither_holds_nor_releases_nor_prolongs_it),
          RUN_IN_DIR(vfs_posix_lock, holds_on_the_file_the_path_names),
          RUN_IN_DIR(vfs_posix_lock, text_is_the_holders_pid),
          RUN_IN_DIR(vfs_posix_lock, a_missing_directory_is_an_ordinary_error))
