/* The user's iterator: of all internal entries in order, the newest visible version of each key
 * that is not a delete. Mostly it stands on that entry of the merged iterator. Going backward a
 * key's newest version is met last, when the run of the others may be gone: then it stands on a
 * copy, and the merged iterator before all versions of the key.
 *
 * Steps inside a plain run (iter/iter.h) that the reader sees whole need no look at the entries:
 * `ahead` and `behind` say how many there are, and the merged iterator learns of them when it is
 * moved itself. Backward that holds for all but the run's first entry, of which a newer version may
 * stand in the run before. */
#include "db/iterator_internal.h"
#include "format/expiry.h"
#include "platform/error_detail.h"

#include "base/poison.h"

/* Hidden entries of one key in a row after which seeking is cheaper than stepping on. */
enum { CURSOR_STEPS_MAX = 16 };

/* OK, or what went wrong with the large value while it was used. */
static status cursor_check_large(const firn_iter *it) {
    return UNLIKELY(it->large_unpin != NULL) ? vfs_map_check_bytes(it->large_value) : STATUS_OK;
}

/* --- bounds --- */

static bool cursor_is_below_lower(const firn_iter *it, slice key) {
    if (!slice_is_set(it->bounds.lower))
        return false;
    int order =
        key_order_compare_user(it->view->order, user_key_of(key), user_key_of(it->bounds.lower));
    return order < 0 || (order == 0 && it->lower_exclusive);
}

static bool cursor_is_above_upper(const firn_iter *it, slice key) {
    if (!slice_is_set(it->bounds.upper))
        return false;
    int order =
        key_order_compare_user(it->view->order, user_key_of(key), user_key_of(it->bounds.upper));
    return order > 0 || (order == 0 && !it->upper_inclusive);
}

static inline slice cursor_run_key(const iter *m, uint32_t index) {
    return slice_of(m->run[index].key, m->run[index].key_bytes - KEY_TRAILER_BYTES);
}

/* How many entries of merged's run, from its first on, lie below the upper bound; asked of runs of
 * which at least one does. */
static uint32_t cursor_count_below_upper(const firn_iter *it) {
    const iter *m = it->merged;
    uint32_t low = m->index + 1, high = m->count;
    if (!slice_is_set(it->bounds.upper) || !cursor_is_above_upper(it, cursor_run_key(m, high - 1)))
        return high;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (cursor_is_above_upper(it, cursor_run_key(m, middle)))
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* The first entry of merged's run behind its very first that does not lie below the lower bound;
 * the current one does not. */
static uint32_t cursor_first_from_lower(const firn_iter *it) {
    const iter *m = it->merged;
    uint32_t low = 1, high = m->index;
    if (!slice_is_set(it->bounds.lower) || !cursor_is_below_lower(it, cursor_run_key(m, low)))
        return low;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (cursor_is_below_lower(it, cursor_run_key(m, middle)))
            low = middle + 1;
        else
            high = middle;
    }
    return high;
}

/* Whether the entries of merged's run can be shown as they are. */
static inline bool cursor_run_is_plain(const firn_iter *it) {
    return it->merged->plain && it->merged->max_sequence <= it->sequence;
}

/* What is shown lies within the bounds. */
static inline void cursor_check_bounds(const firn_iter *it) {
    DCHECK(!it->at || (!cursor_is_below_lower(it, db_iter_key(it)) &&
                       !cursor_is_above_upper(it, db_iter_key(it))));
}

static void cursor_show_forward(firn_iter *it, op_kind kind) {
    const iter *m = it->merged;
    it->at = &m->run[m->index];
    it->kind = kind;
    it->behind = 0;
    it->ahead = cursor_run_is_plain(it) ? cursor_count_below_upper(it) - m->index - 1 : 0;
    cursor_check_bounds(it);
}

/* --- moving --- */

/* Tells merged of the steps taken inside its run. */
static inline void cursor_sync(firn_iter *it) {
    it->merged->index = (uint32_t)(it->at - it->merged->run);
}

/* Positions merged at the first entry >= (key, sequence). False: failed. */
static bool cursor_seek_merged(firn_iter *it, slice key, seqno sequence) {
    seek_key seek;
    status st = seek_key_init(&seek, user_key_of(key), sequence);
    if (!status_is_ok(st)) {
        cursor_end(it, st);
        return false;
    }
    iter_seek(it->merged, seek.key);
    seek_key_deinit(&seek);
    return true;
}

