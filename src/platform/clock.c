#include "platform/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/check.h"

static uint64_t clock_read_ns(clockid_t id) {
    struct timespec now;
    CHECK(clock_gettime(id, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t clock_system_monotonic_ns(MAYBE_UNUSED void *context) {
    return clock_read_ns(CLOCK_MONOTONIC);
}

/* The latest wall time anybody was told. When the system's clock is set back, time stands still
 * here until it has caught up: an entry once expired must not come back to life. */
static atomic_u64 clock_wall_latest_ms;

static uint64_t clock_system_wall_ms(MAYBE_UNUSED void *context) {
    uint64_t now = clock_read_ns(CLOCK_REALTIME) / 1000000u;
    /* acquire and release: pair with each other across threads, so that whoever learned of a time
     * from another thread is told none before it. */
    uint64_t latest = atomic_u64_load(&clock_wall_latest_ms, memory_order_acquire);
    while (now > latest) {
        if (atomic_u64_cas(&clock_wall_latest_ms, &latest, now, memory_order_acq_rel))
            return now;
    }
    return latest;
}

FIRN_INTERNAL const time_source *time_source_system(void) {
    static const time_source clock_system = {NULL, clock_system_monotonic_ns, clock_system_wall_ms};
    return &clock_system;
}

static bool clock_read_file(const char *path, void *out, size_t bytes) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    size_t have = 0;
    while (have < bytes) {
        ssize_t got = read(fd, (uint8_t *)out + have, bytes - have);
        if (got > 0)
            have += (size_t)got;
        else if (got == 0 || errno != EINTR)
            break;
    }
    close(fd);
    return have == bytes;
}

static int clock_hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

FIRN_INTERNAL void boot_id_read(uint8_t out[16]) {
    char text[36]; /* 8-4-4-4-12 hexadecimal digits */
    memset(out, 0, 16);
    if (!clock_read_file("/proc/sys/kernel/random/boot_id", text, sizeof text))
        return;
    size_t digits = 0;
    for (size_t i = 0; i < sizeof text && digits < 32; i++) {
        int digit = clock_hex_digit(text[i]);
        if (digit < 0)
            continue;
        out[digits / 2] = (uint8_t)(out[digits / 2] << 4 | digit);
        digits++;
    }
    if (digits != 32)
        memset(out, 0, 16);
}

/* Without any source of the system (a bare chroot on an old kernel): times, addresses and a count
 * stirred together, enough to keep two files' identities apart. */
static void clock_weak_entropy(uint8_t *out, size_t bytes) {
    static atomic_u64 calls;
    uint64_t state = clock_read_ns(CLOCK_REALTIME) ^ (uint64_t)getpid() << 40;
    state ^= (uint64_t)(uintptr_t)&state;
    /* relaxed: only distinctness matters. */
    state += atomic_u64_add(&calls, 1, memory_order_relaxed) * 0x9E3779B97F4A7C15u;
    for (size_t i = 0; i < bytes; i++) {
        state ^= clock_read_ns(CLOCK_MONOTONIC);
        state = (state ^ state >> 31) * 0xD6E8FEB86659FD93u;
        out[i] = (uint8_t)(state >> 56);
    }
}

FIRN_INTERNAL void entropy_read(void *out, size_t bytes) {
    size_t have = 0;
    while (have < bytes) {
        ssize_t got = getrandom((uint8_t *)out + have, bytes - have, 0);
        if (got > 0)
            have += (size_t)got;
        else if (errno != EINTR)
            break;
    }
    if (have == bytes)
        return;
    if (!clock_read_file("/dev/urandom", out, bytes))
        clock_weak_entropy(out, bytes);
}
