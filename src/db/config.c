#include "db/config.h"

#include <stdio.h>

#include "codec/codec_dictionary.h"
#include "platform/error_detail.h"
#include "platform/memory.h"

#include "base/poison.h"

#define MIB                 (1ull << 20)
#define GIB                 (1ull << 30)
#define CONFIG_MEMTABLES    8                      /* memory_bytes is at least so many */
#define MEMTABLE_AGE_MS_MAX (UINT64_MAX / 4000000) /* more is for ever */
#define DISK_PIECES         64

/* `given` where set and in range, else the default. */
typedef struct config_range {
    const char *name;
    uint64_t given, fallback, least, most;
} config_range;

static status config_number(const config_range *r, uint64_t *out) {
    *out = r->given ? r->given : r->fallback;
    if (r->given && (r->given < r->least || r->given > r->most))
        return error_status(FIRN_INVALID_ARGUMENT, "option %s is %llu; it must be %llu to %llu",
                            r->name, (unsigned long long)r->given, (unsigned long long)r->least,
                            (unsigned long long)r->most);
    return STATUS_OK;
}

static status config_number32(const config_range *r, uint32_t *out) {
    uint64_t wide;
    status st = config_number(r, &wide);
    *out = (uint32_t)wide;
    return st;
}

static status config_choice(const char *name, firn_choice given, bool fallback, bool *out) {
    *out = given == FIRN_DEFAULT ? fallback : given == FIRN_YES;
    if (given != FIRN_DEFAULT && given != FIRN_YES && given != FIRN_NO)
        return error_status(FIRN_INVALID_ARGUMENT,
                            "option %s is %d; it must be FIRN_DEFAULT, FIRN_YES or FIRN_NO", name,
                            (int)given);
    return STATUS_OK;
}

static uint64_t config_clamp(uint64_t value, uint64_t least, uint64_t most) {
    return value < least ? least : value > most ? most : value;
}

/* What is written at once is a small part of what the disk may hold, or nothing would fit into the
 * rest, and no work would be small enough to make room. */
static uint64_t config_piece(const db_config *c, uint64_t usual) {
    uint64_t part = c->disk_limit_bytes / DISK_PIECES;
    return config_clamp(part, 64 << 10, usual);
}

static void config_disk(const firn_options *o, db_config *c) {
    c->disk_limit_bytes = o->disk_limit_bytes ? o->disk_limit_bytes : FIRN_NONE;
    c->log_segment_max = config_piece(c, 16 * MIB);
}

/* Under a limit of its own a database has its reserve there. */
static void config_disk_reserve(const firn_options *o, db_config *c) {
    uint64_t reserve = 2 * c->log_segment_max + c->memtable_bytes + 2 * c->tree.file_bytes;
    c->limit_reserve_bytes = config_clamp(reserve, 0, c->disk_limit_bytes / 4);
    if (o->disk_reserve_bytes == FIRN_NONE ||
        (o->disk_reserve_bytes == 0 && c->disk_limit_bytes != FIRN_NONE))
        return;
    c->reserve_is_derived = o->disk_reserve_bytes == 0;
    c->reserve_least = o->disk_reserve_bytes ? o->disk_reserve_bytes : c->log_segment_first;
    c->reserve_most = o->disk_reserve_bytes ? o->disk_reserve_bytes : reserve;
}

