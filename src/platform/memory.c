#include "platform/memory.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "base/atomic.h"
#include "base/check.h"

/* gcc tells by a macro, clang by a feature. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MEMORY_HAS_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(MEMORY_HAS_ASAN)
#include <sanitizer/asan_interface.h>
#define MEMORY_FORBID(memory, bytes) __asan_poison_memory_region((memory), (bytes))
#define MEMORY_ALLOW(memory, bytes)  __asan_unpoison_memory_region((memory), (bytes))
#else
#define MEMORY_FORBID(memory, bytes) ((void)(memory), (void)(bytes))
#define MEMORY_ALLOW(memory, bytes)  ((void)(memory), (void)(bytes))
#endif
#undef MEMORY_HAS_ASAN

/* Allocations left until one fails; 0 while nothing is to fail, which is all an ordinary process
 * ever pays for the seam: one load and one branch never taken. */
static atomic_u64 memory_fail_countdown;
static atomic_flag32 memory_fail_sticky;

#ifdef NDEBUG
static inline void memory_count_new(void) {
}
static inline void memory_count_free(void) {
}
FIRN_INTERNAL uint64_t memory_live_count(void) {
    return 0;
}
FIRN_INTERNAL uint64_t memory_allocation_count(void) {
    return 0;
}
#else
static atomic_u64 memory_allocations;
static atomic_u64 memory_frees;

static inline void memory_count_new(void) {
    /* relaxed: a statistic; nothing is published through it. */
    atomic_u64_add(&memory_allocations, 1, memory_order_relaxed);
}
static inline void memory_count_free(void) {
    /* relaxed: as above. */
    atomic_u64_add(&memory_frees, 1, memory_order_relaxed);
}
FIRN_INTERNAL uint64_t memory_live_count(void) {
    /* relaxed: exact only once the threads that allocate have been joined, which orders it. */
    uint64_t frees = atomic_u64_load(&memory_frees, memory_order_relaxed);
    return atomic_u64_load(&memory_allocations, memory_order_relaxed) - frees;
}
FIRN_INTERNAL uint64_t memory_allocation_count(void) {
    return atomic_u64_load(&memory_allocations, memory_order_relaxed); /* relaxed: a statistic */
}
#endif

static COLD bool memory_fail_step(void) {
    /* acquire: pairs with the release in memory_fail_after(), so `sticky` belongs to this count. */
    uint64_t left = atomic_u64_load(&memory_fail_countdown, memory_order_acquire);
    for (;;) {
        if (left == 0)
            return false;
        bool last = left == 1;
        /* relaxed: ordered by the acquire that read `left`. */
        if (last && atomic_flag32_load(&memory_fail_sticky, memory_order_relaxed))
            return true;
        /* acquire: pairs with the same release as above. */
        if (atomic_u64_cas(&memory_fail_countdown, &left, left - 1, memory_order_acquire))
            return last;
    }
}

static inline bool memory_must_fail(void) {
    /* relaxed: a hint; memory_fail_step() looks again properly. */
    if (LIKELY(atomic_u64_load(&memory_fail_countdown, memory_order_relaxed) == 0))
        return false;
    return memory_fail_step();
}

static inline void *memory_counted(void *block) {
    if (block)
        memory_count_new();
    return block;
}

FIRN_INTERNAL void *memory_new(size_t bytes) {
    if (UNLIKELY(memory_must_fail()))
        return NULL;
    return memory_counted(malloc(bytes ? bytes : 1));
}

FIRN_INTERNAL void *memory_new_zeroed(size_t bytes) {
    if (UNLIKELY(memory_must_fail()))
        return NULL;
    return memory_counted(calloc(1, bytes ? bytes : 1));
}

FIRN_INTERNAL void *memory_new_aligned(size_t alignment, size_t bytes) {
    DCHECK(alignment >= sizeof(void *) && (alignment & (alignment - 1)) == 0);
    if (UNLIKELY(memory_must_fail()))
        return NULL;
    void *block = NULL;
    if (posix_memalign(&block, alignment, bytes ? bytes : 1) != 0)
        return NULL;
    return memory_counted(block);
}

