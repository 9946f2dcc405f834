/* Point reads: active memtable, sealed ones newest first, L0 newest first, then one table per
 * level. The first version found with a sequence the reader may see is the answer, for newer ones
 * lie in front of older. */
#include "db/read_search.h"

#include "format/expiry.h"
#include "platform/error_detail.h"
#include "platform/memory.h"
#include "table/block_file.h"
#include "util/hash.h"
#include "wal/wal_large.h"

#include "base/poison.h"

FIRN_INTERNAL read_view *db_view(firn_db *db, uint32_t keyspace_id, const firn_snapshot *snapshot) {
    if (snapshot && snapshot->state)
        return version_set_view(snapshot->state, keyspace_id);
    if (!db->config.read_only)
        return version_set_view(db->versions, keyspace_id);
    mutex_lock(&db->refresh_guard);
    read_view *view = version_set_view(db->versions, keyspace_id);
    mutex_unlock(&db->refresh_guard);
    return view;
}

enum { READ_VALUE_INLINE_BYTES = sizeof((firn_value *)NULL)->inline_bytes };

/* --- the search --- */

static bool read_hold_view(firn_db *db, uint32_t keyspace_id, const firn_snapshot *snapshot,
                           read_hold *hold) {
    *hold = (read_hold){0};
    if (LIKELY(!db->config.read_only)) {
        hold->view = version_set_enter(db->versions, keyspace_id, &hold->slot);
    } else {
        hold->view = hold->counted = db_view(db, keyspace_id, snapshot);
        if (hold->view)
            hold->slot = epoch_enter(&db->readers);
    }
    hold->inside = hold->view != NULL;
    return hold->inside;
}

FIRN_INTERNAL void read_leave_epoch(read_search *s) {
    if (!s->hold.inside)
        return;
    if (!s->hold.counted) {
        s->hold.counted = (read_view *)(uintptr_t)s->hold.view;
        read_view_ref(s->hold.counted);
    }
    epoch_leave(&s->db->readers, s->hold.slot);
    s->hold.inside = false;
}

FIRN_INTERNAL void read_end(read_search *s) {
    if (s->hold.inside)
        epoch_leave(&s->db->readers, s->hold.slot);
    read_view_unref(s->hold.counted);
}

FIRN_INTERNAL status read_begin(read_search *s, firn_db *db, uint32_t keyspace_id,
                                const firn_read_options *options) {
    *s = (read_search){.db = db, .args = {.fill_cache = true}};
    if (options) {
        s->snapshot = options->snapshot;
        s->args.fill_cache = options->fill_cache != FIRN_NO;
        s->args.cached_only = options->cached_only == FIRN_YES;
    }
    /* The view first, then the sequence: whatever is visible by now and not in this view came
     * later. */
    if (UNLIKELY(!read_hold_view(db, keyspace_id, s->snapshot, &s->hold)))
        return error_status(FIRN_INVALID_ARGUMENT, "%s: no keyspace %u", db->directory,
                            keyspace_id);
    /* acquire: pairs with the commit leader's release. */
    s->sequence =
        s->snapshot ? s->snapshot->sequence : atomic_u64_load(&db->visible, memory_order_acquire);
    status st = db_check_snapshot(db, s->hold.view, s->snapshot);
    if (UNLIKELY(!status_is_ok(st))) {
        read_end(s);
        s->hold = (read_hold){0};
    }
    return st;
}

FIRN_INTERNAL status read_key_init(const read_search *s, slice key, read_key *out) {
    out->found = (lookup){0};
    out->origin = NULL;
    out->hash = hash64(key.data, key.size);
    out->seek = (seek_key){0};
    return seek_key_init(&out->seek, user_key_of(key), s->sequence);
}

FIRN_INTERNAL void read_key_deinit(read_key *k) {
    lookup_release(&k->found);
    table_unref(k->origin);
    seek_key_deinit(&k->seek);
}

FIRN_INTERNAL void read_memtables(const read_search *s, read_key *k) {
    memtable_get_hashed(s->hold.view->active, k->seek.key, k->hash, &k->found);
    for (uint32_t i = 0; i < s->hold.view->sealed_count && !k->found.found; i++)
        memtable_get_hashed(s->hold.view->sealed[i], k->seek.key, k->hash, &k->found);
}

/* The open table: the epoch holds it, or *referenced does, for the caller to drop. */
static status read_open_table(read_search *s, table_meta *meta, table **out, table **referenced) {
    if (LIKELY(s->hold.inside)) {
        *out = table_slot_peek(&meta->open);
        if (LIKELY(*out != NULL))
            return STATUS_OK;
        if (s->args.cached_only)
            return status_of(FIRN_WOULD_BLOCK, "the table is not open");
        read_leave_epoch(s);
    }
    if (s->args.cached_only) {
        *out = *referenced = table_cache_get_open(s->db->tables, &meta->open);
        return *out ? STATUS_OK : status_of(FIRN_WOULD_BLOCK, "the table is not open");
    }
    status st =
        table_cache_get(s->db->tables, &meta->where, &meta->open, s->hold.view->order, referenced);
    *out = *referenced;
    return st;
}

