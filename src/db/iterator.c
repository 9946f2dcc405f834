/* The user's iterator: of all internal entries in order, the newest visible version of each key
 * that is not a delete. Forward it stands on that entry of the merged iterator. Backward it stands
 * on a copy, for a key's newest version is met last and its bytes go with the run they are in; the
 * merged iterator then stands before all versions of the key. */
#include "compaction/level_iter.h"
#include "db/db_internal.h"
#include "iter/merging_iter.h"
#include "platform/error_detail.h"
#include "platform/memory.h"
#include "util/buf.h"

#include "base/poison.h"

typedef enum cursor_state {
    CURSOR_NOWHERE,
    CURSOR_FORWARD, /* on merged's current entry */
    CURSOR_BACKWARD /* on the copy; merged is before the key */
} cursor_state;

struct firn_iter {
    /* set at birth; view, sequence and merged again at refresh */
    firn_db *db;
    uint32_t keyspace;
    const firn_snapshot *snapshot;
    table_read_args read;
    slice lower, upper; /* unset: open */
    bool lower_exclusive, upper_inclusive;
    buf prefix_end; /* what `upper` points to in prefix mode */
    read_view *view;
    seqno sequence;
    iter *merged;

    cursor_state state;
    status st;
    buf key;       /* copy: backward, and forward across runs */
    buf value;     /* copy: backward */
    table *origin; /* backward, large value: its table, referenced */
    op_kind kind;  /* of the current entry */
    slice current_key;

    void *large_pin; /* the current large value, mapped */
    void (*large_unpin)(void *pin);
    slice large_value;
};

/* --- construction --- */

static status cursor_open_children(firn_iter *it, iter **children, size_t *count) {
    status st = STATUS_OK;
    read_view *view = it->view;
    level_iter_args args = {.tables = it->db->tables,
                            .order = view->order,
                            .version = view->version,
                            .read = it->read};
    TRY(memtable_iter_new(view->active, &children[*count]));
    ++*count;
    for (uint32_t i = 0; i < view->sealed_count; i++, ++*count)
        TRY(memtable_iter_new(view->sealed[i], &children[*count]));
    for (uint32_t i = 0; i < view->version->levels[0].count; i++, ++*count)
        TRY(level_iter_new_table(&args, view->version->levels[0].tables[i], &children[*count]));
    for (uint32_t level = 1; level < LEVEL_COUNT; level++) {
        const version_level *l = &view->version->levels[level];
        if (l->count == 0)
            continue;
        TRY(level_iter_new_sorted(&args, l->tables, l->count, &children[*count]));
        ++*count;
    }
out:
    return st;
}

static status cursor_open_merged(firn_iter *it) {
    status st = STATUS_OK;
    size_t count = 0;
    size_t most = 1 + it->view->sealed_count + it->view->version->levels[0].count + LEVEL_COUNT;
    iter **children = memory_new_zeroed(most * sizeof(iter *));
    if (!children)
        return error_status(FIRN_NO_MEMORY, "%s: no memory for an iterator", it->db->directory);
    TRY(cursor_open_children(it, children, &count));
    size_t taken = count;
    count = 0;
    TRY(merging_iter_new(it->view->order, children, taken, &it->merged));
out:
    for (size_t i = 0; i < count; i++)
        iter_free(children[i]);
    memory_free(children);
    return st;
}

static status cursor_pin_view(firn_iter *it) {
    it->view = db_view(it->db, it->keyspace, it->snapshot);
    if (!it->view)
        return error_status(FIRN_INVALID_ARGUMENT, "%s: no keyspace %u", it->db->directory,
                            it->keyspace);
    /* acquire: pairs with the commit leader's release; after the view, as in db_get. */
    it->sequence = it->snapshot ? it->snapshot->sequence
                                : atomic_u64_load(&it->db->visible, memory_order_acquire);
    return cursor_open_merged(it);
}

