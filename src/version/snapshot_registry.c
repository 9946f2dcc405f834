#include "version/snapshot_registry.h"

#include "platform/error_detail.h"
#include "platform/memory.h"

#include "base/poison.h"

FIRN_INTERNAL void snapshot_registry_init(snapshot_registry *r, const atomic_u64 *visible,
                                          const time_source *clock) {
    *r = (snapshot_registry){.visible = visible, .clock = clock};
    mutex_init(&r->guard);
    r->list.next = r->list.previous = &r->list;
}

FIRN_INTERNAL void snapshot_registry_deinit(snapshot_registry *r) {
    CHECK(r->count == 0);
    mutex_deinit(&r->guard);
}

FIRN_INTERNAL status snapshot_take(snapshot_registry *r, const char *label,
                                   struct firn_snapshot **out) {
    struct firn_snapshot *s = memory_new_zeroed(sizeof *s);
    *out = s;
    if (!s)
        return error_status(FIRN_NO_MEMORY, "no memory for a snapshot");
    if (label) {
        strncpy(s->label, label, sizeof s->label - 1);
        s->label[sizeof s->label - 1] = 0;
    }
    mutex_lock(&r->guard);
    /* Inside: a compaction that did not find this snapshot asked for the time before, so what it
     * took for expired has expired for this reader as well. */
    s->created_ms = time_wall_ms(r->clock);
    /* acquire: pairs with the commit leader's release store of the visible sequence. */
    s->sequence = atomic_u64_load(r->visible, memory_order_acquire);
    s->previous = r->list.previous;
    s->next = &r->list;
    s->previous->next = s;
    r->list.previous = s;
    r->count++;
    mutex_unlock(&r->guard);
    return STATUS_OK;
}

FIRN_INTERNAL void snapshot_drop(snapshot_registry *r, const firn_snapshot *snapshot) {
    struct firn_snapshot *s = (struct firn_snapshot *)(uintptr_t)snapshot;
    mutex_lock(&r->guard);
    s->previous->next = s->next;
    s->next->previous = s->previous;
    r->count--;
    mutex_unlock(&r->guard);
    memory_free(s);
}

static void snapshot_list_push(snapshot_list *l, seqno sequence, uint64_t clock_ms) {
    if (l->count > 0 && l->sequences[l->count - 1] == sequence)
        return;
    l->sequences[l->count] = sequence;
    l->clocks_ms[l->count++] = clock_ms;
}

FIRN_INTERNAL status snapshot_registry_list(snapshot_registry *r, snapshot_list *out) {
    *out = (snapshot_list){0};
    mutex_lock(&r->guard);
    size_t most = r->count + 1;
    uint64_t *columns = memory_new(2 * most * sizeof *columns);
    if (columns) {
        out->sequences = columns;
        out->clocks_ms = columns + most;
        for (struct firn_snapshot *s = r->list.next; s != &r->list; s = s->next)
            snapshot_list_push(out, s->sequence, s->created_ms);
        /* acquire: pairs with the commit leader's release store. */
        seqno visible = atomic_u64_load(r->visible, memory_order_acquire);
        out->newest_is_held = out->count > 0 && out->sequences[out->count - 1] == visible;
        snapshot_list_push(out, visible, time_wall_ms(r->clock));
    }
    mutex_unlock(&r->guard);
    return columns ? STATUS_OK : error_status(FIRN_NO_MEMORY, "no memory to list snapshots");
}

FIRN_INTERNAL void snapshot_list_deinit(snapshot_list *l) {
    memory_free(l->sequences);
    *l = (snapshot_list){0};
}

FIRN_INTERNAL uint64_t snapshot_registry_clock_ms(snapshot_registry *r) {
    mutex_lock(&r->guard);
    /* Times ascend in the list, which is ordered by age. */
    uint64_t now_ms = r->count ? r->list.next->created_ms : time_wall_ms(r->clock);
    mutex_unlock(&r->guard);
    return now_ms;
}

FIRN_INTERNAL status snapshot_registry_copy(snapshot_registry *r, struct firn_snapshot **copies,
                                            size_t *count) {
    *count = 0;
    mutex_lock(&r->guard);
    *copies = memory_new((r->count + 1) * sizeof **copies);
    for (struct firn_snapshot *s = r->list.next; *copies && s != &r->list; s = s->next)
        (*copies)[(*count)++] = *s;
    mutex_unlock(&r->guard);
    return *copies ? STATUS_OK : error_status(FIRN_NO_MEMORY, "no memory to list snapshots");
}

FIRN_INTERNAL uint64_t snapshot_registry_count(snapshot_registry *r, seqno *oldest) {
    mutex_lock(&r->guard);
    uint64_t count = r->count;
    *oldest = count ? r->list.next->sequence : 0;
    mutex_unlock(&r->guard);
    return count;
}
