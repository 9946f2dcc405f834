/* The heap of the code under test, and a race detector over it and the model threads' stacks.
 *
 * Plain accesses come in through the calls that -fsanitize=thread puts into the code (the runtime
 * of that sanitizer is not linked: the functions it wants are at the end of this file), as
 * FastTrack checks them (Flanagan and Freund, PLDI 2009), in cells of 4 bytes. Memory is never
 * given out twice in a schedule, so whoever uses freed memory is caught; freeing counts as writing,
 * so that even a use that came earlier in this schedule must be ordered before.
 *
 * Every model thread has a heap of its own, so that addresses depend on nothing but what that
 * thread did. */
#include "explore/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "platform/memory.h"

enum {
    MEMORY_HEAP_BYTES = 1 << 19,
    MEMORY_STACK_BYTES = 1 << 17,
    MEMORY_SLICE_BYTES = MEMORY_HEAP_BYTES + MEMORY_STACK_BYTES,
    MEMORY_BYTES = MEMORY_SLICE_BYTES * ENGINE_THREADS_MAX,
    MEMORY_CELL_BYTES = 4,
    MEMORY_NAMES_MAX = 128,
    MEMORY_SCENARIOS_MAX = 16,
    MEMORY_ADDRESS_BASE = 1 << 30, /* fixed, so that traces of two runs can be compared */
    MEMORY_HEADER_BYTES = 16
};

typedef enum memory_state { MEMORY_IN_USE, MEMORY_BLANK, MEMORY_FREED } memory_state;

typedef struct memory_cell {
    uint16_t write_time, read_time[ENGINE_THREADS_MAX];
    uint16_t location; /* of the atomic that begins here */
    uint8_t write_thread;
    uint8_t state; /* a memory_state */
} memory_cell;

typedef struct memory_name {
    const uint8_t *begin;
    size_t bytes;
    const char *name;
} memory_name;

static struct {
    uint8_t *base;
    memory_cell cells[MEMORY_BYTES / MEMORY_CELL_BYTES];
    uint8_t *used[ENGINE_THREADS_MAX];       /* end of what is in use of each heap */
    uintptr_t stack_low[ENGINE_THREADS_MAX]; /* lowest byte of the stack that was touched */
    uint64_t live;
    memory_name names[MEMORY_NAMES_MAX];
    uint32_t name_count;

    /* Over all schedules of a scenario: bit t: thread t used the cell; top bit: somebody wrote. */
    uint8_t *sharing, *sharing_of[MEMORY_SCENARIOS_MAX];
    bool grew;
} memory;

enum { MEMORY_WRITTEN = 0x80 };

static bool memory_contains(const void *address) {
    return memory.base && (uintptr_t)address - (uintptr_t)memory.base < MEMORY_BYTES;
}

static memory_cell *memory_cell_of(const void *address) {
    return &memory.cells[((uintptr_t)address - (uintptr_t)memory.base) / MEMORY_CELL_BYTES];
}

static uint8_t *memory_heap(uint32_t thread) {
    return memory.base + (size_t)thread * MEMORY_SLICE_BYTES;
}

