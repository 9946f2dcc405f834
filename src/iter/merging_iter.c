/* Every child stands on the entry with which it takes part. `heads[i]` ranks child i: the head of
 * its user key, complemented when the merge goes backwards, so that the smallest always wins; an
 * exhausted child has the largest. Only between equal heads are keys compared.
 *
 * Keys that all begin alike would all have one head. So heads are taken behind a *prefix* of the
 * winner's key. Keys without it rank with the exhausted ones: all keys still to come are beyond the
 * winner's, and those of them that lack the prefix are beyond all that have it. When the winner
 * itself has left the prefix, or ties pile up, another one is chosen; the tree stays as it is,
 * because heads never change who is first.
 *
 * Tree of losers: leaf i is position count + i of a heap, losers[p] the child that lost at p. The
 * runner-up - the best but for the winner - can only have lost to the winner itself, so it is the
 * best loser on the winner's way to the root. It is kept, because it says two things: how far the
 * winner's run may be handed out, and, after that, whether the winner has won again, for which the
 * tree need not be touched.
 *
 * The piece handed out begins (backwards: ends) where the winner stands, and the winner stays there
 * until the piece is used up. So when the direction turns, every child is one step away from where
 * it has to be. */
#include "iter/merging_iter.h"

#include "platform/memory.h"

#include "base/poison.h"

enum {
    MERGING_PREFIX_BYTES_MAX = 64,
    /* Bytes of a head left to what the closest keys have in common, so that a prefix lasts. */
    MERGING_PREFIX_MARGIN = 4,
    MERGING_TIES_MAX = 16,
    MERGING_WALK = 8 /* entries of a piece that are looked at one by one */
};

typedef struct merging_iter {
    iter base;
    key_order order; /* set at birth */
    uint32_t count;  /* of children, at least 2; set at birth */
    bool forward;
    uint32_t winner;
    uint32_t runner_up;
    uint32_t ties; /* of winner and runner-up since the prefix was chosen */
    uint32_t prefix_bytes;
    uint8_t prefix[MERGING_PREFIX_BYTES_MAX];
    iter **children;   /* owned */
    uint64_t *heads;   /* [count] */
    uint32_t *losers;  /* [count]; 0 is not used */
    uint32_t *winners; /* [2 * count]: of every position, while the tree is built */
} merging_iter;

/* Word by word, the last one overlapping: this is asked of every key that is ranked. */
static inline bool merging_has_prefix(const merging_iter *m, slice user) {
    size_t bytes = m->prefix_bytes, i = 0;
    if (user.size < bytes)
        return false;
    if (bytes < 8) {
        while (i < bytes && user.data[i] == m->prefix[i])
            i++;
        return i == bytes;
    }
    while (i + 8 < bytes) {
        if (decode_fixed64(user.data + i) != decode_fixed64(m->prefix + i))
            return false;
        i += 8;
    }
    return decode_fixed64(user.data + bytes - 8) == decode_fixed64(m->prefix + bytes - 8);
}

static inline uint64_t merging_rank_head(const merging_iter *m, internal_key key) {
    if (UNLIKELY(m->order.custom != NULL))
        return 0;
    slice user = internal_key_user(key).s;
    if (m->prefix_bytes) {
        if (UNLIKELY(!merging_has_prefix(m, user)))
            return UINT64_MAX;
        user = slice_skip(user, m->prefix_bytes);
    }
    uint64_t head = key_head(user);
    return m->forward ? head : ~head;
}

/* To be called whenever child i has moved. */
static inline void merging_load_head(merging_iter *m, uint32_t i) {
    const iter *child = m->children[i];
    m->heads[i] = iter_valid(child) ? merging_rank_head(m, iter_key(child)) : UINT64_MAX;
}

/* Whether `a` comes before `b` in the direction of the merge. */
static inline bool merging_key_before(const merging_iter *m, internal_key a, internal_key b) {
    int order = key_order_compare(m->order, a, b);
    return m->forward ? order < 0 : order > 0;
}

