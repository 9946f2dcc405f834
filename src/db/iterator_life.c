/* From an iterator's making to its end, and to the next one's making: short scans make one each,
 * and most of what that costs is memory, so each thread leaves one behind. */
#include "db/iterator_internal.h"
#include "platform/error_detail.h"
#include "platform/memory.h"

#include "base/poison.h"

/* --- the view --- */

static status cursor_pin_view(firn_iter *it) {
    status st = STATUS_OK;
    it->view = db_view(it->db, it->keyspace, it->snapshot);
    if (!it->view)
        return error_status(FIRN_INVALID_ARGUMENT, "%s: no keyspace %u", it->db->directory,
                            it->keyspace);
    st = db_check_snapshot(it->db, it->view, it->snapshot);
    if (!status_is_ok(st))
        return st;
    /* acquire: pairs with the commit leader's release; after the view, as in db_get. */
    it->sequence = it->snapshot ? it->snapshot->sequence
                                : atomic_u64_load(&it->db->visible, memory_order_acquire);
    it->clock_ms = it->snapshot ? it->snapshot->created_ms : time_wall_ms(it->db->config.clock);
    read_tree_args args = {.view = it->view,
                           .tables = it->db->tables,
                           .memory = &it->db->memory,
                           .read = it->read,
                           .sequence = it->sequence};
    if (UNLIKELY(masked_tree_is_needed(it->view))) {
        st = masked_tree_attach(&it->masked, &args);
        it->merged = it->masked.merged;
        return st;
    }
    st = read_tree_attach(&it->tree, &args);
    it->merged = it->tree.merged;
    return st;
}

/* A prefix is the range from it to its successor, cut with the bounds. */
static status cursor_apply_prefix(firn_iter *it, slice prefix) {
    if (it->db->config.order.custom)
        return error_status(FIRN_INVALID_ARGUMENT,
                            "%s: prefix iteration needs the bytewise order; use bounds",
                            it->db->directory);
    slice end = key_prefix_successor(prefix, &it->prefix_end);
    status st = buf_status(&it->prefix_end);
    if (!slice_is_set(it->bounds.lower) || slice_compare(prefix, it->bounds.lower) > 0) {
        it->bounds.lower = prefix;
        it->lower_exclusive = false;
    }
    if (slice_is_set(end) &&
        (!slice_is_set(it->bounds.upper) || slice_compare(end, it->bounds.upper) <= 0)) {
        it->bounds.upper = end;
        it->upper_inclusive = false;
    }
    return st;
}

FIRN_INTERNAL void cursor_drop_large(firn_iter *it) {
    if (it->large_unpin)
        it->large_unpin(it->large_pin);
    it->large_unpin = NULL;
    it->large_pin = NULL;
    it->large_value = SLICE_UNSET;
    table_unref(it->origin);
    it->origin = NULL;
}

FIRN_INTERNAL void cursor_count(firn_iter *it) {
    it->skipped += read_tree_take_hidden(&it->tree);
    if (it->skipped) {
        pacing_note_skipped(it->db, it->skipped);
        counters_add(&it->db->counters, COUNT_ITER_SKIPPED, it->skipped);
    }
    if (it->reseeks)
        counters_add(&it->db->counters, COUNT_ITER_RESEEKS, it->reseeks);
    it->skipped = it->reseeks = 0;
}

/* Lets go of the view and all that was read of it. */
static void cursor_unpin_view(firn_iter *it) {
    cursor_end(it, STATUS_OK);
    read_tree_detach(&it->tree);
    masked_tree_detach(&it->masked);
    it->merged = NULL;
    read_view_unref(it->view);
    it->view = NULL;
}

/* --- iterators kept for the next one --- */

static void cursor_destroy(firn_iter *it) {
    if (!it)
        return;
    memory_budget_release(&it->db->memory, MEMORY_READERS, it->charged);
    read_tree_deinit(&it->tree);
    buf_deinit(&it->prefix_end);
    buf_deinit(&it->key);
    buf_deinit(&it->value);
    memory_free(it);
}