/* Keeps the current key readable while merged leaves the run it points into. */
static bool cursor_save_key(firn_iter *it, slice *key) {
    if (key->data == it->key.data)
        return true; /* kept already */
    buf_clear(&it->key);
    buf_append_slice(&it->key, *key);
    if (UNLIKELY(it->key.out_of_memory)) {
        cursor_end(it, buf_status(&it->key));
        return false;
    }
    *key = buf_slice(&it->key);
    return true;
}

static inline bool cursor_same_key(slice a, slice b) {
    return user_key_equal(user_key_of(a), user_key_of(b));
}

/* Past all versions of `skip`; behind them stands what a seek finds. */
static bool cursor_jump_over(firn_iter *it, slice *skip) {
    it->reseeks++;
    return cursor_save_key(it, skip) && cursor_seek_merged(it, *skip, 0);
}

/* Past the versions of merged's current key that the reader does not see. */
static bool cursor_jump_to_visible(firn_iter *it, slice user) {
    it->reseeks++;
    return cursor_seek_merged(it, user, it->sequence);
}

/* From merged's current entry on, finds the next one to show. Versions of `skip` (unset: none) are
 * passed over; `skip` may point into merged's current run. */
static void cursor_find_forward(firn_iter *it, slice skip) {
    iter *m = it->merged;
    uint32_t unseen = 0, older = 0; /* in a row */
    while (iter_valid(m)) {
        internal_key key = iter_key(m);
        uint64_t trailer = internal_key_trailer(key);
        slice user = internal_key_user(key).s;
        if (trailer >> 8 > it->sequence) {
            it->skipped++;
            if (++unseen == CURSOR_STEPS_MAX) {
                unseen = 0;
                if (cursor_is_above_upper(it, user))
                    break;
                if ((slice_is_set(skip) && !cursor_save_key(it, &skip)) ||
                    !cursor_jump_to_visible(it, user))
                    return;
                continue;
            }
        } else if (slice_is_set(skip) && cursor_same_key(user, skip)) {
            it->skipped++;
            if (++older == CURSOR_STEPS_MAX) {
                older = 0;
                if (!cursor_jump_over(it, &skip))
                    return;
                continue;
            }
        } else {
            if (UNLIKELY(cursor_is_above_upper(it, user))) {
                cursor_end(it, STATUS_OK);
                return;
            }
            op_kind kind = (op_kind)(trailer & 0xff);
            if (!expiry_hides_version(kind, iter_value(m), it->clock_ms)) {
                cursor_show_forward(it, kind);
                return;
            }
            it->skipped++;
            skip = user; /* the delete hides what is older */
            unseen = older = 0;
        }
        if (slice_is_set(skip) && m->index + 1 == m->count && !cursor_save_key(it, &skip))
            return;
        iter_next(m);
    }
    cursor_end(it, m->st);
}

/* Copies merged's current entry as the best so far of its key. */
static bool cursor_save_entry(firn_iter *it, op_kind kind) {
    slice value = iter_value(it->merged);
    buf_clear(&it->key);
    buf_append_slice(&it->key, iter_key(it->merged).s);
    buf_clear(&it->value);
    buf_append_slice(&it->value, value);
    table_unref(it->origin);
    it->origin = NULL;
    it->kind = expiry_hides_version(kind, buf_slice(&it->value), it->clock_ms) ? OP_DELETE : kind;
    if (kind == OP_PUT_LARGE && (it->origin = iter_origin(it->merged)) != NULL)
        table_ref(it->origin);
    bool has_room = !it->key.out_of_memory && !it->value.out_of_memory;
    status st = has_room ? cursor_pay(it) : buf_status(&it->value);
    if (UNLIKELY(has_room && !status_is_ok(st))) {
        cursor_end(it, st);
        return false;
    }
    if (LIKELY(has_room)) {
        it->copy = (iter_entry){it->key.data, buf_slice(&it->value).data, (uint32_t)it->key.size,
                                (uint32_t)value.size};
        return true;
    }
    cursor_end(it, error_status(FIRN_NO_MEMORY, "%s: no memory for an iterator's entry",
                                it->db->directory));
    return false;
}

static inline slice cursor_copy_key(const firn_iter *it) {
    return slice_of(it->copy.key, it->copy.key_bytes - KEY_TRAILER_BYTES);
}