FIRN_INTERNAL status read_table(read_search *s, read_key *k, table_meta *meta,
                                table_get_trace *trace) {
    status st = STATUS_OK;
    table *t = NULL, *referenced = NULL;
    *trace = (table_get_trace){0};
    TRY(read_open_table(s, meta, &t, &referenced));
    st = table_get(t, k->seek.key, k->hash, &s->args, trace, &k->found);
    if (trace->filter_checked)
        counters_add(&s->db->counters, COUNT_FILTER_CHECKED, 1);
    if (trace->filter_negative)
        counters_add(&s->db->counters, COUNT_FILTER_USEFUL, 1);
    /* Small values are copied while the epoch still holds the table. */
    if (k->found.in_place &&
        (referenced || s->keeps_found || k->found.value.size > READ_VALUE_INLINE_BYTES))
        table_pin_lookup(t, &k->found);
    if (k->found.found && k->found.kind == OP_PUT_LARGE) {
        table_ref(t);
        k->origin = t;
    }
out:
    table_unref(referenced);
    return st;
}

enum { READ_CANDIDATES = 24 };

/* The filters' lines are asked for before the first is tested: their misses overlap. */
static void read_prefetch_filters(const read_key *k, table_meta **tables, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        const table *t = table_slot_peek(&tables[i]->open);
        if (LIKELY(t != NULL))
            table_prefetch_filter(t, k->hash);
    }
}

static status read_from_tables(read_search *s, read_key *k) {
    status st = STATUS_OK;
    table_meta *tables[READ_CANDIDATES];
    table_get_trace trace;
    version_walk walk = version_walk_begin(s->hold.view->version, k->seek.key);
    uint32_t count = READ_CANDIDATES;
    while (count == READ_CANDIDATES) {
        count = version_walk_next(&walk, tables, READ_CANDIDATES);
        if (LIKELY(s->hold.inside))
            read_prefetch_filters(k, tables, count);
        for (uint32_t i = 0; i < count; i++) {
            s->args.is_last = i + 1 == count && count < READ_CANDIDATES;
            TRY(read_table(s, k, tables[i], &trace));
            if (k->found.found)
                goto out;
        }
    }
out:
    return st;
}

FIRN_INTERNAL bool read_has_expired(const read_search *s, const read_key *k) {
    if (LIKELY(k->found.kind == OP_PUT))
        return false;
    uint64_t now_ms = s->snapshot ? s->snapshot->created_ms : time_wall_ms(s->db->config.clock);
    return expiry_hides_version(k->found.kind, k->found.value, now_ms);
}

/* --- the value --- */

FIRN_INTERNAL status db_large_map(firn_db *db, const db_large_source *source, slice *value,
                                  void **pin, void (**unpin)(void *pin)) {
    large_ref ref;
    table *origin = source->origin;
    if (!large_ref_decode(source->encoded, &ref) ||
        (ref.place == LARGE_IN_TABLE) != (origin != NULL))
        return error_status(FIRN_CORRUPTION,
                            "%s: malformed reference to a large value; run 'firn verify'",
                            db->directory);
    if (origin)
        return table_large_map(origin, &ref, value, pin, unpin);
    wal_large_files *held = memtable_kept(source->view->active); /* a read-only database's */
    return held ? wal_large_files_map(held, &ref, value, pin, unpin)
                : wal_large_map(db->config.vfs, db->directory, &ref, value, pin, unpin);
}

/* A pin keeps the database open, heap copies do not; and it is charged with the whole block. On
 * NO_MEMORY the pin stays the caller's. */
static status read_value_pin(firn_db *db, firn_value *out, slice value, void *pin,
                             void (*unpin)(void *pin)) {
    bool is_cached;
    uint64_t bytes = block_pin_bytes(pin, unpin, &is_cached);
    status st =
        memory_budget_try_charge(&db->memory, is_cached ? MEMORY_PINS : MEMORY_READERS, bytes);
    if (UNLIKELY(!status_is_ok(st)))
        return st;
    out->data = value.data;
    out->size = value.size;
    out->pin = pin;
    out->unpin = unpin;
    out->owner = db;
    /* relaxed: firn_close, the only reader, may not run beside a read. */
    atomic_u64_add(&db->pinned_values, 1, memory_order_relaxed);
    return STATUS_OK;
}

static status read_value_copy(firn_db *db, firn_value *out, slice value) {
    uint8_t *bytes = out->inline_bytes;
    if (value.size > sizeof out->inline_bytes) {
        bytes = memory_new(value.size);
        if (!bytes)
            return error_status(FIRN_NO_MEMORY, "%s: no memory for a value of %zu bytes",
                                db->directory, value.size);
        out->pin = bytes;
        out->unpin = memory_free;
    }
    slice_copy_to(value, bytes);
    out->data = bytes;
    out->size = value.size;
    return STATUS_OK;
}

/* Memtable values are copied (a pin would hold the whole memtable), larger ones of tables pin their
 * block. */