FIRN_INTERNAL status cursor_pay(firn_iter *it) {
    uint64_t held = sizeof *it + it->key.capacity + it->value.capacity;
    if (LIKELY(held <= it->charged))
        return STATUS_OK;
    status st = memory_budget_try_charge(&it->db->memory, MEMORY_READERS, held - it->charged);
    if (status_is_ok(st))
        it->charged = held;
    return st;
}

static atomic_ptr *cursor_idle_slot(firn_db *db) {
    return &db->idle_iterators[thread_number() % DB_IDLE_ITERATORS];
}

/* One whose memory is there already, or a new one. NULL: no memory. */
static firn_iter *cursor_take(firn_db *db) {
    atomic_ptr *slot = cursor_idle_slot(db);
    firn_iter *it = NULL;
    /* relaxed: mostly there is nothing to take, or it is this thread's own. */
    if (atomic_ptr_load(slot, memory_order_relaxed))
        /* acquire: pairs with the release in cursor_give_back. */
        it = atomic_ptr_exchange(slot, NULL, memory_order_acquire);
    if (!it)
        return memory_new_zeroed(sizeof *it);
    firn_iter kept = *it;
    *it = (firn_iter){.tree = kept.tree,
                      .prefix_end = kept.prefix_end,
                      .key = kept.key,
                      .value = kept.value,
                      .charged = kept.charged};
    buf_clear(&it->prefix_end);
    return it;
}

static void cursor_give_back(firn_db *db, firn_iter *it) {
    uint64_t bytes = read_tree_memory_bytes(&it->tree) + it->key.capacity + it->value.capacity +
                     it->prefix_end.capacity;
    bool sound =
        !it->key.out_of_memory && !it->value.out_of_memory && !it->prefix_end.out_of_memory;
    if (bytes <= DB_IDLE_ITERATOR_BYTES_MAX && sound)
        /* acq_rel: the release pairs with the acquire in cursor_take, the acquire with the release
         * of whoever left what comes back. */
        it = atomic_ptr_exchange(cursor_idle_slot(db), it, memory_order_acq_rel);
    cursor_destroy(it);
}

FIRN_INTERNAL void db_idle_iterators_free(firn_db *db) {
    for (int i = 0; i < DB_IDLE_ITERATORS; i++)
        /* acquire: pairs with the release in cursor_give_back. */
        cursor_destroy(atomic_ptr_exchange(&db->idle_iterators[i], NULL, memory_order_acquire));
}

FIRN_INTERNAL void db_iter_free(firn_iter *it) {
    firn_db *db = it->db;
    cursor_count(it);
    cursor_drop_large(it);
    cursor_unpin_view(it);
    cursor_give_back(db, it);
    /* relaxed: firn_close, the only reader, may not run beside it. */
    atomic_u64_sub(&db->iterators, 1, memory_order_relaxed);
}

FIRN_INTERNAL status db_iter_new(firn_db *db, uint32_t keyspace_id,
                                 const firn_read_options *options, firn_iter **out) {
    status st = STATUS_OK;
    firn_iter *it = cursor_take(db);
    *out = NULL;
    if (!it)
        return error_status(FIRN_NO_MEMORY, "%s: no memory for an iterator", db->directory);
    /* relaxed: as in db_iter_free. */
    atomic_u64_add(&db->iterators, 1, memory_order_relaxed);
    it->db = db;
    it->keyspace = keyspace_id;
    it->read = (table_read_args){.fill_cache = true, .bounds = &it->bounds};
    if (options) {
        it->snapshot = options->snapshot;
        it->read.fill_cache = options->fill_cache != FIRN_NO;
        it->read.cached_only = options->cached_only == FIRN_YES;
        it->bounds = (iter_bounds){options->lower, options->upper};
        it->lower_exclusive = options->lower_exclusive == FIRN_YES;
        it->upper_inclusive = options->upper_inclusive == FIRN_YES;
        if (slice_is_set(options->prefix))
            TRY(cursor_apply_prefix(it, options->prefix));
        it->read.prefix = options->prefix;
    }
    TRY(cursor_pay(it));
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
    cursor_count(it);
    cursor_drop_large(it);
    cursor_unpin_view(it);
    it->st = cursor_pin_view(it);
    return it->st;
}
