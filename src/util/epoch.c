#include "util/epoch.h"

#include <string.h>

#include "base/check.h"

#include "base/poison.h"

FIRN_INTERNAL void epoch_init(epoch *e) {
    memset(e, 0, sizeof *e);
    for (int i = 0; i <= EPOCH_SLOTS; i++)
        atomic_u64_init(&e->slots[i].inside, 0);
    atomic_u64_init(&e->now, 1);
    mutex_init(&e->guard);
}

FIRN_INTERNAL void epoch_deinit(epoch *e) {
    CHECK(epoch_collect(e) == 0);
    mutex_deinit(&e->guard);
}

FIRN_INTERNAL void epoch_enter_crowd(epoch *e) {
    mutex_lock(&e->guard);
    if (e->crowd++ == 0) /* later ones share the first one's epoch: older, so safe */
        atomic_u64_exchange(&e->slots[0].inside, atomic_u64_load(&e->now, memory_order_seq_cst),
                            memory_order_seq_cst);
    mutex_unlock(&e->guard);
}

FIRN_INTERNAL void epoch_leave_crowd(epoch *e) {
    mutex_lock(&e->guard);
    if (--e->crowd == 0)
        atomic_u64_store(&e->slots[0].inside, 0, memory_order_seq_cst);
    mutex_unlock(&e->guard);
}

/* The epoch of the reader that has been inside longest; UINT64_MAX if nobody is. */
static uint64_t epoch_oldest_reader(const epoch *e) {
    uint64_t oldest = UINT64_MAX;
    for (int i = 0; i <= EPOCH_SLOTS; i++) {
        uint64_t inside = atomic_u64_load(&e->slots[i].inside, memory_order_seq_cst);
        if (inside != 0 && inside < oldest)
            oldest = inside;
    }
    return oldest;
}

/* Takes off the list what no reader can hold. */
static epoch_item *epoch_take_free_locked(epoch *e) {
    uint64_t oldest = epoch_oldest_reader(e);
    epoch_item *first = NULL, **end = &first;
    mutex_assert_held(&e->guard);
    /* A reader that entered in epoch n may hold what was retired in n or later. */
    while (e->oldest && e->oldest->retired_at < oldest) {
        *end = e->oldest;
        end = &e->oldest->next;
        e->oldest = e->oldest->next;
        e->waiting--;
    }
    *end = NULL;
    if (!e->oldest)
        e->newest = NULL;
    return first;
}

static void epoch_reclaim_list(epoch_item *list) {
    while (list) {
        epoch_item *next = list->next;
        list->reclaim(list);
        list = next;
    }
}

FIRN_INTERNAL void epoch_retire(epoch *e, epoch_item *item, void (*reclaim)(epoch_item *item)) {
    mutex_lock(&e->guard);
    item->next = NULL;
    item->reclaim = reclaim;
    item->retired_at = atomic_u64_add(&e->now, 1, memory_order_seq_cst);
    if (e->newest)
        e->newest->next = item;
    else
        e->oldest = item;
    e->newest = item;
    e->waiting++;
    epoch_item *list = epoch_take_free_locked(e);
    mutex_unlock(&e->guard);
    epoch_reclaim_list(list);
}

FIRN_INTERNAL uint64_t epoch_collect(epoch *e) {
    mutex_lock(&e->guard);
    epoch_item *list = e->oldest ? epoch_take_free_locked(e) : NULL;
    uint64_t waiting = e->waiting;
    mutex_unlock(&e->guard);
    epoch_reclaim_list(list);
    return waiting;
}

/* --- how long readers stay --- */

/* Returns how long the oldest reader has been inside, as far as is known. */
static uint64_t epoch_mark_locked(epoch *e, uint64_t now_ns) {
    uint64_t oldest = epoch_oldest_reader(e);
    uint32_t kept = 0;
    mutex_assert_held(&e->guard);
    for (uint32_t i = 0; i < e->moment_count; i++) {
        if (e->moments[i].epoch >= oldest)
            e->moments[kept++] = e->moments[i];
    }
    if (kept == EPOCH_MOMENTS)
        kept--; /* the early ones say more about who stalls */
    /* A new epoch begins, so that who enters from now on is not taken for one of the old ones. */
    uint64_t epoch = atomic_u64_add(&e->now, 1, memory_order_seq_cst);
    e->moments[kept++] = (epoch_moment){epoch, now_ns};
    e->moment_count = kept;
    return oldest == UINT64_MAX ? 0 : now_ns - e->moments[0].ns;
}

FIRN_INTERNAL void epoch_mark(epoch *e, uint64_t now_ns) {
    mutex_lock(&e->guard);
    (void)epoch_mark_locked(e, now_ns);
    mutex_unlock(&e->guard);
}

FIRN_INTERNAL void epoch_get_stats(epoch *e, uint64_t now_ns, epoch_stats *out) {
    mutex_lock(&e->guard);
    *out = (epoch_stats){.inside = e->crowd, .waiting = e->waiting};
    for (int i = 1; i <= EPOCH_SLOTS; i++) /* seq_cst for no partner: it is a number for people */
        out->inside += atomic_u64_load(&e->slots[i].inside, memory_order_seq_cst) != 0;
    out->oldest_ns = epoch_mark_locked(e, now_ns);
    mutex_unlock(&e->guard);
}
