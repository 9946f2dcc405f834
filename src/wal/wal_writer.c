#include "wal/wal_writer_internal.h"

#include "platform/error_detail.h"
#include "platform/memory.h"
#include "util/coding.h"

#include "base/poison.h"

/* An append lays its records out twice with the same arithmetic (wal_append_advance): once to learn
 * how much memory and which new segments it needs, which can fail without a trace, and once to
 * encode and write. Everything that goes through memory stands contiguously in one buffer, in the
 * order of the file: header page of a new segment, records, zero word. Only the extents of large
 * values are written from where the caller has them. */

enum {
    WAL_WRITER_SEGMENT_BYTES_FIRST = 1 << 20,
    WAL_WRITER_SEGMENT_BYTES_MAX = 16 << 20,
    /* A buffer that grew beyond this for one append is given back at the next. */
    WAL_WRITER_BUFFER_KEPT_BYTES = 4 << 20,
    WAL_WRITER_HINT_BYTES = 8,
    /* Larger records are written even where the log is mapped: copying them page by faulting page
     * costs more than the system call. */
    WAL_WRITER_STORED_BYTES_MAX = 64 << 10
};

static uint64_t wal_writer_or_default(uint64_t value, uint64_t fallback) {
    if (value == 0)
        return fallback;
    return value < WAL_SEGMENT_BYTES_MIN ? WAL_SEGMENT_BYTES_MIN : value;
}

FIRN_INTERNAL status wal_writer_new(const wal_writer_args *args, wal_writer **out) {
    status st = STATUS_OK;
    *out = NULL;
    wal_writer *w = memory_new_aligned(CACHE_LINE_BYTES, sizeof *w);
    if (!w)
        return error_status(FIRN_NO_MEMORY, "no memory for the log writer");
    memset(w, 0, sizeof *w);
    w->vfs = args->vfs;
    w->directory = args->directory;
    memcpy(w->database, args->database, sizeof w->database);
    memcpy(w->boot_id, args->boot_id, sizeof w->boot_id);
    w->io = args->io;
    w->spares_max = args->spares_max < WAL_SPARES_MAX ? args->spares_max : WAL_SPARES_MAX;
    w->events = args->events;
    w->memory = args->memory;
    w->want_ahead = args->want_ahead;
    w->context = args->context;
    w->append.ahead_offset = UINT64_MAX;
    w->segment_bytes_max =
        wal_writer_or_default(args->segment_bytes_max, WAL_WRITER_SEGMENT_BYTES_MAX);
    w->append.next_bytes =
        wal_writer_or_default(args->segment_bytes_first, WAL_WRITER_SEGMENT_BYTES_FIRST);
    if (w->append.next_bytes > w->segment_bytes_max)
        w->append.next_bytes = w->segment_bytes_max;
    w->append.predecessor = args->predecessor;
    w->append.predecessor_cut = args->predecessor_cut;
    w->append.next_number = args->next_segment;
    w->append.next_sequence = args->next_sequence;
    mutex_init(&w->sync_mutex);
    mutex_init(&w->list_mutex);
    atomic_u64_init(&w->end, args->position);
    atomic_u64_init(&w->synced, args->position);
    atomic_u64_init(&w->next_segment, args->next_segment);
    atomic_u64_init(&w->bytes_written, 0);
    atomic_u64_init(&w->append_runs, 0);
    atomic_u64_init(&w->syncs, 0);
    atomic_u32_init(&w->poison, FIRN_OK);
    DCHECK(args->next_segment > args->predecessor && args->position % RECORD_ALIGNMENT == 0);
    TRY(wal_segments_adopt(w, args->older, args->older_count));
    *out = w;
    return STATUS_OK;
out:
    wal_writer_free(w);
    return st;
}

FIRN_INTERNAL void wal_writer_free(wal_writer *w) {
    if (!w)
        return;
    wal_segment *current = w->append.current;
    /* After a failure the files stay as they are, for recovery and for whoever looks into it. */
    if (current && atomic_u32_load(&w->poison, memory_order_seq_cst) == FIRN_OK) {
        firn_file *handle = current->file->handle;
        (void)handle->methods->truncate(handle, w->append.offset);
    }
    wal_segments_deinit(w);
    memory_budget_release(w->memory, MEMORY_LOG, w->append.buffer.capacity);
    buf_deinit(&w->append.buffer);
    mutex_deinit(&w->list_mutex);
    mutex_deinit(&w->sync_mutex);
    memory_free(w);
}

