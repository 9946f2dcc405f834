/* Who holds old versions, since when, and about how many bytes of them. */
#include "db/db_internal.h"
#include "platform/error_detail.h"
#include "platform/memory.h"

#include "base/poison.h"

#define LEDGER_KEYSPACES_MAX 64

/* The part of a table that consists of versions hidden by newer ones of the same table, if one of
 * them may be as old as the snapshot: those are there because somebody may read them. */
static uint64_t ledger_table_bytes(const table_meta *t, seqno sequence) {
    if (t->hidden_versions == 0 || t->entries == 0 || t->min_sequence > sequence)
        return 0;
    return (uint64_t)((double)t->where.file_bytes * (double)t->hidden_versions /
                      (double)t->entries);
}

static uint64_t ledger_pinned_bytes(firn_db *db, const struct firn_snapshot *s) {
    uint32_t ids[LEDGER_KEYSPACES_MAX];
    uint64_t bytes = 0;
    version_set *versions = s->state ? s->state : db->versions;
    uint32_t count = version_set_keyspaces(versions, ids, LEDGER_KEYSPACES_MAX);
    for (uint32_t k = 0; k < count; k++) {
        read_view *view = version_set_view(versions, ids[k]);
        for (uint32_t level = 0; level < LEVEL_COUNT; level++) {
            const version_level *l = &view->version->levels[level];
            for (uint32_t i = 0; i < l->count; i++)
                bytes += ledger_table_bytes(l->tables[i], s->sequence);
        }
        read_view_unref(view);
    }
    return bytes;
}

FIRN_INTERNAL status db_snapshot_list(firn_db *db, firn_snapshot_callback each, void *context) {
    struct firn_snapshot *held = NULL;
    size_t count;
    status st = snapshot_registry_copy(&db->snapshots, &held, &count);
    uint64_t now_ms = db_now_ms(db);
    for (size_t i = 0; status_is_ok(st) && i < count; i++) {
        uint64_t since = held[i].created_ms;
        firn_snapshot_info info = {.sequence = held[i].sequence,
                                   .created_ms = since,
                                   .held_ms = now_ms > since ? now_ms - since : 0,
                                   .pinned_bytes = ledger_pinned_bytes(db, &held[i]),
                                   .label = held[i].label};
        if (each(context, &info) != 0)
            break;
    }
    memory_free(held);
    return st;
}

#undef LEDGER_KEYSPACES_MAX
