/* The cache: a pinned entry is never freed, and each entry is freed once. */
#include "explore/explore.h"
#include "platform/memory.h"

#include "cache/cache.c"
#include "platform/error_detail.c"

typedef struct cache_value {
    uint64_t offset;
} cache_value;

static cache *entries;

static cache_key key_of(uint64_t offset) {
    return (cache_key){{1, 2}, offset};
}

static void free_value(void *value) {
    memory_free(value);
}

static cache_handle *put(uint64_t offset) {
    cache_handle *handle;
    cache_key key = key_of(offset);
    cache_value *value = memory_new(sizeof *value);
    value->offset = offset;
    EXPLORE_EXPECT(status_is_ok(cache_insert(entries, &key, value, 1, free_value, &handle)));
    return handle;
}

static void use(cache_handle *handle, uint64_t offset) {
    const cache_value *value = cache_handle_value(handle);
    EXPLORE_EXPECT(value->offset == offset);
}

static void add(uint64_t offset) {
    cache_handle *handle = put(offset);
    use(handle, offset);
    cache_release(entries, handle);
}

static void look_up(uint64_t offset) {
    cache_key key = key_of(offset);
    cache_handle *handle = cache_lookup(entries, &key);
    if (!handle)
        return;
    use(handle, offset);
    cache_release(entries, handle);
}

static void erase(uint64_t offset) {
    cache_key key = key_of(offset);
    cache_erase(entries, &key);
}

static void setup_of(uint64_t capacity) {
    EXPLORE_EXPECT(status_is_ok(cache_new(capacity, 1, &entries)));
    explore_name(&entries->shards[0].lock, sizeof(mutex), "shard lock");
    explore_name(entries->shards, sizeof *entries->shards, "shard");
    add(1);
}
static void setup_one(void) {
    setup_of(1);
}
static void setup_many(void) {
    setup_of(8);
}
static void setup_none(void) {
    setup_of(0);
}

static void look_up_twice(void) {
    look_up(1);
    look_up(1);
}
static void look_up_both(void) {
    cache_key key = key_of(1);
    cache_handle *first = cache_lookup(entries, &key);
    look_up(2);
    if (first) {
        use(first, 1);
        cache_release(entries, first);
    }
}
static void add_1(void) {
    add(1);
}
static void add_2(void) {
    add(2);
}
static void add_2_3(void) {
    add(2);
    add(3);
}
static void add_4_5(void) {
    add(4);
    add(5);
}
static void erase_1(void) {
    erase(1);
}
static void erase_then_add_1(void) {
    erase(1);
    add(1);
}

static void finish(void) {
    cache_stats stats;
    cache_get_stats(entries, &stats);
    EXPLORE_EXPECT(stats.pinned_usage == 0 && stats.usage <= stats.capacity);
    EXPLORE_EXPECT(stats.usage == stats.entries);
    cache_free(entries);
    EXPLORE_EXPECT(memory_live_count() == 0);
}

int main(int count, char **arguments) {
    static const explore_scenario scenarios[] = {
        {"pin-evict", setup_one, {look_up_twice, add_2, add_2}, finish, 0, 0},
        {"pin-two-evict", setup_one, {look_up_both, add_2_3, look_up_twice}, finish, 0, 0},
        {"pin-replace", setup_many, {look_up_twice, add_1, add_1}, finish, 0, 0},
        {"pin-erase", setup_many, {look_up_twice, erase_1, add_1}, finish, 0, 0},
        {"erase-erase", setup_one, {erase_then_add_1, erase_1, look_up_both}, finish, 0, 0},
        {"grow", setup_many, {add_2_3, add_4_5, look_up_both}, finish, 0, 0},
        {"no-capacity", setup_none, {add_1, look_up_twice, add_1}, finish, 0, 0},
    };
    return explore_main(count, arguments, scenarios, sizeof scenarios / sizeof *scenarios);
}