static void memory_map_once(void) {
    if (memory.base)
        return;
    void *at = mmap((void *)(uintptr_t)MEMORY_ADDRESS_BASE, MEMORY_BYTES, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (at == MAP_FAILED) {
        perror("explore: mmap");
        exit(2);
    }
    memory.base = at;
    for (uint32_t i = 0; i < ENGINE_THREADS_MAX; i++) {
        memory.used[i] = memory_heap(i);
        memory.stack_low[i] = (uintptr_t)memory_heap(i) + MEMORY_SLICE_BYTES;
    }
}

static void memory_clear_cells(uintptr_t begin, uintptr_t end) {
    memory_cell *first = memory_cell_of((const void *)begin);
    size_t count = (end - begin + MEMORY_CELL_BYTES - 1) / MEMORY_CELL_BYTES;
    memset(first, 0, count * sizeof *first);
}

void memory_model_reset(void) {
    memory_map_once();
    for (uint32_t i = 0; i < ENGINE_THREADS_MAX; i++) {
        uint8_t *heap = memory_heap(i);
        uintptr_t top = (uintptr_t)heap + MEMORY_SLICE_BYTES;
        memory_clear_cells((uintptr_t)heap, (uintptr_t)memory.used[i]);
        if (memory.stack_low[i] < top)
            memory_clear_cells(memory.stack_low[i], top);
        memory.used[i] = heap;
        memory.stack_low[i] = top;
    }
    memory.live = 0;
    memory.name_count = 0;
}

void *memory_model_stack(uint32_t thread, size_t *bytes) {
    *bytes = MEMORY_STACK_BYTES;
    return memory_heap(thread) + MEMORY_HEAP_BYTES;
}

uint16_t *memory_model_location(const void *address) {
    return memory_contains(address) ? &memory_cell_of(address)->location : NULL;
}

/* --- names --- */

void explore_name(const void *address, size_t bytes, const char *name) {
    if (memory.name_count < MEMORY_NAMES_MAX)
        memory.names[memory.name_count++] = (memory_name){address, bytes, name};
}

const char *memory_model_describe(const void *address) {
    static char text[2][80];
    static uint32_t turn;
    char *out = text[turn++ % 2];
    const uint8_t *at = address;
    for (uint32_t i = memory.name_count; i-- > 0;) {
        const memory_name *n = &memory.names[i];
        if ((uintptr_t)at - (uintptr_t)n->begin >= n->bytes)
            continue;
        snprintf(out, sizeof text[0], at == n->begin ? "%s" : "%s+%zu", n->name,
                 (size_t)(at - n->begin));
        return out;
    }
    if (!memory_contains(address)) {
        snprintf(out, sizeof text[0], "static %p", address);
        return out;
    }
    size_t offset = (size_t)(at - memory.base);
    size_t inside = offset % MEMORY_SLICE_BYTES;
    snprintf(out, sizeof text[0], "T%zu's %s+0x%zx", offset / MEMORY_SLICE_BYTES,
             inside < MEMORY_HEAP_BYTES ? "heap" : "stack",
             inside < MEMORY_HEAP_BYTES ? inside : MEMORY_SLICE_BYTES - inside);
    return out;
}

/* --- who shares what --- */

bool memory_model_is_shared(const void *address, bool writes) {
    if (!memory_contains(address))
        return true;
    uint8_t *sharing =
        &memory.sharing[((uintptr_t)address - (uintptr_t)memory.base) / MEMORY_CELL_BYTES];
    uint8_t after = (uint8_t)(*sharing | 1u << engine.current | (writes ? MEMORY_WRITTEN : 0));
    uint8_t users = after & (uint8_t)~MEMORY_WRITTEN;
    bool shared = (after & MEMORY_WRITTEN) && (users & (users - 1));
    if (after != *sharing) {
        memory.grew |= shared;
        *sharing = after;
    }
    return shared;
}

bool memory_model_sharing_grew(void) {
    bool grew = memory.grew;
    memory.grew = false;
    return grew;
}

bool memory_model_begin_scenario(uint32_t number) {
    if (number >= MEMORY_SCENARIOS_MAX)
        return false;
    if (!memory.sharing_of[number])
        memory.sharing_of[number] = calloc(MEMORY_BYTES / MEMORY_CELL_BYTES, 1);
    memory.sharing = memory.sharing_of[number];
    memory.grew = false;
    return memory.sharing != NULL;
}

/* --- races --- */

static void memory_report_race(const char *what, const void *address, uint32_t other, bool wrote) {
    explore_fail("race: T%u %s %s, which T%u %s and nothing orders the two", engine.current, what,
                 memory_model_describe(address), other, wrote ? "wrote" : "used");
}

static void memory_check_written(const memory_cell *c, const void *address, const char *what) {
    if (c->state == MEMORY_FREED)
        explore_fail("use after free: T%u %s %s", engine.current, what,
                     memory_model_describe(address));
    if (c->write_time > engine_me()->now.time[c->write_thread])
        memory_report_race(what, address, c->write_thread, true);
}

static void memory_check_read(const memory_cell *c, const void *address, const char *what) {
    for (uint32_t t = 1; t <= engine.thread_count; t++) {
        if (c->read_time[t] > engine_me()->now.time[t])
            memory_report_race(what, address, t, false);
    }
}

static void memory_touch_cell(memory_cell *c, const void *address, bool write, const char *what) {
    uint16_t now = engine_me()->now.time[engine.current];
    memory_check_written(c, address, what);
    if (!write) {
        c->read_time[engine.current] = now;
        return;
    }
    memory_check_read(c, address, what);
    c->write_time = now;
    c->write_thread = (uint8_t)engine.current;
    c->state = MEMORY_IN_USE;
}

static void memory_set_state(const void *address, size_t bytes, memory_state state) {
    for (size_t i = 0; i < bytes; i += MEMORY_CELL_BYTES)
        memory_cell_of((const uint8_t *)address + i)->state = (uint8_t)state;
}

static void memory_touch_as(const void *address, size_t bytes, bool write, const char *what) {
    if (bytes == 0 || !memory_contains(address))
        return;
    if (!engine.running) {
        if (write)
            memory_set_state(address, bytes, MEMORY_IN_USE);
        return;
    }
    uintptr_t first = (uintptr_t)address & ~(uintptr_t)(MEMORY_CELL_BYTES - 1);
    size_t slice = (first - (uintptr_t)memory.base) / MEMORY_SLICE_BYTES;
    if (first < memory.stack_low[slice] &&
        first >= (uintptr_t)memory_heap((uint32_t)slice) + MEMORY_HEAP_BYTES)
        memory.stack_low[slice] = first;
    for (uintptr_t at = first; at < (uintptr_t)address + bytes; at += MEMORY_CELL_BYTES)
        memory_touch_cell(memory_cell_of((const void *)at), (const void *)at, write, what);
}

void memory_model_touch(const void *address, size_t bytes, bool write) {
    memory_touch_as(address, bytes, write, write ? "writes" : "reads");
}

/* Against plain writes and freeing an atomic operation is like a read. One that stores and does not
 * load may be the first thing that happens to memory. */
void memory_model_touch_atomic(const void *address, size_t bytes, bool loads) {
    if (!engine.running || !memory_contains(address))
        return;
    memory_touch_as(address, bytes, false, "uses");
    if (!loads)
        memory_set_state(address, bytes, MEMORY_IN_USE);
    else if (memory_cell_of(address)->state == MEMORY_BLANK)
        explore_fail("T%u reads %s, where nothing was stored yet", engine.current,
                     memory_model_describe(address));
}

void explore_retire(const void *address, size_t bytes) {
    memory_touch_as(address, bytes, true, "frees");
    memory_set_state(address, bytes, MEMORY_FREED);
}

void explore_reuse(const void *address, size_t bytes) {
    memory_set_state(address, bytes, MEMORY_IN_USE);
    memory_touch_as(address, bytes, true, "takes again");
}

/* --- platform/memory.h --- */

void *memory_new_aligned(size_t alignment, size_t bytes) {
    memory_map_once();
    uint8_t **used = &memory.used[engine.current];
    uintptr_t at = (uintptr_t)*used + MEMORY_HEADER_BYTES;
    at = (at + alignment - 1) & ~(uintptr_t)(alignment - 1);
    uint8_t *end = memory_heap(engine.current) + MEMORY_HEAP_BYTES;
    if (bytes > MEMORY_HEAP_BYTES || at + bytes > (uintptr_t)end)
        explore_fail("T%u uses more than %d bytes", engine.current, MEMORY_HEAP_BYTES);
    uint8_t *result = (uint8_t *)at;
    memcpy(result - MEMORY_HEADER_BYTES, &bytes, sizeof bytes);
    memset(result, 0xa5, bytes);
    memory_set_state(result, bytes, MEMORY_BLANK);
    *used = result + ((bytes + 15) & ~(size_t)15);
    memory.live++;
    return result;
}

void *memory_new(size_t bytes) {
    return memory_new_aligned(16, bytes);
}

void *memory_new_zeroed(size_t bytes) {
    void *result = memory_new(bytes);
    memset(result, 0, bytes);
    memory_set_state(result, bytes, MEMORY_IN_USE);
    return result;
}

static size_t memory_size(const void *address) {
    size_t bytes;
    memcpy(&bytes, (const uint8_t *)address - MEMORY_HEADER_BYTES, sizeof bytes);
    return bytes;
}

void memory_free(void *address) {
    if (!address)
        return;
    if (!memory_contains(address))
        explore_fail("freed what was never allocated: %p", address);
    if (memory_cell_of(address)->state == MEMORY_FREED)
        explore_fail("freed twice: %s", memory_model_describe(address));
    size_t bytes = memory_size(address);
    explore_retire(address, bytes);
    trace_add("free", address, bytes, "bytes");
    memory.live--;
}

void *memory_copy(const void *data, size_t bytes) {
    void *copy = memory_new(bytes);
    memory_model_touch(data, bytes, false);
    memcpy(copy, data, bytes);
    return copy;
}

void *memory_resize(void *old, size_t bytes) {
    void *larger = memory_new(bytes);
    if (old) {
        size_t before = memory_size(old);
        memory_model_touch(old, before, false);
        memcpy(larger, old, before < bytes ? before : bytes);
        memory_free(old);
    }
    return larger;
}

char *memory_copy_string(const char *text) {
    return memory_copy(text, strlen(text) + 1);
}

void *memory_map_pages(size_t bytes) {
    return memory_new_zeroed(bytes);
}

void memory_unmap_pages(void *address, size_t bytes) {
    (void)bytes;
    memory_free(address);
}

void memory_forbid(void *address, size_t bytes) {
    explore_retire(address, bytes);
}

void memory_allow(void *address, size_t bytes) {
    explore_reuse(address, bytes);
}

uint64_t memory_live_count(void) {
    return memory.live;
}

/* --- what the code under test calls for every plain access --- */

#define MEMORY_HOOKS(bytes)                        \
    void __tsan_read##bytes(void *at);             \
    void __tsan_write##bytes(void *at);            \
    void __tsan_unaligned_read##bytes(void *at);   \
    void __tsan_unaligned_write##bytes(void *at);  \
    void __tsan_read##bytes(void *at) {            \
        memory_model_touch(at, bytes, false);      \
    }                                              \
    void __tsan_write##bytes(void *at) {           \
        memory_model_touch(at, bytes, true);       \
    }                                              \
    void __tsan_unaligned_read##bytes(void *at) {  \
        memory_model_touch(at, bytes, false);      \
    }                                              \
    void __tsan_unaligned_write##bytes(void *at) { \
        memory_model_touch(at, bytes, true);       \
    }
