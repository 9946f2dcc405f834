#include "compaction/level_targets.h"
#include "db/db_internal.h"

#include "base/poison.h"

#define STATS_KEYSPACES_MAX 64

static void stats_fill_levels(const read_view *view, const tree_options *options, firn_stats *s) {
    level_targets targets = level_targets_of(view->version, options);
    for (uint32_t level = 0; level < LEVEL_COUNT; level++) {
        const version_level *l = &view->version->levels[level];
        firn_level_stats *out = &s->levels[level];
        out->files += l->count;
        out->bytes += l->bytes;
        for (uint32_t i = 0; i < l->count; i++) {
            out->entries += l->tables[i]->entries;
            out->tombstones += l->tables[i]->deletes;
        }
        if (view->keyspace == KEYSPACE_DEFAULT)
            out->target_bytes = targets.bytes[level];
    }
    s->table_files += version_total_tables(view->version);
    s->table_bytes += version_total_bytes(view->version);
    s->pending_compaction_bytes += level_debt_bytes(view->version, options);
}

static void stats_fill_gauges(firn_db *db, firn_stats *s) {
    uint32_t ids[STATS_KEYSPACES_MAX];
    seqno oldest;
    /* acquire: pairs with the commit leader's release. */
    s->last_sequence = atomic_u64_load(&db->visible, memory_order_acquire);
    s->level_count = LEVEL_COUNT;
    version_set_memory memory;
    version_set_get_memory(db->versions, time_monotonic_ns(db->config.clock), &memory);
    s->memtable_bytes = memory.bytes;
    s->memtable_entries = memory.entries;
    s->sealed_memtables = memory.sealed;
    s->memtable_spare_bytes = memory.spare_bytes;
    s->memtable_held_bytes = memory.held_bytes;
    s->readers_inside = memory.readers.inside;
    s->reader_oldest_ns = memory.readers.oldest_ns;
    s->retired_waiting = memory.readers.waiting;
    uint32_t count = version_set_keyspaces(db->versions, ids, STATS_KEYSPACES_MAX);
    for (uint32_t i = 0; i < count; i++) {
        read_view *view = version_set_view(db->versions, ids[i]);
        stats_fill_levels(view, &db->config.tree, s);
        read_view_unref(view);
    }
    s->snapshots = snapshot_registry_count(&db->snapshots, &oldest);
    s->oldest_snapshot_sequence = oldest;
    /* relaxed: no partner; a number for people. */
    s->iterators = atomic_u64_load(&db->iterators, memory_order_relaxed);
}

static void stats_fill_caches(firn_db *db, firn_stats *s) {
    table_cache_stats tables;
    if (db->blocks) {
        cache_stats blocks;
        cache_get_stats(db->blocks, &blocks);
        s->cache_bytes = blocks.usage;
        s->cache_capacity_bytes = blocks.capacity;
        s->cache_hits = blocks.hits;
        s->cache_misses = blocks.misses;
        s->cache_entries = blocks.entries;
        s->cache_hot_bytes = blocks.hot_usage;
        s->cache_pinned_bytes = blocks.pinned_usage;
        s->cache_inserts = blocks.inserts;
        s->cache_evictions = blocks.evictions;
    }
    table_cache_get_stats(db->tables, &tables);
    s->tables_open = tables.tables;
    s->tables_memory_bytes = tables.memory_bytes;
    s->tables_opened = tables.opened;
    s->tables_closed = tables.closed;
}

static void stats_fill_space(const firn_db *db, firn_stats *s) {
    s->disk_reserve_bytes = space_reserve_held_bytes(&db->space);
    s->disk_is_short = space_reserve_is_short(&db->space);
}

_Static_assert(MEMORY_KIND_COUNT < FIRN_MEMORY_KINDS_MAX, "a place for each kind and the cache");

static void stats_fill_memory(const memory_budget *b, firn_stats *s) {
    s->memory_limit_bytes = b->limit;
    s->memory_refusals = memory_budget_refusals(b);
    s->memory_charged_bytes = s->cache_bytes;
    for (uint32_t i = 0; i < MEMORY_KIND_COUNT; i++) {
        memory_kind kind = (memory_kind)i;
        s->memory[i] = (firn_memory_stats){memory_kind_name(kind), memory_budget_charged(b, kind)};
        if (kind != MEMORY_PINS)
            s->memory_charged_bytes += s->memory[i].bytes;
    }
    s->memory[MEMORY_KIND_COUNT] = (firn_memory_stats){"block cache", s->cache_bytes};
    s->memory_count = MEMORY_KIND_COUNT + 1;
}

static void stats_fill_parts(firn_db *db, firn_stats *s) {
    if (db->log) {
        wal_writer_stats log;
        wal_writer_get_stats(db->log, &log);
        s->log_files = log.segments;
        s->log_bytes = log.live_bytes;
        s->log_bytes_written = log.bytes_written;
        s->log_syncs = log.syncs;
    } else { /* read-only: the log as it was read */
        s->log_files = db->recovered_segments;
        s->log_bytes = db->recovered_bytes;
    }
    s->recovered_records = db->recovered_records;
    s->recovered_bytes = db->recovered_bytes;
    s->torn_bytes_cut = db->torn_bytes;
}

