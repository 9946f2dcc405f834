/* One database, one writer: against other processes by a lock of the kernel on the LOCK file,
 * within the process by a list of the locks held.
 *
 * The kernel's lock is one of open file descriptions (OFD) or, where those are missing, flock():
 * both belong to the descriptor, whereas a classic fcntl() lock vanishes as soon as the process
 * closes any descriptor of the file. But they would be shared with a forked child, outlive the
 * parent in it and be released by it. So a child closes its copies at once (which releases
 * nothing), and finds itself without locks.
 *
 * Order: posix_lock_mutex alone; nothing of the library is called under it. */
#include "platform/vfs_posix_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "platform/memory.h"
#include "platform/thread.h"

typedef struct posix_held_lock {
    struct posix_held_lock *next;
    int fd; /* -1 in a forked child */
    int64_t owner_pid;
    dev_t device;
    ino_t inode;
} posix_held_lock;

static pthread_mutex_t posix_lock_mutex = PTHREAD_MUTEX_INITIALIZER;
static posix_held_lock *posix_locks_held; /* guarded by posix_lock_mutex */
static pthread_once_t posix_fork_once = PTHREAD_ONCE_INIT;

static void posix_fork_prepare(void) {
    pthread_mutex_lock(&posix_lock_mutex);
}

static void posix_fork_parent(void) {
    pthread_mutex_unlock(&posix_lock_mutex);
}

static void posix_fork_child(void) {
    for (posix_held_lock *held = posix_locks_held; held; held = held->next) {
        if (held->fd >= 0)
            close(held->fd);
        held->fd = -1;
    }
    pthread_mutex_unlock(&posix_lock_mutex);
}

static void posix_fork_watch(void) {
    /* Registers a fork handler of its own, which must not first happen under posix_lock_mutex: a
     * fork in another thread takes the two the other way round. */
    (void)process_id();
    /* Fails for lack of memory only; then a child may prolong a lock, which is safe. */
    (void)pthread_atfork(posix_fork_prepare, posix_fork_parent, posix_fork_child);
}

static bool posix_lock_is_held_locked(dev_t device, ino_t inode) {
    for (const posix_held_lock *held = posix_locks_held; held; held = held->next) {
        if (held->device == device && held->inode == inode && held->owner_pid == process_id())
            return true;
    }
    return false;
}

/* 0, EWOULDBLOCK or another errno. */
static int posix_lock_descriptor(int fd) {
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_OFD_SETLK, &whole) == 0)
        return 0;
    if (errno == EAGAIN || errno == EACCES)
        return EWOULDBLOCK;
    if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
        return errno;
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EINTR)
            return errno;
    }
    return 0;
}

/* The holder's id stands in the file as text; 0 if it does not. */
static int64_t posix_lock_read_holder(int fd) {
    char text[32];
    ssize_t got = pread(fd, text, sizeof text - 1, 0);
    if (got <= 0)
        return 0;
    text[got] = '\0';
    long long pid = strtoll(text, NULL, 10);
    return pid > 0 ? (int64_t)pid : 0;
}

/* A courtesy to whoever is refused: a full disk must not keep the database from opening. */
static void posix_lock_write_holder(int fd) {
    char text[32];
    int bytes = snprintf(text, sizeof text, "%" PRId64 "\n", process_id());
    if (pwrite(fd, text, (size_t)bytes, 0) != bytes || ftruncate(fd, bytes) != 0)
        return;
}

static int posix_lock_take_locked(int fd, const char *path, posix_held_lock *lock,
                                  int64_t *holder_pid) {
    struct stat info;
    struct stat named;
    if (fstat(fd, &info) != 0)
        return errno;
    if (posix_lock_is_held_locked(info.st_dev, info.st_ino)) {
        *holder_pid = process_id();
        return EWOULDBLOCK;
    }
    int error = posix_lock_descriptor(fd);
    if (error == EWOULDBLOCK)
        *holder_pid = posix_lock_read_holder(fd);
    if (error)
        return error;
    /* The last holder may have removed the file between our open and our lock; then the next one
     * to come would lock another file. ESTALE: begin again. */
    if (stat(path, &named) != 0 || named.st_dev != info.st_dev || named.st_ino != info.st_ino)
        return ESTALE;
    posix_lock_write_holder(fd);
    *lock = (posix_held_lock){posix_locks_held, fd, process_id(), info.st_dev, info.st_ino};
    posix_locks_held = lock;
    return 0;
}

FIRN_INTERNAL int posix_lock(MAYBE_UNUSED const firn_vfs *vfs, const char *path, void **lock,
                             int64_t *holder_pid) {
    enum { POSIX_LOCK_ATTEMPTS = 16 };
    *lock = NULL;
    *holder_pid = 0;
    pthread_once(&posix_fork_once, posix_fork_watch);
    posix_held_lock *held = memory_new(sizeof *held);
    if (!held)
        return ENOMEM;
    int error = ESTALE;
    for (int attempt = 0; attempt < POSIX_LOCK_ATTEMPTS && error == ESTALE; attempt++) {
        /* Opened under the mutex: else a child forked in between would inherit the descriptor
         * without knowing of it. */
        CHECK(pthread_mutex_lock(&posix_lock_mutex) == 0);
        int fd = posix_open(path, O_RDWR | O_CREAT);
        error = fd < 0 ? -fd : posix_lock_take_locked(fd, path, held, holder_pid);
        if (error && fd >= 0)
            close(fd);
        CHECK(pthread_mutex_unlock(&posix_lock_mutex) == 0);
    }
    if (error) {
        memory_free(held);
        return error;
    }
    *lock = held;
    return 0;
}

FIRN_INTERNAL int posix_unlock(MAYBE_UNUSED const firn_vfs *vfs, void *lock) {
    posix_held_lock *held = lock;
    int error = 0;
    CHECK(pthread_mutex_lock(&posix_lock_mutex) == 0);
    posix_held_lock **link = &posix_locks_held;
    while (*link && *link != held)
        link = &(*link)->next;
    CHECK(*link == held);
    *link = held->next;
    /* Closing releases: the only other copies of this descriptor were in children, which closed
     * them. The file stays, text and all; removing it would race with the next holder. */
    if (held->fd >= 0 && close(held->fd) != 0 && errno != EINTR)
        error = errno;
    CHECK(pthread_mutex_unlock(&posix_lock_mutex) == 0);
    memory_free(held);
    return error;
}
