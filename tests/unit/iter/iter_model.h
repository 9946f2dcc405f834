/* tests/unit/iter/iter_model.h - a sorted array as the truth about an iterator, and a random walk
 * that holds one against the other.
 *
 * The walk checks every entry of every run handed out, not only the one stood on. */
#ifndef FIRN_TESTS_ITER_MODEL_H
#define FIRN_TESTS_ITER_MODEL_H

#include <stdlib.h>
#include <string.h>

#include "iter/iter.h"
#include "lib/test.h"
#include "util/rng.h"

typedef struct iter_model {
    iter_entry *entries; /* ascending; keys and values are owned, in one block per entry */
    size_t count, capacity;
    key_order order;
} iter_model;

static key_order iter_model_sort_order;
static MAYBE_UNUSED int iter_model_compare(const void *a, const void *b) {
    const iter_entry *x = a, *y = b;
    return key_order_compare(iter_model_sort_order, (internal_key){slice_of(x->key, x->key_bytes)},
                             (internal_key){slice_of(y->key, y->key_bytes)});
}

static MAYBE_UNUSED void iter_model_add(iter_model *m, slice user, uint64_t trailer, slice value) {
    if (m->count == m->capacity) {
        m->capacity = m->capacity ? 2 * m->capacity : 64;
        m->entries = realloc(m->entries, m->capacity * sizeof *m->entries);
        assert_non_null(m->entries);
    }
    uint8_t *bytes = malloc(user.size + 8 + value.size);
    assert_non_null(bytes);
    slice_copy_to(user, bytes);
    encode_fixed64(bytes + user.size, trailer);
    slice_copy_to(value, bytes + user.size + 8);
    m->entries[m->count++] =
        (iter_entry){bytes, bytes + user.size + 8, (uint32_t)(user.size + 8), (uint32_t)value.size};
}

static MAYBE_UNUSED void iter_model_sort(iter_model *m) {
    iter_model_sort_order = m->order;
    if (m->count)
        qsort(m->entries, m->count, sizeof *m->entries, iter_model_compare);
}

/* Many entries of few keys, sorted. */
static MAYBE_UNUSED void iter_model_fill(iter_model *m, rng *r, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint8_t key[3];
        size_t size = rng_below(r, 4);
        for (size_t k = 0; k < size; k++)
            key[k] = (uint8_t)rng_below(r, 5);
        iter_model_add(m, slice_of(key, size), (i + 1) << 8 | OP_PUT,
                       slice_of(&i, rng_below(r, 8)));
    }
    iter_model_sort(m);
}

static MAYBE_UNUSED void iter_model_deinit(iter_model *m) {
    for (size_t i = 0; i < m->count; i++)
        free((void *)(uintptr_t)m->entries[i].key);
    free(m->entries);
    *m = (iter_model){.order = m->order};
}