FIRN_INTERNAL uint64_t wal_writer_end(const wal_writer *w) {
    /* acquire: pairs with the releases in wal_append_end() and wal_writer_publish(). */
    return atomic_u64_load(&w->end, memory_order_acquire);
}

FIRN_INTERNAL uint64_t wal_writer_synced(const wal_writer *w) {
    /* acquire: pairs with the release in wal_writer_sync(). */
    return atomic_u64_load(&w->synced, memory_order_acquire);
}

FIRN_INTERNAL uint64_t wal_writer_segment(const wal_writer *w) {
    /* acquire: pairs with the releases in wal_segments.c. */
    return atomic_u64_load(&w->next_segment, memory_order_acquire);
}

/* What one batch takes. */
typedef struct wal_record_size {
    uint64_t checked_bytes; /* of payload */
    uint64_t head_bytes;    /* through the buffer: all but the extents, padded */
    uint64_t total_bytes;   /* in the file, padded */
} wal_record_size;

static uint64_t wal_append_align(uint64_t bytes) {
    return (bytes + RECORD_ALIGNMENT - 1) / RECORD_ALIGNMENT * RECORD_ALIGNMENT;
}

static wal_record_size wal_append_measure(const batch_view *batch) {
    wal_record_size size;
    size.checked_bytes = varint_length(batch->count) + batch->ops.size;
    if (UNLIKELY(batch->large_count > 0))
        size.checked_bytes += 4;
    size.head_bytes = size.total_bytes = record_padded_bytes(size.checked_bytes);
    for (uint32_t i = 0; i < batch->large_count; i++)
        size.total_bytes += wal_append_align(extent_disk_bytes(batch->large[i].value.size));
    return size;
}

/* Where the next record goes, while an append is laid out. */
typedef struct wal_place {
    wal_segment *segment;
    uint64_t offset;
    seqno sequence;
    size_t fresh_used;
} wal_place;

static wal_place wal_append_start(const wal_writer *w, seqno first_sequence) {
    return (wal_place){w->append.current, w->append.offset, first_sequence, 0};
}

static bool wal_append_fits(const wal_place *at, const wal_record_size *size) {
    return at->segment && size->total_bytes <= at->segment->usable_bytes - at->offset &&
           at->sequence - at->segment->header.sequence <= UINT32_MAX;
}

/* Whether the record is stored into the segment's mapping. Extents are written, and the reference
 * patched into memory of ours, so their record is too. */
static bool wal_append_is_stored(const wal_segment *segment, const batch_view *batch,
                                 const wal_record_size *size) {
    return segment->map.file && batch->large_count == 0 &&
           size->total_bytes <= WAL_WRITER_STORED_BYTES_MAX;
}

/* Whether the record needs neither a new segment nor memory. */
static bool wal_append_is_direct(const wal_place *at, const batch_view *batch,
                                 const wal_record_size *size) {
    return wal_append_fits(at, size) && wal_append_is_stored(at->segment, batch, size);
}

static void wal_append_advance(wal_place *at, const wal_record_size *size, uint32_t count) {
    at->offset += size->total_bytes;
    at->sequence += count;
}

static uint64_t wal_append_position(const wal_place *at) {
    return at->segment->header.position + (at->offset - SEGMENT_HEADER_BYTES);
}

/* The header of the segment that follows `at`, as far as its place in the log goes. */
static segment_header wal_append_next_header(const wal_writer *w, const wal_place *at) {
    segment_header header = {.kind = SEGMENT_LOG, .sequence = at->sequence};
    if (at->segment) {
        header.predecessor = at->segment->header.number;
        header.predecessor_cut = at->offset;
        header.position = wal_append_position(at);
    } else {
        header.predecessor = w->append.predecessor;
        header.predecessor_cut = w->append.predecessor_cut;
        header.position = wal_writer_end(w);
    }
    return header;
}

/* Creates the segments the batches need beyond the current one; *memory_bytes is what goes through
 * the buffer. */
