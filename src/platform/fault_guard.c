#include "platform/fault_guard.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/check.h"
#include "platform/error_detail.h"
#include "platform/thread.h"

/* The handler may run between any two instructions of any thread, so it reads a table that only
 * grows: slots in blocks that are never unmapped, each under a version that is odd while the slot
 * is free or changing. A thread that faults on a range is using it, so the slot of that range
 * stands still; a slot that moves under the handler's eyes is somebody else's. */
struct fault_guard {
    atomic_u64 version;
    /* Whole pages: [begin, end). Stored while version is odd. */
    atomic_u64 begin, end;
    atomic_u64 first; /* the first byte asked for */
    atomic_u32 is_writable;
    atomic_ptr name;
    atomic_u64 fault;       /* where it was first touched in vain; 0: nowhere */
    fault_guard *next_free; /* guarded by fault_guard_mutex */
};

enum { FAULT_GUARD_BLOCK_SLOTS = 512, FAULT_GUARD_BLOCKS = 20 };

/* Block i holds FAULT_GUARD_BLOCK_SLOTS << i slots, so all together more than there are mappings.
 */
static atomic_ptr fault_guard_blocks[FAULT_GUARD_BLOCKS];
static atomic_u64 fault_guard_slots_used; /* ever */
static pthread_mutex_t fault_guard_mutex = PTHREAD_MUTEX_INITIALIZER;
static fault_guard *fault_guard_free; /* guarded by fault_guard_mutex */
static size_t fault_guard_page_bytes; /* set before the handler is installed */
/* Whom to pass signals to that are not ours: one of `known`, which the handler may be reading, so
 * another place is taken each time. Changed under fault_guard_mutex. */
static atomic_ptr fault_guard_previous;
static struct sigaction fault_guard_known[16];
static size_t fault_guard_known_count;
static atomic_u64 fault_guard_passing; /* id of a thread that is passing a signal on; 0: none */

/* What a slot said at one moment. */
typedef struct fault_guard_range {
    uint64_t begin, end;
    bool is_writable;
} fault_guard_range;

/* False for a slot that is free or changing. */
static bool fault_guard_look(const fault_guard *g, fault_guard_range *out) {
    /* acquire: pairs with the release in fault_guard_publish(). */
    uint64_t version = atomic_u64_load(&g->version, memory_order_acquire);
    if (version & 1)
        return false;
    /* acquire, here and below: pair with the releases in fault_guard_publish(). Who meets a range
     * that is being stored finds the version changed; no load below moves in front of these. */
    out->begin = atomic_u64_load(&g->begin, memory_order_acquire);
    out->end = atomic_u64_load(&g->end, memory_order_acquire);
    /* acquire: as above. */
    out->is_writable = atomic_u32_load(&g->is_writable, memory_order_acquire) != 0;
    /* relaxed: the acquires order it. */
    return atomic_u64_load(&g->version, memory_order_relaxed) == version;
}

static void fault_guard_withdraw(fault_guard *g) {
    /* relaxed: only changed under the mutex. */
    uint64_t version = atomic_u64_load(&g->version, memory_order_relaxed);
    DCHECK(version % 2 == 0);
    atomic_u64_store(&g->version, version + 1, memory_order_relaxed); /* relaxed: as above */
}

/* Calls `each` for the slots of all ranges there are until it returns true. */
static bool fault_guard_visit(bool (*each)(fault_guard *g, const fault_guard_range *range,
                                           void *context),
                              void *context) {
    /* acquire: pairs with the release in fault_guard_take_new_slot(). */
    uint64_t left = atomic_u64_load(&fault_guard_slots_used, memory_order_acquire);
    for (size_t b = 0; b < FAULT_GUARD_BLOCKS && left > 0; b++) {
        /* acquire: pairs with the release in fault_guard_take_new_slot(). */
        fault_guard *slots = atomic_ptr_load(&fault_guard_blocks[b], memory_order_acquire);
        uint64_t count = (uint64_t)FAULT_GUARD_BLOCK_SLOTS << b;
        for (uint64_t i = 0; i < count && i < left; i++) {
            fault_guard_range range;
            if (fault_guard_look(&slots[i], &range) && each(&slots[i], &range, context))
                return true;
        }
        left -= left < count ? left : count;
    }
    return false;
}

/* --- the signal --- */

typedef struct fault_guard_hit {
    uint64_t address;
    bool is_writable;
    bool is_ours;
} fault_guard_hit;

/* Marks every range that has the page: one file may be mapped to one place twice. */
static bool fault_guard_mark(fault_guard *g, const fault_guard_range *range, void *context) {
    fault_guard_hit *hit = context;
    if (hit->address < range->begin || hit->address >= range->end)
        return false;
    uint64_t none = 0;
    /* seq_cst: comes before the mmap() that makes the zeros visible, and pairs with the acquires in
     * fault_guard_has_faulted() and fault_guard_overlaps(). */
    (void)atomic_u64_cas(&g->fault, &none, hit->address, memory_order_seq_cst);
    hit->is_ours = true;
    hit->is_writable = hit->is_writable || range->is_writable;
    return false;
}