/* A prefix is the range from it to its successor, cut with the bounds. */
static status cursor_apply_prefix(firn_iter *it, slice prefix) {
    if (it->db->config.order.custom)
        return error_status(FIRN_INVALID_ARGUMENT,
                            "%s: prefix iteration needs the bytewise order; use bounds",
                            it->db->directory);
    slice end = key_prefix_successor(prefix, &it->prefix_end);
    status st = buf_status(&it->prefix_end);
    if (!slice_is_set(it->lower) || slice_compare(prefix, it->lower) > 0) {
        it->lower = prefix;
        it->lower_exclusive = false;
    }
    if (slice_is_set(end) && (!slice_is_set(it->upper) || slice_compare(end, it->upper) <= 0)) {
        it->upper = end;
        it->upper_inclusive = false;
    }
    return st;
}

/* OK, or what went wrong with the large value while it was used. */
static status cursor_check_large(const firn_iter *it) {
    return UNLIKELY(it->large_unpin != NULL) ? vfs_map_check_bytes(it->large_value) : STATUS_OK;
}

static void cursor_drop_large(firn_iter *it) {
    if (it->large_unpin)
        it->large_unpin(it->large_pin);
    it->large_unpin = NULL;
    it->large_pin = NULL;
    it->large_value = SLICE_UNSET;
    table_unref(it->origin);
    it->origin = NULL;
}

FIRN_INTERNAL void db_iter_free(firn_iter *it) {
    cursor_drop_large(it);
    iter_free(it->merged);
    read_view_unref(it->view);
    buf_deinit(&it->prefix_end);
    buf_deinit(&it->key);
    buf_deinit(&it->value);
    /* relaxed: firn_close, the only reader, may not run beside it. */
    atomic_u64_sub(&it->db->iterators, 1, memory_order_relaxed);
    memory_free(it);
}

FIRN_INTERNAL status db_iter_new(firn_db *db, uint32_t keyspace_id,
                                 const firn_read_options *options, firn_iter **out) {
    status st = STATUS_OK;
    firn_iter *it = memory_new_zeroed(sizeof *it);
    *out = NULL;
    if (!it)
        return error_status(FIRN_NO_MEMORY, "%s: no memory for an iterator", db->directory);
    /* relaxed: as in db_iter_free. */
    atomic_u64_add(&db->iterators, 1, memory_order_relaxed);
    it->db = db;
    it->keyspace = keyspace_id;
    it->read = (table_read_args){.fill_cache = true, .read_ahead = false};
    if (options) {
        it->snapshot = options->snapshot;
        it->read.fill_cache = options->fill_cache != FIRN_NO;
        it->lower = options->lower;
        it->upper = options->upper;
        it->lower_exclusive = options->lower_exclusive == FIRN_YES;
        it->upper_inclusive = options->upper_inclusive == FIRN_YES;
        if (slice_is_set(options->prefix))
            TRY(cursor_apply_prefix(it, options->prefix));
    }
    TRY(cursor_pin_view(it));
    *out = it;
    it = NULL;
out:
    if (it)
        db_iter_free(it);
    return st;
}

FIRN_INTERNAL status db_iter_refresh(firn_iter *it) {
    if (it->snapshot)
        return error_status(FIRN_INVALID_ARGUMENT,
                            "%s: an iterator over a snapshot cannot be refreshed",
                            it->db->directory);
    cursor_drop_large(it);
    iter_free(it->merged);
    it->merged = NULL;
    read_view_unref(it->view);
    it->view = NULL;
    it->state = CURSOR_NOWHERE;
    it->st = cursor_pin_view(it);
    return it->st;
}

/* --- bounds --- */

static bool cursor_is_below_lower(const firn_iter *it, slice key) {
    if (!slice_is_set(it->lower))
        return false;
    int order = key_order_compare_user(it->view->order, user_key_of(key), user_key_of(it->lower));
    return order < 0 || (order == 0 && it->lower_exclusive);
}