static void stats_fill_counters(const counters *c, firn_stats *s) {
    s->puts = counters_sum(c, COUNT_PUTS);
    s->deletes = counters_sum(c, COUNT_DELETES);
    s->gets = counters_sum(c, COUNT_GETS);
    s->gets_found = counters_sum(c, COUNT_GETS_FOUND);
    s->seeks = counters_sum(c, COUNT_SEEKS);
    s->iter_skipped = counters_sum(c, COUNT_ITER_SKIPPED);
    s->iter_reseeks = counters_sum(c, COUNT_ITER_RESEEKS);
    s->flushes = counters_sum(c, COUNT_FLUSHES);
    s->flush_bytes = counters_sum(c, COUNT_FLUSH_BYTES);
    s->compactions = counters_sum(c, COUNT_COMPACTIONS);
    s->compaction_bytes_read = counters_sum(c, COUNT_COMPACTION_READ);
    s->compaction_bytes_written = counters_sum(c, COUNT_COMPACTION_WRITTEN);
    s->trivial_moves = counters_sum(c, COUNT_MOVES);
    s->filter_checked = counters_sum(c, COUNT_FILTER_CHECKED);
    s->filter_useful = counters_sum(c, COUNT_FILTER_USEFUL);
}

/* relaxed throughout: numbers for people; no partner. */
static void stats_fill_commits(const firn_db *db, firn_stats *s) {
    s->commit_groups = atomic_u64_load(&db->commit_groups, memory_order_relaxed);
    s->batches = atomic_u64_load(&db->commit_batches, memory_order_relaxed); /* relaxed: as above */
    s->user_bytes_written =
        atomic_u64_load(&db->commit_user_bytes, memory_order_relaxed); /* as above */
}

static void stats_fill_waits(const write_waits *waits, firn_stats *s) {
    s->wait_count = WRITE_WAIT_COUNT;
    for (uint32_t i = 0; i < WRITE_WAIT_COUNT; i++) {
        const histogram *h = &waits->waited_ns[i];
        s->waits[i] = (firn_wait_stats){
            .cause = write_wait_name((write_wait)i),
            .count = histogram_count(h),
            .total_ns = histogram_sum(h),
            .p50_ns = histogram_quantile(h, 0.5),
            .p99_ns = histogram_quantile(h, 0.99),
            .max_ns = histogram_max(h),
        };
    }
}

static void stats_fill_background(firn_db *db, firn_stats *s) {
    /* relaxed: no partner; numbers for people. */
    s->write_rate_allowed = atomic_u64_load(&db->pacing.rate_allowed, memory_order_relaxed);
    s->flush_rate = atomic_u64_load(&db->pacing.flush_rate, memory_order_relaxed);
    s->drain_rate = atomic_u64_load(&db->pacing.drain_rate, memory_order_relaxed);
    s->job_count = background_list_jobs(db, s->jobs, FIRN_JOBS_MAX);
}

FIRN_INTERNAL void db_count_operation(firn_db *db, op_kind kind) {
    counters_add(&db->counters,
                 op_kind_is_delete(kind) || kind == OP_RANGE_DELETE ? COUNT_DELETES : COUNT_PUTS,
                 1);
}

FIRN_INTERNAL void db_get_stats(firn_db *db, firn_stats *out) {
    if (db->config.read_only)
        mutex_lock(&db->refresh_guard);
    stats_fill_gauges(db, out);
    if (db->config.read_only)
        mutex_unlock(&db->refresh_guard);
    stats_fill_parts(db, out);
    stats_fill_caches(db, out);
    stats_fill_space(db, out);
    stats_fill_memory(&db->memory, out);
    stats_fill_counters(&db->counters, out);
    stats_fill_commits(db, out);
    stats_fill_waits(&db->waits, out);
    stats_fill_background(db, out);
}

FIRN_INTERNAL void db_report_refusals(firn_db *db) {
    uint64_t refusals = memory_budget_refusals(&db->memory);
    /* relaxed: only who changes it writes the event. */
    if (LIKELY(refusals == atomic_u64_load(&db->refusals_told, memory_order_relaxed)) ||
        atomic_u64_exchange(&db->refusals_told, refusals, memory_order_relaxed) == refusals)
        return;
    event e = event_begin(db->events, "memory");
    event_u64(&e, "refusals", refusals);
    event_u64(&e, "memory_bytes", db->memory.limit);
    for (int i = 0; i < MEMORY_KIND_COUNT; i++)
        event_u64(&e, memory_kind_name((memory_kind)i),
                  memory_budget_charged(&db->memory, (memory_kind)i));
    event_end(&e);
}

#undef STATS_KEYSPACES_MAX
