#include "memtable/range_set.h"

#include "platform/error_detail.h"
#include "platform/memory.h"

#include "base/poison.h"

enum { RANGE_SET_LISTS_MAX = 33 }; /* weights at least double, and are 32-bit numbers */

typedef struct range_set_lists {
    uint32_t count;
    uint32_t weights[RANGE_SET_LISTS_MAX]; /* tombstones that each list was made of; descending */
    const range_fragments *lists[RANGE_SET_LISTS_MAX];
} range_set_lists;

FIRN_INTERNAL void range_set_init(range_set *s, key_order order, arena *keys) {
    s->order = order;
    s->arena = keys;
    atomic_ptr_init(&s->now, NULL);
    mutex_init(&s->guard);
}

FIRN_INTERNAL void range_set_deinit(range_set *s) {
    mutex_deinit(&s->guard);
}

static status range_set_no_memory(void) {
    return status_of(FIRN_NO_MEMORY, "adding a range delete to a memtable");
}

static bool range_set_copy_key(range_set *s, user_key *key) {
    uint8_t *bytes = arena_allocate(s->arena, key->s.size ? key->s.size : 1);
    if (!bytes)
        return false;
    slice_copy_to(key->s, bytes);
    key->s.data = bytes;
    return true;
}

/* The new list: `fresh`, and all lists at the end that are not at least twice as heavy as what has
 * been gathered so far. */
static status range_set_merge(range_set *s, const range_tombstone *fresh, range_set_lists *next) {
    status st = STATUS_OK;
    range_list gathered = {0};
    range_fragments *built = NULL;
    uint32_t weight = 1;
    range_list_push(&gathered, fresh->begin, fresh->end, fresh->sequence);
    while (next->count > 0 && next->weights[next->count - 1] < 2 * weight) {
        next->count--;
        weight += next->weights[next->count];
        range_fragments_list(next->lists[next->count], &gathered);
    }
    TRY(range_list_status(&gathered));
    TRY(range_fragments_build(s->order, gathered.items, gathered.count,
                              &(range_select){.at = SEQNO_MAX}, &built));
    DCHECK(built != NULL && next->count < RANGE_SET_LISTS_MAX);
    range_fragments *kept = arena_allocate(s->arena, built->bytes);
    if (!kept) {
        st = range_set_no_memory();
        goto out;
    }
    memcpy(kept, built, built->bytes);
    next->lists[next->count] = kept;
    next->weights[next->count++] = weight;
out:
    memory_free(built);
    range_list_deinit(&gathered);
    return st;
}

FIRN_INTERNAL status range_set_add(range_set *s, const range_tombstone *t) {
    status st = STATUS_OK;
    range_tombstone mine = *t;
    if (key_order_compare_user(s->order, t->begin, t->end) >= 0)
        return STATUS_OK;
    mutex_lock(&s->guard);
    range_set_lists *next = arena_allocate(s->arena, sizeof *next);
    if (!next || !range_set_copy_key(s, &mine.begin) || !range_set_copy_key(s, &mine.end)) {
        st = range_set_no_memory();
        goto out;
    }
    /* relaxed: only this thread, holding the guard, stores it. */
    const range_set_lists *before = atomic_ptr_load(&s->now, memory_order_relaxed);
    *next = before ? *before : (range_set_lists){0};
    TRY(range_set_merge(s, &mine, next));
    /* release: pairs with the readers' acquire; who sees the set sees its lists. */
    atomic_ptr_store(&s->now, next, memory_order_release);
out:
    mutex_unlock(&s->guard);
    return st;
}

FIRN_INTERNAL seqno range_set_cover(const range_set *s, user_key key, seqno at) {
    /* acquire: pairs with the release in range_set_add(). */
    const range_set_lists *now = atomic_ptr_load(&s->now, memory_order_acquire);
    seqno newest = 0;
    for (uint32_t i = 0; now && i < now->count; i++) {
        seqno sequence = range_fragments_cover(now->lists[i], key, at);
        if (sequence > newest)
            newest = sequence;
    }
    return newest;
}

FIRN_INTERNAL void range_set_list(const range_set *s, range_list *out) {
    /* acquire: pairs with the release in range_set_add(). */
    const range_set_lists *now = atomic_ptr_load(&s->now, memory_order_acquire);
    for (uint32_t i = 0; now && i < now->count; i++)
        range_fragments_list(now->lists[i], out);
}