static bool cursor_is_above_upper(const firn_iter *it, slice key) {
    if (!slice_is_set(it->upper))
        return false;
    int order = key_order_compare_user(it->view->order, user_key_of(key), user_key_of(it->upper));
    return order > 0 || (order == 0 && !it->upper_inclusive);
}

/* --- moving --- */

static void cursor_end(firn_iter *it, status st) {
    it->state = CURSOR_NOWHERE;
    it->st = st;
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
    if (it->key.out_of_memory) {
        cursor_end(it, buf_status(&it->key));
        return false;
    }
    *key = buf_slice(&it->key);
    return true;
}

/* From merged's current entry on, finds the next one to show. Versions of `skip` (if `has_skip`)
 * are passed over; `skip` may point into merged's current run. */
static void cursor_find_forward(firn_iter *it, bool has_skip, slice skip) {
    iter *m = it->merged;
    while (iter_valid(m)) {
        internal_key key = iter_key(m);
        uint64_t trailer = internal_key_trailer(key);
        slice user = internal_key_user(key).s;
        if (trailer >> 8 <= it->sequence && !(has_skip && slice_equal(user, skip))) {
            if (cursor_is_above_upper(it, user)) {
                cursor_end(it, STATUS_OK);
                return;
            }
            it->kind = (op_kind)(trailer & 0xff);
            if (it->kind != OP_DELETE) {
                it->current_key = user;
                it->state = CURSOR_FORWARD;
                return;
            }
            has_skip = true; /* the delete hides what is older */
            skip = user;
        }
        if (has_skip && m->index + 1 == m->count && !cursor_save_key(it, &skip))
            return;
        iter_next(m);
    }
    cursor_end(it, m->st);
}

/* Copies merged's current entry as the best so far of its key. */
static bool cursor_save_entry(firn_iter *it, slice user, op_kind kind) {
    buf_clear(&it->key);
    buf_append_slice(&it->key, user);
    buf_clear(&it->value);
    buf_append_slice(&it->value, iter_value(it->merged));
    table_unref(it->origin);
    it->origin = NULL;
    it->kind = kind;
    if (kind == OP_PUT_LARGE && (it->origin = iter_origin(it->merged)) != NULL)
        table_ref(it->origin);
    if (!it->key.out_of_memory && !it->value.out_of_memory)
        return true;
    cursor_end(it, error_status(FIRN_NO_MEMORY, "%s: no memory for an iterator's entry",
                                it->db->directory));
    return false;
}

/* From merged's current entry backward, finds the last key to show. */
static void cursor_find_backward(firn_iter *it) {
    iter *m = it->merged;
    bool has_key = false;
    it->kind = OP_DELETE;
    while (iter_valid(m)) {
        internal_key key = iter_key(m);
        uint64_t trailer = internal_key_trailer(key);
        slice user = internal_key_user(key).s;
        if (has_key && it->kind != OP_DELETE && !slice_equal(user, buf_slice(&it->key)))
            break; /* all versions of the key were seen, and its newest is a value */
        if (cursor_is_below_lower(it, user)) {
            has_key = has_key && it->kind != OP_DELETE;
            break;
        }
        if (trailer >> 8 <= it->sequence) {
            if (!cursor_save_entry(it, user, (op_kind)(trailer & 0xff)))
                return;
            has_key = true;
        }
        iter_prev(m);
    }
    if (!status_is_ok(m->st) || !has_key || it->kind == OP_DELETE) {
        cursor_end(it, m->st);
        return;
    }
    it->current_key = buf_slice(&it->key);
    it->state = CURSOR_BACKWARD;
}

static void cursor_start(firn_iter *it) {
    cursor_drop_large(it);
    it->st = STATUS_OK;
    it->state = CURSOR_NOWHERE;
    counters_add(&it->db->counters, COUNT_SEEKS, 1);
}

FIRN_INTERNAL void db_iter_seek(firn_iter *it, slice key) {
    if (!it->merged) /* a refresh failed; its status stays */
        return;
    cursor_start(it);
    bool from_lower = cursor_is_below_lower(it, key);
    if (from_lower)
        key = it->lower;
    if (!cursor_seek_merged(it, key, it->sequence))
        return;
    cursor_find_forward(it, from_lower && it->lower_exclusive, key);
}

