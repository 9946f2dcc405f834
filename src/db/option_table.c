/* Options by name: one table serves the tool's `-o name=value`, its list, and the docs. */

#include "db/option_table.h"

#include <errno.h>
#include <stdlib.h>

#include "platform/error_detail.h"
#include "version/version.h"

#include "base/poison.h"

typedef enum option_type {
    OPTION_U64,
    OPTION_U32,
    OPTION_CHOICE,
    OPTION_DURABILITY,
    OPTION_RECOVERY,
    OPTION_COMPRESSION,
    OPTION_STRATEGY,
    OPTION_LOG_IO,
    OPTION_LEVELS,
    OPTION_TABLE_IO,
    OPTION_PREFIX
} option_type;

typedef struct option_row {
    option_type type;
    size_t offset;
    firn_option_info info;
} option_row;

#define OPTION_ROW(kind, field, type_text, default_text, effect_text) \
    {                                                                 \
        kind, offsetof(firn_options, field), {                        \
#field, type_text, default_text, effect_text              \
        }                                                             \
    }

static const char *const option_durability_words[] = {"default",     "every-commit",  "interval",
                                                      "every-bytes", "every-commits", "manual",
                                                      NULL};
static const char *const option_recovery_words[] = {"default", "strict", "last-good", "skip", NULL};
static const char *const option_log_io_words[] = {"default", "auto", "mapped", "pwrite", NULL};

static const char *const option_compression_words[] = {"default", "none",   "lz4",
                                                       "zstd",    "snappy", NULL};

static const char *const option_strategy_words[] = {"default", "leveled", "tiered", "fifo", NULL};
static const char *const option_table_io_words[] = {"default", "auto", "mapped", "pread", NULL};

