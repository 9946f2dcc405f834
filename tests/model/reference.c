#include "model/reference.h"

#include <stdlib.h>

#include "lib/test.h"

/* qsort has no context in this C. */
static key_order reference_sort_order;

static int reference_compare_keys(const void *a, const void *b) {
    const slice *x = a, *y = b;
    return key_order_compare_user(reference_sort_order, user_key_of(*x), user_key_of(*y));
}

void reference_init(reference *r, key_order order, slice *keys, size_t key_count) {
    *r = (reference){.order = order, .keys = keys};
    reference_sort_order = order;
    qsort(keys, key_count, sizeof *keys, reference_compare_keys);
    for (size_t i = 0; i < key_count; i++) {
        if (r->key_count == 0 || !slice_equal(keys[r->key_count - 1], keys[i]))
            keys[r->key_count++] = keys[i];
    }
    for (int k = 0; k < REFERENCE_KEYSPACES; k++) {
        r->slots[k] = calloc(r->key_count, sizeof *r->slots[k]);
        assert_non_null(r->slots[k]);
    }
}

void reference_deinit(reference *r) {
    for (int k = 0; k < REFERENCE_KEYSPACES; k++) {
        for (size_t i = 0; i < r->key_count; i++)
            free(r->slots[k][i].versions);
        free(r->slots[k]);
    }
}

/* --- writing --- */

/* Forgets versions that nobody can see: all in front of the newest one that the oldest reader sees.
 */
static void reference_prune(const reference *r, reference_slot *s) {
    uint64_t oldest = r->clock;
    for (size_t i = 0; i < r->pin_count; i++)
        oldest = r->pins[i] < oldest ? r->pins[i] : oldest;
    uint32_t first = 0;
    while (first + 1 < s->count && s->versions[first + 1].clock <= oldest)
        first++;
    if (first == 0)
        return;
    s->count -= first;
    memmove(s->versions, s->versions + first, s->count * sizeof *s->versions);
}

static void reference_push(reference *r, uint32_t keyspace, size_t key, reference_version v) {
    reference_slot *s = &r->slots[keyspace][key];
    reference_prune(r, s);
    if (s->count == s->capacity) {
        s->capacity = s->capacity ? s->capacity * 2 : 2;
        s->versions = realloc(s->versions, s->capacity * sizeof *s->versions);
        assert_non_null(s->versions);
    }
    v.clock = ++r->clock;
    s->versions[s->count++] = v;
}

void reference_put(reference *r, uint32_t keyspace, size_t key, uint64_t seed, uint32_t bytes) {
    reference_push(r, keyspace, key, (reference_version){.seed = seed, .bytes = bytes});
}

void reference_delete(reference *r, uint32_t keyspace, size_t key) {
    reference_push(r, keyspace, key, (reference_version){.deleted = true});
}

uint64_t reference_pin(reference *r) {
    assert_true(r->pin_count < REFERENCE_PINS_MAX);
    r->pins[r->pin_count++] = r->clock;
    return r->clock;
}

void reference_unpin(reference *r, uint64_t clock) {
    size_t i = 0;
    while (i < r->pin_count && r->pins[i] != clock)
        i++;
    assert_true(i < r->pin_count);
    r->pins[i] = r->pins[--r->pin_count];
}

/* --- reading --- */

const reference_version *reference_get(const reference *r, uint32_t keyspace, size_t key,
                                       uint64_t clock) {
    const reference_slot *s = &r->slots[keyspace][key];
    for (uint32_t i = s->count; i-- > 0;) {
        if (s->versions[i].clock <= clock)
            return s->versions[i].deleted ? NULL : &s->versions[i];
    }
    return NULL;
}

size_t reference_lower_bound(const reference *r, slice key) {
    size_t low = 0, high = r->key_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (key_order_compare_user(r->order, user_key_of(r->keys[middle]), user_key_of(key)) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t reference_next(const reference *r, uint32_t keyspace, size_t from, uint64_t clock) {
    while (from < r->key_count && !reference_get(r, keyspace, from, clock))
        from++;
    return from < r->key_count ? from : SIZE_MAX;
}

size_t reference_previous(const reference *r, uint32_t keyspace, size_t from, uint64_t clock) {
    while (from != SIZE_MAX && !reference_get(r, keyspace, from, clock))
        from--; /* wraps to SIZE_MAX in front of the first */
    return from;
}

/* --- values --- */

static uint64_t reference_word(uint64_t *state) {
    *state += 0x9e3779b97f4a7c15u; /* splitmix64 */
    uint64_t z = *state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    return z ^ z >> 27;
}

void reference_fill(uint64_t seed, uint8_t *out, size_t bytes) {
    while (bytes) {
        uint64_t word = reference_word(&seed);
        size_t part = bytes < sizeof word ? bytes : sizeof word;
        memcpy(out, &word, part);
        out += part;
        bytes -= part;
    }
}

bool reference_matches(const reference_version *v, slice value) {
    uint64_t state = v->seed;
    if (value.size != v->bytes)
        return false;
    while (value.size) {
        uint64_t word = reference_word(&state);
        size_t part = value.size < sizeof word ? value.size : sizeof word;
        if (memcmp(value.data, &word, part) != 0)
            return false;
        value = slice_skip(value, part);
    }
    return true;
}
