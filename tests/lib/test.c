#include "lib/test.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TEST_PATH_BUFFERS 16
#define TEST_PATH_BYTES   1024

void test_assert_code(firn_status code, firn_status expected, const char *what, const char *file,
                      int line) {
    if (code == expected)
        return;
    print_error("%s\n  is %d, not %d (firn/status.h); detail: %s\n", what, (int)code, (int)expected,
                error_detail_get());
    _fail(file, line);
}

void test_assert_status(status st, firn_status expected, const char *what, const char *file,
                        int line) {
    if (st.code != expected && st.what != NULL)
        print_error("while: %s (errno %d: %s)\n", st.what, st.os_errno, strerror(st.os_errno));
    test_assert_code(st.code, expected, what, file, line);
}

uint64_t test_seed(void) {
    /* One seed for the whole program, so that one number replays it. */
    static uint64_t seed;
    static bool chosen;
    if (!chosen) {
        const char *text = getenv("FIRN_TEST_SEED");
        if (text != NULL && *text != '\0') {
            seed = strtoull(text, NULL, 0);
        } else {
            struct timespec now;
            clock_gettime(CLOCK_REALTIME, &now);
            seed = ((uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec) ^
                   ((uint64_t)getpid() << 40);
        }
        chosen = true;
    }
    print_message("FIRN_TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

uint64_t test_scaled(uint64_t count) {
    const char *text = getenv("FIRN_TEST_SCALE");
    double scale = text != NULL ? strtod(text, NULL) : 1.0;
    if (!(scale > 0.0))
        scale = 1.0;
    double scaled = (double)count * scale;
    return scaled < 1.0 ? 1 : (uint64_t)scaled;
}

char *test_dir_new(void) {
    const char *parent = getenv("TMPDIR");
    if (parent == NULL || *parent == '\0')
        parent = "/tmp";
    char *path = NULL;
    if (asprintf(&path, "%s/firn-test-XXXXXX", parent) < 0)
        fail_msg("out of memory");
    if (mkdtemp(path) == NULL)
        fail_msg("mkdtemp %s: %s", path, strerror(errno));
    return path;
}

static int test_dir_remove_entry(const char *path, const struct stat *info, int type,
                                 struct FTW *where) {
    (void)info;
    (void)type;
    (void)where;
    return remove(path);
}

/* A test may have taken permissions away; they are needed to empty the directory. */
static int test_dir_allow_entry(const char *path, const struct stat *info, int type,
                                struct FTW *where) {
    (void)info;
    (void)where;
    if (type == FTW_D || type == FTW_DNR)
        return chmod(path, 0700);
    return 0;
}

void test_dir_remove(char *path) {
    if (path == NULL)
        return;
    (void)nftw(path, test_dir_allow_entry, 16, FTW_PHYS);
    if (nftw(path, test_dir_remove_entry, 16, FTW_DEPTH | FTW_PHYS) != 0)
        print_error("could not remove %s: %s\n", path, strerror(errno));
    free(path);
}

const char *test_path(const char *directory, const char *name) {
    static __thread char paths[TEST_PATH_BUFFERS][TEST_PATH_BYTES];
    static __thread unsigned next;
    char *path = paths[next++ % TEST_PATH_BUFFERS];
    int size = snprintf(path, TEST_PATH_BYTES, "%s/%s", directory, name);
    if (size < 0 || size >= TEST_PATH_BYTES)
        fail_msg("path too long: %s/%s", directory, name);
    return path;
}
