#include "array_iter.h"

#include <stdlib.h>
#include <string.h>

#include "lib/test.h"

typedef struct array_iter {
    iter base;
    array_iter_plan *plan;
    const iter_entry *entries;
    size_t count;
    key_order order;
    iter_entry *run; /* owned, with the bytes of its entries */
    uint32_t run_count;
    size_t begin; /* of the run in `entries` */
} array_iter;

static void array_iter_drop(array_iter *it) {
    for (uint32_t i = 0; i < it->run_count; i++)
        free((void *)(uintptr_t)it->run[i].key);
    free(it->run);
    it->run = NULL;
    it->run_count = 0;
    iter_set_end(&it->base, STATUS_OK);
}

static iter_entry array_iter_copy(const iter_entry *e) {
    uint8_t *bytes = malloc((size_t)e->key_bytes + e->value_bytes);
    assert_non_null(bytes);
    memcpy(bytes, e->key, e->key_bytes);
    if (e->value_bytes)
        memcpy(bytes + e->key_bytes, e->value, e->value_bytes);
    return (iter_entry){bytes, bytes + e->key_bytes, e->key_bytes, e->value_bytes};
}

/* A run of [begin, end) that contains `position`. */
static void array_iter_load(array_iter *it, size_t begin, size_t end, size_t position) {
    array_iter_drop(it);
    if (it->plan->loads++ == it->plan->fail_after) {
        iter_set_end(&it->base, status_of(FIRN_IO_ERROR, "on purpose"));
        return;
    }
    if (begin >= end)
        return;
    size_t before = rng_below(&it->plan->random, it->plan->run_max);
    size_t after = rng_below(&it->plan->random, it->plan->run_max - before);
    if (position - begin > before)
        begin = position - before;
    if (end - position - 1 > after)
        end = position + after + 1;
    it->begin = begin;
    it->run_count = (uint32_t)(end - begin);
    it->run = calloc(it->run_count, sizeof *it->run);
    assert_non_null(it->run);
    for (uint32_t i = 0; i < it->run_count; i++)
        it->run[i] = array_iter_copy(&it->entries[begin + i]);
    it->base.run = it->run;
    it->base.count = it->run_count;
    it->base.index = (uint32_t)(position - begin);
}

static void array_iter_seek_first(iter *base) {
    array_iter *it = (array_iter *)base;
    array_iter_load(it, 0, it->count, 0);
}

static void array_iter_seek_last(iter *base) {
    array_iter *it = (array_iter *)base;
    array_iter_load(it, 0, it->count, it->count - 1);
}

static void array_iter_seek(iter *base, internal_key target) {
    array_iter *it = (array_iter *)base;
    size_t low = 0, high = it->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const iter_entry *e = &it->entries[middle];
        if (key_order_compare(it->order, (internal_key){slice_of(e->key, e->key_bytes)}, target) <
            0)
            low = middle + 1;
        else
            high = middle;
    }
    array_iter_load(it, low < it->count ? 0 : it->count, it->count, low);
}

static void array_iter_next_run(iter *base) {
    array_iter *it = (array_iter *)base;
    assert_true(it->run_count > 0);
    size_t from = it->begin + it->run_count;
    array_iter_load(it, from, it->count, from);
}

static void array_iter_prev_run(iter *base) {
    array_iter *it = (array_iter *)base;
    assert_true(it->run_count > 0);
    array_iter_load(it, 0, it->begin, it->begin - 1);
}

static void *array_iter_origin(const iter *base) {
    return (void *)(uintptr_t)((const array_iter *)base)->entries;
}

static void array_iter_release(iter *base) {
    array_iter *it = (array_iter *)base;
    array_iter_drop(it);
    it->plan->live--;
    free(it);
}

static const iter_methods array_iter_methods = {
    .seek_first = array_iter_seek_first,
    .seek_last = array_iter_seek_last,
    .seek = array_iter_seek,
    .next_run = array_iter_next_run,
    .prev_run = array_iter_prev_run,
    .origin = array_iter_origin,
    .release = array_iter_release,
};

iter *array_iter_new(array_iter_plan *plan, const iter_entry *entries, size_t count,
                     key_order order) {
    array_iter *it = calloc(1, sizeof *it);
    assert_non_null(it);
    it->base.methods = &array_iter_methods;
    it->plan = plan;
    it->entries = entries;
    it->count = count;
    it->order = order;
    plan->live++;
    return &it->base;
}
