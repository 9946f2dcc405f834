/* wal/wal_writer_internal.h - the writer's parts, shared by wal_writer.c (append), wal_segments.c
 * (which segments there are) and wal_sync.c (what is durable).
 *
 * Invariants: segments are in the order of their positions. The newest one is where appends go,
 *             unless an append that failed half-way closed it.
 * Threads:    lock order: sync_mutex, then list_mutex. */
#ifndef FIRN_WAL_WAL_WRITER_INTERNAL_H
#define FIRN_WAL_WAL_WRITER_INTERNAL_H

#include "base/atomic.h"
#include "platform/thread.h"
#include "record/record.h"
#include "util/buf.h"
#include "wal/wal_writer.h"

typedef enum wal_segment_state {
    WAL_SEGMENT_CURRENT, /* appends go here */
    WAL_SEGMENT_SEALED,  /* complete, perhaps not all durable */
    WAL_SEGMENT_DURABLE, /* complete and durable; its file is closed */
    WAL_SEGMENT_RELEASED /* not needed any more; its file is closed and to be deleted */
} wal_segment_state;

enum {
    WAL_SPARES_MAX = 4,
    WAL_NUMBER_AHEAD = 0,
    WAL_SEGMENT_BYTES_MIN = 2 * SEGMENT_HEADER_BYTES /* unless for want of space */
};

/* A file for the next segment: a released segment's under its old name, or one made ahead, under a
 * number that no segment has. Either is of no use to whoever opens the directory later. */
typedef struct wal_spare {
    vfs_file *file;
    vfs_mapping map; /* empty: written, not mapped */
    uint64_t number, bytes;
} wal_spare;

typedef struct wal_segment {
    segment_header header; /* set at birth; of an adopted segment only number and position */
    uint64_t usable_bytes; /* the file's size at birth: where records may lie */
    vfs_file *file;     /* closed by the thread that makes the segment durable, or kept for reuse */
    vfs_mapping map;    /* the whole file, if records are stored; unmapped before `file` closes */
    bool holds_extents; /* readers may have its file open: never reused. The appending thread's */
    /* Guarded by list_mutex. */
    wal_segment_state state;
    uint64_t file_bytes;
    bool is_spare;         /* released, and its file is one of list.spares now */
    uint64_t end_position; /* of its last record's end; not kept up to date while current */
} wal_segment;

struct wal_writer {
    /* Set at birth. */
    const firn_vfs *vfs;
    const char *directory;
    uint8_t database[16];
    uint8_t boot_id[16];
    uint64_t segment_bytes_max;
    wal_io io;
    uint32_t spares_max;
    event_log *events;                 /* may be NULL */
    memory_budget *memory;             /* may be NULL */
    void (*want_ahead)(void *context); /* may be NULL */
    void *context;

    /* Owned by the appending thread. */
    struct {
        wal_segment *current; /* NULL: the next append creates one */
        uint64_t offset;      /* where the records in current's file end */
        uint64_t
            ahead_offset; /* from where in it on the next segment is wanted; UINT64_MAX: is not */
        uint64_t predecessor, predecessor_cut; /* of the next segment, while there is no current */
        uint64_t next_number, next_bytes;      /* of the next segment */
        seqno next_sequence;
        buf buffer;
        wal_segment **fresh; /* created for the append under way */
        size_t fresh_count, fresh_capacity;
        bool wrote_current; /* the append under way has written to `current` */
    } append;

    mutex sync_mutex; /* one sync at a time; held while a file that others could close is synced */
    uint64_t names_durable; /* guarded by sync_mutex: of list.created, at the last sync_dir */

    mutex list_mutex;
    struct {
        wal_segment **segments;
        size_t count, capacity;
        uint64_t created; /* segments ever */
        wal_spare spares[WAL_SPARES_MAX];
        size_t spare_count;
        uint64_t recycled, prepared; /* segments ever made of spares of either kind */
        uint64_t ahead_bytes;        /* of a file that is to be made ahead; 0: of none */
        bool has_ahead;    /* from the beginning of its making until its name is free again */
        bool is_preparing; /* somebody makes it ... */
        bool is_unwanted;  /* ... and is to drop it, for spares were dropped meanwhile */
    } list;                /* guarded by list_mutex */

    /* Stored by the appending thread, the line apart from what syncs store. */
    _Alignas(CACHE_LINE_BYTES) atomic_u64 end;
    atomic_u64 next_segment; /* number of the segment the next append goes to at the earliest */
    atomic_u64 bytes_written, append_runs;
    /* Stored under sync_mutex. */
    _Alignas(CACHE_LINE_BYTES) atomic_u64 synced;
    atomic_u64 syncs;
    /* A firn_status; not OK once anything failed that makes the log's state unknown. */
    atomic_u32 poison;
};

/* OK, or the sticky failure, with detail. */
FIRN_INTERNAL NODISCARD status wal_writer_check_poison(const wal_writer *w);
/* Makes the failure sticky; returns what the caller answers. */
FIRN_INTERNAL NODISCARD COLD status wal_writer_poison(wal_writer *w, status failure);

/* The only way a segment's state changes; under list_mutex. */
FIRN_INTERNAL void wal_segment_set_state(wal_segment *segment, wal_segment_state to);
/* Creates the file of a segment for `header` (whose identity it fills in) with room for a record of
 * `record_bytes`, and puts it into append.fresh. Its header page is not written: until it is, the
 * file counts as not there. */
FIRN_INTERNAL NODISCARD status wal_segments_create(wal_writer *w, const segment_header *header,
                                                   uint64_t record_bytes);
/* Asks for the next segment to be made ahead, if there is no spare: `current` is three quarters
 * full. */
FIRN_INTERNAL COLD void wal_segments_want_ahead(wal_writer *w);
/* Drops append.fresh after a failed append; `remove` deletes the files too. The error detail stays.
 */
FIRN_INTERNAL void wal_segments_discard_fresh(wal_writer *w, bool remove);
/* Closes `current` at append.offset: the next segment's header will say so. */
FIRN_INTERNAL void wal_segments_abandon_current(wal_writer *w);
/* Puts append.fresh into the list; the last of them is current from now on. Cannot fail. */
FIRN_INTERNAL void wal_segments_commit_fresh(wal_writer *w);
FIRN_INTERNAL NODISCARD status wal_segments_adopt(wal_writer *w, const wal_segment_info *older,
                                                  size_t count);
/* Closes and frees all. */
FIRN_INTERNAL void wal_segments_deinit(wal_writer *w);
#endif