static bool merging_tie_before(const merging_iter *m, uint32_t a, uint32_t b) {
    const iter *left = m->children[a], *right = m->children[b];
    if (!iter_valid(left) || !iter_valid(right))
        return iter_valid(left);
    return merging_key_before(m, iter_key(left), iter_key(right));
}

static inline bool merging_before(const merging_iter *m, uint32_t a, uint32_t b) {
    if (LIKELY(m->heads[a] != m->heads[b]))
        return m->heads[a] < m->heads[b];
    return merging_tie_before(m, a, b);
}

/* How long a beginning the keys of winner and runner-up share; 0 unless both stand on one. */
static uint32_t merging_common_bytes(const merging_iter *m) {
    const iter *winner = m->children[m->winner], *next = m->children[m->runner_up];
    if (m->order.custom || !iter_valid(winner) || !iter_valid(next))
        return 0;
    slice a = internal_key_user(iter_key(winner)).s, b = internal_key_user(iter_key(next)).s;
    size_t limit = a.size < b.size ? a.size : b.size, common = 0;
    if (limit > MERGING_PREFIX_BYTES_MAX + MERGING_PREFIX_MARGIN)
        limit = MERGING_PREFIX_BYTES_MAX + MERGING_PREFIX_MARGIN;
    while (common < limit && a.data[common] == b.data[common])
        common++;
    return (uint32_t)common;
}

static void merging_choose_prefix(merging_iter *m) {
    uint32_t common = merging_common_bytes(m);
    m->ties = 0;
    m->prefix_bytes = common > MERGING_PREFIX_MARGIN ? common - MERGING_PREFIX_MARGIN : 0;
    if (m->prefix_bytes)
        memcpy(m->prefix, iter_key(m->children[m->winner]).s.data, m->prefix_bytes);
    for (uint32_t i = 0; i < m->count; i++)
        merging_load_head(m, i);
}

static void merging_find_runner_up(merging_iter *m) {
    uint32_t position = (m->count + m->winner) / 2;
    uint32_t best = m->losers[position];
    while ((position /= 2) > 0) {
        if (merging_before(m, m->losers[position], best))
            best = m->losers[position];
    }
    m->runner_up = best;
    /* A winner outside the prefix has the largest head, and so has the runner-up beyond it. */
    uint64_t head = m->heads[m->winner];
    if (UNLIKELY(head == m->heads[best]) && (head == UINT64_MAX || ++m->ties >= MERGING_TIES_MAX))
        merging_choose_prefix(m);
}

static void merging_build(merging_iter *m) {
    m->prefix_bytes = 0;
    m->ties = MERGING_TIES_MAX - 1; /* the first tie already */
    for (uint32_t i = 0; i < m->count; i++) {
        merging_load_head(m, i);
        m->winners[m->count + i] = i;
    }
    for (uint32_t position = m->count - 1; position > 0; position--) {
        uint32_t a = m->winners[2 * position], b = m->winners[2 * position + 1];
        bool b_wins = merging_before(m, b, a);
        m->winners[position] = b_wins ? b : a;
        m->losers[position] = b_wins ? a : b;
    }
    m->winner = m->winners[1];
    merging_find_runner_up(m);
}

/* The tree again after the winner has moved on. */
static inline void merging_rebuild_winner(merging_iter *m) {
    merging_load_head(m, m->winner);
    if (merging_before(m, m->winner, m->runner_up))
        return;
    uint32_t current = m->winner;
    for (uint32_t position = (m->count + current) / 2; position > 0; position /= 2) {
        uint32_t loser = m->losers[position];
        if (merging_before(m, loser, current)) {
            m->losers[position] = current;
            current = loser;
        }
    }
    m->winner = current;
    merging_find_runner_up(m);
}

/* Whether the entry `steps` on from where the winner stands still comes before the runner-up. */
static inline bool merging_entry_wins(const merging_iter *m, const iter *child, uint32_t steps) {
    const iter_entry *entry = &child->run[m->forward ? child->index + steps : child->index - steps];
    internal_key key = {slice_of(entry->key, entry->key_bytes)};
    uint64_t head = merging_rank_head(m, key);
    if (LIKELY(head != m->heads[m->runner_up]))
        return head < m->heads[m->runner_up];
    return merging_key_before(m, key, iter_key(m->children[m->runner_up]));
}

