/* Allocation is one relaxed fetch-add on the current block's `used`. A block whose counter has run
 * past its capacity is full for ever; whoever notices adds the next one under the lock, and the
 * bytes left at the end are lost. Requests over a quarter of a block get a block of their own,
 * so that at most a quarter of a block is lost that way. */
#include "util/arena.h"

#include <string.h>

#include "base/atomic.h"
#include "base/check.h"
#include "base/sole.h"
#include "platform/memory.h"
#include "platform/thread.h"

#include "base/poison.h"

enum {
    ARENA_ALIGNMENT = 8,
    ARENA_BLOCK_BYTES_MIN = 1024,
    ARENA_PAGE_BYTES = 4096,
    /* From here on a block consists of pages straight from the system, huge where that works. */
    ARENA_MAPPED_BYTES_MIN = 128 << 10
};

typedef struct arena_block {
    struct arena_block *next; /* set at birth */
    uint64_t bytes;           /* with this header; set at birth */
    atomic_u64 used;          /* with this header; beyond `bytes` when full */
    uint64_t reserved;        /* keeps what follows 16-byte aligned */
} arena_block;

struct arena_pool {
    size_t block_bytes;       /* set at birth */
    uint64_t spare_bytes_max; /* set at birth */
    memory_budget *budget;    /* set at birth; not told under the mutex */
    atomic_u32 references;
    mutex guard;        /* all below; a leaf */
    arena_block *spare; /* last given back, first taken: the warmest */
    arena_pool_stats stats;
};

struct arena {
    size_t block_bytes;  /* set at birth */
    arena_pool *pool;    /* set at birth; one reference, or NULL */
    atomic_ptr current;  /* arena_block *; stored under the mutex */
    atomic_u64 bytes;    /* sum over all blocks and this struct */
    mutex mutex;         /* guards `blocks` and replacing `current` */
    arena_block *blocks; /* all of them, for arena_free */
};

static size_t arena_block_bytes(size_t wanted) {
    if (wanted < ARENA_BLOCK_BYTES_MIN)
        return ARENA_BLOCK_BYTES_MIN;
    return wanted < ARENA_MAPPED_BYTES_MIN ? wanted : wanted & ~(size_t)(ARENA_PAGE_BYTES - 1);
}

static arena_block *arena_block_new(size_t bytes) {
    return bytes >= ARENA_MAPPED_BYTES_MIN ? memory_map_pages(bytes) : memory_new(bytes);
}

static void arena_block_free(arena_block *block) {
    if (block->bytes >= ARENA_MAPPED_BYTES_MIN)
        memory_unmap_pages(block, (size_t)block->bytes);
    else
        memory_free(block);
}

/* --- the pool --- */

FIRN_INTERNAL arena_pool *arena_pool_new(size_t block_bytes, uint64_t spare_bytes_max,
                                         memory_budget *budget) {
    arena_pool *pool = memory_new_zeroed(sizeof *pool);
    if (!pool)
        return NULL;
    pool->block_bytes = arena_block_bytes(block_bytes);
    pool->spare_bytes_max = spare_bytes_max;
    pool->budget = budget;
    atomic_u32_init(&pool->references, 1);
    mutex_init(&pool->guard);
    return pool;
}

FIRN_INTERNAL void arena_pool_ref(arena_pool *pool) {
    /* relaxed: the caller has a reference. */
    uint32_t before = atomic_u32_add(&pool->references, 1, memory_order_relaxed);
    CHECK(before > 0 && before < UINT32_MAX);
}

FIRN_INTERNAL void arena_pool_unref(arena_pool *pool) {
    /* acq_rel: each release pairs with the acquire of the last, which frees after all use. */
    if (!pool || atomic_u32_sub(&pool->references, 1, memory_order_acq_rel) != 1)
        return;
    arena_pool_trim(pool);
    CHECK(pool->stats.used_bytes == 0);
    mutex_deinit(&pool->guard);
    memory_free(pool);
}

FIRN_INTERNAL void arena_pool_trim(arena_pool *pool) {
    mutex_lock(&pool->guard);
    arena_block *block = pool->spare;
    uint64_t bytes = pool->stats.spare_bytes;
    pool->spare = NULL;
    pool->stats.spare_bytes = 0;
    mutex_unlock(&pool->guard);
    memory_budget_release(pool->budget, MEMORY_SPARE, bytes);
    while (block) {
        memory_allow(block, pool->block_bytes);
        arena_block *next = block->next;
        arena_block_free(block);
        block = next;
    }
}