static status config_memory(const firn_options *o, db_config *c) {
    status st = STATUS_OK;
    c->ram_bytes = memory_total_bytes();
    uint64_t quarter = c->ram_bytes / 4;
    config_range memory = {"memory_bytes", o->memory_bytes, quarter < 64 * MIB ? 64 * MIB : quarter,
                           MIB, UINT64_MAX - 1};
    TRY(config_number(&memory, &c->memory_bytes));
    config_range memtable = {"memtable_bytes", o->memtable_bytes,
                             config_piece(c, config_clamp(c->memory_bytes / CONFIG_MEMTABLES, MIB,
                                                          64 * MIB)),
                             64 << 10, GIB};
    TRY(config_number(&memtable, &c->memtable_bytes));
    config_range age = {"memtable_age_ms", o->memtable_age_ms, FIRN_NONE, 1, FIRN_NONE};
    TRY(config_number(&age, &c->memtable_age_ms));
    if (c->memtable_age_ms > MEMTABLE_AGE_MS_MAX)
        c->memtable_age_ms = FIRN_NONE;
    /* Memtables with their spare arenas and the log take up to half: one that fills, two that wait
     * for their flush and the spare one. */
    if (c->memory_bytes / CONFIG_MEMTABLES < c->memtable_bytes)
        c->memory_bytes = c->memtable_bytes * CONFIG_MEMTABLES;
    /* A segment that is mapped takes as much of the machine as a memtable, at most. */
    c->log_segment_max = config_clamp(c->log_segment_max, 0, c->memory_bytes / CONFIG_MEMTABLES);
    c->log_segment_first = config_clamp(MIB, 0, c->log_segment_max);
    c->cache_bytes = o->cache_bytes == FIRN_NONE ? 0
                     : o->cache_bytes            ? o->cache_bytes
                                                 : c->memory_bytes;
out:
    return st;
}

static status config_durability(const firn_options *o, db_config *c) {
    status st = STATUS_OK;
    if ((int)o->durability < FIRN_SYNC_DEFAULT || o->durability > FIRN_SYNC_MANUAL)
        return error_status(FIRN_INVALID_ARGUMENT, "option durability has the unknown value %d",
                            (int)o->durability);
    c->durability = o->durability == FIRN_SYNC_DEFAULT ? FIRN_SYNC_INTERVAL : o->durability;
    config_range interval = {"sync_interval_ms", o->sync_interval_ms, 1000, 1, 3600000};
    TRY(config_number(&interval, &c->sync_interval_ms));
    config_range bytes = {"sync_bytes", o->sync_bytes, MIB, 4096, UINT64_MAX - 1};
    TRY(config_number(&bytes, &c->sync_bytes));
    config_range commits = {"sync_commits", o->sync_commits, 100, 1, UINT64_MAX - 1};
    TRY(config_number(&commits, &c->sync_commits));
out:
    return st;
}

static status config_opening(const firn_options *o, db_config *c) {
    status st = STATUS_OK;
    TRY(config_choice("create_if_missing", o->create_if_missing, true, &c->create_if_missing));
    TRY(config_choice("error_if_exists", o->error_if_exists, false, &c->error_if_exists));
    TRY(config_choice("read_only", o->read_only, false, &c->read_only));
    if ((int)o->recovery < FIRN_RECOVERY_DEFAULT || o->recovery > FIRN_RECOVERY_SKIP) {
        st = error_status(FIRN_INVALID_ARGUMENT, "option recovery has the unknown value %d",
                          (int)o->recovery);
        goto out;
    }
    c->last_good = o->recovery >= FIRN_RECOVERY_LAST_GOOD;
    c->skip_damage = o->recovery == FIRN_RECOVERY_SKIP;
    if ((int)o->log_io < FIRN_LOG_IO_DEFAULT || o->log_io > FIRN_LOG_IO_PWRITE) {
        st = error_status(FIRN_INVALID_ARGUMENT, "option log_io has the unknown value %d",
                          (int)o->log_io);
        goto out;
    }
    c->log_io = o->log_io == FIRN_LOG_IO_DEFAULT ? FIRN_LOG_IO_AUTO : o->log_io;
    if (o->comparator && (!o->comparator->name || !o->comparator->compare ||
                          !*o->comparator->name || strlen(o->comparator->name) > 255)) {
        st =
            error_status(FIRN_INVALID_ARGUMENT,
                         "option comparator needs a name of 1 to 255 bytes and a compare function");
        goto out;
    }
    c->order = (key_order){o->comparator};
    if (o->compaction_filter && (!o->compaction_filter->decide || !o->compaction_filter->name)) {
        st = error_status(FIRN_INVALID_ARGUMENT,
                          "option compaction_filter needs a name and a decide function");
        goto out;
    }
    c->filter = o->compaction_filter;
    c->vfs = o->vfs ? o->vfs : firn_vfs_default();
    c->clock = time_source_system();
    c->on_event = o->on_event;
    c->on_event_context = o->on_event_context;
out:
    return st;
}