/* How many of the next `limit` entries surely win, in the usual case: forward, by heads alone. */
static inline uint32_t merging_walk(const merging_iter *m, const iter *child, uint32_t limit) {
    const iter_entry *next = &child->run[child->index + 1];
    uint64_t best = m->heads[m->runner_up];
    uint32_t wins = 0;
    while (wins < limit && next[wins].key_bytes >= 8 + KEY_TRAILER_BYTES &&
           __builtin_bswap64(decode_fixed64(next[wins].key)) < best)
        wins++;
    return wins;
}

/* How many entries of the winner's run come before the runner-up: one by one at first, then
 * exponential and binary search, so that a piece of n costs O(log n) comparisons and a short one as
 * many as it has entries. */
static uint32_t merging_piece(const merging_iter *m, const iter *child) {
    uint32_t limit = m->forward ? child->count - child->index : child->index + 1;
    if (!iter_valid(m->children[m->runner_up]))
        return limit;
    uint32_t low = 0; /* the entry `low` steps on wins */
    uint32_t walk = limit < MERGING_WALK ? limit : MERGING_WALK;
    if (LIKELY(m->forward && m->prefix_bytes == 0 && !m->order.custom))
        low = merging_walk(m, child, walk - 1);
    while (low + 1 < walk && merging_entry_wins(m, child, low + 1))
        low++;
    if (low + 1 < walk || low + 1 == limit)
        return low + 1;
    uint32_t step = 1;
    while (low + step < limit && merging_entry_wins(m, child, low + step)) {
        low += step;
        step *= 2;
    }
    uint32_t high = low + step < limit ? low + step : limit; /* this one does not */
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (merging_entry_wins(m, child, middle))
            low = middle;
        else
            high = middle;
    }
    return high;
}

static void merging_publish(merging_iter *m) {
    const iter *child = m->children[m->winner];
    if (!iter_valid(child)) {
        iter_set_end(&m->base, STATUS_OK);
        return;
    }
    uint32_t count = merging_piece(m, child);
    m->base.run = &child->run[m->forward ? child->index : child->index - (count - 1)];
    m->base.count = count;
    m->base.index = m->forward ? 0 : count - 1;
    m->base.plain = child->plain;
    m->base.max_sequence = child->max_sequence;
    m->base.st = STATUS_OK;
}

/* A source that failed must not be missing silently: the whole merge ends with its status. */
static inline bool merging_child_ok(merging_iter *m, const iter *child) {
    if (LIKELY(iter_valid(child) || status_is_ok(child->st)))
        return true;
    iter_set_end(&m->base, child->st);
    return false;
}

/* Brings every child to its first entry beyond the piece, in the new direction. */
static void merging_turn(merging_iter *m) {
    m->forward = !m->forward;
    const iter_entry *edge = &m->base.run[m->forward ? m->base.count - 1 : 0];
    /* Lies in the winner's run, which is why the winner moves last. */
    internal_key key = {slice_of(edge->key, edge->key_bytes)};
    for (uint32_t i = 0; i < m->count; i++) {
        iter *child = m->children[i];
        if (i == m->winner)
            continue;
        if (!iter_valid(child)) {
            if (m->forward)
                iter_seek(child, key);
            else
                iter_seek_for_prev(child, key, m->order);
        }
        /* One step, more only where entries were added meanwhile. */
        while (iter_valid(child) && merging_key_before(m, iter_key(child), key)) {
            if (m->forward)
                iter_next(child);
            else
                iter_prev(child);
        }
        if (!merging_child_ok(m, child))
            return;
    }
    iter *winner = m->children[m->winner];
    if (m->forward)
        iter_next(winner);
    else
        iter_prev(winner);
    if (!merging_child_ok(m, winner))
        return;
    merging_build(m);
    merging_publish(m);
}

