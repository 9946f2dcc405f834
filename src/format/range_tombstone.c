/* Fragments are made by a sweep over the borders of all tombstones: between two neighbouring
 * borders the same tombstones are open all the way. */
#include "format/range_tombstone.h"

#include "platform/error_detail.h"
#include "platform/memory.h"

#include "base/poison.h"

FIRN_INTERNAL void range_list_push(range_list *l, user_key begin, user_key end, seqno sequence) {
    if (l->out_of_memory)
        return;
    if (l->count == l->capacity) {
        uint32_t capacity = l->capacity ? l->capacity * 2 : 8;
        range_tombstone *items = memory_resize(l->items, capacity * sizeof *items);
        if (!items) {
            l->out_of_memory = true;
            return;
        }
        l->items = items;
        l->capacity = capacity;
    }
    l->items[l->count++] = (range_tombstone){begin, end, sequence};
}

FIRN_INTERNAL status range_list_status(const range_list *l) {
    return l->out_of_memory ? error_status(FIRN_NO_MEMORY, "no memory to list range deletes")
                            : STATUS_OK;
}

FIRN_INTERNAL void range_list_deinit(range_list *l) {
    memory_free(l->items);
    *l = (range_list){0};
}

/* --- sorting --- */

/* A place where a tombstone begins or ends. */
typedef struct range_border {
    user_key key;
    const range_tombstone *begins; /* NULL: one ends here */
} range_border;

typedef struct range_sorter {
    key_order order;
    range_border *borders;
    size_t count;
} range_sorter;

static void range_sift_down(const range_sorter *s, size_t at, size_t count) {
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= count)
            return;
        if (child + 1 < count &&
            key_order_compare_user(s->order, s->borders[child].key, s->borders[child + 1].key) < 0)
            child++;
        if (key_order_compare_user(s->order, s->borders[at].key, s->borders[child].key) >= 0)
            return;
        range_border swapped = s->borders[at];
        s->borders[at] = s->borders[child];
        s->borders[child] = swapped;
        at = child;
    }
}

/* Heap sort: in place, and no worse for any input. */
static void range_sort(const range_sorter *s) {
    for (size_t i = s->count / 2; i > 0; i--)
        range_sift_down(s, i - 1, s->count);
    for (size_t end = s->count; end > 1; end--) {
        range_border last = s->borders[end - 1];
        s->borders[end - 1] = s->borders[0];
        s->borders[0] = last;
        range_sift_down(s, 0, end - 1);
    }
}

/* --- the sweep --- */

typedef struct range_sweep {
    key_order order;
    const range_select *select;
    const range_tombstone **open; /* descending by sequence */
    uint32_t open_count;
    range_fragment *list; /* so far */
    uint32_t count, capacity;
    seqno *sequences;
    uint32_t sequence_count, sequence_capacity;
    bool out_of_memory;
} range_sweep;

static bool range_sweep_grow(void **array, uint32_t *capacity, uint32_t needed, size_t element) {
    uint32_t grown = *capacity ? *capacity : 16;
    if (needed <= *capacity)
        return true;
    while (grown < needed && grown <= UINT32_MAX / 2)
        grown *= 2;
    void *memory = grown < needed ? NULL : memory_resize(*array, grown * element);
    if (!memory)
        return false;
    *array = memory;
    *capacity = grown;
    return true;
}

static void range_sweep_open(range_sweep *s, const range_tombstone *t) {
    uint32_t at = s->open_count++;
    for (; at > 0 && s->open[at - 1]->sequence < t->sequence; at--)
        s->open[at] = s->open[at - 1];
    s->open[at] = t;
}

static void range_sweep_close(range_sweep *s, user_key border) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < s->open_count; i++) {
        if (key_order_compare_user(s->order, s->open[i]->end, border) > 0)
            s->open[kept++] = s->open[i];
    }
    s->open_count = kept;
}

/* Appends the sequences of what is open; how many. */
static uint32_t range_sweep_sequences(range_sweep *s) {
    const range_select *select = s->select;
    uint32_t first = s->sequence_count;
    if (s->open_count > UINT32_MAX - first ||
        !range_sweep_grow((void **)&s->sequences, &s->sequence_capacity, first + s->open_count,
                          sizeof *s->sequences)) {
        s->out_of_memory = true;
        return 0;
    }
    for (uint32_t i = 0; i < s->open_count; i++) {
        seqno sequence = s->open[i]->sequence;
        seqno newer = s->sequence_count > first ? s->sequences[s->sequence_count - 1] : 0;
        if (newer && (newer == sequence ||
                      (select->replaces && select->replaces(select->context, newer, sequence))))
            continue;
        s->sequences[s->sequence_count++] = sequence;
    }
    return s->sequence_count - first;
}

