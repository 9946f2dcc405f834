/* C11 atomics as an interleaving with memory: every location keeps all its stores, in the order
 * they were executed, each with the view (engine.h) it passes on. A load may return any store not
 * older than the reader's floor for the location. Norris and Demsky, "CDSChecker" (OOPSLA 2013),
 * gave the idea; views in place of graphs are Kang et al., "A Promising Semantics" (POPL 2017),
 * without its promises. README.md says what the model leaves out. */
#include "explore/engine.h"

#include <stdatomic.h>
#include <string.h>

#include "explore/atomics.h"

enum { MODEL_STORES_MAX = 1 << 13, MODEL_STALE_READS_MAX = 3 };

typedef struct model_store {
    uint64_t value;
    uint32_t thread;       /* 0: from setup, or plain */
    engine_view passed_on; /* what an acquire load of it learns */
} model_store;

typedef struct model_location {
    void *address;
    size_t bytes;
    uint32_t count;
    model_store *stores[ENGINE_STORES_MAX];
    uint8_t stale_reads[ENGINE_THREADS_MAX]; /* in a row: memory is not lazy for ever */
} model_location;

static struct {
    model_location locations[ENGINE_LOCATIONS_MAX];
    model_store stores[MODEL_STORES_MAX];
    uint32_t store_count;
    /* What the total order of sequentially consistent operations has come to know: `seen` of each
     * location its newest such store, and all that such fences knew. */
    engine_view in_order;
} model;

static const char *const model_order_names[] = {"relaxed", "consume", "acquire",
                                                "release", "acq_rel", "seq_cst"};

static bool model_acquires(int order) {
    return order == memory_order_acquire || order == memory_order_acq_rel ||
           order == memory_order_seq_cst;
}

static bool model_releases(int order) {
    return order == memory_order_release || order == memory_order_acq_rel ||
           order == memory_order_seq_cst;
}

void model_reset(void) {
    model.store_count = 0;
    memset(&model.in_order, 0, sizeof model.in_order);
}

void model_join(engine_view *into, const engine_view *from) {
    for (uint32_t i = 0; i < ENGINE_THREADS_MAX; i++)
        into->time[i] = into->time[i] > from->time[i] ? into->time[i] : from->time[i];
    for (uint32_t i = 0; i <= engine.location_count; i++)
        into->seen[i] = into->seen[i] > from->seen[i] ? into->seen[i] : from->seen[i];
}

/* Independent of the order in which locations got their numbers. */
uint64_t model_fingerprint(const engine_view *view) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < ENGINE_THREADS_MAX; i++)
        sum += engine_mix(i + 1, view->time[i]);
    for (uint32_t i = 1; i <= engine.location_count; i++) {
        if (view->seen[i])
            sum += engine_mix((uintptr_t)model.locations[i].address, view->seen[i]);
    }
    return sum;
}

/* --- locations and stores --- */

static uint64_t model_plain_value(const void *address, size_t bytes) {
    uint64_t value = 0;
    memcpy(&value, address, bytes); /* little-endian, as all the machines this runs on */
    return value;
}

static model_store *model_append(uint32_t number, uint64_t value) {
    model_location *l = &model.locations[number];
    if (l->count == ENGINE_STORES_MAX || model.store_count == MODEL_STORES_MAX)
        explore_fail("too many stores to %s", memory_model_describe(l->address));
    model_store *s = &model.stores[model.store_count++];
    *s = (model_store){.value = value, .thread = engine.current};
    l->stores[l->count] = s;
    engine_me()->now.seen[number] = (uint8_t)l->count;
    s->passed_on.seen[number] = (uint8_t)l->count++;
    memset(l->stale_reads, 0, sizeof l->stale_reads);
    memcpy(l->address, &value, l->bytes); /* what debuggers and plain code see */
    return s;
}

/* Locations outside the model's memory (statics of the code under test) are searched for. */
static uint32_t model_find_outside(const void *address) {
    for (uint32_t i = 1; i <= engine.location_count; i++) {
        if (model.locations[i].address == address)
            return i;
    }
    return 0;
}