static void merging_next_run(iter *base) {
    merging_iter *m = (merging_iter *)base;
    DCHECK(base->count > 0);
    if (!m->forward) {
        merging_turn(m);
        return;
    }
    iter *child = m->children[m->winner];
    child->index += base->count - 1;
    iter_next(child);
    if (!merging_child_ok(m, child))
        return;
    merging_rebuild_winner(m);
    merging_publish(m);
}

static void merging_prev_run(iter *base) {
    merging_iter *m = (merging_iter *)base;
    DCHECK(base->count > 0);
    if (m->forward) {
        merging_turn(m);
        return;
    }
    iter *child = m->children[m->winner];
    child->index -= base->count - 1;
    iter_prev(child);
    if (!merging_child_ok(m, child))
        return;
    merging_rebuild_winner(m);
    merging_publish(m);
}

static void merging_start(merging_iter *m, bool forward) {
    for (uint32_t i = 0; i < m->count; i++) {
        if (!merging_child_ok(m, m->children[i]))
            return;
    }
    m->forward = forward;
    merging_build(m);
    merging_publish(m);
}

static void merging_seek_first(iter *base) {
    merging_iter *m = (merging_iter *)base;
    for (uint32_t i = 0; i < m->count; i++)
        iter_seek_first(m->children[i]);
    merging_start(m, true);
}

static void merging_seek_last(iter *base) {
    merging_iter *m = (merging_iter *)base;
    for (uint32_t i = 0; i < m->count; i++)
        iter_seek_last(m->children[i]);
    merging_start(m, false);
}

static void merging_seek(iter *base, internal_key target) {
    merging_iter *m = (merging_iter *)base;
    for (uint32_t i = 0; i < m->count; i++)
        iter_seek(m->children[i], target);
    merging_start(m, true);
}

static void merging_release(iter *base) {
    merging_iter *m = (merging_iter *)base;
    for (uint32_t i = 0; i < m->count; i++)
        iter_free(m->children[i]);
    memory_free(m);
}

static void *merging_origin(const iter *base) {
    const merging_iter *m = (const merging_iter *)base;
    return iter_origin(m->children[m->winner]); /* whose piece the run is */
}

static const iter_methods merging_iter_methods = {
    .seek_first = merging_seek_first,
    .seek_last = merging_seek_last,
    .seek = merging_seek,
    .next_run = merging_next_run,
    .prev_run = merging_prev_run,
    .origin = merging_origin,
    .release = merging_release,
};

/* The iterator and its arrays lie in one piece, those with the strictest alignment first. */
FIRN_INTERNAL size_t merging_iter_bytes(size_t count) {
    size_t each = sizeof(iter *) + sizeof(uint64_t) + 3 * sizeof(uint32_t);
    return sizeof(merging_iter) + count * each;
}

FIRN_INTERNAL iter *merging_iter_place(void *memory, key_order order, iter *const *children,
                                       size_t count) {
    CHECK(count >= 2 && count < UINT32_MAX / 2);
    merging_iter *m = memory;
    m->base.methods = &merging_iter_methods;
    iter_set_end(&m->base, STATUS_OK);
    m->order = order;
    m->count = (uint32_t)count;
    m->forward = true;
    m->winner = m->runner_up = m->ties = m->prefix_bytes = 0;
    m->heads = (uint64_t *)(void *)(m + 1);
    m->children = (iter **)(void *)(m->heads + count);
    m->losers = (uint32_t *)(void *)(m->children + count);
    m->winners = m->losers + count;
    memcpy(m->children, children, count * sizeof *children);
    return &m->base;
}

FIRN_INTERNAL status merging_iter_new(key_order order, iter **children, size_t count, iter **out) {
    *out = NULL;
    if (count == 0)
        return iter_new_empty(STATUS_OK, out);
    if (count == 1) {
        *out = children[0];
        return STATUS_OK;
    }
    void *memory = memory_new(merging_iter_bytes(count));
    if (!memory) {
        for (size_t i = 0; i < count; i++)
            iter_free(children[i]);
        return status_of(FIRN_NO_MEMORY, "making an iterator");
    }
    *out = merging_iter_place(memory, order, children, count);
    return STATUS_OK;
}