static status wal_append_plan(wal_writer *w, wal_place at, const batch_view *batches, size_t count,
                              uint64_t *memory_bytes) {
    status st = STATUS_OK;
    *memory_bytes = WAL_WRITER_HINT_BYTES;
    for (size_t i = 0; i < count; i++) {
        wal_record_size size = wal_append_measure(&batches[i]);
        if (UNLIKELY(size.total_bytes > UINT32_MAX)) {
            st = error_status(FIRN_TOO_LARGE, "a batch of %llu bytes does not fit a log record",
                              (unsigned long long)size.total_bytes);
            goto out;
        }
        if (UNLIKELY(!wal_append_fits(&at, &size))) {
            segment_header header = wal_append_next_header(w, &at);
            TRY(wal_segments_create(w, &header, size.total_bytes));
            at.segment = w->append.fresh[w->append.fresh_count - 1];
            at.offset = SEGMENT_HEADER_BYTES;
            *memory_bytes += WAL_WRITER_HINT_BYTES + SEGMENT_HEADER_BYTES;
        }
        wal_append_advance(&at, &size, batches[i].count);
        if (!wal_append_is_stored(at.segment, &batches[i], &size))
            *memory_bytes += size.head_bytes + WAL_WRITER_HINT_BYTES;
    }
out:
    return st;
}

static status wal_append_reserve_buffer(wal_writer *w, uint64_t bytes) {
    buf *b = &w->append.buffer;
    size_t capacity = b->capacity;
    if (b->capacity > WAL_WRITER_BUFFER_KEPT_BYTES && bytes <= WAL_WRITER_BUFFER_KEPT_BYTES)
        buf_deinit(b);
    buf_clear(b);
    bool has_room = bytes <= SIZE_MAX && buf_reserve(b, (size_t)bytes);
    memory_budget_adjust(w->memory, MEMORY_LOG, capacity, b->capacity);
    if (!has_room)
        return error_status(FIRN_NO_MEMORY, "no memory to write %llu bytes to the log",
                            (unsigned long long)bytes);
    return STATUS_OK;
}

/* relaxed: a counter that one thread at a time stores, ordered by what orders the appends. */
static void wal_append_count_bytes(wal_writer *w, uint64_t bytes) {
    atomic_u64_store(&w->bytes_written,
                     atomic_u64_load(&w->bytes_written, memory_order_relaxed) + bytes,
                     memory_order_relaxed);
}

static status wal_append_write_at(wal_writer *w, wal_segment *segment, uint64_t offset, slice s) {
    if (segment == w->append.current)
        w->append.wrote_current = true;
    wal_append_count_bytes(w, s.size);
    return vfs_write(segment->file, offset, s.data, s.size);
}

/* Bytes in the buffer that are contiguous in a file and not written yet. */
typedef struct wal_run {
    wal_segment *segment;
    uint64_t offset;
    uint8_t *start, *end;
} wal_run;

/* Writes the run; what is encoded next goes behind it. With `hint` a zero word follows the last
 * record if the segment has room: it tells a reader that this is the end. */
static status wal_append_flush(wal_writer *w, wal_run *run, bool hint) {
    size_t bytes = (size_t)(run->end - run->start);
    if (bytes == 0)
        return STATUS_OK;
    uint64_t offset = run->offset;
    slice out = slice_of(run->start, bytes);
    run->offset += bytes;
    run->start = run->end;
    if (hint && run->segment->usable_bytes - run->offset >= WAL_WRITER_HINT_BYTES) {
        memset(run->end, 0, WAL_WRITER_HINT_BYTES);
        out.size += WAL_WRITER_HINT_BYTES;
        run->start = run->end += WAL_WRITER_HINT_BYTES;
    }
    /* relaxed: a counter only this thread stores. */
    atomic_u64_store(&w->append_runs, atomic_u64_load(&w->append_runs, memory_order_relaxed) + 1,
                     memory_order_relaxed);
    return wal_append_write_at(w, run->segment, offset, out);
}

/* The value in chunks, each followed into the file while its bytes are still in the cache that
 * computing the checksum brought them to; then the checksums. */
static status wal_append_extent(wal_writer *w, wal_segment *segment, uint64_t offset, slice value) {
    status st = STATUS_OK;
    extent_seed seed = {.epoch = segment->header.epoch, .number = segment->header.number};
    uint8_t crcs[512]; /* of 128 chunks; flushed when full */
    size_t crcs_used = 0;
    uint64_t crcs_at = offset + value.size;
    while (value.size > 0) {
        slice chunk =
            slice_of(value.data, value.size < EXTENT_CHUNK_BYTES ? value.size : EXTENT_CHUNK_BYTES);
        encode_fixed32(crcs + crcs_used, extent_chunk_crc(&seed, offset, chunk));
        crcs_used += 4;
        TRY(wal_append_write_at(w, segment, offset, chunk));
        offset += chunk.size;
        value = slice_skip(value, chunk.size);
        if (crcs_used == sizeof crcs || value.size == 0) {
            TRY(wal_append_write_at(w, segment, crcs_at, slice_of(crcs, crcs_used)));
            crcs_at += crcs_used;
            crcs_used = 0;
        }
    }
out:
    return st;
}

