/* The log: what validates goes to tables of L0, newer than all others. */
#include <stdio.h>

#include "db/repair_internal.h"
#include "memtable/memtable.h"
#include "platform/clock.h"
#include "platform/error_detail.h"
#include "wal/wal_salvage.h"

#include "base/poison.h"

typedef struct repair_log {
    repair *r;
    memtable *active[REPAIR_KEYSPACES_MAX]; /* by keyspace id's place in `ids`; NULL: empty */
    uint32_t ids[REPAIR_KEYSPACES_MAX];
    uint32_t count;
    uint64_t kept; /* operations */
} repair_log;

static status repair_log_flush(repair_log *l, uint32_t at) {
    status st = STATUS_OK;
    iter *in = NULL;
    range_list ranges = {0};
    table_output output;
    const repair_keyspace *k = repair_find_keyspace(l->r, l->ids[at]);
    CHECK(k != NULL);
    if (!l->active[at])
        return STATUS_OK;
    repair_start_output(l->r, k, 0, &output);
    TRY(memtable_iter_new(l->active[at], &in));
    memtable_list_ranges(l->active[at], &ranges);
    TRY(repair_write_sorted(l->r, &(repair_source){in, &ranges, k->order, UINT64_MAX}, &output));
    TRY(repair_take_output(l->r, &output, 0, UINT32_MAX));
    iter_free(in);
    in = NULL;
    memtable_unref(l->active[at]);
    l->active[at] = NULL;
out:
    iter_free(in);
    range_list_deinit(&ranges);
    table_output_deinit(&output);
    return st;
}

static status repair_log_insert(repair_log *l, const batch_op *op, seqno sequence) {
    status st = STATUS_OK;
    const repair_keyspace *k = repair_find_keyspace(l->r, op->keyspace);
    if (!k)
        return error_status(FIRN_NO_MEMORY, "%s: no room for keyspace %u", l->r->directory,
                            op->keyspace);
    if (sequence <= k->flushed)
        return STATUS_OK; /* in tables already */
    l->kept++;
    if (l->r->plan_only)
        return STATUS_OK;
    uint32_t at = 0;
    while (at < l->count && l->ids[at] != k->id)
        at++;
    if (at == l->count)
        l->ids[l->count++] = k->id;
    if (!l->active[at])
        TRY(memtable_new(k->order, l->r->config->memtable_bytes, &l->active[at]));
    TRY(memtable_add(l->active[at], sequence, op->kind, op->key, op->value));
out:
    return st;
}

static status repair_log_batch(void *context, seqno first, uint32_t count, slice ops) {
    status st = STATUS_OK;
    repair_log *l = context;
    batch_op op;
    for (uint32_t i = 0; i < count; i++) {
        if (!batch_op_decode(&ops, &op))
            return error_status(FIRN_CORRUPTION, "%s: malformed batch %llu in the log",
                                l->r->directory, (unsigned long long)first);
        TRY(repair_log_insert(l, &op, first + i));
    }
    for (uint32_t i = 0; i < l->count; i++) {
        if (l->active[i] && memtable_bytes(l->active[i]) >= l->r->config->memtable_bytes)
            TRY(repair_log_flush(l, i));
    }
out:
    return st;
}

static status repair_log_hole(void *context, const wal_salvage_hole *hole) {
    const repair_log *l = context;
    char path[FILE_PATH_BYTES], behind[64] = "";
    repair_message m =
        REPAIR_MESSAGE(FIRN_REPAIR_LOSS, file_path(path, l->r->directory, FILE_LOG, hole->segment));
    m.offset = hole->offset;
    m.bytes = hole->bytes ? hole->bytes : FIRN_NONE;
    m.from_sequence = hole->last_before;
    m.to_sequence = hole->first_after;
    if (hole->first_after)
        snprintf(behind, sizeof behind, " and before %llu", (unsigned long long)hole->first_after);
    if (hole->bytes == 0)
        return repair_tell(l->r, &m,
                           "%s: missing, cut short, or its header page is damaged (from offset "
                           "%llu): lost are writes after sequence %llu%s",
                           path, (unsigned long long)hole->offset,
                           (unsigned long long)hole->last_before, behind);
    return repair_tell(l->r, &m,
                       "%s: %llu bytes at offset %llu are damaged: lost are writes after sequence "
                       "%llu%s",
                       path, (unsigned long long)hole->bytes, (unsigned long long)hole->offset,
                       (unsigned long long)hole->last_before, behind);
}

/* Without a manifest the tables say how far the log was flushed: oldest first, keyspace by
 * keyspace. */
static void repair_derive_flushed(repair *r) {
    for (size_t i = 0; i < r->table_count; i++) {
        const table_meta *meta = r->tables[i].meta;
        repair_keyspace *k = meta ? repair_find_keyspace(r, meta->keyspace) : NULL;
        if (k && k->flushed < meta->max_sequence)
            k->flushed = meta->max_sequence;
        if (meta && r->last_sequence < meta->max_sequence)
            r->last_sequence = meta->max_sequence;
    }
}

FIRN_INTERNAL status repair_convert_log(repair *r) {
    status st = STATUS_OK;
    repair_log l = {.r = r};
    wal_salvage found;
    wal_salvage_args args = {.vfs = r->config->vfs,
                             .directory = r->directory,
                             .database = r->has_database ? r->database : NULL,
                             .floor_segment = r->log_floor_segment,
                             .floor_position = r->log_floor_position,
                             .clean_end = r->clean_end,
                             .on_batch = repair_log_batch,
                             .on_hole = repair_log_hole,
                             .context = &l};
    if (!r->manifest_is_whole)
        repair_derive_flushed(r);
    TRY(wal_salvage_run(&args, &found));
    for (uint32_t i = 0; i < l.count; i++)
        TRY(repair_log_flush(&l, i));
    r->log_highest_segment = found.highest_segment;
    r->log_highest_position = found.highest_position;
    if (r->last_sequence < found.last_sequence)
        r->last_sequence = found.last_sequence;
    if (!r->has_database && found.has_database)
        memcpy(r->database, found.database, sizeof r->database);
    else if (!r->has_database)
        entropy_read(r->database, sizeof r->database);
    repair_message m = REPAIR_MESSAGE(FIRN_REPAIR_ACTION, r->directory);
    m.entries = l.kept;
    st = repair_tell(r, &m, "%s: %llu operations of the log %s tables", r->directory,
                     (unsigned long long)l.kept, r->plan_only ? "would go to" : "go to");
out:
    for (uint32_t i = 0; i < l.count; i++)
        memtable_unref(l.active[i]);
    return st;
}