FIRN_INTERNAL void db_iter_seek_first(firn_iter *it) {
    if (!it->merged)
        return;
    if (slice_is_set(it->lower)) {
        db_iter_seek(it, it->lower);
        return;
    }
    cursor_start(it);
    iter_seek_first(it->merged);
    cursor_find_forward(it, false, SLICE_UNSET);
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

FIRN_INTERNAL void db_iter_seek_for_prev(firn_iter *it, slice key) {
    if (!it->merged)
        return;
    cursor_start(it);
    bool inclusive = true;
    if (cursor_is_above_upper(it, key)) {
        key = it->upper;
        inclusive = it->upper_inclusive;
    }
    if (cursor_seek_before(it, key, inclusive))
        cursor_find_backward(it);
}

FIRN_INTERNAL void db_iter_seek_last(firn_iter *it) {
    if (!it->merged)
        return;
    cursor_start(it);
    if (slice_is_set(it->upper)) {
        if (cursor_seek_before(it, it->upper, it->upper_inclusive))
            cursor_find_backward(it);
        return;
    }
    iter_seek_last(it->merged);
    cursor_find_backward(it);
}

/* Leaves the entry the cursor stands on. False: there is nothing to move from, or what was seen of
 * it was not to be had. */
static bool cursor_leave(firn_iter *it) {
    if (it->state == CURSOR_NOWHERE)
        return false;
    status st = cursor_check_large(it);
    cursor_drop_large(it);
    if (LIKELY(status_is_ok(st)))
        return true;
    cursor_end(it, st);
    return false;
}

FIRN_INTERNAL void db_iter_next(firn_iter *it) {
    if (!cursor_leave(it))
        return;
    if (it->state == CURSOR_BACKWARD) {
        slice key = buf_slice(&it->key);
        /* Behind every version of the key: the first entry that is not one of them. */
        if (cursor_seek_merged(it, key, 0))
            cursor_find_forward(it, true, key);
        return;
    }
    slice key = it->current_key;
    iter *m = it->merged;
    if (m->index + 1 == m->count && !cursor_save_key(it, &key))
        return;
    iter_next(m);
    cursor_find_forward(it, true, key);
}

FIRN_INTERNAL void db_iter_prev(firn_iter *it) {
    if (!cursor_leave(it))
        return;
    slice key = it->current_key;
    if (it->state == CURSOR_FORWARD &&
        (!cursor_save_key(it, &key) || !cursor_seek_before(it, key, false)))
        return;
    cursor_find_backward(it);
}

/* --- looking --- */

FIRN_INTERNAL bool db_iter_valid(const firn_iter *it) {
    return it->state != CURSOR_NOWHERE;
}

FIRN_INTERNAL slice db_iter_key(const firn_iter *it) {
    return it->state == CURSOR_NOWHERE ? SLICE_UNSET : it->current_key;
}

FIRN_INTERNAL slice db_iter_value(firn_iter *it) {
    if (it->state == CURSOR_NOWHERE)
        return SLICE_UNSET;
    bool forward = it->state == CURSOR_FORWARD;
    slice stored = forward ? iter_value(it->merged) : buf_slice(&it->value);
    if (LIKELY(it->kind != OP_PUT_LARGE))
        return stored;
    if (!it->large_unpin) {
        status st = db_large_map(it->db, forward ? iter_origin(it->merged) : it->origin, stored,
                                 &it->large_value, &it->large_pin, &it->large_unpin);
        if (!status_is_ok(st)) {
            it->large_unpin = NULL;
            cursor_end(it, st);
            return SLICE_UNSET;
        }
    }
    return it->large_value;
}

FIRN_INTERNAL status db_iter_status(const firn_iter *it) {
    return status_is_ok(it->st) ? cursor_check_large(it) : it->st;
}
