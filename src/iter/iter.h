/* iter/iter.h - the contract of internal iterators: runs of entries, not entries one by one.
 *
 * Purpose:    a source (memtable, block, table, level, merge) hands out *runs*: arrays of decoded
 *             entries in ascending order that lie in memory together. Moving inside a run is an
 *             increment; only the step to another run is an indirect call.
 * Invariants: index < count: the iterator stands on run[index]. count == 0: not valid. Entries
 * ascend strictly by internal key, within runs and from run to run. After an error count is 0 and
 *             st says why; only a new seek clears it.
 * Lifetime:   a run and all bytes it points to stay valid until the iterator loads another run
 * (next or prev past its end, any seek) or is freed. Threads:    none. */
#ifndef FIRN_ITER_ITER_H
#define FIRN_ITER_ITER_H

#include "base/slice.h"
#include "base/status.h"
#include "format/key.h"

typedef struct iter_entry {
    const uint8_t *key; /* internal key */
    const uint8_t *value;
    uint32_t key_bytes;
    uint32_t value_bytes;
} iter_entry;

/* User keys that a reader wants nothing beyond; unset: open. A source may end instead of stepping
 * past one of them (it never has to): it saves opening and reading what nobody looks at. Seeks know
 * no bounds. */
typedef struct iter_bounds {
    slice lower, upper;
} iter_bounds;

typedef struct iter iter;

typedef struct iter_methods {
    /* Each loads a run and sets index to the entry in question, or leaves count 0. */
    void (*seek_first)(iter *it);
    void (*seek_last)(iter *it);
    /* To the first entry >= target, which must not lie in this iterator's own run. */
    void (*seek)(iter *it, internal_key target);
    /* Announces such a seek, which must come next; the run at hand goes. NULL, or: asks the
     * processor for what the seek will touch first; called again, for what comes after that, with
     * what has arrived meanwhile. Who seeks in many sources has their misses overlap so. */
    void (*announce_seek)(iter *it, internal_key target);
    void (*next_run)(iter *it); /* the run after this one; index 0 */
    void (*prev_run)(iter *it); /* the run before this one; index count - 1 */
    /* The source that holds the current entry's large value (a table *); NULL function or answer:
     * the log does. */
    void *(*origin)(const iter *it);
    void (*release)(iter *it); /* frees it */
} iter_methods;

struct iter {
    const iter_methods *methods;
    const iter_entry *run;
    uint32_t count;
    uint32_t index;
    /* The run's entries are values of the plain kind (OP_PUT), each of another user key: a reader
     * who sees max_sequence can show them without a look at each. False when that is not so, or
     * not known. */
    bool plain;
    seqno max_sequence; /* with `plain`: none in the run is newer */
    status st;
    /* the source's fields follow */
};

static inline bool iter_valid(const iter *it) {
    return it->index < it->count;
}
static inline internal_key iter_key(const iter *it) {
    const iter_entry *e = &it->run[it->index];
    return (internal_key){slice_of(e->key, e->key_bytes)};
}
static inline slice iter_value(const iter *it) {
    const iter_entry *e = &it->run[it->index];
    return slice_of(e->value, e->value_bytes);
}
/* For entries of kind OP_PUT_LARGE: whose extent the reference means; NULL stands for the log. */
static inline void *iter_origin(const iter *it) {
    return it->methods->origin ? it->methods->origin(it) : NULL;
}
static inline void iter_next(iter *it) {
    DCHECK(iter_valid(it));
    if (++it->index >= it->count)
        it->methods->next_run(it);
}
static inline void iter_prev(iter *it) {
    DCHECK(iter_valid(it));
    if (it->index == 0)
        it->methods->prev_run(it);
    else
        it->index--;
}
static inline void iter_seek_first(iter *it) {
    it->methods->seek_first(it);
}
static inline void iter_seek_last(iter *it) {
    it->methods->seek_last(it);
}
static inline void iter_announce_seek(iter *it, internal_key target) {
    if (it->methods->announce_seek)
        it->methods->announce_seek(it, target);
}
static inline void iter_seek(iter *it, internal_key target) {
    it->methods->seek(it, target);
}
/* Last entry <= target. */
FIRN_INTERNAL void iter_seek_for_prev(iter *it, internal_key target, key_order order);
static inline void iter_free(iter *it) {
    if (it)
        it->methods->release(it);
}
/* For sources: no run, with or without an error. */
static inline void iter_set_end(iter *it, status st) {
    it->run = NULL;
    it->count = it->index = 0;
    it->plain = false;
    it->st = st;
}
/* An iterator over nothing, or over an error. */
FIRN_INTERNAL NODISCARD status iter_new_empty(status st, iter **out);
#endif
