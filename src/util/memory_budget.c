#include "util/memory_budget.h"

#include "base/check.h"
#include "platform/error_detail.h"

#include "base/poison.h"

/* Parts of the limit: what the cache keeps whatever happens, and what is too little to tell it; and
 * of the cache's part, what the heap loses between blocks that come and go. */
enum { MEMORY_BUDGET_FLOOR_PART = 16, MEMORY_BUDGET_STEP_PART = 64, MEMORY_BUDGET_HEAP_PART = 16 };
/* Floors that readers must leave: the cache's, and two for the jobs and tables that come beside
 * them, which nobody refuses. */
enum { MEMORY_BUDGET_READER_FLOORS = 3 };

static const char *const memory_kind_names[MEMORY_KIND_COUNT] = {
    "memtables", "spare arenas", "log", "tables", "jobs", "iterators and values", "pinned blocks",
};

FIRN_INTERNAL const char *memory_kind_name(memory_kind kind) {
    return memory_kind_names[kind];
}

FIRN_INTERNAL void memory_budget_init(memory_budget *b, uint64_t limit, uint64_t reserve,
                                      void (*tell)(void *context, uint64_t rest), void *context) {
    *b = (memory_budget){.limit = limit, .reserve = reserve, .tell = tell, .context = context};
    for (int i = 0; i < MEMORY_KIND_COUNT; i++)
        atomic_u64_init(&b->charged[i], 0);
    atomic_u64_init(&b->told, reserve);
    atomic_u64_init(&b->refusals, 0);
    mutex_init(&b->telling);
}

FIRN_INTERNAL void memory_budget_deinit(memory_budget *b) {
    for (int i = 0; i < MEMORY_KIND_COUNT; i++)
        DCHECK(memory_budget_charged(b, (memory_kind)i) == 0);
    mutex_deinit(&b->telling);
}

/* relaxed: a number, whose changes order nothing. */
FIRN_INTERNAL uint64_t memory_budget_charged(const memory_budget *b, memory_kind kind) {
    return atomic_u64_load(&b->charged[kind], memory_order_relaxed);
}

FIRN_INTERNAL uint64_t memory_budget_refusals(const memory_budget *b) {
    return atomic_u64_load(&b->refusals, memory_order_relaxed); /* relaxed: as above */
}

static uint64_t memory_budget_floor(const memory_budget *b) {
    return b->limit / MEMORY_BUDGET_FLOOR_PART;
}

/* What others than the cache have, the reserve included.
 *
 * seq_cst: pairs with memory_budget_watch. Of somebody who charges and then looks at `told`, and
 * somebody who stores `told` and then sums up, one sees what the other did. */
static uint64_t memory_budget_taken(const memory_budget *b) {
    uint64_t writes = 0, others = 0;
    for (int i = 0; i < MEMORY_KIND_COUNT; i++) {
        uint64_t bytes = atomic_u64_load(&b->charged[i], memory_order_seq_cst);
        if (i <= MEMORY_LOG)
            writes += bytes;
        else if (i != MEMORY_PINS)
            others += bytes;
    }
    return others + (writes > b->reserve ? writes : b->reserve);
}

static uint64_t memory_budget_rest_beside(const memory_budget *b, uint64_t taken) {
    uint64_t floor = memory_budget_floor(b);
    uint64_t rest = taken + floor < b->limit ? b->limit - taken : floor;
    return rest - rest / MEMORY_BUDGET_HEAP_PART;
}

FIRN_INTERNAL uint64_t memory_budget_rest(const memory_budget *b) {
    return b ? memory_budget_rest_beside(b, memory_budget_taken(b)) : UINT64_MAX;
}

FIRN_INTERNAL bool memory_budget_is_exhausted(const memory_budget *b) {
    uint64_t held = 0;
    for (int i = 0; b && i < MEMORY_KIND_COUNT; i++)
        held += i == MEMORY_JOBS ? 0 : memory_budget_charged(b, (memory_kind)i);
    return b && held > b->limit;
}

FIRN_INTERNAL bool memory_budget_is_write_half_full(const memory_budget *b, bool with_spare) {
    if (!b)
        return false;
    uint64_t log = memory_budget_charged(b, MEMORY_LOG), log_most = b->limit / 8;
    return memory_budget_charged(b, MEMORY_MEMTABLES) + (log < log_most ? log : log_most) +
               (with_spare ? memory_budget_charged(b, MEMORY_SPARE) : 0) >
           b->limit / 2;
}

