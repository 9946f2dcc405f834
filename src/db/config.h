/* db/config.h - the options of an open database, validated and with every default filled in.
 *
 * What was derived, and from what, goes to the event log. */
#ifndef FIRN_DB_CONFIG_H
#define FIRN_DB_CONFIG_H

#include "compaction/tree_options.h"
#include "firn/options.h"
#include "format/key.h"
#include "platform/clock.h"
#include "util/event_log.h"

typedef struct db_config {
    uint64_t memory_bytes;
    uint64_t memtable_bytes;
    uint64_t memtable_age_ms;  /* UINT64_MAX: none */
    uint64_t cache_bytes;      /* 0: no block cache */
    uint64_t disk_limit_bytes; /* UINT64_MAX: none */
    /* Of the limit, what is kept from puts: a log segment, a memtable, a manifest and the smallest
     * compaction. Deletes and background work live on it when the rest is full. */
    uint64_t limit_reserve_bytes;
    uint64_t reserve_least, reserve_most; /* of the file RESERVE (db/space_reserve.h) */
    bool reserve_is_derived;              /* nobody asked for it */
    uint64_t ram_bytes;                   /* of the machine or the cgroup */
    firn_table_io table_io;               /* not DEFAULT */
    bool verifies_reads;
    uint32_t threads; /* 0 only in tests: background work is stepped by hand */
    firn_durability durability;
    uint64_t sync_interval_ms, sync_bytes, sync_commits;
    bool create_if_missing, error_if_exists, read_only, last_good, skip_damage;
    bool opens_tables_late; /* read-only, for verification: damaged tables do not fail the open */
    key_order order;
    const firn_vfs *vfs;
    const time_source *clock;
    firn_event_callback on_event;
    void *on_event_context;
    tree_options tree;
    firn_log_io log_io;                          /* 0 only in tests: auto */
    uint64_t background_rate_bytes;              /* 0: no limit */
    const firn_compaction_filter *filter;        /* NULL: none */
    uint64_t log_segment_first, log_segment_max; /* 0 only in tests: 1 MiB, 16 MiB */
} db_config;

/* INVALID_ARGUMENT names the option and its range. `options` may be NULL. */
FIRN_INTERNAL NODISCARD status db_config_derive(const firn_options *options, db_config *out);
/* Whether tables of `live_bytes` altogether are mapped, `now_mapped` as they are. */
FIRN_INTERNAL bool db_config_maps_tables(const db_config *config, uint64_t live_bytes,
                                         bool now_mapped);
FIRN_INTERNAL void db_config_report(const db_config *config, event_log *events);
#endif