/* Writes the extents of a large batch behind its operations and patches the references in the copy
 * `ops` to name them. */
static status wal_append_extents(wal_writer *w, const wal_place *at, const batch_view *batch,
                                 uint64_t head_bytes, uint8_t *ops) {
    status st = STATUS_OK;
    uint64_t offset = at->offset + head_bytes;
    for (uint32_t i = 0; i < batch->large_count; i++) {
        const batch_large *large = &batch->large[i];
        uint8_t *p = ops + large->ref_offset;
        size_t rest = batch->ops.size - large->ref_offset;
        CHECK(large->ref_offset + LARGE_REF_BYTES <= batch->ops.size);
        large_ref ref;
        /* The reference's length is not kept beside it, its flags tell. */
        bool decoded = large_ref_decode(slice_of(p, LARGE_REF_BYTES), &ref) ||
                       (rest >= LARGE_REF_BYTES_MAX &&
                        large_ref_decode(slice_of(p, LARGE_REF_BYTES_MAX), &ref));
        CHECK(decoded && ref.bytes == large->value.size);
        ref.place = LARGE_IN_LOG;
        ref.file = at->segment->header.number;
        ref.offset = offset;
        large_ref_encode(&ref, p);
        TRY(wal_append_extent(w, at->segment, offset, large->value));
        offset += wal_append_align(extent_disk_bytes(large->value.size));
    }
out:
    return st;
}

static record_head wal_append_head(const wal_writer *w, const wal_place *at,
                                   const wal_record_size *size) {
    uint64_t unsynced = wal_append_position(at) - wal_writer_synced(w);
    return (record_head){
        .bytes = (uint32_t)size->checked_bytes,
        .sequence_delta = (uint32_t)(at->sequence - at->segment->header.sequence),
        .synced_distance = unsynced / 8 < UINT32_MAX ? (uint32_t)(unsynced / 8) : UINT32_MAX,
        .type = RECORD_BATCH,
    };
}

/* Encodes one batch where it belongs in the mapped file, with zeros up to `stored` bytes. */
static status wal_append_encode(const wal_writer *w, const wal_place *at, const batch_view *batch,
                                const wal_record_size *size, uint64_t stored) {
    wal_segment *segment = at->segment;
    uint8_t *record = segment->map.data + at->offset;
    record_head head = wal_append_head(w, at, size);
    uint8_t *p = encode_varint32(record + RECORD_HEADER_BYTES, batch->count);
    slice_copy_to(batch->ops, p);
    p += batch->ops.size;
    memset(p, 0, (size_t)(record + stored - p));
    record_seal(&segment->header, at->offset, &head, (size_t)size->checked_bytes, record);
    vfs_stored(segment->file, at->offset, (size_t)stored);
    return vfs_map_check(&segment->map);
}

/* The bytes of the zero word behind a record that ends there; 0: it has no room. */
static uint64_t wal_append_hint_bytes(const wal_segment *segment, uint64_t end_offset) {
    return segment->usable_bytes - end_offset >= WAL_WRITER_HINT_BYTES ? WAL_WRITER_HINT_BYTES : 0;
}

/* A process that dies on the way leaves the record's checksum unwritten: before this call a zero
 * word stood there, or in a recycled file old bytes that match no checksum of this segment. So the
 * zero word that ends the log is moved behind the new record before the record begins to count. */
static status wal_append_store(wal_writer *w, const wal_place *at, const batch_view *batch,
                               const wal_record_size *size) {
    uint64_t stored =
        size->total_bytes + wal_append_hint_bytes(at->segment, at->offset + size->total_bytes);
    if (at->segment == w->append.current)
        w->append.wrote_current = true;
    wal_append_count_bytes(w, stored);
    return wal_append_encode(w, at, batch, size, stored);
}

/* Encodes one batch at the run's end; *ops is its operations there. The extents of a large batch
 * are written before its header can be, so a killed process leaves no header without them. */
