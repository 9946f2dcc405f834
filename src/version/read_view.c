#include "version/read_view.h"

#include "platform/memory.h"

#include "base/poison.h"

FIRN_INTERNAL void read_view_ref(read_view *view) {
    /* relaxed: the caller holds a reference or the state mutex. */
    atomic_u32_add(&view->references, 1, memory_order_relaxed);
}

FIRN_INTERNAL void read_view_unref(read_view *view) {
    /* acq_rel: pairs with the other droppers' release; the last one frees. */
    if (!view || atomic_u32_sub(&view->references, 1, memory_order_acq_rel) != 1)
        return;
    memtable_unref(view->active);
    for (uint32_t i = 0; i < view->sealed_count; i++)
        memtable_unref(view->sealed[i]);
    version_unref(view->version);
    memory_free(view);
}

static void read_view_reclaim(epoch_item *item) {
    read_view_unref((read_view *)item);
}

FIRN_INTERNAL void read_view_retire(read_view *view, epoch *readers) {
    if (view)
        epoch_retire(readers, &view->retirement, read_view_reclaim);
}