FIRN_INTERNAL void arena_pool_get_stats(arena_pool *pool, arena_pool_stats *out) {
    mutex_lock(&pool->guard);
    *out = pool->stats;
    mutex_unlock(&pool->guard);
}

/* A block whose `next` and `used` are still to be set; NULL when memory is short. */
static arena_block *arena_pool_take(arena_pool *pool, size_t bytes, bool may_be_used) {
    mutex_lock(&pool->guard);
    arena_block *block = may_be_used ? pool->spare : NULL;
    DCHECK(!may_be_used || bytes == pool->block_bytes);
    if (block) {
        memory_allow(block, bytes);
        pool->spare = block->next;
        pool->stats.spare_bytes -= bytes;
        pool->stats.recycled++;
        pool->stats.used_bytes += bytes;
    }
    mutex_unlock(&pool->guard);
    if (block) {
        memory_budget_move(pool->budget, MEMORY_SPARE, MEMORY_MEMTABLES, bytes);
        return block;
    }
    /* Charged first: the cache has made room before the pages are touched. */
    memory_budget_charge(pool->budget, MEMORY_MEMTABLES, bytes);
    block = arena_block_new(bytes);
    if (!block) {
        memory_budget_release(pool->budget, MEMORY_MEMTABLES, bytes);
        return NULL;
    }
    mutex_lock(&pool->guard);
    pool->stats.fresh++;
    pool->stats.used_bytes += bytes;
    mutex_unlock(&pool->guard);
    return block;
}

static void arena_pool_give(arena_pool *pool, arena_block *block) {
    size_t bytes = (size_t)block->bytes;
    mutex_lock(&pool->guard);
    pool->stats.used_bytes -= bytes;
    bool keep =
        bytes == pool->block_bytes && pool->stats.spare_bytes + bytes <= pool->spare_bytes_max;
    if (keep) {
        block->next = pool->spare;
        pool->spare = block;
        pool->stats.spare_bytes += bytes;
        memory_forbid(block, bytes);
    }
    mutex_unlock(&pool->guard);
    if (keep) {
        memory_budget_move(pool->budget, MEMORY_MEMTABLES, MEMORY_SPARE, bytes);
    } else {
        arena_block_free(block);
        memory_budget_release(pool->budget, MEMORY_MEMTABLES, bytes);
    }
}

static void arena_pool_charge(arena_pool *pool, uint64_t bytes) {
    mutex_lock(&pool->guard);
    pool->stats.used_bytes += bytes;
    mutex_unlock(&pool->guard);
    memory_budget_charge(pool->budget, MEMORY_MEMTABLES, bytes);
}

static void arena_pool_discharge(arena_pool *pool, uint64_t bytes) {
    mutex_lock(&pool->guard);
    pool->stats.used_bytes -= bytes;
    mutex_unlock(&pool->guard);
    memory_budget_release(pool->budget, MEMORY_MEMTABLES, bytes);
}

/* --- the arena --- */

static arena *arena_new_of(size_t block_bytes, arena_pool *pool) {
    arena *a = memory_new_zeroed(sizeof *a);
    if (!a)
        return NULL;
    a->block_bytes = block_bytes;
    a->pool = pool;
    if (pool) {
        arena_pool_ref(pool);
        arena_pool_charge(pool, sizeof *a);
    }
    atomic_ptr_init(&a->current, NULL);
    atomic_u64_init(&a->bytes, sizeof *a);
    mutex_init(&a->mutex);
    return a;
}

FIRN_INTERNAL arena *arena_new(size_t block_bytes) {
    return arena_new_of(arena_block_bytes(block_bytes), NULL);
}

FIRN_INTERNAL arena *arena_new_pooled(arena_pool *pool) {
    return arena_new_of(pool->block_bytes, pool);
}

FIRN_INTERNAL void arena_free(arena *a) {
    if (!a)
        return;
    arena_block *block = a->blocks;
    while (block) {
        arena_block *next = block->next;
        if (a->pool)
            arena_pool_give(a->pool, block);
        else
            arena_block_free(block);
        block = next;
    }
    if (a->pool)
        arena_pool_discharge(a->pool, sizeof *a);
    arena_pool_unref(a->pool);
    mutex_deinit(&a->mutex);
    memory_free(a);
}

