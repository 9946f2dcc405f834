/* format/range_tombstone.h - deletes of whole ranges, cut into fragments that do not overlap.
 *
 * Purpose:    whether a key is covered, and by which sequences, in one binary search.
 * Invariants: fragments ascend and do not overlap (touching is fine); [begin, end) is never empty;
 *             the sequences of a fragment descend strictly. Neighbours that touch and have the same
 * sequences are one fragment. Threads:    immutable once built. Lifetime:   keys are borrowed from
 * whoever made the tombstones. */
#ifndef FIRN_FORMAT_RANGE_TOMBSTONE_H
#define FIRN_FORMAT_RANGE_TOMBSTONE_H

#include "format/key.h"

/* Deletes what is older than `sequence` and lies in [begin, end). */
typedef struct range_tombstone {
    user_key begin, end;
    seqno sequence;
} range_tombstone;

/* A list that grows; {0} is empty. */
typedef struct range_list {
    range_tombstone *items;
    uint32_t count, capacity;
    bool out_of_memory; /* sticky, as in buf */
} range_list;
FIRN_INTERNAL void range_list_push(range_list *l, user_key begin, user_key end, seqno sequence);
FIRN_INTERNAL NODISCARD status range_list_status(const range_list *l);
FIRN_INTERNAL void range_list_deinit(range_list *l);

typedef struct range_fragment {
    user_key begin, end;
    uint32_t first, count; /* of its sequences */
} range_fragment;

/* One block of memory that may be copied to another place as it is. */
typedef struct range_fragments {
    key_order order;
    size_t bytes; /* of the block */
    uint32_t count, sequence_count;
    range_fragment list[]; /* [count], and behind it seqno [sequence_count] */
} range_fragments;

static inline const seqno *range_fragment_sequences(const range_fragments *f,
                                                    const range_fragment *one) {
    return (const seqno *)(const void *)(f->list + f->count) + one->first;
}

/* What to leave out of the fragments. */
typedef struct range_select {
    seqno at; /* tombstones newer than that are left out; SEQNO_MAX: none */
    /* Whether a tombstone makes an older one of the same range needless; NULL: never. */
    bool (*replaces)(void *context, seqno newer, seqno older);
    void *context;
} range_select;

/* Gives the fragments of `count` tombstones in any order, empty ones among them; *out is NULL when
 * none are left. Free with memory_free. NO_MEMORY is the only failure. */
FIRN_INTERNAL NODISCARD status range_fragments_build(key_order order,
                                                     const range_tombstone *tombstones,
                                                     uint32_t count, const range_select *select,
                                                     range_fragments **out);
/* The reverse, for building anew together with others: appends a tombstone per fragment and
 * sequence. */
FIRN_INTERNAL void range_fragments_list(const range_fragments *f, range_list *out);

/* Position of the first fragment that ends behind `key`; count if none. */
FIRN_INTERNAL uint32_t range_fragments_find(const range_fragments *f, user_key key);
/* The newest sequence <= at that covers `key`; 0: none does. */
FIRN_INTERNAL seqno range_fragments_cover(const range_fragments *f, user_key key, seqno at);
/* The newest that covers all keys in [smallest, largest], both included; 0: none does. Only what
 * one fragment covers counts. */
FIRN_INTERNAL seqno range_fragments_cover_all(const range_fragments *f, user_key smallest,
                                              user_key largest);
#endif
