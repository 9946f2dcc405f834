#include "device.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "engine.h"
#include "random.h"

enum {
    DEVICE_PAGE_BYTES = 4096,
    DEVICE_PAGES_READ = 1000,
    DEVICE_FILES_MAX = 4096,
    DEVICE_PIECE_BYTES = 1 << 20
};

typedef struct device_files { /* nftw hands no context on */
    int descriptors[DEVICE_FILES_MAX];
    uint64_t bytes[DEVICE_FILES_MAX];
    size_t count;
    uint64_t all_bytes;
} device_files;

static device_files device_open;

static int device_open_one(const char *path, const struct stat *st, int kind, struct FTW *where) {
    (void)where;
    if (kind != FTW_F || st->st_blocks == 0 || device_open.count == DEVICE_FILES_MAX)
        return 0;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return 0;
    device_open.descriptors[device_open.count] = file;
    device_open.bytes[device_open.count++] = (uint64_t)st->st_size;
    device_open.all_bytes += (uint64_t)st->st_size;
    return 0;
}

static void device_open_all(const char *path) {
    device_open.count = 0;
    device_open.all_bytes = 0;
    nftw(path, device_open_one, 16, FTW_PHYS);
}

static void device_close_all(void) {
    for (size_t i = 0; i < device_open.count; i++)
        close(device_open.descriptors[i]);
    device_open.count = 0;
}

/* Pages that are not on the device yet stay, so they are written first. */
static void device_forget_all(void) {
    for (size_t i = 0; i < device_open.count; i++) {
        (void)fdatasync(device_open.descriptors[i]);
        (void)posix_fadvise(device_open.descriptors[i], 0, 0, POSIX_FADV_DONTNEED);
    }
}

static int device_compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* The median of reads at random places, each file as often as it is large. */
static uint64_t device_page_ns(uint8_t *piece) {
    uint64_t random = 7;
    uint64_t *taken = bench_alloc(DEVICE_PAGES_READ * sizeof *taken);
    for (size_t i = 0; i < device_open.count; i++)
        (void)posix_fadvise(device_open.descriptors[i], 0, 0, POSIX_FADV_RANDOM);
    for (int i = 0; i < DEVICE_PAGES_READ; i++) {
        uint64_t at = random_below(&random, device_open.all_bytes);
        size_t file = 0;
        while (at >= device_open.bytes[file])
            at -= device_open.bytes[file++];
        at -= at % DEVICE_PAGE_BYTES;
        uint64_t start = clock_ticks();
        if (pread(device_open.descriptors[file], piece, DEVICE_PAGE_BYTES, (off_t)at) < 0)
            bench_fail("cannot read back a file of the database");
        taken[i] = clock_ticks_to_ns(clock_ticks() - start);
    }
    qsort(taken, DEVICE_PAGES_READ, sizeof *taken, device_compare);
    uint64_t median = taken[DEVICE_PAGES_READ / 2];
    free(taken);
    return median;
}

static double device_bytes_per_second(uint8_t *piece) {
    uint64_t bytes = 0;
    uint64_t start_ns = clock_ns();
    for (size_t i = 0; i < device_open.count; i++) {
        int file = device_open.descriptors[i];
        (void)posix_fadvise(file, 0, 0, POSIX_FADV_SEQUENTIAL);
        ssize_t got;
        for (off_t at = 0; (got = pread(file, piece, DEVICE_PIECE_BYTES, at)) > 0; at += got)
            bytes += (uint64_t)got;
    }
    return (double)bytes * 1e9 / (double)(clock_ns() - start_ns);
}

void device_measure(const char *path, device_speed *out) {
    uint8_t *piece = bench_alloc(DEVICE_PIECE_BYTES);
    device_open_all(path);
    if (device_open.all_bytes) {
        device_forget_all();
        out->page_ns = device_page_ns(piece);
        device_forget_all();
        out->bytes_per_second = device_bytes_per_second(piece);
        device_forget_all();
    }
    device_close_all();
    free(piece);
}
