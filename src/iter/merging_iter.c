/* Every child stands on the entry with which it takes part. `heads[i]` ranks child i: the head of
 * its user key, complemented when the merge goes backwards, so that the smallest always wins; an
 * exhausted child has the largest. Only between equal heads are keys compared.
 *
 * Keys that all begin alike would all have one head. So heads are taken behind a *prefix* of the
 * winner's key. Keys without it rank with the exhausted ones: all keys still to come are beyond the
 * winner's, and those of them that lack the prefix are beyond all that have it. When the winner
 * itself has left the prefix, or ties pile up, another one is chosen; the order stays as it is,
 * because heads never change who is first. Versions of one key tie under any prefix and count for
 * nothing.
 *
 * The children are kept in order, the winner first, each beside its head. After the winner has
 * moved it mostly is the winner still, or takes its new place among the next few: one comparison of
 * two words for each it passes, and no tree to mend. The runner-up, which says how far the winner's
 * run may be handed out, is the second. Placing one among hundreds costs a binary search and moving
 * what lies before it, 16 bytes each.
 *
 * What is handed out is one of two things. A long stretch of one child is a *piece* of that child's
 * run: it begins (backwards: ends) where the winner stands, and the winner stays there until the
 * piece is used up. Where the children alternate, forwards, the merge fills a run of its own, a
 * *batch*: their entries are copied one after the other - not the bytes they point to, for which
 * reason a batch ends when a child has used up its run. The children stand behind what was copied.
 *
 * A reader's merge leaves out of a batch what that reader will not see: versions newer than its
 * sequence, and those behind the first it sees of a key. A batch is then mostly plain, and the
 * reader need not look at its entries. Where many are left out in a row it stops doing so: the
 * reader knows better ways past them. */
#include "iter/merging_iter.h"

#include "platform/memory.h"

#include "base/poison.h"

enum {
    MERGING_PREFIX_BYTES_MAX = 64,
    /* Bytes of a head left to what the closest keys have in common, so that a prefix lasts. */
    MERGING_PREFIX_MARGIN = 4,
    MERGING_TIES_MAX = 16,
    MERGING_WALK = 8, /* entries of a piece, and places in order, that are looked at one by one */
    /* A batch's entries: few after a seek, for who asks for few, then more from batch to batch. */
    MERGING_BATCH_MIN = 8,
    MERGING_BATCH_MAX = 64,
    MERGING_HIDDEN_MAX = 16, /* left out of a batch in a row */
    MERGING_SEEK_STAGES = 2  /* a table's block, then the piece of it */
};

typedef struct merging_place {
    uint64_t head;
    uint32_t child;
} merging_place;