/* Stands merged on the last entry whose user key is < key, or <= key with `inclusive`. */
static bool cursor_seek_before(firn_iter *it, slice key, bool inclusive) {
    /* (key, SEQNO_MAX) sorts before all versions of key, (key, 0) behind all of them. */
    if (!cursor_seek_merged(it, key, inclusive ? 0 : SEQNO_MAX))
        return false;
    if (iter_valid(it->merged))
        iter_prev(it->merged);
    else if (status_is_ok(it->merged->st))
        iter_seek_last(it->merged);
    return true;
}

/* The copy holds some version of a key that has many: copies the newest the reader sees, and stands
 * merged before them all. */
static bool cursor_jump_to_newest(firn_iter *it) {
    it->reseeks++;
    if (!cursor_seek_merged(it, cursor_copy_key(it), it->sequence))
        return false;
    /* The version at hand is still there, so the seek ends on it or on a newer one. */
    if (!iter_valid(it->merged)) {
        cursor_end(it, it->merged->st);
        return false;
    }
    return cursor_save_entry(it, internal_key_kind(iter_key(it->merged))) &&
           cursor_seek_before(it, cursor_copy_key(it), false);
}

static void cursor_show_copy(firn_iter *it) {
    it->at = &it->copy;
    it->ahead = it->behind = 0;
    cursor_check_bounds(it);
}

/* Going backward: merged's current entry is the only version of its key, and plain. */
static void cursor_show_in_place(firn_iter *it) {
    const iter *m = it->merged;
    it->at = &m->run[m->index];
    it->kind = OP_PUT;
    it->ahead = 0;
    it->behind = m->index - cursor_first_from_lower(it);
    cursor_check_bounds(it);
}

/* From merged's current entry backward, finds the last key to show. */
static void cursor_find_backward(firn_iter *it) {
    iter *m = it->merged;
    bool has_key = false;              /* the copy holds a version, perhaps a delete */
    uint32_t unseen = 0, replaced = 0; /* in a row */
    while (iter_valid(m)) {
        internal_key key = iter_key(m);
        uint64_t trailer = internal_key_trailer(key);
        slice user = internal_key_user(key).s;
        bool other = !has_key || !cursor_same_key(user, cursor_copy_key(it));
        if (has_key && other && it->kind != OP_DELETE)
            break; /* all versions of the key were seen, and its newest is a value */
        if (UNLIKELY(cursor_is_below_lower(it, user)))
            break;
        if (trailer >> 8 > it->sequence) {
            it->skipped++;
            if (++unseen == CURSOR_STEPS_MAX) {
                unseen = 0;
                it->reseeks++;
                if (!cursor_seek_before(it, user, false))
                    return;
                continue;
            }
        } else if (other && m->index > 0 && cursor_run_is_plain(it)) {
            cursor_show_in_place(it);
            return;
        } else {
            it->skipped += has_key;
            replaced = other ? 0 : replaced + 1;
            if (!cursor_save_entry(it, (op_kind)(trailer & 0xff)))
                return;
            has_key = true;
            if (replaced == CURSOR_STEPS_MAX) {
                replaced = 0;
                if (!cursor_jump_to_newest(it))
                    return;
                continue;
            }
        }
        iter_prev(m);
    }
    if (!status_is_ok(m->st) || !has_key || it->kind == OP_DELETE)
        cursor_end(it, m->st);
    else
        cursor_show_copy(it);
}

static void cursor_start(firn_iter *it) {
    cursor_drop_large(it);
    cursor_end(it, STATUS_OK);
    cursor_count(it);
    counters_add(&it->db->counters, COUNT_SEEKS, 1);
}

FIRN_INTERNAL void db_iter_seek(firn_iter *it, slice key) {
    if (!it->merged) /* a refresh failed; its status stays */
        return;
    cursor_start(it);
    bool from_lower = cursor_is_below_lower(it, key);
    if (from_lower)
        key = it->bounds.lower;
    if (!cursor_seek_merged(it, key, it->sequence))
        return;
    cursor_find_forward(it, from_lower && it->lower_exclusive ? key : SLICE_UNSET);
}

FIRN_INTERNAL void db_iter_seek_first(firn_iter *it) {
    if (!it->merged)
        return;
    if (slice_is_set(it->bounds.lower)) {
        db_iter_seek(it, it->bounds.lower);
        return;
    }
    cursor_start(it);
    iter_seek_first(it->merged);
    cursor_find_forward(it, SLICE_UNSET);
}