static bool memory_budget_has_moved(memory_budget *b, uint64_t taken) {
    /* seq_cst: as in memory_budget_taken. */
    uint64_t told = atomic_u64_load(&b->told, memory_order_seq_cst);
    uint64_t moved = taken > told ? taken - told : told - taken;
    return moved >= b->limit / MEMORY_BUDGET_STEP_PART;
}

/* Tells the cache what is left if that has changed much since it was told last. */
static void memory_budget_watch(memory_budget *b) {
    if (!b->tell || LIKELY(!memory_budget_has_moved(b, memory_budget_taken(b))))
        return;
    mutex_lock(&b->telling);
    uint64_t taken = memory_budget_taken(b);
    while (memory_budget_has_moved(b, taken)) {
        /* seq_cst: as in memory_budget_taken. */
        atomic_u64_store(&b->told, taken, memory_order_seq_cst);
        b->tell(b->context, memory_budget_rest_beside(b, taken));
        taken = memory_budget_taken(b);
    }
    mutex_unlock(&b->telling);
}

FIRN_INTERNAL void memory_budget_charge(memory_budget *b, memory_kind kind, uint64_t bytes) {
    if (!b || bytes == 0)
        return;
    /* seq_cst: as in memory_budget_taken. */
    (void)atomic_u64_add(&b->charged[kind], bytes, memory_order_seq_cst);
    if (kind != MEMORY_PINS)
        memory_budget_watch(b);
}

FIRN_INTERNAL void memory_budget_release(memory_budget *b, memory_kind kind, uint64_t bytes) {
    if (!b || bytes == 0)
        return;
    /* seq_cst: as in memory_budget_taken. */
    uint64_t before = atomic_u64_sub(&b->charged[kind], bytes, memory_order_seq_cst);
    DCHECK(before >= bytes);
    (void)before;
    if (kind != MEMORY_PINS)
        memory_budget_watch(b);
}

FIRN_INTERNAL void memory_budget_adjust(memory_budget *b, memory_kind kind, uint64_t from,
                                        uint64_t to) {
    if (to > from)
        memory_budget_charge(b, kind, to - from);
    else
        memory_budget_release(b, kind, from - to);
}

FIRN_INTERNAL void memory_budget_move(memory_budget *b, memory_kind from, memory_kind to,
                                      uint64_t bytes) {
    DCHECK(from != MEMORY_PINS && to != MEMORY_PINS);
    if (!b)
        return;
    /* seq_cst: as in memory_budget_taken. Added first: for a moment it counts twice, never not. */
    (void)atomic_u64_add(&b->charged[to], bytes, memory_order_seq_cst);
    (void)atomic_u64_sub(&b->charged[from], bytes, memory_order_seq_cst); /* seq_cst: as above */
}

FIRN_INTERNAL status memory_budget_refuse(memory_budget *b) {
    unsigned long long mib[MEMORY_KIND_COUNT];
    (void)atomic_u64_add(&b->refusals, 1, memory_order_relaxed); /* relaxed: a statistic */
    for (int i = 0; i < MEMORY_KIND_COUNT; i++)
        mib[i] = (memory_budget_charged(b, (memory_kind)i) + (1u << 19)) >> 20;
    return error_status(
        FIRN_NO_MEMORY,
        "memory_bytes, %llu MiB, is used up: memtables %llu MiB (iterators keep flushed ones "
        "alive), iterators and values %llu, pinned blocks %llu, indexes and filters %llu, log "
        "%llu, jobs %llu; free or refresh iterators, release values, or raise memory_bytes",
        (unsigned long long)(b->limit >> 20), mib[MEMORY_MEMTABLES] + mib[MEMORY_SPARE],
        mib[MEMORY_READERS], mib[MEMORY_PINS], mib[MEMORY_TABLES], mib[MEMORY_LOG],
        mib[MEMORY_JOBS]);
}

/* Charged first and taken back if it was too much: two who come at once cannot both get the last
 * bytes, at worst neither does. */
FIRN_INTERNAL status memory_budget_try_charge(memory_budget *b, memory_kind kind, uint64_t bytes) {
    if (!b || bytes == 0)
        return STATUS_OK;
    DCHECK(kind == MEMORY_READERS || kind == MEMORY_PINS);
    memory_budget_charge(b, kind, bytes);
    uint64_t held = memory_budget_taken(b) + memory_budget_charged(b, MEMORY_PINS);
    if (LIKELY(held <= b->limit - MEMORY_BUDGET_READER_FLOORS * memory_budget_floor(b)))
        return STATUS_OK;
    memory_budget_release(b, kind, bytes);
    return memory_budget_refuse(b);
}