static uint32_t model_find(const void *address, size_t bytes) {
    uint16_t *kept = memory_model_location(address);
    uint32_t number = kept ? *kept : model_find_outside(address);
    if (number)
        return number;
    if (engine.location_count + 1 == ENGINE_LOCATIONS_MAX)
        explore_fail("more than %d atomics", ENGINE_LOCATIONS_MAX - 1);
    number = ++engine.location_count;
    if (kept)
        *kept = (uint16_t)number;
    model_location *l = &model.locations[number];
    *l = (model_location){.address = (void *)(uintptr_t)address, .bytes = bytes};
    /* Its first value is what stood there; that whoever wrote it is ordered before, is checked as
     * for plain memory. */
    uint64_t value = model_plain_value(address, bytes);
    model_store *first = &model.stores[model.store_count++];
    *first = (model_store){.value = value};
    l->stores[l->count++] = first;
    return number;
}

/* --- plain stores over atomics --- */

void explore_atomic_init(void *address, size_t bytes, uint64_t value) {
    memory_model_touch(address, bytes, true);
    memcpy(address, &value, bytes);
    model_overwrite(address, bytes);
}

void model_overwrite(const void *memory, size_t bytes) {
    for (uintptr_t at = (uintptr_t)memory; at < (uintptr_t)memory + bytes; at += 4) {
        const void *address = (const void *)at;
        uint16_t *kept = memory_model_location(address);
        if (!kept || !*kept)
            continue;
        model_location *l = &model.locations[*kept];
        uint64_t value = model_plain_value(address, l->bytes);
        if (engine.running)
            (void)model_append(*kept,
                               value); /* one that was not over could still be read: a race */
        else
            l->stores[l->count - 1]->value = value;
    }
}

/* --- operations --- */

static uint32_t model_begin(const void *address, size_t bytes, bool loads, bool writes) {
    threads_point(address, writes);
    memory_model_touch_atomic(address, bytes, loads);
    return model_find(address, bytes);
}

/* The reader learns what store `index` passes on. */
static void model_read(uint32_t number, uint32_t index, int order) {
    engine_thread *me = engine_me();
    const model_store *s = model.locations[number].stores[index];
    if (me->now.seen[number] < index)
        me->now.seen[number] = (uint8_t)index;
    model_join(model_acquires(order) ? &me->now : &me->acquirable, &s->passed_on);
    engine_remember((uintptr_t)model.locations[number].address + ((uint64_t)index << 48));
}

/* The oldest store the current thread may read. */
static uint32_t model_floor(uint32_t number, int order) {
    uint32_t floor = engine_me()->now.seen[number];
    if (order == memory_order_seq_cst && model.in_order.seen[number] > floor)
        floor = model.in_order.seen[number];
    return floor;
}

/* How many stores behind the newest one this load reads. Each step back must differ from what is in
 * front of it in value or in what it passes on; we do not look for such duplicates. */
static uint32_t model_pick_age(uint32_t number, uint32_t floor) {
    model_location *l = &model.locations[number];
    uint8_t *stale = &l->stale_reads[engine.current];
    if (*stale >= MODEL_STALE_READS_MAX || engine.old_reads >= engine.old_reads_max)
        floor = l->count - 1;
    uint32_t age = choices_pick(BRANCH_STORE, l->count - floor);
    engine.old_reads += age > 0;
    *stale = age ? (uint8_t)(*stale + 1) : 0;
    return age;
}

static void model_trace(const char *operation, uint32_t number, uint64_t value, int order) {
    trace_add(operation, model.locations[number].address, value, model_order_names[order]);
}

uint64_t explore_atomic_load(const void *address, size_t bytes, int order) {
    if (!engine.running)
        return model_plain_value(address, bytes);
    uint32_t number = model_begin(address, bytes, true, false);
    const model_location *l = &model.locations[number];
    uint32_t age = model_pick_age(number, model_floor(number, order));
    uint32_t index = l->count - 1 - age;
    model_read(number, index, order);
    model_trace(age ? "load OLD" : "load", number, l->stores[index]->value, order);
    return l->stores[index]->value;
}