static const option_row option_rows[] = {
    OPTION_ROW(OPTION_U64, memory_bytes, "bytes", "25% of RAM, at least 64M",
               "One budget for memtables, block cache, indexes and filters."),
    OPTION_ROW(OPTION_DURABILITY, durability,
               "every-commit|interval|every-bytes|every-commits|manual", "interval",
               "When the log is forced to stable storage."),
    OPTION_ROW(OPTION_U64, disk_limit_bytes, "bytes|none", "none",
               "Writes answer NO_SPACE when the database would grow beyond it."),
    OPTION_ROW(OPTION_U64, disk_reserve_bytes, "bytes|none",
               "memtables x 1.5 or tables / 16, 1M..224M",
               "Kept aside in the file RESERVE, for deletes when the file system is full."),
    OPTION_ROW(OPTION_U32, threads, "1..64", "cores available, at least 2",
               "Background threads for flush and compaction."),
    OPTION_ROW(OPTION_CHOICE, create_if_missing, "yes|no", "yes", "Create the database on open."),
    OPTION_ROW(OPTION_CHOICE, error_if_exists, "yes|no", "no", "Refuse to open an existing one."),
    OPTION_ROW(OPTION_CHOICE, read_only, "yes|no", "no",
               "Take no lock and write nothing; works beside a live writer."),
    OPTION_ROW(OPTION_RECOVERY, recovery, "strict|last-good|skip", "strict",
               "When durable log bytes are damaged: refuse, keep the prefix, or leave holes out."),
    OPTION_ROW(OPTION_U64, sync_interval_ms, "1..3600000", "1000",
               "With durability=interval: longest time a write stays unsynced."),
    OPTION_ROW(OPTION_U64, sync_bytes, "bytes, at least 4K", "1M",
               "With durability=every-bytes: unsynced log bytes that start a sync."),
    OPTION_ROW(OPTION_U64, sync_commits, "number", "100",
               "With durability=every-commits: unsynced commits that start a sync."),
    OPTION_ROW(OPTION_U64, memtable_bytes, "64K..1G", "memory_bytes/8, 1M..64M",
               "Size at which a memtable is sealed and flushed to a table."),
    OPTION_ROW(OPTION_U64, memtable_age_ms, "milliseconds|none", "none",
               "Age at which a memtable is sealed and flushed though it is not full."),
    OPTION_ROW(OPTION_U64, cache_bytes, "bytes|none", "what is left",
               "Block cache; none reads every block from the file."),
    OPTION_ROW(OPTION_U32, block_bytes, "256..1M", "4096", "Data block size aimed at."),
    OPTION_ROW(OPTION_U32, restart_interval, "1..1024", "16",
               "Keys between restart points of a block: fewer compress better, more seek faster."),
    OPTION_ROW(OPTION_U32, filter_bits_per_key, "1..32|none", "16 in L0, 12, 8 last",
               "Bloom filter bits per key on every level: about 1 % false positives at 10."),
    OPTION_ROW(OPTION_U64, file_bytes, "64K..4G", "64M", "Table size aimed at below L0."),
    OPTION_ROW(OPTION_U64, level_base_bytes, "bytes, at least 64K", "4 x memtable_bytes",
               "Size of the first level below L0."),
    OPTION_ROW(OPTION_U32, level_fanout, "2..100", "10", "Each level's size over the one above."),
    OPTION_ROW(OPTION_U32, l0_compaction_trigger, "1..1000", "4",
               "L0 tables that start a compaction."),
    OPTION_ROW(OPTION_U32, l0_slowdown_trigger, "number", "2 x l0_compaction_trigger",
               "L0 tables from which writes are slowed down."),
    OPTION_ROW(OPTION_U32, l0_stop_trigger, "number", "2 x l0_slowdown_trigger",
               "L0 tables at which writes wait."),
    OPTION_ROW(OPTION_COMPRESSION, compression, "none|lz4|zstd|snappy", "none",
               "How data blocks below L0 are compressed; tables on disk keep theirs."),
    OPTION_ROW(OPTION_STRATEGY, strategy, "leveled|tiered|fifo", "leveled",
               "Leveled: least space and lookups; tiered: least written; fifo: the oldest goes."),
    OPTION_ROW(OPTION_U64, fifo_bytes, "bytes", "no limit",
               "With strategy=fifo: the oldest tables beyond it are dropped."),
    OPTION_ROW(OPTION_U64, fifo_ttl_ms, "milliseconds", "none",
               "With strategy=fifo: tables whose newest entry is older are dropped."),
    OPTION_ROW(OPTION_U32, tombstone_percent, "1..100|none", "50",
               "Deletes among a table's entries from which it is compacted early."),
    OPTION_ROW(OPTION_U64, purge_age_ms, "milliseconds", "none",
               "What was deleted or overwritten leaves the disk about that long after."),
    OPTION_ROW(OPTION_LOG_IO, log_io, "auto|mapped|pwrite", "auto",
               "How the log is written: stored into mapped files, or by system calls."),
    OPTION_ROW(OPTION_LEVELS, compression_by_level, "words, L0 first", "as compression says",
               "A codec for each level, separated by commas; the last one goes on downward."),
    OPTION_ROW(OPTION_U32, zstd_level, "1..19", "3", "With zstd: smaller and slower upwards."),
    OPTION_ROW(OPTION_U32, zstd_dictionary_bytes, "1K..64K|none", "none",
               "With zstd: each table trains a dictionary on its first blocks, where it pays."),
    OPTION_ROW(OPTION_TABLE_IO, table_io, "auto|mapped|pread", "auto",
               "How tables are read; auto maps them while they fit comfortably in memory."),
    OPTION_ROW(OPTION_CHOICE, verify_reads, "yes|no", "no",
               "Mapped tables: check a block's checksum at each use, not at the first only."),
    OPTION_ROW(OPTION_PREFIX, prefix_filter, "first:1..255|until:BYTE|none", "none",
               "Filter of key prefixes: so many bytes, or through a byte (until:/ or until:2f)."),
    OPTION_ROW(OPTION_U64, background_rate_bytes, "bytes, at least 1M, or none", "none",
               "Most that flush and compaction write per second; half each while both want to."),
};

#undef OPTION_ROW

#define OPTION_ROW_COUNT (sizeof option_rows / sizeof *option_rows)

FIRN_INTERNAL bool option_table_at(size_t position, firn_option_info *out) {
    if (position >= OPTION_ROW_COUNT)
        return false;
    *out = option_rows[position].info;
    return true;
}

static bool option_parse_number(const char *text, uint64_t *out) {
    static const char suffixes[] = "KMGT";
    char *end;
    if (strcmp(text, "none") == 0) {
        *out = FIRN_NONE;
        return true;
    }
    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno == ERANGE)
        return false;
    const char *suffix = *end ? strchr(suffixes, *end & ~0x20) : NULL;
    if (*end && (!suffix || !*suffix))
        return false;
    unsigned shift = suffix ? 10 * (unsigned)(suffix - suffixes + 1) : 0;
    if (suffix && end[1] && strcmp(end + 1, "B") != 0 && strcmp(end + 1, "iB") != 0)
        return false;
    *out = (uint64_t)number << shift;
    return *out >> shift == number;
}

