/* wal/wal_writer.h - appends batches to the log and makes them durable.
 *
 * Format:     docs/format/log.md; one record per batch.
 * Invariants: positions rise with every append and run on from segment to segment. A sync covers
 *             all older segments, headers and directory entries included. After a failed sync, or a
 *             write that failed for any reason but lack of space, every later append and sync fails
 *             with IO_ERROR (poisoned): the kernel may have dropped the pages. An append that
 *             failed for lack of space or memory left no trace: the next one takes its place. Where
 *             there is no space for a segment of the usual size, a smaller one is made, down to
 *             what the record at hand takes; later ones grow again.
 * Threads:    wal_writer_append and wal_writer_reserve: one thread at a time (the commit leader).
 *             wal_writer_fill: any number beside each other and beside reservations, but not beside
 *             an append. All others at any time.
 * Crash:      bytes before the last OK of wal_writer_sync survive a power cut; everything appended
 *             survives the death of the process. */
#ifndef FIRN_WAL_WAL_WRITER_H
#define FIRN_WAL_WAL_WRITER_H

#include "format/batch.h"
#include "platform/vfs.h"
#include "util/event_log.h"
#include "util/memory_budget.h"

typedef struct wal_writer wal_writer;

/* A segment that recovery read and that is still needed. */
typedef struct wal_segment_info {
    uint64_t number;
    uint64_t start_position, end_position;
    uint64_t file_bytes;
} wal_segment_info;

/* How records get into a segment's file; the bytes are the same. */
typedef enum wal_io {
    WAL_IO_PWRITE, /* one write per append */
    WAL_IO_MAPPED  /* stored into a mapping, without a system call; only where the file system
                      truly reserves (vfs_reserves_truly). What goes wrong with mapping a segment
                      makes that one a written one */
} wal_io;

typedef struct wal_writer_args {
    const firn_vfs *vfs;
    const char *directory; /* borrowed for the writer's life */
    uint8_t database[16];
    uint8_t boot_id[16];
    uint64_t next_segment;                 /* number of the first segment to create */
    uint64_t predecessor, predecessor_cut; /* where reading ended; 0, 0: a new database */
    /* Log position of the first record to come. All below it must be durable at the first append
     * (wal_recovery_write_back, unless the last close was clean): records will say so. */
    uint64_t position;
    seqno next_sequence;
    uint64_t segment_bytes_first, segment_bytes_max; /* 0: 1 MiB, 16 MiB */
    wal_io io;
    uint32_t spares_max; /* segments of full size that are kept for reuse when released */
    /* Called by the appending thread when the current segment is three quarters full and no file is
     * there for the next: somebody should call wal_writer_prepare. NULL: appends make their
     * segments. */
    void (*want_ahead)(void *context);
    void *context;
    event_log *events;             /* kept; may be NULL */
    memory_budget *memory;         /* kept; may be NULL */
    const wal_segment_info *older; /* still needed; kept until released */
    size_t older_count;
} wal_writer_args;

/* Creates the first segment's file at the first append, not here (an open that writes nothing
 * leaves no log behind). */
FIRN_INTERNAL NODISCARD status wal_writer_new(const wal_writer_args *args, wal_writer **out);
/* Cuts the last segment's unused rest and closes; does not sync. NULL is fine. */
FIRN_INTERNAL void wal_writer_free(wal_writer *w);

/* Appends one record per batch; the batches get consecutive sequences from `first_sequence` on.
 * On OK ops_out[i] holds the operations of batch i with large references patched: valid until the
 * next append. Not durable until wal_writer_sync. */
FIRN_INTERNAL NODISCARD status wal_writer_append(wal_writer *w, seqno first_sequence,
                                                 const batch_view *batches, size_t count,
                                                 slice *ops_out);
/* The same in three steps, for threads that work abreast: room for the batches is taken in the
 * order of their sequences; filled by any thread, at any time; and made the log's end once it and
 * all before it are full, again in order. */
typedef struct wal_reservation {
    struct wal_segment *segment;
    uint64_t offset, end_offset; /* in the segment's file */
    uint64_t position, end_position;
    seqno first_sequence;
} wal_reservation;
/* False, and nothing has happened: only wal_writer_append can do it, because that takes more than
 * stores into the current segment. Until all reservations are published nothing is appended. */
FIRN_INTERNAL NODISCARD bool wal_writer_reserve(wal_writer *w, seqno first_sequence,
                                                const batch_view *batches, size_t count,
                                                wal_reservation *out);
/* Encodes the batches where room was reserved for them. What a killed process leaves unfilled is a
 * torn tail. After a failure neither this nor any later reservation may be published. */
FIRN_INTERNAL NODISCARD status wal_writer_fill(wal_writer *w, const wal_reservation *r,
                                               const batch_view *batches, size_t count);
/* One call at a time, each after the one for the reservation before. */
FIRN_INTERNAL void wal_writer_publish(wal_writer *w, const wal_reservation *r);

/* All that was appended or published before the call is on stable storage when this returns OK. */
FIRN_INTERNAL NODISCARD status wal_writer_sync(wal_writer *w);

/* Log position after what was last appended or published; position known durable. */
FIRN_INTERNAL uint64_t wal_writer_end(const wal_writer *w);
FIRN_INTERNAL uint64_t wal_writer_synced(const wal_writer *w);
/* Number of the segment that the next append would go to at the earliest. That number stays the
 * next one's until an append has succeeded. */
FIRN_INTERNAL uint64_t wal_writer_segment(const wal_writer *w);

/* The oldest segment still needed when nothing below `position` is: for the manifest's log floor.
 * Does nothing yet. */
FIRN_INTERNAL uint64_t wal_writer_floor_segment(wal_writer *w, uint64_t position);
/* Deletes all segments below number `floor_segment`, or keeps them for reuse; only after the
 * manifest edit that says so is synced. Failures are reported to nobody but retried at the next
 * call. */
FIRN_INTERNAL void wal_writer_release(wal_writer *w, uint64_t floor_segment);

/* Makes the file of the next segment, if that was asked for (want_ahead) and there is none:
 * reserved and mapped, so that the append that needs it does not wait for that. Never more than one
 * ahead. False: nothing was to be done. A failure is nobody's: the append will see. */
FIRN_INTERNAL bool wal_writer_prepare(wal_writer *w);
/* Deletes what is kept for reuse or was made ahead: somebody needs the space. False: nothing was.
 */
FIRN_INTERNAL bool wal_writer_drop_spares(wal_writer *w);

typedef struct wal_writer_stats {
    uint64_t bytes_written, syncs;
    uint64_t append_runs;               /* writes that appends cost; none for what was stored */
    uint64_t segments, live_bytes;      /* spares included in the bytes */
    uint64_t spares, recycled_segments; /* kept now; taken into use again since open */
    uint64_t prepared_segments;         /* taken into use since open that were made ahead */
    uint64_t mapped_bytes;              /* of all mappings, those of spares included */
} wal_writer_stats;
FIRN_INTERNAL void wal_writer_get_stats(wal_writer *w, wal_writer_stats *out);
#endif
