/* Many keys at one moment. They are searched in ascending order, so that neighbours find the table,
 * the index and the block of the one before still in the processor's cache; and place by place
 * instead of key by key: all filter lines of a level are on their way to the processor before the
 * first one is tested.
 *
 * Keys are taken in portions, whose lookups live on the heap together. A portion's values are
 * handed out before the next one begins: at most that many blocks are pinned at once on top of what
 * the caller holds. */
#include "db/read_search.h"
#include "platform/memory.h"

#include "base/poison.h"

enum { MULTI_PORTION = 64 };

typedef struct multi_get {
    read_search search;
    const slice *keys; /* the caller's */
    firn_value *values;
    firn_status *statuses;
    uint32_t *order;   /* [count]: positions, by key */
    read_key *lookups; /* [MULTI_PORTION] */
    status first;      /* the first that is neither OK nor NOT_FOUND */
} multi_get;

/* --- sorting: bottom-up merge sort, for the order of keys may be the user's --- */

/* Empty keys may come without data. */
static inline slice multi_key(const multi_get *m, uint32_t position) {
    slice key = m->keys[position];
    return key.data ? key : slice_of("", 0);
}

static bool multi_before(const multi_get *m, uint32_t a, uint32_t b) {
    return key_order_compare_user(m->search.hold.view->order, user_key_of(multi_key(m, a)),
                                  user_key_of(multi_key(m, b))) <= 0;
}

static void multi_merge(const multi_get *m, uint32_t *to, const uint32_t *from, size_t begin,
                        size_t middle, size_t end) {
    size_t left = begin, right = middle;
    for (size_t i = begin; i < end; i++) {
        bool take_left =
            left < middle && (right >= end || multi_before(m, from[left], from[right]));
        to[i] = take_left ? from[left++] : from[right++];
    }
}

/* `spare` is as long as the order. */
static void multi_sort(multi_get *m, uint32_t *spare, size_t count) {
    uint32_t *from = m->order, *to = spare;
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t begin = 0; begin < count; begin += 2 * width) {
            size_t middle = begin + width < count ? begin + width : count;
            size_t end = middle + width < count ? middle + width : count;
            multi_merge(m, to, from, begin, middle, end);
        }
        uint32_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != m->order)
        memcpy(m->order, from, count * sizeof *from);
}

/* --- one portion --- */

static void multi_fail(multi_get *m, uint32_t position, status st) {
    m->statuses[position] = st.code;
    if (!status_is_ok(st) && st.code != FIRN_NOT_FOUND && status_is_ok(m->first))
        m->first = st;
}

/* A table each key asks next, NULL when its search is over. */
typedef struct multi_step {
    version_walk walk;
    table_meta *meta;
} multi_step;

/* Names the next table of each key that is still sought, and fetches the filter lines. False: there
 * is none. */
static bool multi_plan_step(multi_get *m, multi_step *steps, size_t count) {
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        read_key *k = &m->lookups[i];
        if (!steps[i].meta || k->found.found) {
            steps[i].meta = NULL;
            continue;
        }
        if (version_walk_next(&steps[i].walk, &steps[i].meta, 1) == 0) {
            steps[i].meta = NULL;
            continue;
        }
        any = true;
        if (LIKELY(m->search.hold.inside)) {
            const table *t = table_slot_peek(&steps[i].meta->open);
            if (LIKELY(t != NULL))
                table_prefetch_filter(t, k->hash);
        }
    }
    return any;
}

/* Looks for a portion's keys in the tables, one table each per round. */
static void multi_search_tables(multi_get *m, const uint32_t *order, size_t count) {
    multi_step steps[MULTI_PORTION];
    table_meta unsought; /* stands for "ask version_walk_next" */
    for (size_t i = 0; i < count; i++) {
        read_key *k = &m->lookups[i];
        bool sought = !k->found.found && m->statuses[order[i]] == FIRN_OK;
        steps[i].meta = sought ? &unsought : NULL;
        if (sought)
            steps[i].walk = version_walk_begin(m->search.hold.view->version, k->seek.key);
    }
    while (multi_plan_step(m, steps, count)) {
        for (size_t i = 0; i < count; i++) {
            table_get_trace trace;
            if (!steps[i].meta)
                continue;
            status st = read_table(&m->search, &m->lookups[i], steps[i].meta, &trace);
            if (UNLIKELY(!status_is_ok(st))) {
                multi_fail(m, order[i], st);
                steps[i].meta = NULL;
            }
        }
    }
}

static void multi_portion(multi_get *m, const uint32_t *order, size_t count) {
    for (size_t i = 0; i < count; i++) {
        status st = read_key_init(&m->search, multi_key(m, order[i]), &m->lookups[i]);
        multi_fail(m, order[i], st);
        if (LIKELY(status_is_ok(st)))
            read_memtables(&m->search, &m->lookups[i]);
    }
    multi_search_tables(m, order, count);
    for (size_t i = 0; i < count; i++) {
        uint32_t position = order[i];
        if (LIKELY(m->statuses[position] == FIRN_OK))
            multi_fail(m, position, read_answer(&m->search, &m->lookups[i], &m->values[position]));
        read_key_deinit(&m->lookups[i]);
    }
}

FIRN_INTERNAL status db_multi_get(firn_db *db, uint32_t keyspace, const firn_read_options *options,
                                  const multi_get_args *args) {
    size_t count = args->count;
    multi_get m = {.keys = args->keys, .values = args->values, .statuses = args->statuses};
    for (size_t i = 0; i < count; i++) {
        read_value_clear(&args->values[i]);
        args->statuses[i] = FIRN_OK;
    }
    counters_add(&db->counters, COUNT_GETS, count);
    size_t portion = count < MULTI_PORTION ? count : MULTI_PORTION;
    read_key *lookups = memory_new(portion * sizeof *lookups + 2 * count * sizeof *m.order);
    status st = lookups ? read_begin(&m.search, db, keyspace, options)
                        : status_of(FIRN_NO_MEMORY, "reading many keys");
    if (!status_is_ok(st)) {
        for (size_t i = 0; i < count; i++)
            args->statuses[i] = st.code;
        memory_free(lookups);
        return st;
    }
    m.lookups = lookups;
    m.order = (uint32_t *)(void *)(lookups + portion);
    for (size_t i = 0; i < count; i++)
        m.order[i] = (uint32_t)i;
    multi_sort(&m, m.order + count, count);
    m.search.keeps_found = true;
    if (count > MULTI_PORTION) /* for the epoch this would be a long stay */
        read_leave_epoch(&m.search);
    for (size_t i = 0; i < count; i += MULTI_PORTION)
        multi_portion(&m, m.order + i, count - i < MULTI_PORTION ? count - i : MULTI_PORTION);
    read_end(&m.search);
    memory_free(lookups);
    return m.first;
}