typedef struct merging_iter {
    iter base;
    key_order order; /* set at birth */
    uint32_t count;  /* of children, at least 2; set at birth */
    seqno visible;   /* MERGING_SHOWS_ALL, or the reader's sequence; set at birth */
    uint64_t hidden; /* versions left out, not yet taken note of */
    bool forward;
    bool batched;         /* the run is a batch, not a piece of the winner's run */
    bool is_sought;       /* the entry a seek stands on is shown, hidden or not */
    uint32_t batch_limit; /* of the next one */
    uint32_t ties;        /* of winner and runner-up since the prefix was chosen */
    uint32_t prefix_bytes;
    uint8_t prefix[MERGING_PREFIX_BYTES_MAX];
    iter **children;                        /* owned */
    merging_place *places;                  /* [count]: the children in order */
    uint32_t batch_from[MERGING_BATCH_MAX]; /* the child of each entry */
    iter_entry batch[MERGING_BATCH_MAX];
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

static inline iter *merging_winner(const merging_iter *m) {
    return m->children[m->places[0].child];
}

static inline uint64_t merging_child_head(const merging_iter *m, const iter *child) {
    return iter_valid(child) ? merging_rank_head(m, iter_key(child)) : UINT64_MAX;
}

/* Whether `a` comes before `b` in the direction of the merge. */
static inline bool merging_key_before(const merging_iter *m, internal_key a, internal_key b) {
    int order = key_order_compare(m->order, a, b);
    return m->forward ? order < 0 : order > 0;
}

static COLD bool merging_unranked_before(const merging_iter *m, const iter *left,
                                         const iter *right) {
    if (!iter_valid(left) || !iter_valid(right))
        return iter_valid(left);
    return merging_key_before(m, iter_key(left), iter_key(right));
}

/* Between equal heads. Versions of one key are the usual case: keys of one length that the head and
 * one word more at the end cover. */
static inline bool merging_tie_before(const merging_iter *m, uint64_t head, const iter *left,
                                      const iter *right) {
    if (UNLIKELY(head == UINT64_MAX || m->order.custom))
        return merging_unranked_before(m, left, right);
    internal_key x = iter_key(left), y = iter_key(right);
    size_t bytes = x.s.size - KEY_TRAILER_BYTES;
    if (UNLIKELY(x.s.size != y.s.size || bytes < 8 || bytes > m->prefix_bytes + 16))
        return merging_key_before(m, x, y);
    uint64_t p = __builtin_bswap64(decode_fixed64(x.s.data + bytes - 8));
    uint64_t q = __builtin_bswap64(decode_fixed64(y.s.data + bytes - 8));
    if (p != q)
        return (p < q) == m->forward;
    return (internal_key_trailer(x) > internal_key_trailer(y)) == m->forward;
}

/* Whether the child at `position` comes before the one that is to be placed. */
static inline bool merging_place_before(const merging_iter *m, uint32_t position,
                                        merging_place placed) {
    uint64_t head = m->places[position].head;
    if (LIKELY(head != placed.head))
        return head < placed.head;
    return merging_tie_before(m, head, m->children[m->places[position].child],
                              m->children[placed.child]);
}

/* The first position in [low, high) whose child does not come before the one to be placed; high if
 * there is none. */
static inline uint32_t merging_find_place(const merging_iter *m, uint32_t low, uint32_t high,
                                          merging_place placed) {
    uint32_t near = high - low < MERGING_WALK ? high : low + MERGING_WALK;
    while (low < near && merging_place_before(m, low, placed))
        low++;
    if (LIKELY(low < near || near == high))
        return low;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (merging_place_before(m, middle, placed))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* How long a beginning the keys of winner and runner-up share; 0 unless both stand on one. */
static uint32_t merging_common_bytes(const merging_iter *m) {
    const iter *winner = merging_winner(m), *next = m->children[m->places[1].child];
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

static void merging_set_prefix(merging_iter *m, uint32_t bytes) {
    m->prefix_bytes = bytes;
    if (bytes)
        memcpy(m->prefix, iter_key(merging_winner(m)).s.data, bytes);
    for (uint32_t i = 0; i < m->count; i++)
        m->places[i].head = merging_child_head(m, m->children[m->places[i].child]);
}

/* Winner and runner-up have one head: perhaps that of all keys outside the prefix. */
static void merging_meet_tie(merging_iter *m) {
    const iter *winner = merging_winner(m), *next = m->children[m->places[1].child];
    bool outside = m->places[0].head == UINT64_MAX;
    if (iter_valid(winner) && iter_valid(next) &&
        user_key_equal(internal_key_user(iter_key(winner)), internal_key_user(iter_key(next)))) {
        if (outside && m->prefix_bytes)
            merging_set_prefix(m, 0); /* what other keys have in common is not known yet */
        return;
    }
    if (!outside && ++m->ties < MERGING_TIES_MAX)
        return;
    uint32_t common = merging_common_bytes(m);
    m->ties = 0;
    merging_set_prefix(m, common > MERGING_PREFIX_MARGIN ? common - MERGING_PREFIX_MARGIN : 0);
}

static inline void merging_check_tie(merging_iter *m) {
    if (UNLIKELY(m->places[0].head == m->places[1].head))
        merging_meet_tie(m);
}

static void merging_build(merging_iter *m) {
    m->prefix_bytes = 0;
    m->ties = MERGING_TIES_MAX - 1; /* the first tie already */
    for (uint32_t i = 0; i < m->count; i++) {
        merging_place placed = {merging_child_head(m, m->children[i]), i};
        uint32_t at = merging_find_place(m, 0, i, placed);
        memmove(&m->places[at + 1], &m->places[at], (i - at) * sizeof *m->places);
        m->places[at] = placed;
    }
    merging_check_tie(m);
}

/* The first position in [low, high) whose head is not below `head`. Where far back it lies is
 * chance, which branches would be mispredicted by: conditional moves. */
static inline uint32_t merging_find_head(const merging_iter *m, uint32_t low, uint32_t high,
                                         uint64_t head) {
    const merging_place *base = m->places + low;
    uint32_t count = high - low;
    while (count > 1) {
        uint32_t half = count / 2;
        base += base[half - 1].head < head ? half : 0;
        count -= half;
    }
    return (uint32_t)(base - m->places) + (count > 0 && base->head < head);
}

/* Where heads alone do not say quickly where the winner goes: among equal ones, or far back. It
 * comes behind all before `position`, which have moved up already. */
static void merging_place_far(merging_iter *m, uint32_t position, merging_place placed) {
    merging_place *places = m->places;
    uint32_t end = merging_find_head(m, position, m->count, placed.head);
    if (UNLIKELY(end < m->count && places[end].head == placed.head))
        end = merging_find_place(m, end, m->count, placed);
    memmove(places + position - 1, places + position, (end - position) * sizeof *places);
    places[end - 1] = placed;
}

/* The order again after the winner has moved on: mostly it comes behind the next few at most, each
 * of which moves up as it is passed. */
static inline void merging_place_winner(merging_iter *m) {
    merging_place *places = m->places, placed = places[0];
    uint32_t near = m->count < MERGING_WALK ? m->count : MERGING_WALK, at = 1;
    const iter *child = m->children[placed.child];
    /* Its next key is asked for now: with many children it is long until their turn comes again. */
    if (LIKELY(child->index + 1 < child->count))
        __builtin_prefetch(child->run[child->index + 1].key);
    placed.head = merging_child_head(m, child);
    for (uint64_t head; at < near && (head = places[at].head) < placed.head; at++)
        places[at - 1] = (merging_place){head, places[at].child};
    if (LIKELY(at == m->count || (at < near && places[at].head != placed.head)))
        places[at - 1] = placed;
    else
        merging_place_far(m, at, placed);
    merging_check_tie(m);
}

/* Whether the entry `steps` on from where the winner stands still comes before the runner-up. */
static inline bool merging_entry_wins(const merging_iter *m, const iter *child, uint32_t steps) {
    const iter_entry *entry = &child->run[m->forward ? child->index + steps : child->index - steps];
    internal_key key = {slice_of(entry->key, entry->key_bytes)};
    uint64_t head = merging_rank_head(m, key);
    if (LIKELY(head != m->places[1].head))
        return head < m->places[1].head;
    return merging_key_before(m, key, iter_key(m->children[m->places[1].child]));
}

/* How many of the next `limit` entries surely win, in the usual case: forward, by heads alone. */
static inline uint32_t merging_walk(const merging_iter *m, const iter *child, uint32_t limit) {
    const iter_entry *next = &child->run[child->index + 1];
    uint64_t best = m->places[1].head;
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
    if (!iter_valid(m->children[m->places[1].child]))
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

/* Whether the reader does not see an entry, given the key of the last one it was shown. */
static inline bool merging_hides(const merging_iter *m, internal_key key, uint64_t trailer,
                                 internal_key shown) {
    return trailer >> 8 > m->visible ||
           (shown.s.data && user_key_equal(internal_key_user(key), internal_key_user(shown)));
}

/* Whether a batch leaves out what the reader does not see. Not from an entry on that a seek stands
 * on and that it does not see: it is shown, and behind such a version others are not behind one
 * that was seen. */
static bool merging_may_hide(const merging_iter *m) {
    if (m->visible == MERGING_SHOWS_ALL)
        return false;
    return !m->is_sought || internal_key_sequence(iter_key(merging_winner(m))) <= m->visible;
}

/* Copies entries in order until the batch is full, a child has used up its run, or one child has
 * the word for so long that a piece will do better. Gives their number: 0 if all that was met is
 * hidden. */
static uint32_t merging_fill(merging_iter *m) {
    bool hides = merging_may_hide(m), plain = hides;
    uint32_t count = 0, hidden = 0, streak = 0; /* shown in a row from one child */
    internal_key shown = {SLICE_UNSET};
    m->is_sought = false;
    while (count < m->batch_limit && streak < MERGING_WALK) {
        uint32_t winner = m->places[0].child;
        iter *child = m->children[winner];
        if (UNLIKELY(!iter_valid(child)))
            break;
        const iter_entry *e = &child->run[child->index];
        internal_key key = {slice_of(e->key, e->key_bytes)};
        uint64_t trailer = internal_key_trailer(key);
        if (hides && merging_hides(m, key, trailer, shown)) {
            m->hidden++;
            streak = 0;
            if (UNLIKELY(++hidden == MERGING_HIDDEN_MAX))
                hides = plain = false;
        } else {
            plain &= (trailer & 0xff) == OP_PUT;
            m->batch[count] = *e;
            m->batch_from[count++] = winner;
            shown = key;
            hidden = 0;
            streak++;
        }
        if (++child->index == child->count)
            break;
        merging_place_winner(m);
        if (m->places[0].child != winner)
            streak = 0;
    }
    m->base.run = m->batch;
    m->base.count = count;
    m->base.index = 0;
    m->base.plain = plain;
    m->base.max_sequence = m->visible;
    m->batched = true;
    if (m->batch_limit < MERGING_BATCH_MAX)
        m->batch_limit *= 2;
    return count;
}

/* Hands out the next piece or batch from where the children stand. False: all that was met is
 * hidden, and the winner has used up its run. */
static bool merging_publish(merging_iter *m) {
    const iter *child = merging_winner(m);
    m->base.st = STATUS_OK;
    if (!iter_valid(child)) {
        iter_set_end(&m->base, STATUS_OK);
        return true;
    }
    uint32_t count = merging_piece(m, child);
    if (m->forward && count < MERGING_WALK)
        return merging_fill(m) > 0;
    m->is_sought = false;
    m->base.run = &child->run[m->forward ? child->index : child->index - (count - 1)];
    m->base.count = count;
    m->base.index = m->forward ? 0 : count - 1;
    m->base.plain = child->plain;
    m->base.max_sequence = child->max_sequence;
    m->batched = false;
    return true;
}

/* A source that failed must not be missing silently: the whole merge ends with its status. */
static inline bool merging_child_ok(merging_iter *m, const iter *child) {
    if (LIKELY(iter_valid(child) || status_is_ok(child->st)))
        return true;
    iter_set_end(&m->base, child->st);
    return false;
}

/* Loads the winner's next run, of which everything handed out so far is left behind. */
static bool merging_load_next(merging_iter *m) {
    iter *child = merging_winner(m);
    child->methods->next_run(child);
    if (!merging_child_ok(m, child))
        return false;
    merging_place_winner(m);
    return true;
}

static void merging_go_on(merging_iter *m) {
    while (!merging_publish(m)) {
        if (!merging_load_next(m))
            return;
    }
}

/* Puts the child that an entry of the run at hand came from on that entry. */
static void merging_stand_on(iter *child, const iter_entry *entry) {
    if (child->index == child->count)
        child->index--;
    while (child->run[child->index].key != entry->key)
        child->index--;
}

/* A child's first entry beyond `key`, which is of another child's, in the direction of the merge.
 */
static void merging_pass(merging_iter *m, iter *child, internal_key key) {
    if (child->count == 0) {
        if (m->forward)
            iter_seek(child, key);
        else
            iter_seek_for_prev(child, key, m->order);
    } else if (child->index == child->count) { /* used up by a batch */
        child->index--;
    }
    while (iter_valid(child) && merging_key_before(m, iter_key(child), key)) {
        if (m->forward)
            iter_next(child);
        else
            iter_prev(child);
    }
}

/* Brings every child to its first entry beyond what was handed out, in the new direction. */
static void merging_turn(merging_iter *m) {
    m->forward = !m->forward;
    m->batch_limit = MERGING_BATCH_MIN;
    const iter_entry *edge = &m->base.run[m->forward ? m->base.count - 1 : 0];
    /* Lies in the run of the child it came from, which is why that one moves last. */
    internal_key key = {slice_of(edge->key, edge->key_bytes)};
    iter *source = m->children[m->batched ? m->batch_from[0] : m->places[0].child];
    for (uint32_t i = 0; i < m->count; i++) {
        iter *child = m->children[i];
        if (child == source)
            continue;
        merging_pass(m, child, key);
        if (!merging_child_ok(m, child))
            return;
    }
    merging_stand_on(source, edge);
    if (m->forward)
        iter_next(source);
    else
        iter_prev(source);
    if (!merging_child_ok(m, source))
        return;
    merging_build(m);
    merging_go_on(m);
}

static void merging_next_run(iter *base) {
    merging_iter *m = (merging_iter *)base;
    DCHECK(base->count > 0);
    if (!m->forward) {
        merging_turn(m);
        return;
    }
    iter *child = merging_winner(m);
    if (!m->batched) {
        child->index += base->count;
        if (child->index < child->count)
            merging_place_winner(m);
    }
    if (child->count > 0 && child->index == child->count && !merging_load_next(m))
        return;
    merging_go_on(m);
}

static void merging_prev_run(iter *base) {
    merging_iter *m = (merging_iter *)base;
    DCHECK(base->count > 0);
    if (m->forward) {
        merging_turn(m);
        return;
    }
    iter *child = merging_winner(m);
    child->index -= base->count - 1;
    iter_prev(child);
    if (!merging_child_ok(m, child))
        return;
    merging_place_winner(m);
    merging_go_on(m);
}

static void merging_start(merging_iter *m, bool forward) {
    for (uint32_t i = 0; i < m->count; i++) {
        if (!merging_child_ok(m, m->children[i]))
            return;
    }
    m->forward = forward;
    m->is_sought = true;
    merging_build(m);
    merging_go_on(m);
}

static void merging_seek_first(iter *base) {
    merging_iter *m = (merging_iter *)base;
    m->batch_limit = MERGING_BATCH_MAX; /* who starts at the beginning means to go on */
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
    m->batch_limit = MERGING_BATCH_MIN;
    for (uint32_t stage = 0; stage < MERGING_SEEK_STAGES; stage++) {
        for (uint32_t i = 0; i < m->count; i++)
            iter_announce_seek(m->children[i], target);
    }
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
    return iter_origin(m->children[m->batched ? m->batch_from[m->base.index] : m->places[0].child]);
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
    return sizeof(merging_iter) + count * (sizeof(merging_place) + sizeof(iter *));
}

FIRN_INTERNAL iter *merging_iter_place(void *memory, const merging_iter_args *args,
                                       iter *const *children, size_t count) {
    CHECK(count >= 2 && count < UINT32_MAX / 2);
    merging_iter *m = memory;
    m->base.methods = &merging_iter_methods;
    iter_set_end(&m->base, STATUS_OK);
    m->order = args->order;
    m->visible = args->visible;
    m->hidden = 0;
    m->count = (uint32_t)count;
    m->forward = true;
    m->batched = m->is_sought = false;
    m->batch_limit = MERGING_BATCH_MIN;
    m->ties = m->prefix_bytes = 0;
    m->places = (merging_place *)(void *)(m + 1);
    m->children = (iter **)(void *)(m->places + count);
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
    merging_iter_args args = {.order = order, .visible = MERGING_SHOWS_ALL};
    *out = merging_iter_place(memory, &args, children, count);
    return STATUS_OK;
}

FIRN_INTERNAL uint64_t merging_iter_take_hidden(iter *merged) {
    DCHECK(merged->methods == &merging_iter_methods);
    merging_iter *m = (merging_iter *)merged;
    uint64_t hidden = m->hidden;
    m->hidden = 0;
    return hidden;
}
