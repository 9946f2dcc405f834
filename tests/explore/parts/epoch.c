/* Epochs: a reader inside never sees what it reached being reclaimed. */
#include "explore/explore.h"
#include "platform/memory.h"

#include "util/epoch.c"

typedef struct epoch_object {
    epoch_item item;
    uint64_t value;
} epoch_object;

static epoch *domain;
static atomic_ptr *shared; /* the object readers come to */

static epoch_object *epoch_object_new(uint64_t value) {
    epoch_object *o = memory_new(sizeof *o);
    o->value = value;
    return o;
}

static void epoch_object_free(epoch_item *item) {
    memory_free(item);
}

static void setup(void) {
    domain = memory_new_aligned(CACHE_LINE_BYTES, sizeof *domain);
    epoch_init(domain);
    shared = memory_new(sizeof *shared);
    atomic_ptr_init(shared, epoch_object_new(1));
    explore_name(domain, sizeof *domain, "epoch");
    explore_name(&domain->now, sizeof domain->now, "now");
    explore_name(&domain->guard, sizeof domain->guard, "guard");
    explore_name(&domain->slots[0], sizeof(epoch_slot), "slot 0");
    explore_name(&domain->slots[1], sizeof(epoch_slot), "slot 1");
    explore_name(&domain->slots[2], sizeof(epoch_slot), "slot 2");
    explore_name(shared, sizeof *shared, "shared");
}

static void read_once(void) {
    uint64_t slot = epoch_enter(domain);
    /* seq_cst, as util/epoch.h asks of readers. */
    const epoch_object *o = atomic_ptr_load(shared, memory_order_seq_cst);
    EXPLORE_EXPECT(o->value >= 1 && o->value <= 3);
    epoch_leave(domain, slot);
}

static void read_twice(void) {
    read_once();
    read_once();
}

static void replace(uint64_t value) {
    epoch_object *old = atomic_ptr_exchange(shared, epoch_object_new(value), memory_order_seq_cst);
    epoch_retire(domain, &old->item, epoch_object_free);
}

static void replace_once(void) {
    replace(2);
}

static void replace_twice(void) {
    replace(2);
    replace(3);
}

static void collect(void) {
    (void)epoch_collect(domain);
}

/* Whoever was inside has left: nothing may be held back, and nothing is lost. */
static void finish(void) {
    memory_free(atomic_ptr_load(shared, memory_order_seq_cst));
    epoch_deinit(domain);
    memory_free(domain);
    memory_free(shared);
    EXPLORE_EXPECT(memory_live_count() == 0);
}

/* Numbers above EPOCH_SLOTS (2 here) share slot 0: T3, and with the offset T2 and T3. */
int main(int count, char **arguments) {
    static const explore_scenario scenarios[] = {
        {"pin-retire", setup, {read_twice, replace_twice}, finish, 0, 0},
        {"pin-retire-collect", setup, {read_once, replace_once, collect}, finish, 0, 0},
        {"two-readers", setup, {read_once, read_once, replace_twice}, finish, 0, 0},
        {"two-writers", setup, {replace_once, read_once, replace_once}, finish, 0, 0},
        {"crowd", setup, {replace_twice, collect, read_twice}, finish, 0, 0},
        {"crowd-of-two", setup, {replace_twice, read_once, read_twice}, finish, 1, 0},
    };
    return explore_main(count, arguments, scenarios, sizeof scenarios / sizeof *scenarios);
}
