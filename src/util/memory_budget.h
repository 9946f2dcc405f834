/* util/memory_budget.h - the account of all memory that an open database holds.
 *
 * Purpose:    whoever keeps memory charges it here by kind and releases it again, so that the sum
 *             stays within the limit. Three classes give way in this order. The block cache gets
 *             what the others leave (the rest), and is told whenever that has changed by a
 *             sixty-fourth of the limit. Readers (memory_budget_try_charge) are refused with
 *             NO_MEMORY once three sixteenths are left: the cache's last one, and what jobs and the
 *             tables they open take beside whatever readers hold. What must go on for
 *             memory to be freed at all (memtables, flushes, compactions, the log) is charged and
 *             never refused; whoever makes it grow waits or refuses beforehand. The reserve is
 *             what memtables and log usually take: it is theirs, charged yet or not, so that
 *             neither a cache has to shrink at each memtable nor readers can keep writers out.
 * Invariants: a kind is never released below zero. What is charged may be more than is touched yet
 *             (arenas, windows), never less.
 * Threads:    all functions may be called at once, also under locks other than those of the cache
 *             that is told. An atomic addition on a shared line: for what is charged in pieces of
 *             kilobytes, not for each entry.
 * Lifetime:   in place; outlives everybody who charges it. Everywhere a NULL budget is one without
 *             a limit that nobody keeps.
 * Not:        an allocator. Pages of mapped files, tables and log, are the system's and are not
 *             charged. */
#ifndef FIRN_UTIL_MEMORY_BUDGET_H
#define FIRN_UTIL_MEMORY_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/status.h"
#include "platform/thread.h"

typedef enum memory_kind {
    MEMORY_MEMTABLES, /* arenas, those of flushed memtables that readers keep alive included */
    MEMORY_SPARE,     /* arenas that wait for the next memtable */
    MEMORY_LOG,       /* the buffer that records are written through */
    MEMORY_TABLES,    /* indexes and filters of open tables */
    MEMORY_JOBS,      /* what flushes and compactions read and write through */
    MEMORY_READERS,   /* what iterators and values hold beside the block cache */
    MEMORY_PINS,      /* blocks of the block cache that iterators and values hold there; they count
                         as the cache's, so the rest is not less for them */
    MEMORY_KIND_COUNT
} memory_kind;

typedef struct memory_budget {
    /* set at birth */
    uint64_t limit, reserve;
    void (*tell)(void *context, uint64_t rest); /* NULL: nobody */
    void *context;

    atomic_u64 charged[MEMORY_KIND_COUNT];
    atomic_u64 told;     /* what others than the cache had as of the last call of `tell` */
    atomic_u64 refusals; /* since birth */
    mutex telling;       /* one call of `tell` at a time, so that the last one is right */
} memory_budget;

/* `tell` gets what is left for the cache; it may be called from any charge or release. */
FIRN_INTERNAL void memory_budget_init(memory_budget *b, uint64_t limit, uint64_t reserve,
                                      void (*tell)(void *context, uint64_t rest), void *context);
/* Nothing may be charged any more: whoever forgot a release is found here. */
FIRN_INTERNAL void memory_budget_deinit(memory_budget *b);

FIRN_INTERNAL void memory_budget_charge(memory_budget *b, memory_kind kind, uint64_t bytes);
/* NO_MEMORY, with the account in the detail, when it does not fit; then nothing is charged. */
FIRN_INTERNAL NODISCARD status memory_budget_try_charge(memory_budget *b, memory_kind kind,
                                                        uint64_t bytes);
FIRN_INTERNAL void memory_budget_release(memory_budget *b, memory_kind kind, uint64_t bytes);
/* From `from` bytes to `to`: a charge or a release of the difference. */
FIRN_INTERNAL void memory_budget_adjust(memory_budget *b, memory_kind kind, uint64_t from,
                                        uint64_t to);
/* What was of one kind is of another from now on; neither is MEMORY_PINS. */
FIRN_INTERNAL void memory_budget_move(memory_budget *b, memory_kind from, memory_kind to,
                                      uint64_t bytes);

/* The error of who wants memory when there is none left: says who holds what, and what to do. */
FIRN_INTERNAL status memory_budget_refuse(memory_budget *b);
/* What is left for the block cache: of what nobody else holds, or of a sixteenth of the limit if
 * that is more, all but a sixteenth, which the heap loses between blocks that come and go.
 * UINT64_MAX without a budget. */
FIRN_INTERNAL uint64_t memory_budget_rest(const memory_budget *b);
/* Whether what the cache cannot give and no job's end will give is beyond the limit. */
FIRN_INTERNAL bool memory_budget_is_exhausted(const memory_budget *b);
/* Whether memtables and log are beyond their half, spare arenas counted or not. However much the
 * log holds, three quarters of the half are the memtables'. */
FIRN_INTERNAL bool memory_budget_is_write_half_full(const memory_budget *b, bool with_spare);
FIRN_INTERNAL uint64_t memory_budget_charged(const memory_budget *b, memory_kind kind);
FIRN_INTERNAL uint64_t memory_budget_refusals(const memory_budget *b);
FIRN_INTERNAL const char *memory_kind_name(memory_kind kind);
#endif