static status config_table_io(const firn_options *o, db_config *c) {
    if ((int)o->table_io < FIRN_TABLE_IO_DEFAULT || o->table_io > FIRN_TABLE_IO_PREAD)
        return error_status(FIRN_INVALID_ARGUMENT, "option table_io has the unknown value %d",
                            (int)o->table_io);
    c->table_io = o->table_io == FIRN_TABLE_IO_DEFAULT ? FIRN_TABLE_IO_AUTO : o->table_io;
    return config_choice("verify_reads", o->verify_reads, false, &c->verifies_reads);
}

/* Mapped tables cost a fault where pread costs a call, and the system cannot tell their hot blocks
 * from their cold ones as a cache of blocks can: they pay while nearly all is resident. Two
 * borders, so that a database between them does not change its mind at each compaction. */
FIRN_INTERNAL bool db_config_maps_tables(const db_config *c, uint64_t live_bytes, bool now_mapped) {
    if (c->table_io != FIRN_TABLE_IO_AUTO)
        return c->table_io == FIRN_TABLE_IO_MAPPED;
    if (c->vfs != firn_vfs_default())
        return false;
    return live_bytes <= (now_mapped ? c->ram_bytes / 2 : c->ram_bytes / 8 * 3);
}

static status config_codec(firn_compression given, codec_id *out) {
    static const codec_id codecs[] = {
        [FIRN_COMPRESSION_DEFAULT] = CODEC_NONE,  [FIRN_COMPRESSION_NONE] = CODEC_NONE,
        [FIRN_COMPRESSION_LZ4] = CODEC_LZ4,       [FIRN_COMPRESSION_ZSTD] = CODEC_ZSTD,
        [FIRN_COMPRESSION_SNAPPY] = CODEC_SNAPPY,
    };
    *out = CODEC_NONE;
    if ((int)given < FIRN_COMPRESSION_DEFAULT || given > FIRN_COMPRESSION_SNAPPY)
        return error_status(FIRN_INVALID_ARGUMENT, "option compression has the unknown value %d",
                            (int)given);
    if (!codec_is_available((uint8_t)codecs[given]))
        return error_status(FIRN_NOT_SUPPORTED, "option compression: %s is not part of this build",
                            codec_name((uint8_t)codecs[given]));
    *out = codecs[given];
    return STATUS_OK;
}

static status config_strategy(const firn_options *o, tree_options *t) {
    status st = STATUS_OK;
    static const tree_strategy strategies[] = {
        [FIRN_STRATEGY_DEFAULT] = TREE_LEVELED,
        [FIRN_STRATEGY_LEVELED] = TREE_LEVELED,
        [FIRN_STRATEGY_TIERED] = TREE_TIERED,
        [FIRN_STRATEGY_FIFO] = TREE_FIFO,
    };
    if ((int)o->strategy < FIRN_STRATEGY_DEFAULT || o->strategy > FIRN_STRATEGY_FIFO)
        return error_status(FIRN_INVALID_ARGUMENT, "option strategy has the unknown value %d",
                            (int)o->strategy);
    t->strategy = strategies[o->strategy];
    t->tiered_space_percent = 200;
    const uint32_t never = UINT32_MAX;
    config_range tombstones = {"tombstone_percent",
                               o->tombstone_percent == never ? 1 : o->tombstone_percent, 50, 1,
                               100};
    TRY(config_number32(&tombstones, &t->tombstone_percent));
    if (o->tombstone_percent == never)
        t->tombstone_percent = 0;
    t->fifo_bytes = o->fifo_bytes == FIRN_NONE ? 0 : o->fifo_bytes;
    t->fifo_ttl_ms = o->fifo_ttl_ms == FIRN_NONE ? 0 : o->fifo_ttl_ms;
    if ((t->fifo_bytes || t->fifo_ttl_ms) && t->strategy != TREE_FIFO)
        st = error_status(FIRN_INVALID_ARGUMENT,
                          "options fifo_bytes and fifo_ttl_ms need strategy=fifo");
    t->purge_age_ms = o->purge_age_ms == FIRN_NONE ? 0 : o->purge_age_ms;
    if (status_is_ok(st) && t->purge_age_ms &&
        (t->purge_age_ms < 1000 || t->strategy != TREE_LEVELED))
        st = error_status(FIRN_INVALID_ARGUMENT,
                          "option purge_age_ms is %llu; it has to be 1000 or more, and needs "
                          "strategy=leveled",
                          (unsigned long long)t->purge_age_ms);
out:
    return st;
}