static status wal_append_record(wal_writer *w, const wal_place *at, const batch_view *batch,
                                const wal_record_size *size, wal_run *run, slice *ops) {
    status st = STATUS_OK;
    uint8_t *record = run->end, *p = record + RECORD_HEADER_BYTES;
    record_head head = wal_append_head(w, at, size);
    if (UNLIKELY(batch->large_count > 0)) {
        head.bytes = (uint32_t)(size->total_bytes - RECORD_HEADER_BYTES);
        head.type = RECORD_LARGE_BATCH;
        encode_fixed32(p, (uint32_t)(size->checked_bytes - 4));
        p += 4;
    }
    p = encode_varint32(p, batch->count);
    slice_copy_to(batch->ops, p);
    *ops = slice_of(p, batch->ops.size);
    memset(p + batch->ops.size, 0, (size_t)(record + size->head_bytes - (p + batch->ops.size)));
    run->end = record + size->head_bytes;
    if (UNLIKELY(batch->large_count > 0))
        TRY(wal_append_extents(w, at, batch, size->head_bytes, p));
    record_seal(&at->segment->header, at->offset, &head, (size_t)size->checked_bytes, record);
out:
    return st;
}

static status wal_append_write(wal_writer *w, wal_place *at, const batch_view *batches,
                               size_t count, slice *ops_out) {
    status st = STATUS_OK;
    uint8_t *memory = w->append.buffer.data;
    wal_run run = {at->segment, at->offset, memory, memory};
    for (size_t i = 0; i < count; i++) {
        wal_record_size size = wal_append_measure(&batches[i]);
        if (UNLIKELY(!wal_append_fits(at, &size))) {
            /* The old segment's records first: a header that names a cut must not exist before what
             * lies below the cut does. */
            TRY(wal_append_flush(w, &run, true));
            at->segment = w->append.fresh[at->fresh_used++];
            at->offset = SEGMENT_HEADER_BYTES;
            segment_header_encode(&at->segment->header, run.end);
            run.segment = at->segment;
            run.offset = 0;
            run.end += SEGMENT_HEADER_BYTES;
        }
        if (wal_append_is_stored(at->segment, &batches[i], &size)) {
            TRY(wal_append_flush(w, &run, false));
            TRY(wal_append_store(w, at, &batches[i], &size));
            ops_out[i] = batches[i].ops;
            run.offset = at->offset + size.total_bytes;
        } else {
            TRY(wal_append_record(w, at, &batches[i], &size, &run, &ops_out[i]));
        }
        wal_append_advance(at, &size, batches[i].count);
        if (UNLIKELY(batches[i].large_count > 0)) {
            at->segment->holds_extents = true;
            TRY(wal_append_flush(w, &run, false));
            run.offset = at->offset;
        }
    }
    TRY(wal_append_flush(w, &run, true));
    CHECK(at->fresh_used == w->append.fresh_count);
out:
    return st;
}

/* Nothing of a failed append counts. Where bytes of it may stand in the current segment, that one
 * ends at its last good record: the next append goes to a new segment whose header names this cut,
 * so what was written behind it can never be taken for records. */
static COLD status wal_append_undo(wal_writer *w, status failure, bool writing,
                                   uint64_t next_bytes) {
    if (writing && !status_is(failure, FIRN_NO_SPACE)) {
        wal_segments_discard_fresh(w, false);
        return wal_writer_poison(w, failure);
    }
    wal_segments_discard_fresh(w, true);
    if (w->append.next_bytes > next_bytes) /* having grown; that space is short is remembered */
        w->append.next_bytes = next_bytes;
    if (w->append.wrote_current)
        wal_segments_abandon_current(w);
    return failure;
}

static void wal_append_end(wal_writer *w, const wal_place *at) {
    CHECK(at->segment == w->append.current);
    w->append.offset = at->offset;
    w->append.next_sequence = at->sequence;
    /* release: pairs with the acquires in wal_writer_end() and wal_writer_sync(): who sees the new
     * end finds the bytes below it written and their segments listed. */
    atomic_u64_store(&w->end, wal_append_position(at), memory_order_release);
    if (UNLIKELY(at->offset >= w->append.ahead_offset))
        wal_segments_want_ahead(w);
}

/* One batch where everything it needs is there: what a lone write does. */
static status wal_append_direct(wal_writer *w, wal_place *at, const batch_view *batch,
                                const wal_record_size *size) {
    status st = wal_append_store(w, at, batch, size);
    if (UNLIKELY(!status_is_ok(st)))
        return wal_append_undo(w, st, true, w->append.next_bytes);
    wal_append_advance(at, size, batch->count);
    wal_append_end(w, at);
    return STATUS_OK;
}