FIRN_INTERNAL void *memory_resize(void *old, size_t bytes) {
    if (UNLIKELY(memory_must_fail()))
        return NULL;
    /* realloc(p, 0) would free p and leave the caller unable to tell success from failure. */
    void *block = realloc(old, bytes ? bytes : 1);
    return old ? block : memory_counted(block);
}

FIRN_INTERNAL char *memory_copy_string(const char *text) {
    return memory_copy(text, strlen(text) + 1);
}

FIRN_INTERNAL void *memory_copy(const void *data, size_t bytes) {
    void *block = memory_new(bytes);
    if (block && bytes)
        memcpy(block, data, bytes);
    return block;
}

FIRN_INTERNAL void memory_free(void *memory) {
    if (!memory)
        return;
    memory_count_free();
    free(memory);
}

/* The system gives pages at any multiple of 4 KiB, and a huge page needs one of 2 MiB: a stretch
 * that is longer by as much always holds such a place, and the ends are given back. */
static void *memory_map_aligned(size_t bytes, size_t alignment) {
    int protection = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_ANONYMOUS;
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    size_t rounded = (bytes + page_bytes - 1) & ~(page_bytes - 1);
    if (rounded < bytes || rounded > SIZE_MAX - alignment)
        return MAP_FAILED;
    uint8_t *wide = mmap(NULL, rounded + alignment, protection, flags, -1, 0);
    if (wide == MAP_FAILED)
        return MAP_FAILED;
    size_t before = (size_t)(-(uintptr_t)wide & (alignment - 1));
    if (before > 0)
        CHECK(munmap(wide, before) == 0);
    if (before < alignment)
        CHECK(munmap(wide + before + rounded, alignment - before) == 0);
    return wide + before;
}