static status config_filter(const firn_options *o, tree_options *t) {
    t->filter_bits_per_key = 0;
    if (o->filter_bits_per_key == UINT32_MAX)
        return STATUS_OK;
    t->filter_bits_per_key = TREE_FILTER_BY_LEVEL;
    if (o->filter_bits_per_key == 0)
        return STATUS_OK;
    config_range filter = {"filter_bits_per_key", o->filter_bits_per_key, 10, 1, 32};
    return config_number32(&filter, &t->filter_bits_per_key);
}

static status config_prefix(const firn_options *o, tree_options *t) {
    t->prefix = o->prefix_filter == UINT32_MAX ? 0 : o->prefix_filter;
    if (!prefix_rule_is_sound(t->prefix))
        return error_status(FIRN_INVALID_ARGUMENT,
                            "option prefix_filter is %u; use FIRN_PREFIX_FIRST(1..255) or "
                            "FIRN_PREFIX_UNTIL(byte)",
                            (unsigned)o->prefix_filter);
    if (t->prefix && o->comparator)
        return error_status(FIRN_INVALID_ARGUMENT,
                            "option prefix_filter needs the bytewise order: where keys are in "
                            "another, those with a prefix need not follow each other");
    return STATUS_OK;
}

static status config_codecs(const firn_options *o, tree_options *t) {
    status st = STATUS_OK;
    codec_id codec;
    uint32_t zstd_level;
    _Static_assert(sizeof o->compression_by_level / sizeof *o->compression_by_level == LEVEL_COUNT,
                   "one codec per level");
    TRY(config_codec(o->compression, &t->codec));
    for (int i = 0; i < LEVEL_COUNT; i++) {
        TRY(config_codec(o->compression_by_level[i], &codec));
        t->level_codecs[i] =
            o->compression_by_level[i] == FIRN_COMPRESSION_DEFAULT ? 0 : (uint8_t)(codec + 1);
    }
    config_range level = {"zstd_level", o->zstd_level, 3, 1, CODEC_LEVEL_MAX};
    TRY(config_number32(&level, &zstd_level));
    t->codec_level = (int)zstd_level;
    const uint32_t none = UINT32_MAX, given = o->zstd_dictionary_bytes;
    if (given == 0 || given == none)
        goto out;
    config_range dictionary = {"zstd_dictionary_bytes", given, 0, 1 << 10, 64 << 10};
    TRY(config_number32(&dictionary, &t->dictionary_bytes));
    if (!codec_dictionary_is_available())
        st = error_status(FIRN_NOT_SUPPORTED,
                          "option zstd_dictionary_bytes: zstd is not part of this build");
out:
    return st;
}

static status config_tree(const firn_options *o, db_config *c) {
    status st = STATUS_OK;
    tree_options *t = &c->tree;
    t->has_filter = c->filter != NULL;
    config_range block = {"block_bytes", o->block_bytes, 4096, 256, MIB};
    TRY(config_number32(&block, &t->block_bytes));
    config_range restart = {"restart_interval", o->restart_interval, 16, 1, 1024};
    TRY(config_number32(&restart, &t->restart_interval));
    TRY(config_filter(o, t));
    TRY(config_prefix(o, t));
    config_range file = {"file_bytes", o->file_bytes, config_piece(c, 64 * MIB), 64 << 10, 4 * GIB};
    TRY(config_number(&file, &t->file_bytes));
    config_range base = {"level_base_bytes", o->level_base_bytes, 4 * c->memtable_bytes, 64 << 10,
                         UINT64_MAX - 1};
    TRY(config_number(&base, &t->level_base_bytes));
    config_range fanout = {"level_fanout", o->level_fanout, 10, 2, 100};
    TRY(config_number32(&fanout, &t->level_fanout));
    config_range trigger = {"l0_compaction_trigger", o->l0_compaction_trigger, 4, 1, 1000};
    TRY(config_number32(&trigger, &t->l0_trigger));
    config_range slow = {"l0_slowdown_trigger", o->l0_slowdown_trigger, 2 * t->l0_trigger,
                         t->l0_trigger, 10000};
    TRY(config_number32(&slow, &t->l0_slowdown));
    config_range stop = {"l0_stop_trigger", o->l0_stop_trigger, 2 * t->l0_slowdown,
                         t->l0_slowdown + 1, 100000};
    TRY(config_number32(&stop, &t->l0_stop));
    TRY(config_codecs(o, t));
    TRY(config_strategy(o, t));
out:
    return st;
}