FIRN_INTERNAL status wal_writer_append(wal_writer *w, seqno first_sequence,
                                       const batch_view *batches, size_t count, slice *ops_out) {
    status st = STATUS_OK;
    uint64_t memory_bytes, next_bytes = w->append.next_bytes;
    bool writing = false;
    wal_place at = wal_append_start(w, first_sequence);
    for (size_t i = 0; i < count; i++)
        ops_out[i] = SLICE_UNSET;
    if (count == 0)
        return STATUS_OK;
    st = wal_writer_check_poison(w);
    if (UNLIKELY(!status_is_ok(st)))
        return st;
    CHECK(first_sequence >= w->append.next_sequence);
    /* No reservation is open: the end that was published is where this append begins. */
    DCHECK(!at.segment || wal_append_position(&at) == wal_writer_end(w));
    w->append.wrote_current = false;
    if (LIKELY(count == 1 && w->append.buffer.capacity <= WAL_WRITER_BUFFER_KEPT_BYTES)) {
        wal_record_size size = wal_append_measure(batches);
        if (LIKELY(wal_append_is_direct(&at, batches, &size))) {
            st = wal_append_direct(w, &at, batches, &size);
            if (LIKELY(status_is_ok(st)))
                ops_out[0] = batches[0].ops;
            return st;
        }
    }
    TRY(wal_append_plan(w, at, batches, count, &memory_bytes));
    TRY(wal_append_reserve_buffer(w, memory_bytes));
    writing = true;
    TRY(wal_append_write(w, &at, batches, count, ops_out));
    if (UNLIKELY(w->append.fresh_count > 0))
        wal_segments_commit_fresh(w);
    wal_append_end(w, &at);
    return STATUS_OK;
out:
    for (size_t i = 0; i < count; i++)
        ops_out[i] = SLICE_UNSET;
    return wal_append_undo(w, st, writing, next_bytes);
}

/* --- abreast --- */

FIRN_INTERNAL bool wal_writer_reserve(wal_writer *w, seqno first_sequence,
                                      const batch_view *batches, size_t count,
                                      wal_reservation *out) {
    wal_segment *segment = w->append.current;
    wal_place at = wal_append_start(w, first_sequence);
    /* relaxed: whoever is told of an append's success has looked again; see wal_writer_append(). */
    if (!segment || !segment->map.file ||
        atomic_u32_load(&w->poison, memory_order_relaxed) != FIRN_OK)
        return false;
    for (size_t i = 0; i < count; i++) {
        wal_record_size size = wal_append_measure(&batches[i]);
        if (!wal_append_is_direct(&at, &batches[i], &size))
            return false;
        wal_append_advance(&at, &size, batches[i].count);
    }
    CHECK(first_sequence >= w->append.next_sequence);
    *out = (wal_reservation){.segment = segment,
                             .offset = w->append.offset,
                             .end_offset = at.offset,
                             .first_sequence = first_sequence};
    out->end_position = wal_append_position(&at);
    out->position = out->end_position - (out->end_offset - out->offset);
    w->append.offset = at.offset;
    w->append.next_sequence = at.sequence;
    /* Now, for the next reservation begins there. Should its page fail, filling will notice. */
    size_t hint_bytes = (size_t)wal_append_hint_bytes(segment, at.offset);
    memset(segment->map.data + at.offset, 0, hint_bytes);
    vfs_stored(segment->file, at.offset, hint_bytes);
    if (UNLIKELY(at.offset >= w->append.ahead_offset))
        wal_segments_want_ahead(w);
    return true;
}

FIRN_INTERNAL status wal_writer_fill(wal_writer *w, const wal_reservation *r,
                                     const batch_view *batches, size_t count) {
    status st = STATUS_OK;
    wal_place at = {r->segment, r->offset, r->first_sequence, 0};
    for (size_t i = 0; i < count; i++) {
        wal_record_size size = wal_append_measure(&batches[i]);
        TRY(wal_append_encode(w, &at, &batches[i], &size, size.total_bytes));
        wal_append_advance(&at, &size, batches[i].count);
    }
    CHECK(at.offset == r->end_offset);
    return STATUS_OK;
out:
    return wal_writer_poison(w, st);
}

FIRN_INTERNAL void wal_writer_publish(wal_writer *w, const wal_reservation *r) {
    wal_append_count_bytes(w, r->end_offset - r->offset);
    /* release: pairs with the acquires in wal_writer_end() and wal_writer_sync(), as in
     * wal_append_end(). */
    atomic_u64_store(&w->end, r->end_position, memory_order_release);
}
