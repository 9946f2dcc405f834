/* db/repair_internal.h - what the files of repair share.
 *
 * repair.c has the order of things and the commit; repair_survey.c finds out what is there and what
 * is wrong; repair_tables.c rescues tables and finds each its level; repair_log.c turns the log
 * into tables.
 *
 * Crash: until the new manifest is in force only files nobody lists are added. */
#ifndef FIRN_DB_REPAIR_INTERNAL_H
#define FIRN_DB_REPAIR_INTERNAL_H

#include "compaction/table_output.h"
#include "db/repair.h"
#include "format/file_name.h"
#include "iter/iter.h"
#include "version/version_set.h"

enum { REPAIR_KEYSPACES_MAX = 64 };

typedef enum repair_fate {
    REPAIR_KEEP,    /* whole */
    REPAIR_SALVAGE, /* damaged: what can be read becomes a new table */
    REPAIR_COPY,    /* whole, but under another table's name */
    REPAIR_LOST,    /* nothing can be read */
    REPAIR_DROP     /* not part of the database any more */
} repair_fate;

typedef struct repair_table {
    uint64_t number; /* by which the manifest knows it, or its file's */
    uint64_t source; /* number of the file that holds its bytes */
    uint32_t level;  /* LEVEL_COUNT: not known */
    repair_fate fate;
    bool is_listed;   /* in the manifest, as far as that could be read */
    table_meta *meta; /* one reference; NULL: nobody knows */
    uint32_t group;   /* repair_tables.c: which tables have to be merged with it */
} repair_table;

typedef struct repair_keyspace {
    uint32_t id;
    char *name, *comparator; /* owned */
    key_order order;
    seqno flushed; /* operations up to here are in tables */
} repair_keyspace;

typedef struct repair {
    const db_config *config;
    const char *directory;
    bool plan_only;
    firn_repair_callback report;
    void *context;
    bool stopped;
    uint64_t problems, losses;

    /* What the directory holds. */
    bool has_current, has_files;
    uint64_t *table_files, *manifest_files;
    size_t table_file_count, manifest_file_count;
    uint64_t highest_number;
    bool out_of_memory;

    /* What the manifest says. */
    bool current_is_good;
    uint64_t manifest_number; /* 0: none can be read */
    bool manifest_is_whole;   /* and in force: its tables are the tables */
    bool has_database;
    uint8_t database[16];
    uint64_t next_file, log_floor_segment, log_floor_position, clean_end;
    seqno last_sequence;
    repair_keyspace keyspaces[REPAIR_KEYSPACES_MAX];
    uint32_t keyspace_count;
    repair_table *tables;
    size_t table_count;

    /* The log. */
    bool log_is_damaged;
    uint64_t log_highest_segment, log_highest_position;

    /* The result. */
    epoch readers;        /* of `numbers`, which has none */
    version_set *numbers; /* gives out file numbers; nothing else of it is used */
    uint64_t *rescued;    /* files to copy aside before the end: tables */
    size_t rescued_count;
} repair;

/* --- repair.c --- */
typedef struct repair_message {
    firn_repair_kind kind;
    const char *file;
    uint64_t offset, bytes, entries;
    slice from, to;
    uint64_t from_sequence, to_sequence;
} repair_message;
#define REPAIR_MESSAGE(of_kind, of_file)   \
    ((repair_message){.kind = (of_kind),   \
                      .file = (of_file),   \
                      .offset = FIRN_NONE, \
                      .bytes = FIRN_NONE,  \
                      .entries = FIRN_NONE})
/* ABORTED when the user stops it. */
FIRN_INTERNAL NODISCARD PRINTF_LIKE(3, 4) status
    repair_tell(repair *r, const repair_message *m, const char *format, ...);
/* The keyspace of that id, made when it is new; NULL: no memory, or too many. */
FIRN_INTERNAL repair_keyspace *repair_find_keyspace(repair *r, uint32_t id);
FIRN_INTERNAL NODISCARD status repair_order_by_name(const repair *r, slice name, key_order *out);
/* Appends; takes over the reference on t->meta in every case. */
FIRN_INTERNAL NODISCARD status repair_add_table(repair *r, const repair_table *t);
/* Copies a file and makes the copy durable, but not its name. */
FIRN_INTERNAL NODISCARD status repair_copy_file(const repair *r, const char *from, const char *to);
FIRN_INTERNAL bool repair_is_damage(status st);

/* --- repair_survey.c --- */
FIRN_INTERNAL NODISCARD status repair_list_files(repair *r);
FIRN_INTERNAL NODISCARD status repair_survey(repair *r);

/* --- repair_tables.c --- */
/* Tells what would be lost of a damaged table, and fills what is not known about it. */
FIRN_INTERNAL NODISCARD status repair_judge_damaged(repair *r, repair_table *t,
                                                    const char *problem);
/* Writes new tables for those that are not simply kept. */
FIRN_INTERNAL NODISCARD status repair_rescue_tables(repair *r);
/* Without a manifest: gives each table a level, merging those that cannot be put in an order. */
FIRN_INTERNAL NODISCARD status repair_place_tables(repair *r);

/* --- repair_merge.c --- */
FIRN_INTERNAL void repair_start_output(repair *r, const repair_keyspace *k, uint32_t level,
                                       table_output *output);
/* Writes the newest version of every key of `in`, and the range deletes that belong to them, to
 * tables of at most about `file_bytes`. */
typedef struct repair_source {
    iter *in;
    const range_list *ranges;
    key_order order;
    uint64_t file_bytes;
} repair_source;
FIRN_INTERNAL NODISCARD status repair_write_sorted(repair *r, const repair_source *source,
                                                   table_output *output);
/* Adds what was written to the tables of the result. */
FIRN_INTERNAL NODISCARD status repair_take_output(repair *r, const table_output *output,
                                                  uint32_t level, uint32_t group);
/* Replaces the kept tables of a group by their merge. */
FIRN_INTERNAL NODISCARD status repair_merge_group(repair *r, const repair_keyspace *k,
                                                  uint32_t group);

/* --- repair_log.c --- */
/* Reads the log and tells what is lost of it; unless it is a plan, writes it to tables of L0. */
FIRN_INTERNAL NODISCARD status repair_convert_log(repair *r);
#endif