static bool option_parse_word(const char *text, const char *const *words, int *out) {
    for (int i = 0; words[i]; i++) {
        if (strcmp(text, words[i]) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}

/* "none,none,lz4": by level, and what comes last holds for all levels below. */
static bool option_parse_levels(const char *text, firn_compression *levels) {
    int word = 0;
    for (size_t i = 0; i < LEVEL_COUNT; i++) {
        size_t size = strcspn(text, ",");
        char one[16];
        if (size > 0 || i == 0) {
            if (size >= sizeof one)
                return false;
            memcpy(one, text, size);
            one[size] = 0;
            if (!option_parse_word(one, option_compression_words, &word))
                return false;
            text += size;
            if (*text == ',' && !*++text)
                return false;
        }
        levels[i] = (firn_compression)word;
    }
    return *text == 0;
}

/* A rule by its name; also the byte itself, as in "until:/". */
static bool option_parse_prefix(const char *text, uint32_t *rule) {
    static const char until[] = "until:";
    size_t size = strlen(text), lead = sizeof until - 1;
    if (size == lead + 1 && memcmp(text, until, lead) == 0) {
        *rule = FIRN_PREFIX_UNTIL(text[lead]);
        return true;
    }
    *rule = 0;
    return strcmp(text, "none") == 0 || prefix_rule_parse(slice_of(text, size), rule);
}

static bool option_store(const option_row *row, const char *text, void *field) {
    static const char *const choice_words[] = {"default", "yes", "no", NULL};
    uint64_t number = 0;
    int word = 0;
    switch (row->type) {
    case OPTION_U64:
        if (!option_parse_number(text, &number))
            return false;
        memcpy(field, &number, sizeof number);
        return true;
    case OPTION_U32: {
        bool good = option_parse_number(text, &number);
        uint32_t narrow = number == FIRN_NONE ? UINT32_MAX : (uint32_t)number;
        memcpy(field, &narrow, sizeof narrow);
        return good && (number == FIRN_NONE || number < UINT32_MAX);
    }
    case OPTION_CHOICE:
        if (!option_parse_word(text, choice_words, &word))
            return false;
        *(firn_choice *)field = (firn_choice)word;
        return true;
    case OPTION_DURABILITY:
        if (!option_parse_word(text, option_durability_words, &word))
            return false;
        *(firn_durability *)field = (firn_durability)word;
        return true;
    case OPTION_RECOVERY:
        if (!option_parse_word(text, option_recovery_words, &word))
            return false;
        *(firn_recovery *)field = (firn_recovery)word;
        return true;
    case OPTION_STRATEGY:
        if (!option_parse_word(text, option_strategy_words, &word))
            return false;
        *(firn_strategy *)field = (firn_strategy)word;
        return true;
    case OPTION_LOG_IO:
        if (!option_parse_word(text, option_log_io_words, &word))
            return false;
        *(firn_log_io *)field = (firn_log_io)word;
        return true;
    case OPTION_LEVELS:
        return option_parse_levels(text, field);
    case OPTION_PREFIX:
        return option_parse_prefix(text, field);
    case OPTION_TABLE_IO:
        if (!option_parse_word(text, option_table_io_words, &word))
            return false;
        *(firn_table_io *)field = (firn_table_io)word;
        return true;
    default:
        if (!option_parse_word(text, option_compression_words, &word))
            return false;
        *(firn_compression *)field = (firn_compression)word;
        return true;
    }
}

FIRN_INTERNAL status option_table_set(firn_options *options, const char *name, const char *value) {
    for (size_t i = 0; i < OPTION_ROW_COUNT; i++) {
        const option_row *row = &option_rows[i];
        if (strcmp(row->info.name, name) != 0)
            continue;
        firn_options changed = *options;
        if (!option_store(row, value, (char *)&changed + row->offset))
            return error_status(FIRN_INVALID_ARGUMENT, "option %s cannot be '%s'; it takes %s",
                                name, value, row->info.type);
        *options = changed;
        return STATUS_OK;
    }
    return error_status(FIRN_INVALID_ARGUMENT, "there is no option '%s'; 'firn options' lists them",
                        name);
}
#undef OPTION_ROW_COUNT
