#include "version/snapshot_registry.h"

#include "platform/error_detail.h"
#include "platform/memory.h"

#include "base/poison.h"

FIRN_INTERNAL void snapshot_registry_init(snapshot_registry *r, const atomic_u64 *visible) {
    *r = (snapshot_registry){.visible = visible};
    mutex_init(&r->guard);
    r->list.next = r->list.previous = &r->list;
}

FIRN_INTERNAL void snapshot_registry_deinit(snapshot_registry *r) {
    CHECK(r->count == 0);
    mutex_deinit(&r->guard);
}

FIRN_INTERNAL status snapshot_take(snapshot_registry *r, uint64_t now_ms,
                                   struct firn_snapshot **out) {
    struct firn_snapshot *s = memory_new_zeroed(sizeof *s);
    *out = s;
    if (!s)
        return error_status(FIRN_NO_MEMORY, "no memory for a snapshot");
    s->created_ms = now_ms;
    mutex_lock(&r->guard);
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

FIRN_INTERNAL status snapshot_registry_list(snapshot_registry *r, seqno **sequences,
                                            size_t *count) {
    *count = 0;
    mutex_lock(&r->guard);
    *sequences = memory_new((r->count + 1) * sizeof **sequences);
    for (struct firn_snapshot *s = r->list.next; *sequences && s != &r->list; s = s->next) {
        if (*count == 0 || (*sequences)[*count - 1] != s->sequence)
            (*sequences)[(*count)++] = s->sequence;
    }
    /* acquire: pairs with the commit leader's release store. */
    seqno visible = atomic_u64_load(r->visible, memory_order_acquire);
    if (*sequences && (*count == 0 || (*sequences)[*count - 1] != visible))
        (*sequences)[(*count)++] = visible;
    mutex_unlock(&r->guard);
    return *sequences ? STATUS_OK : error_status(FIRN_NO_MEMORY, "no memory to list snapshots");
}

FIRN_INTERNAL uint64_t snapshot_registry_count(snapshot_registry *r, seqno *oldest) {
    mutex_lock(&r->guard);
    uint64_t count = r->count;
    *oldest = count ? r->list.next->sequence : 0;
    mutex_unlock(&r->guard);
    return count;
}