FIRN_INTERNAL status db_config_derive(const firn_options *options, db_config *out) {
    status st = STATUS_OK;
    firn_options o = FIRN_OPTIONS_INIT;
    *out = (db_config){0};
    if (options && (options->size == 0 || options->size > sizeof o)) {
        st = error_status(FIRN_INVALID_ARGUMENT,
                          "firn_options.size is %zu; set the struct up with FIRN_OPTIONS_INIT",
                          options->size);
        goto out;
    }
    if (options)
        memcpy(&o, options, options->size);
    config_disk(&o, out);
    TRY(config_memory(&o, out));
    TRY(config_durability(&o, out));
    TRY(config_opening(&o, out));
    TRY(config_tree(&o, out));
    config_disk_reserve(&o, out);
    TRY(config_table_io(&o, out));
    config_range rate = {"background_rate_bytes",
                         o.background_rate_bytes == FIRN_NONE ? 0 : o.background_rate_bytes, 0, MIB,
                         1ull << 40};
    TRY(config_number(&rate, &out->background_rate_bytes));
    uint32_t cores = memory_cpu_count();
    config_range threads = {"threads", o.threads, cores < 2 ? 2 : cores > 64 ? 64 : cores, 1, 64};
    TRY(config_number32(&threads, &out->threads));
out:
    return st;
}

FIRN_INTERNAL void db_config_report(const db_config *c, event_log *events) {
    event e = event_begin(events, "options");
    event_u64(&e, "memory_bytes", c->memory_bytes);
    event_u64(&e, "memtable_bytes", c->memtable_bytes);
    event_u64(&e, "memtable_age_ms", c->memtable_age_ms);
    event_u64(&e, "cache_bytes", c->cache_bytes);
    event_u64(&e, "disk_limit_bytes", c->disk_limit_bytes);
    event_u64(&e, "limit_reserve_bytes", c->limit_reserve_bytes);
    event_u64(&e, "disk_reserve_bytes", c->reserve_most);
    event_u64(&e, "threads", c->threads);
    event_u64(&e, "durability", (uint64_t)c->durability);
    event_u64(&e, "block_bytes", c->tree.block_bytes);
    event_string(&e, "compression", codec_name((uint8_t)c->tree.codec));
    event_string(&e, "strategy", tree_strategy_name(c->tree.strategy));
    if (c->tree.filter_bits_per_key == TREE_FILTER_BY_LEVEL)
        event_string(&e, "filter_bits_per_key", "16 in L0, 12, 8 in the last level");
    else
        event_u64(&e, "filter_bits_per_key", c->tree.filter_bits_per_key);
    char rule[PREFIX_NAME_BYTES];
    event_string(&e, "prefix_filter", prefix_rule_name(c->tree.prefix, rule));
    event_u64(&e, "file_bytes", c->tree.file_bytes);
    event_u64(&e, "level_base_bytes", c->tree.level_base_bytes);
    event_u64(&e, "level_fanout", c->tree.level_fanout);
    event_string(
        &e, "reason",
        "unset options: memory 1/4 of RAM and at least 8 memtables, memtable 1/8 of it, the "
        "cache what nobody else holds, level base 4 memtables; memtable and files at most 1/64 of "
        "the disk limit");
    event_end(&e);
}

#undef MIB
#undef GIB
#undef CONFIG_MEMTABLES
#undef MEMTABLE_AGE_MS_MAX
#undef DISK_PIECES