static status read_value_out(read_search *s, read_key *k, firn_value *out) {
    slice value = expiry_strip(k->found.kind, k->found.value);
    out->expiry_ms = expiry_of_version(k->found.kind, k->found.value);
    if (k->found.kind == OP_PUT_LARGE) {
        if (s->args.cached_only)
            return status_of(FIRN_WOULD_BLOCK, "large values are read from files");
        void *pin;
        void (*unpin)(void *pin);
        db_large_source source = {s->hold.view, k->origin, k->found.value};
        status st = db_large_map(s->db, &source, &value, &pin, &unpin);
        if (status_is_ok(st)) /* a mapping of the file, which is the system's memory */
            st = read_value_pin(s->db, out, value, pin, unpin);
        return st;
    }
    if (!k->found.unpin || value.size <= sizeof out->inline_bytes)
        return read_value_copy(s->db, out, value);
    status st = read_value_pin(s->db, out, value, k->found.pin, k->found.unpin);
    if (LIKELY(status_is_ok(st))) {
        k->found.pin = NULL;
        k->found.unpin = NULL;
    }
    return st;
}

FIRN_INTERNAL status read_answer(read_search *s, read_key *k, firn_value *out) {
    if (!k->found.found || read_has_expired(s, k))
        return status_of(FIRN_NOT_FOUND, "key");
    status st = read_value_out(s, k, out);
    if (LIKELY(status_is_ok(st)))
        counters_add(&s->db->counters, COUNT_GETS_FOUND, 1);
    return st;
}

FIRN_INTERNAL void read_value_clear(firn_value *out) {
    out->data = out->inline_bytes;
    out->size = 0;
    out->pin = NULL;
    out->unpin = NULL;
    out->owner = NULL;
    out->expiry_ms = 0;
}

FIRN_INTERNAL status db_value_check(const firn_value *value) {
    return value->unpin ? vfs_map_check_bytes(slice_of(value->data, value->size)) : STATUS_OK;
}

FIRN_INTERNAL void db_value_release(firn_value *value) {
    bool is_cached;
    if (value->owner) {
        uint64_t bytes = block_pin_bytes(value->pin, value->unpin, &is_cached);
        memory_budget_release(&value->owner->memory, is_cached ? MEMORY_PINS : MEMORY_READERS,
                              bytes);
    }
    if (value->unpin)
        value->unpin(value->pin);
    if (value->owner) /* relaxed: as in read_value_pin. */
        atomic_u64_sub(&value->owner->pinned_values, 1, memory_order_relaxed);
    read_value_clear(value);
}

FIRN_INTERNAL status db_get(firn_db *db, uint32_t keyspace_id, const firn_read_options *options,
                            slice key, firn_value *out) {
    read_search s;
    read_key k;
    read_value_clear(out);
    counters_add(&db->counters, COUNT_GETS, 1);
    status st = read_begin(&s, db, keyspace_id, options);
    if (!status_is_ok(st))
        return st;
    TRY(read_key_init(&s, key, &k));
    read_memtables(&s, &k);
    if (!k.found.found)
        TRY(read_from_tables(&s, &k));
    TRY(read_answer(&s, &k, out));
out:
    read_key_deinit(&k);
    read_end(&s);
    return st;
}

/* --- snapshots --- */

/* The writer beside a read-only database knows nothing of its snapshots and drops the versions they
 * see: such a snapshot keeps the state it was taken in. */
FIRN_INTERNAL status db_snapshot_new(firn_db *db, const char *label, const firn_snapshot **out) {
    struct firn_snapshot *s;
    if (db->config.read_only)
        mutex_lock(&db->refresh_guard);
    status st = snapshot_take(&db->snapshots, label, &s);
    if (db->config.read_only && status_is_ok(st)) {
        s->state = db->versions;
        version_set_ref(s->state);
    }
    if (db->config.read_only)
        mutex_unlock(&db->refresh_guard);
    /* After the sequence: what is dropped from here on, this snapshot would have seen. */
    if (status_is_ok(st))
        s->drops = version_set_drops(s->state ? s->state : db->versions);
    *out = s;
    return st;
}

FIRN_INTERNAL status db_check_snapshot(const firn_db *db, const read_view *view,
                                       const firn_snapshot *snapshot) {
    if (LIKELY(!snapshot || view->last_drop <= snapshot->drops))
        return STATUS_OK;
    return error_status(FIRN_SNAPSHOT_TOO_OLD,
                        "%s: tables of keyspace %u were dropped (strategy=fifo) since the "
                        "snapshot was taken; take a new one",
                        db->directory, view->keyspace);
}

FIRN_INTERNAL void db_snapshot_release(firn_db *db, const firn_snapshot *snapshot) {
    version_set *state = snapshot->state;
    snapshot_drop(&db->snapshots, snapshot);
    version_set_unref(state);
}

FIRN_INTERNAL uint64_t db_now_ms(const firn_db *db) {
    return time_wall_ms(db->config.clock);
}

FIRN_INTERNAL uint64_t db_snapshot_sequence(const firn_snapshot *snapshot) {
    return snapshot->sequence;
}