FIRN_INTERNAL void db_iter_seek_for_prev(firn_iter *it, slice key) {
    if (!it->merged)
        return;
    cursor_start(it);
    bool inclusive = true;
    if (cursor_is_above_upper(it, key)) {
        key = it->bounds.upper;
        inclusive = it->upper_inclusive;
    }
    if (cursor_seek_before(it, key, inclusive))
        cursor_find_backward(it);
}

FIRN_INTERNAL void db_iter_seek_last(firn_iter *it) {
    if (!it->merged)
        return;
    cursor_start(it);
    if (slice_is_set(it->bounds.upper)) {
        if (cursor_seek_before(it, it->bounds.upper, it->upper_inclusive))
            cursor_find_backward(it);
        return;
    }
    iter_seek_last(it->merged);
    cursor_find_backward(it);
}

/* Leaves the entry the cursor stands on. False: there is nothing to move from, or what was seen of
 * it was not to be had. */
static bool cursor_leave(firn_iter *it) {
    if (!it->at)
        return false;
    if (LIKELY(it->kind != OP_PUT_LARGE))
        return true;
    status st = cursor_check_large(it);
    cursor_drop_large(it);
    if (LIKELY(status_is_ok(st)))
        return true;
    cursor_end(it, st);
    return false;
}

static void cursor_next(firn_iter *it) {
    if (!cursor_leave(it))
        return;
    if (it->at == &it->copy) {
        /* The copied key moves over, for finding writes to where it stands. Behind every version of
         * it: the first entry that is not one of them. */
        it->key.size -= KEY_TRAILER_BYTES;
        slice key = buf_slice(&it->key);
        if (cursor_seek_merged(it, key, 0))
            cursor_find_forward(it, key);
        return;
    }
    cursor_sync(it);
    iter *m = it->merged;
    slice key = cursor_run_key(m, m->index);
    if (m->index + 1 == m->count && !cursor_save_key(it, &key))
        return;
    iter_next(m);
    cursor_find_forward(it, key);
}

FIRN_INTERNAL void db_iter_next(firn_iter *it) {
    if (LIKELY(it->ahead > 0)) {
        it->ahead--;
        it->at++;
        cursor_check_bounds(it);
        return;
    }
    cursor_next(it);
}

static void cursor_prev(firn_iter *it) {
    if (!cursor_leave(it))
        return;
    if (it->at != &it->copy) {
        /* Newer versions of the key that may stand before it are ones the reader does not see. */
        cursor_sync(it);
        iter_prev(it->merged);
    }
    cursor_find_backward(it);
}

FIRN_INTERNAL void db_iter_prev(firn_iter *it) {
    if (LIKELY(it->behind > 0)) {
        it->behind--;
        it->at--;
        cursor_check_bounds(it);
        return;
    }
    cursor_prev(it);
}

/* --- looking --- */

FIRN_INTERNAL bool db_iter_valid(const firn_iter *it) {
    return it->at != NULL;
}

FIRN_INTERNAL slice db_iter_key(const firn_iter *it) {
    return it->at ? slice_of(it->at->key, it->at->key_bytes - KEY_TRAILER_BYTES) : SLICE_UNSET;
}

static slice cursor_large_value(firn_iter *it) {
    if (it->large_unpin)
        return it->large_value;
    if (it->read.cached_only) {
        cursor_end(it, status_of(FIRN_WOULD_BLOCK, "large values are read from files"));
        return SLICE_UNSET;
    }
    bool copied = it->at == &it->copy;
    if (!copied)
        cursor_sync(it);
    db_large_source source = {it->view, copied ? it->origin : iter_origin(it->merged),
                              slice_of(it->at->value, it->at->value_bytes)};
    status st = db_large_map(it->db, &source, &it->large_value, &it->large_pin, &it->large_unpin);
    if (status_is_ok(st))
        return it->large_value;
    it->large_unpin = NULL;
    cursor_end(it, st);
    return SLICE_UNSET;
}

FIRN_INTERNAL slice db_iter_value(firn_iter *it) {
    if (UNLIKELY(!it->at))
        return SLICE_UNSET;
    if (UNLIKELY(it->kind == OP_PUT_LARGE))
        return cursor_large_value(it);
    return expiry_strip(it->kind, slice_of(it->at->value, it->at->value_bytes));
}

FIRN_INTERNAL uint64_t db_iter_expiry_ms(const firn_iter *it) {
    return it->at ? expiry_of_version(it->kind, slice_of(it->at->value, it->at->value_bytes)) : 0;
}

FIRN_INTERNAL status db_iter_status(const firn_iter *it) {
    return status_is_ok(it->st) ? cursor_check_large(it) : it->st;
}