/* `base`: the store a read-modify-write replaces, whose release sequence it continues, or NULL. */
static void model_write(uint32_t number, uint64_t value, int order, const model_store *base) {
    engine_thread *me = engine_me();
    model_store *s = model_append(number, value);
    model_join(&s->passed_on, model_releases(order) ? &me->now : &me->released);
    if (base)
        model_join(&s->passed_on, &base->passed_on);
    uint32_t index = model.locations[number].count - 1;
    if (order == memory_order_seq_cst)
        model.in_order.seen[number] = (uint8_t)index;
    /* What comes after a release is not covered by it. */
    me->now.time[engine.current]++;
    engine_remember((uintptr_t)model.locations[number].address + ((uint64_t)index << 48) + 1);
}

static uint64_t model_truncate(uint64_t value, size_t bytes) {
    return bytes == 8 ? value : value & 0xffffffffu;
}

void explore_atomic_store(void *address, size_t bytes, uint64_t value, int order) {
    if (!engine.running) {
        explore_atomic_init(address, bytes, value);
        return;
    }
    uint32_t number = model_begin(address, bytes, false, true);
    model_write(number, value, order, NULL);
    model_trace("store", number, value, order);
}

static uint64_t model_updated(explore_update kind, uint64_t old, uint64_t operand) {
    switch (kind) {
    case UPDATE_ADD:
        return old + operand;
    case UPDATE_SUB:
        return old - operand;
    case UPDATE_AND:
        return old & operand;
    case UPDATE_OR:
        return old | operand;
    default:
        return operand;
    }
}

/* A read-modify-write reads the newest store: nothing comes between the two. */
uint64_t explore_atomic_update(void *address, size_t bytes, explore_update kind, uint64_t operand,
                               int order) {
    if (!engine.running) {
        uint64_t old = model_plain_value(address, bytes);
        explore_atomic_init(address, bytes,
                            model_truncate(model_updated(kind, old, operand), bytes));
        return old;
    }
    uint32_t number = model_begin(address, bytes, true, true);
    const model_location *l = &model.locations[number];
    const model_store *base = l->stores[l->count - 1];
    model_read(number, l->count - 1, order);
    uint64_t value = model_truncate(model_updated(kind, base->value, operand), bytes);
    model_write(number, value, order, base);
    model_trace("update", number, value, order);
    return base->value;
}

/* Strong. Reading `expected` in any store but the newest would have to succeed and cannot, so such
 * stores are not among those a failing one may read. */
bool explore_atomic_cas(void *address, size_t bytes, uint64_t *expected, uint64_t desired,
                        int order) {
    if (!engine.running) {
        uint64_t old = model_plain_value(address, bytes);
        bool equal = old == *expected;
        if (equal)
            explore_atomic_init(address, bytes, desired);
        *expected = old;
        return equal;
    }
    uint32_t number = model_begin(address, bytes, true, true);
    model_location *l = &model.locations[number];
    uint32_t floor = model_floor(number, order), candidates[ENGINE_STORES_MAX], count = 0;
    if (engine.old_reads >= engine.old_reads_max)
        floor = l->count - 1;
    for (uint32_t i = l->count; i-- > floor;) {
        if (i == l->count - 1 || l->stores[i]->value != *expected)
            candidates[count++] = i;
    }
    uint32_t index = candidates[choices_pick(BRANCH_STORE, count)];
    engine.old_reads += index != l->count - 1;
    const model_store *base = l->stores[index];
    if (base->value == *expected) {
        model_read(number, index, order);
        model_write(number, desired, order, base);
        model_trace("swap", number, desired, order);
        return true;
    }
    model_read(number, index, memory_order_acquire); /* as base/atomic.h has it */
    model_trace("swap FAILS", number, base->value, order);
    *expected = base->value;
    return false;
}

void explore_atomic_fence(int order) {
    if (!engine.running)
        return;
    engine_thread *me = engine_me();
    threads_point(order == memory_order_seq_cst ? &model.in_order : NULL, true);
    if (model_acquires(order))
        model_join(&me->now, &me->acquirable);
    if (order == memory_order_seq_cst) {
        model_join(&me->now, &model.in_order);
        model.in_order = me->now;
    }
    if (model_releases(order)) {
        me->released = me->now;
        me->now.time[engine.current]++;
    }
    engine_remember(model_fingerprint(&me->now) + 'f');
    trace_add("fence", NULL, 0, model_order_names[order]);
}