static bool fault_guard_replace_page(uint64_t address) {
    fault_guard_hit hit = {.address = address};
    (void)fault_guard_visit(fault_guard_mark, &hit);
    if (!hit.is_ours)
        return false;
    void *page = (void *)(uintptr_t)(address & ~(uint64_t)(fault_guard_page_bytes - 1));
    int protection = hit.is_writable ? PROT_READ | PROT_WRITE : PROT_READ;
    /* The system call itself: other threads may be storing to the page, which it allows, and a
     * sanitizer that stands in for mmap() would take it for a store of ours beside theirs. */
    return syscall(SYS_mmap, page, fault_guard_page_bytes, protection,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0L) != -1;
}

/* The access is repeated on return, and then nobody is there to catch it. */
static void fault_guard_let_die(bool is_sent) {
    struct sigaction fatal = {.sa_handler = SIG_DFL};
    (void)sigaction(SIGBUS, &fatal, NULL);
    if (is_sent)
        (void)raise(SIGBUS);
}

/* As if we were not there. */
static void fault_guard_pass_on(int signal_number, siginfo_t *info, void *context) {
    /* acquire: pairs with the release in fault_guard_install(). */
    const struct sigaction *previous = atomic_ptr_load(&fault_guard_previous, memory_order_acquire);
    bool is_sent = info->si_code <= 0; /* by kill(): nothing repeats it */
    uint64_t self = (uint64_t)gettid(), nobody = 0;
    /* relaxed and acquire alike: only this thread is told anything by its own id. */
    if (atomic_u64_load(&fault_guard_passing, memory_order_relaxed) == self) {
        /* We stand above and below the other handler, and neither knows the signal. */
        fault_guard_let_die(is_sent);
        return;
    }
    /* acquire: as above. */
    bool is_noted = atomic_u64_cas(&fault_guard_passing, &nobody, self, memory_order_acquire);
    if (previous->sa_flags & SA_SIGINFO)
        previous->sa_sigaction(signal_number, info, context);
    else if (previous->sa_handler == SIG_DFL || (previous->sa_handler == SIG_IGN && !is_sent))
        fault_guard_let_die(is_sent);
    else if (previous->sa_handler != SIG_IGN)
        previous->sa_handler(signal_number);
    if (is_noted)
        atomic_u64_store(&fault_guard_passing, 0, memory_order_relaxed); /* relaxed: as above */
}

static void fault_guard_on_signal(int signal_number, siginfo_t *info, void *context) {
    int kept = errno;
    bool is_done =
        info->si_code > 0 && fault_guard_replace_page((uint64_t)(uintptr_t)info->si_addr);
    if (!is_done)
        fault_guard_pass_on(signal_number, info, context);
    errno = kept;
}

/* --- ranges --- */

/* Also where somebody took the handler away again, as test frameworks do. One who left ours below
 * his own is asked before us from now on, and passes on what he does not know as before. */