/* [begin, end) as one fragment, or as more of the one in front of it. */
static void range_sweep_emit(range_sweep *s, user_key begin, user_key end) {
    uint32_t first = s->sequence_count;
    uint32_t count = range_sweep_sequences(s);
    if (count == 0)
        return;
    range_fragment *last = s->count ? &s->list[s->count - 1] : NULL;
    if (last && last->count == count && slice_equal(last->end.s, begin.s) &&
        memcmp(s->sequences + last->first, s->sequences + first, count * sizeof(seqno)) == 0) {
        last->end = end;
        s->sequence_count = first;
        return;
    }
    if (!range_sweep_grow((void **)&s->list, &s->capacity, s->count + 1, sizeof *s->list)) {
        s->out_of_memory = true;
        return;
    }
    s->list[s->count++] = (range_fragment){begin, end, first, count};
}

static void range_sweep_run(range_sweep *s, const range_sorter *sorted) {
    size_t i = 0;
    while (i < sorted->count && !s->out_of_memory) {
        user_key here = sorted->borders[i].key;
        range_sweep_close(s, here);
        for (; i < sorted->count && slice_equal(sorted->borders[i].key.s, here.s); i++) {
            if (sorted->borders[i].begins)
                range_sweep_open(s, sorted->borders[i].begins);
        }
        if (i < sorted->count && s->open_count > 0)
            range_sweep_emit(s, here, sorted->borders[i].key);
    }
}

/* Puts the parts into one block. */
static status range_sweep_finish(const range_sweep *s, range_fragments **out) {
    if (s->count == 0)
        return STATUS_OK;
    size_t list_bytes = s->count * sizeof *s->list;
    size_t sequence_bytes = s->sequence_count * sizeof(seqno);
    size_t bytes = sizeof **out + list_bytes + sequence_bytes;
    range_fragments *f = memory_new(bytes);
    if (!f)
        return error_status(FIRN_NO_MEMORY, "no memory for range deletes");
    *f = (range_fragments){s->order, bytes, s->count, s->sequence_count};
    memcpy(f->list, s->list, list_bytes);
    memcpy((uint8_t *)f->list + list_bytes, s->sequences, sequence_bytes);
    *out = f;
    return STATUS_OK;
}

FIRN_INTERNAL status range_fragments_build(key_order order, const range_tombstone *tombstones,
                                           uint32_t count, const range_select *select,
                                           range_fragments **out) {
    status st = STATUS_OK;
    range_sorter sorter = {.order = order};
    range_sweep sweep = {.order = order, .select = select};
    *out = NULL;
    if (count == 0)
        return STATUS_OK;
    sorter.borders = memory_new(2 * (size_t)count * sizeof *sorter.borders);
    sweep.open = memory_new(count * sizeof *sweep.open);
    sweep.out_of_memory = !sorter.borders || !sweep.open;
    for (uint32_t i = 0; i < count && !sweep.out_of_memory; i++) {
        const range_tombstone *t = &tombstones[i];
        if (t->sequence > select->at || key_order_compare_user(order, t->begin, t->end) >= 0)
            continue;
        sorter.borders[sorter.count++] = (range_border){t->begin, t};
        sorter.borders[sorter.count++] = (range_border){t->end, NULL};
    }
    if (!sweep.out_of_memory) {
        range_sort(&sorter);
        range_sweep_run(&sweep, &sorter);
    }
    st = sweep.out_of_memory ? error_status(FIRN_NO_MEMORY, "no memory for range deletes")
                             : range_sweep_finish(&sweep, out);
    memory_free(sorter.borders);
    memory_free(sweep.open);
    memory_free(sweep.list);
    memory_free(sweep.sequences);
    return st;
}

FIRN_INTERNAL void range_fragments_list(const range_fragments *f, range_list *out) {
    for (uint32_t i = 0; f && i < f->count; i++) {
        const range_fragment *one = &f->list[i];
        const seqno *sequences = range_fragment_sequences(f, one);
        for (uint32_t j = 0; j < one->count; j++)
            range_list_push(out, one->begin, one->end, sequences[j]);
    }
}

/* --- asking --- */

FIRN_INTERNAL uint32_t range_fragments_find(const range_fragments *f, user_key key) {
    uint32_t low = 0, high = f->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (key_order_compare_user(f->order, f->list[middle].end, key) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

FIRN_INTERNAL seqno range_fragments_cover(const range_fragments *f, user_key key, seqno at) {
    uint32_t i = range_fragments_find(f, key);
    if (i == f->count || key_order_compare_user(f->order, f->list[i].begin, key) > 0)
        return 0;
    const seqno *sequences = range_fragment_sequences(f, &f->list[i]);
    uint32_t low = 0, high = f->list[i].count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (sequences[middle] > at)
            low = middle + 1;
        else
            high = middle;
    }
    return low < f->list[i].count ? sequences[low] : 0;
}

FIRN_INTERNAL seqno range_fragments_cover_all(const range_fragments *f, user_key smallest,
                                              user_key largest) {
    uint32_t i = range_fragments_find(f, smallest);
    if (i == f->count || key_order_compare_user(f->order, f->list[i].begin, smallest) > 0 ||
        key_order_compare_user(f->order, f->list[i].end, largest) <= 0)
        return 0;
    return range_fragment_sequences(f, &f->list[i])[0];
}