/* A block of `bytes` in all whose first `used` bytes are taken, header included; NULL when memory
 * is short. */
static arena_block *arena_add_block_locked(arena *a, size_t bytes, size_t used) {
    mutex_assert_held(&a->mutex);
    DCHECK(used >= sizeof(arena_block) && used <= bytes);
    bool ordinary = used == sizeof(arena_block);
    arena_block *block =
        a->pool ? arena_pool_take(a->pool, bytes, ordinary) : arena_block_new(bytes);
    if (!block)
        return NULL;
    block->next = a->blocks;
    block->bytes = bytes;
    atomic_u64_init(&block->used, used);
    block->reserved = 0;
    a->blocks = block;
    /* relaxed: a counter that orders nothing; arena_bytes reads some recent value. */
    (void)atomic_u64_add(&a->bytes, bytes, memory_order_relaxed);
    return block;
}

static void *arena_allocate_alone(arena *a, size_t rounded) {
    if (rounded > SIZE_MAX / 2)
        return NULL;
    size_t used = sizeof(arena_block) + rounded;
    size_t bytes = used;
    if (bytes >= ARENA_MAPPED_BYTES_MIN)
        bytes = (bytes + ARENA_PAGE_BYTES - 1) & ~(size_t)(ARENA_PAGE_BYTES - 1);
    mutex_lock(&a->mutex);
    arena_block *block = arena_add_block_locked(a, bytes, used);
    mutex_unlock(&a->mutex);
    return block ? block + 1 : NULL;
}

/* Replaces `full` as the current block unless another thread has done so already. */
static bool arena_replace_current(arena *a, const arena_block *full) {
    bool replaced = true;
    mutex_lock(&a->mutex);
    /* relaxed: only stored under the mutex held here. */
    if (atomic_ptr_load(&a->current, memory_order_relaxed) == full) {
        arena_block *block = arena_add_block_locked(a, a->block_bytes, sizeof(arena_block));
        replaced = block != NULL;
        /* release: pairs with the acquire in arena_allocate, which then sees the header. */
        if (block)
            atomic_ptr_store(&a->current, block, memory_order_release);
    }
    mutex_unlock(&a->mutex);
    return replaced;
}

FIRN_INTERNAL void *arena_allocate(arena *a, size_t bytes) {
    return arena_allocate_by(a, bytes, false);
}

FIRN_INTERNAL void *arena_allocate_by(arena *a, size_t bytes, bool sole) {
    if (bytes > SIZE_MAX / 2)
        return NULL;
    size_t rounded = (bytes + ARENA_ALIGNMENT - 1) & ~(size_t)(ARENA_ALIGNMENT - 1);
    if (rounded == 0)
        rounded = ARENA_ALIGNMENT; /* so that any two results differ */
    if (rounded > a->block_bytes / 4)
        return arena_allocate_alone(a, rounded);
    for (;;) {
        /* acquire: pairs with the release in arena_replace_current. */
        arena_block *block = atomic_ptr_load(&a->current, memory_order_acquire);
        if (LIKELY(block)) {
            /* Relaxed: atomicity alone keeps ranges apart; who publishes what it wrote into its
             * range orders that itself. The counter cannot wrap: each attempt on a full block adds
             * at most a quarter block and goes on to replace it. */
            uint64_t offset = sole_add_u64(sole, &block->used, rounded);
            if (LIKELY(offset + rounded <= block->bytes))
                return (uint8_t *)block + offset;
        }
        if (!arena_replace_current(a, block))
            return NULL;
    }
}

FIRN_INTERNAL void *arena_allocate_zeroed(arena *a, size_t bytes) {
    void *memory = arena_allocate(a, bytes);
    /* Pages that come from the system for this piece alone are zeroed, and need not be touched: a
     * request that large never lies in an ordinary block, which may have been used before. */
    if (memory && (bytes < ARENA_MAPPED_BYTES_MIN || bytes <= a->block_bytes / 4))
        memset(memory, 0, bytes);
    return memory;
}

FIRN_INTERNAL uint64_t arena_bytes(const arena *a) {
    /* relaxed: see arena_add_block_locked. */
    return atomic_u64_load(&a->bytes, memory_order_relaxed);
}