static status fault_guard_install(void) {
    struct sigaction found, ours = {.sa_sigaction = fault_guard_on_signal,
                                    .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    sigemptyset(&ours.sa_mask);
    if (sigaction(SIGBUS, NULL, &found) != 0)
        goto failed;
    if (found.sa_flags & SA_SIGINFO && found.sa_sigaction == fault_guard_on_signal)
        return STATUS_OK;
    fault_guard_page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    size_t at = fault_guard_known_count++ % (sizeof fault_guard_known / sizeof *fault_guard_known);
    fault_guard_known[at] = found;
    /* release: pairs with the acquire in fault_guard_pass_on(). */
    atomic_ptr_store(&fault_guard_previous, &fault_guard_known[at], memory_order_release);
    if (sigaction(SIGBUS, &ours, NULL) == 0)
        return STATUS_OK;
failed:
    return error_status(FIRN_IO_ERROR, "cannot catch faults of mapped files (errno %d)", errno);
}

/* The next slot that never was in use. */
static status fault_guard_take_new_slot(fault_guard **out) {
    /* relaxed: only changed under the mutex. */
    uint64_t number = atomic_u64_load(&fault_guard_slots_used, memory_order_relaxed), at = number;
    size_t b = 0;
    for (; b < FAULT_GUARD_BLOCKS && at >= (uint64_t)FAULT_GUARD_BLOCK_SLOTS << b; b++)
        at -= (uint64_t)FAULT_GUARD_BLOCK_SLOTS << b;
    if (b == FAULT_GUARD_BLOCKS)
        return error_status(FIRN_NO_MEMORY, "too many mapped files");
    /* relaxed: as above. */
    fault_guard *slots = atomic_ptr_load(&fault_guard_blocks[b], memory_order_relaxed);
    if (!slots) {
        size_t bytes = ((size_t)FAULT_GUARD_BLOCK_SLOTS << b) * sizeof *slots;
        slots = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (slots == MAP_FAILED)
            return error_status(FIRN_NO_MEMORY, "no memory to guard a mapped file");
        /* release: pairs with the acquire in fault_guard_visit(). */
        atomic_ptr_store(&fault_guard_blocks[b], slots, memory_order_release);
    }
    /* relaxed: nobody looks at it yet; odd is free. */
    atomic_u64_store(&slots[at].version, 1, memory_order_relaxed);
    /* release: pairs with the acquire in fault_guard_visit(). */
    atomic_u64_store(&fault_guard_slots_used, number + 1, memory_order_release);
    *out = &slots[at];
    return STATUS_OK;
}

static void fault_guard_publish(fault_guard *g, const fault_guard_range *range, const void *first,
                                char *const *name) {
    /* release, all of them: pair with the acquires in fault_guard_look(), behind the odd version.
     */
    atomic_u64_store(&g->begin, range->begin, memory_order_release);
    atomic_u64_store(&g->end, range->end, memory_order_release);
    atomic_u32_store(&g->is_writable, range->is_writable, memory_order_release);
    /* relaxed: only read once the version below is seen. */
    atomic_u64_store(&g->first, (uint64_t)(uintptr_t)first, memory_order_relaxed);
    atomic_ptr_store(&g->name, (void *)(uintptr_t)name, memory_order_relaxed);
    /* relaxed: as above. */
    atomic_u64_store(&g->fault, 0, memory_order_relaxed);
    uint64_t version = atomic_u64_load(&g->version, memory_order_relaxed);
    DCHECK(version % 2 == 1);
    /* release: pairs with the acquire in fault_guard_look(). */
    atomic_u64_store(&g->version, version + 1, memory_order_release);
}

FIRN_INTERNAL status fault_guard_add(const void *address, size_t bytes, bool is_writable,
                                     char *const *name, fault_guard **out) {
    status st = STATUS_OK;
    fault_guard *g = NULL;
    *out = NULL;
    CHECK(pthread_mutex_lock(&fault_guard_mutex) == 0);
    TRY(fault_guard_install());
    g = fault_guard_free;
    if (g)
        fault_guard_free = g->next_free;
    else
        TRY(fault_guard_take_new_slot(&g));
    uint64_t page_mask = fault_guard_page_bytes - 1, begin = (uint64_t)(uintptr_t)address;
    fault_guard_range range = {.begin = begin & ~page_mask,
                               .end = (begin + bytes + page_mask) & ~page_mask,
                               .is_writable = is_writable};
    fault_guard_publish(g, &range, address, name);
    *out = g;
out:
    CHECK(pthread_mutex_unlock(&fault_guard_mutex) == 0);
    return st;
}

FIRN_INTERNAL void fault_guard_remove(fault_guard *guard) {
    if (!guard)
        return;
    CHECK(pthread_mutex_lock(&fault_guard_mutex) == 0);
    fault_guard_withdraw(guard);
    guard->next_free = fault_guard_free;
    fault_guard_free = guard;
    CHECK(pthread_mutex_unlock(&fault_guard_mutex) == 0);
}

FIRN_INTERNAL bool fault_guard_has_faulted(const fault_guard *guard, size_t *distance) {
    /* acquire: pairs with the exchange in fault_guard_mark(). */
    uint64_t fault = atomic_u64_load(&guard->fault, memory_order_acquire);
    /* relaxed: set before the caller had the guard. */
    uint64_t first = atomic_u64_load(&guard->first, memory_order_relaxed);
    *distance = fault > first ? (size_t)(fault - first) : 0;
    return fault != 0;
}

typedef struct fault_guard_query {
    uint64_t begin, end;
    char *const *name;
} fault_guard_query;

static bool fault_guard_overlaps(fault_guard *g, const fault_guard_range *range, void *context) {
    fault_guard_query *query = context;
    /* acquire: pairs with the exchange in fault_guard_mark(). */
    if (query->begin >= range->end || query->end <= range->begin ||
        atomic_u64_load(&g->fault, memory_order_acquire) == 0)
        return false;
    query->name = atomic_ptr_load(&g->name, memory_order_relaxed); /* relaxed: the range stays */
    return true;
}

FIRN_INTERNAL status fault_guard_check(const void *address, size_t bytes) {
    uint64_t begin = (uint64_t)(uintptr_t)address;
    fault_guard_query query = {.begin = begin, .end = begin + bytes};
    if (LIKELY(!fault_guard_visit(fault_guard_overlaps, &query)))
        return STATUS_OK;
    return error_status(FIRN_IO_ERROR,
                        "a part of '%s' that is used through a mapping cannot be had: the file was "
                        "cut short or its device failed",
                        *query.name);
}