MEMORY_HOOKS(1)
MEMORY_HOOKS(2)
MEMORY_HOOKS(4)
MEMORY_HOOKS(8)
MEMORY_HOOKS(16)

void __tsan_init(void);
void __tsan_func_entry(void *caller);
void __tsan_func_exit(void);
void __tsan_read_range(void *at, size_t bytes);
void __tsan_write_range(void *at, size_t bytes);

void __tsan_init(void) {
}
void __tsan_func_entry(void *caller) {
    (void)caller;
}
void __tsan_func_exit(void) {
}
void __tsan_read_range(void *at, size_t bytes) {
    memory_model_touch(at, bytes, false);
}
void __tsan_write_range(void *at, size_t bytes) {
    memory_model_touch(at, bytes, true);
}

/* seams/explore_seam.h puts these in place of the functions of string.h. */
void *explore_memcpy(void *to, const void *from, size_t bytes);
void *explore_memmove(void *to, const void *from, size_t bytes);
void *explore_memset(void *to, int byte, size_t bytes);
int explore_memcmp(const void *a, const void *b, size_t bytes);

void *explore_memcpy(void *to, const void *from, size_t bytes) {
    return explore_memmove(to, from, bytes);
}
void *explore_memmove(void *to, const void *from, size_t bytes) {
    memory_model_touch(from, bytes, false);
    memory_model_touch(to, bytes, true);
    memmove(to, from, bytes);
    model_overwrite(to, bytes);
    return to;
}
void *explore_memset(void *to, int byte, size_t bytes) {
    memory_model_touch(to, bytes, true);
    memset(to, byte, bytes);
    model_overwrite(to, bytes);
    return to;
}
int explore_memcmp(const void *a, const void *b, size_t bytes) {
    memory_model_touch(a, bytes, false);
    memory_model_touch(b, bytes, false);
    return memcmp(a, b, bytes);
}