FIRN_INTERNAL void *memory_map_pages(size_t bytes) {
    enum { MEMORY_HUGE_PAGE_BYTES = 2 << 20 };
    if (UNLIKELY(memory_must_fail()))
        return NULL;
    if (bytes < MEMORY_HUGE_PAGE_BYTES) {
        void *few = mmap(NULL, bytes ? bytes : 1, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        return memory_counted(few == MAP_FAILED ? NULL : few);
    }
    void *pages = memory_map_aligned(bytes, MEMORY_HUGE_PAGE_BYTES);
    if (pages == MAP_FAILED)
        return NULL;
    /* Advice only: where huge pages are off the arena works, with more faults. */
    (void)madvise(pages, bytes, MADV_HUGEPAGE);
    return memory_counted(pages);
}

FIRN_INTERNAL void memory_unmap_pages(void *memory, size_t bytes) {
    if (!memory)
        return;
    memory_count_free();
    CHECK(munmap(memory, bytes ? bytes : 1) == 0);
}

FIRN_INTERNAL void *memory_grow_pages(void *memory, size_t bytes, size_t new_bytes) {
    void *pages = memory_map_pages(new_bytes);
    if (!pages || !memory)
        return pages;
    DCHECK(new_bytes >= bytes);
    memcpy(pages, memory, bytes);
    memory_unmap_pages(memory, bytes);
    return pages;
}

#ifdef __GLIBC__
FIRN_INTERNAL void memory_give_back(void) {
    (void)malloc_trim(0);
}
#else
FIRN_INTERNAL void memory_give_back(void) {
}
#endif

FIRN_INTERNAL void memory_forbid(void *memory, size_t bytes) {
    MEMORY_FORBID(memory, bytes);
}

FIRN_INTERNAL void memory_allow(void *memory, size_t bytes) {
    MEMORY_ALLOW(memory, bytes);
}

#undef MEMORY_FORBID
#undef MEMORY_ALLOW

/* First line of a small text file of the system; false when there is none. */
static bool memory_read_line(const char *path, char *line, size_t line_bytes) {
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    bool got = fgets(line, (int)line_bytes, file) != NULL;
    fclose(file);
    return got;
}

/* Finds this process's group in the hierarchy `controller` ("" is version 2) of
 * /proc/self/cgroup, e.g. "/user.slice/firn". "/" where it cannot be told. */
static void memory_cgroup_path(const char *controller, char *path, size_t path_bytes) {
    snprintf(path, path_bytes, "/");
    FILE *file = fopen("/proc/self/cgroup", "re");
    if (!file)
        return;
    char line[512];
    while (fgets(line, sizeof line, file)) {
        /* "4:memory:/docker/x" or "0::/user.slice". */
        char *names = strchr(line, ':');
        char *group = names ? strchr(names + 1, ':') : NULL;
        if (!group)
            continue;
        *group = '\0';
        group[1 + strcspn(group + 1, "\n")] = '\0';
        if (strcmp(names + 1, controller) == 0) {
            snprintf(path, path_bytes, "%s", group + 1);
            break;
        }
    }
    fclose(file);
}

/* Calls `visit` with the first line of `file` in the process's group and in each group above it,
 * for a limit anywhere on that way binds. */
static void memory_cgroup_walk(const char *root, const char *controller, const char *file,
                               void (*visit)(const char *line, void *context), void *context) {
    char group[512];
    memory_cgroup_path(controller, group, sizeof group);
    for (;;) {
        char path[768];
        char line[128];
        snprintf(path, sizeof path, "%s%s/%s", root, strcmp(group, "/") == 0 ? "" : group, file);
        if (memory_read_line(path, line, sizeof line))
            visit(line, context);
        char *slash = strrchr(group, '/');
        if (!slash || group[1] == '\0')
            break;
        slash[slash == group ? 1 : 0] = '\0';
    }
}

static void memory_visit_limit(const char *line, void *context) {
    uint64_t *limit = context;
    char *end = NULL;
    unsigned long long value = strtoull(line, &end, 10); /* "max" has no digits: unlimited */
    if (end != line && value > 0 && value < *limit)
        *limit = value;
}

FIRN_INTERNAL uint64_t memory_total_bytes(void) {
    long pages = sysconf(_SC_PHYS_PAGES);
    long page_bytes = sysconf(_SC_PAGESIZE);
    uint64_t limit = UINT64_MAX;
    if (pages > 0 && page_bytes > 0)
        limit = (uint64_t)pages * (uint64_t)page_bytes;
    memory_cgroup_walk("/sys/fs/cgroup", "", "memory.max", memory_visit_limit, &limit);
    memory_cgroup_walk("/sys/fs/cgroup/memory", "memory", "memory.limit_in_bytes",
                       memory_visit_limit, &limit);
    /* Nothing told us anything: a size small enough to be true. */
    return limit == UINT64_MAX ? (uint64_t)1 << 30 : limit;
}

static void memory_visit_quota(const char *line, void *context) {
    uint32_t *cores = context;
    unsigned long long quota = 0;
    unsigned long long period = 0;
    if (sscanf(line, "%llu %llu", &quota, &period) != 2 || quota == 0 || period == 0)
        return; /* "max 100000": no quota */
    unsigned long long whole = quota / period + (quota % period != 0);
    if (whole < *cores)
        *cores = (uint32_t)whole;
}

static uint32_t memory_affinity_count(void) {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        int count = CPU_COUNT(&set);
        if (count > 0)
            return (uint32_t)count;
    }
    /* More cores than a fixed set holds answer EINVAL; then all that are online. */
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (uint32_t)online : 1;
}

FIRN_INTERNAL uint32_t memory_cpu_count(void) {
    uint32_t cores = memory_affinity_count();
    memory_cgroup_walk("/sys/fs/cgroup", "", "cpu.max", memory_visit_quota, &cores);
    return cores;
}

FIRN_INTERNAL void memory_fail_after(uint64_t countdown, bool sticky) {
    /* relaxed: published by the release below. */
    atomic_flag32_store(&memory_fail_sticky, sticky, memory_order_relaxed);
    /* release: pairs with the acquire in memory_fail_step(). */
    atomic_u64_store(&memory_fail_countdown, countdown, memory_order_release);
}