/* Number of entries before the target. */
static MAYBE_UNUSED size_t iter_model_lower_bound(const iter_model *m, internal_key target) {
    size_t low = 0, high = m->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const iter_entry *e = &m->entries[middle];
        if (key_order_compare(m->order, (internal_key){slice_of(e->key, e->key_bytes)}, target) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static MAYBE_UNUSED void iter_model_expect_entry(const iter_entry *is, const iter_entry *expected) {
    assert_int_equal(is->key_bytes, expected->key_bytes);
    assert_memory_equal(is->key, expected->key, is->key_bytes);
    assert_int_equal(is->value_bytes, expected->value_bytes);
    if (is->value_bytes)
        assert_memory_equal(is->value, expected->value, is->value_bytes);
}

/* The iterator stands on entry `position`; any position outside: it has ended, without error. */
static MAYBE_UNUSED void iter_model_expect(const iter_model *m, const iter *it, size_t position) {
    ASSERT_OK(it->st);
    if (position >= m->count) {
        assert_false(iter_valid(it));
        assert_int_equal(it->count, 0);
        return;
    }
    assert_true(iter_valid(it));
    assert_true(it->index <= position && it->count - it->index <= m->count - position);
    for (uint32_t i = 0; i < it->count; i++)
        iter_model_expect_entry(&it->run[i], &m->entries[position - it->index + i]);
}

/* A key to seek: an entry's, an entry's with another version or other bytes, or any. `*storage` is
 * the caller's to free. */
static MAYBE_UNUSED internal_key iter_model_random_target(const iter_model *m, rng *r,
                                                          uint8_t **storage) {
    slice user = slice_of("", 0);
    uint64_t trailer = rng_below(r, 1u << 20);
    if (m->count && rng_below(r, 8) != 0) {
        const iter_entry *e = &m->entries[rng_below(r, m->count)];
        internal_key key = {slice_of(e->key, e->key_bytes)};
        user = internal_key_user(key).s;
        trailer = internal_key_trailer(key);
    }
    uint8_t *bytes = malloc(user.size + 9);
    assert_non_null(bytes);
    size_t size = user.size;
    slice_copy_to(user, bytes);
    switch (rng_below(r, 5)) {
    case 0:
        trailer = trailer ^ rng_below(r, 4096);
        break;
    case 1:
        if (size)
            bytes[rng_below(r, size)] ^= (uint8_t)rng_below(r, 256);
        break;
    case 2:
        if (size)
            size--;
        break;
    case 3:
        bytes[size++] = (uint8_t)rng_below(r, 256);
        break;
    default:
        break;
    }
    *storage = bytes = realloc(bytes, size + 8);
    assert_non_null(bytes);
    encode_fixed64(bytes + size, trailer);
    return (internal_key){slice_of(bytes, size + 8)};
}

static MAYBE_UNUSED size_t iter_model_random_seek(const iter_model *m, iter *it, rng *r) {
    uint8_t *storage = NULL;
    size_t position = SIZE_MAX;
    internal_key target = iter_model_random_target(m, r, &storage);
    switch (rng_below(r, 6)) {
    case 0:
        iter_seek_first(it);
        position = 0;
        break;
    case 1:
        iter_seek_last(it);
        position = m->count - 1; /* SIZE_MAX when empty */
        break;
    case 2:
    case 3: {
        iter_seek_for_prev(it, target, m->order);
        position = iter_model_lower_bound(m, target);
        const iter_entry *e = position < m->count ? &m->entries[position] : NULL;
        if (!e || e->key_bytes != target.s.size ||
            memcmp(e->key, target.s.data, target.s.size) != 0)
            position--;
        break;
    }
    default:
        iter_seek(it, target);
        position = iter_model_lower_bound(m, target);
        break;
    }
    free(storage);
    return position;
}

/* `seeks` seeks of every kind, each followed by moves to and fro. */
static MAYBE_UNUSED void iter_model_walk(const iter_model *m, iter *it, rng *r, uint64_t seeks) {
    for (uint64_t i = 0; i < seeks; i++) {
        size_t position = iter_model_random_seek(m, it, r);
        iter_model_expect(m, it, position);
        uint64_t bursts = rng_below(r, 6);
        while (bursts-- > 0 && iter_valid(it)) {
            bool forward = rng_below(r, 2);
            uint64_t moves = rng_below(r, rng_below(r, 4) ? 5 : 150);
            while (moves-- > 0 && iter_valid(it)) {
                if (forward) {
                    iter_next(it);
                    position++;
                } else {
                    iter_prev(it);
                    position--;
                }
                iter_model_expect(m, it, position);
            }
        }
    }
}

/* Once all the way in each direction. */
static MAYBE_UNUSED void iter_model_expect_all(const iter_model *m, iter *it) {
    size_t position = 0;
    for (iter_seek_first(it); position < m->count; position++, iter_next(it))
        iter_model_expect(m, it, position);
    iter_model_expect(m, it, m->count);
    iter_seek_last(it);
    for (position = m->count; position-- > 0; iter_prev(it))
        iter_model_expect(m, it, position);
    iter_model_expect(m, it, SIZE_MAX);
}

#endif
